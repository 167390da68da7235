// What the instructions of one chip need besides memory words and matrix registers: issue slots, link slots, bank ports, results of ALUs, and the
// registers of streams, which a value takes on its diagonal.
import { aluOps, type Instruction, type StreamType } from "../../ir/machine/isa.ts";
import { type Unit, unitName } from "../../ir/machine/program.ts";
import {
  type Direction,
  diagonal,
  linkColumn,
  linkVectorPeriod,
  memColumn,
  mxmColumn,
  planeHemisphere,
  sxmColumn,
  vxmColumn,
} from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { addIssues, addUse, type Collector } from "./uses.ts";

/** What the instruction puts on streams: the first of them, how many, from which column and how long after its issue. */
interface Put {
  readonly stream: number;
  readonly streams: number;
  readonly direction: Direction;
  readonly column: number;
  readonly delay: number;
}

const bytesOf = { f32: 4, i32: 4, f16: 2, i8: 1, u8: 1 } as const satisfies Record<StreamType, number>;

function putBy(target: Target, unit: Unit, ins: Instruction): Put | undefined {
  if ((ins.op === "read" || ins.op === "gather") && unit.kind === "memRead") {
    const column = memColumn(target, unit.hemisphere, unit.slice);
    return { stream: ins.stream, streams: 1, direction: ins.direction, column, delay: target.mem.latency[ins.op] };
  }
  if (ins.op === "acc" && unit.kind === "mxmAccumulate" && ins.emit) {
    const side = planeHemisphere(target, unit.plane);
    const direction: Direction = side === "W" ? "E" : "W";
    const delay = target.mxm.latency.acc;
    return { stream: ins.stream, streams: 4, direction, column: mxmColumn(target, side), delay };
  }
  if (ins.op === "alu" && ins.output.kind === "stream") {
    const { stream, direction, type } = ins.output;
    const delay = target.vxm.latency[aluOps[ins.operation].latency];
    return { stream, streams: bytesOf[type], direction, column: vxmColumn(target), delay };
  }
  if (ins.op === "permute" && unit.kind === "sxm") {
    const column = sxmColumn(target, unit.hemisphere);
    const { outStream: stream, bytes: streams, outDirection: direction } = ins;
    return { stream, streams, direction, column, delay: target.sxm.latency.permute };
  }
  if (ins.op === "receive" && unit.kind === "linkReceive") {
    const direction: Direction = unit.port % 2 === 0 ? "E" : "W";
    return { stream: ins.stream, streams: 1, direction, column: linkColumn(target, unit.port), delay: 0 };
  }
  return undefined;
}

/** Units other than its own whose slot an instruction takes: a tile may stand on two planes. */
function partnersOf(target: Target, unit: Unit, ins: Instruction): readonly Unit[] {
  const isDouble = "mode" in ins && "plane" in unit && target.mxm.modes[ins.mode]?.planesPerTile === 2;
  return isDouble ? [{ ...unit, plane: unit.plane + 1 }] : [];
}

function slotCycles(target: Target, ins: Instruction): number {
  if (ins.op === "abc" || ins.op === "acc") return target.mxm.modes[ins.mode]?.vectorPeriod ?? 1;
  return ins.op === "send" ? linkVectorPeriod(target) : 1;
}

/** Banks of the words that an instruction touches; issue by issue where a burst goes from one bank into the other. */
function addBanks(collector: Collector, target: Target, chip: number, unit: Unit, ins: Instruction): void {
  if (unit.kind !== "memRead" && unit.kind !== "memWrite") return;
  const port = (word: number): string =>
    `${chip} bank ${unit.hemisphere}${unit.slice} ${word < target.mem.wordsPerBank ? 0 : 1}`;
  const burst = { start: ins.cycle, count: ins.count, period: ins.period };
  if (ins.op === "gather" || ins.op === "scatter") {
    for (const name of new Set([port(ins.address), port(ins.address + (ins.limit - 1) * ins.scale)]))
      addIssues(collector, name, burst);
  }
  if (ins.op !== "read" && ins.op !== "write") return;
  if (port(ins.address) === port(ins.address + (ins.count - 1) * ins.stride))
    addIssues(collector, port(ins.address), burst);
  else
    for (let i = 0; i < ins.count; i++)
      addUse(collector, port(ins.address + i * ins.stride), ins.cycle + i * ins.period, 1);
}

export function addUnitUses(
  collector: Collector,
  target: Target,
  chip: number,
  unit: Unit,
  instructions: readonly Instruction[],
): void {
  for (const ins of instructions) {
    if (ins.op === "deskew") continue;
    const burst = { start: ins.cycle, count: ins.count, period: ins.period };
    const [width, span] = [slotCycles(target, ins), (ins.count - 1) * ins.period];
    // A queue is at one instruction at a time, from its first issue to its last; the slots of a partner are taken issue by issue.
    addUse(collector, `${chip} ${unitName(unit)}`, ins.cycle, span + width);
    for (const partner of partnersOf(target, unit, ins))
      addIssues(collector, `${chip} ${unitName(partner)}`, burst, width);
    addBanks(collector, target, chip, unit, ins);
    if (ins.op === "alu") {
      const start = ins.cycle + target.vxm.latency[aluOps[ins.operation].latency];
      addIssues(collector, `${chip} result of ${unitName(unit)}`, { ...burst, start });
    }
    const put = putBy(target, unit, ins);
    if (put === undefined) continue;
    const start = diagonal(put.direction, ins.cycle + put.delay, put.column);
    for (let s = put.stream; s < put.stream + put.streams; s++)
      addIssues(collector, `${chip} stream ${put.direction}${s}`, { ...burst, start });
  }
}
