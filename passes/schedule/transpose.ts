// Transpositions through the MXM: each byte plane of the rows is an int8 tile, identity vectors stream past it, the low byte of each sum is the
// byte sought. Both planes of a hemisphere share the identity stream.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { mxmColumn, planeHemisphere } from "../../ir/target/geometry.ts";
import type { Access, EwPass, RowWindow, SpreadJob, StorageId, TransposeJob } from "../lower/kernel.ts";
import { scheduleVxmPass } from "./apart.ts";
import { busyUntil, engineOf, install, loadFreeAt } from "./engines.ts";
import { placePackedLoad } from "./loads.ts";
import { bufferOf, candidateLocations, locatePart } from "./locations.ts";
import { addActivation, addEmission } from "./mxm.ts";
import {
  addStorageState,
  type Buffer,
  bytesOfStorage,
  pinKey,
  type ScheduleState,
  storageById,
  type TileContent,
} from "./state.ts";
import {
  addRead,
  addWrite,
  conflictsWithItself,
  emitBurst,
  newTemplate,
  placeAt,
  type TemplateBuilder,
  takenStream,
  tryPlace,
} from "./template.ts";

/** Copies one lane into all: byte planes stream past a tile whose first column is ones. */
export function scheduleSpread(state: ScheduleState, jobs: readonly SpreadJob[]): void {
  for (const job of jobs) {
    const bytes = bytesOfStorage(storageById(state, job.source.storage));
    const source = storageById(state, job.source.storage);
    const out = storageById(state, job.out.storage);
    const count = job.source.vectors.length;
    for (let from = 0; from < count; ) {
      let to = from + 1;
      const part = (access: Access, i: number, per: number): number => Math.floor((access.vectors[i] as number) / per);
      while (
        to < count &&
        to - from < state.placedAsOne &&
        part(job.source, to, source.partVectors) === part(job.source, from, source.partVectors) &&
        part(job.out, to, out.partVectors) === part(job.out, from, out.partVectors)
      )
        to++;
      const piece = { source: sliceAccess(job.source, from, to), lane: job.lane, out: sliceAccess(job.out, from, to) };
      const detour = detourFor(state, piece.source, piece.out);
      for (const { planes, byte } of planeTurns(state, bytes))
        spreadSide(state, detour === undefined ? piece : { ...piece, out: detour }, planes, byte);
      if (detour !== undefined) scheduleVxmPass(state, movePass(detour, piece.out));
      from = to;
    }
  }
}

/** A temporary place for a result that would stand in the column its source is read from in the same cycles. */
function detourFor(state: ScheduleState, source: Access, out: Access): Access | undefined {
  const target = storageById(state, out.storage);
  const part = Math.floor((out.vectors[0] as number) / target.partVectors);
  const columnOf = (buffer: Pick<Buffer, "hemisphere" | "slices">): string =>
    `${buffer.hemisphere}${Math.floor((buffer.slices[0] as number) / state.target.mem.slicesPerColumn)}`;
  const pinned = state.pinned.get(pinKey(out.storage, part));
  const buffer = state.parts[out.storage]?.[part]?.buffers[0];
  const place =
    buffer !== undefined ? columnOf(buffer) : pinned === undefined ? undefined : `${pinned.hemisphere}${pinned.column}`;
  const from = storageById(state, source.storage);
  if (
    place === undefined ||
    place !==
      columnOf(bufferOf(state, source.storage, Math.floor((source.vectors[0] as number) / from.partVectors), undefined))
  )
    return undefined;
  const id = state.storages.length as StorageId;
  const count = out.vectors.length;
  addStorageState(state, {
    id,
    name: `${target.name}.detour`,
    type: target.type,
    vectors: count,
    partVectors: count,
    replicated: false,
  });
  (state.together as Map<StorageId, ReadonlySet<StorageId>>).set(id, new Set([source.storage, out.storage]));
  return { storage: id, vectors: Int32Array.from({ length: count }, (_, i) => i) };
}

const movePass = (source: Access, out: Access): EwPass => ({
  count: out.vectors.length,
  sources: [source],
  ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
  sinks: [{ op: 0, access: out, every: 1 }],
});

