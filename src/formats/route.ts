// `lpuc route` without its command line: text of a routing problem in, an answer for people and one for machines out. Pure; must not know files,
// streams, how options are spelt, or exit codes.
import type { Target } from "../../ir/target/target.ts";
import type { CollectiveSolution } from "../../passes/route/collective-problem.ts";
import { solveCollective } from "../../passes/route/collective-solve.ts";
import type { CollectiveObjective } from "../../passes/route/collective-spread.ts";
import { solveTimedCollective } from "../../passes/route/collective-timing.ts";
import { parseRouteProblem, type RouteProblem } from "../../passes/route/problem.ts";
import { solveRoute } from "../../passes/route/solve.ts";
import { type CollectiveInstance, looksLikeCollective, readCollective } from "./collective-instance.ts";
import { type Demands, looksLikeDemands, readDemands } from "./demands.ts";
import { type Fault, parseJson } from "./json-value.ts";
import {
  type RouteReport,
  reportCollective,
  reportTransfers,
  reportUnroutable,
  reportUntimed,
} from "./route-report.ts";

export type RouteOptions = {
  /** Equal parts a block of a collective is cut into; the number with the least rounds a part where absent. */
  readonly chunks?: number;
  readonly objective?: CollectiveObjective;
  /** At most so many steps of a collective. */
  readonly steps?: number;
  /** Inner steps of search. */
  readonly budget?: number;
  /** Gives the target that demands may name for what they leave out. */
  readonly findTarget?: (name: string) => Target | undefined;
};

export type RouteAnswer =
  | {
      readonly ok: true;
      /** False where something cannot be routed; `json` and `text` then say what. */
      readonly isRouted: boolean;
      readonly json: Readonly<Record<string, unknown>>;
      readonly text: string;
    }
  | { readonly ok: false; readonly faults: readonly Fault[] };

const SCHEMA = "lpuc.route/1";

/** Reads a collective instance or demands, in JSON, or the pass's own text of a transfer problem. */
export function runRoute(text: string, options: RouteOptions = {}): RouteAnswer {
  const faults = checkOptions(options);
  if (faults.length > 0) return { ok: false, faults };
  if (text.startsWith("route ")) {
    const problem = parseRouteProblem(text);
    if (problem.ok) return answerTransfers("explicit", problem.problem, options.budget);
    return { ok: false, faults: problem.errors.map(({ line, message }) => ({ path: `line ${line}`, message })) };
  }
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  if (looksLikeCollective(parsed.value)) {
    const instance = readCollective(parsed.value);
    return instance.ok ? answerCollective(instance.value, options) : instance;
  }
  if (looksLikeDemands(parsed.value)) {
    const demands = readDemands(parsed.value, options.findTarget ?? (() => undefined));
    return demands.ok ? answerDemands(demands.value, options) : demands;
  }
  const message = "expected a collective (links_dst_src, pre, post) or demands (topology, and transfers or collective)";
  return { ok: false, faults: [{ path: "", message }] };
}

function answerDemands(demands: Demands, { budget }: RouteOptions): RouteAnswer {
  const { topology } = demands;
  if (demands.kind === "collective") {
    const { task } = demands;
    const timed = solveTimedCollective(task, budget);
    return timed.kind === "timed"
      ? answerOf(reportCollective(topology, task, timed), true)
      : answerOf(reportUntimed(topology, task, timed), false);
  }
  return answerTransfers(topology, demands.problem, budget);
}

function answerTransfers(topology: string, problem: RouteProblem, budget: number | undefined): RouteAnswer {
  const solution = solveRoute(problem, budget === undefined ? {} : { budget });
  return solution.kind === "solution"
    ? answerOf(reportTransfers(topology, problem, solution), true)
    : answerOf(reportUnroutable(topology, problem, solution), false);
}

function answerOf({ json, text }: RouteReport, isRouted: boolean): RouteAnswer {
  return { ok: true, isRouted, json: { schema: SCHEMA, ...json }, text };
}

