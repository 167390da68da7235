// One instruction as bytes: opcode (high bit: repeated), NOP gap since the queue's last issue, repeat, packed small fields, the other fields by
// their kind. Debug note and symbol are not part of it: they are not executed.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { AluOp, AluOperand, AluOutput, Instruction, Mnemonic } from "../../ir/machine/isa.ts";
import {
  type ByteSink,
  type Cursor,
  putByte,
  putSigned,
  putU32,
  putVarint,
  reject,
  takeByte,
  takeSigned,
  takeU32,
  takeVarint,
} from "./bytes.ts";
import { aluOpcodes, aluOpOf, type FieldLayout, fieldLayouts, mnemonicOf, opcodes, smallValues } from "./opcodes.ts";

const repeated = 0x80;
const streamTypes = ["f32", "i32", "f16", "i8", "u8"] as const;
const operandKinds = ["none", "stream", "alu", "immediate", "self"] as const;

/** Fewest bytes of an instruction: opcode and gap. */
export const leastInstructionBytes = 2;

/** The value of a field the ISA table names; the table and the instruction types are the same rows. */
export function fieldOf(instruction: Instruction, name: string): unknown {
  return (instruction as unknown as Readonly<Record<string, unknown>>)[name];
}

/** An instruction from fields that were checked against its row. */
export function instructionFrom(
  op: Mnemonic,
  base: {
    readonly cycle: number;
    readonly count: number;
    readonly period: number;
    readonly note: number;
    readonly symbol: number;
  },
  fields: Readonly<Record<string, unknown>>,
): Instruction {
  return { op, ...base, ...fields } as unknown as Instruction;
}

/** Cycle after the last issue of a burst: a gap of 0 means the next instruction issues then. */
export const afterBurst = (cycle: number, count: number, period: number): number => cycle + (count - 1) * period + 1;

// Kind in bits 0-2, direction in bit 3, type in bits 4-6.
function streamTag(kind: number, direction: "W" | "E", type: (typeof streamTypes)[number]): number {
  return kind | (direction === "E" ? 8 : 0) | (streamTypes.indexOf(type) << 4);
}

function putOperand(sink: ByteSink, operand: AluOperand): void {
  switch (operand.kind) {
    case "none":
    case "self":
      putByte(sink, operandKinds.indexOf(operand.kind));
      return;
    case "stream":
      putByte(sink, streamTag(1, operand.direction, operand.type));
      putVarint(sink, operand.stream);
      putVarint(sink, operand.delay);
      return;
    case "alu":
      putByte(sink, 2);
      putVarint(sink, operand.alu);
      putVarint(sink, operand.delay);
      return;
    case "immediate":
      putByte(sink, 3);
      putU32(sink, operand.bits);
  }
}

function takeOperand(cursor: Cursor): AluOperand {
  const tag = takeByte(cursor);
  const kind = operandKinds[tag & 7];
  const type = streamTypes[tag >> 4];
  if (kind === undefined || type === undefined || (kind !== "stream" && tag > 7)) {
    reject(cursor, `there is no operand kind ${tag}`);
    return { kind: "none" };
  }
  switch (kind) {
    case "stream":
      return {
        kind,
        stream: takeVarint(cursor),
        direction: (tag & 8) === 0 ? "W" : "E",
        type,
        delay: takeVarint(cursor),
      };
    case "alu":
      return { kind, alu: takeVarint(cursor), delay: takeVarint(cursor) };
    case "immediate":
      return { kind, bits: takeU32(cursor) };
    default:
      return { kind };
  }
}

function putOutput(sink: ByteSink, output: AluOutput): void {
  if (output.kind === "none") {
    putByte(sink, 0);
    return;
  }
  putByte(sink, streamTag(1, output.direction, output.type));
  putVarint(sink, output.stream);
}

function takeOutput(cursor: Cursor): AluOutput {
  const tag = takeByte(cursor);
  if (tag === 0) return { kind: "none" };
  const type = streamTypes[tag >> 4];
  if ((tag & 7) !== 1 || type === undefined) {
    reject(cursor, `there is no output kind ${tag}`);
    return { kind: "none" };
  }
  return { kind: "stream", stream: takeVarint(cursor), direction: (tag & 8) === 0 ? "W" : "E", type };
}

