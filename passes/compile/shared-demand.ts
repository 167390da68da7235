// What each chip of a group would hold if groups shared every layer: by the sharing that would really be made, weights that cannot be cut included.
import type { Graph } from "../../ir/graph/graph.ts";
import type { Target, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology } from "../../ir/target/topology.ts";
import { fewestChips } from "../partition/solve.ts";
import { chipCapacityBytes, weightChain } from "./chain-costs.ts";
import { graphDemand } from "./demand.ts";
import type { SharedDemand } from "./does-not-fit.ts";
import { freePlacement } from "./placement.ts";
import { cutBlocks, halfOnAllRanks } from "./prepare.ts";
import { shardFor } from "./shards.ts";

const degrees: readonly number[] = [2, 4, 8, 16, 32, 64];

/** The smallest groups that hold the largest part, or those that leave least of it on a chip; undefined where nothing can be shared. */
export function sharedDemand(
  model: Graph,
  target: Target,
  spec: TopologySpec,
  countsResults: boolean,
): SharedDemand | undefined {
  let best: SharedDemand | undefined;
  for (const ways of degrees) {
    const found = demandOf(model, target, spec, ways, countsResults);
    if (found === undefined) continue;
    if (best === undefined || found.largestPartBytes < best.largestPartBytes) best = found;
    if (found.largestPartBytes <= chipCapacityBytes(target)) break;
  }
  return best;
}

function demandOf(
  model: Graph,
  target: Target,
  spec: TopologySpec,
  ways: number,
  countsResults: boolean,
): SharedDemand | undefined {
  const topology = buildTopology(spec, target.link, ways);
  if (!topology.ok) return undefined;
  const shared = shardFor(model, target, topology.value, ways);
  if (!shared.ok) return undefined;
  const cut = cutBlocks(shared.value, freePlacement);
  if (!cut.ok) return undefined;
  const demand = graphDemand(shared.value.graph, halfOnAllRanks(model, shared.value, target));
  const results = countsResults ? demand.liveBytes : 0;
  const capacityBytes = Math.max(0, chipCapacityBytes(target) - results);
  const chain = { ...weightChain(cut.value.chain, demand, target, 1), capacityBytes };
  const part = Math.max(0, ...chain.layers.map(({ costs }) => costs[0]?.weightBytes ?? 0));
  const stages = fewestChips(chain);
  return {
    ways,
    largestPartBytes: part + results,
    chipsNeeded: typeof stages === "number" ? stages * ways : undefined,
  };
}
