// How the units report a fault: the first one is kept, and the run stops.
import { unitName } from "../../ir/machine/program.ts";
import type { FaultKind } from "./fault.ts";
import type { Chip, Machine } from "./state.ts";

/** Records the first fault, at the instruction that issues now. */
export function raise(machine: Machine, kind: FaultKind, message: string): void {
  if (machine.fault !== undefined) return;
  const { queue } = machine;
  if (queue === undefined) {
    raiseOutside(machine, kind, 0, undefined, message);
    return;
  }
  const instruction = queue.instructions[queue.index];
  const symbol = instruction === undefined ? undefined : machine.program.symbols[instruction.symbol]?.name;
  machine.fault = {
    kind,
    chip: queue.chip.index,
    unit: unitName(queue.unit),
    cycle: machine.cycle,
    instruction:
      instruction === undefined ? undefined : { op: instruction.op, index: queue.index, repetition: queue.repetition },
    symbol,
    message,
  };
}

/** Records the first fault where no instruction is at fault. */
export function raiseOutside(
  machine: Machine,
  kind: FaultKind,
  chip: number,
  symbol: string | undefined,
  message: string,
): void {
  if (machine.fault !== undefined) return;
  machine.fault = { kind, chip, unit: "host", cycle: machine.cycle, instruction: undefined, symbol, message };
}

/** As `raise`, for something of `chip` and another unit found out later. */
export function raiseAt(machine: Machine, kind: FaultKind, chip: Chip, unit: string, message: string): void {
  if (machine.fault !== undefined) return;
  const { cycle } = machine;
  machine.fault = { kind, chip: chip.index, unit, cycle, instruction: undefined, symbol: undefined, message };
}
