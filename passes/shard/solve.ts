// Which axis every node is cut along: local search over whole classes of axes (a layer's heads, its hidden units, the rows of a sequence) and then over
// single nodes, as long as the plan gets cheaper; or dynamic programming, where that finds a much cheaper one. Deterministic: classes and nodes in the
// order of the graph, a bounded number of rounds.
import { elementCount, type GraphNode, type TensorId } from "../../ir/graph/graph.ts";
import { isViewNode } from "../blocks/blocks.ts";
import type { Axis } from "./axes.ts";
import { beamPlan } from "./beam.ts";
import { type CostModel, nodeCycles, tensorCycles } from "./cost.ts";
import type { ShardPlan, ShardSpace } from "./plan.ts";

const mostRounds = 4;

/** Where all matrices that are smaller than the mean, by as much as there are ranks and this, stay whole, a rank has so much less than a part more. */
const smallShare = 8;

/** The operand of a product that is its matrix of weights; -1 where it has none. */
function weightsOf({ graph, rootOf }: ShardSpace, node: GraphNode): number {
  if (node.op !== "matmul") return -1;
  return node.inputs.findIndex((id) => id !== null && graph.tensors[rootOf(id)]?.data !== undefined);
}

function weightElements(space: ShardSpace, node: GraphNode): number {
  const id = node.inputs[weightsOf(space, node)] ?? null;
  return id === null ? 0 : elementCount(space.graph.tensors[space.rootOf(id)]?.shape ?? []);
}

/** Matrices of fewer elements are cut only where that is quicker. */
function leastToCut(space: ShardSpace): number {
  const sizes = space.graph.nodes.map((node) => weightElements(space, node)).filter((size) => size > 0);
  return sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length) / (smallShare * space.ways);
}

/** Axes that cut the matrix of weights of a product; none where it has no weights, or small ones. */
function cuttingAxes(space: ShardSpace, node: GraphNode, least: number): readonly Axis[] {
  const weights = weightsOf(space, node);
  return weights < 0 || weightElements(space, node) < least
    ? []
    : space.axes(node).filter((axis) => typeof axis.operands[weights] === "number");
}

interface Choices {
  readonly axes: readonly (Axis | undefined)[];
  readonly cutting: readonly Axis[];
}

function choicesOf(space: ShardSpace, node: GraphNode, least: number): Choices {
  const cutting = cuttingAxes(space, node, least);
  return { cutting, axes: [...cutting, undefined, ...space.axes(node).filter((axis) => !cutting.includes(axis))] };
}

type Find = (tensor: TensorId, dim: number) => number;

/** Dimensions of tensors that run along the same axis through the whole graph, as numbers of classes. */
function axisClasses(space: ShardSpace): Find {
  const { graph } = space;
  const offsets: number[] = [];
  let count = 0;
  for (const { shape } of graph.tensors) {
    offsets.push(count);
    count += shape.length;
  }
  const parent = Int32Array.from({ length: count }, (_, i) => i);
  const find = (i: number): number => {
    let at = i;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] as number] as number;
      at = parent[at] as number;
    }
    return at;
  };
  const number = (tensor: TensorId, dim: number): number => (offsets[tensor] as number) + dim;
  for (const node of graph.nodes) {
    for (const axis of isViewNode(node) ? space.viewAxes(node) : space.axes(node)) {
      const ends = node.inputs.flatMap((id, i) => {
        const dim = axis.operands[i] ?? null;
        return id === null || typeof dim !== "number" ? [] : [number(id, dim)];
      });
      if (axis.out !== null) ends.push(number(node.outputs[0] as TensorId, axis.out));
      for (const end of ends) parent[find(end)] = find(ends[0] as number);
    }
  }
  return (tensor, dim) => find(number(tensor, dim));
}

/** For every class the nodes that have an axis in it, with the first such axis. */
function classMembers(space: ShardSpace, choices: ReadonlyMap<GraphNode, Choices>) {
  const classOf = axisClasses(space);
  const members = new Map<number, Map<GraphNode, Axis>>();
  for (const [node, { axes }] of choices) {
    for (const axis of axes) {
      if (axis === undefined) continue;
      const operand = axis.operands.findIndex((dim) => typeof dim === "number");
      const id = axis.out === null ? node.inputs[operand] : node.outputs[0];
      const dim = axis.out ?? axis.operands[operand];
      if (id === null || id === undefined || typeof dim !== "number") continue;
      const key = classOf(id, dim);
      const list = members.get(key) ?? new Map<GraphNode, Axis>();
      members.set(key, list);
      if (!list.has(node)) list.set(node, axis);
    }
  }
  return members;
}

