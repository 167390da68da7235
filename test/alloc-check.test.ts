// The checker of allocations: right answers pass, and every kind of wrong one is reported with its witness.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAllocation, printAllocViolation } from "../passes/alloc/check.ts";
import { minimisePeak } from "../passes/alloc/minimise.ts";
import { type AllocProblem, activitiesOf, verifyAllocProblem } from "../passes/alloc/problem.ts";
import { anyAllocProblem } from "../src/testing/alloc-problems.ts";

const problem: AllocProblem = {
  buffers: [
    { id: "a", lower: 0, upper: 4, size: 8 },
    { id: "b", lower: 2, upper: 6, size: 8, alignment: 8 },
    { id: "c", lower: 4, upper: 9, size: 8, gaps: [{ lower: 5, upper: 7, window: { lower: 0, upper: 2 } }] },
    { id: "d", lower: 6, upper: 7, size: 6 },
  ],
  capacity: 16,
};
const good = [0, 8, 0, 2];

/** `good` with one offset changed. */
const mutant = (index: number, offset: number): number[] => good.map((old, i) => (i === index ? offset : old));

describe("checkAllocation", () => {
  test("accepts a right answer", () => {
    expect(verifyAllocProblem(problem)).toEqual([]);
    expect(checkAllocation(problem, good)).toEqual([]);
  });

  test("reports a missing offset", () => {
    expect(checkAllocation(problem, [0, 8, 0])).toEqual([{ rule: "count", buffers: 4, offsets: 3 }]);
  });

  test("reports offsets that are no addresses", () => {
    expect(checkAllocation(problem, mutant(0, -8))).toEqual([{ rule: "offset", buffer: "a", offset: -8 }]);
    expect(checkAllocation(problem, mutant(0, 0.5))).toEqual([{ rule: "offset", buffer: "a", offset: 0.5 }]);
    expect(checkAllocation(problem, mutant(0, Number.NaN))).toMatchObject([{ rule: "offset", buffer: "a" }]);
  });

  test("reports misalignment, and all that follows from it", () => {
    expect(checkAllocation(problem, mutant(1, 7))).toEqual([
      { rule: "alignment", buffer: "b", offset: 7, alignment: 8 },
      { rule: "overlap", buffers: ["a", "b"], time: 2, from: 7, to: 8 },
      { rule: "overlap", buffers: ["b", "c"], time: 4, from: 7, to: 8 },
    ]);
  });

  test("reports the end beyond the capacity", () => {
    const violations = checkAllocation(problem, mutant(1, 16));
    expect(violations).toEqual([{ rule: "capacity", buffer: "b", end: 24, capacity: 16 }]);
  });

  test("reports an overlap with its first time and its addresses", () => {
    const violations = checkAllocation(problem, mutant(2, 1));
    expect(violations).toEqual([
      { rule: "overlap", buffers: ["b", "c"], time: 4, from: 8, to: 9 },
      { rule: "overlap", buffers: ["c", "d"], time: 6, from: 2, to: 3 },
    ]);
    expect(violations.map(printAllocViolation)).toEqual([
      "buffers b and c both occupy [8, 9) at time 4",
      "buffers c and d both occupy [2, 3) at time 6",
    ]);
  });

  test("holds a gap's window, and nothing more", () => {
    expect(checkAllocation(problem, mutant(3, 1))).toEqual([
      { rule: "overlap", buffers: ["c", "d"], time: 6, from: 1, to: 2 },
    ]);
    const whole = { ...problem, buffers: problem.buffers.map(({ gaps: _, ...buffer }) => buffer) };
    expect(checkAllocation(whole, good)).toEqual([{ rule: "overlap", buffers: ["c", "d"], time: 6, from: 2, to: 8 }]);
  });

  test("intervals are half-open: neighbours in time and in space do not overlap", () => {
    const buffers = [
      { id: "a", lower: 0, upper: 4, size: 8 },
      { id: "b", lower: 4, upper: 6, size: 8 },
      { id: "c", lower: 0, upper: 6, size: 8 },
    ];
    expect(checkAllocation({ buffers, capacity: 16 }, [0, 0, 8])).toEqual([]);
    expect(checkAllocation({ buffers, capacity: 16 }, [0, 0, 7])).toHaveLength(2);
    const longer = buffers.map((buffer) => ({ ...buffer, upper: buffer.id === "a" ? 5 : buffer.upper }));
    expect(checkAllocation({ buffers: longer, capacity: 16 }, [0, 0, 8])).toHaveLength(1);
  });

  test("agrees with looking at every time and address", () => {
    fc.assert(
      fc.property(anyAllocProblem, fc.array(fc.nat(40), { minLength: 30, maxLength: 30 }), (random, picks) => {
        const { buffers } = random;
        const offsets = buffers.map((buffer, i) => (picks[i] ?? 0) * (buffer.alignment ?? 1));
        const occupies = (i: number, time: number, address: number): boolean =>
          activitiesOf(buffers[i] ?? { id: "", lower: 0, upper: 0, size: 0 }).some((part) => {
            const offset = offsets[i] ?? 0;
            const isNow = part.lower <= time && time < part.upper;
            return isNow && offset + part.low <= address && address < offset + part.high;
          });
        const pairs = new Set<string>();
        for (const [i, one] of buffers.entries()) {
          for (const [j, other] of buffers.entries()) {
            if (j <= i) continue;
            const from = Math.max(offsets[i] ?? 0, offsets[j] ?? 0);
            const to = Math.min((offsets[i] ?? 0) + one.size, (offsets[j] ?? 0) + other.size);
            for (let time = Math.max(one.lower, other.lower); time < Math.min(one.upper, other.upper); time++) {
              for (let address = from; address < to; address++) {
                if (occupies(i, time, address) && occupies(j, time, address)) pairs.add(`${one.id} ${other.id}`);
              }
            }
          }
        }
        const violations = checkAllocation({ buffers, capacity: 10_000 }, offsets);
        const reported = violations.flatMap((violation) =>
          violation.rule === "overlap" ? [violation.buffers.join(" ")] : [],
        );
        expect(reported.sort()).toEqual([...pairs].sort());
        expect(violations.length).toBe(reported.length);
      }),
      { seed: 11, numRuns: 60 },
    );
  });

  test("catches every buffer of a tight answer that is moved into another", () => {
    fc.assert(
      fc.property(anyAllocProblem, fc.nat(), fc.integer({ min: 1, max: 3 }), (random, pick, step) => {
        const answer = minimisePeak(random, { budget: 0 });
        fc.pre(random.buffers.length > 0);
        const index = pick % random.buffers.length;
        const offsets = answer.offsets.map((offset, i) => (i === index ? offset - step : offset));
        const moved = random.buffers[index];
        fc.pre(moved !== undefined && moved.gaps === undefined && moved.size > 0 && moved.lower < moved.upper);
        // Without search nothing is left that could be lower: below it is another buffer, the ground, or misalignment.
        expect(checkAllocation({ ...random, capacity: answer.peak }, offsets)).not.toEqual([]);
      }),
      { seed: 12, numRuns: 150 },
    );
  });
});

