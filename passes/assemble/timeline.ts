// When every block starts on its chips, and which border tensors travel between chips when. One token goes through the stages in order; the chips of a
// stage run the same block at the same time, and exchange what they have to between two blocks.
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Topology } from "../../ir/target/topology.ts";
import { type BlockChain, correspondence } from "../blocks/blocks.ts";
import { storedTypeOf } from "../lower/homes.ts";
import type { StorageId } from "../lower/kernel.ts";
import type { Reservations } from "../schedule/place.ts";
import { mapResources } from "../schedule/resources.ts";
import { partCount } from "../schedule/state.ts";
import { exchangesAfter } from "../shard/order.ts";
import type { Exchange } from "../shard/sharded.ts";
import { type BorderTensor, borderTensor, regionKey } from "./borders.ts";
import { boxRuns } from "./box-copies.ts";
import type { BlockClass, CompiledBlocks } from "./classes.ts";
import { type Busy, type Copy, type CopyEnd, scheduleTransfers, type Transfers } from "./transfer.ts";
import { enter, newWheel, viewFrom } from "./wheel.ts";

/** Transfers that start together. */
export interface Traffic {
  readonly name: string;
  readonly start: number;
  readonly transfers: Transfers;
  /** Cycles between the end of the block before and the end of the transfers. */
  readonly waitCycles: number;
  /** Border tensors that stand on a chip because of it, sources and targets. */
  readonly held: readonly { readonly chip: number; readonly tensor: TensorId }[];
}

export interface SystemTimeline {
  readonly blockStart: readonly number[];
  readonly blockEnd: readonly number[];
  readonly traffic: readonly Traffic[];
  /** Window of each chip: first and last (exclusive) cycle with anything of this token on it. */
  readonly windows: readonly { readonly start: number; readonly end: number }[];
}

/** A plan for inferences that follow one another: how far apart, and how many cycles each set of transfers may take beyond the block before it. */
export interface Flow {
  readonly interval: number;
  readonly waits: readonly number[];
}

/** Places of border tensors: see `borderOrdinals`. */
export type Ordinals = ReadonlyMap<TensorId, number>;

export interface TimelineInput {
  readonly graph: Graph;
  readonly target: Target;
  readonly chain: BlockChain;
  readonly exchanges: readonly Exchange[];
  readonly compiled: CompiledBlocks;
  /** Chips of every block, one for each rank; equal for the blocks of a stage. */
  readonly chipsOf: readonly (readonly number[])[];
  readonly topology: Topology;
}

/** Border tensors that are there after block `last` and that later blocks, or exchanges after them, read. */
export function travelling(
  { graph, chain, exchanges }: Pick<TimelineInput, "graph" | "chain" | "exchanges">,
  last: number,
): TensorId[] {
  const inputs = new Set(graph.inputs.map((input) => input.tensor));
  const made = new Set<TensorId>();
  const wanted = new Set<TensorId>();
  chain.blocks.forEach((block, i) => {
    const after = exchangesAfter(chain, exchanges, i).flatMap((exchange) => exchange.moves);
    if (i <= last) {
      for (const id of block.outputs) made.add(id);
      for (const move of after) made.add(move.target);
      return;
    }
    for (const id of [...block.inputs, ...after.map((move) => move.source)])
      if (made.has(id) && !inputs.has(id)) wanted.add(id);
  });
  return [...wanted];
}

/** The block that ran last, as long as nothing has travelled since. */
interface Running {
  readonly start: number;
  readonly chips: readonly number[];
  readonly blockClass: BlockClass;
  /** Storage and first vector of each part of a border tensor that it makes. */
  readonly outputs: ReadonlyMap<string, { readonly storage: StorageId; readonly first: number }>;
}

interface Draft {
  readonly input: TimelineInput;
  readonly place: Place;
  readonly borders: (id: TensorId) => BorderTensor;
  readonly traffic: Traffic[];
  readonly windows: { start: number; end: number }[];
  cycle: number;
  running: Running | undefined;
}

