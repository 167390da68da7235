// When every block starts on its chip and which border tensors travel between chips when. One token goes through the chips in order.
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { linksBetween, shortestRoute, type Topology } from "../../ir/target/topology.ts";
import type { BlockChain } from "../blocks/blocks.ts";
import { storedTypeOf } from "../lower/homes.ts";
import { borderTensor } from "./borders.ts";
import type { CompiledBlocks } from "./classes.ts";
import { scheduleTransfers, type TransferPart, type Transfers } from "./transfer.ts";

export interface Hop {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly transfers: Transfers;
  readonly tensors: readonly TensorId[];
}

export interface SystemTimeline {
  readonly blockStart: readonly number[];
  readonly blockEnd: readonly number[];
  readonly hops: readonly Hop[];
  /** Window of each chip: first and last (exclusive) cycle with anything of this token on it. */
  readonly windows: readonly { readonly start: number; readonly end: number }[];
}

/** Border tensors computed on chips up to `chip` that blocks on later chips read. */
export function travelling(graph: Graph, chain: BlockChain, chipOf: readonly number[], chip: number): TensorId[] {
  const inputs = new Set(graph.inputs.map((input) => input.tensor));
  const made = new Set(
    chain.blocks.filter((block) => (chipOf[block.index] as number) <= chip).flatMap((block) => block.outputs),
  );
  const wanted = new Set<TensorId>();
  for (const block of chain.blocks) {
    if ((chipOf[block.index] as number) <= chip) continue;
    for (const id of block.inputs) if (made.has(id) && !inputs.has(id)) wanted.add(id);
  }
  return [...wanted];
}

export function transferParts(
  graph: Graph,
  target: Target,
  tensors: readonly TensorId[],
  ordinals: ReadonlyMap<TensorId, number>,
): readonly TransferPart[] {
  return tensors.flatMap((id) => {
    const type = storedTypeOf(graph.tensors[id] as (typeof graph.tensors)[number]);
    return borderTensor(graph, target, id, type, ordinals.get(id) ?? 0).parts.map(({ region, location, words }) => {
      return { region, location, words, ready: 0 };
    });
  });
}

export function planTimeline(
  graph: Graph,
  target: Target,
  chain: BlockChain,
  compiled: CompiledBlocks,
  chipOf: readonly number[],
  topology: Topology,
  ordinals: ReadonlyMap<TensorId, number>,
): Result<SystemTimeline> {
  const blockStart: number[] = [];
  const blockEnd: number[] = [];
  const hops: Hop[] = [];
  const windows = Array.from({ length: topology.chips }, () => ({ start: Number.MAX_SAFE_INTEGER, end: 0 }));
  const touch = (chip: number, start: number, end: number): void => {
    const window = windows[chip] as { start: number; end: number };
    window.start = Math.min(window.start, start);
    window.end = Math.max(window.end, end);
  };
  const problems: Diagnostic[] = [];
  let cycle = 0;
  chain.blocks.forEach((_, i) => {
    const chip = chipOf[i] as number;
    const before = i === 0 ? chip : (chipOf[i - 1] as number);
    if (chip !== before) {
      const route = shortestRoute(topology, before, chip);
      const tensors = travelling(graph, chain, chipOf, before);
      for (let h = 0; h + 1 < route.length; h++) {
        const [from, to] = [route[h] as number, route[h + 1] as number];
        const links = linksBetween(topology, from, to).flatMap((index) => topology.links[index] ?? []);
        const parts = transferParts(graph, target, tensors, ordinals);
        const transfers = scheduleTransfers(target, links, parts);
        hops.push({ from, to, start: cycle, transfers, tensors });
        touch(from, cycle, cycle + transfers.senderCycles);
        touch(to, cycle + Math.min(transfers.firstReceive, transfers.cycles), cycle + transfers.cycles);
        cycle += transfers.cycles;
      }
    }
    const length = compiled.classes[compiled.classOf[i] as number]?.cycles ?? 0;
    blockStart.push(cycle);
    blockEnd.push(cycle + length);
    touch(chip, cycle, cycle + length);
    cycle += length;
  });
  if (problems.length > 0) return fail(...problems);
  return ok({ blockStart, blockEnd, hops, windows });
}
