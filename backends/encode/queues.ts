// The queues of a chip as bytes. These bytes are the program text that counts against SRAM.

import { type Instruction, isa } from "../../ir/machine/isa.ts";
import type { Unit } from "../../ir/machine/program.ts";
import { type Queue, unitName } from "../../ir/machine/program.ts";
import {
  type ByteSink,
  byteSink,
  type Cursor,
  isBad,
  putByte,
  putBytes,
  putVarint,
  reject,
  takeByte,
  takeCount,
  takeVarint,
  written,
} from "./bytes.ts";
import { afterBurst, leastInstructionBytes, putInstruction, takeInstruction } from "./instruction.ts";
import { unitKinds } from "./opcodes.ts";

/** Kind in the low bits, hemisphere E in bit 7, then the number within it. */
function putUnit(sink: ByteSink, unit: Unit): void {
  const kind = unitKinds.indexOf(unit.kind);
  putByte(sink, "hemisphere" in unit && unit.hemisphere === "E" ? kind | 0x80 : kind);
  const number = unitNumber(unit);
  if (number !== undefined) putVarint(sink, number);
}

function unitNumber(unit: Unit): number | undefined {
  switch (unit.kind) {
    case "memRead":
    case "memWrite":
      return unit.slice;
    case "vxmAlu":
      return unit.alu;
    case "sxm":
      return unit.index;
    case "mxmLoad":
    case "mxmActivate":
    case "mxmAccumulate":
      return unit.plane;
    case "linkSend":
    case "linkReceive":
      return unit.port;
    case "control":
      return undefined;
  }
}

function takeUnit(cursor: Cursor): Unit {
  const first = takeByte(cursor);
  const kind = unitKinds[first & 0x7f];
  const hemisphere = first >= 0x80 ? "E" : "W";
  switch (kind) {
    case "memRead":
    case "memWrite":
      return { kind, hemisphere, slice: takeVarint(cursor) };
    case "sxm":
      return { kind, hemisphere, index: takeVarint(cursor) };
    default:
      if (kind === undefined || hemisphere === "E") reject(cursor, `there is no unit kind ${first}`);
  }
  switch (kind) {
    case "vxmAlu":
      return { kind, alu: takeVarint(cursor) };
    case "mxmLoad":
    case "mxmActivate":
    case "mxmAccumulate":
      return { kind, plane: takeVarint(cursor) };
    case "linkSend":
    case "linkReceive":
      return { kind, port: takeVarint(cursor) };
    default:
      return { kind: "control" };
  }
}

/** Unit, number of instructions, instructions. */
function putQueue(sink: ByteSink, queue: Queue): void {
  putUnit(sink, queue.unit);
  putVarint(sink, queue.instructions.length);
  let free = 0;
  for (const instruction of queue.instructions) {
    putInstruction(sink, instruction, free);
    free = afterBurst(instruction.cycle, instruction.count, instruction.period);
  }
}

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/**
 * Bytes of SRAM the encoded text of a chip takes: each queue is fetched on its own, `fetchBytes` (`target.instructionFetchBytes`) at a time.
 */
export function textBytesOf(queues: readonly Queue[], fetchBytes: number): number {
  let total = 0;
  for (const queue of queues) {
    const sink = byteSink();
    putQueue(sink, queue);
    total += roundUp(sink.length, fetchBytes);
  }
  return total;
}

/** All queues of a chip. */
export function putQueues(sink: ByteSink, queues: readonly Queue[]): void {
  putVarint(sink, queues.length);
  for (const queue of queues) {
    const bytes = byteSink();
    putQueue(bytes, queue);
    putBytes(sink, written(bytes));
  }
}

/** What stands beside each instruction in other sections: asked once for each, in order. */
export interface InstructionTags {
  readonly note: () => number;
  readonly symbol: () => number;
}

function takeQueue(cursor: Cursor, tags: InstructionTags): Queue {
  const unit = takeUnit(cursor);
  const instructions: Instruction[] = [];
  let free = 0;
  for (let left = takeCount(cursor, leastInstructionBytes); left > 0 && !isBad(cursor); left--) {
    const instruction = takeInstruction(cursor, free, tags.note(), tags.symbol());
    if (isa[instruction.op].unit !== unit.kind) {
      reject(cursor, `${instruction.op} is not an instruction of ${unitName(unit)}`);
    }
    instructions.push(instruction);
    free = afterBurst(instruction.cycle, instruction.count, instruction.period);
  }
  return { unit, instructions };
}

/** Queues of a chip and the SRAM their text takes. */
export function takeQueues(
  cursor: Cursor,
  fetchBytes: number,
  tags: InstructionTags,
): { readonly queues: readonly Queue[]; readonly textBytes: number } {
  const queues: Queue[] = [];
  let textBytes = 0;
  for (let left = takeCount(cursor, 2); left > 0 && !isBad(cursor); left--) {
    const start = cursor.at;
    queues.push(takeQueue(cursor, tags));
    textBytes += roundUp(cursor.at - start, fetchBytes);
  }
  return { queues, textBytes };
}
