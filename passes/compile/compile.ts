// The pipeline from a core graph to a machine program: blocks, classes, partition over chips, assembly.
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import type { Program } from "../../ir/machine/program.ts";
import type { Target, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology, type Topology } from "../../ir/target/topology.ts";
import { type Assembled, type AssemblyOptions, assembleProgram } from "../assemble/assemble.ts";
import { type CompiledBlocks, type LoweredBlocks, lowerBlocks, scheduleBlocks } from "../assemble/classes.ts";
import { halfTablesOf } from "../assemble/half-tables.ts";
import { type BlockChain, findBlocks } from "../blocks/blocks.ts";
import type { ChainProblem } from "../partition/problem.ts";
import { fewestChips } from "../partition/solve.ts";
import type { WeightColumns } from "../schedule/state.ts";
import { chainProblem, weightChain } from "./chain-costs.ts";
import { graphDemand } from "./demand.ts";
import { doesNotFit, type OtherDemand, shortageOf } from "./does-not-fit.ts";
import type { PassName } from "./pass-names.ts";
import { placeBlocks, stageBytes } from "./place.ts";
import {
  freePlacement,
  type PlacementRequest,
  pinnedBlocks,
  type ResolvedPlacement,
  resolvePlacement,
} from "./placement.ts";

export interface CompileOptions extends AssemblyOptions {
  readonly chips: number | "auto";
  readonly topology?: TopologySpec;
  /** How long to search for a short schedule; 1 is usual, 0 takes the first. */
  readonly effort?: number;
  readonly placement?: PlacementRequest;
  /** What the model would ask for if something about it were different; called where it does not fit. */
  readonly otherDemands?: () => readonly OtherDemand[];
  /** Without repetition the whole model is one block. Default true. */
  readonly repeats?: boolean;
  /** Told when a pass begins, for progress and timing; `levers` is the search for what would make a model fit. */
  readonly onStage?: (name: PassName | "levers") => void;
  /** Told what a pass made; false ends the compilation there, which then fails without a diagnostic. */
  readonly onMade?: (made: Made) => boolean;
}

/** What passes make, for people who want to see it. */
export type Made =
  | { readonly pass: "blocks"; readonly chain: BlockChain }
  | { readonly pass: "lower"; readonly blocks: LoweredBlocks }
  | { readonly pass: "schedule"; readonly blocks: CompiledBlocks; readonly weights: WeightColumns }
  | { readonly pass: "partition"; readonly problem: ChainProblem; readonly chipOf: readonly number[] }
  | { readonly pass: "assemble"; readonly program: Program };

/** The observer ended the compilation: nothing is wrong. */
export const stopped: Result<never> = { ok: false, diagnostics: [] };
export const isStopped = (result: Result<unknown>): boolean => !result.ok && result.diagnostics.length === 0;

export interface Compiled extends Assembled {
  readonly chain: BlockChain;
  readonly blocks: CompiledBlocks;
  readonly chipOf: readonly number[];
}

type Work = {
  readonly graph: Graph;
  readonly target: Target;
  readonly options: CompileOptions;
  readonly chain: BlockChain;
  readonly resolved: ResolvedPlacement;
};

/** `full`: memory does not suffice; of the problem that had no solution, or of the chip that overflowed. */
type Attempt =
  | { readonly kind: "done"; readonly result: Result<Compiled> }
  | { readonly kind: "full"; readonly problem: ChainProblem; readonly finding: string | undefined };

/** Placements tried for one number of chips, each with less on its fullest chip than the one before. */
const MOST_PLACEMENTS = 6;

/** The blocks of a graph, cut where the request asks for it. */
export function cutBlocks(
  graph: Graph,
  request: PlacementRequest,
  repeats = true,
): Result<{ readonly chain: BlockChain; readonly resolved: ResolvedPlacement }> {
  const natural = findBlocks(graph, [], repeats);
  const resolved = resolvePlacement(graph, natural, request);
  if (!resolved.ok) return resolved;
  const { stageStarts } = resolved.value;
  return ok({
    chain: stageStarts.length === 0 ? natural : findBlocks(graph, stageStarts, repeats),
    resolved: resolved.value,
  });
}

