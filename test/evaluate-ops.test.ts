// Each family of ONNX operators against small answers worked out by hand.
import { expect, test } from "vitest";
import type { Attrs } from "../ir/graph/attr.ts";
import type { OnnxOp } from "../ir/graph/onnx-ops.ts";
import type { TensorValue } from "../ir/graph/values.ts";
import { count, f32, i64, problemsOf, run, tensor } from "./evaluate-values.ts";

type Case = readonly [
  op: OnnxOp,
  inputs: readonly (TensorValue | null)[],
  attrs: Attrs,
  shape: readonly number[],
  numbers: readonly number[],
];

const scalar = (x: number): TensorValue => f32([], x);
const u8 = (...numbers: readonly number[]): TensorValue => tensor("uint8", [numbers.length], numbers);

const exactCases: readonly Case[] = [
  ["Add", [f32([2, 1], 1, 2), f32([2], 10, 20)], {}, [2, 2], [11, 21, 12, 22]],
  ["Div", [tensor("int32", [4], [7, -7, 7, 1]), tensor("int32", [4], [2, 2, -2, 0])], {}, [4], [3, -3, -3, 0]],
  ["Mod", [i64(-7, 7, -7), i64(3, -3, 3)], {}, [3], [2, -2, 2]],
  ["Mod", [f32([2], -7.5, 7.5), f32([2], 2, -2)], { fmod: 1 }, [2], [-1.5, 1.5]],
  ["Mul", [tensor("int8", [2], [100, -128]), tensor("int8", [2], [3, -1])], {}, [2], [44, -128]],
  ["Pow", [i64(3, -2, 2), i64(4, 3, -1)], {}, [3], [81, -8, 0]],
  ["Max", [f32([2], 1, Number.NaN), f32([2], 5, 0), f32([1], 3)], {}, [2], [5, Number.NaN]],
  ["Round", [f32([4], 0.5, 1.5, -2.5, 2.6)], {}, [4], [0, 2, -2, 3]],
  ["Clip", [f32([3], -5, 0.5, 5), scalar(-1), scalar(1)], {}, [3], [-1, 0.5, 1]],
  ["Clip", [f32([3], -5, 0.5, 5), scalar(2), scalar(1)], {}, [3], [1, 1, 1]],
  ["Where", [tensor("bool", [2, 1], [1, 0]), f32([2], 1, 2), scalar(9)], {}, [2, 2], [1, 2, 9, 9]],
  ["LessOrEqual", [f32([3], 1, 2, Number.NaN), f32([3], 2, 1, Number.NaN)], {}, [3], [1, 0, 0]],
  ["Cast", [f32([4], -1.9, 300, 3e9, Number.NaN)], { to: "int32" }, [4], [-1, 300, 2147483647, 0]],
  ["Cast", [f32([2], 300, -1)], { to: "uint8" }, [2], [44, 255]],
  ["Cast", [f32([2], 65520, 1.0009765625)], { to: "float16" }, [2], [Infinity, 1.0009765625]],
  ["Cast", [f32([2], 500, -0.25)], { to: "float8e4m3fn" }, [2], [448, -0.25]],
  ["MatMul", [count(2, 3), f32([3], 1, 10, 100)], {}, [2], [210, 543]],
  ["MatMul", [count(2, 1, 2), count(2, 2)], {}, [2, 1, 2], [2, 3, 6, 11]],
  ["Gemm", [count(2, 3), count(2, 3), f32([2], 1, 2)], { transB: 1, alpha: 2, beta: 10 }, [2, 2], [20, 48, 38, 120]],
  ["Einsum", [count(2, 3), count(3, 2)], { equation: "ij,jk->ki" }, [2, 2], [10, 28, 13, 40]],
  ["Einsum", [count(2, 2, 2)], { equation: "...ii->...i" }, [2, 2], [0, 3, 4, 7]],
  ["Transpose", [count(2, 3)], {}, [3, 2], [0, 3, 1, 4, 2, 5]],
  ["Slice", [count(2, 4), i64(-1), i64(-99), i64(1), i64(-2)], {}, [2, 2], [3, 1, 7, 5]],
  ["Slice", [count(4), i64(1), i64(1000)], {}, [3], [1, 2, 3]],
  ["Pad", [f32([3], 1, 2, 3), i64(2, 1), null], { mode: "reflect" }, [6], [3, 2, 1, 2, 3, 2]],
  ["Pad", [f32([3], 1, 2, 3), i64(4, 1), null], { mode: "wrap" }, [8], [3, 1, 2, 3, 1, 2, 3, 1]],
  ["Pad", [f32([3], 1, 2, 3), i64(-1, 1), scalar(7)], {}, [3], [2, 3, 7]],
  ["Tile", [f32([2, 1], 1, 2), i64(2, 2)], {}, [4, 2], [1, 1, 2, 2, 1, 1, 2, 2]],
  ["Expand", [f32([2, 1], 1, 2), i64(2, 1, 2)], {}, [2, 2, 2], [1, 1, 2, 2, 1, 1, 2, 2]],
  ["Concat", [f32([1, 2], 1, 2), f32([1, 1], 3)], { axis: -1 }, [1, 3], [1, 2, 3]],
  ["Reshape", [count(2, 3), i64(0, -1, 1)], {}, [2, 3, 1], [0, 1, 2, 3, 4, 5]],
  ["Squeeze", [count(1, 2, 1), i64(-1)], {}, [1, 2], [0, 1]],
  ["Unsqueeze", [count(2), i64(2, 0)], {}, [1, 2, 1], [0, 1]],
  ["Shape", [count(2, 3, 4)], { start: -2, end: 99 }, [2], [3, 4]],
  ["Flatten", [count(2, 1, 2)], { axis: -1 }, [2, 2], [0, 1, 2, 3]],
  ["ReduceSum", [count(2, 3), i64(-1)], { keepdims: 0 }, [2], [3, 12]],
  ["ReduceSum", [count(2), i64()], { noop_with_empty_axes: 1 }, [2], [0, 1]],
  ["ReduceMax", [tensor("int64", [2, 2], [5, -1, 2, 9]), i64(0)], {}, [1, 2], [5, 9]],
  ["ReduceMin", [f32([0, 2]), i64(0)], {}, [1, 2], [Infinity, Infinity]],
  ["ReduceL2", [f32([2], 3, 4)], {}, [1], [5]],
  ["CumSum", [count(4), tensor("int32", [], [0])], { exclusive: 1, reverse: 1 }, [4], [6, 5, 3, 0]],
  ["ArgMax", [f32([2, 3], 1, 5, 5, 2, 2, 0)], { axis: 1, keepdims: 0, select_last_index: 1 }, [2], [2, 1]],
  ["ArgMin", [f32([2, 2], 4, 3, 4, 2)], { axis: 0 }, [1, 2], [0, 1]],
  ["Hardmax", [f32([1, 3], 2, 2, 1)], {}, [1, 3], [1, 0, 0]],
  ["Gather", [count(3, 2), tensor("int64", [2, 1], [-1, 0])], {}, [2, 1, 2], [4, 5, 0, 1]],
  ["GatherElements", [count(2, 2), tensor("int64", [2, 2], [0, 0, -1, 0])], { axis: 1 }, [2, 2], [0, 0, 3, 2]],
  ["GatherND", [count(2, 2, 2), tensor("int64", [2, 1], [1, 0])], { batch_dims: 1 }, [2, 2], [2, 3, 4, 5]],
  ["ScatterElements", [f32([3], 1, 2, 3), i64(0, 0), f32([2], 10, 20)], { reduction: "add" }, [3], [31, 2, 3]],
  ["ScatterND", [count(3), tensor("int64", [2, 1], [2, -3]), f32([2], 7, 8)], {}, [3], [8, 1, 7]],
  [
    "TensorScatter",
    [f32([1, 3, 1], 1, 2, 3), f32([1, 2, 1], 8, 9), i64(2)],
    { mode: "circular" },
    [1, 3, 1],
    [9, 2, 8],
  ],
  ["Range", [tensor("int64", [], [5]), tensor("int64", [], [0]), tensor("int64", [], [-2])], {}, [3], [5, 3, 1]],
  [
    "OneHot",
    [i64(1, -1, 7), tensor("int64", [], [3]), f32([2], 0, 5)],
    { axis: 0 },
    [3, 3],
    [0, 0, 0, 5, 0, 0, 0, 5, 0],
  ],
  ["Trilu", [count(2, 3), tensor("int64", [], [1])], { upper: 0 }, [2, 3], [0, 1, 0, 3, 4, 5]],
  ["ConstantOfShape", [i64(2), tensor("int32", [1], [7])], {}, [2], [7, 7]],
  ["EyeLike", [count(2, 3)], { k: 1, dtype: "int32" }, [2, 3], [0, 1, 0, 0, 0, 1]],
  ["NonZero", [f32([2, 2], 1, 0, 0, 3)], {}, [2, 2], [0, 1, 0, 1]],
  [
    "Conv",
    [count(1, 1, 4), f32([1, 1, 2], 1, 10), f32([1], 100)],
    { strides: [2], pads: [1, 0] },
    [1, 1, 2],
    [100, 121],
  ],
  ["Conv", [count(1, 2, 2, 2), f32([2, 1, 1, 1], 2, 3)], { group: 2 }, [1, 2, 2, 2], [0, 2, 4, 6, 12, 15, 18, 21]],
  [
    "ConvInteger",
    [tensor("uint8", [1, 1, 2], [5, 3]), tensor("uint8", [1, 1, 1], [2]), tensor("uint8", [], [4])],
    {},
    [1, 1, 2],
    [2, -2],
  ],
  ["MaxPool", [count(1, 1, 5)], { kernel_shape: [2], strides: [2], ceil_mode: 1 }, [1, 1, 3], [1, 3, 4]],
  [
    "AveragePool",
    [count(1, 1, 3)],
    { kernel_shape: [2], pads: [1, 0], count_include_pad: 1 },
    [1, 1, 3],
    [0, 0.5, 1.5],
  ],
  ["GlobalAveragePool", [count(1, 2, 2)], {}, [1, 2, 1], [0.5, 2.5]],
  ["QuantizeLinear", [f32([4], 0.5, 1.5, -9, 999), scalar(1), tensor("uint8", [], [3])], {}, [4], [3, 5, 0, 255]],
  [
    "DequantizeLinear",
    [tensor("int8", [2, 2], [1, 2, 3, 4]), f32([2], 1, 10), tensor("int8", [2], [1, 0])],
    {},
    [2, 2],
    [0, 20, 2, 40],
  ],
  [
    "DequantizeLinear",
    [tensor("int4", [4], [1, -8, 3, 7]), f32([2], 1, 10)],
    { axis: 0, block_size: 2 },
    [4],
    [1, -8, 30, 70],
  ],
  [
    "MatMulInteger",
    [tensor("uint8", [1, 2], [3, 4]), tensor("int8", [2, 1], [-5, 6]), tensor("uint8", [], [1])],
    {},
    [1, 1],
    [8],
  ],
  [
    "QLinearMatMul",
    [
      tensor("uint8", [1, 1], [12]),
      scalar(0.5),
      tensor("uint8", [], [2]),
      tensor("uint8", [1, 1], [7]),
      scalar(2),
      tensor("uint8", [], [3]),
      scalar(4),
      tensor("uint8", [], [1]),
    ],
    {},
    [1, 1],
    [11],
  ],
  ["com.microsoft.FusedMatMul", [count(2, 1), f32([2, 1], 1, 2)], { transA: 1, alpha: 3 }, [1, 1], [6]],
  [
    "com.microsoft.QLinearAdd",
    [
      u8(10),
      scalar(1),
      tensor("uint8", [], [0]),
      u8(20),
      scalar(2),
      tensor("uint8", [], [0]),
      scalar(10),
      tensor("uint8", [], [1]),
    ],
    {},
    [1],
    [6],
  ],
];

