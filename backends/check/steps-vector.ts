// VXM, SXM and link instructions in the data-flow proof.
import type { AluOperand } from "../../ir/machine/isa.ts";
import { vxmColumn } from "../../ir/target/geometry.ts";
import { complain, type Execution, type Step, takeLanes, takePort, unknownBytes } from "./execution.ts";
import {
  type ByteVector,
  bytesOf,
  byteTags,
  concreteLanes,
  type Lanes,
  laneKinds,
  lanesOf,
  mixedBytes,
  splittingOf,
  tagAt,
} from "./lanes.ts";
import { applyOperation } from "./meaning.ts";
import { lastResult, putResult, putSplitting, putStream, takeResult } from "./registers.ts";
import type { Site } from "./report.ts";
import { aluLatency, putOf, streamBytes, takesOf } from "./sites.ts";
import { newBytes, newInts } from "./vectors.ts";

type Fetch = (cycle: number) => Lanes;

function unknownLanes(run: Execution): Lanes {
  return lanesOf(unknownBytes(run).x, laneKinds.unknown);
}

function prepareOperand(run: Execution, site: Site, operand: AluOperand): Fetch {
  const { target } = run.program;
  const { chip, unit } = site;
  const alu = unit.kind === "vxmAlu" ? unit.alu : 0;
  switch (operand.kind) {
    case "none":
    case "immediate": {
      const value = concreteLanes(target.lanes, operand.kind === "none" ? 0 : operand.bits | 0);
      return () => value;
    }
    case "stream": {
      const { stream, direction, type, delay } = operand;
      const port = { stream, streams: streamBytes[type], direction, column: vxmColumn(target), delay: -delay };
      return (cycle) => takeLanes(run, site, port, type, cycle);
    }
    case "alu":
      return (cycle) => {
        const value = takeResult(run.registers, chip, operand.alu, cycle - operand.delay);
        if (value !== undefined) return value;
        complain(
          run,
          "operand",
          site,
          cycle,
          `takes a result of ALU ${operand.alu} that is not produced at cycle ${cycle - operand.delay}`,
        );
        return unknownLanes(run);
      };
    case "self":
      return (cycle) => {
        const value = lastResult(run.registers, chip, alu);
        if (value !== undefined) return value;
        complain(run, "operand", site, cycle, "takes its own previous result, but it has none");
        return unknownLanes(run);
      };
  }
}

export function prepareAlu(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  if (ins.op !== "alu" || unit.kind !== "vxmAlu") return undefined;
  const { target } = run.program;
  const put = putOf(target, unit, ins);
  const latency = aluLatency(target, ins.operation);
  const [a, b, c] = [
    prepareOperand(run, site, ins.a),
    prepareOperand(run, site, ins.b),
    prepareOperand(run, site, ins.c),
  ];
  return (repetition, cycle) => {
    const alone = ins.reset > 0 && repetition % ins.reset === 0;
    const first = a(cycle);
    const result = alone ? first : applyOperation(ins.operation, first, b(cycle), c(cycle));
    if (!putResult(run.registers, chip, unit.alu, cycle + latency, result)) {
      complain(run, "operand", site, cycle, `its result comes out in the cycle of another one, ${cycle + latency}`);
    }
    if (put === undefined || ins.output.kind === "none") return;
    const splitting = splittingOf(result, ins.output.type);
    putSplitting(run.registers, chip, put.direction, put.stream, cycle + put.delay, put.column, splitting);
  };
}

function permuteBytes(bytes: ByteVector, map: Int16Array): ByteVector {
  const x = newInts(map.length);
  const tags = newBytes(map.length);
  for (let lane = 0; lane < map.length; lane++) {
    const from = map[lane] as number;
    if (from < 0 || from >= bytes.x.length) continue;
    x[lane] = bytes.x[from] as number;
    tags[lane] = tagAt(bytes, from);
  }
  return mixedBytes(x, tags);
}

export function preparePermute(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const { target } = run.program;
  const put = putOf(target, unit, ins);
  const [port] = takesOf(target, unit, ins);
  if (ins.op !== "permute" || put === undefined || port === undefined) return undefined;
  const maps = run.program.chips[chip]?.laneMaps ?? [];
  return (repetition, cycle) => {
    const map = maps[ins.map + repetition * ins.mapStride];
    if (map === undefined) return;
    // Planes of one value share their lanes: permute them once.
    let shared: { readonly from: Int32Array; readonly to: Int32Array } | undefined;
    takePort(run, site, port, cycle).forEach((bytes, i) => {
      let value: ByteVector;
      if (shared !== undefined && shared.from === bytes.x && bytes.tags === undefined && !map.includes(-1)) {
        value = bytesOf(shared.to, bytes.tag);
      } else value = permuteBytes(bytes, map);
      if (value.tag !== byteTags.concrete) shared = { from: bytes.x, to: value.x };
      putStream(run.registers, chip, put.direction, put.stream + i, cycle + put.delay, put.column, value);
    });
  };
}

export function prepareSend(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const [port] = takesOf(run.program.target, unit, ins);
  if (ins.op !== "send" || port === undefined || unit.kind !== "linkSend") return undefined;
  const link = run.program.links.find((one) => one.from === chip && one.fromPort === unit.port);
  return (_repetition, cycle) => {
    const [value] = takePort(run, site, port, cycle);
    if (link === undefined || value === undefined) return;
    const key = `${link.to} ${link.toPort}`;
    const wire = run.wires.get(key) ?? new Map<number, ByteVector>();
    run.wires.set(key, wire);
    wire.set(cycle + link.latency, value);
  };
}

export function prepareReceive(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const put = putOf(run.program.target, unit, ins);
  if (ins.op !== "receive" || put === undefined || unit.kind !== "linkReceive") return undefined;
  const key = `${chip} ${unit.port}`;
  return (_repetition, cycle) => {
    const wire = run.wires.get(key);
    const value = wire?.get(cycle);
    wire?.delete(cycle);
    if (value === undefined) complain(run, "operand", site, cycle, `receives at cycle ${cycle}, when nothing arrives`);
    putStream(
      run.registers,
      chip,
      put.direction,
      put.stream,
      cycle + put.delay,
      put.column,
      value ?? unknownBytes(run),
    );
  };
}
