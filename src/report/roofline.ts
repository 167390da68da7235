// What a graph asks of any machine, and the least time that published peaks leave for it: no schedule, no launch, no waiting, everything at
// its peak at once. A bound, never an estimate. Pure.
import { byteLengthOf } from "../../ir/dtype.ts";
import { elementCount, type Graph } from "../../ir/graph/graph.ts";
import type { MxmMode } from "../../ir/target/target.ts";

export interface Work {
  /** Multiply-accumulates of matrix products, by the type of their operands. */
  readonly macs: Readonly<Record<MxmMode, number>>;
  /** Bytes of all weights, without padding. */
  readonly weightBytes: number;
  /** Bytes that come in and go out for each inference. */
  readonly exchangedBytes: number;
}

/** What bounds need to know of a machine. */
export interface Peaks {
  readonly operationsPerSecond: Readonly<Record<MxmMode, number | null>>;
  readonly memoryBytesPerSecond: number;
  /** Null: not known. */
  readonly onChipBytes: number | null;
}

export interface Bound {
  readonly computeSeconds: number;
  /** One inference with nothing at hand but what stays on the chip. */
  readonly memorySeconds: number;
  readonly latencySeconds: number;
  readonly by: "compute" | "memory";
  /** Are the weights taken to be read for each inference? Else they may stay in the cache. */
  readonly readsWeights: boolean;
  /** With batches so large that weights cost nothing. */
  readonly throughputPerSecond: number;
}

const isMode = (text: unknown): text is MxmMode => text === "int8" || text === "fp16" || text === "fp32";

/** Work of a core graph; `weightBytes` comes from whoever knows how weights are stored. */
export function workOf(core: Graph, weightBytes: number): Work {
  const macs: Record<MxmMode, number> = { int8: 0, fp16: 0, fp32: 0 };
  const shapeOf = (id: number | null | undefined): readonly number[] =>
    (id === null || id === undefined ? undefined : core.tensors[id])?.shape ?? [];
  for (const { op, attrs, inputs, outputs } of core.nodes) {
    if (op !== "matmul" || !isMode(attrs.precision)) continue;
    macs[attrs.precision] += elementCount(shapeOf(outputs[0])) * (shapeOf(inputs[0]).at(-1) ?? 1);
  }
  let exchangedBytes = 0;
  for (const { tensor: id, dtype } of [...core.inputs, ...core.outputs]) {
    exchangedBytes += byteLengthOf(dtype, elementCount(shapeOf(id)));
  }
  return { macs, weightBytes, exchangedBytes };
}

/** The bound of a machine; undefined where it publishes no peak for a type that the work needs. */
export function boundOf(work: Work, peaks: Peaks): Bound | undefined {
  let computeSeconds = 0;
  for (const mode of ["int8", "fp16", "fp32"] as const) {
    if (work.macs[mode] === 0) continue;
    const peak = peaks.operationsPerSecond[mode];
    if (peak === null) return undefined;
    computeSeconds += (2 * work.macs[mode]) / peak;
  }
  const exchangeSeconds = work.exchangedBytes / peaks.memoryBytesPerSecond;
  const readsWeights = peaks.onChipBytes === null || work.weightBytes > peaks.onChipBytes;
  const memorySeconds = exchangeSeconds + (readsWeights ? work.weightBytes / peaks.memoryBytesPerSecond : 0);
  const latencySeconds = Math.max(computeSeconds, memorySeconds);
  const busySeconds = Math.max(computeSeconds, exchangeSeconds);
  return {
    computeSeconds,
    memorySeconds,
    latencySeconds,
    by: computeSeconds >= memorySeconds ? "compute" : "memory",
    readsWeights,
    throughputPerSecond: busySeconds === 0 ? 0 : 1 / busySeconds,
  };
}
