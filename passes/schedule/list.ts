// List scheduling: of the tasks whose operands are all computed, the one that could start first is placed next. So the work on one part of a
// tensor follows the part, and does not wait for the whole.
import type { Access } from "../lower/kernel.ts";
import { type ScheduleState, storageById } from "./state.ts";
import type { Task } from "./tasks.ts";

interface Waiting {
  readonly key: number;
  readonly task: number;
}

/** Parts of storages an access touches. */
function partsOf(state: ScheduleState, access: Access): Set<string> {
  const per = storageById(state, access.storage).partVectors;
  const parts = new Set<string>();
  for (const vector of access.vectors) parts.add(`${access.storage}:${Math.floor(vector / per)}`);
  return parts;
}

const before = (a: Waiting, b: Waiting): boolean => a.key < b.key || (a.key === b.key && a.task < b.task);

function push(heap: Waiting[], item: Waiting): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(item, heap[parent] as Waiting)) break;
    heap[at] = heap[parent] as Waiting;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: Waiting[]): Waiting | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Waiting, heap[child] as Waiting)) child++;
    if (!before(heap[child] as Waiting, last)) break;
    heap[at] = heap[child] as Waiting;
    at = child;
  }
  heap[at] = last;
  return top;
}

/** Cycle from which all the vectors a task reads are readable. */
function readyAt(state: ScheduleState, task: Task): number {
  let latest = 0;
  for (const { storage, vectors } of task.reads) {
    const ready = state.ready[storage] as Int32Array;
    for (const vector of vectors) latest = Math.max(latest, ready[vector] as number);
  }
  return latest;
}

/** Calls `place` for every task, each after the tasks that write what it reads. */
export function listSchedule(state: ScheduleState, tasks: readonly Task[], place: (task: Task) => void): void {
  const writers = new Map<string, Set<number>>();
  tasks.forEach((task, index) => {
    for (const access of task.writes) {
      for (const part of partsOf(state, access)) {
        const set = writers.get(part) ?? new Set<number>();
        set.add(index);
        writers.set(part, set);
      }
    }
  });
  const missing = tasks.map(() => 0);
  const readers = tasks.map((): number[] => []);
  tasks.forEach((task, index) => {
    const needed = new Set<number>();
    for (const access of task.reads)
      for (const part of partsOf(state, access))
        for (const writer of writers.get(part) ?? []) if (writer !== index) needed.add(writer);
    for (const writer of needed) readers[writer]?.push(index);
    missing[index] = needed.size;
  });
  const heap: Waiting[] = [];
  const enter = (index: number): void => {
    const task = tasks[index] as Task;
    push(heap, { key: Math.max(readyAt(state, task), task.unitsFree(state)), task: index });
  };
  missing.forEach((count, index) => {
    if (count === 0) enter(index);
  });
  for (let next = pop(heap); next !== undefined && !state.stuck; next = pop(heap)) {
    const task = tasks[next.task] as Task;
    const free = task.unitsFree(state);
    if (free > next.key) {
      push(heap, { key: free, task: next.task });
      continue;
    }
    place(task);
    for (const reader of readers[next.task] as number[]) {
      missing[reader] = (missing[reader] as number) - 1;
      if (missing[reader] === 0) enter(reader);
    }
  }
}
