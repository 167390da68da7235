// The text form of a program, line by line. Tables are JSON lines, instructions are lines of their own, images are base64 blocks. It holds
// everything the file holds: assembling it gives the file back to the byte.
import type { AttrValue } from "../../ir/graph/graph.ts";
import { inShapeOrder } from "../../ir/json/shape.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import { type ChipProgram, type Program, type ProgramTensor, type Unit, unitName } from "../../ir/machine/program.ts";
import { base64 } from "./base64.ts";
import { byteSink, putF64, written } from "./bytes.ts";
import { targetText } from "./target-section.ts";
import { printInstruction } from "./text-instruction.ts";
import { placedShape, recordShapes, splatShape } from "./text-shapes.ts";

export const textVersion = 2;

/** Image bytes on one line: a multiple of 3, so that lines can be cut from longer base64. */
const imageLineBytes = 96;

/** A number JSON cannot hold, as the hexadecimal of its binary64 bytes. */
const isPlain = (value: number): boolean => Number.isFinite(value) && !Object.is(value, -0);

function jsonNumber(value: number): unknown {
  if (isPlain(value)) return value;
  const sink = byteSink();
  putF64(sink, value);
  return { f64: [...written(sink)].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

function jsonAttr(value: AttrValue): unknown {
  if (typeof value === "number") return jsonNumber(value);
  return Array.isArray(value) ? value.map((item) => (typeof item === "number" ? jsonNumber(item) : item)) : value;
}

function jsonTensor({ name, dtype, shape, constant }: ProgramTensor): unknown {
  if (constant === undefined) return { name, dtype, shape };
  if (constant.kind === "splat") return { name, dtype, shape, constant: inShapeOrder(splatShape, constant) };
  if (constant.kind === "placed") return { name, dtype, shape, constant: inShapeOrder(placedShape, constant) };
  return { name, dtype, shape, constant: { kind: "inline", bytes: base64(constant.bytes) } };
}

function* tableLines(program: Program): Generator<string> {
  const { topology, precision, latencyCycles, latencyTerms, initiationIntervalCycles, lowerBound, modelName } = program;
  const system = {
    topology,
    precision,
    latencyCycles,
    latencyTerms,
    initiationIntervalCycles,
    lowerBound,
    modelName,
  };
  const line = (keyword: keyof typeof recordShapes, value: unknown): string =>
    `${keyword} ${JSON.stringify(inShapeOrder(recordShapes[keyword], value))}`;
  yield `target ${targetText(program.target)}`;
  yield line("system", system);
  for (const link of program.links) yield line("link", link);
  for (const stage of program.stages) yield line("stage", stage);
  for (const origin of program.debug.origins) yield line("origin", origin);
  for (const note of program.debug.notes) yield line("note", note);
  for (const tensor of program.graph.tensors) yield line("tensor", jsonTensor(tensor));
  for (const { op, inputs, output, attrs, origins } of program.graph.nodes) {
    const list = Object.entries(attrs).map(([name, value]) => [name, jsonAttr(value)]);
    yield line("node", { op, inputs, output, attrs: list, origins });
  }
  for (const symbol of program.symbols) yield line("symbol", symbol);
  for (const binding of program.bindings) yield line("binding", binding);
}

/** What people see behind an instruction: the buffer and the kernel. Control characters would break the line. */
function remarkOf(program: Program, { symbol, note }: Instruction): string {
  const words = [program.symbols[symbol]?.name, program.debug.notes[note]?.kernel];
  return words
    .map((word) => JSON.stringify(word ?? "").slice(1, -1))
    .filter((word) => word !== "")
    .join(" ");
}

function* imageLines(bytes: Uint8Array): Generator<string> {
  const pieceBytes = 512 * imageLineBytes;
  const lineLength = (imageLineBytes / 3) * 4;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const text = base64(bytes.subarray(at, at + pieceBytes));
    for (let start = 0; start < text.length; start += lineLength) {
      yield `    ${text.slice(start, start + lineLength)}`;
    }
  }
}

function* chipLines(program: Program, chip: ChipProgram): Generator<string> {
  for (const map of chip.laneMaps) yield `  map ${JSON.stringify([...map])}`;
  for (const image of chip.images) {
    yield `  image ${image.hemisphere}${image.slice} ${image.address} ${image.byteLength}`;
    yield* imageLines(image.read());
  }
  for (const { unit, instructions } of chip.queues) {
    yield `  queue ${unitName(unit)}`;
    for (const instruction of instructions) {
      yield `  ${printInstruction(unit, instruction, remarkOf(program, instruction))}`;
    }
  }
}

/** The whole program, one line after the other, without line ends. */
export function* programLines(program: Program): Generator<string> {
  yield `lpasm ${textVersion}`;
  yield* tableLines(program);
  for (const [index, chip] of program.chips.entries()) {
    yield `chip ${index}`;
    yield* chipLines(program, chip);
  }
  yield "end";
}

/** Which instructions to list; what is absent does not restrict. */
export interface ListingFilter {
  readonly chip?: number;
  /** A unit's name, or the first part of one: `MEM`, `MEM.W12`, `VXM`. */
  readonly unit?: string;
  /** Bursts that issue in [from, to). */
  readonly cycles?: { readonly from: number; readonly to: number };
}

export const unitMatches = (unit: Unit, wanted: string): boolean => {
  const name = unitName(unit);
  // A number is not cut short: MEM.W1 is not the first part of MEM.W12.
  const cuts = /\d$/.test(wanted) && /\d/.test(name.charAt(wanted.length));
  return name === wanted || (name.startsWith(wanted) && !cuts);
};

const issuesWithin = (instruction: Instruction, from: number, to: number): boolean => {
  const { cycle, count, period } = instruction;
  const first = cycle >= from ? cycle : cycle + Math.ceil((from - cycle) / period) * period;
  return first < to && first <= cycle + (count - 1) * period;
};

/** Instruction lines for viewing: of the chosen chips, units and cycles. */
export function* listingLines(program: Program, filter: ListingFilter): Generator<string> {
  for (const [index, chip] of program.chips.entries()) {
    if (filter.chip !== undefined && filter.chip !== index) continue;
    yield `chip ${index}`;
    for (const { unit, instructions } of chip.queues) {
      if (filter.unit !== undefined && !unitMatches(unit, filter.unit)) continue;
      for (const instruction of instructions) {
        const { cycles } = filter;
        if (cycles !== undefined && !issuesWithin(instruction, cycles.from, cycles.to)) continue;
        yield `  ${printInstruction(unit, instruction, remarkOf(program, instruction))}`;
      }
    }
  }
}
