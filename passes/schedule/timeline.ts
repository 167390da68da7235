// Reservations of one resource: disjoint half-open cycle intervals, ascending.
export interface Timeline {
  readonly starts: number[];
  readonly ends: number[];
}

export const newTimeline = (): Timeline => ({ starts: [], ends: [] });

/** Index of the first interval that ends after `cycle`. */
function firstEndingAfter(timeline: Timeline, cycle: number): number {
  const { ends } = timeline;
  let low = 0;
  let high = ends.length;
  if (high > 0 && (ends[high - 1] as number) <= cycle) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > cycle) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Earliest start >= `from` such that [start, start + length) is free. */
export function nextFree(timeline: Timeline, from: number, length: number): number {
  let at = from;
  for (let i = firstEndingAfter(timeline, from); i < timeline.starts.length; i++) {
    if ((timeline.starts[i] as number) >= at + length) return at;
    at = Math.max(at, timeline.ends[i] as number);
  }
  return at;
}

/** Adds [start, start + length), which must be free; neighbours are joined. */
export function reserve(timeline: Timeline, start: number, length: number): void {
  const { starts, ends } = timeline;
  const end = start + length;
  const i = firstEndingAfter(timeline, start - 1);
  const joinsBefore = i < starts.length && ends[i] === start;
  const after = joinsBefore ? i + 1 : i;
  const joinsAfter = after < starts.length && starts[after] === end;
  if (joinsBefore && joinsAfter) {
    ends[i] = ends[after] as number;
    starts.splice(after, 1);
    ends.splice(after, 1);
  } else if (joinsBefore) ends[i] = end;
  else if (joinsAfter) starts[after] = start;
  else {
    starts.splice(i, 0, start);
    ends.splice(i, 0, end);
  }
}
