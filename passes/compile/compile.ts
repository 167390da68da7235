// The pipeline from a core graph to a machine program: blocks, classes, partition over chips, assembly.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import type { Program } from "../../ir/machine/program.ts";
import type { Target, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology, type Topology } from "../../ir/target/topology.ts";
import type { Assembled, AssemblyOptions } from "../assemble/assemble.ts";
import type { CompiledBlocks, LoweredBlocks } from "../assemble/classes.ts";
import { assembleProgram } from "../assemble/flow.ts";
import type { BlockChain } from "../blocks/blocks.ts";
import type { ChainProblem } from "../partition/problem.ts";
import { fewestChips } from "../partition/solve.ts";
import { type WeightColumns, weightColumns } from "../schedule/state.ts";
import type { ShardedGraph } from "../shard/sharded.ts";
import { chainProblem, weightChain } from "./chain-costs.ts";
import { doesNotFit, type OtherDemand, shortageOf } from "./does-not-fit.ts";
import { finerCuts } from "./finer-cuts.ts";
import { unmetNeeds } from "./needs.ts";
import { type OtherCount, otherCounts } from "./other-counts.ts";
import type { PassName } from "./pass-names.ts";
import { placeBlocks, stageBytes } from "./place.ts";
import { type PlacementRequest, pinnedBlocks } from "./placement.ts";
import { predictOn } from "./predict.ts";
import { columnsHold, type Prepared, prepare, type Work } from "./prepare.ts";
import { fastest, firstThatHolds, type Groups, groupSizes } from "./search-groups.ts";
import { groupKey } from "./shards.ts";
import { sharedDemand } from "./shared-demand.ts";
import { isStopped, stopped } from "./stopped.ts";

/** Chips that share every layer: so many, all there are, or what gives the least latency. */
export type TensorParallel = number | "all" | "auto";

export interface CompileOptions extends AssemblyOptions {
  readonly chips: number | "auto";
  readonly topology?: TopologySpec;
  /** 1 where absent. */
  readonly tensorParallel?: TensorParallel;
  /** How long to search for a short schedule; 1 is usual, 0 takes the first. */
  readonly effort?: number;
  readonly placement?: PlacementRequest;
  /** What the model would ask for if something about it were different; called where it does not fit. */
  readonly otherDemands?: () => readonly OtherDemand[];
  /** Fusions that are not made. */
  readonly without?: FusionSet;
  /** Without repetition the whole model is one block. Default true. */
  readonly repeats?: boolean;
  /** Told when a pass begins, for progress and timing; `levers` is the search for what would make a model fit. */
  readonly onStage?: (name: PassName | "levers") => void;
  /** Told what a pass made; false ends the compilation there, which then fails without a diagnostic. */
  readonly onMade?: (made: Made) => boolean;
}

/** What passes make, for people who want to see it. */
export type Made =
  | { readonly pass: "shard"; readonly sharded: ShardedGraph }
  | { readonly pass: "blocks"; readonly chain: BlockChain }
  | { readonly pass: "lower"; readonly blocks: LoweredBlocks }
  | { readonly pass: "schedule"; readonly blocks: CompiledBlocks; readonly weights: WeightColumns }
  | { readonly pass: "partition"; readonly problem: ChainProblem; readonly chipOf: readonly number[] }
  | { readonly pass: "assemble"; readonly program: Program };

export interface Compiled extends Assembled {
  readonly chain: BlockChain;
  readonly blocks: CompiledBlocks;
  readonly sharded: ShardedGraph;
  /** Chip of every block, the first one where several share it. */
  readonly chipOf: readonly number[];
  /** Where the compiler chose the number of chips: what more of them would give. */
  readonly others: readonly OtherCount[];
}

/** `full`: memory does not suffice; of the problem that had no solution, or of the chip that overflowed. */
export type Attempt = { readonly kind: "done"; readonly result: Result<Compiled> } | FullAttempt;

type FullAttempt = { readonly kind: "full"; readonly problem: ChainProblem; readonly finding: string | undefined };

/** Placements tried for one number of chips, each with less on its fullest chip than the one before. */
const MOST_PLACEMENTS = 6;

/** Compiles a core graph. `chips: "auto"` takes the fewest that hold it. */
export function compileGraph(graph: Graph, target: Target, options: CompileOptions): Result<Compiled> {
  const unmet = unmetNeeds(graph, target);
  if (unmet.length > 0) return fail(...unmet);
  const { chips, tensorParallel = 1 } = options;
  const compile = (ways: number, count: number | "auto"): Result<Compiled> => {
    if (count !== "auto" && count % ways !== 0)
      return fail(diagnostic("LPU4005", `${count} chips do not form groups of ${ways}`));
    return compileShared(graph, target, { ...options, chips: count }, ways);
  };
  if (tensorParallel === "all") {
    if (chips !== "auto") return compile(chips, chips);
    return firstThatHolds(groupSizes.map((ways) => () => compile(ways, ways)));
  }
  // What is asked for is the least latency.
  if (tensorParallel === "auto") return fastest(chips, groupsOf(graph, target, { ...options, alone: true }));
  return compile(tensorParallel, chips);
}

