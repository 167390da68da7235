// Schedules for collectives: fewest steps, or least rounds, by trying how many rounds each step may have from the lower bound upwards and
// looking for trees that fit. Sums are trees run backwards. Knows nothing of cycles.
import { collectiveBounds, isLess, leastRounds, rankHops } from "./collective-bound.ts";
import { layPlainTrees } from "./collective-plain.ts";
import {
  type CollectiveBounds,
  type CollectiveProblem,
  type CollectiveSchedule,
  type CollectiveSolution,
  type CollectiveStep,
  type CollectiveUnreachable,
  countRounds,
} from "./collective-problem.ts";
import { findTrees, type WorkBudget } from "./collective-trees.ts";
import { meetsNeeds, windowNeeds } from "./collective-window.ts";

export type CollectiveObjective = "latency" | "bandwidth";

export type CollectiveOptions = {
  /** Equal parts a block is cut into; the number with the least rounds a part where absent. */
  readonly chunks?: number;
  /** `latency`: fewest steps, then least rounds. `bandwidth`: least rounds, then fewest steps. */
  readonly objective?: CollectiveObjective;
  /** At most so many steps, where more would give fewer rounds. */
  readonly steps?: number;
  /** Inner steps the search may take. */
  readonly budget?: number;
};

const defaultBudget = 200_000_000;
/** Numbers of chunks that are tried where none is asked for. */
const mostChunksTried = 8;
const variantsTried = 4;
/** Ways of sharing rounds among steps that are tried for one number of each. */
const mostSharings = 48;

/** `steps`: at most so many; never held below the lower bound. */
type Wish = { readonly chunks: number; readonly steps: number };
type Trial = {
  readonly problem: CollectiveProblem;
  readonly hops: Float64Array;
  readonly budget: WorkBudget;
  /** Window needs by number of steps, as far as they were asked for. */
  readonly needs: Map<number, Float64Array>;
};
type Found = { readonly schedule: CollectiveSchedule; readonly rounds: number };

/** A schedule for the problem; `problem` must have passed `verifyCollective`. */
export function solveCollective(
  problem: CollectiveProblem,
  options: CollectiveOptions = {},
): CollectiveSolution | CollectiveUnreachable {
  const unreachable = findUnreachable(problem);
  if (unreachable !== undefined) return unreachable;
  const bounds = collectiveBounds(problem);
  const objective = options.objective ?? "latency";
  const budget: WorkBudget = { left: options.budget ?? defaultBudget };
  const total = budget.left;
  const counts =
    options.chunks === undefined ? Array.from({ length: mostChunksTried }, (_, i) => i + 1) : [options.chunks];
  let best: Found | undefined;
  for (const chunks of counts) {
    const limit = options.chunks === undefined ? Math.floor(budget.left / 2) : budget.left;
    const share: WorkBudget = { left: limit };
    const steps = objective === "latency" ? 0 : (options.steps ?? Number.MAX_SAFE_INTEGER);
    const found = scheduleChunks(problem, { chunks, steps }, share);
    budget.left -= limit - share.left;
    if (best === undefined || isBetter(found, best, objective)) best = found;
    if (isUnbeatable(found, bounds)) break;
    if (budget.left < total / 16) break;
  }
  const { schedule, rounds } = best as Found;
  const roundsBound = boundForSteps(problem, bounds, schedule);
  return {
    kind: "solution",
    schedule,
    steps: schedule.steps.length,
    rounds,
    roundsBound,
    bounds,
    workUnits: total - budget.left,
  };
}

/** Least rounds in which the windows of so many steps can be served. */
function boundForSteps(problem: CollectiveProblem, bounds: CollectiveBounds, schedule: CollectiveSchedule): number {
  const { chunks } = schedule;
  const steps = schedule.steps.length;
  let rounds = Math.max(steps, leastRounds(bounds.roundsPerChunk, chunks));
  if (problem.isCombining || steps === 0) return rounds;
  const needs = windowNeeds(problem, rankHops(problem), steps);
  const most = countRounds(schedule);
  for (; rounds < most; rounds++) {
    const { list, isComplete } = sharings(needs, chunks, steps, rounds);
    if (list.length > 0 || !isComplete) break;
  }
  return rounds;
}

/** Both bounds are met, with no rounding up of the rounds. */
function isUnbeatable({ schedule, rounds }: Found, bounds: CollectiveBounds): boolean {
  const { numerator, denominator } = bounds.roundsPerChunk;
  return rounds * denominator === numerator * schedule.chunks && schedule.steps.length === bounds.steps;
}

