// Properties of the allocator as a whole: what it returns is right by the independent checker, whatever the problem.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAllocation } from "../passes/alloc/check.ts";
import { minimisePeak } from "../passes/alloc/minimise.ts";
import { type AllocBuffer, type AllocProblem, verifyAllocProblem } from "../passes/alloc/problem.ts";
import { solveAlloc } from "../passes/alloc/solve.ts";
import { allocProblems, anyAllocProblem } from "../src/testing/alloc-problems.ts";
import { permutation } from "../src/testing/laws.ts";

const seed = { seed: 20_241, numRuns: 150 };

describe("minimisePeak", () => {
  test("returns a solution that checks, at or above its lower bound", () => {
    fc.assert(
      fc.property(anyAllocProblem, (problem) => {
        expect(verifyAllocProblem(problem)).toEqual([]);
        const answer = minimisePeak(problem, { budget: 2_000 });
        expect(checkAllocation({ ...problem, capacity: answer.peak }, answer.offsets)).toEqual([]);
        expect(answer.provedPeak).toBeGreaterThanOrEqual(answer.lowerBound.peak);
        expect(answer.peak).toBeGreaterThanOrEqual(answer.provedPeak);
      }),
      seed,
    );
  });

  test("does not depend on the order of the buffers", () => {
    fc.assert(
      fc.property(anyAllocProblem, fc.nat(), (problem, salt) => {
        const order = permutation(problem.buffers.length, salt);
        const buffers = order.flatMap((index) => problem.buffers[index] ?? []);
        const one = minimisePeak(problem, { budget: 2_000 });
        const other = minimisePeak({ ...problem, buffers }, { budget: 2_000 });
        expect(other.offsets).toEqual(order.map((index) => one.offsets[index]));
      }),
      seed,
    );
  });
});

/** The lowest peak by trying every offset of every buffer. Slow, and shares nothing with the solvers. */
function lowestPeakByBruteForce({ buffers }: AllocProblem): number {
  const fits = (capacity: number, offsets: readonly number[]): boolean => {
    const next = buffers[offsets.length];
    if (next === undefined) return true;
    for (let offset = 0; offset + next.size <= capacity; offset++) {
      const longer = [...offsets, offset];
      const part = { buffers: buffers.slice(0, longer.length), capacity };
      if (checkAllocation(part, longer).length === 0 && fits(capacity, longer)) return true;
    }
    return false;
  };
  let capacity = 0;
  while (!fits(capacity, [])) capacity++;
  return capacity;
}

/** Buffers from "LOWER-UPPER:SIZE" words. */
function bufferRows(text: string): AllocBuffer[] {
  return text.split(" ").map((word, index) => {
    const [lower = 0, upper = 0, size = 0] = word.split(/[-:]/).map(Number);
    return { id: `b${index}`, lower, upper, size };
  });
}

const tiny = fc.oneof(
  allocProblems({ buffers: 5, time: 6, size: 4, alignments: [1], gaps: false, windows: false }),
  allocProblems({ buffers: 5, time: 8, size: 4, alignments: [1, 2, 3], gaps: true, windows: false }),
);

describe("exactness", () => {
  test("minimisePeak finds and proves the lowest peak of tiny problems", () => {
    fc.assert(
      fc.property(tiny, (problem) => {
        const answer = minimisePeak(problem, { budget: 10_000 });
        expect(answer.peak).toBe(lowestPeakByBruteForce(problem));
        expect(answer.gap).toBe(0);
      }),
      seed,
    );
  });

  test("solveAlloc decides tiny problems at every capacity", () => {
    fc.assert(
      fc.property(tiny, (problem) => {
        const lowest = lowestPeakByBruteForce(problem);
        for (let capacity = 0; capacity <= lowest + 2; capacity++) {
          const answer = solveAlloc({ ...problem, capacity }, { budget: 10_000 });
          expect(answer.kind).toBe(capacity < lowest ? "infeasible" : "fits");
          if (answer.kind === "fits") {
            expect(checkAllocation({ ...problem, capacity }, answer.offsets)).toEqual([]);
          }
        }
      }),
      seed,
    );
  });

  test("search finds what nothing does that places buffers once and for all", () => {
    const buffers = bufferRows("5-9:1 3-5:2 3-6:1 7-11:5 3-6:1 4-6:3");
    expect(minimisePeak({ buffers }, { budget: 0 })).toMatchObject({ peak: 8, provedPeak: 7 });
    expect(minimisePeak({ buffers }, { budget: 1_000 })).toMatchObject({ peak: 7, provedPeak: 7, gap: 0 });
    expect(lowestPeakByBruteForce({ buffers, capacity: 0 })).toBe(7);
  });

  test("search proves that the most live at a time is not always enough", () => {
    const buffers = bufferRows("2-6:3 2-6:2 5-6:2 1-2:3 0-3:3 6-7:3 3-5:1 6-8:3 4-7:2 3-7:2 2-4:3");
    const tooLow = solveAlloc({ buffers, capacity: 11 }, { budget: 10_000 });
    expect(tooLow).toMatchObject({ kind: "infeasible", by: "search", peak: 12 });
    expect(tooLow.lowerBound.peak).toBe(11);
    expect(solveAlloc({ buffers, capacity: 12 }, { budget: 10_000 }).kind).toBe("fits");
  });
});

