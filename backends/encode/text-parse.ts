// A program from its text form. Every line that is wrong is reported with its number; nothing is guessed.
import { type DiagnosticCode, diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { isRecord, type ReadNotes, readShape, type Shape, type ValueOf } from "../../ir/json/shape.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import {
  type ImageSegment,
  type Program,
  type ProgramConstant,
  type Unit,
  unitName,
} from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { base64Bytes } from "./base64.ts";
import { parsedJson } from "./canonical-json.ts";
import { textBytesOf } from "./queues.ts";
import { structureProblems } from "./structure.ts";
import { targetFrom } from "./target-section.ts";
import { parseInstruction, parseUnit, parseWhole } from "./text-instruction.ts";
import { textVersion } from "./text-print.ts";
import { attrsFrom, inlineConstant, placedShape, recordShapes, splatShape } from "./text-shapes.ts";

/** Reading stops after this many problems. */
const mostProblems = 50;

type Keyword = keyof typeof recordShapes;
const isKeyword = (word: string): word is Keyword => Object.hasOwn(recordShapes, word);

interface OpenImage {
  readonly hemisphere: Hemisphere;
  readonly slice: number;
  readonly address: number;
  readonly byteLength: number;
  readonly line: number;
  readonly parts: Uint8Array[];
  filled: number;
}

interface OpenChip {
  readonly queues: { readonly unit: Unit; readonly instructions: Instruction[] }[];
  readonly byUnit: Map<string, Instruction[]>;
  readonly images: OpenImage[];
  readonly laneMaps: Int16Array[];
}

interface Reading {
  readonly problems: Diagnostic[];
  line: number;
  target: Target | undefined;
  system: ValueOf<(typeof recordShapes)["system"]> | undefined;
  readonly links: ValueOf<(typeof recordShapes)["link"]>[];
  readonly stages: ValueOf<(typeof recordShapes)["stage"]>[];
  readonly origins: ValueOf<(typeof recordShapes)["origin"]>[];
  readonly notes: ValueOf<(typeof recordShapes)["note"]>[];
  readonly tensors: Program["graph"]["tensors"][number][];
  readonly nodes: Program["graph"]["nodes"][number][];
  readonly symbols: ValueOf<(typeof recordShapes)["symbol"]>[];
  readonly bindings: ValueOf<(typeof recordShapes)["binding"]>[];
  readonly chips: OpenChip[];
  ended: boolean;
}

function report(reading: Reading, code: DiagnosticCode, message: string, help?: string): void {
  const location = { kind: "file", path: "", line: reading.line } as const;
  reading.problems.push(diagnostic(code, message, { location, help }));
}

/** A JSON value of a shape; undefined and reported if it is something else. */
function readAs<const S extends Shape>(
  reading: Reading,
  keyword: string,
  shape: S,
  json: unknown,
): ValueOf<S> | undefined {
  const notes: ReadNotes = { document: keyword, problems: [], sources: {} };
  const value = readShape(shape, json, "", undefined, notes);
  for (const { kind, message, help } of notes.problems) {
    report(reading, kind === "unknown-field" ? "LPU5011" : "LPU5010", message, help);
  }
  // `readShape` has just checked that it is a ValueOf<S>, a type too deep to name here.
  return notes.problems.length === 0 ? (value as never) : undefined;
}

function readConstant(reading: Reading, json: unknown): ProgramConstant | undefined {
  const kind = isRecord(json) ? json.kind : undefined;
  if (kind === "splat") return readAs(reading, "constant", splatShape, json);
  if (kind === "placed") return readAs(reading, "constant", placedShape, json);
  const inline = inlineConstant(json);
  if (inline === undefined) report(reading, "LPU5010", "a constant must be inline (base64), splat or placed");
  return inline;
}

function readTensor(reading: Reading, json: unknown): void {
  const tensor = readAs(reading, "tensor", recordShapes.tensor, json);
  if (tensor === undefined) return;
  const { name, dtype, shape } = tensor;
  if (tensor.constant === undefined) {
    reading.tensors.push({ name, dtype, shape });
    return;
  }
  const constant = readConstant(reading, tensor.constant);
  if (constant !== undefined) reading.tensors.push({ name, dtype, shape, constant });
}

function readNode(reading: Reading, json: unknown): void {
  const node = readAs(reading, "node", recordShapes.node, json);
  if (node === undefined) return;
  const attrs = attrsFrom(node.attrs);
  if (attrs === undefined) report(reading, "LPU5010", "node: attrs must be a list of [name, value], names once each");
  else reading.nodes.push({ ...node, attrs });
}

