// From compiled blocks, a chip for each and a wired system to the machine program: timeline, address maps, stamped instructions, symbols, bindings.

import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import {
  type ChipProgram,
  type Program,
  type ProgramSymbol,
  type Queue,
  type Unit,
  unitName,
} from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Topology } from "../../ir/target/topology.ts";
import type { BankAllocator } from "../alloc/banks.ts";
import { type BlockChain, correspondence } from "../blocks/blocks.ts";
import { intervalOf } from "../interval/interval.ts";
import { graphOfRank, type ShardedGraph } from "../shard/sharded.ts";
import { makeBindings, rankOfChip } from "./bindings.ts";
import { borderUses, type ChipBorders, chipBorders } from "./chip-borders.ts";
import {
  type BlockInstance,
  type BorderUse,
  borderRegionOf,
  bufferAddress,
  type ChipMemory,
  imageSegments,
  isPersistent,
  persistentKey,
  planChipMemory,
  regionOf,
  storageOfBuffer,
} from "./chip-memory.ts";
import { borderOrdinals, type CompiledBlocks } from "./classes.ts";
import { newConstantReader } from "./contents.ts";
import { busiestCycles, latencyTermsOf } from "./latency-terms.ts";
import { lowerBoundOf } from "./lower-bound.ts";
import { collectConstants, modelConstants, type RankConstants } from "./placed-constants.ts";
import { makeStages, type OriginIndex, originIndex, programGraph } from "./program-claims.ts";
import { placeText } from "./program-text.ts";
import type { SystemTimeline } from "./timeline.ts";

export interface AssemblyOptions {
  readonly modelName: string;
  readonly precision: string;
  /** Encoded size of a chip's queues in bytes. */
  readonly textBytesOf: (queues: readonly Queue[]) => number;
  /** At most so many inferences are under way at once; by default as many as the chips can have. */
  readonly inFlight?: number;
  /** An inference is to be as fast as it goes by itself, whatever that means for others that follow. */
  readonly alone?: boolean;
  /** Instead of our own, for all memory of every chip; its answers are checked. */
  readonly allocator?: BankAllocator;
}

export interface AssemblyInput {
  /** The graph the program claims to compute. */
  readonly model: Graph;
  /** What each chip of a stage does of it. */
  readonly sharded: ShardedGraph;
  readonly target: Target;
  readonly chain: BlockChain;
  readonly compiled: CompiledBlocks;
  /** Chips of every block, one a rank; ascending from stage to stage. */
  readonly chipsOf: readonly (readonly number[])[];
  readonly topology: Topology;
}

export interface ChipUse {
  readonly chip: number;
  readonly memory: ChipMemory;
}

export interface Assembled {
  readonly program: Program;
  readonly timeline: SystemTimeline;
  readonly chips: readonly ChipUse[];
}

interface QueueDraft {
  readonly unit: Unit;
  readonly instructions: Instruction[];
}

class Draft {
  readonly queues = new Map<string, QueueDraft>();
  readonly laneMaps: Int16Array[] = [];
  add(unit: Unit, instruction: Instruction): void {
    const name = unitName(unit);
    let queue = this.queues.get(name);
    if (queue === undefined) {
      queue = { unit, instructions: [] };
      this.queues.set(name, queue);
    }
    queue.instructions.push(instruction);
  }
}

/** Every chip's program begins with the same instruction. */
function beginDraft(note: number): Draft {
  const draft = new Draft();
  draft.add({ kind: "control" }, { op: "deskew", cycle: 0, count: 1, period: 1, note, symbol: -1 });
  return draft;
}

/**
 * The program of a timeline. `wheel`: its memory is laid out for inferences so many cycles apart, which need each other's words as well; else for one by
 * itself.
 */
