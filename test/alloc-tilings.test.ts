// Problems without slack: what is known to fit is found, what does not fit is proved not to, and answers are right by the checker.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAllocation } from "../passes/alloc/check.ts";
import type { AllocBuffer, AllocProblem } from "../passes/alloc/problem.ts";
import { solveAlloc } from "../passes/alloc/solve.ts";
import { type TilingCut, tiledAllocProblems, tilingProblem } from "../src/testing/tilings.ts";

const capacity = 1 << 20;

/** Numbers that look random and are always the same. */
function drawing(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A tiling of about so many buffers, whose live ranges and sizes are of every order of magnitude. */
function largeTiling(seed: number, buffers: number): AllocProblem {
  const draw = drawing(seed);
  const cuts: TilingCut[] = [];
  for (let made = 1; made < buffers; ) {
    const way = (["time", "address", "around"] as const)[draw(6)] ?? (draw(2) === 0 ? "time" : "address");
    made += way === "around" ? 4 : 1;
    cuts.push({ pick: draw(1 << 20), way, time: [draw(1_000), draw(1_000)], address: [draw(1_000), draw(1_000)] });
  }
  return tilingProblem(cuts, 8 * buffers, capacity);
}

function expectFit(problem: AllocProblem, budget: number): void {
  const answer = solveAlloc(problem, { budget });
  expect(answer.lowerBound.peak).toBe(problem.capacity);
  expect(answer.kind).toBe("fits");
  expect(checkAllocation(problem, answer.offsets)).toEqual([]);
}

describe("tilings", () => {
  test("cover each time to the capacity", () => {
    fc.assert(
      fc.property(tiledAllocProblems(), ({ buffers, capacity: full }) => {
        for (let time = 0; time < 100; time++) {
          const live = buffers.filter(({ lower, upper }) => lower <= time && time < upper);
          expect(live.reduce((sum, { size }) => sum + size, 0)).toBe(full);
        }
      }),
      { seed: 5, numRuns: 30 },
    );
  });

  test("of some ten buffers all fit", () => {
    fc.assert(
      fc.property(tiledAllocProblems({ cuts: 20 }), (problem) => expectFit(problem, 20_000)),
      { seed: 6, numRuns: 200 },
    );
  });

  test("with alignment fit too", () => {
    fc.assert(
      fc.property(tiledAllocProblems({ cuts: 15, capacity: 64 }), ({ buffers, capacity: full }) => {
        const aligned = buffers.map((b) => ({ ...b, size: 8 * b.size, alignment: 8 }));
        expectFit({ buffers: aligned, capacity: 8 * full }, 20_000);
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  test.each([1, 3, 4, 5, 6].flatMap((seed) => [50, 100, 200].map((size) => ({ seed, size }))))(
    "of $size buffers fit (number $seed)",
    ({ seed, size }) => expectFit(largeTiling(seed, size), 100_000),
  );
});

/** Ways to fill the capacity 6 at one time. */
const fillings = [[6], [5, 1], [4, 2], [4, 1, 1], [3, 3], [3, 2, 1], [2, 2, 2], [3, 1, 1, 1], [2, 2, 1, 1]] as const;

/** Fillings of one time after another, where most buffers live on, or come back, as one of the same size: no slack, and not always possible. */
const chained = fc
  .array(fc.record({ sizes: fc.constantFrom(...fillings), ends: fc.nat(15) }), { minLength: 2, maxLength: 6 })
  .map((times): AllocProblem => {
    const buffers: AllocBuffer[] = [];
    times.forEach(({ sizes, ends }, time) => {
      const open = buffers.flatMap((_, i) => (((ends >> (i % 4)) & 1) === 0 ? [i] : []));
      for (const size of sizes) {
        const at = open.findIndex((i) => buffers[i]?.size === size);
        const [own = -1] = at < 0 ? [] : open.splice(at, 1);
        const before = buffers[own];
        if (before === undefined) buffers.push({ id: `b${buffers.length}`, lower: time, upper: time + 1, size });
        else {
          const gap = before.upper < time ? [{ lower: before.upper, upper: time }] : [];
          buffers[own] = { ...before, upper: time + 1, gaps: [...(before.gaps ?? []), ...gap] };
        }
      }
    });
    return { buffers, capacity: 6 };
  });

const isLive = ({ lower, upper, gaps = [] }: AllocBuffer, time: number): boolean =>
  lower <= time && time < upper && !gaps.some((gap) => gap.lower <= time && time < gap.upper);

/** Tries every offset of every buffer. */
function fitsByBruteForce({ buffers, capacity: limit }: AllocProblem): boolean {
  const offsets: number[] = [];
  const goOn = (): boolean => {
    const buffer = buffers[offsets.length];
    if (buffer === undefined) return true;
    for (let offset = 0; offset + buffer.size <= limit; offset++) {
      const isFree = offsets.every((low, i) => {
        const other = buffers[i] ?? buffer;
        const meet = [0, 1, 2, 3, 4, 5].some((time) => isLive(other, time) && isLive(buffer, time));
        return !meet || low + other.size <= offset || offset + buffer.size <= low;
      });
      if (!isFree) continue;
      offsets.push(offset);
      if (goOn()) return true;
      offsets.pop();
    }
    return false;
  };
  return goOn();
}

test("problems without slack are decided as trying everything does", () => {
  const seen = { fits: 0, infeasible: 0, unknown: 0 };
  fc.assert(
    fc.property(chained, (problem) => {
      const answer = solveAlloc(problem, { budget: 50_000 });
      expect(answer.kind).toBe(fitsByBruteForce(problem) ? "fits" : "infeasible");
      seen[answer.kind]++;
    }),
    { seed: 8, numRuns: 500 },
  );
  expect(seen.infeasible).toBeGreaterThan(5);
  expect(seen.fits).toBeGreaterThan(100);
});

test("a tiling with one buffer more is proved not to fit, by the buffers that are live together", () => {
  const { buffers } = largeTiling(1, 100);
  const more = [...buffers, { id: "more", lower: 17, upper: 18, size: 1 }];
  const answer = solveAlloc({ buffers: more, capacity }, { budget: 10_000 });
  expect(answer).toMatchObject({ kind: "infeasible", by: "clique", lowerBound: { peak: capacity + 1, time: 17 } });
  expect(answer.lowerBound.buffers).toContain("more");
  expect(checkAllocation({ buffers: more, capacity: answer.peak }, answer.offsets)).toEqual([]);
});
