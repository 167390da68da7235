// 96 equal layers on 6 chips: 16 each, and a latency of 96 times one fixed cost and what the certificate states beside it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyProgram } from "../backends/check/verify.ts";
import { interpret } from "../backends/interp/interpret.ts";
import { valueFromNumbers } from "../ir/graph/values.ts";
import type { LatencyTerm, Program } from "../ir/machine/program.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { deepNarrowOptions } from "../src/modelgen/transformer-options.ts";
import { root, scratchFolder } from "./cli-runner.ts";
import { compileForTest, hostTensor, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
const path = scratch.path("deep.onnx");
beforeAll(() => writeFileSync(path, transformerModel(deepNarrowOptions)));
afterAll(scratch.remove);

const termsOf = (program: Program, part: LatencyTerm["part"]): readonly LatencyTerm[] =>
  program.latencyTerms.filter((term) => term.part === part);

const sumOf = (terms: readonly LatencyTerm[]): number =>
  terms.reduce((sum, { count, cycles }) => sum + count * cycles, 0);

const countOf = (terms: readonly LatencyTerm[]): number => terms.reduce((sum, { count }) => sum + count, 0);

describe("96 layers", () => {
  test("6 chips have 16 layers each; the latency is 96 times a fixed cost and the stated terms", () => {
    const { program } = compileForTest(path, { chips: 6, precision: "fp16" });
    expect(program.stages.map(({ chip, firstLayer, lastLayer }) => [chip, firstLayer, lastLayer])).toEqual(
      [0, 1, 2, 3, 4, 5].map((chip) => [chip, 16 * chip, 16 * chip + 15]),
    );
    const [layer, ...others] = termsOf(program, "layer");
    expect([layer?.count, others]).toEqual([96, []]);
    const cost = layer?.cycles ?? 0;
    const fixed = sumOf(program.latencyTerms.filter(({ part }) => part !== "layer"));
    expect(program.latencyCycles).toBe(96 * cost + fixed);
    // The fixed terms are what they are called: five hops (of one or two lengths: ports stand at either edge), the final norm, and less than a chip's length of streams at the end.
    expect(countOf(termsOf(program, "transfer"))).toBe(5);
    expect(termsOf(program, "block").map(({ count }) => count)).toEqual([1]);
    expect(Math.abs(sumOf(termsOf(program, "end")))).toBeLessThan(64);
    expect(violationsOf(program)).toEqual([]);
    // Certified for every input, executed for one.
    const rows = Array.from({ length: 16 * 64 }, (_, i) => ((i * 40503) % 2048) / 1024 - 1);
    const result = interpret(
      program,
      new Map([["hidden_states", hostTensor(valueFromNumbers("float32", [1, 16, 64], rows))]]),
    );
    expect(result).toMatchObject({ ok: true, executedCycles: 96 * cost + fixed });
    const layers = program.stages.map(({ chip, startCycle, endCycle }) => [chip, endCycle - startCycle]);
    const busiest = Math.max(...layers.map(([, cycles]) => cycles as number));
    expect(program.initiationIntervalCycles).toBeLessThanOrEqual(busiest);
    expect(program.initiationIntervalCycles).toBeGreaterThan(0.8 * busiest);
  });

  test("the cost of a layer does not depend on the number of chips", () => {
    const [few, many] = [3, 12].map((chips) => compileForTest(path, { chips, precision: "fp16" }).program);
    if (few === undefined || many === undefined) throw new Error("two programs");
    expect(many.stages.map(({ firstLayer, lastLayer }) => lastLayer - firstLayer)).toEqual(Array(12).fill(7));
    expect(termsOf(many, "layer")).toEqual(termsOf(few, "layer"));
    expect(termsOf(many, "block")).toEqual(termsOf(few, "block"));
    const [before, after] = [few, many].map((program) => termsOf(program, "transfer"));
    expect([countOf(before ?? []), countOf(after ?? [])]).toEqual([2, 11]);
    expect(many.latencyCycles - few.latencyCycles).toBe(sumOf(after ?? []) - sumOf(before ?? []));
  });

  test("a certificate that does not add up is a violation", () => {
    const { program } = compileForTest(join(root, "models", "adder.onnx"), { chips: 4, precision: "fp16" });
    const [first, ...rest] = program.latencyTerms;
    if (first === undefined) throw new Error("no terms");
    const wrong: Program = { ...program, latencyTerms: [{ ...first, count: first.count + 1 }, ...rest] };
    const determinism = verifyProgram(wrong).invariants.find(({ name }) => name === "determinism");
    expect(determinism?.violations.map(({ message }) => message)).toEqual([
      expect.stringContaining("the terms of the certificate add up to"),
    ]);
  });
});
