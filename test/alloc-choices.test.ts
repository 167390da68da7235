// Allocation with banks to choose: answers are right by the independent checker and as good as trying everything, depend on the buffers alone, and a
// larger capacity never fails; the checker names every way in which an answer can be wrong; tables with banks are read, answered and read again.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkChoices, printChoiceViolation } from "../passes/alloc/choice-check.ts";
import { choiceModelOf } from "../passes/alloc/choice-model.ts";
import { packBanks } from "../passes/alloc/choice-pack.ts";
import {
  type ChoiceBuffer,
  type ChoicePlace,
  type ChoiceProblem,
  verifyChoiceProblem,
} from "../passes/alloc/choice-problem.ts";
import { solveChoices } from "../passes/alloc/choice-solve.ts";
import { runAlloc } from "../src/formats/alloc.ts";
import { readAllocTable } from "../src/formats/alloc-csv.ts";
import { allocProblems, choiceProblems } from "../src/testing/alloc-problems.ts";
import { permutation } from "../src/testing/laws.ts";

const budget = 50_000;
const runs = { seed: 23, numRuns: 80 };
const tiny = choiceProblems(allocProblems({ buffers: 4, time: 4, size: 3, gaps: true, alignments: [1, 2] }), [
  "a",
  "b",
]);

/** Does anything fit? Tries all places of one buffer after the other. */
function fitsSomehow(problem: ChoiceProblem, places: readonly ChoicePlace[] = []): boolean {
  const { buffers, capacity } = problem;
  const next = buffers[places.length];
  if (next === undefined) return true;
  const ids = new Set(buffers.slice(0, places.length + 1).map(({ id }) => id));
  const placed = buffers
    .slice(0, places.length + 1)
    .map((buffer) => ({ ...buffer, apart: (buffer.apart ?? []).filter((id) => ids.has(id)) }));
  for (const banks of next.choices) {
    for (let offset = 0; offset + next.size <= capacity; offset += next.alignment ?? 1) {
      const own = [...places, { banks, offset }];
      if (checkChoices({ buffers: placed, capacity }, own).length === 0 && fitsSomehow(problem, own)) return true;
    }
  }
  return false;
}

