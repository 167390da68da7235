// Transpositions through the MXM: each byte plane of the rows is an int8 tile, identity vectors stream past it, the low byte of each sum is the
// byte sought. Both planes of a hemisphere share the identity stream.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { mxmColumn, planeHemisphere } from "../../ir/target/geometry.ts";
import type { StorageId, TransposeJob } from "../lower/kernel.ts";
import { candidateLocations, locatePart } from "./locations.ts";
import { addActivation, addEmission, busyUntil, install } from "./mxm.ts";
import type { Placed } from "./place.ts";
import { addStorageState, type Buffer, bytesOfStorage, type ScheduleState, storageById } from "./state.ts";
import { addRead, addWrite, conflictsWithItself, emitBurst, newTemplate, placeAt, span, takenStream, type TemplateBuilder, tryPlace } from "./template.ts";

function identityStorage(state: ScheduleState): StorageId {
  const known = state.storages.find((storage) => storage.content?.kind === "identity");
  if (known !== undefined) return known.id;
  const lanes = state.target.mxm.modes.int8?.tileK ?? state.target.lanes;
  const id = state.storages.length as StorageId;
  addStorageState(state, { id, name: "identity", type: "i8", vectors: lanes, partVectors: lanes, replicated: true, content: { kind: "identity" } });
  return id;
}

/** Planes of each hemisphere, west first. */
function sides(state: ScheduleState): number[][] {
  const half = state.target.mxm.planes / 2;
  return [0, half].map((first) => Array.from({ length: half }, (_, i) => first + i));
}

export function scheduleTranspose(state: ScheduleState, jobs: readonly TransposeJob[]): void {
  for (const job of jobs) for (const piece of splitByPart(state, job)) scheduleJob(state, piece);
}

/** Cuts a job so that its result lies in one part. */
function splitByPart(state: ScheduleState, job: TransposeJob): TransposeJob[] {
  const per = storageById(state, job.out.storage).partVectors;
  const pieces: TransposeJob[] = [];
  let from = 0;
  for (let i = 1; i <= job.k; i++) {
    const cut = i === job.k || Math.floor((job.out.vectors[i] as number) / per) !== Math.floor((job.out.vectors[from] as number) / per);
    if (!cut) continue;
    pieces.push({ rows: job.rows, lane: job.lane + from, k: i - from, row: job.row, out: { storage: job.out.storage, vectors: job.out.vectors.subarray(from, i) } });
    from = i;
  }
  return pieces;
}

function scheduleJob(state: ScheduleState, job: TransposeJob): void {
  const bytes = bytesOfStorage(storageById(state, job.rows.storage));
  const perSide = sides(state).map((planes) => planes.length)[0] as number;
  const byBusy = sides(state).sort((a, b) => busyUntil(state, a) - busyUntil(state, b) || (a[0] as number) - (b[0] as number));
  let byte = 0;
  for (let turn = 0; byte < bytes; turn++) {
    const planes = (byBusy[turn % byBusy.length] as number[]).slice(0, Math.min(perSide, bytes - byte));
    scheduleSide(state, job, planes, byte);
    byte += planes.length;
  }
}

/** Byte planes byte, byte + 1, ... of a job on the planes of one hemisphere. */
function scheduleSide(state: ScheduleState, job: TransposeJob, planes: readonly number[], byte: number): void {
  const hemisphere = planeHemisphere(state.target, planes[0] as number);
  const column = mxmColumn(state.target, hemisphere);
  const wanted = planes.map((_, i) => byte + i);
  const rows = job.rows.vectors.length;
  const load = newTemplate(state);
  const plan = addRead(load, job.rows, column, hemisphere, 0, 1, hemisphere, wanted);
  const loadFrom = Math.max(...planes.map((p) => state.engines[p]?.loadFree ?? 0));
  const placedLoad = tryPlace(load, loadFrom);
  invariant(placedLoad !== undefined, "a tile load can be placed");
  load.emits.push((start, taken) => {
    const stream = takenStream(load, plan.choice, taken, hemisphere);
    planes.forEach((plane, i) => {
      emitBurst(state, { kind: "mxmLoad", plane }, { op: "lw", cycle: start, count: rows, period: 1, mode: "int8", format: "planar", stream: stream + i, streams: 1, row: job.row, rows, lane: job.lane, k: job.k, clear: true });
    });
  });
  placeAt(load, placedLoad);
  const from = Math.max(...planes.map((plane) => install(state, "int8", planes, plane, placedLoad.start + rows - 1)));
  const { builder, placed } = bestPlacement(state, job, planes, byte, from);
  placeAt(builder, placed);
  for (const plane of planes) (state.engines[plane] as { lastActivate: number }).lastActivate = placed.start + job.k - 1;
}

function bestPlacement(state: ScheduleState, job: TransposeJob, planes: readonly number[], byte: number, from: number): { builder: TemplateBuilder; placed: Placed } {
  const out = storageById(state, job.out.storage);
  const part = Math.floor((job.out.vectors[0] as number) / out.partVectors);
  let buffer = state.parts[out.id]?.[part]?.buffers[0];
  if (buffer === undefined) {
    const location = candidateLocations(state, out, state.side[out.id])[0];
    invariant(location !== undefined, "there are columns for every width");
    buffer = locatePart(state, out, part, 0, state.pinned.get(`${out.id}:${part}`) ?? location);
  }
  const builder = activationTemplate(state, job, planes, byte, buffer);
  invariant(!conflictsWithItself(builder), "a transposition does not write where it reads");
  const placed = tryPlace(builder, from);
  invariant(placed !== undefined, "a transposition can be placed");
  return { builder, placed };
}

function activationTemplate(state: ScheduleState, job: TransposeJob, planes: readonly number[], byte: number, buffer: Buffer): TemplateBuilder {
  const builder = newTemplate(state);
  const identity = { access: { storage: identityStorage(state), vectors: Int32Array.from({ length: job.k }, (_, i) => i) }, lane: 0, k: job.k };
  let shared: { choice: number } | undefined;
  planes.forEach((plane, i) => {
    const emission = addEmission(builder, plane, job.k, 1);
    shared = addActivation(builder, "int8", identity, plane, true, emission, shared);
    const column = mxmColumn(state.target, planeHemisphere(state.target, plane));
    addWrite(builder, job.out.storage, job.out.vectors, buffer, [byte + i], column, emission.direction, emission.choice, emission.at, 1);
  });
  return builder;
}

export { span };
