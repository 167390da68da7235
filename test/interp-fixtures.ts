// Vectors in memory, and short programs around one instruction, for tests of the interpreter.
import { expect } from "vitest";
import { describeFault } from "../backends/interp/fault.ts";
import { type InterpretResult, interpret } from "../backends/interp/interpret.ts";
import type { StoredType } from "../ir/dtype.ts";
import type { AluOperand, Instruction } from "../ir/machine/isa.ts";
import type { Binding, ImageSegment, Placement, Program } from "../ir/machine/program.ts";
import { type Direction, type Hemisphere, memColumn } from "../ir/target/geometry.ts";
import type { Target } from "../ir/target/target.ts";
import { at, image, memRead, memWrite, type Placed } from "./interp-builder.ts";

let state = 1;
/** Same numbers on every run. */
export function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return (state >>> 0) / 4294967296;
}

export function randomBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** Byte plane `byte` of 32-bit vectors. */
function plane(words: Int32Array, byte: number): Uint8Array {
  return Uint8Array.from(words, (word) => (word >>> (8 * byte)) & 0xff);
}

export const sliceList = (
  hemisphere: Hemisphere,
  first: number,
  count: number,
): { hemisphere: Hemisphere; slice: number }[] =>
  Array.from({ length: count }, (_, i) => ({ hemisphere, slice: first + i }));

/** 32-bit vectors over four slices. */
export function wordImages(
  hemisphere: Hemisphere,
  slice: number,
  address: number,
  words: Int32Array,
  bytes = 4,
): ImageSegment[] {
  return Array.from({ length: bytes }, (_, byte) => image(hemisphere, slice + byte, address, plane(words, byte)));
}

/** Reads of `bytes` neighbouring slices whose values pass `column` on streams `stream`.. in cycle `arrival` (and the following). */
export function readsTo(
  target: Target,
  column: number,
  arrival: number,
  source: {
    hemisphere: Hemisphere;
    slice: number;
    bytes: number;
    stream: number;
    direction: Direction;
    address?: number;
  },
  burst: Partial<Instruction> = {},
): Placed[] {
  return Array.from({ length: source.bytes }, (_, byte) => {
    const slice = source.slice + byte;
    const distance = Math.abs(column - memColumn(target, source.hemisphere, slice));
    return at(memRead(source.hemisphere, slice), "read", {
      ...(burst as object),
      cycle: arrival - distance - target.mem.latency.read,
      address: source.address ?? 0,
      stride: 1,
      stream: source.stream + byte,
      direction: source.direction,
    });
  });
}

/** Writes into `bytes` neighbouring slices of what passes `column` on streams `stream`.. in cycle `departure` (and the following). */
export function writesFrom(
  target: Target,
  column: number,
  departure: number,
  sink: {
    hemisphere: Hemisphere;
    slice: number;
    bytes: number;
    stream: number;
    direction: Direction;
    address?: number;
  },
  burst: Partial<Instruction> = {},
): Placed[] {
  return Array.from({ length: sink.bytes }, (_, byte) => {
    const slice = sink.slice + byte;
    const distance = Math.abs(column - memColumn(target, sink.hemisphere, slice));
    return at(memWrite(sink.hemisphere, slice), "write", {
      ...(burst as object),
      cycle: departure + distance,
      address: sink.address ?? 0,
      stride: 1,
      stream: sink.stream + byte,
      direction: sink.direction,
    });
  });
}

/** Cycle in which the last of these writes is complete everywhere. */
export function latencyOf(target: Target, code: readonly Placed[]): number {
  let last = 0;
  for (const { instruction: ins } of code) {
    if (ins.op !== "write" && ins.op !== "scatter") continue;
    last = Math.max(
      last,
      ins.cycle + (ins.count - 1) * ins.period + target.mem.latency[ins.op] + target.verticalRipple,
    );
  }
  return last;
}

/** `vectors` vectors, lanes innermost, planar. */
export function lanePlacement(
  target: Target,
  vectors: number,
  type: StoredType,
  slices: Placement["slices"],
  address = 0,
  chip = 0,
): Placement {
  return {
    chip,
    origin: [0, 0],
    extent: [vectors, target.lanes],
    digits: [[{ size: vectors, vector: 1, lane: 0 }], [{ size: target.lanes, vector: 0, lane: 1 }]],
    type,
    pack: 0,
    slices,
    address,
  };
}

export function outputBinding(target: Target, vectors: number, dtype: Binding["dtype"], placement: Placement): Binding {
  return { name: "out", kind: "output", dtype, shape: [vectors, target.lanes], tensor: 0, placements: [placement] };
}

/** The bytes of output "out"; a fault fails the test. */
export function outputOf(result: InterpretResult): Uint8Array {
  if (!result.ok) throw new Error(describeFault(result.fault));
  const out = result.outputs.get("out");
  if (out === undefined) throw new Error("no output");
  return out.bytes;
}

export const outputWords = (result: InterpretResult): Int32Array => {
  const bytes = outputOf(result);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
};

/** All that can be seen of a run, with what it would keep. */
export const comparable = (result: InterpretResult): object =>
  result.ok ? { ...result, keep: result.keep() } : result;

/** Runs it in both interpreters, which must agree on everything: bytes, cycles, counts, faults. */
export function runProgram(source: Program): InterpretResult {
  const result = interpret(source, new Map());
  expect(comparable(interpret(source, new Map(), { isFast: true }))).toEqual(comparable(result));
  return result;
}

/** "kind: unit cycle" of the fault, or "ok". */
export function faultOf(result: InterpretResult): string {
  return result.ok ? "ok" : `${result.fault.kind}: ${result.fault.unit} ${result.fault.cycle}`;
}

export const stream = (index: number, type: StoredType = "f32", delay = 0, direction: Direction = "E"): AluOperand => ({
  kind: "stream",
  stream: index,
  direction,
  type,
  delay,
});
export const result = (index: number, delay = 0): AluOperand => ({ kind: "alu", alu: index, delay });
export const immediate = (bits: number): AluOperand => ({ kind: "immediate", bits });
export const self: AluOperand = { kind: "self" };
