// Schedules for collectives: chooses how many chunks blocks are cut into and where sums are made. Sums are trees run backwards. Knows nothing of how
// trees are found, and nothing of cycles.
import { collectiveBounds, leastRounds, rankHops } from "./collective-bound.ts";
import { leastRoundsByGrowth } from "./collective-growth.ts";
import {
  type CollectiveBounds,
  type CollectiveProblem,
  type CollectiveSchedule,
  type CollectiveSolution,
  type CollectiveUnreachable,
  countRounds,
} from "./collective-problem.ts";
import { leastRoundsOfSteps } from "./collective-sharing.ts";
import {
  type CollectiveObjective,
  type Found,
  fewerRounds,
  isBetter,
  spreadChunks,
  type Wish,
} from "./collective-spread.ts";
import type { WorkBudget } from "./collective-trees.ts";
import { windowNeeds } from "./collective-window.ts";

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
  const rounds = Math.max(steps, leastRounds(bounds.roundsPerChunk, chunks));
  const spreading = asSpreading(problem);
  if (spreading === undefined || steps === 0) return rounds;
  const hops = rankHops(spreading);
  return Math.max(
    rounds,
    leastRoundsByGrowth(spreading, hops, chunks),
    leastRoundsOfSteps(windowNeeds(spreading, hops, steps), chunks, steps),
  );
}

/** The problem, or the one without sums that it is when run backwards; undefined where it is two after each other. */
function asSpreading(problem: CollectiveProblem): CollectiveProblem | undefined {
  if (!problem.isCombining) return problem;
  if (problem.blocks.some(({ destinations }) => destinations.length > 1)) return undefined;
  return reversedProblem(
    problem,
    problem.blocks.map(({ destinations }) => destinations[0] ?? 0),
  );
}

/** Both bounds are met, with no rounding up of the rounds. */
function isUnbeatable({ schedule, rounds }: Found, bounds: CollectiveBounds): boolean {
  const { numerator, denominator } = bounds.roundsPerChunk;
  return rounds * denominator === numerator * schedule.chunks && schedule.steps.length === bounds.steps;
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
  return fewerRounds(problem, { schedule, rounds: countRounds(schedule) }, wish.steps);
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
