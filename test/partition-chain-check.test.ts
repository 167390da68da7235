// The checker of chain partitions: mutants of a good solution, each caught under the right name.
import { describe, expect, it } from "vitest";
import { checkChain } from "../passes/partition/check.ts";
import type { ChainProblem, ChainSolution } from "../passes/partition/problem.ts";
import { solveChain } from "../passes/partition/solve.ts";

describe("checkChain", () => {
  const cost = (cycles: number, bytes: number) => ({
    computeCycles: cycles,
    collectiveCycles: 1,
    weightBytes: bytes,
    stateBytes: 1,
    activationBytes: 2,
    receiveBusyCycles: 1,
    sendBusyCycles: 1,
    sendLatencyCycles: 3,
  });
  const problem: ChainProblem = {
    layers: [4, 6, 5, 3].map((cycles, i) => ({
      name: `l${i}`,
      boundaryBytes: 8,
      costs: [cost(cycles, 10), i === 3 ? undefined : cost(cycles / 2, 5)],
    })),
    degrees: [1, 2],
    chips: 4,
    capacityBytes: 30,
    transfer: "overlapped",
    cutAfter: [1],
    pins: [{ layer: 0, chip: 0 }],
  };
  const good = solveChain(problem);

  const mutate = (change: (solution: ChainSolution) => ChainSolution, changed: Partial<ChainProblem> = {}) => {
    if (good.kind !== "solution") throw new Error("the sample fits");
    return [...new Set(checkChain({ ...problem, ...changed }, change(good)).map((violation) => violation.code))];
  };
  const stage0 = (fields: Partial<ChainSolution["stages"][number]>) => (solution: ChainSolution) => ({
    ...solution,
    stages: solution.stages.map((stage, i) => (i === 0 ? { ...stage, ...fields } : stage)),
  });

  it("accepts the good solution", () => {
    expect(mutate((s) => s)).toEqual([]);
  });
  it.each([
    ["chips", (s: ChainSolution) => ({ ...s, chipsUsed: s.chipsUsed - 1 }), {}],
    ["interval", (s: ChainSolution) => ({ ...s, intervalCycles: s.intervalCycles - 1 }), {}],
    ["latency", (s: ChainSolution) => ({ ...s, latencyCycles: s.latencyCycles - 1 }), {}],
    ["bytes", stage0({ stateBytes: 0 }), {}],
    ["load", stage0({ loadCycles: 1 }), {}],
    ["degree", stage0({}), { degrees: [1, 3] }],
    ["degree", stage0({ variant: 5 }), {}],
    ["node", stage0({}), { chipsPerNode: 1 }],
    ["load", stage0({ collectiveCycles: 99 }), {}],
    [
      "load",
      (s: ChainSolution) => s,
      { borders: Array.from({ length: 3 }, () => ({ busyFactor: 90, extraLatencyCycles: 0 })) },
    ],
    [
      "latency",
      (s: ChainSolution) => s,
      { borders: Array.from({ length: 3 }, () => ({ busyFactor: 1, extraLatencyCycles: 5 })) },
    ],
    ["capacity", (s: ChainSolution) => s, { capacityBytes: 12 }],
    ["cut", (s: ChainSolution) => s, { cutAfter: [0] }],
    ["pin", (s: ChainSolution) => s, { pins: [{ layer: 3, chip: 0 }] }],
    [
      "coverage",
      (s: ChainSolution) => s,
      { layers: [...problem.layers, ...problem.layers.slice(3).map((layer) => ({ ...layer, costs: [cost(0, 0)] }))] },
    ],
  ] as const)("catches a wrong %s", (code, change, changed) => {
    expect(mutate(change, changed)).toContain(code);
  });
  it("catches one thing under one code", () => {
    expect(mutate((s) => ({ ...s, latencyCycles: s.latencyCycles + 1 }))).toEqual(["latency"]);
    expect(mutate((s) => s, { pins: [{ layer: 3, chip: 0 }] })).toEqual(["pin"]);
    expect(mutate((s) => s, { capacityBytes: 12 })).toEqual(["capacity"]);
    const unsplit = problem.layers.map((layer) => ({ ...layer, costs: [undefined, undefined] }));
    expect(mutate((s) => s, { layers: unsplit })).toContain("unsplittable");
  });
});
