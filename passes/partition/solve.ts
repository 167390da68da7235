// Exact solver of the chain problem: the smallest initiation interval, then the smallest latency, then the fewest chips
// (or latency before interval). Dynamic programming over (layers done, chips used); the interval is found by bisection
// that always snaps to a stage load, so the result is exact and takes a polynomial number of steps. Must not know how
// solutions are checked.
import { describeSteps, explainInfeasible, type Step } from "./describe.ts";
import { isPositional, latencyOnChips } from "./positions.ts";
import { type ChainInfeasible, type ChainProblem, type ChainSolution, MOST_STATES, mostChips } from "./problem.ts";
import { eachStage, NO_LIMIT, type Work } from "./stages.ts";

export type ChainObjective = "interval" | "latency";

/** One row of `chipTable`. */
export type ChipTableRow = {
  readonly chips: number;
  /** Best initiation interval with at most that many chips, and the best latency among these. */
  readonly interval: ChainSolution;
  /** Best latency with at most that many chips, and the best interval among these. */
  readonly latency: ChainSolution;
};

/** `problem` must be well formed: `verifyChainProblem` finds nothing. */
export function solveChain(
  problem: ChainProblem,
  objective: ChainObjective = "interval",
): ChainSolution | ChainInfeasible {
  const work: Work = { units: 0 };
  const useful = { ...problem, chips: Math.min(problem.chips, mostChips(problem)) };
  const limit = objective === "latency" ? NO_LIMIT : smallestInterval(useful, work);
  if (limit === undefined) return explainInfeasible(problem, chipsNeeded(problem, work));
  const free = isPositional(problem) ? undefined : latencyWithin(useful, limit, work);
  if (free !== undefined && chipsOf(free) <= problem.chips) return describeSteps(problem, free, true, work.units);
  if (!isPositional(problem) && (useful.layers.length + 1) * (useful.chips + 1) > MOST_STATES) {
    const fewest = fewestChipsWithin(useful, limit, work).steps;
    if (fewest !== undefined && chipsOf(fewest) <= problem.chips)
      return describeSteps(problem, fewest, false, work.units);
  }
  const { steps } = latencyOnChips(useful, limit, work);
  return steps === undefined
    ? explainInfeasible(problem, chipsNeeded(problem, work))
    : describeSteps(problem, steps, true, work.units);
}

/** The fewest chips that hold the chain, whatever the problem's own number is. */
export function fewestChips(problem: ChainProblem): number | ChainInfeasible {
  const work: Work = { units: 0 };
  const needed = chipsNeeded(problem, work);
  return needed === undefined ? explainInfeasible(problem, undefined) : needed;
}

/** What other numbers of chips would give. Numbers that hold nothing are left out. */
export function chipTable(problem: ChainProblem, counts: readonly number[]): readonly ChipTableRow[] {
  const rows: ChipTableRow[] = [];
  for (const chips of counts) {
    const interval = solveChain({ ...problem, chips }, "interval");
    const latency = solveChain({ ...problem, chips }, "latency");
    if (interval.kind === "solution" && latency.kind === "solution") rows.push({ chips, interval, latency });
  }
  return rows;
}

/** The smallest interval, or undefined if no partition fits at all. */
function smallestInterval(problem: ChainProblem, work: Work): number | undefined {
  let low = 0;
  let best: number | undefined;
  for (let limit = evenShare(problem); best === undefined; limit = Math.max(2 * limit, low)) {
    const tried = attempt(problem, limit, work);
    best = tried.interval;
    if (best === undefined && tried.next === NO_LIMIT) return undefined;
    if (best === undefined) low = tried.next;
  }
  // The optimum lies in [low, best]; each round halves that or moves one end to the next stage load, so it ends.
  while (low < best) {
    const middle = low + (best - low) / 2;
    const tried = attempt(problem, middle < best ? middle : low, work);
    if (tried.interval !== undefined) best = Math.min(best, tried.interval);
    else low = Math.max(low, Math.min(tried.next, best));
  }
  return best;
}

/** A limit to start from: the work of all layers, spread evenly over the chips. */
function evenShare(problem: ChainProblem): number {
  const least = problem.layers.map((layer) => Math.min(...layer.costs.map((cost) => cost?.computeCycles ?? NO_LIMIT)));
  const total = least.reduce((sum, cycles) => sum + (cycles === NO_LIMIT ? 0 : cycles), 0);
  return (1.05 * total) / problem.chips;
}

