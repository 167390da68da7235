// Fills the address space from the bottom without search: looks at the lowest stretch of what is occupied, and puts there the
// buffer, among those whose whole life lies within the stretch, that weighs most where the most is still to come. Fast on very
// many buffers, and good where many are live all the time. Gaps are not used: a buffer keeps its place from first to last.
import type { Placement } from "./first-fit.ts";
import { addLoad, type LoadTree, loadTreeOf, mostLoad } from "./load-tree.ts";
import { liveInSections, type Sections } from "./sections.ts";
import { emptyHeap, popSegment, pushSegment, type SegmentHeap } from "./segment-heap.ts";

/** Unplaced buffers by first section: list[start[s] .. start[s] + count[s]), and the next section that has any. */
type Waiting = {
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

function waitingOf(sections: Sections): Waiting {
  const count = sections.source.length;
  const width = sections.times.length;
  const perSection = new Int32Array(width + 1);
  const start = new Int32Array(width + 2);
  const isLive = (b: number): boolean => (sections.first[b] ?? 0) < (sections.last[b] ?? 0);
  for (let b = 0; b < count; b++) {
    const first = sections.first[b] ?? 0;
    if (isLive(b)) perSection[first] = (perSection[first] ?? 0) + 1;
  }
  for (let s = 0; s <= width; s++) start[s + 1] = (start[s] ?? 0) + (perSection[s] ?? 0);
  const fill = start.slice();
  const list = new Int32Array(count);
  for (let b = 0; b < count; b++) {
    if (!isLive(b)) continue;
    const first = sections.first[b] ?? 0;
    const at = fill[first] ?? 0;
    list[at] = b;
    fill[first] = at + 1;
  }
  const next = Int32Array.from({ length: width + 2 }, (_, s) => ((perSection[s] ?? 0) === 0 && s <= width ? s + 1 : s));
  return { list, start, count: perSection, next };
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

function removeWaiting(waiting: Waiting, s: number, b: number): void {
  const { list, start, count, next } = waiting;
  const begin = start[s] ?? 0;
  const left = (count[s] ?? 0) - 1;
  const at = list.indexOf(b, begin);
  list[at] = list[begin + left] ?? 0;
  list[begin + left] = b;
  count[s] = left;
  if (left === 0) next[s] = s + 1;
}

function sharpen(ratio: number, times: number): number {
  let power = ratio;
  for (let i = 0; i < times; i++) power *= power;
  return power;
}

/** The best buffer for the stretch [from, to) at `height`; -1 when none lives within it. */
function choose(skyline: Skyline, from: number, to: number, height: number): number {
  const { sections, weights, sharpness, lowerBound, waiting, load, at } = skyline;
  const bound = sharpen((height + mostLoad(load, from, to)) / lowerBound, sharpness);
  let best = -1;
  let bestScore = -1;
  for (let s = nextWaiting(waiting, from); s < to; s = nextWaiting(waiting, s + 1)) {
    const begin = waiting.start[s] ?? 0;
    const end = begin + (waiting.count[s] ?? 0);
    at.work += 4 + end - begin;
    for (let j = begin; j < end; j++) {
      const b = waiting.list[j] ?? 0;
      const last = sections.last[b] ?? 0;
      if (last > to || bound * (weights[b] ?? 0) < bestScore) continue;
      at.work += 40;
      const ratio = (height + mostLoad(load, s, last)) / lowerBound;
      const score = sharpen(ratio, sharpness) * (weights[b] ?? 0);
      if (score > bestScore || (score === bestScore && b < best)) {
        best = b;
        bestScore = score;
      }
    }
  }
  return best;
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

/** Puts b on the stretch [from, to), joining it with neighbours of the height it ends at. */
function put(skyline: Skyline, b: number, from: number, to: number, offset: number): void {
  const { sections, stretches, load, waiting, offsets } = skyline;
  const { end, previous, height, isCurrent } = stretches;
  const size = sections.size[b] ?? 0;
  const first = sections.first[b] ?? 0;
  const last = sections.last[b] ?? 0;
  const base = height[from] ?? 0;
  const top = offset + size;
  offsets[b] = offset;
  removeWaiting(waiting, first, b);
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
    waiting: waitingOf(sections),
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
    const b = choose(skyline, from, to, height);
    at.work += 20;
    if (at.work > workLimit) return undefined;
    if (b < 0) {
      fillUp(skyline, from, to);
      continue;
    }
    const alignment = sections.alignment[b] ?? 1;
    put(skyline, b, from, to, Math.ceil(height / alignment) * alignment);
    left--;
  }
  const peak = offsets.reduce((most, offset, b) => Math.max(most, offset + (sections.size[b] ?? 0)), 0);
  return { offsets, peak, work: at.work };
}
