// The vector unit: sixteen or so ALUs a chip, each with the results of the last cycles, from which other ALUs take their operands.

import { storedTypes } from "../../ir/dtype.ts";
import { type AluOperand, aluOps, type InstructionOf } from "../../ir/machine/isa.ts";
import { canonicaliseNan } from "../../ir/numeric/bits.ts";
import { float16Values } from "../../ir/numeric/float16.ts";
import { vxmColumn } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { applyAlu } from "./alu-lanes.ts";
import { joinHalves, joinWords, splitHalves, splitWords } from "./byte-planes.ts";
import { raise } from "./raise.ts";
import type { Alu, Chip, LaneVector, Machine, OperandBuffers, OperandPlace } from "./state.ts";
import { isGroup, putStream, takeStream } from "./streams.ts";

const makeVector = (lanes: number): LaneVector => {
  const bits = new Int32Array(lanes);
  return { bits, floats: new Float32Array(bits.buffer) };
};

const makePlace = (lanes: number): OperandPlace => {
  const own = makeVector(lanes);
  return { own, ...own, offset: 0, depth: 0 };
};

export function makeOperandBuffers(lanes: number): OperandBuffers {
  return {
    places: [makePlace(lanes), makePlace(lanes), makePlace(lanes)],
    scratch: makeVector(lanes),
    halves: float16Values(),
  };
}

export function makeAlu(target: Target): Alu {
  const { latency, operandHistory } = target.vxm;
  const span = operandHistory + Math.max(latency.simple, latency.multiply, latency.large) + 1;
  let ring = 1;
  while (ring <= span) ring *= 2;
  const bits = new Int32Array(ring * target.lanes);
  return {
    ring,
    readyAt: new Int32Array(ring).fill(-1),
    depths: new Uint8Array(ring),
    bits,
    floats: new Float32Array(bits.buffer),
    last: -1,
  };
}

/** ALU. */
export function issueAlu(
  machine: Machine,
  chip: Chip,
  index: number,
  ins: InstructionOf<"alu">,
  repetition: number,
): void {
  const alu = chip.alus[index];
  if (alu === undefined || !mayIssue(machine, index, ins)) {
    if (alu === undefined) raise(machine, "form", `there is no ALU ${index}`);
    return;
  }
  const { target, lanes, cycle } = machine;
  const row = aluOps[ins.operation];
  // Every `reset` repetitions the result is the first operand alone.
  const alone = ins.reset > 0 && repetition % ins.reset === 0;
  const operation = alone ? "mov" : ins.operation;
  const operands = alone ? 1 : row.operands;
  const [a, b, c] = machine.operands.places;
  takeOperand(machine, chip, alu, ins.a, a);
  let depth = a.depth + 1;
  if (operands > 1) {
    takeOperand(machine, chip, alu, ins.b, b);
    depth = Math.max(depth, b.depth + 1);
  }
  if (operands > 2) {
    takeOperand(machine, chip, alu, ins.c, c);
    depth = Math.max(depth, c.depth + 1);
  }
  if (machine.fault !== undefined) return;
  if (depth > target.vxm.chainDepth) {
    raise(machine, "alu", `number ${depth} of a chain of ALUs; at most ${target.vxm.chainDepth} are allowed`);
    return;
  }
  const ready = cycle + target.vxm.latency[row.latency];
  const slot = ready & (alu.ring - 1);
  if (alu.readyAt[slot] === ready) {
    raise(machine, "alu", `another result of this ALU is ready in cycle ${ready} too`);
    return;
  }
  const to = slot * lanes;
  applyAlu(operation, a, b, c, alu, to, lanes);
  alu.readyAt[slot] = ready;
  alu.depths[slot] = depth;
  alu.last = slot;
  emitResult(machine, chip, ins, alu, to, ready);
}

/** Is the operation one of this ALU, with the operands it needs? */
function mayIssue(machine: Machine, index: number, ins: InstructionOf<"alu">): boolean {
  const row = aluOps[ins.operation];
  const { output } = ins;
  const narrows = output.kind === "stream" && storedTypes[output.type].bytes < 4;
  if ((row.large || narrows) && !machine.target.vxm.largeAlus.includes(index)) {
    raise(
      machine,
      "alu",
      `ALU ${index} is not a large one: it has no ${row.large ? ins.operation : "narrowing output"}`,
    );
    return false;
  }
  const needs = [ins.a, ins.b, ins.c];
  for (let i = 0; i < 3; i += 1) {
    const given = needs[i]?.kind !== "none";
    if (given !== i < row.operands) {
      raise(
        machine,
        "form",
        `${ins.operation} takes ${row.operands} operands; number ${i + 1} is ${given ? "given" : "missing"}`,
      );
      return false;
    }
  }
  return true;
}

