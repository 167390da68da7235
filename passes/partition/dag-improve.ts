// Moves single items between stages as long as that makes the loads smaller or more even. Keeps the order of stages and
// never raises the largest load. Must not know how the first placement was found.
import { acceleratorLoad } from "./dag-bound.ts";
import type { Stage, Work } from "./dag-exact.ts";
import { type Model, row } from "./dag-model.ts";

type State = {
  readonly model: Model;
  readonly kinds: readonly Stage["kind"][];
  readonly stageOf: Int32Array;
  readonly load: Float64Array;
  readonly bytes: Float64Array;
};

/** The stages after all moves that help, the same number and kinds; some may have become empty. */
export function improve(model: Model, stages: readonly Stage[], work: Work): readonly Stage[] {
  const state = stateOf(model, stages);
  let isMoving = true;
  while (isMoving && work.units < work.budget) {
    isMoving = false;
    for (let item = 0; item < model.count && work.units < work.budget; item++)
      if (moveOnce(state, item, work)) isMoving = true;
  }
  return stages.map(({ kind }, s) => {
    const items: number[] = [];
    for (let item = 0; item < model.count; item++) if (state.stageOf[item] === s) items.push(item);
    return { kind, items };
  });
}

function stateOf(model: Model, stages: readonly Stage[]): State {
  const stageOf = new Int32Array(model.count);
  const load = new Float64Array(stages.length);
  const bytes = new Float64Array(stages.length);
  stages.forEach((stage, s) => {
    for (const item of stage.items) {
      stageOf[item] = s;
      bytes[s] = (bytes[s] ?? 0) + (model.bytes[item] ?? 0);
      if (stage.kind === "cpu") load[s] = (load[s] ?? 0) + (model.cpuTime[item] ?? 0);
    }
    if (stage.kind === "accelerator") load[s] = acceleratorLoad(model, stage.items);
  });
  const kinds = stages.map((stage) => stage.kind);
  return { model, kinds, stageOf, load, bytes };
}

/** Moves `item` to the stage where the sum of squared loads falls most, if there is one. */
function moveOnce(state: State, item: number, work: Work): boolean {
  const { model, stageOf } = state;
  const from = stageOf[item] ?? 0;
  let first = 0;
  let last = state.kinds.length - 1;
  for (const before of row(model.predecessors, item)) first = Math.max(first, stageOf[before] ?? 0);
  for (const after of row(model.successors, item)) last = Math.min(last, stageOf[after] ?? 0);
  work.units++;
  if (first === last) return false;
  const loadFrom = loadWithout(state, item, from, work);
  const before = state.load[from] ?? 0;
  let best = -1;
  let bestGain = 1e-9 * before * before;
  let bestLoad = 0;
  for (let to = first; to <= last; to++) {
    if (to === from || !mayHold(state, item, to)) continue;
    const loadTo = loadWith(state, item, to, work);
    const old = state.load[to] ?? 0;
    if (loadTo >= Math.max(before, old) && loadTo > old) continue;
    const gain = before * before + old * old - loadFrom * loadFrom - loadTo * loadTo;
    if (loadFrom > before || gain <= bestGain) continue;
    best = to;
    bestGain = gain;
    bestLoad = loadTo;
  }
  if (best < 0) return false;
  stageOf[item] = best;
  state.load[from] = loadFrom;
  state.load[best] = bestLoad;
  state.bytes[from] = (state.bytes[from] ?? 0) - (model.bytes[item] ?? 0);
  state.bytes[best] = (state.bytes[best] ?? 0) + (model.bytes[item] ?? 0);
  return true;
}

function mayHold(state: State, item: number, stage: number): boolean {
  const { model } = state;
  if (state.kinds[stage] === "cpu") return true;
  return model.cpuOnly[item] !== 1 && (state.bytes[stage] ?? 0) + (model.bytes[item] ?? 0) <= model.capacityBytes;
}

/** Load of the item's own stage once it has left. */
function loadWithout(state: State, item: number, stage: number, work: Work): number {
  const { model } = state;
  const load = state.load[stage] ?? 0;
  if (state.kinds[stage] === "cpu") return load - (model.cpuTime[item] ?? 0);
  let change = -(model.time[item] ?? 0);
  for (const net of row(model.itemNets, item)) {
    const size = (model.netItems.start[net + 1] ?? 0) - (model.netItems.start[net] ?? 0);
    const inside = membersIn(state, net, stage, work);
    const cost = model.netCost[net] ?? 0;
    if (inside === 1) change -= cost;
    if (inside === size) change += cost;
  }
  return load + change;
}

/** Load of another stage once the item has come. */
function loadWith(state: State, item: number, stage: number, work: Work): number {
  const { model } = state;
  const load = state.load[stage] ?? 0;
  if (state.kinds[stage] === "cpu") return load + (model.cpuTime[item] ?? 0);
  let change = model.time[item] ?? 0;
  for (const net of row(model.itemNets, item)) {
    const size = (model.netItems.start[net + 1] ?? 0) - (model.netItems.start[net] ?? 0);
    const inside = membersIn(state, net, stage, work);
    const cost = model.netCost[net] ?? 0;
    if (inside === 0) change += cost;
    if (inside + 1 === size) change -= cost;
  }
  return load + change;
}

function membersIn(state: State, net: number, stage: number, work: Work): number {
  const { start, items } = state.model.netItems;
  const end = start[net + 1] ?? 0;
  let count = 0;
  for (let at = start[net] ?? 0; at < end; at++) if (state.stageOf[items[at] ?? 0] === stage) count++;
  work.units += 1 + ((end - (start[net] ?? 0)) >> 4);
  return count;
}
