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

/** First fit under several orders, and filling from below under several weights; the best of each kind first. */
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
    place: (own, workLimit) => fillSkyline(sections, own, sharpness, lowerBound, workLimit),
  });
  const byLength = [7, 8, 6].map((sharpness) => fromBelow(sharpness, length));
  return [byOrder, [...byLength, fromBelow(10, (b) => (size[b] ?? 0) * length(b))]];
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

const peakOf = (tried: Tried | undefined): number => tried?.placement.peak ?? Number.POSITIVE_INFINITY;

/** The best placement found; stops at `target`, which no placement need go below. */
export function heuristicPlacement(sections: Sections, target: number, lowerBound: number): Placement {
  const nothing = { offsets: new Float64Array(sections.source.length), peak: Number.POSITIVE_INFINITY, work: 0 };
  const trial: Trial = { best: nothing, work: 0 };
  const isDone = (): boolean => {
    const { best, work } = trial;
    return best.peak <= target || work > workLimit || (work > patience && best.peak <= target * closeEnough);
  };
  const tryOne = (strategy: Strategy): Tried | undefined => {
    if (isDone()) return undefined;
    const weights = strategy.weights();
    const placement = attempt(trial, strategy, weights);
    return placement === undefined ? undefined : { strategy, weights, placement };
  };
  const kinds = strategyKinds(sections, lowerBound).map(([leader, ...others], index) => ({
    index,
    leader: leader === undefined ? undefined : tryOne(leader),
    others,
  }));
  // The kind whose leader does better has the first use of the work that is left.
  kinds.sort((a, b) => peakOf(a.leader) - peakOf(b.leader) || a.index - b.index);
  for (const { leader, others } of kinds) {
    const tried = [leader, ...others.map(tryOne)].filter((own) => own !== undefined);
    const ranked = tried.map((own, rank) => ({ own, rank }));
    ranked.sort((a, b) => peakOf(a.own) - peakOf(b.own) || a.rank - b.rank);
    const promising = ranked[0]?.own;
    if (promising === undefined) continue;
    let { offsets } = promising.placement;
    for (let round = 0; round < repairRounds && !isDone(); round++) {
      bringForward(sections, promising.weights, offsets, target);
      offsets = attempt(trial, promising.strategy, promising.weights)?.offsets ?? offsets;
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
