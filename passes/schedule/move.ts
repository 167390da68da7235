// Lane permutations (SXM) and run-time gathers: reads that pass a unit on their way to a write.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type Direction, type Hemisphere, memColumn, sxmColumn, vxmColumn } from "../../ir/target/geometry.ts";
import type { Access, GatherJob, PermuteJob } from "../lower/kernel.ts";
import {
  copyApart,
  detourApart,
  meets,
  readBusy,
  readResources,
  separateSources,
  union,
  writtenBusy,
} from "./apart.ts";
import { bufferOf, candidateLocations, locatePart } from "./locations.ts";
import type { Placed } from "./place.ts";
import { type Buffer, laneMapOf, pinKey, type ScheduleState, storageById } from "./state.ts";
import {
  addRead,
  addWrite,
  chooseStreams,
  conflictsWithItself,
  directionTo,
  emitBurst,
  newTemplate,
  placeAt,
  runsOf,
  type TemplateBuilder,
  takenStream,
  tryPlace,
} from "./template.ts";
import { type Accept, sideOf } from "./vxm.ts";

const pieceLimit = 256;

const slice = (access: Access, from: number, to: number): Access => ({
  storage: access.storage,
  vectors: access.vectors.subarray(from, to),
});

/** Positions at which any access changes its part, at most `pieceLimit` apart. */
function borders(state: ScheduleState, accesses: readonly Access[]): number[] {
  const count = (accesses[0] as Access).vectors.length;
  const cuts = [0];
  for (let i = 1; i < count; i++) {
    const changes = accesses.some((access) => {
      const per = storageById(state, access.storage).partVectors;
      return Math.floor((access.vectors[i] as number) / per) !== Math.floor((access.vectors[i - 1] as number) / per);
    });
    if (changes || i - (cuts[cuts.length - 1] as number) >= pieceLimit) cuts.push(i);
  }
  cuts.push(count);
  return cuts;
}

/** The buffer a result part goes to, located now if it stands nowhere; `avoid`: slices read at the same time. */
function outBuffer(state: ScheduleState, out: Access, avoid: readonly Buffer[], accept?: Accept): Buffer {
  const storage = storageById(state, out.storage);
  const part = Math.floor((out.vectors[0] as number) / storage.partVectors);
  const known = state.parts[out.storage]?.[part]?.buffers[0];
  if (known !== undefined) return known;
  const pinned = state.pinned.get(pinKey(out.storage, part));
  if (pinned !== undefined) return locatePart(state, storage, part, 0, pinned);
  const all = candidateLocations(state, storage, part, state.side[storage.id]);
  const accepted = accept === undefined ? all : all.filter(accept);
  const candidates = accepted.length > 0 ? accepted : all;
  const columnOf = (buffer: Buffer): string =>
    `${buffer.hemisphere}${Math.floor((buffer.slices[0] as number) / state.target.mem.slicesPerColumn)}`;
  const location =
    candidates.find((c) => !avoid.some((buffer) => columnOf(buffer) === `${c.hemisphere}${c.column}`)) ??
    candidates.find((c) => !avoid.some((b) => columnOf(b) === `${c.hemisphere}${c.column}` && b.bank === c.bank)) ??
    candidates[0];
  invariant(location !== undefined, "there are columns for every width");
  return locatePart(state, storage, part, 0, location);
}

export function schedulePermute(state: ScheduleState, jobs: readonly PermuteJob[]): void {
  for (const job of jobs) {
    const cuts = borders(state, [...job.pieces.map((piece) => piece.access), job.out]);
    for (let i = 0; i + 1 < cuts.length; i++) {
      const [from, to] = [cuts[i] as number, cuts[i + 1] as number];
      const out = slice(job.out, from, to);
      const apart = separateSources(
        state,
        {
          count: to - from,
          sources: job.pieces.map((piece) => slice(piece.access, from, to)),
          ops: [],
          sinks: [{ op: 0, access: out, every: 1 }],
        },
        true,
      );
      const piece = { pieces: job.pieces.map((p, k) => ({ access: apart.sources[k] as Access, map: p.map })), out };
      if (piece.pieces.length === 1) permuteAlone(state, piece);
      else permuteMerged(state, piece);
    }
  }
}

/** A stream group that carries a permuted vector, with the cycle offset at which it passes `column`. */
interface Permuted {
  readonly choice: number;
  readonly direction: Direction;
}

