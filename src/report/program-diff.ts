// Two programs side by side: what figures changed, which queues, images and claims, and which kernels run longer or shorter. Pure.
import { printInstruction } from "../../backends/encode/text-instruction.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import { type ChipProgram, type Program, type ProgramSymbol, type Queue, unitName } from "../../ir/machine/program.ts";
import { kernelSpans } from "./layers.ts";
import { type ProgramReport, programReport } from "./program-report.ts";

export interface FigureChange {
  readonly name: string;
  readonly before: number | string;
  readonly after: number | string;
}

export interface QueueChange {
  readonly chip: number;
  readonly unit: string;
  /** Instructions. */
  readonly before: number;
  readonly after: number;
  /** Place of the first instruction that differs, and its two forms; null where a queue has ended. */
  readonly at: number;
  readonly instruction: { readonly before: string | null; readonly after: string | null };
}

export interface KernelChange {
  readonly chip: number;
  readonly kernel: string;
  readonly nodes: readonly string[];
  /** Cycles from the first issue to the last; null where the program has no such kernel. */
  readonly before: number | null;
  readonly after: number | null;
}

export interface ProgramDiff {
  readonly figures: readonly FigureChange[];
  readonly queues: readonly QueueChange[];
  /** Memory that is filled before cycle 0: chips where it differs. */
  readonly images: readonly number[];
  /** Regions by name and chip that are in one program only, or elsewhere, or live otherwise. */
  readonly symbols: {
    readonly added: number;
    readonly removed: number;
    readonly moved: number;
    readonly relived: number;
  };
  readonly kernels: readonly KernelChange[];
}

function figuresOf(report: ProgramReport): ReadonlyMap<string, number | string> {
  const { model, target, chips, topology, precision, latencyCycles, initiationIntervalCycles, lowerBound } = report;
  const figures = new Map<string, number | string>();
  for (const [name, value] of Object.entries({ model, target, chips, topology, precision })) figures.set(name, value);
  figures.set("latency cycles", latencyCycles);
  figures.set("interval cycles", initiationIntervalCycles);
  figures.set("lower bound cycles", lowerBound.cycles);
  figures.set("instructions", report.instructions);
  for (const { chip, cycles } of report.stages) figures.set(`chip ${chip} cycles`, cycles);
  for (const { chip, weightBytes, stateBytes, activationPeakBytes, programBytes } of report.sram) {
    figures.set(`chip ${chip} weight bytes`, weightBytes);
    figures.set(`chip ${chip} state bytes`, stateBytes);
    figures.set(`chip ${chip} activation bytes`, activationPeakBytes);
    figures.set(`chip ${chip} program bytes`, programBytes);
  }
  for (const { from, to, vectors } of report.links) figures.set(`link ${from} -> ${to} vectors`, vectors);
  return figures;
}

