// Collectives: recorded optima are reached, schedules are right when played, bounds hold, and the checker finds every kind of mistake.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collectiveBounds, isLess, leastRounds } from "../passes/route/collective-bound.ts";
import {
  type CollectiveViolationCode,
  checkCollective,
  checkCollectiveSolution,
} from "../passes/route/collective-check.ts";
import {
  type CollectiveKind,
  type CollectiveLink,
  type CollectiveProblem,
  type CollectiveSchedule,
  collectiveBlocks,
  collectiveKinds,
  isCombiningKind,
  verifyCollective,
} from "../passes/route/collective-problem.ts";
import { solveCollective } from "../passes/route/collective-solve.ts";
import { readCollective } from "../src/formats/collective-instance.ts";
import { sharedData } from "./shared-data.ts";

const folder = sharedData("route");
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".json"));

type Recorded = {
  readonly steps_lb: number;
  readonly complete: boolean;
  readonly pareto: readonly { readonly chunks: number; readonly steps: number; readonly rounds: number }[];
  readonly found: readonly { readonly chunks: number; readonly steps: number; readonly rounds: number }[];
};

function tableLinks(table: readonly (readonly number[])[]): CollectiveLink[] {
  return table.flatMap((row, to) => row.flatMap((perRound, from) => (perRound > 0 ? [{ from, to, perRound }] : [])));
}

/** Eight GPUs of a DGX-1: six NVLinks each, some pairs doubly joined. */
const cubeMesh = tableLinks([
  [0, 1, 1, 2, 2, 0, 0, 0],
  [1, 0, 2, 1, 0, 2, 0, 0],
  [1, 2, 0, 2, 0, 0, 1, 0],
  [2, 1, 2, 0, 0, 0, 0, 1],
  [2, 0, 0, 0, 0, 1, 1, 2],
  [0, 2, 0, 0, 1, 0, 2, 1],
  [0, 0, 1, 0, 1, 2, 0, 2],
  [0, 0, 0, 1, 2, 1, 2, 0],
]);

function named(kind: CollectiveKind, ranks: number, links: readonly CollectiveLink[]): CollectiveProblem {
  return { ranks, links, groups: [], blocks: collectiveBlocks(kind, ranks, 0), isCombining: isCombiningKind(kind) };
}

function solved(problem: CollectiveProblem, options: Parameters<typeof solveCollective>[1]) {
  const solution = solveCollective(problem, options);
  if (solution.kind !== "solution") throw new Error(`block ${solution.block} is stuck`);
  expect(checkCollectiveSolution(problem, solution)).toEqual([]);
  return solution;
}

describe("recorded collectives", () => {
  it.skipIf(files.length === 0)("are all read", () => expect(files.length).toBeGreaterThanOrEqual(25));
  for (const file of files) {
    it(`${file}: every recorded point is reached or beaten`, () => {
      const json: unknown = JSON.parse(readFileSync(join(folder ?? "", file), "utf8"));
      const read = readCollective(json);
      if (!read.ok) throw new Error(JSON.stringify(read.faults));
      const { problem } = read.value;
      const record = json as Recorded;
      const latency = solved(problem, { objective: "latency" });
      expect(latency.steps).toBe(record.steps_lb);
      for (const point of [...record.pareto, ...record.found]) {
        const { chunks, steps } = point;
        const limited = solved(problem, { objective: "bandwidth", chunks, steps });
        expect(limited.steps).toBeLessThanOrEqual(steps);
        expect(limited.rounds).toBeLessThanOrEqual(point.rounds);
        expect(solved(problem, { objective: "bandwidth", chunks }).rounds).toBeLessThanOrEqual(point.rounds);
      }
      const rates = record.pareto.map(({ chunks, rounds }) => ({ numerator: rounds, denominator: chunks }));
      const best = solved(problem, { objective: "bandwidth" });
      const rate = { numerator: best.rounds, denominator: best.schedule.chunks };
      for (const recorded of rates) expect(isLess(recorded, rate)).toBe(false);
    });
  }
});

describe("published optima of eight GPUs in a cube mesh", () => {
  const points = [
    ["all-gather", 1, 2, 2],
    ["all-gather", 2, 2, 3],
    ["all-gather", 6, 3, 7],
    ["reduce-scatter", 6, 3, 7],
    ["broadcast", 6, 3, 3],
    ["all-reduce", 6, 6, 14],
  ] as const;
  for (const [kind, chunks, steps, rounds] of points) {
    it(`${kind} in ${chunks} chunks takes ${steps} steps and ${rounds} rounds`, () => {
      const solution = solved(named(kind, 8, cubeMesh), { objective: "bandwidth", chunks, steps });
      expect([solution.steps, solution.rounds]).toEqual([steps, rounds]);
    });
  }
});

/** Strongly connected: a ring in one direction and some more links. */
const topologies = fc
  .record({
    ranks: fc.integer({ min: 2, max: 6 }),
    more: fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.integer({ min: 1, max: 2 })), { maxLength: 8 }),
  })
  .map(({ ranks, more }) => {
    const rates = new Map<number, number>();
    for (let from = 0; from < ranks; from++) rates.set(from * ranks + ((from + 1) % ranks), 1);
    for (const [a, b, perRound] of more) {
      const [from, to] = [a % ranks, b % ranks];
      if (from !== to) rates.set(from * ranks + to, perRound);
    }
    const links = [...rates].map(([pair, perRound]) => ({
      from: Math.floor(pair / ranks),
      to: pair % ranks,
      perRound,
    }));
    return { ranks, links };
  });

