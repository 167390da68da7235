// What other numbers of chips would give: the same scheduled blocks placed on more chips, timed to the cycle, without addresses or programs.
import type { TopologySpec } from "../../ir/target/target.ts";
import { buildTopology } from "../../ir/target/topology.ts";
import { busiestCycles, latencyFromEnd } from "../assemble/latency-terms.ts";
import type { CompiledChain } from "./chain-costs.ts";
import type { ResolvedPlacement } from "./placement.ts";
import { timelineOn } from "./predict.ts";

/** For one inference by itself: a program may have a shorter interval, and then a little more latency. */
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
  const { target, chain } = work;
  const { ways } = work.sharded;
  return countsAbove(stages, chain.blocks.length).flatMap((count): OtherCount[] => {
    const topology = buildTopology(spec, target.link, count * ways);
    if (!topology.ok) return [];
    const found = timelineOn(work, topology.value);
    if (found === undefined || found.stages < count) return [];
    const { timeline } = found;
    const latencyCycles = latencyFromEnd(timeline, endCycles);
    return [{ chips: count * ways, latencyCycles, initiationIntervalCycles: busiestCycles(timeline) }];
  });
}