test.each(exactCases.map((entry, i) => [`${entry[0]} #${i}`, entry] as const))(
  "%s",
  (_, [op, inputs, attrs, shape, numbers]) => {
    const [result] = run(op, inputs, attrs);
    expect(result?.shape).toEqual(shape);
    expect(result?.numbers).toEqual(numbers);
  },
);

function near(found: readonly number[] | undefined, expected: readonly number[], within = 1e-6): void {
  expect(found?.length).toBe(expected.length);
  for (const [i, x] of expected.entries()) expect(Math.abs((found?.[i] ?? Number.NaN) - x)).toBeLessThanOrEqual(within);
}

test("activations at known points", () => {
  const at = (op: OnnxOp, x: number, attrs: Attrs = {}): number | undefined =>
    run(op, [scalar(x)], attrs)[0]?.numbers[0];
  const points: readonly (readonly [number | undefined, number])[] = [
    [at("Sigmoid", 0), 0.5],
    [at("Sigmoid", -100), 3.720075976020836e-44],
    [at("Gelu", 1), 0.8413447],
    [at("Gelu", 1, { approximate: "tanh" }), 0.841192],
    [at("Erf", 0.5), 0.5204999],
    [at("Elu", -1), -0.6321206],
    [at("Celu", -1, { alpha: 2 }), -0.7869387],
    [at("Softplus", 1), 1.3132617],
    [at("HardSigmoid", 1), 0.7],
    [at("Mish", 1), 0.8650984],
    [at("Swish", 1), 0.7310586],
    [at("Shrink", 2, { lambd: 1, bias: 0.5 }), 1.5],
    [at("com.microsoft.QuickGelu", 1), 0.8457957],
  ];
  near(
    points.map(([found]) => found ?? Number.NaN),
    points.map(([, expected]) => expected),
  );
});

