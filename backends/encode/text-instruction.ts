// One instruction as a line of text and back: `1204: MEM.W12.R read address=17 stride=1 stream=E4 x128/1 ; @3 #5`. The fields and their order
// come from the ISA table; what stands behind the note is for people and not read.
import { didYouMean } from "../../ir/diag/suggest.ts";
import {
  type AluOperand,
  type AluOutput,
  aluOps,
  type FieldKind,
  type Instruction,
  isa,
  type Mnemonic,
  type StreamType,
} from "../../ir/machine/isa.ts";
import { type Unit, unitName } from "../../ir/machine/program.ts";
import { fieldOf, instructionFrom } from "./instruction.ts";
import { isSmallKind, mnemonics, smallValues } from "./opcodes.ts";

interface TextField {
  readonly name: string;
  readonly kind: FieldKind;
  /** Of a stream: the direction field that is printed with it. */
  readonly direction?: string;
}

/** `stream` goes with `direction`, `map` with `mapDirection`, `outStream` with `outDirection`. */
function directionOf(name: string, fields: Readonly<Record<string, FieldKind>>): string | undefined {
  const partner = name === "stream" ? "direction" : `${name.replace(/Stream$/, "")}Direction`;
  return fields[partner] === "direction" ? partner : undefined;
}

function textFieldsOf(fields: Readonly<Record<string, FieldKind>>): readonly TextField[] {
  const partners = new Set<string>();
  for (const [name, kind] of Object.entries(fields)) {
    const partner = kind === "stream" ? directionOf(name, fields) : undefined;
    if (partner !== undefined) partners.add(partner);
  }
  return Object.entries(fields).flatMap(([name, kind]) => {
    if (partners.has(name)) return [];
    const direction = kind === "stream" ? directionOf(name, fields) : undefined;
    return [direction === undefined ? { name, kind } : { name, kind, direction }];
  });
}

const textFields: ReadonlyMap<Mnemonic, readonly TextField[]> = new Map(
  mnemonics.map((name) => [name, textFieldsOf(isa[name].fields)]),
);

const hex8 = (bits: number): string => (bits >>> 0).toString(16).padStart(8, "0");

function printOperand(operand: AluOperand): string {
  switch (operand.kind) {
    case "none":
      return "-";
    case "self":
      return "self";
    case "immediate":
      return `#${hex8(operand.bits)}`;
    case "alu":
      return `A${operand.alu}@${operand.delay}`;
    case "stream":
      return `${operand.direction}${operand.stream}:${operand.type}@${operand.delay}`;
  }
}

const printOutput = (output: AluOutput): string =>
  output.kind === "none" ? "-" : `${output.direction}${output.stream}:${output.type}`;

function printField(kind: FieldKind, value: unknown): string {
  if (kind === "operand") return printOperand(value as AluOperand);
  if (kind === "output") return printOutput(value as AluOutput);
  if (kind === "flag") return value === true ? "1" : "0";
  return String(value);
}

const printTag = (tag: number): string => (tag < 0 ? "-" : String(tag));

/** The instruction as a line; `remark` is appended for people. */
export function printInstruction(unit: Unit, instruction: Instruction, remark: string): string {
  const fields = (textFields.get(instruction.op) ?? []).map(({ name, kind, direction }) => {
    const value = printField(kind, fieldOf(instruction, name));
    return ` ${name}=${direction === undefined ? "" : fieldOf(instruction, direction)}${value}`;
  });
  const { cycle, op, count, period, symbol, note } = instruction;
  const repeat = count > 1 ? ` x${count}/${period}` : "";
  const tags = `@${printTag(symbol)} #${printTag(note)}`;
  return `${cycle}: ${unitName(unit)} ${op}${fields.join("")}${repeat} ; ${tags}${remark === "" ? "" : ` ${remark}`}`;
}

