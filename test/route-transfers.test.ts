// Transfer schedules: right for random problems, near their bounds where these are tight, within buffers and intervals, and the checker finds every
// kind of mistake.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findSlot, makeCalendar, takeSlot } from "../passes/route/calendar.ts";
import { checkRoute, type RouteViolationCode } from "../passes/route/check.ts";
import {
  parseRouteProblem,
  printRouteProblem,
  type RouteProblem,
  type RouteSolution,
  verifyRouteProblem,
} from "../passes/route/problem.ts";
import { solveRoute } from "../passes/route/solve.ts";
import { routeProblems } from "../src/testing/route-problems.ts";
import { joined, routeProblem, transfer } from "./route-problems.ts";

const budget = 30_000;

function solved(problem: RouteProblem): RouteSolution {
  expect(verifyRouteProblem(problem)).toEqual([]);
  const solution = solveRoute(problem, { budget });
  if (solution.kind !== "solution") throw new Error(`${solution.reason}: transfer ${solution.transfer}`);
  expect(checkRoute(problem, solution)).toEqual([]);
  return solution;
}

const ring4 = joined(
  [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 0],
  ],
  7,
  100,
);

describe("known answers", () => {
  it("one vector over two hops takes two latencies and the forwarding", () => {
    const problem = routeProblem({ chips: 4, links: ring4, transfers: [transfer({ source: 0, destinations: [2] })] });
    const solution = solved(problem);
    expect(solution.completionCycles).toBe(205);
    expect(solution.bounds.completionCycles).toBe(205);
  });
  it("store-and-forward waits for the whole burst, cut-through does not", () => {
    const line = joined(
      [
        [0, 1],
        [1, 2],
      ],
      7,
      100,
    );
    const transfers = [transfer({ source: 0, destinations: [2], vectors: 10 })];
    const problem = routeProblem({ chips: 3, links: line, transfers });
    expect(solved(problem).completionCycles).toBe(205 + 9 * 7);
    const { bursts } = solved(problem);
    const stored = { ...problem, forwarding: "store-and-forward" as const };
    expect(solved(stored).completionCycles).toBeGreaterThanOrEqual(205 + 9 * 7);
    const asOneBurst = { ...solved(problem), bursts };
    expect(bursts.map(({ vectors }) => vectors)).toEqual([10, 10]);
    expect(checkRoute(stored, asOneBurst).map(({ code }) => code)).toContain("absent");
  });
  it("a large tensor is split over both ways round a ring", () => {
    const transfers = [transfer({ source: 0, destinations: [2], vectors: 400 })];
    const { completionCycles, bounds } = solved(routeProblem({ chips: 4, links: ring4, transfers }));
    expect(bounds.completionCycles).toBe(205 + 199 * 7);
    expect(completionCycles).toBeLessThanOrEqual(bounds.completionCycles * 1.03);
  });
  it("parallel links share a tensor", () => {
    const links = [0, 1, 2].flatMap(() => joined([[0, 1]], 7, 100));
    const transfers = [transfer({ source: 0, destinations: [1], vectors: 300 })];
    const { completionCycles, bounds } = solved(routeProblem({ chips: 2, links, transfers }));
    expect(bounds.completionCycles).toBe(100 + 99 * 7);
    expect(completionCycles).toBeLessThanOrEqual(bounds.completionCycles * 1.03);
  });
  it("a multicast sends each vector over each link of its tree once", () => {
    const line = joined(
      [
        [0, 1],
        [1, 2],
        [2, 3],
      ],
      7,
      100,
    );
    const transfers = [transfer({ source: 0, destinations: [3, 2, 1], vectors: 8 })];
    const { completionCycles, bursts } = solved(routeProblem({ chips: 4, links: line, transfers }));
    expect(completionCycles).toBe(310 + 7 * 7);
    expect(bursts.reduce((sum, burst) => sum + burst.vectors, 0)).toBe(24);
  });
  it("what is due first goes first, whatever the order of the list", () => {
    const links = joined([[0, 1]], 10, 50);
    const slack = transfer({ name: "slack", source: 0, destinations: [1], vectors: 20 });
    const urgent = transfer({ name: "urgent", source: 0, destinations: [1], vectors: 5, latest: 90 });
    const solution = solved(routeProblem({ chips: 2, links, transfers: [slack, urgent] }));
    expect(solution.latenessCycles).toBe(0);
    expect(solution.completionCycles).toBe(50 + 24 * 10);
  });
  it("starts sending while the tensor is still being made", () => {
    const links = joined([[0, 1]], 2, 50);
    const transfers = [transfer({ source: 0, destinations: [1], vectors: 64, readyEvery: 10, earliest: 30 })];
    const { completionCycles, bursts } = solved(routeProblem({ chips: 2, links, transfers }));
    expect(completionCycles).toBe(30 + 63 * 10 + 50);
    expect(bursts[0]?.start).toBeLessThan(30 + 63 * 10);
  });
  it("says what has no way", () => {
    const links = [{ from: 0, to: 1, cyclesPerVector: 1, latency: 1 }];
    const transfers = [transfer({ source: 1, destinations: [0] })];
    const answer = solveRoute(routeProblem({ chips: 2, links, transfers }));
    expect(answer).toEqual({ kind: "unroutable", transfer: 0, reason: "reach", destination: 0 });
  });
});

