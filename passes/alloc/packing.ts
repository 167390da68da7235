// A partial allocation that grows and shrinks as a search goes down and up: which buffers of an instance are placed, how low
// the others can still go, and what each section still has to hold. Placing checks what can be seen at once to be hopeless.
// Knows nothing of the order in which a search places.
import type { Amounts, Instance } from "./instance.ts";

export type Packing = {
  readonly instance: Instance;
  readonly offset: Amounts;
  /** Lowest offset each unplaced buffer can still have. */
  readonly release: Amounts;
  readonly placed: Uint8Array;
  /** Of each section: lowest release of the unplaced, their total size and number; unplaced crossing to the next section. */
  readonly floor: Amounts;
  readonly rest: Amounts;
  readonly count: Int32Array;
  readonly crossing: Int32Array;
  readonly stamp: Int32Array;
  readonly touched: Int32Array;
  /**
   * What to take back: two growing stacks of keys and old values, their length; the number of the current placement; how many
   * entries were looked at in all.
   */
  readonly at: { trail: number; stamp: number; looked: number; keys: Int32Array; values: Amounts };
};

const huge = 2 ** 52;

export function zeros(like: Amounts, length: number): Amounts {
  return like instanceof Int32Array ? new Int32Array(length) : new Float64Array(length);
}

/** Nothing placed yet. */
export function emptyPacking(instance: Instance): Packing {
  const { size, sections } = instance;
  const packing: Packing = {
    instance,
    offset: zeros(size, size.length),
    release: zeros(size, size.length),
    placed: new Uint8Array(size.length),
    floor: zeros(size, sections),
    rest: zeros(size, sections),
    count: new Int32Array(sections),
    crossing: new Int32Array(sections),
    stamp: new Int32Array(sections),
    touched: new Int32Array(sections),
    at: { trail: 0, stamp: 0, looked: 0, keys: new Int32Array(1024), values: zeros(size, 1024) },
  };
  for (let b = 0; b < size.length; b++) account(packing, b, 1);
  const { pin, memberStart, member } = instance;
  if (pin === undefined) return packing;
  pin.forEach((at, b) => {
    if (at >= 0) packing.release[b] = at;
  });
  for (let s = 0; s < sections; s++) {
    let lowest = huge;
    for (let j = memberStart[s] ?? 0; j < (memberStart[s + 1] ?? 0); j++) {
      lowest = Math.min(lowest, packing.release[member[j] ?? 0] ?? 0);
    }
    packing.floor[s] = lowest;
  }
  return packing;
}

/** Adds (sign 1) or removes (sign -1) an unplaced buffer in the sums of its sections. */
function account(packing: Packing, b: number, sign: number): void {
  const { rest, count, crossing, instance } = packing;
  const { spanStart, spanFrom, spanTo, first, last } = instance;
  const size = sign * (instance.size[b] ?? 0);
  const end = spanStart[b + 1] ?? 0;
  for (let k = spanStart[b] ?? 0; k < end; k++) {
    const to = spanTo[k] ?? 0;
    for (let s = spanFrom[k] ?? 0; s < to; s++) {
      rest[s] = (rest[s] ?? 0) + size;
      count[s] = (count[s] ?? 0) + sign;
    }
  }
  const hullEnd = (last[b] ?? 0) - 1;
  for (let s = first[b] ?? 0; s < hullEnd; s++) crossing[s] = (crossing[s] ?? 0) + sign;
}

function record(packing: Packing, key: number, value: number): void {
  const { at } = packing;
  if (at.trail === at.keys.length) {
    const keys = new Int32Array(2 * at.trail);
    keys.set(at.keys);
    at.keys = keys;
    const values = zeros(at.values, 2 * at.trail);
    values.set(at.values);
    at.values = values;
  }
  at.keys[at.trail] = key;
  at.values[at.trail] = value;
  at.trail++;
}

/** Takes back everything recorded since `mark`: keys are buffers (release), sections (floor), then placed buffers. */
export function undo(packing: Packing, mark: number): void {
  const { release, floor, placed, at } = packing;
  const { keys, values } = at;
  const buffers = release.length;
  const sections = floor.length;
  while (at.trail > mark) {
    at.trail--;
    const key = keys[at.trail] ?? 0;
    const value = values[at.trail] ?? 0;
    if (key < buffers) release[key] = value;
    else if (key < buffers + sections) floor[key - buffers] = value;
    else {
      const b = key - buffers - sections;
      placed[b] = 0;
      account(packing, b, 1);
    }
  }
}

