// What each block costs on its chip, as the chain problem that `passes/partition` solves: cycles, bytes, and the transfers at each border
// as they will really be scheduled. Decides nothing.
import type { TensorId } from "../../ir/graph/graph.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Topology } from "../../ir/target/topology.ts";
import type { BorderTensor } from "../assemble/borders.ts";
import { isPersistent, persistentKey, storageOfBuffer } from "../assemble/chip-memory.ts";
import { type BlockClass, borderOrdinals, type CompiledBlocks } from "../assemble/classes.ts";
import { borderTensors, copiesOn, exchangeCopies, travelling } from "../assemble/timeline.ts";
import { type Copy, scheduleTransfers, type Transfers } from "../assemble/transfer.ts";
import { type BlockChain, correspondence } from "../blocks/blocks.ts";
import { type ChainLayer, type ChainProblem, plainChain } from "../partition/problem.ts";
import { exchangesAfter } from "../shard/order.ts";
import type { ShardedGraph } from "../shard/sharded.ts";
import type { GraphDemand } from "./demand.ts";
import { type StageBorders, stageBorders } from "./uneven-borders.ts";

export type CompiledChain = {
  readonly sharded: ShardedGraph;
  readonly target: Target;
  readonly chain: BlockChain;
  readonly compiled: CompiledBlocks;
};

export function chipCapacityBytes(target: Target): number {
  return sliceCount(target) * wordsPerSlice(target) * target.lanes;
}

/** Without pins and cuts. Its chips are the stages: all the chips of one do the same, at the same time. */
export function chainProblem(input: CompiledChain, topology: Topology): ChainProblem {
  const { chain, compiled, target, sharded } = input;
  const { transfers: borders, uneven } = borderTransfers(input, topology);
  const exchanges = exchangeCycles(input, topology);
  const weights = firstUses(input);
  const [sender, receiver] = [uneven.quickest * sharded.ways, (uneven.quickest + 1) * sharded.ways];
  const liveOfClass = compiled.classes.map((blockClass) => liveBytes(blockClass, target));
  const layers = chain.blocks.map((block, i): ChainLayer => {
    const index = compiled.classOf[i] ?? 0;
    const [before, after] = [borders[i - 1], borders[i]];
    return {
      name: block.layer === undefined ? `block ${i}` : `layer ${block.layer}`,
      boundaryBytes: (after?.vectors ?? 0) * target.lanes,
      costs: [
        {
          collectiveCycles: exchanges[i] ?? 0,
          computeCycles: compiled.classes[index]?.cycles ?? 0,
          weightBytes: weights[i] ?? 0,
          stateBytes: 0,
          activationBytes: liveOfClass[index] ?? 0,
          receiveBusyCycles: before === undefined ? 0 : before.cycles - (before.windows.get(receiver)?.start ?? 0),
          sendBusyCycles: after?.windows.get(sender)?.end ?? 0,
          sendLatencyCycles: after?.cycles ?? 0,
        },
      ],
    };
  });
  const capacityBytes = chipCapacityBytes(target);
  const chips = Math.floor(topology.chips / sharded.ways);
  // A chip's window of one token holds what it receives, computes and sends, one after another.
  const free = { layers, degrees: [1], chips, capacityBytes, transfer: "serial", cutAfter: [], pins: [] } as const;
  return uneven.borders === undefined ? free : { ...free, borders: uneven.borders };
}

/** Schedules transfers, the same ones only once. */
function transferCosts({ target }: CompiledChain, topology: Topology): (copies: readonly Copy[]) => Transfers {
  const known = new Map<string, Transfers>();
  return (copies) => {
    const key = JSON.stringify(
      copies.map(({ source, targets, words }) => [
        words,
        [source, ...targets].map(({ chip, location, offset }) => [chip, location, offset]),
      ]),
    );
    const transfers = known.get(key) ?? scheduleTransfers(target, topology, copies);
    known.set(key, transfers);
    return transfers;
  };
}

const stageChips = (ways: number, stage: number): number[] =>
  Array.from({ length: ways }, (_, rank) => stage * ways + rank);

type Borders = { readonly transfers: readonly Transfers[]; readonly uneven: StageBorders };

