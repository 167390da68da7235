// Layout choice for a whole block: which dimension of every computed tensor runs along the lanes. Coordinate descent over units with the
// cost of the movements (transpositions, lane permutations) that a choice would need.
import { elementCount, type Graph, type GraphNode, type TensorId } from "../../ir/graph/graph.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";
import { standardLaneDim } from "./elementwise.ts";
import { type Home, isView, viewLayout } from "./homes.ts";
import type { StorageId } from "./kernel.ts";
import { choiceLayout, followLayout, type Layout, packsHeads, runsAlongLanes } from "./layout.ts";
import type { Unit, UnitPlan } from "./units.ts";
import { laneCompatible, laneRuns } from "./walk.ts";

interface Chooser {
  readonly graph: Graph;
  readonly target: Target;
  readonly plan: UnitPlan;
  readonly producers: ReadonlyMap<TensorId, GraphNode>;
  readonly outputs: ReadonlySet<TensorId>;
  readonly chosen: Map<TensorId, number>;
  readonly byteTiles: ReadonlyMap<TensorId, unknown>;
}

const rounds = 4;
const shapeOf = (chooser: Chooser, id: TensorId): readonly number[] => chooser.graph.tensors[id]?.shape ?? [];
const lastDim = (shape: readonly number[]): number => shape.length - 1;

/** Cycles a transposition or general movement of so many elements takes, roughly. */
const movedCycles = (chooser: Chooser, elements: number): number => 150 + (2 * elements) / chooser.target.lanes;

const moveCost = (chooser: Chooser, id: TensorId): number => movedCycles(chooser, elementCount(shapeOf(chooser, id)));

/** A reduction of float32 sums is a product with ones; any other one joins the lane blocks and transposes what is left. */
function laneReduceCost(chooser: Chooser, home: Home, node: GraphNode): number {
  const { shape } = home.layout;
  const elements = elementCount(shape);
  if (node.op === "reduceSum") return movedCycles(chooser, elements) * 0.75;
  const axes = node.attrs.axes as readonly number[];
  const blocks = axes.map((axis) =>
    runsAlongLanes(home.layout.dims[axis] ?? []) ? Math.ceil((shape[axis] as number) / chooser.target.lanes) : 1,
  );
  return movedCycles(chooser, elements / Math.max(...blocks)) * 1.5;
}

/** A home as it would be with the current choice; constants may stand anyhow and have none. */
function virtualHome(chooser: Chooser, id: TensorId): Home | "constant" | undefined {
  if (chooser.graph.tensors[id]?.data !== undefined) return "constant";
  const node = chooser.producers.get(id);
  if (node !== undefined && isView(node)) {
    const source = virtualHome(chooser, node.inputs[0] as TensorId);
    if (source === undefined || source === "constant") return source;
    const layout = viewLayout(node, source.layout, shapeOf(chooser, id));
    return layout && { ...source, layout };
  }
  const shape = shapeOf(chooser, id);
  const laneDim = chooser.chosen.get(id) ?? standardLaneDim(shape, chooser.target.lanes);
  const uniform = laneDim < 0 || shape[laneDim] === 1;
  return {
    storage: 0 as StorageId,
    type: "f32",
    layout: choiceLayout(shape, laneDim, chooser.target.lanes).layout,
    uniform,
  };
}

/** A matmul operand as it is wanted: K along lanes, rows not; batch dims may share the lanes. */
const operandFits = (layout: Layout, kDim: number): boolean =>
  layout.dims.every(
    (digits, d) =>
      d < layout.shape.length - 2 ||
      (d === kDim ? layout.shape[d] === 1 || runsAlongLanes(digits) : !runsAlongLanes(digits)),
  );
const onlyLaneDim = (layout: Layout, d: number): boolean =>
  layout.dims.every((digits, i) =>
    i === d ? layout.shape[i] === 1 || runsAlongLanes(digits) : !runsAlongLanes(digits),
  );

/** Cycles for steps beyond the fewest: lanes that hold short pieces of K. */
function extraSteps(chooser: Chooser, layout: Layout, kDim: number, node: GraphNode): number {
  const tileK = chooser.target.mxm.modes[node.attrs.precision as MxmMode]?.tileK ?? chooser.target.lanes;
  const runs = laneRuns(layout, kDim, tileK).length;
  const out = shapeOf(chooser, node.outputs[0] as TensorId);
  const steps = runs - Math.ceil((layout.shape[kDim] as number) / tileK);
  return (steps * elementCount(out)) / Math.min(chooser.target.lanes, out[out.length - 1] as number) / 2;
}

