// Solves a device placement problem: quick placements along several orders, polished by single moves; then exactly over
// all ideals where these can be listed, else over the ideals near the best order. Budgets count steps, never time, so
// the same problem gives the same placement everywhere. Must not know how placements are checked.
import { lowerBound, ROUNDING, roundUp } from "./dag-bound.ts";
import { type ExactResult, placeOverIdeals, type Stage, type Work } from "./dag-exact.ts";
import { cutGreedily } from "./dag-greedy.ts";
import { enumerateIdeals, type Ideals, prefixes } from "./dag-ideals.ts";
import { improve, shake } from "./dag-improve.ts";
import { buildModel, contractHeavy, contractLeaves, type Model } from "./dag-model.ts";
import { candidateOrders, orderOfStages } from "./dag-order.ts";
import type { DagInfeasible, DagProblem, DagSolution } from "./dag-problem.ts";
import { describeInfeasible, describePlacement, largestLoad } from "./dag-report.ts";

export type DagOptions = {
  /** Steps of search, about five million a second. */
  readonly budget?: number;
};

/** Enough to prove graphs with tens of thousands of ideals. */
const DEFAULT_BUDGET = 80_000_000;
/** Part of it for the orders, and again part of it for the searches where the ideals cannot all be visited. */
const QUICK_SHARE = 0.2;
/** Part of that for each order, and for each kind of search. */
const EACH_SHARE = 0.2;
const SEARCH_SHARE = 0.7;
const MOST_IDEALS = 400_000;
/** Limits on the memory that ideals and their table of states take. */
const MOST_WORDS = 8_000_000;
const MOST_STATES = 6_000_000;
const MOST_ORDER_STATES = 20_000_000;
const FIRST_GAP = 0.005;
const POLISH_ROUNDS = 6;
const FIRST_SWEEPS = 16;
const MOST_SWEEPS = 128;
const WINDOW_WIDTHS = [2, 3, 4, 6, 8, 11, 15, 20, 28, 40] as const;

/** Stages in pipeline order, by the problem's nodes. */
type Placement = { readonly maxLoad: number; readonly stages: readonly Stage[] };

/** The best placement known, and what is proved: no placement is better than `bound`. */
type Found = { readonly best: Placement | undefined; readonly bound: number };

/** `problem` must be well formed: `verifyDagProblem` finds nothing. */
export function solveDag(problem: DagProblem, options: DagOptions = {}): DagSolution | DagInfeasible {
  const work: Work = { units: 0, budget: options.budget ?? DEFAULT_BUDGET };
  const model = buildModel(problem);
  const bound = lowerBound(model);
  if (bound === Number.POSITIVE_INFINITY) return describeInfeasible(problem, model, true);
  const leafless = contractLeaves(model);
  let found = search(problem, leafless, bound, work);
  const bytes = model.bytes.reduce((sum, size) => sum + size, 0);
  if (leafless.count < model.count && bytes > model.capacityBytes)
    found = allowLeavesElsewhere(problem, model, found, bound, work);
  if (found.best === undefined) {
    const isProved = found.bound === Number.POSITIVE_INFINITY;
    if (isProved || problem.cpus === 0) return describeInfeasible(problem, model, isProved);
    const everything = problem.nodes.map((_, i) => i);
    return describePlacement(problem, [{ kind: "cpu", items: everything }], found.bound, work.units);
  }
  return describePlacement(problem, found.best.stages, roundUp(model, found.bound), work.units);
}

/**
 * Under a tight memory limit, items that take no time may do better away from their neighbour: what was proved for the
 * contracted model holds only so far as it holds without the bytes of these items.
 */
function allowLeavesElsewhere(problem: DagProblem, model: Model, found: Found, bound: number, work: Work): Found {
  const ceiling = found.best?.maxLoad;
  if (ceiling !== undefined && ceiling <= bound * (1 + ROUNDING)) return { best: found.best, bound };
  const relaxed = search(problem, contractLeaves(model, false), bound, work);
  if (relaxed.bound === Number.POSITIVE_INFINITY) return { best: undefined, bound: relaxed.bound };
  const isProved = ceiling !== undefined && relaxed.bound >= ceiling * (1 - ROUNDING);
  if (isProved) return { best: found.best, bound: ceiling };
  const known =
    found.best === undefined
      ? undefined
      : polish(problem, model, withSpareCpu(model, found.best), part(work, QUICK_SHARE));
  return search(problem, model, relaxed.bound, work, known);
}

