// Mutants of vector, matrix and link instructions. A wrong computation is an `operand` violation; the MXM's protocols have `weights` (LW, IW and
// which tile an ABC meets) and `accumulator` (ABC, ACC and what an entry holds), links have `link`; what no unit of the target can do is `range`.
import type { AluOp, AluOperand, Instruction } from "../ir/machine/isa.ts";
import { type AluOpRow, aluOps } from "../ir/machine/isa.ts";
import type { Program } from "../ir/machine/program.ts";
import {
  dropped,
  editChip,
  type Mutation,
  onInstruction,
  onProgram,
  pick,
  type Random,
  shift,
  shifted,
  spotsOf,
} from "./verify-mutation.ts";

type Alu = Instruction & { readonly op: "alu" };

function onAlu(
  name: string,
  right: Mutation["right"],
  change: (ins: Alu, random: Random, program: Program) => Alu | undefined,
): Mutation {
  return onInstruction(name, right, ["alu"], (ins, random, program) =>
    ins.op === "alu" ? change(ins, random, program) : undefined,
  );
}

/** Changes one of the operands that `change` accepts. */
function onOperand(
  name: string,
  right: Mutation["right"],
  change: (operand: AluOperand, random: Random, program: Program) => AluOperand | undefined,
): Mutation {
  return onAlu(name, right, (ins, random, program) => {
    const places = (["a", "b", "c"] as const).filter((place) => ins[place].kind !== "none");
    const place = pick(random, places);
    const changed = place === undefined ? undefined : change(ins[place], random, program);
    return place === undefined || changed === undefined ? undefined : { ...ins, [place]: changed };
  });
}

const operations = Object.entries(aluOps) as [AluOp, AluOpRow][];

/** Another operation of as many operands that every ALU has. */
function otherOperation(ins: Alu, random: Random): Alu | undefined {
  const { operands } = aluOps[ins.operation];
  const others = operations.filter(([name, row]) => row.operands === operands && !row.large && name !== ins.operation);
  const chosen = pick(random, others);
  return chosen === undefined ? undefined : { ...ins, operation: chosen[0] };
}

