// Memory instructions in the data-flow proof: reads must find what their claimed buffer was written with, writes leave their mark.
import type { InstructionOf } from "../../ir/machine/isa.ts";
import type { ProgramSymbol } from "../../ir/machine/program.ts";
import { chooseBytes, maxRows } from "./choice.ts";
import { complain, type Execution, type Step, takePort, unknownBytes } from "./execution.ts";
import { indexAt } from "./graph-values.ts";
import { type ByteVector, joinLane, laneKinds } from "./lanes.ts";
import { entryAt, entryOfSymbol, noteRead, settle, sliceOfUnit, wordState, writeWord } from "./memory.ts";
import { putStream } from "./registers.ts";
import { countChecked, type Site, siteName } from "./report.ts";
import { putOf, takesOf } from "./sites.ts";

type SliceState = NonNullable<ReturnType<typeof sliceOfUnit>>;

function writerName(run: Execution, entry: number): string {
  const writer = run.sites[run.memory.columns.writer[entry] ?? -1];
  const symbol = run.program.symbols[run.memory.columns.symbol[entry] ?? -1]?.name ?? "no buffer";
  return writer === undefined ? `input ${symbol}` : `${symbol} (${siteName(writer)})`;
}

type Landing = SliceState["pending"][number];

/** A write of the word that is under way. */
function landingOn(slice: SliceState, word: number): Landing | undefined {
  return slice.pending.length === 0 ? undefined : slice.pending.find((write) => write.word === word);
}

/** Why a word does not hold what the reader claims; tells the violation. */
function explain(run: Execution, site: Site, slice: SliceState, word: number, cycle: number, entry: number): void {
  const { symbol } = site.ins;
  const name = run.program.symbols[symbol]?.name ?? "no buffer";
  const landing = landingOn(slice, word);
  if (landing !== undefined && run.memory.columns.symbol[landing.entry] === symbol) {
    complain(
      run,
      "operand",
      site,
      cycle,
      `reads word ${word} for ${name} at cycle ${cycle}; its write lands at ${landing.commit}`,
    );
  } else if (entry > 0 && entryOfSymbol(run.memory, entry, symbol) > 0) {
    complain(
      run,
      "lifetime",
      site,
      cycle,
      `reads word ${word} for ${name}, which was overwritten with ${writerName(run, entry)}`,
    );
  } else if (entry > 0) {
    complain(run, "operand", site, cycle, `reads word ${word} for ${name}, but it holds ${writerName(run, entry)}`);
  } else complain(run, "operand", site, cycle, `reads word ${word} for ${name}, to which nothing was ever written`);
}

const isInitial = (symbol: ProgramSymbol | undefined): boolean =>
  symbol?.role === "weight" || symbol?.role === "constant" || symbol?.role === "state";

function readWord(run: Execution, site: Site, slice: SliceState, word: number, cycle: number): ByteVector {
  settle(run.memory, slice, cycle);
  const state = wordState(run.memory, slice, word);
  if (state.kind === "nothing") {
    explain(run, site, slice, word, cycle, 0);
    return unknownBytes(run);
  }
  if (state.kind === "image") {
    if (!isInitial(run.program.symbols[site.ins.symbol])) explain(run, site, slice, word, cycle, 0);
    return state.value;
  }
  noteRead(run.memory, state.entry, cycle);
  const landing = landingOn(slice, word);
  if (run.memory.columns.symbol[state.entry] !== site.ins.symbol) explain(run, site, slice, word, cycle, state.entry);
  else if (landing !== undefined) {
    const by = writerName(run, landing.entry);
    complain(
      run,
      "lifetime",
      site,
      cycle,
      `reads word ${word} at cycle ${cycle} while it is being overwritten with ${by}`,
    );
  }
  return state.value;
}

