// Which dimension runs along the lanes: a large tensor is not spread over a few lanes of very many vectors.
import { writeFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { compileModel } from "../src/compile-model.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, modelOf, type NodeSpec, scalar } from "./op-models.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

test("a batch of two long, narrow sequences does not lie along the batch", () => {
  const weights = (seed: number) => constant(floats([16, 16], seed));
  const nodes: NodeSpec[] = [
    { op: "MatMul", inputs: [floats([2, 1024, 16], 1), weights(2)], outputs: ["h"] },
    { op: "Mul", inputs: ["h", "h"], outputs: ["squares"] },
    {
      op: "ReduceMean",
      inputs: ["squares", constant({ dtype: "int64", shape: [1], data: BigInt64Array.of(2n) })],
      outputs: ["mean"],
    },
    { op: "Add", inputs: ["mean", constant(scalar("float32", 1e-5))], outputs: ["safe"] },
    { op: "Sqrt", inputs: ["safe"], outputs: ["root"] },
    { op: "Div", inputs: ["h", "root"], outputs: ["normed"] },
    { op: "MatMul", inputs: ["normed", weights(3)], outputs: ["y"] },
    { op: "Add", inputs: ["y", "h"] },
  ];
  const path = scratch.path("narrow.onnx");
  writeFileSync(path, modelOf({ name: "narrow", opset: 18, nodes }).bytes);
  const target = presetTarget("lpu-nvlink");
  if (target === undefined) throw new Error("the default target exists");
  const vectors: number[] = [];
  compileModel(path, {
    target,
    chips: 1,
    dims: new Map(),
    shapes: new Map(),
    precision: "fp32",
    onMade: (made) => {
      if (made.pass !== "lower") return true;
      for (const { lowered } of made.blocks.classes)
        vectors.push(...lowered.storages.map((storage) => storage.vectors));
      return false;
    },
  });
  expect(Math.max(...vectors)).toBe(2048);
});
