// Protobuf fields of a file, read by range through protobufjs' Reader: one field at a time, long contents only as places in the file.
// Whatever is wrong with the bytes becomes a problem in the context and ends the message; nothing is thrown. Knows no ONNX operator.
import protobuf from "protobufjs";
import { type DiagnosticCode, diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import type { ByteSource } from "../io.ts";
import { codes } from "./import-codes.ts";
import type { DataPiece, Span } from "./model.ts";
import { type FieldKind, type FieldRow, type MessageName, messages } from "./schema.ts";

const WINDOW_BYTES = 1 << 16;
/** Bytes that a field header (tag and length or varint) takes at most. */
const HEADER_BYTES = 24;
const MAX_STRING_BYTES = 1 << 20;
/** Fields and list elements of one file, messages counted several times: they bound the memory a hostile file can ask for. */
const MAX_ITEMS = 6_000_000;
const ITEMS_PER_MESSAGE = 4;
const MAX_DEPTH = 64;
const MAX_PROBLEMS = 50;

export interface Cursor {
  readonly source: ByteSource;
  readonly path: string;
  readonly problems: Diagnostic[];
  readonly warnings: Map<string, Diagnostic>;
  readonly state: { items: number; depth: number; windowStart: number; reader: protobuf.Reader };
}

export interface Field extends Span {
  readonly row: FieldRow;
  readonly name: string;
  /** Value of an int or float field. */
  readonly value: number;
  readonly packed: boolean;
  /** Where the field's tag stands. */
  readonly tagStart: number;
}

export function openCursor(source: ByteSource, path: string): Cursor {
  const bytes = source.read(0, WINDOW_BYTES);
  return {
    source,
    path,
    problems: [],
    warnings: new Map(),
    state: { items: 0, depth: 0, windowStart: 0, reader: new protobuf.Reader(bytes) },
  };
}

export function problem(cursor: Cursor, code: DiagnosticCode, offset: number, message: string): void {
  if (cursor.problems.length >= MAX_PROBLEMS) return;
  cursor.problems.push(diagnostic(code, message, { location: { kind: "file", path: cursor.path, offset } }));
}

/** The reader placed at a file offset, with a whole field header in its window where the file has it. */
function seek(cursor: Cursor, offset: number): protobuf.Reader {
  const { state } = cursor;
  const local = offset - state.windowStart;
  const windowEnd = state.windowStart + state.reader.len;
  if (local < 0 || (offset + HEADER_BYTES > windowEnd && windowEnd < cursor.source.byteLength)) {
    state.windowStart = offset;
    state.reader = new protobuf.Reader(cursor.source.read(offset, WINDOW_BYTES));
    state.reader.pos = 0;
  } else {
    state.reader.pos = Math.min(local, state.reader.len);
  }
  return state.reader;
}

function toNumber(value: number | protobuf.Long): number {
  if (typeof value === "number") return value;
  return (value.unsigned ? value.high >>> 0 : value.high) * 4294967296 + (value.low >>> 0);
}

/** Spends one of the file's items; false when there are none left (reported once). */
export function spend(cursor: Cursor, offset: number, items = 1): boolean {
  const before = cursor.state.items;
  cursor.state.items += items;
  if (cursor.state.items <= MAX_ITEMS) return true;
  if (before <= MAX_ITEMS) {
    problem(cursor, codes.tooLarge, offset, `the model has more than ${MAX_ITEMS} parts; lpuc reads no more than that`);
  }
  return false;
}

const wireOfKind: Readonly<Record<FieldKind, readonly number[]>> = {
  int: [0],
  float: [5],
  string: [2],
  message: [2],
  bytes: [2],
  ints: [0, 2],
  floats: [5, 2],
  doubles: [1, 2],
  skip: [0, 1, 2, 5],
  hint: [2],
};

interface Header {
  readonly number: number;
  readonly wire: number;
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

/** Tag and length or value at `offset`; a string says what is wrong. */
function readHeader(cursor: Cursor, offset: number, end: number): Header | string {
  const reader = seek(cursor, offset);
  const base = cursor.state.windowStart;
  try {
    const tag = reader.uint32();
    const number = tag >>> 3;
    const wire = tag & 7;
    if (number === 0) return "field number 0";
    let value = 0;
    let start = base + reader.pos;
    let stop = start;
    if (wire === 0) {
      value = toNumber(reader.int64());
      stop = base + reader.pos;
    } else if (wire === 1) {
      stop = start + 8;
      value = start + 8 <= end ? reader.double() : 0;
    } else if (wire === 5) {
      stop = start + 4;
      value = start + 4 <= end ? reader.float() : 0;
    } else if (wire === 2) {
      const length = toNumber(reader.uint64());
      start = base + reader.pos;
      stop = start + length;
    } else {
      return `wire type ${wire}, which onnx.proto never uses`;
    }
    if (!(stop <= end)) return `a field of ${stop - start} bytes where ${Math.max(0, end - start)} are left`;
    return { number, wire, value, start, end: stop };
  } catch {
    return "a field header that is cut off";
  }
}

function noteUnknownField(cursor: Cursor, message: MessageName, header: Header): void {
  const key = `${message}.${header.number}`;
  if (cursor.warnings.has(key)) return;
  cursor.warnings.set(key, {
    code: codes.unknownField,
    message: `field ${header.number} of a ${message} message is not known to this version and was ignored`,
    location: { kind: "file", path: cursor.path, offset: header.start },
    help: "the file may be written by a newer ONNX; export with an older IR version if results look wrong",
  });
}

function noteHint(cursor: Cursor, message: MessageName, row: FieldRow, offset: number): void {
  const key = `${message}.${row.name}`;
  if (cursor.warnings.has(key)) return;
  cursor.warnings.set(key, {
    code: codes.unusedPart,
    message: `${row.name} of a ${message} message is not followed`,
    location: { kind: "file", path: cursor.path, offset },
  });
}

/** The known fields of one message in file order. Ends early, with a problem, at malformed bytes. */
export function* fields(cursor: Cursor, message: MessageName, span: Span): Generator<Field> {
  const rows: Readonly<Record<number, FieldRow>> = messages[message];
  if (cursor.state.depth >= MAX_DEPTH) {
    problem(cursor, codes.tooDeep, span.start, `messages are nested more than ${MAX_DEPTH} deep`);
    return;
  }
  if (!spend(cursor, span.start, ITEMS_PER_MESSAGE)) return;
  cursor.state.depth += 1;
  let offset = span.start;
  while (offset < span.end && spend(cursor, offset)) {
    const header = readHeader(cursor, offset, span.end);
    if (typeof header === "string") {
      problem(cursor, codes.malformed, offset, `${message} message: ${header}`);
      break;
    }
    const row = rows[header.number];
    if (row === undefined) {
      noteUnknownField(cursor, message, header);
    } else if (!wireOfKind[row.kind].includes(header.wire)) {
      problem(cursor, codes.malformed, offset, `${message}.${row.name} has wire type ${header.wire}`);
      break;
    } else if (row.kind === "hint") {
      noteHint(cursor, message, row, offset);
    } else if (row.kind !== "skip") {
      const { value, start, end } = header;
      yield { row, name: row.name, value, start, end, packed: header.wire === 2, tagStart: offset };
    }
    offset = header.end;
  }
  cursor.state.depth -= 1;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function readString(cursor: Cursor, field: Field): string {
  const length = field.end - field.start;
  if (length > MAX_STRING_BYTES) {
    problem(cursor, codes.tooLarge, field.start, `${field.name} is a text of ${length} bytes`);
    return "";
  }
  return length === 0 ? "" : decoder.decode(readBytes(cursor, field));
}

/** The bytes of a span, from the window where they are in it. */
export function readBytes(cursor: Cursor, span: Span): Uint8Array {
  const { windowStart, reader } = cursor.state;
  const local = span.start - windowStart;
  if (local >= 0 && span.end - windowStart <= reader.len) return reader.buf.subarray(local, span.end - windowStart);
  return cursor.source.read(span.start, span.end - span.start);
}

/** Numbers of one occurrence of a repeated int field, appended to `into`. */
export function readInts(cursor: Cursor, field: Field, into: number[]): void {
  if (!field.packed) {
    into.push(field.value);
    return;
  }
  if (!spend(cursor, field.start, field.end - field.start)) return;
  const reader = new protobuf.Reader(readBytes(cursor, field));
  try {
    while (reader.pos < reader.len) into.push(toNumber(reader.int64()));
  } catch {
    problem(cursor, codes.malformed, field.start, `${field.name} ends inside a number`);
  }
}

/** Numbers of one occurrence of a repeated float field, appended to `into`. */
export function readFloats(cursor: Cursor, field: Field, into: number[]): void {
  if (!field.packed) {
    into.push(field.value);
    return;
  }
  const count = Math.floor((field.end - field.start) / 4);
  if (count * 4 !== field.end - field.start) {
    problem(cursor, codes.malformed, field.start, `${field.name} ends inside a number`);
  }
  if (!spend(cursor, field.start, count)) return;
  const bytes = readBytes(cursor, field);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let index = 0; index < count; index += 1) into.push(view.getFloat32(index * 4, true));
}

/** Adds one occurrence of a number field to its pieces; neighbouring unpacked values become one piece. */
export function addPiece(pieces: DataPiece[], field: Field): void {
  const last = pieces.at(-1);
  if (field.packed) {
    pieces.push({ start: field.start, end: field.end, packed: true });
  } else if (last !== undefined && !last.packed && last.end === field.tagStart) {
    pieces[pieces.length - 1] = { start: last.start, end: field.end, packed: false };
  } else {
    pieces.push({ start: field.tagStart, end: field.end, packed: false });
  }
}