/** The transfers at each border, if the pipeline is cut there and goes on with the next chips over the quickest links between stages. */
function borderTransfers(input: CompiledChain, topology: Topology): Borders {
  const { sharded, target, chain } = input;
  const { graph, exchanges, ways } = sharded;
  if (topology.chips < 2 * ways) return { transfers: [], uneven: { quickest: 0, borders: undefined } };
  const borders = borderTensors(graph, target, borderOrdinals(sharded, chain));
  const costOf = transferCosts(input, topology);
  const crossing = chain.blocks
    .slice(0, -1)
    .map((_, border) => travelling({ graph, chain, exchanges }, border).map(borders));
  const copies = (stage: number, tensors: readonly BorderTensor[]): readonly Copy[] =>
    copiesOn(tensors, stageChips(ways, stage), stageChips(ways, stage + 1));
  const words = (tensors: readonly BorderTensor[]): number =>
    copies(0, tensors).reduce((sum, copy) => sum + copy.words, 0);
  const sizes = crossing.map(words);
  const widest = crossing[sizes.indexOf(Math.max(...sizes))] ?? [];
  const uneven = stageBorders(topology, ways, (stage) => copies(stage, widest), costOf);
  return { transfers: crossing.map((tensors) => costOf(copies(uneven.quickest, tensors))), uneven };
}

/** Cycles of the exchanges after each block. */
function exchangeCycles(input: CompiledChain, topology: Topology): readonly number[] {
  const { sharded, target, chain } = input;
  const { graph, exchanges, ways } = sharded;
  if (exchanges.length === 0) return [];
  const borders = borderTensors(graph, target, borderOrdinals(sharded, chain));
  const costOf = transferCosts(input, topology);
  return chain.blocks.map((_, i) => {
    const copies = exchangeCopies(exchangesAfter(chain, exchanges, i), borders, stageChips(ways, 0));
    return copies.length === 0 ? 0 : costOf(copies).cycles;
  });
}

/** Bytes of constants of each block that no block before it has: what blocks share, a chip holds once. */
function firstUses({ chain, compiled, target }: CompiledChain): readonly number[] {
  const known = new Set<string>();
  return chain.blocks.map((block, i) => {
    const blockClass = compiled.classes[compiled.classOf[i] ?? 0];
    if (blockClass === undefined) return 0;
    const tensors = correspondence(blockClass.first, block);
    let bytes = 0;
    for (const buffer of blockClass.schedule.state.buffers) {
      if (!isPersistent(blockClass, buffer)) continue;
      const key = persistentKey(blockClass, buffer, tensors);
      if (known.has(key)) continue;
      known.add(key);
      bytes += buffer.words * buffer.slices.length * target.lanes;
    }
    return bytes;
  });
}

/** The most bytes of a block's results that are live at once. */
function liveBytes(blockClass: BlockClass, target: Target): number {
  const events: { readonly cycle: number; readonly bytes: number }[] = [];
  for (const buffer of blockClass.schedule.state.buffers) {
    if (isPersistent(blockClass, buffer) || storageOfBuffer(blockClass, buffer)?.boundary !== undefined) continue;
    if (buffer.lastRead < buffer.firstWrite) continue;
    const bytes = buffer.words * buffer.slices.length * target.lanes;
    events.push({ cycle: buffer.firstWrite, bytes }, { cycle: buffer.lastRead + 1, bytes: -bytes });
  }
  events.sort((a, b) => a.cycle - b.cycle || a.bytes - b.bytes);
  let [now, most] = [0, 0];
  for (const { bytes } of events) {
    now += bytes;
    most = Math.max(most, now);
  }
  return most;
}

/** Before anything is scheduled: the blocks by the bytes of their constants alone, each constant once. */
export function weightChain(chain: BlockChain, demand: GraphDemand, target: Target, chips: number): ChainProblem {
  const known = new Set<TensorId>();
  const weightBytes = chain.blocks.map(({ constants }) => {
    const fresh = constants.filter((id) => !known.has(id));
    for (const id of fresh) known.add(id);
    return fresh.reduce((sum, id) => sum + (demand.weightBytesOf.get(id) ?? 0), 0);
  });
  const computeCycles = weightBytes.map(() => 1);
  return plainChain({ computeCycles, weightBytes, chips, capacityBytes: chipCapacityBytes(target) });
}
