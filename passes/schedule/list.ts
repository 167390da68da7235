// List scheduling: of the tasks whose operands are all computed, the one that could start first is placed next; of several, the first in the order of
// the kernels. So units do not wait for one kernel while another one has work for them.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Access, StorageId } from "../lower/kernel.ts";
import { countDown, outlivesTasks, partKey } from "./occupancy.ts";
import { type Buffer, placesInUse, type ScheduleState, storageById } from "./state.ts";
import type { Task } from "./tasks.ts";

/** Parts of storages that accesses touch, by key. */
function partsOf(state: ScheduleState, accesses: readonly Access[]): string[] {
  const parts = new Set<string>();
  for (const { storage, vectors } of accesses) {
    const per = storageById(state, storage).partVectors;
    let last = -1;
    for (const vector of vectors) {
      const part = Math.floor(vector / per);
      if (part !== last) parts.add(partKey(storage, part));
      last = part;
    }
  }
  return [...parts];
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

/** Calls `place` for every task, in the order of the setting, and keeps count of what is still to be read. */
export function placeInOrder(state: ScheduleState, tasks: readonly Task[], place: (task: Task) => void): void {
  const reads = tasks.map((task) => partsOf(state, task.reads));
  const writes = tasks.map((task) => partsOf(state, task.writes));
  const { occupancy } = state;
  const touched = tasks.map((_, index) => [...new Set([...(reads[index] ?? []), ...(writes[index] ?? [])])]);
  for (const keys of touched) for (const key of keys) occupancy.uses.set(key, (occupancy.uses.get(key) ?? 0) + 1);
  const placesOf = (buffer: Buffer): number[] => placesInUse(state, buffer);
  const placeNext = (index: number, from: number): void => {
    occupancy.now = from;
    place(tasks[index] as Task);
    for (const key of touched[index] ?? []) {
      const [storage = 0, part = 0] = key.split(":").map(Number);
      if (outlivesTasks(storageById(state, storage as StorageId))) continue;
      countDown(occupancy, key, state.parts[storage]?.[part]?.buffers ?? [], placesOf);
    }
  };
  if (state.tuning.order === "kernels") {
    for (const [index, task] of tasks.entries())
      if (!state.stuck && state.full === undefined) placeNext(index, readyAt(state, task));
  } else listSchedule(state, tasks, reads, writes, placeNext);
}

/** Places every task after the tasks that write what it reads, and those that read what it renews. */
function listSchedule(
  state: ScheduleState,
  tasks: readonly Task[],
  reads: readonly (readonly string[])[],
  writes: readonly (readonly string[])[],
  place: (index: number, from: number) => void,
): void {
  const writers = new Map<string, Set<number>>();
  writes.forEach((keys, index) => {
    for (const part of keys) {
      const set = writers.get(part) ?? new Set<number>();
      set.add(index);
      writers.set(part, set);
    }
  });
  const oldReaders = readersOfOld(state, tasks);
  const missing = tasks.map(() => 0);
  const readers = tasks.map((): number[] => []);
  tasks.forEach((task, index) => {
    const needed = new Set<number>();
    for (const part of reads[index] ?? [])
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
  while (ready.size > 0 && !state.stuck && state.full === undefined) {
    placed++;
    const next = choose(state, tasks, ready, missing);
    const from = ready.get(next) ?? 0;
    ready.delete(next);
    place(next, from);
    for (const reader of readers[next] as number[]) {
      missing[reader] = (missing[reader] as number) - 1;
      if (missing[reader] === 0) enter(reader);
    }
  }
  invariant(state.stuck || state.full !== undefined || placed === tasks.length, "no task waits for itself");
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