test("softmax shifts by the maximum; logsumexp of large numbers is finite", () => {
  near(run("Softmax", [f32([1, 2], 1000, 1000)])[0]?.numbers, [0.5, 0.5]);
  near(run("LogSoftmax", [f32([2], 0, 0)], { axis: 0 })[0]?.numbers, [-Math.LN2, -Math.LN2]);
  near(run("ReduceLogSumExp", [f32([2], 1000, 1000)])[0]?.numbers, [1000.6931472], 1e-3);
});

test("normalisations", () => {
  const x = f32([1, 4], 1, 2, 3, 4);
  const third = 3 / Math.sqrt(5);
  const layer = run("LayerNormalization", [x, f32([4], 1, 1, 1, 2), f32([4], 0, 0, 0, 1)], { epsilon: 0 }, 3);
  near(layer[0]?.numbers, [-third, -third / 3, third / 3, 2 * third + 1]);
  near(layer[1]?.numbers, [2.5]);
  near(layer[2]?.numbers, [1 / Math.sqrt(1.25)]);
  near(run("RMSNormalization", [f32([2], 3, 4), f32([2], 1, 1)], { epsilon: 0 })[0]?.numbers, [
    3 / Math.sqrt(12.5),
    4 / Math.sqrt(12.5),
  ]);
  const group = run("GroupNormalization", [f32([1, 2, 2], 1, 3, 10, 30), f32([2], 1, 2), f32([2], 0, 5)], {
    num_groups: 2,
    epsilon: 0,
  });
  near(group[0]?.numbers, [-1, 1, 3, 7]);
  const batch = run("BatchNormalization", [f32([1, 1, 2], 4, 6), f32([1], 2), f32([1], 1), f32([1], 5), f32([1], 1)], {
    epsilon: 0,
  });
  near(batch[0]?.numbers, [-1, 3]);
  const skip = run(
    "com.microsoft.SkipLayerNormalization",
    [f32([1, 2], 1, 2), f32([1, 2], 0, 1), f32([2], 1, 1), null, f32([2], 0, 1)],
    { epsilon: 0 },
    4,
  );
  near(skip[0]?.numbers, [-1, 1]);
  near(skip[3]?.numbers, [1, 4]);
});

