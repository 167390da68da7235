// Builds small machine programs by hand for the tests of the verifier: buffers, bursts that meet at a column in a cycle, tensors and nodes.
import type { DType } from "../ir/dtype.ts";
import type { CoreOp } from "../ir/graph/core-ops.ts";
import type { Attrs } from "../ir/graph/graph.ts";
import type { Instruction, InstructionOf, Mnemonic } from "../ir/machine/isa.ts";
import {
  type Binding,
  type ImageSegment,
  type LayoutDigit,
  type LinkConnection,
  type Placement,
  type Program,
  type ProgramConstant,
  type ProgramSymbol,
  type ProgramTensor,
  type Unit,
  unitName,
} from "../ir/machine/program.ts";
import { memColumn } from "../ir/target/geometry.ts";
import type { Target } from "../ir/target/target.ts";

type Bare = { [M in Mnemonic]: Omit<InstructionOf<M>, "note" | "symbol"> }[Mnemonic];

interface QueueDraft {
  readonly unit: Unit;
  readonly instructions: Instruction[];
}

interface ChipDraft {
  readonly queues: Map<string, QueueDraft>;
  readonly images: ImageSegment[];
  readonly laneMaps: Int16Array[];
}

export interface Draft {
  readonly name: string;
  readonly target: Target;
  readonly chips: readonly ChipDraft[];
  readonly links: readonly LinkConnection[];
  readonly symbols: ProgramSymbol[];
  readonly bindings: Binding[];
  readonly tensors: ProgramTensor[];
  readonly nodes: Program["graph"]["nodes"][number][];
  readonly origins: { readonly name: string; readonly opType: string; readonly index: number }[];
}

export function newDraft(name: string, target: Target, chips = 1, links: readonly LinkConnection[] = []): Draft {
  const drafts = Array.from({ length: chips }, () => ({ queues: new Map(), images: [], laneMaps: [] }));
  return { name, target, chips: drafts, links, symbols: [], bindings: [], tensors: [], nodes: [], origins: [] };
}

/** A claimed buffer: one slice a byte plane (or stripe). */
export interface Buffer {
  readonly symbol: number;
  readonly chip: number;
  readonly hemisphere: "W" | "E";
  readonly slices: readonly number[];
  readonly address: number;
}

export function addBuffer(
  draft: Draft,
  role: ProgramSymbol["role"],
  name: string,
  place: {
    readonly chip?: number;
    readonly hemisphere: "W" | "E";
    readonly slices: readonly number[];
    readonly address?: number;
  },
  words: number,
): Buffer {
  const { hemisphere, slices } = place;
  const [chip, address] = [place.chip ?? 0, place.address ?? 0];
  draft.symbols.push({
    name,
    chip,
    role,
    slices: slices.map((slice) => ({ hemisphere, slice })),
    address,
    words,
    from: 0,
    until: 0,
  });
  return { symbol: draft.symbols.length - 1, chip, hemisphere, slices, address };
}

export function emit(draft: Draft, chip: number, unit: Unit, ins: Bare, symbol = -1): void {
  const { queues } = draft.chips[chip] as ChipDraft;
  const name = unitName(unit);
  const queue = queues.get(name) ?? { unit, instructions: [] };
  queues.set(name, queue);
  queue.instructions.push({ ...ins, note: 0, symbol } as Instruction);
}

export interface Burst {
  readonly count: number;
  readonly period?: number;
  readonly word?: number;
  readonly stride?: number;
}

/** Reads the buffer's planes onto neighbouring streams so that they pass `column` from cycle `at` on. */
export function readTo(
  draft: Draft,
  buffer: Buffer,
  stream: number,
  direction: "W" | "E",
  column: number,
  at: number,
  burst: Burst,
): void {
  const { target } = draft;
  buffer.slices.forEach((slice, b) => {
    const hops = Math.abs(column - memColumn(target, buffer.hemisphere, slice));
    const unit: Unit = { kind: "memRead", hemisphere: buffer.hemisphere, slice };
    emit(
      draft,
      buffer.chip,
      unit,
      {
        op: "read",
        cycle: at - hops - target.mem.latency.read,
        count: burst.count,
        period: burst.period ?? 1,
        address: buffer.address + (burst.word ?? 0),
        stride: burst.stride ?? 1,
        stream: stream + b,
        direction,
      },
      buffer.symbol,
    );
  });
}

/** Writes the streams that appear at `column` from cycle `at` on into the buffer's planes. */
export function writeFrom(
  draft: Draft,
  buffer: Buffer,
  stream: number,
  direction: "W" | "E",
  column: number,
  at: number,
  burst: Burst,
): void {
  buffer.slices.forEach((slice, b) => {
    const hops = Math.abs(column - memColumn(draft.target, buffer.hemisphere, slice));
    emit(
      draft,
      buffer.chip,
      { kind: "memWrite", hemisphere: buffer.hemisphere, slice },
      {
        op: "write",
        cycle: at + hops,
        count: burst.count,
        period: burst.period ?? 1,
        address: buffer.address + (burst.word ?? 0),
        stride: burst.stride ?? 1,
        stream: stream + b,
        direction,
      },
      buffer.symbol,
    );
  });
}

