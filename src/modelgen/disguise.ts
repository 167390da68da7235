// The same ONNX model in other clothes: nodes and tensors renamed, nodes in another valid order, initialisers shuffled.
// For tests that a compiler looks at what a model computes and not at how it is written. Graph inputs and outputs keep
// their names and order: they are the model's interface. Models with subgraphs are refused. Knows nothing of files.
import type { onnx as Onnx } from "onnx-proto";
import onnxProto from "onnx-proto";

const { onnx } = onnxProto;

/** Whole numbers below `range`, the same ones for the same seed. */
function createDraws(seed: number): (range: number) => number {
  let state = (seed ^ 0x9e3779b9) | 0 || 1;
  return (range) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (Math.imul(state, 0x2c1b3c6d) >>> 0) % range;
  };
}

function shuffle<Item>(items: readonly Item[], draw: (range: number) => number): Item[] {
  const result: Item[] = [];
  for (const item of items) {
    const at = draw(result.length + 1);
    result.splice(at, 0, item);
  }
  return result;
}

/** A random order in which every node still follows the nodes it reads from. */
function reorder(nodes: readonly Onnx.INodeProto[], draw: (range: number) => number): Onnx.INodeProto[] {
  const producer = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    // The empty name is no tensor: an output left out produces nothing, an input left out reads nothing.
    for (const name of node.output ?? []) if (name !== "") producer.set(name, index);
  }
  const readers = nodes.map((): number[] => []);
  const missing = nodes.map((node, index) => {
    const sources = new Set((node.input ?? []).flatMap((name) => producer.get(name) ?? []));
    for (const source of sources) readers[source]?.push(index);
    return sources.size;
  });
  const ready = nodes.map((_, index) => index).filter((index) => missing[index] === 0);
  const result: Onnx.INodeProto[] = [];
  while (ready.length > 0) {
    const [index = 0] = ready.splice(draw(ready.length), 1);
    const node = nodes[index];
    if (node !== undefined) result.push(node);
    for (const reader of readers[index] ?? []) {
      missing[reader] = (missing[reader] ?? 0) - 1;
      if (missing[reader] === 0) ready.push(reader);
    }
  }
  return result;
}

/** New names for everything inside; the empty name stays, for it means an operand left out. */
function createRenaming(graph: Onnx.IGraphProto, draw: (range: number) => number): (name: string) => string {
  const names = new Map<string, string>([["", ""]]);
  for (const value of [...(graph.input ?? []), ...(graph.output ?? [])]) names.set(value.name ?? "", value.name ?? "");
  const salt = draw(1 << 16);
  return (name) => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const fresh = `t${salt}_${names.size}`;
    names.set(name, fresh);
    return fresh;
  };
}

/** The model `bytes` renamed and reordered as `seed` says. */
export function disguiseModel(bytes: Uint8Array, seed: number): Uint8Array {
  const model = onnx.ModelProto.decode(bytes);
  const graph = model.graph;
  if (!graph) throw new RangeError("the model has no graph");
  const draw = createDraws(seed);
  const rename = createRenaming(graph, draw);
  const nodes = (graph.node ?? []).map((node, index) => {
    if ((node.attribute ?? []).some((attribute) => attribute.g || (attribute.graphs ?? []).length > 0)) {
      throw new RangeError(`node ${node.name ?? index} has a subgraph`);
    }
    const input = (node.input ?? []).map(rename);
    return { ...node, input, output: (node.output ?? []).map(rename) };
  });
  const salt = draw(1 << 16);
  const ordered = reorder(nodes, draw).map((node, index) => ({ ...node, name: `n${salt}_${index}` }));
  const initializer = shuffle(graph.initializer ?? [], draw).map((tensor) => {
    tensor.name = rename(tensor.name ?? "");
    return tensor;
  });
  const disguised = { ...graph, node: ordered, initializer, valueInfo: [], quantizationAnnotation: [] };
  return onnx.ModelProto.encode({ ...model, graph: disguised }).finish();
}
