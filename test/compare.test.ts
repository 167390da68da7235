// `lpuc compare`: work and bounds against sums by hand, sources of all figures, and the command.
import { describe, expect, test } from "vitest";
import { parseGraph } from "../ir/graph/parse.ts";
import { devices } from "../src/devices/published.ts";
import { boundOf, type Peaks, type Work, workOf } from "../src/report/roofline.ts";
import { lpuc } from "./cli-runner.ts";

const peaks: Peaks = {
  operationsPerSecond: { fp16: 1000, int8: 4000, fp32: null },
  memoryBytesPerSecond: 100,
  onChipBytes: 50,
};
const work = (changes: Partial<Work> = {}): Work => ({
  macs: { fp16: 0, int8: 0, fp32: 0 },
  weightBytes: 0,
  exchangedBytes: 0,
  ...changes,
});

describe("bounds", () => {
  test("products of each type at its own rate, two operations each", () => {
    const bound = boundOf(work({ macs: { fp16: 500, int8: 4000, fp32: 0 } }), peaks);
    expect(bound).toMatchObject({ computeSeconds: 3, latencySeconds: 3, by: "compute", throughputPerSecond: 1 / 3 });
  });

  test("weights are read unless they fit the cache; batches share them", () => {
    const macs = { fp16: 50, int8: 0, fp32: 0 };
    expect(boundOf(work({ macs, weightBytes: 50, exchangedBytes: 5 }), peaks)).toMatchObject({
      memorySeconds: 0.05,
      latencySeconds: 0.1,
      readsWeights: false,
    });
    const read = boundOf(work({ macs, weightBytes: 51, exchangedBytes: 5 }), peaks);
    expect(read).toMatchObject({ readsWeights: true, by: "memory", throughputPerSecond: 10 });
    expect(read?.memorySeconds).toBeCloseTo(0.56, 12);
    expect(boundOf(work({ weightBytes: 1 }), { ...peaks, onChipBytes: null })?.readsWeights).toBe(true);
  });

  test("there is none without a peak of the type", () => {
    expect(boundOf(work({ macs: { fp16: 0, int8: 0, fp32: 1 } }), peaks)).toBeUndefined();
  });
});

test("work is counted from the core graph: batches, shared weights, what comes in and goes out", () => {
  const graph = parseGraph(`graph "g" form=core {
  input %0 "x" : float32[2x3x4] as "x" float32
  const %1 "w" : float32[1x4x5] = dense<[${Array.from({ length: 20 }, () => "1").join(", ")}]>
  %2 "y" : float32[2x3x5] = matmul(%0, %1) {precision = "fp16"}
  output %2 as "y" float32
}
`);
  if (!graph.ok) throw new Error(JSON.stringify(graph.diagnostics));
  expect(workOf(graph.value, 40)).toEqual({
    macs: { fp16: 2 * 3 * 4 * 5, int8: 0, fp32: 0 },
    weightBytes: 40,
    exchangedBytes: 4 * (2 * 3 * 4 + 2 * 3 * 5),
  });
});

describe("published figures", () => {
  const numbers = devices.flatMap(({ name, peakOperationsPerSecond, memoryBytesPerSecond, onChipBytes }) =>
    Object.entries({ ...peakOperationsPerSecond, memoryBytesPerSecond, onChipBytes }).flatMap(([what, number]) =>
      number === null ? [] : [{ name: `${name}.${what}`, ...number }],
    ),
  );

  test.each(numbers)("$name has a source", ({ value, source }) => {
    expect(value).toBeGreaterThan(0);
    expect(source).toMatch(/https:\/\/[a-z0-9.-]+\/\S+/);
  });

  test("there are GPUs, TPUs and a wafer, each with another name", () => {
    expect([...new Set(devices.map(({ kind }) => kind))]).toEqual(["gpu", "tpu", "wafer"]);
    expect(new Set(devices.map(({ name }) => name)).size).toBe(devices.length);
  });
});

describe("the command", () => {
  test("counts the products of the model and has compile's figures", async () => {
    const words = ["models/adder.onnx", "--chips", "2", "--json"];
    const compared = JSON.parse((await lpuc("compare", ...words)).stdout);
    const { latencyCycles, latencySeconds } = JSON.parse((await lpuc("compile", ...words, "--shapes-only")).stdout);
    expect(compared.scheduled).toMatchObject({ label: "scheduled cycles", chips: 2, latencyCycles, latencySeconds });
    const { fp16, int8, fp32 } = compared.work.macs;
    expect(fp16).toBeGreaterThan(5e6);
    expect([int8, fp32]).toEqual([0, 0]);
    for (const { label, bound } of compared.devices) {
      expect(label).toBe("bound from published peaks");
      expect(bound.latencySeconds).toBeGreaterThan(0);
      expect(bound.latencySeconds).toBe(Math.max(bound.computeSeconds, bound.memorySeconds));
    }
    const a100 = compared.devices.find(({ name }: { name: string }) => name === "a100");
    expect(a100.bound.computeSeconds).toBe((2 * fp16) / 312e12);
  });

  test("shows the devices it is asked for, and their sources with -v", async () => {
    const ran = await lpuc("compare", "models/adder.onnx", "--device", "tpu-v4", "-v", "--precision", "fp32");
    expect(ran.status).toBe(0);
    expect(ran.stdout).toContain("Google TPU v4, one chip  no published peak of this type");
    expect(ran.stdout).toContain("https://cloud.google.com/tpu/docs/v4");
    expect(ran.stdout).not.toContain("A100");
  });

  test("asks back for a device that is not known", async () => {
    const ran = await lpuc("compare", "models/adder.onnx", "--device", "tpuv4", "--device", "x");
    expect([ran.status, ran.stdout]).toEqual([2, ""]);
    expect(ran.stderr).toContain("did you mean 'tpu-v4'?");
    expect(ran.stderr.match(/error\[LPU0002\]/g)?.length).toBe(2);
  });
});
