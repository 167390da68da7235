// Fusions are found behind exporters' noise, name all their nodes, and each may be left out without changing the answer.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { type Fusion, fusionNames } from "../ir/graph/fusions.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, i64, ints, judge, modelOf, type NodeSpec, type OpCase, scalar } from "./op-models.ts";
import { compileForTest } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const spec = (name: string, nodes: readonly NodeSpec[]): OpCase => ({ name, opset: 21, nodes, toScale: true });

let files = 0;
/** Names of kernels that a model becomes, each with the names of its ONNX nodes. */
function kernelsOf(model: OpCase, without: readonly Fusion[] = []): Map<string, string[]> {
  const path = scratch.path(`model${files++}.onnx`);
  writeFileSync(path, modelOf(model).bytes);
  const { blocks, core } = compileForTest(path, { without: new Set(without) });
  return new Map(
    blocks.classes.flatMap(({ lowered }) =>
      lowered.kernels.map(({ name, origins }) => [
        name,
        origins.flatMap((id) => core.nodes[id]?.origins.map((origin) => origin.name) ?? []),
      ]),
    ),
  );
}

const weight = constant(floats([40, 24], 2, -0.3, 0.3));
const bias = constant(floats([24], 3));

const plain = spec("plain", [
  { op: "MatMul", inputs: [floats([3, 40], 1), weight], outputs: ["a"] },
  { op: "Add", inputs: ["a", bias], outputs: ["b"] },
  { op: "Relu", inputs: ["b"] },
]);

/** The same with detours: Identity, casts there and back, a pair of Transposes, reshapes that end where they began. */
const noisy = spec("noisy", [
  { op: "Identity", inputs: [floats([3, 40], 1)], outputs: ["x"] },
  { op: "Cast", inputs: ["x"], attrs: { to: 1n }, outputs: ["x1"] },
  { op: "MatMul", inputs: ["x1", weight], outputs: ["a"] },
  { op: "Transpose", inputs: ["a"], attrs: { perm: [1n, 0n] }, outputs: ["a1"] },
  { op: "Identity", inputs: ["a1"], outputs: ["a2"] },
  { op: "Transpose", inputs: ["a2"], attrs: { perm: [1n, 0n] }, outputs: ["a3"] },
  { op: "Unsqueeze", inputs: ["a3", constant(i64(0))], outputs: ["a4"] },
  { op: "Reshape", inputs: ["a4", constant(i64(3, 24))], outputs: ["a5"] },
  { op: "Add", inputs: ["a5", bias], outputs: ["b"] },
  { op: "Identity", inputs: ["b"], outputs: ["b1"] },
  { op: "Relu", inputs: ["b1"], outputs: ["c"] },
]);

const quantised = spec("quantised", [
  {
    op: "QuantizeLinear",
    inputs: [floats([3, 40], 1), constant(scalar("float32", 0.03)), constant(scalar("int8", 3))],
    outputs: ["q"],
  },
  {
    op: "DequantizeLinear",
    inputs: ["q", constant(scalar("float32", 0.03)), constant(scalar("int8", 3))],
    outputs: ["a"],
  },
  {
    op: "DequantizeLinear",
    inputs: [constant(ints("int8", [40, 9], -127, 127)), constant(scalar("float32", 0.01))],
    outputs: ["w"],
  },
  { op: "MatMul", inputs: ["a", "w"], outputs: ["p"] },
  { op: "Tanh", inputs: ["p"] },
]);

const sums = spec("sums", [
  { op: "ReduceSum", inputs: [floats([3, 700], 1), constant(i64(1))], outputs: ["d"] },
  { op: "Mul", inputs: ["d", constant(scalar("float32", 0.25))] },
]);

const running = spec("running", [
  { op: "Add", inputs: [floats([24, 40], 1), floats([24, 40], 2)], outputs: ["a"] },
  { op: "ReduceMax", inputs: ["a", constant(i64(0))], attrs: { keepdims: 1n }, outputs: ["m"] },
  { op: "Sub", inputs: ["a", "m"] },
]);

describe("fusions", () => {
  it("are found, and list their nodes", () => {
    expect(kernelsOf(plain).get("matmul+add+max")).toEqual(["Add_1", "Relu_2", "MatMul_0"]);
  });

  it("are found through detours", () => {
    const nodes = kernelsOf(noisy).get("matmul+add+max");
    expect(nodes).toEqual(expect.arrayContaining(["MatMul_2", "Add_8", "Relu_10"]));
  });

  it("may be left out one by one", () => {
    expect([...kernelsOf(plain, ["products"]).keys()]).toEqual(expect.arrayContaining(["matmul", "add+max"]));
    expect([...kernelsOf(plain, ["elementwise"]).keys()]).toEqual(expect.arrayContaining(["matmul+add", "max"]));
    expect([...kernelsOf(sums).keys()]).not.toContain("mul");
    expect([...kernelsOf(sums, ["reductions"]).keys()]).toContain("mul");
    expect([...kernelsOf(running).keys()]).toContain("add+reduceMax");
    expect([...kernelsOf(running, ["running"]).keys()]).toEqual(expect.arrayContaining(["add", "reduceMax"]));
    const modes = (without: readonly Fusion[]): number => kernelsOf(quantised, without).size;
    expect(modes(["bytes"])).not.toBe(modes([]));
  });
});

describe.each(fusionNames)("without %s", (name) => {
  it.each([plain, noisy, quantised, sums, running])("the answer is the same: $name", async (model) => {
    const { result } = await judge(scratch.path(`${name}-${model.name}`), model, undefined, new Set([name]));
    expect(result.reason).toBe("");
  });
});
