// The smallest initiation interval: the least number of cycles by which one inference may follow another so that no resource is needed by two of them at
// once. Exact: a number is passed over only where two stretches meet at it. Must not know how solutions are checked.
import type { Use } from "./uses.ts";

export interface IntervalProblem {
  readonly uses: readonly Use[];
  /** No interval is shorter. */
  readonly least: number;
  /** An interval that is known to do. */
  readonly most: number;
}

export interface IntervalSolution {
  readonly interval: number;
  /** What a single resource asks for: it cannot be used more than all the time. */
  readonly bound: number;
  /** False where the work ran out; then the interval is the one that was known. */
  readonly isLeast: boolean;
  /** Pairs of stretches that were looked at. */
  readonly work: number;
}

interface Work {
  left: number;
}

/** Every inference uses every stretch of every resource once. */
function boundOf(uses: readonly Use[], least: number): number {
  let bound = Math.max(1, least);
  for (const { starts, ends } of uses) {
    let busy = 0;
    for (let i = 0; i < starts.length; i++) busy += (ends[i] as number) - (starts[i] as number);
    bound = Math.max(bound, busy);
  }
  return bound;
}

/** Index of the first stretch that ends after `cycle`. */
function firstEndingAfter(ends: Float64Array, cycle: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > cycle) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The inference `steps` later meets this one on the resource: 0 if it does not, else the least larger interval at which these two stretches do not
 * meet any more, `steps` inferences apart.
 */
function clears({ starts, ends }: Use, interval: number, steps: number, work: Work): number {
  const shift = interval * steps;
  let here = firstEndingAfter(ends, (starts[0] as number) + shift);
  let later = 0;
  while (here < starts.length && later < starts.length) {
    work.left--;
    if ((ends[here] as number) <= (starts[later] as number) + shift) here++;
    else if ((ends[later] as number) + shift <= (starts[here] as number)) later++;
    else return Math.max(interval + 1, Math.ceil(((ends[here] as number) - (starts[later] as number)) / steps));
  }
  return 0;
}

/** The least interval from `interval` on at which the resource is free. */
function freeFrom(use: Use, from: number, most: number, work: Work): number {
  const span = (use.ends[use.ends.length - 1] as number) - (use.starts[0] as number);
  let interval = from;
  for (let steps = 1; steps * interval < span && interval < most && work.left > 0; ) {
    const next = clears(use, interval, steps, work);
    if (next === 0) steps++;
    else {
      interval = next;
      steps = 1;
    }
  }
  return interval;
}

/** `budget` bounds the pairs of stretches that are looked at. */
export function leastInterval({ uses, least, most }: IntervalProblem, budget = 2 ** 28): IntervalSolution {
  const bound = boundOf(uses, least);
  const work: Work = { left: budget };
  const solution = (interval: number, isLeast: boolean): IntervalSolution => ({
    interval,
    bound,
    isLeast,
    work: budget - work.left,
  });
  let interval = bound;
  // Round and round until every resource in turn had no objection.
  for (let at = 0, agreed = 0; agreed < uses.length && interval < most; at = (at + 1) % uses.length) {
    const next = freeFrom(uses[at] as Use, interval, most, work);
    if (work.left <= 0) return solution(most, false);
    agreed = next === interval ? agreed + 1 : 1;
    interval = next;
  }
  return solution(Math.min(interval, most), true);
}
