// Layers shared by several chips, the whole way: compile, verify against the model's own graph, execute, compare.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compileForTest, dataSet, execute, maxAbsError, setsOf, violationsOf } from "./whole-line.ts";

const models = join(import.meta.dirname, "..", "models");

const systems = [
  { chips: 2, tensorParallel: 2, topology: "chain" },
  { chips: 4, tensorParallel: 4, topology: "all-to-all" },
  { chips: 4, tensorParallel: 2, topology: "ring" },
] as const;

describe.each(["adder", "bert-mini", "vit-mini"])("%s", (name) => {
  test.each(systems)("$tensorParallel of $chips chips on a $topology share every layer", (system) => {
    const path = join(models, `${name}.onnx`);
    const { program } = compileForTest(path, { ...system, precision: "fp32" });
    expect(violationsOf(program)).toEqual([]);
    expect(program.stages.length).toBe(system.chips);
    for (const folder of setsOf(join(models, `${name}.data`)).slice(0, 2)) {
      const { inputs, outputs } = dataSet(program, folder);
      const actual = execute(program, inputs);
      for (const [output, expected] of outputs) expect(maxAbsError(actual.get(output), expected)).toBeLessThan(1e-4);
    }
  });
});