describe("repetition and buffers", () => {
  it("uses every slot of an interval that is just long enough, and says when it is not", () => {
    const links = joined([[0, 1]], 7, 100);
    const transfers = [3, 5, 2].map((vectors) => transfer({ source: 0, destinations: [1], vectors }));
    const problem = routeProblem({ chips: 2, links, transfers, intervalCycles: 70 });
    const solution = solved(problem);
    expect(solution.bounds.intervalCycles).toBe(70);
    const tight = solveRoute({ ...problem, intervalCycles: 69 }, { budget });
    expect(tight).toMatchObject({ kind: "unroutable", reason: "interval" });
  });
  it("keeps random schedules apart from their own repetitions", () => {
    fc.assert(
      fc.property(routeProblems, fc.integer({ min: 300, max: 3000 }), (problem, intervalCycles) => {
        const answer = solveRoute({ ...problem, intervalCycles }, { budget });
        if (answer.kind === "solution") expect(checkRoute({ ...problem, intervalCycles }, answer)).toEqual([]);
        else expect(answer.reason).toBe("interval");
      }),
      { numRuns: 60 },
    );
  });
  it("holds modulo the interval: several tokens in flight, each with its schedule, are one legal schedule", () => {
    const tokens = 4;
    let routed = 0;
    fc.assert(
      fc.property(routeProblems, fc.integer({ min: 300, max: 3000 }), (problem, intervalCycles) => {
        const answer = solveRoute({ ...problem, intervalCycles }, { budget });
        if (answer.kind !== "solution") return;
        routed++;
        const each = Array.from({ length: tokens }, (_, token) => token);
        const count = problem.transfers.length;
        const unrolled: RouteProblem = {
          ...problem,
          transfers: each.flatMap((token) =>
            problem.transfers.map((one) => ({
              ...one,
              earliest: one.earliest + token * intervalCycles,
              latest: one.latest === undefined ? undefined : one.latest + token * intervalCycles,
            })),
          ),
        };
        const shifted = <T>(list: readonly T[], by: (item: T, token: number) => T): T[] =>
          each.flatMap((token) => list.map((item) => by(item, token)));
        const all: RouteSolution = {
          ...answer,
          bursts: shifted(answer.bursts, (burst, token) => ({
            ...burst,
            transfer: burst.transfer + token * count,
            start: burst.start + token * intervalCycles,
          })),
          arrivals: shifted(answer.arrivals, (arrival, token) => arrival + token * intervalCycles),
          completionCycles: answer.completionCycles + (tokens - 1) * intervalCycles,
        };
        expect(checkRoute(unrolled, all)).toEqual([]);
      }),
      { numRuns: 60 },
    );
    expect(routed).toBeGreaterThan(30);
  });
  it("never holds more for others than there is room", () => {
    let routed = 0;
    fc.assert(
      fc.property(routeProblems, fc.integer({ min: 1, max: 24 }), (problem, bufferVectors) => {
        const answer = solveRoute({ ...problem, bufferVectors }, { budget });
        if (answer.kind !== "solution") return;
        routed++;
        expect(checkRoute({ ...problem, bufferVectors }, answer)).toEqual([]);
        expect(Math.max(...answer.bufferPeaks)).toBeLessThanOrEqual(bufferVectors);
      }),
      { numRuns: 60 },
    );
    expect(routed).toBeGreaterThan(30);
  });
  it("without room nothing is forwarded", () => {
    const line = joined(
      [
        [0, 1],
        [1, 2],
      ],
      7,
      100,
    );
    const transfers = [transfer({ source: 0, destinations: [2] })];
    const answer = solveRoute(routeProblem({ chips: 3, links: line, transfers, bufferVectors: 0 }), { budget });
    expect(answer).toMatchObject({ kind: "unroutable", reason: "buffer" });
  });
});

