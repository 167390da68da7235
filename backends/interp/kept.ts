// What SRAM keeps from one execution to the next: the buffers of role `state`, byte by byte. Everything else is poison again when the next one
// begins, so that a program that counts on more is a fault.
import { isResident } from "../../ir/machine/resident.ts";
import { finalByte, findSlice, initialiseByte } from "./memory.ts";
import type { Machine, Slice } from "./state.ts";

/** One byte plane of a state buffer; -1 where nothing was ever written. */
interface KeptPlane {
  readonly chip: number;
  readonly hemisphere: "W" | "E";
  readonly slice: number;
  readonly address: number;
  readonly bytes: Int16Array;
}

export type KeptState = readonly KeptPlane[];

type Visit = (slice: Slice, address: number, lane: number, at: number) => void;

function forEachByte(machine: Machine, plane: KeptPlane, visit: Visit): void {
  const memory = machine.chips[plane.chip]?.memory;
  const slice = memory === undefined ? undefined : findSlice(memory, plane.hemisphere, plane.slice);
  if (memory === undefined || slice === undefined) return;
  const { lanes, wordsPerSlice } = memory;
  for (let at = 0; at < plane.bytes.length; at++) {
    const address = plane.address + Math.floor(at / lanes);
    if (address >= 0 && address < wordsPerSlice) visit(slice, address, at % lanes, at);
  }
}

/** The state buffers after the last cycle. */
export function keepState(machine: Machine): KeptState {
  return machine.program.symbols.flatMap(({ role, chip, address, words, slices }) => {
    const memory = machine.chips[chip]?.memory;
    if (role !== "state" || memory === undefined) return [];
    return slices.map(({ hemisphere, slice }): KeptPlane => {
      const bytes = new Int16Array(words * memory.lanes).fill(-1);
      const plane: KeptPlane = { chip, hemisphere, slice, address, bytes };
      forEachByte(machine, plane, (from, word, lane, at) => {
        bytes[at] = finalByte(memory, from, word, lane);
      });
      return plane;
    });
  });
}

/** Puts the state buffers back before cycle 0. */
export function restoreState(machine: Machine, kept: KeptState): void {
  for (const plane of kept) {
    const memory = machine.chips[plane.chip]?.memory;
    if (memory === undefined) continue;
    forEachByte(machine, plane, (slice, address, lane, at) => {
      const byte = plane.bytes[at] as number;
      if (byte >= 0) initialiseByte(memory, slice, address, lane, byte);
    });
  }
}

/** Inputs that need not be given where state was kept. */
export const keptInputs = ({ program }: Machine): ReadonlySet<string> =>
  new Set(program.bindings.filter((binding) => isResident(program, binding)).map(({ name }) => name));
