// Collectives on families of topologies whose best steps and bandwidth are known in closed form: rings, lines, stars, trees, cubes, tori, switches, links
// of two speeds. They are reached, and stated as bounds.
import { describe, expect, it } from "vitest";
import { checkCollectiveSolution } from "../passes/route/collective-check.ts";
import {
  type CollectiveKind,
  type CollectiveProblem,
  collectiveBlocks,
  isCombiningKind,
} from "../passes/route/collective-problem.ts";
import { type CollectiveOptions, solveCollective } from "../passes/route/collective-solve.ts";
import {
  allToAll,
  cubeOf,
  hubOf,
  lineOf,
  oneWayRing,
  ringOf,
  starOf,
  tableOf,
  torusOf,
  treeOf,
  type Wires,
} from "./route-topologies.ts";

function solved(kind: CollectiveKind, wires: Wires, options: CollectiveOptions) {
  const blocks = collectiveBlocks(kind, wires.ranks, 0);
  const problem: CollectiveProblem = { ...wires, blocks, isCombining: isCombiningKind(kind) };
  const solution = solveCollective(problem, options);
  if (solution.kind !== "solution") throw new Error(`block ${solution.block} is stuck`);
  expect(checkCollectiveSolution(problem, solution)).toEqual([]);
  return solution;
}

/** Two pairs of pairs on each side of a host, as some servers have them; and eight that all reach each other, near ones a little faster. */
const square = tableOf([
  [0, 1, 1, 0],
  [1, 0, 0, 1],
  [1, 0, 0, 1],
  [0, 1, 1, 0],
]);
const twoSpeeds = tableOf(
  Array.from({ length: 6 }, (_, a) => Array.from({ length: 6 }, (_, b) => (a === b ? 0 : (a + b) % 2 === 0 ? 3 : 2))),
);

type Row = readonly [name: string, wires: Wires, kind: CollectiveKind, steps: number, rounds: number, chunks: number];

/** Fewest steps, and least rounds for so many chunks with as many steps as one likes. */
const rows: readonly Row[] = [
  ...[5, 7, 8, 10].flatMap((n): Row[] => [
    [`ring of ${n}`, ringOf(n), "all-gather", n >> 1, n - 1, 2],
    [`ring of ${n}`, ringOf(n), "reduce-scatter", n >> 1, n - 1, 2],
    [`ring of ${n}`, ringOf(n), "all-to-all", n >> 1, (n * n - (n % 2)) / 4, 2],
    [`ring of ${n}`, ringOf(n), "scatter", n >> 1, n - 1, 2],
    [`one-way ring of ${n}`, oneWayRing(n), "all-to-all", n - 1, (n * (n - 1)) / 2, 1],
    [`line of ${n}`, lineOf(n), "all-gather", n - 1, n - 1, 1],
    [`line of ${n}`, lineOf(n), "all-to-all", n - 1, (n >> 1) * ((n + 1) >> 1), 1],
    [`star of ${n}`, starOf(n), "all-gather", 2, n - 1, 1],
    [`star of ${n}`, starOf(n), "all-to-all", 2, n - 1, 1],
    [`all of ${n}`, allToAll(n), "all-to-all", 1, 1, 1],
    [`all of ${n}`, allToAll(n), "broadcast", 1, 2, n - 1],
    [`switch of ${n}`, hubOf(n), "all-gather", 1, n - 1, 1],
    [`switch of ${n}`, hubOf(n), "reduce-scatter", 1, n - 1, 1],
    [`switch of ${n}`, hubOf(n), "broadcast", 1, Math.ceil(Math.log2(n)), 1],
    [`switch of ${n}`, hubOf(n), "broadcast", 1, Math.ceil(Math.log2(n)) + 1, 2],
  ]),
  ["tree of 7", treeOf(7), "all-gather", 4, 6, 1],
  ["tree of 7", treeOf(7), "all-to-all", 4, 12, 1],
  ["tree of 15", treeOf(15), "gather", 3, 7, 1],
  ["cube of 8", cubeOf(3), "all-gather", 3, 7, 3],
  ["cube of 8", cubeOf(3), "all-to-all", 3, 4, 1],
  ["cube of 16", cubeOf(4), "all-gather", 4, 15, 4],
  ["cube of 16", cubeOf(4), "all-to-all", 4, 8, 1],
  ["torus of 9", torusOf(3, 3), "all-gather", 2, 2, 1],
  ["torus of 9", torusOf(3, 3), "all-to-all", 2, 3, 1],
  ["torus of 16", torusOf(4, 4), "all-gather", 4, 15, 4],
  ["torus of 16", torusOf(4, 4), "all-to-all", 4, 8, 1],
  ["torus of 15", torusOf(3, 5), "all-gather", 3, 14, 4],
  ["square of 4", square, "all-gather", 2, 3, 2],
  ["square of 4", square, "all-to-all", 2, 2, 1],
  ["two speeds", twoSpeeds, "all-to-all", 1, 1, 2],
  ["two speeds", twoSpeeds, "gather", 1, 5, 12],
  ["ring of 6, one way faster", ringOf(6, 2, 1), "all-gather", 3, 5, 3],
];

