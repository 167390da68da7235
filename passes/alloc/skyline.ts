// Fills the address space from the bottom without search: looks at the lowest stretch of what is occupied, and puts there the
// buffer, among those whose whole life lies within the stretch, that weighs most where the most is still to come. Fast on very
// many buffers, and good where many are live all the time. Gaps are not used: a buffer keeps its place from first to last.
import type { Placement } from "./first-fit.ts";
import { addLoad, type LoadTree, loadTreeOf, mostLoad } from "./load-tree.ts";
import { liveInSections, type Sections } from "./sections.ts";
import { emptyHeap, popSegment, pushSegment, type SegmentHeap } from "./segment-heap.ts";

/**
 * Unplaced buffers, those with equal life one kind: of a kind the next in `order` up to its end is the best. Kinds by first section:
 * list[start[s] .. start[s] + count[s]), and the next section that has any.
 */
type Waiting = {
  readonly order: Int32Array;
  readonly nextOfKind: Int32Array;
  readonly endOfKind: Int32Array;
  readonly list: Int32Array;
  readonly start: Int32Array;
  readonly count: Int32Array;
  readonly next: Int32Array;
};

/** Stretches of equal height by their first section; only those marked as current count. */
type Stretches = {
  readonly end: Int32Array;
  readonly previous: Int32Array;
  readonly height: Float64Array;
  readonly isCurrent: Uint8Array;
};

type Skyline = {
  readonly sections: Sections;
  readonly weights: Float64Array;
  /** How often the load is squared before it multiplies the weight. */
  readonly sharpness: number;
  readonly lowerBound: number;
  readonly waiting: Waiting;
  readonly stretches: Stretches;
  readonly heap: SegmentHeap;
  readonly load: LoadTree;
  readonly offsets: Float64Array;
  readonly at: { work: number };
};

function waitingOf({ source, times, first, last }: Sections, weights: Float64Array): Waiting {
  const width = times.length;
  const order = Int32Array.from(source, (_, b) => b)
    .filter((b) => (first[b] ?? 0) < (last[b] ?? 0))
    .sort(
      (a, b) =>
        (first[a] ?? 0) - (first[b] ?? 0) ||
        (last[a] ?? 0) - (last[b] ?? 0) ||
        (weights[b] ?? 0) - (weights[a] ?? 0) ||
        a - b,
    );
  const nextOfKind: number[] = [];
  const perSection = new Int32Array(width + 1);
  order.forEach((b, i) => {
    const before = order[i - 1] ?? -1;
    if (before >= 0 && first[before] === first[b] && last[before] === last[b]) return;
    nextOfKind.push(i);
    perSection[first[b] ?? 0] = (perSection[first[b] ?? 0] ?? 0) + 1;
  });
  const start = new Int32Array(width + 2);
  for (let s = 0; s <= width; s++) start[s + 1] = (start[s] ?? 0) + (perSection[s] ?? 0);
  const next = Int32Array.from({ length: width + 2 }, (_, s) => ((perSection[s] ?? 0) === 0 && s <= width ? s + 1 : s));
  return {
    order,
    nextOfKind: Int32Array.from(nextOfKind),
    endOfKind: Int32Array.from(nextOfKind, (_, kind) => nextOfKind[kind + 1] ?? order.length),
    // They are in the order of their first sections.
    list: Int32Array.from(nextOfKind, (_, kind) => kind),
    start,
    count: perSection,
    next,
  };
}

/** The first section from s on in which an unplaced buffer begins. */
function nextWaiting(waiting: Waiting, s: number): number {
  const { next } = waiting;
  let at = s;
  while (next[at] !== at && at < next.length - 1) {
    const further = next[at] ?? at;
    next[at] = next[further] ?? further;
    at = next[at] ?? at;
  }
  return at;
}

/** Takes the best of a kind, which begins in section s, away. */
function removeWaiting(waiting: Waiting, s: number, kind: number): void {
  const { nextOfKind, endOfKind, list, start, count, next } = waiting;
  const taken = (nextOfKind[kind] ?? 0) + 1;
  nextOfKind[kind] = taken;
  if (taken < (endOfKind[kind] ?? 0)) return;
  const begin = start[s] ?? 0;
  const left = (count[s] ?? 0) - 1;
  const at = list.indexOf(kind, begin);
  list[at] = list[begin + left] ?? 0;
  list[begin + left] = kind;
  count[s] = left;
  if (left === 0) next[s] = s + 1;
}

function sharpen(ratio: number, times: number): number {
  let power = ratio;
  for (let i = 0; i < times; i++) power *= power;
  return power;
}

/** The kind of the best buffer for the stretch [from, to) at `height`; -1 when none lives within it. */
function choose(skyline: Skyline, from: number, to: number, height: number): number {
  const { sections, weights, sharpness, lowerBound, waiting, load, at } = skyline;
  const bound = sharpen((height + mostLoad(load, from, to)) / lowerBound, sharpness);
  let [best, bestKind, bestScore] = [-1, -1, -1];
  for (let s = nextWaiting(waiting, from); s < to; s = nextWaiting(waiting, s + 1)) {
    const begin = waiting.start[s] ?? 0;
    const end = begin + (waiting.count[s] ?? 0);
    at.work += 4 + end - begin;
    for (let j = begin; j < end; j++) {
      const kind = waiting.list[j] ?? 0;
      const b = waiting.order[waiting.nextOfKind[kind] ?? 0] ?? 0;
      const last = sections.last[b] ?? 0;
      if (last > to || bound * (weights[b] ?? 0) < bestScore) continue;
      at.work += 40;
      const ratio = (height + mostLoad(load, s, last)) / lowerBound;
      const score = sharpen(ratio, sharpness) * (weights[b] ?? 0);
      if (score > bestScore || (score === bestScore && b < best)) {
        best = b;
        bestKind = kind;
        bestScore = score;
      }
    }
  }
  return bestKind;
}

