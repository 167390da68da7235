// The stream registers of one chip. A value stays on its diagonal (ir/target/geometry.ts) from the column where it is put to the edge, so a
// register file is a ring of diagonals for each stream and direction; a slot holds the diagonal's number, the birth column and the bytes.
import { type Direction, diagonal } from "../../ir/target/geometry.ts";
import { raise } from "./raise.ts";
import type { Chip, Machine, Streams } from "./state.ts";

const EMPTY = -0x40000000;

/** `span`: the largest difference of two diagonals alive at once. */
export function makeStreams(perDirection: number, lanes: number, span: number): Streams {
  let ring = 1;
  while (ring <= span) ring *= 2;
  const slots = 2 * perDirection * ring;
  const bytes = new Uint8Array(slots * lanes);
  return {
    ring,
    perDirection,
    lanes,
    diagonals: new Int32Array(slots).fill(EMPTY),
    columns: new Int16Array(slots),
    bytes,
    words: new Int32Array(bytes.buffer),
  };
}

function slotOf(streams: Streams, stream: number, direction: Direction, onDiagonal: number): number {
  const row = direction === "E" ? stream : streams.perDirection + stream;
  return row * streams.ring + (onDiagonal & (streams.ring - 1));
}

/** Checks the bounds of a group of `count` neighbouring streams that starts at a multiple of `align`. */
export function isGroup(machine: Machine, stream: number, count: number, align: number): boolean {
  const { streamsPerDirection } = machine.target;
  if (Number.isInteger(stream) && stream >= 0 && stream % align === 0 && stream + count <= streamsPerDirection)
    return true;
  raise(
    machine,
    "form",
    `streams ${stream}..${stream + count - 1} are no group: the first is a multiple of ${align}, the last below ${streamsPerDirection}`,
  );
  return false;
}

/**
 * Puts a value on a stream at `column` in `cycle` (now or later): the offset of its bytes in `streams.bytes`, to be filled by the caller;
 * -1 and a fault if the diagonal is taken.
 */
export function putStream(
  machine: Machine,
  chip: Chip,
  stream: number,
  direction: Direction,
  cycle: number,
  column: number,
): number {
  const { streams } = chip;
  const onDiagonal = diagonal(direction, cycle, column);
  const slot = slotOf(streams, stream, direction, onDiagonal);
  if (streams.diagonals[slot] === onDiagonal) {
    const other = streams.columns[slot] as number;
    raise(
      machine,
      "stream",
      `stream ${stream}${direction} at column ${column} in cycle ${cycle} already carries a value put at column ${other}`,
    );
    return -1;
  }
  streams.diagonals[slot] = onDiagonal;
  streams.columns[slot] = column;
  return slot * streams.lanes;
}

/** The offset of the bytes that pass `column` on a stream in `cycle`; -1 and a fault if there is no value. */
export function takeStream(
  machine: Machine,
  chip: Chip,
  stream: number,
  direction: Direction,
  cycle: number,
  column: number,
): number {
  const { streams } = chip;
  const onDiagonal = diagonal(direction, cycle, column);
  const slot = slotOf(streams, stream, direction, onDiagonal);
  if (streams.diagonals[slot] !== onDiagonal) {
    raise(machine, "operand", `stream ${stream}${direction} carries no value at column ${column} in cycle ${cycle}`);
    return -1;
  }
  const born = streams.columns[slot] as number;
  if (direction === "E" ? born > column : born < column) {
    raise(
      machine,
      "operand",
      `stream ${stream}${direction} carries no value at column ${column} in cycle ${cycle}: the one on its diagonal is put at column ${born}, downstream`,
    );
    return -1;
  }
  return slot * streams.lanes;
}
