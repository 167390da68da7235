// The address map of compiled models: how far each chip's is from the least that any map needs, and that the report says so.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sramOf } from "../src/report/memory.ts";
import { root } from "./cli-runner.ts";
import { compileForTest } from "./whole-line.ts";

describe.each(["adder", "bert-mini", "vit-mini"])("%s", (name) => {
  test.each([1, 2, 4, 6])("its map on %i chips is no further from the bound than a twentieth", (chips) => {
    const { program } = compileForTest(join(root, "models", `${name}.onnx`), { chips });
    for (const { activationGap, fullestBank, activationPeakBytes, activationLowerBoundBytes } of sramOf(program)) {
      expect(activationGap).toBeLessThanOrEqual(0.05);
      expect(fullestBank.gap).toBeLessThanOrEqual(0.05);
      expect(activationPeakBytes).toBeGreaterThanOrEqual(activationLowerBoundBytes);
      expect(fullestBank.peakBytes).toBeGreaterThanOrEqual(fullestBank.lowerBoundBytes);
      expect(fullestBank.peakBytes).toBeLessThanOrEqual(fullestBank.capacityBytes);
    }
  });
});
