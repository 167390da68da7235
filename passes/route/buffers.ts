// Vectors that chips hold for others while they wait to be sent on: how many a forwarded piece needs, and when a chip has room. Knows times and
// counts only.

export type Buffers = {
  readonly capacity: number;
  readonly period: number | undefined;
  /** By chip: [from, until) and the vectors held then. */
  readonly holds: readonly { readonly from: number; readonly until: number; readonly vectors: number }[][];
};

export function makeBuffers(chips: number, capacity: number, period: number | undefined): Buffers {
  return { capacity, period, holds: Array.from({ length: chips }, () => []) };
}

/**
 * Most vectors of a piece that are held at a time: they arrive evenly from `first` to `last` and leave from `start` on, one in `every` cycles,
 * without a gap.
 */
export function ringVectors(vectors: number, first: number, last: number, start: number, every: number): number {
  const arrivalEvery = vectors > 1 ? (last - first) / (vectors - 1) : 0;
  // Sent no slower than received: most are held when the first leaves. Sent more slowly: when the last arrives.
  const arrivedByStart =
    arrivalEvery === 0 ? vectors : Math.min(vectors, Math.floor((start - first) / arrivalEvery) + 1);
  const sentBeforeLast = last <= start ? 0 : Math.ceil((last - start) / every);
  return Math.max(1, every <= arrivalEvery ? arrivedByStart : vectors - sentBeforeLast);
}

/** Vectors held by a chip at any time in [from, until), at most. */
function mostHeld(buffers: Buffers, chip: number, from: number, until: number): number {
  const holds = buffers.holds[chip] ?? [];
  const { period } = buffers;
  if (period === undefined) {
    const overlapping = holds.filter((hold) => hold.from < until && from < hold.until);
    return mostAtOnce(overlapping.map((hold) => ({ ...hold, from: Math.max(from, hold.from) })));
  }
  return mostAtOnce(holds.flatMap((hold) => foldHold(hold, period)));
}

type Hold = Buffers["holds"][number][number];

/** A hold on the circle: what lasts a whole turn, and the rest in one or two parts. */
export function foldHold({ from, until, vectors }: Hold, period: number): readonly Hold[] {
  const turns = Math.floor((until - from) / period);
  const parts: Hold[] = turns > 0 ? [{ from: 0, until: period, vectors: vectors * turns }] : [];
  const begin = from % period;
  const end = begin + (until - from - turns * period);
  if (end > begin) parts.push({ from: begin, until: Math.min(end, period), vectors });
  if (end > period) parts.push({ from: 0, until: end - period, vectors });
  return parts;
}

export function mostAtOnce(holds: readonly Hold[]): number {
  const events = holds.flatMap(({ from, until, vectors }) => [
    { at: from, change: vectors },
    { at: until, change: -vectors },
  ]);
  events.sort((a, b) => a.at - b.at || a.change - b.change);
  let held = 0;
  let most = 0;
  for (const { change } of events) {
    held += change;
    most = Math.max(most, held);
  }
  return most;
}

/** Whether a chip can hold so many more from the first arrival to the last sending. */
export function fitsBuffer(buffers: Buffers, chip: number, first: number, lastSend: number, vectors: number): boolean {
  if (vectors > buffers.capacity) return false;
  const { period } = buffers;
  const hold = { from: first, until: lastSend + 1, vectors };
  if (period === undefined) return mostHeld(buffers, chip, first, lastSend + 1) + vectors <= buffers.capacity;
  const parts = [...(buffers.holds[chip] ?? []), hold].flatMap((other) => foldHold(other, period));
  return mostAtOnce(parts) <= buffers.capacity;
}

export function takeBuffer(buffers: Buffers, chip: number, first: number, lastSend: number, vectors: number): void {
  buffers.holds[chip]?.push({ from: first, until: lastSend + 1, vectors });
}

/** The most each chip ever holds. */
export function bufferPeaks(buffers: Buffers): readonly number[] {
  const { period, holds } = buffers;
  return holds.map((list) => mostAtOnce(period === undefined ? list : list.flatMap((hold) => foldHold(hold, period))));
}
