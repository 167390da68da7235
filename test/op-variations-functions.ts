// Cases of operators that are written out as others at import, in their forms.

import { one } from "./op-case.ts";
import { constant, floats, i64, ints, listed, type OpCase } from "./op-models.ts";

const losses: readonly OpCase[] = ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"].flatMap((op) =>
  ["none", "sum", "mean"].flatMap((reduction) => {
    const [x, labels, weights] = [floats([3, 5], 1, -3, 0), ints("int64", [3], 0, 4), floats([5], 3, 0.1, 2)];
    const [deep, targets] = [floats([2, 3, 4], 2, -3, 0), ints("int64", [2, 4], 0, 2)];
    return [
      one(reduction, op, [x, labels], { reduction }),
      one(`${reduction} weighted`, op, [x, labels, weights], { reduction }),
      one(`${reduction} deep, some ignored`, op, [deep, targets], { reduction, ignore_index: 1n }),
      one(`${reduction} deep, weighted`, op, [deep, targets, floats([3], 3, 0.1, 2)], { reduction, ignore_index: 0n }),
    ];
  }),
);

const logProbabilities: readonly OpCase[] = [
  one(
    "with log_prob",
    "SoftmaxCrossEntropyLoss",
    [floats([3, 5], 1), ints("int64", [3], 0, 4)],
    {},
    {
      outputs: ["loss", "logs"],
    },
  ),
];

const norms: readonly OpCase[] = [
  one("default", "MeanVarianceNormalization", [floats([2, 3, 4, 5])]),
  one("axes", "MeanVarianceNormalization", [floats([2, 3, 4])], { axes: [1n, 2n] }),
  one("odd", "LRN", [floats([2, 5, 3, 3])], { size: 3n }),
  one("wide", "LRN", [floats([1, 5, 3, 3])], { size: 5n, alpha: 0.3, beta: 0.5, bias: 1.5 }),
];

const flags = (...numbers: number[]) => constant(listed("bool", [numbers.length], numbers));

const rearranging: readonly OpCase[] = [
  one("rows", "Compress", [floats([3, 2]), flags(0, 1, 1)], { axis: 0n }),
  one("columns", "Compress", [ints("int64", [3, 2], -9, 9), flags(0, 1)], { axis: -1n }),
  one("elements", "Compress", [floats([3, 2]), flags(0, 1, 0, 0, 1)]),
  one("crop and pad", "CenterCropPad", [floats([5, 4, 3]), constant(i64(2, 7, 3))], {}),
  one("axes", "CenterCropPad", [floats([5, 4, 3]), constant(i64(6, 2))], { axes: [0n, -1n] }),
  one("time first", "ReverseSequence", [floats([4, 3, 2]), i64(4, 1, 2)], { time_axis: 0n, batch_axis: 1n }),
  one("batch first", "ReverseSequence", [floats([2, 4]), constant(i64(3, 4))], { time_axis: 1n, batch_axis: 0n }),
];

/** Gathering by comparing places. */
const choosing: readonly OpCase[] = [
  one("one of each row", "GatherElements", [floats([6, 9]), ints("int64", [6, 1], -9, 8)], { axis: 1n }),
  one("fewer rows", "GatherElements", [ints("int32", [6, 9], -99, 99), ints("int64", [4, 3], 0, 5)], { axis: 0n }),
  one("middle", "GatherElements", [floats([2, 300, 3]), ints("int64", [2, 2, 3], 0, 299)], { axis: 1n }),
  one("list", "Gather", [floats([7]), ints("int64", [3, 4], -7, 6)]),
  one("list of int64", "Gather", [ints("int64", [7], -99, 99), ints("int32", [5], 0, 6)]),
];

