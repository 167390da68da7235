// Cases of the operators that matter, in the forms that the backend suite gives them and beyond: types, shapes, attributes, operator sets.
import type { DType } from "../ir/dtype.ts";
import { type Attrs, chain, one, positive } from "./op-case.ts";
import { constant, floats, i64, ints, listed, type OpCase, scalar } from "./op-models.ts";
import { productCases } from "./op-variations-products.ts";

const integerTypes: readonly DType[] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
const lowest = (dtype: DType): number => (dtype.startsWith("u") ? 0 : -20);

const arithmetic: readonly OpCase[] = ["Add", "Sub", "Mul", "Div"].flatMap((op) => [
  ...integerTypes.map((dtype) => {
    const low = op === "Sub" && dtype.startsWith("u") ? 30 : lowest(dtype);
    const divisor = op === "Div" ? 1 : lowest(dtype);
    return one(dtype, op, [ints(dtype, [3, 4, 5], low, 60, 1), ints(dtype, [3, 4, 5], divisor, 12, 2)]);
  }),
  one("float16", op, [floats([3, 4], 1, -2, 2, "float16"), floats([3, 4], 2, 0.5, 2, "float16")]),
  one("row over matrix", op, [floats([3, 4, 5], 1), floats([5], 2, 0.5, 2)]),
  one("column over matrix", op, [floats([3, 4, 5], 1), floats([4, 1], 2, 0.5, 2)]),
  one("both spread", op, [floats([1, 4, 1], 1), floats([3, 1, 5], 2, 0.5, 2)]),
  one("scalar first", op, [floats([], 1), floats([2, 3], 2, 0.5, 2)]),
  one("constant", op, [floats([2, 3], 1), constant(floats([3], 2, 0.5, 2))]),
  one("old", op, [floats([2, 3], 1), floats([3], 2, 0.5, 2)], {}, { opset: 7 }),
]);

const comparisons: readonly OpCase[] = ["Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"].flatMap((op) => [
  ...integerTypes.map((dtype) =>
    one(dtype, op, [ints(dtype, [3, 7], lowest(dtype), 5, 1), ints(dtype, [3, 7], lowest(dtype), 5, 2)]),
  ),
  one("float", op, [listed("float32", [4], [1, 2, Number.NaN, -1]), listed("float32", [4], [1, 3, Number.NaN, -2])]),
  one("float16", op, [ints("float16", [3, 7], -3, 3, 1), ints("float16", [7], -3, 3, 2)]),
  one("spread", op, [ints("float32", [3, 4, 5], -2, 2, 1), ints("float32", [5], -2, 2, 2)]),
]);

const booleans: readonly OpCase[] = [
  ...["And", "Or", "Xor"].flatMap((op) =>
    [
      [
        [3, 4],
        [3, 4],
      ],
      [[3, 4, 5], [5]],
      [
        [3, 4, 5],
        [4, 5],
      ],
      [[3, 4, 5, 6], [6]],
      [
        [3, 4, 5, 6],
        [4, 5, 6],
      ],
      [
        [1, 4, 1, 6],
        [3, 1, 5, 6],
      ],
    ].map(([a = [], b = []]) =>
      one(`${a.join("x")} ${b.join("x")}`, op, [ints("bool", a, 0, 1, 1), ints("bool", b, 0, 1, 2)]),
    ),
  ),
  one("3d", "Not", [ints("bool", [3, 4, 5], 0, 1)]),
  one("equal", "Equal", [ints("bool", [3, 4], 0, 1, 1), ints("bool", [3, 4], 0, 1, 2)]),
  one("float", "Where", [ints("bool", [2, 3], 0, 1), floats([2, 3], 1), floats([2, 3], 2)]),
  one("spread", "Where", [ints("bool", [3, 1], 0, 1), floats([1, 4], 1), floats([2, 1, 1], 2)]),
  one("int64", "Where", [ints("bool", [2, 3], 0, 1), ints("int64", [3], -9, 9, 1), ints("int64", [2, 3], -9, 9, 2)]),
  one("uint8", "Where", [ints("bool", [2, 3], 0, 1), ints("uint8", [2, 3], 0, 9, 1), ints("uint8", [2, 3], 0, 9, 2)]),
];

