// Inputs of the data-flow proof: pseudo-random field values for floats, small concrete numbers for integers (in range where they become
// indices), bound into memory through their placements. Words bound in part are zero elsewhere.
import { dtypes, storedTypes } from "../../ir/dtype.ts";
import type { Binding, Placement, Program } from "../../ir/machine/program.ts";
import { hash, roundField } from "./field.ts";
import {
  type ByteVector,
  kindAt,
  type Lanes,
  laneKinds,
  lanesOf,
  mixedBytes,
  type Stored,
  splitLanes,
  tagAt,
  widenedKinds,
} from "./lanes.ts";
import { bindWord, entryAt, type Memory, sliceOf } from "./memory.ts";
import { stripesOf, visitPlacement } from "./placements.ts";
import { countChecked, type Findings, violate } from "./report.ts";
import { newBytes, newInts } from "./vectors.ts";

/** For every tensor that reaches the indices of a gather, the smallest size it may index. */
function indexLimits(program: Program): ReadonlyMap<number, number> {
  const limits = new Map<number, number>();
  const lower = (tensor: number, limit: number): void => {
    limits.set(tensor, Math.min(limit, limits.get(tensor) ?? limit));
  };
  for (const node of [...program.graph.nodes].reverse()) {
    const through = limits.get(node.output);
    if (through !== undefined) for (const input of node.inputs) lower(input, through);
    const [data, indices] = node.inputs;
    if (node.op !== "gather" || data === undefined || indices === undefined) continue;
    lower(indices, program.graph.tensors[data]?.shape[Number(node.attrs.axis)] ?? 1);
  }
  return limits;
}

/**
 * Element `at` of an integer tensor: by turns inside 0..limit-1, counted from the end, at either end, and beyond, where a program clamps.
 * Neighbours differ, and a lone element is neither the first nor the last index.
 */
function integerAt(at: number, seed: number, limit: number): number {
  const first = 1 + (Math.abs(hash(2100, seed)) % Math.max(1, limit - 2));
  const step = 1 + (Math.abs(hash(2101, seed)) % Math.max(1, limit - 1));
  const value = (first + at * step) % Math.max(1, limit);
  switch (at % 8) {
    case 1:
    case 5:
      return value - limit;
    case 2:
      return 0;
    case 3:
      return value + limit;
    case 6:
      return limit - 1;
    case 7:
      return value - 2 * limit;
    default:
      return value;
  }
}

/**
 * What is no index is of both signs in one run, above 0 in the next, below it in the third: a zero that does not belong to a maximum or a minimum
 * is seen in one of them.
 */
function numberAt(at: number, seed: number, run: number): number {
  const value = integerAt(at, seed, 4);
  const side = run % 3;
  return side === 0 ? value : (Math.abs(value) + 1) * (side === 1 ? 1 : -1);
}

/** The value of every input tensor. */
export function randomInputs(program: Program, seed: number): ReadonlyMap<number, Lanes> {
  const limits = indexLimits(program);
  const values = new Map<number, Lanes>();
  for (const binding of program.bindings) {
    const tensor = program.graph.tensors[binding.tensor];
    if (binding.kind !== "input" || tensor === undefined || values.has(binding.tensor)) continue;
    const count = tensor.shape.reduce((product, size) => product * size, 1);
    const draw = (element: number): number => hash(2000 + seed, Math.imul(binding.tensor + 1, 0x3c6ef372) + element);
    const isFloat = dtypes[tensor.dtype].kind === "float";
    const isByte = dtypes[tensor.dtype].bits === 8 && dtypes[tensor.dtype].kind !== "bool";
    const limit = limits.get(binding.tensor);
    const isBool = dtypes[binding.dtype].kind === "bool";
    const x = Int32Array.from({ length: count }, (_, i) => {
      if (binding.dtype === "float16") return roundField(draw(i));
      if (isFloat || isByte) return draw(i);
      if (isBool) return draw(i) & 1;
      const own = seed * 1000 + binding.tensor;
      return limit === undefined ? numberAt(i, own, seed) : integerAt(i, own, limit);
    });
    const byteKind = dtypes[tensor.dtype].kind === "int" ? widenedKinds.signed : widenedKinds.unsigned;
    values.set(binding.tensor, lanesOf(x, isFloat ? laneKinds.float : isByte ? byteKind : laneKinds.bits));
  }
  return values;
}

