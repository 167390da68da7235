// Reductions that join the pass before them: which do, which do not.
import { describe, expect, it } from "vitest";
import type { Target } from "../ir/target/target.ts";
import { fuseReductions } from "../passes/lower/fuse-reduce.ts";
import type { EwOp, EwPass, Kernel, Storage, StorageId } from "../passes/lower/kernel.ts";
import { presetTarget } from "../src/targets/presets.ts";

const target = presetTarget("groqchip1") as Target;
const id = (n: number): StorageId => n as StorageId;
const range = (from: number, to: number): Int32Array => Int32Array.from({ length: to - from }, (_, i) => from + i);

const storages = [
  { name: "x", vectors: 8, partVectors: 8 },
  { name: "y", vectors: 8, partVectors: 8 },
  { name: "sum", vectors: 2, partVectors: 2 },
].map((storage, i): Storage => ({ ...storage, id: id(i), type: "f32", replicated: false }));

const unary = (count: number): readonly EwOp[] =>
  Array.from({ length: count }, (_, i) => ({
    op: "exp2",
    args: [i === 0 ? { kind: "source", source: 0 } : { kind: "op", op: i - 1 }],
    reset: 0,
  }));

/** y = exp2(... x) over the vectors in this order, `depth` operations deep. */
const producer = (vectors: Int32Array, depth = 1): EwPass => ({
  count: vectors.length,
  sources: [{ storage: id(0), vectors }],
  ops: unary(depth),
  sinks: [{ op: depth - 1, access: { storage: id(1), vectors }, every: 1 }],
});

/** sum[r] = y[4 r] + .. + y[4 r + 3]. */
const reduction: Kernel = {
  kind: "vxm",
  name: "reduceSum",
  origins: [7],
  passes: [
    {
      count: 8,
      sources: [{ storage: id(1), vectors: range(0, 8) }],
      ops: [{ op: "add", args: [{ kind: "source", source: 0 }, { kind: "self" }], reset: 4 }],
      sinks: [{ op: 0, access: { storage: id(2), vectors: range(0, 2) }, every: 4 }],
    },
  ],
};

const kernelOf = (passes: readonly EwPass[]): Kernel => ({ kind: "vxm", name: "exp2", origins: [3], passes });
const fuse = (passes: readonly EwPass[]): Kernel[] => fuseReductions(target, storages, [kernelOf(passes), reduction]);

describe("a reduction over successive vectors", () => {
  it("is accumulated by the passes that write them, each its own runs", () => {
    const [kernel, ...more] = fuse([producer(range(0, 4)), producer(range(4, 8))]);
    expect(more).toEqual([]);
    expect(kernel).toMatchObject({ name: "exp2+reduceSum", origins: [3, 7] });
    const passes = kernel?.kind === "vxm" ? kernel.passes : [];
    expect(
      passes.map(({ sinks }) => sinks.map(({ every, access }) => [every, access.storage, ...access.vectors])),
    ).toEqual([
      [
        [1, 1, 0, 1, 2, 3],
        [4, 2, 0],
      ],
      [
        [1, 1, 4, 5, 6, 7],
        [4, 2, 1],
      ],
    ]);
    expect(passes[0]?.ops[1]).toEqual({ op: "add", args: [{ kind: "op", op: 0 }, { kind: "self" }], reset: 4 });
  });

  it.each([
    ["a pass ends inside a run", [producer(range(0, 6)), producer(range(6, 8))]],
    ["the vectors come in another order", [producer(Int32Array.of(1, 0, 2, 3)), producer(range(4, 8))]],
    ["some of the vectors come from elsewhere", [producer(range(0, 4))]],
    ["the chain of ALUs is as long as it may be", [producer(range(0, 8), target.vxm.chainDepth)]],
  ])("stays alone where %s", (_, passes) => {
    expect(fuse(passes)).toEqual([kernelOf(passes), reduction]);
  });
});