function checkOptions({ chunks = 1, steps = 1, budget = 1 }: RouteOptions): readonly Fault[] {
  const faults: Fault[] = [];
  if (!Number.isSafeInteger(chunks) || chunks < 1 || chunks > 1024)
    faults.push({ path: "chunks", message: `${chunks} is no number of chunks` });
  if (!Number.isSafeInteger(steps) || steps < 1)
    faults.push({ path: "steps", message: `${steps} is no number of steps` });
  if (!(budget >= 1)) faults.push({ path: "budget", message: `${budget} is no budget` });
  return faults;
}

function answerCollective(instance: CollectiveInstance, options: RouteOptions): RouteAnswer {
  const { topology, collective, problem } = instance;
  const { ranks, links, blocks } = problem;
  const objective = options.objective ?? "latency";
  const heading = `${collective} on ${topology}: ${ranks} ranks, ${links.length} links, ${blocks.length} blocks`;
  const common = {
    schema: SCHEMA,
    format: "collective",
    topology,
    collective,
    ranks,
    blocks: blocks.length,
    objective,
  };
  const solution = solveCollective(problem, options);
  if (solution.kind === "unreachable") {
    const { block, destination } = solution;
    const text = `${heading}\nblock ${block} cannot reach rank ${destination}\n`;
    return { ok: true, isRouted: false, json: { ...common, routed: false, block, destination }, text };
  }
  const { schedule, steps, rounds, roundsBound, bounds, workUnits } = solution;
  const { chunks } = schedule;
  const { numerator, denominator } = bounds.roundsPerChunk;
  const lowerBound = {
    steps: bounds.steps,
    roundsPerChunk: fraction(numerator, denominator),
    rounds: Math.ceil((numerator * chunks) / denominator),
    roundsInTheseSteps: roundsBound,
    reason: bounds.reason,
  };
  const gap = numerator === 0 ? 0 : (rounds * denominator) / (numerator * chunks) - 1;
  const utilisation = linkUtilisation(instance, solution);
  const stepLists = schedule.steps.map((step) => ({
    rounds: step.rounds,
    sends: step.sends.map(({ chunk, link }) => [chunk, links[link]?.from ?? -1, links[link]?.to ?? -1]),
    ...(problem.isCombining ? { isAdded: step.sends.map(({ isAdded }) => isAdded) } : {}),
  }));
  const json = {
    ...common,
    routed: true,
    chunks,
    steps,
    rounds,
    roundsPerChunk: fraction(rounds, chunks),
    lowerBound,
    gap,
    stepsOverBound: steps - bounds.steps,
    utilisation,
    schedule: stepLists,
    workUnits,
  };
  const lines = [
    heading,
    `${chunks} chunks a block, ${steps} steps (lower bound ${bounds.steps}), ${rounds} rounds (in these steps at least ${roundsBound})`,
    `${fraction(rounds, chunks)} rounds a chunk, lower bound ${lowerBound.roundsPerChunk} (${bounds.reason}): ${gapText(gap)}`,
    `links are busy ${(utilisation * 100).toFixed(1)} % of the rounds`,
    ...stepLists.map(({ rounds: count, sends }, i) => {
      const list = sends.map(([chunk, from, to]) => `${chunk}:${from}>${to}`);
      return `step ${i}, ${count} rounds: ${list.join(" ")}`;
    }),
  ];
  return { ok: true, isRouted: true, json, text: `${lines.join("\n")}\n` };
}

function gapText(gap: number): string {
  return gap === 0 ? "bandwidth-optimal" : `at most ${(gap * 100).toFixed(2)} % above the optimum`;
}

/** Share of all slots of all links that carry a chunk. */
function linkUtilisation({ problem }: CollectiveInstance, { schedule, rounds }: CollectiveSolution): number {
  const slots = rounds * problem.links.reduce((sum, link) => sum + link.perRound, 0);
  const sends = schedule.steps.reduce((sum, step) => sum + step.sends.length, 0);
  return slots === 0 ? 0 : sends / slots;
}

function fraction(numerator: number, denominator: number): string {
  let [x, y] = [numerator, denominator];
  while (y !== 0) [x, y] = [y, x % y];
  const divisor = x || 1;
  return denominator === divisor ? `${numerator / divisor}` : `${numerator / divisor}/${denominator / divisor}`;
}