export const vector: readonly Mutation[] = [
  onAlu("another operation", ["operand", "range"], otherOperation),
  onAlu("the opposite operation", ["operand", "range"], (ins) => {
    const opposites: Partial<Record<AluOp, AluOp>> = {
      add: "sub",
      sub: "rsub",
      mul: "add",
      max: "min",
      min: "max",
      relu: "mov",
      exp2: "tanh",
      rsqrt: "exp2",
      tanh: "rsqrt",
      or: "and",
      and: "or",
      mov: "relu",
      roundF16: "relu",
      iadd: "isub",
      imul: "iadd",
      toInt: "relu",
      toFloat: "mov",
      select: "select",
    };
    const operation = opposites[ins.operation];
    if (ins.operation === "select") return { ...ins, b: ins.c, c: ins.b };
    return operation === undefined ? undefined : { ...ins, operation };
  }),
  onOperand("an operand too late", ["operand", "range"], (operand, random) =>
    operand.kind === "stream" || operand.kind === "alu"
      ? { ...operand, delay: operand.delay + 1 + random(40) }
      : undefined,
  ),
  onOperand("another immediate", ["operand"], (operand, random) =>
    operand.kind === "immediate" ? { ...operand, bits: operand.bits ^ (1 << (16 + random(14))) } : undefined,
  ),
  onOperand("an operand of another ALU", ["operand", "range"], (operand, random, program) =>
    operand.kind === "alu"
      ? { ...operand, alu: (operand.alu + 1 + random(program.target.vxm.alus - 1)) % program.target.vxm.alus }
      : undefined,
  ),
  onOperand("an operand from another stream", ["operand"], (operand, random, program) =>
    operand.kind === "stream"
      ? { ...operand, stream: (operand.stream + 4 * (1 + random(7))) % program.target.streamsPerDirection }
      : undefined,
  ),
  onOperand("an operand read as another type", ["operand"], (operand) => {
    if (operand.kind !== "stream") return undefined;
    if (operand.type === "f32" || operand.type === "i32") return { ...operand, type: "f16" };
    return { ...operand, type: operand.type === "i8" ? "u8" : operand.type === "u8" ? "i8" : "f32" };
  }),
  onOperand("an immediate instead of an operand", ["operand"], (operand, random) =>
    operand.kind === "stream" || operand.kind === "alu"
      ? { kind: "immediate", bits: [0, 1, 0x3f800000][random(3)] ?? 0 }
      : undefined,
  ),
  onAlu("operands change places", ["operand"], (ins) =>
    aluOps[ins.operation].operands >= 2 && ["sub", "rsub", "cmpLt", "cmpLe", "shl", "shr"].includes(ins.operation)
      ? { ...ins, a: ins.b, b: ins.a }
      : undefined,
  ),
  onAlu("one operand missing", ["range"], (ins) => ({ ...ins, a: { kind: "none" } })),
  onAlu("one operand too many", ["range"], (ins) =>
    aluOps[ins.operation].operands < 3 ? { ...ins, c: { kind: "immediate", bits: 0 } } : undefined,
  ),
  onInstruction("a small ALU for a large function", ["range"], ["alu"], (ins, _random, program, { unit }) =>
    ins.op === "alu" &&
    ins.b.kind === "none" &&
    unit.kind === "vxmAlu" &&
    !program.target.vxm.largeAlus.includes(unit.alu)
      ? { ...ins, operation: "tanh" }
      : undefined,
  ),
  onAlu("feedback forgets to start anew", ["operand"], (ins) => (ins.reset > 0 ? { ...ins, reset: 0 } : undefined)),
  onAlu("feedback starts anew too often", ["operand"], (ins) =>
    ins.reset > 1 ? { ...ins, reset: ins.reset - 1 } : undefined,
  ),
  onAlu("narrow a result", ["operand", "range"], (ins) =>
    ins.output.kind === "stream" && ins.output.type === "f32"
      ? { ...ins, output: { ...ins.output, type: "f16" } }
      : undefined,
  ),
  onAlu("forget the output", ["operand"], (ins) =>
    ins.output.kind === "stream" ? { ...ins, output: { kind: "none" } } : undefined,
  ),
  onInstruction("another lane map", ["operand", "range"], ["permute"], (ins, random) =>
    ins.op === "permute" ? { ...ins, map: ins.map + (random(2) === 0 ? 1 : -1) } : undefined,
  ),
  onInstruction("permute too few bytes", ["operand", "range"], ["permute"], (ins) =>
    ins.op === "permute" && ins.bytes > 1 ? { ...ins, bytes: ins.bytes / 2 } : undefined,
  ),
  onProgram("changed lane map", ["operand"], (program, random) => {
    const spot = pick(random, spotsOf(program, ["permute"]));
    if (spot?.ins.op !== "permute") return undefined;
    const { map: wanted, mapStride, count } = spot.ins;
    const number = wanted + mapStride * random(count);
    return editChip(program, spot.chip, (chip) => ({
      ...chip,
      laneMaps: chip.laneMaps.map((map, m) => (m === number ? swapped(map, random) : map)),
    }));
  }),
  onProgram("a lane map that is no bijection", ["range"], (program, random) => {
    const chip = program.chips.findIndex(({ laneMaps }) => laneMaps.length > 0);
    if (chip < 0) return undefined;
    return editChip(program, chip, (one) => ({
      ...one,
      laneMaps: one.laneMaps.map((map) => map.map((lane) => (random(4) === 0 ? 3 : lane))),
    }));
  }),
];

/** Two lanes of the map change places: those that have a source. */
function swapped(map: Int16Array, random: Random): Int16Array {
  const used = [...map.keys()].filter((lane) => (map[lane] ?? -1) >= 0);
  const first = pick(random, used) ?? 0;
  const second = pick(
    random,
    used.filter((lane) => lane !== first),
  );
  const changed = map.slice();
  if (second === undefined) changed[first] = -1;
  else [changed[first], changed[second]] = [map[second] ?? -1, map[first] ?? -1];
  return changed;
}

const otherMode = { fp32: "fp16", fp16: "int8", int8: "fp16" } as const;

