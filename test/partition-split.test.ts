// Splitting a layer over a group of chips, and experts over chips: exact against every choice there is, and the checkers against mutants.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Expert, spreadExperts } from "../passes/partition/experts.ts";
import { checkSplit } from "../passes/partition/split-check.ts";
import {
  type Conversion,
  conversionNames,
  conversions,
  LAYER_INPUT,
  type SplitProblem,
  type SplitSolution,
  verifySplitProblem,
} from "../passes/partition/split-problem.ts";
import { solveSplit } from "../passes/partition/split-solve.ts";

const small = fc.integer({ min: 0, max: 9 });
const cycles = fc.record({ slice: fc.constantFrom(0, 0, 1), allGather: small, allReduce: small, reduceScatter: small });
const way = fc.record({
  name: fc.constant("way"),
  reads: fc.constantFrom("whole" as const, "split" as const),
  writes: fc.constantFrom("whole" as const, "split" as const, "partial" as const),
  computeCycles: small,
  weightBytes: small,
  stateBytes: fc.constantFrom(0, 1),
});

const problems: fc.Arbitrary<SplitProblem> = fc
  .array(
    fc.record({
      back: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
      ways: fc.array(way, { minLength: 1, maxLength: 3 }),
      cycles,
    }),
    { minLength: 1, maxLength: 4 },
  )
  .chain((ops) =>
    fc.record({
      ops: fc.constant(
        ops.map((op, i) => ({
          name: `op${i}`,
          inputs: op.back.map((back) => Math.max(LAYER_INPUT, i - back)),
          ways: op.ways,
          cycles: op.cycles,
        })),
      ),
      inputCycles: cycles,
      objective: fc.constantFrom("cycles" as const, "bytes" as const),
    }),
  );

type Figures = { readonly cycles: number; readonly bytes: number };

/** Every choice of ways, with every set of conversions for each tensor. */
function allChoices(problem: SplitProblem): readonly Figures[] {
  const { ops, objective } = problem;
  const found: Figures[] = [];
  const sets = Array.from({ length: 1 << conversionNames.length }, (_, bits) =>
    conversionNames.filter((_name, b) => ((bits >> b) & 1) === 1),
  );
  /** Cheapest set of conversions from one layout to all that are wanted. */
  const cheapest = (op: number, from: string, wanted: ReadonlySet<string>): number => {
    const price = op === LAYER_INPUT ? problem.inputCycles : ops[op]?.cycles;
    let least = Number.POSITIVE_INFINITY;
    for (const set of sets) {
      const there = new Set<string>([from]);
      // Twice over the names is enough for chains of two.
      for (const name of [...set, ...set]) if (there.has(conversions[name].from)) there.add(conversions[name].to);
      if (![...wanted].every((layout) => there.has(layout))) continue;
      least = Math.min(
        least,
        set.reduce((sum, name: Conversion) => sum + (price?.[name] ?? 0), 0),
      );
    }
    return least;
  };
  const choose = (chosen: readonly number[]): void => {
    const at = chosen.length;
    if (at < ops.length) {
      ops[at]?.ways.forEach((_, w) => {
        choose([...chosen, w]);
      });
      return;
    }
    let [time, bytes] = [0, 0];
    const wanted = new Map<number, Set<string>>([[ops.length - 1, new Set(["whole"])]]);
    ops.forEach((op, i) => {
      const taken = op.ways[chosen[i] ?? 0];
      time += taken?.computeCycles ?? 0;
      bytes += (taken?.weightBytes ?? 0) + (taken?.stateBytes ?? 0);
      for (const input of op.inputs) wanted.set(input, (wanted.get(input) ?? new Set()).add(taken?.reads ?? "whole"));
    });
    for (const [op, layouts] of wanted)
      time += cheapest(op, op === LAYER_INPUT ? "whole" : (ops[op]?.ways[chosen[op] ?? 0]?.writes ?? ""), layouts);
    if (time < Number.POSITIVE_INFINITY) found.push({ cycles: time, bytes });
  };
  choose([]);
  return found.sort((a, b) =>
    objective === "cycles" ? a.cycles - b.cycles || a.bytes - b.bytes : a.bytes - b.bytes || a.cycles - b.cycles,
  );
}

