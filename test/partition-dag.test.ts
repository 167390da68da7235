// Device placement: exact against all placements and an integer program, far beyond that against bounds, and its checker.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDag } from "../passes/partition/dag-check.ts";
import {
  type DagProblem,
  type DagSolution,
  parseDagProblem,
  printDagProblem,
  verifyDagProblem,
} from "../passes/partition/dag-problem.ts";
import { solveDag } from "../passes/partition/dag-solve.ts";
import { placementProblems } from "../src/testing/partition-problems.ts";
import { integerOptimum } from "./integer-program.ts";
import { bestOfAll } from "./partition-problems.ts";

describe("solveDag", () => {
  it("finds the best of all placements and proves it", () => {
    let feasible = 0;
    let infeasible = 0;
    fc.assert(
      fc.property(placementProblems({ nodes: 6, accelerators: 3, cpus: 1 }), (problem) => {
        expect(verifyDagProblem(problem)).toEqual([]);
        const best = bestOfAll(problem);
        const solution = solveDag(problem);
        if (best === undefined) {
          infeasible++;
          expect(solution).toMatchObject({ kind: "infeasible", isProved: true });
          return;
        }
        feasible++;
        if (solution.kind !== "solution") throw new Error("a placement exists");
        expect(checkDag(problem, solution)).toEqual([]);
        expect(solution.maxLoad).toBeCloseTo(best, 6);
        expect(solution.isOptimal).toBe(true);
      }),
      { seed: 30, numRuns: 300 },
    );
    expect(feasible).toBeGreaterThan(100);
    expect(infeasible).toBeGreaterThan(10);
  });

  it("agrees with an integer program", async () => {
    const cases = fc.sample(placementProblems({ nodes: 11, accelerators: 4, cpus: 0 }), { seed: 31, numRuns: 15 });
    let solved = 0;
    for (const problem of cases) {
      const optimum = await integerOptimum(integerProgram(problem));
      const solution = solveDag(problem);
      expect(solution.kind === "solution").toBe(optimum !== undefined);
      if (solution.kind !== "solution") continue;
      solved++;
      expect(solution.maxLoad).toBeCloseTo(optimum ?? Number.NaN, 5);
    }
    expect(solved).toBeGreaterThan(4);
  });

  it("gives legal placements and true bounds on any budget", () => {
    fc.assert(
      fc.property(
        placementProblems({ nodes: 13, accelerators: 5, cpus: 1 }),
        fc.integer({ min: 1, max: 3000 }),
        (problem, budget) => {
          const exact = solveDag(problem);
          const hasty = solveDag(problem, { budget });
          expect(solveDag(problem, { budget })).toEqual(hasty);
          if (exact.kind === "solution") expect(checkDag(problem, exact)).toEqual([]);
          if (hasty.kind === "infeasible") {
            if (hasty.isProved) expect(exact.kind).toBe("infeasible");
            return;
          }
          expect(checkDag(problem, hasty)).toEqual([]);
          if (exact.kind !== "solution" || !exact.isOptimal) throw new Error("small graphs are solved");
          expect(hasty.maxLoad).toBeGreaterThanOrEqual(exact.maxLoad - 1e-6);
          expect(hasty.lowerBound).toBeLessThanOrEqual(exact.maxLoad + 1e-6);
        },
      ),
      { seed: 32, numRuns: 100 },
    );
  });

  it("never needs more load when there is more memory or one more accelerator", () => {
    fc.assert(
      fc.property(placementProblems({ nodes: 14, accelerators: 4, cpus: 1 }), (problem) => {
        const solution = solveDag(problem);
        if (solution.kind === "infeasible") return;
        for (const roomier of [
          { ...problem, capacityBytes: problem.capacityBytes + 5 },
          { ...problem, accelerators: problem.accelerators + 1 },
        ]) {
          const other = solveDag(roomier);
          if (other.kind === "infeasible") throw new Error("it fitted with less");
          expect(other.maxLoad).toBeLessThanOrEqual(solution.maxLoad + 1e-6);
        }
      }),
      { seed: 33, numRuns: 100 },
    );
  });

  it("says what does not fit", () => {
    const node = { acceleratorTime: 1, cpuTime: 1, cpuOnly: false, sendTime: 0, isBackward: false };
    const big = { ...node, name: "big", sizeBytes: 50, colour: 7 };
    const problem: DagProblem = {
      nodes: [big, { ...big, name: "twin" }, { ...node, name: "small", sizeBytes: 1, colour: undefined }],
      edges: [],
      accelerators: 4,
      cpus: 0,
      capacityBytes: 80,
    };
    expect(solveDag(problem)).toMatchObject({
      kind: "infeasible",
      isProved: true,
      demandBytes: 100,
      capacityBytes: 80,
      contributors: [
        { name: "big and 1 more that share its device", bytes: 100 },
        { name: "small", bytes: 1 },
      ],
    });
    expect(solveDag({ ...problem, cpus: 1 })).toMatchObject({ kind: "solution" });
  });

  it("places 10,000 operators on 64 accelerators near the bound", () => {
    const problem = layeredGraph(10_000, 64);
    const solution = solveDag(problem, { budget: 20_000_000 });
    if (solution.kind !== "solution") throw new Error("it fits");
    expect(checkDag(problem, solution)).toEqual([]);
    expect(solution.maxLoad / solution.lowerBound).toBeLessThan(1.05);
    expect(solution.workUnits).toBeLessThan(20_000_000);
  });
});

