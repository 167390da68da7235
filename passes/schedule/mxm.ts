// Matrix kernels: tiles ahead of use, activations, accumulation, and the pass that takes the last sums. Engines work in order, on the steps of several
// accumulations in turn; everything else is found in the reservation tables.
import { type Direction, mxmColumn, planeHemisphere, vxmColumn } from "../../ir/target/geometry.ts";
import type { MxmMode } from "../../ir/target/target.ts";
import type { Access, MatmulGroup, MatmulStep, RowWindow, Stationary } from "../lower/kernel.ts";
import { placeApart, separateSources } from "./apart.ts";
import {
  busyUntil,
  engineOf,
  enginePlanes,
  fewVectors,
  findEntries,
  holdEntries,
  holdsTile,
  install,
  loadFreeAt,
  planesOf,
  releaseEntries,
  specOf,
} from "./engines.ts";
import { placeLoad, rowLoadCycles, stationaryKey } from "./loads.ts";
import { lowLoadCycles, placeLowLoad } from "./low-loads.ts";
import type { ScheduleState } from "./state.ts";
import {
  addRead,
  chooseStreams,
  emitBurst,
  newTemplate,
  placeAt,
  span,
  type TemplateBuilder,
  takenStream,
  tryPlace,
} from "./template.ts";

/** An accumulation that is placed a step at a time. */
export interface Accumulation {
  readonly mode: MxmMode;
  readonly group: MatmulGroup;
  /** Vectors in the shortest of the groups that may use the same tiles. */
  readonly leastCount: number;
  /** The engine that works on it and its first entry there, from its first step on. */
  held: { readonly plane: number; readonly entry: number } | undefined;
  /** Steps placed. */
  placed: number;
}

export const newAccumulation = (mode: MxmMode, group: MatmulGroup, leastCount: number): Accumulation => ({
  mode,
  group,
  leastCount,
  held: undefined,
  placed: 0,
});

const tileOf = (group: MatmulGroup, index: number): Stationary =>
  (group.steps[index] as MatmulStep).stationary[0] as Stationary;

/** Cycles of a step: its burst, or the load of its tile where that is the longer one. */
function stepCycles(state: ScheduleState, { mode, group, leastCount }: Accumulation, index: number): number {
  const { vectorPeriod } = specOf(state, mode);
  const burst = span(group.count, vectorPeriod) + vectorPeriod - 1;
  return Math.max(burst, lowLoadCycles(state, mode, tileOf(group, index), leastCount));
}

/** Loads a tile for bursts of at least `leastCount` vectors; gives the cycle of the last LW issue. */
const placeTileLoad = (
  state: ScheduleState,
  mode: MxmMode,
  tile: Stationary,
  plane: number,
  leastCount: number,
): number =>
  tile.kind === "const" && tile.tile.lowOf !== undefined
    ? placeLowLoad(state, mode, tile.tile, plane, tile.row, leastCount)
    : placeLoad(state, mode, tile, plane, leastCount);

/** Cycles until an engine could be done with all it has begun, and have loaded the first tile of an accumulation. */
function waitFor(state: ScheduleState, { mode, group }: Accumulation, plane: number): number {
  const planes = planesOf(state, mode, plane);
  const first = tileOf(group, 0);
  const load = holdsTile(state, planes, stationaryKey(state, mode, first)) ? 0 : rowLoadCycles(state, first);
  return busyUntil(state, planes) + Math.max(...planes.map((p) => engineOf(state, p).owed)) + load;
}

/** The engine that an accumulation is begun on, if one has room for it. */
function engineWithRoom(state: ScheduleState, accumulation: Accumulation): Accumulation["held"] {
  const { mode, group } = accumulation;
  let best: Accumulation["held"];
  let least = Number.POSITIVE_INFINITY;
  for (const plane of enginePlanes(state, mode)) {
    const entry = findEntries(state, planesOf(state, mode, plane), group.count);
    const wait = waitFor(state, accumulation, plane);
    if (entry === undefined || wait >= least) continue;
    best = { plane, entry };
    least = wait;
  }
  return best;
}

export const hasRoom = (state: ScheduleState, accumulation: Accumulation): boolean =>
  engineWithRoom(state, accumulation) !== undefined;

