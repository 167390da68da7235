// The .lpu file around the sections: magic and version, the sections one after the other, then a table with the place, length and CRC-32 of each,
// then where the table is. The table stands at the end so that images are written as they are produced. Every byte of a file is under a check.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import {
  byteSink,
  cursorOver,
  isBad,
  putBytes,
  putU32,
  putU64,
  takeBytes,
  takeU32,
  takeU64,
  written,
} from "./bytes.ts";
import { crc32 } from "./hash.ts";

/** Bytes that text tools and bad transfers break: high bit, line ends, end of file. */
export const magic: readonly number[] = [0x89, 0x4c, 0x50, 0x55, 0x0d, 0x0a, 0x1a, 0x0a];
export const formatVersion = 3;
export const headerBytes = magic.length + 4;

/** Order in the file; position + 1 is the number in the table. */
export const sectionNames = [
  "target",
  "system",
  "code",
  "lane maps",
  "symbols",
  "instruction symbols",
  "bindings",
  "graph",
  "image table",
  "image data",
  "names",
  "instruction notes",
] as const;
export type SectionName = (typeof sectionNames)[number];

export interface SectionEntry {
  readonly name: SectionName;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

/** A file, or anything else with bytes. `read` returns exactly `length` bytes; it is only asked for what `byteLength` covers. */
export interface ProgramReader {
  readonly byteLength: number;
  readonly read: (offset: number, length: number) => Uint8Array;
}

const entryBytes = 24;
const tableBytes = sectionNames.length * entryBytes;
const trailerBytes = 16;

export function headerChunk(): Uint8Array {
  const sink = byteSink();
  putBytes(sink, Uint8Array.from(magic));
  putU32(sink, formatVersion);
  return written(sink);
}

/** Table and trailer. */
export function tableChunk(entries: readonly SectionEntry[], tableOffset: number): Uint8Array {
  const sink = byteSink();
  for (const [index, entry] of entries.entries()) {
    putU32(sink, index + 1);
    putU32(sink, entry.crc);
    putU64(sink, entry.offset);
    putU64(sink, entry.length);
  }
  const crc = crc32(written(sink));
  putU64(sink, tableOffset);
  putU32(sink, entries.length);
  putU32(sink, crc);
  return written(sink);
}

const damaged = (message: string): Result<never> => fail(diagnostic("LPU5003", message));

function checkHeader(reader: ProgramReader): Result<undefined> {
  const head = reader.read(0, Math.min(reader.byteLength, headerBytes));
  if (magic.some((byte, index) => head[index] !== byte)) {
    return fail(diagnostic("LPU5001", "this is not an lpuc program"));
  }
  const version = takeU32(cursorOver(head.subarray(magic.length)));
  if (head.length < headerBytes || version !== formatVersion) {
    return fail(diagnostic("LPU5002", `format version ${version}; this lpuc reads version ${formatVersion}`));
  }
  return ok(undefined);
}

/** The section table of a program file, every entry inside the file and right behind the one before. */
export function readTable(reader: ProgramReader): Result<readonly SectionEntry[]> {
  const header = checkHeader(reader);
  if (!header.ok) return header;
  const end = reader.byteLength - trailerBytes - tableBytes;
  if (end < headerBytes) return damaged(`a program of ${reader.byteLength} bytes has no room for its section table`);
  const cursor = cursorOver(reader.read(end, tableBytes + trailerBytes));
  const table = takeBytes(cursor, tableBytes);
  const [tableOffset, count, crc] = [takeU64(cursor), takeU32(cursor), takeU32(cursor)];
  if (isBad(cursor) || tableOffset !== end || count !== sectionNames.length || crc !== crc32(table)) {
    return damaged("the section table at the end of the program is damaged or cut off");
  }
  const entries: SectionEntry[] = [];
  const inner = cursorOver(table);
  let next = headerBytes;
  for (const [index, name] of sectionNames.entries()) {
    const [id, sectionCrc, offset, length] = [takeU32(inner), takeU32(inner), takeU64(inner), takeU64(inner)];
    if (isBad(inner) || id !== index + 1 || offset !== next || length > end - next) {
      return damaged(`the section table places '${name}' at ${offset}, ${length} bytes long, which does not fit`);
    }
    entries.push({ name, offset, length, crc: sectionCrc });
    next += length;
  }
  return next === end ? ok(entries) : damaged(`${end - next} bytes of the program belong to no section`);
}

const pieceBytes = 1_048_576;

/** Is the section what was written? Reads it in pieces. */
export function checkSection(reader: ProgramReader, entry: SectionEntry): Result<undefined> {
  let crc = 0;
  for (let at = 0; at < entry.length; at += pieceBytes) {
    crc = crc32(reader.read(entry.offset + at, Math.min(pieceBytes, entry.length - at)), crc);
  }
  if (crc === entry.crc) return ok(undefined);
  return fail(diagnostic("LPU5004", `the checksum of section '${entry.name}' is wrong`));
}

/** Reader over bytes in memory. */
export const readerOver = (bytes: Uint8Array): ProgramReader => ({
  byteLength: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});
