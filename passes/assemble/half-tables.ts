// Large constant tables of run-time gathers whose elements are all float16 numbers: half the memory holds them, and nothing is lost.
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { roundToFloat16 } from "../../ir/numeric/float16.ts";
import type { Target } from "../../ir/target/target.ts";

/** Whether a table needs more words than one bank has. */
function isLarge(shape: readonly number[], target: Target): boolean {
  const row = shape.at(-1) ?? 1;
  return (elementCount(shape) / row) * Math.ceil(row / target.lanes) > target.mem.wordsPerBank;
}

/** Those of a graph; the contents of each large table are read once. */
export function halfTablesOf(graph: Graph, target: Target): ReadonlySet<TensorId> {
  const tables = new Set<TensorId>();
  for (const { op, inputs } of graph.nodes) {
    const tensor = op === "gather" ? graph.tensors[inputs[0] ?? -1] : undefined;
    if (tensor?.dtype === "float32" && tensor.data !== undefined && isLarge(tensor.shape, target))
      tables.add(tensor.id);
  }
  return new Set([...tables].filter((id) => isHalf(graph.tensors[id]?.data?.read() ?? new Uint8Array(0))));
}

/** Whether all these float32 numbers are float16 ones. */
function isHalf(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < view.byteLength; at += 4) {
    const element = view.getFloat32(at, true);
    if (!Object.is(roundToFloat16(element), element)) return false;
  }
  return true;
}