function setStretch(skyline: Skyline, start: number, end: number, height: number, previous: number): void {
  const { stretches, heap } = skyline;
  stretches.isCurrent[start] = 1;
  stretches.end[start] = end;
  stretches.height[start] = height;
  stretches.previous[start] = previous;
  stretches.previous[end] = start;
  pushSegment(heap, height, start, end);
}

/** Nothing lives within [from, to): what is above it is lost, up to its lower neighbour. */
function fillUp(skyline: Skyline, from: number, to: number): void {
  const { stretches } = skyline;
  const { end, previous, height, isCurrent } = stretches;
  const before = previous[from] ?? -1;
  const left = before < 0 ? Number.POSITIVE_INFINITY : (height[before] ?? 0);
  const right = isCurrent[to] === 1 ? (height[to] ?? 0) : Number.POSITIVE_INFINITY;
  const level = Math.min(left, right);
  let start = from;
  let stop = to;
  if (left === level) {
    isCurrent[from] = 0;
    start = before;
  }
  if (right === level) {
    isCurrent[to] = 0;
    stop = end[to] ?? to;
  }
  setStretch(skyline, start, stop, level, previous[start] ?? -1);
}

/** Puts the best of a kind on the stretch [from, to), joining it with neighbours of the height it ends at. */
function put(skyline: Skyline, kind: number, from: number, to: number): void {
  const { sections, stretches, load, waiting, offsets } = skyline;
  const { end, previous, height, isCurrent } = stretches;
  const b = waiting.order[waiting.nextOfKind[kind] ?? 0] ?? 0;
  const alignment = sections.alignment[b] ?? 1;
  const size = sections.size[b] ?? 0;
  const first = sections.first[b] ?? 0;
  const last = sections.last[b] ?? 0;
  const base = height[from] ?? 0;
  const offset = Math.ceil(base / alignment) * alignment;
  const top = offset + size;
  offsets[b] = offset;
  removeWaiting(waiting, first, kind);
  addLoad(load, first, last, -size);
  let before = previous[from] ?? -1;
  let start = first;
  let stop = last;
  isCurrent[from] = 0;
  if (from < first) {
    setStretch(skyline, from, first, base, before);
    before = from;
  } else if (before >= 0 && height[before] === top) {
    start = before;
    before = previous[before] ?? -1;
  }
  if (last < to) setStretch(skyline, last, to, base, start);
  else if (isCurrent[to] === 1 && height[to] === top) {
    isCurrent[to] = 0;
    stop = end[to] ?? to;
  }
  setStretch(skyline, start, stop, top, before);
}

/**
 * Places all buffers, or gives up (undefined) at `workLimit`. A buffer's score is its weight times the load of the fullest time it meets (what is there already and
 * still to come, by the lower bound), squared `sharpness` times over.
 */
export function fillSkyline(
  sections: Sections,
  weights: Float64Array,
  sharpness: number,
  lowerBound: number,
  workLimit: number,
): Placement | undefined {
  const count = sections.source.length;
  const width = Math.max(0, sections.times.length - 1);
  const skyline: Skyline = {
    sections,
    weights,
    sharpness,
    lowerBound: Math.max(1, lowerBound),
    waiting: waitingOf(sections, weights),
    stretches: {
      end: new Int32Array(width + 1),
      previous: new Int32Array(width + 1),
      height: new Float64Array(width + 1),
      isCurrent: new Uint8Array(width + 1),
    },
    heap: emptyHeap(2 * count + 16),
    load: loadTreeOf(liveInSections(sections)),
    offsets: new Float64Array(count),
    at: { work: 0 },
  };
  const { stretches, heap, offsets, at } = skyline;
  let left = sections.first.reduce((sum, first, b) => sum + (first < (sections.last[b] ?? 0) ? 1 : 0), 0);
  if (left > 0) setStretch(skyline, 0, width, 0, -1);
  while (left > 0 && popSegment(heap)) {
    const from = heap.start[heap.count] ?? 0;
    const to = heap.end[heap.count] ?? 0;
    const height = heap.height[heap.count] ?? 0;
    // Segments that have changed since they were pushed are passed over.
    if (stretches.isCurrent[from] !== 1 || stretches.end[from] !== to || stretches.height[from] !== height) continue;
    const kind = choose(skyline, from, to, height);
    at.work += 20;
    if (at.work > workLimit) return undefined;
    if (kind < 0) {
      fillUp(skyline, from, to);
      continue;
    }
    put(skyline, kind, from, to);
    left--;
  }
  const peak = offsets.reduce((most, offset, b) => Math.max(most, offset + (sections.size[b] ?? 0)), 0);
  return { offsets, peak, work: at.work };
}
