// VXM passes: reads (or sums from the MXM) -> ALUs -> writes, as one rigid template anchored at the cycle when the first vector is at the VXM.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type AluOperand, type AluOutput, aluOps, type StreamType } from "../../ir/machine/isa.ts";
import { type Direction, type Hemisphere, vxmColumn } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Access, EwArg, EwOp, EwPass, EwSink, StorageId } from "../lower/kernel.ts";
import { bufferOf, candidateLocations, locatePart } from "./locations.ts";
import type { Placed } from "./place.ts";
import { type Buffer, type Location, pinKey, type ScheduleState, storageById } from "./state.ts";
import {
  addRead,
  addWrite,
  chooseStreams,
  conflictsWithItself,
  emitBurst,
  newTemplate,
  placeAt,
  span,
  type TemplateBuilder,
  takenStream,
  tryPlace,
} from "./template.ts";

/** Cycles an operation takes. */
export function aluLatency(target: Target, op: EwOp["op"]): number {
  return target.vxm.latency[aluOps[op].latency];
}

/** Operations with the moves that further sinks of one result need: an ALU has one output. */
function withSinkMoves(state: ScheduleState, pass: EwPass): { ops: readonly EwOp[]; sinks: readonly EwSink[] } {
  const ops = [...pass.ops];
  const used = new Set<number>();
  const copies = pass.sinks.flatMap((sink): EwSink[] =>
    storageById(state, sink.access.storage).replicated
      ? [
          { ...sink, copy: 0 },
          { ...sink, copy: 1 },
        ]
      : [sink],
  );
  const sinks = copies.map((sink): EwSink => {
    if (!used.has(sink.op)) {
      used.add(sink.op);
      return sink;
    }
    ops.push({ op: "mov", args: [{ kind: "op", op: sink.op }], reset: 0 });
    return { ...sink, op: ops.length - 1 };
  });
  return { ops, sinks };
}

/** Offset of each operation's issue from the arrival of the sources. */
function issueOffsets(target: Target, ops: readonly EwOp[]): number[] {
  const offsets: number[] = [];
  for (const op of ops) {
    let at = 0;
    for (const arg of op.args)
      if (arg.kind === "op")
        at = Math.max(at, (offsets[arg.op] as number) + aluLatency(target, (ops[arg.op] as EwOp).op));
    offsets.push(at);
  }
  return offsets;
}

export interface SumsSource {
  readonly direction: Direction;
  readonly choice: number;
}

interface SinkPlace {
  readonly buffer: Buffer | undefined;
  readonly location: Location | undefined;
}

/**
 * Adds a pass to a template: element i is at the VXM column at offset `at` + i * period. `sums`: the stream group that carries source 0 of an
 * epilogue. `places` says where each sink's part stands.
 */
