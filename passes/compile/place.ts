// Chooses a stage for every block (a chip, or a group of chips that share it): as a placement file says, or the best that the chain solver finds around pins and cuts.
import { diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import type { BlockChain } from "../blocks/blocks.ts";
import type { ChainProblem } from "../partition/problem.ts";
import { solveChain } from "../partition/solve.ts";
import { pinnedBlocks, type ResolvedPlacement } from "./placement.ts";

export type Placed =
  | { readonly kind: "placed"; readonly stageOf: readonly number[] }
  /** The blocks do not fit, whatever was asked for. */
  | { readonly kind: "full" }
  /** What was asked for cannot be had. */
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] };

/** `ways` chips make a stage. */
export function placeBlocks(
  problem: ChainProblem,
  chain: BlockChain,
  resolved: ResolvedPlacement,
  ways: number,
): Placed {
  const chips = problem.chips * ways;
  const { stages } = resolved;
  if (stages !== undefined) {
    const stageOf = chain.blocks.map(({ from }) => stages.find(({ end }) => from < end)?.chip ?? 0);
    return { kind: "placed", stageOf };
  }
  const pins = pinnedBlocks(chain, resolved, problem.chips);
  if (!pins.ok) return { kind: "refused", diagnostics: pins.diagnostics };
  const cutAfter = chain.blocks.flatMap(({ index, to }) => (resolved.stageStarts.includes(to) ? [index] : []));
  const asked = { ...problem, pins: pins.value, cutAfter };
  const solution = solveChain(asked);
  if (solution.kind === "infeasible") {
    const isFree = pins.value.length === 0 && cutAfter.length === 0;
    if (isFree || solveChain(problem).kind === "infeasible") return { kind: "full" };
    const would = solution.chipsNeeded === undefined ? "" : `; ${solution.chipsNeeded * ways} chips would do`;
    const message = `the model fits ${chips} ${chips === 1 ? "chip" : "chips"}, but not with these pins and cuts${would}`;
    return { kind: "refused", diagnostics: [diagnostic("LPU3021", message)] };
  }
  const stageOf = new Array<number>(chain.blocks.length).fill(0);
  for (const stage of solution.stages) stageOf.fill(stage.firstChip, stage.firstLayer, stage.endLayer);
  return { kind: "placed", stageOf };
}

/** Bytes that each chip of every stage must hold. */
export function stageBytes(problem: ChainProblem, stageOf: readonly number[]): readonly number[] {
  const held = new Array<number>(problem.chips).fill(0);
  const working = new Array<number>(problem.chips).fill(0);
  problem.layers.forEach(({ costs: [cost] }, layer) => {
    const chip = stageOf[layer] ?? 0;
    held[chip] = (held[chip] ?? 0) + (cost?.weightBytes ?? 0) + (cost?.stateBytes ?? 0);
    working[chip] = Math.max(working[chip] ?? 0, cost?.activationBytes ?? 0);
  });
  return held.map((bytes, chip) => bytes + (working[chip] ?? 0));
}
