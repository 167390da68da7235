// The initiation interval: the solver against exhaustive search, and what it says of compiled programs against the verifier, which knows nothing of it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verifyProgram } from "../backends/check/verify.ts";
import type { Program } from "../ir/machine/program.ts";
import { programUses } from "../passes/interval/interval.ts";
import { leastInterval } from "../passes/interval/least.ts";
import { addIssues, addUse, newCollector, type Use, usesOf } from "../passes/interval/uses.ts";
import { compileCase, compiledCases } from "./verify-compiled.ts";
import { goodPrograms, softmaxProgram } from "./verify-programs.ts";

type Stretch = readonly [start: number, length: number];

const useOf = (stretches: readonly Stretch[]): readonly Use[] => {
  const collector = newCollector(1000);
  for (const [start, length] of stretches) addUse(collector, "it", start, length);
  return usesOf(collector);
};

/** Cycles marked one by one on a wheel of `interval`. */
function meets({ starts, ends }: Use, interval: number): boolean {
  const wheel = new Set<number>();
  return starts.some((start, i) => {
    for (let cycle = start; cycle < (ends[i] ?? 0); cycle++) {
      if (wheel.has(cycle % interval)) return true;
      wheel.add(cycle % interval);
    }
    return false;
  });
}

const stretches = fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 12 });

describe("the solver", () => {
  test("finds the least interval at which no two stretches meet", () => {
    fc.assert(
      fc.property(
        fc.array(stretches, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 90 }),
        (lists, least) => {
          const uses = lists.flatMap((list) => useOf(list));
          const most = 400;
          let expected = least;
          while (uses.some((use) => meets(use, expected))) expected++;
          expect(leastInterval({ uses, least, most })).toMatchObject({ interval: expected, isLeast: true });
        },
      ),
      { numRuns: 400 },
    );
  });

  test("gives what is known where it may not look further", () => {
    const uses = useOf(Array.from({ length: 50 }, (_, i): Stretch => [i * i, 2]));
    const { interval, isLeast } = leastInterval({ uses, least: 1, most: 3000 });
    expect(isLeast).toBe(true);
    expect(interval).toBeLessThan(3000);
    expect(leastInterval({ uses, least: 1, most: 3000 }, 20)).toMatchObject({ interval: 3000, isLeast: false });
  });

  test("takes bursts issue by issue where something fits between", () => {
    const collector = newCollector(1000);
    addIssues(collector, "it", { start: 0, count: 10, period: 7 });
    const uses = usesOf(collector);
    expect(leastInterval({ uses, least: 1, most: 64 }).interval).toBe(10);
    expect(leastInterval({ uses, least: 11, most: 64 }).interval).toBe(11);
    // A multiple of the period meets.
    expect(leastInterval({ uses, least: 14, most: 64 }).interval).toBe(15);
  });
});

/** Does the verifier accept the program at this interval? Whatever else it finds is a mistake of the test. */
function isAccepted(program: Program, interval: number): boolean {
  const report = verifyProgram({ ...program, initiationIntervalCycles: interval });
  const broken = report.invariants.filter(({ violationCount }) => violationCount > 0).map(({ name }) => name);
  expect(broken.filter((name) => name !== "overlap")).toEqual([]);
  return broken.length === 0;
}

describe("the verifier agrees", () => {
  const cases = [
    ...goodPrograms.map((make) => ({ name: make().modelName, make, tries: 12 })),
    ...compiledCases.map((one) => ({
      name: `${one.name} on ${one.chips} x ${one.target}`,
      make: () => compileCase(one),
      tries: one.name === "adder" ? 3 : 8,
    })),
  ];
  test.each(cases)("on intervals of $name", ({ make, tries }) => {
    const program = make();
    const uses = programUses(program) ?? [];
    expect(uses.length).toBeGreaterThan(0);
    const most = program.latencyCycles + 100;
    const { interval: least, bound } = leastInterval({ uses, least: 1, most });
    const isFree = (interval: number): boolean => leastInterval({ uses, least: interval, most }).interval === interval;
    const spread = Array.from(
      { length: tries },
      (_, i) => bound + Math.floor(((most - bound) * (i + 1)) / (tries + 2)),
    );
    const tried = [...new Set([least - 1, least, least + 1, ...spread])].filter((interval) => interval > 0);
    expect(tried.map((interval) => [interval, isAccepted(program, interval)])).toEqual(
      tried.map((interval) => [interval, isFree(interval)]),
    );
    expect(isFree(least)).toBe(true);
    expect(isFree(least - 1)).toBe(false);
  });

  test("on results of one ALU that come out together", () => {
    const program = softmaxProgram();
    const { simple, large } = program.target.vxm.latency;
    const alu = program.chips[0]?.queues.find(({ unit }) => unit.kind === "vxmAlu" && unit.alu === 1);
    const [first, second] = alu?.instructions ?? [];
    if (first === undefined || second === undefined) throw new Error("two instructions on ALU 1");
    const interval = second.cycle + large - (first.cycle + simple) + first.count - 1;
    const report = verifyProgram({ ...program, initiationIntervalCycles: interval });
    const messages = report.invariants.flatMap(({ violations }) => violations.map(({ message }) => message));
    expect(messages.some((message) => message.includes("the cycle of its result"))).toBe(true);
    expect(leastInterval({ uses: programUses(program) ?? [], least: interval, most: 1000 }).interval).not.toBe(
      interval,
    );
  });
});

test("a program with too much to list is not looked at", () => {
  expect(programUses(softmaxProgram(), 100)).toBeUndefined();
});