export function prepareRead(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const put = putOf(run.program.target, unit, ins);
  const slice = sliceOfUnit(run.memory, chip, unit);
  if (ins.op !== "read" || put === undefined || slice === undefined) return undefined;
  return (repetition, cycle) => {
    const value = readWord(run, site, slice, ins.address + repetition * ins.stride, cycle);
    putStream(run.registers, chip, put.direction, put.stream, cycle + put.delay, put.column, value);
  };
}

export function prepareWrite(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const [data] = takesOf(run.program.target, unit, ins);
  const slice = sliceOfUnit(run.memory, chip, unit);
  if (ins.op !== "write" || data === undefined || slice === undefined) return undefined;
  const latency = run.program.target.mem.latency.write;
  return (repetition, cycle) => {
    const [value = unknownBytes(run)] = takePort(run, site, data, cycle);
    settle(run.memory, slice, cycle);
    writeWord(
      run.memory,
      slice,
      ins.address + repetition * ins.stride,
      ins.symbol,
      site.id,
      cycle,
      cycle + latency,
      value,
    );
    countChecked(run.findings, "lifetime");
  };
}

/** The int32 in lane 0 of an address group. */
function mapLane(planes: readonly ByteVector[]): { readonly kind: number; readonly x: number } {
  const value = { kind: 0, x: 0 };
  joinLane(planes, "i32", 0, value);
  if (value.kind === -1) return { kind: laneKinds.junk, x: value.x };
  return value;
}

/**
 * Any word of a table may be the one that is read: all must hold what the buffer was written with, and live until then. The words themselves
 * are given where some of them were computed.
 */
function readTable(
  run: Execution,
  site: Site,
  slice: SliceState,
  ins: InstructionOf<"gather">,
  cycle: number,
  isFirst: boolean,
): readonly ByteVector[] {
  settle(run.memory, slice, cycle);
  let computed = false;
  for (let row = 0; row < ins.limit; row++) {
    const word = ins.address + ins.scale * row;
    const isWritten = entryAt(slice, word) > 0;
    computed ||= isWritten;
    // Images do not change: looking once is enough.
    if (isWritten || isFirst) readWord(run, site, slice, word, cycle);
  }
  if (!computed || ins.limit > maxRows) return [];
  return Array.from({ length: ins.limit }, (_, row) =>
    readWord(run, site, slice, ins.address + ins.scale * row, cycle),
  );
}

export function prepareGather(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const put = putOf(run.program.target, unit, ins);
  const [map] = takesOf(run.program.target, unit, ins);
  const slice = sliceOfUnit(run.memory, chip, unit);
  if (ins.op !== "gather" || put === undefined || map === undefined || slice === undefined) return undefined;
  return (repetition, cycle) => {
    const { kind, x } = mapLane(takePort(run, site, map, cycle));
    const index = indexAt(kind, x, ins.limit);
    const rows = readTable(run, site, slice, ins, cycle, repetition === 0);
    const chosen = readWord(run, site, slice, ins.address + ins.scale * index, cycle);
    const value = run.combined.has(ins.note) && rows.length === ins.limit ? chooseBytes(rows, index) : chosen;
    putStream(run.registers, chip, put.direction, put.stream, cycle + put.delay, put.column, value);
  };
}

export function prepareScatter(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const [data, map] = takesOf(run.program.target, unit, ins);
  const slice = sliceOfUnit(run.memory, chip, unit);
  if (ins.op !== "scatter" || data === undefined || map === undefined || slice === undefined) return undefined;
  const latency = run.program.target.mem.latency.scatter;
  return (_repetition, cycle) => {
    const [value = unknownBytes(run)] = takePort(run, site, data, cycle);
    const { kind, x } = mapLane(takePort(run, site, map, cycle));
    if (kind === laneKinds.bits && (x < 0 || x >= ins.limit)) return;
    settle(run.memory, slice, cycle);
    const word = ins.address + ins.scale * indexAt(kind, x, ins.limit);
    writeWord(run.memory, slice, word, ins.symbol, site.id, cycle, cycle + latency, value);
    countChecked(run.findings, "lifetime");
  };
}