const unaries: readonly OpCase[] = (
  [
    ["Tan", -40, 40],
    ["Asin", -1, 1],
    ["Acos", -1, 1],
    ["Atan", -30, 30],
    ["Sinh", -60, 60],
    ["Cosh", -60, 60],
    ["Asinh", -50, 50],
    ["Acosh", 1, 50],
    ["Atanh", -1, 1],
  ] as const
).flatMap(([op, low, high]) => {
  const edges = [Number.NaN, Infinity, -Infinity, 0, low, high, 1e-6, -1e-6, 0.3, 1.5, -1.5, 1e-3, 88.9];
  const usual = op === "Tan" ? edges.filter((x) => Math.abs(x) < 80) : edges;
  const small = [Math.max(low, -1), Math.min(high, Math.max(1, low + 0.1))] as const;
  return [
    one("many", op, [floats([3, 4, 25], 1, low, high)], {}, { opset: 22 }),
    one("small", op, [floats([40], 2, ...small)], {}, { opset: 22 }),
    one("edges", op, [listed("float32", [usual.length], usual)], {}, { opset: 22 }),
  ];
});

const recurrences: readonly OpCase[] = (
  [
    ["RNN", 1],
    ["GRU", 3],
    ["LSTM", 4],
  ] as const
).flatMap(([op, gates]) =>
  (["forward", "reverse", "bidirectional"] as const).flatMap((direction) => {
    const [length, batch, width, hidden] = [3, 2, 4, 5];
    const directions = direction === "bidirectional" ? 2 : 1;
    const weights = [
      floats([length, batch, width], 1),
      constant(floats([directions, gates * hidden, width], 2, -0.5, 0.5)),
      constant(floats([directions, gates * hidden, hidden], 3, -0.5, 0.5)),
    ];
    const bias = constant(floats([directions, 2 * gates * hidden], 4, -0.5, 0.5));
    const start = floats([directions, batch, hidden], 5);
    const outputs = op === "LSTM" ? ["y", "h", "c"] : ["y", "h"];
    const attrs = { hidden_size: BigInt(hidden), direction };
    const more = op === "LSTM" ? [start, constant(floats([directions, 3 * hidden], 6))] : [];
    return [
      one(direction, op, weights, attrs, { outputs }),
      one(`${direction} whole`, op, [...weights, bias, null, start, ...more], attrs, { outputs }),
      ...(op === "GRU"
        ? [one(`${direction} reset after`, op, [...weights, bias], { ...attrs, linear_before_reset: 1n }, { outputs })]
        : []),
    ];
  }),
);

const resized = floats([1, 2, 4, 5], 1);
const factors = (...numbers: number[]) => constant(listed("float32", [numbers.length], numbers));
const resizes: readonly OpCase[] = [
  ...["nearest", "linear", "cubic"].flatMap((mode) =>
    ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"].flatMap((transformation) => {
      const attrs = { mode, coordinate_transformation_mode: transformation };
      return [
        one(`${mode} ${transformation} up`, "Resize", [resized, null, factors(1, 1, 2, 3)], attrs),
        one(`${mode} ${transformation} to sizes`, "Resize", [resized, null, null, constant(i64(1, 2, 3, 7))], attrs),
      ];
    }),
  ),
  ...["floor", "ceil", "round_prefer_ceil"].map((nearest_mode) =>
    one(nearest_mode, "Resize", [resized, null, factors(1, 1, 1.5, 0.6)], { nearest_mode }),
  ),
  one("outside excluded", "Resize", [resized, null, factors(1, 1, 2, 2)], { mode: "cubic", exclude_outside: 1n }),
  one("antialias", "Resize", [resized, null, factors(1, 1, 0.5, 0.6)], { mode: "linear", antialias: 1n }),
  one("opset 10", "Resize", [resized, factors(1, 1, 2, 2)], { mode: "nearest" }, { opset: 10 }),
  one("opset 9", "Upsample", [resized, factors(1, 1, 2, 3)], { mode: "linear" }, { opset: 9 }),
  one(
    "opset 7",
    "Upsample",
    [resized],
    { mode: "nearest", scales: [1.5, 1.5, 2.5, 3.5].map(Math.floor) },
    { opset: 7 },
  ),
];

