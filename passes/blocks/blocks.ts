// Blocks: the core graph cut into a chain of node ranges that are compiled and scheduled one by one. Repeated layers become blocks of one class,
// which is compiled once and stamped. Views belong to the blocks that read them.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { coreOps } from "../../ir/graph/core-ops.ts";
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { renewedInputs } from "../../ir/graph/renewed-inputs.ts";
import { findPeriod } from "./period.ts";

/** How a node sees its operands: behind views, down to the tensor that is really stored. */
export interface Block {
  readonly index: number;
  /** Nodes with the views they read through, in topological order. */
  readonly nodes: readonly GraphNode[];
  /** Stored tensors from other blocks or graph inputs, in order of first use. */
  readonly inputs: readonly TensorId[];
  /** Tensors other blocks or the host read, in order of production. */
  readonly outputs: readonly TensorId[];
  readonly constants: readonly TensorId[];
  /** All tensors of the block in canonical order: blocks of one class correspond index by index. */
  readonly tensors: readonly TensorId[];
  /** Equal for blocks with the same computation on tensors of the same shapes. */
  readonly form: string;
  /** Layer number if the block is a repetition of the periodic part, or a piece of one. */
  readonly layer?: number;
  /** Phase of its nodes. */
  readonly phase: number;
  /** Its own nodes are `[from, to)` of the chain's order. */
  readonly from: number;
  readonly to: number;
}

export interface BlockChain {
  readonly blocks: readonly Block[];
  readonly layers: number;
  /** All nodes that are not views, in the order in which they are cut. */
  readonly order: readonly GraphNode[];
}

const viewOps = new Set(["reshape", "transpose", "expand", "slice", "bitcast"]);
export const isViewNode = (node: GraphNode): boolean => viewOps.has(node.op);

interface Roots {
  readonly producer: ReadonlyMap<TensorId, GraphNode>;
  /** The stored tensor behind views. */
  readonly rootOf: (id: TensorId) => TensorId;
}

export function findRoots(graph: Graph): Roots {
  const producer = new Map<TensorId, GraphNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== null) producer.set(output, node);
  const rootOf = (id: TensorId): TensorId => {
    let at = id;
    for (let node = producer.get(at); node !== undefined && isViewNode(node); node = producer.get(at))
      at = node.inputs[0] as TensorId;
    return at;
  };
  return { producer, rootOf };
}

/** How an operand looks: its shape, the views down to the stored tensor, that tensor's shape. */
function operandSignature(graph: Graph, roots: Roots, id: TensorId): string {
  const shape = (tensor: TensorId): string => `${graph.tensors[tensor]?.dtype}[${graph.tensors[tensor]?.shape.join()}]`;
  let text = shape(id);
  let at = id;
  for (let view = roots.producer.get(at); view !== undefined && isViewNode(view); view = roots.producer.get(at)) {
    text += `<${view.op}${JSON.stringify(view.attrs)}`;
    at = view.inputs[0] as TensorId;
    text += shape(at);
  }
  return `${text}${graph.tensors[at]?.data === undefined ? "" : scalarText(graph, at)}`;
}

const commutative: ReadonlySet<string> = new Set(["add", "mul", "min", "max", "and", "or", "xor", "eq"]);

/** Operands in the order in which equal layers are compared: of commutative operations by how they look, since exporters' orders vary. */
function comparedOperands(graph: Graph, roots: Roots, node: GraphNode): (TensorId | null)[] {
  if (!commutative.has(node.op)) return [...node.inputs];
  return node.inputs
    .map((id, position) => ({ id, position, text: id === null ? "" : operandSignature(graph, roots, id) }))
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.position - b.position))
    .map(({ id }) => id);
}

