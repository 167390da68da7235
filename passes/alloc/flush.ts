// A partial allocation of an instance without slack: every section is exactly as full as the capacity, so what is placed in a section
// stands without a hole from the ground up, and the next buffer there must begin exactly where that ends. Knows which buffers could be
// that one, and which placements are to blame that the others could not. Knows nothing of the order in which a search places.
import type { Amounts, Instance } from "./instance.ts";
import { zeros } from "./packing.ts";

export type FlushPacking = {
  readonly instance: Instance;
  readonly offset: Amounts;
  /** Lowest offset each unplaced buffer can still have. */
  readonly release: Amounts;
  readonly placed: Uint8Array;
  /** Which placement in turn each placed buffer was. */
  readonly level: Int32Array;
  /** The buffer stands flush in all of its sections when it is placed at its release. */
  readonly flush: Uint8Array;
  /** Of each section: size and number of the unplaced; how many of them could be next there, and how many of these are not flush. */
  readonly rest: Amounts;
  readonly count: Int32Array;
  readonly next: Int32Array;
  readonly waiting: Int32Array;
  readonly stamp: Int32Array;
  readonly touched: Int32Array;
  /** Set by a placement that failed: the placements, by level, that rule out every solution together. */
  readonly blamed: Uint32Array;
  /** What to take back, as stacks of keys and old values; the number of the current placement; entries looked at in all. */
  readonly at: { trail: number; stamp: number; looked: number; left: number; keys: Int32Array; values: Float64Array };
};

/** Words of a set of levels. */
export const levelWords = (instance: Instance): number => (instance.size.length >> 5) + 1;

export function hasLevel(set: Uint32Array, start: number, level: number): boolean {
  return (((set[start + (level >> 5)] ?? 0) >>> (level & 31)) & 1) === 1;
}

export function addLevel(set: Uint32Array, start: number, level: number): void {
  set[start + (level >> 5)] = (set[start + (level >> 5)] ?? 0) | (1 << (level & 31));
}

/** Is every section exactly as full as the capacity, and nothing pinned? */
export function hasNoSlack(instance: Instance): boolean {
  const { size, memberStart, member, sections, capacity, pin } = instance;
  if (pin !== undefined) return false;
  for (let s = 0; s < sections; s++) {
    let sum = 0;
    for (let j = memberStart[s] ?? 0; j < (memberStart[s + 1] ?? 0); j++) sum += size[member[j] ?? 0] ?? 0;
    if (sum !== capacity) return false;
  }
  return true;
}

/** Nothing placed yet. */
export function emptyFlushPacking(instance: Instance): FlushPacking {
  const { size, sections } = instance;
  const count = size.length;
  const packing: FlushPacking = {
    instance,
    offset: zeros(size, count),
    release: zeros(size, count),
    placed: new Uint8Array(count),
    level: new Int32Array(count),
    flush: new Uint8Array(count).fill(1),
    rest: zeros(size, sections),
    count: new Int32Array(sections),
    next: new Int32Array(sections),
    waiting: new Int32Array(sections),
    stamp: new Int32Array(sections),
    touched: new Int32Array(sections),
    blamed: new Uint32Array(levelWords(instance)),
    at: { trail: 0, stamp: 0, looked: 0, left: count, keys: new Int32Array(1024), values: new Float64Array(1024) },
  };
  for (let b = 0; b < count; b++) account(packing, b, 1);
  for (let s = 0; s < sections; s++) countNext(packing, s);
  return packing;
}

function account(packing: FlushPacking, b: number, sign: number): void {
  const { rest, count, instance } = packing;
  const { spanStart, spanFrom, spanTo } = instance;
  const size = sign * (instance.size[b] ?? 0);
  for (let k = spanStart[b] ?? 0; k < (spanStart[b + 1] ?? 0); k++) {
    const to = spanTo[k] ?? 0;
    for (let s = spanFrom[k] ?? 0; s < to; s++) {
      rest[s] = (rest[s] ?? 0) + size;
      count[s] = (count[s] ?? 0) + sign;
    }
  }
}

