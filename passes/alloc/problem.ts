// The static allocation problem: buffers with known live ranges that must share one address space. Data, its structural
// verifier and the order-independent normal form. Knows nothing of how it is solved, nor of files or machines: sizes are in
// whatever unit the caller counts (bytes or words), times in whatever clock the caller keeps.

/** Half-open interval. */
export type Range = { readonly lower: number; readonly upper: number };

/**
 * Part of a live range in which the buffer does not need all of its space: nothing, or only `window` (relative to the
 * buffer's offset).
 */
export type AllocGap = { readonly lower: number; readonly upper: number; readonly window?: Range };

export type AllocBuffer = {
  readonly id: string;
  /** Live in [lower, upper). */
  readonly lower: number;
  readonly upper: number;
  readonly size: number;
  /** The offset must be a multiple of this; 1 when absent. */
  readonly alignment?: number;
  /** An offset to try first. Never binding. */
  readonly hint?: number;
  readonly gaps?: readonly AllocGap[];
};

export type AllocProblem = { readonly buffers: readonly AllocBuffer[]; readonly capacity: number };

export type ProblemFault = { readonly buffer: number; readonly message: string };

const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0;

function gapFaults(buffer: AllocBuffer): string[] {
  const faults: string[] = [];
  let end = buffer.lower;
  for (const gap of [...(buffer.gaps ?? [])].sort((a, b) => a.lower - b.lower || a.upper - b.upper)) {
    const text = `gap [${gap.lower}, ${gap.upper})`;
    if (!Number.isSafeInteger(gap.lower) || !Number.isSafeInteger(gap.upper) || gap.lower > gap.upper) {
      faults.push(`${text} is not an interval of integers`);
      continue;
    }
    if (gap.lower < buffer.lower || gap.upper > buffer.upper) {
      faults.push(`${text} leaves the live range [${buffer.lower}, ${buffer.upper})`);
    } else if (gap.lower < end) {
      faults.push(`${text} overlaps the gap before it`);
    }
    end = Math.max(end, gap.upper);
    const window = gap.window;
    if (window === undefined) continue;
    if (!isCount(window.lower) || !isCount(window.upper) || window.lower > window.upper || window.upper > buffer.size) {
      faults.push(`window [${window.lower}, ${window.upper}) of ${text} is not inside [0, ${buffer.size})`);
    }
  }
  return faults;
}

function bufferFaults(buffer: AllocBuffer): string[] {
  const faults: string[] = [];
  if (!Number.isSafeInteger(buffer.lower) || !Number.isSafeInteger(buffer.upper)) {
    faults.push(`live range [${buffer.lower}, ${buffer.upper}) is not made of integers`);
  } else if (buffer.lower > buffer.upper) {
    faults.push(`live range [${buffer.lower}, ${buffer.upper}) ends before it starts`);
  }
  if (!isCount(buffer.size)) faults.push(`size ${buffer.size} is not a non-negative integer`);
  const alignment = buffer.alignment ?? 1;
  if (!isCount(alignment) || alignment === 0) faults.push(`alignment ${alignment} is not a positive integer`);
  if (buffer.hint !== undefined && !isCount(buffer.hint))
    faults.push(`hint ${buffer.hint} is not a non-negative integer`);
  return [...faults, ...gapFaults(buffer)];
}

/** Everything that is structurally wrong with a problem. The solvers require an empty answer. */
export function verifyAllocProblem(problem: AllocProblem): readonly ProblemFault[] {
  const faults: ProblemFault[] = [];
  const firstWithId = new Map<string, number>();
  let total = 0;
  problem.buffers.forEach((buffer, index) => {
    for (const message of bufferFaults(buffer)) faults.push({ buffer: index, message });
    const first = firstWithId.get(buffer.id);
    if (first === undefined) firstWithId.set(buffer.id, index);
    else faults.push({ buffer: index, message: `id ${buffer.id} is already used by buffer number ${first}` });
    total += buffer.size + (buffer.alignment ?? 1);
    if (!Number.isSafeInteger(total)) faults.push({ buffer: index, message: "the sizes add up to more than 2^53" });
  });
  if (!isCount(problem.capacity)) {
    faults.push({ buffer: -1, message: `capacity ${problem.capacity} is not a non-negative integer` });
  }
  return faults;
}

/** A time in which the buffer occupies [offset + low, offset + high). */
export type Activity = { readonly lower: number; readonly upper: number; readonly low: number; readonly high: number };

/** The buffer's live range cut at its gaps, in time order, without the parts that occupy nothing. */
export function activitiesOf(buffer: AllocBuffer): readonly Activity[] {
  const whole = { low: 0, high: buffer.size };
  if (buffer.size === 0 || buffer.lower === buffer.upper) return [];
  if (buffer.gaps === undefined || buffer.gaps.length === 0) {
    return [{ lower: buffer.lower, upper: buffer.upper, ...whole }];
  }
  const parts: Activity[] = [];
  let from = buffer.lower;
  for (const gap of [...buffer.gaps].sort((a, b) => a.lower - b.lower || a.upper - b.upper)) {
    if (gap.lower === gap.upper) continue;
    if (from < gap.lower) parts.push({ lower: from, upper: gap.lower, ...whole });
    const window = gap.window;
    if (window !== undefined && window.lower < window.upper) {
      parts.push({ lower: gap.lower, upper: gap.upper, low: window.lower, high: window.upper });
    }
    from = gap.upper;
  }
  if (from < buffer.upper) parts.push({ lower: from, upper: buffer.upper, ...whole });
  return parts;
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const gapKey = (buffer: AllocBuffer): string =>
  activitiesOf(buffer)
    .map((part) => `${part.lower} ${part.upper} ${part.low} ${part.high}`)
    .join(";");

/**
 * Indices of the buffers in an order that depends on what the buffers are and not on where they stand, so that a permuted
 * problem gets the same answer.
 */
export function normalOrder(buffers: readonly AllocBuffer[]): readonly number[] {
  const hasGaps = buffers.some((buffer) => (buffer.gaps ?? []).length > 0);
  const keys = hasGaps ? buffers.map(gapKey) : [];
  const entries = buffers.map((buffer, index) => ({ buffer, index, key: keys[index] ?? "" }));
  entries.sort(
    (a, b) =>
      a.buffer.lower - b.buffer.lower ||
      a.buffer.upper - b.buffer.upper ||
      a.buffer.size - b.buffer.size ||
      (a.buffer.alignment ?? 1) - (b.buffer.alignment ?? 1) ||
      compareText(a.key, b.key) ||
      compareText(a.buffer.id, b.buffer.id) ||
      a.index - b.index,
  );
  return entries.map((entry) => entry.index);
}
