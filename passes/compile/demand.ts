// How much memory a core graph asks for before anything is scheduled: each constant as it is stored, and the results that are live at once.
// A lower estimate: padding, copies and program text come on top. Decides nothing.
import { byteLengthOf } from "../../ir/dtype.ts";
import { elementCount, type Graph, type GraphNode, type TensorId } from "../../ir/graph/graph.ts";
import { findRoots, isViewNode } from "../blocks/blocks.ts";
import { nodeReference } from "./placement.ts";

export type Demand = {
  readonly tensor: string;
  readonly bytes: number;
  readonly kind: "weight" | "input" | "activation";
  /** The node that reads a weight or input, or makes an activation. */
  readonly node: string;
  /** Bytes of one element as it is stored; of weights that the matrix units take. */
  readonly matrixElementBytes?: number;
};

export type GraphDemand = {
  readonly weightBytes: number;
  /** Inputs, and the most bytes of results that are live at once. */
  readonly liveBytes: number;
  /** Of the weights, and of what is live when most is; the largest first. */
  readonly parts: readonly Demand[];
  readonly weightBytesOf: ReadonlyMap<TensorId, number>;
};

export const totalBytes = (demand: GraphDemand): number => demand.weightBytes + demand.liveBytes;

const storedElementBytes = { int8: 1, uint8: 1 } as const satisfies Record<string, number>;
const matrixElementBytes = { fp16: 2, fp32: 4, int8: 1 } as const satisfies Record<string, number>;

/** `halfTables`: constants that are kept in float16. */
export function graphDemand(graph: Graph, halfTables: ReadonlySet<TensorId> = new Set()): GraphDemand {
  const { rootOf } = findRoots(graph);
  const nodes = graph.nodes.filter((node) => !isViewNode(node));
  const reader = new Map<TensorId, GraphNode>();
  const lastRead = new Map<TensorId, number>();
  const matrixBytes = new Map<TensorId, number>();
  nodes.forEach((node, at) => {
    node.inputs.forEach((id) => {
      if (id === null) return;
      const root = rootOf(id);
      if (!reader.has(root)) reader.set(root, node);
      lastRead.set(root, at);
      const size = node.op === "matmul" ? lookUp(matrixElementBytes, String(node.attrs.precision)) : undefined;
      if (size !== undefined) matrixBytes.set(root, Math.max(size, matrixBytes.get(root) ?? 0));
    });
  });
  for (const { tensor } of graph.outputs) lastRead.set(rootOf(tensor), nodes.length);
  const weightBytesOf = new Map<TensorId, number>();
  const weights = graph.tensors.flatMap(({ id, name, dtype, shape, data }): Demand[] => {
    const node = reader.get(id);
    if (data === undefined || node === undefined) return [];
    const matrix = matrixBytes.get(id);
    const bytes = elementCount(shape) * (matrix ?? (halfTables.has(id) ? 2 : (lookUp(storedElementBytes, dtype) ?? 4)));
    const size = matrix === undefined ? {} : { matrixElementBytes: matrix };
    weightBytesOf.set(id, bytes);
    return [{ tensor: name, bytes, kind: "weight", node: nodeReference(graph, node), ...size }];
  });
  const inputs = graph.inputs.map(({ name, tensor, dtype }): Demand => {
    const node = reader.get(tensor);
    const bytes = byteLengthOf(dtype === "int64" ? "int32" : dtype, elementCount(graph.tensors[tensor]?.shape ?? []));
    return { tensor: name, bytes, kind: "input", node: node === undefined ? "" : nodeReference(graph, node) };
  });
  const live = mostLive(graph, nodes, lastRead);
  const parts = [...weights, ...inputs, ...live].map((part, i) => ({ part, i }));
  parts.sort((a, b) => b.part.bytes - a.part.bytes || a.i - b.i);
  return {
    weightBytes: bytesOf(weights),
    liveBytes: bytesOf(inputs) + bytesOf(live),
    parts: parts.map(({ part }) => part),
    weightBytesOf,
  };
}

function lookUp(table: Readonly<Record<string, number>>, key: string): number | undefined {
  return table[key];
}

const bytesOf = (parts: readonly Demand[]): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** The results that are live at the node where their bytes are most. */
function mostLive(
  graph: Graph,
  nodes: readonly GraphNode[],
  lastRead: ReadonlyMap<TensorId, number>,
): readonly Demand[] {
  const ending = new Map<number, TensorId[]>();
  const live = new Map<TensorId, Demand>();
  let [now, most, best] = [0, 0, -1];
  const step = (at: number): void => {
    const node = nodes[at];
    for (const id of node?.outputs ?? []) {
      if (id === null || node === undefined) continue;
      const { name = "", shape = [], dtype = "float32" } = graph.tensors[id] ?? {};
      const bytes = elementCount(shape) * (lookUp(storedElementBytes, dtype) ?? 4);
      live.set(id, { tensor: name, bytes, kind: "activation", node: nodeReference(graph, node) });
      now += bytes;
      const end = lastRead.get(id) ?? at;
      ending.set(end, [...(ending.get(end) ?? []), id]);
    }
  };
  const drop = (at: number): void => {
    for (const id of ending.get(at) ?? []) {
      now -= live.get(id)?.bytes ?? 0;
      live.delete(id);
    }
  };
  for (let at = 0; at < nodes.length; at++) {
    step(at);
    if (now > most) [most, best] = [now, at];
    drop(at);
  }
  live.clear();
  ending.clear();
  now = 0;
  for (let at = 0; at <= best; at++) {
    step(at);
    if (at < best) drop(at);
  }
  return [...live.values()];
}