describe("fewest steps and least rounds", () => {
  it.each(
    rows.map(
      ([name, wires, kind, ...figures]) => [`${name}: ${kind} in ${figures[2]}`, wires, kind, ...figures] as const,
    ),
  )("%s", (_name, wires, kind, steps, rounds, chunks) => {
    const latency = solved(kind, wires, { chunks: 1, objective: "latency" });
    expect(latency.steps).toBe(steps);
    expect(latency.bounds.steps).toBe(steps);
    const bandwidth = solved(kind, wires, { chunks, objective: "bandwidth" });
    expect(bandwidth.rounds).toBe(rounds);
    expect(bandwidth.roundsBound).toBe(rounds);
  });
});

describe("sums for all", () => {
  const twice = [
    ["ring of 6", ringOf(6), 6, 10, 2],
    ["ring of 8", ringOf(8), 8, 14, 2],
    ["switch of 8", hubOf(8), 2, 14, 1],
    ["all of 5", allToAll(5), 2, 2, 1],
    ["cube of 8", cubeOf(3), 6, 14, 3],
    ["torus of 16", torusOf(4, 4), 8, 30, 4],
  ] as const;
  it.each(twice)("%s: those of summing and of telling", (_name, wires, steps, rounds, chunks) => {
    const solution = solved("all-reduce", wires, { chunks, objective: "bandwidth" });
    expect([solution.steps, solution.rounds]).toEqual([steps, rounds]);
    expect(solution.roundsBound).toBe(rounds);
  });

  // What is summed already is told while the rest is summed: with more chunks only the first and the last wait.
  const overlapped = [
    ["line of 5", lineOf(5), 5, 6],
    ["star of 6", starOf(6), 6, 5],
    ["tree of 7", treeOf(7), 7, 7],
    ["tree of 15", treeOf(15), 15, 12],
  ] as const;
  it.each(overlapped)("%s: the bandwidth of one of them, and some rounds", (_name, wires, perChunk, more) => {
    for (const chunks of [2, 4]) {
      const { rounds, bounds } = solved("all-reduce", wires, { chunks, objective: "bandwidth", budget: 5_000_000 });
      expect(bounds.roundsPerChunk).toEqual({ numerator: perChunk, denominator: 1 });
      expect(rounds).toBeLessThanOrEqual(perChunk * chunks + more);
    }
  });
});

describe("where the bounds are not met", () => {
  it("says by how much", () => {
    const solution = solved("broadcast", hubOf(8), { chunks: 5, objective: "bandwidth", budget: 20_000_000 });
    // Seven rounds are needed by what is known: five until the last leaves, two more until eight have it.
    expect(solution.roundsBound).toBeGreaterThanOrEqual(7);
    expect(solution.rounds).toBeLessThanOrEqual(8);
  });
  it("few chunks in few steps are no worse than one after the other", () => {
    for (const chunks of [2, 3, 4, 5]) {
      const many = solved("all-to-all", starOf(6), { chunks, objective: "latency", budget: 10_000_000 });
      expect([many.steps, many.rounds]).toEqual([2, 8 * chunks]);
    }
  });
});
