// Which inputs of a program are state: they stand in buffers of role `state`, which keep their contents from one execution to the next.
import type { Binding, Placement, Program } from "./program.ts";

function isInState(program: Program, placement: Placement): boolean {
  return program.symbols.some(
    ({ role, chip, address, words, slices }) =>
      role === "state" &&
      chip === placement.chip &&
      placement.address >= address &&
      placement.address < address + words &&
      placement.slices.every((one) =>
        slices.some(({ hemisphere, slice }) => hemisphere === one.hemisphere && slice === one.slice),
      ),
  );
}

/** The host need not give such an input again: what the execution before left is there. */
export function isResident(program: Program, binding: Binding): boolean {
  const { kind, placements } = binding;
  return kind === "input" && placements.length > 0 && placements.every((placement) => isInState(program, placement));
}
