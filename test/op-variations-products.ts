import { type Attrs, one, positive } from "./op-case.ts";
import { constant, floats, ints, type OpCase } from "./op-models.ts";

const products: readonly OpCase[] = [
  ...(
    [
      [
        [3, 4],
        [4, 3],
      ],
      [
        [2, 3, 4],
        [2, 4, 3],
      ],
      [
        [1, 2, 3, 4],
        [1, 2, 4, 3],
      ],
      [[3], [3]],
      [[4], [4, 2]],
      [[4], [3, 4, 1]],
      [
        [3, 1, 3, 4],
        [4, 2],
      ],
      [[2, 4], [4]],
      [
        [3, 2, 5, 4],
        [2, 4, 3],
      ],
      [
        [5, 1, 2, 3],
        [1, 4, 3, 2],
      ],
      [
        [3, 330],
        [330, 7],
      ],
      [
        [330, 3],
        [3, 330],
      ],
      [
        [1, 90],
        [90, 650],
      ],
    ] as const
  ).flatMap(([a, b]) => [
    one(`${a.join("x")} ${b.join("x")}`, "MatMul", [floats(a, 1), floats(b, 2)], {}, { toScale: true }),
    one(
      `${a.join("x")} ${b.join("x")} weight`,
      "MatMul",
      [floats(a, 1), constant(floats(b, 2))],
      {},
      { toScale: true },
    ),
  ]),
  one("constant first", "MatMul", [constant(floats([3, 4], 1)), floats([4, 5], 2)], {}, { toScale: true }),
  one(
    "float16",
    "MatMul",
    [floats([3, 4], 1, -2, 2, "float16"), floats([4, 5], 2, -2, 2, "float16")],
    {},
    { toScale: true },
  ),
  one("int32", "MatMul", [ints("int32", [3, 4], -9, 9, 1), ints("int32", [4, 5], -9, 9, 2)]),
  ...[
    {},
    { alpha: 0.5 },
    { beta: 0.5 },
    { transA: 1n },
    { transB: 1n },
    { transA: 1n, transB: 1n, alpha: 0.25, beta: 0.35 },
    { beta: 0 },
  ].flatMap((attrs: Attrs) => {
    const a = attrs.transA === undefined ? [3, 5] : [5, 3];
    const b = attrs.transB === undefined ? [5, 4] : [4, 5];
    const label = JSON.stringify(attrs, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v));
    return [[4], [1, 4], [3, 4], [3, 1], [1], []].map((c) =>
      one(`${label} ${c.join("x")}`, "Gemm", [floats(a, 1), floats(b, 2), floats(c, 3)], attrs, {
        toScale: true,
        opset: 13,
      }),
    );
  }),
  one("no bias", "Gemm", [floats([2, 10], 1), floats([10, 3], 2)], {}, { toScale: true, opset: 13 }),
  one(
    "old",
    "Gemm",
    [floats([2, 10], 1), constant(floats([10, 3], 2)), constant(floats([3], 3))],
    {},
    { toScale: true, opset: 7 },
  ),
  ...[
    ["...ii ->...i", [[5, 5]]],
    [
      "bij, bjk -> bik",
      [
        [5, 2, 3],
        [5, 3, 4],
      ],
    ],
    ["ij->i", [[3, 4]]],
    ["ij->ji", [[3, 4]]],
    ["i,i", [[5], [5]]],
    ["i,j->ij", [[3], [4]]],
    [
      "bhid,bhjd->bhij",
      [
        [2, 3, 4, 5],
        [2, 3, 6, 5],
      ],
    ],
    [
      "bhij,bhjd->bihd",
      [
        [2, 3, 4, 6],
        [2, 3, 6, 5],
      ],
    ],
    ["abc,cd,d->ab", [[2, 3, 4], [4, 5], [5]]],
    [
      "bld,hdk->blhk",
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
    ],
  ].map(([equation, shapes]) =>
    one(
      `${equation}`,
      "Einsum",
      (shapes as number[][]).map((shape, i) => floats(shape, i + 1)),
      { equation: equation as string },
      { toScale: true },
    ),
  ),
];

