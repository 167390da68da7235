// List scheduling: of the tasks whose operands are all computed, the one that could start first is placed next; of several, the first in the order of
// the kernels. So units do not wait for one kernel while another one has work for them.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Access, StorageId } from "../lower/kernel.ts";
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

/** For a task, those that read the old vectors of a state that it writes anew. Vector by vector: other tasks renew other vectors of a part. */
function readersOfOld(state: ScheduleState, tasks: readonly Task[]): (task: Task) => readonly number[] {
  const renewed = new Set(state.storages.flatMap(({ renews }) => renews ?? []));
  const readers = new Map<StorageId, Map<number, number[]>>([...renewed].map((id) => [id, new Map()]));
  tasks.forEach((task, index) => {
    for (const { storage, vectors } of task.reads) {
      const own = readers.get(storage);
      if (own !== undefined) for (const vector of vectors) own.set(vector, [...(own.get(vector) ?? []), index]);
    }
  });
  return (task) =>
    task.writes.flatMap(({ storage, vectors }) => {
      const own = readers.get(storageById(state, storage).renews ?? (-1 as StorageId));
      return own === undefined ? [] : Array.from(vectors).flatMap((vector) => own.get(vector) ?? []);
    });
}

/** Calls `place` for every task, each after the tasks that write what it reads, and those that read what it renews. */
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
  const oldReaders = readersOfOld(state, tasks);
  const missing = tasks.map(() => 0);
  const readers = tasks.map((): number[] => []);
  tasks.forEach((task, index) => {
    const needed = new Set<number>();
    for (const access of task.reads)
      for (const part of partsOf(state, access))
        for (const writer of writers.get(part) ?? []) if (writer !== index) needed.add(writer);
    for (const reader of oldReaders(task)) if (reader !== index) needed.add(reader);
    if (task.follows) needed.add(index - 1);
    for (const writer of needed) readers[writer]?.push(index);
    missing[index] = needed.size;
  });
  const ready = new Map<number, number>();
  const enter = (index: number): void => {
    ready.set(index, readyAt(state, tasks[index] as Task));
  };
  missing.forEach((count, index) => {
    if (count === 0) enter(index);
  });
  let placed = 0;
  while (ready.size > 0 && !state.stuck) {
    placed++;
    const next = choose(state, tasks, ready, missing);
    ready.delete(next);
    place(tasks[next] as Task);
    for (const reader of readers[next] as number[]) {
      missing[reader] = (missing[reader] as number) - 1;
      if (missing[reader] === 0) enter(reader);
    }
  }
  invariant(state.stuck || placed === tasks.length, "no task waits for itself");
}

/** Whether a task may begin: it has all its data for good, or there is room for what it keeps while it waits for more. */
function mayBegin(state: ScheduleState, tasks: readonly Task[], missing: readonly number[], index: number): boolean {
  const { parts, hasRoom } = tasks[index] as Task;
  if (parts === undefined || hasRoom === undefined) return true;
  let whole = true;
  for (let part = 1; part < parts && whole; part++) whole = missing[index + part] === 1;
  return whole || hasRoom(state);
}

/** Tasks whose start is looked at more closely, of those that may be first. */
const mostProbes = 12;

/** Of the tasks that can start first, give or take a few cycles, the first one. */
function choose(
  state: ScheduleState,
  tasks: readonly Task[],
  ready: ReadonlyMap<number, number>,
  missing: readonly number[],
): number {
  const { slack, ahead } = state.tuning;
  const found: { index: number; start: number }[] = [];
  for (const [index, at] of ready) {
    const { unitsFree, probe } = tasks[index] as Task;
    found.push({ index, start: Math.max(at, unitsFree(state)) - (probe === undefined ? 0 : ahead) });
  }
  found.sort((a, b) => a.start - b.start || a.index - b.index);
  let best = -1;
  let first = Number.POSITIVE_INFINITY;
  let probes = 0;
  for (const { index, start } of found) {
    if (start > first + slack) break;
    const task = tasks[index] as Task;
    if (!mayBegin(state, tasks, missing, index)) continue;
    const actual = task.probe !== undefined && probes++ < mostProbes ? task.probe(state, start + ahead) - ahead : start;
    if (actual > first + slack || (actual >= first - slack && index > best)) continue;
    best = index;
    first = actual;
  }
  return best;
}
