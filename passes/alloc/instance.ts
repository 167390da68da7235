// One time-connected component of a problem in the form the exact search works on: sizes divided by their common divisor, only
// the sections whose set of live buffers is contained in no neighbour's, and who overlaps whom. Knows nothing of search.
import type { Sections } from "./sections.ts";

/** Offsets, sizes and their sums: 32-bit integers whenever they are small enough, because those are faster. */
export type Amounts = Int32Array | Float64Array;

export type Instance = {
  /** Buffers of the problem's sections, ascending; everything below is indexed by position in here. */
  readonly buffers: Int32Array;
  /** One unit here is this many in the problem. */
  readonly unit: number;
  readonly capacity: number;
  readonly sections: number;
  readonly size: Amounts;
  readonly alignment: Amounts;
  readonly aligned: boolean;
  /** Hull in kept sections, and the parts in which the buffer is really there. */
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly spanStart: Int32Array;
  readonly spanFrom: Int32Array;
  readonly spanTo: Int32Array;
  /** Buffers overlapping buffer b: overlap[overlapStart[b] .. overlapStart[b + 1]). */
  readonly overlapStart: Int32Array;
  readonly overlap: Int32Array;
  /** Buffers live in section s: member[memberStart[s] .. memberStart[s + 1]). */
  readonly memberStart: Int32Array;
  readonly member: Int32Array;
  /** Length of the live range, in the problem's time. */
  readonly length: Float64Array;
  /** Where a buffer must be, or -1 where it is free; absent when all are free. */
  readonly pin?: Amounts;
};

const at = (array: Int32Array | Float64Array, index: number): number => array[index] ?? 0;

const gcd = (a: number, b: number): number => {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
};

/** Lists of buffers whose hulls touch no other list's, in time order. Buffers that are never live are in none. */
export function componentsOf(sections: Sections): readonly Int32Array[] {
  const live = Array.from(sections.source, (_, b) => b).filter((b) => at(sections.first, b) < at(sections.last, b));
  live.sort((a, b) => at(sections.first, a) - at(sections.first, b) || a - b);
  const components: Int32Array[] = [];
  let from = 0;
  let end = 0;
  live.forEach((b, index) => {
    if (index > from && at(sections.first, b) >= end) {
      components.push(Int32Array.from(live.slice(from, index)).sort());
      from = index;
    }
    end = Math.max(end, at(sections.last, b));
  });
  if (from < live.length) components.push(Int32Array.from(live.slice(from)).sort());
  return components;
}

/**
 * For each section the number of kept sections before it. A section is kept when a buffer has begun since the last kept one and
 * a buffer ends with it; every other section's buffers are all live in a kept one.
 */
function keptBefore(sections: Sections, buffers: Int32Array): Int32Array {
  const count = sections.times.length;
  const starts = new Uint8Array(count + 1);
  const ends = new Uint8Array(count + 1);
  for (const b of buffers) {
    for (let k = at(sections.spanStart, b); k < at(sections.spanStart, b + 1); k++) {
      starts[at(sections.spanFrom, k)] = 1;
      ends[at(sections.spanTo, k)] = 1;
    }
  }
  const before = new Int32Array(count + 1);
  let kept = 0;
  let begun = false;
  for (let s = 0; s < count; s++) {
    before[s] = kept;
    if (starts[s] === 1) begun = true;
    if (begun && ends[s + 1] === 1) {
      kept++;
      begun = false;
    }
  }
  before[count] = kept;
  return before;
}

type Spans = {
  readonly spanStart: Int32Array;
  readonly spanFrom: Int32Array;
  readonly spanTo: Int32Array;
};

/** The spans of the component's buffers, with windows in gaps counted as if the whole buffer were there. */
function keptSpans(sections: Sections, buffers: Int32Array, before: Int32Array): Spans {
  const spanStart = new Int32Array(buffers.length + 1);
  const from: number[] = [];
  const to: number[] = [];
  buffers.forEach((b, i) => {
    for (let k = at(sections.spanStart, b); k < at(sections.spanStart, b + 1); k++) {
      const start = at(before, at(sections.spanFrom, k));
      const end = at(before, at(sections.spanTo, k));
      if (start === end) continue;
      if (from.length > at(spanStart, i) && to[to.length - 1] === start) to[to.length - 1] = end;
      else {
        from.push(start);
        to.push(end);
      }
    }
    spanStart[i + 1] = from.length;
  });
  return { spanStart, spanFrom: Int32Array.from(from), spanTo: Int32Array.from(to) };
}

