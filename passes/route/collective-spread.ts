// Schedules for collectives without sums: the number of rounds from the lower bound upwards, shared among the steps, until trees fit that bring every
// chunk to where it is wanted; packed quick trees where none do. Knows nothing of sums and cycles.
import { collectiveBounds, isLess, leastRounds, rankHops } from "./collective-bound.ts";
import { leastRoundsByGrowth } from "./collective-growth.ts";
import { packSchedule } from "./collective-pack.ts";
import { layPlainTrees } from "./collective-plain.ts";
import {
  type CollectiveProblem,
  type CollectiveSchedule,
  type CollectiveStep,
  countRounds,
} from "./collective-problem.ts";
import { sharings } from "./collective-sharing.ts";
import { findTrees, type WorkBudget } from "./collective-trees.ts";
import { windowNeeds } from "./collective-window.ts";

/** `latency`: fewest steps, then least rounds. `bandwidth`: least rounds, then fewest steps. */
export type CollectiveObjective = "latency" | "bandwidth";

const variantsTried = 4;
/** Numbers of rounds above the bound that are all tried. */
const strideFrom = 4;
/** Inner steps that may go into having the same rounds in fewer steps. */
const mostForSteps = 30_000_000;

/** `steps`: at most so many; never held below the lower bound. */
export type Wish = { readonly chunks: number; readonly steps: number };
type Trial = {
  readonly problem: CollectiveProblem;
  readonly hops: Float64Array;
  readonly budget: WorkBudget;
  /** Window needs by number of steps, as far as they were asked for. */
  readonly needs: Map<number, Float64Array>;
};
export type Found = { readonly schedule: CollectiveSchedule; readonly rounds: number };

export function isBetter(a: Found, b: Found, objective: CollectiveObjective): boolean {
  const rate = (found: Found) => ({ numerator: found.rounds, denominator: found.schedule.chunks });
  const [stepsA, stepsB] = [a.schedule.steps.length, b.schedule.steps.length];
  if (objective === "latency" && stepsA !== stepsB) return stepsA < stepsB;
  if (isLess(rate(a), rate(b))) return true;
  return !isLess(rate(b), rate(a)) && stepsA < stepsB;
}

/** The schedule, or itself packed where that takes fewer rounds, or as many in fewer steps. */
export function fewerRounds(problem: CollectiveProblem, found: Found, mostSteps: number): Found {
  if (mostSteps === 0 || found.schedule.steps.length === 0) return found;
  const schedule = packSchedule(problem, found.schedule);
  if (schedule === undefined || schedule.steps.length > mostSteps) return found;
  const packed = { schedule, rounds: countRounds(schedule) };
  return isBetter(packed, found, "bandwidth") ? packed : found;
}

/** A schedule for a problem without sums. */
export function spreadChunks(problem: CollectiveProblem, wish: Wish, budget: WorkBudget): Found {
  const { chunks } = wish;
  const found = spreadTogether(problem, wish, budget);
  if (chunks === 1 || found.rounds === found.least || budget.left <= 0) return found;
  // Parts of the chunks one after the other, in the same steps.
  const half = Math.floor(chunks / 2);
  const one = spreadChunks(problem, { ...wish, chunks: half }, budget);
  const other = chunks === 2 * half ? one : spreadChunks(problem, { ...wish, chunks: chunks - half }, budget);
  const joined = joinSchedules(one.schedule, other.schedule);
  const isLonger = joined.steps.length > Math.max(wish.steps, found.schedule.steps.length);
  const both = { schedule: joined, rounds: countRounds(joined) };
  return !isLonger && isBetter(both, found, "bandwidth") ? both : found;
}

/** Two schedules of one problem, for different chunks of its blocks, at the same time. */
function joinSchedules(a: CollectiveSchedule, b: CollectiveSchedule): CollectiveSchedule {
  const chunks = a.chunks + b.chunks;
  const renamed = (sends: CollectiveStep["sends"], own: number, first: number): CollectiveStep["sends"] =>
    sends.map((send) => ({
      ...send,
      chunk: Math.floor(send.chunk / own) * chunks + first + (send.chunk % own),
    }));
  const none: CollectiveStep = { rounds: 0, sends: [] };
  const steps = Array.from({ length: Math.max(a.steps.length, b.steps.length) }, (_, i) => {
    const [x, y] = [a.steps[i] ?? none, b.steps[i] ?? none];
    return {
      rounds: x.rounds + y.rounds,
      sends: [...renamed(x.sends, a.chunks, 0), ...renamed(y.sends, b.chunks, a.chunks)],
    };
  });
  return { chunks, steps };
}

/** `least`: no schedule of so many chunks has fewer rounds. */
function spreadTogether(
  problem: CollectiveProblem,
  wish: Wish,
  budget: WorkBudget,
): Found & { readonly least: number } {
  const { chunks } = wish;
  const bounds = collectiveBounds(problem);
  if (bounds.steps === 0) return { schedule: { chunks, steps: [] }, rounds: 0, least: 0 };
  const trial: Trial = { problem, hops: rankHops(problem), budget, needs: new Map() };
  const plain = plainSchedule(trial, chunks, bounds.steps);
  const mostSteps = Math.max(bounds.steps, wish.steps);
  const fallback = fewerRounds(problem, plain, wish.steps);
  const least = Math.max(
    bounds.steps,
    leastRounds(bounds.roundsPerChunk, chunks),
    leastRoundsByGrowth(problem, trial.hops, chunks),
  );
  if (layingCost(problem, chunks, bounds.steps) > budget.left) return { ...fallback, least };
  // Every number of rounds at first, then in growing strides, then back between the last that did not do and the first that did.
  let [failed, stride] = [least - 1, 1];
  let best: Found | undefined;
  for (let rounds = least; rounds < (best ?? fallback).rounds && budget.left > 0; ) {
    // With more steps chunks are forwarded sooner: if the most steps do not do, fewer do not either.
    const found = tryRounds(trial, chunks, Math.min(mostSteps, rounds), rounds);
    if (found === undefined) failed = Math.max(failed, rounds);
    else best = found;
    if (best !== undefined) stride = Math.floor((best.rounds - failed) / 2);
    else if (rounds >= least + strideFrom) stride *= 2;
    if (best !== undefined && stride === 0) break;
    rounds = failed + Math.max(1, stride);
  }
  const few = best ?? fallback;
  const enough = budget.left - Math.min(mostForSteps, budget.left);
  for (let steps = bounds.steps; steps < few.schedule.steps.length && budget.left > enough; steps++) {
    const found = tryRounds(trial, chunks, steps, few.rounds);
    if (found !== undefined) return { ...found, least };
  }
  return { ...few, least };
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
  const choices = sharings(needsOf(trial, steps), chunks, steps, rounds);
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