describe("verifyAllocProblem", () => {
  const buffer = { id: "a", lower: 0, upper: 4, size: 8 };
  const faultsOf = (change: object): string[] =>
    verifyAllocProblem({ buffers: [{ ...buffer, ...change }], capacity: 8 }).map((fault) => fault.message);

  test("names what is wrong with a buffer", () => {
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ upper: -1 })).toEqual(["live range [0, -1) ends before it starts"]);
    expect(faultsOf({ lower: 0.5 })).toEqual(["live range [0.5, 4) is not made of integers"]);
    expect(faultsOf({ size: -8 })).toEqual(["size -8 is not a non-negative integer"]);
    expect(faultsOf({ alignment: 0 })).toEqual(["alignment 0 is not a positive integer"]);
    expect(faultsOf({ hint: -1 })).toEqual(["hint -1 is not a non-negative integer"]);
    expect(faultsOf({ gaps: [{ lower: 3, upper: 5 }] })).toEqual(["gap [3, 5) leaves the live range [0, 4)"]);
    expect(faultsOf({ gaps: [{ lower: 3, upper: 2 }] })).toEqual(["gap [3, 2) is not an interval of integers"]);
    const twice = [
      { lower: 0, upper: 3 },
      { lower: 2, upper: 4 },
    ];
    expect(faultsOf({ gaps: twice })).toEqual(["gap [2, 4) overlaps the gap before it"]);
    expect(faultsOf({ gaps: [{ lower: 1, upper: 2, window: { lower: 4, upper: 9 } }] })).toEqual([
      "window [4, 9) of gap [1, 2) is not inside [0, 8)",
    ]);
  });

  test("names what is wrong with the whole", () => {
    expect(verifyAllocProblem({ buffers: [buffer, buffer], capacity: -1 })).toEqual([
      { buffer: 1, message: "id a is already used by buffer number 0" },
      { buffer: -1, message: "capacity -1 is not a non-negative integer" },
    ]);
    const vast = { ...buffer, size: 2 ** 52 };
    const buffers = [vast, { ...vast, id: "b" }, { ...vast, id: "c" }];
    expect(verifyAllocProblem({ buffers, capacity: 8 })).toMatchObject([
      { buffer: 1, message: "the sizes add up to more than 2^53" },
      { buffer: 2, message: "the sizes add up to more than 2^53" },
    ]);
  });
});
