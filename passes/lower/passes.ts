// Cutting VXM passes so that each piece reads and writes one part of every storage: a part stands in one column, a piece is one burst.
import { type LowerContext, storageOf } from "./homes.ts";
import type { Access, EwPass, Kernel } from "./kernel.ts";

/** Longest piece of a pass: longer ones gain nothing and block units. */
const maxPieceVectors = 1024;

/** Positions where any access moves to another part, or a piece gets too long; pieces start at multiples of `quantum`. */
export function pieceBorders(
  context: LowerContext,
  count: number,
  quantum: number,
  accesses: readonly { access: Access; every: number }[],
): number[] {
  const borders: number[] = [0];
  const parts = accesses.map(({ access }) => storageOf(context, access.storage).partVectors);
  const partAt = (a: number, i: number): number => {
    const { access, every } = accesses[a] as { access: Access; every: number };
    const at = Math.min(access.vectors.length - 1, Math.floor(i / every));
    return Math.floor((access.vectors[at] as number) / (parts[a] as number));
  };
  for (let i = quantum; i < count; i += quantum) {
    const start = borders[borders.length - 1] as number;
    let cut = i + quantum - start > maxPieceVectors;
    for (let a = 0; a < accesses.length && !cut; a++) cut = partAt(a, i) !== partAt(a, i - 1);
    if (cut) borders.push(i);
  }
  borders.push(count);
  return borders;
}

const sliceAccess = (access: Access, from: number, to: number): Access => ({
  storage: access.storage,
  vectors: access.vectors.subarray(from, to),
});

/** The pass cut into pieces. */
export function splitPass(context: LowerContext, pass: EwPass): EwPass[] {
  const quantum = Math.max(1, ...pass.sinks.map((sink) => sink.every), ...pass.ops.map((op) => op.reset));
  const accesses = [
    ...pass.sources.flatMap((source) => (source === "sums" ? [] : [{ access: source, every: 1 }])),
    ...pass.sinks.map((sink) => ({ access: sink.access, every: sink.every })),
  ];
  const borders = pieceBorders(context, pass.count, quantum, accesses);
  return borders.slice(0, -1).map((from, i) => slicePass(pass, from, borders[i + 1] as number));
}

export function slicePass(pass: EwPass, from: number, to: number): EwPass {
  return {
    count: to - from,
    sources: pass.sources.map((source) => (source === "sums" ? source : sliceAccess(source, from, to))),
    ops: pass.ops,
    sinks: pass.sinks.map((sink) => ({
      ...sink,
      access: sliceAccess(sink.access, from / sink.every, Math.ceil(to / sink.every)),
    })),
  };
}

export function pushPasses(
  context: LowerContext,
  name: string,
  origins: readonly number[],
  passes: readonly EwPass[],
): void {
  const kernel: Kernel = { kind: "vxm", name, origins, passes: passes.flatMap((pass) => splitPass(context, pass)) };
  context.kernels.push(kernel);
}