/** What groups of any size would give, and the programs for them. What does not depend on the number of chips is made once. */
function groupsOf(graph: Graph, target: Target, options: CompileOptions): Groups {
  const known = new Map<string, Result<Prepared>>();
  const preparedFor = (ways: number, chips: number): Result<Prepared> => {
    const topology = groupTopology(target, { ...options, chips }, ways);
    if (!topology.ok) return topology;
    const key = groupKey(topology.value, ways);
    const prepared = known.get(key) ?? prepare(graph, target, { ...options, chips }, ways, topology.value);
    known.set(key, prepared);
    return prepared;
  };
  return {
    predict: (ways, chips) => {
      const prepared = preparedFor(ways, chips);
      if (!prepared.ok) return isStopped(prepared) ? "stopped" : "none";
      return predictOn(prepared.value, { ...options, chips });
    },
    compile: (ways, chips, explains) => {
      const prepared = preparedFor(ways, chips);
      return prepared.ok ? compilePrepared(prepared.value, { ...options, chips }, explains) : prepared;
    },
  };
}

/** Blocks are cut for no less than this share of a chip. */
const LEAST_SHARE = 0.25;

/** Compiles a graph of which groups of `ways` chips share every layer; blocks that `share` of a chip cannot hold are cut. */
function compileShared(
  model: Graph,
  target: Target,
  options: CompileOptions,
  ways: number,
  share = 1,
): Result<Compiled> {
  const group = groupTopology(target, options, ways);
  if (!group.ok) return group;
  const prepared = prepare(model, target, options, ways, group.value, share);
  return prepared.ok ? compilePrepared(prepared.value, options) : prepared;
}

/** The system in which a group of `ways` chips stands. */
const groupTopology = (target: Target, { topology, chips }: CompileOptions, ways: number): Result<Topology> =>
  buildTopology(topology ?? target.topology, target.link, chips === "auto" ? ways : chips);

/** Places and assembles what was prepared on as many chips as `options` say; `explains`: what does not fit is to be told in full. */
function compilePrepared(prepared: Prepared, options: CompileOptions, explains = true): Result<Compiled> {
  const { demand, blocksWith, scheduled, share, isCuttable } = prepared;
  const work: Work = { ...prepared.work, options };
  const { model, target, chain, resolved, sharded } = work;
  const { ways } = sharded;
  const counts = stageCounts(work);
  const pins = pinnedBlocks(chain, resolved, counts.at(-1) ?? 1);
  if (!pins.ok) return pins;
  const weights = weightChain(chain, demand, target, counts.at(-1) ?? 1);
  let full: FullAttempt = { kind: "full", problem: weights, finding: undefined };
  if (demand.weightBytes <= weights.capacityBytes * weights.chips) {
    const attempt = tryCounts(work, counts, demand.weightBytes, blocksWith) ?? full;
    const finding = attempt.kind === "done" ? roomlessBlock(attempt.result) : undefined;
    if (attempt.kind === "done" && finding === undefined) return attempt.result;
    full = attempt.kind === "done" ? { ...full, finding } : attempt;
  }
  if (isCuttable && full.finding !== undefined && options.chips !== 1 && share > LEAST_SHARE) {
    // A slice was full before its chip: smaller parts can be spread more evenly.
    const isFiner = finerCuts(model, chain, demand, target, share / 2).length > 0;
    const smaller = isFiner ? compileShared(model, target, options, ways, share / 2) : undefined;
    if (smaller?.ok === true || (smaller !== undefined && isStopped(smaller))) return smaller;
  }
  if (!explains) return fail(diagnostic("LPU4001", full.finding ?? "memory does not suffice"));
  options.onStage?.("levers");
  const blocks = weightColumns.map((columns) => scheduled.get(columns)).find((found) => found !== undefined);
  const more = blocks?.ok === true ? enoughStages(work, blocks.value, full.problem) : undefined;
  const others = options.otherDemands?.() ?? [];
  const { problem, finding } = full;
  const shared = (countsResults: boolean) =>
    sharedDemand(model, target, options.topology ?? target.topology, countsResults);
  const { capacityBytes } = weights;
  return fail(doesNotFit(shortageOf(problem, capacityBytes, finding, demand, others, more, ways, shared)));
}

/** What is said of a block whose results find no room, on however many chips the model is. */
function roomlessBlock(result: Result<unknown>): string | undefined {
  return result.ok ? undefined : result.diagnostics.find(({ code }) => code === "LPU4001")?.message;
}

