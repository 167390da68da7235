// The best chain of ideals: a placement takes the items between one ideal and a larger one, device after device.
// Dynamic programming over (ideal, accelerators used, CPUs used), restricted to loads below a target and to states from
// which the rest can still fit. Must not know where ideals or targets come from.
import { hasRoom, type Rest, ROUNDING, type Room, roomWithin, totals } from "./dag-bound.ts";
import type { Ideals } from "./dag-ideals.ts";
import { type Model, row } from "./dag-model.ts";

export type Stage = { readonly kind: "accelerator" | "cpu"; readonly items: readonly number[] };

export type Work = { units: number; readonly budget: number };

export type ExactResult =
  | { readonly kind: "found"; readonly stages: readonly Stage[]; readonly maxLoad: number }
  /** No placement has all loads below the target. */
  | { readonly kind: "none" }
  | { readonly kind: "budget" };

type Table = {
  readonly model: Model;
  readonly ideals: Ideals;
  readonly states: number;
  /** Per ideal and state: smallest largest load so far, the ideal before, and whether the last device is a CPU. */
  readonly value: Float64Array;
  readonly before: Int32Array;
  readonly byCpu: Uint8Array;
  /** What each ideal leaves over. */
  readonly restTime: Float64Array;
  readonly restBytes: Float64Array;
  readonly restCpuOnly: Int32Array;
  target: number;
  room: Room;
};

/** The best placement with all loads below `target`. */
export function placeOverIdeals(model: Model, ideals: Ideals, target: number, work: Work): ExactResult {
  const table = emptyTable(model, ideals, target);
  const walk = newWalk(table);
  for (let ideal = 0; ideal + 1 < ideals.count; ideal++) {
    const open = openStates(table, ideal);
    if (open.length === 0) continue;
    work.units += open.length;
    extendFrom(table, walk, ideal, open, work);
    if (work.units > work.budget) return { kind: "budget" };
  }
  const last = ideals.count - 1;
  let best = -1;
  for (let s = last * table.states; s < (last + 1) * table.states; s++)
    if ((table.value[s] ?? 0) < (best < 0 ? Number.POSITIVE_INFINITY : (table.value[best] ?? 0))) best = s;
  if (best < 0 || table.value[best] === Number.POSITIVE_INFINITY) return { kind: "none" };
  return { kind: "found", maxLoad: table.value[best] ?? 0, stages: traceBack(table, best) };
}

function emptyTable(model: Model, ideals: Ideals, target: number): Table {
  const states = (model.accelerators + 1) * (model.cpus + 1);
  const { count } = ideals;
  const all = totals(model);
  const table: Table = {
    model,
    ideals,
    states,
    value: new Float64Array(count * states).fill(Number.POSITIVE_INFINITY),
    before: new Int32Array(count * states).fill(-1),
    byCpu: new Uint8Array(count * states),
    restTime: new Float64Array(count),
    restBytes: new Float64Array(count),
    restCpuOnly: new Int32Array(count),
    target: target * (1 - ROUNDING),
    room: roomWithin(model, target),
  };
  table.value[0] = 0;
  table.restTime[0] = all.time;
  table.restBytes[0] = all.bytes;
  table.restCpuOnly[0] = all.cpuOnly;
  for (let ideal = 1; ideal < count; ideal++) {
    const parent = ideals.parent[ideal] ?? 0;
    const item = ideals.parentItem[ideal] ?? 0;
    table.restTime[ideal] = (table.restTime[parent] ?? 0) - (model.time[item] ?? 0);
    table.restBytes[ideal] = (table.restBytes[parent] ?? 0) - (model.bytes[item] ?? 0);
    table.restCpuOnly[ideal] = (table.restCpuOnly[parent] ?? 0) - (model.cpuOnly[item] ?? 0);
  }
  return table;
}

/** States of `ideal` that are reached, not beaten by one with fewer devices, and can still be completed. */
function openStates(table: Table, ideal: number): readonly number[] {
  const { model, states, value } = table;
  const open: number[] = [];
  const base = ideal * states;
  const width = model.cpus + 1;
  const rest: Rest = {
    time: table.restTime[ideal] ?? 0,
    bytes: table.restBytes[ideal] ?? 0,
    cpuOnly: table.restCpuOnly[ideal] ?? 0,
  };
  for (let s = 0; s < states; s++) {
    const load = value[base + s] ?? Number.POSITIVE_INFINITY;
    if (load >= table.target) continue;
    const accelerators = Math.floor(s / width);
    const cpus = s % width;
    const isBeaten = open.some(
      (o) => Math.floor(o / width) <= accelerators && o % width <= cpus && (value[base + o] ?? 0) <= load,
    );
    if (!isBeaten && hasRoom(table.room, rest, model.accelerators - accelerators, model.cpus - cpus)) open.push(s);
  }
  return open;
}

/** Running sums of the set between the start and the current ideal, one entry for each depth of the walk. */
type Walk = {
  readonly visited: Int32Array;
  readonly inside: Int32Array;
  readonly netSize: Int32Array;
  readonly ideal: Int32Array;
  readonly cursor: Int32Array;
  readonly item: Int32Array;
  readonly time: Float64Array;
  readonly cpuTime: Float64Array;
  readonly bytes: Float64Array;
  readonly sends: Float64Array;
  readonly cpuOnly: Int32Array;
};

