// Quantised products: which run on int8 in the program that comes out, and what the summary says of them.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import type { DType } from "../ir/dtype.ts";
import type { Program } from "../ir/machine/program.ts";
import { type QuantisedProducts, quantisationText, quantisedProducts } from "../src/report/quantisation.ts";
import { scratchFolder } from "./cli-runner.ts";
import {
  constant,
  floats,
  ints,
  judge,
  listed,
  modelOf,
  type NodeSpec,
  type OpCase,
  type Operand,
  scalar,
} from "./op-models.ts";
import { compileForTest } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

/** Modes of all products in a program, without those that move data. */
function productModes({ chips }: Program): string[] {
  const modes = new Set<string>();
  for (const { queues } of chips)
    for (const { instructions } of queues) for (const ins of instructions) if (ins.op === "abc") modes.add(ins.mode);
  return [...modes].sort();
}

let files = 0;
async function compiled(
  spec: OpCase,
): Promise<{ readonly modes: string[]; readonly rows: readonly QuantisedProducts[] }> {
  const { result, noReference } = await judge(scratch.path(`case${files}`), spec);
  expect(noReference).toBeUndefined();
  expect(result.reason).toBe("");
  const path = scratch.path(`model${files++}.onnx`);
  writeFileSync(path, modelOf(spec).bytes);
  const model = compileForTest(path, { precision: "fp16" });
  return { modes: productModes(model.program), rows: quantisedProducts(model.imported.graph, model.core) };
}

const scale = (number: number): Operand => constant(scalar("float32", number));

/** A float tensor quantised and dequantised, as exporters write activations. */
const activation = (shape: readonly number[], seed: number, result: string, zero = 3): NodeSpec[] => {
  const [s, z] = [scale(0.03), constant(scalar("int8", zero))];
  return [
    { op: "QuantizeLinear", inputs: [floats(shape, seed), s, z], outputs: [`${result}.q`] },
    { op: "DequantizeLinear", inputs: [`${result}.q`, s, z], outputs: [result] },
  ];
};

const weight = (dtype: "int8" | "uint8", shape: readonly [number, number], axis: bigint, result: string): NodeSpec => {
  const channels = shape[Number(axis)] ?? 1;
  const w = constant(ints(dtype, shape, dtype === "int8" ? -127 : 0, 127, 5));
  const zeros = constant(ints(dtype, [channels], dtype === "int8" ? 0 : 60, dtype === "int8" ? 0 : 70, 6));
  return {
    op: "DequantizeLinear",
    inputs: [w, constant(floats([channels], 7, 0.01, 0.02)), zeros],
    attrs: { axis },
    outputs: [result],
  };
};

const spec = (name: string, nodes: readonly NodeSpec[]): OpCase => ({ name, opset: 21, nodes, toScale: true });

describe("on int8", () => {
  it("QDQ MatMul, one scale a column", async () => {
    const { modes, rows } = await compiled(
      spec("qdq", [
        ...activation([3, 40], 1, "a"),
        weight("int8", [40, 9], 1n, "w"),
        { op: "MatMul", inputs: ["a", "w"] },
      ]),
    );
    expect(modes).toEqual(["int8"]);
    expect(rows).toMatchObject([{ pattern: "QDQ MatMul", path: "int8", nodes: ["MatMul_3"] }]);
    expect(quantisationText(rows)[0]).toBe("quantised  1 x QDQ MatMul on int8, exactly");
  });

  it("QDQ Gemm with a transposed weight of unsigned bytes and a bias", async () => {
    const nodes = [
      ...activation([3, 40], 1, "a"),
      weight("uint8", [9, 40], 0n, "w"),
      { op: "Gemm", inputs: ["a", "w", constant(floats([9], 3))], attrs: { transB: 1n, alpha: 0.5 } },
    ];
    expect((await compiled(spec("gemm", nodes))).modes).toEqual(["int8"]);
  });

  it("a weight behind Transpose", async () => {
    const nodes = [
      ...activation([2, 3, 40], 1, "a"),
      weight("int8", [9, 40], 0n, "t"),
      { op: "Transpose", inputs: ["t"], attrs: { perm: [1n, 0n] }, outputs: ["w"] },
      { op: "MatMul", inputs: ["a", "w"] },
    ];
    expect((await compiled(spec("transposed", nodes))).modes).toEqual(["int8"]);
  });

  it("two activations, in heads", async () => {
    const nodes: NodeSpec[] = [
      ...activation([2, 5, 3, 8], 1, "a"),
      ...activation([2, 5, 4, 8], 2, "b", -7),
      { op: "Transpose", inputs: ["b"], attrs: { perm: [0n, 1n, 3n, 2n] }, outputs: ["t"] },
      { op: "MatMul", inputs: ["a", "t"] },
    ];
    const { modes, rows } = await compiled(spec("scores", nodes));
    expect(modes).toEqual(["int8"]);
    expect(rows).toMatchObject([{ pattern: "QDQ MatMul", path: "int8" }]);
  });

  it("DynamicQuantizeLinear and MatMulInteger", async () => {
    const nodes: NodeSpec[] = [
      { op: "DynamicQuantizeLinear", inputs: [floats([3, 40], 1)], outputs: ["q", "s", "z"] },
      { op: "MatMulInteger", inputs: ["q", constant(ints("int8", [40, 9], -127, 127)), "z"] },
    ];
    const { modes, rows } = await compiled(spec("dynamic", nodes));
    expect(modes).toEqual(["int8"]);
    expect(rows).toMatchObject([{ pattern: "MatMulInteger", path: "int8" }]);
  });
});

