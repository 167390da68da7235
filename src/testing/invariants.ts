// The named invariants of schedules as predicates: each gives a witness for every place in which it is broken. Knows the checkers, no solver.
import { verifyProgram } from "../../backends/check/verify.ts";
import type { Program } from "../../ir/machine/program.ts";
import { type AllocViolation, checkAllocation, printAllocViolation } from "../../passes/alloc/check.ts";
import { checkChoices, printChoiceViolation } from "../../passes/alloc/choice-check.ts";
import type { ChoicePlace, ChoiceProblem } from "../../passes/alloc/choice-problem.ts";
import type { AllocProblem } from "../../passes/alloc/problem.ts";
import { checkChain } from "../../passes/partition/check.ts";
import { checkDag } from "../../passes/partition/dag-check.ts";
import type { DagProblem, DagSolution } from "../../passes/partition/dag-problem.ts";
import type { ChainProblem, ChainSolution } from "../../passes/partition/problem.ts";
import { checkRoute } from "../../passes/route/check.ts";
import { checkCollective } from "../../passes/route/collective-check.ts";
import type { CollectiveProblem, CollectiveSchedule } from "../../passes/route/collective-problem.ts";
import type { RouteProblem, RouteSolution } from "../../passes/route/problem.ts";
import type { GraphCase } from "./graphs.ts";
import { executionWitnesses, type Witness } from "./line.ts";

export interface Invariant<Problem, Solution> {
  readonly name: string;
  readonly says: string;
  /** Empty where the invariant holds. */
  readonly witnesses: (problem: Problem, solution: Solution) => readonly string[];
}

/** One invariant a row of `says`, all told apart by what one check finds. */
function invariantsOf<Name extends string, Problem, Solution>(
  says: Readonly<Record<Name, string>>,
  check: (problem: Problem, solution: Solution) => readonly { readonly name: string; readonly message: string }[],
): readonly Invariant<Problem, Solution>[] {
  // Asked for one after the other of one solution: checked once.
  let last:
    | { readonly problem: Problem; readonly solution: Solution; readonly found: ReturnType<typeof check> }
    | undefined;
  const findings = (problem: Problem, solution: Solution): ReturnType<typeof check> => {
    if (last?.problem !== problem || last.solution !== solution)
      last = { problem, solution, found: check(problem, solution) };
    return last.found;
  };
  return Object.entries<string>(says).map(([name, text]) => ({
    name,
    says: text,
    witnesses: (problem, solution) =>
      findings(problem, solution).flatMap((found) => (found.name === name ? [found.message] : [])),
  }));
}

/** Offsets in the order of the buffers. */
export const allocationInvariants = invariantsOf<AllocViolation["rule"], AllocProblem, readonly number[]>(
  {
    count: "there is one offset for each buffer",
    offset: "offsets are whole numbers from 0 on",
    alignment: "every offset is a multiple of its buffer's alignment",
    capacity: "no buffer ends beyond the capacity",
    overlap: "no two buffers that are live at one time share an address, gaps and windows left out",
  },
  (problem, offsets) =>
    checkAllocation(problem, offsets).map((found) => ({ name: found.rule, message: printAllocViolation(found) })),
);

type ChoiceRule = Exclude<AllocViolation["rule"], "count"> | "places" | "choice" | "apart";

/** Banks and offsets in the order of the buffers. */
export const choiceInvariants = invariantsOf<ChoiceRule, ChoiceProblem, readonly ChoicePlace[]>(
  {
    places: "there is one place for each buffer",
    choice: "every buffer stands in the banks of one of its choices",
    apart: "no two buffers that must be apart share a bank",
    offset: "offsets are whole numbers from 0 on",
    alignment: "every offset is a multiple of its buffer's alignment",
    capacity: "no buffer ends beyond the capacity of its bank",
    overlap: "no two buffers that are live at one time in one bank share an address, gaps and windows left out",
  },
  (problem, places) =>
    checkChoices(problem, places).map((found) => ({
      name: found.rule === "bank" ? found.violation.rule : found.rule,
      message: printChoiceViolation(found),
    })),
);

type RouteRule = ReturnType<typeof checkRoute>[number]["code"];

export const routeInvariants = invariantsOf<RouteRule, RouteProblem, RouteSolution>(
  {
    burst: "every burst is of vectors, a transfer and a link that are there, from cycle 0 on",
    early: "nothing leaves its source before it is ready",
    absent: "nothing is sent on before it is there",
    slot: "no slot of a link is used twice, also not by the next repetition",
    missing: "every vector arrives at every destination",
    buffer: "no chip holds more for others than it has room for or than is claimed",
    arrival: "the claimed arrivals are true",
    lateness: "the claimed lateness is true",
    completion: "the claimed completion is true",
    bound: "no claimed lower bound is above what was reached",
  },
  (problem, solution) => checkRoute(problem, solution).map(({ code, message }) => ({ name: code, message })),
);