/** Places a step of an accumulation; all of them with the first where no engine has entries to spare until the last. */
export function placeStepOf(state: ScheduleState, accumulation: Accumulation, index: number): void {
  const { mode, group, leastCount } = accumulation;
  if (index < accumulation.placed) return;
  if (accumulation.held === undefined) {
    const held = engineWithRoom(state, accumulation);
    if (held === undefined) {
      scheduleMatmul(state, mode, [group], leastCount);
      accumulation.placed = group.steps.length;
      return;
    }
    accumulation.held = held;
    const planes = planesOf(state, mode, held.plane);
    holdEntries(state, planes, held.entry, group.count);
    const owed = group.steps.reduce((sum, _, i) => sum + stepCycles(state, accumulation, i), 0);
    for (const plane of planes) engineOf(state, plane).owed += owed;
  }
  const { plane, entry } = accumulation.held;
  const planes = planesOf(state, mode, plane);
  runStep(state, mode, plane, { group, index, entry, leastCount }, undefined);
  accumulation.placed = index + 1;
  for (const p of planes) engineOf(state, p).owed -= stepCycles(state, accumulation, index);
  if (accumulation.placed === group.steps.length) releaseEntries(state, planes, entry);
}

/** The planes that would work on the next step. */
function nextPlane(state: ScheduleState, accumulation: Accumulation): number {
  if (accumulation.held !== undefined) return accumulation.held.plane;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const plane of enginePlanes(state, accumulation.mode)) {
    const wait = waitFor(state, accumulation, plane);
    if (wait < least) {
      best = plane;
      least = wait;
    }
  }
  return best;
}

/** Cycle from which the next step could be placed as far as its engine and the load of its tile go, other loads and bursts apart. */
export function stepFrom(state: ScheduleState, accumulation: Accumulation, index: number): number {
  const { mode, group } = accumulation;
  const planes = planesOf(state, mode, nextPlane(state, accumulation));
  const free = busyUntil(state, planes) + 1;
  const tile = tileOf(group, index);
  const rows = rowLoadCycles(state, tile);
  if (rows === 0 || holdsTile(state, planes, stationaryKey(state, mode, tile))) return free;
  const { lw, iw } = state.target.mxm.latency;
  return Math.max(free, loadFreeAt(state, planes) + rows - 1 + lw + iw);
}

/** Start of the next step's burst if it were placed now, not before `from`: without its tile and its results. */
export function probeStep(state: ScheduleState, accumulation: Accumulation, index: number, from: number): number {
  const { mode, group } = accumulation;
  const step = group.steps[index] as MatmulStep;
  const builder = newTemplate(state);
  const plane = nextPlane(state, accumulation);
  addActivation(builder, mode, step.moving, { plane, entry: 0, init: false }, undefined);
  return tryPlace(builder, from)?.start ?? from;
}

/** A step of an accumulation in entries `entry`, `entry` + 1, ... */
interface QueuedStep {
  readonly group: MatmulGroup;
  readonly index: number;
  readonly entry: number;
  readonly leastCount: number;
}

/** What an engine still has to do, in order; `pending`: last LW of the next step's tile, where that is loaded already. */
interface EngineQueue {
  readonly plane: number;
  readonly planes: readonly number[];
  readonly steps: QueuedStep[];
  work: number;
  next: number;
  pending: number | undefined;
}

/** Spreads the groups over the engines, then works on the engine that is free first, a step at a time. */
export function scheduleMatmul(
  state: ScheduleState,
  mode: MxmMode,
  groups: readonly MatmulGroup[],
  leastCount: number,
): void {
  const queues = enginePlanes(state, mode).map((plane): EngineQueue => {
    const planes = planesOf(state, mode, plane);
    return { plane, planes, steps: [], work: busyUntil(state, planes), next: 0, pending: undefined };
  });
  for (const group of groups) {
    const queue = queues.reduce((best, other) => (other.work < best.work ? other : best));
    group.steps.forEach((_, index) => {
      queue.steps.push({ group, index, entry: 0, leastCount });
    });
    const burst = span(group.count, specOf(state, mode).vectorPeriod);
    for (const step of group.steps)
      queue.work += Math.max(burst, lowLoadCycles(state, mode, step.stationary[0] as Stationary, leastCount));
  }
  for (;;) {
    const open = queues.filter((queue) => queue.next < queue.steps.length);
    if (open.length === 0) return;
    const queue = open.reduce((best, other) =>
      busyUntil(state, other.planes) < busyUntil(state, best.planes) ? other : best,
    );
    const step = queue.steps[queue.next++] as QueuedStep;
    queue.pending = runStep(state, mode, queue.plane, step, queue.steps[queue.next], queue.pending);
  }
}

/**
 * Installs the tile of a step unless it is in use already, loads the one after it where loads are the bottleneck, and activates. `pending`: last
 * LW of the tile, where it is loaded already; gives that of the one after it.
 */