function record(packing: FlushPacking, key: number, value: number): void {
  const { at } = packing;
  if (at.trail === at.keys.length) {
    const keys = new Int32Array(2 * at.trail);
    keys.set(at.keys);
    at.keys = keys;
    const values = new Float64Array(2 * at.trail);
    values.set(at.values);
    at.values = values;
  }
  at.keys[at.trail] = key;
  at.values[at.trail] = value;
  at.trail++;
}

/** Takes back everything recorded since `mark`: keys are buffers three times over (release, flush, placed), then sections twice. */
export function undoFlush(packing: FlushPacking, mark: number): void {
  const { release, flush, placed, next, waiting, at } = packing;
  const buffers = release.length;
  const sections = next.length;
  while (at.trail > mark) {
    at.trail--;
    const key = at.keys[at.trail] ?? 0;
    const value = at.values[at.trail] ?? 0;
    if (key < buffers) release[key] = value;
    else if (key < 2 * buffers) flush[key - buffers] = value;
    else if (key < 3 * buffers) {
      placed[key - 2 * buffers] = 0;
      at.left++;
      account(packing, key - 2 * buffers, 1);
    } else if (key < 3 * buffers + sections) next[key - 3 * buffers] = value;
    else waiting[key - 3 * buffers - sections] = value;
  }
}

/** Counts the buffers that could be next in section s. */
function countNext(packing: FlushPacking, s: number): void {
  const { next, waiting, rest, release, placed, flush, instance, at } = packing;
  const { memberStart, member, capacity } = instance;
  const floor = capacity - (rest[s] ?? 0);
  const end = memberStart[s + 1] ?? 0;
  let found = 0;
  let notFlush = 0;
  at.looked += end - (memberStart[s] ?? 0);
  for (let j = memberStart[s] ?? 0; j < end; j++) {
    const b = member[j] ?? 0;
    if (placed[b] === 1 || (release[b] ?? 0) > floor) continue;
    found++;
    if (flush[b] === 0) notFlush++;
  }
  next[s] = found;
  waiting[s] = notFlush;
}

/** Does b leave no hole in any of its sections? */
function isFlush(packing: FlushPacking, b: number): boolean {
  const { rest, release, instance, at } = packing;
  const { spanStart, spanFrom, spanTo, capacity } = instance;
  const most = capacity - (release[b] ?? 0);
  for (let k = spanStart[b] ?? 0; k < (spanStart[b + 1] ?? 0); k++) {
    const to = spanTo[k] ?? 0;
    at.looked += to - (spanFrom[k] ?? 0);
    for (let s = spanFrom[k] ?? 0; s < to; s++) if ((rest[s] ?? 0) > most) return false;
  }
  return true;
}

/** Marks the sections of b: who is next there may have changed. Returns the number marked so far. */
function touch(packing: FlushPacking, b: number, marked: number): number {
  const { stamp, touched, instance, at } = packing;
  const { spanStart, spanFrom, spanTo } = instance;
  let n = marked;
  for (let k = spanStart[b] ?? 0; k < (spanStart[b + 1] ?? 0); k++) {
    const to = spanTo[k] ?? 0;
    for (let s = spanFrom[k] ?? 0; s < to; s++) {
      if (stamp[s] === at.stamp) continue;
      stamp[s] = at.stamp;
      touched[n++] = s;
    }
  }
  return n;
}

function recountTouched(packing: FlushPacking, marked: number): boolean {
  const { touched, next, waiting, count, release, blamed } = packing;
  const key = 3 * release.length;
  for (let i = 0; i < marked; i++) {
    const s = touched[i] ?? 0;
    record(packing, key + s, next[s] ?? 0);
    record(packing, key + next.length + s, waiting[s] ?? 0);
    countNext(packing, s);
    if (next[s] !== 0 || count[s] === 0) continue;
    blameSection(packing, s, blamed.fill(0), 0);
    return false;
  }
  return true;
}