/** Filters of bytes with a scale, and for unsigned ones a zero point, each. */
const filters = (dtype: "int8" | "uint8", shape: readonly number[]): NodeSpec => {
  const count = shape[0] ?? 1;
  const [low, high] = dtype === "int8" ? [0, 0] : [60, 70];
  const w = constant(ints(dtype, shape, dtype === "int8" ? -127 : 0, 127, 5));
  const inputs = [w, constant(floats([count], 7, 0.01, 0.02)), constant(ints(dtype, [count], low, high, 6))];
  return { op: "DequantizeLinear", inputs, attrs: { axis: 0n }, outputs: ["w"] };
};

describe("convolutions", () => {
  const bias = (count: number): Operand => constant(floats([count], 3));
  const cases: readonly [string, readonly number[], NodeSpec, NodeSpec, string][] = [
    [
      "patches",
      [1, 3, 8, 8],
      filters("int8", [20, 3, 4, 4]),
      { op: "Conv", inputs: ["a", "w", bias(20)], attrs: { strides: [4n, 4n] } },
      "int8",
    ],
    [
      "windows over a padding that stands for the zero point, unsigned filters",
      [2, 3, 7, 9],
      filters("uint8", [8, 3, 3, 3]),
      { op: "Conv", inputs: ["a", "w"], attrs: { pads: [1n, 1n, 1n, 1n], strides: [2n, 1n] } },
      "int8",
    ],
    [
      "an audio stem",
      [1, 8, 15],
      filters("int8", [16, 8, 3]),
      { op: "Conv", inputs: ["a", "w", bias(16)], attrs: { pads: [1n, 1n], strides: [2n] } },
      "int8",
    ],
    [
      "groups with zero points a filter",
      [1, 6, 5, 5],
      filters("uint8", [8, 3, 3, 3]),
      { op: "Conv", inputs: ["a", "w"], attrs: { group: 2n, pads: [1n, 1n, 1n, 1n] } },
      "int8",
    ],
    [
      "a filter a channel",
      [1, 6, 5, 5],
      filters("uint8", [6, 1, 3, 3]),
      { op: "Conv", inputs: ["a", "w", bias(6)], attrs: { group: 6n, pads: [1n, 1n, 1n, 1n] } },
      "int32",
    ],
  ];
  it.each(cases)("%s", async (name, shape, weights, conv, path) => {
    const { modes, rows } = await compiled(spec(name, [...activation(shape, 1, "a"), weights, conv]));
    expect(modes).toEqual(path === "int8" ? ["int8"] : []);
    expect(rows).toMatchObject([{ pattern: "QDQ Conv", path }]);
  });

  it("scales that change along the channels are those of floats", async () => {
    const w = constant(ints("int8", [8, 3, 3, 3], -127, 127, 5));
    const weights: NodeSpec = {
      op: "DequantizeLinear",
      inputs: [w, constant(floats([3], 7, 0.01, 0.02)), constant(ints("int8", [3], 0, 0))],
      attrs: { axis: 1n },
      outputs: ["w"],
    };
    const nodes = [...activation([1, 3, 5, 5], 1, "a"), weights, { op: "Conv", inputs: ["a", "w"] }];
    expect((await compiled(spec("channels", nodes))).rows).toMatchObject([{ path: "dequantised" }]);
  });
});