const unary = (op: string, low = -2, high = 2, attrs: Attrs = {}): readonly OpCase[] => [
  one(`small ${JSON.stringify(attrs)}`, op, [floats([3], 3, low, high)], attrs),
  one(`large ${JSON.stringify(attrs)}`, op, [floats([3, 4, 5], 4, low, high)], attrs),
  one(`float16 ${JSON.stringify(attrs)}`, op, [floats([4, 3], 5, low, high, "float16")], attrs),
];

const unaries: readonly OpCase[] = [
  ...[
    "Abs",
    "Neg",
    "Ceil",
    "Floor",
    "Round",
    "Sign",
    "Exp",
    "Sigmoid",
    "Tanh",
    "Erf",
    "Relu",
    "Softplus",
    "Softsign",
  ].flatMap((op) => unary(op)),
  ...["Sin", "Cos"].flatMap((op) => unary(op, -40, 40)),
  ...["Sqrt", "Log", "Reciprocal"].flatMap((op) => unary(op, 0.05, 9)),
  ...["Elu", "Selu", "LeakyRelu", "Celu", "ThresholdedRelu"].flatMap((op) => unary(op)),
  ...["Elu", "LeakyRelu", "Celu"].flatMap((op) => unary(op, -2, 2, { alpha: 0.3 })),
  ...unary("Selu", -2, 2, { alpha: 2, gamma: 3 }),
  ...unary("ThresholdedRelu", -2, 2, { alpha: 1.5 }),
  ...unary("HardSigmoid", -4, 4),
  ...unary("HardSigmoid", -4, 4, { alpha: 0.5, beta: 0.6 }),
  ...unary("HardSwish", -4, 4),
  ...unary("Mish", -4, 4),
  ...unary("Shrink", -4, 4, { lambd: 1.5 }),
  ...unary("Shrink", -4, 4, { lambd: 1.5, bias: 1.5 }),
  ...unary("Gelu", -4, 4),
  ...unary("Gelu", -4, 4, { approximate: "tanh" }),
  one("int32", "Abs", [ints("int32", [3, 4], -9, 9)]),
  one("int64", "Neg", [ints("int64", [3, 4], -9, 9)]),
  one("int8", "Abs", [ints("int8", [3, 4], -128, 127)]),
  one("int8", "Relu", [ints("int8", [3, 4], -9, 9)]),
  one("int32", "Sign", [ints("int32", [3, 4], -2, 2)]),
  one("halves", "Round", [listed("float32", [8], [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.4999, -1.2])]),
  one("special", "IsNaN", [listed("float32", [4], [1, Number.NaN, Number.POSITIVE_INFINITY, 0])]),
  one("special", "IsInf", [listed("float32", [4], [1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0])]),
  one("positive", "IsInf", [listed("float32", [3], [1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])], {
    detect_negative: 0n,
  }),
  one("negative", "IsInf", [listed("float32", [3], [1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])], {
    detect_positive: 0n,
  }),
  one("large arguments", "Tanh", [listed("float32", [6], [-100, -20, -9, 9, 20, 100])]),
  one("large arguments", "Sigmoid", [listed("float32", [6], [-100, -20, -9, 9, 20, 100])]),
  one("large arguments", "Exp", [listed("float32", [6], [-100, -87, -20, 20, 88, 100])]),
  one("of an axis", "PRelu", [floats([3, 4, 5], 1), floats([5], 2)]),
  one("of a channel", "PRelu", [floats([3, 4, 5], 1), floats([4, 1], 2)]),
];

