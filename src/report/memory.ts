// What each chip's memory holds, from the regions a program claims: bytes by role, and how far the address map is from the least that
// any map of these regions needs. Pure.
import type { Program, ProgramSymbol } from "../../ir/machine/program.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";

/** Bytes of the fullest bank of a chip, program text included. */
export interface BankReport {
  readonly capacityBytes: number;
  /** Up to the highest word in use. */
  readonly peakBytes: number;
  /** What is live in some bank in one cycle: no address map needs less. */
  readonly lowerBoundBytes: number;
  /** Share by which the peak is above the bound. */
  readonly gap: number;
}

export interface SramReport {
  readonly chip: number;
  readonly capacityBytes: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** Words that ever hold an activation, summed over all banks. */
  readonly activationPeakBytes: number;
  /** The most that is live in one cycle, bank by bank: the schedule has chosen the banks, so none can need less. */
  readonly activationLowerBoundBytes: number;
  readonly activationGap: number;
  readonly programBytes: number;
  readonly fullestBank: BankReport;
}

const isPersistent = ({ role }: ProgramSymbol): boolean => role === "weight" || role === "constant" || role === "state";

/** Regions of each bank of each slice. */
function byBank(target: Target, symbols: readonly ProgramSymbol[]): readonly (readonly ProgramSymbol[])[] {
  const banks = new Map<string, ProgramSymbol[]>();
  for (const symbol of symbols) {
    const bank = Math.floor(symbol.address / target.mem.wordsPerBank);
    for (const { hemisphere, slice } of symbol.slices) {
      const key = `${hemisphere}${slice}/${bank}`;
      const list = banks.get(key);
      if (list === undefined) banks.set(key, [symbol]);
      else list.push(symbol);
    }
  }
  return [...banks.values()];
}

/** Words that regions of one bank cover, each word once. */
function coveredWords(symbols: readonly ProgramSymbol[]): number {
  let [words, end] = [0, 0];
  for (const { address, words: length } of [...symbols].sort((a, b) => a.address - b.address || a.words - b.words)) {
    words += Math.max(0, address + length - Math.max(address, end));
    end = Math.max(end, address + length);
  }
  return words;
}

/** Most words live in one cycle. */
function liveWords(symbols: readonly ProgramSymbol[]): number {
  const events = symbols.flatMap(({ words, from, until }) => [
    { cycle: from, change: words },
    { cycle: until, change: -words },
  ]);
  events.sort((a, b) => a.cycle - b.cycle || a.change - b.change);
  let [live, most] = [0, 0];
  for (const { change } of events) {
    live += change;
    most = Math.max(most, live);
  }
  return most;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const gapOf = (peak: number, bound: number): number => (bound === 0 ? 0 : peak / bound - 1);

function fullestBank(target: Target, symbols: readonly ProgramSymbol[]): BankReport {
  const { wordsPerBank } = target.mem;
  let [peak, bound] = [0, 0];
  for (const list of byBank(target, symbols)) {
    const data = list.filter(({ role }) => role !== "text");
    const text = coveredWords(list.filter(({ role }) => role === "text"));
    const top = data.reduce((most, { address, words }) => Math.max(most, (address % wordsPerBank) + words), 0);
    peak = Math.max(peak, top + text);
    bound = Math.max(bound, liveWords(data) + text);
  }
  const { lanes } = target;
  return {
    capacityBytes: wordsPerBank * lanes,
    peakBytes: peak * lanes,
    lowerBoundBytes: bound * lanes,
    gap: gapOf(peak, bound),
  };
}

/** The memory of every chip of a program. */
export function sramOf(program: Program): readonly SramReport[] {
  const { target } = program;
  return program.chips.map((part, chip) => {
    const own = program.symbols.filter((symbol) => symbol.chip === chip);
    const bytesOf = (roles: readonly ProgramSymbol["role"][]): number =>
      target.lanes *
      sum(
        byBank(
          target,
          own.filter(({ role }) => roles.includes(role)),
        ).map(coveredWords),
      );
    const activations = byBank(
      target,
      own.filter((symbol) => symbol.role !== "text" && !isPersistent(symbol)),
    );
    const peak = sum(activations.map(coveredWords));
    const bound = sum(activations.map(liveWords));
    return {
      chip,
      capacityBytes: sliceCount(target) * wordsPerSlice(target) * target.lanes,
      weightBytes: bytesOf(["weight", "constant"]),
      stateBytes: bytesOf(["state"]),
      activationPeakBytes: peak * target.lanes,
      activationLowerBoundBytes: bound * target.lanes,
      activationGap: gapOf(peak, bound),
      programBytes: part.textBytes,
      fullestBank: fullestBank(target, own),
    };
  });
}
