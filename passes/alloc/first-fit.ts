// Places buffers one after another, each at the lowest free address, in an order given from outside. Handles gaps, windows and
// alignment; the time of one placement grows with the number of buffers alive with it.
import type { Sections } from "./sections.ts";

/** Which placed buffers overlap a range of sections: a tree over buffers by first section, holding the largest last section. */
type PlacedTree = {
  readonly leaves: number;
  readonly byFirst: Int32Array;
  readonly rank: Int32Array;
  readonly maxLast: Int32Array;
};

function emptyTree(sections: Sections): PlacedTree {
  const count = sections.first.length;
  const byFirst = Int32Array.from({ length: count }, (_, b) => b).sort(
    (a, b) => (sections.first[a] ?? 0) - (sections.first[b] ?? 0) || a - b,
  );
  const rank = new Int32Array(count);
  byFirst.forEach((b, at) => {
    rank[b] = at;
  });
  let leaves = 1;
  while (leaves < count) leaves *= 2;
  return { leaves, byFirst, rank, maxLast: new Int32Array(2 * leaves).fill(-1) };
}

function insert(tree: PlacedTree, b: number, last: number): void {
  for (let node = tree.leaves + (tree.rank[b] ?? 0); node >= 1; node >>= 1) {
    if ((tree.maxLast[node] ?? -1) >= last) break;
    tree.maxLast[node] = last;
  }
}

/** Appends to `found` the placed buffers whose hull meets sections [from, to). */
function collect(tree: PlacedTree, first: Int32Array, from: number, to: number, found: number[]): void {
  const stack = [1];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if ((tree.maxLast[node] ?? -1) <= from) continue;
    if (node >= tree.leaves) {
      const b = tree.byFirst[node - tree.leaves] ?? 0;
      if ((first[b] ?? 0) < to) found.push(b);
      continue;
    }
    let leftmost = node;
    while (leftmost < tree.leaves) leftmost *= 2;
    const b = tree.byFirst[leftmost - tree.leaves];
    if (b === undefined || (first[b] ?? 0) >= to) continue;
    stack.push(2 * node + 1, 2 * node);
  }
}

/** Appends the open intervals of offsets that `placed` at `offset` forbids to `b`. */
function forbid(sections: Sections, b: number, placed: number, offset: number, forbidden: [number, number][]): void {
  const { spanStart, spanFrom, spanTo, spanLow, spanHigh } = sections;
  let i = spanStart[b] ?? 0;
  let j = spanStart[placed] ?? 0;
  const iEnd = spanStart[b + 1] ?? 0;
  const jEnd = spanStart[placed + 1] ?? 0;
  while (i < iEnd && j < jEnd) {
    const iTo = spanTo[i] ?? 0;
    const jTo = spanTo[j] ?? 0;
    if ((spanFrom[i] ?? 0) < jTo && (spanFrom[j] ?? 0) < iTo) {
      forbidden.push([
        offset + (spanLow[j] ?? 0) - (spanHigh[i] ?? 0),
        offset + (spanHigh[j] ?? 0) - (spanLow[i] ?? 0),
      ]);
    }
    if (iTo <= jTo) i++;
    else j++;
  }
}

const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;

export type Placement = { readonly offsets: Float64Array; readonly peak: number };

/** First fit in the given order. */
export function firstFit(sections: Sections, order: Int32Array): Placement {
  const tree = emptyTree(sections);
  const offsets = new Float64Array(sections.source.length);
  let peak = 0;
  for (const b of order) {
    const first = sections.first[b] ?? 0;
    const last = sections.last[b] ?? 0;
    if (first === last) {
      peak = Math.max(peak, sections.size[b] ?? 0);
      continue;
    }
    const neighbours: number[] = [];
    collect(tree, sections.first, first, last, neighbours);
    const forbidden: [number, number][] = [];
    for (const other of neighbours) forbid(sections, b, other, offsets[other] ?? 0, forbidden);
    forbidden.sort((a, c) => a[0] - c[0] || a[1] - c[1]);
    const alignment = sections.alignment[b] ?? 1;
    let offset = 0;
    for (const [above, below] of forbidden) {
      if (above >= offset) break;
      if (below > offset) offset = alignUp(below, alignment);
    }
    offsets[b] = offset;
    peak = Math.max(peak, offset + (sections.size[b] ?? 0));
    insert(tree, b, last);
  }
  return { offsets, peak };
}