describe("properties", () => {
  it("every collective on any connected topology has a right schedule within its bounds", () => {
    fc.assert(
      fc.property(
        topologies,
        fc.constantFrom(...collectiveKinds),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom("latency" as const, "bandwidth" as const),
        ({ ranks, links }, kind, chunks, objective) => {
          const problem = named(kind, ranks, links);
          expect(verifyCollective(problem)).toEqual([]);
          const solution = solved(problem, { chunks, objective, budget: 3_000_000 });
          expect(solution.rounds).toBeGreaterThanOrEqual(leastRounds(solution.bounds.roundsPerChunk, chunks));
          if (objective === "latency" && !problem.isCombining) expect(solution.steps).toBe(solution.bounds.steps);
          expect(solveCollective(problem, { chunks, objective, budget: 3_000_000 })).toEqual(solution);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("shared switches are respected", () => {
    fc.assert(
      fc.property(topologies, fc.integer({ min: 1, max: 3 }), ({ ranks, links }, perRound) => {
        const plain = named("all-gather", ranks, links);
        const problem = { ...plain, groups: [{ links: links.map((_, i) => i).filter((i) => i % 2 === 0), perRound }] };
        const solution = solved(problem, { chunks: 1, objective: "bandwidth", budget: 3_000_000 });
        const bound = collectiveBounds(plain).roundsPerChunk;
        expect(isLess(solution.bounds.roundsPerChunk, bound)).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  it("says what cannot be reached", () => {
    const problem = named("broadcast", 3, [{ from: 0, to: 1, perRound: 1 }]);
    expect(solveCollective(problem)).toEqual({ kind: "unreachable", block: 0, destination: 2 });
  });
});

describe("mutants of a right schedule", () => {
  const problem: CollectiveProblem = {
    ...named(
      "all-reduce",
      4,
      tableLinks([
        [0, 1, 0, 1],
        [1, 0, 1, 0],
        [0, 1, 0, 1],
        [1, 0, 1, 0],
      ]),
    ),
    groups: [{ links: [0, 1], perRound: 2 }],
  };
  const { schedule } = solved(problem, { chunks: 2, objective: "bandwidth" });
  const edit = (step: number, change: (sends: CollectiveSchedule["steps"][number]) => object): CollectiveSchedule => ({
    ...schedule,
    steps: schedule.steps.map((s, i) => (i === step ? { ...s, ...change(s) } : s)),
  });
  const codes = (changed: CollectiveSchedule, of = problem): ReadonlySet<CollectiveViolationCode> =>
    new Set(checkCollective(of, changed).map(({ code }) => code));
  const last = schedule.steps.length - 1;

  it("any one send left out leaves somebody without a part", () => {
    schedule.steps.forEach((step, s) => {
      step.sends.forEach((_, i) => {
        const changed = edit(s, ({ sends }) => ({ sends: sends.filter((__, j) => j !== i) }));
        expect([...codes(changed)].some((code) => code === "missing" || code === "absent")).toBe(true);
      });
    });
  });
  it("any one sum sent twice is counted twice", () => {
    const [first] = schedule.steps;
    (first?.sends ?? []).forEach((send) => {
      expect(codes(edit(0, ({ sends, rounds }) => ({ rounds: rounds + 1, sends: [...sends, send] })))).toContain(
        "double",
      );
    });
  });
  it("finds the other mistakes", () => {
    const more = (send: object) => (step: CollectiveSchedule["steps"][number]) => ({
      sends: [...step.sends, { chunk: 0, link: 0, isAdded: false, ...send }],
    });
    expect(codes(edit(0, () => ({ rounds: 0 })))).toContain("rounds");
    expect(codes(edit(0, more({ link: 99 })))).toContain("link");
    expect(codes(edit(0, more({ chunk: 99 })))).toContain("chunk");
    expect(codes(edit(last, ({ sends }) => ({ sends: [...sends, ...sends] })))).toContain("capacity");
    expect(codes(schedule, { ...problem, groups: [{ links: problem.links.map((_, i) => i), perRound: 1 }] })).toEqual(
      new Set(["group"]),
    );
    const gather = named(
      "all-gather",
      3,
      tableLinks([
        [0, 1, 1],
        [1, 0, 1],
        [1, 1, 0],
      ]),
    );
    const early = { chunks: 1, steps: [{ rounds: 9, sends: [{ chunk: 2, link: 0, isAdded: false }] }] };
    expect(codes(early, gather)).toContain("absent");
  });
  it("figures that are not those of the schedule are found", () => {
    const solution = solved(problem, { chunks: 2, objective: "bandwidth" });
    const wrong = { ...solution, rounds: solution.rounds - 1, steps: 1 };
    expect(checkCollectiveSolution(problem, wrong).map(({ code }) => code)).toEqual(expect.arrayContaining(["totals"]));
  });
});
