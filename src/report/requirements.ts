// What a core graph asks of a machine before anything is scheduled: operators, parameters, bytes of weights, chips they need at least. Pure.

import { byteLengthOf } from "../../ir/dtype.ts";
import { elementCount, type Graph, type GraphTensor } from "../../ir/graph/graph.ts";
import type { ModelPrecision } from "../../ir/graph/precision.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";

export interface OperatorCount {
  readonly op: string;
  readonly count: number;
}

/** Operators of a graph and how often each occurs, the most frequent first. */
export function operatorCounts(graph: Graph): readonly OperatorCount[] {
  return countsOf(graph.nodes.map(({ op }) => op));
}

/** How often each name occurs, the most frequent first. */
export function countsOf(names: readonly string[]): readonly OperatorCount[] {
  const counts = new Map<string, number>();
  for (const op of names) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].map(([op, count]) => ({ op, count })).sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
}

export type Weight = Pick<GraphTensor, "dtype" | "shape">;

export interface Requirements {
  /** Elements of all constants of more than one dimension. */
  readonly parameters: number;
  /** Their bytes without padding, matrices of floats in the matrix unit's type. */
  readonly weightBytesAtLeast: number;
  readonly capacityBytesPerChip: number;
  readonly chipsAtLeast: number;
}

/** The constants of a graph. */
export const weightsOf = (graph: Graph): readonly Weight[] => graph.tensors.filter(({ data }) => data !== undefined);

export function requirementsOf(weights: readonly Weight[], target: Target, precision: ModelPrecision): Requirements {
  let [parameters, weightBytesAtLeast] = [0, 0];
  for (const { dtype, shape } of weights) {
    if (shape.filter((size) => size > 1).length < 2) continue;
    const count = elementCount(shape);
    parameters += count;
    weightBytesAtLeast += byteLengthOf(dtype === "float32" && precision !== "fp32" ? "float16" : dtype, count);
  }
  const capacityBytesPerChip = sliceCount(target) * wordsPerSlice(target) * target.lanes;
  const chipsAtLeast = Math.max(1, Math.ceil(weightBytesAtLeast / capacityBytesPerChip));
  return { parameters, weightBytesAtLeast, capacityBytesPerChip, chipsAtLeast };
}