/** A constant whose values each fill a whole vector takes memory for nothing. */
function constantCost(chooser: Chooser, id: TensorId, node: GraphNode): number {
  if (node.op === "matmul" || node.op === "gather") return 0;
  const out = virtualHome(chooser, node.outputs[0] as TensorId);
  const shape = shapeOf(chooser, id);
  if (out === undefined || out === "constant" || shape.length !== out.layout.shape.length || elementCount(shape) === 1)
    return 0;
  const { uniform, vectors } = followLayout(shape, out.layout);
  return uniform ? vectors : 0;
}

/** Cost of reading tensor `id` as an operand of `node`. */
function readCost(chooser: Chooser, id: TensorId, node: GraphNode): number {
  const home = virtualHome(chooser, id);
  if (home === "constant") return constantCost(chooser, id, node);
  const cost = moveCost(chooser, id);
  if (home === undefined) return cost;
  const rank = home.layout.shape.length;
  switch (node.op) {
    case "matmul": {
      const kDim = node.inputs[0] === id ? rank - 1 : rank - 2;
      return operandFits(home.layout, kDim) ? extraSteps(chooser, home.layout, kDim, node) : cost;
    }
    case "reduceSum":
    case "reduceMax":
    case "reduceMin":
    case "reduceProd": {
      const axes = node.attrs.axes as readonly number[];
      const along = axes.some((axis) => runsAlongLanes(home.layout.dims[axis] ?? []));
      if (along) return laneReduceCost(chooser, home, node);
      const result = virtualHome(chooser, node.outputs[0] as TensorId);
      const follows =
        result !== undefined &&
        result !== "constant" &&
        result.layout.dims.every((digits, d) => runsAlongLanes(digits) === runsAlongLanes(home.layout.dims[d] ?? []));
      return follows ? 0 : 100;
    }
    case "gather":
      return node.inputs[1] === id ? 0 : onlyLaneDim(home.layout, rank - 1) ? 0 : cost;
    case "concat":
    case "pad": {
      const out = virtualHome(chooser, node.outputs[0] as TensorId);
      return out !== undefined &&
        out !== "constant" &&
        out.layout.dims.every((digits, d) => runsAlongLanes(digits) === runsAlongLanes(home.layout.dims[d] ?? []))
        ? 0
        : cost;
    }
    default: {
      const out = virtualHome(chooser, node.outputs[0] as TensorId);
      if (out === undefined || out === "constant") return 0;
      if (laneCompatible(out.layout, out.uniform, home)) return 0;
      const spread =
        out.uniform || out.layout.dims.some((digits, d) => runsAlongLanes(digits) && home.layout.shape[d] === 1);
      return spread ? 300 + 2 * elementCount(home.layout.shape) : cost;
    }
  }
}

/** Readers of a tensor, also behind views. */
function forEachReader(chooser: Chooser, id: TensorId, visit: (seenAs: TensorId, node: GraphNode) => void): void {
  for (const node of chooser.plan.consumers.get(id) ?? []) {
    if (isView(node)) forEachReader(chooser, node.outputs[0] as TensorId, visit);
    else visit(id, node);
  }
}

/** Tensors whose layout the unit decides. */
const unitTensors = (unit: Unit): TensorId[] => unit.nodes.map((node) => node.outputs[0] as TensorId);

function matmulCycles(chooser: Chooser, node: GraphNode, lanesAreRows: boolean): number {
  const out = shapeOf(chooser, node.outputs[0] as TensorId);
  const k = shapeOf(chooser, node.inputs[0] as TensorId).at(-1) ?? 1;
  const m = out.at(-2) ?? 1;
  const n = out.at(-1) ?? 1;
  const batch = elementCount(out) / (m * n);
  const [moving, stationary] = lanesAreRows ? [n, m] : [m, n];
  return (
    0.5 *
    batch *
    Math.ceil(stationary / chooser.target.lanes) *
    Math.ceil(k / Math.max(1, chooser.target.lanes >> 1)) *
    Math.max(moving, 10)
  );
}

