// Arithmetic on bursts (arithmetic progressions of cycles): do two of them share a cycle, which of many do. Knows nothing of instructions.

export interface Burst {
  readonly start: number;
  readonly count: number;
  readonly period: number;
}

export function lastOf(burst: Burst): number {
  return burst.start + (burst.count - 1) * burst.period;
}

/** The first cycle at which both issue, undefined if there is none. */
export function firstCommon(a: Burst, b: Burst): number | undefined {
  const from = Math.max(a.start, b.start);
  const until = Math.min(lastOf(a), lastOf(b));
  if (from > until) return undefined;
  // Step with the one that issues less often; membership in the other repeats after its period steps at the latest.
  const [stepped, other] = a.period >= b.period ? [a, b] : [b, a];
  let cycle = stepped.start + Math.ceil((from - stepped.start) / stepped.period) * stepped.period;
  for (let steps = 0; steps < other.period && cycle <= until; steps++) {
    if ((cycle - other.start) % other.period === 0) return cycle;
    cycle += stepped.period;
  }
  return undefined;
}

type Report<T> = (earlier: T, later: T, cycle: number) => void;

const byStart =
  <T extends Burst>(rank: (burst: T) => number) =>
  (a: T, b: T): number =>
    a.start - b.start || rank(a) - rank(b);

/** Reports every pair of bursts that share a cycle. `rank` makes the order total. */
export function reportCollisions<T extends Burst>(
  bursts: readonly T[],
  rank: (burst: T) => number,
  report: Report<T>,
): void {
  let active: T[] = [];
  let reach = -1;
  for (const burst of [...bursts].sort(byStart(rank))) {
    if (burst.start > reach) active = [];
    else active = active.filter((other) => lastOf(other) >= burst.start);
    for (const other of active) {
      const cycle = firstCommon(other, burst);
      if (cycle !== undefined) report(other, burst, cycle);
    }
    active.push(burst);
    reach = Math.max(reach, lastOf(burst));
  }
}

/** Reports every pair of a left and a right burst that share a cycle. */
export function reportMeetings<T extends Burst>(
  left: readonly T[],
  right: readonly T[],
  rank: (burst: T) => number,
  report: Report<T>,
): void {
  const marked = [
    ...left.map((burst) => ({ ...burst, burst, side: 0 })),
    ...right.map((burst) => ({ ...burst, burst, side: 1 })),
  ].sort((a, b) => a.start - b.start || a.side - b.side || rank(a.burst) - rank(b.burst));
  let active: typeof marked = [];
  for (const one of marked) {
    active = active.filter((other) => lastOf(other) >= one.start);
    for (const other of active) {
      if (other.side === one.side) continue;
      const cycle = firstCommon(other, one);
      if (cycle === undefined) continue;
      if (one.side === 1) report(other.burst, one.burst, cycle);
      else report(one.burst, other.burst, cycle);
    }
    active.push(one);
  }
}

/** Half-open intervals on a circle of `period` cycles: reports pairs that overlap, also an interval longer than the circle with itself. */
export function reportCircularOverlaps<T extends { readonly from: number; readonly until: number }>(
  intervals: readonly T[],
  period: number,
  report: (a: T, b: T) => void,
): void {
  const placed = intervals
    .map((interval, index) => ({ interval, index, at: ((interval.from % period) + period) % period }))
    .sort((a, b) => a.at - b.at || a.index - b.index);
  for (const one of placed) {
    if (one.interval.until - one.interval.from > period) report(one.interval, one.interval);
  }
  for (let i = 0; i < placed.length; i++) {
    const one = placed[i];
    if (one === undefined) continue;
    const end = one.at + Math.min(period, one.interval.until - one.interval.from);
    for (let step = 1; step < placed.length; step++) {
      const j = (i + step) % placed.length;
      const other = placed[j];
      if (other === undefined) continue;
      const at = other.at + (j <= i ? period : 0);
      if (at >= end) break;
      report(one.interval, other.interval);
    }
  }
}
