// com.microsoft's quantised operators against onnxruntime, in signed and unsigned bytes, with and without zero points: bytes within one step.
import { afterAll, describe, expect, it } from "vitest";
import type { DType } from "../ir/dtype.ts";
import type { TensorValue } from "../ir/graph/values.ts";
import { scratchFolder } from "./cli-runner.ts";
import {
  type Attribute,
  constant,
  floats,
  i64,
  ints,
  judge,
  judgeAgainst,
  listed,
  type Operand,
  scalar,
} from "./op-models.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

interface Mode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Operand[];
  readonly attrs?: Readonly<Record<string, Attribute>>;
  readonly outputs?: readonly string[];
}

const byteTypes = ["int8", "uint8"] as const;
type Byte = (typeof byteTypes)[number];

const bytes = (dtype: Byte, shape: readonly number[], seed = 1): Operand =>
  dtype === "int8" ? ints(dtype, shape, -128, 127, seed) : ints(dtype, shape, 0, 255, seed);
const scale = (number: number): Operand => constant(scalar("float32", number));
const zero = (dtype: DType, number: number): Operand => constant(scalar(dtype, number));
/** A zero point some steps from the middle. */
const near = (dtype: Byte, steps: number): Operand => zero(dtype, dtype === "int8" ? steps : 128 + steps);

/** X with scale and zero point, then those of Y. */
const oneTensor = (dtype: Byte, shape: readonly number[], from = 0.02, to = 0.01): Operand[] => [
  bytes(dtype, shape),
  scale(from),
  near(dtype, 3),
  scale(to),
  near(dtype, -5),
];

const tensors: readonly Mode[] = byteTypes.flatMap((dtype): Mode[] => [
  {
    name: dtype,
    op: "QLinearSigmoid",
    inputs: [bytes(dtype, [3, 40]), scale(0.03), near(dtype, 3), scale(1 / 256), near(dtype, -128)],
  },
  { name: dtype, op: "QLinearLeakyRelu", inputs: oneTensor(dtype, [3, 40]), attrs: { alpha: 0.2 } },
  {
    name: `${dtype}, last axis`,
    op: "QLinearSoftmax",
    inputs: [bytes(dtype, [2, 3, 40]), scale(0.05), near(dtype, 3), scale(1 / 256), near(dtype, -128)],
    attrs: { axis: -1n, opset: 13n },
  },
  {
    name: `${dtype}, all axes behind the first`,
    op: "QLinearSoftmax",
    inputs: [bytes(dtype, [2, 3, 10]), scale(0.05), near(dtype, 3), scale(1 / 256), near(dtype, -128)],
    attrs: { axis: 1n, opset: 11n },
  },
  { name: dtype, op: "QLinearGlobalAveragePool", inputs: oneTensor(dtype, [2, 5, 4, 6]), attrs: { channels_last: 0n } },
  {
    name: `${dtype}, channels last`,
    op: "QLinearGlobalAveragePool",
    inputs: oneTensor(dtype, [2, 4, 6, 5]),
    attrs: { channels_last: 1n },
  },
  {
    name: `${dtype}, padded`,
    op: "QLinearAveragePool",
    inputs: oneTensor(dtype, [1, 3, 7, 8]),
    attrs: { kernel_shape: [3n, 3n], strides: [2n, 1n], pads: [1n, 1n, 1n, 1n] },
  },
  {
    name: `${dtype}, channels last, padding counted`,
    op: "QLinearAveragePool",
    inputs: oneTensor(dtype, [1, 7, 8, 3]),
    attrs: { kernel_shape: [2n, 3n], pads: [0n, 1n, 0n, 1n], count_include_pad: 1n, channels_last: 1n },
  },
  {
    name: dtype,
    op: "QLinearWhere",
    inputs: [
      ints("bool", [3, 1], 0, 1),
      bytes(dtype, [3, 8]),
      scale(0.02),
      near(dtype, 4),
      bytes(dtype, [8], 2),
      scale(0.03),
      near(dtype, -9),
      scale(0.04),
      near(dtype, 1),
    ],
  },
  {
    name: dtype,
    op: "QLinearConcat",
    inputs: [
      scale(0.03),
      near(dtype, 2),
      ...[2, 3, 1].flatMap((size, i) => [bytes(dtype, [2, size, 5], i), scale(0.01 + 0.01 * i), near(dtype, 4 * i)]),
    ],
    attrs: { axis: 1n },
  },
  ...(["QLinearAdd", "QLinearMul"] as const).flatMap((op): Mode[] => [
    {
      name: `${dtype}, broadcast`,
      op,
      inputs: [
        bytes(dtype, [2, 3, 8]),
        scale(0.02),
        near(dtype, 3),
        bytes(dtype, [3, 1], 2),
        scale(0.03),
        near(dtype, -7),
        scale(0.05),
        near(dtype, 9),
      ],
    },
  ]),
]);