describe("solveChoices", () => {
  test("gives a solution that checks, not below its own bound", () => {
    fc.assert(
      fc.property(choiceProblems(), (problem) => {
        expect(verifyChoiceProblem(problem)).toEqual([]);
        const found = solveChoices(problem, { budget });
        if (found.places === undefined) {
          expect(found.by).toBe("apart");
          return;
        }
        expect(checkChoices({ ...problem, capacity: found.peak }, found.places).map(printChoiceViolation)).toEqual([]);
        expect(found.provedPeak).toBeGreaterThanOrEqual(found.lowerBound.peak);
        expect(found.peak).toBeGreaterThanOrEqual(found.provedPeak);
      }),
      runs,
    );
  });

  test("gives one too where its budget ends before it has seen everything", () => {
    let state = 1;
    const draw = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (const count of [60, 120, 240]) {
      const buffers = Array.from({ length: count }, (_, i): ChoiceBuffer => {
        const lower = draw(count);
        const upper = lower + 1 + draw(count / 2);
        return {
          id: `b${i}`,
          lower,
          upper,
          size: 1 + draw(1000),
          choices: [
            ["a", "b"],
            ["c", "d"],
          ],
        };
      });
      const found = solveChoices({ buffers }, { budget: 60_000 });
      const { peak, places = [], lowerBound } = found;
      expect(checkChoices({ buffers, capacity: peak }, places).map(printChoiceViolation)).toEqual([]);
      expect(peak / lowerBound.peak).toBeLessThan(1.25);
    }
  });

  test("does not take a packing for good that ended at the first bank that is too full", () => {
    const buffer = (id: string, size: number, bank: string) => ({ id, lower: 0, upper: 1, size, choices: [[bank]] });
    const model = choiceModelOf([buffer("a", 4, "x"), buffer("b", 9, "y")]);
    expect(packBanks(model, [0, 0], 3, 1_000)).toMatchObject({ peak: Number.POSITIVE_INFINITY, isImpossible: true });
    expect(packBanks(model, [0, 0], 9, 1_000)).toMatchObject({ peak: 9, isImpossible: false });
  });

  test("decides small problems as trying everything does", () => {
    let fitting = 0;
    fc.assert(
      fc.property(tiny, fc.nat(5), (drawn, capacity) => {
        const problem = { ...drawn, capacity };
        const fits = fitsSomehow(problem);
        fitting += fits ? 1 : 0;
        expect(solveChoices(problem, { capacity, budget }).kind).toBe(fits ? "found" : "infeasible");
        const best = solveChoices(problem, { budget });
        if (best.places === undefined) {
          expect(fits).toBe(false);
          return;
        }
        expect(best.peak).toBe(best.provedPeak);
        expect(best.peak <= capacity).toBe(fits);
      }),
      runs,
    );
    expect(fitting).toBeGreaterThan(20);
    expect(fitting).toBeLessThan(70);
  });

  test("never fails in a larger capacity, and does not depend on the order of the buffers", () => {
    fc.assert(
      fc.property(choiceProblems(), fc.nat(), fc.nat(60), (problem, salt, capacity) => {
        const { buffers } = problem;
        const found = solveChoices(problem, { capacity, budget });
        if (found.kind === "found") {
          expect(solveChoices(problem, { capacity: capacity + 1 + (salt % 5), budget }).kind).toBe("found");
        }
        const order = permutation(buffers.length, salt);
        const permuted = solveChoices({ buffers: order.flatMap((i) => buffers[i] ?? []) }, { capacity, budget });
        expect(permuted.kind).toBe(found.kind);
        expect(permuted.places).toEqual(found.places && order.map((i) => found.places?.[i]));
      }),
      runs,
    );
  });

  test("fills banks without slack", () => {
    // Each bank is full at every time: 9 sizes over 3 banks, only one sum.
    const buffers = [9, 8, 7, 6, 5, 4, 3, 2, 1].map((size) => ({
      id: `s${size}`,
      lower: 0,
      upper: 4,
      size,
      choices: [["x"], ["y"], ["z"]],
    }));
    expect(solveChoices({ buffers }, { capacity: 15, budget })).toMatchObject({ kind: "found", peak: 15 });
    expect(solveChoices({ buffers }, { capacity: 14, budget })).toMatchObject({ kind: "infeasible", by: "load" });
  });

  test("colours what must be apart, or proves that the banks do not suffice", () => {
    // The neighbours on a ring of five: three banks do, two do not.
    const ring = (banks: readonly string[]) =>
      [0, 1, 2, 3, 4].map((i) => ({
        id: `${i}`,
        lower: 10 * i,
        upper: 10 * i + 10,
        size: 1,
        choices: banks.map((bank) => [bank]),
        apart: [`${(i + 1) % 5}`],
      }));
    expect(solveChoices({ buffers: ring(["x", "y"]) }, { budget })).toMatchObject({ kind: "infeasible", by: "apart" });
    expect(solveChoices({ buffers: ring(["x", "y", "z"]) }, { budget })).toMatchObject({ kind: "found", peak: 1 });
  });
});

describe("checkChoices", () => {
  const problem: ChoiceProblem = {
    capacity: 8,
    buffers: [
      { id: "wide", lower: 0, upper: 9, size: 4, choices: [["a", "b"]] },
      { id: "one", lower: 0, upper: 9, size: 4, alignment: 2, choices: [["a"], ["b"], ["c"]] },
      { id: "two", lower: 5, upper: 9, size: 4, choices: [["b"], ["c"]], apart: ["one"] },
    ],
  };
  const good: readonly ChoicePlace[] = [
    { banks: ["b", "a"], offset: 0 },
    { banks: ["a"], offset: 4 },
    { banks: ["b"], offset: 4 },
  ];
  const verdict = (index: number, place: Partial<ChoicePlace>): string[] =>
    checkChoices(
      problem,
      good.map((own, i) => (i === index ? { ...own, ...place } : own)),
    ).map(printChoiceViolation);

  test.each<[number, Partial<ChoicePlace>, string[]]>([
    [0, {}, []],
    [0, { banks: ["a"] }, ["buffer wide: a is none of its choices"]],
    [0, { banks: ["a", "b", "c"] }, ["buffer wide: a+b+c is none of its choices"]],
    [0, { banks: ["a", "a"] }, ["buffer wide: a+a is none of its choices"]],
    [2, { banks: [] }, ["buffer two: nothing is none of its choices"]],
    [
      2,
      { banks: ["a"] },
      [
        "buffer two: a is none of its choices",
        "buffers one and two must be apart and are both in bank a",
        "bank a: buffers one and two both occupy [4, 8) at time 5",
      ],
    ],
    [
      1,
      { banks: ["b"] },
      [
        "buffers one and two must be apart and are both in bank b",
        "bank b: buffers one and two both occupy [4, 8) at time 5",
      ],
    ],
    [1, { offset: 2 }, ["bank a: buffers wide and one both occupy [2, 4) at time 0"]],
    [1, { banks: ["c"], offset: 3 }, ["bank c: buffer one: offset 3 is not a multiple of 2"]],
    [2, { offset: 5 }, ["bank b: buffer two: ends at 9, beyond the capacity 8"]],
    [2, { banks: ["c"], offset: -1 }, ["bank c: buffer two: offset -1 is not an address"]],
  ])("place %i as %j", (index, place, words) => {
    expect(verdict(index, place)).toEqual(words);
  });

  test("wants a place for every buffer", () => {
    expect(checkChoices(problem, good.slice(1)).map(printChoiceViolation)).toEqual(["2 places for 3 buffers"]);
  });
});