/** Reads a piece through the SXM of its hemisphere so that it passes `column` (towards the middle) at offset `at`. */
function addPermuted(builder: TemplateBuilder, access: Access, map: Int16Array, column: number, at: number): Permuted {
  const { state } = builder;
  const { target, resources } = state;
  const side = sideOf(state, access);
  const border = sxmColumn(target, side);
  const inward: Direction = side === "W" ? "E" : "W";
  const count = access.vectors.length;
  const issue = at - Math.abs(column - border) - target.sxm.latency.permute;
  const read = addRead(builder, access, border, side, issue, 1);
  const units = Array.from({ length: target.sxm.unitsPerHemisphere }, (_, i) => [resources.sxm(side, i)]);
  builder.choices.push({ options: units, at: issue, length: count });
  const unitChoice = builder.choices.length - 1;
  const out = chooseStreams(builder, inward, read.bytes, border, issue + target.sxm.latency.permute, count);
  builder.emits.push((start, taken) => {
    const index =
      ((builder.choices[unitChoice]?.options[taken[unitChoice] as number] ?? [])[0] as number) - resources.sxm(side, 0);
    emitBurst(
      state,
      { kind: "sxm", hemisphere: side, index },
      {
        op: "permute",
        cycle: start + issue,
        count,
        period: 1,
        stream: takenStream(builder, read.choice, taken, side),
        direction: side,
        bytes: read.bytes,
        map: laneMapOf(state, map),
        mapStride: 0,
        outStream: takenStream(builder, out, taken, inward),
        outDirection: inward,
      },
    );
  });
  return { choice: out, direction: inward };
}

/** Writes what passes `column` on a stream group from offset `at` on to all slices of a buffer, a vector a cycle. */
function addResult(
  builder: TemplateBuilder,
  out: Access,
  buffer: Buffer,
  column: number,
  from: Permuted,
  at: number,
): void {
  const planes = buffer.slices.map((_, i) => i);
  addWrite(builder, out.storage, out.vectors, buffer, planes, column, from.direction, from.choice, at, 1);
}

function place(builder: TemplateBuilder): void {
  const placed: Placed | undefined = conflictsWithItself(builder) ? undefined : tryPlace(builder, 0);
  if (placed === undefined) builder.state.stuck = true;
  else placeAt(builder, placed);
}

/** One permuted source: SXM to memory. */
function permuteAlone(state: ScheduleState, job: PermuteJob): void {
  const only = job.pieces[0];
  invariant(only !== undefined && only.map !== null, "a lone piece is permuted");
  const source = bufferOf(
    state,
    only.access.storage,
    (runsOf(state, only.access)[0] as { part: number }).part,
    undefined,
  );
  const buffer = outBuffer(state, job.out, [source]);
  const builder = newTemplate(state);
  const border = sxmColumn(state.target, source.hemisphere);
  const permuted = addPermuted(builder, only.access, only.map, border, 0);
  addResult(builder, job.out, buffer, border, permuted, 0);
  place(builder);
}

/** Several sources, permuted or in place, joined by `or` in the VXM. */
function permuteMerged(state: ScheduleState, job: PermuteJob): void {
  const { target, resources } = state;
  const column = vxmColumn(target);
  const sources = job.pieces.map((piece) =>
    bufferOf(state, piece.access.storage, (runsOf(state, piece.access)[0] as { part: number }).part, undefined),
  );
  const buffer = outBuffer(state, job.out, sources);
  const builder = newTemplate(state);
  const count = job.out.vectors.length;
  const type = storageById(state, job.out.storage).type;
  const streams = job.pieces.map((piece): Permuted => {
    if (piece.map !== null) return addPermuted(builder, piece.access, piece.map, column, 0);
    const side: Hemisphere = sideOf(state, piece.access);
    const inward: Direction = side === "W" ? "E" : "W";
    return { choice: addRead(builder, piece.access, column, inward, 0, 1).choice, direction: inward };
  });
  const { simple: latency, multiply, large } = target.vxm.latency;
  // As long as results of faster operations could come out together with the last ones of these.
  const length = count + latency - Math.min(latency, multiply, large);
  const ops = streams.length - 1;
  const needsLarge = type !== "f32" && type !== "i32";
  const alus = Array.from({ length: ops }, (_, i) => {
    const last = i === ops - 1;
    const all = Array.from({ length: target.vxm.alus }, (_, a) => a);
    const allowed = last && needsLarge ? target.vxm.largeAlus : all;
    builder.choices.push({ options: allowed.map((a) => [resources.alu(a)]), at: i * latency, length });
    return builder.choices.length - 1;
  });
  const done = ops * latency;
  const direction = directionTo(state, column, buffer);
  const out = chooseStreams(builder, direction, buffer.slices.length, column, done, count);
  addResult(builder, job.out, buffer, column, { choice: out, direction }, done);
  builder.emits.push((start, taken) => {
    const aluOf = (i: number): number =>
      ((builder.choices[alus[i] as number]?.options[taken[alus[i] as number] as number] ?? [])[0] as number) -
      resources.alu(0);
    for (let i = 0; i < ops; i++) {
      const operand = (s: number) => {
        const from = streams[s] as Permuted;
        return {
          kind: "stream",
          stream: takenStream(builder, from.choice, taken, from.direction),
          direction: from.direction,
          type,
          delay: i * latency,
        } as const;
      };
      emitBurst(
        state,
        { kind: "vxmAlu", alu: aluOf(i) },
        {
          op: "alu",
          operation: "or",
          cycle: start + i * latency,
          count,
          period: 1,
          a: i === 0 ? operand(0) : { kind: "alu", alu: aluOf(i - 1), delay: 0 },
          b: operand(i + 1),
          c: { kind: "none" },
          reset: 0,
          output:
            i === ops - 1
              ? { kind: "stream", stream: takenStream(builder, out, taken, direction), direction, type }
              : { kind: "none" },
        },
      );
    }
  });
  place(builder);
}