const columnsOf = (dtype: Byte, count: number): Operand[] => [
  constant(floats([count], 7, 0.01, 0.03)),
  constant(dtype === "int8" ? ints(dtype, [count], 0, 0) : ints(dtype, [count], 120, 136, 3)),
];

const products: readonly Mode[] = byteTypes.flatMap((dtype): Mode[] => {
  const [a, whole] = [
    [bytes(dtype, [5, 24]), scale(0.02), near(dtype, 3)],
    [scale(0.04), near(dtype, 2)],
  ];
  const b = constant(ints(dtype, [24, 7], dtype === "int8" ? -127 : 0, 127, 2));
  const c = constant(ints("int32", [7], -500, 500, 4));
  return [
    { name: `${dtype}, quantised again`, op: "QGemm", inputs: [...a, b, scale(0.03), near(dtype, 0), c, ...whole] },
    { name: `${dtype}, floats, a scale a column`, op: "QGemm", inputs: [...a, b, ...columnsOf(dtype, 7), c] },
    {
      name: `${dtype}, transposed, no C`,
      op: "QGemm",
      inputs: [
        bytes(dtype, [24, 5]),
        scale(0.02),
        near(dtype, 3),
        constant(ints(dtype, [7, 24], 0, 127, 2)),
        scale(0.03),
        near(dtype, 0),
        null,
        ...whole,
      ],
      attrs: { transA: 1n, transB: 1n, alpha: 0.5 },
    },
  ];
});

const weight = (dtype: Byte): Operand => constant(ints(dtype, [12, 36], dtype === "int8" ? -127 : 0, 127, 2));
const projected = (x: Byte, w: Byte, columns: boolean): Operand[] => {
  const [wScale = null, wZero = null] = columns ? columnsOf(w, 36) : [scale(0.01), near(w, 0)];
  return [bytes(x, [2, 4, 12]), weight(w), constant(floats([36], 3)), scale(0.02), wScale, null, near(x, 5), wZero];
};
const masked = (inputs: readonly Operand[], mask: Operand): Operand[] =>
  inputs.map((input, i) => (i === 5 ? mask : input));
const attention: readonly Mode[] = [
  ...byteTypes.flatMap((w) => [
    { name: `uint8 x ${w}`, inputs: projected("uint8", w, false) },
    { name: `uint8 x ${w}, a scale a column`, inputs: projected("uint8", w, true) },
  ]),
  { name: "counts", inputs: masked(projected("uint8", "int8", false), listed("int32", [2], [4, 2])) },
  {
    name: "flags",
    inputs: masked(projected("uint8", "int8", false), listed("int32", [2, 4], [1, 1, 1, 0, 1, 1, 0, 0])),
  },
  { name: "unidirectional", inputs: projected("uint8", "int8", false), attrs: { unidirectional: 1n } },
  {
    name: "past",
    inputs: [...projected("uint8", "int8", false), floats([2, 2, 3, 3, 4], 5)],
    outputs: ["y", "present"],
  },
].map((mode) => ({ op: "QAttention", ...mode, attrs: { num_heads: 3n, ...("attrs" in mode ? mode.attrs : {}) } }));

