// What chips hold for others while a collective goes on: chunks on their way through, sums on their way to a chip that wants them, and vectors that wait
// to be added. Counted from above, chunk by chunk. Knows times and counts only.
import { type Buffers, bufferPeaks, makeBuffers, ringVectors, takeBuffer } from "./buffers.ts";

/** Vectors of a chunk at a chip from `first` to `last`, sent on until `until`. */
type Kept = {
  readonly chip: number;
  readonly first: number;
  readonly last: number;
  readonly vectors: number;
  readonly isSum: boolean;
  /** Of the first sending, its period, and how many there are. */
  readonly sent: number;
  readonly every: number;
  readonly times: number;
  readonly until: number;
};

export type Holds = {
  readonly buffers: Buffers;
  /** By chunk and chip, as long as it is at the chip for others. */
  readonly kept: Map<number, Kept>;
};

export function makeHolds(chips: number): Holds {
  return { buffers: makeBuffers(chips, Number.POSITIVE_INFINITY, undefined), kept: new Map() };
}

/** A chunk has come to a chip that does not want it for itself, or a part of a sum is made there. */
export function keep(
  { kept }: Holds,
  key: number,
  chip: number,
  content: { readonly first: number; readonly last: number; readonly vectors: number; readonly isSum: boolean },
): void {
  const known = kept.get(key);
  if (known === undefined) kept.set(key, { ...content, chip, sent: 0, every: 1, times: 0, until: 0 });
  else if (content.first < known.first) kept.set(key, { ...known, first: content.first });
}

export function sendKept({ kept }: Holds, key: number, start: number, vectors: number, every: number): void {
  const here = kept.get(key);
  if (here === undefined) return;
  const until = Math.max(here.until, start + (vectors - 1) * every);
  const sent = here.times === 0 ? start : Math.min(here.sent, start);
  kept.set(key, { ...here, sent, every, times: here.times + 1, until });
}

/** What arrives from `first` on waits until it is added: the first vector until `start`, the last, which comes at `last`, until `end`. */
export function waitToAdd(
  { buffers }: Holds,
  chip: number,
  arrival: { readonly first: number; readonly last: number },
  start: number,
  end: number,
  vectors: number,
  every: number,
): void {
  const lag = Math.max(start - arrival.first, end - arrival.last);
  if (lag <= 0) return;
  takeBuffer(buffers, chip, arrival.first, end, Math.min(vectors, Math.floor(lag / every) + 1));
}

/** The most each chip ever holds. */
export function holdPeaks({ buffers, kept }: Holds): readonly number[] {
  for (const { chip, first, last, vectors, isSum, sent, every, times, until } of kept.values()) {
    if (times === 0) continue;
    const isRing = !isSum && times === 1;
    takeBuffer(buffers, chip, first, until, isRing ? ringVectors(vectors, first, last, sent, every) : vectors);
  }
  return bufferPeaks(buffers);
}
