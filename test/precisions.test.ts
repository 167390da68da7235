// Precisions that quantise: what becomes of weights, how far off they are, and models in them the whole way.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, test } from "vitest";
import { encodeProgram } from "../backends/encode/encode.ts";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import type { ModelPrecision } from "../ir/graph/precision.ts";
import { numbersOf, type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import type { Program } from "../ir/machine/program.ts";
import type { CompiledModel } from "../src/compile-model.ts";
import { quantisedProducts } from "../src/report/quantisation.ts";
import { adderPath, answerOf, heldOutSums } from "./adder.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, modelOf, type NodeSpec } from "./op-models.ts";
import { sharedData } from "./shared-data.ts";
import { argmaxRows, compileForTest, dataSet, execute, maxAbsError, setsOf, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const quantising = ["w8a16", "int8"] as const;

let files = 0;
interface Case {
  readonly model: CompiledModel;
  readonly inputs: ReadonlyMap<string, TensorValue>;
}

function compiled(nodes: readonly NodeSpec[], precision: ModelPrecision): Case {
  const { bytes, inputs } = modelOf({ name: "precision", opset: 21, nodes });
  const path = scratch.path(`model${files++}.onnx`);
  writeFileSync(path, bytes);
  const values = [...inputs].map(
    ([name, tensor]) => [name, valueFromBytes(tensor.dtype, tensor.shape, tensor.bytes)] as const,
  );
  return { model: compileForTest(path, { precision }), inputs: new Map(values) };
}

function outputOf({ model, inputs }: Case): TensorValue {
  const [output] = execute(model.program, inputs).values();
  if (output === undefined) throw new Error("a program has an output");
  return output;
}

const largest = (value: TensorValue): number =>
  Array.from(numbersOf(value)).reduce((most, number) => Math.max(most, Math.abs(number)), 0);

const bytesInMemory = ({ symbols }: Program): number =>
  symbols
    .filter(({ role }) => role === "weight" || role === "constant")
    .reduce((sum, { words, slices }) => sum + words * slices.length * 320, 0);

describe.each(quantising)("%s", (precision) => {
  const cases: Readonly<Record<string, readonly NodeSpec[]>> = {
    MatMul: [{ op: "MatMul", inputs: [floats([2, 5, 40], 1), constant(floats([40, 70], 2))] }],
    "Gemm with everything": [
      {
        op: "Gemm",
        inputs: [floats([40, 6], 1), constant(floats([70, 40], 2)), constant(floats([70], 3))],
        attrs: { transA: 1n, transB: 1n, alpha: 0.5, beta: 2 },
      },
    ],
    float16: [
      { op: "MatMul", inputs: [floats([5, 40], 1, -2, 2, "float16"), constant(floats([40, 70], 2, -2, 2, "float16"))] },
    ],
    "one matrix for two products": [
      { op: "MatMul", inputs: [floats([5, 40], 1), constant(floats([40, 40], 2))], outputs: ["h"] },
      { op: "MatMul", inputs: ["h", constant(floats([40, 40], 2))] },
    ],
    "columns of zeros": [
      { op: "Gemm", inputs: [floats([3, 40], 1), constant(floats([40, 9], 2, 0, 0)), constant(floats([9], 3))] },
    ],
  };
  it.each(Object.entries(cases))("%s: verified, as the graph says, close to the model", (_, nodes) => {
    const quantised = compiled(nodes, precision);
    const { program, core, imported } = quantised.model;
    expect(verifyGraph(imported.graph)).toEqual([]);
    expect(violationsOf(program)).toEqual([]);
    const found = outputOf(quantised);
    const [said] = evaluateGraph(core, quantised.inputs).values();
    expect(maxAbsError(found, said as TensorValue)).toBeLessThanOrEqual(1e-3);
    const expected = outputOf(compiled(nodes, "fp32"));
    expect(found.dtype).toBe(expected.dtype);
    expect(maxAbsError(found, expected)).toBeLessThanOrEqual(0.02 * largest(expected));
    const path = precision === "int8" ? "int8" : "dequantised";
    expect(new Set(quantisedProducts(imported.graph, core).map((row) => row.path))).toEqual(new Set([path]));
  });

  it("is the same bytes each time", () => {
    const nodes = cases["one matrix for two products"] ?? [];
    const hash = (): string => {
      const sum = createHash("sha256");
      for (const chunk of encodeProgram(compiled(nodes, precision).model.program)) sum.update(chunk);
      return sum.digest("hex");
    };
    expect(hash()).toBe(hash());
  });

  it("halves what weights take", () => {
    const nodes: NodeSpec[] = [{ op: "MatMul", inputs: [floats([1, 1920], 1), constant(floats([1920, 640], 2))] }];
    const [bytes, halves] = [precision, "fp16" as const].map((p) => bytesInMemory(compiled(nodes, p).model.program));
    expect((bytes ?? 0) / (halves ?? 1)).toBeLessThan(0.6);
  });

  test("adder answers held-out sums", () => {
    const { program } = compileForTest(adderPath, { chips: 2, precision });
    expect(violationsOf(program)).toEqual([]);
    for (const { prompt, answer } of heldOutSums(2)) expect(answerOf(program, prompt)).toBe(answer);
  });

  const folder = sharedData(join("models", "kwt1.encoder-ln17"));
  test.skipIf(folder === undefined)("words are named as they are in fp32", () => {
    const { program } = compileForTest(join(folder ?? "", "model.onnx"), { dims: { batch: 1 }, precision });
    for (const set of setsOf(folder ?? "").slice(0, 4)) {
      const { inputs, outputs } = dataSet(program, set);
      const actual = execute(program, inputs);
      for (const [name, expected] of outputs)
        expect(argmaxRows(actual.get(name) as never)).toEqual(argmaxRows(expected));
    }
  });
});

describe("what is quantised", () => {
  const dequantised = (nodes: readonly NodeSpec[]): { readonly weights: TensorValue; readonly error: number } => {
    const { model } = compiled(nodes, "w8a16");
    const { tensors, nodes: made } = model.imported.graph;
    const row = made.find(({ op }) => op === "DequantizeLinear");
    const [bytes, scales] = [row?.inputs[0], row?.inputs[1]].map((id) => {
      const tensor = id === null || id === undefined ? undefined : tensors[id];
      if (tensor?.data === undefined) throw new Error("weights are constants");
      return valueFromBytes(tensor.dtype, tensor.shape, tensor.data.read());
    });
    if (bytes === undefined || scales === undefined) throw new Error("there are weights");
    const [q, s] = [numbersOf(bytes), numbersOf(scales)];
    const [, columns = 1] = bytes.shape;
    const [original] = nodes.flatMap(({ inputs }) =>
      inputs.flatMap((operand) =>
        operand !== null && typeof operand === "object" && "constant" in operand ? [operand.constant] : [],
      ),
    );
    if (original === undefined) throw new Error("there is an original");
    const w = numbersOf(original);
    let error = 0;
    for (let at = 0; at < w.length; at++) {
      const step = s[at % columns] ?? 1;
      error = Math.max(error, Math.abs((w[at] ?? 0) - (q[at] ?? 0) * step) / step);
    }
    return { weights: bytes, error };
  };

  it("is off by half a step at most, and uses the whole range in every column", () => {
    const w = floats([40, 30], 2, -1, 1);
    const numbers = Float32Array.from(numbersOf(w), (number, at) => number * 10 ** ((at % 30) / 5 - 3));
    const spread = valueFromBytes("float32", [40, 30], new Uint8Array(numbers.buffer));
    const { weights, error } = dequantised([{ op: "MatMul", inputs: [floats([3, 40], 1), constant(spread)] }]);
    expect(error).toBeLessThanOrEqual(0.5001);
    for (let column = 0; column < 30; column++) {
      const own = Array.from(numbersOf(weights)).filter((_, at) => at % 30 === column);
      expect(Math.max(...own.map(Math.abs))).toBe(127);
    }
  });

  it("leaves tables, convolutions, products of activations and quantised models alone", () => {
    const nodes: NodeSpec[] = [
      {
        op: "Conv",
        inputs: [floats([1, 3, 8, 8], 1), constant(floats([8, 3, 4, 4], 2))],
        attrs: { strides: [4n, 4n] },
        outputs: ["c"],
      },
      { op: "MatMul", inputs: ["c", "c"] },
    ];
    const half = compiled(nodes, "fp16");
    const { core } = compiled(nodes, "int8").model;
    expect(core.nodes.map(({ op, attrs }) => [op, attrs])).toEqual(
      half.model.core.nodes.map(({ op, attrs }) => [op, attrs]),
    );
  });
});
