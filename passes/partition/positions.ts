// The chain over numbered chips: which chip a stage starts on matters where layers are pinned, links differ or groups must lie
// within a node. Dynamic programming over (layers done, chips used). Must not know how the limit is chosen.
import { type Step, stageLoad } from "./describe.ts";
import type { ChainProblem } from "./problem.ts";
import { eachStage, NO_LIMIT, type Stage, type Work } from "./stages.ts";

/** Does it matter which chips a stage is on, and not only how many there are? */
export function isPositional(problem: ChainProblem): boolean {
  const { pins, borders = [], chipsPerNode, degrees } = problem;
  const isUneven = borders.some(({ busyFactor, extraLatencyCycles }) => busyFactor !== 1 || extraLatencyCycles !== 0);
  return pins.length > 0 || isUneven || (chipsPerNode !== undefined && (degrees.at(-1) ?? 1) > 1);
}

export type OnChips = {
  readonly steps: readonly Step[] | undefined;
  /** Above the limit; no limit below it gives anything else. */
  readonly next: number;
};

type Table = {
  readonly width: number;
  readonly latency: Float64Array;
  readonly interval: Float64Array;
  readonly cameFrom: Int32Array;
  readonly variant: Uint8Array;
};

/**
 * The least latency of a partition within `limit`; of these the least interval, of these the fewest chips. A prefix of
 * a partition that is best in this order is itself best for its layers and chips, so the order may be nested.
 */
export function latencyOnChips(problem: ChainProblem, limit: number, work: Work): OnChips {
  const n = problem.layers.length;
  const width = problem.chips + 1;
  const size = (n + 1) * width;
  const table: Table = {
    width,
    latency: new Float64Array(size).fill(NO_LIMIT),
    interval: new Float64Array(size).fill(NO_LIMIT),
    cameFrom: new Int32Array(size).fill(-1),
    variant: new Uint8Array(size),
  };
  const places = isPositional(problem) ? placesOf(problem) : undefined;
  const remaining = chipsForRest(problem, limit, work);
  table.latency[0] = 0;
  table.interval[0] = 0;
  let next = NO_LIMIT;
  for (let first = 0; first < n; first++) {
    if (places !== undefined) leaveChipsEmpty(table, first * width);
    const excluded = eachStage(problem, first, limit, work, (stage) => {
      const highest = problem.chips - stage.degree - (remaining[stage.end] ?? 0);
      for (let chip = 0; chip <= highest; chip++) {
        const from = first * width + chip;
        if (table.latency[from] === NO_LIMIT) continue;
        work.units++;
        const placed = places === undefined ? stage : places(stage, first, chip);
        if (placed === undefined) continue;
        if (placed.load > limit) next = Math.min(next, placed.load);
        else reach(table, from, stage.end * width + chip + stage.degree, placed);
      }
    });
    next = Math.min(next, excluded);
  }
  let best = -1;
  for (let state = n * width; state < size; state++) {
    const better = (table.latency[state] ?? 0) - (table.latency[best] ?? NO_LIMIT);
    if (better < 0 || (better === 0 && (table.interval[state] ?? 0) < (table.interval[best] ?? 0))) best = state;
  }
  return { steps: best < 0 ? undefined : traceBack(table, best), next };
}

type Placed = Pick<Stage, "load" | "latency" | "variant">;

function reach(table: Table, from: number, to: number, stage: Placed): void {
  const through = (table.latency[from] ?? NO_LIMIT) + stage.latency;
  const better = through - (table.latency[to] ?? NO_LIMIT);
  if (better > 0) return;
  const interval = Math.max(table.interval[from] ?? 0, stage.load);
  if (better === 0 && interval >= (table.interval[to] ?? NO_LIMIT)) return;
  table.latency[to] = through;
  table.interval[to] = interval;
  table.cameFrom[to] = from;
  table.variant[to] = stage.variant;
}

/** A stage as it is on certain chips, or undefined where it may not be there. */
function placesOf(problem: ChainProblem): (stage: Stage, first: number, chip: number) => Placed | undefined {
  const { layers, borders, chipsPerNode, pins, transfer } = problem;
  return (stage, first, chip) => {
    const end = chip + stage.degree;
    if (chipsPerNode !== undefined && stage.degree > 1) {
      if (Math.floor(chip / chipsPerNode) !== Math.floor((end - 1) / chipsPerNode)) return undefined;
    }
    for (const pin of pins)
      if (pin.layer >= first && pin.layer < stage.end && (pin.chip < chip || pin.chip >= end)) return undefined;
    if (borders === undefined) return stage;
    const [before, after] = [first === 0 ? undefined : borders[chip - 1], borders[end - 1]];
    const incoming = stage.incoming * (before?.busyFactor ?? 1);
    const outgoing = stage.outgoing * (after?.busyFactor ?? 1);
    const extra = stage.end === layers.length ? 0 : (after?.extraLatencyCycles ?? 0);
    const load = stageLoad(transfer, incoming, stage.inside, outgoing);
    return { load, latency: stage.latency + extra, variant: stage.variant };
  };
}

/** For each layer the fewest chips for it and all after it, if links were all the usual ones; what leaves fewer is not worth visiting. */
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

function leaveChipsEmpty({ width, latency, interval, cameFrom }: Table, row: number): void {
  for (let state = row + 1; state < row + width; state++) {
    const before = latency[state - 1] ?? NO_LIMIT;
    const better = before - (latency[state] ?? NO_LIMIT);
    if (before === NO_LIMIT || better > 0) continue;
    if (better === 0 && (interval[state - 1] ?? 0) >= (interval[state] ?? 0)) continue;
    latency[state] = before;
    interval[state] = interval[state - 1] ?? NO_LIMIT;
    cameFrom[state] = state - 1;
  }
}

function traceBack({ width, cameFrom, variant }: Table, last: number): readonly Step[] {
  const steps: Step[] = [];
  for (let state = last; state !== 0; ) {
    const from = cameFrom[state] ?? 0;
    const [first, end] = [Math.floor(from / width), Math.floor(state / width)];
    const degree = (state % width) - (from % width);
    if (end > first) steps.push({ first, end, variant: variant[state] ?? 0, degree, firstChip: from % width });
    state = from;
  }
  return steps.reverse();
}