function isBetter(a: Found, b: Found, objective: CollectiveObjective): boolean {
  const rate = (found: Found) => ({ numerator: found.rounds, denominator: found.schedule.chunks });
  const [stepsA, stepsB] = [a.schedule.steps.length, b.schedule.steps.length];
  if (objective === "latency" && stepsA !== stepsB) return stepsA < stepsB;
  if (isLess(rate(a), rate(b))) return true;
  return !isLess(rate(b), rate(a)) && stepsA < stepsB;
}

function findUnreachable(problem: CollectiveProblem): CollectiveUnreachable | undefined {
  const hops = rankHops(problem);
  const reaches = (from: number, to: number): boolean => Number.isFinite(hops[from * problem.ranks + to] ?? Number.NaN);
  for (const [block, { sources, destinations }] of problem.blocks.entries()) {
    for (const destination of destinations) {
      const isReached = problem.isCombining
        ? sources.every((from) => reaches(from, destination))
        : sources.some((from) => reaches(from, destination));
      if (!isReached) return { kind: "unreachable", block, destination };
    }
  }
  return undefined;
}

function scheduleChunks(problem: CollectiveProblem, wish: Wish, budget: WorkBudget): Found {
  if (!problem.isCombining) return spreadChunks(problem, wish, budget);
  const { chunks } = wish;
  const roots = chooseRoots(problem);
  const told: CollectiveProblem = {
    ...problem,
    isCombining: false,
    blocks: problem.blocks.map(({ destinations }, block) => ({ sources: [roots[block] as number], destinations })),
  };
  const distribution = spreadChunks(told, { chunks, steps: Math.floor(wish.steps / 2) }, budget).schedule;
  const left = { chunks, steps: wish.steps - distribution.steps.length };
  const reduction = reversedSchedule(spreadChunks(reversedProblem(problem, roots), left, budget).schedule);
  const schedule = { chunks, steps: [...reduction.steps, ...distribution.steps] };
  return { schedule, rounds: countRounds(schedule) };
}

/** Where each block's sum is made: at one of its destinations, the blocks shared out among them. */
function chooseRoots(problem: CollectiveProblem): readonly number[] {
  const load = new Array<number>(problem.ranks).fill(0);
  return problem.blocks.map(({ sources, destinations }) => {
    const choice = destinations.length > 0 ? destinations : sources;
    let root = choice[0] ?? 0;
    for (const rank of choice) if ((load[rank] ?? 0) < (load[root] ?? 0)) root = rank;
    load[root] = (load[root] ?? 0) + 1;
    return root;
  });
}

/** Summing from everywhere to a root is spreading from the root over links turned round, run backwards. */
function reversedProblem(problem: CollectiveProblem, roots: readonly number[]): CollectiveProblem {
  return {
    ...problem,
    isCombining: false,
    links: problem.links.map(({ from, to, perRound }) => ({ from: to, to: from, perRound })),
    blocks: problem.blocks.map(({ sources, destinations }, block) =>
      destinations.length === 0
        ? { sources: [], destinations: [] }
        : { sources: [roots[block] as number], destinations: sources },
    ),
  };
}

function reversedSchedule(schedule: CollectiveSchedule): CollectiveSchedule {
  const steps = [...schedule.steps]
    .reverse()
    .map(({ rounds, sends }) => ({ rounds, sends: sends.map((send) => ({ ...send, isAdded: true })) }));
  return { chunks: schedule.chunks, steps };
}

/** A problem without sums. */
function spreadChunks(problem: CollectiveProblem, wish: Wish, budget: WorkBudget): Found {
  const { chunks } = wish;
  const bounds = collectiveBounds(problem);
  if (bounds.steps === 0) return { schedule: { chunks, steps: [] }, rounds: 0 };
  const trial: Trial = { problem, hops: rankHops(problem), budget, needs: new Map() };
  const plain = plainSchedule(trial, chunks, bounds.steps);
  if (layingCost(problem, chunks, bounds.steps) > budget.left) return plain;
  const mostSteps = Math.max(bounds.steps, wish.steps);
  const least = Math.max(bounds.steps, leastRounds(bounds.roundsPerChunk, chunks));
  for (let rounds = least; rounds < plain.rounds && budget.left > 0; rounds++) {
    // With more steps chunks are forwarded sooner: if the most steps do not do, fewer do not either.
    const widest = tryRounds(trial, chunks, Math.min(mostSteps, rounds), rounds);
    if (widest === undefined) continue;
    for (let steps = bounds.steps; steps < widest.schedule.steps.length && budget.left > 0; steps++) {
      const found = tryRounds(trial, chunks, steps, rounds);
      if (found !== undefined) return found;
    }
    return widest;
  }
  return plain;
}

