// Loads of sections under additions to ranges, and the largest in any range, in logarithmic time. Knows numbers only.

export type LoadTree = {
  readonly leaves: number;
  /** Largest load below a node, without what was added to whole nodes above it. */
  readonly most: Float64Array;
  /** What was added to all of a node. */
  readonly added: Float64Array;
};

export function loadTreeOf(loads: Float64Array): LoadTree {
  let leaves = 1;
  while (leaves < loads.length) leaves *= 2;
  const most = new Float64Array(2 * leaves).fill(Number.NEGATIVE_INFINITY);
  most.set(loads, leaves);
  for (let node = leaves - 1; node >= 1; node--) {
    most[node] = Math.max(most[2 * node] ?? 0, most[2 * node + 1] ?? 0);
  }
  return { leaves, most, added: new Float64Array(2 * leaves) };
}

function repair(tree: LoadTree, leaf: number): void {
  const { most, added } = tree;
  for (let node = leaf >> 1; node >= 1; node >>= 1) {
    most[node] = Math.max(most[2 * node] ?? 0, most[2 * node + 1] ?? 0) + (added[node] ?? 0);
  }
}

/** Adds to the loads of [from, to), which must not be empty. */
export function addLoad(tree: LoadTree, from: number, to: number, amount: number): void {
  const { leaves, most, added } = tree;
  let low = from + leaves;
  let high = to + leaves;
  while (low < high) {
    if ((low & 1) === 1) {
      most[low] = (most[low] ?? 0) + amount;
      added[low] = (added[low] ?? 0) + amount;
      low++;
    }
    if ((high & 1) === 1) {
      high--;
      most[high] = (most[high] ?? 0) + amount;
      added[high] = (added[high] ?? 0) + amount;
    }
    low >>= 1;
    high >>= 1;
  }
  repair(tree, from + leaves);
  repair(tree, to - 1 + leaves);
}

/** The largest load in [from, to), which must not be empty. */
export function mostLoad(tree: LoadTree, from: number, to: number): number {
  const { leaves, most, added } = tree;
  // Two walks up from the ends; each keeps the largest of what lies to its inner side, with all that was added on the way.
  let low = from + leaves;
  let high = to - 1 + leaves;
  let left = most[low] ?? 0;
  if (low === high) {
    for (let node = low >> 1; node >= 1; node >>= 1) left += added[node] ?? 0;
    return left;
  }
  let right = most[high] ?? 0;
  while (low >> 1 !== high >> 1) {
    if ((low & 1) === 0) left = Math.max(left, most[low + 1] ?? 0);
    if ((high & 1) === 1) right = Math.max(right, most[high - 1] ?? 0);
    low >>= 1;
    high >>= 1;
    left += added[low] ?? 0;
    right += added[high] ?? 0;
  }
  let largest = Math.max(left, right);
  for (let node = low >> 1; node >= 1; node >>= 1) largest += added[node] ?? 0;
  return largest;
}
