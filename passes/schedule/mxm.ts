// Matrix kernels: tile loads ahead of use, activations, accumulation, and the pass that takes the last sums. Engines (a plane, or a pair of
// planes) work in order; everything else is found in the reservation tables.
import { invariant } from "../../ir/diag/diagnostic.ts";
import {
  type Direction,
  type Hemisphere,
  memColumn,
  memColumnsPerHemisphere,
  mxmColumn,
  planeHemisphere,
  vxmColumn,
} from "../../ir/target/geometry.ts";
import type { MxmMode, MxmModeSpec } from "../../ir/target/target.ts";
import type { Access, MatmulGroup, MatmulStep, RowWindow, Stationary } from "../lower/kernel.ts";
import { placeApart, separateSources } from "./apart.ts";
import { columnClasses } from "./locations.ts";
import {
  addBuffer,
  type Buffer,
  persistentLoad,
  rowsPerCycle,
  type ScheduleState,
  storageById,
  type TileContent,
} from "./state.ts";
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

/** Below this many moving vectors the tile loads are the bottleneck and take all streams. */
export const fewVectors = 24;

const specOf = (state: ScheduleState, mode: MxmMode): MxmModeSpec => {
  const spec = state.target.mxm.modes[mode];
  invariant(spec !== undefined, `the target has no ${mode} mode`);
  return spec;
};

/** Planes that are engines of a mode. */
export function enginePlanes(state: ScheduleState, mode: MxmMode): number[] {
  const step = specOf(state, mode).planesPerTile;
  return Array.from({ length: state.target.mxm.planes / step }, (_, i) => i * step);
}

/** The planes an engine occupies. */
function planesOf(state: ScheduleState, mode: MxmMode, plane: number): number[] {
  return specOf(state, mode).planesPerTile === 2 ? [plane, plane + 1] : [plane];
}

const busyUntil = (state: ScheduleState, planes: readonly number[]): number =>
  Math.max(...planes.map((plane) => state.engines[plane]?.lastActivate ?? 0));

/** Cycle at which the first engine of a mode is free. */
export const enginesFreeAt = (state: ScheduleState, mode: MxmMode): number =>
  Math.min(...enginePlanes(state, mode).map((plane) => busyUntil(state, planesOf(state, mode, plane)))) + 1;