/** Is there a partition within `limit`? Gives the interval of one, or from where on another limit may do better. */
function attempt(
  problem: ChainProblem,
  limit: number,
  work: Work,
): { readonly interval: number | undefined; readonly next: number } {
  const fewest = isPositional(problem) ? onChipsWithin(problem, limit, work) : fewestChipsWithin(problem, limit, work);
  const fits = fewest.chips !== undefined && fewest.chips <= problem.chips;
  return { interval: fits ? fewest.interval : undefined, next: fewest.next };
}

type Fewest = {
  readonly chips: number | undefined;
  readonly interval: number;
  readonly next: number;
  readonly steps: readonly Step[] | undefined;
};

/** Without pins only the number of chips matters, not which: one state for each prefix of the chain. */
function fewestChipsWithin(problem: ChainProblem, limit: number, work: Work): Fewest {
  const { last, steps, next } = overPrefixes(problem, limit, work, ["chips", "interval"]);
  return { chips: last?.chips, interval: last?.interval ?? 0, next, steps };
}

/** The least latency, then interval, then chips, however many chips that takes. */
function latencyWithin(problem: ChainProblem, limit: number, work: Work): readonly Step[] | undefined {
  return overPrefixes(problem, limit, work, ["latency", "interval", "chips"]).steps;
}

type Prefix = {
  readonly chips: number;
  readonly interval: number;
  readonly latency: number;
  readonly from: number;
  readonly variant: number;
};

/** For each prefix of the chain the partition that is best by `rank`, whose first entries matter most. */
function overPrefixes(
  problem: ChainProblem,
  limit: number,
  work: Work,
  rank: readonly ("chips" | "interval" | "latency")[],
): { readonly last: Prefix | undefined; readonly steps: readonly Step[] | undefined; readonly next: number } {
  const n = problem.layers.length;
  const best: (Prefix | undefined)[] = [{ chips: 0, interval: 0, latency: 0, from: 0, variant: 0 }];
  let next = NO_LIMIT;
  for (let first = 0; first < n; first++) {
    const before = best[first];
    if (before === undefined) continue;
    const excluded = eachStage(problem, first, limit, work, ({ end, variant, degree, load, latency }) => {
      const reached: Prefix = {
        chips: before.chips + degree,
        interval: Math.max(before.interval, load),
        latency: before.latency + latency,
        from: first,
        variant,
      };
      const known = best[end];
      if (known === undefined || isBetter(reached, known, rank)) best[end] = reached;
    });
    next = Math.min(next, excluded);
  }
  const last = best[n];
  if (last === undefined) return { last, steps: undefined, next };
  const steps: Step[] = [];
  for (let end = n; end > 0; ) {
    const { from = 0, chips = 0, variant = 0 } = best[end] ?? {};
    const firstChip = best[from]?.chips ?? 0;
    steps.push({ first: from, end, variant, degree: chips - firstChip, firstChip });
    end = from;
  }
  return { last, steps: steps.reverse(), next };
}

function isBetter(a: Prefix, b: Prefix, rank: readonly ("chips" | "interval" | "latency")[]): boolean {
  for (const field of rank) if (a[field] !== b[field]) return a[field] < b[field];
  return false;
}

function chipsOf(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + step.degree, 0);
}

function onChipsWithin(problem: ChainProblem, limit: number, work: Work): Fewest {
  const { steps, next } = latencyOnChips(problem, limit, work);
  if (steps === undefined) return { chips: undefined, interval: NO_LIMIT, next, steps };
  const solution = describeSteps(problem, steps, true, work.units);
  return { chips: solution.chipsUsed, interval: solution.intervalCycles, next, steps };
}

/** Fewest chips with no limit on their number, or undefined if a layer fits nowhere or the constraints contradict. */
function chipsNeeded({ borders: _slowness, ...problem }: ChainProblem, work: Work): number | undefined {
  const chips = mostChips(problem);
  const roomy = { ...problem, chips };
  if (!isPositional(problem)) return fewestChipsWithin(roomy, NO_LIMIT, work).chips;
  let low = 0;
  let high = chips;
  if (latencyOnChips(roomy, NO_LIMIT, work).steps === undefined) return undefined;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (latencyOnChips({ ...problem, chips: middle }, NO_LIMIT, work).steps === undefined) low = middle;
    else high = middle;
  }
  return high;
}
