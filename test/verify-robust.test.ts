// A bad program gives violations, never an exception: random programs, and good ones with random numbers put in.
import fc from "fast-check";
import { expect, test } from "vitest";
import { verifyProgram } from "../backends/check/verify.ts";
import type { Program } from "../ir/machine/program.ts";
import { programs } from "./encode-programs.ts";
import { newRandom, type Random } from "./verify-mutation.ts";
import { matmulProgram, softmaxProgram } from "./verify-programs.ts";
import { gatherProgram, linkProgram, permuteProgram } from "./verify-programs-moves.ts";

test("random programs are judged", () => {
  fc.assert(
    fc.property(programs, (program) => {
      const report = verifyProgram(program);
      expect(report.invariants.length).toBe(13);
      for (const { violationCount, violations } of report.invariants) {
        expect(violations.length).toBe(Math.min(violationCount, 20));
      }
    }),
    { numRuns: 60, seed: 7 },
  );
});

const odd = [-1, 0, 1, 2, 31, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 320, 2 ** 16, 2 ** 31, 2 ** 53, -(2 ** 31)];

/** `value` with one of its numbers replaced; the target and byte arrays stay. */
function withOddNumber(value: unknown, random: Random, chance: number): unknown {
  if (typeof value === "number") return random(chance) === 0 ? odd[random(odd.length)] : value;
  if (value instanceof Uint8Array || value instanceof Int16Array || typeof value !== "object" || value === null)
    return value;
  if (Array.isArray(value)) return value.map((item: unknown) => withOddNumber(item, random, chance));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [
      key,
      key === "target" ? item : withOddNumber(item, random, chance),
    ]),
  );
}

test("good programs with odd numbers in them are judged", () => {
  const good = [matmulProgram(), softmaxProgram(), permuteProgram(), linkProgram(), gatherProgram()];
  let refused = 0;
  for (let seed = 0; seed < 150; seed++) {
    const program = good[seed % good.length];
    const random = newRandom(seed + 1);
    const report = verifyProgram(withOddNumber(program, random, 40 + random(200)) as Program);
    if (!report.ok) refused++;
  }
  expect(refused).toBeGreaterThan(100);
});
