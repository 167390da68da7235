// All issues of all bursts in cycle order: a merge with a heap of the bursts that are under way.
import type { Mnemonic } from "../../ir/machine/isa.ts";
import type { Site } from "./report.ts";

/** Within a cycle producers come before consumers, should a latency be 0. */
const phases = {
  receive: 0,
  read: 0,
  gather: 1,
  acc: 1,
  permute: 2,
  alu: 3,
  iw: 4,
  lw: 5,
  abc: 5,
  write: 6,
  scatter: 6,
  send: 6,
  deskew: 6,
} as const satisfies Record<Mnemonic, number>;

/** Sorted by phase, so that a position orders issues of one cycle. */
function ranked(sites: readonly Site[]): readonly Site[] {
  return [...sites].sort((a, b) => phases[a.ins.op] - phases[b.ins.op] || a.id - b.id);
}

interface Heap {
  readonly keys: number[];
}

function push(heap: Heap, key: number): void {
  const { keys } = heap;
  let at = keys.length;
  keys.push(key);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = keys[parent] as number;
    if (above <= key) break;
    keys[at] = above;
    at = parent;
  }
  keys[at] = key;
}

/** Replaces the least key (or, without `key`, takes it away). */
function replaceTop(heap: Heap, replacement: number | undefined): void {
  const { keys } = heap;
  const key = replacement ?? (keys.pop() as number);
  if (keys.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= keys.length) break;
    if (child + 1 < keys.length && (keys[child + 1] as number) < (keys[child] as number)) child++;
    const below = keys[child] as number;
    if (below >= key) break;
    keys[at] = below;
    at = child;
  }
  keys[at] = key;
}

/** Visits every issue: `visit(site, repetition, cycle)`. Keys are cycle * sites + rank, exact in a double. */
export function visitAllIssues(
  sites: readonly Site[],
  visit: (site: Site, repetition: number, cycle: number) => void,
): void {
  const order = ranked(sites);
  const size = order.length;
  const starts = Float64Array.from(order, (site, rank) => site.ins.cycle * size + rank).sort();
  const heap: Heap = { keys: [] };
  let next = 0;
  while (next < size || heap.keys.length > 0) {
    const top = heap.keys[0] ?? Number.POSITIVE_INFINITY;
    const start = starts[next] ?? Number.POSITIVE_INFINITY;
    const key = Math.min(top, start);
    const cycle = Math.floor(key / size);
    const site = order[key - cycle * size];
    if (site === undefined) return;
    const { ins } = site;
    const repetition = (cycle - ins.cycle) / ins.period;
    visit(site, repetition, cycle);
    const more = repetition + 1 < ins.count;
    const again = key + ins.period * size;
    if (start < top) {
      next++;
      if (more) push(heap, again);
    } else replaceTop(heap, more ? again : undefined);
  }
}
