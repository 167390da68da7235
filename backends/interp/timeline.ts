// Which queue issues next: a binary heap over (cycle, queue number). A queue is in it at most once. Allocates nothing after it is made.

export interface Timeline {
  readonly cycles: Int32Array;
  readonly queues: Int32Array;
  size: number;
}

export function makeTimeline(queues: number): Timeline {
  return { cycles: new Int32Array(queues + 1), queues: new Int32Array(queues + 1), size: 0 };
}

export function pushTimeline(timeline: Timeline, cycle: number, queue: number): void {
  const { cycles, queues } = timeline;
  let at = timeline.size;
  timeline.size += 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const other = cycles[parent] as number;
    if (other < cycle || (other === cycle && (queues[parent] as number) < queue)) break;
    cycles[at] = other;
    queues[at] = queues[parent] as number;
    at = parent;
  }
  cycles[at] = cycle;
  queues[at] = queue;
}

/** The queue that issues first, -1 if none is left. */
export function popTimeline(timeline: Timeline): number {
  if (timeline.size === 0) return -1;
  const { cycles, queues } = timeline;
  const first = queues[0] as number;
  timeline.size -= 1;
  const size = timeline.size;
  const cycle = cycles[size] as number;
  const queue = queues[size] as number;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && isBefore(timeline, child + 1, child)) child += 1;
    const other = cycles[child] as number;
    if (cycle < other || (cycle === other && queue < (queues[child] as number))) break;
    cycles[at] = other;
    queues[at] = queues[child] as number;
    at = child;
  }
  cycles[at] = cycle;
  queues[at] = queue;
  return first;
}

function isBefore(timeline: Timeline, a: number, b: number): boolean {
  const { cycles, queues } = timeline;
  const [x, y] = [cycles[a] as number, cycles[b] as number];
  return x < y || (x === y && (queues[a] as number) < (queues[b] as number));
}
