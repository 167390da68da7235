// Lower bounds on the peak, with the buffers that prove them. Knows nothing of how solutions are found.
import type { AllocBuffer } from "./problem.ts";
import { liveInSections, type Sections } from "./sections.ts";

/** No allocation is lower than `peak`, because the named buffers are live together at `time`. */
export type LowerBound = { readonly peak: number; readonly time: number; readonly buffers: readonly string[] };

const gcd = (a: number, b: number): number => {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
};

/** The part of every live buffer in section s that is occupied there: [buffer, height]. */
function liveAt(sections: Sections, s: number): [number, number][] {
  const live: [number, number][] = [];
  for (let b = 0; b < sections.source.length; b++) {
    for (let k = sections.spanStart[b] ?? 0; k < (sections.spanStart[b + 1] ?? 0); k++) {
      if ((sections.spanFrom[k] ?? 0) <= s && s < (sections.spanTo[k] ?? 0)) {
        live.push([b, (sections.spanHigh[k] ?? 0) - (sections.spanLow[k] ?? 0)]);
      }
    }
  }
  return live;
}

/**
 * Buffers whose offsets are all multiples of one unit each keep the next one from starting before their size rounded up to
 * that unit; only the topmost is free to end early.
 */
function roundedHeight(sections: Sections, live: readonly [number, number][], unit: number): number {
  let sum = 0;
  let saved = 0;
  for (const [b] of live) {
    const size = sections.size[b] ?? 0;
    const rounded = Math.ceil(size / unit) * unit;
    sum += rounded;
    saved = Math.max(saved, rounded - size);
  }
  return sum - saved;
}

/** The largest sum of live sizes, rounded up where a common alignment allows, or the largest single buffer. */
export function lowerBoundOf(sections: Sections, buffers: readonly AllocBuffer[]): LowerBound {
  const live = liveInSections(sections);
  let best = 0;
  for (let s = 1; s < live.length; s++) {
    if ((live[s] ?? 0) > (live[best] ?? 0)) best = s;
  }
  const named = (entries: readonly [number, number][]): string[] =>
    entries.map(([b]) => buffers[sections.source[b] ?? 0]?.id ?? "");
  const clique = live.length === 0 ? [] : liveAt(sections, best);
  let bound: LowerBound = { peak: live[best] ?? 0, time: sections.times[best] ?? 0, buffers: named(clique) };
  const unit = sections.alignment.reduce(gcd, 0);
  if (unit > 1 && !sections.hasWindows) {
    const rounded = roundedHeight(sections, clique, unit);
    if (rounded > bound.peak) bound = { ...bound, peak: rounded };
  }
  sections.size.forEach((size, b) => {
    if (size <= bound.peak) return;
    bound = { peak: size, time: sections.times[sections.first[b] ?? 0] ?? 0, buffers: named([[b, size]]) };
  });
  return bound;
}