test("attention looks where the masks let it", () => {
  const [q, k, v] = [f32([1, 1, 2, 1], 0, 0), f32([1, 1, 2, 1], 1, 2), f32([1, 1, 2, 1], 10, 20)];
  near(run("Attention", [q, k, v])[0]?.numbers, [15, 15]);
  near(run("Attention", [q, k, v], { is_causal: 1 })[0]?.numbers, [10, 15]);
  const hidden = tensor("bool", [2, 2], [0, 0, 0, 1]);
  near(run("Attention", [q, k, v, hidden])[0]?.numbers, [0, 20]);
  const past = f32([1, 1, 1, 1], 5);
  const withPast = run("Attention", [q, k, v, null, past, f32([1, 1, 1, 1], 40)], { is_causal: 1 }, 3);
  near(withPast[0]?.numbers, [25, 70 / 3], 1e-4);
  expect(withPast[1]?.numbers).toEqual([5, 1, 2]);
  near(run("Attention", [q, k, v, null, null, null, i64(1)])[0]?.numbers, [10, 10]);
});

test("grouped-query attention appends after each sample's past", () => {
  const [q, k, v] = [f32([1, 1, 4], 0, 0, 0, 0), f32([1, 1, 2], 3, 4), f32([1, 1, 2], 30, 40)];
  const cache = f32([1, 1, 3, 2], 1, 2, 9, 9, 9, 9);
  const lengths = tensor("int32", [1], [1]);
  const results = run(
    "com.microsoft.GroupQueryAttention",
    [q, k, v, cache, cache, lengths, tensor("int32", [], [3])],
    { num_heads: 2, kv_num_heads: 1 },
    3,
  );
  expect(results[1]?.numbers).toEqual([1, 2, 3, 4, 0, 0]);
  near(results[0]?.numbers, [15.5, 21, 15.5, 21]);
});