function readSystem(reading: Reading, json: unknown): void {
  if (reading.system !== undefined) report(reading, "LPU5012", "the system line stands twice");
  reading.system = readAs(reading, "system", recordShapes.system, json);
}

function readTarget(reading: Reading, text: string): void {
  if (reading.target !== undefined) report(reading, "LPU5012", "the target line stands twice");
  const target = targetFrom(text);
  if (target.ok) reading.target = target.value;
  else for (const { message, help } of target.diagnostics) report(reading, "LPU5010", message, help);
}

function add<T>(list: T[], item: T | undefined): void {
  if (item !== undefined) list.push(item);
}

function readRecord(reading: Reading, keyword: Keyword, text: string): void {
  const json = parsedJson(text);
  if (json === undefined) {
    report(reading, "LPU5010", `'${keyword}' must be followed by a JSON object`);
    return;
  }
  switch (keyword) {
    case "system":
      readSystem(reading, json);
      return;
    case "link":
      add(reading.links, readAs(reading, keyword, recordShapes.link, json));
      return;
    case "stage":
      add(reading.stages, readAs(reading, keyword, recordShapes.stage, json));
      return;
    case "origin":
      add(reading.origins, readAs(reading, keyword, recordShapes.origin, json));
      return;
    case "note":
      add(reading.notes, readAs(reading, keyword, recordShapes.note, json));
      return;
    case "tensor":
      readTensor(reading, json);
      return;
    case "node":
      readNode(reading, json);
      return;
    case "symbol":
      add(reading.symbols, readAs(reading, keyword, recordShapes.symbol, json));
      return;
    case "binding":
      add(reading.bindings, readAs(reading, keyword, recordShapes.binding, json));
  }
}

function readChip(reading: Reading, text: string): void {
  if (parseWhole(text) !== reading.chips.length) {
    report(reading, "LPU5010", `expected 'chip ${reading.chips.length}', found 'chip ${text.slice(0, 40)}'`);
  }
  reading.chips.push({ queues: [], byUnit: new Map(), images: [], laneMaps: [] });
}

function queueOf(chip: OpenChip, unit: Unit): Instruction[] {
  const name = unitName(unit);
  const known = chip.byUnit.get(name);
  if (known !== undefined) return known;
  const instructions: Instruction[] = [];
  chip.queues.push({ unit, instructions });
  chip.byUnit.set(name, instructions);
  return instructions;
}

function readQueue(reading: Reading, chip: OpenChip, text: string): void {
  const unit = parseUnit(text);
  if (unit === undefined) report(reading, "LPU5011", `there is no unit '${text.slice(0, 40)}'`);
  else queueOf(chip, unit);
}

function readInstruction(reading: Reading, chip: OpenChip, line: string): void {
  const parsed = parseInstruction(line);
  if ("message" in parsed) report(reading, parsed.unknown ? "LPU5011" : "LPU5010", parsed.message, parsed.help);
  else queueOf(chip, parsed.unit).push(parsed.instruction);
}

function readMap(reading: Reading, chip: OpenChip, text: string): void {
  const json = parsedJson(text);
  const lanes: unknown[] = Array.isArray(json) ? json : [Number.NaN];
  const isLane = (lane: unknown): lane is number =>
    Number.isInteger(lane) && Number(lane) >= -1 && Number(lane) <= 32_767;
  if (lanes.every(isLane)) chip.laneMaps.push(Int16Array.from(lanes));
  else report(reading, "LPU5010", "a lane map must be a list of lanes, -1 for zero");
}

function readImage(reading: Reading, chip: OpenChip, text: string): void {
  const match = /^([WE])(\d+) (\d+) (\d+)$/.exec(text);
  const numbers = [match?.[2], match?.[3], match?.[4]].map((part) => parseWhole(part ?? ""));
  const [slice, address, byteLength] = numbers;
  if (slice === undefined || address === undefined || byteLength === undefined) {
    report(reading, "LPU5010", "expected an image such as 'image W3 0 320': slice, word address, bytes");
    return;
  }
  const hemisphere = match?.[1] === "E" ? "E" : "W";
  chip.images.push({ hemisphere, slice, address, byteLength, line: reading.line, parts: [], filled: 0 });
}

function readImageData(reading: Reading, image: OpenImage, text: string): void {
  const bytes = base64Bytes(text);
  if (bytes === undefined || bytes.length === 0) {
    report(reading, "LPU5010", "image contents must be base64");
    return;
  }
  image.parts.push(bytes);
  image.filled += bytes.length;
}