/** Blocks of operators with a residual path and three branches, as in transformers. */
function layeredGraph(count: number, accelerators: number): DagProblem {
  const edges: { source: number; target: number }[] = [];
  for (let i = 1; i < count; i++) {
    const place = i % 16;
    const block = i - place;
    if (place === 0) edges.push({ source: i - 1, target: i });
    else if (place <= 12) edges.push({ source: place % 4 === 1 ? block : i - 1, target: i });
    else edges.push({ source: i - 1, target: i });
    if (place === 13) edges.push({ source: block + 4, target: i }, { source: block + 8, target: i });
    if (place === 15) edges.push({ source: block, target: i });
  }
  const nodes = Array.from({ length: count }, (_, i) => ({
    name: `op${i}`,
    acceleratorTime: 1 + ((i * 7919) % 23),
    cpuTime: 1000,
    cpuOnly: false,
    sizeBytes: (i * 104_729) % 4096,
    sendTime: (i * 31) % 4,
    colour: undefined,
    isBackward: false,
  }));
  const bytes = nodes.reduce((sum, node) => sum + node.sizeBytes, 0);
  return { nodes, edges, accelerators, cpus: 0, capacityBytes: Math.ceil((1.25 * bytes) / accelerators) };
}

/** x_i_d: node i is on accelerator d; y_i_d: the output of node i crosses the border of d. */
function integerProgram(problem: DagProblem): string {
  const { nodes, edges } = problem;
  const devices = [...Array(problem.accelerators).keys()];
  const all = [...nodes.keys()];
  const rows = all.map((i) => `${devices.map((d) => `x_${i}_${d}`).join(" + ")} = 1`);
  const hasForward = new Set(nodes.filter((n) => !n.isBackward && n.colour !== undefined).map((n) => n.colour));
  const isAlone = (i: number) => !hasForward.has(nodes[i]?.colour) && nodes[i]?.isBackward === true;
  const notLater = (a: number, b: number) => {
    if (devices.length > 1)
      rows.push(
        `${devices
          .slice(1)
          .map((d) => `${d} x_${b}_${d} - ${d} x_${a}_${d}`)
          .join(" + ")} >= 0`,
      );
  };
  for (const { source, target } of edges) {
    if (nodes[target]?.isBackward === false) notLater(source, target);
    if (nodes[source]?.isBackward === true && (isAlone(source) || isAlone(target))) notLater(target, source);
    for (const d of devices) {
      rows.push(`y_${source}_${d} - x_${source}_${d} + x_${target}_${d} >= 0`);
      rows.push(`y_${source}_${d} + x_${source}_${d} - x_${target}_${d} >= 0`);
    }
  }
  for (const i of all)
    for (const j of all)
      if (i < j && nodes[i]?.colour !== undefined && nodes[i]?.colour === nodes[j]?.colour)
        for (const d of devices) rows.push(`x_${i}_${d} - x_${j}_${d} = 0`);
  for (const d of devices) {
    const times = nodes.map((n, i) => `${n.acceleratorTime} x_${i}_${d} + ${n.sendTime} y_${i}_${d}`);
    rows.push(`${times.join(" + ")} - t <= 0`);
    rows.push(`${nodes.map((n, i) => `${n.sizeBytes} x_${i}_${d}`).join(" + ")} <= ${problem.capacityBytes}`);
  }
  const names = all.flatMap((i) => devices.flatMap((d) => [`x_${i}_${d}`, `y_${i}_${d}`]));
  const numbered = rows.map((text, r) => `r${r}: ${text}`).join("\n ");
  return `Minimize\n obj: t\nSubject To\n ${numbered}\nBinary\n ${names.join(" ")}\nEnd\n`;
}

