// Does a problem fit its capacity? Finds offsets, or proves that there are none, or says how far it came.
import type { LowerBound } from "./bound.ts";
import { fitComponents, offsetsOfInput, openWorkspace, peakOfWorkspace, repairWorkspace } from "./components.ts";
import type { AllocProblem } from "./problem.ts";

export type SolveOptions = {
  /** In units of search work: nodes opened and placements tried. */
  readonly budget: number;
};

type Found = {
  /** In the order of the buffers: the lowest peak found, also when that is above the capacity. */
  readonly offsets: readonly number[];
  readonly peak: number;
  readonly lowerBound: LowerBound;
  readonly work: number;
};

export type AllocResult =
  | ({ readonly kind: "fits" } & Found)
  /** By "clique", the lower bound's buffers are live together; by "search", every way of stacking was ruled out. */
  | ({ readonly kind: "infeasible"; readonly by: "clique" | "search" } & Found)
  | ({ readonly kind: "unknown" } & Found);

/**
 * Capacities at which to look beside the wanted one, where they are below it, as parts of the lower bound: a tighter one leaves
 * less to explore. They depend on the lower bound alone, so that what is found for a smaller capacity is found for a larger one.
 */
const rungs: readonly number[] = [0, 1 / 64, 1 / 16, 1 / 4];

/** What each capacity is given in the first round; four times as much in each round after that. */
const firstShare = 60_000;

/** Repair either succeeds soon or not at all. */
const mostRepair = 15_000;

export function solveAlloc(problem: AllocProblem, options: SolveOptions): AllocResult {
  const { capacity } = problem;
  const { budget } = options;
  const workspace = openWorkspace(problem.buffers, capacity);
  const { lowerBound } = workspace;
  let work = 0;
  const found = (): Found => ({
    offsets: offsetsOfInput(workspace),
    peak: peakOfWorkspace(workspace),
    lowerBound,
    work,
  });
  if (lowerBound.peak > capacity) return { kind: "infeasible", by: "clique", ...found() };
  if (peakOfWorkspace(workspace) <= capacity) return { kind: "fits", ...found() };
  const below = rungs.map((rung) => Math.floor(lowerBound.peak * (1 + rung))).filter((rung) => rung < capacity);
  let goals = [capacity, ...below];
  for (let share = firstShare; work < budget; share *= 4) {
    const ruledOut = new Set<number>();
    for (const goal of goals) {
      const outcome = fitComponents(workspace, goal, Math.min(share, budget - work));
      work += outcome.work;
      if (peakOfWorkspace(workspace) <= capacity) return { kind: "fits", ...found() };
      if (outcome.kind !== "impossible") continue;
      if (goal === capacity) return { kind: "infeasible", by: "search", ...found() };
      ruledOut.add(goal);
    }
    goals = goals.filter((goal) => !ruledOut.has(goal));
    if (share === firstShare) work += repairWorkspace(workspace, capacity, Math.min(mostRepair, budget - work));
    if (peakOfWorkspace(workspace) <= capacity) return { kind: "fits", ...found() };
    if (share >= budget) break;
  }
  return { kind: "unknown", ...found() };
}
