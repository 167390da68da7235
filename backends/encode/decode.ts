// A program from a .lpu file. The file is judged, not trusted: every length is checked before it is used, checksums are checked first, and
// whatever is wrong is a diagnostic. Images stay in the file and are read when asked for.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, invariant, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { ChipProgram, ImageSegment, Program } from "../../ir/machine/program.ts";
import { type Cursor, cursorOver, isBad, reject, takeList, takeVarint } from "./bytes.ts";
import {
  checkSection,
  type ProgramReader,
  readTable,
  type SectionEntry,
  type SectionName,
  sectionNames,
} from "./container.ts";
import { type Names, tagReader, takeNames } from "./debug.ts";
import { takeQueues } from "./queues.ts";
import { type GraphPart, takeBinding, takeGraph, takeLaneMap, takeSlice, takeSymbol, takeSystem } from "./records.ts";
import { structureProblems } from "./structure.ts";
import { targetFrom } from "./target-section.ts";

interface OpenFile {
  readonly reader: ProgramReader;
  readonly entries: Readonly<Record<SectionName, SectionEntry>>;
  readonly problems: Diagnostic[];
}

function open(reader: ProgramReader): Result<OpenFile> {
  const table = readTable(reader);
  if (!table.ok) return table;
  const problems: Diagnostic[] = [];
  for (const entry of table.value) {
    const sound = checkSection(reader, entry);
    if (!sound.ok) problems.push(...sound.diagnostics);
  }
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  const entries = Object.fromEntries(table.value.map((entry) => [entry.name, entry])) as Record<
    SectionName,
    SectionEntry
  >;
  invariant(
    sectionNames.every((name) => entries[name] !== undefined),
    "the table has every section",
  );
  return ok({ reader, entries, problems });
}

function sectionBytes(file: OpenFile, name: SectionName): Uint8Array {
  const { offset, length } = file.entries[name];
  return file.reader.read(offset, length);
}

/** Adds what is wrong with a section, which must be read to its end. */
function close(file: OpenFile, name: SectionName, cursor: Cursor): void {
  if (!isBad(cursor) && cursor.at !== cursor.end) reject(cursor, `${cursor.end - cursor.at} bytes are left over`);
  if (cursor.problem === undefined) return;
  const message = `section '${name}', offset ${cursor.problemAt}: ${cursor.problem}`;
  file.problems.push(diagnostic("LPU5005", message));
}

function readSection<T>(file: OpenFile, name: SectionName, take: (cursor: Cursor) => T): T {
  const cursor = cursorOver(sectionBytes(file, name));
  const value = take(cursor);
  close(file, name, cursor);
  return value;
}

function readCode(file: OpenFile, fetchBytes: number): readonly Pick<ChipProgram, "queues" | "textBytes">[] {
  const notes = cursorOver(sectionBytes(file, "instruction notes"));
  const symbols = cursorOver(sectionBytes(file, "instruction symbols"));
  const [noteReader, symbolReader] = [tagReader(notes), tagReader(symbols)];
  const tags = { note: noteReader.next, symbol: symbolReader.next };
  const chips = readSection(file, "code", (cursor) =>
    takeList(cursor, 1, (inner) => takeQueues(inner, fetchBytes, tags)),
  );
  noteReader.finish();
  symbolReader.finish();
  close(file, "instruction notes", notes);
  close(file, "instruction symbols", symbols);
  return chips;
}

function readImages(file: OpenFile): readonly (readonly ImageSegment[])[] {
  const data = file.entries["image data"];
  let next = 0;
  const takeImage = (cursor: Cursor): ImageSegment => {
    const slice = takeSlice(cursor);
    const [address, byteLength] = [takeVarint(cursor), takeVarint(cursor)];
    if (byteLength > data.length - next) {
      reject(cursor, `an image of ${byteLength} bytes is announced, ${data.length - next} are left`);
    }
    const offset = data.offset + next;
    next += isBad(cursor) ? 0 : byteLength;
    return { ...slice, address, byteLength, read: () => file.reader.read(offset, byteLength) };
  };
  return readSection(file, "image table", (cursor) => {
    const chips = takeList(cursor, 1, (inner) => takeList(inner, 3, takeImage));
    if (next !== data.length) reject(cursor, `${data.length - next} bytes of image data belong to no image`);
    return chips;
  });
}

/** The same number of names and things to be named. */
function checkCount(file: OpenFile, what: string, names: number, things: number): void {
  if (names === things) return;
  file.problems.push(diagnostic("LPU5005", `section 'names' names ${names} ${what}, the program has ${things}`));
}

function namedGraph(file: OpenFile, graph: GraphPart, names: Names): Program["graph"] {
  checkCount(file, "tensors", names.tensors.length, graph.tensors.length);
  checkCount(file, "nodes", names.nodeOrigins.length, graph.nodes.length);
  return {
    tensors: graph.tensors.map((tensor, index) => ({ name: names.tensors[index] ?? "", ...tensor })),
    nodes: graph.nodes.map((node, index) => ({ ...node, origins: names.nodeOrigins[index] ?? [] })),
  };
}

/** The program in the file, or everything that is wrong with the file. Never throws unless `reader` does. */
export function decodeProgram(reader: ProgramReader): Result<Program> {
  const opened = open(reader);
  if (!opened.ok) return opened;
  const file = opened.value;
  const target = targetFrom(sectionBytes(file, "target"));
  if (!target.ok) return target;
  const names = readSection(file, "names", takeNames);
  const system = readSection(file, "system", takeSystem);
  const code = readCode(file, target.value.instructionFetchBytes);
  const laneMaps = readSection(file, "lane maps", (cursor) =>
    takeList(cursor, 1, (inner) => takeList(inner, 1, takeLaneMap)),
  );
  const symbols = readSection(file, "symbols", (cursor) => takeList(cursor, 7, takeSymbol));
  const bindings = readSection(file, "bindings", (cursor) => takeList(cursor, 6, takeBinding));
  const graph = namedGraph(file, readSection(file, "graph", takeGraph), names);
  const images = readImages(file);
  checkCount(file, "symbols", names.symbols.length, symbols.length);
  checkCount(file, "bindings", names.bindings.length, bindings.length);
  if (laneMaps.length !== code.length || images.length !== code.length) {
    const counts = `${code.length}, ${laneMaps.length} and ${images.length}`;
    file.problems.push(diagnostic("LPU5005", `code, lane maps and images are of ${counts} chips`));
  }
  if (file.problems.length > 0) return { ok: false, diagnostics: file.problems };
  const program: Program = {
    modelName: names.modelName,
    target: target.value,
    ...system,
    chips: code.map((chip, index) => ({ ...chip, laneMaps: laneMaps[index] ?? [], images: images[index] ?? [] })),
    symbols: symbols.map((symbol, index) => ({ name: names.symbols[index] ?? "", ...symbol })),
    bindings: bindings.map((binding, index) => ({ name: names.bindings[index] ?? "", ...binding })),
    graph,
    debug: { origins: names.origins, notes: names.notes },
  };
  const problems = structureProblems(program);
  return problems.length === 0 ? ok(program) : fail(...problems.map((message) => diagnostic("LPU5005", message)));
}