export function scheduleGather(state: ScheduleState, jobs: readonly GatherJob[]): void {
  for (const job of jobs) {
    const cuts = borders(state, [job.index, job.out]);
    for (let i = 0; i + 1 < cuts.length; i++)
      gatherPiece(state, {
        ...job,
        index: slice(job.index, cuts[i] as number, cuts[i + 1] as number),
        out: slice(job.out, cuts[i] as number, cuts[i + 1] as number),
      });
  }
}

/** Makes room for a gather: the indices do not stand in the table's slices, nor does the result where either is read. */
function gatherPiece(state: ScheduleState, job: GatherJob): void {
  const { partVectors } = storageById(state, job.table);
  const table = bufferOf(state, job.table, Math.floor(job.base / partVectors), undefined);
  const tableBusy = new Set(readResources(state, table));
  const clashes = meets(readBusy(state, job.index), tableBusy);
  const index = clashes ? copyApart(state, job.index, tableBusy, [job.table]) : job.index;
  const busy = union(tableBusy, readBusy(state, index));
  if (!meets(writtenBusy(state, job.out), busy)) {
    gatherRows(state, { ...job, index });
    return;
  }
  const detour = detourApart(state, job.out, busy);
  gatherRows(state, { ...job, index, out: detour.out }, detour.accept);
  detour.moveOn();
}

/** Indices stream past the table's slices, rows stream on to their place. */
function gatherRows(state: ScheduleState, job: GatherJob, accept?: Accept): void {
  const { target, resources } = state;
  const { partVectors } = storageById(state, job.table);
  const part = Math.floor(job.base / partVectors);
  const table = bufferOf(state, job.table, part, undefined);
  const index = bufferOf(state, job.index.storage, (runsOf(state, job.index)[0] as { part: number }).part, undefined);
  const buffer = outBuffer(state, job.out, [table, index], accept);
  const column = memColumn(target, table.hemisphere, table.slices[0] as number);
  const count = job.out.vectors.length;
  const latency = target.mem.latency.gather;
  const builder = newTemplate(state);
  const from = memColumn(target, index.hemisphere, index.slices[0] as number);
  const mapDirection: Direction = from <= column ? "E" : "W";
  const map = addRead(builder, job.index, column, mapDirection, 0, 1);
  const direction = directionTo(state, column, buffer);
  const out = chooseStreams(builder, direction, table.slices.length, column, latency, count);
  for (const slot of table.slices) {
    builder.needs.push({ resource: resources.readQueue(table.hemisphere, slot), at: 0, length: count });
    builder.needs.push({ resource: resources.bank(table.hemisphere, slot, table.bank), at: 0, length: count });
  }
  const ready = state.ready[job.table] as Int32Array;
  const rows = Math.max(...Array.from({ length: job.limit }, (_, i) => ready[job.base + i * job.scale] as number));
  builder.earliest = Math.max(builder.earliest, rows);
  addResult(builder, job.out, buffer, column, { choice: out, direction }, latency);
  builder.emits.push((start, taken) => {
    table.lastRead = Math.max(table.lastRead, start + count - 1);
    const mapStream = takenStream(builder, map.choice, taken, mapDirection);
    const stream = takenStream(builder, out, taken, direction);
    table.slices.forEach((slot, b) => {
      emitBurst(
        state,
        { kind: "memRead", hemisphere: table.hemisphere, slice: slot },
        {
          op: "gather",
          cycle: start,
          count,
          period: 1,
          address: job.base - part * partVectors,
          scale: job.scale,
          limit: job.limit,
          map: mapStream,
          mapDirection,
          stream: stream + b,
          direction,
        },
        table.id,
      );
    });
  });
  place(builder);
}