/** Compiles a core graph. `chips: "auto"` takes the fewest that hold it. */
export function compileGraph(graph: Graph, target: Target, options: CompileOptions): Result<Compiled> {
  options.onStage?.("blocks");
  const cut = cutBlocks(graph, options.placement ?? freePlacement, options.repeats ?? true);
  if (!cut.ok) return cut;
  const { chain, resolved } = cut.value;
  const goesOn = (made: Made): boolean => options.onMade?.(made) ?? true;
  if (!goesOn({ pass: "blocks", chain })) return stopped;
  const work: Work = { graph, target, options, chain, resolved };
  const counts = chipCounts(work);
  const pins = pinnedBlocks(chain, resolved, counts.at(-1) ?? 1);
  if (!pins.ok) return pins;
  options.onStage?.("lower");
  const halfTables = halfTablesOf(graph, target);
  const lowered = lowerBlocks(graph, chain, target, halfTables);
  if (!goesOn({ pass: "lower", blocks: lowered })) return stopped;
  const scheduled = new Map<WeightColumns, CompiledBlocks>();
  /** Undefined where the observer ends the compilation. */
  const blocksWith = (columns: WeightColumns): CompiledBlocks | undefined => {
    const known = scheduled.get(columns);
    if (known !== undefined) return known;
    options.onStage?.("schedule");
    const blocks = scheduleBlocks(lowered, target, { weights: columns, effort: options.effort ?? 1 });
    scheduled.set(columns, blocks);
    return goesOn({ pass: "schedule", blocks, weights: columns }) ? blocks : undefined;
  };
  const demand = graphDemand(graph, halfTables);
  const weights = weightChain(chain, demand, target, counts.at(-1) ?? 1);
  let full: Attempt = { kind: "full", problem: weights, finding: undefined };
  if (demand.weightBytes <= weights.capacityBytes * weights.chips) {
    for (const chips of counts) {
      const topology = buildTopology(options.topology ?? target.topology, target.link, chips);
      if (!topology.ok) return topology;
      for (const columns of ["apart", "spread"] as const) {
        const blocks = blocksWith(columns);
        if (blocks === undefined) return stopped;
        const attempt = compileFor(work, blocks, topology.value);
        if (attempt.kind === "done") return attempt.result;
        full = attempt;
      }
    }
  }
  options.onStage?.("levers");
  const apart = scheduled.get("apart");
  const more = apart === undefined ? undefined : enoughChips(work, apart, full.problem);
  const others = options.otherDemands?.() ?? [];
  const { problem, finding } = full;
  return fail(doesNotFit(shortageOf(problem, weights.capacityBytes, finding, demand, others, more)));
}

/** Numbers of chips to try in turn. */
function chipCounts({ options, chain, resolved }: Work): readonly number[] {
  if (options.chips !== "auto") return [options.chips];
  const named = [...resolved.pins, ...(resolved.stages ?? [])].map(({ chip }) => chip + 1);
  const least = Math.max(1, ...named);
  const most = resolved.stages === undefined ? Math.max(least, chain.blocks.length) : least;
  return Array.from({ length: most - least + 1 }, (_, i) => least + i);
}

/** A number of chips that is enough, found by trying a few from the one that the bytes ask for. */
function enoughChips(work: Work, compiled: CompiledBlocks, problem: ChainProblem): number | undefined {
  const { options, target, chain } = work;
  const least = fewestChips(problem);
  if (options.chips === "auto" || typeof least !== "number") return undefined;
  const from = Math.max(least, options.chips + 1);
  const tried = [from, from + 1, from + 2, chain.blocks.length].filter((chips) => chips <= chain.blocks.length);
  return [...new Set(tried)].find((chips) => {
    const topology = buildTopology(options.topology ?? target.topology, target.link, chips);
    if (!topology.ok) return false;
    const attempt = compileFor({ ...work, options: { ...options, onMade: () => true } }, compiled, topology.value);
    return attempt.kind === "done" && attempt.result.ok;
  });
}

function compileFor(work: Work, compiled: CompiledBlocks, topology: Topology): Attempt {
  const { graph, target, options, chain, resolved } = work;
  const refused = (result: Result<never>): Attempt => ({ kind: "done", result });
  options.onStage?.("partition");
  let problem = chainProblem({ graph, target, chain, compiled }, topology);
  let full: Attempt | undefined;
  for (let i = 0; i < MOST_PLACEMENTS; i++) {
    const placed = placeBlocks(problem, chain, resolved);
    if (placed.kind === "refused") return refused({ ok: false, diagnostics: placed.diagnostics });
    if (placed.kind === "full") return full ?? { kind: "full", problem, finding: undefined };
    const { chipOf } = placed;
    if (options.onMade?.({ pass: "partition", problem, chipOf }) === false) return refused(stopped);
    options.onStage?.("assemble");
    const assembled = assembleProgram({ graph, target, chain, compiled, chipOf, topology }, options);
    if (assembled.ok) {
      if (options.onMade?.({ pass: "assemble", program: assembled.value.program }) === false) return refused(stopped);
      return { kind: "done", result: ok({ ...assembled.value, chain, blocks: compiled, chipOf }) };
    }
    if (assembled.diagnostics.some(({ code }) => code !== "LPU4001")) return refused(assembled);
    const capacityBytes = Math.max(0, ...stageBytes(problem, chipOf)) - 1;
    full = { kind: "full", problem: { ...problem, capacityBytes }, finding: assembled.diagnostics[0]?.message };
    // Memory is in slices, which sums do not see: less must do on every chip.
    problem = { ...problem, capacityBytes };
    if (resolved.stages !== undefined) break;
  }
  return full ?? { kind: "full", problem, finding: undefined };
}
