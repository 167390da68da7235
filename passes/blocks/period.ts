// The repeated layer in a list of node signatures: the period and the cut that covers most of the list with the least data across a cut.
export interface Period {
  readonly from: number;
  readonly length: number;
  readonly repeats: number;
}

const leastLength = 3;

/** Longest stretch in which every signature equals the one `length` further on. */
function longestRun(ids: Int32Array, length: number): { from: number; count: number } {
  let best = { from: 0, count: 0 };
  let from = 0;
  for (let i = 0; i + length <= ids.length; i++) {
    if (i + length < ids.length && ids[i] === ids[i + length]) continue;
    if (i - from > best.count) best = { from, count: i - from };
    from = i + 1;
  }
  return best;
}

/** `crossing(cut)` is the amount of data alive before node `cut`. */
export function findPeriod(signatures: readonly string[], crossing: (cut: number) => number): Period | undefined {
  const numbers = new Map<string, number>();
  const ids = Int32Array.from(signatures, (signature) => {
    const known = numbers.get(signature);
    if (known !== undefined) return known;
    numbers.set(signature, numbers.size);
    return numbers.size - 1;
  });
  let best: { from: number; length: number; covered: number } | undefined;
  for (let length = leastLength; length * 2 <= ids.length; length++) {
    const run = longestRun(ids, length);
    if (run.count < length) continue;
    const covered = run.count + length;
    if (best === undefined || covered - length > best.covered - best.length) best = { from: run.from, length, covered };
  }
  if (best === undefined) return undefined;
  const most = Math.floor(best.covered / best.length);
  let chosen: (Period & { cost: number }) | undefined;
  for (let offset = 0; offset < best.length && offset < best.covered; offset++) {
    const repeats = Math.floor((best.covered - offset) / best.length);
    if (repeats < Math.max(2, most - 1)) continue;
    const from = best.from + offset;
    const cost = crossing(from + best.length) * 1_000_000 + (most - repeats) * 1000 + offset;
    if (chosen === undefined || cost < chosen.cost) chosen = { from, length: best.length, repeats, cost };
  }
  return chosen && { from: chosen.from, length: chosen.length, repeats: chosen.repeats };
}
