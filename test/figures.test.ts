// The figures of a program are what they are called: counted again from its execution, and bounds that hold and mean something.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { interpret } from "../backends/interp/interpret.ts";
import { valueFromBigints } from "../ir/graph/values.ts";
import { linkVectorPeriod, sliceCount } from "../ir/target/geometry.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { programReport } from "../src/report/program-report.ts";
import { root, scratchFolder } from "./cli-runner.ts";
import { compileForTest, hostTensor } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const adder = join(root, "models", "adder.onnx");

describe("figures", () => {
  const { program } = compileForTest(adder, { chips: 4, precision: "fp16" });
  const report = programReport(program);
  const ids = valueFromBigints("int64", [1, 12], new Array<bigint>(12).fill(1n));
  const ran = interpret(program, new Map([["input_ids", hostTensor(ids)]]));
  if (!ran.ok) throw new Error(ran.fault.message);
  const { issues } = ran.profile;

  test("utilisation is what was executed, over what could have been", () => {
    const { target, latencyCycles, chips, links } = program;
    const { utilisation } = report;
    const slots = (units: number): number => units * latencyCycles;
    const memory = issues.read + issues.write + issues.gather + issues.scatter;
    expect(utilisation.mem).toBeCloseTo(memory / slots(chips.length * sliceCount(target) * 2), 12);
    expect(utilisation.vxm).toBeCloseTo(issues.alu / slots(chips.length * target.vxm.alus), 12);
    expect(utilisation.links).toBeCloseTo((issues.send * linkVectorPeriod(target)) / slots(links.length), 12);
    expect(utilisation.mxm).toBeGreaterThan(0);
    expect(utilisation.mxm).toBeLessThanOrEqual((issues.abc * 2) / slots(chips.length * target.mxm.planes));
  });

  test("links carry what was sent", () => {
    expect(report.links.reduce((sum, { vectors }) => sum + vectors, 0)).toBe(issues.send);
    for (const { vectors, busyCycles } of report.links)
      expect(busyCycles).toBe(vectors * linkVectorPeriod(program.target));
  });

  test("stages cover all layers once and memory is within its capacity", () => {
    expect(report.stages.flatMap(({ firstLayer, lastLayer }) => [firstLayer, lastLayer])).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3,
    ]);
    for (const chip of report.sram) {
      expect(chip.activationPeakBytes).toBeGreaterThanOrEqual(chip.activationLowerBoundBytes);
      expect(chip.activationLowerBoundBytes).toBeGreaterThan(0);
      expect(chip.weightBytes + chip.stateBytes + chip.activationPeakBytes + chip.programBytes).toBeLessThan(
        chip.capacityBytes,
      );
    }
  });
});

describe("the bound by dependency", () => {
  const bound = (chips: number, layers: number): number => {
    const path = scratch.path(`deep${layers}.onnx`);
    const shape = { d: 64, heads: 4, ffn: 128, seq: 8, input: "hidden", output: "hidden" } as const;
    writeFileSync(path, transformerModel({ kind: "decoder", layers, ...shape }));
    return compileForTest(path, { chips, precision: "fp16" }).program.lowerBound.perResource.dependency;
  };

  test("grows by the same for every layer, and by a hop for every border between chips", () => {
    const [two, three, four] = [bound(1, 2), bound(1, 3), bound(1, 4)];
    expect(four - three).toBe(three - two);
    expect(three - two).toBeGreaterThan(200);
    const { link, mem } = compileForTest(adder, { chips: 1, precision: "fp16" }).program.target;
    const hop = mem.latency.read + link.latency + mem.latency.write;
    expect(bound(2, 4) - four).toBe(hop);
    expect(bound(4, 4) - four).toBe(3 * hop);
  });

  test.each(["lpu-nvlink", "groqchip1", "ftlpu32"])("is below the latency and above a quarter of it (%s)", (target) => {
    const { lowerBound, latencyCycles } = compileForTest(adder, { chips: 4, precision: "fp16", target }).program;
    expect(lowerBound.cycles).toBe(Math.max(...Object.values(lowerBound.perResource)));
    expect(lowerBound.perResource[lowerBound.by]).toBe(lowerBound.cycles);
    expect(lowerBound.cycles).toBeLessThanOrEqual(latencyCycles);
    expect(lowerBound.cycles * 4).toBeGreaterThan(latencyCycles);
  });
});
