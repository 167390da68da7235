// One plane of the matrix unit: the buffer being loaded, the tile in use, products on their way from ABC to ACC, and the accumulators.
// A tile of two planes stands on the even one; the odd one only remembers whose it is. Here: what all of a plane's instructions need.

import { type Direction, mxmColumn, planeHemisphere } from "../../ir/target/geometry.ts";
import type { MxmMode, MxmModeSpec, Target } from "../../ir/target/target.ts";
import { raise } from "./raise.ts";
import type { Chip, Machine, Plane } from "./state.ts";

export const modeBytes = { int8: 1, fp16: 2, fp32: 4 } as const satisfies Record<MxmMode, number>;

export const modeNumber = { int8: 0, fp16: 1, fp32: 2 } as const satisfies Record<MxmMode, number>;

export function makePlane(target: Target, index: number): Plane {
  const hemisphere = planeHemisphere(target, index);
  let rows = 0;
  let bytes = 0;
  let elements = 0;
  let length = 0;
  for (const [mode, spec] of Object.entries(target.mxm.modes) as [MxmMode, MxmModeSpec][]) {
    rows = Math.max(rows, spec.tileN);
    length = Math.max(length, spec.tileK);
    elements = Math.max(elements, spec.tileN * spec.tileK);
    bytes = Math.max(bytes, spec.tileN * spec.tileK * modeBytes[mode]);
  }
  const capacity = target.mxm.latency.abc + 2;
  const products = new Float32Array(capacity * target.lanes);
  const accumulators = new Float32Array(target.mxm.accumulators * target.lanes);
  return {
    index,
    hemisphere,
    column: mxmColumn(target, hemisphere),
    slots: { load: -1, activate: -1, accumulate: -1 },
    buffer: {
      owner: -1,
      mode: undefined,
      cleared: false,
      lastLoad: -1,
      rowLoaded: new Uint8Array(rows),
      rowLength: new Uint16Array(rows),
      bytes: new Uint8Array(bytes),
    },
    tile: {
      owner: -1,
      mode: undefined,
      readyAt: 0,
      busyUntil: 0,
      rows: 0,
      length: 0,
      weights: new Float32Array(elements),
      integers: new Int8Array(elements),
      simd: undefined,
      isSimd: false,
    },
    waiting: {
      first: 0,
      count: 0,
      capacity,
      issued: new Int32Array(capacity),
      modes: new Array<MxmMode | undefined>(capacity).fill(undefined),
      products,
      integers: new Int32Array(products.buffer),
    },
    activation: new Float64Array(length),
    accumulators,
    sums: new Int32Array(accumulators.buffer),
    entryTags: new Uint8Array(target.mxm.accumulators),
  };
}

/** Streams that flow towards a plane. */
export const inward = (plane: Plane): Direction => plane.hemisphere;
export const outward = (plane: Plane): Direction => (plane.hemisphere === "W" ? "E" : "W");

export interface PlaneSite {
  readonly plane: Plane;
  /** The odd plane of a pair, else undefined. */
  readonly partner: Plane | undefined;
  readonly spec: MxmModeSpec;
}

/** The planes an instruction works on, with their queue slot claimed; undefined and a fault if it may not. */
export function claimPlanes(
  machine: Machine,
  chip: Chip,
  index: number,
  mode: MxmMode,
  slot: keyof Plane["slots"],
): PlaneSite | undefined {
  const plane = chip.planes[index];
  const spec = machine.target.mxm.modes[mode];
  if (plane === undefined || spec === undefined) {
    raise(machine, "form", spec === undefined ? `the target has no mode ${mode}` : `there is no plane ${index}`);
    return undefined;
  }
  const paired = spec.planesPerTile === 2;
  if (paired && index % 2 === 1) {
    raise(machine, "form", `a ${mode} tile of two planes is named by the even plane, not by plane ${index}`);
    return undefined;
  }
  const partner = paired ? chip.planes[index + 1] : undefined;
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    if (one.slots[slot] === machine.cycle) {
      raise(machine, "queue", `plane ${one.index} has another ${slot} instruction in this cycle`);
      return undefined;
    }
    one.slots[slot] = machine.cycle;
  }
  return { plane, partner, spec };
}