describe("tables with banks", () => {
  const text = "id,lower,upper,size,banks,apart,note\na,0,9,4,x+y z,b,hello\nb,0,9,4,,,\nc,0,9,4,z,,\n";

  test("are read: choices, any bank where the field is empty, and what must be apart", () => {
    const table = readAllocTable(text);
    expect(table.ok && table.choosing).toMatchObject([
      { id: "a", choices: [["x", "y"], ["z"]], apart: ["b"] },
      { id: "b", choices: [["x"], ["y"], ["z"]] },
      { id: "c", choices: [["z"]] },
    ]);
  });

  test("are answered with banks, and answers are problems again", () => {
    const answer = runAlloc(text, { capacity: 8 });
    if (!answer.ok || answer.csv === undefined) throw new Error(JSON.stringify(answer));
    expect(answer.csv.split("\n")[0]).toBe("id,lower,upper,size,banks,apart,note,bank,offset");
    expect(answer.json).toMatchObject({ result: "fits", peak: 8, banks: { a: ["x", "y"], b: ["z"], c: ["z"] } });
    const again = runAlloc(answer.csv, { capacity: 8 });
    expect(again.ok && again.csv).toBe(answer.csv);
  });

  test("say why nothing fits", () => {
    const tight = runAlloc(text, { capacity: 7 });
    expect(tight.ok && tight.fits).toBe(false);
    const apart = runAlloc("id,lower,upper,size,banks,apart\na,0,1,4,x,b\nb,5,6,4,x,\n", {});
    expect(apart.ok && apart.json).toMatchObject({ result: "infeasible", peak: null, banks: null, gap: null });
    expect(apart.ok && apart.text).toContain("does not fit: there are not enough banks for what must be apart");
  });

  test.each([
    ["id,lower,upper,size,apart\na,0,1,4,\n", 1, "column apart needs a column banks"],
    ["id,lower,upper,size,banks\na,0,1,4,\n", 2, "there is no bank to choose"],
    ["id,lower,upper,size,banks\na,0,1,4,x+\n", 2, "a choice of banks has an empty name"],
    ["id,lower,upper,size,banks\na,0,1,4,x+x\n", 2, "choice x+x names a bank twice"],
    ["id,lower,upper,size,banks,apart\na,0,1,4,x,a\n", 2, "it cannot be apart from itself"],
    ["id,lower,upper,size,banks,apart\na,0,1,4,x,b\n", 2, "it must be apart from b, which is not there"],
    ["id,lower,upper,size,banks\na,3,1,4,x\n", 2, "live range [3, 1) ends before it starts"],
  ])("%j is refused", (bad, line, message) => {
    expect(readAllocTable(bad)).toEqual({ ok: false, errors: [{ line, message }] });
  });

  test("of the documentation fit", async () => {
    const { readFileSync } = await import("node:fs");
    const page = readFileSync(new URL("../docs/alloc-tables.md", import.meta.url), "utf8");
    const answer = runAlloc(/```csv\n([\s\S]*?)```/.exec(page)?.[1] ?? "", { capacity: 64 + 40 });
    expect(answer.ok && answer.fits).toBe(true);
  });
});