/** Finds the operand's lanes; faults if they are not there. */
function takeOperand(machine: Machine, chip: Chip, alu: Alu, operand: AluOperand, place: OperandPlace): void {
  place.depth = 0;
  place.offset = 0;
  place.bits = place.own.bits;
  place.floats = place.own.floats;
  switch (operand.kind) {
    case "none":
      return;
    case "immediate":
      place.bits.fill(operand.bits | 0);
      return;
    case "self":
      // Fed back inside the ALU: the next issue may take it, however long the result takes to leave.
      if (alu.last < 0) {
        raise(machine, "operand", "this ALU has no previous result");
        return;
      }
      place.bits = alu.bits;
      place.floats = alu.floats;
      place.offset = alu.last * machine.lanes;
      return;
    case "alu":
      takeResult(machine, chip, operand.alu, operand.delay, place);
      return;
    case "stream":
      takeStreamOperand(machine, chip, operand, place.own);
      return;
  }
}

function isDelay(machine: Machine, delay: number): boolean {
  const { operandHistory } = machine.target.vxm;
  if (delay >= 0 && delay <= operandHistory) return true;
  raise(machine, "form", `an operand may be taken 0..${operandHistory} cycles late, not ${delay}`);
  return false;
}

function takeResult(machine: Machine, chip: Chip, index: number, delay: number, place: OperandPlace): void {
  const alu = chip.alus[index];
  if (alu === undefined) raise(machine, "form", `there is no ALU ${index}`);
  if (alu === undefined || !isDelay(machine, delay)) return;
  const produced = machine.cycle - delay;
  const slot = produced & (alu.ring - 1);
  if (alu.readyAt[slot] !== produced || produced < 0) {
    raise(machine, "operand", `ALU ${index} has no result in cycle ${produced}`);
    return;
  }
  place.bits = alu.bits;
  place.floats = alu.floats;
  place.offset = slot * machine.lanes;
  place.depth = alu.depths[slot] as number;
}

/** Widens the bytes of a stream group to 32-bit lanes. */
function takeStreamOperand(
  machine: Machine,
  chip: Chip,
  operand: AluOperand & { kind: "stream" },
  out: LaneVector,
): void {
  const { stream, direction, type, delay } = operand;
  const { lanes } = machine;
  const { bytes, words } = chip.streams;
  const count = storedTypes[type].bytes;
  if (!isDelay(machine, delay) || !isGroup(machine, stream, count, count)) return;
  const cycle = machine.cycle - delay;
  const column = vxmColumn(machine.target);
  const p0 = takeStream(machine, chip, stream, direction, cycle, column);
  const p1 = count > 1 ? takeStream(machine, chip, stream + 1, direction, cycle, column) : 0;
  const p2 = count > 2 ? takeStream(machine, chip, stream + 2, direction, cycle, column) : 0;
  const p3 = count > 2 ? takeStream(machine, chip, stream + 3, direction, cycle, column) : 0;
  if (machine.fault !== undefined) return;
  switch (type) {
    case "f32":
    case "i32":
      joinWords(words, p0 >> 2, p1 >> 2, p2 >> 2, p3 >> 2, lanes, out.bits);
      return;
    case "f16":
      joinHalves(bytes, p0, p1, lanes, out.floats);
      canonicaliseNan(out.bits, 0, lanes);
      return;
    case "i8":
      for (let i = 0; i < lanes; i += 1) out.bits[i] = ((bytes[p0 + i] as number) << 24) >> 24;
      return;
    case "u8":
      for (let i = 0; i < lanes; i += 1) out.bits[i] = bytes[p0 + i] as number;
      return;
  }
}

/** Puts the result on its stream. */
function emitResult(
  machine: Machine,
  chip: Chip,
  ins: InstructionOf<"alu">,
  alu: Alu,
  from: number,
  ready: number,
): void {
  const { output } = ins;
  if (output.kind === "none") return;
  const { stream, direction, type } = output;
  const { lanes } = machine;
  const { bytes, words } = chip.streams;
  const count = storedTypes[type].bytes;
  if (!isGroup(machine, stream, count, count)) return;
  const column = vxmColumn(machine.target);
  const p0 = putStream(machine, chip, stream, direction, ready, column);
  const p1 = count > 1 ? putStream(machine, chip, stream + 1, direction, ready, column) : 0;
  const p2 = count > 2 ? putStream(machine, chip, stream + 2, direction, ready, column) : 0;
  const p3 = count > 2 ? putStream(machine, chip, stream + 3, direction, ready, column) : 0;
  if (machine.fault !== undefined) return;
  switch (type) {
    case "f32":
    case "i32":
      splitWords(alu.bits, from, lanes, words, p0 >> 2, p1 >> 2, p2 >> 2, p3 >> 2);
      return;
    case "f16":
      splitHalves(alu.bits, from, lanes, bytes, p0, p1);
      return;
    case "i8":
      for (let i = 0; i < lanes; i += 1) bytes[p0 + i] = Math.max(-128, Math.min(127, alu.bits[from + i] as number));
      return;
    case "u8":
      for (let i = 0; i < lanes; i += 1) bytes[p0 + i] = Math.max(0, Math.min(255, alu.bits[from + i] as number));
      return;
  }
}