type CollectiveRule = Exclude<ReturnType<typeof checkCollective>[number]["code"], "totals">;

export const collectiveInvariants = invariantsOf<CollectiveRule, CollectiveProblem, CollectiveSchedule>(
  {
    rounds: "every step has a whole number of rounds",
    capacity: "no link is sent more than its rounds carry",
    group: "links that share a switch are not sent more than its rounds carry",
    link: "every send is over a link that is there",
    chunk: "every send is of a chunk that is there",
    absent: "nobody sends what it does not have",
    double: "no part is added to a sum twice",
    missing: "everybody ends with all that it needs",
  },
  (problem, schedule) => checkCollective(problem, schedule).map(({ code, message }) => ({ name: code, message })),
);

type ChainRule = ReturnType<typeof checkChain>[number]["code"];

export const chainInvariants = invariantsOf<ChainRule, ChainProblem, ChainSolution>(
  {
    coverage: "every layer is in one stage, and the stages are in order",
    degree: "every stage has a degree of the problem",
    unsplittable: "no layer is split in a way that it cannot be",
    chips: "stages take chips one after the other, no chip twice",
    node: "no stage is spread over chips of two nodes",
    capacity: "no chip holds more than it has room for",
    bytes: "the claimed bytes are true",
    cut: "a stage ends wherever it must",
    pin: "pinned layers are where they were pinned",
    load: "the claimed loads are true",
    interval: "the claimed interval is the largest load",
    latency: "the claimed latency is true",
  },
  (problem, solution) => checkChain(problem, solution).map(({ code, message }) => ({ name: code, message })),
);

type PlacementRule = ReturnType<typeof checkDag>[number]["code"];

export const placementInvariants = invariantsOf<PlacementRule, DagProblem, DagSolution>(
  {
    assignment: "every node is on one device",
    devices: "no more devices are used than there are",
    colour: "nodes of one colour are together",
    order: "devices can be put in an order in which no edge leads back",
    "cpu-only": "nodes that need a processor are on one",
    capacity: "no accelerator holds more than it has room for",
    size: "the claimed sizes are true",
    load: "the claimed loads are true",
    objective: "the claimed objective is the largest load",
    bound: "the claimed lower bound is not above the objective",
  },
  (problem, solution) => checkDag(problem, solution).map(({ code, message }) => ({ name: code, message })),
);

const executed = ["execution", "latency", "numbers"] as const;

type ProgramRule = ReturnType<typeof verifyProgram>["invariants"][number]["name"] | (typeof executed)[number];

/** Of a machine program, for the graph it was compiled from and inputs of it. */
export const programInvariants = invariantsOf<ProgramRule, GraphCase, Program>(
  {
    queue: "a queue issues one instruction a cycle, in order",
    stream: "no two values are on one stream register",
    operand: "every operand is the value that the graph says",
    bank: "reads and writes of one cycle are on different banks, one a port",
    range: "every address is inside its slice, every operand inside its unit",
    lifetime: "no word is overwritten before its last reader",
    weights: "no tile is used before it is installed or replaced while it is in use",
    accumulator: "no sum is read before it is whole or overwritten before it is read",
    link: "every vector on a link has a slot and is received exactly when it arrives",
    capacity: "everything that lives at one time has its own words",
    determinism: "the claimed latency and lower bound follow from the program",
    overlap: "every rule holds modulo the initiation interval",
    completeness: "every output is produced and every node is accounted for",
    execution: "the interpreter finds no fault",
    latency: "executed cycles are the predicted ones",
    numbers: "outputs are the evaluator's",
  },
  (drawn, program) => {
    const found: Witness[] = [];
    for (const { name, violations } of verifyProgram(program).invariants)
      for (const { message } of violations) found.push({ invariant: name, message });
    found.push(...executionWitnesses(program, drawn));
    return found.map(({ invariant, message }) => ({ name: invariant, message }));
  },
);

/** Everything that is broken, by the name of the invariant. */
export function brokenInvariants<Problem, Solution>(
  invariants: readonly Invariant<Problem, Solution>[],
  problem: Problem,
  solution: Solution,
): readonly Witness[] {
  return invariants.flatMap(({ name, witnesses }) =>
    witnesses(problem, solution).map((message) => ({ invariant: name, message })),
  );
}