export const matrix: readonly Mutation[] = [
  dropped("drop an install", ["weights"], ["iw"]),
  dropped("drop a tile load", ["weights", "operand"], ["lw"]),
  dropped("drop an activation", ["accumulator"], ["abc"]),
  dropped("drop an accumulation", ["accumulator"], ["acc"]),
  onInstruction("install early", ["weights"], ["iw"], (ins, random) => shifted(ins, -1 - random(4))),
  onInstruction("install late", ["weights", "operand", "queue"], ["iw"], (ins, random) => shifted(ins, 8 + random(60))),
  onInstruction("install twice", ["weights", "queue"], ["iw"], (ins) => ({ ...ins, count: 2 })),
  onInstruction("shift a tile load", ["weights", "operand", "queue"], ["lw"], (ins, random) =>
    shifted(ins, shift(random)),
  ),
  onInstruction("load other rows", ["weights", "range", "operand"], ["lw"], (ins) =>
    ins.op === "lw" ? { ...ins, row: ins.row + 1, clear: false } : undefined,
  ),
  onInstruction("load fewer rows", ["weights", "range", "operand"], ["lw"], (ins) =>
    ins.op === "lw" && ins.rows > 1 ? { ...ins, rows: ins.rows - 1 } : undefined,
  ),
  onInstruction("load other lanes", ["range", "operand"], ["lw"], (ins) =>
    ins.op === "lw" ? { ...ins, lane: ins.lane + 1 } : undefined,
  ),
  onInstruction("load in the other format", ["range", "operand", "weights"], ["lw"], (ins) =>
    ins.op === "lw" && ins.mode !== "int8"
      ? { ...ins, format: ins.format === "packed" ? "planar" : "packed" }
      : undefined,
  ),
  onInstruction("another mode", ["weights", "accumulator", "range", "queue"], ["iw", "abc", "acc", "lw"], (ins) =>
    "mode" in ins ? { ...ins, mode: otherMode[ins.mode] } : undefined,
  ),
  onInstruction("fewer elements", ["operand"], ["abc", "lw"], (ins) =>
    (ins.op === "abc" || ins.op === "lw") && ins.k > 1 ? { ...ins, k: ins.k - 1 } : undefined,
  ),
  onInstruction("other lanes of an activation", ["operand", "range"], ["abc"], (ins) =>
    ins.op === "abc" ? { ...ins, lane: ins.lane + 1 } : undefined,
  ),
  onInstruction("another entry", ["accumulator", "operand", "range"], ["acc"], (ins, random) =>
    ins.op === "acc" && !(ins.init && ins.emit) ? { ...ins, entry: ins.entry + 1 + random(2000) } : undefined,
  ),
  onInstruction("start anew in the middle", ["accumulator"], ["acc"], (ins) =>
    ins.op === "acc" && !ins.init ? { ...ins, init: true } : undefined,
  ),
  onInstruction("forget to start", ["accumulator", "operand"], ["acc"], (ins) =>
    ins.op === "acc" && ins.init ? { ...ins, init: false } : undefined,
  ),
  onInstruction("forget to emit", ["accumulator"], ["acc"], (ins) =>
    ins.op === "acc" && ins.emit ? { ...ins, emit: false } : undefined,
  ),
  onInstruction("shift an accumulation", ["accumulator"], ["acc"], (ins, random) => shifted(ins, shift(random))),
  onInstruction("shift an activation", ["accumulator"], ["abc"], (ins, random) => shifted(ins, shift(random))),
];

const movePort = (name: string, op: "send" | "receive"): Mutation =>
  onProgram(name, ["link", "range"], (program, random) => {
    const spot = pick(random, spotsOf(program, [op]));
    if (spot === undefined) return undefined;
    return editChip(program, spot.chip, (chip) => ({
      ...chip,
      queues: chip.queues.map((queue, q) =>
        q === spot.queue && "port" in queue.unit
          ? { ...queue, unit: { ...queue.unit, port: queue.unit.port + 1 + random(20) } }
          : queue,
      ),
    }));
  });

const onLinks = (
  name: string,
  change: (link: Program["links"][number], program: Program) => Program["links"][number],
): Mutation =>
  onProgram(name, ["link"], (program, random) => {
    const used = new Set(
      spotsOf(program, ["send"]).map(({ chip, unit }) => `${chip} ${"port" in unit ? unit.port : -1}`),
    );
    const chosen = pick(
      random,
      program.links.filter((link) => used.has(`${link.from} ${link.fromPort}`)),
    );
    if (chosen === undefined) return undefined;
    return { ...program, links: program.links.map((link) => (link === chosen ? change(link, program) : link)) };
  });

export const links: readonly Mutation[] = [
  dropped("drop a receive", ["link"], ["receive"]),
  dropped("drop a send", ["link"], ["send"]),
  onInstruction("shift a receive", ["link"], ["receive"], (ins, random) => shifted(ins, shift(random))),
  onInstruction("shift a send", ["link"], ["send"], (ins, random) => shifted(ins, shift(random))),
  onInstruction("send too fast", ["link"], ["send"], (ins) =>
    ins.count > 1 ? { ...ins, period: ins.period - 1 } : undefined,
  ),
  onInstruction("send once more", ["link"], ["send"], (ins) => ({ ...ins, count: ins.count + 1 })),
  movePort("send through another port", "send"),
  movePort("receive through another port", "receive"),
  onLinks("another link latency", (link) => ({ ...link, latency: link.latency + 1 })),
  onLinks("a link to another chip", (link, program) => ({ ...link, to: (link.to + 1) % program.chips.length })),
  onProgram("no links", ["link"], (program) => (program.links.length === 0 ? undefined : { ...program, links: [] })),
  onProgram("one port wired twice", ["link"], (program, random) => {
    const link = pick(random, program.links);
    return link === undefined ? undefined : { ...program, links: [...program.links, link] };
  }),
];
