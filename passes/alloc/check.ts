// Is a solution right? Reads the problem and the offsets only, shares nothing with the solvers, reports every violation with
// a witness. Allowed to be slow, but it is a sweep over time, so that large problems can be checked too.
import type { AllocBuffer, AllocProblem } from "./problem.ts";

export type AllocViolation =
  | { readonly rule: "count"; readonly buffers: number; readonly offsets: number }
  | { readonly rule: "offset"; readonly buffer: string; readonly offset: number }
  | { readonly rule: "alignment"; readonly buffer: string; readonly offset: number; readonly alignment: number }
  | { readonly rule: "capacity"; readonly buffer: string; readonly end: number; readonly capacity: number }
  | {
      readonly rule: "overlap";
      readonly buffers: readonly [string, string];
      /** The first time at which both occupy the addresses [from, to). */
      readonly time: number;
      readonly from: number;
      readonly to: number;
    };

type Occupied = {
  readonly index: number;
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
};

/** What a buffer occupies: rectangles in time and address. */
function occupied(buffer: AllocBuffer, index: number, offset: number): Occupied[] {
  const cuts = [buffer.lower, buffer.upper];
  for (const gap of buffer.gaps ?? []) cuts.push(gap.lower, gap.upper);
  cuts.sort((a, b) => a - b);
  const parts: Occupied[] = [];
  for (let i = 0; i + 1 < cuts.length; i++) {
    const start = cuts[i] ?? 0;
    const end = cuts[i + 1] ?? 0;
    if (start >= end) continue;
    let from = 0;
    let to = buffer.size;
    for (const gap of buffer.gaps ?? []) {
      if (start < gap.lower || end > gap.upper) continue;
      from = gap.window?.lower ?? 0;
      to = gap.window?.upper ?? 0;
    }
    if (from < to) parts.push({ index, start, end, from: offset + from, to: offset + to });
  }
  return parts;
}

/** Where `rect` belongs in `live`, which is ascending by `from`: the number of rectangles that start strictly below it. */
function lowerBound(live: readonly Occupied[], from: number): number {
  let low = 0;
  let high = live.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((live[middle]?.from ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pairsThatOverlap(problem: AllocProblem, rects: readonly Occupied[]): AllocViolation[] {
  const violations: AllocViolation[] = [];
  const seen = new Set<number>();
  const byStart = [...rects].sort((a, b) => a.start - b.start || a.from - b.from || a.index - b.index);
  const byEnd = [...rects].sort((a, b) => a.end - b.end || a.index - b.index);
  const live: Occupied[] = [];
  // No live rectangle is taller than this, so only those starting within this distance below can reach up to another.
  const tallest = rects.reduce((most, rect) => Math.max(most, rect.to - rect.from), 0);
  let ended = 0;
  for (const rect of byStart) {
    for (; ended < byEnd.length; ended++) {
      const old = byEnd[ended];
      if (old === undefined || old.end > rect.start) break;
      const at = live.indexOf(old, lowerBound(live, old.from));
      if (at >= 0) live.splice(at, 1);
    }
    const position = lowerBound(live, rect.from);
    const report = (other: Occupied): void => {
      const first = Math.min(rect.index, other.index);
      const second = Math.max(rect.index, other.index);
      const pair = first * problem.buffers.length + second;
      if (first === second || seen.has(pair)) return;
      seen.add(pair);
      violations.push({
        rule: "overlap",
        buffers: [problem.buffers[first]?.id ?? "", problem.buffers[second]?.id ?? ""],
        time: Math.max(rect.start, other.start),
        from: Math.max(rect.from, other.from),
        to: Math.min(rect.to, other.to),
      });
    };
    for (let i = position - 1; i >= 0; i--) {
      const other = live[i];
      if (other === undefined || other.from + tallest <= rect.from) break;
      if (other.to > rect.from) report(other);
    }
    for (let i = position; i < live.length; i++) {
      const other = live[i];
      if (other === undefined || other.from >= rect.to) break;
      report(other);
    }
    live.splice(position, 0, rect);
  }
  return violations;
}

/** Every way in which `offsets` is not a solution of `problem`. */
export function checkAllocation(problem: AllocProblem, offsets: readonly number[]): readonly AllocViolation[] {
  const { buffers, capacity } = problem;
  if (offsets.length !== buffers.length) return [{ rule: "count", buffers: buffers.length, offsets: offsets.length }];
  const violations: AllocViolation[] = [];
  const rects: Occupied[] = [];
  buffers.forEach((buffer, index) => {
    const offset = offsets[index] ?? Number.NaN;
    if (!Number.isSafeInteger(offset) || offset < 0) {
      violations.push({ rule: "offset", buffer: buffer.id, offset });
      return;
    }
    const alignment = buffer.alignment ?? 1;
    if (offset % alignment !== 0) violations.push({ rule: "alignment", buffer: buffer.id, offset, alignment });
    const end = offset + buffer.size;
    if (end > capacity) violations.push({ rule: "capacity", buffer: buffer.id, end, capacity });
    rects.push(...occupied(buffer, index, offset));
  });
  return [...violations, ...pairsThatOverlap(problem, rects)];
}

/** One violation in words. */
export function printAllocViolation(violation: AllocViolation): string {
  switch (violation.rule) {
    case "count":
      return `${violation.offsets} offsets for ${violation.buffers} buffers`;
    case "offset":
      return `buffer ${violation.buffer}: offset ${violation.offset} is not an address`;
    case "alignment":
      return `buffer ${violation.buffer}: offset ${violation.offset} is not a multiple of ${violation.alignment}`;
    case "capacity":
      return `buffer ${violation.buffer}: ends at ${violation.end}, beyond the capacity ${violation.capacity}`;
    case "overlap":
      return (
        `buffers ${violation.buffers[0]} and ${violation.buffers[1]} both occupy [${violation.from}, ${violation.to}) ` +
        `at time ${violation.time}`
      );
  }
}