function membersOf(spans: Spans, sections: number): { memberStart: Int32Array; member: Int32Array } {
  const memberStart = new Int32Array(sections + 1);
  const count = spans.spanStart.length - 1;
  for (let k = 0; k < spans.spanFrom.length; k++) {
    for (let s = at(spans.spanFrom, k); s < at(spans.spanTo, k); s++) memberStart[s + 1] = at(memberStart, s + 1) + 1;
  }
  for (let s = 0; s < sections; s++) memberStart[s + 1] = at(memberStart, s + 1) + at(memberStart, s);
  const fill = memberStart.slice();
  const member = new Int32Array(at(memberStart, sections));
  for (let b = 0; b < count; b++) {
    for (let k = at(spans.spanStart, b); k < at(spans.spanStart, b + 1); k++) {
      for (let s = at(spans.spanFrom, k); s < at(spans.spanTo, k); s++) {
        member[at(fill, s)] = b;
        fill[s] = at(fill, s) + 1;
      }
    }
  }
  return { memberStart, member };
}

/** Who shares a section with whom, or undefined when that is more than `limit` entries. */
function overlapsOf(
  spans: Spans,
  members: { readonly memberStart: Int32Array; readonly member: Int32Array },
  limit: number,
): { overlapStart: Int32Array; overlap: Int32Array } | undefined {
  const count = spans.spanStart.length - 1;
  const overlapStart = new Int32Array(count + 1);
  const overlap: number[] = [];
  const seen = new Int32Array(count).fill(-1);
  for (let b = 0; b < count; b++) {
    seen[b] = b;
    for (let k = at(spans.spanStart, b); k < at(spans.spanStart, b + 1); k++) {
      for (let s = at(spans.spanFrom, k); s < at(spans.spanTo, k); s++) {
        for (let j = at(members.memberStart, s); j < at(members.memberStart, s + 1); j++) {
          const other = at(members.member, j);
          if (seen[other] === b) continue;
          seen[other] = b;
          overlap.push(other);
        }
      }
    }
    if (overlap.length > limit) return undefined;
    overlapStart[b + 1] = overlap.length;
  }
  return { overlapStart, overlap: Int32Array.from(overlap) };
}

/** The most that is live in one section, windows in gaps counted as if the whole buffer were there. */
function mostLive(spans: Spans, sections: number, buffers: Int32Array, size: Float64Array): number {
  const steps = new Float64Array(sections + 1);
  buffers.forEach((b, i) => {
    for (let k = at(spans.spanStart, i); k < at(spans.spanStart, i + 1); k++) {
      steps[at(spans.spanFrom, k)] = at(steps, at(spans.spanFrom, k)) + at(size, b);
      steps[at(spans.spanTo, k)] = at(steps, at(spans.spanTo, k)) - at(size, b);
    }
  });
  let most = 0;
  let sum = 0;
  for (const step of steps) {
    sum += step;
    most = Math.max(most, sum);
  }
  return most;
}

/** The same instance for another capacity, in the problem's unit, which must not exceed the one it was made for. */
export function withCapacity(instance: Instance, capacity: number): Instance {
  return { ...instance, capacity: Math.floor(capacity / instance.unit) };
}

/** The component as an instance, or undefined when it has more than `entryLimit` live entries or overlapping pairs. */
export function instanceOf(
  sections: Sections,
  buffers: Int32Array,
  capacity: number,
  entryLimit: number,
): Instance | undefined {
  const before = keptBefore(sections, buffers);
  const spans = keptSpans(sections, buffers, before);
  let entries = 0;
  for (let k = 0; k < spans.spanFrom.length; k++) entries += at(spans.spanTo, k) - at(spans.spanFrom, k);
  if (entries > entryLimit) return undefined;
  const kept = at(before, before.length - 1);
  const members = membersOf(spans, kept);
  const overlaps = overlapsOf(spans, members, entryLimit);
  if (overlaps === undefined) return undefined;
  let unit = 0;
  for (const b of buffers) unit = gcd(unit, at(sections.size, b));
  let aligned = false;
  for (const b of buffers) if (unit % at(sections.alignment, b) !== 0) aligned = true;
  if (aligned) for (const b of buffers) unit = gcd(unit, at(sections.alignment, b));
  const scaledCapacity = Math.floor(capacity / unit);
  const isSmall = Math.max(scaledCapacity, mostLive(spans, kept, buffers, sections.size) / unit) < 2 ** 29;
  const amounts = (values: Float64Array): Amounts => {
    const scaled = Float64Array.from(buffers, (b) => Math.max(1, at(values, b) / unit));
    return isSmall ? Int32Array.from(scaled, (x) => Math.min(x, 2 ** 29)) : scaled;
  };
  return {
    buffers,
    unit,
    capacity: scaledCapacity,
    sections: kept,
    size: amounts(sections.size),
    alignment: aligned ? amounts(sections.alignment) : amounts(sections.alignment).fill(1),
    aligned,
    ...spans,
    first: Int32Array.from(buffers, (_, i) => at(spans.spanFrom, at(spans.spanStart, i))),
    last: Int32Array.from(buffers, (_, i) => at(spans.spanTo, at(spans.spanStart, i + 1) - 1)),
    ...overlaps,
    ...members,
    length: Float64Array.from(
      buffers,
      (b) => at(sections.times, at(sections.last, b)) - at(sections.times, at(sections.first, b)),
    ),
  };
}
