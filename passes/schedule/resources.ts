// Numbers for the resources of one chip that reservation tables are kept for.
import type { Direction, Hemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";

export interface ResourceMap {
  readonly count: number;
  readonly readQueue: (hemisphere: Hemisphere, slice: number) => number;
  readonly writeQueue: (hemisphere: Hemisphere, slice: number) => number;
  /** Port of one bank: a read and a write never use it in the same cycle. */
  readonly bank: (hemisphere: Hemisphere, slice: number, bank: number) => number;
  readonly alu: (index: number) => number;
  readonly sxm: (hemisphere: Hemisphere, index: number) => number;
  readonly load: (plane: number) => number;
  readonly activate: (plane: number) => number;
  readonly accumulate: (plane: number) => number;
  /** Indexed by diagonal, not by cycle. */
  readonly stream: (direction: Direction, stream: number) => number;
  /** Aligned groups of so many streams, ascending. */
  readonly streamGroups: (direction: Direction, streams: number) => readonly (readonly number[])[];
  /** ALUs, one an option, the small ones first; or the large ones only. */
  readonly anyAlu: readonly (readonly number[])[];
  readonly largeAlu: readonly (readonly number[])[];
  readonly send: (port: number) => number;
  readonly receive: (port: number) => number;
}

export function mapResources(target: Target): ResourceMap {
  let count = 0;
  const block = (size: number): number => {
    const base = count;
    count += size;
    return base;
  };
  const slices = target.mem.slicesPerHemisphere;
  const side = (hemisphere: Hemisphere | Direction): number => (hemisphere === "W" ? 0 : 1);
  const reads = block(2 * slices);
  const writes = block(2 * slices);
  const banks = block(4 * slices);
  const alus = block(target.vxm.alus);
  const sxm = block(2 * target.sxm.unitsPerHemisphere);
  const loads = block(target.mxm.planes);
  const activates = block(target.mxm.planes);
  const accumulates = block(target.mxm.planes);
  const streams = block(2 * target.streamsPerDirection);
  const sends = block(target.link.portsPerChip);
  const receives = block(target.link.portsPerChip);
  const stream = (d: Direction, s: number): number => streams + side(d) * target.streamsPerDirection + s;
  const groups = new Map<string, readonly (readonly number[])[]>();
  const streamGroups = (direction: Direction, size: number): readonly (readonly number[])[] => {
    const key = `${direction}${size}`;
    const known = groups.get(key);
    if (known !== undefined) return known;
    const made = Array.from({ length: Math.floor(target.streamsPerDirection / size) }, (_, group) =>
      Array.from({ length: size }, (_, i) => stream(direction, group * size + i)),
    );
    groups.set(key, made);
    return made;
  };
  const largeAlu = target.vxm.largeAlus.map((i) => [alus + i]);
  const small = Array.from({ length: target.vxm.alus }, (_, i) => i).filter((i) => !target.vxm.largeAlus.includes(i));
  return {
    count,
    streamGroups,
    largeAlu,
    anyAlu: [...small.map((i) => [alus + i]), ...largeAlu],
    readQueue: (h, s) => reads + side(h) * slices + s,
    writeQueue: (h, s) => writes + side(h) * slices + s,
    bank: (h, s, b) => banks + (side(h) * slices + s) * 2 + b,
    alu: (i) => alus + i,
    sxm: (h, i) => sxm + side(h) * target.sxm.unitsPerHemisphere + i,
    load: (p) => loads + p,
    activate: (p) => activates + p,
    accumulate: (p) => accumulates + p,
    stream,
    send: (p) => sends + p,
    receive: (p) => receives + p,
  };
}
