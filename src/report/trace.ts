// The emitted schedule for trace viewers: a chip is a process, a unit's queue a thread, a burst a slice from its first issue to the end of its last.
// Trace Event Format (chrome://tracing, and Perfetto's page reads it too), and Perfetto's own protobuf form. Pure.
import protobuf from "protobufjs";
import { type Program, unitName } from "../../ir/machine/program.ts";
import { type ScheduleRow, scheduleRows } from "./schedule.ts";

interface Track {
  readonly chip: number;
  readonly unit: string;
  /** Counted from 1 over the whole program. */
  readonly id: number;
}

/** A track for every queue, by chip and unit. */
function tracksOf(program: Program): ReadonlyMap<string, Track> {
  const tracks = new Map<string, Track>();
  for (const [chip, { queues }] of program.chips.entries()) {
    for (const { unit } of queues) {
      const name = unitName(unit);
      tracks.set(`${chip}:${name}`, { chip, unit: name, id: tracks.size + 1 });
    }
  }
  return tracks;
}

const trackOf = (tracks: ReadonlyMap<string, Track>, row: ScheduleRow): number =>
  tracks.get(`${row.chip}:${row.unit}`)?.id ?? 0;

const endOf = (row: ScheduleRow): number => row.lastCycle + 1;

const nameOf = ({ op, kernel }: ScheduleRow): string => (kernel === "" ? op : `${op} ${kernel}`);

/** One JSON document, an event a line; times in microseconds, as the format has them. */
export function* chromeTrace(program: Program): Generator<string> {
  const { modelName: model, latencyCycles, target } = program;
  const tracks = tracksOf(program);
  const head = {
    displayTimeUnit: "ns",
    otherData: { model, target: target.name, clockHz: target.clockHz, latencyCycles },
  };
  yield `${JSON.stringify(head).slice(0, -1)},"traceEvents":[`;
  const named = (name: string, pid: number, tid: number, args: object): string =>
    JSON.stringify({ ph: "M", name, pid, tid, args });
  for (const [chip] of program.chips.entries()) yield `${named("process_name", chip, 0, { name: `chip ${chip}` })},`;
  for (const { chip, unit, id } of tracks.values()) {
    yield `${named("thread_name", chip, id, { name: unit })},`;
    yield `${named("thread_sort_index", chip, id, { sort_index: id })},`;
  }
  const microseconds = (cycle: number): number => (cycle * 1e6) / target.clockHz;
  for (const row of scheduleRows(program)) {
    const { cycle, count, period, buffer, nodes, fields } = row;
    const start = microseconds(cycle);
    const args = { cycle, count, period, buffer, nodes, ...fields };
    const dur = microseconds(endOf(row)) - start;
    yield `${JSON.stringify({ ph: "X", name: nameOf(row), cat: row.op, pid: row.chip, tid: trackOf(tracks, row), ts: start, dur, args })},`;
  }
  // The last element, without a comma behind it: where the program ends.
  yield JSON.stringify({ ph: "i", name: "end", s: "g", pid: 0, tid: 0, ts: microseconds(latencyCycles) });
  yield "]}";
}

/** Field numbers of perfetto_trace.proto, and the values used. */
const fieldNumbers = {
  trace: { packet: 1 },
  packet: { timestamp: 8, sequence: 10, trackEvent: 11, sequenceFlags: 13, trackDescriptor: 60 },
  descriptor: { uuid: 1, name: 2, process: 3, parent: 5 },
  process: { pid: 1, name: 6 },
  event: { annotations: 4, type: 9, track: 11, categories: 22, name: 23 },
  annotation: { int: 4, text: 6, name: 10 },
} as const;
const SLICE_BEGIN = 1;
const SLICE_END = 2;
const INCREMENTAL_STATE_CLEARED = 1;
const SEQUENCE = 1;

const varint = (field: number): number => field * 8;
const lengthPrefixed = (field: number): number => field * 8 + 2;

type Write = (writer: protobuf.Writer) => void;

function message(writer: protobuf.Writer, field: number, write: Write): void {
  writer.uint32(lengthPrefixed(field)).fork();
  write(writer);
  writer.ldelim();
}

function packet(write: Write): Uint8Array {
  const writer = protobuf.Writer.create();
  message(writer, fieldNumbers.trace.packet, (inner) => {
    inner.uint32(varint(fieldNumbers.packet.sequence)).uint32(SEQUENCE);
    write(inner);
  });
  return writer.finish();
}

function annotate(writer: protobuf.Writer, name: string, value: string | number): void {
  message(writer, fieldNumbers.event.annotations, (inner) => {
    inner.uint32(lengthPrefixed(fieldNumbers.annotation.name)).string(name);
    if (typeof value === "number") inner.uint32(varint(fieldNumbers.annotation.int)).int64(value);
    else inner.uint32(lengthPrefixed(fieldNumbers.annotation.text)).string(value);
  });
}

/** Perfetto's protobuf trace; times in whole nanoseconds, rounded down, the exact cycles among the arguments. */
export function* perfettoTrace(program: Program): Generator<Uint8Array> {
  const tracks = tracksOf(program);
  const { packet: at, descriptor, process, event } = fieldNumbers;
  // Tracks of chips are numbered behind those of the queues.
  const chipTrack = (chip: number): number => tracks.size + 1 + chip;
  for (const [chip] of program.chips.entries()) {
    yield packet((writer) => {
      if (chip === 0) writer.uint32(varint(at.sequenceFlags)).uint32(INCREMENTAL_STATE_CLEARED);
      message(writer, at.trackDescriptor, (inner) => {
        inner.uint32(varint(descriptor.uuid)).uint64(chipTrack(chip));
        message(inner, descriptor.process, (fields) => {
          fields.uint32(varint(process.pid)).int32(chip + 1);
          fields.uint32(lengthPrefixed(process.name)).string(`chip ${chip}`);
        });
      });
    });
  }
  for (const { chip, unit, id } of tracks.values()) {
    yield packet((writer) =>
      message(writer, at.trackDescriptor, (inner) => {
        inner.uint32(varint(descriptor.uuid)).uint64(id);
        inner.uint32(lengthPrefixed(descriptor.name)).string(unit);
        inner.uint32(varint(descriptor.parent)).uint64(chipTrack(chip));
      }),
    );
  }
  const nanoseconds = (cycle: number): number => Math.floor((cycle * 1e9) / program.target.clockHz);
  for (const row of scheduleRows(program)) {
    const track = trackOf(tracks, row);
    yield packet((writer) => {
      writer.uint32(varint(at.timestamp)).uint64(nanoseconds(row.cycle));
      message(writer, at.trackEvent, (inner) => {
        inner.uint32(varint(event.type)).int32(SLICE_BEGIN);
        inner.uint32(varint(event.track)).uint64(track);
        inner.uint32(lengthPrefixed(event.categories)).string(row.op);
        inner.uint32(lengthPrefixed(event.name)).string(nameOf(row));
        annotate(inner, "cycle", row.cycle);
        annotate(inner, "count", row.count);
        annotate(inner, "period", row.period);
        if (row.buffer !== "") annotate(inner, "buffer", row.buffer);
        if (row.nodes.length > 0) annotate(inner, "nodes", row.nodes.join(" "));
      });
    });
    yield packet((writer) => {
      writer.uint32(varint(at.timestamp)).uint64(nanoseconds(endOf(row)));
      message(writer, at.trackEvent, (inner) => {
        inner.uint32(varint(event.type)).int32(SLICE_END);
        inner.uint32(varint(event.track)).uint64(track);
      });
    });
  }
}