describe("solveAlloc", () => {
  const medium = allocProblems({ buffers: 40, time: 30, size: 30, alignments: [1, 1, 4], gaps: true, windows: false });

  test("never fails at a larger capacity where a smaller one fits", () => {
    fc.assert(
      fc.property(medium, (problem) => {
        const floor = minimisePeak(problem, { budget: 3_000 }).provedPeak;
        let smallest = Number.POSITIVE_INFINITY;
        for (const percent of [100, 101, 103, 106, 110, 120, 140, 180, 300]) {
          const capacity = Math.floor((floor * percent) / 100);
          const answer = solveAlloc({ ...problem, capacity }, { budget: 2_000 });
          if (answer.kind === "fits") smallest = Math.min(smallest, capacity);
          else expect(capacity).toBeLessThan(smallest);
        }
      }),
      { ...seed, numRuns: 60 },
    );
  });

  test("does not depend on the order of the buffers", () => {
    fc.assert(
      fc.property(anyAllocProblem, fc.nat(), (problem, salt) => {
        const order = permutation(problem.buffers.length, salt);
        const buffers = order.flatMap((index) => problem.buffers[index] ?? []);
        const one = solveAlloc(problem, { budget: 2_000 });
        const other = solveAlloc({ ...problem, buffers }, { budget: 2_000 });
        expect(other).toEqual({ ...one, offsets: order.map((index) => one.offsets[index]) });
      }),
      seed,
    );
  });

  test("names the buffers that are live together where they do not fit", () => {
    const buffers = [
      { id: "a", lower: 0, upper: 5, size: 4 },
      { id: "b", lower: 4, upper: 9, size: 4 },
      { id: "c", lower: 5, upper: 9, size: 3 },
    ];
    const answer = solveAlloc({ buffers, capacity: 7 }, { budget: 100 });
    expect(answer).toMatchObject({ kind: "infeasible", by: "clique", peak: 8 });
    expect(answer.lowerBound).toEqual({ peak: 8, time: 4, buffers: ["a", "b"] });
  });

  test("counts what common alignment wastes into the lower bound", () => {
    const buffers = [0, 1, 2].map((i) => ({ id: `b${i}`, lower: 0, upper: 9, size: 5, alignment: 8 }));
    expect(solveAlloc({ buffers, capacity: 20 }, { budget: 100 })).toMatchObject({ kind: "infeasible", by: "clique" });
    expect(solveAlloc({ buffers, capacity: 21 }, { budget: 100 })).toMatchObject({ kind: "fits", peak: 21 });
  });

  test("lets another buffer use what a gap leaves free", () => {
    const gaps = [{ lower: 3, upper: 6 }];
    const whole = { id: "whole", lower: 0, upper: 9, size: 8 };
    const guest = { id: "guest", lower: 3, upper: 6, size: 5 };
    expect(solveAlloc({ buffers: [whole, guest], capacity: 8 }, { budget: 100 }).kind).toBe("infeasible");
    expect(solveAlloc({ buffers: [{ ...whole, gaps }, guest], capacity: 8 }, { budget: 100 }).kind).toBe("fits");
    const kept = { lower: 3, upper: 6, window: { lower: 0, upper: 3 } };
    expect(solveAlloc({ buffers: [{ ...whole, gaps: [kept] }, guest], capacity: 8 }, { budget: 100 }).kind).toBe(
      "fits",
    );
    const wider = { ...kept, window: { lower: 0, upper: 4 } };
    expect(solveAlloc({ buffers: [{ ...whole, gaps: [wider] }, guest], capacity: 8 }, { budget: 100 }).kind).toBe(
      "infeasible",
    );
  });

  test("says so when the budget runs out, with the best peak found", () => {
    // Sizes so uneven that stacking them without waste needs search; a few units of it decide nothing.
    const buffers = Array.from({ length: 40 }, (_, i) => ({
      id: `b${i}`,
      lower: (i * 7) % 31,
      upper: ((i * 7) % 31) + 3 + ((i * 5) % 19),
      size: 3 + ((i * 11) % 17),
    }));
    const { provedPeak } = minimisePeak({ buffers }, { budget: 0 });
    const answer = solveAlloc({ buffers, capacity: provedPeak }, { budget: 5 });
    expect(answer.kind).toBe("unknown");
    expect(answer.peak).toBeGreaterThan(provedPeak);
    expect(checkAllocation({ buffers, capacity: answer.peak }, answer.offsets)).toEqual([]);
  });
});

test("needs no space for no buffers, empty buffers and empty live ranges", () => {
  expect(minimisePeak({ buffers: [] }, { budget: 10 })).toMatchObject({ offsets: [], peak: 0, provedPeak: 0 });
  const buffers = [
    { id: "never", lower: 3, upper: 3, size: 0 },
    { id: "nothing", lower: 0, upper: 9, size: 0 },
  ];
  expect(minimisePeak({ buffers }, { budget: 10 })).toMatchObject({ offsets: [0, 0], peak: 0, provedPeak: 0 });
});