const extremes: readonly OpCase[] = ["Max", "Min"].flatMap((op) => [
  ...integerTypes.map((dtype) =>
    one(dtype, op, [ints(dtype, [6], lowest(dtype), 9, 1), ints(dtype, [6], lowest(dtype), 9, 2)]),
  ),
  one("float16", op, [floats([6], 1, -2, 2, "float16"), floats([6], 2, -2, 2, "float16")]),
  one("one", op, [floats([6], 1)]),
  one("three, spread", op, [floats([3, 4], 1), floats([4], 2), floats([3, 1], 3)]),
]);

const sums: readonly OpCase[] = ["Sum", "Mean"].flatMap((op) => [
  one("three", op, [floats([3, 4], 1), floats([3, 4], 2), floats([3, 4], 3)]),
  one("two, spread", op, [floats([3, 4], 1), floats([4], 2)]),
]);

const powers: readonly OpCase[] = [
  one("square", "Pow", [floats([3, 4], 1), scalar("float32", 2)]),
  one("cube root", "Pow", [positive([3, 4]), scalar("float32", 1 / 3)]),
  one("constant 3", "Pow", [floats([3, 4], 1), constant(scalar("float32", 3))]),
  one("constant 0.5", "Pow", [positive([3, 4]), constant(scalar("float32", 0.5))]),
  one("constant -0.5", "Pow", [positive([3, 4]), constant(scalar("float32", -0.5))]),
  one("constant -1", "Pow", [positive([3, 4]), constant(scalar("float32", -1))]),
  one("negative base, whole exponents", "Pow", [floats([6], 1), listed("float32", [6], [0, 1, 2, 3, -2, -3])]),
  ...(["int32", "int64", "uint32", "uint64"] as const).flatMap((exponent) => [
    one(`float32 ${exponent}`, "Pow", [floats([3], 2, 1, 3), listed(exponent, [3], [4, 5, 2])]),
  ]),
  one("int32 float32", "Pow", [listed("int32", [3], [1, 2, 3]), listed("float32", [3], [4, 5, 6])]),
  one("int64 float32", "Pow", [listed("int64", [3], [1, 2, 3]), listed("float32", [3], [4, 5, 6])]),
  one("int32 int32", "Pow", [listed("int32", [5], [1, 2, 3, -2, 0]), listed("int32", [5], [4, 5, 6, 3, 0])]),
  one("old", "Pow", [positive([3, 4]), floats([4], 2)], {}, { opset: 7 }),
];

const moduli: readonly OpCase[] = [
  ...integerTypes.map((dtype) =>
    one(dtype, "Mod", [ints(dtype, [6], lowest(dtype), 20, 1), ints(dtype, [6], 1, 7, 2)]),
  ),
  ...(["int8", "int16", "int32", "int64"] as const).map((dtype) =>
    one(`${dtype} signs`, "Mod", [listed(dtype, [6], [-4, 7, 5, 4, -7, 8]), listed(dtype, [6], [2, -3, 8, -2, 3, 5])]),
  ),
  ...(["float32", "float16", "int64", "int32"] as const).map((dtype) =>
    one(`${dtype} fmod`, "Mod", [listed(dtype, [6], [-4, 7, 5, 4, -7, 8]), listed(dtype, [6], [2, -3, 8, -2, 3, 5])], {
      fmod: 1n,
    }),
  ),
  one("spread", "Mod", [ints("int32", [3, 2, 5], 0, 29), listed("int32", [1], [7])]),
];