export function assembleOn(
  input: AssemblyInput,
  options: AssemblyOptions,
  timeline: SystemTimeline,
  wheel?: number,
): Result<Assembled> {
  const { model, sharded, target, chain, compiled, chipsOf, topology } = input;
  const { graph } = sharded;
  const ordinals = borderOrdinals(sharded, chain);
  const end = Math.max(0, ...timeline.blockEnd);
  const rankGraphs = Array.from({ length: sharded.ways }, (_, rank) => graphOfRank(sharded, rank));
  const origins = originIndex(model);
  const notes: { kernel: string; origins: readonly number[] }[] = [];
  const symbols: ProgramSymbol[] = [];
  const chips: ChipProgram[] = [];
  const uses: ChipUse[] = [];
  const problems: Diagnostic[] = [];
  const constants: RankConstants = new Map();
  const bordersByChip: ChipBorders[] = [];
  let lastWrite = 0;
  for (let chip = 0; chip < topology.chips; chip++) {
    const borders = chipBorders(input, timeline, ordinals, chip, end);
    bordersByChip.push(borders);
    const instances = chain.blocks.flatMap((block, i): BlockInstance[] => {
      const blockClass = compiled.classes[compiled.classOf[i] as number];
      return chipsOf[i]?.includes(chip) && blockClass !== undefined
        ? [{ block, blockClass, start: timeline.blockStart[i] as number, end: timeline.blockEnd[i] as number }]
        : [];
    });
    const rank = rankOfChip(input, chip);
    const rankGraph = rankGraphs[rank] ?? graph;
    const parts = borderUses(borders, timeline, chip);
    const memory = planChipMemory(target, instances, parts, end, compiled.states, wheel, options.allocator);
    problems.push(...memory.faults.map((fault) => diagnostic("LPU4006", `chip ${chip}: ${fault}`)));
    if (memory.faults.length > 0) continue;
    uses.push({ chip, memory });
    const draft = beginDraft(noteFor(notes, "deskew", []));
    const symbolOf = chipSymbols(symbols, chip, target, memory, parts, end);
    for (const instance of instances)
      stampBlock(input, draft, instance, memory, symbols, symbolOf, notes, origins, chip, end);
    stampTraffic(draft, timeline, chip, memory, symbolOf, notes);
    for (const instance of instances) collectConstants(input, instance, memory, chip, rank, constants);
    const queues = [...draft.queues.values()]
      .map((queue): Queue => ({ unit: queue.unit, instructions: queue.instructions.sort((a, b) => a.cycle - b.cycle) }))
      .sort((a, b) => (unitName(a.unit) < unitName(b.unit) ? -1 : 1));
    lastWrite = Math.max(lastWrite, lastWriteOf(target, queues));
    const textBytes = options.textBytesOf(queues);
    problems.push(...placeText(target, chip, memory, textBytes, symbols, end));
    const images = imageSegments(target, rankGraph, memory, newConstantReader(rankGraph));
    chips.push({ queues, images, laneMaps: draft.laneMaps, textBytes });
  }
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  const latencyCycles = lastWrite === 0 ? 0 : lastWrite + target.verticalRipple;
  const scheduled = {
    modelName: options.modelName,
    target,
    links: topology.links,
    topology: topology.name,
    precision: options.precision,
    chips,
    symbols,
    bindings: makeBindings(input, bordersByChip, uses),
    graph: programGraph(model, modelConstants(input, constants), origins),
    latencyCycles,
    latencyTerms: latencyTermsOf(chain, timeline, latencyCycles),
    stages: makeStages(input, timeline, uses),
    lowerBound: lowerBoundOf(input, timeline),
    debug: { origins: origins.list, notes },
  };
  const { interval } = intervalOf(scheduled, busiestCycles(timeline), options.inFlight);
  return ok({ program: { ...scheduled, initiationIntervalCycles: interval }, timeline, chips: uses });
}

/** Cycle in which the last word of a chip is written. */
function lastWriteOf(target: Target, queues: readonly Queue[]): number {
  let last = 0;
  for (const queue of queues) {
    if (queue.unit.kind !== "memWrite") continue;
    for (const write of queue.instructions)
      last = Math.max(last, write.cycle + (write.count - 1) * write.period + target.mem.latency.write);
  }
  return last;
}

function noteFor(
  notes: { kernel: string; origins: readonly number[] }[],
  kernel: string,
  origins: readonly number[],
): number {
  notes.push({ kernel, origins });
  return notes.length - 1;
}

type SymbolOf = (kind: "persistent" | "border", key: string) => number;

