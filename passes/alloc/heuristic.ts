// Good allocations without a proof: first fit under several orders, the best of which is kept. Stops as soon as a target peak
// is reached. Knows nothing of exact search.
import { firstFit, type Placement } from "./first-fit.ts";
import { liveInSections, type Sections } from "./sections.ts";

type Key = (b: number) => number;

/** Buffers by descending keys, then in normal order. */
function orderBy(count: number, keys: readonly Key[]): Int32Array {
  const columns = keys.map((key) => Float64Array.from({ length: count }, (_, b) => key(b)));
  return Int32Array.from({ length: count }, (_, b) => b).sort((a, b) => {
    for (const column of columns) {
      const difference = (column[b] ?? 0) - (column[a] ?? 0);
      if (difference !== 0) return difference;
    }
    return a - b;
  });
}

/** The largest sum of live sizes that each buffer is part of. */
function pressureOf(sections: Sections): Float64Array {
  const live = liveInSections(sections);
  const pressure = new Float64Array(sections.source.length);
  for (let b = 0; b < pressure.length; b++) {
    for (let s = sections.first[b] ?? 0; s < (sections.last[b] ?? 0); s++) {
      pressure[b] = Math.max(pressure[b] ?? 0, live[s] ?? 0);
    }
  }
  return pressure;
}

/** Orders worth trying for first fit, the one that is best most often first. */
function firstFitOrders(sections: Sections): readonly Int32Array[] {
  const { first, last, size } = sections;
  const pressure = pressureOf(sections);
  const start: Key = (b) => sections.times[first[b] ?? 0] ?? 0;
  const length: Key = (b) => (sections.times[last[b] ?? 0] ?? 0) - start(b);
  const bytes: Key = (b) => size[b] ?? 0;
  const area: Key = (b) => bytes(b) * length(b);
  const tight: Key = (b) => pressure[b] ?? 0;
  const keyLists: readonly (readonly Key[])[] = [
    [bytes, length],
    [tight, area],
    [length, bytes],
    [area],
    [tight, length, bytes],
    [tight, bytes],
    [(b) => -start(b), bytes],
  ];
  return keyLists.map((keys) => orderBy(size.length, keys));
}

/** The best placement found; stops at `target`. */
export function heuristicPlacement(sections: Sections, target: number): Placement {
  let best: Placement = { offsets: new Float64Array(sections.source.length), peak: Number.POSITIVE_INFINITY };
  for (const order of firstFitOrders(sections)) {
    const placement = firstFit(sections, order);
    if (placement.peak < best.peak) best = placement;
    if (best.peak <= target) break;
  }
  return best;
}