export function addTensor(
  draft: Draft,
  name: string,
  dtype: DType,
  shape: readonly number[],
  constant?: ProgramConstant,
): number {
  draft.tensors.push(constant === undefined ? { name, dtype, shape } : { name, dtype, shape, constant });
  return draft.tensors.length - 1;
}

export function addNode(
  draft: Draft,
  op: CoreOp,
  inputs: readonly number[],
  dtype: DType,
  shape: readonly number[],
  attrs: Attrs = {},
): number {
  const output = addTensor(draft, `${op}_${draft.nodes.length}`, dtype, shape);
  draft.origins.push({ name: `/${op}`, opType: op, index: draft.nodes.length });
  draft.nodes.push({ op, inputs, output, attrs, origins: [draft.origins.length - 1] });
  return output;
}

/** Where a whole tensor stands in a buffer. */
export function place(
  buffer: Buffer,
  shape: readonly number[],
  digits: readonly (readonly LayoutDigit[])[],
  type: Placement["type"],
  pack = 0,
): Placement {
  return {
    chip: buffer.chip,
    origin: shape.map(() => 0),
    extent: shape,
    digits,
    type,
    pack,
    slices: buffer.slices.map((slice) => ({ hemisphere: buffer.hemisphere, slice })),
    address: buffer.address,
  };
}

export function bind(draft: Draft, kind: "input" | "output", name: string, tensor: number, placement: Placement): void {
  const { dtype, shape } = draft.tensors[tensor] as ProgramTensor;
  draft.bindings.push({ name, kind, dtype, shape, tensor, placements: [placement] });
}

/** Initial contents of a buffer: `byteAt(plane, word, lane)`. */
export function fillImage(
  draft: Draft,
  buffer: Buffer,
  words: number,
  byteAt: (plane: number, word: number, lane: number) => number,
): void {
  const { lanes } = draft.target;
  buffer.slices.forEach((slice, plane) => {
    const bytes = new Uint8Array(words * lanes);
    for (let word = 0; word < words; word++) {
      for (let lane = 0; lane < lanes; lane++) bytes[word * lanes + lane] = byteAt(plane, word, lane);
    }
    const { images } = draft.chips[buffer.chip] as ChipDraft;
    images.push({
      hemisphere: buffer.hemisphere,
      slice,
      address: buffer.address,
      byteLength: bytes.length,
      read: () => bytes,
    });
  });
}

/** Byte `plane` of float32 `x`. */
export function floatByte(x: number, plane: number): number {
  return new Uint8Array(Float32Array.of(x).buffer)[plane] as number;
}

function liveSymbols(draft: Draft, latency: number): readonly ProgramSymbol[] {
  const first = draft.symbols.map(() => Number.POSITIVE_INFINITY);
  const last = draft.symbols.map(() => 0);
  for (const chip of draft.chips) {
    for (const queue of chip.queues.values()) {
      for (const ins of queue.instructions) {
        if (ins.symbol < 0) continue;
        first[ins.symbol] = Math.min(first[ins.symbol] as number, ins.cycle);
        last[ins.symbol] = Math.max(last[ins.symbol] as number, ins.cycle + (ins.count - 1) * ins.period + 1);
      }
    }
  }
  return draft.symbols.map((symbol, i) => {
    const isFixed = symbol.role === "weight" || symbol.role === "constant" || symbol.role === "input";
    const from = isFixed ? 0 : (first[i] as number);
    const until =
      symbol.role === "output" || symbol.role === "weight" || symbol.role === "constant"
        ? latency
        : (last[i] as number);
    return { ...symbol, from, until };
  });
}

/** The finished program: queues in issue order, latency and claimed lives worked out. */
export function finish(draft: Draft): Program {
  const { target } = draft;
  let latencyCycles = 0;
  const chips = draft.chips.map((chip) => {
    const queues = [...chip.queues.values()].map(({ unit, instructions }) => {
      return { unit, instructions: [...instructions].sort((a, b) => a.cycle - b.cycle) };
    });
    let instructions = 0;
    for (const queue of queues) {
      instructions += queue.instructions.length;
      for (const ins of queue.instructions) {
        if (ins.op !== "write" && ins.op !== "scatter") continue;
        const end = ins.cycle + (ins.count - 1) * ins.period + target.mem.latency[ins.op] + target.verticalRipple;
        latencyCycles = Math.max(latencyCycles, end);
      }
    }
    return { queues, images: chip.images, laneMaps: chip.laneMaps, textBytes: 16 * instructions };
  });
  return {
    modelName: draft.name,
    target,
    links: draft.links,
    topology: "chain",
    precision: "fp32",
    chips,
    symbols: liveSymbols(draft, latencyCycles),
    bindings: draft.bindings,
    graph: { tensors: draft.tensors, nodes: draft.nodes },
    latencyCycles,
    latencyTerms: [{ part: "block", count: 1, cycles: latencyCycles }],
    initiationIntervalCycles: latencyCycles,
    stages: chips.map((_, chip) => ({
      chip,
      firstLayer: 0,
      lastLayer: 0,
      startCycle: 0,
      endCycle: latencyCycles,
      weightBytes: 0,
    })),
    lowerBound: { cycles: 1, by: "mem", perResource: { mxm: 0, mem: 1, link: 0, dependency: 0 } },
    debug: {
      origins: draft.origins,
      notes: [{ kernel: draft.name, origins: draft.origins.map((_, i) => i) }],
    },
  };
}