/** Each number of stages in turn, with weights in columns of their own first; the first program, or what failed last. */
export function tryCounts(
  work: Work,
  counts: readonly number[],
  weightBytes: number,
  blocksWith: (columns: WeightColumns) => Result<CompiledBlocks>,
): Attempt | undefined {
  const { options, target, sharded } = work;
  let last: Attempt | undefined;
  for (const stages of counts) {
    const idle = options.chips === "auto" ? 0 : options.chips % sharded.ways;
    const topology = buildTopology(options.topology ?? target.topology, target.link, stages * sharded.ways + idle);
    // More chips than can be joined: what fewer of them lack is what there is to say.
    if (!topology.ok) return last ?? { kind: "done", result: topology };
    for (const columns of weightColumns) {
      if (!columnsHold(target, columns, weightBytes / (stages * sharded.ways))) continue;
      const blocks = blocksWith(columns);
      if (!blocks.ok) return { kind: "done", result: blocks };
      last = compileFor(work, blocks.value, topology.value);
      if (last.kind === "done") return last;
    }
  }
  return last;
}

/** Numbers of stages to try in turn. */
function stageCounts({ options, chain, resolved, sharded }: Work): readonly number[] {
  if (options.chips !== "auto") return [Math.floor(options.chips / sharded.ways)];
  const named = [...resolved.pins, ...(resolved.stages ?? [])].map(({ chip }) => chip + 1);
  const least = Math.max(1, ...named);
  const most = resolved.stages === undefined ? Math.max(least, chain.blocks.length) : least;
  return Array.from({ length: most - least + 1 }, (_, i) => least + i);
}

/** A number of stages that is enough, found by trying a few from the one that the bytes ask for. */
function enoughStages(work: Work, compiled: CompiledBlocks, problem: ChainProblem): number | undefined {
  const { options, target, chain } = work;
  const { ways } = work.sharded;
  const least = fewestChips(problem);
  if (options.chips === "auto" || typeof least !== "number") return undefined;
  const from = Math.max(least, options.chips / ways + 1);
  const tried = [from, from + 1, from + 2, chain.blocks.length].filter((stages) => stages <= chain.blocks.length);
  return [...new Set(tried)].find((stages) => {
    const topology = buildTopology(options.topology ?? target.topology, target.link, stages * ways);
    if (!topology.ok) return false;
    const attempt = compileFor({ ...work, options: { ...options, onMade: () => true } }, compiled, topology.value);
    return attempt.kind === "done" && attempt.result.ok;
  });
}

function othersOf(work: Work, compiled: CompiledBlocks, { program }: Assembled): readonly OtherCount[] {
  const { sharded, target, options, chain, resolved } = work;
  if (options.chips !== "auto" || resolved.stages !== undefined) return [];
  const end = program.latencyTerms.find(({ part }) => part === "end")?.cycles ?? 0;
  const spec = options.topology ?? target.topology;
  return otherCounts({ sharded, target, chain, compiled, resolved }, spec, program.chips.length / sharded.ways, end);
}

function compileFor(work: Work, compiled: CompiledBlocks, topology: Topology): Attempt {
  const { model, sharded, target, options, chain, resolved } = work;
  const { ways } = sharded;
  const refused = (result: Result<never>): Attempt => ({ kind: "done", result });
  options.onStage?.("partition");
  let problem = chainProblem({ sharded, target, chain, compiled }, topology);
  let full: Attempt | undefined;
  for (let i = 0; i < MOST_PLACEMENTS; i++) {
    const placed = placeBlocks(problem, chain, resolved, ways);
    if (placed.kind === "refused") return refused({ ok: false, diagnostics: placed.diagnostics });
    if (placed.kind === "full") return full ?? { kind: "full", problem, finding: undefined };
    const { stageOf } = placed;
    const chipsOf = stageOf.map((stage) => Array.from({ length: ways }, (_, rank) => stage * ways + rank));
    const chipOf = stageOf.map((stage) => stage * ways);
    if (options.onMade?.({ pass: "partition", problem, chipOf }) === false) return refused(stopped);
    options.onStage?.("assemble");
    const assembled = assembleProgram({ model, sharded, target, chain, compiled, chipsOf, topology }, options);
    if (assembled.ok) {
      if (options.onMade?.({ pass: "assemble", program: assembled.value.program }) === false) return refused(stopped);
      const others = othersOf(work, compiled, assembled.value);
      return { kind: "done", result: ok({ ...assembled.value, chain, blocks: compiled, sharded, chipOf, others }) };
    }
    if (assembled.diagnostics.some(({ code }) => code !== "LPU4001")) return refused(assembled);
    const capacityBytes = Math.max(0, ...stageBytes(problem, stageOf)) - 1;
    full = { kind: "full", problem: { ...problem, capacityBytes }, finding: assembled.diagnostics[0]?.message };
    // Memory is in slices, which sums do not see: less must do on every chip.
    problem = { ...problem, capacityBytes };
    if (resolved.stages !== undefined) break;
  }
  return full ?? { kind: "full", problem, finding: undefined };
}
