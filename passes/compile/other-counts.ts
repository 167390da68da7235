// What other numbers of chips would give: the same scheduled blocks placed on more chips, timed to the cycle, without addresses or programs.
import type { TopologySpec } from "../../ir/target/target.ts";
import { buildTopology } from "../../ir/target/topology.ts";
import { borderOrdinals } from "../assemble/classes.ts";
import { busiestCycles, latencyFromEnd } from "../assemble/latency-terms.ts";
import { planTimeline } from "../assemble/timeline.ts";
import { type CompiledChain, chainProblem } from "./chain-costs.ts";
import { placeBlocks } from "./place.ts";
import type { ResolvedPlacement } from "./placement.ts";

export interface OtherCount {
  readonly chips: number;
  readonly latencyCycles: number;
  readonly initiationIntervalCycles: number;
}

/** Every number up to so many more stages is timed; beyond, every power of two. */
const MOST_MORE = 16;

function countsAbove(stages: number, blocks: number): readonly number[] {
  const counts = Array.from({ length: MOST_MORE }, (_, i) => stages + 1 + i);
  for (let count = 32; count <= blocks; count *= 2) if (count > stages + MOST_MORE) counts.push(count);
  return counts.filter((count) => count <= blocks);
}

/** Numbers of chips that make more than `stages` stages; `endCycles` is the end term of the latency, which does not depend on them. */
export function otherCounts(
  work: CompiledChain & { readonly resolved: ResolvedPlacement },
  spec: TopologySpec,
  stages: number,
  endCycles: number,
): readonly OtherCount[] {
  const { sharded, target, chain, compiled, resolved } = work;
  const { graph, exchanges, ways } = sharded;
  const ordinals = borderOrdinals(graph, chain, exchanges);
  return countsAbove(stages, chain.blocks.length).flatMap((count): OtherCount[] => {
    const topology = buildTopology(spec, target.link, count * ways);
    if (!topology.ok) return [];
    const placed = placeBlocks(chainProblem(work, topology.value), chain, resolved, ways);
    if (placed.kind !== "placed" || new Set(placed.stageOf).size < count) return [];
    const chipsOf = placed.stageOf.map((stage) => Array.from({ length: ways }, (_, rank) => stage * ways + rank));
    const input = { graph, exchanges, target, chain, compiled, chipsOf, topology: topology.value };
    const timeline = planTimeline(input, ordinals);
    const latencyCycles = latencyFromEnd(timeline, endCycles);
    return [{ chips: count * ways, latencyCycles, initiationIntervalCycles: busiestCycles(timeline) }];
  });
}
