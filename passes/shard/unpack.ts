// Products of which readers take slices (one matrix for queries, keys and values) become a product for each slice: shares of the whole would cut
// through the slices. The new weights are boxes of the old ones. Pure graph to graph; leaves alone what would be computed twice.
import { numbersAttr } from "../../ir/graph/attr.ts";
import { type CoreOp, coreOps } from "../../ir/graph/core-ops.ts";
import {
  elementCount,
  type Graph,
  type GraphNode,
  type GraphTensor,
  nodeId,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import { axesOf } from "./axes.ts";

/** A constant that is a box of a constant of the model. */
export interface ConstantBox {
  readonly tensor: TensorId;
  readonly origin: readonly number[];
}

export interface Unpacked {
  /** Tensors of the model keep their numbers; new ones follow. */
  readonly graph: Graph;
  readonly boxes: ReadonlyMap<TensorId, ConstantBox>;
}

/** Indices [start, start + count) of dimension `dim`. */
interface Cut {
  readonly dim: number;
  readonly start: number;
  readonly count: number;
}

interface Draft {
  readonly graph: Graph;
  readonly producer: ReadonlyMap<TensorId, GraphNode>;
  readonly tensors: GraphTensor[];
  /** New nodes, each right before the node of the model that reads it first. */
  readonly added: Omit<GraphNode, "id">[];
  readonly boxes: Map<TensorId, ConstantBox>;
  readonly made: Map<string, TensorId | undefined>;
  /** Products that were taken apart. */
  readonly products: Set<GraphNode>;
}

const shapeOf = (draft: Draft, id: TensorId): readonly number[] => draft.tensors[id]?.shape ?? [];

const cutShape = (shape: readonly number[], { dim, count }: Cut): readonly number[] =>
  shape.map((size, d) => (d === dim ? count : size));

function addTensor(draft: Draft, like: TensorId, shape: readonly number[]): TensorId {
  const id = tensorId(draft.tensors.length);
  const { name, dtype } = draft.graph.tensors[like] as GraphTensor;
  draft.tensors.push({ id, name, dtype, shape });
  return id;
}

/** A box of a constant along one dimension. */
function constantCut(draft: Draft, id: TensorId, cut: Cut): TensorId | undefined {
  const tensor = draft.graph.tensors[id] as GraphTensor;
  if (tensor.data === undefined) return undefined;
  if (tensor.shape[cut.dim] === 1) return id;
  const shape = cutShape(tensor.shape, cut);
  const { data } = tensor;
  const outer = elementCount(tensor.shape.slice(0, cut.dim));
  const stride = data.byteLength / outer;
  const step = stride / (tensor.shape[cut.dim] as number);
  const made = addTensor(draft, id, shape);
  const read = (): Uint8Array => {
    const whole = data.read();
    const part = new Uint8Array(outer * step * cut.count);
    for (let i = 0; i < outer; i++) {
      const from = i * stride + cut.start * step;
      part.set(whole.subarray(from, from + cut.count * step), i * cut.count * step);
    }
    return part;
  };
  draft.tensors[made] = {
    ...(draft.tensors[made] as GraphTensor),
    data: { byteLength: outer * step * cut.count, read },
  };
  draft.boxes.set(made, { tensor: id, origin: tensor.shape.map((_, d) => (d === cut.dim ? cut.start : 0)) });
  return made;
}

/** The cut of a tensor as a tensor of its own, undefined where no product makes it. */
function cutOf(draft: Draft, id: TensorId, cut: Cut): TensorId | undefined {
  const key = `${id}:${cut.dim}:${cut.start}:${cut.count}`;
  if (draft.made.has(key)) return draft.made.get(key);
  const node = draft.producer.get(id);
  const made = node === undefined ? undefined : cutNode(draft, node, id, cut);
  draft.made.set(key, made);
  return made;
}

function addNode(draft: Draft, node: GraphNode, inputs: readonly TensorId[], id: TensorId, cut: Cut): TensorId {
  const out = addTensor(draft, id, cutShape(shapeOf(draft, id), cut));
  draft.added.push({ op: node.op, inputs, outputs: [out], attrs: node.attrs, origins: node.origins });
  return out;
}

function cutNode(draft: Draft, node: GraphNode, id: TensorId, cut: Cut): TensorId | undefined {
  const { group } = coreOps[node.op as CoreOp];
  if (node.op === "matmul") return cutProduct(draft, node, id, cut);
  if (node.op === "reshape") return cutReshape(draft, node, id, cut);
  if (group !== "binary" && group !== "unary" && group !== "cast") return undefined;
  const inputs = node.inputs.map((input) => {
    if (input === null) return undefined;
    return draft.graph.tensors[input]?.data === undefined ? cutOf(draft, input, cut) : constantCut(draft, input, cut);
  });
  const known = inputs.filter((input) => input !== undefined);
  return known.length === inputs.length ? addNode(draft, node, known, id, cut) : undefined;
}

function cutProduct(draft: Draft, node: GraphNode, id: TensorId, cut: Cut): TensorId | undefined {
  const [lhs, rhs] = node.inputs as readonly TensorId[];
  if (lhs === undefined || rhs === undefined || cut.dim !== shapeOf(draft, id).length - 1) return undefined;
  const weights = constantCut(draft, rhs, cut);
  if (weights === undefined) return undefined;
  draft.products.add(node);
  return addNode(draft, node, [lhs, weights], id, cut);
}

/** Through a reshape whose dimension is one of the operand, or the outermost of those it is split into. */
function cutReshape(draft: Draft, node: GraphNode, id: TensorId, cut: Cut): TensorId | undefined {
  const from = node.inputs[0] as TensorId;
  const [inner, outer] = [shapeOf(draft, from), shapeOf(draft, id)];
  const axis = axesOf(node, [inner], outer).find((one) => one.out === cut.dim);
  const dim = axis?.operands[0];
  if (typeof dim !== "number") return undefined;
  const ratio = (inner[dim] as number) / (outer[cut.dim] as number);
  if (!Number.isInteger(ratio)) return undefined;
  const operand = cutOf(draft, from, { dim, start: cut.start * ratio, count: cut.count * ratio });
  return operand === undefined ? undefined : addNode(draft, node, [operand], id, cut);
}

/** What a slice takes, if it takes neighbours along one dimension. */
function cutOfSlice(graph: Graph, node: GraphNode): Cut | undefined {
  const from = graph.tensors[node.inputs[0] as TensorId]?.shape ?? [];
  const to = graph.tensors[node.outputs[0] as TensorId]?.shape ?? [];
  const [starts, steps] = [numbersAttr(node.attrs, "starts"), numbersAttr(node.attrs, "steps")];
  const cut = from.flatMap((size, d) => (size === to[d] ? [] : [d]));
  const [dim] = cut;
  if (dim === undefined || cut.length > 1 || steps.some((step) => step !== 1)) return undefined;
  return { dim, start: starts[dim] as number, count: to[dim] as number };
}

/** The graph with some slices replaced; `kept` are products that stay whole. */
function replaceSlices(graph: Graph, kept: ReadonlySet<GraphNode>): Unpacked & { readonly products: Set<GraphNode> } {
  const producer = new Map<TensorId, GraphNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== null) producer.set(output, node);
  const draft: Draft = {
    graph,
    producer,
    tensors: [...graph.tensors],
    added: [],
    boxes: new Map(),
    made: new Map(),
    products: new Set(),
  };
  const replaced = new Map<TensorId, TensorId>();
  const given = new Set(graph.outputs.map(({ tensor }) => tensor));
  const nodes: Omit<GraphNode, "id">[] = [];
  const origin = new Map<Omit<GraphNode, "id">, GraphNode>();
  for (const node of graph.nodes) {
    const cut = node.op === "slice" ? cutOfSlice(graph, node) : undefined;
    const from = node.inputs[0] as TensorId;
    if (cut !== undefined && !given.has(node.outputs[0] as TensorId) && !readsKept(draft, from, kept)) {
      const made = cutOf(draft, from, cut);
      // What is made of a cut that fails half-way is read by nobody.
      nodes.push(...draft.added.splice(0));
      if (made !== undefined) {
        replaced.set(node.outputs[0] as TensorId, made);
        continue;
      }
    }
    const inputs = node.inputs.map((id) => (id === null ? null : (replaced.get(id) ?? id)));
    const copy = { ...node, inputs };
    origin.set(copy, node);
    nodes.push(copy);
  }
  const live = liveNodes(nodes, [...given]);
  const alive = new Set(live.flatMap((node) => origin.get(node) ?? []));
  return {
    graph: { ...graph, tensors: draft.tensors, nodes: live.map((node, i) => ({ ...node, id: nodeId(i) })) },
    boxes: draft.boxes,
    products: new Set([...draft.products].filter((node) => alive.has(node))),
  };
}

/** Whether a product that has to stay whole is behind a tensor. */
function readsKept(draft: Draft, id: TensorId, kept: ReadonlySet<GraphNode>): boolean {
  let node = draft.producer.get(id);
  while (node !== undefined && node.op !== "matmul") {
    const next: TensorId | null | undefined = node.inputs.find(
      (input) => input !== null && draft.graph.tensors[input]?.data === undefined,
    );
    node = next === null || next === undefined ? undefined : draft.producer.get(next);
  }
  return node !== undefined && kept.has(node);
}

function liveNodes<N extends Omit<GraphNode, "id">>(nodes: readonly N[], outputs: readonly TensorId[]): N[] {
  const wanted = new Set<TensorId | null>(outputs);
  const live: N[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((id) => wanted.has(id))) continue;
    live.push(node);
    for (const id of node.inputs) wanted.add(id);
  }
  return live.reverse();
}

/** Takes apart every product that only slices read, directly or behind elementwise work. */
export function unpackProducts(graph: Graph): Unpacked {
  const kept = new Set<GraphNode>();
  for (;;) {
    const { products, ...result } = replaceSlices(graph, kept);
    if (products.size === 0) return result;
    for (const node of products) kept.add(node);
  }
}
