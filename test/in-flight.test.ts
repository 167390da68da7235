// Inferences that overlap: the interval that --in-flight asks for, the proof that every rule holds modulo it, and several inferences executed
// at once, each with its own inputs and the outputs it has alone.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { interpretOverlapped } from "../backends/interp/overlap.ts";
import { type TensorValue, valueFromBigints } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { programReport } from "../src/report/program-report.ts";
import { lpuc, root } from "./cli-runner.ts";
import { compileForTest, execute, hostTensor, violationsOf } from "./whole-line.ts";

const adder = join(root, "models", "adder.onnx");

const tokens = (seed: number): Map<string, TensorValue> =>
  new Map([
    [
      "input_ids",
      valueFromBigints(
        "int64",
        [1, 12],
        Array.from({ length: 12 }, (_, i) => BigInt((i * seed) % 12)),
      ),
    ],
  ]);

const busiest = (program: Program): number =>
  Math.max(...program.stages.map(({ startCycle, endCycle }) => endCycle - startCycle));

describe("the interval", () => {
  test("is no longer than the busiest chip's time, or more where fewer are to be in flight", () => {
    const whole = compileForTest(adder, { chips: 4, precision: "fp16" }).program;
    const least = whole.initiationIntervalCycles;
    expect(least).toBeLessThan(0.95 * busiest(whole));
    expect(programReport(whole).inFlight).toBe(Math.ceil(whole.latencyCycles / least));
    for (const inFlight of [1, 2, 3, 100]) {
      const { program } = compileForTest(adder, { chips: 4, precision: "fp16", inFlight });
      const asked = Math.ceil(whole.latencyCycles / inFlight);
      expect(program.latencyCycles).toBe(whole.latencyCycles);
      expect(program.initiationIntervalCycles).toBeGreaterThanOrEqual(Math.max(least, asked));
      expect(program.initiationIntervalCycles).toBeLessThanOrEqual(Math.max(busiest(whole), asked));
      expect(programReport(program).inFlight).toBeLessThanOrEqual(inFlight);
      if (inFlight === 3) expect(violationsOf(program)).toEqual([]);
    }
  });

  test("one cycle less is refused by the verifier, on any system", () => {
    for (const system of [
      { chips: 1, target: "lpu-nvlink" },
      { chips: 4, target: "lpu-nvlink" },
      { chips: 4, target: "groqchip1" },
    ] as const) {
      const { program } = compileForTest(adder, { ...system, precision: "fp16" });
      expect(violationsOf(program)).toEqual([]);
      const { initiationIntervalCycles } = program;
      const told = violationsOf({ ...program, initiationIntervalCycles: initiationIntervalCycles - 1 });
      expect(told.length).toBeGreaterThan(0);
      expect(told.every((text) => text.startsWith("overlap"))).toBe(true);
    }
  });

  test("half of what the busiest chip needs is refused by the verifier", () => {
    const { program } = compileForTest(adder, { chips: 4, precision: "fp16" });
    const tight = { ...program, initiationIntervalCycles: Math.floor(busiest(program) / 2) };
    expect(violationsOf(tight).every((text) => text.startsWith("overlap"))).toBe(true);
    expect(violationsOf(tight).length).toBeGreaterThan(0);
  });
});

describe("executed at once", () => {
  test.each([
    { chips: 4, target: "lpu-nvlink", topology: "chain", count: 6 },
    { chips: 4, target: "groqchip1", topology: "dragonfly", count: 7 },
    { chips: 3, target: "groqchip1", topology: "all-to-all", count: 4 },
    { chips: 1, target: "lpu-nvlink", topology: "chain", count: 2 },
  ] as const)("$count inferences on $chips of $target", ({ count, ...system }) => {
    const { program } = compileForTest(adder, { ...system, precision: "fp16" });
    const inputs = Array.from({ length: count }, (_, i) => tokens(i + 1));
    const alone = inputs.map((values) => execute(program, values).get("logits"));
    const result = interpretOverlapped(
      program,
      inputs.map((values) => new Map([...values].map(([name, value]) => [name, hostTensor(value)]))),
    );
    if (!result.ok) throw new Error(result.fault.message);
    expect(result.executedCycles).toBe(program.latencyCycles + (count - 1) * program.initiationIntervalCycles);
    const bytes = result.outputs.map((outputs) => [...(outputs.get("logits")?.bytes ?? [])]);
    expect(bytes).toEqual(alone.map((value) => (value === undefined ? [] : [...hostTensor(value).bytes])));
    expect(new Set(bytes.map((list) => list.join())).size).toBe(count);
  });

  test("an interval that is too short gives a fault or wrong outputs, never right ones in silence", () => {
    const { program } = compileForTest(adder, { chips: 2, precision: "fp16" });
    const inputs = [1, 2, 3].map(tokens);
    const alone = inputs.map((values) => execute(program, values).get("logits"));
    const result = interpretOverlapped(
      { ...program, initiationIntervalCycles: Math.floor(busiest(program) / 3) },
      inputs.map((values) => new Map([...values].map(([name, value]) => [name, hostTensor(value)]))),
    );
    const agrees =
      result.ok &&
      result.outputs.every((outputs, i) => {
        const [a, b] = [outputs.get("logits")?.bytes, alone[i]];
        return a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(hostTensor(b).bytes));
      });
    expect(agrees).toBe(false);
  });
});

test("run --in-flight executes that many at once and says what it took", async () => {
  const ids = "input_ids=1x12xi64=1,2,3,10,4,5,6,11,0,0,0,0";
  const ran = await lpuc("run", adder, "--chips", "4", "--in-flight", "3", "-i", ids, "--json");
  expect(ran.status).toBe(0);
  const document = JSON.parse(ran.stdout) as Record<string, number>;
  const { predictedCycles = 0, executedCycles, inFlight, intervalCycles = 0, totalCycles } = document;
  expect([executedCycles, inFlight]).toEqual([predictedCycles, 3]);
  expect(intervalCycles).toBeGreaterThanOrEqual(Math.ceil(predictedCycles / 3));
  expect(totalCycles).toBe(predictedCycles + 2 * intervalCycles);
});

describe("planned for inferences that follow one another", () => {
  const system = { chips: 4, target: "groqchip1", topology: "dragonfly", precision: "fp16" } as const;

  test("a stage's own time is nearly all that is asked for, for little latency", () => {
    const { program } = compileForTest(adder, system);
    expect(program.initiationIntervalCycles).toBeLessThan(0.35 * busiest(program));
    expect(violationsOf(program)).toEqual([]);
    // Alone nothing is given up: the interval of one is its latency.
    const alone = compileForTest(adder, { ...system, inFlight: 1 }).program;
    expect(alone.initiationIntervalCycles).toBe(alone.latencyCycles);
    expect(program.latencyCycles).toBeLessThan(1.15 * alone.latencyCycles);
    expect(alone.latencyCycles).toBeLessThanOrEqual(program.latencyCycles);
  });
});
