// Good allocations without a proof: first fit under several orders, and filling from below under several weights; then the best of
// them again, bringing forward what stuck out. What is large, lives long and meets the fullest times goes first; which of these
// counts how much differs from problem to problem. Knows nothing of exact search.
import { firstFit, neighbourCounts, type Placement } from "./first-fit.ts";
import { loadTreeOf, mostLoad } from "./load-tree.ts";
import { liveInSections, type Sections } from "./sections.ts";
import { fillSkyline } from "./skyline.ts";

/** Buffers by descending weight, then in normal order. */
function orderBy(weights: Float64Array): Int32Array {
  return Int32Array.from(weights, (_, b) => b).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
}

/** The fullest time that each buffer meets, as a part of the fullest of all. */
function pressureOf(sections: Sections): Float64Array {
  const live = liveInSections(sections);
  const table = loadTreeOf(live);
  const most = live.length === 0 ? 1 : mostLoad(table, 0, live.length);
  return Float64Array.from(sections.first, (first, b) => {
    const last = sections.last[b] ?? 0;
    return first === last || most === 0 ? 0 : mostLoad(table, first, last) / most;
  });
}

/** Weights worth trying; the one that is best most often first. Products and roots only: they are exact everywhere. */
function weightings(sections: Sections): readonly (() => Float64Array)[] {
  const { first, last, size, times } = sections;
  const pressure = pressureOf(sections);
  const length = Float64Array.from(first, (from, b) => (times[last[b] ?? 0] ?? 0) - (times[from] ?? 0));
  const weigh = (weight: (size: number, length: number, pressure: number) => number) => (): Float64Array =>
    Float64Array.from(size, (own, b) => weight(own, length[b] ?? 0, pressure[b] ?? 0));
  const fourth = (x: number): number => x * x * (x * x);
  const eighth = (x: number): number => fourth(x) * fourth(x);
  return [
    weigh((s, l, p) => s * Math.sqrt(Math.sqrt(l)) * eighth(p)),
    weigh((s, l, p) => s * Math.sqrt(Math.sqrt(l)) * fourth(p)),
    weigh((s) => s),
    weigh((s, _, p) => s * eighth(p) * eighth(p)),
    weigh((s, l, p) => s * Math.sqrt(l) * eighth(p)),
    weigh((s, l) => s * l),
    weigh((_, l, p) => l * eighth(p)),
  ];
}

/** One way of placing everything from weights; undefined when it would take too long. */
type Strategy = {
  readonly weights: () => Float64Array;
  readonly place: (weights: Float64Array, workLimit: number) => Placement | undefined;
};

/** Lets everything sink into the gaps of what lies below it, which filling from below does not use. */
function settle(sections: Sections, neighbours: Int32Array, placement: Placement | undefined): Placement | undefined {
  if (placement === undefined || !(sections.hasGaps || sections.hasWindows)) return placement;
  const { offsets, work } = placement;
  const order = Int32Array.from(offsets, (_, b) => b).sort((a, b) => (offsets[a] ?? 0) - (offsets[b] ?? 0) || a - b);
  const settled = firstFit(sections, neighbours, order);
  return { ...settled, work: settled.work + work };
}

/** Filling from below under several weights, which is quick, and first fit under several orders; the best of each kind first. */
function strategyKinds(sections: Sections, lowerBound: number): readonly (readonly Strategy[])[] {
  const { first, last, size, times } = sections;
  const neighbours = neighbourCounts(sections);
  const byOrder = weightings(sections).map((weights) => ({
    weights,
    place: (own: Float64Array): Placement => firstFit(sections, neighbours, orderBy(own)),
  }));
  const length = (b: number): number => (times[last[b] ?? 0] ?? 0) - (times[first[b] ?? 0] ?? 0);
  const fromBelow = (sharpness: number, weight: (b: number) => number): Strategy => ({
    weights: () => Float64Array.from(size, (_, b) => weight(b)),
    place: (own, limit) => settle(sections, neighbours, fillSkyline(sections, own, sharpness, lowerBound, limit)),
  });
  const bySharpness = [11, 9, 7, 14].map((sharpness) => fromBelow(sharpness, length));
  return [[...bySharpness, fromBelow(10, (b) => (size[b] ?? 0) * length(b))], byOrder];
}

/** Work (placed buffers looked at, or the like of it) before no further attempt is begun: a few seconds. */
const workLimit = 1_000_000_000;

/** After this much work, a placement this close to the bound is good enough. */
const patience = 100_000_000;
const closeEnough = 1.004;

/** Rounds of bringing forward what stuck out. */
const repairRounds = 12;

/** How often something is tried, what came of it, and what it has cost. */
type Trial = { best: Placement; work: number };

type Tried = { readonly strategy: Strategy; readonly weights: Float64Array; readonly placement: Placement };

function attempt(trial: Trial, strategy: Strategy, weights: Float64Array): Placement | undefined {
  // One attempt may take a third of all: then there is time for others.
  const limit = workLimit / 3;
  const placement = strategy.place(weights, limit);
  trial.work += placement?.work ?? limit;
  if (placement !== undefined && placement.peak < trial.best.peak) trial.best = placement;
  return placement;
}

/** Tries strategies of one kind; when the first takes too long, so would the others. */
function tryKind(kind: readonly Strategy[], trial: Trial, isDone: () => boolean): readonly Tried[] {
  const tried: Tried[] = [];
  for (const strategy of kind) {
    if (isDone()) break;
    const weights = strategy.weights();
    const placement = attempt(trial, strategy, weights);
    if (placement !== undefined) tried.push({ strategy, weights, placement });
    else if (tried.length === 0) break;
  }
  return tried;
}

/** The attempt with the lowest peak, the earliest of them. */
function bestOf(tried: readonly Tried[]): Tried | undefined {
  let best = tried[0];
  for (const own of tried) if (best === undefined || own.placement.peak < best.placement.peak) best = own;
  return best;
}

/** The best placement found; stops at `target`, which no placement need go below. */
export function heuristicPlacement(sections: Sections, target: number, lowerBound: number): Placement {
  const nothing = { offsets: new Float64Array(sections.source.length), peak: Number.POSITIVE_INFINITY, work: 0 };
  const trial: Trial = { best: nothing, work: 0 };
  const isDone = (): boolean => {
    const { best, work } = trial;
    return best.peak <= target || work > workLimit || (work > patience && best.peak <= target * closeEnough);
  };
  const promising: Tried[] = [];
  for (const kind of strategyKinds(sections, lowerBound)) {
    const best = bestOf(tryKind(kind, trial, isDone));
    if (best !== undefined) promising.push(best);
  }
  // The kind that does better has the first use of the work that is left.
  const order = promising.map((tried, index) => ({ tried, index }));
  order.sort((a, b) => a.tried.placement.peak - b.tried.placement.peak || a.index - b.index);
  for (const { tried } of order) {
    const { strategy, weights, placement } = tried;
    let { offsets } = placement;
    for (let round = 0; round < repairRounds && !isDone(); round++) {
      bringForward(sections, weights, offsets, target);
      offsets = attempt(trial, strategy, weights)?.offsets ?? offsets;
    }
  }
  return trial.best;
}

/** Gives more weight to what ended above the target. */
function bringForward(sections: Sections, weights: Float64Array, offsets: Float64Array, target: number): void {
  for (let b = 0; b < weights.length; b++) {
    if ((offsets[b] ?? 0) + (sections.size[b] ?? 0) > target) weights[b] = (weights[b] ?? 0) * 1.25;
  }
}