/** An unused CPU in front, where items that depend on nothing may go. */
function withSpareCpu(model: Model, placement: Placement): Placement {
  const used = placement.stages.filter((stage) => stage.kind === "cpu").length;
  if (used >= model.cpus) return placement;
  return { ...placement, stages: [{ kind: "cpu", items: [] }, ...placement.stages] };
}

function search(problem: DagProblem, model: Model, bound: number, work: Work, known?: Placement): Found {
  const quick = part(work, QUICK_SHARE);
  const best = alongOrders(problem, model, bound, quick, known);
  work.units += quick.units;
  if (best !== undefined && best.maxLoad <= bound * (1 + ROUNDING)) return { best, bound };
  const contracted = best === undefined ? model : contractHeavy(model, best.maxLoad);
  const ideals = enumerateIdeals(contracted, idealLimit(contracted));
  if (ideals === undefined) {
    return { best: best === undefined ? undefined : anytime(problem, model, best, work), bound };
  }
  const exact = deepen(problem, contracted, ideals, bound, best, work);
  const isOpen = exact.best === undefined || exact.bound < exact.best.maxLoad * (1 - ROUNDING);
  if (isOpen && exact.best !== undefined && exact.bound < Number.POSITIVE_INFINITY) {
    return { best: anytime(problem, model, exact.best, work), bound: exact.bound };
  }
  return exact;
}

function idealLimit(model: Model): number {
  const words = Math.max(1, model.count / 32);
  const states = (model.accelerators + 1) * (model.cpus + 1);
  return Math.floor(Math.min(MOST_IDEALS, MOST_WORDS / words, MOST_STATES / states));
}

/** The best cut of the candidate orders, polished, or what is known already if that is better. */
function alongOrders(
  problem: DagProblem,
  model: Model,
  bound: number,
  work: Work,
  known: Placement | undefined,
): Placement | undefined {
  let best = known;
  for (const order of candidateOrders(model)) {
    const greedy = cutGreedily(model, order, bound, work);
    if (greedy === undefined) continue;
    const quick = placed(problem, model, greedy);
    const limit = Math.min(quick.maxLoad, best?.maxLoad ?? Number.POSITIVE_INFINITY);
    const share = part(work, EACH_SHARE);
    const cut = cutOrder(model, order, limit, share);
    const start = cut.kind === "found" ? placed(problem, model, cut.stages) : quick;
    const polished = polish(problem, model, start, share, order);
    work.units += share.units;
    if (best === undefined || polished.maxLoad < best.maxLoad) best = polished;
    if (best.maxLoad <= bound * (1 + ROUNDING)) break;
  }
  return best;
}

/** The best cut of one order, where the table of its states is not too large. */
function cutOrder(model: Model, order: readonly number[], target: number, work: Work): ExactResult {
  const states = (model.accelerators + 1) * (model.cpus + 1);
  if ((model.count + 1) * states > MOST_ORDER_STATES) return { kind: "budget" };
  return placeOverIdeals(model, prefixes(order), target, work);
}

/** A budget of its own for one step; what it took is added to the whole by the caller. */
function part(work: Work, share: number): Work {
  return { units: 0, budget: work.budget * share };
}

/** Where not every ideal can be visited: random moves, then the ideals nearby. */
function anytime(problem: DagProblem, model: Model, start: Placement, work: Work): Placement {
  let best = start;
  for (const step of [shaken, nearBest]) {
    const share = part(work, QUICK_SHARE * SEARCH_SHARE);
    best = step(problem, model, best, share);
    work.units += share.units;
  }
  return best;
}

/** Moves single items, then cuts the resulting order anew, as long as that helps. */
function polish(
  problem: DagProblem,
  model: Model,
  start: Placement,
  work: Work,
  order: readonly number[] = topological(model),
): Placement {
  let best = start;
  let stages = start.stages;
  for (let round = 0; round < POLISH_ROUNDS && work.units < work.budget; round++) {
    const moved = improve(model, inItems(model, stages), work);
    const placement = placed(problem, model, moved);
    if (placement.maxLoad < best.maxLoad) best = placement;
    const next = orderOfStages(order, stageOfItems(model, moved));
    const cut = cutOrder(model, next, best.maxLoad, work);
    if (cut.kind !== "found") return best;
    best = placed(problem, model, cut.stages);
    stages = best.stages;
  }
  return best;
}

