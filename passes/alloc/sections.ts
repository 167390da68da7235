// A problem as flat arrays over *sections*: the times between two neighbouring ends of any activity, in which the set of live
// buffers does not change. Buffers stand in normal order, so nothing computed from here depends on the order of the input.
// Knows nothing of search or offsets.
import { type Activity, type AllocBuffer, activitiesOf, normalOrder } from "./problem.ts";

export type Sections = {
  /** Index into the problem's buffers of each buffer here. */
  readonly source: Int32Array;
  /** First and one past the last section of each buffer; equal when the buffer occupies nothing, ever. */
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly size: Float64Array;
  readonly alignment: Float64Array;
  /** Spans of buffer b: [spanStart[b], spanStart[b + 1]); sections [spanFrom, spanTo) occupied in [spanLow, spanHigh). */
  readonly spanStart: Int32Array;
  readonly spanFrom: Int32Array;
  readonly spanTo: Int32Array;
  readonly spanLow: Float64Array;
  readonly spanHigh: Float64Array;
  /** Start of each section, then the end of the last. */
  readonly times: Float64Array;
  /** Some buffer has a gap of any kind; some buffer has a gap in which it keeps a part of its space. */
  readonly hasGaps: boolean;
  readonly hasWindows: boolean;
};

function distinctTimes(activities: readonly (readonly Activity[])[]): Float64Array {
  let count = 0;
  for (const parts of activities) count += 2 * parts.length;
  const all = new Float64Array(count);
  let at = 0;
  for (const parts of activities) {
    for (const part of parts) {
      all[at++] = part.lower;
      all[at++] = part.upper;
    }
  }
  all.sort();
  let kept = 0;
  for (const time of all) {
    if (kept === 0 || all[kept - 1] !== time) all[kept++] = time;
  }
  return all.slice(0, kept);
}

function indexOfTime(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sectionsOf(buffers: readonly AllocBuffer[]): Sections {
  const source = Int32Array.from(normalOrder(buffers));
  const count = source.length;
  const ordered = Array.from(source, (index) => buffers[index]).filter((buffer) => buffer !== undefined);
  const activities = ordered.map(activitiesOf);
  const times = distinctTimes(activities);
  const spans = activities.reduce((sum, parts) => sum + parts.length, 0);
  const out = {
    source,
    first: new Int32Array(count),
    last: new Int32Array(count),
    size: Float64Array.from(ordered, (buffer) => buffer.size),
    alignment: Float64Array.from(ordered, (buffer) => buffer.alignment ?? 1),
    spanStart: new Int32Array(count + 1),
    spanFrom: new Int32Array(spans),
    spanTo: new Int32Array(spans),
    spanLow: new Float64Array(spans),
    spanHigh: new Float64Array(spans),
    times,
  };
  let at = 0;
  let hasGaps = false;
  let hasWindows = false;
  activities.forEach((parts, b) => {
    out.spanStart[b] = at;
    for (const part of parts) {
      out.spanFrom[at] = indexOfTime(times, part.lower);
      out.spanTo[at] = indexOfTime(times, part.upper);
      out.spanLow[at] = part.low;
      out.spanHigh[at] = part.high;
      if (part.high - part.low !== (out.size[b] ?? 0)) hasWindows = true;
      at++;
    }
    if (parts.length > 1) hasGaps = true;
    out.first[b] = parts.length === 0 ? 0 : (out.spanFrom[out.spanStart[b] ?? 0] ?? 0);
    out.last[b] = parts.length === 0 ? 0 : (out.spanTo[at - 1] ?? 0);
  });
  out.spanStart[count] = at;
  return { ...out, hasGaps, hasWindows };
}

/** How much is live in each section. */
export function liveInSections(sections: Sections): Float64Array {
  const count = Math.max(0, sections.times.length - 1);
  const steps = new Float64Array(count + 1);
  for (let k = 0; k < sections.spanFrom.length; k++) {
    const amount = (sections.spanHigh[k] ?? 0) - (sections.spanLow[k] ?? 0);
    const from = sections.spanFrom[k] ?? 0;
    const to = sections.spanTo[k] ?? 0;
    steps[from] = (steps[from] ?? 0) + amount;
    steps[to] = (steps[to] ?? 0) - amount;
  }
  const live = new Float64Array(count);
  let sum = 0;
  for (let s = 0; s < count; s++) {
    sum += steps[s] ?? 0;
    live[s] = sum;
  }
  return live;
}