interface Search {
  readonly model: CostModel;
  readonly plan: Map<number, Axis>;
  readonly choices: ReadonlyMap<GraphNode, Choices>;
}

/** More than any plan costs: what a tensor costs that cannot be held as it is wanted. */
const impossible = 1e12;

/** More than any plan costs that can be: weights are cut wherever they can be, or sharing a layer would not share its weights. */
const uncut = 1e9;

function uncutCycles(choices: Choices | undefined, axis: Axis | undefined): number {
  const cutting = choices?.cutting ?? [];
  return cutting.length > 0 && (axis === undefined || !cutting.includes(axis)) ? uncut : 0;
}

/** Cost of the nodes and of the tensors they make or read. */
function costAround({ model, plan, choices }: Search, nodes: readonly GraphNode[]): number {
  const tensors = new Set<TensorId>();
  let cycles = 0;
  for (const node of nodes) {
    const axis = plan.get(node.id);
    cycles += uncutCycles(choices.get(node), axis);
    cycles += nodeCycles(model, node, axis);
    tensors.add(node.outputs[0] as TensorId);
    for (const id of node.inputs) if (id !== null) tensors.add(model.space.rootOf(id));
  }
  for (const root of tensors) cycles += tensorCycles(model, plan, root) ?? impossible;
  return cycles;
}

function setAxis(plan: Map<number, Axis>, node: GraphNode, axis: Axis | undefined): void {
  if (axis === undefined) plan.delete(node.id);
  else plan.set(node.id, axis);
}

/** Makes the changes if the plan gets cheaper by them. */
function tryChanges(search: Search, changes: readonly (readonly [GraphNode, Axis | undefined])[]): boolean {
  const { plan } = search;
  const real = changes.filter(([node, axis]) => plan.get(node.id) !== axis);
  if (real.length === 0) return false;
  const nodes = real.map(([node]) => node);
  const before = costAround(search, nodes);
  const old = nodes.map((node) => plan.get(node.id));
  for (const [node, axis] of real) setAxis(plan, node, axis);
  const after = costAround(search, nodes);
  if (after < before - 1e-6) return true;
  nodes.forEach((node, i) => {
    setAxis(plan, node, old[i]);
  });
  return false;
}

/** A plan by dynamic programming is taken where it costs no more than this share of what local search found. */
const worthwhile = 0.98;

/** The axes of a cheap plan; nodes that are not in it are done by every rank. */
export function solveShards(model: CostModel): ShardPlan {
  const { space } = model;
  const nodes = space.graph.nodes.filter((node) => !isViewNode(node));
  const least = leastToCut(space);
  const choices = new Map(nodes.map((node) => [node, choicesOf(space, node, least)]));
  const first = new Map<number, Axis>();
  for (const [node, { axes }] of choices) if (axes[0] !== undefined) first.set(node.id, axes[0]);
  const members = [...classMembers(space, choices).values()].sort((a, b) => a.size - b.size);
  const local: Search = { model, plan: first, choices };
  improve(local, nodes, members);
  const axes = new Map([...choices].map(([node, choice]) => [node, choice.axes]));
  const plan = beamPlan(model, axes, (node, axis) => uncutCycles(choices.get(node), axis));
  const searches = plan === undefined ? [local] : [local, { model, plan, choices }];
  const costs = searches.map((search) => costAround(search, nodes));
  const isBeam = (costs[1] ?? Number.POSITIVE_INFINITY) < worthwhile * (costs[0] ?? 0);
  const best = isBeam ? 1 : 0;
  return (costs[best] ?? impossible) < impossible ? (searches[best]?.plan ?? new Map()) : new Map();
}

/** Local search: makes changes to classes of axes and to single nodes as long as the plan gets cheaper. */
function improve(search: Search, nodes: readonly GraphNode[], members: readonly ReadonlyMap<GraphNode, Axis>[]): void {
  const { plan, choices } = search;
  for (let round = 0; round < mostRounds; round++) {
    let changed = false;
    for (const list of members) {
      const idle = [...list].filter(([node]) => !plan.has(node.id));
      changed = tryChanges(search, [...list]) || changed;
      changed = tryChanges(search, idle) || changed;
      const cut = [...list].filter(([node, axis]) => plan.get(node.id) === axis);
      const instead = ([node, axis]: readonly [GraphNode, Axis]): readonly [GraphNode, Axis | undefined] => [
        node,
        choices.get(node)?.cutting.find((other) => other !== axis),
      ];
      changed = tryChanges(search, cut.map(instead)) || changed;
    }
    for (const node of nodes)
      for (const axis of choices.get(node)?.axes ?? []) changed = tryChanges(search, [[node, axis]]) || changed;
    if (!changed) break;
  }
}