/** Places b, which must be flush, at its release. False when that cannot lead to a solution; then `blamed` says why. */
export function placeFlush(packing: FlushPacking, b: number, level: number): boolean {
  const { release, placed, flush, offset, instance, at } = packing;
  const { size, alignment, aligned, overlapStart, overlap, capacity } = instance;
  const buffers = release.length;
  offset[b] = release[b] ?? 0;
  const top = (release[b] ?? 0) + (size[b] ?? 0);
  record(packing, 2 * buffers + b, 0);
  placed[b] = 1;
  packing.level[b] = level;
  at.left--;
  account(packing, b, -1);
  at.stamp++;
  let marked = touch(packing, b, 0);
  const end = overlapStart[b + 1] ?? 0;
  at.looked += end - (overlapStart[b] ?? 0);
  for (let j = overlapStart[b] ?? 0; j < end; j++) {
    const other = overlap[j] ?? 0;
    if (placed[other] === 1) continue;
    const old = release[other] ?? 0;
    if (old < top) {
      const step = aligned ? (alignment[other] ?? 1) : 1;
      record(packing, other, old);
      release[other] = Math.ceil(top / step) * step;
      if ((release[other] ?? 0) + (size[other] ?? 0) > capacity) {
        blameNeighbours(packing, other, packing.blamed.fill(0), 0);
        return false;
      }
      marked = touch(packing, other, marked);
    }
    const now = isFlush(packing, other) ? 1 : 0;
    if (now === flush[other]) continue;
    record(packing, buffers + other, flush[other] ?? 0);
    flush[other] = now;
    marked = touch(packing, other, marked);
  }
  return recountTouched(packing, marked);
}

function blameNeighbours(packing: FlushPacking, b: number, set: Uint32Array, start: number): void {
  const { placed, level, instance } = packing;
  const { overlapStart, overlap } = instance;
  for (let j = overlapStart[b] ?? 0; j < (overlapStart[b + 1] ?? 0); j++) {
    const other = overlap[j] ?? 0;
    if (placed[other] === 1) addLevel(set, start, level[other] ?? 0);
  }
}

/**
 * Adds to a set the placements that together leave only those buffers that could be next in section s: what stands there, and for
 * every other buffer one that occupies the address at which it would have to begin.
 */
export function blameSection(packing: FlushPacking, s: number, set: Uint32Array, start: number): void {
  const { placed, level, offset, release, rest, instance, at } = packing;
  const { memberStart, member, overlapStart, overlap, size, capacity } = instance;
  const from = memberStart[s] ?? 0;
  const to = memberStart[s + 1] ?? 0;
  const floor = capacity - (rest[s] ?? 0);
  for (let j = from; j < to; j++) {
    const b = member[j] ?? 0;
    if (placed[b] === 1) addLevel(set, start, level[b] ?? 0);
  }
  for (let j = from; j < to; j++) {
    const b = member[j] ?? 0;
    if (placed[b] === 1 || (release[b] ?? 0) <= floor) continue;
    const end = overlapStart[b + 1] ?? 0;
    at.looked += end - (overlapStart[b] ?? 0);
    let witness = -1;
    for (let i = overlapStart[b] ?? 0; i < end; i++) {
      const other = overlap[i] ?? 0;
      const low = offset[other] ?? 0;
      if (placed[other] === 0 || low > floor || low + (size[other] ?? 0) <= floor) continue;
      // One already blamed costs nothing; else the earliest, so that more later ones are innocent.
      if (hasLevel(set, start, level[other] ?? 0)) witness = other;
      else if (witness < 0 || (level[other] ?? 0) < (level[witness] ?? 0)) witness = other;
      if (hasLevel(set, start, level[witness] ?? 0)) break;
    }
    // The address is free but does not suit its alignment, or not all of it is free.
    if (witness < 0) blameNeighbours(packing, b, set, start);
    else addLevel(set, start, level[witness] ?? 0);
  }
}