describe("properties", () => {
  it("every schedule is right, within its bounds, and the same again", () => {
    fc.assert(
      fc.property(routeProblems, (problem) => {
        const solution = solved(problem);
        expect(solveRoute(problem, { budget })).toEqual(solution);
      }),
      { numRuns: 60 },
    );
  });
  it("the text of a problem reads back", () => {
    fc.assert(
      fc.property(routeProblems, (problem) => {
        expect(parseRouteProblem(printRouteProblem(problem))).toEqual({ ok: true, problem });
      }),
    );
    const bad = parseRouteProblem(
      "route chips=2 forwarding=cut-through forward=0 buffer=none interval=none\nlink 0>1\n",
    );
    expect(bad).toMatchObject({ ok: false, errors: [{ line: 2 }] });
  });
  it("a calendar gives the first free slot, on a line and on a circle", () => {
    const jobs = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 9 })), { maxLength: 12 });
    fc.assert(
      fc.property(jobs, fc.option(fc.integer({ min: 5, max: 40 }), { nil: undefined }), (list, period) => {
        const calendar = makeCalendar(1, period);
        const taken = new Set<number>();
        const place = (cycle: number): number => (period === undefined ? cycle : cycle % period);
        const isFree = (at: number, length: number): boolean => {
          const cycles = Array.from({ length }, (_, i) => place(at + i));
          return new Set(cycles).size === length && cycles.every((cycle) => !taken.has(cycle));
        };
        for (const [time, length] of list) {
          const expected = Array.from({ length: 300 }, (_, i) => time + i).find((at) => isFree(at, length));
          const slot = findSlot(calendar, 0, time, length);
          expect(slot).toBe(expected ?? Number.POSITIVE_INFINITY);
          if (expected === undefined) continue;
          takeSlot(calendar, 0, slot, length);
          for (let i = 0; i < length; i++) taken.add(place(slot + i));
        }
      }),
    );
  });
});

describe("mutants of a right schedule", () => {
  const transfers = [
    transfer({ source: 0, destinations: [2, 3], vectors: 12, latest: 500 }),
    transfer({ source: 1, destinations: [3], vectors: 20, earliest: 40 }),
    transfer({ source: 3, destinations: [1], vectors: 9 }),
    transfer({ source: 0, destinations: [2], vectors: 30, readyEvery: 3 }),
  ];
  const problem = routeProblem({ chips: 4, links: ring4, transfers });
  const solution = solved(problem);
  const codes = (changed: Partial<RouteSolution>, of = problem): ReadonlySet<RouteViolationCode> =>
    new Set(checkRoute(of, { ...solution, ...changed }).map(({ code }) => code));
  const edited = (index: number, change: object) =>
    codes({ bursts: solution.bursts.map((burst, i) => (i === index ? { ...burst, ...change } : burst)) });

  it("a burst left out leaves something missing or never there", () => {
    solution.bursts.forEach((_, index) => {
      const found = codes({ bursts: solution.bursts.filter((__, i) => i !== index) });
      expect([...found].some((code) => code === "missing" || code === "absent")).toBe(true);
    });
  });
  it("a burst doubled uses slots twice", () => {
    solution.bursts.forEach((burst) => {
      expect(codes({ bursts: [...solution.bursts, burst] })).toContain("slot");
    });
  });
  it("a burst moved before its vectors are there is found", () => {
    solution.bursts.forEach(({ transfer: t, link }, index) => {
      const from = problem.links[link]?.from;
      const moved = edited(index, { start: 0 });
      if (from === transfers[t]?.source) {
        if ((transfers[t]?.earliest ?? 0) > 0) expect(moved).toContain("early");
      } else expect(moved).toContain("absent");
    });
  });
  it("bursts of what does not exist are found", () => {
    for (const change of [{ link: 99 }, { transfer: 9 }, { vectors: 0 }, { firstVector: -1 }, { start: 0.5 }])
      expect(edited(0, change)).toContain("burst");
  });
  it("wrong figures are found", () => {
    expect(codes({ arrivals: solution.arrivals.map((cycle) => cycle + 1) })).toEqual(new Set(["arrival"]));
    expect(codes({ latenessCycles: solution.latenessCycles + 1 })).toEqual(new Set(["lateness"]));
    expect(codes({ completionCycles: solution.completionCycles + 1 })).toEqual(new Set(["completion"]));
    const bounds = { ...solution.bounds, completionCycles: solution.completionCycles + 1 };
    expect(codes({ bounds })).toEqual(new Set(["bound"]));
    expect(codes({ bufferPeaks: [0, 0, 0, 0] })).toEqual(new Set(["buffer"]));
    expect(codes({}, { ...problem, bufferVectors: 0 })).toEqual(new Set(["buffer"]));
    expect(codes({}, { ...problem, intervalCycles: 50 })).toContain("slot");
  });
});
