// A program as the bytes of a .lpu file, in chunks: images are fetched one segment at a time and never held.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { type ByteSink, byteSink, putBytes, putList, putVarint, written } from "./bytes.ts";
import {
  headerBytes,
  headerChunk,
  type SectionEntry,
  type SectionName,
  sectionNames,
  tableChunk,
} from "./container.ts";
import { namesOf, putNames, putTags } from "./debug.ts";
import { crc32 } from "./hash.ts";
import { putQueues } from "./queues.ts";
import { putBinding, putGraph, putLaneMap, putSlice, putSymbol, putSystem } from "./records.ts";
import { targetText } from "./target-section.ts";
import { utf8Bytes } from "./utf8.ts";

/** Writes every section but the image data. */
const writers: Readonly<Record<Exclude<SectionName, "image data">, (sink: ByteSink, program: Program) => void>> = {
  target: (sink, program) => putBytes(sink, utf8Bytes(targetText(program.target))),
  system: (sink, program) => putSystem(sink, program),
  code: (sink, program) => putList(sink, program.chips, (inner, chip) => putQueues(inner, chip.queues)),
  "lane maps": (sink, program) =>
    putList(sink, program.chips, (inner, chip) => putList(inner, chip.laneMaps, putLaneMap)),
  symbols: (sink, program) => putList(sink, program.symbols, putSymbol),
  "instruction symbols": (sink, program) => putTags(sink, program, "symbol"),
  bindings: (sink, program) => putList(sink, program.bindings, putBinding),
  graph: (sink, program) => putGraph(sink, program.graph),
  "image table": (sink, program) =>
    putList(sink, program.chips, (inner, chip) =>
      putList(inner, chip.images, (each, image) => {
        putSlice(each, image);
        putVarint(each, image.address);
        putVarint(each, image.byteLength);
      }),
    ),
  names: (sink, program) => putNames(sink, namesOf(program)),
  "instruction notes": (sink, program) => putTags(sink, program, "note"),
};

function* imageChunks(program: Program): Generator<Uint8Array> {
  for (const chip of program.chips) {
    for (const image of chip.images) {
      const bytes = image.read();
      invariant(bytes.length === image.byteLength, `an image of ${image.byteLength} bytes has ${bytes.length}`);
      yield bytes;
    }
  }
}

function* sectionChunks(program: Program, name: SectionName): Generator<Uint8Array> {
  if (name === "image data") {
    yield* imageChunks(program);
    return;
  }
  const sink = byteSink();
  writers[name](sink, program);
  yield written(sink);
}

/**
 * The bytes of `program`, chunk after chunk. The same program gives the same bytes; two that differ only in names and origins differ in the
 * sections `names` and `instruction notes` only. `ChipProgram.textBytes` is not written: it follows from the queues.
 */
export function* encodeProgram(program: Program): Generator<Uint8Array> {
  yield headerChunk();
  const entries: SectionEntry[] = [];
  let offset = headerBytes;
  for (const name of sectionNames) {
    let crc = 0;
    let length = 0;
    for (const chunk of sectionChunks(program, name)) {
      crc = crc32(chunk, crc);
      length += chunk.length;
      yield chunk;
    }
    entries.push({ name, offset, length, crc });
    offset += length;
  }
  yield tableChunk(entries, offset);
}

/** The whole file in memory: for programs known to be small. */
export function encodedBytes(program: Program): Uint8Array {
  const sink = byteSink();
  for (const chunk of encodeProgram(program)) putBytes(sink, chunk);
  return written(sink).slice();
}
