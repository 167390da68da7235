// Building templates: reads that bring vectors past a column at given cycles, writes that take them from there, with the resources each needs
// and the bursts to emit once the start is known.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Instruction, InstructionOf, Mnemonic } from "../../ir/machine/isa.ts";
import type { Unit } from "../../ir/machine/program.ts";
import { type Direction, diagonal, type Hemisphere, memColumn } from "../../ir/target/geometry.ts";
import type { Access, StorageId } from "../lower/kernel.ts";
import { bufferOf } from "./locations.ts";
import type { Choice, Need, Placed, Template } from "./place.ts";
import { commit, findStart } from "./place.ts";
import { type Buffer, type ScheduleState, storageById } from "./state.ts";

export type Emit = (start: number, taken: readonly number[]) => void;

export interface TemplateBuilder extends Template {
  readonly state: ScheduleState;
  readonly needs: Need[];
  readonly choices: Choice[];
  readonly emits: Emit[];
  /** Data-flow bound on the start. */
  earliest: number;
}

export const newTemplate = (state: ScheduleState): TemplateBuilder => ({
  state,
  needs: [],
  choices: [],
  emits: [],
  earliest: 0,
});

/** A strided run of an access inside one part. */
export interface Run {
  readonly part: number;
  /** First vector, counted from the part's start. */
  readonly vector: number;
  readonly stride: number;
  readonly count: number;
  /** Position of the run's first element in the access. */
  readonly at: number;
}

export function runsOf(state: ScheduleState, access: Access): Run[] {
  const per = storageById(state, access.storage).partVectors;
  const { vectors } = access;
  const runs: Run[] = [];
  let at = 0;
  while (at < vectors.length) {
    const first = vectors[at] as number;
    const part = Math.floor(first / per);
    const inside = (i: number): boolean => i < vectors.length && Math.floor((vectors[i] as number) / per) === part;
    const stride = inside(at + 1) ? (vectors[at + 1] as number) - first : 0;
    let end = at + 1;
    while (inside(end) && (vectors[end] as number) === first + (end - at) * stride) end++;
    runs.push({ part, vector: first - part * per, stride, count: end - at, at });
    at = end;
  }
  return runs;
}

/** An instruction before it is known which kernel and buffer it belongs to. */
export type BareInstruction = { [M in Mnemonic]: Omit<InstructionOf<M>, "note" | "symbol"> }[Mnemonic];

export const span = (count: number, period: number): number => (count - 1) * period + 1;

export function emitBurst(state: ScheduleState, unit: Unit, instruction: BareInstruction, buffer = -1): void {
  const full = { ...instruction, note: state.note, symbol: -1 } as Instruction;
  state.bursts.push({ unit, instruction: full, buffer });
  state.end = Math.max(state.end, full.cycle + span(full.count, full.period));
}

/** A choice of an aligned group of `bytes` streams for `length` cycles, passing `column` at offset `at`. */
export function chooseStreams(
  builder: TemplateBuilder,
  direction: Direction,
  bytes: number,
  column: number,
  at: number,
  length: number,
  high = false,
): number {
  const options = builder.state.resources.streamGroups(direction, bytes);
  builder.choices.push({
    options: high ? options.toReversed() : options,
    at: diagonal(direction, at, column),
    length,
  });
  return builder.choices.length - 1;
}

/** First stream of the group taken for a choice made by `chooseStreams`. */
export function takenStream(
  builder: TemplateBuilder,
  choice: number,
  taken: readonly number[],
  direction: Direction,
): number {
  const option = builder.choices[choice]?.options[taken[choice] as number];
  return (option?.[0] as number) - builder.state.resources.stream(direction, 0);
}

export interface ReadPlan {
  readonly direction: Direction;
  readonly choice: number;
  readonly bytes: number;
}

/**
 * Reads an access so that its i-th vector passes `column` at offset `at` + i * period, moving in `direction`. `towards`: hemisphere whose copy
 * of a replicated storage is read.
 */
export function addRead(
  builder: TemplateBuilder,
  access: Access,
  column: number,
  direction: Direction,
  at: number,
  period: number,
  towards?: Hemisphere,
  planes?: readonly number[],
): ReadPlan {
  const { state } = builder;
  const storage = storageById(state, access.storage);
  const latency = state.target.mem.latency.read;
  const ready = state.ready[access.storage] as Int32Array;
  const runs = runsOf(state, access);
  const first = bufferOf(state, access.storage, (runs[0] as Run).part, towards);
  const wanted = planes ?? first.slices.map((_, b) => b);
  const bytes = wanted.length;
  const choice = chooseStreams(builder, direction, bytes, column, at, span(access.vectors.length, period));
  for (const run of runs) {
    const buffer = bufferOf(state, access.storage, run.part, towards);
    const from = memColumn(state.target, buffer.hemisphere, buffer.slices[0] as number);
    invariant(direction === "E" ? from <= column : from >= column, `${storage.name} is upstream of its reader`);
    const issue = at + run.at * period - latency - Math.abs(column - from);
    addReadNeeds(builder, buffer, wanted, issue, span(run.count, period));
    builder.emits.push((start, taken) => {
      const stream = takenStream(builder, choice, taken, direction);
      const cycle = start + issue;
      buffer.lastRead = Math.max(buffer.lastRead, cycle + span(run.count, period) - 1);
      wanted.forEach((plane, b) => {
        const unit: Unit = { kind: "memRead", hemisphere: buffer.hemisphere, slice: buffer.slices[plane] as number };
        emitBurst(
          state,
          unit,
          {
            op: "read",
            cycle,
            count: run.count,
            period: run.count > 1 ? period : 1,
            address: run.vector,
            stride: run.stride,
            stream: stream + b,
            direction,
          },
          buffer.id,
        );
      });
    });
    for (let i = 0; i < run.count; i++) {
      builder.earliest = Math.max(
        builder.earliest,
        (ready[access.vectors[run.at + i] as number] as number) - issue - i * period,
      );
    }
  }
  return { direction, choice, bytes };
}

