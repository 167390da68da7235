// A heap of skyline segments, lowest first, then leftmost. Knows nothing of what lies below or above them.

export type SegmentHeap = { height: Float64Array; start: Int32Array; end: Int32Array; count: number };

export function emptyHeap(capacity: number): SegmentHeap {
  return {
    height: new Float64Array(capacity),
    start: new Int32Array(capacity),
    end: new Int32Array(capacity),
    count: 0,
  };
}

function grow(heap: SegmentHeap): void {
  const { height, start, end } = heap;
  heap.height = new Float64Array(2 * height.length);
  heap.height.set(height);
  heap.start = new Int32Array(2 * start.length);
  heap.start.set(start);
  heap.end = new Int32Array(2 * end.length);
  heap.end.set(end);
}

function copyEntry(heap: SegmentHeap, from: number, to: number): void {
  heap.height[to] = heap.height[from] ?? 0;
  heap.start[to] = heap.start[from] ?? 0;
  heap.end[to] = heap.end[from] ?? 0;
}

export function pushSegment(heap: SegmentHeap, height: number, start: number, end: number): void {
  if (heap.count === heap.height.length) grow(heap);
  let at = heap.count++;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap.height[parent] ?? 0;
    if (above < height || (above === height && (heap.start[parent] ?? 0) <= start)) break;
    copyEntry(heap, parent, at);
    at = parent;
  }
  heap.height[at] = height;
  heap.start[at] = start;
  heap.end[at] = end;
}

/** Moves the first segment to the place after the last and restores the order; false when the heap is empty. */
export function popSegment(heap: SegmentHeap): boolean {
  if (heap.count === 0) return false;
  const last = --heap.count;
  const { height, start, end } = heap;
  const [topHeight, topStart, topEnd] = [height[0] ?? 0, start[0] ?? 0, end[0] ?? 0];
  const [ownHeight, ownStart, ownEnd] = [height[last] ?? 0, start[last] ?? 0, end[last] ?? 0];
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= last) break;
    if (child + 1 < last && isBefore(heap, child + 1, child)) child++;
    const below = height[child] ?? 0;
    if (below > ownHeight || (below === ownHeight && (start[child] ?? 0) >= ownStart)) break;
    copyEntry(heap, child, at);
    at = child;
  }
  height[at] = ownHeight;
  start[at] = ownStart;
  end[at] = ownEnd;
  height[last] = topHeight;
  start[last] = topStart;
  end[last] = topEnd;
  return true;
}

function isBefore(heap: SegmentHeap, a: number, b: number): boolean {
  const difference = (heap.height[a] ?? 0) - (heap.height[b] ?? 0);
  return difference < 0 || (difference === 0 && (heap.start[a] ?? 0) < (heap.start[b] ?? 0));
}