const sliceAccess = (access: Access, from: number, to: number): Access => ({
  storage: access.storage,
  vectors: access.vectors.subarray(from, to),
});

/** Which planes take which byte planes: both of the less busy hemisphere first. */
function planeTurns(state: ScheduleState, bytes: number): { planes: number[]; byte: number }[] {
  const byBusy = sides(state).sort(
    (a, b) => busyUntil(state, a) - busyUntil(state, b) || (a[0] as number) - (b[0] as number),
  );
  const turns: { planes: number[]; byte: number }[] = [];
  for (let byte = 0; byte < bytes; ) {
    const side = byBusy[turns.length % byBusy.length] as number[];
    const planes = side.slice(0, bytes - byte);
    turns.push({ planes, byte });
    byte += planes.length;
  }
  return turns;
}

function spreadSide(state: ScheduleState, job: SpreadJob, planes: readonly number[], byte: number): void {
  const lanes = state.target.mxm.modes.int8?.tileN ?? state.target.lanes;
  const stripes = Math.min(state.target.streamsPerDirection, state.target.mxm.loadStreamsPerPlane);
  const content: TileContent = { kind: "fill", bits: 1, k: 1, mode: "int8", stripes, bytes: 1 };
  const loaded = planes.map((plane) =>
    placePackedLoad(state, "int8", content, plane, 0, lanes, 1, loadFreeAt(state, [plane])),
  );
  const from = Math.max(...planes.map((plane, i) => install(state, "int8", planes, plane, loaded[i] as number)));
  const moving = { access: job.source, lane: job.lane, k: 1 };
  placeBytes(state, moving, job.out, planes, byte, from, job.source.vectors.length);
}

function identityStorage(state: ScheduleState): StorageId {
  const known = state.storages.find((storage) => storage.content?.kind === "identity");
  if (known !== undefined) return known.id;
  const lanes = state.target.mxm.modes.int8?.tileK ?? state.target.lanes;
  const id = state.storages.length as StorageId;
  addStorageState(state, {
    id,
    name: "identity",
    type: "i8",
    vectors: lanes,
    partVectors: lanes,
    replicated: true,
    content: { kind: "identity" },
  });
  return id;
}

/** Planes of each hemisphere, west first. */
function sides(state: ScheduleState): number[][] {
  const half = state.target.mxm.planes / 2;
  return [0, half].map((first) => Array.from({ length: half }, (_, i) => first + i));
}

export function scheduleTranspose(state: ScheduleState, jobs: readonly TransposeJob[]): void {
  for (const job of jobs) scheduleJob(state, job);
}

/** Ranges [from, to) of a job's results that lie in one part each and have an accumulator entry each. */
function partRanges(state: ScheduleState, job: TransposeJob): { from: number; to: number }[] {
  const per = storageById(state, job.out.storage).partVectors;
  const ranges: { from: number; to: number }[] = [];
  let from = 0;
  for (let i = 1; i <= job.k; i++) {
    const cut =
      i === job.k ||
      i - from === state.placedAsOne ||
      Math.floor((job.out.vectors[i] as number) / per) !== Math.floor((job.out.vectors[from] as number) / per);
    if (!cut) continue;
    ranges.push({ from, to: i });
    from = i;
  }
  return ranges;
}

function scheduleJob(state: ScheduleState, job: TransposeJob): void {
  const bytes = bytesOfStorage(storageById(state, job.rows.storage));
  for (const { planes, byte } of planeTurns(state, bytes)) scheduleSide(state, job, planes, byte);
}

