// How full memory is while a block is scheduled: words that hold what tasks still to be placed will read, and words whose last reader is placed
// but has not read yet. Places for results are chosen by it; addresses come later.
import type { Storage, StorageId } from "../lower/kernel.ts";
import type { Buffer } from "./state.ts";

export interface Occupancy {
  /** Words of each slice and bank that tasks still to be placed touch, or that are needed for good. */
  readonly held: number[];
  /** Of each slice and bank: words that are read for the last time at `until`, ascending. */
  readonly leaving: { readonly until: number; readonly words: number }[][];
  /** Words ever given out of each slice and bank. */
  readonly ever: number[];
  /** Tasks still to be placed that read or write a part, by part key; absent: nobody counts. */
  readonly uses: Map<string, number>;
  /** Nothing of the task that is being placed begins before this cycle. */
  now: number;
}

export const newOccupancy = (places: number): Occupancy => ({
  held: new Array(places).fill(0),
  leaving: Array.from({ length: places }, () => []),
  ever: new Array(places).fill(0),
  uses: new Map(),
  now: 0,
});

export const partKey = (storage: StorageId, part: number): string => `${storage}:${part}`;

/** Whether a part is needed for good, or by others than the tasks of the block. */
export const outlivesTasks = ({ content, boundary }: Storage): boolean =>
  content !== undefined || boundary !== undefined;

/** A buffer takes its words. `places`: its slices, in its bank. */
export function occupy({ held, ever }: Occupancy, places: readonly number[], words: number): void {
  for (const place of places) {
    held[place] = (held[place] ?? 0) + words;
    ever[place] = (ever[place] ?? 0) + words;
  }
}

/** Words in use, in the fullest of some places, when the task that is being placed begins at the earliest. Not told apart if `enough` or fewer. */
export function wordsInUse({ held, leaving, ever, now }: Occupancy, places: readonly number[], enough: number): number {
  let most = 0;
  for (const place of places) {
    if ((ever[place] ?? 0) <= enough) continue;
    let words = held[place] ?? 0;
    const list = leaving[place] ?? [];
    for (let i = list.length - 1; i >= 0 && (list[i]?.until ?? 0) >= now; i--) words += list[i]?.words ?? 0;
    most = Math.max(most, words);
  }
  return most;
}

/** One more of the tasks that touch a part is placed; after the last one its buffers leave as soon as they are read. */
export function countDown(
  { uses, held, leaving }: Occupancy,
  key: string,
  buffers: readonly (Buffer | undefined)[],
  placesOf: (buffer: Buffer) => readonly number[],
): void {
  const left = (uses.get(key) ?? 0) - 1;
  uses.set(key, left);
  if (left !== 0) return;
  for (const buffer of buffers) {
    if (buffer === undefined) continue;
    const { words, lastRead: until } = buffer;
    for (const place of placesOf(buffer)) {
      held[place] = (held[place] ?? 0) - words;
      const list = leaving[place] ?? [];
      let at = list.length;
      while (at > 0 && (list[at - 1]?.until ?? 0) > until) at--;
      list.splice(at, 0, { until, words });
    }
  }
}