function putWide(sink: ByteSink, kind: FieldLayout["wide"][number]["kind"], value: unknown): void {
  if (kind === "stride") putSigned(sink, value as number);
  else if (kind === "aluOp") putByte(sink, aluOpcodes[value as AluOp]);
  else if (kind === "operand") putOperand(sink, value as AluOperand);
  else if (kind === "output") putOutput(sink, value as AluOutput);
  else putVarint(sink, value as number);
}

function takeWide(cursor: Cursor, kind: FieldLayout["wide"][number]["kind"]): unknown {
  switch (kind) {
    case "stride":
      return takeSigned(cursor);
    case "aluOp": {
      const number = takeByte(cursor);
      const op = aluOpOf(number);
      if (op === undefined) reject(cursor, `there is no ALU operation ${number}`);
      return op ?? "mov";
    }
    case "operand":
      return takeOperand(cursor);
    case "output":
      return takeOutput(cursor);
    default:
      return takeVarint(cursor);
  }
}

function smallByte(instruction: Instruction, layout: FieldLayout): number {
  let packed = 0;
  for (const { name, kind, shift } of layout.small) {
    const value = fieldOf(instruction, name);
    const choices: readonly unknown[] = smallValues[kind];
    const index = choices.indexOf(value);
    invariant(index >= 0, `cannot encode ${String(value)} as ${name} of ${instruction.op}`);
    packed |= index << shift;
  }
  return packed;
}

/** Appends `instruction`, whose queue is free from `freeFrom` on. */
export function putInstruction(sink: ByteSink, instruction: Instruction, freeFrom: number): void {
  const { op, cycle, count, period } = instruction;
  invariant(count >= 1 && period >= 1, `a burst of ${count} every ${period} cycles`);
  const layout = fieldLayouts[op];
  putByte(sink, opcodes[op] | (count > 1 ? repeated : 0));
  putSigned(sink, cycle - freeFrom);
  if (count > 1) {
    putVarint(sink, count);
    putVarint(sink, period);
  }
  if (layout.smallBits > 0) putByte(sink, smallByte(instruction, layout));
  for (const { name, kind } of layout.wide) putWide(sink, kind, fieldOf(instruction, name));
}

function takeSmall(cursor: Cursor, layout: FieldLayout, fields: Record<string, unknown>): void {
  const packed = takeByte(cursor);
  if (packed >> layout.smallBits !== 0) reject(cursor, `unknown bits in field byte ${packed}`);
  for (const { name, kind, shift, bits } of layout.small) {
    const choices: readonly unknown[] = smallValues[kind];
    const index = (packed >> shift) & ((1 << bits) - 1);
    if (index >= choices.length) reject(cursor, `there is no ${kind} ${index}`);
    fields[name] = choices[index] ?? choices[0];
  }
}

function takeRepeat(cursor: Cursor): { readonly count: number; readonly period: number } {
  const count = takeVarint(cursor);
  const period = takeVarint(cursor);
  if (count < 2 || period < 1) reject(cursor, `a burst of ${count} every ${period} cycles`);
  return { count, period };
}

/** Reads one instruction; after a problem in the cursor the result means nothing. */
export function takeInstruction(cursor: Cursor, freeFrom: number, note: number, symbol: number): Instruction {
  const first = takeByte(cursor);
  const op = mnemonicOf(first & 0x7f);
  if (op === undefined) reject(cursor, `there is no opcode ${first & 0x7f}`);
  const mnemonic = op ?? "deskew";
  const layout = fieldLayouts[mnemonic];
  const cycle = freeFrom + takeSigned(cursor);
  const { count, period } = first >= repeated ? takeRepeat(cursor) : { count: 1, period: 1 };
  const last = afterBurst(cycle, count, period);
  if (cycle < 0 || last > Number.MAX_SAFE_INTEGER)
    reject(cursor, "an instruction issues outside the cycles that can be counted");
  const fields: Record<string, unknown> = {};
  if (layout.smallBits > 0) takeSmall(cursor, layout, fields);
  for (const { name, kind } of layout.wide) fields[name] = takeWide(cursor, kind);
  return instructionFrom(mnemonic, { cycle, count, period, note, symbol }, fields);
}