/** Local signature of a node: everything but which tensors it reads. */
export function nodeSignature(graph: Graph, node: GraphNode, roots: Roots): string {
  const shape = (id: TensorId): string => `${graph.tensors[id]?.dtype}[${graph.tensors[id]?.shape.join()}]`;
  const operands = comparedOperands(graph, roots, node).map((id) =>
    id === null ? "-" : operandSignature(graph, roots, id),
  );
  return `${node.op}${JSON.stringify(node.attrs)}(${operands.join(";")})${node.outputs.map((id) => (id === null ? "-" : shape(id))).join()}`;
}

/** Scalars are part of the code (immediates), so their value is part of the form. */
function scalarText(graph: Graph, id: TensorId): string {
  const tensor = graph.tensors[id];
  if (tensor?.data === undefined || tensor.data.byteLength > 8) return "const";
  return `const:${Array.from(tensor.data.read()).join()}`;
}

export interface Phases {
  /** Phase of every node of the graph: a block has nodes of one phase, and phases are in order. */
  readonly phases: readonly number[];
  /** Tensors that are read by others than nodes, between the phase in which they are made and the next. */
  readonly exported: ReadonlySet<TensorId>;
}

/** `cuts` are places in the chain's order where a block must start, besides the borders of repeated layers; without `repeats` no
 * layers are looked for. */
export function findBlocks(
  graph: Graph,
  cuts: readonly number[] = [],
  repeats = true,
  { phases, exported }: Phases = onePhase,
): BlockChain {
  const roots = findRoots(graph);
  const phaseOf = new Map(graph.nodes.map((node, i) => [node, phases[i] ?? 0]));
  const phase = (node: GraphNode | undefined): number => (node === undefined ? 0 : (phaseOf.get(node) ?? 0));
  const nodes = hoistPreparation(graph, roots).sort((a, b) => phase(a) - phase(b));
  const period = repeats
    ? findPeriod(
        nodes.map((node) => nodeSignature(graph, node, roots)),
        (cut) => crossingCount(graph, nodes, roots, cut),
      )
    : undefined;
  const layers: Range[] = [];
  if (period === undefined) layers.push({ from: 0, to: nodes.length });
  else {
    if (period.from > 0) layers.push({ from: 0, to: period.from });
    for (let layer = 0; layer < period.repeats; layer++)
      layers.push({ from: period.from + layer * period.length, to: period.from + (layer + 1) * period.length, layer });
    const end = period.from + period.repeats * period.length;
    if (end < nodes.length) layers.push({ from: end, to: nodes.length });
  }
  const phaseStarts = nodes.flatMap((node, i) => (i > 0 && phase(node) !== phase(nodes[i - 1]) ? [i] : []));
  const ranges = layers.flatMap((range) => splitRange(range, [...cuts, ...phaseStarts]));
  const owner = new Map<GraphNode, number>();
  ranges.forEach((range, index) => {
    for (let i = range.from; i < range.to; i++) owner.set(nodes[i] as GraphNode, index);
  });
  const blocks = ranges.map((range, index) =>
    makeBlock(graph, roots, nodes.slice(range.from, range.to), index, owner, exported, {
      ...range,
      phase: phase(nodes[range.from]),
    }),
  );
  return { blocks, layers: period?.repeats ?? 0, order: nodes };
}

const onePhase: Phases = { phases: [], exported: new Set() };

type Range = { readonly from: number; readonly to: number; readonly layer?: number };

function splitRange(range: Range, cuts: readonly number[]): readonly Range[] {
  const inside = [...new Set(cuts)].filter((cut) => cut > range.from && cut < range.to).sort((a, b) => a - b);
  return [range.from, ...inside].map((from, i) => ({ ...range, from, to: inside[i] ?? range.to }));
}

/**
 * Nodes that are not views, in the graph's order, but elementwise work on a few inputs only (masks, rotary tables, one-hot positions) goes
 * first: it is computed once and read by every layer, and would make the first layer unlike the others.
 */