function runStep(
  state: ScheduleState,
  mode: MxmMode,
  plane: number,
  step: QueuedStep,
  after: QueuedStep | undefined,
  pending?: number,
): number | undefined {
  const spec = specOf(state, mode);
  const planes = planesOf(state, mode, plane);
  const { group, index, entry, leastCount } = step;
  const tile = tileOf(group, index);
  const key = stationaryKey(state, mode, tile);
  let from = busyUntil(state, planes) + 1;
  let loaded = pending;
  if (!holdsTile(state, planes, key)) {
    from = install(state, mode, planes, plane, pending ?? placeTileLoad(state, mode, tile, plane, leastCount), key);
    loaded = undefined;
  }
  if (after !== undefined && leastCount < fewVectors) {
    const next = tileOf(after.group, after.index);
    if (!holdsTile(state, planes, stationaryKey(state, mode, next)))
      loaded = placeTileLoad(state, mode, next, plane, after.leastCount);
  }
  const matmulStep = group.steps[index] as MatmulStep;
  const init = index === 0;
  const start =
    index === group.steps.length - 1
      ? placeLastStep(state, mode, group, matmulStep, { plane, init, entry }, from)
      : placeStep(state, mode, matmulStep, { plane, init, entry }, from);
  for (const p of planes)
    engineOf(state, p).lastActivate = start + span(group.count, spec.vectorPeriod) - 1 + (spec.vectorPeriod - 1);
  return loaded;
}

/** Where an activation burst adds its products. */
export interface Sums {
  readonly plane: number;
  readonly entry: number;
  readonly init: boolean;
}

/** Activations of one step: ABC at offset 0, ACC latency.abc later; `emit` gives the choice of streams for the sums. */
export function addActivation(
  builder: TemplateBuilder,
  mode: MxmMode,
  moving: RowWindow,
  { plane, entry, init }: Sums,
  emit: { choice: number; direction: Direction } | undefined,
  shared?: { choice: number },
): { choice: number } {
  const { state } = builder;
  const spec = specOf(state, mode);
  const hemisphere = planeHemisphere(state.target, plane);
  const count = moving.access.vectors.length;
  const read =
    shared ??
    addRead(builder, moving.access, mxmColumn(state.target, hemisphere), hemisphere, 0, spec.vectorPeriod, hemisphere);
  const period = count > 1 ? spec.vectorPeriod : 1;
  builder.emits.push((start, taken) => {
    const stream = takenStream(builder, read.choice, taken, hemisphere);
    emitBurst(
      state,
      { kind: "mxmActivate", plane },
      { op: "abc", cycle: start, count, period, mode, stream, lane: moving.lane, k: moving.k },
    );
    emitBurst(
      state,
      { kind: "mxmAccumulate", plane },
      {
        op: "acc",
        cycle: start + state.target.mxm.latency.abc,
        count,
        period,
        mode,
        entry,
        stride: count > 1 ? 1 : 0,
        init,
        emit: emit !== undefined,
        stream: emit === undefined ? 0 : takenStream(builder, emit.choice, taken, emit.direction),
      },
    );
  });
  return { choice: read.choice };
}

function placeStep(state: ScheduleState, mode: MxmMode, step: MatmulStep, sums: Sums, from: number): number {
  const builder = newTemplate(state);
  addActivation(builder, mode, step.moving, sums, undefined);
  const placed = tryPlace(builder, from);
  if (placed === undefined) {
    state.stuck = true;
    return from;
  }
  placeAt(builder, placed);
  return placed.start;
}

/** The last step: its sums go to the VXM and are written by the epilogue. */
function placeLastStep(
  state: ScheduleState,
  mode: MxmMode,
  group: MatmulGroup,
  step: MatmulStep,
  sums: Sums,
  from: number,
): number {
  const { plane } = sums;
  const spec = specOf(state, mode);
  const apart = separateSources(state, { ...group.epilogue, sources: [...group.epilogue.sources, step.moving.access] });
  const epilogue = { ...group.epilogue, sources: apart.sources.slice(0, -1) };
  const moving = { ...step.moving, access: apart.sources[apart.sources.length - 1] as Access };
  return placeApart(state, epilogue, spec.vectorPeriod, from, (builder) => {
    const emission = addEmission(builder, plane, group.count, spec.vectorPeriod);
    addActivation(builder, mode, moving, sums, emission);
    return {
      at:
        emission.at + Math.abs(vxmColumn(state.target) - mxmColumn(state.target, planeHemisphere(state.target, plane))),
      sums: emission,
    };
  });
}

/** Streams for the sums of a burst whose ABC starts at offset 0. */
export function addEmission(
  builder: TemplateBuilder,
  plane: number,
  count: number,
  period: number,
): { choice: number; direction: Direction; at: number } {
  const { target } = builder.state;
  const hemisphere = planeHemisphere(target, plane);
  const direction: Direction = hemisphere === "W" ? "E" : "W";
  const at = target.mxm.latency.abc + target.mxm.latency.acc;
  const choice = chooseStreams(builder, direction, 4, mxmColumn(target, hemisphere), at, span(count, period));
  return { choice, direction, at };
}
