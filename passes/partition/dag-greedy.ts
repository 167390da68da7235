// A quick cut along one order: every device takes as much as it can within a target load, and the target is halved in
// on. Gives the dynamic program a limit to start from. Must not know ideals.
import type { Stage, Work } from "./dag-exact.ts";
import { type Model, row } from "./dag-model.ts";

const HALVINGS = 24;

/** Undefined where no target lets the order fit, which does not prove anything. */
export function cutGreedily(
  model: Model,
  order: readonly number[],
  bound: number,
  work: Work,
): readonly Stage[] | undefined {
  let low = bound;
  let high = 1 + [model.time, model.cpuTime, model.netCost].reduce((sum, part) => sum + part.reduce(add, 0), 0);
  let best = fill(model, order, high, work);
  for (let i = 0; best !== undefined && i < HALVINGS && high > low * (1 + 1e-6); i++) {
    const target = (low + high) / 2;
    const stages = fill(model, order, target, work);
    if (stages === undefined) low = target;
    else {
      best = stages;
      high = target;
    }
  }
  return best;
}

function add(a: number, b: number): number {
  return a + b;
}

function fill(model: Model, order: readonly number[], target: number, work: Work): readonly Stage[] | undefined {
  const stages: Stage[] = [];
  const inside = new Int32Array(model.netCost.length);
  let accelerators = model.accelerators;
  let cpus = model.cpus;
  let start = 0;
  while (start < order.length) {
    const byAccelerator = accelerators > 0 ? reachOfAccelerator(model, order, start, target, inside, work) : start;
    const byCpu = cpus > 0 ? reachOfCpu(model, order, start, target) : start;
    const end = Math.max(byAccelerator, byCpu);
    if (end === start) return undefined;
    const kind = byCpu > byAccelerator ? "cpu" : "accelerator";
    if (kind === "cpu") cpus--;
    else accelerators--;
    stages.push({ kind, items: order.slice(start, end) });
    start = end;
  }
  return stages;
}

/** The farthest end at which the load is within the target; in between it may be above, when many nets are open. */
function reachOfAccelerator(
  model: Model,
  order: readonly number[],
  start: number,
  target: number,
  inside: Int32Array,
  work: Work,
): number {
  let time = 0;
  let bytes = 0;
  let sends = 0;
  let reach = start;
  let at = start;
  for (; at < order.length; at++) {
    const item = order[at] ?? 0;
    time += model.time[item] ?? 0;
    bytes += model.bytes[item] ?? 0;
    if (model.cpuOnly[item] === 1 || bytes > model.capacityBytes || time > target) break;
    work.units++;
    for (const net of row(model.itemNets, item)) {
      const size = (model.netItems.start[net + 1] ?? 0) - (model.netItems.start[net] ?? 0);
      const count = (inside[net] ?? 0) + 1;
      inside[net] = count;
      if (count === 1) sends += model.netCost[net] ?? 0;
      if (count === size) sends -= model.netCost[net] ?? 0;
    }
    if (time + sends <= target) reach = at + 1;
  }
  for (let i = start; i < at; i++) for (const net of row(model.itemNets, order[i] ?? 0)) inside[net] = 0;
  return reach;
}

function reachOfCpu(model: Model, order: readonly number[], start: number, target: number): number {
  let time = 0;
  let at = start;
  for (; at < order.length; at++) {
    time += model.cpuTime[order[at] ?? 0] ?? 0;
    if (time > target) break;
  }
  return at;
}