function touch(draft: Draft, chip: number, start: number, end: number): void {
  const window = draft.windows[chip] as { start: number; end: number };
  window.start = Math.min(window.start, start);
  window.end = Math.max(window.end, end);
}

/** Copies of border tensors that are to be scheduled together. */
interface Task {
  readonly copies: readonly Copy[];
  /** First cycle of the block before them, beside which they may begin, and its end: copies and their answer count from the first. */
  readonly origin: number;
  readonly blockCycles: number;
  readonly busy: Busy;
  /** Which of all sets of transfers this is. */
  readonly index: number;
  /** They go to the next stage, not between the chips of one. */
  readonly isHop: boolean;
}

/** Gives transfers, and the cycles that they may take from the origin on where that is planned. */
type Place = (task: Task) => { readonly transfers: Transfers; readonly room?: number };

/** Transfers begin while the block before them is still at work, as its results become readable and its chips have time for them. */
function addTraffic(draft: Draft, name: string, copies: readonly Copy[], held: Traffic["held"], isHop: boolean): void {
  if (copies.length === 0) return;
  const { running } = draft;
  const busy = new Map(running?.chips.map((chip) => [chip, running.blockClass.schedule.state.reservations] as const));
  const ready = running === undefined ? copies : copies.map((copy) => ({ ...copy, ready: readyIn(running, copy) }));
  const origin = running?.start ?? draft.cycle;
  const blockCycles = draft.cycle - origin;
  const index = draft.traffic.length;
  const { transfers, room } = draft.place({ copies: ready, origin, blockCycles, busy, index, isHop });
  draft.running = undefined;
  const end = origin + (room ?? Math.max(blockCycles, transfers.cycles));
  draft.traffic.push({ name, start: origin, transfers, held, waitCycles: end - draft.cycle });
  for (const [chip, window] of transfers.windows) touch(draft, chip, origin + window.start, origin + window.end);
  draft.cycle = end;
}

/** How often it is tried to let transfers begin later. */
const LATER_TRIES = 5;

/**
 * Transfers that are done as soon as can be, or in `room` cycles, and begin as late as that allows: what is there early would only keep the next chip's
 * memory from holding another inference's.
 */
function placeLate(
  { target, topology }: TimelineInput,
  { copies, isHop }: Task,
  busy: Busy,
  room: number,
  longest?: number,
): Transfers {
  const from = (floor: number): Transfers =>
    scheduleTransfers(
      target,
      topology,
      copies.map((copy) => ({ ...copy, ready: Math.max(copy.ready, floor) })),
      busy,
      longest,
    );
  let best = from(0);
  if (!isHop) return best;
  const limit = Math.max(best.cycles, room);
  let low = Math.min(...copies.map(({ ready }) => ready));
  let high = Math.max(...copies.map(({ ready }) => ready));
  for (let i = 0; i < LATER_TRIES && low < high; i++) {
    // The first try is the whole way: often all can wait for the last.
    const floor = i === 0 ? high : Math.ceil((low + high) / 2);
    const tried = from(floor);
    if (tried.cycles <= limit) {
      best = tried;
      low = floor;
    } else high = floor - 1;
  }
  return best;
}

/** Cycle of a running block from which the words of a copy may be read. */
function readyIn({ blockClass, outputs }: Running, { source, words }: Copy): number {
  const made = outputs.get(source.region);
  if (made === undefined) return 0;
  const ready = blockClass.schedule.state.ready[made.storage];
  let latest = 0;
  for (let i = 0; i < words; i++) latest = Math.max(latest, ready?.[made.first + source.offset + i] ?? 0);
  return latest;
}