/** Symbols of what lives on a chip outside blocks. */
function chipSymbols(
  symbols: ProgramSymbol[],
  chip: number,
  target: Target,
  memory: ChipMemory,
  borders: readonly BorderUse[],
  end: number,
): SymbolOf {
  const index = new Map<string, number>();
  for (const [key, entry] of memory.persistent) {
    index.set(`persistent:${key}`, symbols.length);
    symbols.push({
      name: entry.buffer.name,
      chip,
      role: entry.buffer.content.kind === "tile" ? "weight" : "constant",
      slices: entry.buffer.slices.map((slice) => ({ hemisphere: entry.buffer.hemisphere, slice })),
      address: memory.addresses.get(regionOf.persistent(key)) ?? 0,
      words: entry.buffer.words,
      from: 0,
      until: end,
    });
  }
  for (const use of borders) {
    const { location } = use.part;
    index.set(`border:${use.part.region}`, symbols.length);
    symbols.push({
      name: use.name,
      chip,
      role: use.role,
      slices: Array.from({ length: location.width }, (_, i) => ({
        hemisphere: location.hemisphere,
        slice: location.column * target.mem.slicesPerColumn + location.sub + i,
      })),
      address: memory.addresses.get(regionOf.border(use.part.region)) ?? 0,
      words: use.part.words,
      from: use.from,
      until: use.until,
    });
  }
  return (kind, key) => index.get(`${kind}:${key}`) ?? -1;
}

function stampBlock(
  input: AssemblyInput,
  draft: Draft,
  instance: BlockInstance,
  memory: ChipMemory,
  symbols: ProgramSymbol[],
  symbolOf: SymbolOf,
  notes: { kernel: string; origins: readonly number[] }[],
  origins: OriginIndex,
  chip: number,
  end: number,
): void {
  const { target } = input;
  const { block, blockClass, start } = instance;
  const { state } = blockClass.schedule;
  const tensors = correspondence(blockClass.first, block);
  const nodes = new Map(blockClass.first.nodes.map((node, i) => [node.id as number, block.nodes[i]]));
  const noteBase = notes.length;
  for (const note of blockClass.schedule.notes) {
    const from = new Set(
      note.origins.flatMap((id) => {
        const node = nodes.get(id);
        return node === undefined ? [] : origins.ofNode(node);
      }),
    );
    notes.push({ kernel: note.kernel, origins: [...from].sort((a, b) => a - b) });
  }
  const mapBase = draft.laneMaps.length;
  draft.laneMaps.push(...state.laneMaps);
  const places = state.buffers.map((buffer): { address: number; symbol: number } => {
    const address = bufferAddress(memory, blockClass, tensors, buffer);
    if (address === undefined) return { address: buffer.bank * target.mem.wordsPerBank, symbol: -1 };
    if (isPersistent(blockClass, buffer))
      return { address, symbol: symbolOf("persistent", persistentKey(blockClass, buffer, tensors)) };
    const storage = storageOfBuffer(blockClass, buffer);
    if (storage?.boundary !== undefined && buffer.content.kind === "part") {
      const region = borderRegionOf(memory, tensors, storage.boundary.tensor, storage.type, buffer.content.part);
      return { address, symbol: symbolOf("border", region) };
    }
    symbols.push({
      name: buffer.name,
      chip,
      role: "activation",
      slices: buffer.slices.map((slice) => ({ hemisphere: buffer.hemisphere, slice })),
      address,
      words: buffer.words,
      from: start + Math.min(buffer.firstWrite, buffer.lastRead),
      until: Math.min(end, start + buffer.lastRead + 1 + target.mem.latency.write),
    });
    return { address, symbol: symbols.length - 1 };
  });
  for (const burst of state.bursts) {
    const place = burst.buffer >= 0 ? places[burst.buffer] : undefined;
    const base = {
      ...burst.instruction,
      cycle: burst.instruction.cycle + start,
      note: noteBase + burst.instruction.note,
      symbol: place?.symbol ?? -1,
    };
    if (base.op === "permute") draft.add(burst.unit, { ...base, map: base.map + mapBase });
    else if (place !== undefined && "address" in base)
      draft.add(burst.unit, { ...base, address: base.address + place.address });
    else draft.add(burst.unit, base);
  }
}

function stampTraffic(
  draft: Draft,
  timeline: SystemTimeline,
  chip: number,
  memory: ChipMemory,
  symbolOf: SymbolOf,
  notes: { kernel: string; origins: readonly number[] }[],
): void {
  for (const { name, start, transfers } of timeline.traffic) {
    if (!transfers.windows.has(chip)) continue;
    const note = noteFor(notes, name, []);
    for (const burst of transfers.bursts) {
      if (burst.chip !== chip) continue;
      const symbol = burst.region === undefined ? -1 : symbolOf("border", burst.region);
      const full = { ...burst.instruction, cycle: burst.instruction.cycle + start, note, symbol } as Instruction;
      if (burst.region !== undefined && "address" in full)
        draft.add(burst.unit, {
          ...full,
          address: full.address + (memory.addresses.get(regionOf.border(burst.region)) ?? 0),
        });
      else draft.add(burst.unit, full);
    }
  }
}
