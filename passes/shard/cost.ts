// What a plan costs: cycles of the work every rank does, and of the exchanges between the ranks. Estimates, in the numbers of a target that the caller
// gives; the schedule decides what it really takes.
import { elementCount, type Graph, type GraphNode, type TensorId } from "../../ir/graph/graph.ts";
import { isViewNode } from "../blocks/blocks.ts";
import type { Axis, OperandAxis } from "./axes.ts";
import { needsOf, outputShare, resultShare, type ShardPlan, type ShardSpace } from "./plan.ts";
import type { IsMovable } from "./rewrite.ts";
import { type Share, shareShape } from "./sharded.ts";

export interface ShardCosts {
  readonly isMovable: IsMovable;
  /** Multiplications and additions of a matrix product a cycle. */
  readonly productsPerCycle: (precision: string) => number;
  /** Vectors of results of elementwise operations a cycle. */
  readonly vectorsPerCycle: number;
  /** Cycles in which a vector's elements are moved to other lanes, and the least that takes. */
  readonly moveCycles: number;
  readonly moveLatency: number;
  readonly bytesOfElement: number;
  /** Vectors of a tensor of a shape, of one byte an element. */
  readonly vectorsOf: (shape: readonly number[]) => number;
  /** Cycles until a vector from every rank is at every other one, and the wait for the first of them. */
  readonly cyclesPerVector: number;
  readonly exchangeLatency: number;
}

export interface CostModel {
  readonly space: ShardSpace;
  readonly costs: ShardCosts;
  /** Nodes that read each stored tensor, directly or through views. */
  readonly readers: ReadonlyMap<TensorId, readonly GraphNode[]>;
  readonly outputs: ReadonlyMap<TensorId, readonly TensorId[]>;
}

export function costModel(space: ShardSpace, costs: ShardCosts): CostModel {
  const readers = new Map<TensorId, GraphNode[]>();
  for (const node of space.graph.nodes) {
    if (isViewNode(node)) continue;
    for (const root of new Set(node.inputs.flatMap((id) => (id === null ? [] : [space.rootOf(id)])))) {
      const list = readers.get(root);
      if (list === undefined) readers.set(root, [node]);
      else list.push(node);
    }
  }
  const outputs = new Map<TensorId, TensorId[]>();
  for (const { tensor } of space.graph.outputs) {
    const root = space.rootOf(tensor);
    outputs.set(root, [...(outputs.get(root) ?? []), tensor]);
  }
  return { space, costs, readers, outputs };
}

const shapeOf = (graph: Graph, id: TensorId | null | undefined): readonly number[] =>
  id === null || id === undefined ? [] : (graph.tensors[id]?.shape ?? []);

/** Cycles of a node on one rank. */
export function nodeCycles({ space, costs }: CostModel, node: GraphNode, axis: Axis | undefined): number {
  const { graph, ways } = space;
  const held = (id: TensorId | null | undefined, dim: OperandAxis | undefined): readonly number[] => {
    const shape = shapeOf(graph, id);
    return typeof dim === "number" ? shareShape(shape, dim, ways) : shape;
  };
  const out = held(node.outputs[0], axis?.out);
  if (node.op === "matmul") {
    const depth = held(node.inputs[0], axis?.operands[0]).at(-1) ?? 1;
    return (elementCount(out) * depth) / costs.productsPerCycle(String(node.attrs.precision));
  }
  const read = node.op === "gather" ? [] : node.inputs.map((id, i) => held(id, axis?.operands[i]));
  return Math.max(...[out, ...read].map(costs.vectorsOf)) / costs.vectorsPerCycle;
}