function unitCost(chooser: Chooser, unit: Unit): number {
  let cost = 0;
  for (const id of unitTensors(unit)) {
    const shape = shapeOf(chooser, id);
    const standard = standardLaneDim(shape, chooser.target.lanes);
    if (chooser.outputs.has(id) && chooser.chosen.get(id) !== (standard < 0 ? lastDim(shape) : standard))
      cost += moveCost(chooser, id);
    forEachReader(chooser, id, (seenAs, node) => {
      const own = unit.nodes.includes(node);
      if (!own) cost += readCost(chooser, seenAs, node);
    });
  }
  for (const node of unit.nodes) {
    if (node.op === "matmul") continue;
    for (const input of node.inputs)
      if (input !== null && !unit.nodes.some((other) => other.outputs[0] === input))
        cost += readCost(chooser, input, node);
  }
  const matmul = unit.kind === "matmul" ? unit.nodes[0] : unit.fed?.matmul;
  if (matmul?.op === "reduceSum") cost += readCost(chooser, matmul.inputs[0] as TensorId, matmul);
  else if (matmul !== undefined) {
    const out = shapeOf(chooser, matmul.outputs[0] as TensorId);
    const dim = chooser.chosen.get(matmul.outputs[0] as TensorId) ?? lastDim(out);
    if (dim < lastDim(out) - 1) cost += 1e6;
    const lanesAreRows = dim === lastDim(out) - 1;
    cost += matmulCycles(chooser, matmul, lanesAreRows);
    // Low bytes alone are no vectors of binary16 elements.
    if (lanesAreRows && chooser.byteTiles.has(matmul.inputs[1] as TensorId)) cost += 1e9;
  }
  return cost;
}

/** Lane dimension of the matmul's own result when the fed unit's result has lane dimension `dim`; undefined where views hide it. */
export function laneDimBehindViews(
  graph: Graph,
  target: Target,
  views: readonly GraphNode[],
  shape: readonly number[],
  dim: number,
): { laneDim: number; layout: Layout } | undefined {
  let layout: Layout | undefined = choiceLayout(shape, dim, target.lanes).layout;
  for (let i = views.length - 1; i >= 0; i--) {
    const view = views[i] as GraphNode;
    const before = graph.tensors[view.inputs[0] as TensorId]?.shape ?? [];
    if (layout === undefined) return undefined;
    if (view.op === "transpose") {
      const perm = view.attrs.perm as readonly number[];
      const inverse = perm.map((_, d) => perm.indexOf(d));
      layout = viewLayout({ ...view, attrs: { perm: inverse } }, layout, before);
    } else layout = viewLayout(view, layout, before);
  }
  if (layout === undefined) return undefined;
  const along = layout.dims.flatMap((digits, d) => (runsAlongLanes(digits) ? [d] : []));
  const rank = layout.shape.length;
  if (along.length === 2 && along[0] === rank - 3 && along[1] === rank - 1 && views.length === 0)
    return { laneDim: rank, layout };
  if (along.length > 1) return undefined;
  return { laneDim: along[0] ?? layout.shape.length - 1, layout };
}

/** Units that elementwise work and reductions tie together: their results have one rank and want one lane dimension. */
function components(chooser: Chooser): Unit[][] {
  const parent = chooser.plan.units.map((_, i) => i);
  const find = (i: number): number => {
    let at = i;
    while (parent[at] !== at) at = parent[at] as number;
    return at;
  };
  const rankOf = (unit: Unit): number => shapeOf(chooser, unitTensors(unit)[0] as TensorId).length;
  for (const unit of chooser.plan.units) {
    for (const id of unitTensors(unit)) {
      for (const reader of chooser.plan.consumers.get(id) ?? []) {
        const other = chooser.plan.units[chooser.plan.unitOf.get(reader.id) ?? -1];
        if (
          other === undefined ||
          reader.op === "matmul" ||
          reader.op === "gather" ||
          (other.kind !== "ew" && other.kind !== "reduce") ||
          rankOf(other) !== rankOf(unit)
        )
          continue;
        parent[find(other.id)] = find(unit.id);
      }
    }
  }
  const groups = new Map<number, Unit[]>();
  for (const unit of chooser.plan.units) groups.set(find(unit.id), [...(groups.get(find(unit.id)) ?? []), unit]);
  return [...groups.values()].filter((units) => units.length > 1);
}

