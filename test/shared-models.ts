// The matrix every shared model has to pass: chip counts, topologies, targets; compiled, verified, executed, compared; address maps close to their bounds.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sramOf } from "../src/report/memory.ts";
import { sharedData } from "./shared-data.ts";
import {
  argmaxRows,
  compileForTest,
  dataSet,
  execute,
  type LineOptions,
  maxAbsError,
  setsOf,
  violationsOf,
} from "./whole-line.ts";

const chipCounts = [1, 2, 4, 6] as const;
const topologies = ["chain", "all-to-all"] as const;
const targets = ["lpu-nvlink", "groqchip1"] as const;

/** fp32 on every system: largest error 1e-4 against the recorded outputs, every argmax of the first output equal. */
export function describeSharedModel(name: string, dims: NonNullable<LineOptions["dims"]> = {}): void {
  const folder = sharedData(join("models", name));
  describe.skipIf(folder === undefined)(name, () => {
    const root = folder ?? "";
    const systems = targets.flatMap((target) =>
      topologies.flatMap((topology) => chipCounts.map((chips) => ({ target, topology, chips }))),
    );
    test.each(systems)("fp32 on $chips chips, $topology, $target", ({ target, topology, chips }) => {
      const { program } = compileForTest(join(root, "model.onnx"), { target, topology, chips, dims });
      // Beyond a chip a layer more chips are of no use, and on slow links a hop may cost more than a chip brings: only those may stay idle.
      const layers = program.latencyTerms.reduce((sum, { part, count }) => sum + (part === "layer" ? count : 0), 0);
      expect(layers).toBeGreaterThan(0);
      const worthHops = target === "groqchip1" ? 5 : chips;
      expect(program.stages.length).toBeGreaterThanOrEqual(Math.min(chips, layers, worthHops));
      expect(program.stages.length).toBeLessThanOrEqual(chips);
      expect(violationsOf(program)).toEqual([]);
      for (const { activationGap, fullestBank } of sramOf(program))
        expect(Math.max(activationGap, fullestBank.gap)).toBeLessThanOrEqual(0.05);
      const { inputs, outputs } = dataSet(program, setsOf(root)[0] as string);
      const actual = execute(program, inputs);
      for (const [output, expected] of outputs)
        expect(maxAbsError(actual.get(output), expected), output).toBeLessThanOrEqual(1e-4);
      const [first] = outputs;
      if (first !== undefined) expect(argmaxRows(actual.get(first[0]) as never)).toEqual(argmaxRows(first[1]));
    });
  });
}
