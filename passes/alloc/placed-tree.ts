// Which placed buffers overlap a range of sections: a tree over all buffers, ordered by first section, whose nodes hold the
// largest last section of what is placed below them. Knows nothing of offsets.
import type { Sections } from "./sections.ts";

export type PlacedTree = {
  readonly sections: Sections;
  readonly leaves: number;
  /** Buffers by first section, and where each stands there. */
  readonly byFirst: Int32Array;
  readonly rank: Int32Array;
  readonly maxLast: Int32Array;
  readonly stack: Int32Array;
  readonly found: Int32Array;
};

export function emptyTree(sections: Sections): PlacedTree {
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
  return {
    sections,
    leaves,
    byFirst,
    rank,
    maxLast: new Int32Array(2 * leaves).fill(-1),
    stack: new Int32Array(64),
    found: new Int32Array(count),
  };
}

export function insertPlaced(tree: PlacedTree, b: number): void {
  const { maxLast } = tree;
  const last = tree.sections.last[b] ?? 0;
  for (let node = tree.leaves + (tree.rank[b] ?? 0); node >= 1; node >>= 1) {
    if ((maxLast[node] ?? -1) >= last) break;
    maxLast[node] = last;
  }
}

/** The first `count` entries of `found` are the placed buffers whose hull meets sections [from, to). Valid until the next call. */
export function gather(
  tree: PlacedTree,
  from: number,
  to: number,
): { readonly found: Int32Array; readonly count: number } {
  const { sections, leaves, byFirst, maxLast, stack, found } = tree;
  let count = 0;
  let depth = 0;
  stack[depth++] = 1;
  // Subtrees are met from left to right, so the first one that begins too late ends the walk.
  while (depth > 0) {
    const node = stack[--depth] ?? 0;
    if ((maxLast[node] ?? -1) <= from) continue;
    if (node < leaves) {
      stack[depth++] = 2 * node + 1;
      stack[depth++] = 2 * node;
      continue;
    }
    const b = byFirst[node - leaves] ?? 0;
    if ((sections.first[b] ?? 0) >= to) break;
    found[count++] = b;
  }
  return { found, count };
}
