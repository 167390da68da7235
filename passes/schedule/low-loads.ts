// Loads of weights that are kept as low bytes of binary16 elements: beside each of their streams goes one of zeros, and the matrix units take both.
import { memColumn, memColumnsPerHemisphere, mxmColumn, planeHemisphere } from "../../ir/target/geometry.ts";
import type { MxmMode } from "../../ir/target/target.ts";
import type { ConstTile, Stationary } from "../lower/kernel.ts";
import { loadFreeAt, planesOf, specOf } from "./engines.ts";
import { loadStreams, tileBuffer } from "./loads.ts";
import { addBuffer, type Buffer, type ScheduleState, type TileContent } from "./state.ts";
import { chooseStreams, emitBurst, newTemplate, placeAt, takenStream, tryPlace } from "./template.ts";

/** Rows of low bytes that one cycle of a load brings: each takes two streams. */
function lowStripes(state: ScheduleState, mode: MxmMode, leastCount: number): number {
  const { tileN, vectorPeriod } = specOf(state, mode);
  const usual = loadStreams(state, mode, leastCount, 2) / 2;
  // What the burst does not hide takes all streams.
  return Math.ceil(tileN / usual) <= leastCount * vectorPeriod ? usual : loadStreams(state, mode, 1, 2) / 2;
}

/** Cycles that a load of low bytes takes, which few vectors do not hide; 0 for other tiles. */
export const lowLoadCycles = (
  state: ScheduleState,
  mode: MxmMode,
  stationary: Stationary,
  leastCount: number,
): number =>
  stationary.kind === "const" && stationary.tile.lowOf !== undefined
    ? Math.ceil(stationary.tile.rows / lowStripes(state, mode, leastCount))
    : 0;

/** Low bytes of a tile's rows, each as long as a vector: several tiles along K stand in the same words. */
function lowContent(state: ScheduleState, tile: ConstTile, stripes: number): TileContent & { kind: "const" } {
  const { lanes } = state.target;
  const first = tile.k0 - (tile.k0 % lanes);
  const k0 = tile.k0 + tile.k <= first + lanes ? first : tile.k0;
  return {
    kind: "const",
    tile: { ...tile, k0, k: Math.min(lanes, (tile.lowOf ?? 0) - k0) },
    mode: "int8",
    stripes,
    bytes: 1,
  };
}

/** One word of zeros in as many slices as high bytes are loaded from, in other columns than the low bytes. */
function zeroBuffer(state: ScheduleState, low: Buffer): Buffer {
  const { target } = state;
  const { hemisphere } = low;
  const perColumn = target.mem.slicesPerColumn;
  const taken = new Set(low.slices.map((slice) => Math.floor(slice / perColumn)));
  const columns = Array.from({ length: memColumnsPerHemisphere(target) }, (_, column) => column)
    .filter((column) => !taken.has(column))
    .slice(-Math.ceil(low.slices.length / perColumn));
  const key = `zeros:${hemisphere}:${columns.join()}:${low.slices.length}`;
  const known = state.tiles.get(key);
  if (known !== undefined) return known;
  const stripes = low.slices.length;
  const slices = columns.flatMap((column) => Array.from({ length: perColumn }, (_, i) => column * perColumn + i));
  const content: TileContent = { kind: "fill", bits: 0, k: target.lanes, mode: "int8", stripes, bytes: 1 };
  const buffer = addBuffer(state, {
    name: "zeros",
    hemisphere,
    slices: slices.slice(0, stripes),
    bank: 0,
    words: 1,
    content: { kind: "tile", tile: content },
  });
  state.tiles.set(key, buffer);
  return buffer;
}

/** Rows of binary16 elements of which the low bytes are the tensor's and the high ones are zeros: two streams a row. */
export function placeLowLoad(
  state: ScheduleState,
  mode: MxmMode,
  tile: ConstTile,
  plane: number,
  row: number,
  leastCount: number,
): number {
  const { target, resources } = state;
  const from = loadFreeAt(state, planesOf(state, mode, plane));
  const hemisphere = planeHemisphere(target, plane);
  const column = mxmColumn(target, hemisphere);
  const stripes = lowStripes(state, mode, leastCount);
  const content = lowContent(state, tile, stripes);
  const low = tileBuffer(state, content, tile.rows, hemisphere);
  const zeros = zeroBuffer(state, low);
  const cycles = Math.ceil(tile.rows / stripes);
  const builder = newTemplate(state);
  const choice = chooseStreams(builder, hemisphere, 2 * stripes, column, 0, cycles, true);
  const reads = [low, zeros].flatMap((buffer, byte) =>
    buffer.slices.flatMap((slice, s) => {
      const count = Math.ceil((tile.rows - s) / stripes);
      if (count <= 0) return [];
      const issue = -target.mem.latency.read - Math.abs(column - memColumn(target, buffer.hemisphere, slice));
      builder.needs.push({ resource: resources.readQueue(buffer.hemisphere, slice), at: issue, length: count });
      builder.needs.push({ resource: resources.bank(buffer.hemisphere, slice, buffer.bank), at: issue, length: count });
      builder.earliest = Math.max(builder.earliest, -issue);
      return [{ buffer, slice, count, issue, stream: 2 * s + byte, stride: 1 - byte }];
    }),
  );
  const placed = tryPlace(builder, from);
  if (placed === undefined) {
    state.stuck = true;
    return from;
  }
  builder.emits.push((start, taken) => {
    const first = takenStream(builder, choice, taken, hemisphere);
    for (const { buffer, slice, count, issue, stream, stride } of reads) {
      buffer.lastRead = Math.max(buffer.lastRead, start + cycles);
      emitBurst(
        state,
        { kind: "memRead", hemisphere: buffer.hemisphere, slice },
        {
          op: "read",
          cycle: start + issue,
          count,
          period: 1,
          address: 0,
          stride,
          stream: first + stream,
          direction: hemisphere,
        },
        buffer.id,
      );
    }
    emitBurst(
      state,
      { kind: "mxmLoad", plane },
      {
        op: "lw",
        cycle: start,
        count: cycles,
        period: 1,
        mode,
        format: "planar",
        stream: first,
        streams: 2 * stripes,
        row,
        rows: tile.rows,
        lane: tile.k0 - content.tile.k0,
        k: tile.k,
        clear: true,
      },
    );
  });
  placeAt(builder, placed);
  return placed.start + cycles - 1;
}