/** Random moves from the best placement, then a new cut; a try that does not help is followed by a longer one. */
function shaken(problem: DagProblem, model: Model, start: Placement, work: Work): Placement {
  let best = start;
  const order = topological(model);
  let sweeps = FIRST_SWEEPS;
  for (let seed = 1; sweeps <= MOST_SWEEPS && work.units < work.budget; seed++) {
    const moved = shake(model, inItems(model, best.stages), sweeps, seed, work);
    const next = orderOfStages(order, stageOfItems(model, moved));
    const cut = cutOrder(model, next, best.maxLoad, work);
    if (cut.kind === "found") best = polish(problem, model, placed(problem, model, cut.stages), work, next);
    else sweeps *= 2;
  }
  return best;
}

/** Searches all ideals that stay close to the best order, in wider and wider windows, moving the order along. */
function nearBest(problem: DagProblem, model: Model, start: Placement, work: Work): Placement {
  let best = start;
  let order = orderOfStages(topological(model), stageOfItems(model, inItems(model, best.stages)));
  for (let i = 0; i < WINDOW_WIDTHS.length && work.units < work.budget; ) {
    const ideals = enumerateIdeals(model, idealLimit(model), { order, width: WINDOW_WIDTHS[i] ?? 1 });
    if (ideals === undefined) break;
    const better = placeOverIdeals(model, ideals, best.maxLoad, work);
    if (better.kind !== "found") {
      i++;
      continue;
    }
    best = polish(problem, model, placed(problem, model, better.stages), work, order);
    order = orderOfStages(order, stageOfItems(model, inItems(model, best.stages)));
  }
  return best;
}

/**
 * Tries targets closer to the bound first: they are quick to refuse, and what is refused raises the bound. `best` is what
 * is known already; its load is the last target.
 */
function deepen(
  problem: DagProblem,
  model: Model,
  ideals: Ideals,
  from: number,
  best: Placement | undefined,
  work: Work,
): Found {
  const worst = 1 + sum(model.time) + sum(model.cpuTime) + sum(model.netCost);
  const ceiling = best?.maxLoad ?? worst;
  let bound = from;
  for (let gap = FIRST_GAP; ; gap *= 2) {
    const target = Math.min(ceiling, Math.max(from, ceiling * 1e-6) * (1 + gap));
    const result = placeOverIdeals(model, ideals, target, work);
    if (result.kind === "budget") return { best, bound };
    if (result.kind === "found") {
      const placement = placed(problem, model, result.stages);
      return { best: placement, bound: Math.min(result.maxLoad, placement.maxLoad) };
    }
    bound = Math.max(bound, target);
    if (target >= ceiling) return { best, bound: best === undefined ? Number.POSITIVE_INFINITY : bound };
  }
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function topological(model: Model): readonly number[] {
  return candidateOrders(model)[0] ?? [];
}

function placed(problem: DagProblem, model: Model, stages: readonly Stage[]): Placement {
  const byNodes = stages.map(({ kind, items }) => ({ kind, items: items.flatMap((item) => model.nodes[item] ?? []) }));
  return { maxLoad: largestLoad(problem, byNodes), stages: byNodes };
}

/** The same stages by the items of `model`; every item's nodes are in one stage. */
function inItems(model: Model, stages: readonly Stage[]): readonly Stage[] {
  const stageOf = new Map<number, number>();
  stages.forEach((stage, s) => {
    for (const node of stage.items) stageOf.set(node, s);
  });
  const items: number[][] = stages.map(() => []);
  for (let item = 0; item < model.count; item++) items[stageOf.get(model.nodes[item]?.[0] ?? -1) ?? 0]?.push(item);
  return stages.map(({ kind }, s) => ({ kind, items: items[s] ?? [] }));
}

function stageOfItems(model: Model, stages: readonly Stage[]): Int32Array {
  const stageOf = new Int32Array(model.count);
  stages.forEach((stage, s) => {
    for (const item of stage.items) stageOf[item] = s;
  });
  return stageOf;
}