/** A whole number as it is printed, or undefined. */
export function parseWhole(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

const unitForms: readonly (readonly [RegExp, (hemisphere: "W" | "E", number: number, tail: string) => Unit])[] = [
  [
    /^MEM\.([WE])(\d+)\.([RW])$/,
    (hemisphere, slice, tail) => ({ kind: tail === "R" ? "memRead" : "memWrite", hemisphere, slice }),
  ],
  [/^VXM\.(A)(\d+)$/, (_, alu) => ({ kind: "vxmAlu", alu })],
  [/^SXM\.([WE])(\d+)$/, (hemisphere, index) => ({ kind: "sxm", hemisphere, index })],
  [/^(MXM)(\d+)\.L$/, (_, plane) => ({ kind: "mxmLoad", plane })],
  [/^(MXM)(\d+)\.A$/, (_, plane) => ({ kind: "mxmActivate", plane })],
  [/^(MXM)(\d+)\.C$/, (_, plane) => ({ kind: "mxmAccumulate", plane })],
  [/^(LINK)(\d+)\.S$/, (_, port) => ({ kind: "linkSend", port })],
  [/^(LINK)(\d+)\.R$/, (_, port) => ({ kind: "linkReceive", port })],
];

/** The unit of a name as `unitName` prints it. */
export function parseUnit(name: string): Unit | undefined {
  if (name === "CTL") return { kind: "control" };
  for (const [form, make] of unitForms) {
    const match = form.exec(name);
    const number = parseWhole(match?.[2] ?? "");
    if (match === null || number === undefined) continue;
    const unit = make(match[1] === "E" ? "E" : "W", number, match[3] ?? "");
    return unitName(unit) === name ? unit : undefined;
  }
  return undefined;
}

const isStreamType = (text: string | undefined): text is StreamType =>
  text === "f32" || text === "i32" || text === "f16" || text === "i8" || text === "u8";

function parseOperand(text: string): AluOperand | undefined {
  if (text === "-") return { kind: "none" };
  if (text === "self") return { kind: "self" };
  if (/^#[0-9a-f]{8}$/.test(text)) return { kind: "immediate", bits: Number.parseInt(text.slice(1), 16) };
  const match = /^(?:A(\d+)|([WE])(\d+):(\w+))(?:@(\d+))?$/.exec(text);
  const number = parseWhole(match?.[1] ?? match?.[3] ?? "");
  const delay = parseWhole(match?.[5] ?? "0");
  if (match === null || number === undefined || delay === undefined) return undefined;
  if (match[1] !== undefined) return { kind: "alu", alu: number, delay };
  if (!isStreamType(match[4])) return undefined;
  return { kind: "stream", stream: number, direction: match[2] === "E" ? "E" : "W", type: match[4], delay };
}

function parseOutput(text: string): AluOutput | undefined {
  if (text === "-") return { kind: "none" };
  const operand = text.includes("@") ? undefined : parseOperand(text);
  if (operand?.kind !== "stream") return undefined;
  const { stream, direction, type } = operand;
  return { kind: "stream", stream, direction, type };
}

function parseField(kind: FieldKind, text: string): unknown {
  if (kind === "operand") return parseOperand(text);
  if (kind === "output") return parseOutput(text);
  if (kind === "aluOp") return Object.hasOwn(aluOps, text) ? text : undefined;
  if (isSmallKind(kind)) return smallValues[kind].find((choice) => printField(kind, choice) === text);
  if (kind !== "stride" || !text.startsWith("-")) return parseWhole(text);
  const magnitude = text === "-0" ? undefined : parseWhole(text.slice(1));
  return magnitude === undefined ? undefined : -magnitude;
}

const fieldForms: Readonly<Partial<Record<FieldKind, string>>> = {
  stride: "a whole number",
  flag: "0 or 1",
  bytes: "1, 2 or 4",
  mode: "int8, fp16 or fp32",
  format: "packed or planar",
  aluOp: "an ALU operation",
  operand: "an operand such as E4:f32@0, A5@1, #3f800000, self or -",
  output: "an output such as E4:f16 or -",
  direction: "W or E",
};

/** A line's mistake: `unknown` names get another code than malformed text. */
export interface LineProblem {
  readonly unknown: boolean;
  readonly message: string;
  readonly help?: string | undefined;
}

const malformed = (message: string): LineProblem => ({ unknown: false, message });

interface FieldList {
  readonly fields: Readonly<Record<string, unknown>>;
}

function parseFields(op: Mnemonic, tokens: readonly string[]): FieldList | LineProblem {
  const known = textFields.get(op) ?? [];
  const fields: Record<string, unknown> = {};
  for (const token of tokens) {
    const equals = token.indexOf("=");
    const name = token.slice(0, Math.max(0, equals));
    const field = known.find((candidate) => candidate.name === name);
    if (field === undefined) {
      const help = didYouMean(
        name,
        known.map((candidate) => candidate.name),
      );
      return { unknown: true, message: `${op} has no field '${(name === "" ? token : name).slice(0, 40)}'`, help };
    }
    if (Object.hasOwn(fields, name)) return malformed(`field ${name} stands twice`);
    let text = token.slice(equals + 1);
    if (field.direction !== undefined) {
      if (text[0] !== "W" && text[0] !== "E")
        return malformed(`${name} must be a stream such as E4, is '${text.slice(0, 40)}'`);
      fields[field.direction] = text[0];
      text = text.slice(1);
    }
    const value = parseField(field.kind, text);
    if (value === undefined) {
      const expected = fieldForms[field.kind] ?? "a whole number, not negative";
      return malformed(`${name} must be ${expected}, is '${text.slice(0, 40)}'`);
    }
    fields[name] = value;
  }
  const missing = known.find((field) => !Object.hasOwn(fields, field.name));
  return missing === undefined ? { fields } : malformed(`${op} lacks the field '${missing.name}'`);
}

export interface ParsedInstruction {
  readonly unit: Unit;
  readonly instruction: Instruction;
}

function parseRepeat(token: string | undefined): { readonly count: number; readonly period: number } | undefined {
  if (token === undefined) return { count: 1, period: 1 };
  const [count, period] = token.slice(1).split("/").map(parseWhole);
  return count === undefined || period === undefined || count < 2 || period < 1 ? undefined : { count, period };
}

function parseTag(text: string | undefined, mark: string): number | undefined {
  if (text?.[0] !== mark) return undefined;
  return text === `${mark}-` ? -1 : parseWhole(text.slice(1));
}

const longestLine = 4096;

/** The instruction of a line, or what is wrong with the line. */
export function parseInstruction(line: string): ParsedInstruction | LineProblem {
  if (line.length > longestLine) return malformed("the line is too long for an instruction");
  const [code = "", remark] = line.split(" ; ", 2);
  const [cycleText = "", unitText = "", op = "", ...rest] = code.trim().split(/ +/);
  const cycle = cycleText.endsWith(":") ? parseWhole(cycleText.slice(0, -1)) : undefined;
  if (cycle === undefined) return malformed(`expected a cycle such as '1204:', found '${cycleText.slice(0, 40)}'`);
  const unit = parseUnit(unitText);
  if (unit === undefined) return { unknown: true, message: `there is no unit '${unitText.slice(0, 40)}'` };
  const mnemonic = mnemonics.find((name) => name === op);
  if (mnemonic === undefined) {
    return { unknown: true, message: `there is no instruction '${op.slice(0, 40)}'`, help: didYouMean(op, mnemonics) };
  }
  if (isa[mnemonic].unit !== unit.kind) return malformed(`${mnemonic} is not an instruction of ${unitText}`);
  const repeat = /^x\d+\/\d+$/.test(rest.at(-1) ?? "") ? rest.pop() : undefined;
  const burst = parseRepeat(repeat);
  if (burst === undefined) return malformed(`'${repeat}' is not a repeat such as x128/1`);
  if (!Number.isSafeInteger(cycle + (burst.count - 1) * burst.period + 1)) {
    return malformed("the instruction issues outside the cycles that can be counted");
  }
  const [symbolText, noteText] = (remark ?? "").split(" ", 2);
  const [symbol, note] = [parseTag(symbolText, "@"), parseTag(noteText, "#")];
  if (symbol === undefined || note === undefined) return malformed("expected symbol and note such as '; @3 #5'");
  const parsed = parseFields(mnemonic, rest);
  if ("message" in parsed) return parsed;
  return { unit, instruction: instructionFrom(mnemonic, { cycle, ...burst, note, symbol }, parsed.fields) };
}