function addPass(
  builder: TemplateBuilder,
  pass: EwPass,
  at: number,
  period: number,
  sums: SumsSource | undefined,
  places: readonly SinkPlace[],
  copy: 0 | 1,
): void {
  const { state } = builder;
  const { target, resources } = state;
  const column = vxmColumn(target);
  const length = span(pass.count, period);
  const { ops, sinks } = withSinkMoves(state, pass);
  const sources = pass.sources.map((source): { direction: Direction; choice: number; type: StreamType } => {
    if (source === "sums") {
      invariant(sums !== undefined, "sums come from the MXM");
      return { ...sums, type: "f32" };
    }
    const storage = storageById(state, source.storage);
    const side: Hemisphere = storage.replicated ? (copy === 0 ? "W" : "E") : sideOf(state, source);
    const plan = addRead(builder, source, column, side === "W" ? "E" : "W", at, period, side);
    return { ...plan, type: storage.type };
  });
  const offsets = issueOffsets(target, ops);
  const sinkOf = new Map(sinks.map((sink, i) => [sink.op, i]));
  const aluChoices = ops.map((op, i) => {
    const sink = sinkOf.get(i);
    const narrow =
      sink !== undefined &&
      ["f16", "i8", "u8"].includes(storageById(state, (sinks[sink] as EwSink).access.storage).type);
    const large = aluOps[op.op].large || narrow;
    // A slower operation's results come out after those of a faster one issued behind it: the ALU is kept until they cannot meet.
    const { simple, multiply, large: slow } = target.vxm.latency;
    const tail = aluLatency(target, op.op) - Math.min(simple, multiply, slow);
    builder.choices.push({
      options: large ? resources.largeAlu : resources.anyAlu,
      at: at + (offsets[i] as number),
      length: length + tail,
    });
    return builder.choices.length - 1;
  });
  const outputs = sinks.map((sink, i) =>
    addSink(
      builder,
      sink,
      places[i] as SinkPlace,
      at + (offsets[sink.op] as number) + aluLatency(target, (ops[sink.op] as EwOp).op),
      period,
      pass.count,
    ),
  );
  builder.emits.push((start, taken) => {
    const aluOf = (op: number): number =>
      ((builder.choices[aluChoices[op] as number]?.options[taken[aluChoices[op] as number] as number] ??
        [])[0] as number) - resources.alu(0);
    ops.forEach((op, i) => {
      const offset = offsets[i] as number;
      const operand = (arg: EwArg | undefined): AluOperand => {
        if (arg === undefined) return { kind: "none" };
        switch (arg.kind) {
          case "source": {
            const source = sources[arg.source] as { direction: Direction; choice: number; type: StreamType };
            return {
              kind: "stream",
              stream: takenStream(builder, source.choice, taken, source.direction),
              direction: source.direction,
              type: source.type,
              delay: offset,
            };
          }
          case "op":
            return {
              kind: "alu",
              alu: aluOf(arg.op),
              delay: offset - (offsets[arg.op] as number) - aluLatency(target, (ops[arg.op] as EwOp).op),
            };
          case "immediate":
            return { kind: "immediate", bits: arg.bits };
          case "self":
            return { kind: "self" };
        }
      };
      const sink = sinkOf.get(i);
      const out = sink === undefined ? undefined : outputs[sink];
      const output: AluOutput =
        out === undefined
          ? { kind: "none" }
          : {
              kind: "stream",
              stream: takenStream(builder, out.choice, taken, out.direction),
              direction: out.direction,
              type: out.type,
            };
      emitBurst(
        state,
        { kind: "vxmAlu", alu: aluOf(i) },
        {
          op: "alu",
          operation: op.op,
          cycle: start + at + offset,
          count: pass.count,
          period: pass.count > 1 ? period : 1,
          a: operand(op.args[0]),
          b: operand(op.args[1]),
          c: operand(op.args[2]),
          reset: op.reset,
          output,
        },
      );
    });
  });
}

function addSink(
  builder: TemplateBuilder,
  sink: EwSink,
  place: SinkPlace,
  at: number,
  period: number,
  count: number,
): { direction: Direction; choice: number; type: StreamType } {
  const { state } = builder;
  const column = vxmColumn(state.target);
  const storage = storageById(state, sink.access.storage);
  const at0 = place.buffer ?? virtualBuffer(state, sink, place.location as Location);
  const direction: Direction = at0.hemisphere;
  const choice = chooseStreams(builder, direction, at0.slices.length, column, at, span(count, period));
  const planes = at0.slices.map((_, i) => i);
  addWrite(
    builder,
    sink.access.storage,
    sink.access.vectors,
    at0,
    planes,
    column,
    direction,
    choice,
    at + (sink.every - 1) * period,
    period * sink.every,
  );
  return { direction, choice, type: storage.type };
}

/** A buffer that is not made yet, for trying a location. */
function virtualBuffer(state: ScheduleState, sink: EwSink, location: Location): Buffer {
  const first = location.column * state.target.mem.slicesPerColumn + location.sub;
  const storage = storageById(state, sink.access.storage);
  return {
    id: -1,
    name: storage.name,
    hemisphere: location.hemisphere,
    slices: Array.from({ length: location.width }, (_, i) => first + i),
    bank: location.bank,
    words: 0,
    content: { kind: "part", storage: storage.id, part: 0 },
    firstWrite: 0,
    lastRead: 0,
  };
}

export const partOfSink = (state: ScheduleState, sink: EwSink): number =>
  Math.floor((sink.access.vectors[0] as number) / storageById(state, sink.access.storage).partVectors);

/** Hemisphere from which an access is read: that of its first part. */
export function sideOf(state: ScheduleState, source: Access): Hemisphere {
  const part = Math.floor((source.vectors[0] as number) / storageById(state, source.storage).partVectors);
  const buffer = state.parts[source.storage]?.[part]?.buffers[0] ?? bufferFor(state, source.storage, part);
  return buffer.hemisphere;
}

const bufferFor = (state: ScheduleState, id: StorageId, part: number): Buffer => bufferOf(state, id, part, undefined);

/** Builds the rest of a template around a pass once all sink places are known. */
export type Around = (builder: TemplateBuilder) => { at: number; sums: SumsSource | undefined };

/** Where results without a place may go. */
export type Accept = (location: Location) => boolean;

