// Exact search for instances without slack. In every section someone must begin exactly where what is placed ends: the next buffer
// placed is one of those that can do so in the section with the fewest of them. What makes it small:
// - a section for which no buffer is left ends the branch at once, and most sections leave one choice only;
// - a failure names the placements to blame for it, and those after the last of these are taken back without trying alternatives;
// - of buffers that differ in nothing one is tried.
// The search is a resumable machine with an explicit stack, so that several can take turns without starting over.
import {
  blameSection,
  emptyFlushPacking,
  type FlushPacking,
  hasLevel,
  levelWords,
  placeFlush,
  undoFlush,
} from "./flush.ts";
import type { Instance } from "./instance.ts";
import { listPerWork, lookedPerWork, type SearchStatus } from "./lowest-first.ts";

/** Which buffer goes first among those that fit: the greatest by this. */
export type FlushOrder = "length" | "area" | "size";

type Node = {
  readonly trailMark: number;
  readonly choices: readonly number[];
  /** Index of the next choice. */
  next: number;
};

export type TightestFirst = {
  readonly packing: FlushPacking;
  readonly key: Float64Array;
  readonly nodes: Node[];
  /** For each node, as `words` words: the placements to blame for what has failed in it so far. */
  readonly words: number;
  readonly blame: Uint32Array;
  readonly at: { work: number; status: SearchStatus };
};

/** Sets of levels take memory with the square of this. */
const mostBuffers = 8_192;

export const isSmallEnough = (instance: Instance): boolean => instance.size.length <= mostBuffers;

/** A search about to begin; the instance must have no slack. */
export function startTightestFirst(instance: Instance, order: FlushOrder): TightestFirst {
  const { size, length } = instance;
  const words = levelWords(instance);
  const keyOf = {
    length: Float64Array.from(length),
    area: Float64Array.from(length, (time, b) => time * (size[b] ?? 0)),
    size: Float64Array.from(size),
  };
  const search: TightestFirst = {
    packing: emptyFlushPacking(instance),
    key: keyOf[order],
    nodes: [],
    words,
    blame: new Uint32Array(words * (size.length + 1)),
    at: { work: 1 + Math.floor(size.length / listPerWork), status: "running" },
  };
  open(search, -1);
  return search;
}

/** The section with the fewest choices, all of which can be placed now; of those the one nearest to b, the last placed. */
function tightestSection(packing: FlushPacking, b: number): number {
  const { count, next, waiting, instance } = packing;
  const from = b < 0 ? 0 : (instance.first[b] ?? 0);
  const to = b < 0 ? count.length : (instance.last[b] ?? 0);
  packing.at.looked += count.length;
  let best = -1;
  let fewest = Number.POSITIVE_INFINITY;
  let nearest = 0;
  for (let s = 0; s < count.length; s++) {
    const own = next[s] ?? 0;
    if (count[s] === 0 || waiting[s] !== 0 || own > fewest) continue;
    const distance = s < from ? from - s : s >= to ? s - to + 1 : 0;
    if (own === fewest && distance >= nearest) continue;
    best = s;
    fewest = own;
    nearest = distance;
  }
  return best;
}

/** Opens a node below the placement of b. */
function open(search: TightestFirst, b: number): void {
  const { packing, key, nodes, words, blame } = search;
  const { instance, placed, release, rest } = packing;
  const { memberStart, member, capacity } = instance;
  // The section least filled always qualifies: what can be next there lies flush in all its sections.
  const s = tightestSection(packing, b);
  const choices: number[] = [];
  for (let j = memberStart[s] ?? 0; j < (memberStart[s + 1] ?? 0); j++) {
    const own = member[j] ?? 0;
    if (placed[own] === 0 && (release[own] ?? 0) <= capacity - (rest[s] ?? 0)) choices.push(own);
  }
  choices.sort((x, y) => (key[y] ?? 0) - (key[x] ?? 0) || x - y);
  const start = nodes.length * words;
  blame.fill(0, start, start + words);
  blameSection(packing, s, blame, start);
  nodes.push({ trailMark: packing.at.trail, choices, next: 0 });
  search.at.work++;
}

/** Do the two differ in nothing? */
function areAlike({ size, alignment, spanStart, spanFrom, spanTo }: Instance, a: number, b: number): boolean {
  const from = spanStart[a] ?? 0;
  const other = spanStart[b] ?? 0;
  const spans = (spanStart[a + 1] ?? 0) - from;
  if (size[a] !== size[b] || alignment[a] !== alignment[b] || spans !== (spanStart[b + 1] ?? 0) - other) return false;
  for (let k = 0; k < spans; k++) {
    if (spanFrom[from + k] !== spanFrom[other + k] || spanTo[from + k] !== spanTo[other + k]) return false;
  }
  return true;
}

/** Blames the placements of a set, at `start` of `set`, for the node on top too: without its own, that is what the others fail for. */
function passOn(search: TightestFirst, set: Uint32Array, start: number): void {
  const { nodes, words, blame } = search;
  const depth = nodes.length - 1;
  const own = depth * words;
  for (let w = 0; w < words; w++) blame[own + w] = (blame[own + w] ?? 0) | (set[start + w] ?? 0);
  blame[own + (depth >> 5)] = (blame[own + (depth >> 5)] ?? 0) & ~(1 << (depth & 31));
}

/** Takes back placements until one that is to blame; the node on top has no choice left, or its last choice was innocent. */
function jumpBack(search: TightestFirst, failed: Uint32Array, start: number): void {
  const { nodes, packing } = search;
  while (nodes.length > 0 && !hasLevel(failed, start, nodes.length - 1)) {
    undoFlush(packing, nodes.at(-1)?.trailMark ?? 0);
    nodes.pop();
  }
  if (nodes.length > 0) passOn(search, failed, start);
}

/** Tries the next choice of the node on top. */
function tryNextChoice(search: TightestFirst, node: Node): void {
  const { packing, nodes, words, blame, at } = search;
  const depth = nodes.length - 1;
  undoFlush(packing, node.trailMark);
  const b = node.choices[node.next];
  if (b === undefined) {
    nodes.pop();
    jumpBack(search, blame, depth * words);
    return;
  }
  const tried = node.choices.slice(0, node.next);
  node.next++;
  if (tried.some((other) => areAlike(packing.instance, other, b))) return;
  at.work++;
  if (!placeFlush(packing, b, depth)) jumpBack(search, packing.blamed, 0);
  else if (packing.at.left === 0) at.status = "solved";
  else open(search, b);
}

/** Runs for about `work` more units of work. After "solved", the packing holds the solution. */
export function advanceTightestFirst(search: TightestFirst, work: number): SearchStatus {
  const { packing, nodes, at } = search;
  const limit = at.work + work;
  while (at.status === "running" && at.work < limit) {
    const node = nodes.at(-1);
    if (node === undefined) {
      at.status = "exhausted";
      break;
    }
    tryNextChoice(search, node);
    at.work += Math.floor(packing.at.looked / lookedPerWork);
    packing.at.looked %= lookedPerWork;
  }
  return at.status;
}