const clips: readonly OpCase[] = [
  one("both", "Clip", [floats([3, 4], 1), scalar("float32", -1), scalar("float32", 1)]),
  one("constants", "Clip", [floats([3, 4], 1), constant(scalar("float32", -1)), constant(scalar("float32", 1))]),
  one("low", "Clip", [floats([3, 4], 1), scalar("float32", 0)]),
  one("high", "Clip", [floats([3, 4], 1), null, scalar("float32", 0)]),
  one("none", "Clip", [floats([3, 4], 1)]),
  one("low above high", "Clip", [floats([3, 4], 1), scalar("float32", 1), scalar("float32", -1)]),
  one("int8 high", "Clip", [ints("int8", [3, 4], -9, 9), null, scalar("int8", 0)]),
  one("int8 none", "Clip", [ints("int8", [3, 4], -9, 9)]),
  one("int64", "Clip", [ints("int64", [3, 4], -9, 9), scalar("int64", -2), scalar("int64", 5)]),
  one("attributes", "Clip", [floats([3, 4], 1)], { min: -0.5, max: 0.5 }, { opset: 6 }),
];

const reductions: readonly OpCase[] = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceSumSquare",
].flatMap((op) => {
  const x = op === "ReduceLogSum" ? positive([3, 2, 5]) : floats([3, 2, 5], 7);
  const attribute = op === "ReduceSum" ? 11 : 13;
  return [
    one("all", op, [x], {}, { opset: 18 }),
    one("all, dropped", op, [x], { keepdims: 0n }, { opset: 18 }),
    one("axis 1", op, [x, constant(i64(1))], { keepdims: 1n }, { opset: 18 }),
    one("axis 1, dropped", op, [x, constant(i64(1))], { keepdims: 0n }, { opset: 18 }),
    one("last axis", op, [x, constant(i64(-1))], {}, { opset: 18 }),
    one("axis -2", op, [x, constant(i64(-2))], {}, { opset: 18 }),
    one("axes 0 and 2", op, [x, constant(i64(0, 2))], { keepdims: 0n }, { opset: 18 }),
    one("no axes, nothing", op, [x], { noop_with_empty_axes: 1n }, { opset: 18 }),
    one("axes attribute", op, [x], { axes: [0n, -1n] }, { opset: attribute }),
    one(
      "many lanes",
      op,
      [op === "ReduceProd" ? floats([3, 330], 1, 0.99, 1.01) : positive([3, 700]), constant(i64(1))],
      {},
      { opset: 18 },
    ),
    one(
      "over rows",
      op,
      [op === "ReduceProd" ? floats([330, 3], 1, 0.99, 1.01) : positive([700, 3]), constant(i64(0))],
      {},
      { opset: 18 },
    ),
  ];
});

const integerReductions: readonly OpCase[] = [
  ...["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"].flatMap((op) =>
    (["int32", "int64"] as const).map((dtype) =>
      one(dtype, op, [ints(dtype, [3, 4], -3, 3), constant(i64(1))], {}, { opset: 18 }),
    ),
  ),
  ...["ReduceMax", "ReduceMin"].flatMap((op) =>
    (["int8", "uint8"] as const).map((dtype) =>
      one(dtype, op, [ints(dtype, [3, 4], lowest(dtype), 9), constant(i64(0))], {}, { opset: 18 }),
    ),
  ),
  ...["ReduceMax", "ReduceMin"].map((op) =>
    one("bool", op, [ints("bool", [3, 4], 0, 1), constant(i64(1))], {}, { opset: 20 }),
  ),
];

