// Loads of weight tiles: where constant tiles stand, and the bursts that bring a tile to the planes.
import {
  type Direction,
  type Hemisphere,
  memColumn,
  memColumnsPerHemisphere,
  mxmColumn,
  planeHemisphere,
} from "../../ir/target/geometry.ts";
import type { MxmMode } from "../../ir/target/target.ts";
import type { RowWindow, Stationary } from "../lower/kernel.ts";
import { fewVectors, loadFreeAt, planesOf, specOf } from "./engines.ts";
import { columnClasses, hasRoom } from "./locations.ts";
import {
  addBuffer,
  type Buffer,
  persistentLoad,
  rowsPerCycle,
  type ScheduleState,
  storageById,
  type TileContent,
} from "./state.ts";
import { addRead, chooseStreams, emitBurst, newTemplate, placeAt, takenStream, tryPlace } from "./template.ts";

/** Equal for tiles with equal contents. A tile is met in one mode; it is asked for at every step that might use it. */
export function stationaryKey(state: ScheduleState, mode: MxmMode, stationary: Stationary): string {
  const known = state.stationaryKeys.get(stationary);
  if (known !== undefined) return known;
  const key = keyOfStationary(state, mode, stationary);
  state.stationaryKeys.set(stationary, key);
  return key;
}

function keyOfStationary(state: ScheduleState, mode: MxmMode, stationary: Stationary): string {
  if (stationary.kind === "const")
    return `${stationary.row}/${tileKey({ kind: "const", tile: stationary.tile, mode, stripes: 0, bytes: 1 })}`;
  const { access, lane, k } = stationary.window;
  const { content } = storageById(state, access.storage);
  if (content?.kind !== "fill")
    return `${stationary.row}/rows:${access.storage}:${lane}:${k}:${mode}:${access.vectors.join()}`;
  return `${stationary.row}/${tileKey({ kind: "fill", bits: content.bits, k, mode, stripes: 0, bytes: 1 })}/${access.vectors.length}`;
}

const rowsOf = (stationary: Stationary): number =>
  stationary.kind === "const" ? stationary.tile.rows : stationary.window.access.vectors.length;

/** Cycles a load takes that brings one row a cycle, too many to hide behind a usual burst; 0 for tiles that stand in many slices. */
export function rowLoadCycles(state: ScheduleState, stationary: Stationary): number {
  if (stationary.kind === "const") return 0;
  return storageById(state, stationary.window.access.storage).content?.kind === "fill" ? 0 : rowsOf(stationary);
}

/** Cycles of a burst that a load may take and still be hidden behind it, with some to spare for finding a place. */
const hidden = 48;

/**
 * Streams that bring a packed tile, of bursts with at least `leastCount` vectors: all there are where loads are the bottleneck, else as few as
 * keep the load hidden, for few find room sooner than many.
 */
export function loadStreams(state: ScheduleState, mode: MxmMode, leastCount: number, bytes: number): number {
  const { target } = state;
  const { planesPerTile, tileN, vectorPeriod } = specOf(state, mode);
  const most = Math.min(
    target.streamsPerDirection,
    target.mxm.loadStreamsPerPlane * (leastCount < fewVectors ? planesPerTile : 1),
    memColumnsPerHemisphere(target) * target.mem.slicesPerColumn,
  );
  let streams = most - (most % bytes);
  if (leastCount < fewVectors) return streams;
  const longest = Math.min(hidden, (leastCount * vectorPeriod * 3) / 4);
  for (;;) {
    const half = streams / 2;
    if (half % bytes !== 0 || half < target.mem.slicesPerColumn) return streams;
    if (Math.ceil(tileN / (half / bytes)) > longest) return streams;
    streams = half;
  }
}

/** Loads a tile for bursts of at least `leastCount` vectors; gives the cycle of the last LW issue. */
export function placeLoad(
  state: ScheduleState,
  mode: MxmMode,
  stationary: Stationary,
  plane: number,
  leastCount: number,
): number {
  const from = loadFreeAt(state, planesOf(state, mode, plane));
  const rows = rowsOf(stationary);
  const storage = stationary.kind === "rows" ? storageById(state, stationary.window.access.storage) : undefined;
  if (stationary.kind === "const" || storage?.content?.kind === "fill") {
    const bytes = tileBytes(state, mode);
    const stripes = loadStreams(state, mode, leastCount, bytes);
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
  const { all } = columnClasses(state.target, state.weights);
  const words = (hemisphere: Hemisphere): number => {
    let sum = 0;
    for (let column = 0; column < all; column++)
      for (const bank of [0, 1]) sum += persistentLoad(state, hemisphere, column, bank);
    return sum / (2 * all);
  };
  const other: Hemisphere = engine === "W" ? "E" : "W";
  return words(engine) > imbalance.factor * words(other) + imbalance.words / 4 ? other : engine;
}

/** What a column without room for a tile costs, in words. */
const fullCost = 1e8;

interface TileColumns {
  readonly hemisphere: Hemisphere;
  readonly bank: number;
  readonly columns: readonly number[];
  readonly total: number;
}

const cheaper = (a: TileColumns, b: TileColumns): TileColumns => (b.total < a.total ? b : a);

/** The columns of a hemisphere and bank with the fewest weights. */
function tileColumns(
  state: ScheduleState,
  hemisphere: Hemisphere,
  bank: number,
  count: number,
  words: number,
): TileColumns {
  const { narrow, all } = columnClasses(state.target, state.weights);
  const width = state.target.mem.slicesPerColumn;
  const costs = Array.from(
    { length: all },
    (_, column) =>
      persistentLoad(state, hemisphere, column, bank) +
      (hasRoom(state, words, { hemisphere, column, sub: 0, width, bank }) ? 0 : fullCost) +
      (column < narrow && state.weights !== "spread" ? 1e9 : 0),
  );
  const cost = (column: number): number => costs[column] as number;
  const order = costs.map((_, column) => column).sort((a, b) => cost(a) - cost(b) || b - a);
  const columns = order.slice(0, count).sort((a, b) => a - b);
  return { hemisphere, bank, columns, total: columns.reduce((sum, column) => sum + cost(column), 0) };
}

/** The buffer of a tile, striped over the columns with the fewest weights. */
export function tileBuffer(state: ScheduleState, content: TileContent, rows: number, engine: Hemisphere): Buffer {
  const key = tileKey(content);
  const known = state.tiles.get(key);
  if (known !== undefined) return known;
  const perColumn = state.target.mem.slicesPerColumn;
  const words = content.kind === "fill" ? 1 : Math.ceil(rows / rowsPerCycle(content));
  const side = tileSide(state, engine);
  const count = Math.ceil(content.stripes / perColumn);
  const inHemisphere = (where: Hemisphere): TileColumns =>
    cheaper(tileColumns(state, where, 0, count, words), tileColumns(state, where, 1, count, words));
  const near = inHemisphere(side);
  const far = near.total < fullCost ? near : inHemisphere(side === "W" ? "E" : "W");
  const { hemisphere, bank, columns } = far.total < fullCost ? far : near;
  const slices = columns
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