function changedFigures(before: ProgramReport, after: ProgramReport): readonly FigureChange[] {
  const [left, right] = [figuresOf(before), figuresOf(after)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((name) => {
    const [a, b] = [left.get(name) ?? 0, right.get(name) ?? 0];
    return a === b ? [] : [{ name, before: a, after: b }];
  });
}

/** What the unit does, without what the debug map says of it. */
function instructionText(queue: Queue | undefined, at: number): string | null {
  const instruction: Instruction | undefined = queue?.instructions[at];
  if (queue === undefined || instruction === undefined) return null;
  return printInstruction(queue.unit, { ...instruction, symbol: -1, note: -1 }, "").replace(/ ; .*$/, "");
}

function queueChange(
  chip: number,
  unit: string,
  left: Queue | undefined,
  right: Queue | undefined,
): readonly QueueChange[] {
  const counts = { before: left?.instructions.length ?? 0, after: right?.instructions.length ?? 0 };
  for (let at = 0; at < Math.max(counts.before, counts.after); at++) {
    const instruction = { before: instructionText(left, at), after: instructionText(right, at) };
    if (instruction.before !== instruction.after) return [{ chip, unit, ...counts, at, instruction }];
  }
  return [];
}

function changedQueues(before: Program, after: Program): readonly QueueChange[] {
  const chips = Math.max(before.chips.length, after.chips.length);
  return Array.from({ length: chips }, (_, chip) => {
    const byUnit = ({ queues }: Pick<ChipProgram, "queues">) =>
      new Map(queues.map((queue) => [unitName(queue.unit), queue]));
    const [left, right] = [byUnit(before.chips[chip] ?? { queues: [] }), byUnit(after.chips[chip] ?? { queues: [] })];
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((unit) =>
      queueChange(chip, unit, left.get(unit), right.get(unit)),
    );
  }).flat();
}

/** Whether two chips' memory is filled alike; images are read one segment at a time. */
function sameImages(before: ChipProgram | undefined, after: ChipProgram | undefined): boolean {
  const [left, right] = [before?.images ?? [], after?.images ?? []];
  return (
    left.length === right.length &&
    left.every((one, i) => {
      const other = right[i];
      if (other === undefined || one.hemisphere !== other.hemisphere || one.slice !== other.slice) return false;
      if (one.address !== other.address || one.byteLength !== other.byteLength) return false;
      const [a, b] = [one.read(), other.read()];
      return a.every((byte, k) => byte === b[k]);
    })
  );
}

/** Regions by chip, role and name; equal names are told apart by their order. */
function symbolsOf(program: Program): ReadonlyMap<string, ProgramSymbol> {
  const seen = new Map<string, number>();
  return new Map(
    program.symbols.map((symbol) => {
      const name = `${symbol.chip} ${symbol.role} ${symbol.name}`;
      const before = seen.get(name) ?? 0;
      seen.set(name, before + 1);
      return [`${name} ${before}`, symbol];
    }),
  );
}

function changedSymbols(before: Program, after: Program): ProgramDiff["symbols"] {
  const [left, right] = [symbolsOf(before), symbolsOf(after)];
  const counts = { added: 0, removed: 0, moved: 0, relived: 0 };
  for (const key of right.keys()) if (!left.has(key)) counts.added++;
  for (const [key, a] of left) {
    const b = right.get(key);
    if (b === undefined) {
      counts.removed++;
      continue;
    }
    const place = ({ slices, address, words }: ProgramSymbol): string => JSON.stringify([slices, address, words]);
    if (place(a) !== place(b)) counts.moved++;
    else if (a.from !== b.from || a.until !== b.until) counts.relived++;
  }
  return counts;
}

function changedKernels(before: Program, after: Program): readonly KernelChange[] {
  const spansOf = (program: Program) => {
    const seen = new Map<string, number>();
    return new Map(
      kernelSpans(program).map((span) => {
        const name = `${span.chip} ${span.kernel} ${span.nodes.join(" ")}`;
        const order = seen.get(name) ?? 0;
        seen.set(name, order + 1);
        return [`${name} ${order}`, span];
      }),
    );
  };
  const [left, right] = [spansOf(before), spansOf(after)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((key): readonly KernelChange[] => {
    const [a, b] = [left.get(key), right.get(key)];
    const cycles = (span: typeof a): number | null =>
      span === undefined ? null : span.lastCycle - span.firstCycle + 1;
    const span = a ?? b;
    if (span === undefined || cycles(a) === cycles(b)) return [];
    return [{ chip: span.chip, kernel: span.kernel, nodes: span.nodes, before: cycles(a), after: cycles(b) }];
  });
}

/** What changed from one program to another; every part is empty where nothing did. */
export function diffPrograms(before: Program, after: Program): ProgramDiff {
  const chips = Math.max(before.chips.length, after.chips.length);
  return {
    figures: changedFigures(programReport(before), programReport(after)),
    queues: changedQueues(before, after),
    images: Array.from({ length: chips }, (_, chip) => chip).filter(
      (chip) => !sameImages(before.chips[chip], after.chips[chip]),
    ),
    symbols: changedSymbols(before, after),
    kernels: changedKernels(before, after),
  };
}