const ranks: readonly OpCase[] = [
  ...["ArgMax", "ArgMin"].flatMap((op) => [
    ...[0n, 1n].flatMap((last) =>
      [0n, 1n, -1n].flatMap((axis) =>
        [0n, 1n].map((keepdims) =>
          one(
            `${axis} ${keepdims} ${last}`,
            op,
            [ints("float32", [3, 4, 5], -3, 3)],
            { axis, keepdims, select_last_index: last },
            { opset: 13 },
          ),
        ),
      ),
    ),
    one("default axis", op, [floats([2, 330], 3)], {}, { opset: 13 }),
    one("wide", op, [floats([2, 330], 3)], { axis: 1n }, { opset: 13 }),
    one("int32", op, [ints("int32", [3, 7], -9, 9)], { axis: 1n }, { opset: 13 }),
    one("uint8", op, [ints("uint8", [3, 7], 0, 9)], { axis: 1n }, { opset: 13 }),
  ]),
  ...[0n, 1n].flatMap((largest) =>
    [-1n, 0n, 1n].map((axis) =>
      one(
        `${axis} ${largest}`,
        "TopK",
        [floats([3, 4, 5], 5), constant(i64(2))],
        { axis, largest },
        { outputs: ["v", "i"] },
      ),
    ),
  ),
  one("equal values", "TopK", [ints("float32", [3, 8], 0, 2), constant(i64(5))], {}, { outputs: ["v", "i"] }),
  one("int64", "TopK", [ints("int64", [3, 8], -9, 9), constant(i64(3))], {}, { outputs: ["v", "i"] }),
  one("values only", "TopK", [floats([3, 8], 2), constant(i64(3))], { sorted: 1n }, { outputs: ["v", ""] }),
  one("k as an attribute", "TopK", [floats([3, 8], 2)], { k: 3n }, { opset: 7, outputs: ["v", "i"] }),
  ...[-1n, 0n, 1n].flatMap((axis) => [one(`${axis}`, "Hardmax", [floats([3, 4, 5], 5)], { axis }, { opset: 13 })]),
  one("old", "Hardmax", [floats([3, 4, 5], 5)], {}, { opset: 11 }),
  ...[
    [0n, 0n],
    [1n, 0n],
    [0n, 1n],
    [1n, 1n],
  ].flatMap(([exclusive = 0n, reverse = 0n]) =>
    [0, 1].map((axis) =>
      one(`${axis} ${exclusive} ${reverse}`, "CumSum", [floats([3, 5], 5), constant(scalar("int32", axis))], {
        exclusive,
        reverse,
      }),
    ),
  ),
  one("int32", "CumSum", [ints("int32", [7], -4, 4), constant(scalar("int64", 0))]),
  one("wide", "CumSum", [floats([2, 330], 5, 0, 1), constant(scalar("int32", -1))]),
];

const softmaxes: readonly OpCase[] = ["Softmax", "LogSoftmax"].flatMap((op) => [
  ...[-1n, 0n, 1n].map((axis) => one(`${axis}`, op, [floats([3, 4, 5], 9)], { axis }, { opset: 13 })),
  one("default", op, [floats([3, 4, 5], 9)], {}, { opset: 13 }),
  one("old default", op, [floats([3, 4, 5], 9)], {}, { opset: 11 }),
  one("old axis 2", op, [floats([3, 4, 5], 9)], { axis: 2n }, { opset: 11 }),
  one("old axis 0", op, [floats([3, 4, 5], 9)], { axis: 0n }, { opset: 7 }),
  one("large numbers", op, [listed("float32", [2, 4], [0, 1, 2, 3, 10000, 10001, 10002, 10003])], {}, { opset: 13 }),
  one("wide", op, [floats([3, 700], 9)], {}, { opset: 13 }),
  one(
    "masked",
    op,
    [listed("float32", [1, 4], [0, Number.NEGATIVE_INFINITY, 2, Number.NEGATIVE_INFINITY])],
    {},
    { opset: 13 },
  ),
  one("float16", op, [floats([3, 7], 9, -2, 2, "float16")], {}, { opset: 13 }),
]);

export const numericCases: readonly OpCase[] = [
  ...arithmetic,
  ...comparisons,
  ...booleans,
  ...unaries,
  ...extremes,
  ...sums,
  ...powers,
  ...moduli,
  ...clips,
  ...reductions,
  ...integerReductions,
  ...ranks,
  ...softmaxes,
  ...productCases,
  chain("a value used twice", [
    { op: "MatMul", inputs: [floats([3, 4], 1), constant(floats([4, 4], 2))], outputs: ["a"] },
    { op: "Add", inputs: ["a", "a"], outputs: ["b"] },
    { op: "Mul", inputs: ["b", "a"] },
  ]),
];