describe("checkDag", () => {
  const node = (name: string, fields: Partial<DagProblem["nodes"][number]> = {}) => ({
    name,
    acceleratorTime: 4,
    cpuTime: 20,
    cpuOnly: false,
    sizeBytes: 10,
    sendTime: 1,
    colour: undefined,
    isBackward: false,
    ...fields,
  });
  const problem: DagProblem = {
    nodes: [
      node("a"),
      node("b", { colour: 1 }),
      node("c", { colour: 1 }),
      node("d"),
      node("gd", { isBackward: true, acceleratorTime: 2 }),
      node("ga", { isBackward: true, acceleratorTime: 2 }),
    ],
    edges: [
      { source: 0, target: 1 },
      { source: 1, target: 2 },
      { source: 2, target: 3 },
      { source: 3, target: 4 },
      { source: 4, target: 5 },
    ],
    accelerators: 3,
    cpus: 1,
    capacityBytes: 30,
  };
  const device = (nodes: readonly number[], load: number) =>
    ({ kind: "accelerator", nodes, load, sizeBytes: 10 * nodes.length }) as const;
  const good: DagSolution = {
    kind: "solution",
    devices: [device([0, 5], 8), device([1, 2], 10), device([3, 4], 8)],
    maxLoad: 10,
    lowerBound: 9,
    isOptimal: false,
    workUnits: 0,
  };
  const codes = (solution: DagSolution, changed: Partial<DagProblem> = {}) => [
    ...new Set(checkDag({ ...problem, ...changed }, solution).map((violation) => violation.code)),
  ];
  const withDevices = (...devices: DagSolution["devices"]): DagSolution => ({ ...good, devices });
  const [first, second, third] = good.devices;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three devices");

  it("accepts the good placement", () => {
    expect(codes(good)).toEqual([]);
  });
  it.each([
    ["assignment", withDevices({ ...first, nodes: [0] }, second, third), {}, ["size", "load"]],
    ["devices", good, { accelerators: 2 }, []],
    ["colour", withDevices(device([0, 5], 8), device([1], 6), device([2, 3, 4], 12)), {}, ["objective"]],
    ["order", withDevices(second, first, third), {}, []],
    ["order", withDevices(device([0], 5), second, device([3, 4], 8), device([5], 3)), { accelerators: 4 }, []],
    ["cpu-only", good, { nodes: problem.nodes.map((n, i) => (i === 3 ? { ...n, cpuOnly: true } : n)) }, []],
    ["capacity", good, { capacityBytes: 19 }, []],
    ["size", withDevices({ ...first, sizeBytes: 21 }, second, third), {}, []],
    ["load", withDevices({ ...first, load: 7 }, second, third), {}, []],
    ["objective", { ...good, maxLoad: 9 }, {}, []],
    ["bound", { ...good, lowerBound: 10.5 }, {}, []],
    ["bound", { ...good, isOptimal: true }, {}, []],
  ] as const)("catches a wrong %s", (code, solution, changed, follows) => {
    expect(codes(solution, changed).sort()).toEqual([code, ...follows].sort());
  });
});

describe("placement text", () => {
  it("prints and parses to the same problem", () => {
    fc.assert(
      fc.property(placementProblems({ nodes: 8, accelerators: 3, cpus: 2 }), (problem) => {
        expect(parseDagProblem(printDagProblem(problem))).toEqual({ ok: true, problem });
      }),
      { seed: 34, numRuns: 100 },
    );
  });
  it("refuses bad text with a line, and bad graphs", () => {
    expect(parseDagProblem("graph")).toMatchObject({ ok: false, errors: [{ line: 1 }] });
    const bad = 'dag accelerators=1 cpus=0 capacity=9\nnode "a" 1,1,1\nnode "b" 1,1,1,1 backward\n';
    expect(parseDagProblem(bad)).toMatchObject({ ok: false, errors: [{ line: 2 }] });
    const cycle = 'dag accelerators=1 cpus=0 capacity=9\nnode "a" 1,1,1,1\nnode "b" 1,1,1,1\nedge 0 1\nedge 1 0\n';
    expect(parseDagProblem(cycle)).toEqual({ ok: false, errors: [{ line: 1, message: "the graph has a cycle" }] });
  });
});