/** A block and where it makes the parts of its border tensors. */
function runningBlock(input: TimelineInput, index: number, start: number): Running | undefined {
  const block = input.chain.blocks[index];
  const blockClass = input.compiled.classes[input.compiled.classOf[index] as number];
  if (block === undefined || blockClass === undefined) return undefined;
  const instance = correspondence(blockClass.first, block);
  const outputs = new Map<string, { storage: StorageId; first: number }>();
  for (const { tensor, home } of blockClass.lowered.outputHomes) {
    const storage = blockClass.schedule.state.storages[home.storage];
    for (let part = 0; storage !== undefined && part < partCount(storage); part++) {
      const region = regionKey(instance.get(tensor) as TensorId, home.type, part);
      outputs.set(region, { storage: home.storage, first: part * storage.partVectors });
    }
  }
  return { start, chips: input.chipsOf[index] as readonly number[], blockClass, outputs };
}

/** Copies of border tensors from every chip of a stage to the chip of its rank in the next. */
export function copiesOn(
  tensors: readonly BorderTensor[],
  from: readonly number[],
  to: readonly number[],
): readonly Copy[] {
  return tensors.flatMap(({ parts }) =>
    parts.flatMap((part) =>
      from.map((chip, rank): Copy => {
        const place = { region: part.region, location: part.location, offset: 0 };
        return {
          source: { ...place, chip },
          targets: [{ ...place, chip: to[rank] as number }],
          words: part.words,
          ready: 0,
        };
      }),
    ),
  );
}

/** Everything later stages need goes on, rank by rank. */
function moveOn(draft: Draft, last: number, from: readonly number[], to: readonly number[]): void {
  const tensors = travelling(draft.input, last);
  const held = tensors.flatMap((tensor) => [...from, ...to].map((chip) => ({ chip, tensor })));
  addTraffic(draft, "transfer", copiesOn(tensors.map(draft.borders), from, to), held, true);
}

/** Runs from one place to several become one copy with several targets. */
function joinTargets(runs: readonly { source: CopyEnd; target: CopyEnd; words: number }[]): Copy[] {
  const copies = new Map<string, { source: CopyEnd; targets: CopyEnd[]; words: number; ready: number }>();
  for (const { source, target, words } of runs) {
    const key = `${source.chip}:${source.region}:${source.offset}:${words}`;
    const known = copies.get(key);
    if (known === undefined) copies.set(key, { source, targets: [target], words, ready: 0 });
    else known.targets.push(target);
  }
  return [...copies.values()];
}

/** Copies that exchanges between the chips of a stage take. */
export function exchangeCopies(
  exchanges: readonly Exchange[],
  borders: (id: TensorId) => BorderTensor,
  chips: readonly number[],
): readonly Copy[] {
  const runs = exchanges.flatMap(({ moves }) =>
    moves.flatMap((move) => {
      const [from, to] = [chips[move.from] as number, chips[move.to] as number];
      return boxRuns(borders(move.source), borders(move.target), move, from, to);
    }),
  );
  return joinTargets(runs);
}

function exchange(draft: Draft, exchanges: readonly Exchange[], chips: readonly number[]): void {
  const held = new Map<string, { chip: number; tensor: TensorId }>();
  for (const { from, to, source, target } of exchanges.flatMap(({ moves }) => moves)) {
    for (const [rank, tensor] of [[from, source] as const, [to, target] as const])
      held.set(`${rank}:${tensor}`, { chip: chips[rank] as number, tensor });
  }
  const kinds = [...new Set(exchanges.map(({ kind }) => kind))].join("+");
  addTraffic(draft, kinds, exchangeCopies(exchanges, draft.borders, chips), [...held.values()], false);
}

/** Border tensors by id, each made once. */
export function borderTensors(graph: Graph, target: Target, ordinals: Ordinals): (id: TensorId) => BorderTensor {
  const known = new Map<TensorId, BorderTensor>();
  return (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const type = storedTypeOf(graph.tensors[id] as (typeof graph.tensors)[number]);
    const made = borderTensor(graph, target, id, type, ordinals.get(id) ?? 0);
    known.set(id, made);
    return made;
  };
}