function hoistPreparation(graph: Graph, roots: Roots): GraphNode[] {
  const nodes = graph.nodes.filter((node) => !isViewNode(node));
  const inputs = new Map<TensorId, number>(graph.inputs.map((input, i) => [input.tensor, i]));
  const reach = new Map<TensorId, { readonly inputs: ReadonlySet<number>; readonly light: boolean }>();
  const state = stateInputs(graph);
  for (const node of nodes) {
    const seen = new Set<number>();
    let light = elementwiseGroups.has(groupOf(node));
    for (const operand of node.inputs) {
      if (operand === null) continue;
      const root = roots.rootOf(operand);
      const input = inputs.get(root);
      if (input !== undefined) seen.add(input);
      if (state.has(root)) light = false;
      const before = reach.get(root);
      if (before === undefined) continue;
      for (const i of before.inputs) seen.add(i);
      light &&= before.light;
    }
    for (const output of node.outputs) if (output !== null) reach.set(output, { inputs: seen, light });
  }
  const all = new Set<number>();
  for (const output of graph.outputs) for (const i of reach.get(roots.rootOf(output.tensor))?.inputs ?? []) all.add(i);
  const early = (node: GraphNode): boolean => {
    const found = reach.get(node.outputs[0] as TensorId);
    return found?.light === true && found.inputs.size < all.size;
  };
  return [...nodes.filter(early), ...nodes.filter((node) => !early(node))];
}

/** Inputs that an output renews. A layer has its own, and reads it where it makes the new value. */
function stateInputs(graph: Graph): ReadonlySet<TensorId> {
  const ends = (list: Graph["inputs"]) =>
    list.map(({ name, dtype, tensor }) => ({ name, dtype, shape: graph.tensors[tensor]?.shape ?? [] }));
  const renewed = renewedInputs(ends(graph.inputs), ends(graph.outputs));
  return new Set(renewed.flatMap((at) => (at === undefined ? [] : (graph.inputs[at]?.tensor ?? []))));
}

const elementwiseGroups: ReadonlySet<string> = new Set(["binary", "unary", "compare", "select", "cast"]);
const groupOf = (node: GraphNode): string =>
  node.op in coreOps ? coreOps[node.op as keyof typeof coreOps].group : "unknown";

/** Stored tensors alive across the cut before node `cut`, graph inputs and constants apart. */
function crossingCount(graph: Graph, nodes: readonly GraphNode[], roots: Roots, cut: number): number {
  const before = new Set<TensorId>();
  for (let i = 0; i < cut; i++) for (const output of nodes[i]?.outputs ?? []) if (output !== null) before.add(output);
  const crossing = new Set<TensorId>();
  for (let i = cut; i < nodes.length; i++) {
    for (const input of nodes[i]?.inputs ?? []) {
      if (input === null) continue;
      const root = roots.rootOf(input);
      if (before.has(root)) crossing.add(root);
    }
  }
  let elements = 0;
  for (const id of crossing) elements += (graph.tensors[id]?.shape ?? []).reduce((n, size) => n * size, 1);
  return elements;
}

/** The views between a node's operand and the stored tensor, outermost (nearest the stored tensor) first. */
function viewsBehind(id: TensorId, roots: Roots): GraphNode[] {
  const views: GraphNode[] = [];
  let at = id;
  for (let node = roots.producer.get(at); node !== undefined && isViewNode(node); node = roots.producer.get(at)) {
    views.unshift(node);
    at = node.inputs[0] as TensorId;
  }
  return views;
}

