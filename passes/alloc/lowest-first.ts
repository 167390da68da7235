// Exact search that fills the address space from the bottom: the next buffer placed is one of those that can go lowest, and
// offsets never decrease along a branch, so every way of stacking is met once. What makes it small:
// - a branch ends when in some section the lowest unplaced offset plus all that is still to come exceeds the capacity;
// - a buffer that was passed over must be kept from its place by a neighbour still to come, or the branch is pointless;
// - where no unplaced buffer crosses a time, both sides are solved one after the other, never again together.
// The search is a resumable machine with an explicit stack, so that several can take turns without starting over.
import type { Instance } from "./instance.ts";
import { emptyPacking, isBlocked, mostToCome, type Packing, place, undo } from "./packing.ts";

/** Which buffer goes first among those at the same offset: descending by these keys in turn. */
export type Preorder = readonly ("pressure" | "length" | "area")[];

export type SearchStatus = "running" | "solved" | "exhausted";

/** A stack of nodes with choices, and of places where a node fell into parts. */
type Frames = {
  readonly isSplit: Uint8Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly listStart: Int32Array;
  readonly listEnd: Int32Array;
  readonly arenaMark: Int32Array;
  readonly trailMark: Int32Array;
  readonly nextChoice: Int32Array;
  readonly choiceEnd: Int32Array;
};

export type LowestFirst = {
  readonly packing: Packing;
  readonly keys: readonly Float64Array[];
  readonly pressure: Float64Array;
  readonly frames: Frames;
  /** Registers of the machine; `work` counts nodes opened and placements tried, more than once where they are large. */
  readonly at: { depth: number; arena: Int32Array; arenaEnd: number; work: number; status: SearchStatus };
};

const huge = 2 ** 52;

/** What an ordinary node or placement does: entries of its list, and entries looked at to place. */
export const listPerWork = 256;
export const lookedPerWork = 4_096;

function emptyFrames(depth: number): Frames {
  return {
    isSplit: new Uint8Array(depth),
    from: new Int32Array(depth),
    to: new Int32Array(depth),
    listStart: new Int32Array(depth),
    listEnd: new Int32Array(depth),
    arenaMark: new Int32Array(depth),
    trailMark: new Int32Array(depth),
    nextChoice: new Int32Array(depth),
    choiceEnd: new Int32Array(depth),
  };
}

/** A search about to begin. */
export function startLowestFirst(instance: Instance, preorder: Preorder): LowestFirst {
  const { size, length, sections } = instance;
  const count = size.length;
  const pressure = new Float64Array(count);
  const area = Float64Array.from(length, (time, b) => time * (size[b] ?? 0));
  const work = Math.floor(count / listPerWork + instance.member.length / lookedPerWork);
  const keyOf = { pressure, length, area };
  const search: LowestFirst = {
    packing: emptyPacking(instance),
    keys: preorder.map((name) => keyOf[name]),
    pressure,
    frames: emptyFrames(2 * count + 2),
    at: { depth: 0, arena: new Int32Array(4 * count + 16), arenaEnd: count, work, status: "running" },
  };
  const all = Int32Array.from({ length: count }, (_, b) => b);
  measurePressure(search, all, 0, count);
  search.at.arena.set(all.sort((a, b) => compare(search.keys, a, b)));
  enter(search, 0, sections, 0, count, 0, 0);
  return search;
}

function reserveArena(search: LowestFirst, more: number): void {
  const { at } = search;
  if (at.arenaEnd + more <= at.arena.length) return;
  const grown = new Int32Array(2 * (at.arenaEnd + more));
  grown.set(at.arena);
  at.arena = grown;
}

/** Negative when a goes before b. */
function compare(keys: readonly Float64Array[], a: number, b: number): number {
  for (const key of keys) {
    const difference = (key[b] ?? 0) - (key[a] ?? 0);
    if (difference !== 0) return difference;
  }
  return a - b;
}

/** The most that any section of each buffer in list[start, end) still has to hold. */
function measurePressure(search: LowestFirst, list: Int32Array, start: number, end: number): void {
  const { packing, pressure } = search;
  const { spanStart, spanFrom, spanTo } = packing.instance;
  const { rest } = packing;
  for (let i = start; i < end; i++) {
    const b = list[i] ?? 0;
    let most = 0;
    for (let k = spanStart[b] ?? 0; k < (spanStart[b + 1] ?? 0); k++) {
      for (let s = spanFrom[k] ?? 0; s < (spanTo[k] ?? 0); s++) {
        const own = rest[s] ?? 0;
        if (own > most) most = own;
      }
    }
    pressure[b] = most;
  }
}

/** Sorts the buffers in arena[start, end) by the search's preorder; nearly sorted lists are the rule. */
function sortList(search: LowestFirst, start: number, end: number): void {
  const { keys } = search;
  const { arena } = search.at;
  measurePressure(search, arena, start, end);
  for (let i = start + 1; i < end; i++) {
    const b = arena[i] ?? 0;
    let j = i;
    for (; j > start && compare(keys, arena[j - 1] ?? 0, b) > 0; j--) arena[j] = arena[j - 1] ?? 0;
    arena[j] = b;
  }
}