const image = floats([1, 4, 5, 6], 1);
const transposed: readonly OpCase[] = [
  one("plain", "ConvTranspose", [image, constant(floats([4, 3, 3, 2], 2))]),
  one("strides and pads", "ConvTranspose", [image, constant(floats([4, 3, 3, 3], 2)), constant(floats([3], 3))], {
    strides: [2n, 3n],
    pads: [1n, 0n, 2n, 1n],
    output_padding: [1n, 0n],
  }),
  one("groups, dilated", "ConvTranspose", [image, constant(floats([4, 2, 2, 3], 2))], {
    group: 2n,
    dilations: [2n, 1n],
  }),
  one("given shape", "ConvTranspose", [image, constant(floats([4, 1, 3, 3], 2))], {
    strides: [2n, 2n],
    output_shape: [10n, 12n],
    auto_pad: "SAME_UPPER",
  }),
  one("one dimension", "ConvTranspose", [floats([2, 3, 7]), constant(floats([3, 2, 4], 2))], { strides: [2n] }),
  one("weights at run time", "ConvTranspose", [floats([1, 2, 5]), floats([2, 2, 3], 2)], { strides: [3n] }),
  one("squares", "LpPool", [image], { kernel_shape: [2n, 3n], strides: [2n, 1n], p: 2n }),
  one("cubes", "LpPool", [image], { kernel_shape: [2n, 2n], pads: [1n, 0n, 0n, 1n], p: 3n }, { opset: 18 }),
];

const equations: readonly OpCase[] = (
  [
    ["ii", [[4, 4]]],
    ["bii->bi", [[2, 4, 4]]],
    ["...ii->...i", [[2, 3, 4, 4]]],
    [
      "iji,ij->j",
      [
        [3, 2, 3],
        [3, 2],
      ],
    ],
    ["iiai->ai", [[3, 3, 2, 3]]],
  ] as const
).map(([equation, shapes]) =>
  one(
    equation,
    "Einsum",
    shapes.map((shape, i) => floats(shape, i + 1)),
    { equation },
  ),
);

const samples = floats([2, 12, 1], 1);
const complex = floats([2, 9, 2], 2);
const count = (number: number) => constant(listed("int64", [], [number]));
const signals: readonly OpCase[] = [
  one("real", "DFT", [samples, null, count(1)], {}, { opset: 20, toScale: true }),
  one("real, one side", "DFT", [samples, null, count(1)], { onesided: 1n }, { opset: 20, toScale: true }),
  one("complex, longer", "DFT", [complex, count(11), count(1)], {}, { opset: 20, toScale: true }),
  one("complex, shorter", "DFT", [complex, count(6), count(-2)], {}, { opset: 20, toScale: true }),
  one("inverse", "DFT", [complex, null, count(1)], { inverse: 1n }, { opset: 20, toScale: true }),
  one("axis by attribute", "DFT", [floats([3, 4, 2], 1)], { axis: 0n }, { opset: 17, toScale: true }),
  one(
    "one side, window",
    "STFT",
    [floats([2, 40, 1], 1), count(5), constant(floats([10], 2, 0, 1))],
    {},
    { opset: 17, toScale: true },
  ),
  one("both sides", "STFT", [floats([1, 33, 1], 1), count(8), null, count(7)], { onesided: 0n }, { toScale: true }),
  ...["HannWindow", "HammingWindow", "BlackmanWindow"].flatMap((op) => [
    one("periodic", op, [count(9)], {}, { toScale: true }),
    one("symmetric", op, [count(10)], { periodic: 0n }, { toScale: true }),
  ]),
];

export const functionCases: readonly OpCase[] = [
  ...signals,
  ...equations,
  ...unaries,
  ...recurrences,
  ...resizes,
  ...transposed,
  ...losses,
  ...logProbabilities,
  ...norms,
  ...rearranging,
  ...choosing,
];
