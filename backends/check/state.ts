// State in the data-flow proof: an input that stands in state buffers is what the execution before has left there, so at the end its places must
// hold the value of the output that renews it. Whatever else is written there in between is caught by this, or by who reads it.
import { dtypes } from "../../ir/dtype.ts";
import type { Placement, Program } from "../../ir/machine/program.ts";
import type { Lanes } from "./lanes.ts";
import type { Memory } from "./memory.ts";
import { comparePlacement, expectedLanes, type Mismatch, reportMismatches } from "./outputs.ts";
import { wordRange } from "./placements.ts";
import { countChecked, type Findings, type Site, violate } from "./report.ts";
import type { Window } from "./windows.ts";

/** Whether all words of a placement are in state buffers, or none; undefined where only some are. */
function standsInState(program: Program, placement: Placement): boolean | undefined {
  const [first, last] = wordRange(placement);
  const buffers = program.symbols.filter(({ role, chip }) => role === "state" && chip === placement.chip);
  const held = placement.slices.map((one) =>
    buffers.filter(
      ({ slices, address, words }) =>
        address <= last &&
        first < address + words &&
        slices.some(({ hemisphere, slice }) => hemisphere === one.hemisphere && slice === one.slice),
    ),
  );
  if (held.every((list) => list.length === 0)) return false;
  const isWhole = held.every((list) => list.some(({ address, words }) => address <= first && last < address + words));
  return isWhole ? true : undefined;
}

export function checkState(
  findings: Findings,
  memory: Memory,
  sites: readonly Site[],
  expected: ReadonlyMap<number, Lanes>,
  windows: readonly Window[],
): void {
  const { program } = findings;
  program.bindings.forEach((binding, at) => {
    if (binding.kind !== "input" || binding.placements.length === 0) return;
    const stands = new Set(binding.placements.map((placement) => standsInState(program, placement)));
    countChecked(findings, "completeness");
    if (stands.size === 1 && stands.has(false)) return;
    const where = { chip: binding.placements[0]?.chip ?? null, tensor: binding.name };
    const say = (message: string): void => violate(findings, "completeness", message, where);
    if (stands.size > 1 || stands.has(undefined)) say(`input ${binding.name} stands in state buffers in part only`);
    const renewing = program.bindings.filter(({ kind, renews }) => kind === "output" && renews === at);
    const [output] = renewing;
    if (output === undefined || renewing.length > 1) {
      say(`input ${binding.name} stands in state buffers, but ${renewing.length} outputs renew it`);
      return;
    }
    const tensor = program.graph.tensors[output.tensor];
    const value = expected.get(output.tensor);
    if (tensor === undefined || value === undefined) return;
    const isFloat = dtypes[tensor.dtype].kind === "float";
    const found: Mismatch[] = [];
    for (const placement of binding.placements) {
      const cycle = (windows[placement.chip]?.end ?? 1) - 1;
      const lanes = expectedLanes(value, placement.type);
      comparePlacement(memory, placement, tensor.shape, lanes, isFloat, cycle, found);
    }
    countChecked(findings, "operand", value.x.length);
    reportMismatches(findings, memory, sites, binding, `state ${binding.name}, renewed by ${output.name},`, found);
  });
}