/**
 * Opens a node for the unplaced buffers of a list: pushes a frame with the buffers that may be placed next, in order.
 * `offset` and `position` are those of the buffer placed last; the next must not come before it. Returns false when nothing is
 * left to place (then there is no frame), and an empty frame when the node is hopeless.
 */
function enter(
  search: LowestFirst,
  from: number,
  to: number,
  listStart: number,
  listEnd: number,
  offset: number,
  position: number,
): boolean {
  const { frames, packing, at } = search;
  const { release, placed, instance } = packing;
  const { size } = instance;
  const arenaMark = at.arenaEnd;
  reserveArena(search, 2 * (listEnd - listStart));
  const { arena } = at;
  at.work += 1 + Math.floor((listEnd - listStart) / listPerWork);
  let lowestTop = huge;
  let left = 0;
  for (let i = listStart; i < listEnd; i++) {
    const b = arena[i] ?? 0;
    if (placed[b] === 1) continue;
    left++;
    const top = (release[b] ?? 0) + (size[b] ?? 0);
    if (top < lowestTop) lowestTop = top;
  }
  if (left === 0) return false;
  let start = listStart;
  let end = listEnd;
  let passed = position;
  if (4 * left < 3 * (listEnd - listStart)) {
    // Copy what is left once enough is placed, so that nodes cost what they still have to do.
    start = arenaMark;
    end = arenaMark;
    for (let i = listStart; i < listEnd; i++) {
      if (i === position) passed = end;
      const b = arena[i] ?? 0;
      if (placed[b] === 0) arena[end++] = b;
    }
    at.arenaEnd = end;
  }
  // Whatever is placed from here on is at least as high as the next one, so that one must leave room for every section's rest.
  const highest = instance.capacity - mostToCome(search.packing, from, to);
  const firstChoice = at.arenaEnd;
  let choices = firstChoice;
  for (let i = start; i < end; i++) {
    const b = arena[i] ?? 0;
    if (placed[b] === 1) continue;
    const own = release[b] ?? 0;
    if (own < offset || (own === offset && i < passed)) {
      const isPinned = instance.pin !== undefined && (instance.pin[b] ?? -1) >= 0;
      if (!isPinned && isBlocked(search.packing, b)) continue;
      choices = firstChoice;
      break;
    }
    if (own >= lowestTop || own > highest) continue;
    let j = choices++;
    for (; j > firstChoice; j--) {
      const other = arena[j - 1] ?? 0;
      if ((release[arena[other] ?? 0] ?? 0) <= own) break;
      arena[j] = other;
    }
    arena[j] = i;
  }
  const depth = at.depth++;
  at.arenaEnd = choices;
  frames.isSplit[depth] = 0;
  frames.from[depth] = from;
  frames.to[depth] = to;
  frames.listStart[depth] = start;
  frames.listEnd[depth] = end;
  frames.arenaMark[depth] = arenaMark;
  frames.trailMark[depth] = search.packing.at.trail;
  frames.nextChoice[depth] = firstChoice;
  frames.choiceEnd[depth] = choices;
  return true;
}

/** How much waste the tightest section of [from, to) can still bear; huge when nothing is left to place there. */
function slackOf(packing: Packing, from: number, to: number): number {
  const { count, floor, rest, instance } = packing;
  let slack = huge;
  for (let s = from; s < to; s++) {
    if (count[s] === 0) continue;
    const own = instance.capacity - (floor[s] ?? 0) - (rest[s] ?? 0);
    if (own < slack) slack = own;
  }
  return slack;
}

/**
 * Inserts the part [from, to) into arena[start, end), unless it is empty; returns the new end. Entries are (from, to, slack),
 * tightest first: if a part must fail, let it fail early.
 */
function addPart(search: LowestFirst, start: number, end: number, from: number, to: number): number {
  const { arena } = search.at;
  const exact = slackOf(search.packing, from, to);
  if (exact === huge) return end;
  const slack = Math.min(exact, 2 ** 30);
  let j = end;
  for (; j > start && (arena[j - 1] ?? 0) > slack; j -= 3) arena.copyWithin(j, j - 3, j);
  arena[j] = from;
  arena[j + 1] = to;
  arena[j + 2] = slack;
  return end + 3;
}

