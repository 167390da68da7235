// Tiny transfer problems against all their schedules: bounds are never above the best, and the solver has the best lateness and completion.
import fc from "fast-check";
import { expect, it } from "vitest";
import { checkRoute } from "../passes/route/check.ts";
import type { RouteProblem } from "../passes/route/problem.ts";
import { solveRoute } from "../passes/route/solve.ts";
import { bestOfAll } from "./route-exhaustive.ts";
import { routeProblem, transfer } from "./route-problems.ts";

const period = fc.integer({ min: 1, max: 6 });
const latency = fc.integer({ min: 1, max: 12 });

/** Three chips in a ring, some shortcuts, up to four vectors in up to three transfers. */
const tiny: fc.Arbitrary<RouteProblem> = fc
  .record({
    ring: fc.array(fc.tuple(period, latency), { minLength: 3, maxLength: 3 }),
    back: fc.array(fc.tuple(fc.nat(2), period, latency), { maxLength: 2 }),
    transfers: fc.array(
      fc.record({
        source: fc.nat(2),
        step: fc.integer({ min: 1, max: 2 }),
        vectors: fc.integer({ min: 1, max: 2 }),
        earliest: fc.nat(8),
        readyEvery: fc.nat(3),
        latest: fc.option(fc.nat(30), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    forwardCycles: fc.nat(4),
  })
  .map(({ ring, back, transfers, forwardCycles }) =>
    routeProblem({
      chips: 3,
      links: [
        ...ring.map(([cyclesPerVector, wait], from) => ({ from, to: (from + 1) % 3, cyclesPerVector, latency: wait })),
        ...back.map(([from, cyclesPerVector, wait]) => ({ from, to: (from + 2) % 3, cyclesPerVector, latency: wait })),
      ],
      transfers: transfers.map(({ source, step, ...rest }) =>
        transfer({ ...rest, source, destinations: [(source + step) % 3] }),
      ),
      forwardCycles,
    }),
  )
  .filter(({ transfers }) => transfers.reduce((sum, { vectors }) => sum + vectors, 0) <= 4);

it("the solver has the best of all schedules, and no bound is above it", () => {
  fc.assert(
    fc.property(tiny, (problem) => {
      const solution = solveRoute(problem);
      if (solution.kind !== "solution") throw new Error("a ring reaches everything");
      expect(checkRoute(problem, solution)).toEqual([]);
      const { latenessCycles: lateness, completionCycles: completion, bounds } = solution;
      expect({ lateness, completion }).toEqual(bestOfAll(problem));
      expect(bounds.latenessCycles).toBeLessThanOrEqual(lateness);
    }),
    { seed: 11, numRuns: 300 },
  );
});
