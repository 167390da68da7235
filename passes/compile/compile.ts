// The pipeline from a core graph to a machine program: blocks, classes, partition over chips, assembly.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology, type Topology } from "../../ir/target/topology.ts";
import { type Assembled, type AssemblyOptions, assembleProgram } from "../assemble/assemble.ts";
import { type CompiledBlocks, compileBlocks } from "../assemble/classes.ts";
import { type BlockChain, findBlocks } from "../blocks/blocks.ts";
import type { ChainLayer, ChainProblem } from "../partition/problem.ts";
import { solveChain } from "../partition/solve.ts";
import type { WeightColumns } from "../schedule/state.ts";

export interface CompileOptions extends AssemblyOptions {
  readonly chips: number | "auto";
  readonly topology?: TopologySpec;
  /** How long to search for a short schedule; 1 is usual, 0 takes the first. */
  readonly effort?: number;
  /** Told when a stage begins, for progress and timing. */
  readonly onStage?: (name: string) => void;
}

export interface Compiled extends Assembled {
  readonly chain: BlockChain;
  readonly blocks: CompiledBlocks;
  readonly chipOf: readonly number[];
}

/** Bytes a block's persistent buffers take. */
function persistentBytes(compiled: CompiledBlocks, classIndex: number, target: Target): number {
  const blockClass = compiled.classes[classIndex];
  if (blockClass === undefined) return 0;
  const { state } = blockClass.schedule;
  return state.buffers.reduce((sum, buffer) => {
    const persistent = buffer.content.kind === "tile" || state.storages[buffer.content.storage]?.content !== undefined;
    return sum + (persistent ? buffer.words * buffer.slices.length * target.lanes : 0);
  }, 0);
}

export function chainProblem(chain: BlockChain, compiled: CompiledBlocks, target: Target, chips: number): ChainProblem {
  const capacityBytes = sliceCount(target) * wordsPerSlice(target) * target.lanes;
  const layers = chain.blocks.map((block, i): ChainLayer => {
    const index = compiled.classOf[i] as number;
    return {
      name: block.layer === undefined ? `block ${i}` : `layer ${block.layer}`,
      boundaryBytes: 0,
      costs: [
        {
          computeCycles: compiled.classes[index]?.cycles ?? 0,
          weightBytes: persistentBytes(compiled, index, target),
          stateBytes: 0,
          activationBytes: 0,
          receiveBusyCycles: 0,
          sendBusyCycles: 0,
          sendLatencyCycles: target.link.latency,
        },
      ],
    };
  });
  return { layers, degrees: [1], chips, capacityBytes, transfer: "serial", cutAfter: [], pins: [] };
}

/** Chip of every block: contiguous, least bottleneck, then least latency. */
function placeBlocks(chain: BlockChain, compiled: CompiledBlocks, target: Target, chips: number): Result<number[]> {
  const solution = solveChain(chainProblem(chain, compiled, target, chips));
  if (solution.kind === "infeasible") {
    return fail(
      diagnostic(
        "LPU4002",
        `the model needs ${solution.demandBytes} bytes, ${chips} chips have ${solution.capacityBytes}${solution.chipsNeeded === undefined ? "" : `; ${solution.chipsNeeded} chips would do`}`,
      ),
    );
  }
  const chipOf = new Array<number>(chain.blocks.length).fill(0);
  solution.stages.forEach((stage) => {
    for (let layer = stage.firstLayer; layer < stage.endLayer; layer++) chipOf[layer] = stage.firstChip;
  });
  return ok(chipOf);
}

/** Compiles a core graph. `chips: "auto"` takes the fewest that hold it. */
export function compileGraph(graph: Graph, target: Target, options: CompileOptions): Result<Compiled> {
  options.onStage?.("blocks");
  const chain = findBlocks(graph);
  const made = new Map<WeightColumns, CompiledBlocks>();
  const blocksWith = (weights: WeightColumns): CompiledBlocks => {
    const known = made.get(weights);
    if (known !== undefined) return known;
    options.onStage?.("lower+schedule");
    const blocks = compileBlocks(graph, chain, target, { weights, effort: options.effort ?? 1 });
    made.set(weights, blocks);
    return blocks;
  };
  const counts =
    options.chips === "auto"
      ? Array.from({ length: Math.max(1, chain.blocks.length) }, (_, i) => i + 1)
      : [options.chips];
  let last: Result<Compiled> | undefined;
  for (const chips of counts) {
    const topology = buildTopology(options.topology ?? target.topology, target.link, chips);
    if (!topology.ok) return topology;
    for (const weights of ["apart", "spread"] as const) {
      last = compileFor(graph, target, options, chain, blocksWith(weights), topology.value);
      if (last.ok || last.diagnostics.some((d) => d.code !== "LPU4001" && d.code !== "LPU4002")) return last;
    }
  }
  return last ?? fail(diagnostic("LPU4002", "the model has no blocks"));
}

function compileFor(
  graph: Graph,
  target: Target,
  options: CompileOptions,
  chain: BlockChain,
  blocks: CompiledBlocks,
  topology: Topology,
): Result<Compiled> {
  options.onStage?.("partition");
  const placed = placeBlocks(chain, blocks, target, topology.chips);
  if (!placed.ok) return placed;
  options.onStage?.("assemble");
  const assembled = assembleProgram(
    { graph, target, chain, compiled: blocks, chipOf: placed.value, topology },
    options,
  );
  return assembled.ok ? ok({ ...assembled.value, chain, blocks, chipOf: placed.value }) : assembled;
}