describe("solveSplit", () => {
  it("finds the best of all choices of ways and conversions", () => {
    let solved = 0;
    let impossible = 0;
    fc.assert(
      fc.property(problems, (problem) => {
        expect(verifySplitProblem(problem)).toEqual([]);
        const [best] = allChoices(problem);
        const solution = solveSplit(problem);
        if (best === undefined || solution === undefined) {
          impossible++;
          expect([best, solution]).toEqual([undefined, undefined]);
          return;
        }
        solved++;
        expect(checkSplit(problem, solution)).toEqual([]);
        expect({
          cycles: solution.computeCycles + solution.collectiveCycles,
          bytes: solution.weightBytes + solution.stateBytes,
        }).toEqual(best);
        expect(solution.isExact).toBe(true);
      }),
      { seed: 50, numRuns: 400 },
    );
    expect(solved).toBeGreaterThan(100);
    // Every layout leads to every other but back to partial sums, which no way reads.
    expect(impossible).toBe(0);
  });

  const none = { slice: 0, allGather: 10, allReduce: 14, reduceScatter: 8 };
  const column = {
    name: "column",
    reads: "whole",
    writes: "split",
    computeCycles: 50,
    weightBytes: 5,
    stateBytes: 0,
  } as const;
  const row = {
    name: "row",
    reads: "split",
    writes: "partial",
    computeCycles: 50,
    weightBytes: 5,
    stateBytes: 0,
  } as const;
  const whole = {
    name: "whole",
    reads: "whole",
    writes: "whole",
    computeCycles: 100,
    weightBytes: 10,
    stateBytes: 0,
  } as const;
  const activation = [
    { name: "whole", reads: "whole", writes: "whole", computeCycles: 8, weightBytes: 0, stateBytes: 0 },
    { name: "split", reads: "split", writes: "split", computeCycles: 4, weightBytes: 0, stateBytes: 0 },
  ] as const;
  const mlp: SplitProblem = {
    ops: [
      { name: "up", inputs: [LAYER_INPUT], ways: [whole, column, row], cycles: none },
      { name: "act", inputs: [0], ways: activation, cycles: none },
      { name: "down", inputs: [1], ways: [whole, column, row], cycles: none },
      { name: "add", inputs: [2, LAYER_INPUT], ways: [activation[0]], cycles: none },
    ],
    inputCycles: none,
    objective: "cycles",
  };

  it("splits an MLP by columns, then by rows, with one all-reduce", () => {
    const solution = solveSplit(mlp);
    expect(solution?.ways.map((way, i) => mlp.ops[i]?.ways[way]?.name)).toEqual(["column", "split", "row", "whole"]);
    expect(solution?.conversions).toEqual([{ op: 2, conversion: "allReduce" }]);
    expect(solution).toMatchObject({ computeCycles: 112, collectiveCycles: 14, weightBytes: 10 });
  });

  const good = solveSplit(mlp);
  if (good === undefined) throw new Error("the MLP can be split");
  const codes = (changed: Partial<SplitSolution>) => [
    ...new Set(checkSplit(mlp, { ...good, ...changed }).map(({ code }) => code)),
  ];
  it.each([
    ["way", { ways: [1, 1, 9, 0] }],
    ["way", { ways: [1, 1, 2] }],
    ["layout", { ways: [0, 1, 2, 0] }],
    ["output", { ways: [1, 1, 2, 0], conversions: [] }],
    ["conversion", { conversions: [{ op: 1, conversion: "allReduce" }] }],
    ["figures", { computeCycles: 111 }],
    ["figures", { collectiveCycles: 0 }],
    ["figures", { weightBytes: 0 }],
    ["figures", { stateBytes: 1 }],
  ] satisfies readonly (readonly [string, Partial<SplitSolution>])[])(
    "the checker catches a wrong %s",
    (code, changed) => {
      // An unreduced sum is noticed where it is read, or at the end.
      const expected = code === "output" ? "layout" : code;
      expect(codes(changed)).toContain(expected);
    },
  );
  it("the checker catches an output that is not whole", () => {
    const cut = { ...mlp, ops: mlp.ops.slice(0, 3) };
    const solution = { ...good, ways: good.ways.slice(0, 3), computeCycles: 104, conversions: [], collectiveCycles: 0 };
    expect(checkSplit(cut, solution).map(({ code }) => code)).toEqual(["output"]);
    expect(checkSplit(mlp, good)).toEqual([]);
  });
});

describe("spreadExperts", () => {
  const experts = fc.array(fc.record({ computeCycles: fc.nat(20), weightBytes: fc.nat(9) }), {
    minLength: 1,
    maxLength: 7,
  });

  function best(list: readonly Expert[], chips: number, capacity: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (let code = 0; code < chips ** list.length; code++) {
      const cycles = Array<number>(chips).fill(0);
      const bytes = Array<number>(chips).fill(0);
      list.forEach((expert, i) => {
        const chip = Math.floor(code / chips ** i) % chips;
        cycles[chip] = (cycles[chip] ?? 0) + expert.computeCycles;
        bytes[chip] = (bytes[chip] ?? 0) + expert.weightBytes;
      });
      if (Math.max(...bytes) <= capacity) least = Math.min(least, Math.max(...cycles));
    }
    return least;
  }

  it("keeps the busiest chip as little busy as may be, within memory", () => {
    let impossible = 0;
    fc.assert(
      fc.property(experts, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 40 }), (list, chips, capacity) => {
        const least = best(list, chips, capacity);
        const spread = spreadExperts(list, chips, capacity);
        if (spread === undefined) {
          impossible++;
          expect(least).toBe(Number.POSITIVE_INFINITY);
          return;
        }
        expect([spread.computeCycles, spread.isOptimal]).toEqual([least, true]);
        const held = (read: (expert: Expert) => number) =>
          Array.from({ length: chips }, (_, chip) =>
            list.reduce((sum, expert, i) => sum + (spread.chipOf[i] === chip ? read(expert) : 0), 0),
          );
        expect(Math.max(...held(({ computeCycles }) => computeCycles))).toBe(least);
        expect(Math.max(...held(({ weightBytes }) => weightBytes))).toBe(spread.weightBytes);
        expect(spread.weightBytes).toBeLessThanOrEqual(capacity);
      }),
      { seed: 51, numRuns: 150 },
    );
    expect(impossible).toBeGreaterThan(3);
  });

  it("ends within its budget of steps, and says whether the answer is the best", () => {
    const many = Array.from({ length: 128 }, (_, i) => ({ computeCycles: 100 + ((i * 37) % 61), weightBytes: 1 }));
    const spread = spreadExperts(many, 24, 6, 5000);
    expect(spread?.isOptimal).toBe(false);
    expect(
      spreadExperts(
        Array.from({ length: 128 }, () => ({ computeCycles: 7, weightBytes: 1 })),
        64,
        2,
      ),
    ).toMatchObject({
      computeCycles: 14,
      isOptimal: true,
    });
  });
});