/**
 * Places a pass and gives its start: sinks whose part stands nowhere yet are tried at several locations, the earliest wins. `around` adds what
 * belongs to the same template (the MXM side of an epilogue). Undefined where the pass reads and writes one place in the same cycles.
 */
export function placePass(
  state: ScheduleState,
  pass: EwPass,
  period: number,
  from: number,
  around: Around,
  accept?: Accept,
): number | undefined {
  const { sinks } = withSinkMoves(state, pass);
  const known = sinks.map((sink): SinkPlace => {
    const part = partOfSink(state, sink);
    const buffer = state.parts[sink.access.storage]?.[part]?.buffers[sink.copy ?? 0];
    const pinned = state.pinned.get(pinKey(sink.access.storage, part));
    return { buffer, location: buffer === undefined ? pinned : undefined };
  });
  const places = [...known];
  let best: { builder: TemplateBuilder; placed: Placed } | undefined;
  const hasCopies = pass.sources.some((source) => source !== "sums" && storageById(state, source.storage).replicated);
  const build = (): { builder: TemplateBuilder; placed: Placed | undefined } => {
    let found: { builder: TemplateBuilder; placed: Placed | undefined } | undefined;
    for (const copy of hasCopies ? ([0, 1] as const) : ([0] as const)) {
      const builder = newTemplate(state);
      const { at, sums } = around(builder);
      // What meets sums is read from the side these come from.
      if (sums !== undefined && hasCopies && (copy === 0) !== (sums.direction === "E")) continue;
      addPass(builder, pass, at, period, sums, places, copy);
      const limit = found?.placed?.start ?? best?.placed.start;
      const placed = conflictsWithItself(builder) ? undefined : tryPlace(builder, from, limit);
      if (
        found === undefined ||
        (placed !== undefined && (found.placed === undefined || placed.start < found.placed.start))
      )
        found = { builder, placed };
    }
    return found as { builder: TemplateBuilder; placed: Placed | undefined };
  };
  const open = places
    .map((place, i) => (place.buffer === undefined && place.location === undefined ? i : -1))
    .filter((i) => i >= 0);
  for (const i of open) {
    const candidates = sinkCandidates(state, sinks[i] as EwSink, accept);
    const free = candidates.find((c) => !places.some((place, j) => j !== i && takesColumn(state, place, c)));
    places[i] = { buffer: undefined, location: free ?? candidates[0] };
  }
  for (const i of open) {
    best = undefined;
    let chosen = places[i] as SinkPlace;
    const candidates = sinkCandidates(state, sinks[i] as EwSink, accept);
    for (let c = 0; c < candidates.length && (c < state.tuning.candidates || best === undefined); c++) {
      const location = candidates[c];
      places[i] = { buffer: undefined, location };
      const { builder, placed } = build();
      if (placed !== undefined && (best === undefined || placed.start < best.placed.start)) {
        best = { builder, placed };
        chosen = places[i] as SinkPlace;
      }
    }
    places[i] = chosen;
  }
  best = undefined;
  sinks.forEach((sink, i) => {
    const place = places[i] as SinkPlace;
    if (place.buffer === undefined)
      places[i] = {
        buffer: locatePart(
          state,
          storageById(state, sink.access.storage),
          partOfSink(state, sink),
          sink.copy ?? 0,
          place.location as Location,
        ),
        location: undefined,
      };
  });
  const { builder, placed } = build();
  if (placed === undefined) return undefined;
  placeAt(builder, placed);
  return placed.start;
}

/** Locations for a sink without a place: the acceptable ones where there are any. */
function sinkCandidates(state: ScheduleState, sink: EwSink, accept: Accept | undefined): Location[] {
  const storage = storageById(state, sink.access.storage);
  const all = candidateLocations(state, storage, partOfSink(state, sink), sideOfSink(state, sink));
  const accepted = accept === undefined ? all : all.filter(accept);
  return accepted.length > 0 ? accepted : all;
}

/** Hemisphere a sink's part must stand in, if that is settled. */
const sideOfSink = (state: ScheduleState, sink: EwSink): Hemisphere | undefined =>
  sink.copy === undefined ? state.side[sink.access.storage] : sink.copy === 0 ? "W" : "E";

/** Whether a sink's place is in the column of a location. */
function takesColumn(state: ScheduleState, place: SinkPlace, location: Location): boolean {
  const at = place.buffer;
  if (at !== undefined)
    return (
      at.hemisphere === location.hemisphere &&
      Math.floor((at.slices[0] as number) / state.target.mem.slicesPerColumn) === location.column
    );
  return (
    place.location !== undefined &&
    place.location.hemisphere === location.hemisphere &&
    place.location.column === location.column
  );
}