const convolutions: readonly OpCase[] = [
  one(
    "basic",
    "Conv",
    [floats([1, 1, 5, 5], 1), floats([1, 1, 3, 3], 2)],
    { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] },
    { toScale: true },
  ),
  one("no padding", "Conv", [floats([1, 1, 5, 5], 1), floats([1, 1, 3, 3], 2)], {}, { toScale: true }),
  one("strides", "Conv", [floats([1, 1, 7, 5], 1), floats([1, 1, 3, 3], 2)], { strides: [2n, 2n] }, { toScale: true }),
  one(
    "same upper",
    "Conv",
    [floats([1, 1, 5, 5], 1), floats([1, 1, 3, 3], 2)],
    { auto_pad: "SAME_UPPER", strides: [2n, 2n] },
    { toScale: true },
  ),
  one(
    "same lower",
    "Conv",
    [floats([1, 1, 5, 5], 1), floats([1, 1, 3, 3], 2)],
    { auto_pad: "SAME_LOWER", strides: [2n, 2n] },
    { toScale: true },
  ),
  one(
    "dilated, bias",
    "Conv",
    [floats([2, 3, 9, 8], 1), constant(floats([4, 3, 3, 2], 2)), constant(floats([4], 3))],
    { dilations: [2n, 3n] },
    { toScale: true },
  ),
  one("groups", "Conv", [floats([1, 4, 6, 6], 1), constant(floats([6, 2, 3, 3], 2))], { group: 2n }, { toScale: true }),
  one(
    "depthwise",
    "Conv",
    [floats([1, 4, 6, 6], 1), constant(floats([4, 1, 3, 3], 2))],
    { group: 4n, pads: [1n, 1n, 1n, 1n] },
    { toScale: true },
  ),
  one(
    "1d",
    "Conv",
    [floats([2, 3, 11], 1), constant(floats([4, 3, 3], 2)), constant(floats([4], 3))],
    { pads: [1n, 1n], strides: [2n] },
    { toScale: true },
  ),
  one(
    "patches",
    "Conv",
    [floats([1, 3, 8, 8], 1), constant(floats([10, 3, 4, 4], 2))],
    { strides: [4n, 4n] },
    { toScale: true },
  ),
  one("3d", "Conv", [floats([1, 2, 4, 4, 4], 1), constant(floats([3, 2, 2, 2, 2], 2))], {}, { toScale: true }),
  one("no zero points", "ConvInteger", [ints("uint8", [1, 1, 3, 3], 0, 9, 1), ints("uint8", [1, 1, 2, 2], 0, 3, 2)]),
];

const pools: readonly OpCase[] = ["MaxPool", "AveragePool"].flatMap((op) => [
  one("1d", op, [floats([1, 3, 32], 1)], { kernel_shape: [2n] }),
  one("2d", op, [floats([1, 3, 12, 12], 1)], { kernel_shape: [2n, 2n] }),
  one("pads", op, [floats([1, 2, 8, 8], 1)], { kernel_shape: [3n, 3n], pads: [2n, 2n, 2n, 2n] }),
  one("same upper", op, [floats([1, 2, 9, 9], 1)], { kernel_shape: [2n, 2n], auto_pad: "SAME_UPPER" }),
  one("same lower", op, [floats([1, 2, 9, 9], 1)], { kernel_shape: [2n, 2n], auto_pad: "SAME_LOWER" }),
  one("strides", op, [floats([1, 2, 12, 12], 1)], { kernel_shape: [5n, 5n], strides: [3n, 3n] }),
  one("ceil", op, [floats([1, 1, 4, 4], 1)], { kernel_shape: [3n, 3n], strides: [2n, 2n], ceil_mode: 1n }),
  one("3d", op, [floats([1, 2, 6, 6, 6], 1)], { kernel_shape: [2n, 2n, 2n] }),
  one("dilations", op, [floats([1, 1, 6, 6], 1)], { kernel_shape: [2n, 2n], dilations: [2n, 2n] }),
]);