/** Cycles until a tensor held in one way is held in another; undefined where it cannot be. */
export function exchangeCycles(
  { space, costs }: CostModel,
  root: TensorId,
  held: Share,
  wanted: Share,
): number | undefined {
  if (held === wanted) return 0;
  const shape = shapeOf(space.graph, root);
  const { ways } = space;
  const vectors = (dim: number): number => costs.vectorsOf(shareShape(shape, dim, ways));
  const sent = (count: number): number => costs.exchangeLatency + count * costs.bytesOfElement * costs.cyclesPerVector;
  const adding = (count: number): number => (count * (ways - 1)) / costs.vectorsPerCycle;
  // Shares that cut through vectors are joined in a stack of shares, which must be equal; moving them apart costs work again.
  const straight = (dim: number): number | undefined => {
    if (costs.isMovable(shape, dim)) return 0;
    const stackable =
      (shape[dim] as number) % ways === 0 && costs.isMovable([ways, ...shareShape(shape, dim, ways)], 0);
    return stackable ? costs.moveLatency + costs.vectorsOf(shape) * ways * costs.moveCycles : undefined;
  };
  const plus = (extra: number | undefined, cycles: number): number | undefined =>
    extra === undefined ? undefined : extra + cycles;
  if (wanted === "whole") {
    const all = costs.vectorsOf(shape);
    if (held === "partial") return sent(all) + adding(all);
    return held === "whole" ? 0 : plus(straight(held), sent(vectors(held)));
  }
  if (wanted === "partial") return undefined;
  if (held === "partial") return plus(straight(wanted), sent(vectors(wanted)) + adding(vectors(wanted)));
  if (held === "whole") return plus(straight(wanted), costs.exchangeLatency / 2);
  if (!costs.isMovable(shape, held) || !costs.isMovable(shape, wanted)) return undefined;
  return sent(vectors(wanted) / ways);
}

/** Whether the host can take the shares of an output apart: shares that overlap have to be whole vectors. */
function isApart({ space, costs }: CostModel, output: TensorId, dim: number): boolean {
  const shape = shapeOf(space.graph, output);
  return (shape[dim] as number) % space.ways === 0 || costs.isMovable(shape, dim);
}

/** How the outputs of the model want a stored tensor to be held; undefined where it cannot be held as it is. */
export function outputNeeds(model: CostModel, root: TensorId, held: Share): readonly Share[] | undefined {
  const wanted: Share[] = [];
  for (const output of model.outputs.get(root) ?? []) {
    const share = outputShare(model.space, output, held);
    // A view of an output is made by the block that makes its root, in the way that is held.
    if (share === undefined) return undefined;
    if (share === "partial") wanted.push("whole");
    if (typeof share === "number" && !isApart(model, output, share)) return undefined;
  }
  return wanted;
}

/** Cycles of all exchanges of one stored tensor under a plan; undefined where the plan is none. */
export function tensorCycles(model: CostModel, plan: ShardPlan, root: TensorId): number | undefined {
  const { space } = model;
  const maker = space.producer.get(root);
  // Inputs and constants stand where and as they are wanted.
  if (maker === undefined) return 0;
  const held = resultShare(plan.get(maker.id));
  const wanted = new Set<Share>();
  for (const reader of model.readers.get(root) ?? [])
    for (const need of needsOf(space, reader, plan.get(reader.id))) if (need.root === root) wanted.add(need.share);
  const given = outputNeeds(model, root, held);
  if (given === undefined) return undefined;
  for (const share of given) wanted.add(share);
  let cycles = 0;
  for (const share of wanted) {
    const one = exchangeCycles(model, root, held, share);
    if (one === undefined) return undefined;
    cycles += one;
  }
  return cycles;
}

/** Cycles of a whole plan, undefined where it is none. */
export function planCycles(model: CostModel, plan: ShardPlan): number | undefined {
  let cycles = 0;
  for (const node of model.space.graph.nodes) {
    if (isViewNode(node)) continue;
    const exchange = tensorCycles(model, plan, node.outputs[0] as TensorId);
    if (exchange === undefined) return undefined;
    cycles += nodeCycles(model, node, plan.get(node.id)) + exchange;
  }
  return cycles;
}