/** Byte planes byte, byte + 1, ... of a job on the planes of one hemisphere. */
function scheduleSide(state: ScheduleState, job: TransposeJob, planes: readonly number[], byte: number): void {
  const hemisphere = planeHemisphere(state.target, planes[0] as number);
  const column = mxmColumn(state.target, hemisphere);
  const wanted = planes.map((_, i) => byte + i);
  const rows = job.rows.vectors.length;
  const load = newTemplate(state);
  const plan = addRead(load, job.rows, column, hemisphere, 0, 1, hemisphere, wanted);
  const loadFrom = loadFreeAt(state, planes);
  const placedLoad = tryPlace(load, loadFrom);
  if (placedLoad === undefined) {
    state.stuck = true;
    return;
  }
  load.emits.push((start, taken) => {
    const stream = takenStream(load, plan.choice, taken, hemisphere);
    planes.forEach((plane, i) => {
      emitBurst(
        state,
        { kind: "mxmLoad", plane },
        {
          op: "lw",
          cycle: start,
          count: rows,
          period: 1,
          mode: "int8",
          format: "planar",
          stream: stream + i,
          streams: 1,
          row: job.row,
          rows,
          lane: job.lane,
          k: job.k,
          clear: true,
        },
      );
    });
  });
  placeAt(load, placedLoad);
  const from = Math.max(...planes.map((plane) => install(state, "int8", planes, plane, placedLoad.start + rows - 1)));
  for (const range of partRanges(state, job)) {
    const count = range.to - range.from;
    const identity = {
      access: {
        storage: identityStorage(state),
        vectors: Int32Array.from({ length: count }, (_, i) => range.from + i),
      },
      lane: 0,
      k: job.k,
    };
    const start = Math.max(from, busyUntil(state, planes) + 1);
    placeBytes(state, identity, sliceAccess(job.out, range.from, range.to), planes, byte, start, count);
  }
}

/**
 * Streams moving vectors past tiles that are installed in the planes and writes the low byte of plane i's sums as byte plane byte + i. A moving
 * storage of one byte plane is shared by the planes; of several, each plane gets its own.
 */
function placeBytes(
  state: ScheduleState,
  moving: RowWindow,
  target: Access,
  planes: readonly number[],
  byte: number,
  from: number,
  count: number,
): void {
  const out = storageById(state, target.storage);
  const part = Math.floor((target.vectors[0] as number) / out.partVectors);
  let buffer = state.parts[out.id]?.[part]?.buffers[0];
  if (buffer === undefined) {
    const moved = storageById(state, moving.access.storage);
    const source =
      moved.content?.kind === "identity"
        ? undefined
        : bufferOf(state, moved.id, Math.floor((moving.access.vectors[0] as number) / moved.partVectors), undefined);
    const candidates = candidateLocations(state, out, part, state.side[out.id]);
    const column =
      source === undefined ? -1 : Math.floor((source.slices[0] as number) / state.target.mem.slicesPerColumn);
    const location =
      candidates.find((c) => source === undefined || c.hemisphere !== source.hemisphere || c.column !== column) ??
      candidates[0];
    invariant(location !== undefined, "there are columns for every width");
    buffer = locatePart(state, out, part, 0, state.pinned.get(pinKey(out.id, part)) ?? location);
  }
  const builder = activationTemplate(state, moving, target, planes, byte, buffer, count);
  const placed = conflictsWithItself(builder) ? undefined : tryPlace(builder, from);
  if (placed === undefined) {
    state.stuck = true;
    return;
  }
  placeAt(builder, placed);
  for (const plane of planes) engineOf(state, plane).lastActivate = placed.start + count - 1;
}

function activationTemplate(
  state: ScheduleState,
  moving: RowWindow,
  target: Access,
  planes: readonly number[],
  byte: number,
  buffer: Buffer,
  count: number,
): TemplateBuilder {
  const builder = newTemplate(state);
  const single = bytesOfStorage(storageById(state, moving.access.storage)) === 1;
  let shared: { choice: number } | undefined;
  planes.forEach((plane, i) => {
    const hemisphere = planeHemisphere(state.target, plane);
    const column = mxmColumn(state.target, hemisphere);
    const emission = addEmission(builder, plane, count, 1);
    const sums = { plane, entry: 0, init: true };
    if (single) shared = addActivation(builder, "int8", moving, sums, emission, shared);
    else
      addActivation(
        builder,
        "int8",
        moving,
        sums,
        emission,
        addRead(builder, moving.access, column, hemisphere, 0, 1, hemisphere, [byte + i]),
      );
    addWrite(
      builder,
      target.storage,
      target.vectors,
      buffer,
      [byte + i],
      column,
      emission.direction,
      emission.choice,
      emission.at,
      1,
    );
  });
  return builder;
}