/** Always fits, in as many rounds as the busiest links ask for. */
function plainSchedule({ problem, hops }: Trial, chunks: number, steps: number): Found {
  const sends = layPlainTrees(problem, chunks, hops, steps);
  return toFound(
    problem,
    chunks,
    sends.map((step) => roundsNeeded(problem, step)),
    sends,
  );
}

/** Inner steps that laying all trees once takes, roughly. */
function layingCost(problem: CollectiveProblem, chunks: number, steps: number): number {
  const ends = problem.blocks.reduce((sum, { destinations }) => sum + destinations.length, 0);
  return (chunks * ends * problem.links.length * steps) / 2;
}

function roundsNeeded(problem: CollectiveProblem, sends: readonly (readonly [number, number])[]): number {
  const load = new Array<number>(problem.links.length).fill(0);
  for (const [, link] of sends) load[link] = (load[link] ?? 0) + 1;
  let rounds = 0;
  problem.links.forEach(({ perRound }, link) => {
    rounds = Math.max(rounds, Math.ceil((load[link] ?? 0) / perRound));
  });
  for (const group of problem.groups) {
    const sum = [...new Set(group.links)].reduce((total, link) => total + (load[link] ?? 0), 0);
    rounds = Math.max(rounds, Math.ceil(sum / group.perRound));
  }
  return rounds;
}

function tryRounds(trial: Trial, chunks: number, steps: number, rounds: number): Found | undefined {
  const { problem, hops, budget } = trial;
  const { list: choices } = sharings(needsOf(trial, steps), chunks, steps, rounds);
  for (let variant = 0; variant < variantsTried; variant++) {
    for (const sharing of choices) {
      if (budget.left <= 0) return undefined;
      const sends = findTrees({ problem, chunks, rounds: sharing, hops, variant }, budget);
      if (sends !== undefined) return toFound(problem, chunks, sharing, sends);
    }
  }
  return undefined;
}

function needsOf({ problem, hops, needs }: Trial, steps: number): Float64Array {
  const known = needs.get(steps);
  if (known !== undefined) return known;
  const fresh = windowNeeds(problem, hops, steps);
  needs.set(steps, fresh);
  return fresh;
}

function toFound(
  problem: CollectiveProblem,
  chunks: number,
  rounds: readonly number[],
  sends: readonly (readonly (readonly [number, number])[])[],
): Found {
  const steps: CollectiveStep[] = sends.map((step, i) => ({
    rounds: Math.min(rounds[i] ?? 1, Math.max(1, roundsNeeded(problem, step))),
    sends: step.map(([chunk, link]) => ({ chunk, link, isAdded: false })),
  }));
  const schedule = { chunks, steps };
  return { schedule, rounds: countRounds(schedule) };
}

type Sharings = {
  readonly list: readonly (readonly number[])[];
  /** False where there may be more that were not looked at. */
  readonly isComplete: boolean;
};

/** Rounds shared among steps, at least one each and as many as the windows need: even ones first, then those with more rounds in early steps. */
function sharings(needs: Float64Array, chunks: number, steps: number, rounds: number): Sharings {
  const found: number[][] = [];
  let visits = 20_000;
  const extend = (head: readonly number[], left: number): void => {
    if (visits-- <= 0) return;
    if (head.length > 0 && !meetsNeeds(needs, steps, chunks, head)) return;
    if (head.length === steps) {
      found.push([...head]);
      return;
    }
    const after = steps - head.length - 1;
    const least = after === 0 ? left : 1;
    for (let count = left - after; count >= least; count--) extend([...head, count], left - count);
  };
  extend([], rounds);
  const spreadOf = (sharing: readonly number[]): number => sharing.reduce((sum, count) => sum + count * count, 0);
  const list = found
    .map((sharing, index) => ({ sharing, index, spread: spreadOf(sharing) }))
    .sort((a, b) => a.spread - b.spread || a.index - b.index)
    .slice(0, mostSharings)
    .map(({ sharing }) => sharing);
  return { list, isComplete: visits >= 0 };
}