test("rotary embedding turns halves and neighbours", () => {
  const x = f32([1, 1, 4], 1, 2, 3, 4);
  const [cos, sin] = [f32([1, 1, 2], 0, 1), f32([1, 1, 2], 1, 0)];
  near(run("RotaryEmbedding", [x, cos, sin], { num_heads: 1 })[0]?.numbers, [-3, 2, 1, 4]);
  near(run("RotaryEmbedding", [x, cos, sin], { num_heads: 1, interleaved: 1 })[0]?.numbers, [-2, 1, 3, 4]);
});

test("weights of few bits: low bits first, a scale and zero point a block", () => {
  const bytes = Array.from({ length: 8 }, (_, i) => (i === 0 ? 0xa9 : 0x88));
  const inputs = [
    f32([1, 16], ...Array.from({ length: 16 }, (_, i) => (i < 2 ? 1 : 0))),
    tensor("uint8", [1, 1, 8], bytes),
    f32([1], 0.5),
  ];
  near(run("com.microsoft.MatMulNBits", inputs, { K: 16, N: 1, bits: 4, block_size: 16 })[0]?.numbers, [0.5 * (1 + 2)]);
  const zero = tensor("uint8", [1], [9]);
  near(run("com.microsoft.MatMulNBits", [...inputs, zero], { K: 16, N: 1, bits: 4, block_size: 16 })[0]?.numbers, [
    0.5 * (0 + 1),
  ]);
});

test("several outputs", () => {
  const [values, indices] = run("TopK", [f32([4], 3, 9, 9, 1), i64(3)], {}, 2);
  expect([values?.numbers, indices?.numbers]).toEqual([
    [9, 9, 3],
    [1, 2, 0],
  ]);
  const parts = run("Split", [count(5)], { num_outputs: 2 }, 2);
  expect(parts.map(({ numbers }) => numbers)).toEqual([
    [0, 1, 2],
    [3, 4],
  ]);
  const [y, scale, zero] = run("DynamicQuantizeLinear", [f32([3], -1, 0, 1.55)], {}, 3);
  near(scale?.numbers, [0.01]);
  expect([y?.numbers, zero?.numbers]).toEqual([[0, 100, 255], [100]]);
  const [pooled, where] = run(
    "MaxPool",
    [f32([1, 1, 2, 2], 1, 4, 3, 2)],
    { kernel_shape: [2, 2], storage_order: 1 },
    2,
  );
  expect([pooled?.numbers, where?.numbers]).toEqual([[4], [2]]);
});

test.each([
  ["Add", [f32([2], 1, 2), i64(1, 2)], {}, "dtype: input B is int64, allowed: float32"],
  ["Add", [f32([2], 1, 2), f32([3], 1, 2, 3)], {}, "shape: shapes [2] and [3] do not broadcast together"],
  ["Add", [f32([2], 1, 2)], {}, "arity: input B is missing"],
  ["Softmax", [count(2)], { axis: 1 }, "attr: axis is 1, allowed: -1 to 0"],
  ["Softmax", [count(2)], { axes: 1 }, "attr: attribute axes is unknown, allowed: axis"],
  ["Cast", [count(2)], {}, "attr: attribute to is missing"],
  ["Cast", [count(2)], { to: 1 }, "attr: attribute to is 1, needed: dtype"],
  ["MatMul", [count(2, 3), count(2, 3)], {}, "shape: [2x3] x [2x3]: the inner sizes 3 and 2 differ"],
  ["Reshape", [count(2, 3), i64(4, -1)], {}, "shape: [2x3] cannot be reshaped to [4x-1]"],
  [
    "com.microsoft.GroupQueryAttention",
    [count(1, 1, 4), null, null, null, null, null, null],
    { num_heads: 2, kv_num_heads: 1 },
    "arity: input seqlens_k is missing",
  ],
  [
    "com.microsoft.GroupQueryAttention",
    [count(1, 1, 4), count(1, 1, 2), count(1, 1, 2), null, null, tensor("int32", [1], [0]), tensor("int32", [], [1])],
    { num_heads: 2, kv_num_heads: 1, k_quant_type: "PER_TENSOR" },
    "unsupported: attribute k_quant_type=PER_TENSOR",
  ],
] as const)("%s refuses what it cannot take (%#)", (op, inputs, attrs, message) => {
  expect(problemsOf(op, inputs, attrs)).toContain(message);
});