/** Vectors from which on a layout must not take several times what the usual one takes. */
const MANY_VECTORS = 4096;

/** Whether a tensor is large and would stand in few lanes of far more vectors than with its last dimension along them. */
function wastesLanes(chooser: Chooser, unit: Unit, dim: number): boolean {
  const { lanes } = chooser.target;
  return unitTensors(unit).some((id) => {
    const shape = shapeOf(chooser, id);
    const { vectors } = choiceLayout(shape, dim, lanes);
    return vectors > MANY_VECTORS && vectors > 2 * choiceLayout(shape, lastDim(shape), lanes).vectors;
  });
}

/** Tries one lane dimension for all units of a component. */
function chooseTogether(chooser: Chooser, units: readonly Unit[]): void {
  const before = units.map((unit) => chooser.chosen.get(unitTensors(unit)[0] as TensorId) ?? -1);
  const total = (): number => units.reduce((sum, unit) => sum + unitCost(chooser, unit), 0);
  let best = before;
  let bestCost = total();
  const rank = shapeOf(chooser, unitTensors(units[0] as Unit)[0] as TensorId).length;
  for (let d = units.some((unit) => unit.kind === "reduce") ? rank - 1 : rank; d >= Math.max(0, rank - 3); d--) {
    if (units.some((unit) => wastesLanes(chooser, unit, d))) continue;
    const dims = units.map(() => d);
    units.forEach((unit) => {
      assign(chooser, unit, d);
    });
    const cost = total();
    if (cost < bestCost - 1e-9) {
      best = dims;
      bestCost = cost;
    }
  }
  units.forEach((unit, i) => {
    assign(chooser, unit, best[i] as number);
  });
}

function chooseAlone(chooser: Chooser, unit: Unit): boolean {
  const shape = shapeOf(chooser, unitTensors(unit)[0] as TensorId);
  const before = chooser.chosen.get(unitTensors(unit)[0] as TensorId) ?? -1;
  const single = shape
    .map((_, d) => d)
    .filter((d) => d === lastDim(shape) || (shape[d] as number) > 1)
    .reverse();
  const packs = unit.kind !== "reduce" && unit.kind !== "gather" && packsHeads(shape, chooser.target.lanes);
  const candidates = packs ? [...single, shape.length] : single;
  let best = before;
  let bestCost = unitCost(chooser, unit);
  for (const candidate of candidates) {
    if (candidate === before || wastesLanes(chooser, unit, candidate)) continue;
    assign(chooser, unit, candidate);
    const cost = unitCost(chooser, unit);
    if (cost < bestCost - 1e-9) {
      best = candidate;
      bestCost = cost;
    }
  }
  assign(chooser, unit, best);
  return best !== before;
}

export function chooseLaneDims(
  graph: Graph,
  target: Target,
  plan: UnitPlan,
  producers: ReadonlyMap<TensorId, GraphNode>,
  outputs: ReadonlySet<TensorId>,
  byteTiles: Chooser["byteTiles"],
): Map<TensorId, number> {
  const chooser: Chooser = { graph, target, plan, producers, outputs, byteTiles, chosen: new Map() };
  for (const unit of plan.units) assign(chooser, unit, lastDim(shapeOf(chooser, unitTensors(unit)[0] as TensorId)));
  const tied = components(chooser);
  for (let round = 0; round < rounds; round++) {
    for (const units of tied) chooseTogether(chooser, units);
    let changed = false;
    for (const unit of plan.units) changed = chooseAlone(chooser, unit) || changed;
    if (!changed) break;
  }
  return chooser.chosen;
}

function assign(chooser: Chooser, unit: Unit, dim: number): void {
  for (const id of unitTensors(unit)) chooser.chosen.set(id, dim);
  if (unit.fed === undefined) return;
  const shape = shapeOf(chooser, unitTensors(unit)[0] as TensorId);
  const behind = laneDimBehindViews(chooser.graph, chooser.target, unit.fed.views, shape, dim);
  if (behind !== undefined) chooser.chosen.set(unit.fed.matmul.outputs[0] as TensorId, behind.laneDim);
  else chooser.chosen.set(unit.fed.matmul.outputs[0] as TensorId, -2);
}
