// What is the same for any number of stages: the graph of a rank, its blocks, what each class of them is lowered to, and their schedules, made when
// they are first asked for.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import { wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Topology } from "../../ir/target/topology.ts";
import { type CompiledBlocks, lowerBlocks, scheduleBlocks } from "../assemble/classes.ts";
import { halfTablesOf } from "../assemble/half-tables.ts";
import { type BlockChain, findBlocks } from "../blocks/blocks.ts";
import { columnClasses } from "../schedule/locations.ts";
import type { WeightColumns } from "../schedule/state.ts";
import type { ShardedGraph } from "../shard/sharded.ts";
import type { CompileOptions, Made } from "./compile.ts";
import { type GraphDemand, graphDemand } from "./demand.ts";
import { finerCuts } from "./finer-cuts.ts";
import { freePlacement, type PlacementRequest, type ResolvedPlacement, resolvePlacement } from "./placement.ts";
import { shardFor } from "./shards.ts";
import { stopped } from "./stopped.ts";

export type Work = {
  readonly model: Graph;
  readonly sharded: ShardedGraph;
  readonly target: Target;
  readonly options: CompileOptions;
  readonly chain: BlockChain;
  readonly resolved: ResolvedPlacement;
};

export type Prepared = {
  readonly work: Work;
  readonly demand: GraphDemand;
  readonly blocksWith: (columns: WeightColumns) => Result<CompiledBlocks>;
  /** What has been scheduled so far. */
  readonly scheduled: ReadonlyMap<WeightColumns, Result<CompiledBlocks>>;
  readonly share: number;
  /** Whether blocks that are too large may be cut. */
  readonly isCuttable: boolean;
};

/** `topology`: a system in which a group of `ways` chips stands. Blocks that `share` of a chip cannot hold are cut. */
export function prepare(
  model: Graph,
  target: Target,
  options: CompileOptions,
  ways: number,
  topology: Topology,
  share = 1,
): Result<Prepared> {
  const goesOn = (made: Made): boolean => options.onMade?.(made) ?? true;
  options.onStage?.("shard");
  const shared = shardFor(model, target, topology, ways);
  if (!shared.ok) return shared;
  const sharded = shared.value;
  if (!goesOn({ pass: "shard", sharded })) return stopped;
  options.onStage?.("blocks");
  const halfTables = halfOnAllRanks(model, sharded, target);
  const demand = graphDemand(sharded.graph, halfTables);
  const isCuttable = ways === 1 && options.placement?.stages === undefined;
  const refine = (chain: BlockChain): readonly number[] =>
    isCuttable ? finerCuts(model, chain, demand, target, share) : [];
  const cut = cutBlocks(sharded, options.placement ?? freePlacement, options.repeats ?? true, refine);
  if (!cut.ok) return cut;
  const { chain } = cut.value;
  if (!goesOn({ pass: "blocks", chain })) return stopped;
  options.onStage?.("lower");
  const lowered = lowerBlocks(sharded, chain, target, halfTables, options.without);
  if (!goesOn({ pass: "lower", blocks: lowered })) return stopped;
  const scheduled = new Map<WeightColumns, Result<CompiledBlocks>>();
  const blocksWith = (columns: WeightColumns): Result<CompiledBlocks> => {
    const known = scheduled.get(columns);
    if (known !== undefined) return known;
    options.onStage?.("schedule");
    const blocks = scheduleBlocks(lowered, target, { weights: columns, effort: options.effort ?? 1 });
    scheduled.set(columns, blocks);
    return !blocks.ok || goesOn({ pass: "schedule", blocks: blocks.value, weights: columns }) ? blocks : stopped;
  };
  return ok({
    work: { model, sharded, target, options, ...cut.value },
    demand,
    blocksWith,
    scheduled,
    share,
    isCuttable,
  });
}

/** The blocks of a rank's graph, cut where the request asks for it; chips of the request become stages. */
export function cutBlocks(
  { graph, phases, exchanges, ways }: ShardedGraph,
  request: PlacementRequest,
  repeats = true,
  refine: (chain: BlockChain) => readonly number[] = () => [],
): Result<{ readonly chain: BlockChain; readonly resolved: ResolvedPlacement }> {
  const exported = new Set(exchanges.flatMap(({ moves }) => moves.map((move) => move.source)));
  const natural = findBlocks(graph, [], repeats, { phases, exported });
  const stageOf = <T extends { readonly chip: number }>(item: T): T => ({
    ...item,
    chip: Math.floor(item.chip / ways),
  });
  const resolved = resolvePlacement(graph, natural, {
    ...request,
    pins: request.pins.map(stageOf),
    ...(request.stages === undefined ? {} : { stages: request.stages.map(stageOf) }),
  });
  if (!resolved.ok) return resolved;
  const { stageStarts } = resolved.value;
  const cutAt = (cuts: readonly number[]): BlockChain => findBlocks(graph, cuts, repeats, { phases, exported });
  const asked = stageStarts.length === 0 ? natural : cutAt(stageStarts);
  const finer = refine(asked);
  return ok({ chain: finer.length === 0 ? asked : cutAt([...stageStarts, ...finer]), resolved: resolved.value });
}

/** Tables that can be kept in float16 whatever the rank: of the whole table, not of a share. */
export function halfOnAllRanks(model: Graph, { pieces }: ShardedGraph, target: Target): ReadonlySet<TensorId> {
  const whole = halfTablesOf(model, target);
  return new Set([...pieces].flatMap(([id, { tensor }]) => (whole.has(tensor) ? [id] : [])));
}

/** Whether the columns that weights may take hold a chip's share of them. */
export function columnsHold(target: Target, columns: WeightColumns, bytesPerChip: number): boolean {
  if (columns === "spread") return true;
  const { narrow, all } = columnClasses(target, columns);
  const slices = 2 * (all - narrow) * target.mem.slicesPerColumn;
  return slices * wordsPerSlice(target) * target.lanes >= bytesPerChip;
}
