// `lpuc/testing` as others use it: the example of docs/testing.md runs through the package's own name and notices bugs, arbitraries give what they
// promise, and the invariants accept legal schedules and name what is broken.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { coreOps } from "../ir/graph/core-ops.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import { parseTarget } from "../ir/target/schema.ts";
import { verifyAllocProblem } from "../passes/alloc/problem.ts";
import { verifyRouteProblem } from "../passes/route/problem.ts";
import { stepKinds } from "../src/testing/core-steps.ts";
import {
  allocationInvariants,
  anyAllocProblem,
  brokenInvariants,
  collectiveInvariants,
  collectiveProblems,
  graphCases,
  type Invariant,
  legalAllocations,
  legalCollectives,
  legalPrograms,
  legalRoutes,
  programInvariants,
  routeInvariants,
  routeProblems,
  solveCollective,
  systems,
  targets,
} from "../src/testing.ts";
import { root } from "./cli-runner.ts";

const runs = { seed: 3, numRuns: 60 };

// Inside the package, so that its own name resolves.
const folder = mkdtempSync(join(root, "dist", "testing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const page = readFileSync(join(root, "docs", "testing.md"), "utf8");
const example = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? "";

function runExample(code: string): { readonly status: number | null; readonly text: string } {
  const file = join(folder, "example.mjs");
  writeFileSync(file, code);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" });
  return { status, text: stdout + stderr };
}

describe("the example of docs/testing.md", () => {
  test("has under 40 lines and holds the allocator to every law", () => {
    expect(example.trimEnd().split("\n").length).toBeLessThan(40);
    const { status, text } = runExample(example);
    expect(text).toContain("monotone: what fits a capacity fits a larger one");
    expect(status).toBe(0);
  });

  test.each([
    ["offsets[j] >= offset + size", "offsets[j] >= offset", "legal (no invariant of allocations is broken): overlap"],
    ["Math.ceil(above / alignment) * alignment", "above", "alignment"],
    ["buffers[a].id < buffers[b].id ? -1 : 1", "a - b", "order (the order of the buffers makes no difference)"],
    ["offset + size > capacity", "offset + size > capacity || capacity % 2 === 1", "monotone"],
    ["offset + size > capacity", "capacity > 40", "ample"],
  ])("with %s as %s breaks a law", (right, wrong, law) => {
    expect(example).toContain(right);
    const { status, text } = runExample(example.replace(right, wrong));
    expect(text).toContain(law);
    expect(status).toBe(1);
  });
});

describe("arbitraries", () => {
  test("graphs are well formed, and together have every operation", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(graphCases(), ({ graph, inputs }) => {
        expect(verifyGraph(graph)).toEqual([]);
        expect([...inputs.keys()]).toEqual(graph.inputs.map(({ name }) => name));
        for (const { op } of graph.nodes) seen.add(op);
      }),
      { seed: 5, numRuns: 400 },
    );
    expect([...seen].sort()).toEqual(Object.keys(coreOps).sort());
    expect(new Set(stepKinds).size).toBe(15);
  });

  test("targets pass the schema", () => {
    fc.assert(
      fc.property(targets, ({ sources: _sources, ...target }) => {
        expect(parseTarget(target).ok).toBe(true);
      }),
      runs,
    );
  });

  test("problems are problems", () => {
    fc.assert(
      fc.property(anyAllocProblem, routeProblems, (allocation, route) => {
        expect(verifyAllocProblem(allocation)).toEqual([]);
        expect(verifyRouteProblem(route)).toEqual([]);
      }),
      runs,
    );
  });
});

describe("invariants", () => {
  const broken = <P, S>(invariants: readonly Invariant<P, S>[], problem: P, solution: S): string[] => [
    ...new Set(brokenInvariants(invariants, problem, solution).map(({ invariant }) => invariant)),
  ];

  test("hold for legal allocations, and name what is broken", () => {
    fc.assert(
      fc.property(legalAllocations(anyAllocProblem), ({ problem, offsets }) => {
        expect(broken(allocationInvariants, problem, offsets)).toEqual([]);
        expect(broken(allocationInvariants, problem, [...offsets, 0])).toEqual(["count"]);
        const largest = problem.buffers.findIndex(({ size }) => size > 0);
        if (largest < 0) return;
        const outside = offsets.with(largest, problem.capacity);
        expect(broken(allocationInvariants, problem, outside)).toContain("capacity");
      }),
      runs,
    );
  });

  test("hold for legal routes, and name what is broken", () => {
    fc.assert(
      fc.property(legalRoutes(routeProblems), fc.nat(), ({ problem, solution }, pick) => {
        expect(broken(routeInvariants, problem, solution)).toEqual([]);
        const lost = pick % solution.bursts.length;
        const without = { ...solution, bursts: solution.bursts.toSpliced(lost, 1) };
        expect(broken(routeInvariants, problem, without).some((name) => name === "missing" || name === "absent")).toBe(
          true,
        );
        const twice = { ...solution, bursts: [...solution.bursts, ...solution.bursts.slice(lost, lost + 1)] };
        expect(broken(routeInvariants, problem, twice)).toContain("slot");
        expect(broken(routeInvariants, problem, { ...solution, completionCycles: -1 })).toContain("completion");
      }),
      runs,
    );
  });

  test("hold for legal collectives and the solver's, and name what is broken", () => {
    fc.assert(
      fc.property(legalCollectives(collectiveProblems), fc.nat(), ({ problem, schedule }, pick) => {
        expect(broken(collectiveInvariants, problem, schedule)).toEqual([]);
        const solution = solveCollective(problem, { chunks: 1, budget: 200_000 });
        if (solution.kind !== "solution") throw new Error("a ring reaches everybody");
        expect(broken(collectiveInvariants, problem, solution.schedule)).toEqual([]);
        if (schedule.steps.length === 0) return;
        const at = pick % schedule.steps.length;
        const edited = (change: (sends: (typeof schedule.steps)[number]["sends"]) => object) =>
          broken(collectiveInvariants, problem, {
            ...schedule,
            steps: schedule.steps.map((step, i) => (i === at ? { ...step, ...change(step.sends) } : step)),
          });
        expect(edited((sends) => ({ sends: sends.slice(1) })).some((name) => /missing|absent/.test(name))).toBe(true);
        expect(edited(() => ({ rounds: 0 }))).toContain("rounds");
        expect(edited((sends) => ({ sends: sends.map((send) => ({ ...send, link: 99 })) }))).toContain("link");
      }),
      runs,
    );
  });

  test("hold for compiled programs, and name what is broken", () => {
    fc.assert(
      fc.property(legalPrograms(graphCases({ steps: 3 }), systems({ chips: 2 })), ({ drawn, program }) => {
        expect(brokenInvariants(programInvariants, drawn, program)).toEqual([]);
        const late = { ...program, latencyCycles: program.latencyCycles + 1 };
        expect(broken(programInvariants, drawn, late)).toEqual(expect.arrayContaining(["determinism", "execution"]));
      }),
      { seed: 3, numRuns: 12 },
    );
  });

  test("every one says what it is, and no name is there twice", () => {
    for (const list of [allocationInvariants, routeInvariants, collectiveInvariants, programInvariants]) {
      expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
      expect(list.filter(({ says }) => says.length < 10)).toEqual([]);
    }
    expect(programInvariants).toHaveLength(16);
  });
});
