// Which cycles of one inference need which resource of the system: half-open stretches by the name of the resource. A stretch is kept as one number, so
// that millions of them are sorted without objects.

/** Stretches of one resource: apart from each other, ascending. */
export interface Use {
  readonly resource: string;
  readonly starts: Float64Array;
  readonly ends: Float64Array;
}

export interface Collector {
  /** Stretches by resource, each start * 2^lengthBits + length. */
  readonly packed: Map<string, number[]>;
  /** Stretches collected, and the most that may be. */
  count: number;
  readonly most: number;
}

const lengthScale = 2 ** 24;
/** Diagonals may lie a little before cycle 0. */
const startOffset = 2 ** 16;

export const newCollector = (most: number): Collector => ({ packed: new Map(), count: 0, most });

export const isFull = (collector: Collector): boolean => collector.count > collector.most;

export function addUse(collector: Collector, resource: string, start: number, length: number): void {
  if (length <= 0) return;
  collector.count++;
  if (isFull(collector)) return;
  const packed = (start + startOffset) * lengthScale + Math.min(length, lengthScale - 1);
  const list = collector.packed.get(resource);
  if (list === undefined) collector.packed.set(resource, [packed]);
  else list.push(packed);
}

export interface Repetition {
  readonly start: number;
  readonly count: number;
  readonly period: number;
}

/** `width` cycles from every issue on. */
export function addIssues(
  collector: Collector,
  resource: string,
  { start, count, period }: Repetition,
  width = 1,
): void {
  if (count <= 1 || period <= width) addUse(collector, resource, start, (count - 1) * period + width);
  else {
    // Also where there is no room left the loop must end soon.
    for (let i = 0; i < count && !isFull(collector); i++) addUse(collector, resource, start + i * period, width);
  }
}

function joined(resource: string, list: readonly number[]): Use {
  const packed = Float64Array.from(list).sort();
  const starts = new Float64Array(packed.length);
  const ends = new Float64Array(packed.length);
  let last = -1;
  for (const one of packed) {
    const start = Math.floor(one / lengthScale);
    const end = start + (one - start * lengthScale);
    if (last >= 0 && start <= (ends[last] as number)) ends[last] = Math.max(ends[last] as number, end);
    else {
      last++;
      starts[last] = start;
      ends[last] = end;
    }
  }
  return { resource, starts: starts.slice(0, last + 1), ends: ends.slice(0, last + 1) };
}

/** What was collected, in the order in which resources were first named. */
export const usesOf = ({ packed }: Collector): readonly Use[] =>
  [...packed].map(([resource, list]) => joined(resource, list));
