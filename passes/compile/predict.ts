// What scheduled blocks would give on so many chips: placed by the partition solver and timed to the cycle, without addresses or programs.
import { buildTopology, type Topology } from "../../ir/target/topology.ts";
import { borderOrdinals } from "../assemble/classes.ts";
import { busiestCycles } from "../assemble/latency-terms.ts";
import { planTimeline, type SystemTimeline } from "../assemble/timeline.ts";
import { weightColumns } from "../schedule/state.ts";
import { type CompiledChain, chainProblem, chipCapacityBytes } from "./chain-costs.ts";
import type { CompileOptions } from "./compile.ts";
import { placeBlocks } from "./place.ts";
import type { ResolvedPlacement } from "./placement.ts";
import { columnsHold, type Prepared } from "./prepare.ts";
import { isStopped } from "./stopped.ts";

export type Prediction = {
  /** Without what the last block's results take to be written. */
  readonly latencyCycles: number;
  readonly intervalCycles: number;
};

/** Undefined where blocks do not fit, or cannot be placed as was asked. */
export function timelineOn(
  work: CompiledChain & { readonly resolved: ResolvedPlacement },
  topology: Topology,
): { readonly timeline: SystemTimeline; readonly stages: number } | undefined {
  const { sharded, target, chain, compiled, resolved } = work;
  const { graph, exchanges, ways } = sharded;
  const placed = placeBlocks(chainProblem(work, topology), chain, resolved, ways);
  if (placed.kind !== "placed") return undefined;
  const chipsOf = placed.stageOf.map((stage) => Array.from({ length: ways }, (_, rank) => stage * ways + rank));
  const input = { graph, exchanges, target, chain, compiled, chipsOf, topology };
  const timeline = planTimeline(input, borderOrdinals(sharded, chain));
  return { timeline, stages: new Set(placed.stageOf).size };
}

/** `none`: the chips do not hold it, by bytes; `stopped`: the observer ended the compilation. */
export function predictOn(
  { work, demand, blocksWith }: Prepared,
  options: CompileOptions & { readonly chips: number },
): Prediction | "none" | "stopped" {
  const { target } = work;
  const topology = buildTopology(options.topology ?? target.topology, target.link, options.chips);
  if (!topology.ok) return "none";
  const stages = Math.floor(options.chips / work.sharded.ways);
  if (demand.weightBytes > stages * chipCapacityBytes(target)) return "none";
  for (const columns of weightColumns) {
    if (!columnsHold(target, columns, demand.weightBytes / (stages * work.sharded.ways))) continue;
    const compiled = blocksWith(columns);
    if (!compiled.ok) return isStopped(compiled) ? "stopped" : "none";
    const found = timelineOn({ ...work, compiled: compiled.value }, topology.value);
    if (found === undefined) continue;
    const { timeline } = found;
    return { latencyCycles: Math.max(0, ...timeline.blockEnd), intervalCycles: busiestCycles(timeline) };
  }
  return "none";
}
