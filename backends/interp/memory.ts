// The SRAM of one chip: words with poison, the ports and banks of a slice, and the moment from which a written word may be read.
// Host and image contents count as written before cycle 0.
import { InvariantError } from "../../ir/diag/diagnostic.ts";
import { type Hemisphere, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { raise } from "./raise.ts";
import type { Machine, Memory, Page, Slice } from "./state.ts";

const PAGE_BITS = 8;
const PAGE_WORDS = 1 << PAGE_BITS;

export function makeMemory(target: Target): Memory {
  const half = (): Slice[] =>
    Array.from({ length: target.mem.slicesPerHemisphere }, () => ({
      pages: [],
      readCycle: -1,
      readBanks: 0,
      writeCycle: -1,
      writeBanks: 0,
    }));
  return {
    lanes: target.lanes,
    wordsPerSlice: wordsPerSlice(target),
    wordsPerBank: target.mem.wordsPerBank,
    slices: { W: half(), E: half() },
  };
}

function pageOf(memory: Memory, slice: Slice, address: number): Page {
  const number = address >> PAGE_BITS;
  const known = slice.pages[number];
  if (known !== undefined) return known;
  const bytes = new Uint8Array(PAGE_WORDS * memory.lanes);
  const page = { bytes, words: new Int32Array(bytes.buffer), readyAt: new Int32Array(PAGE_WORDS) };
  slice.pages[number] = page;
  return page;
}

/** A slice by name, undefined if the chip has none such. */
export function findSlice(memory: Memory, hemisphere: Hemisphere, slice: number): Slice | undefined {
  return memory.slices[hemisphere][slice];
}

/** Fills words before cycle 0. Throws if they are outside the memory: whoever loads checks first. */
export function initialise(memory: Memory, slice: Slice, address: number, bytes: Uint8Array): void {
  const { lanes } = memory;
  if (address < 0 || address + bytes.length / lanes > memory.wordsPerSlice)
    throw new InvariantError("load outside SRAM");
  for (let at = 0; at < bytes.length; ) {
    const word = address + at / lanes;
    const page = pageOf(memory, slice, word);
    const first = word & (PAGE_WORDS - 1);
    const words = Math.min(PAGE_WORDS - first, (bytes.length - at) / lanes);
    page.bytes.set(bytes.subarray(at, at + words * lanes), first * lanes);
    page.readyAt.fill(1, first, first + words);
    at += words * lanes;
  }
}

/** One byte before cycle 0; the other lanes of its word become 0 unless they were set. */
export function initialiseByte(memory: Memory, slice: Slice, address: number, lane: number, byte: number): void {
  const page = pageOf(memory, slice, address);
  const word = address & (PAGE_WORDS - 1);
  page.bytes[word * memory.lanes + lane] = byte;
  page.readyAt[word] = 1;
}

/** One byte after the last cycle; -1 if its word was never written. */
export function finalByte(memory: Memory, slice: Slice, address: number, lane: number): number {
  const page = slice.pages[address >> PAGE_BITS];
  const word = address & (PAGE_WORDS - 1);
  if (page === undefined || page.readyAt[word] === 0) return -1;
  return page.bytes[word * memory.lanes + lane] as number;
}

/** Bits of the banks that words low..high touch; 0 and a fault if they leave the slice. */
export function banksOf(machine: Machine, memory: Memory, low: number, high: number): number {
  if (!(low >= 0 && high < memory.wordsPerSlice)) {
    const words = low === high ? `word ${low} is` : `words ${low}..${high} are`;
    raise(machine, "range", `${words} outside the slice (${memory.wordsPerSlice} words)`);
    return 0;
  }
  const first = low < memory.wordsPerBank ? 1 : 2;
  const last = high < memory.wordsPerBank ? 1 : 2;
  return first | last;
}

/** Claims the read port in this cycle. */
export function claimRead(machine: Machine, slice: Slice, banks: number): boolean {
  const { cycle } = machine;
  if (slice.writeCycle === cycle && (slice.writeBanks & banks) !== 0) {
    raise(machine, "bank", "the slice writes the same bank in this cycle");
    return false;
  }
  slice.readCycle = cycle;
  slice.readBanks = banks;
  return true;
}

/** Claims the write port in this cycle. */
export function claimWrite(machine: Machine, slice: Slice, banks: number): boolean {
  const { cycle } = machine;
  if (slice.readCycle === cycle && (slice.readBanks & banks) !== 0) {
    raise(machine, "bank", "the slice reads the same bank in this cycle");
    return false;
  }
  slice.writeCycle = cycle;
  slice.writeBanks = banks;
  return true;
}

/** Copies a word to `to` (in words of four lanes). A fault if it was never written or its write is not complete. */
export function readWord(
  machine: Machine,
  memory: Memory,
  slice: Slice,
  address: number,
  target: Int32Array,
  to: number,
): boolean {
  const page = slice.pages[address >> PAGE_BITS];
  const word = address & (PAGE_WORDS - 1);
  const readyAt = page === undefined ? 0 : (page.readyAt[word] as number);
  if (page === undefined || readyAt === 0) {
    raise(machine, "poison", `word ${address} was never written`);
    return false;
  }
  if (machine.cycle < readyAt - 1) {
    raise(machine, "hazard", `the write of word ${address} is complete at cycle ${readyAt - 1}`);
    return false;
  }
  const count = memory.lanes >> 2;
  const from = word * count;
  const source = page.words;
  for (let i = 0; i < count; i += 1) target[to + i] = source[from + i] as number;
  return true;
}

/** Copies a word from `from` (in words of four lanes); it may be read from cycle `readyAt` on. */
export function writeWord(
  memory: Memory,
  slice: Slice,
  address: number,
  source: Int32Array,
  from: number,
  readyAt: number,
): void {
  const page = pageOf(memory, slice, address);
  const word = address & (PAGE_WORDS - 1);
  const count = memory.lanes >> 2;
  const to = word * count;
  const target = page.words;
  for (let i = 0; i < count; i += 1) target[to + i] = source[from + i] as number;
  page.readyAt[word] = readyAt + 1;
}
