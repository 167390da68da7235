// A small assembler of programs for tests of the interpreter: instructions with defaults, queues by unit, memory images by word.
import type { Instruction, InstructionOf, Mnemonic } from "../ir/machine/isa.ts";
import {
  type Binding,
  type ImageSegment,
  type LinkConnection,
  type Program,
  type Unit,
  unitName,
} from "../ir/machine/program.ts";
import type { Hemisphere } from "../ir/target/geometry.ts";
import type { Target } from "../ir/target/target.ts";
import { presetTarget } from "../src/targets/presets.ts";

export function target(name: string): Target {
  const found = presetTarget(name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return found;
}

const base = { count: 1, period: 1, note: 0, symbol: -1 };

const none = { kind: "none" } as const;
const defaults = {
  read: { address: 0, stride: 0, stream: 0, direction: "E" },
  write: { address: 0, stride: 0, stream: 0, direction: "E" },
  gather: { address: 0, scale: 1, limit: 1, map: 0, mapDirection: "E", stream: 0, direction: "E" },
  scatter: { address: 0, scale: 1, limit: 1, map: 0, mapDirection: "E", stream: 0, direction: "E" },
  lw: { mode: "int8", format: "packed", stream: 0, streams: 16, row: 0, rows: 16, lane: 0, k: 1, clear: false },
  iw: { mode: "int8" },
  abc: { mode: "int8", stream: 0, lane: 0, k: 1 },
  acc: { mode: "int8", entry: 0, stride: 0, init: true, emit: true, stream: 0 },
  alu: { operation: "mov", a: none, b: none, c: none, reset: 0, output: none },
  permute: { stream: 0, direction: "E", bytes: 1, map: 0, mapStride: 0, outStream: 0, outDirection: "E" },
  send: { stream: 0 },
  receive: { stream: 0 },
  deskew: {},
} as const satisfies { readonly [M in Mnemonic]: Omit<InstructionOf<M>, keyof typeof base | "op" | "cycle"> };

type Given<M extends Mnemonic> = Partial<Omit<InstructionOf<M>, "op">> & { readonly cycle: number };

/** An instruction from what matters about it. */
function instruction<M extends Mnemonic>(op: M, given: Given<M>): Instruction {
  return { ...base, ...defaults[op], ...given, op } as unknown as Instruction;
}

export interface Placed {
  readonly unit: Unit;
  readonly instruction: Instruction;
}

/** `at(mem("W", 3, "read"), "read", { cycle: 0 })`. */
export function at<M extends Mnemonic>(unit: Unit, op: M, given: Given<M>): Placed {
  return { unit, instruction: instruction(op, given) };
}

export const memRead = (hemisphere: Hemisphere, slice: number): Unit => ({ kind: "memRead", hemisphere, slice });
export const memWrite = (hemisphere: Hemisphere, slice: number): Unit => ({ kind: "memWrite", hemisphere, slice });
export const alu = (index: number): Unit => ({ kind: "vxmAlu", alu: index });
export const sxm = (hemisphere: Hemisphere, index = 0): Unit => ({ kind: "sxm", hemisphere, index });
export const load = (plane: number): Unit => ({ kind: "mxmLoad", plane });
export const activate = (plane: number): Unit => ({ kind: "mxmActivate", plane });
export const accumulate = (plane: number): Unit => ({ kind: "mxmAccumulate", plane });
export const send = (port: number): Unit => ({ kind: "linkSend", port });
export const receive = (port: number): Unit => ({ kind: "linkReceive", port });

/** Words of one slice from `address` on. */
export function image(hemisphere: Hemisphere, slice: number, address: number, bytes: Uint8Array): ImageSegment {
  return { hemisphere, slice, address, byteLength: bytes.length, read: () => bytes };
}

interface ChipSource {
  readonly code: readonly Placed[];
  readonly images?: readonly ImageSegment[];
  readonly laneMaps?: readonly Int16Array[];
}

export interface ProgramSource {
  readonly target: Target;
  readonly chips: readonly ChipSource[];
  readonly bindings?: readonly Binding[];
  readonly links?: readonly LinkConnection[];
  readonly latencyCycles: number;
}

function queuesOf(code: readonly Placed[]): { unit: Unit; instructions: Instruction[] }[] {
  const queues = new Map<string, { unit: Unit; instructions: Instruction[] }>();
  for (const { unit, instruction: ins } of code) {
    const name = unitName(unit);
    const queue = queues.get(name) ?? { unit, instructions: [] };
    queue.instructions.push(ins);
    queues.set(name, queue);
  }
  return [...queues.values()];
}

export function program(source: ProgramSource): Program {
  return {
    modelName: "test",
    target: source.target,
    links: source.links ?? [],
    topology: "chain",
    precision: "fp32",
    chips: source.chips.map((chip) => ({
      queues: queuesOf(chip.code),
      images: chip.images ?? [],
      laneMaps: chip.laneMaps ?? [],
      textBytes: 0,
    })),
    symbols: [{ name: "buffer", chip: 0, role: "activation", slices: [], address: 0, words: 1, from: 0, until: 1 }],
    bindings: source.bindings ?? [],
    graph: { tensors: [], nodes: [] },
    latencyCycles: source.latencyCycles,
    latencyTerms: [{ part: "block", count: 1, cycles: source.latencyCycles }],
    initiationIntervalCycles: source.latencyCycles,
    stages: [],
    lowerBound: { cycles: 0, by: "mem", perResource: { mxm: 0, mem: 0, link: 0, dependency: 0 } },
    debug: { origins: [], notes: [] },
  };
}
