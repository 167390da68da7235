// The shipped models the whole way: compile, verify, execute, compare. The systems left out here are in matrix-models.test.ts.
import { describe, expect, test } from "vitest";
import { adderPath, answerOf, heldOutSums } from "./adder.ts";
import { isQuick, shippedCases, testShipped } from "./shipped-models.ts";
import { compileForTest } from "./whole-line.ts";

testShipped(shippedCases.filter(isQuick));

describe("adder", () => {
  test("answers held-out sums on 4 chips", () => {
    const { program } = compileForTest(adderPath, { chips: 4, precision: "fp16" });
    for (const { prompt, answer } of heldOutSums(4)) expect(answerOf(program, prompt)).toBe(answer);
  });
});
