// List scheduling: of the tasks whose operands are all computed, the one that could start first is placed next, the deepest of several. So the work on one part of a
// tensor follows the part, and does not wait for the whole.
import type { Access } from "../lower/kernel.ts";
import { type ScheduleState, storageById } from "./state.ts";
import type { Task } from "./tasks.ts";

/** Parts of storages an access touches. */
function partsOf(state: ScheduleState, access: Access): Set<string> {
  const per = storageById(state, access.storage).partVectors;
  const parts = new Set<string>();
  for (const vector of access.vectors) parts.add(`${access.storage}:${Math.floor(vector / per)}`);
  return parts;
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

/** What decides between tasks that could start at the same time. */
interface Rank {
  /** Tasks on the longest way from the inputs of the block. */
  readonly depth: number;
  /** Position in its kernel, between 0 and 1. */
  readonly position: number;
}

function ranksOf(tasks: readonly Task[], readers: readonly (readonly number[])[], missing: readonly number[]): Rank[] {
  const left = [...missing];
  const depth = tasks.map(() => 0);
  const open = left.flatMap((count, index) => (count === 0 ? [index] : []));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const reader of readers[next] as number[]) {
      depth[reader] = Math.max(depth[reader] as number, (depth[next] as number) + 1);
      left[reader] = (left[reader] as number) - 1;
      if (left[reader] === 0) open.push(reader);
    }
  }
  const sizes = new Map<number, number>();
  const ordinal = tasks.map((task) => {
    const before = sizes.get(task.kernel) ?? 0;
    sizes.set(task.kernel, before + 1);
    return before;
  });
  return tasks.map((task, index) => ({
    depth: depth[index] as number,
    position: (ordinal[index] as number) / (sizes.get(task.kernel) as number),
  }));
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
  const ranks = ranksOf(tasks, readers, missing);
  const ready = new Map<number, number>();
  const enter = (index: number): void => {
    ready.set(index, readyAt(state, tasks[index] as Task));
  };
  missing.forEach((count, index) => {
    if (count === 0) enter(index);
  });
  while (ready.size > 0 && !state.stuck) {
    const next = choose(state, tasks, ranks, ready);
    ready.delete(next);
    place(tasks[next] as Task);
    for (const reader of readers[next] as number[]) {
      missing[reader] = (missing[reader] as number) - 1;
      if (missing[reader] === 0) enter(reader);
    }
  }
}

/** Of the tasks that can start first, the deepest. */
function choose(
  state: ScheduleState,
  tasks: readonly Task[],
  ranks: readonly Rank[],
  ready: ReadonlyMap<number, number>,
): number {
  const free = new Map<Task["unitsFree"], number>();
  let best = -1;
  let first = Number.POSITIVE_INFINITY;
  for (const [index, at] of ready) {
    const { unitsFree } = tasks[index] as Task;
    const units = free.get(unitsFree) ?? unitsFree(state);
    free.set(unitsFree, units);
    const start = Math.max(at, units);
    if (start < first || (start === first && comesFirst(ranks, index, best))) {
      first = start;
      best = index;
    }
  }
  return best;
}

function comesFirst(ranks: readonly Rank[], a: number, b: number): boolean {
  const [x, y] = [ranks[a] as Rank, ranks[b] as Rank];
  if (x.depth !== y.depth) return x.depth > y.depth;
  return x.position !== y.position ? x.position < y.position : a < b;
}
