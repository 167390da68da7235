// Independent check of a collective's schedule by playing it: who holds which parts of which chunk after each step, and how full are the links?
// Knows the problem only, never how the schedule was found.
import type { CollectiveProblem, CollectiveSchedule, CollectiveSolution } from "./collective-problem.ts";

export type CollectiveViolationCode =
  | "rounds"
  | "chunk"
  | "link"
  | "absent"
  | "capacity"
  | "group"
  | "double"
  | "missing"
  | "totals";

export type CollectiveViolation = {
  readonly code: CollectiveViolationCode;
  /** Index of the step that shows it; the number of steps for what is wrong at the end. */
  readonly step: number;
  readonly message: string;
};

type Report = (code: CollectiveViolationCode, step: number, message: string) => void;
/** held[rank]: for each chunk the ranks whose parts are in it. A problem without sums has one part, of rank -1. */
type Held = readonly Map<number, ReadonlySet<number>>[];

/** Every way in which `schedule` is wrong for `problem`; empty when it is right. */
export function checkCollective(
  problem: CollectiveProblem,
  schedule: CollectiveSchedule,
): readonly CollectiveViolation[] {
  const found: CollectiveViolation[] = [];
  const report: Report = (code, step, message) => {
    found.push({ code, step, message });
  };
  let held = heldAtStart(problem, schedule.chunks);
  schedule.steps.forEach((_, step) => {
    checkLoad(problem, schedule, step, report);
    held = playStep(problem, schedule, step, held, report);
  });
  checkEnd(problem, schedule, held, report);
  return found;
}

/** `checkCollective`, and the figures that the solution states. */
export function checkCollectiveSolution(
  problem: CollectiveProblem,
  solution: CollectiveSolution,
): readonly CollectiveViolation[] {
  const { schedule, steps, rounds, roundsBound, bounds } = solution;
  const wrong: CollectiveViolation[] = [];
  const say = (message: string): void => {
    wrong.push({ code: "totals", step: schedule.steps.length, message });
  };
  let sum = 0;
  for (const step of schedule.steps) sum += step.rounds;
  if (steps !== schedule.steps.length) say(`${schedule.steps.length} steps, ${steps} claimed`);
  if (rounds !== sum) say(`${sum} rounds, ${rounds} claimed`);
  if (steps < bounds.steps) say(`${steps} steps are below the bound ${bounds.steps}`);
  if (rounds < roundsBound) say(`${rounds} rounds are below the bound ${roundsBound}`);
  const { numerator, denominator } = bounds.roundsPerChunk;
  if (rounds * denominator < numerator * schedule.chunks)
    say(`${rounds} rounds for ${schedule.chunks} chunks are below the bound ${numerator}/${denominator}`);
  return [...checkCollective(problem, schedule), ...wrong];
}

function heldAtStart(problem: CollectiveProblem, chunks: number): Held {
  const held = Array.from({ length: problem.ranks }, () => new Map<number, ReadonlySet<number>>());
  problem.blocks.forEach(({ sources }, block) => {
    for (let i = 0; i < chunks; i++)
      for (const rank of sources) held[rank]?.set(block * chunks + i, new Set([problem.isCombining ? rank : -1]));
  });
  return held;
}

function checkLoad(problem: CollectiveProblem, schedule: CollectiveSchedule, step: number, report: Report): void {
  const { rounds, sends } = schedule.steps[step] ?? { rounds: 0, sends: [] };
  if (!Number.isInteger(rounds) || rounds < 1) report("rounds", step, `step ${step} has ${rounds} rounds`);
  const load = new Map<number, number>();
  for (const { link } of sends) load.set(link, (load.get(link) ?? 0) + 1);
  problem.links.forEach(({ from, to, perRound }, link) => {
    const sent = load.get(link) ?? 0;
    if (sent > rounds * perRound)
      report(
        "capacity",
        step,
        `step ${step} sends ${sent} chunks from ${from} to ${to} in ${rounds} rounds of ${perRound}`,
      );
  });
  problem.groups.forEach(({ links, perRound }, group) => {
    let sent = 0;
    for (const link of new Set(links)) sent += load.get(link) ?? 0;
    if (sent > rounds * perRound)
      report("group", step, `step ${step} sends ${sent} chunks over group ${group} in ${rounds} rounds of ${perRound}`);
  });
}

/** What is held after the step; what arrives in it could not be sent in it. */
function playStep(
  problem: CollectiveProblem,
  schedule: CollectiveSchedule,
  step: number,
  before: Held,
  report: Report,
): Held {
  const after = before.map((chunks) => new Map(chunks));
  for (const { chunk, link, isAdded } of schedule.steps[step]?.sends ?? []) {
    const way = problem.links[link];
    if (way === undefined) {
      report("link", step, `step ${step} sends chunk ${chunk} over link ${link}, which is not there`);
      continue;
    }
    if (!(Number.isInteger(chunk) && chunk >= 0 && chunk < problem.blocks.length * schedule.chunks)) {
      report("chunk", step, `step ${step} sends chunk ${chunk}, which is not there`);
      continue;
    }
    const sent = before[way.from]?.get(chunk);
    if (sent === undefined) {
      report("absent", step, `step ${step} sends chunk ${chunk} from rank ${way.from}, which does not have it`);
      continue;
    }
    const there = isAdded ? (after[way.to]?.get(chunk) ?? new Set<number>()) : new Set<number>();
    const twice = [...sent].filter((rank) => there.has(rank));
    if (twice.length > 0)
      report(
        "double",
        step,
        `step ${step} adds the part of rank ${twice.join(",")} of chunk ${chunk} at rank ${way.to} again`,
      );
    after[way.to]?.set(chunk, new Set([...there, ...sent]));
  }
  return after;
}

function checkEnd(problem: CollectiveProblem, schedule: CollectiveSchedule, held: Held, report: Report): void {
  const end = schedule.steps.length;
  problem.blocks.forEach(({ sources, destinations }, block) => {
    const parts = problem.isCombining ? sources : [-1];
    for (let i = 0; i < schedule.chunks; i++) {
      const chunk = block * schedule.chunks + i;
      for (const rank of destinations) {
        const has = held[rank]?.get(chunk);
        const lacking = parts.filter((part) => has?.has(part) !== true);
        if (has === undefined) report("missing", end, `rank ${rank} ends without chunk ${chunk}`);
        else if (lacking.length > 0)
          report(
            "missing",
            end,
            `rank ${rank} ends with chunk ${chunk} without the parts of rank ${lacking.join(",")}`,
          );
      }
    }
  });
}
