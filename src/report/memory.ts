// What each chip's memory holds, from the regions a program claims: bytes by role, and how far the address map is from the least that
// any map of these regions needs. Pure.
import { activationFill, byBank, coveredWords, fullestFill, gapOf } from "../../ir/machine/memory-fill.ts";
import type { Program, ProgramSymbol } from "../../ir/machine/program.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";

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

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
/** Bytes of the fullest bank of a chip. */
function fullestBank(program: Program, symbols: readonly ProgramSymbol[]): BankReport {
  const fill = fullestFill(program, symbols);
  const { lanes, mem } = program.target;
  return {
    capacityBytes: mem.wordsPerBank * lanes,
    peakBytes: fill.peak * lanes,
    lowerBoundBytes: fill.bound * lanes,
    gap: gapOf(fill),
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
    const activations = activationFill(program, own);
    return {
      chip,
      capacityBytes: sliceCount(target) * wordsPerSlice(target) * target.lanes,
      weightBytes: bytesOf(["weight", "constant"]),
      stateBytes: bytesOf(["state"]),
      activationPeakBytes: activations.peak * target.lanes,
      activationLowerBoundBytes: activations.bound * target.lanes,
      activationGap: gapOf(activations),
      programBytes: part.textBytes,
      fullestBank: fullestBank(program, own),
    };
  });
}