function addReadNeeds(
  builder: TemplateBuilder,
  buffer: Buffer,
  planes: readonly number[],
  at: number,
  length: number,
): void {
  const { resources } = builder.state;
  for (const plane of planes) {
    const slice = buffer.slices[plane] as number;
    builder.needs.push({ resource: resources.readQueue(buffer.hemisphere, slice), at, length });
    builder.needs.push({ resource: resources.bank(buffer.hemisphere, slice, buffer.bank), at, length });
  }
}

/** Direction from a column to a buffer; at the same column either does. */
export function directionTo(
  state: ScheduleState,
  column: number,
  buffer: Pick<Buffer, "hemisphere" | "slices">,
): Direction {
  return memColumn(state.target, buffer.hemisphere, buffer.slices[0] as number) < column ? "W" : "E";
}

/** Cycle from which a part may be written: of a state, when the old value has been read. */
function renewableFrom(state: ScheduleState, id: StorageId, part: number): number {
  const { renews } = storageById(state, id);
  if (renews === undefined) return 0;
  return Math.max(0, ...(state.parts[renews]?.[part]?.buffers ?? []).map((buffer) => (buffer?.lastRead ?? -1) + 1));
}

/**
 * Writes vectors that pass `column` at offset `at` + i * period on the group behind `choice` into one part's buffer.
 */
export function addWrite(
  builder: TemplateBuilder,
  storage: StorageId,
  vectors: Int32Array,
  buffer: Buffer,
  planes: readonly number[],
  column: number,
  direction: Direction,
  choice: number,
  at: number,
  period: number,
): void {
  const { state } = builder;
  const to = memColumn(state.target, buffer.hemisphere, buffer.slices[0] as number);
  invariant(direction === "E" ? to >= column : to <= column, "a write is downstream of its source");
  const arrival = at + Math.abs(to - column);
  const runs = runsOf(state, { storage, vectors });
  for (const run of runs) {
    const issue = arrival + run.at * period;
    const length = span(run.count, period);
    builder.earliest = Math.max(builder.earliest, renewableFrom(state, storage, run.part) - issue);
    for (const plane of planes) {
      const slice = buffer.slices[plane] as number;
      builder.needs.push({ resource: state.resources.writeQueue(buffer.hemisphere, slice), at: issue, length });
      builder.needs.push({ resource: state.resources.bank(buffer.hemisphere, slice, buffer.bank), at: issue, length });
    }
    builder.emits.push((start, taken) => {
      const stream = takenStream(builder, choice, taken, direction);
      const cycle = start + issue;
      buffer.firstWrite = Math.min(buffer.firstWrite, cycle);
      buffer.lastRead = Math.max(buffer.lastRead, cycle + length - 1);
      const ready = state.ready[storage] as Int32Array;
      for (let i = 0; i < run.count; i++) {
        const vector = vectors[run.at + i] as number;
        ready[vector] = Math.max(ready[vector] as number, cycle + i * period + state.target.mem.latency.write);
      }
      planes.forEach((plane, i) => {
        const unit: Unit = { kind: "memWrite", hemisphere: buffer.hemisphere, slice: buffer.slices[plane] as number };
        const offset = planes.length === buffer.slices.length ? i : 0;
        emitBurst(
          state,
          unit,
          {
            op: "write",
            cycle,
            count: run.count,
            period: run.count > 1 ? period : 1,
            address: run.vector,
            stride: run.stride,
            stream: stream + offset,
            direction,
          },
          buffer.id,
        );
      });
    });
  }
}

/** Whether two needs of the template itself are for one resource at the same time: no start can satisfy it. */
export function conflictsWithItself(template: Template): boolean {
  const byResource = new Map<number, Need[]>();
  for (const need of template.needs) {
    const others = byResource.get(need.resource);
    if (others === undefined) {
      byResource.set(need.resource, [need]);
      continue;
    }
    if (others.some((other) => need.at < other.at + other.length && other.at < need.at + need.length)) return true;
    others.push(need);
  }
  return false;
}

/** Earliest placement of a finished template, not before `from`. */
export function tryPlace(builder: TemplateBuilder, from: number, before?: number): Placed | undefined {
  return findStart(builder.state.reservations, builder, Math.max(from, builder.earliest), before);
}

export function placeAt(builder: TemplateBuilder, placed: Placed): void {
  commit(builder.state.reservations, builder, placed);
  for (const emit of builder.emits) emit(placed.start, placed.taken);
}
