// Weights of one byte that the matrix units take as they are: a constant times the least binary16 number is a low byte with nothing above it.
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { valueFromBytes } from "../../ir/graph/values.ts";
import type { Target } from "../../ir/target/target.ts";

export interface ByteTile {
  /** The constant of unsigned bytes. */
  readonly bytes: TensorId;
  /** What makes the weights of it: none of them is computed. */
  readonly nodes: readonly GraphNode[];
}

const LEAST_HALF = 2 ** -24;

type Producers = ReadonlyMap<TensorId, GraphNode>;

const operand = (node: GraphNode | undefined, op: string): TensorId | undefined =>
  node?.op === op ? (node.inputs[0] ?? undefined) : undefined;

/** toFloat(fromInt8(constant of unsigned bytes)) * 2^-24. */
function byteTileOf(graph: Graph, producers: Producers, id: TensorId): ByteTile | undefined {
  const scaled = producers.get(id);
  const [whole, factor] = scaled?.op === "mul" ? scaled.inputs : [];
  const given = factor === null || factor === undefined ? undefined : graph.tensors[factor];
  if (scaled === undefined || whole === null || whole === undefined || given?.data?.byteLength !== 4) return undefined;
  if (Number(valueFromBytes("float32", [1], given.data.read()).data[0]) !== LEAST_HALF) return undefined;
  const floats = producers.get(whole);
  const ints = operand(floats, "toFloat");
  const widened = ints === undefined ? undefined : producers.get(ints);
  const bytes = operand(widened, "fromInt8");
  const tensor = bytes === undefined ? undefined : graph.tensors[bytes];
  if (bytes === undefined || floats === undefined || widened === undefined) return undefined;
  return tensor?.data === undefined || tensor.dtype !== "uint8"
    ? undefined
    : { bytes, nodes: [widened, floats, scaled] };
}

/** The weights of a block that fp16 products read and nothing else does, by their tensor. */
export function byteTilesOf(
  graph: Graph,
  nodes: readonly GraphNode[],
  producers: Producers,
  outputs: ReadonlySet<TensorId>,
  target: Target,
): ReadonlyMap<TensorId, ByteTile> {
  const found = new Map<TensorId, ByteTile>();
  const { fp16 } = target.mxm.modes;
  if (fp16 === undefined || fp16.tileK > target.lanes) return found;
  for (const node of nodes) {
    const id = node.op === "matmul" && node.attrs.precision === "fp16" ? node.inputs[1] : undefined;
    const tile = id === null || id === undefined || found.has(id) ? undefined : byteTileOf(graph, producers, id);
    if (id !== null && id !== undefined && tile !== undefined) found.set(id, tile);
  }
  const owned = new Map([...found].flatMap(([id, tile]) => tile.nodes.map((node) => [node.outputs[0], id] as const)));
  for (const node of nodes) {
    node.inputs.forEach((input, side) => {
      const of = input === null ? undefined : owned.get(input);
      if (of === undefined || found.get(of)?.nodes.includes(node) === true) return;
      if (!(node.op === "matmul" && side === 1 && node.attrs.precision === "fp16" && input === of)) found.delete(of);
    });
  }
  for (const [id, tile] of found) if (tile.nodes.some((node) => outputs.has(node.outputs[0] ?? id))) found.delete(id);
  return found;
}

/** The graph in which these weights are constants; their contents are those of the bytes. */
export function withByteTiles(graph: Graph, tiles: ReadonlyMap<TensorId, ByteTile>): Graph {
  if (tiles.size === 0) return graph;
  const tensors = [...graph.tensors];
  for (const [id, { bytes }] of tiles) {
    const [weights, data] = [tensors[id], tensors[bytes]?.data];
    if (weights !== undefined && data !== undefined) tensors[id] = { ...weights, data };
  }
  return { ...graph, tensors };
}
