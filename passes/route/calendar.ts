// Which cycles of which link are taken, as sorted busy intervals; with an interval of repetition they are kept on a circle. Knows times only.

export type Calendar = {
  /** Length of the circle, or undefined for a line without end. */
  readonly period: number | undefined;
  readonly starts: readonly number[][];
  readonly ends: readonly number[][];
};

export function makeCalendar(links: number, period: number | undefined): Calendar {
  return {
    period,
    starts: Array.from({ length: links }, () => []),
    ends: Array.from({ length: links }, () => []),
  };
}

/** Index of the first interval that ends after `time`. */
function firstEndingAfter(ends: readonly number[], time: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Earliest cycle from `time` on at which the link is free for `length` cycles; infinite where there is none. */
export function findSlot(calendar: Calendar, link: number, time: number, length: number): number {
  const starts = calendar.starts[link] as readonly number[];
  const ends = calendar.ends[link] as readonly number[];
  const { period } = calendar;
  if (period !== undefined) return findOnCircle(starts, ends, period, time, length);
  let at = time;
  for (let i = firstEndingAfter(ends, time); i < starts.length; i++) {
    if ((starts[i] as number) >= at + length) break;
    at = ends[i] as number;
  }
  return at;
}

function findOnCircle(
  starts: readonly number[],
  ends: readonly number[],
  period: number,
  time: number,
  length: number,
): number {
  if (length > period) return Number.POSITIVE_INFINITY;
  const count = starts.length;
  if (count === 0) return time;
  const phase = time % period;
  let at = phase;
  const first = firstEndingAfter(ends, phase);
  for (let i = first; i <= first + count; i++) {
    const turn = Math.floor(i / count) * period;
    if ((starts[i % count] as number) + turn >= at + length) break;
    at = Math.max(at, (ends[i % count] as number) + turn);
    if (at - phase >= period) return Number.POSITIVE_INFINITY;
  }
  return time - phase + at;
}

/** Takes `[time, time + length)`, which must be free. */
export function takeSlot(calendar: Calendar, link: number, time: number, length: number): void {
  const { period } = calendar;
  if (period === undefined) {
    insert(calendar, link, time, time + length);
    return;
  }
  const from = time % period;
  const until = from + length;
  insert(calendar, link, from, Math.min(until, period));
  if (until > period) insert(calendar, link, 0, until - period);
}

function insert(calendar: Calendar, link: number, from: number, until: number): void {
  const starts = calendar.starts[link] as number[];
  const ends = calendar.ends[link] as number[];
  const at = firstEndingAfter(ends, from);
  const touchesBefore = at > 0 && ends[at - 1] === from;
  const touchesAfter = at < starts.length && starts[at] === until;
  if (touchesBefore && touchesAfter) {
    ends[at - 1] = ends[at] as number;
    starts.splice(at, 1);
    ends.splice(at, 1);
  } else if (touchesBefore) ends[at - 1] = until;
  else if (touchesAfter) starts[at] = from;
  else {
    starts.splice(at, 0, from);
    ends.splice(at, 0, until);
  }
}
