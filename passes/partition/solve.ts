// Exact solver of the chain problem: the smallest initiation interval, then the smallest latency, then the fewest chips
// (or latency before interval). Dynamic programming over (layers done, chips used); the interval is found by bisection
// that always snaps to a stage load, so the result is exact and takes a polynomial number of steps. Must not know how
// solutions are checked.
import type { ChainContributor, ChainInfeasible, ChainProblem, ChainSolution, ChainStage } from "./problem.ts";

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

type Step = { readonly first: number; readonly end: number; readonly degree: number; readonly firstChip: number };

type Work = { units: number };

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** `problem` must be well formed: `verifyChainProblem` finds nothing. */
export function solveChain(
  problem: ChainProblem,
  objective: ChainObjective = "interval",
): ChainSolution | ChainInfeasible {
  const work: Work = { units: 0 };
  const limit = objective === "latency" ? NO_LIMIT : smallestInterval(problem, work);
  const steps = limit === undefined ? undefined : bestLatency(problem, limit, work);
  return steps === undefined ? explainInfeasible(problem, work) : describe(problem, steps, work);
}

/** The fewest chips that hold the chain, whatever the problem's own number is. */
export function fewestChips(problem: ChainProblem): number | ChainInfeasible {
  const work: Work = { units: 0 };
  const needed = chipsNeeded(problem, work);
  return needed === undefined ? explainInfeasible(problem, work) : needed;
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

function stageLoad(transfer: ChainProblem["transfer"], incoming: number, compute: number, outgoing: number): number {
  return transfer === "serial" ? incoming + compute + outgoing : Math.max(incoming, compute, outgoing);
}

/** The smallest interval, or undefined if no partition fits at all. */
function smallestInterval(problem: ChainProblem, work: Work): number | undefined {
  let best = attempt(problem, NO_LIMIT, work).interval;
  if (best === undefined) return undefined;
  // The optimum lies in [low, best]; each round halves that or moves one end to the next stage load, so it ends.
  let low = 0;
  while (low < best) {
    const middle = low + (best - low) / 2;
    const tried = attempt(problem, middle < best ? middle : low, work);
    if (tried.interval !== undefined) best = Math.min(best, tried.interval);
    else low = Math.max(low, Math.min(tried.next, best));
  }
  return best;
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

type Fewest = { readonly chips: number | undefined; readonly interval: number; readonly next: number };

/** Without pins only the number of chips matters, not which: one value for each prefix of the chain. */
function fewestChipsWithin(problem: ChainProblem, limit: number, work: Work): Fewest {
  const n = problem.layers.length;
  const chips = new Float64Array(n + 1).fill(NO_LIMIT);
  const interval = new Float64Array(n + 1);
  chips[0] = 0;
  let next = NO_LIMIT;
  for (let first = 0; first < n; first++) {
    const used = chips[first] ?? NO_LIMIT;
    if (used === NO_LIMIT) continue;
    const soFar = interval[first] ?? 0;
    const excluded = eachStage(problem, first, limit, work, ({ end, degree, load }) => {
      const better = used + degree - (chips[end] ?? NO_LIMIT);
      const reached = Math.max(soFar, load);
      if (better < 0 || (better === 0 && reached < (interval[end] ?? 0))) {
        chips[end] = used + degree;
        interval[end] = reached;
      }
    });
    next = Math.min(next, excluded);
  }
  const total = chips[n] ?? NO_LIMIT;
  return { chips: total === NO_LIMIT ? undefined : total, interval: interval[n] ?? 0, next };
}

function pinnedWithin(problem: ChainProblem, limit: number, work: Work): Fewest {
  let next = NO_LIMIT;
  for (let first = 0; first < problem.layers.length; first++)
    next = Math.min(
      next,
      eachStage(problem, first, limit, work, () => undefined),
    );
  const steps = bestLatency(problem, limit, work);
  if (steps === undefined) return { chips: undefined, interval: NO_LIMIT, next };
  const solution = describe(problem, steps, work);
  return { chips: solution.chipsUsed, interval: solution.intervalCycles, next };
}

/**
 * The least latency of a partition within `limit`; of these the least interval, of these the fewest chips. A prefix of
 * a partition that is best in this order is itself best for its layers and chips, so the order may be nested.
 */
function bestLatency(problem: ChainProblem, limit: number, work: Work): readonly Step[] | undefined {
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

function describe(problem: ChainProblem, steps: readonly Step[], work: Work): ChainSolution {
  const stages = steps.map((step) => describeStage(problem, step));
  let latencyCycles = 0;
  for (const stage of stages) {
    const cost = problem.layers[stage.endLayer - 1]?.costs[problem.degrees.indexOf(stage.degree)];
    const isLast = stage.endLayer === problem.layers.length;
    latencyCycles += stage.computeCycles + (isLast ? 0 : (cost?.sendLatencyCycles ?? 0));
  }
  return {
    kind: "solution",
    stages,
    intervalCycles: Math.max(...stages.map((stage) => stage.loadCycles)),
    latencyCycles,
    chipsUsed: stages.reduce((sum, stage) => sum + stage.degree, 0),
    workUnits: work.units,
  };
}

function describeStage(problem: ChainProblem, step: Step): ChainStage {
  const d = problem.degrees.indexOf(step.degree);
  const costs = problem.layers.slice(step.first, step.end).map((layer) => layer.costs[d]);
  const sum = (field: "computeCycles" | "weightBytes" | "stateBytes") =>
    costs.reduce((total, cost) => total + (cost?.[field] ?? 0), 0);
  const computeCycles = sum("computeCycles");
  const incoming = step.first === 0 ? 0 : (costs[0]?.receiveBusyCycles ?? 0);
  const outgoing = step.end === problem.layers.length ? 0 : (costs.at(-1)?.sendBusyCycles ?? 0);
  return {
    firstLayer: step.first,
    endLayer: step.end,
    degree: step.degree,
    firstChip: step.firstChip,
    computeCycles,
    loadCycles: stageLoad(problem.transfer, incoming, computeCycles, outgoing),
    weightBytes: sum("weightBytes"),
    stateBytes: sum("stateBytes"),
    activationBytes: Math.max(...costs.map((cost) => cost?.activationBytes ?? 0)),
  };
}

/** Fewest chips with no limit on their number, or undefined if a layer fits nowhere or the constraints contradict. */
function chipsNeeded(problem: ChainProblem, work: Work): number | undefined {
  const farthestPin = Math.max(0, ...problem.pins.map((pin) => pin.chip + 1));
  const chips = farthestPin + problem.layers.length * (problem.degrees.at(-1) ?? 1);
  const roomy = { ...problem, chips };
  if (problem.pins.length === 0) return fewestChipsWithin(roomy, NO_LIMIT, work).chips;
  let low = 0;
  let high = chips;
  if (bestLatency(roomy, NO_LIMIT, work) === undefined) return undefined;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (bestLatency({ ...problem, chips: middle }, NO_LIMIT, work) === undefined) low = middle;
    else high = middle;
  }
  return high;
}

function explainInfeasible(problem: ChainProblem, work: Work): ChainInfeasible {
  const contributors: ChainContributor[] = problem.layers.map((layer, i) => {
    const bytes = layer.costs.map((cost) =>
      cost === undefined ? NO_LIMIT : cost.weightBytes + cost.stateBytes + cost.activationBytes,
    );
    return { layer: i, name: layer.name, bytes: Math.min(...bytes) };
  });
  contributors.sort((a, b) => b.bytes - a.bytes || a.layer - b.layer);
  const largest = contributors[0]?.bytes ?? 0;
  const five = contributors.slice(0, 5);
  if (largest > problem.capacityBytes) {
    const { capacityBytes } = problem;
    const common = { kind: "infeasible", reason: "layer", chipsNeeded: undefined, contributors: five } as const;
    return { ...common, demandBytes: largest, capacityBytes };
  }
  let demandBytes = 0;
  for (const layer of problem.layers) {
    const cost = layer.costs.find((c) => c !== undefined);
    const degree = problem.degrees[layer.costs.findIndex((c) => c !== undefined)] ?? 1;
    demandBytes += ((cost?.weightBytes ?? 0) + (cost?.stateBytes ?? 0)) * degree;
  }
  const needed = chipsNeeded(problem, work);
  return {
    kind: "infeasible",
    reason: needed !== undefined && needed > problem.chips && problem.pins.length === 0 ? "chips" : "constraints",
    demandBytes,
    capacityBytes: problem.capacityBytes * problem.chips,
    chipsNeeded: needed,
    contributors: five,
  };
}