/** Pushes a frame for the parts into which placing b has cut [from, to); false when there is still one part. */
function split(search: LowestFirst, parent: number, b: number): boolean {
  const { frames, packing, at } = search;
  const { crossing, instance } = packing;
  const from = frames.from[parent] ?? 0;
  const to = frames.to[parent] ?? 0;
  const last = (instance.last[b] ?? 0) - 1;
  let cuts = 0;
  for (let s = instance.first[b] ?? 0; s < last; s++) if (crossing[s] === 0) cuts++;
  if (cuts === 0) return false;
  reserveArena(search, 3 * (cuts + 1));
  const start = at.arenaEnd;
  let end = start;
  let left = from;
  for (let s = instance.first[b] ?? 0; s < last; s++) {
    if (crossing[s] !== 0) continue;
    end = addPart(search, start, end, left, s + 1);
    left = s + 1;
  }
  end = addPart(search, start, end, left, to);
  const depth = at.depth++;
  frames.isSplit[depth] = 1;
  frames.arenaMark[depth] = start;
  frames.listStart[depth] = frames.listStart[parent] ?? 0;
  frames.listEnd[depth] = frames.listEnd[parent] ?? 0;
  frames.nextChoice[depth] = start;
  frames.choiceEnd[depth] = end;
  at.arenaEnd = end;
  return true;
}

/** Opens the next part of the split frame on top; false when all are solved. */
function enterNextPart(search: LowestFirst): boolean {
  const { frames, packing, at } = search;
  const { placed, instance } = packing;
  const depth = at.depth - 1;
  while ((frames.nextChoice[depth] ?? 0) < (frames.choiceEnd[depth] ?? 0)) {
    const choice = frames.nextChoice[depth] ?? 0;
    frames.nextChoice[depth] = choice + 3;
    const listStart = frames.listStart[depth] ?? 0;
    const listEnd = frames.listEnd[depth] ?? 0;
    at.arenaEnd = frames.choiceEnd[depth] ?? 0;
    reserveArena(search, listEnd - listStart);
    const { arena } = at;
    const from = arena[choice] ?? 0;
    const to = arena[choice + 1] ?? 0;
    const start = at.arenaEnd;
    for (let i = listStart; i < listEnd; i++) {
      const b = arena[i] ?? 0;
      if (placed[b] === 1 || (instance.first[b] ?? 0) < from || (instance.last[b] ?? 0) > to) continue;
      arena[at.arenaEnd++] = b;
    }
    sortList(search, start, at.arenaEnd);
    at.work += Math.floor((listEnd - listStart) / listPerWork);
    if (enter(search, from, to, start, at.arenaEnd, 0, start)) return true;
  }
  return false;
}

/** What a step led to: another node, a frame without choices left, or nothing more to place here. */
type Outcome = "open" | "failed" | "solved";

/** Tries the next choice of the frame on top; pops it when there is none. */
function tryNextChoice(search: LowestFirst): Outcome {
  const { frames, packing, at } = search;
  const depth = at.depth - 1;
  undo(search.packing, frames.trailMark[depth] ?? 0);
  const choice = frames.nextChoice[depth] ?? 0;
  const choiceEnd = frames.choiceEnd[depth] ?? 0;
  if (choice >= choiceEnd) {
    at.arenaEnd = frames.arenaMark[depth] ?? 0;
    at.depth = depth;
    return "failed";
  }
  at.arenaEnd = choiceEnd;
  const position = at.arena[choice] ?? 0;
  const b = at.arena[position] ?? 0;
  const offset = packing.release[b] ?? 0;
  const looked = packing.at.looked;
  const outcome = place(packing, b, offset);
  at.work += 1 + Math.floor((packing.at.looked - looked) / lookedPerWork);
  // With nothing above it, b is no worse here than anywhere: there is no point in any alternative.
  frames.nextChoice[depth] = outcome === 0 ? choiceEnd : choice + 1;
  if (outcome < 0) return "open";
  if (split(search, depth, b)) return enterNextPart(search) ? "open" : "solved";
  const from = frames.from[depth] ?? 0;
  const to = frames.to[depth] ?? 0;
  const listStart = frames.listStart[depth] ?? 0;
  return enter(search, from, to, listStart, frames.listEnd[depth] ?? 0, offset, position) ? "open" : "solved";
}

/** Everything under the frame on top is solved: goes up to the next part that is not. */
function ascendSolved(search: LowestFirst): void {
  const { frames, at } = search;
  while (at.depth > 0) {
    if (frames.isSplit[at.depth - 1] === 1 && enterNextPart(search)) return;
    at.depth--;
  }
  at.status = "solved";
}

/** Runs for about `work` more units of work. After "solved", the packing holds the solution. */
export function advanceLowestFirst(search: LowestFirst, work: number): SearchStatus {
  const { frames, at } = search;
  const limit = at.work + work;
  while (at.status === "running" && at.work < limit) {
    if (at.depth === 0) {
      at.status = "exhausted";
      break;
    }
    const outcome = tryNextChoice(search);
    if (outcome === "solved") ascendSolved(search);
    // One part that cannot be solved is enough: the placement that made the parts is wrong.
    else if (outcome === "failed" && at.depth > 0 && frames.isSplit[at.depth - 1] === 1) at.depth--;
  }
  return at.status;
}