/** Marks the sections of b whose floor is `old`: their floor may have to rise. Returns the number marked so far. */
function touch(packing: Packing, b: number, old: number, marked: number): number {
  const { stamp, touched, floor, instance, at } = packing;
  const { spanStart, spanFrom, spanTo } = instance;
  const now = at.stamp;
  let n = marked;
  const end = spanStart[b + 1] ?? 0;
  for (let k = spanStart[b] ?? 0; k < end; k++) {
    const to = spanTo[k] ?? 0;
    for (let s = spanFrom[k] ?? 0; s < to; s++) {
      if (stamp[s] === now || (floor[s] ?? 0) < old) continue;
      stamp[s] = now;
      touched[n++] = s;
    }
  }
  return n;
}

/** Recomputes the floors of touched sections; false when one of them can no longer hold what is to come. */
function raiseFloors(packing: Packing, marked: number, offset: number): boolean {
  const { touched, floor, rest, count, release, placed, instance, at } = packing;
  const { memberStart, member, capacity } = instance;
  const key = release.length;
  for (let i = 0; i < marked; i++) {
    const s = touched[i] ?? 0;
    if (count[s] === 0) continue;
    let lowest = huge;
    const start = memberStart[s] ?? 0;
    const end = memberStart[s + 1] ?? 0;
    at.looked += end - start;
    for (let j = start; j < end; j++) {
      const b = member[j] ?? 0;
      if (placed[b] === 1) continue;
      const own = release[b] ?? 0;
      if (own < lowest) lowest = own;
    }
    const before = floor[s] ?? 0;
    if (lowest !== before) {
      record(packing, key + s, before);
      floor[s] = lowest;
    }
    if (Math.max(lowest, offset) + (rest[s] ?? 0) > capacity) return false;
  }
  return true;
}

/** Places b; -1 when that cannot lead to a solution, 0 when nothing unplaced overlaps it, else 1. */
export function place(packing: Packing, b: number, offset: number): number {
  const { release, placed, floor, instance, at } = packing;
  const { size, alignment, aligned, overlapStart, overlap, capacity, pin } = instance;
  const top = offset + (size[b] ?? 0);
  record(packing, release.length + floor.length + b, 0);
  placed[b] = 1;
  packing.offset[b] = offset;
  account(packing, b, -1);
  at.stamp++;
  let marked = touch(packing, b, offset, 0);
  let covered = 0;
  const start = overlapStart[b] ?? 0;
  const end = overlapStart[b + 1] ?? 0;
  at.looked += end - start;
  for (let j = start; j < end; j++) {
    const other = overlap[j] ?? 0;
    if (placed[other] === 1) continue;
    covered = 1;
    const old = release[other] ?? 0;
    if (old >= top) continue;
    if (pin !== undefined && (pin[other] ?? -1) >= 0) return -1;
    let raised = top;
    if (aligned) {
      const step = alignment[other] ?? 1;
      raised = Math.ceil(top / step) * step;
    }
    record(packing, other, old);
    release[other] = raised;
    if (raised + (size[other] ?? 0) > capacity) return -1;
    marked = touch(packing, other, old, marked);
  }
  return raiseFloors(packing, marked, offset) ? covered : -1;
}

/** Is b, which was passed over, kept from its lowest offset by a neighbour that is still to come? */
export function isBlocked(packing: Packing, b: number): boolean {
  const { release, placed, instance } = packing;
  const { overlapStart, overlap, size } = instance;
  const top = (release[b] ?? 0) + (size[b] ?? 0);
  const end = overlapStart[b + 1] ?? 0;
  for (let j = overlapStart[b] ?? 0; j < end; j++) {
    const other = overlap[j] ?? 0;
    if (placed[other] === 0 && (release[other] ?? 0) < top) return true;
  }
  return false;
}

/** The most that a section in [from, to) still has to hold. */
export function mostToCome(packing: Packing, from: number, to: number): number {
  const { rest } = packing;
  let most = 0;
  for (let s = from; s < to; s++) {
    const own = rest[s] ?? 0;
    if (own > most) most = own;
  }
  return most;
}
