// The lowest peak that can be found within a budget, with a lower bound beside it.
import type { LowerBound } from "./bound.ts";
import { fitComponents, offsetsOfInput, openWorkspace, peakOfWorkspace, repairWorkspace } from "./components.ts";
import type { AllocProblem } from "./problem.ts";

export type MinimiseOptions = {
  /** In units of search work: nodes opened and placements tried. */
  readonly budget: number;
};

export type MinimisedPeak = {
  readonly offsets: readonly number[];
  readonly peak: number;
  /** The live buffers that need so much. */
  readonly lowerBound: LowerBound;
  /** No allocation has a lower peak: the lower bound, or more where search has ruled out what is below. */
  readonly provedPeak: number;
  /** (peak - provedPeak) / provedPeak; 0 means optimal. */
  readonly gap: number;
  readonly work: number;
};

/** Repair either succeeds soon or not at all. */
const mostRepair = 50_000;

/** The problem's capacity is not looked at. */
export function minimisePeak(problem: Pick<AllocProblem, "buffers">, options: MinimiseOptions): MinimisedPeak {
  const workspace = openWorkspace(problem.buffers, 0);
  const { lowerBound } = workspace;
  let proved = lowerBound.peak;
  // Nothing at or below this was found with the share of the budget it had.
  let tried = proved - 1;
  let goal = proved;
  let work = repairWorkspace(workspace, proved, Math.min(mostRepair, Math.floor(options.budget / 8)));
  while (peakOfWorkspace(workspace) > proved && work < options.budget) {
    const share = Math.ceil((options.budget - work) / 4);
    const outcome = fitComponents(workspace, goal, share);
    work += Math.max(1, outcome.work);
    if (outcome.kind === "impossible") proved = goal + 1;
    if (outcome.kind !== "fits") tried = goal;
    const peak = peakOfWorkspace(workspace);
    if (peak - tried <= 1) break;
    goal = tried + Math.floor((peak - tried) / 2);
  }
  const peak = peakOfWorkspace(workspace);
  return {
    offsets: offsetsOfInput(workspace),
    peak,
    lowerBound,
    provedPeak: proved,
    gap: proved === 0 ? 0 : (peak - proved) / proved,
    work,
  };
}
