// SRAM in the data-flow proof: which value and which writer every word has had, and until when it was read. Words are never forgotten, so that
// a wrong read can be told apart (overwritten too early, never written, not landed yet) and lifetimes can be checked modulo an interval.
import type { Program, Unit } from "../../ir/machine/program.ts";
import { type Images, imageVector, newImages } from "./image.ts";
import type { ByteVector } from "./lanes.ts";

/** Grows by doubling. */
interface Columns {
  symbol: Int32Array;
  /** Site of the writer, -1 for a bound input. */
  writer: Int32Array;
  /** Entry that this one replaced, 0 if none. */
  before: Int32Array;
  /** Issue of the write: from then on the old value is gone. */
  issued: Float64Array;
  lastRead: Float64Array;
}

interface PendingWrite {
  readonly word: number;
  readonly commit: number;
  readonly entry: number;
}

interface Slice {
  readonly chip: number;
  readonly hemisphere: "W" | "E";
  readonly slice: number;
  /** Entry of each word by page, 0 where nothing was written. */
  readonly pages: (Int32Array | undefined)[];
  pending: PendingWrite[];
}

export interface Memory {
  readonly program: Program;
  readonly images: Images;
  readonly slices: Map<string, Slice>;
  readonly columns: Columns;
  readonly values: (ByteVector | undefined)[];
  entries: number;
}

function newColumns(size: number): Columns {
  return {
    symbol: new Int32Array(size),
    writer: new Int32Array(size),
    before: new Int32Array(size),
    issued: new Float64Array(size),
    lastRead: new Float64Array(size),
  };
}

export function newMemory(program: Program): Memory {
  return {
    program,
    images: newImages(program),
    slices: new Map(),
    columns: newColumns(1024),
    values: [undefined],
    entries: 1,
  };
}

type Place = { readonly hemisphere: "W" | "E"; readonly slice: number };

export function sliceOf(memory: Memory, chip: number, { hemisphere, slice }: Place): Slice {
  const key = `${chip}${hemisphere}${slice}`;
  let found = memory.slices.get(key);
  if (found === undefined) {
    found = { chip, hemisphere, slice, pages: [], pending: [] };
    memory.slices.set(key, found);
  }
  return found;
}

export function sliceOfUnit(memory: Memory, chip: number, unit: Unit): Slice | undefined {
  return unit.kind === "memRead" || unit.kind === "memWrite" ? sliceOf(memory, chip, unit) : undefined;
}

function grow(memory: Memory): void {
  const { columns } = memory;
  if (memory.entries < columns.symbol.length) return;
  const larger = newColumns(columns.symbol.length * 2);
  larger.symbol.set(columns.symbol);
  larger.writer.set(columns.writer);
  larger.before.set(columns.before);
  larger.issued.set(columns.issued);
  larger.lastRead.set(columns.lastRead);
  Object.assign(columns, larger);
}

function newEntry(memory: Memory, symbol: number, writer: number, issued: number, value: ByteVector): number {
  grow(memory);
  const entry = memory.entries++;
  const { columns } = memory;
  columns.symbol[entry] = symbol;
  columns.writer[entry] = writer;
  columns.issued[entry] = issued;
  columns.lastRead[entry] = -1;
  memory.values[entry] = value;
  return entry;
}

const pageWords = 256;

/** Entry of a word, 0 if nothing was written to it. */
export function entryAt(slice: Slice, word: number): number {
  return slice.pages[Math.floor(word / pageWords)]?.[word % pageWords] ?? 0;
}

function setEntry(slice: Slice, word: number, entry: number): void {
  const number = Math.floor(word / pageWords);
  const page = slice.pages[number] ?? new Int32Array(pageWords);
  slice.pages[number] = page;
  page[word % pageWords] = entry;
}

function land(memory: Memory, slice: Slice, write: PendingWrite): void {
  const before = entryAt(slice, write.word);
  memory.columns.before[write.entry] = before;
  // Nobody reads the old value any more; its history stays.
  memory.values[before] = undefined;
  setEntry(slice, write.word, write.entry);
}

/** Lets all writes land whose time has come. */
export function settle(memory: Memory, slice: Slice, cycle: number): void {
  if (slice.pending.length === 0) return;
  const due = slice.pending.filter((write) => write.commit <= cycle);
  if (due.length === 0) return;
  if (due.length > 1) due.sort((a, b) => a.commit - b.commit || a.entry - b.entry);
  for (const write of due) land(memory, slice, write);
  slice.pending = slice.pending.filter((write) => write.commit > cycle);
}

export function writeWord(
  memory: Memory,
  slice: Slice,
  word: number,
  symbol: number,
  writer: number,
  issued: number,
  commit: number,
  value: ByteVector,
): void {
  slice.pending.push({ word, commit, entry: newEntry(memory, symbol, writer, issued, value) });
}

/** Puts a bound input into a word before cycle 0. */
export function bindWord(memory: Memory, slice: Slice, word: number, symbol: number, value: ByteVector): void {
  const entry = newEntry(memory, symbol, -1, 0, value);
  land(memory, slice, { word, commit: 0, entry });
}

export type WordState =
  | { readonly kind: "written"; readonly entry: number; readonly value: ByteVector }
  | { readonly kind: "image"; readonly value: ByteVector }
  | { readonly kind: "nothing" };

/** What the word holds now. Settle first. */
export function wordState(memory: Memory, slice: Slice, word: number): WordState {
  const entry = entryAt(slice, word);
  const value = memory.values[entry];
  if (entry > 0 && value !== undefined) return { kind: "written", entry, value };
  const image = imageVector(memory.images, slice.chip, slice.hemisphere, slice.slice, word);
  return image === undefined ? { kind: "nothing" } : { kind: "image", value: image };
}

export function noteRead(memory: Memory, entry: number, cycle: number): void {
  const { lastRead } = memory.columns;
  if ((lastRead[entry] ?? 0) < cycle) lastRead[entry] = cycle;
}

/** The newest entry of the word that was written for `symbol`, looking back from `entry`; 0 if there is none. */
export function entryOfSymbol(memory: Memory, entry: number, symbol: number): number {
  let at = entry;
  while (at > 0 && memory.columns.symbol[at] !== symbol) at = memory.columns.before[at] ?? 0;
  return at;
}

/** One value's life in a word: written at `from`, last read before `until`. */
export interface WordLife {
  readonly from: number;
  readonly until: number;
  readonly entry: number;
}

/** Calls `visit` with the lives of every word that was ever written; latest first. */
export function visitLives(
  memory: Memory,
  visit: (slice: Slice, word: number, lives: readonly WordLife[]) => void,
): void {
  const { columns } = memory;
  for (const slice of memory.slices.values()) {
    settle(memory, slice, Number.POSITIVE_INFINITY);
    slice.pages.forEach((page, number) => {
      page?.forEach((newest, offset) => {
        if (newest === 0) return;
        const lives: WordLife[] = [];
        for (let entry = newest; entry > 0; entry = columns.before[entry] ?? 0) {
          const from = columns.issued[entry] ?? 0;
          lives.push({ from, until: Math.max(from, columns.lastRead[entry] ?? 0) + 1, entry });
        }
        visit(slice, number * pageWords + offset, lives);
      });
    });
  }
}
