// From a plan to the graph that every rank runs: nodes on shares of tensors, weights cut, and exchanges where a tensor is held in another way than
// it is wanted. Partial sums are added in the order of the ranks, on every rank that needs them.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Attrs } from "../../ir/graph/attr.ts";
import {
  type Graph,
  type GraphInput,
  type GraphNode,
  type GraphTensor,
  type NodeOrigin,
  nodeId,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import type { OpName } from "../../ir/graph/op-names.ts";
import { isViewNode } from "../blocks/blocks.ts";
import { copyMoves, gatherMoves, scatterMoves, shareMoves, transposeMoves } from "./exchange.ts";
import { outputShare, resultShare, type ShardPlan, type ShardSpace } from "./plan.ts";
import {
  dataOnRank,
  type Exchange,
  type ExchangeKind,
  type ExchangeMove,
  type Piece,
  type ShardedGraph,
  type Share,
  shareShape,
} from "./sharded.ts";

/** Whether shares along a dimension of a tensor can be moved vector by vector, being no cut through vectors. */
export type IsMovable = (shape: readonly number[], dim: number) => boolean;

interface Draft {
  readonly space: ShardSpace;
  readonly plan: ShardPlan;
  readonly isMovable: IsMovable;
  readonly tensors: GraphTensor[];
  readonly nodes: { readonly node: Omit<GraphNode, "id">; readonly phase: number }[];
  readonly phaseOf: Map<TensorId, number>;
  readonly inputs: GraphInput[];
  readonly exchanges: Exchange[];
  readonly pieces: Map<TensorId, Piece>;
  /** What is there already, by tensor of the model and share. */
  readonly made: Map<string, TensorId>;
}

const shapeOf = (graph: Graph, id: TensorId): readonly number[] => graph.tensors[id]?.shape ?? [];

const heldShape = (draft: Draft, id: TensorId, share: Share): readonly number[] => {
  const shape = shapeOf(draft.space.graph, id);
  return typeof share === "number" ? shareShape(shape, share, draft.space.ways) : shape;
};

function addTensor(draft: Draft, like: TensorId, shape: readonly number[], phase: number): TensorId {
  const id = tensorId(draft.tensors.length);
  const model = draft.space.graph.tensors[like] as GraphTensor;
  draft.tensors.push({ id, name: model.name, dtype: model.dtype, shape });
  draft.phaseOf.set(id, phase);
  return id;
}

function addNode(
  draft: Draft,
  op: OpName,
  inputs: readonly (TensorId | null)[],
  output: TensorId,
  attrs: Attrs,
  origins: readonly NodeOrigin[],
): void {
  const phase = draft.phaseOf.get(output) ?? 0;
  draft.nodes.push({ node: { op, inputs, outputs: [output], attrs, origins }, phase });
}

function addView(
  draft: Draft,
  like: TensorId,
  op: "reshape" | "transpose",
  from: TensorId,
  shape: readonly number[],
  attrs: Attrs = {},
): TensorId {
  const out = addTensor(draft, like, shape, draft.phaseOf.get(from) ?? 0);
  addNode(draft, op, [from], out, attrs, []);
  return out;
}

/** A leaf of the model: a constant or an input, held as wanted at once. */
function leaf(draft: Draft, id: TensorId, share: Share): TensorId {
  const { graph, ways } = draft.space;
  const model = graph.tensors[id] as GraphTensor;
  const made = addTensor(draft, id, heldShape(draft, id, share), 0);
  const piece = { tensor: id, dim: typeof share === "number" ? share : null };
  draft.pieces.set(made, piece);
  const data = dataOnRank(graph, piece, ways, 0);
  if (data !== undefined) draft.tensors[made] = { ...(draft.tensors[made] as GraphTensor), data };
  else {
    const input = graph.inputs.find((one) => one.tensor === id);
    draft.inputs.push({ name: input?.name ?? model.name, tensor: made, dtype: input?.dtype ?? model.dtype });
  }
  return made;
}

/** The tensor of the rank's graph that holds tensor `id` of the model as `share` says. */
function get(draft: Draft, id: TensorId, share: Share): TensorId {
  const key = `${id}:${share}`;
  const before = draft.made.get(key);
  if (before !== undefined) return before;
  const { producer } = draft.space;
  const node = producer.get(id);
  const made =
    node === undefined
      ? leaf(draft, id, share)
      : isViewNode(node)
        ? viewed(draft, node, id, share)
        : exchanged(draft, node, id, share);
  draft.made.set(key, made);
  return made;
}

function viewed(draft: Draft, node: GraphNode, id: TensorId, share: Share): TensorId {
  const from = node.inputs[0] as TensorId;
  const dims = typeof share === "number" ? innerShare(draft, node, share) : share;
  const operand = get(draft, from, dims);
  const out = addTensor(draft, id, heldShape(draft, id, share), draft.phaseOf.get(operand) ?? 0);
  addNode(draft, node.op, [operand], out, node.attrs, node.origins);
  return out;
}

/** How a view's operand is held when its result is in shares along a dimension. */
function innerShare(draft: Draft, view: GraphNode, dim: number): Share {
  const axis = draft.space.viewAxes(view).find((one) => one.out === dim);
  invariant(axis !== undefined, "a view is only asked for shares that it has");
  return axis.operands[0] ?? "whole";
}

function exchanged(draft: Draft, node: GraphNode, id: TensorId, share: Share): TensorId {
  const held = resultShare(draft.plan.get(node.id));
  invariant(held !== share, "what a node makes is there before it is asked for");
  const source = draft.made.get(`${id}:${held}`);
  invariant(source !== undefined, "nodes come in topological order");
  const phase = draft.phaseOf.get(source) ?? 0;
  const exchange = (kind: ExchangeKind, moves: readonly ExchangeMove[]): void => {
    draft.exchanges.push({ kind, phase, moves });
  };
  if (held === "partial") return summed(draft, node, id, source, share, exchange);
  if (held === "whole") {
    invariant(typeof share === "number", "a whole tensor is wanted in shares");
    return sharedOut(draft, id, source, share, exchange);
  }
  if (share === "whole") return gathered(draft, id, source, held, exchange);
  invariant(typeof share === "number", "shares are wanted along another dimension");
  const target = addTensor(draft, id, heldShape(draft, id, share), phase + 1);
  exchange("transpose", transposeMoves(endsOf(draft, id, source), held, share, target));
  return target;
}

const endsOf = (draft: Draft, id: TensorId, source: TensorId) => ({
  source,
  ways: draft.space.ways,
  shape: shapeOf(draft.space.graph, id),
});

type Exchanger = (kind: ExchangeKind, moves: readonly ExchangeMove[]) => void;

function gathered(draft: Draft, id: TensorId, source: TensorId, dim: number, exchange: Exchanger): TensorId {
  const { ways, graph } = draft.space;
  const shape = shapeOf(graph, id);
  const phase = draft.phaseOf.get(source) ?? 0;
  if (draft.isMovable(shape, dim)) {
    const target = addTensor(draft, id, shape, phase + 1);
    exchange("gather", gatherMoves(endsOf(draft, id, source), dim, target));
    return target;
  }
  // Cut through vectors: shares arrive one after the other and are joined where they are read.
  const share = shareShape(shape, dim, ways);
  const alone = addView(draft, id, "reshape", source, [1, ...share]);
  const stacked = addTensor(draft, id, [ways, ...share], phase + 1);
  exchange("gather", gatherMoves({ source: alone, ways, shape: [ways, ...share] }, 0, stacked));
  const perm = [...share.keys()].map((d) => d + 1).toSpliced(dim, 0, 0);
  const side = addView(
    draft,
    id,
    "transpose",
    stacked,
    perm.map((p) => (p === 0 ? ways : (share[p - 1] as number))),
    { perm },
  );
  return addView(draft, id, "reshape", side, shape);
}

/** `[ways, share...]` of a tensor: rank r's share along `dim` is row r. */
function stackedView(draft: Draft, id: TensorId, source: TensorId, dim: number): TensorId {
  const { ways, graph } = draft.space;
  const share = shareShape(shapeOf(graph, id), dim, ways);
  const split = share.toSpliced(dim, 0, ways);
  const perm = [dim, ...[...split.keys()].filter((d) => d !== dim)];
  return addView(draft, id, "transpose", addView(draft, id, "reshape", source, split), [ways, ...share], { perm });
}

/** A target for every rank's part of a share, and the same as seen by readers. */
function shareTargets(draft: Draft, id: TensorId, source: TensorId, dim: number, count: number) {
  const { ways, graph } = draft.space;
  const shape = shapeOf(graph, id);
  const share = shareShape(shape, dim, ways);
  const phase = (draft.phaseOf.get(source) ?? 0) + 1;
  const straight = draft.isMovable(shape, dim);
  const targets = Array.from({ length: count }, () => addTensor(draft, id, straight ? share : [1, ...share], phase));
  const from = straight ? source : stackedView(draft, id, source, dim);
  const ends = straight ? endsOf(draft, id, source) : { source: from, ways, shape: [ways, ...share] };
  const seen = (): TensorId[] =>
    straight ? targets : targets.map((target) => addView(draft, id, "reshape", target, share));
  return { ends, cut: straight ? dim : 0, targets, seen };
}

function sharedOut(draft: Draft, id: TensorId, source: TensorId, dim: number, exchange: Exchanger): TensorId {
  const { ends, cut, targets, seen } = shareTargets(draft, id, source, dim, 1);
  exchange("share", shareMoves(ends, cut, targets[0] as TensorId));
  return seen()[0] as TensorId;
}

function summed(
  draft: Draft,
  node: GraphNode,
  id: TensorId,
  source: TensorId,
  share: Share,
  exchange: Exchanger,
): TensorId {
  const { ways, graph } = draft.space;
  const phase = (draft.phaseOf.get(source) ?? 0) + 1;
  const parts = ((): TensorId[] => {
    if (typeof share === "number") {
      const { ends, cut, targets, seen } = shareTargets(draft, id, source, share, ways);
      exchange("scatter-sum", scatterMoves(ends, cut, targets));
      return seen();
    }
    const shape = shapeOf(graph, id);
    const targets = Array.from({ length: ways }, () => addTensor(draft, id, shape, phase));
    exchange("sum", copyMoves(endsOf(draft, id, source), targets));
    return targets;
  })();
  return parts.reduce((sum, part) => {
    const out = addTensor(draft, id, heldShape(draft, id, share), phase);
    addNode(draft, "add", [sum, part], out, {}, node.origins);
    return out;
  });
}

/** Adds a node that is no view, and what it reads. */
function addWork(draft: Draft, node: GraphNode): void {
  const axis = draft.plan.get(node.id);
  const inputs = node.inputs.map((id, i) => (id === null ? null : get(draft, id, axis?.operands[i] ?? "whole")));
  const phase = Math.max(0, ...inputs.map((id) => (id === null ? 0 : (draft.phaseOf.get(id) ?? 0))));
  const id = node.outputs[0] as TensorId;
  const share = resultShare(axis);
  const out = addTensor(draft, id, heldShape(draft, id, share), phase);
  addNode(draft, node.op, inputs, out, node.attrs, node.origins);
  draft.made.set(`${id}:${share}`, out);
}

/** `boxes`: constants of the space's graph that are boxes of the model's. */
export function shardGraph(
  space: ShardSpace,
  plan: ShardPlan,
  isMovable: IsMovable,
  boxes: ShardedGraph["boxes"],
): ShardedGraph {
  const { graph, ways } = space;
  const draft: Draft = {
    space,
    plan,
    isMovable,
    tensors: [],
    nodes: [],
    phaseOf: new Map(),
    inputs: [],
    exchanges: [],
    pieces: new Map(),
    made: new Map(),
  };
  for (const node of graph.nodes) if (!isViewNode(node)) addWork(draft, node);
  const outputs = graph.outputs.map((output) => {
    const maker = space.producer.get(space.rootOf(output.tensor));
    const held = maker === undefined ? "whole" : resultShare(plan.get(maker.id));
    const share = held === "partial" ? "whole" : (outputShare(space, output.tensor, held) ?? "whole");
    const tensor = get(draft, output.tensor, share);
    draft.pieces.set(tensor, { tensor: output.tensor, dim: typeof share === "number" ? share : null });
    return { ...output, tensor };
  });
  // Stable: nodes of one phase stay in topological order.
  const order = draft.nodes.map((entry, i) => ({ ...entry, i })).sort((a, b) => a.phase - b.phase || a.i - b.i);
  return {
    ways,
    source: graph,
    boxes,
    graph: {
      name: graph.name,
      form: graph.form,
      tensors: draft.tensors,
      nodes: order.map(({ node }, i) => ({ ...node, id: nodeId(i) })),
      inputs: draft.inputs,
      outputs,
    },
    phases: order.map(({ phase }) => phase),
    exchanges: draft.exchanges,
    pieces: draft.pieces,
  };
}