const morePools: readonly OpCase[] = [
  one("pads counted", "AveragePool", [floats([1, 2, 8, 8], 1)], {
    kernel_shape: [3n, 3n],
    pads: [2n, 2n, 2n, 2n],
    count_include_pad: 1n,
  }),
  one(
    "indices",
    "MaxPool",
    [floats([1, 2, 5, 5], 1)],
    { kernel_shape: [5n, 5n], pads: [2n, 2n, 2n, 2n] },
    { outputs: ["y", "i"] },
  ),
  one(
    "indices, columns first",
    "MaxPool",
    [floats([1, 1, 5, 5], 1)],
    { kernel_shape: [2n, 2n], strides: [2n, 2n], storage_order: 1n },
    { outputs: ["y", "i"] },
  ),
  one("uint8", "MaxPool", [ints("uint8", [1, 1, 5, 5], 0, 99)], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
  one("2d", "GlobalAveragePool", [floats([1, 3, 5, 5], 1)]),
  one("1d", "GlobalMaxPool", [floats([2, 3, 7], 1)]),
];

const norms: readonly OpCase[] = [
  ...[0n, 1n, 2n, 3n, -1n, -2n, -3n, -4n].flatMap((axis) => {
    const shape = [2, 3, 4, 5].slice(Number(axis < 0n ? axis + 4n : axis));
    return [
      one(
        `4d ${axis}`,
        "LayerNormalization",
        [floats([2, 3, 4, 5], 1), floats(shape, 2), floats(shape, 3)],
        { axis },
        { opset: 17, toScale: true },
      ),
      one(
        `4d ${axis}`,
        "RMSNormalization",
        [floats([2, 3, 4, 5], 1), floats(shape, 2)],
        { axis },
        { opset: 23, toScale: true },
      ),
    ];
  }),
  one(
    "mean and deviation",
    "LayerNormalization",
    [floats([3, 7], 1), floats([7], 2), floats([7], 3)],
    {},
    { opset: 17, outputs: ["y", "mean", "inverse"] },
  ),
  one("no bias, epsilon", "LayerNormalization", [floats([3, 7], 1), floats([7], 2)], { epsilon: 0.1 }, { opset: 17 }),
  one(
    "wide",
    "LayerNormalization",
    [floats([3, 700], 1), constant(floats([700], 2)), constant(floats([700], 3))],
    {},
    { opset: 17, toScale: true },
  ),
  one(
    "default",
    "BatchNormalization",
    [floats([2, 3, 4, 5], 1), floats([3], 2), floats([3], 3), floats([3], 4), positive([3], 5)],
    {},
    { opset: 15, toScale: true },
  ),
  one(
    "epsilon",
    "BatchNormalization",
    [floats([2, 3, 4], 1), floats([3], 2), floats([3], 3), floats([3], 4), positive([3], 5)],
    { epsilon: 0.01 },
    { opset: 9, toScale: true },
  ),
  one(
    "2d",
    "InstanceNormalization",
    [floats([2, 3, 4, 5], 1), floats([3], 2), floats([3], 3)],
    { epsilon: 0.01 },
    { toScale: true },
  ),
  one(
    "2 groups",
    "GroupNormalization",
    [floats([3, 4, 2, 2], 1), floats([4], 2), floats([4], 3)],
    { num_groups: 2n },
    { opset: 21, toScale: true },
  ),
  one(
    "epsilon",
    "GroupNormalization",
    [floats([3, 4, 2, 2], 1), floats([4], 2), floats([4], 3)],
    { num_groups: 2n, epsilon: 0.01 },
    { opset: 21, toScale: true },
  ),
  ...[0n, 1n, -1n].flatMap((axis) =>
    [1n, 2n].map((p) => one(`${axis} ${p}`, "LpNormalization", [floats([2, 3, 4], 1)], { axis, p })),
  ),
  one("2d", "MeanVarianceNormalization", [floats([2, 3, 4, 5], 1)], {}, { opset: 13, toScale: true }),
];

export const productCases: readonly OpCase[] = [...products, ...convolutions, ...pools, ...morePools, ...norms];