function newWalk(table: Table): Walk {
  const { model, ideals } = table;
  const depth = model.count + 1;
  const nets = model.netCost.length;
  return {
    visited: new Int32Array(ideals.count).fill(-1),
    inside: new Int32Array(nets),
    netSize: Int32Array.from({ length: nets }, (_, n) => row(model.netItems, n).length),
    ideal: new Int32Array(depth),
    cursor: new Int32Array(depth),
    item: new Int32Array(depth),
    time: new Float64Array(depth),
    cpuTime: new Float64Array(depth),
    bytes: new Float64Array(depth),
    sends: new Float64Array(depth),
    cpuOnly: new Int32Array(depth),
  };
}

/** Walks depth first over all larger ideals that one device can reach from `start`, and relaxes their states. */
function extendFrom(table: Table, walk: Walk, start: number, open: readonly number[], work: Work): void {
  const { model, ideals } = table;
  const width = model.cpus + 1;
  const mayAccelerate = open.some((s) => s < model.accelerators * width);
  const mayUseCpu = open.some((s) => s % width < model.cpus);
  let depth = 0;
  walk.ideal[0] = start;
  walk.cursor[0] = ideals.stepStart[start] ?? 0;
  while (depth >= 0) {
    const ideal = walk.ideal[depth] ?? 0;
    const step = walk.cursor[depth] ?? 0;
    if (step >= (ideals.stepStart[ideal + 1] ?? 0)) {
      if (depth > 0) leave(table.model, walk, walk.item[depth] ?? 0);
      depth--;
      continue;
    }
    walk.cursor[depth] = step + 1;
    const next = ideals.stepTarget[step] ?? 0;
    if (walk.visited[next] === start) continue;
    walk.visited[next] = start;
    work.units++;
    const item = ideals.stepItem[step] ?? 0;
    const time = (walk.time[depth] ?? 0) + (model.time[item] ?? 0);
    const cpuTime = (walk.cpuTime[depth] ?? 0) + (model.cpuTime[item] ?? 0);
    const bytes = (walk.bytes[depth] ?? 0) + (model.bytes[item] ?? 0);
    const cpuOnly = (walk.cpuOnly[depth] ?? 0) + (model.cpuOnly[item] ?? 0);
    const fitsAccelerator =
      mayAccelerate && cpuOnly === 0 && time < table.target && bytes <= model.capacityBytes * (1 + 1e-12);
    const fitsCpu = mayUseCpu && cpuTime < table.target;
    if (!fitsAccelerator && !fitsCpu) continue;
    depth++;
    const sends = enter(model, walk, item, walk.sends[depth - 1] ?? 0);
    walk.ideal[depth] = next;
    walk.cursor[depth] = ideals.stepStart[next] ?? 0;
    walk.item[depth] = item;
    walk.time[depth] = time;
    walk.cpuTime[depth] = cpuTime;
    walk.bytes[depth] = bytes;
    walk.cpuOnly[depth] = cpuOnly;
    walk.sends[depth] = sends;
    if (fitsAccelerator && time + sends < table.target) relax(table, start, next, open, time + sends, false);
    if (fitsCpu) relax(table, start, next, open, cpuTime, true);
  }
}

/** Adds the item to the set and gives the new cost of the nets at its border. */
function enter(model: Model, walk: Walk, item: number, before: number): number {
  const { start, items } = model.itemNets;
  let sends = before;
  const end = start[item + 1] ?? 0;
  for (let at = start[item] ?? 0; at < end; at++) {
    const net = items[at] ?? 0;
    const inside = (walk.inside[net] ?? 0) + 1;
    walk.inside[net] = inside;
    if (inside === 1) sends += model.netCost[net] ?? 0;
    if (inside === walk.netSize[net]) sends -= model.netCost[net] ?? 0;
  }
  return sends;
}

function leave(model: Model, walk: Walk, item: number): void {
  const { start, items } = model.itemNets;
  const end = start[item + 1] ?? 0;
  for (let at = start[item] ?? 0; at < end; at++) {
    const net = items[at] ?? 0;
    walk.inside[net] = (walk.inside[net] ?? 0) - 1;
  }
}

function relax(table: Table, from: number, to: number, open: readonly number[], load: number, byCpu: boolean): void {
  const { model, states, value } = table;
  const width = model.cpus + 1;
  for (const s of open) {
    if (byCpu ? s % width >= model.cpus : s >= model.accelerators * width) continue;
    const reached = Math.max(load, value[from * states + s] ?? 0);
    const state = to * states + s + (byCpu ? 1 : width);
    if (reached >= (value[state] ?? 0)) continue;
    value[state] = reached;
    table.before[state] = from;
    table.byCpu[state] = byCpu ? 1 : 0;
    if (to === table.ideals.count - 1 && reached < table.target) {
      table.target = reached * (1 - ROUNDING);
      table.room = roomWithin(model, reached);
    }
  }
}

function traceBack(table: Table, last: number): readonly Stage[] {
  const { states, ideals } = table;
  const width = table.model.cpus + 1;
  const stages: Stage[] = [];
  let state = last;
  for (;;) {
    const ideal = Math.floor(state / states);
    const from = table.before[state] ?? -1;
    if (from < 0) break;
    const isCpu = table.byCpu[state] === 1;
    const smaller = new Set(itemsOf(ideals, from));
    stages.push({
      kind: isCpu ? "cpu" : "accelerator",
      items: itemsOf(ideals, ideal)
        .filter((item) => !smaller.has(item))
        .sort((a, b) => a - b),
    });
    state = from * states + (state % states) - (isCpu ? 1 : width);
  }
  return stages.reverse();
}

function itemsOf(ideals: Ideals, ideal: number): number[] {
  const items: number[] = [];
  for (let at = ideal; at > 0; at = ideals.parent[at] ?? 0) items.push(ideals.parentItem[at] ?? 0);
  return items;
}
