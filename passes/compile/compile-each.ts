// The same model for several numbers of chips: scheduled once, placed and assembled for each, so that people can choose.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { buildTopology } from "../../ir/target/topology.ts";
import { type CompiledBlocks, lowerBlocks, scheduleBlocks } from "../assemble/classes.ts";
import type { BlockChain } from "../blocks/blocks.ts";
import type { WeightColumns } from "../schedule/state.ts";
import { type Attempt, type Compiled, type CompileOptions, tryCounts } from "./compile.ts";
import { graphDemand } from "./demand.ts";
import { finerCuts } from "./finer-cuts.ts";
import { freePlacement } from "./placement.ts";
import { cutBlocks, halfOnAllRanks, type Work } from "./prepare.ts";
import { shardFor } from "./shards.ts";

export type EachCount<T> = {
  readonly chips: number;
  readonly outcome: { readonly fits: true; readonly made: T } | { readonly fits: false; readonly reason: string };
};

/** Rows of a table without a number of chips: all up to here, then fewer and fewer. */
const EVERY_COUNT_TO = 12;

/** Numbers of chips worth trying for a model of so many parts, which more chips than parts cannot use. */
function usualCounts(parts: number): readonly number[] {
  const counts: number[] = [];
  for (let chips = 1; chips < parts; chips = chips < EVERY_COUNT_TO ? chips + 1 : Math.ceil(chips * 1.25))
    counts.push(chips);
  return [...counts, Math.max(1, parts)];
}

/** `summarise` is given each program in turn, so that only one has to be held. */
export function compileEach<T>(
  graph: Graph,
  target: Target,
  options: CompileOptions,
  counts: readonly number[] | undefined,
  summarise: (compiled: Compiled) => T,
): Result<readonly EachCount<T>[]> {
  const ways = typeof options.tensorParallel === "number" ? options.tensorParallel : 1;
  const group = buildTopology(options.topology ?? target.topology, target.link, ways);
  if (!group.ok) return group;
  options.onStage?.("shard");
  const shared = shardFor(graph, target, group.value, ways);
  if (!shared.ok) return shared;
  const sharded = shared.value;
  options.onStage?.("blocks");
  const halfTables = halfOnAllRanks(graph, sharded, target);
  const demand = graphDemand(sharded.graph, halfTables);
  const refine = (chain: BlockChain): readonly number[] => (ways === 1 ? finerCuts(graph, chain, demand, target) : []);
  const cut = cutBlocks(sharded, options.placement ?? freePlacement, true, refine);
  if (!cut.ok) return cut;
  const work: Work = { model: graph, sharded, target, options, ...cut.value };
  options.onStage?.("lower");
  const lowered = lowerBlocks(sharded, work.chain, target, halfTables, options.without);
  const scheduled = new Map<WeightColumns, Result<CompiledBlocks>>();
  const blocksWith = (weights: WeightColumns): Result<CompiledBlocks> => {
    const known = scheduled.get(weights);
    if (known === undefined) options.onStage?.("schedule");
    const blocks = known ?? scheduleBlocks(lowered, target, { weights, effort: options.effort ?? 1 });
    scheduled.set(weights, blocks);
    return blocks;
  };
  const rows: EachCount<T>[] = [];
  const usual = usualCounts(work.chain.blocks.length).map((stages) => stages * ways);
  for (const chips of counts ?? usual) {
    if (chips % ways !== 0) {
      rows.push({ chips, outcome: { fits: false, reason: `${chips} chips do not form groups of ${ways}` } });
      continue;
    }
    const attempt = tryCounts(work, [chips / ways], demand.weightBytes, blocksWith);
    if (attempt !== undefined) rows.push({ chips, outcome: outcomeOf(attempt, summarise) });
  }
  return ok(rows);
}

function outcomeOf<T>(attempt: Attempt, summarise: (compiled: Compiled) => T): EachCount<T>["outcome"] {
  if (attempt.kind === "full") return { fits: false, reason: attempt.finding ?? "memory does not suffice" };
  const { result } = attempt;
  if (!result.ok) return { fits: false, reason: result.diagnostics[0]?.message ?? "" };
  return { fits: true, made: summarise(result.value) };
}