function readChipLine(reading: Reading, chip: OpenChip, line: string): void {
  const text = line.trim();
  const image = chip.images.at(-1);
  if (image !== undefined && image.filled < image.byteLength) {
    readImageData(reading, image, text);
    return;
  }
  const space = text.indexOf(" ");
  const rest = text.slice(space + 1);
  const word = text.slice(0, Math.max(0, space));
  if (word === "map") readMap(reading, chip, rest);
  else if (word === "image") readImage(reading, chip, rest);
  else if (word === "queue") readQueue(reading, chip, rest);
  else readInstruction(reading, chip, text);
}

const topWords = ["target", "chip", "end", ...Object.keys(recordShapes)];

function readTopLine(reading: Reading, line: string): void {
  const [word = ""] = line.split(" ", 1);
  const rest = line.slice(word.length + 1);
  if (word === "target") readTarget(reading, rest);
  else if (word === "chip") readChip(reading, rest);
  else if (word === "end") reading.ended = true;
  else if (isKeyword(word)) readRecord(reading, word, rest);
  else report(reading, "LPU5011", `there is no line '${word.slice(0, 40)}'`, didYouMean(word.slice(0, 40), topWords));
}

function readLine(reading: Reading, line: string): void {
  if (reading.ended) {
    report(reading, "LPU5010", "there is text after 'end'");
    return;
  }
  const chip = reading.chips.at(-1);
  if (!line.startsWith(" ")) readTopLine(reading, line);
  else if (chip === undefined) report(reading, "LPU5010", "an indented line belongs to a chip, and none has begun");
  else readChipLine(reading, chip, line);
}

function closedImage(reading: Reading, image: OpenImage): ImageSegment {
  const { hemisphere, slice, address, byteLength, parts } = image;
  if (image.filled !== byteLength) {
    reading.line = image.line;
    report(reading, "LPU5010", `the image has ${image.filled} bytes, announced are ${byteLength}`);
  }
  const read = (): Uint8Array => {
    const bytes = new Uint8Array(image.filled);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  };
  return { hemisphere, slice, address, byteLength, read };
}

function closedProgram(reading: Reading): Result<Program> {
  const { target, system, problems } = reading;
  const images = reading.chips.map((chip) => chip.images.map((image) => closedImage(reading, image)));
  if (problems.length === 0) {
    if (target === undefined) report(reading, "LPU5012", "the target line is missing");
    if (system === undefined) report(reading, "LPU5012", "the system line is missing");
    if (!reading.ended) report(reading, "LPU5012", "the line 'end' is missing: the text was cut off");
  }
  if (target === undefined || system === undefined || problems.length > 0) return { ok: false, diagnostics: problems };
  const program: Program = {
    ...system,
    target,
    links: reading.links,
    stages: reading.stages,
    symbols: reading.symbols,
    bindings: reading.bindings,
    graph: { tensors: reading.tensors, nodes: reading.nodes },
    debug: { origins: reading.origins, notes: reading.notes },
    chips: reading.chips.map(({ queues, laneMaps }, index) => ({
      queues,
      laneMaps,
      images: images[index] ?? [],
      textBytes: textBytesOf(queues, target.instructionFetchBytes),
    })),
  };
  const wrong = structureProblems(program);
  return wrong.length === 0 ? ok(program) : fail(...wrong.map((message) => diagnostic("LPU5005", message)));
}

/** The program of lines of text (without line ends), or everything that is wrong, with line numbers. Lines that begin with `;` are remarks. */
export function parseProgramLines(lines: Iterable<string>): Result<Program> {
  const reading: Reading = {
    problems: [],
    line: 0,
    target: undefined,
    system: undefined,
    links: [],
    stages: [],
    origins: [],
    notes: [],
    tensors: [],
    nodes: [],
    symbols: [],
    bindings: [],
    chips: [],
    ended: false,
  };
  let begun = false;
  for (const raw of lines) {
    reading.line++;
    const line = raw.trimEnd();
    if (line === "" || line.startsWith(";")) continue;
    if (!begun && line !== `lpasm ${textVersion}`) {
      report(reading, "LPU5010", `expected 'lpasm ${textVersion}', found '${line.slice(0, 40)}'`);
      break;
    }
    if (begun) readLine(reading, line);
    begun = true;
    if (reading.problems.length >= mostProblems) break;
  }
  return closedProgram(reading);
}

export const parseProgramText = (text: string): Result<Program> => parseProgramLines(text.split(/\r?\n/));
