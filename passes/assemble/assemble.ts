// From compiled blocks, a chip for each and a wired system to the machine program: timeline, address maps, stamped instructions, symbols, bindings.

import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import type { CoreOp } from "../../ir/graph/core-ops.ts";
import { elementCount, type Graph, type NodeOrigin, type TensorId } from "../../ir/graph/graph.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import {
  type Binding,
  type ChipProgram,
  type Placement,
  type Program,
  type ProgramConstant,
  type ProgramSymbol,
  type Queue,
  type StageInfo,
  type Unit,
  unitName,
} from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Topology } from "../../ir/target/topology.ts";
import { type BlockChain, correspondence } from "../blocks/blocks.ts";
import { storedTypeOf } from "../lower/homes.ts";
import type { Layout } from "../lower/layout.ts";
import { type BorderTensor, borderTensor } from "./borders.ts";
import { partPlacements } from "./boxes.ts";
import {
  type BlockInstance,
  type BorderUse,
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
import { latencyTermsOf } from "./latency-terms.ts";
import { lowerBoundOf } from "./lower-bound.ts";
import { planTimeline, type SystemTimeline } from "./timeline.ts";

export interface AssemblyOptions {
  readonly modelName: string;
  readonly precision: string;
  /** Encoded size of a chip's queues in bytes. */
  readonly textBytesOf: (queues: readonly Queue[]) => number;
  /** At most so many inferences are under way at once; by default as many as the chips can have. */
  readonly inFlight?: number;
}

export interface AssemblyInput {
  readonly graph: Graph;
  readonly target: Target;
  readonly chain: BlockChain;
  readonly compiled: CompiledBlocks;
  /** Chip of every block, ascending. */
  readonly chipOf: readonly number[];
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

/** Border tensors that a chip holds: inputs it reads, results it makes, tensors that arrive; with the cycles during which they are needed. */
function chipBorders(
  input: AssemblyInput,
  timeline: SystemTimeline,
  ordinals: ReadonlyMap<TensorId, number>,
  chip: number,
): Map<string, { tensor: BorderTensor; use: Omit<BorderUse, "part"> }> {
  const { graph, target, chain, chipOf, compiled } = input;
  const found = new Map<
    string,
    { tensor: BorderTensor; use: { from: number; until: number; role: ProgramSymbol["role"]; name: string } }
  >();
  // The host binds a stage's inputs before the stage's window and reads its results after it: with tokens in flight the next token's come later.
  const window = timeline.windows[chip] as { start: number; end: number };
  const graphInputs = new Set(graph.inputs.map((i) => i.tensor));
  const graphOutputs = new Set(graph.outputs.map((o) => o.tensor));
  const add = (id: TensorId, type: StoredType, from: number, until: number): void => {
    const key = `${id}:${type}`;
    const known = found.get(key);
    if (known !== undefined) {
      known.use.from = Math.min(known.use.from, from);
      known.use.until = Math.max(known.use.until, until);
      return;
    }
    const role: ProgramSymbol["role"] = graphInputs.has(id) ? "input" : graphOutputs.has(id) ? "output" : "activation";
    found.set(key, {
      tensor: borderTensor(graph, target, id, type, ordinals.get(id) ?? 0),
      use: { from, until, role, name: graph.tensors[id]?.name ?? "" },
    });
  };
  chain.blocks.forEach((block, i) => {
    if (chipOf[i] !== chip) return;
    const blockClass = compiled.classes[compiled.classOf[i] as number];
    if (blockClass === undefined) return;
    const instance = correspondence(blockClass.first, block);
    const [start, stop] = [timeline.blockStart[i] as number, timeline.blockEnd[i] as number];
    for (const border of [...blockClass.lowered.inputHomes, ...blockClass.lowered.outputHomes]) {
      const id = instance.get(border.tensor) as TensorId;
      const isInput = graphInputs.has(id);
      add(id, border.home.type, isInput ? window.start : start, graphOutputs.has(id) ? window.end : stop);
    }
  });
  for (const hop of timeline.hops) {
    for (const id of hop.tensors) {
      const type = storedTypeOf(graph.tensors[id] as (typeof graph.tensors)[number]);
      if (hop.from === chip) add(id, type, hop.start, hop.start + hop.transfers.cycles);
      if (hop.to === chip) add(id, type, hop.start, hop.start + hop.transfers.cycles);
    }
  }
  return found;
}

export function assembleProgram(input: AssemblyInput, options: AssemblyOptions): Result<Assembled> {
  const { graph, target, chain, compiled, chipOf, topology } = input;
  const ordinals = borderOrdinals(graph, chain);
  const planned = planTimeline(graph, target, chain, compiled, chipOf, topology, ordinals);
  if (!planned.ok) return planned;
  const timeline = planned.value;
  const end = Math.max(0, ...timeline.blockEnd);
  const reader = newConstantReader(graph);
  const origins = originIndex(graph);
  const notes: { kernel: string; origins: readonly number[] }[] = [];
  const symbols: ProgramSymbol[] = [];
  const chips: ChipProgram[] = [];
  const uses: ChipUse[] = [];
  const problems: Diagnostic[] = [];
  const constants = new Map<TensorId, Placement[]>();
  const bordersByChip: Map<string, { tensor: BorderTensor; use: Omit<BorderUse, "part"> }>[] = [];
  let lastWrite = 0;
  for (let chip = 0; chip < topology.chips; chip++) {
    const borders = chipBorders(input, timeline, ordinals, chip);
    bordersByChip.push(borders);
    const instances = chain.blocks.flatMap((block, i): BlockInstance[] => {
      const blockClass = compiled.classes[compiled.classOf[i] as number];
      return chipOf[i] === chip && blockClass !== undefined
        ? [{ block, blockClass, start: timeline.blockStart[i] as number, end: timeline.blockEnd[i] as number }]
        : [];
    });
    const borderUses = [...borders.values()].flatMap(({ tensor, use }) =>
      tensor.parts.map((part): BorderUse => ({ ...use, part })),
    );
    const memory = planChipMemory(target, instances, borderUses, end);
    uses.push({ chip, memory });
    const draft = new Draft();
    draft.add(
      { kind: "control" },
      { op: "deskew", cycle: 0, count: 1, period: 1, note: noteFor(notes, "deskew", []), symbol: -1 },
    );
    const symbolOf = chipSymbols(symbols, chip, target, memory, borderUses, end);
    for (const instance of instances)
      stampBlock(input, draft, instance, memory, symbols, symbolOf, notes, origins, chip, end);
    stampHops(input, draft, timeline, chip, memory, symbolOf, notes);
    for (const instance of instances) collectConstants(input, instance, memory, chip, constants);
    const queues = [...draft.queues.values()]
      .map((queue): Queue => ({ unit: queue.unit, instructions: queue.instructions.sort((a, b) => a.cycle - b.cycle) }))
      .sort((a, b) => (unitName(a.unit) < unitName(b.unit) ? -1 : 1));
    for (const queue of queues) {
      if (queue.unit.kind !== "memWrite") continue;
      for (const write of queue.instructions)
        lastWrite = Math.max(lastWrite, write.cycle + (write.count - 1) * write.period + target.mem.latency.write);
    }
    const textBytes = options.textBytesOf(queues);
    problems.push(...placeText(target, chip, memory, textBytes, symbols, end));
    chips.push({ queues, images: imageSegments(target, graph, memory, reader), laneMaps: draft.laneMaps, textBytes });
  }
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  const latencyCycles = lastWrite === 0 ? 0 : lastWrite + target.verticalRipple;
  const interval = intervalOf(timeline, latencyCycles, options.inFlight);
  const program: Program = {
    modelName: options.modelName,
    target,
    links: topology.links,
    topology: topology.name,
    precision: options.precision,
    chips,
    symbols,
    bindings: makeBindings(graph, bordersByChip, uses),
    graph: programGraph(graph, constants, origins),
    latencyCycles,
    latencyTerms: latencyTermsOf(chain, timeline, latencyCycles),
    initiationIntervalCycles: interval,
    stages: makeStages(input, timeline, uses),
    lowerBound: lowerBoundOf(input, timeline),
    debug: { origins: origins.list, notes },
  };
  return ok({ program, timeline, chips: uses });
}

/** A chip has one inference at a time: the next may start when the busiest chip is done with the one before, or when few enough are under way. */
function intervalOf(timeline: SystemTimeline, latencyCycles: number, inFlight: number | undefined): number {
  const busiest = Math.max(1, ...timeline.windows.map((window) => Math.max(0, window.end - window.start)));
  return inFlight === undefined ? busiest : Math.max(busiest, Math.ceil(latencyCycles / inFlight));
}

function noteFor(
  notes: { kernel: string; origins: readonly number[] }[],
  kernel: string,
  origins: readonly number[],
): number {
  notes.push({ kernel, origins });
  return notes.length - 1;
}

interface OriginIndex {
  readonly list: NodeOrigin[];
  readonly ofNode: (nodeIndex: number) => readonly number[];
}

/** Source nodes in order, and for each core node the ones it comes from. */
function originIndex(graph: Graph): OriginIndex {
  const list: NodeOrigin[] = [];
  const known = new Map<string, number>();
  const ofNode = graph.nodes.map((node) =>
    node.origins.map((origin) => {
      const key = `${origin.index}:${origin.name}`;
      const before = known.get(key);
      if (before !== undefined) return before;
      known.set(key, list.length);
      list.push(origin);
      return list.length - 1;
    }),
  );
  return { list, ofNode: (index) => ofNode[index] ?? [] };
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
  const { target, graph } = input;
  const { block, blockClass, start } = instance;
  const { state } = blockClass.schedule;
  const tensors = correspondence(blockClass.first, block);
  const firstNodes = new Map(
    blockClass.first.nodes.map((node, i) => [node.id as number, block.nodes[i]?.id as number]),
  );
  const noteBase = notes.length;
  for (const note of blockClass.schedule.notes) {
    const from = new Set(
      note.origins.flatMap((id) => origins.ofNode(graph.nodes.findIndex((node) => node.id === firstNodes.get(id)))),
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
      const tensor = tensors.get(storage.boundary.tensor) ?? storage.boundary.tensor;
      return { address, symbol: symbolOf("border", `${tensor}:${storage.type}:${buffer.content.part}`) };
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

function stampHops(
  input: AssemblyInput,
  draft: Draft,
  timeline: SystemTimeline,
  chip: number,
  memory: ChipMemory,
  symbolOf: SymbolOf,
  notes: { kernel: string; origins: readonly number[] }[],
): void {
  for (const hop of timeline.hops) {
    if (hop.from !== chip && hop.to !== chip) continue;
    const note = noteFor(notes, `transfer ${hop.from}->${hop.to}`, []);
    for (const burst of hop.transfers.bursts) {
      if ((burst.side === "from" ? hop.from : hop.to) !== chip) continue;
      const symbol = burst.region === undefined ? -1 : symbolOf("border", burst.region);
      const full = { ...burst.instruction, cycle: burst.instruction.cycle + hop.start, note, symbol } as Instruction;
      if (burst.region !== undefined && "address" in full)
        draft.add(burst.unit, {
          ...full,
          address: full.address + (memory.addresses.get(regionOf.border(burst.region)) ?? 0),
        });
      else draft.add(burst.unit, full);
    }
  }
  void input;
}

/** Placements of constants, from the first chip that holds all of them. */
function collectConstants(
  input: AssemblyInput,
  instance: BlockInstance,
  memory: ChipMemory,
  chip: number,
  constants: Map<TensorId, Placement[]>,
): void {
  const { target, graph } = input;
  const { block, blockClass } = instance;
  const tensors = correspondence(blockClass.first, block);
  const fresh = new Map<TensorId, Map<string, Placement[]>>();
  const add = (id: TensorId, group: string, placements: readonly Placement[]): void => {
    if (constants.has(id)) return;
    const groups = fresh.get(id) ?? new Map<string, Placement[]>();
    groups.set(group, [...(groups.get(group) ?? []), ...placements]);
    fresh.set(id, groups);
  };
  for (const buffer of blockClass.schedule.state.buffers) {
    if (!isPersistent(blockClass, buffer)) continue;
    const address = bufferAddress(memory, blockClass, tensors, buffer);
    if (address === undefined) continue;
    const slices = buffer.slices.map((slice) => ({ hemisphere: buffer.hemisphere, slice }));
    if (buffer.content.kind === "tile") {
      const { tile } = buffer.content;
      if (tile.kind !== "const") continue;
      const id = tensors.get(tile.tile.tensor) as TensorId;
      const shape = graph.tensors[id]?.shape ?? [];
      const mode = target.mxm.modes[tile.mode];
      const type: StoredType =
        tile.mode === "fp16"
          ? "f16"
          : tile.mode === "fp32"
            ? "f32"
            : graph.tensors[id]?.dtype === "uint8"
              ? "u8"
              : "i8";
      add(id, type, [
        tilePlacement(tile.tile, shape, {
          chip,
          type,
          pack: tile.bytes === 1 ? (mode?.tileK ?? target.lanes) : 0,
          slices,
          address,
        }),
      ]);
    } else {
      const storage = storageOfBuffer(blockClass, buffer);
      if (storage?.content?.kind !== "tensor") continue;
      const id = tensors.get(storage.content.tensor) as TensorId;
      const from = buffer.content.part * storage.partVectors;
      add(
        id,
        `${storage.type}:${storage.id}`,
        partPlacements(ownPart(storage.content.layout, graph.tensors[id]?.shape ?? []), from, from + buffer.words, {
          chip,
          type: storage.type,
          pack: 0,
          slices,
          address,
        }),
      );
    }
  }
  for (const [id, groups] of fresh) {
    const total = elementCount(graph.tensors[id]?.shape ?? []);
    const covering = [...groups].filter(
      ([, list]) => list.reduce((n, placement) => n + elementCount(placement.extent), 0) === total,
    );
    const widest = covering.sort(([a], [b]) => (a.startsWith("f16") ? 1 : 0) - (b.startsWith("f16") ? 1 : 0))[0];
    if (widest !== undefined) constants.set(id, widest[1]);
  }
}

/** The layout of a constant without the repetitions of its size-1 dims. */
const ownPart = (layout: Layout, shape: readonly number[]): Layout => ({
  ...layout,
  shape,
  dims: layout.dims.map((digits, d) => (shape[d] === 1 ? [] : digits)),
});

function tilePlacement(
  tile: {
    readonly byRows: boolean;
    readonly batch: number;
    readonly k0: number;
    readonly k: number;
    readonly n0: number;
    readonly rows: number;
  },
  shape: readonly number[],
  where: Pick<Placement, "chip" | "type" | "pack" | "slices" | "address">,
): Placement {
  const rank = shape.length;
  const origin = shape.map(() => 0);
  const extent = shape.map(() => 1);
  let rest = tile.batch;
  for (let d = rank - 3; d >= 0; d--) {
    origin[d] = rest % (shape[d] as number);
    rest = Math.floor(rest / (shape[d] as number));
  }
  const [kDim, nDim] = tile.byRows ? [rank - 1, rank - 2] : [rank - 2, rank - 1];
  origin[kDim] = tile.k0;
  extent[kDim] = tile.k;
  origin[nDim] = tile.n0;
  extent[nDim] = tile.rows;
  const digits = shape.map((_, d) =>
    d === kDim ? [{ size: tile.k, vector: 0, lane: 1 }] : d === nDim ? [{ size: tile.rows, vector: 1, lane: 0 }] : [],
  );
  return { ...where, origin, extent, digits };
}

/** The first few of many names. */
const named = (names: readonly string[]): string =>
  names.length <= 6 ? names.join(", ") : `${names.slice(0, 6).join(", ")} and ${names.length - 6} more`;

/** Program text takes the highest words of every slice. */
function placeText(
  target: Target,
  chip: number,
  memory: ChipMemory,
  textBytes: number,
  symbols: ProgramSymbol[],
  end: number,
): Diagnostic[] {
  const slices = 2 * target.mem.slicesPerHemisphere;
  const words = Math.ceil(textBytes / target.lanes / slices);
  const problems: Diagnostic[] = [];
  let worst: { over: number; use: (typeof memory.uses)[number] } | undefined;
  for (const use of memory.uses) {
    const room = target.mem.wordsPerBank - (use.bank === target.mem.banks - 1 ? words : 0);
    const over = use.words - room;
    if (over > 0 && (worst === undefined || over > worst.over)) worst = { over, use };
  }
  if (worst !== undefined) {
    const { names, bank, words: need, persistentWords } = worst.use;
    const text = bank === target.mem.banks - 1 ? words : 0;
    problems.push(
      diagnostic(
        "LPU4001",
        `chip ${chip}: the fullest of the banks ${named(names)} needs ${need + text} words (weights and constants at most ${persistentWords}, program text ${text}), it has ${target.mem.wordsPerBank}`,
      ),
    );
  }
  const all = [...Array(slices).keys()].map((i) => ({
    hemisphere: i < target.mem.slicesPerHemisphere ? ("W" as const) : ("E" as const),
    slice: i % target.mem.slicesPerHemisphere,
  }));
  if (words > 0)
    symbols.push({
      name: "program text",
      chip,
      role: "text",
      slices: all,
      address: target.mem.banks * target.mem.wordsPerBank - words,
      words,
      from: 0,
      until: end,
    });
  return problems;
}

function makeBindings(
  graph: Graph,
  bordersByChip: readonly ReadonlyMap<string, { tensor: BorderTensor }>[],
  uses: readonly ChipUse[],
): Binding[] {
  const placementsOf = (id: TensorId): Placement[] =>
    bordersByChip.flatMap((borders, chip) =>
      [...borders.values()]
        .filter(({ tensor }) => tensor.tensor === id)
        .flatMap(({ tensor }) =>
          tensor.parts.flatMap((part) => {
            const address = uses[chip]?.memory.addresses.get(regionOf.border(part.region)) ?? 0;
            const slices = Array.from({ length: part.location.width }, (_, i) => ({
              hemisphere: part.location.hemisphere,
              slice: part.location.column * 4 + part.location.sub + i,
            }));
            return partPlacements(
              tensor.layout,
              part.part * tensor.partVectors,
              part.part * tensor.partVectors + part.words,
              { chip, type: tensor.type, pack: 0, slices, address },
            );
          }),
        ),
    );
  const inputs = graph.inputs.map(
    (input): Binding => ({
      name: input.name,
      kind: "input",
      dtype: input.dtype,
      shape: graph.tensors[input.tensor]?.shape ?? [],
      tensor: input.tensor,
      placements: placementsOf(input.tensor),
    }),
  );
  const outputs = graph.outputs.map((output): Binding => {
    const all = placementsOf(output.tensor);
    const first = all[0];
    const placements = all.filter((placement) => placement.chip === first?.chip && placement.type === first.type);
    return {
      name: output.name,
      kind: "output",
      dtype: output.dtype,
      shape: graph.tensors[output.tensor]?.shape ?? [],
      tensor: output.tensor,
      placements,
    };
  });
  return [...inputs, ...outputs];
}

function programGraph(
  graph: Graph,
  constants: ReadonlyMap<TensorId, readonly Placement[]>,
  origins: OriginIndex,
): Program["graph"] {
  const used = new Set<TensorId>([
    ...graph.nodes.flatMap((node) => node.inputs.filter((id): id is TensorId => id !== null)),
    ...graph.outputs.map((output) => output.tensor),
  ]);
  const constantOf = (id: TensorId): ProgramConstant | undefined => {
    const tensor = graph.tensors[id];
    if (tensor?.data === undefined) return undefined;
    const placed = constants.get(id);
    if (placed !== undefined) return { kind: "placed", placements: placed };
    if (!used.has(id)) return { kind: "inline", bytes: new Uint8Array(0) };
    return { kind: "inline", bytes: tensor.data.read().slice() };
  };
  return {
    tensors: graph.tensors.map((tensor) => {
      const constant = constantOf(tensor.id);
      return {
        name: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        ...(constant === undefined ? {} : { constant }),
      };
    }),
    nodes: graph.nodes.map((node, index) => ({
      op: node.op as CoreOp,
      inputs: node.inputs.map((id) => id as number),
      output: node.outputs[0] as number,
      attrs: node.attrs,
      origins: origins.ofNode(index),
    })),
  };
}

function makeStages(input: AssemblyInput, timeline: SystemTimeline, uses: readonly ChipUse[]): StageInfo[] {
  return uses.flatMap(({ chip, memory }) => {
    const layers = input.chain.blocks
      .filter((block) => input.chipOf[block.index] === chip && block.layer !== undefined)
      .map((block) => block.layer as number);
    const mine = input.chain.blocks.filter((block) => input.chipOf[block.index] === chip);
    if (mine.length === 0) return [];
    const window = timeline.windows[chip] as { start: number; end: number };
    const weightBytes = [...memory.persistent.values()].reduce(
      (sum, entry) => sum + entry.buffer.words * entry.buffer.slices.length * input.target.lanes,
      0,
    );
    return [
      {
        chip,
        firstLayer: layers[0] ?? -1,
        lastLayer: layers[layers.length - 1] ?? -1,
        startCycle: window.start,
        endCycle: window.end,
        weightBytes,
      },
    ];
  });
}