/** A step of an accumulation with the group it belongs to. */
interface QueuedStep {
  readonly group: MatmulGroup;
  readonly index: number;
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
export function scheduleMatmul(state: ScheduleState, mode: MxmMode, groups: readonly MatmulGroup[]): void {
  const queues = enginePlanes(state, mode).map((plane): EngineQueue => {
    const planes = planesOf(state, mode, plane);
    return { plane, planes, steps: [], work: busyUntil(state, planes), next: 0, pending: undefined };
  });
  for (const group of groups) {
    const queue = queues.reduce((best, other) => (other.work < best.work ? other : best));
    group.steps.forEach((_, index) => {
      queue.steps.push({ group, index });
    });
    queue.work += group.steps.length * span(group.count, specOf(state, mode).vectorPeriod);
  }
  for (;;) {
    const open = queues.filter((queue) => queue.next < queue.steps.length);
    if (open.length === 0) return;
    const queue = open.reduce((best, other) =>
      busyUntil(state, other.planes) < busyUntil(state, best.planes) ? other : best,
    );
    runStep(state, mode, queue);
  }
}

const tileOf = (step: QueuedStep): Stationary =>
  (step.group.steps[step.index] as MatmulStep).stationary[0] as Stationary;

/** Installs the next tile of an engine unless it is in use already, loads the one after it where loads are the bottleneck, and activates. */
function runStep(state: ScheduleState, mode: MxmMode, queue: EngineQueue): void {
  const spec = specOf(state, mode);
  const { plane, planes } = queue;
  const step = queue.steps[queue.next++] as QueuedStep;
  const { group, index } = step;
  const key = stationaryKey(state, mode, tileOf(step));
  const inUse = (wanted: string): boolean =>
    wanted !== "" && planes.every((p) => state.engines[p]?.installed === wanted);
  let from = busyUntil(state, planes) + 1;
  if (!inUse(key)) {
    from = install(
      state,
      mode,
      planes,
      plane,
      queue.pending ?? placeLoad(state, mode, tileOf(step), plane, group.count),
    );
    queue.pending = undefined;
    for (const p of planes) (state.engines[p] as { installed: string }).installed = key;
  }
  const after = queue.steps[queue.next];
  if (after !== undefined && group.count < fewVectors && !inUse(stationaryKey(state, mode, tileOf(after)))) {
    queue.pending = placeLoad(state, mode, tileOf(after), plane, after.group.count);
  }
  const last = index === group.steps.length - 1;
  const matmulStep = group.steps[index] as MatmulStep;
  const start = last
    ? placeLastStep(state, mode, group, matmulStep, plane, index === 0, from)
    : placeStep(state, mode, group.count, matmulStep, plane, index === 0, from);
  for (const p of planes) {
    (state.engines[p] as { lastActivate: number }).lastActivate =
      start + span(group.count, spec.vectorPeriod) - 1 + (spec.vectorPeriod - 1);
  }
}

/** Equal for tiles with equal contents; empty for tiles made of computed rows. */
function stationaryKey(state: ScheduleState, mode: MxmMode, stationary: Stationary): string {
  if (stationary.kind === "const")
    return `${stationary.row}/${tileKey({ kind: "const", tile: stationary.tile, mode, stripes: 0, bytes: 1 })}`;
  const content = storageById(state, stationary.window.access.storage).content;
  if (content?.kind !== "fill") return "";
  return `${stationary.row}/${tileKey({ kind: "fill", bits: content.bits, k: stationary.window.k, mode, stripes: 0, bytes: 1 })}/${stationary.window.access.vectors.length}`;
}

/** Issues IW as early as the tile in use allows; gives the first cycle at which ABC may issue. */
function install(
  state: ScheduleState,
  mode: MxmMode,
  planes: readonly number[],
  plane: number,
  loadEnd: number,
): number {
  const { lw, iw } = state.target.mxm.latency;
  const cycle = Math.max(loadEnd + lw, busyUntil(state, planes) + 1, loadEnd + 1);
  emitBurst(state, { kind: "mxmLoad", plane }, { op: "iw", cycle, count: 1, period: 1, mode });
  for (const p of planes) {
    const loadFree = Math.max(state.engines[p]?.loadFree ?? 0, cycle + 1);
    Object.assign(state.engines[p] as object, { loadFree, installed: "" });
  }
  return cycle + iw;
}

/** Loads a tile; gives the cycle of the last LW issue. */
function placeLoad(state: ScheduleState, mode: MxmMode, stationary: Stationary, plane: number, count: number): number {
  const spec = specOf(state, mode);
  const from = Math.max(...planesOf(state, mode, plane).map((p) => state.engines[p]?.loadFree ?? 0));
  const rows = stationary.kind === "const" ? stationary.tile.rows : stationary.window.access.vectors.length;
  const storage = stationary.kind === "rows" ? storageById(state, stationary.window.access.storage) : undefined;
  if (stationary.kind === "const" || storage?.content?.kind === "fill") {
    const bytes = tileBytes(state, mode);
    const most = Math.min(
      state.target.streamsPerDirection,
      state.target.mxm.loadStreamsPerPlane * (count < fewVectors ? spec.planesPerTile : 1),
      memColumnsPerHemisphere(state.target) * state.target.mem.slicesPerColumn,
    );
    const stripes = most - (most % bytes);
    const content: TileContent =
      stationary.kind === "const"
        ? { kind: "const", tile: stationary.tile, mode, stripes, bytes }
        : {
            kind: "fill",
            bits: storage?.content?.kind === "fill" ? storage.content.bits : 0,
            k: stationary.window.k,
            mode,
            stripes,
            bytes,
          };
    const k = stationary.kind === "const" ? stationary.tile.k : stationary.window.k;
    return placePackedLoad(state, mode, content, plane, stationary.row, rows, k, from);
  }
  return placeRowLoad(state, mode, stationary.window, plane, stationary.row, from);
}

/** Slices a row of a constant tile takes: one if its bytes fit into the lanes side by side, else one a byte plane. */
function tileBytes(state: ScheduleState, mode: MxmMode): number {
  const bytes = mode === "fp32" ? 4 : mode === "fp16" ? 2 : 1;
  return bytes * specOf(state, mode).tileK <= state.target.lanes ? 1 : bytes;
}

function tileKey(content: TileContent): string {
  return content.kind === "fill"
    ? `fill:${content.bits}:${content.k}:${content.mode}:${content.stripes}`
    : `${content.tile.tensor}:${content.tile.byRows}:${content.tile.batch}:${content.tile.k0}:${content.tile.k}:${content.tile.n0}:${content.tile.rows}:${content.mode}:${content.stripes}`;
}

/** Weights of the two hemispheres may differ by this much before a tile goes to the other one, across the chip from its engine. */
const imbalance = { factor: 1.15, words: 256 };

/** The hemisphere a tile is kept in: its engine's, unless that one is much fuller. */
function tileSide(state: ScheduleState, engine: Hemisphere): Hemisphere {
  const { all } = columnClasses(state.target);
  const words = (hemisphere: Hemisphere): number => {
    let sum = 0;
    for (let column = 0; column < all; column++)
      for (const bank of [0, 1]) sum += persistentLoad(state, hemisphere, column, bank);
    return sum / (2 * all);
  };
  const other: Hemisphere = engine === "W" ? "E" : "W";
  return words(engine) > imbalance.factor * words(other) + imbalance.words / 4 ? other : engine;
}

/** The buffer of a tile, striped over the columns with the fewest weights. */
function tileBuffer(state: ScheduleState, content: TileContent, rows: number, engine: Hemisphere): Buffer {
  const key = tileKey(content);
  const known = state.tiles.get(key);
  if (known !== undefined) return known;
  const hemisphere = tileSide(state, engine);
  const perColumn = state.target.mem.slicesPerColumn;
  const columns = Math.ceil(content.stripes / perColumn);
  const { narrow, all } = columnClasses(state.target);
  const words = content.kind === "fill" ? 1 : Math.ceil(rows / rowsPerCycle(content));
  const cost = (column: number, bank: number): number =>
    persistentLoad(state, hemisphere, column, bank) + (column < narrow && state.weights === "apart" ? 1e9 : 0);
  const bankCost = (bank: number): { chosen: number[]; total: number } => {
    const order = Array.from({ length: all }, (_, c) => c).sort((a, b) => cost(a, bank) - cost(b, bank) || b - a);
    const chosen = order.slice(0, columns).sort((a, b) => a - b);
    return { chosen, total: chosen.reduce((sum, column) => sum + cost(column, bank), 0) };
  };
  const banks = [bankCost(0), bankCost(1)];
  const bank = (banks[1]?.total ?? 0) < (banks[0]?.total ?? 0) ? 1 : 0;
  const slices = (banks[bank]?.chosen ?? [])
    .flatMap((column) => Array.from({ length: perColumn }, (_, i) => column * perColumn + i))
    .slice(0, content.stripes);
  const buffer = addBuffer(state, {
    name: "tile",
    hemisphere,
    slices,
    bank,
    words,
    content: { kind: "tile", tile: content },
  });
  state.tiles.set(key, buffer);
  return buffer;
}

export function placePackedLoad(
  state: ScheduleState,
  mode: MxmMode,
  content: TileContent,
  plane: number,
  row: number,
  rows: number,
  k: number,
  from: number,
): number {
  const { target, resources } = state;
  const hemisphere = planeHemisphere(target, plane);
  const direction: Direction = hemisphere;
  const column = mxmColumn(target, hemisphere);
  const buffer = tileBuffer(state, content, rows, hemisphere);
  const { stripes, bytes } = content;
  const perCycle = rowsPerCycle(content);
  const cycles = Math.ceil(rows / perCycle);
  const builder = newTemplate(state);
  const choice = chooseStreams(builder, direction, stripes, column, 0, cycles, true);
  const reads = buffer.slices.flatMap((slice, s) => {
    const count = Math.ceil((rows - Math.floor(s / bytes)) / perCycle);
    if (count <= 0) return [];
    const issue = -target.mem.latency.read - Math.abs(column - memColumn(target, buffer.hemisphere, slice));
    builder.needs.push({ resource: resources.readQueue(buffer.hemisphere, slice), at: issue, length: count });
    builder.needs.push({ resource: resources.bank(buffer.hemisphere, slice, buffer.bank), at: issue, length: count });
    builder.earliest = Math.max(builder.earliest, -issue);
    return [{ slice, s, count, issue }];
  });
  const placed = tryPlace(builder, from);
  if (placed === undefined) {
    state.stuck = true;
    return from;
  }
  builder.emits.push((start, taken) => {
    const stream = takenStream(builder, choice, taken, direction);
    for (const read of reads) {
      emitBurst(
        state,
        { kind: "memRead", hemisphere: buffer.hemisphere, slice: read.slice },
        {
          op: "read",
          cycle: start + read.issue,
          count: read.count,
          period: 1,
          address: 0,
          stride: content.kind === "fill" ? 0 : 1,
          stream: stream + read.s,
          direction,
        },
        buffer.id,
      );
    }
    buffer.lastRead = Math.max(buffer.lastRead, start + cycles);
    emitBurst(
      state,
      { kind: "mxmLoad", plane },
      {
        op: "lw",
        cycle: start,
        count: cycles,
        period: 1,
        mode,
        format: bytes === 1 ? "packed" : "planar",
        stream,
        streams: perCycle * bytes,
        row,
        rows,
        lane: 0,
        k,
        clear: true,
      },
    );
  });
  placeAt(builder, placed);
  return placed.start + cycles - 1;
}

function placeRowLoad(
  state: ScheduleState,
  mode: MxmMode,
  window: RowWindow,
  plane: number,
  row: number,
  from: number,
): number {
  const hemisphere = planeHemisphere(state.target, plane);
  const builder = newTemplate(state);
  const plan = addRead(builder, window.access, mxmColumn(state.target, hemisphere), hemisphere, 0, 1, hemisphere);
  const rows = window.access.vectors.length;
  const placed = tryPlace(builder, from);
  if (placed === undefined) {
    state.stuck = true;
    return from;
  }
  builder.emits.push((start, taken) => {
    const stream = takenStream(builder, plan.choice, taken, hemisphere);
    emitBurst(
      state,
      { kind: "mxmLoad", plane },
      {
        op: "lw",
        cycle: start,
        count: rows,
        period: 1,
        mode,
        format: "planar",
        stream,
        streams: plan.bytes,
        row,
        rows,
        lane: window.lane,
        k: window.k,
        clear: true,
      },
    );
  });
  placeAt(builder, placed);
  return placed.start + rows - 1;
}

/** Activations of one step: ABC at offset 0, ACC latency.abc later; `emit` gives the choice of streams for the sums. */
export function addActivation(
  builder: TemplateBuilder,
  mode: MxmMode,
  moving: RowWindow,
  plane: number,
  init: boolean,
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
        entry: 0,
        stride: count > 1 ? 1 : 0,
        init,
        emit: emit !== undefined,
        stream: emit === undefined ? 0 : takenStream(builder, emit.choice, taken, emit.direction),
      },
    );
  });
  return { choice: read.choice };
}

function placeStep(
  state: ScheduleState,
  mode: MxmMode,
  _count: number,
  step: MatmulStep,
  plane: number,
  init: boolean,
  from: number,
): number {
  const builder = newTemplate(state);
  addActivation(builder, mode, step.moving, plane, init, undefined);
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
  plane: number,
  init: boolean,
  from: number,
): number {
  const spec = specOf(state, mode);
  const apart = separateSources(state, { ...group.epilogue, sources: [...group.epilogue.sources, step.moving.access] });
  const epilogue = { ...group.epilogue, sources: apart.sources.slice(0, -1) };
  const moving = { ...step.moving, access: apart.sources[apart.sources.length - 1] as Access };
  return placeApart(state, epilogue, spec.vectorPeriod, from, (builder) => {
    const emission = addEmission(builder, plane, group.count, spec.vectorPeriod);
    addActivation(builder, mode, moving, plane, init, emission);
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

export { busyUntil, install };