/** Blocks and the transfers between them, one after another. */
function follow(input: TimelineInput, borders: Draft["borders"], place: Place): SystemTimeline {
  const { chain, compiled, chipsOf, topology, exchanges } = input;
  const draft: Draft = {
    input,
    place,
    borders,
    traffic: [],
    windows: Array.from({ length: topology.chips }, () => ({ start: Number.MAX_SAFE_INTEGER, end: 0 })),
    cycle: 0,
    running: undefined,
  };
  const blockStart: number[] = [];
  const blockEnd: number[] = [];
  chain.blocks.forEach((_, i) => {
    const chips = chipsOf[i] as readonly number[];
    const before = i === 0 ? chips : (chipsOf[i - 1] as readonly number[]);
    if (chips[0] !== before[0]) moveOn(draft, i - 1, before, chips);
    const length = compiled.classes[compiled.classOf[i] as number]?.cycles ?? 0;
    draft.running = runningBlock(input, i, draft.cycle);
    blockStart.push(draft.cycle);
    blockEnd.push(draft.cycle + length);
    for (const chip of chips) touch(draft, chip, draft.cycle, draft.cycle + length);
    draft.cycle += length;
    exchange(draft, exchangesAfter(chain, exchanges, i), chips);
  });
  return { blockStart, blockEnd, traffic: draft.traffic, windows: draft.windows };
}

/** One inference by itself, as fast as it goes. */
export function planTimeline(input: TimelineInput, ordinals: Ordinals): SystemTimeline {
  const borders = borderTensors(input.graph, input.target, ordinals);
  return follow(input, borders, (task) => ({ transfers: placeLate(input, task, task.busy, 0) }));
}

/** Vectors of a piece that is to fit between what other inferences do. */
const SHORT_PIECE = 16;

const noTransfers: Transfers = {
  bursts: [],
  cycles: 0,
  windows: new Map(),
  stopovers: [],
  reservations: new Map(),
  vectors: 0,
  busiest: 0,
};

/**
 * One of many inferences that follow one another: transfers find what blocks and transfers of the others leave them. Gives the waits that would do for
 * each set of transfers besides, which are more than the plan's where these do not.
 */
export function planFlow(
  input: TimelineInput,
  ordinals: Ordinals,
  { interval, waits }: Flow,
): { readonly timeline: SystemTimeline; readonly waits: readonly number[] } {
  const { target, compiled, chain, chipsOf, graph } = input;
  const borders = borderTensors(graph, target, ordinals);
  const roomOf = ({ index, blockCycles }: Task): number => blockCycles + (waits[index] ?? 0);
  const planned = follow(input, borders, (task) => ({ transfers: noTransfers, room: roomOf(task) }));
  const wheel = newWheel(interval, mapResources(target).count);
  chain.blocks.forEach((_, i) => {
    const reservations = compiled.classes[compiled.classOf[i] as number]?.schedule.state.reservations;
    for (const chip of chipsOf[i] ?? [])
      if (reservations !== undefined) enter(wheel, chip, reservations, planned.blockStart[i] as number);
  });
  const needed = [...waits];
  const timeline = follow(input, borders, (task) => {
    const { origin, blockCycles, index } = task;
    const room = roomOf(task);
    const views = new Map<number, Reservations>();
    const view = (chip: number): Reservations => {
      const seen = views.get(chip) ?? viewFrom(wheel, chip, origin, room + 2 * interval);
      views.set(chip, seen);
      return seen;
    };
    const transfers = placeLate(input, task, { get: view }, room, SHORT_PIECE);
    for (const [chip, reservations] of transfers.reservations) enter(wheel, chip, reservations, origin);
    needed[index] = Math.max(waits[index] ?? 0, transfers.cycles - blockCycles);
    return { transfers, room };
  });
  return { timeline, waits: needed };
}