const embedding: Mode = {
  name: "tables of bytes",
  op: "QEmbedLayerNormalization",
  inputs: [
    ints("int32", [2, 5], 0, 19),
    ints("int32", [2, 5], 0, 1, 2),
    ...[20, 9, 2].map((rows, i) => constant(ints("uint8", [rows, 16], 0, 255, i + 3))),
    constant(ints("uint8", [16], 100, 200, 7)),
    constant(ints("uint8", [16], 0, 255, 8)),
    listed("int32", [2, 5], [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
    ...[0.01, 0.02, 0.03, 0.01, 0.004].map(scale),
    ...[120, 130, 128, 20, 128].map((number) => zero("uint8", number)),
  ],
  attrs: { epsilon: 1e-5 },
  outputs: ["y", "counts"],
};

/** Rows of a table of 4 bits in blocks of 16 along the last dimension. */
const gathered: readonly Mode[] = (["uint4", "int4"] as const).map((dtype) => ({
  name: dtype,
  op: "GatherBlockQuantized",
  inputs: [
    constant(dtype === "int4" ? ints(dtype, [10, 48], -8, 7) : ints(dtype, [10, 48], 0, 15)),
    listed("int64", [2, 2], [3, 9, 0, -1]),
    constant(floats([10, 3], 2, 0.01, 0.1)),
    constant(dtype === "int4" ? ints(dtype, [10, 3], -2, 2, 5) : ints(dtype, [10, 3], 6, 9, 5)),
  ],
  attrs: { block_size: 16n, quantize_axis: 1n, gather_axis: 0n },
}));
const gatheredBytes: readonly Mode[] = [
  { name: "halves in bytes", zeros: constant(ints("uint8", [10, 2], 0, 255, 5)) },
  { name: "halves in bytes, the middle for zero", zeros: null },
].map(({ name, zeros }) => ({
  name,
  op: "GatherBlockQuantized",
  inputs: [constant(ints("uint8", [10, 24], 0, 255)), i64(3, 9, 0), constant(floats([10, 3], 2, 0.01, 0.1)), zeros],
  attrs: { block_size: 16n, bits: 4n },
}));

interface Packed {
  readonly bits: 2 | 4 | 8;
  readonly k?: number;
  readonly block?: number;
  readonly zeros?: "packed" | "floats";
  readonly more?: readonly Operand[];
  readonly attrs?: Readonly<Record<string, Attribute>>;
}

/** A of [2, 3, K] times weights of few bits for 7 columns. */
function packed(name: string, { bits, k = 64, block = 16, zeros, more = [], attrs = {} }: Packed): Mode {
  const n = 7;
  const blocks = Math.ceil(k / block);
  const bytesOfZeros = ints("uint8", [n * Math.ceil((blocks * bits) / 8)], 0, 255, 5);
  const given = {
    packed: constant(bytesOfZeros),
    floats: constant(floats([n * blocks], 5, 0, 2 ** bits)),
    none: null,
  }[zeros ?? "none"];
  const inputs = [
    floats([2, 3, k], 1),
    constant(ints("uint8", [n, blocks, (block * bits) / 8], 0, 255, 2)),
    constant(floats([n * blocks], 3, 0.01, 0.05)),
    given,
    ...more,
  ];
  const sizes = { K: BigInt(k), N: BigInt(n), bits: BigInt(bits), block_size: BigInt(block) };
  return { name: `${bits} bits, ${name}`, op: "MatMulNBits", inputs, attrs: { ...sizes, ...attrs } };
}

const shuffled = constant(ints("int32", [64], 0, 3, 9));
const bias = constant(floats([7], 8));
const packedWeights: readonly Mode[] = [
  ...([2, 4, 8] as const).flatMap((bits) => [
    packed("the middle for zero", { bits }),
    packed("packed zero points", { bits, zeros: "packed" }),
    packed("an odd number of blocks, the last one not full", { bits, k: 41, zeros: "packed" }),
  ]),
  packed("zero points of floats", { bits: 4, zeros: "floats" }),
  packed("a bias", { bits: 4, zeros: "packed", more: [null, bias] }),
  packed("blocks of 128", { bits: 4, k: 256, block: 128 }),
  packed("groups out of order", { bits: 4, more: [shuffled] }),
  packed("at least float16", { bits: 4, attrs: { accuracy_level: 2n } }),
];

async function verdictOf({ name, op, inputs, attrs = {}, outputs }: Mode) {
  const node = { op, domain: "com.microsoft", inputs, attrs, ...(outputs === undefined ? {} : { outputs }) };
  return judge(scratch.path(`${op} ${name}`), { name, opset: 17, nodes: [node], toScale: true });
}

const all = [...tensors, ...products, ...attention, embedding, ...gathered, ...gatheredBytes, ...packedWeights];

describe("as onnxruntime has it", () => {
  it.each(all.map((mode) => [`${mode.op}: ${mode.name}`, mode] as const))("%s", async (_, mode) => {
    const { result, noReference } = await verdictOf(mode);
    expect(noReference).toBeUndefined();
    expect(result.reason).toBe("");
    expect(result.status).toBe("passed");
  });
});

/** Answers by hand for what onnxruntime has no kernel for, or ends with a fault on. */
function answered(op: string, inputs: readonly Operand[], attrs: Mode["attrs"], expected: TensorValue) {
  const node = { op, domain: "com.microsoft", inputs, ...(attrs === undefined ? {} : { attrs }) };
  return judgeAgainst(scratch.path(`${op} by hand`), { name: op, opset: 17, nodes: [node] }, [expected]);
}

describe("by hand", () => {
  it("QLinearReduceMean", () => {
    const x = listed("uint8", [2, 3], [10, 20, 30, 40, 60, 80]);
    const inputs = [x, scale(0.5), zero("uint8", 10), scale(1), zero("uint8", 3)];
    const result = answered(
      "QLinearReduceMean",
      inputs,
      { axes: [1n], keepdims: 1n },
      listed("uint8", [2, 1], [8, 28]),
    );
    expect(result).toMatchObject({ status: "passed" });
  });

  it("zero points that are not given are 0", () => {
    const x = listed("int8", [4], [-100, -3, 0, 40]);
    const leaky = answered(
      "QLinearLeakyRelu",
      [x, scale(0.5), null, scale(0.25)],
      { alpha: 0.5 },
      listed("int8", [4], [-100, -3, 0, 80]),
    );
    expect(leaky).toMatchObject({ status: "passed" });
    const sum = [x, scale(0.5), null, listed("int8", [4], [1, 2, 3, 4]), scale(1), null, scale(0.5)];
    expect(answered("QLinearAdd", sum, undefined, listed("int8", [4], [-98, 1, 6, 48]))).toMatchObject({
      status: "passed",
    });
  });
});

it("accuracy_level is a least: at 4 onnxruntime rounds A to bytes, lpuc does not", async () => {
  const rough = await verdictOf(packed("rough", { bits: 4, k: 256, block: 32, attrs: { accuracy_level: 4n } }));
  const fine = await verdictOf(packed("fine", { bits: 4, k: 256, block: 32, attrs: { accuracy_level: 1n } }));
  expect(fine.result).toMatchObject({ status: "passed" });
  expect(rough.result.status).toBe("failed");
});

it("groups out of order with zero points, which onnxruntime passes over, are refused", async () => {
  const { result } = await verdictOf(packed("both", { bits: 4, zeros: "packed", more: [shuffled] }));
  expect(result.status).toBe("unsupported");
  expect(result.reason).toContain("g_idx together with zero_points");
});

it("tensors that are joined come with a scale and a zero point each", async () => {
  const inputs = [scale(0.1), zero("uint8", 0), bytes("uint8", [4]), scale(0.1)];
  const { result } = await verdictOf({ name: "pairs", op: "QLinearConcat", inputs, attrs: { axis: 0n } });
  expect(result.reason).toContain("a scale and a zero point each");
});
