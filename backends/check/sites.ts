// Where instructions stand and which stream registers they take from and put to. Follows from the ISA, the target and the geometry alone.
import { type AluOp, type AluOperand, aluOps, type Instruction, type StreamType } from "../../ir/machine/isa.ts";
import type { Program, Unit } from "../../ir/machine/program.ts";
import {
  type Direction,
  type Hemisphere,
  linkColumn,
  memColumn,
  mxmColumn,
  planeHemisphere,
  sxmColumn,
  vxmColumn,
} from "../../ir/target/geometry.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";
import type { Burst } from "./bursts.ts";
import type { Site } from "./report.ts";

/** `streams` neighbouring streams at one column, `delay` cycles after (before, if negative) issue. */
export interface StreamPort {
  readonly stream: number;
  readonly streams: number;
  readonly direction: Direction;
  readonly column: number;
  readonly delay: number;
}

export const modeBytes = { int8: 1, fp16: 2, fp32: 4 } as const satisfies Record<MxmMode, number>;
export const streamBytes = { f32: 4, i32: 4, f16: 2, i8: 1, u8: 1 } as const satisfies Record<StreamType, number>;

export function sitesOf(program: Program): readonly Site[] {
  const sites: Site[] = [];
  program.chips.forEach((chip, chipIndex) => {
    for (const queue of chip.queues) {
      queue.instructions.forEach((ins, index) => {
        sites.push({ id: sites.length, chip: chipIndex, unit: queue.unit, index, ins });
      });
    }
  });
  return sites;
}

export function burstOf(site: Site): Burst & { readonly site: Site } {
  return { start: site.ins.cycle, count: site.ins.count, period: site.ins.period, site };
}

export function lastIssue(ins: Instruction): number {
  return ins.cycle + (ins.count - 1) * ins.period;
}

const away = (hemisphere: Hemisphere): Direction => (hemisphere === "W" ? "E" : "W");

/** Cycles from issue to result of an ALU operation. */
export function aluLatency(target: Target, operation: AluOp): number {
  return target.vxm.latency[aluOps[operation].latency];
}

/** What an instruction puts on streams, undefined if nothing. The unit must be in range. */
export function putOf(target: Target, unit: Unit, ins: Instruction): StreamPort | undefined {
  switch (ins.op) {
    case "read":
    case "gather": {
      if (unit.kind !== "memRead") return undefined;
      const column = memColumn(target, unit.hemisphere, unit.slice);
      return { stream: ins.stream, streams: 1, direction: ins.direction, column, delay: target.mem.latency[ins.op] };
    }
    case "acc": {
      if (unit.kind !== "mxmAccumulate" || !ins.emit) return undefined;
      const side = planeHemisphere(target, unit.plane);
      const column = mxmColumn(target, side);
      return { stream: ins.stream, streams: 4, direction: away(side), column, delay: target.mxm.latency.acc };
    }
    case "alu": {
      if (ins.output.kind === "none") return undefined;
      const { stream, direction, type } = ins.output;
      const delay = aluLatency(target, ins.operation);
      return { stream, streams: streamBytes[type], direction, column: vxmColumn(target), delay };
    }
    case "permute": {
      if (unit.kind !== "sxm") return undefined;
      const column = sxmColumn(target, unit.hemisphere);
      const delay = target.sxm.latency.permute;
      return { stream: ins.outStream, streams: ins.bytes, direction: ins.outDirection, column, delay };
    }
    case "receive": {
      if (unit.kind !== "linkReceive") return undefined;
      const direction = unit.port % 2 === 0 ? "E" : "W";
      return { stream: ins.stream, streams: 1, direction, column: linkColumn(target, unit.port), delay: 0 };
    }
    case "write":
    case "scatter":
    case "lw":
    case "iw":
    case "abc":
    case "send":
    case "deskew":
      return undefined;
  }
}

function operandPort(target: Target, operand: AluOperand): StreamPort | undefined {
  if (operand.kind !== "stream") return undefined;
  const { stream, direction, type, delay } = operand;
  return { stream, streams: streamBytes[type], direction, column: vxmColumn(target), delay: -delay };
}

function memPorts(target: Target, unit: Unit, ins: Instruction): readonly StreamPort[] {
  if (unit.kind !== "memRead" && unit.kind !== "memWrite") return [];
  const column = memColumn(target, unit.hemisphere, unit.slice);
  const ports: StreamPort[] = [];
  if (ins.op === "write" || ins.op === "scatter") {
    ports.push({ stream: ins.stream, streams: 1, direction: ins.direction, column, delay: 0 });
  }
  if (ins.op === "gather" || ins.op === "scatter") {
    ports.push({ stream: ins.map, streams: 4, direction: ins.mapDirection, column, delay: 0 });
  }
  return ports;
}

/** What an instruction takes from streams: data first, then addresses; ALU operands in the order a, b, c. The unit must be in range. */
export function takesOf(target: Target, unit: Unit, ins: Instruction): readonly StreamPort[] {
  switch (ins.op) {
    case "write":
    case "gather":
    case "scatter":
      return memPorts(target, unit, ins);
    case "lw":
    case "abc": {
      if (unit.kind !== "mxmLoad" && unit.kind !== "mxmActivate") return [];
      const side = planeHemisphere(target, unit.plane);
      const streams = ins.op === "lw" ? ins.streams : modeBytes[ins.mode];
      return [{ stream: ins.stream, streams, direction: side, column: mxmColumn(target, side), delay: 0 }];
    }
    case "alu":
      return [ins.a, ins.b, ins.c].flatMap((operand) => operandPort(target, operand) ?? []);
    case "permute": {
      if (unit.kind !== "sxm") return [];
      const column = sxmColumn(target, unit.hemisphere);
      return [{ stream: ins.stream, streams: ins.bytes, direction: ins.direction, column, delay: 0 }];
    }
    case "send": {
      if (unit.kind !== "linkSend") return [];
      const direction = unit.port % 2 === 0 ? "W" : "E";
      return [{ stream: ins.stream, streams: 1, direction, column: linkColumn(target, unit.port), delay: 0 }];
    }
    case "read":
    case "iw":
    case "acc":
    case "receive":
    case "deskew":
      return [];
  }
}

/** Planes whose registers an instruction of `mode` on `plane` uses: one, or an even plane and the next. */
export function planesOf(target: Target, plane: number, mode: MxmMode): readonly number[] {
  return target.mxm.modes[mode]?.planesPerTile === 2 ? [plane, plane + 1] : [plane];
}