interface WordDraft {
  readonly x: Int32Array;
  readonly tags: Uint8Array;
}

function draftsOf(
  program: Program,
  placement: Placement,
  shape: readonly number[],
  value: Lanes,
): ReadonlyMap<number, WordDraft> {
  const { bytes } = storedTypes[placement.type];
  const perVector = placement.pack > 0 ? 1 : bytes;
  const drafts = new Map<number, WordDraft>();
  const planes = boundPlanes(value, placement.type);
  visitPlacement(placement, shape, (element, vector, lane) => {
    planes.forEach((plane, b) => {
      const key = vector * perVector + (placement.pack > 0 ? 0 : b);
      let draft = drafts.get(key);
      if (draft === undefined) {
        const { lanes } = program.target;
        draft = { x: newInts(lanes), tags: newBytes(lanes) };
        drafts.set(key, draft);
      }
      draft.x[lane + b * placement.pack] = plane.x[element] as number;
      draft.tags[lane + b * placement.pack] = tagAt(plane, element);
    });
  });
  return drafts;
}

/** The whole tensor as byte planes; an 8-bit tensor's values are its bytes. */
function boundPlanes(value: Lanes, type: Stored): readonly ByteVector[] {
  if (type !== "i8" && type !== "u8") return splitLanes(value, type);
  const symbolic = kindAt(value, 0) !== laneKinds.bits;
  const tag = symbolic ? (type === "i8" ? 11 : 12) : 0;
  return [{ x: symbolic ? value.x : value.x.map((x) => x & 255), tag, tags: undefined }];
}

/** The buffer for inputs that holds a word, -1 if there is none. */
function symbolAt(
  program: Program,
  placement: Placement,
  slice: { hemisphere: string; slice: number },
  word: number,
): number {
  return program.symbols.findIndex(
    (symbol) =>
      (symbol.role === "input" || symbol.role === "state") &&
      symbol.chip === placement.chip &&
      word >= symbol.address &&
      word < symbol.address + symbol.words &&
      symbol.slices.some((one) => one.hemisphere === slice.hemisphere && one.slice === slice.slice),
  );
}

function bindPlacement(findings: Findings, memory: Memory, binding: Binding, placement: Placement, value: Lanes): void {
  const { program } = findings;
  const { bytes } = storedTypes[placement.type];
  const perVector = placement.pack > 0 ? 1 : bytes;
  const stripes = stripesOf(placement);
  let told = false;
  for (const [key, draft] of draftsOf(program, placement, binding.shape, value)) {
    const vector = Math.floor(key / perVector);
    const place = placement.slices[(vector % stripes) * perVector + (key % perVector)];
    if (place === undefined) continue;
    const word = placement.address + Math.floor(vector / stripes);
    const slice = sliceOf(memory, placement.chip, place);
    const symbol = symbolAt(program, placement, place, word);
    countChecked(findings, "completeness");
    if (symbol < 0 && !told) {
      told = true;
      const message = `word ${word} of MEM.${place.hemisphere}${place.slice} holds input ${binding.name} but is in no input buffer`;
      violate(findings, "completeness", message, { chip: placement.chip, tensor: binding.name });
    }
    const before = memory.values[entryAt(slice, word)];
    if (before !== undefined) {
      // Several tensors may share a word in different lanes.
      before.x.forEach((x, lane) => {
        if (draft.tags[lane] !== 0 || draft.x[lane] !== 0) return;
        draft.x[lane] = x;
        draft.tags[lane] = tagAt(before, lane);
      });
    }
    bindWord(memory, slice, word, symbol, mixedBytes(draft.x, draft.tags));
  }
}

export function bindInputs(findings: Findings, memory: Memory, values: ReadonlyMap<number, Lanes>): void {
  for (const binding of findings.program.bindings) {
    const value = values.get(binding.tensor);
    if (binding.kind !== "input" || value === undefined) continue;
    for (const placement of binding.placements) bindPlacement(findings, memory, binding, placement, value);
  }
}