/** Weights of [K, N] (or [N, K] where the axis is 1) with a scale and zero point for each block along K. */
const blocked = (
  dtype: DType,
  shape: readonly [number, number],
  axis: 0 | 1,
  size: number,
  result: string,
): NodeSpec => {
  const [low, high, zeroLow, zeroHigh] = { int4: [-8, 7, 0, 0], uint4: [0, 15, 6, 9] }[dtype as string] ??
    { int8: [-127, 127, -5, 5] }[dtype as string] ?? [0, 255, 120, 136];
  const parameters = shape.map((own, dim) => (dim === axis ? Math.ceil(own / size) : own));
  const inputs = [
    constant(ints(dtype, shape, low ?? 0, high ?? 0, 5)),
    constant(floats(parameters, 7, 0.01, 0.02)),
    constant(ints(dtype, parameters, zeroLow ?? 0, zeroHigh ?? 0, 6)),
  ];
  const attrs = { axis: BigInt(axis), block_size: BigInt(size) };
  return { op: "DequantizeLinear", inputs, attrs, outputs: [result] };
};

describe("blocks along the sum", () => {
  it.each([
    ["int8", 32, [3, 96]],
    ["uint8", 32, [3, 96]],
    ["int4", 16, [2, 3, 64]],
    ["uint4", 16, [1, 64]],
    ["int8", 40, [3, 100]],
    ["int8", 160, [2, 640]],
  ] as const)("%s, %i of each, activations %s", async (dtype, size, shape) => {
    const k = shape.at(-1) ?? 1;
    const nodes = [
      ...activation(shape, 1, "a"),
      blocked(dtype, [k, 9], 0, size, "w"),
      { op: "MatMul", inputs: ["a", "w"] },
    ];
    const { modes, rows } = await compiled(spec(`blocks ${dtype} ${size} ${k}`, nodes));
    expect(modes).toContain("int8");
    expect(modes).not.toContain("fp16");
    expect(rows).toMatchObject([{ pattern: "QDQ MatMul", path: "int8" }]);
  });

  it("a transposed weight of Gemm, and one behind Transpose", async () => {
    const gemm = [
      ...activation([3, 96], 1, "a"),
      blocked("int8", [9, 96], 1, 32, "w"),
      { op: "Gemm", inputs: ["a", "w", constant(floats([9], 3))], attrs: { transB: 1n, alpha: 0.5 } },
    ];
    expect((await compiled(spec("blocks gemm", gemm))).rows).toMatchObject([{ path: "int8" }]);
    const behind = [
      ...activation([3, 96], 1, "a"),
      blocked("int8", [9, 96], 1, 32, "t"),
      { op: "Transpose", inputs: ["t"], attrs: { perm: [1n, 0n] }, outputs: ["w"] },
      { op: "MatMul", inputs: ["a", "w"] },
    ];
    expect((await compiled(spec("blocks behind", behind))).rows).toMatchObject([{ path: "int8" }]);
  });

  it("blocks across the sum are those of floats", async () => {
    const nodes = [
      ...activation([3, 64], 1, "a"),
      blocked("int8", [64, 32], 1, 16, "w"),
      { op: "MatMul", inputs: ["a", "w"] },
    ];
    expect((await compiled(spec("across", nodes))).rows).toMatchObject([{ path: "dequantised" }]);
  });
});

describe("dequantised", () => {
  it("weights alone", async () => {
    const nodes: NodeSpec[] = [weight("int8", [40, 9], 1n, "w"), { op: "MatMul", inputs: [floats([3, 40], 1), "w"] }];
    const { modes, rows } = await compiled(spec("weights", nodes));
    expect(modes).toContain("fp16");
    expect(rows).toMatchObject([{ pattern: "weights of MatMul", path: "dequantised" }]);
    expect(quantisationText(rows)[0]).toContain("1 x weights of MatMul dequantised: MatMul_1");
  });

  it("large weights alone: bytes stay in memory", async () => {
    const nodes: NodeSpec[] = [
      weight("int8", [300, 300], 1n, "w"),
      { op: "MatMul", inputs: [floats([3, 300], 1), "w"] },
    ];
    expect((await compiled(spec("large", nodes))).modes).toContain("fp16");
  });

  it("scales that change along the sum", async () => {
    const nodes: NodeSpec[] = [
      ...activation([3, 40], 1, "a"),
      weight("int8", [40, 9], 0n, "w"),
      { op: "MatMul", inputs: ["a", "w"] },
    ];
    const { rows } = await compiled(spec("rows", nodes));
    expect(rows).toMatchObject([{ pattern: "QDQ MatMul", path: "dequantised" }]);
  });

  it("a table is not: its rows are looked up as numbers", async () => {
    const table = constant(ints("int8", [400, 200], -127, 127, 4));
    const nodes: NodeSpec[] = [
      { op: "DequantizeLinear", inputs: [table, scale(0.02), constant(scalar("int8", 1))], outputs: ["t"] },
      { op: "Gather", inputs: ["t", listed("int64", [4], [0, 399, 7, 123])] },
    ];
    expect((await compiled(spec("table", nodes))).rows).toEqual([]);
  });
});
