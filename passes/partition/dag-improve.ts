// Moves single items between stages as long as that makes the sum of squared loads smaller: fewer sends, more even loads.
// Keeps the order of stages, and every load near or below the largest one. Must not know how the first placement was found.
import { acceleratorLoad } from "./dag-bound.ts";
import type { Stage, Work } from "./dag-exact.ts";
import { type Model, row } from "./dag-model.ts";

/** How far random moves may raise the largest load; a new cut of the order lowers it again. */
const HEADROOM = 1.01;

type State = {
  readonly model: Model;
  readonly kinds: readonly Stage["kind"][];
  readonly stageOf: Int32Array;
  readonly load: Float64Array;
  readonly bytes: Float64Array;
  readonly ceiling: number;
};

/** The stages after all moves that help, the same number and kinds; some may have become empty. */
export function improve(model: Model, stages: readonly Stage[], work: Work): readonly Stage[] {
  const state = stateOf(model, stages, 1);
  settle(state, work);
  return stagesOf(state);
}

/**
 * The same, but starting with `sweeps` rounds of random moves that may also harm, less and less (threshold accepting).
 * The moves come from a generator with the given seed.
 */
export function shake(
  model: Model,
  stages: readonly Stage[],
  sweeps: number,
  seed: number,
  work: Work,
): readonly Stage[] {
  const state = stateOf(model, stages, HEADROOM);
  const random = generator(seed);
  const typical = typicalNet(model);
  for (let sweep = 0; sweep < sweeps && work.units < work.budget; sweep++) {
    const tolerated = 2 * state.ceiling * typical * (1 - sweep / sweeps);
    for (let i = 0; i < model.count; i++) tryRandomMove(state, i, tolerated, random, work);
  }
  settle(state, work);
  return stagesOf(state);
}

function settle(state: State, work: Work): void {
  let isMoving = true;
  while (isMoving && work.units < work.budget) {
    isMoving = false;
    for (let item = 0; item < state.model.count && work.units < work.budget; item++)
      if (moveOnce(state, item, work)) isMoving = true;
  }
}

function stagesOf(state: State): readonly Stage[] {
  const items: number[][] = state.kinds.map(() => []);
  for (let item = 0; item < state.model.count; item++) items[state.stageOf[item] ?? 0]?.push(item);
  return state.kinds.map((kind, s) => ({ kind, items: items[s] ?? [] }));
}

/** The mean cost of a net. */
function typicalNet(model: Model): number {
  return model.netCost.reduce((sum, cost) => sum + cost, 0) / Math.max(1, model.netCost.length);
}

/** Whole numbers below a bound, the same sequence for the same seed everywhere. */
function generator(seed: number): (bound: number) => number {
  let state = (seed * 2654435761) | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 1) % bound;
  };
}

function stateOf(model: Model, stages: readonly Stage[], headroom: number): State {
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
  const ceiling = load.reduce((largest, l) => Math.max(largest, l), 0) * headroom;
  return { model, kinds, stageOf, load, bytes, ceiling };
}

/** The stages that the items before and after leave open to `item`. */
function firstStage(state: State, item: number): number {
  let first = 0;
  for (const before of row(state.model.predecessors, item)) first = Math.max(first, state.stageOf[before] ?? 0);
  return first;
}

function lastStage(state: State, item: number): number {
  let last = state.kinds.length - 1;
  for (const after of row(state.model.successors, item)) last = Math.min(last, state.stageOf[after] ?? 0);
  return last;
}

/** Moves `item` to the stage where the sum of squared loads falls most, if there is one. */
function moveOnce(state: State, item: number, work: Work): boolean {
  const from = state.stageOf[item] ?? 0;
  const first = firstStage(state, item);
  const last = lastStage(state, item);
  work.units++;
  if (first === last) return false;
  const loadFrom = loadWithout(state, item, from, work);
  let best = -1;
  let bestGain = 1e-9 * state.ceiling * state.ceiling;
  let bestLoad = 0;
  for (let to = first; to <= last; to++) {
    if (to === from || !mayHold(state, item, to)) continue;
    const loadTo = loadWith(state, item, to, work);
    const gain = gainOf(state, from, to, loadFrom, loadTo);
    if (gain <= bestGain) continue;
    best = to;
    bestGain = gain;
    bestLoad = loadTo;
  }
  if (best < 0) return false;
  apply(state, item, best, loadFrom, bestLoad);
  return true;
}

function tryRandomMove(
  state: State,
  item: number,
  tolerated: number,
  random: (bound: number) => number,
  work: Work,
): void {
  const from = state.stageOf[item] ?? 0;
  const first = firstStage(state, item);
  const last = lastStage(state, item);
  work.units++;
  if (first === last) return;
  let to = first + random(last - first);
  if (to >= from) to++;
  if (!mayHold(state, item, to)) return;
  const loadFrom = loadWithout(state, item, from, work);
  const loadTo = loadWith(state, item, to, work);
  if (gainOf(state, from, to, loadFrom, loadTo) > -tolerated) apply(state, item, to, loadFrom, loadTo);
}

/** By how much the sum of squared loads falls; minus infinity where a load would rise above the ceiling. */
function gainOf(state: State, from: number, to: number, loadFrom: number, loadTo: number): number {
  const oldFrom = state.load[from] ?? 0;
  const oldTo = state.load[to] ?? 0;
  if (loadTo > oldTo && loadTo > state.ceiling) return Number.NEGATIVE_INFINITY;
  if (loadFrom > oldFrom && loadFrom > state.ceiling) return Number.NEGATIVE_INFINITY;
  return oldFrom * oldFrom + oldTo * oldTo - loadFrom * loadFrom - loadTo * loadTo;
}

function apply(state: State, item: number, to: number, loadFrom: number, loadTo: number): void {
  const from = state.stageOf[item] ?? 0;
  const size = state.model.bytes[item] ?? 0;
  state.stageOf[item] = to;
  state.load[from] = loadFrom;
  state.load[to] = loadTo;
  state.bytes[from] = (state.bytes[from] ?? 0) - size;
  state.bytes[to] = (state.bytes[to] ?? 0) + size;
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