function makeBlock(
  graph: Graph,
  roots: Roots,
  own: readonly GraphNode[],
  index: number,
  owner: ReadonlyMap<GraphNode, number>,
  exported: ReadonlySet<TensorId>,
  range: Range & { readonly phase: number },
): Block {
  const nodes: GraphNode[] = [];
  const listed = new Set<GraphNode>();
  const order = new Map<TensorId, string>();
  const tensors: TensorId[] = [];
  const inputs: TensorId[] = [];
  const constants: TensorId[] = [];
  const graphInputs = new Set(graph.inputs.map((input) => input.tensor));
  const text: string[] = [];
  const shape = (id: TensorId): string => `${graph.tensors[id]?.dtype}[${graph.tensors[id]?.shape.join()}]`;
  const name = (id: TensorId): string => {
    const known = order.get(id);
    if (known !== undefined) return known;
    const constant = graph.tensors[id]?.data !== undefined;
    const label = `${constant ? `c${scalarText(graph, id)}` : graphInputs.has(id) ? "g" : "e"}${tensors.length}${shape(id)}`;
    (constant ? constants : inputs).push(id);
    tensors.push(id);
    order.set(id, label);
    return label;
  };
  const add = (node: GraphNode): void => {
    if (listed.has(node)) return;
    listed.add(node);
    const operands = comparedOperands(graph, roots, node).map((id) => (id === null ? "-" : name(id)));
    nodes.push(node);
    for (const output of node.outputs) {
      if (output === null) continue;
      order.set(output, `n${tensors.length}`);
      tensors.push(output);
    }
    text.push(
      `${node.op}${JSON.stringify(node.attrs)}(${operands.join()})${node.outputs.map((id) => (id === null ? "-" : shape(id))).join()}`,
    );
  };
  for (const node of own) {
    for (const input of comparedOperands(graph, roots, node))
      if (input !== null) for (const view of viewsBehind(input, roots)) add(view);
    add(node);
  }
  const outputs = blockOutputs(graph, roots, own, index, owner, exported, add);
  if (index === 0) outputs.push(...passedThrough(graph, roots, name, add));
  return {
    index,
    nodes,
    inputs,
    outputs,
    constants,
    tensors,
    form: `${text.join("\n")}\n-> ${outputs.map(name).join()}`,
    ...range,
  };
}

function blockOutputs(
  graph: Graph,
  roots: Roots,
  own: readonly GraphNode[],
  index: number,
  owner: ReadonlyMap<GraphNode, number>,
  exported: ReadonlySet<TensorId>,
  add: (node: GraphNode) => void,
): TensorId[] {
  const outputs: TensorId[] = [];
  const mine = new Set(own.flatMap((node) => node.outputs));
  const readElsewhere = new Set<TensorId>();
  for (const [node, block] of owner) {
    if (block === index) continue;
    for (const input of node.inputs)
      if (input !== null && mine.has(roots.rootOf(input))) readElsewhere.add(roots.rootOf(input));
  }
  for (const node of own)
    for (const output of node.outputs) if (output !== null && readElsewhere.has(output)) outputs.push(output);
  for (const tensor of [...exported, ...graph.outputs.map((output) => output.tensor)]) {
    if (!mine.has(roots.rootOf(tensor))) continue;
    for (const view of viewsBehind(tensor, roots)) add(view);
    if (!outputs.includes(tensor)) outputs.push(tensor);
  }
  return outputs;
}

/** Graph outputs that no node makes: views of graph inputs are moved by the first block, inputs that are outputs get their place there. */
function passedThrough(
  graph: Graph,
  roots: Roots,
  name: (id: TensorId) => string,
  add: (node: GraphNode) => void,
): TensorId[] {
  const views = new Set<TensorId>();
  for (const { tensor } of graph.outputs) {
    const root = roots.rootOf(tensor);
    if (roots.producer.has(root) || graph.tensors[tensor]?.data !== undefined) continue;
    for (const view of viewsBehind(tensor, roots)) add(view);
    if (tensor === root) name(tensor);
    else views.add(tensor);
  }
  return [...views];
}

/** The tensor of `block` that corresponds to `id` of `first`, a block of the same class. */
export function correspondence(first: Block, block: Block): ReadonlyMap<TensorId, TensorId> {
  invariant(first.form === block.form, "blocks of one class have one form");
  return new Map(first.tensors.map((id, i) => [id, block.tensors[i] as TensorId]));
}
