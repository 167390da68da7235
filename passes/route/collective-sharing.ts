// How many rounds each step of a schedule may have: steps that follow each other need so many together, and all of them have so many. What they need is
// closed under addition first, so that whatever is chosen for the first steps can be completed. Knows numbers only.

/** Visits of the enumeration, and sharings it may find. */
const mostVisits = 20_000;
const mostFound = 2_000;
/** Sharings that are given. */
const mostSharings = 48;

/**
 * spans[i * (steps + 1) + j]: least rounds of steps i to j - 1 together, given `needs[x * steps + y]`, the rounds a chunk that steps x to y must have.
 */
function leastSpans(needs: Float64Array, chunks: number, steps: number): Float64Array {
  const width = steps + 1;
  const spans = new Float64Array(width * width);
  for (let length = 1; length <= steps; length++) {
    for (let i = 0; i + length <= steps; i++) {
      const j = i + length;
      let least = Math.max(length, Math.ceil((needs[i * steps + j - 1] ?? 0) * chunks - 1e-9));
      for (let k = i + 1; k < j; k++)
        least = Math.max(least, (spans[i * width + k] as number) + (spans[k * width + j] as number));
      spans[i * width + j] = least;
    }
  }
  return spans;
}

/** Least rounds that so many steps can have. */
export function leastRoundsOfSteps(needs: Float64Array, chunks: number, steps: number): number {
  return leastSpans(needs, chunks, steps)[steps] as number;
}

/** Rounds shared among steps as they need them: even ones first, then those with more rounds in early steps. */
export function sharings(
  needs: Float64Array,
  chunks: number,
  steps: number,
  rounds: number,
): readonly (readonly number[])[] {
  const width = steps + 1;
  const spans = leastSpans(needs, chunks, steps);
  if ((spans[steps] as number) > rounds) return [];
  const found: number[][] = [];
  const sums = [0];
  let visits = mostVisits;
  const extend = (): void => {
    const at = sums.length - 1;
    if (at === steps) {
      found.push(sums.slice(1).map((sum, i) => sum - (sums[i] as number)));
      return;
    }
    const sum = sums[at] as number;
    const least = sums.reduce((most, before, i) => Math.max(most, before + (spans[i * width + at + 1] as number)), 0);
    const most = rounds - (at + 1 === steps ? 0 : (spans[(at + 1) * width + steps] as number));
    const from = at + 1 === steps ? rounds : least;
    const even = sum + Math.ceil((rounds - sum) / (steps - at));
    const choices = Array.from({ length: Math.max(0, most - from + 1) }, (_, i) => from + i);
    choices.sort((a, b) => Math.abs(a - even) - Math.abs(b - even) || b - a);
    for (const choice of choices) {
      if (visits-- <= 0 || found.length >= mostFound) return;
      sums.push(choice);
      extend();
      sums.pop();
    }
  };
  extend();
  const spreadOf = (sharing: readonly number[]): number => sharing.reduce((sum, count) => sum + count * count, 0);
  const earliness = (sharing: readonly number[]): number => sharing.reduce((sum, count, i) => sum + count * i, 0);
  return found
    .map((sharing, index) => ({ sharing, index, spread: spreadOf(sharing), late: earliness(sharing) }))
    .sort((a, b) => a.spread - b.spread || a.late - b.late || a.index - b.index)
    .slice(0, mostSharings)
    .map(({ sharing }) => sharing);
}
