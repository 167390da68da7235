// What any placement must cost: bounds from time, memory and single items, for the whole graph or for what is left of
// it. Must not know how placements are searched for.
import { type Model, row } from "./dag-model.ts";

/** Whether devices that are left can hold items that are left, each within a target load; no false refusals. */
export type Room = {
  /** Most accelerator time, and most bytes, that one CPU can take over within the target. */
  readonly cpuTakesTime: number;
  readonly cpuTakesBytes: number;
  readonly target: number;
  readonly capacityBytes: number;
};

export type Rest = { readonly time: number; readonly bytes: number; readonly cpuOnly: number };

/** Sums of floating-point numbers in different orders differ by less than this, relatively. */
export const ROUNDING = 1e-9;

export function roomWithin(model: Model, target: number): Room {
  const hasCpu = model.cpus > 0;
  return {
    cpuTakesTime: hasCpu ? mostWithin(model.time, model.cpuTime, target) : 0,
    cpuTakesBytes: hasCpu ? mostWithin(model.bytes, model.cpuTime, target) : 0,
    target,
    capacityBytes: model.capacityBytes,
  };
}

export function hasRoom(room: Room, rest: Rest, accelerators: number, cpus: number, slack = 1 + ROUNDING): boolean {
  if (rest.cpuOnly > 0 && cpus === 0) return false;
  if (rest.time > (accelerators * room.target + cpus * room.cpuTakesTime) * slack) return false;
  // 0 accelerators of unlimited capacity hold nothing.
  const held = accelerators === 0 ? 0 : accelerators * room.capacityBytes;
  return rest.bytes <= (held + cpus * room.cpuTakesBytes) * slack;
}

/** Greatest sum of `gain` with a sum of `cost` up to `limit`, items divisible. */
function mostWithin(gain: Float64Array, cost: Float64Array, limit: number): number {
  const order = Array.from(gain.keys()).filter((i) => (gain[i] ?? 0) > 0);
  const ratio = (i: number) => (gain[i] ?? 0) / (cost[i] ?? 0);
  order.sort((a, b) => (ratio(a) === ratio(b) ? a - b : ratio(b) - ratio(a)));
  let left = limit;
  let most = 0;
  for (const i of order) {
    const part = (cost[i] ?? 0) <= left ? 1 : left / (cost[i] ?? 1);
    most += part * (gain[i] ?? 0);
    left -= part * (cost[i] ?? 0);
    if (part < 1) break;
  }
  return most;
}

export function totals(model: Model): Rest {
  let time = 0;
  let bytes = 0;
  let cpuOnly = 0;
  for (let i = 0; i < model.count; i++) {
    time += model.time[i] ?? 0;
    bytes += model.bytes[i] ?? 0;
    cpuOnly += model.cpuOnly[i] ?? 0;
  }
  return { time, bytes, cpuOnly };
}

/** No placement has a smaller largest load. Infinite where memory alone rules every placement out. */
export function lowerBound(model: Model): number {
  return roundUp(model, balanceBound(model));
}

/** Where all times are whole numbers, so are all loads, and with them the bound. */
export function roundUp(model: Model, bound: number): number {
  const isWhole = [model.time, model.cpuTime, model.netCost].every((part) => part.every(Number.isInteger));
  return isWhole && bound < Number.MAX_SAFE_INTEGER ? Math.ceil(bound - ROUNDING * bound) : bound;
}

/** All devices equally loaded, CPUs with the items that suit them best, and no device short of a single item. */
function balanceBound(model: Model): number {
  const single = singleItemBound(model);
  if (single === Number.POSITIVE_INFINITY) return single;
  const all = totals(model);
  const fits = (target: number) => hasRoom(roomWithin(model, target), all, model.accelerators, model.cpus, 1);
  let high = Math.max(single, 1e-9);
  for (let doublings = 0; !fits(high); doublings++) {
    if (doublings > 200) return Number.POSITIVE_INFINITY;
    high *= 2;
  }
  let low = single;
  if (fits(low)) return low;
  for (let halvings = 0; halvings < 60; halvings++) {
    const middle = (low + high) / 2;
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return low;
}

/** The device of each item costs at least that item, on the cheaper kind that can hold it. */
function singleItemBound(model: Model): number {
  let bound = 0;
  for (let i = 0; i < model.count; i++) {
    const fits = model.accelerators > 0 && model.cpuOnly[i] !== 1 && (model.bytes[i] ?? 0) <= model.capacityBytes;
    const onAccelerator = fits ? (model.time[i] ?? 0) : Number.POSITIVE_INFINITY;
    const onCpu = model.cpus > 0 ? (model.cpuTime[i] ?? 0) : Number.POSITIVE_INFINITY;
    bound = Math.max(bound, Math.min(onAccelerator, onCpu));
  }
  return bound;
}

/** The load of an accelerator that holds exactly `items`; for reports, the searches keep running sums. */
export function acceleratorLoad(model: Model, items: readonly number[]): number {
  const inside = new Map<number, number>();
  let load = 0;
  for (const item of items) {
    load += model.time[item] ?? 0;
    for (const net of row(model.itemNets, item)) inside.set(net, (inside.get(net) ?? 0) + 1);
  }
  for (const [net, members] of inside) {
    if (members < row(model.netItems, net).length) load += model.netCost[net] ?? 0;
  }
  return load;
}
