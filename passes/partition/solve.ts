// Exact solver of the chain problem: the smallest initiation interval, then the smallest latency, then the fewest chips
// (or latency before interval). Dynamic programming over (layers done, chips used); the interval is found by bisection
// that always snaps to a stage load, so the result is exact and takes a polynomial number of steps. Must not know how
// solutions are checked.
import { describeSteps, explainInfeasible, type Step, stageLoad } from "./describe.ts";
import type { ChainInfeasible, ChainProblem, ChainSolution } from "./problem.ts";

export type ChainObjective = "interval" | "latency";

/** One row of `chipTable`. */
export type ChipTableRow = {
  readonly chips: number;
  /** Best initiation interval with at most that many chips, and the best latency among these. */
  readonly interval: ChainSolution;
  /** Best latency with at most that many chips, and the best interval among these. */
  readonly latency: ChainSolution;
};

type Stage = {
  readonly end: number;
  readonly degree: number;
  readonly load: number;
  readonly latency: number;
};

type Work = { units: number };

const NO_LIMIT = Number.POSITIVE_INFINITY;
/** Of a table over layers and chips; about 20 bytes each. */
const MOST_STATES = 20_000_000;

/** `problem` must be well formed: `verifyChainProblem` finds nothing. */
export function solveChain(
  problem: ChainProblem,
  objective: ChainObjective = "interval",
): ChainSolution | ChainInfeasible {
  const work: Work = { units: 0 };
  const useful = { ...problem, chips: Math.min(problem.chips, mostChips(problem)) };
  const limit = objective === "latency" ? NO_LIMIT : smallestInterval(useful, work);
  if (limit === undefined) return explainInfeasible(problem, chipsNeeded(problem, work));
  const free = problem.pins.length === 0 ? latencyWithin(useful, limit, work) : undefined;
  if (free !== undefined && chipsOf(free) <= problem.chips) return describeSteps(problem, free, true, work.units);
  if ((useful.layers.length + 1) * (useful.chips + 1) > MOST_STATES) {
    const fewest = fewestChipsWithin(useful, limit, work).steps;
    if (fewest !== undefined && chipsOf(fewest) <= problem.chips)
      return describeSteps(problem, fewest, false, work.units);
  }
  const steps = latencyOnChips(useful, limit, work);
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

/**
 * Visits all stages that start at `first`, fit their chips and stay within `limit`. Returns a number above `limit` that
 * no excluded stage is below, so that nothing changes for limits between the two.
 */
function eachStage(
  problem: ChainProblem,
  first: number,
  limit: number,
  work: Work,
  visit: (stage: Stage) => void,
): number {
  const { layers, degrees, capacityBytes, chips } = problem;
  let excluded = NO_LIMIT;
  for (let d = 0; d < degrees.length; d++) {
    const degree = degrees[d] ?? 1;
    if (degree > chips) break;
    const incoming = first === 0 ? 0 : (layers[first]?.costs[d]?.receiveBusyCycles ?? 0);
    let compute = 0;
    let held = 0;
    let peak = 0;
    for (let j = first; j < layers.length; j++) {
      const cost = layers[j]?.costs[d];
      if (cost === undefined) break;
      work.units++;
      compute += cost.computeCycles;
      held += cost.weightBytes + cost.stateBytes;
      peak = Math.max(peak, cost.activationBytes);
      if (held + peak > capacityBytes) break;
      if (compute > limit) {
        excluded = Math.min(excluded, compute);
        break;
      }
      const isLast = j + 1 === layers.length;
      const outgoing = isLast ? 0 : cost.sendBusyCycles;
      const load = stageLoad(problem.transfer, incoming, compute, outgoing);
      if (load > limit) excluded = Math.min(excluded, load);
      else visit({ end: j + 1, degree, load, latency: compute + (isLast ? 0 : cost.sendLatencyCycles) });
      if (problem.cutAfter.includes(j)) break;
    }
  }
  return excluded;
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
  const fewest =
    problem.pins.length === 0 ? fewestChipsWithin(problem, limit, work) : pinnedWithin(problem, limit, work);
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
};

/** For each prefix of the chain the partition that is best by `rank`, whose first entries matter most. */
function overPrefixes(
  problem: ChainProblem,
  limit: number,
  work: Work,
  rank: readonly ("chips" | "interval" | "latency")[],
): { readonly last: Prefix | undefined; readonly steps: readonly Step[] | undefined; readonly next: number } {
  const n = problem.layers.length;
  const best: (Prefix | undefined)[] = [{ chips: 0, interval: 0, latency: 0, from: 0 }];
  let next = NO_LIMIT;
  for (let first = 0; first < n; first++) {
    const before = best[first];
    if (before === undefined) continue;
    const excluded = eachStage(problem, first, limit, work, ({ end, degree, load, latency }) => {
      const reached: Prefix = {
        chips: before.chips + degree,
        interval: Math.max(before.interval, load),
        latency: before.latency + latency,
        from: first,
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
    const { from = 0, chips = 0 } = best[end] ?? {};
    const firstChip = best[from]?.chips ?? 0;
    steps.push({ first: from, end, degree: chips - firstChip, firstChip });
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

function pinnedWithin(problem: ChainProblem, limit: number, work: Work): Fewest {
  let next = NO_LIMIT;
  for (let first = 0; first < problem.layers.length; first++)
    next = Math.min(
      next,
      eachStage(problem, first, limit, work, () => undefined),
    );
  const steps = latencyOnChips(problem, limit, work);
  if (steps === undefined) return { chips: undefined, interval: NO_LIMIT, next, steps };
  const solution = describeSteps(problem, steps, true, work.units);
  return { chips: solution.chipsUsed, interval: solution.intervalCycles, next, steps };
}

/**
 * The least latency of a partition within `limit`; of these the least interval, of these the fewest chips. A prefix of
 * a partition that is best in this order is itself best for its layers and chips, so the order may be nested.
 */
function latencyOnChips(problem: ChainProblem, limit: number, work: Work): readonly Step[] | undefined {
  const n = problem.layers.length;
  const width = problem.chips + 1;
  const latency = new Float64Array((n + 1) * width).fill(NO_LIMIT);
  const interval = new Float64Array((n + 1) * width).fill(NO_LIMIT);
  const cameFrom = new Int32Array((n + 1) * width).fill(-1);
  const remaining = problem.pins.length === 0 ? chipsForRest(problem, limit, work) : new Float64Array(n + 1);
  latency[0] = 0;
  interval[0] = 0;
  for (let first = 0; first < n; first++) {
    if (problem.pins.length > 0) leaveChipsEmpty(first * width, width, latency, interval, cameFrom);
    eachStage(problem, first, limit, work, (stage) => {
      const highest = problem.chips - stage.degree - (remaining[stage.end] ?? 0);
      const shift = (stage.end - first) * width + stage.degree;
      for (let chip = 0; chip <= highest; chip++) {
        const from = first * width + chip;
        const before = latency[from] ?? NO_LIMIT;
        if (before === NO_LIMIT || !pinsHold(problem, first, stage, chip)) continue;
        work.units++;
        const to = from + shift;
        const through = before + stage.latency;
        const better = through - (latency[to] ?? NO_LIMIT);
        if (better > 0) continue;
        const reached = Math.max(interval[from] ?? 0, stage.load);
        if (better === 0 && reached >= (interval[to] ?? NO_LIMIT)) continue;
        latency[to] = through;
        interval[to] = reached;
        cameFrom[to] = from;
      }
    });
  }
  let best = -1;
  for (let state = n * width; state < (n + 1) * width; state++) {
    const better = (latency[state] ?? 0) - (latency[best] ?? NO_LIMIT);
    if (better < 0 || (better === 0 && (interval[state] ?? 0) < (interval[best] ?? 0))) best = state;
  }
  return best < 0 ? undefined : traceBack(best, width, cameFrom);
}

/** For each layer the fewest chips for it and all after it; what leaves fewer is not worth visiting. */
function chipsForRest(problem: ChainProblem, limit: number, work: Work): Float64Array {
  const n = problem.layers.length;
  const rest = new Float64Array(n + 1).fill(NO_LIMIT);
  rest[n] = 0;
  for (let first = n - 1; first >= 0; first--) {
    eachStage(problem, first, limit, work, ({ end, degree }) => {
      rest[first] = Math.min(rest[first] ?? NO_LIMIT, degree + (rest[end] ?? NO_LIMIT));
    });
  }
  return rest;
}

function leaveChipsEmpty(
  row: number,
  width: number,
  latency: Float64Array,
  interval: Float64Array,
  cameFrom: Int32Array,
): void {
  for (let state = row + 1; state < row + width; state++) {
    const better = (latency[state - 1] ?? NO_LIMIT) - (latency[state] ?? NO_LIMIT);
    if (better > 0 || (better === 0 && (interval[state - 1] ?? 0) >= (interval[state] ?? 0))) continue;
    if (latency[state - 1] === NO_LIMIT) continue;
    latency[state] = latency[state - 1] ?? NO_LIMIT;
    interval[state] = interval[state - 1] ?? NO_LIMIT;
    cameFrom[state] = state - 1;
  }
}

function pinsHold(problem: ChainProblem, first: number, stage: Stage, chip: number): boolean {
  for (const pin of problem.pins) {
    if (pin.layer < first || pin.layer >= stage.end) continue;
    if (pin.chip < chip || pin.chip >= chip + stage.degree) return false;
  }
  return true;
}

function traceBack(last: number, width: number, cameFrom: Int32Array): readonly Step[] {
  const steps: Step[] = [];
  let state = last;
  while (state !== 0) {
    const from = cameFrom[state] ?? 0;
    const first = Math.floor(from / width);
    const end = Math.floor(state / width);
    const degree = (state % width) - (from % width);
    if (end > first) steps.push({ first, end, degree, firstChip: from % width });
    state = from;
  }
  return steps.reverse();
}

/** More chips than this are never of use. */
function mostChips(problem: ChainProblem): number {
  const farthestPin = Math.max(0, ...problem.pins.map((pin) => pin.chip + 1));
  return farthestPin + problem.layers.length * (problem.degrees.at(-1) ?? 1);
}

/** Fewest chips with no limit on their number, or undefined if a layer fits nowhere or the constraints contradict. */
function chipsNeeded(problem: ChainProblem, work: Work): number | undefined {
  const chips = mostChips(problem);
  const roomy = { ...problem, chips };
  if (problem.pins.length === 0) return fewestChipsWithin(roomy, NO_LIMIT, work).chips;
  let low = 0;
  let high = chips;
  if (latencyOnChips(roomy, NO_LIMIT, work) === undefined) return undefined;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (latencyOnChips({ ...problem, chips: middle }, NO_LIMIT, work) === undefined) low = middle;
    else high = middle;
  }
  return high;
}
