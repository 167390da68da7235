// The end of the data-flow proof: every element of every bound output must be the graph's value, in the words where the host will look for it.
import { dtypes, storedTypes } from "../../ir/dtype.ts";
import type { Binding, Placement, Program } from "../../ir/machine/program.ts";
import { unitName } from "../../ir/machine/program.ts";
import { type ByteVector, floatAt, intAt, joinLane, kindAt, type Lanes, laneKinds, type Stored } from "./lanes.ts";
import { roundToHalf } from "./meaning.ts";
import { type Memory, noteRead, settle, sliceOf, wordState } from "./memory.ts";
import { stripesOf, visitPlacement } from "./placements.ts";
import { countChecked, type Findings, nodeOf, type Site, violate } from "./report.ts";
import type { Window } from "./windows.ts";

interface Word {
  readonly value: ByteVector;
  readonly entry: number;
}

export interface Mismatch {
  readonly element: number;
  readonly what: string;
  readonly entry: number;
  readonly overwritten: boolean;
}

const isSame = (isFloat: boolean, kindA: number, a: number, kindB: number, b: number): boolean => {
  if (isFloat) return floatAt(kindA, a) === floatAt(kindB, b);
  if (kindA === laneKinds.bits && kindB === laneKinds.bits) return a === b;
  return intAt(kindA, a) === intAt(kindB, b);
};

/** What the graph's value becomes when it is stored as `type`. */
export function expectedLanes(value: Lanes, type: Stored): Lanes {
  return type === "f16" ? roundToHalf(value) : value;
}

interface Reader {
  readonly read: (vector: number, plane: number) => Word | undefined;
}

function wordReader(memory: Memory, placement: Placement, cycle: number): Reader {
  const { bytes } = storedTypes[placement.type];
  const perVector = placement.pack > 0 ? 1 : bytes;
  const stripes = stripesOf(placement);
  const words = new Map<number, Word | undefined>();
  return {
    read: (vector, plane) => {
      const key = vector * perVector + plane;
      if (words.has(key)) return words.get(key);
      const place = placement.slices[(vector % stripes) * perVector + plane];
      if (place === undefined) return undefined;
      const slice = sliceOf(memory, placement.chip, place);
      settle(memory, slice, Number.POSITIVE_INFINITY);
      const state = wordState(memory, slice, placement.address + Math.floor(vector / stripes));
      if (state.kind === "written") noteRead(memory, state.entry, cycle);
      const word =
        state.kind === "nothing"
          ? undefined
          : { value: state.value, entry: state.kind === "written" ? state.entry : 0 };
      words.set(key, word);
      return word;
    },
  };
}

export function comparePlacement(
  memory: Memory,
  placement: Placement,
  shape: readonly number[],
  expected: Lanes,
  isFloat: boolean,
  cycle: number,
  found: Mismatch[],
): void {
  const { bytes } = storedTypes[placement.type];
  const { read } = wordReader(memory, placement, cycle);
  const value = { kind: 0, x: 0 };
  visitPlacement(placement, shape, (element, vector, lane) => {
    const planes: ByteVector[] = [];
    let entry = 0;
    for (let b = 0; b < bytes; b++) {
      const word = read(vector, placement.pack > 0 ? 0 : b);
      if (word === undefined) break;
      entry = Math.max(entry, word.entry);
      const shift = b * placement.pack;
      const { x, tag, tags } = word.value;
      planes.push(shift === 0 ? word.value : { x: x.subarray(shift), tag, tags: tags?.subarray(shift) });
    }
    if (planes.length < bytes) {
      found.push({ element, what: "was never written", entry: 0, overwritten: false });
      return;
    }
    joinLane(planes, placement.type, lane, value);
    if (value.kind === -1)
      found.push({ element, what: "is put together from bytes of different values", entry, overwritten: false });
    else if (!isSame(isFloat, value.kind, value.x, kindAt(expected, element), expected.x[element] as number)) {
      found.push({ element, what: "is not what the graph computes", entry, overwritten: isOverwritten(memory, entry) });
    }
  });
}

/** Was the word last written for a buffer other than an output's or a state's after it had been written for one? */
function isOverwritten(memory: Memory, entry: number): boolean {
  const { symbols } = memory.program;
  const isKept = (at: number): boolean =>
    ["output", "state"].includes(symbols[memory.columns.symbol[at] ?? -1]?.role ?? "") &&
    memory.columns.writer[at] !== -1;
  if (entry <= 0 || isKept(entry)) return false;
  for (let at = memory.columns.before[entry] ?? 0; at > 0; at = memory.columns.before[at] ?? 0) {
    if (isKept(at)) return true;
  }
  return false;
}

export function reportMismatches(
  findings: Findings,
  memory: Memory,
  sites: readonly Site[],
  binding: Binding,
  what: string,
  found: readonly Mismatch[],
): void {
  const first = found[0];
  if (first === undefined) return;
  const writer = sites[memory.columns.writer[first.entry] ?? -1];
  const lost = found.find((mismatch) => mismatch.overwritten) ?? first;
  const name = lost.overwritten ? "lifetime" : "operand";
  const count = found.length === 1 ? "" : ` (${found.length} elements are wrong)`;
  const last =
    writer === undefined || first.entry === 0
      ? ""
      : `; last written by ${writer.ins.op}#${writer.index} of ${unitName(writer.unit)}`;
  violate(findings, name, `element ${lost.element} of ${what} ${lost.what}${count}${last}`, {
    chip: writer?.chip ?? binding.placements[0]?.chip ?? null,
    unit: writer === undefined ? null : unitName(writer.unit),
    cycle: writer?.ins.cycle ?? null,
    instruction: writer === undefined ? null : `${writer.ins.op}#${writer.index}`,
    tensor: binding.name,
    node: writer === undefined ? null : nodeOf(findings.program, writer.ins),
  });
}

/** Compares all outputs in memory after the last write with `expected`; the host reads them when their chip is done. */
export function checkOutputs(
  findings: Findings,
  memory: Memory,
  sites: readonly Site[],
  expected: ReadonlyMap<number, Lanes>,
  windows: readonly Window[],
): void {
  const program: Program = findings.program;
  for (const binding of program.bindings) {
    const value = expected.get(binding.tensor);
    const tensor = program.graph.tensors[binding.tensor];
    if (binding.kind !== "output" || value === undefined || tensor === undefined) continue;
    const found: Mismatch[] = [];
    const isFloat = dtypes[tensor.dtype].kind === "float";
    for (const placement of binding.placements) {
      comparePlacement(
        memory,
        placement,
        tensor.shape,
        expectedLanes(value, placement.type),
        isFloat,
        (windows[placement.chip]?.end ?? 1) - 1,
        found,
      );
    }
    countChecked(findings, "operand", value.x.length);
    reportMismatches(findings, memory, sites, binding, `output ${binding.name}`, found);
  }
}
