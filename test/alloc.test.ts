// Properties of the allocator as a whole: what it returns is right by the independent checker, whatever the problem.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBuffers } from "../passes/alloc/allocate.ts";
import { checkAllocation } from "../passes/alloc/check.ts";
import { minimisePeak } from "../passes/alloc/minimise.ts";
import { verifyAllocProblem } from "../passes/alloc/problem.ts";
import { anyProblem, shuffled } from "./alloc-problems.ts";

const seed = { seed: 20_241, numRuns: 150 };

describe("minimisePeak", () => {
  test("returns a solution that checks, at or above its lower bound", () => {
    fc.assert(
      fc.property(anyProblem, (problem) => {
        expect(verifyAllocProblem(problem)).toEqual([]);
        const answer = minimisePeak(problem, { budget: 2_000 });
        expect(checkAllocation({ ...problem, capacity: answer.peak }, answer.offsets)).toEqual([]);
        expect(answer.peak).toBeGreaterThanOrEqual(answer.lowerBound.peak);
      }),
      seed,
    );
  });

  test("does not depend on the order of the buffers", () => {
    fc.assert(
      fc.property(anyProblem, fc.nat(), (problem, salt) => {
        const order = shuffled(problem.buffers.length, salt);
        const buffers = order.flatMap((index) => problem.buffers[index] ?? []);
        const one = minimisePeak(problem, { budget: 2_000 });
        const other = minimisePeak({ ...problem, buffers }, { budget: 2_000 });
        expect(other.offsets).toEqual(order.map((index) => one.offsets[index]));
      }),
      seed,
    );
  });
});

describe("allocateBuffers", () => {
  test("says whether the buffers fit, and where", () => {
    const buffers = [
      { id: "a", lower: 0, upper: 3, size: 4 },
      { id: "b", lower: 3, upper: 9, size: 4 },
      { id: "c", lower: 0, upper: 9, size: 4 },
      { id: "d", lower: 9, upper: 21, size: 4 },
      { id: "e", lower: 0, upper: 21, size: 4 },
    ];
    const fits = allocateBuffers(buffers, 12);
    expect(fits.kind).toBe("fits");
    expect(fits.peak).toBe(12);
    expect(checkAllocation({ buffers, capacity: 12 }, fits.offsets)).toEqual([]);
    const over = allocateBuffers(buffers, 11);
    expect(over).toEqual({ ...fits, kind: "over-capacity" });
    expect(over.lowerBound).toBe(12);
  });

  test("needs no space for no buffers, empty buffers and empty live ranges", () => {
    expect(allocateBuffers([], 0)).toEqual({ kind: "fits", offsets: [], peak: 0, lowerBound: 0 });
    const empty = [
      { id: "never", lower: 3, upper: 3, size: 0 },
      { id: "nothing", lower: 0, upper: 9, size: 0 },
    ];
    expect(allocateBuffers(empty, 0)).toEqual({ kind: "fits", offsets: [0, 0], peak: 0, lowerBound: 0 });
  });
});
