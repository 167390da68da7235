// Places buffers one after another, each at the lowest free address, in an order given from outside. Handles gaps, windows and
// alignment. Few neighbours are gathered and sorted; many are scanned for in one list of all that is placed.
import { emptyList, findHole, insertInList, type PlacedList } from "./placed-list.ts";
import { emptyTree, gather, insertPlaced, type PlacedTree } from "./placed-tree.ts";
import type { Sections } from "./sections.ts";

export type Placement = {
  readonly offsets: Float64Array;
  readonly peak: number;
  /** Placed buffers looked at. */
  readonly work: number;
};

type Fitting = {
  readonly sections: Sections;
  readonly offsets: Float64Array;
  readonly tree: PlacedTree;
  readonly list: PlacedList;
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly at: { work: number };
};

/** How many placed buffers can be scanned in the time in which one neighbour is gathered and sorted. */
const scansPerGather = 24;

const alignUp = (offset: number, alignment: number): number =>
  alignment === 1 ? offset : Math.ceil(offset / alignment) * alignment;

/** Is there a section in which both buffers are live? */
function meet(sections: Sections, a: number, b: number): boolean {
  const { spanStart, spanFrom, spanTo } = sections;
  let i = spanStart[a] ?? 0;
  let j = spanStart[b] ?? 0;
  const iEnd = spanStart[a + 1] ?? 0;
  const jEnd = spanStart[b + 1] ?? 0;
  while (i < iEnd && j < jEnd) {
    const iTo = spanTo[i] ?? 0;
    const jTo = spanTo[j] ?? 0;
    if ((spanFrom[i] ?? 0) < jTo && (spanFrom[j] ?? 0) < iTo) return true;
    if (iTo <= jTo) i++;
    else j++;
  }
  return false;
}

/** The lowest offset for b by a walk over everything placed. */
function scanForHole(fit: Fitting, b: number): number {
  const { sections, list, at } = fit;
  const alignment = sections.alignment[b] ?? 1;
  const from = sections.first[b] ?? 0;
  const { offset, work } = findHole(list, from, sections.last[b] ?? 0, sections.size[b] ?? 0, (other, end) =>
    sections.hasGaps && !meet(sections, b, other) ? undefined : alignUp(end, alignment),
  );
  at.work += work;
  return offset;
}

/**
 * The lowest offset for b by sorting the starts and the ends of its neighbours: nothing is occupied between the i-th end and the
 * next start wherever that start is larger.
 */
function sortForHole(fit: Fitting, b: number): number {
  const { sections, offsets, starts, ends, at } = fit;
  const { found, count } = gather(fit.tree, sections.first[b] ?? 0, sections.last[b] ?? 0);
  at.work += scansPerGather * (count + 1);
  let near = 0;
  for (let i = 0; i < count; i++) {
    const other = found[i] ?? 0;
    if (sections.hasGaps && !meet(sections, b, other)) continue;
    const offset = offsets[other] ?? 0;
    starts[near] = offset;
    ends[near] = offset + (sections.size[other] ?? 0);
    near++;
  }
  starts.subarray(0, near).sort();
  ends.subarray(0, near).sort();
  const size = sections.size[b] ?? 0;
  const alignment = sections.alignment[b] ?? 1;
  let hole = 0;
  for (let i = 0; i < near; i++) {
    if (hole + size <= (starts[i] ?? 0)) return hole;
    hole = alignUp(ends[i] ?? 0, alignment);
  }
  return hole;
}

/** The lowest offset for b when buffers may keep only a window of themselves: every pair of parts forbids an open interval. */
function fitBetweenWindows(fit: Fitting, b: number): number {
  const { sections, offsets, at } = fit;
  const { spanStart, spanFrom, spanTo, spanLow, spanHigh } = sections;
  const { found, count } = gather(fit.tree, sections.first[b] ?? 0, sections.last[b] ?? 0);
  at.work += scansPerGather * (count + 1);
  const forbidden: [number, number][] = [];
  for (let n = 0; n < count; n++) {
    const other = found[n] ?? 0;
    const offset = offsets[other] ?? 0;
    for (let i = spanStart[b] ?? 0; i < (spanStart[b + 1] ?? 0); i++) {
      for (let j = spanStart[other] ?? 0; j < (spanStart[other + 1] ?? 0); j++) {
        if ((spanFrom[i] ?? 0) >= (spanTo[j] ?? 0) || (spanFrom[j] ?? 0) >= (spanTo[i] ?? 0)) continue;
        const above = offset + (spanLow[j] ?? 0) - (spanHigh[i] ?? 0);
        forbidden.push([above, offset + (spanHigh[j] ?? 0) - (spanLow[i] ?? 0)]);
      }
    }
  }
  forbidden.sort((x, y) => x[0] - y[0] || x[1] - y[1]);
  let hole = 0;
  for (const [above, below] of forbidden) {
    if (above >= hole) break;
    if (below > hole) hole = alignUp(below, sections.alignment[b] ?? 1);
  }
  return hole;
}

/** With how many buffers each could share a time, by the ends of their hulls. */
export function neighbourCounts(sections: Sections): Int32Array {
  const count = sections.source.length;
  const times = sections.times.length;
  const begun = new Int32Array(times + 1);
  const ended = new Int32Array(times + 1);
  for (let b = 0; b < count; b++) {
    if (sections.first[b] === sections.last[b]) continue;
    const first = (sections.first[b] ?? 0) + 1;
    const last = sections.last[b] ?? 0;
    begun[first] = (begun[first] ?? 0) + 1;
    ended[last] = (ended[last] ?? 0) + 1;
  }
  for (let s = 1; s <= times; s++) {
    begun[s] = (begun[s] ?? 0) + (begun[s - 1] ?? 0);
    ended[s] = (ended[s] ?? 0) + (ended[s - 1] ?? 0);
  }
  return Int32Array.from({ length: count }, (_, b) =>
    Math.max(0, (begun[sections.last[b] ?? 0] ?? 0) - (ended[sections.first[b] ?? 0] ?? 0) - 1),
  );
}

/** First fit in the given order. */
export function firstFit(sections: Sections, neighbours: Int32Array, order: Int32Array): Placement {
  const count = sections.source.length;
  const fit: Fitting = {
    sections,
    offsets: new Float64Array(count),
    tree: emptyTree(sections),
    list: emptyList(sections),
    starts: new Float64Array(count),
    ends: new Float64Array(count),
    at: { work: 0 },
  };
  const pairs = neighbours.reduce((sum, own) => sum + own, 0);
  const isDense = !sections.hasWindows && pairs * scansPerGather > (count * count) / 2;
  let peak = 0;
  for (const b of order) {
    const size = sections.size[b] ?? 0;
    peak = Math.max(peak, size);
    if (sections.first[b] === sections.last[b]) continue;
    let offset: number;
    if (sections.hasWindows) offset = fitBetweenWindows(fit, b);
    else offset = isDense ? scanForHole(fit, b) : sortForHole(fit, b);
    fit.offsets[b] = offset;
    peak = Math.max(peak, offset + size);
    if (isDense) insertInList(fit.list, b, offset);
    else insertPlaced(fit.tree, b);
  }
  return { offsets: fit.offsets, peak, work: fit.at.work };
}
