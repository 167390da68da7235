// Cases of operators that move, choose, cast or quantise: forms that the backend suite gives them and beyond.
import type { DType } from "../ir/dtype.ts";
import { chain, one } from "./op-case.ts";
import { constant, floats, i64, ints, listed, type NodeSpec, type OpCase, scalar } from "./op-models.ts";

const x345 = floats([3, 4, 5], 1);

const views: readonly OpCase[] = [
  ...[
    [
      [0, 1, 2],
      [4, 2, 3],
    ],
    [[], [2, 12]],
    [[], [-1, 2]],
    [[], [2, -1, 1, 1]],
    [[], [0, 3, -1]],
    [[], [24]],
  ].map(([, shape = []]) => one(shape.join(), "Reshape", [floats([2, 3, 4], 1), constant(i64(...shape))])),
  one("zero allowed", "Reshape", [floats([0, 3, 4], 1), constant(i64(3, 4, 0))], { allowzero: 1n }),
  one("to a scalar", "Reshape", [floats([1, 1], 1), constant(i64())]),
  ...[
    [0n, 1n, 2n],
    [0n, 2n, 1n],
    [1n, 0n, 2n],
    [1n, 2n, 0n],
    [2n, 0n, 1n],
    [2n, 1n, 0n],
  ].map((perm) => one(perm.join(), "Transpose", [x345], { perm })),
  one("default", "Transpose", [x345]),
  one("4d", "Transpose", [floats([2, 3, 4, 5], 1)], { perm: [0n, 2n, 1n, 3n] }),
  one("int64", "Transpose", [ints("int64", [3, 4], -9, 9)]),
  one("uint8", "Transpose", [ints("uint8", [3, 4], 0, 9)]),
  ...[0n, 1n, 2n, 3n, -1n, -3n].map((axis) => one(`${axis}`, "Flatten", [floats([2, 3, 4], 1)], { axis })),
  one("axes", "Squeeze", [floats([1, 3, 1, 5], 1), constant(i64(0))]),
  one("negative", "Squeeze", [floats([1, 3, 1, 5], 1), constant(i64(-2))]),
  one("all", "Squeeze", [floats([1, 3, 1, 5], 1)]),
  one("attribute", "Squeeze", [floats([1, 3, 1, 5], 1)], { axes: [0n, 2n] }, { opset: 11 }),
  one("three axes", "Unsqueeze", [floats([3, 4], 1), constant(i64(2, 4, 1))]),
  one("negative", "Unsqueeze", [floats([3, 4], 1), constant(i64(-2))]),
  one("attribute", "Unsqueeze", [floats([3, 4], 1)], { axes: [0n, 3n] }, { opset: 11 }),
  one("spread", "Expand", [floats([3, 1], 1), constant(i64(2, 1, 6))]),
  one("own dims kept", "Expand", [floats([3, 1], 1), constant(i64(3, 4))]),
  one("lower rank", "Expand", [floats([2, 3, 1], 1), constant(i64(4))]),
  one("2d", "Tile", [floats([2, 3], 1), constant(i64(2, 2))]),
  one("4d", "Tile", [floats([2, 3, 1, 2], 1), constant(i64(1, 2, 3, 2))]),
  ...["DCR", "CRD"].map((mode) => one(mode, "DepthToSpace", [floats([1, 8, 2, 3], 1)], { blocksize: 2n, mode })),
  one("2", "SpaceToDepth", [floats([1, 2, 4, 6], 1)], { blocksize: 2n }),
  one("float", "Identity", [floats([2, 3], 1)]),
  one("shape", "Shape", [x345]),
  ...[
    [1n, undefined],
    [-1n, undefined],
    [0n, -1n],
    [1n, 2n],
    [-10n, 10n],
    [2n, 1n],
  ].map(([start = 0n, end]) =>
    one(`${start} ${end}`, "Shape", [x345], { start, ...(end === undefined ? {} : { end }) }),
  ),
  one("size", "Size", [x345]),
];

const joins: readonly OpCase[] = [
  ...[0n, 1n, 2n, -1n, -2n, -3n].map((axis) =>
    one(`${axis}`, "Concat", [floats([2, 3, 4], 1), floats([2, 3, 4], 2)], { axis }),
  ),
  one("odd sizes", "Concat", [floats([2, 3], 1), floats([2, 330], 2), floats([2, 1], 3)], { axis: 1n }),
  one("one", "Concat", [floats([2, 3], 1)], { axis: 0n }),
  one("with a constant", "Concat", [floats([2, 3], 1), constant(floats([2, 3], 2))], { axis: 0n }),
  one("empty", "Concat", [floats([2, 0], 1), floats([2, 3], 2)], { axis: 1n }),
  one("int64", "Concat", [ints("int64", [2], -5, 5), ints("int64", [3], -5, 5)], { axis: 0n }),
  one("equal, 1d", "Split", [floats([6], 1)], { num_outputs: 3n }, { opset: 18, outputs: ["a", "b", "c"] }),
  one("uneven", "Split", [floats([7], 1)], { num_outputs: 4n }, { opset: 18, outputs: ["a", "b", "c", "d"] }),
  one(
    "uneven 2d",
    "Split",
    [floats([2, 8], 1)],
    { num_outputs: 3n, axis: 1n },
    { opset: 18, outputs: ["a", "b", "c"] },
  ),
  one("sizes", "Split", [floats([2, 6], 1), constant(i64(2, 4))], { axis: 1n }, { opset: 13, outputs: ["a", "b"] }),
  one("empty parts", "Split", [floats([0], 1), constant(i64(0, 0))], {}, { opset: 13, outputs: ["a", "b"] }),
  one("attribute", "Split", [floats([2, 6], 1)], { axis: 1n, split: [2n, 4n] }, { opset: 11, outputs: ["a", "b"] }),
  one("equal, old", "Split", [floats([2, 6], 1)], { axis: 1n }, { opset: 11, outputs: ["a", "b"] }),
];

const slices: readonly OpCase[] = [
  one("all inputs", "Slice", [floats([20, 10, 5], 1), i64(0, 0), i64(3, 10), i64(0, 1), i64(1, 1)]),
  one("default steps", "Slice", [floats([20, 10, 5], 1), i64(0, 0, 3), i64(20, 10, 4), i64(0, 1, 2)]),
  one("end beyond", "Slice", [floats([20, 10, 5], 1), i64(1), i64(1000), i64(1), i64(1)]),
  one("negative end", "Slice", [floats([20, 10, 5], 1), i64(0), i64(-1), i64(1), i64(1)]),
  one("negative steps", "Slice", [floats([20, 10, 5], 1), i64(20, 10, 4), i64(0, 0, 1), i64(0, 1, 2), i64(-1, -3, -2)]),
  one("start beyond", "Slice", [floats([20, 10, 5], 1), i64(1000), i64(1000), i64(1), i64(1)]),
  one("step 2", "Slice", [floats([3, 11], 1), constant(i64(1)), constant(i64(9)), constant(i64(1)), constant(i64(2))]),
  one("reversed lanes", "Slice", [
    floats([2, 9], 1),
    constant(i64(-1)),
    constant(i64(-100)),
    constant(i64(1)),
    constant(i64(-1)),
  ]),
  one("attributes", "Slice", [floats([3, 11], 1)], { starts: [1n, 0n], ends: [3n, -2n], axes: [0n, 1n] }, { opset: 9 }),
  one("across lanes", "Slice", [floats([2, 700], 1), constant(i64(300)), constant(i64(650)), constant(i64(1))]),
];

const pads: readonly OpCase[] = [
  one(
    "constant",
    "Pad",
    [floats([1, 3, 4, 5], 1), constant(i64(0, 0, 1, 3, 0, 0, 2, 4)), constant(scalar("float32", 1.2))],
    { mode: "constant" },
  ),
  ...["edge", "reflect", "wrap"].map((mode) =>
    one(mode, "Pad", [floats([1, 3, 4, 5], 1), constant(i64(0, 0, 1, 1, 0, 0, 1, 1))], { mode }, { opset: 19 }),
  ),
  one(
    "axes",
    "Pad",
    [floats([1, 3, 4, 5], 1), constant(i64(0, 3, 0, 4)), constant(scalar("float32", 1.2)), constant(i64(1, 3))],
    { mode: "constant" },
  ),
  one(
    "negative axes",
    "Pad",
    [floats([1, 3, 4, 5], 1), constant(i64(0, 3, 0, 4)), constant(scalar("float32", 1.2)), constant(i64(-3, -1))],
    {},
  ),
  one("cut", "Pad", [floats([4, 5], 1), constant(i64(-1, 2, 1, -2))], {}),
  one("attribute", "Pad", [floats([4, 5], 1)], { pads: [1n, 0n, 0n, 2n], value: 0.5 }, { opset: 7 }),
  one("int64", "Pad", [ints("int64", [3], -5, 5), constant(i64(1, 2)), constant(scalar("int64", 7))], {}),
];

const indices: readonly OpCase[] = [
  ...[0n, 1n, -1n].map((axis) => one(`${axis}`, "Gather", [floats([5, 4, 3], 1), i64(0, 1, 2)], { axis })),
  one("2d indices", "Gather", [floats([3, 3], 1), listed("int64", [1, 2], [0, 2])], { axis: 1n }),
  one("negative", "Gather", [floats([10], 1), i64(0, -9, -10)], { axis: 0n }),
  one("int32 indices", "Gather", [floats([10, 7], 1), ints("int32", [2, 3], 0, 9)]),
  one("scalar index", "Gather", [floats([10, 7], 1), scalar("int64", 3)]),
  one("constant indices", "Gather", [floats([10, 7], 1), constant(i64(9, 0, 4, -1, 3))]),
  one("constant table", "Gather", [constant(floats([50, 7], 1)), ints("int64", [2, 3], 0, 49)]),
  one("int64 data", "Gather", [ints("int64", [10], -99, 99), i64(3, 0, 9)]),
  one("uint8 data", "Gather", [ints("uint8", [10, 3], 0, 99), i64(3, 0, 9)]),
  one("bool data", "Gather", [ints("bool", [10, 3], 0, 1), i64(3, 0, 9)]),
  ...[0n, 1n].map((axis) =>
    one(`${axis}`, "GatherElements", [floats([3, 4], 1), ints("int64", [3, 4], -3, 2)], { axis }),
  ),
  one("smaller", "GatherElements", [floats([3, 4, 5], 1), ints("int32", [2, 3, 5], 0, 2)], { axis: 0n }),
  one("pairs", "GatherND", [floats([2, 2, 3], 1), listed("int64", [2, 2], [0, 1, 1, 0])]),
  one("rows", "GatherND", [floats([2, 2, 3], 1), listed("int64", [2, 1], [1, 0])]),
  one("batch", "GatherND", [floats([2, 3, 4], 1), listed("int64", [2, 1], [1, 0])], { batch_dims: 1n }),
  one("negative", "GatherND", [floats([4, 3], 1), listed("int64", [2, 2], [-1, -2, 0, 1])]),
  ...[undefined, "add", "mul", "max", "min"].map((reduction) =>
    one(
      `${reduction}`,
      "ScatterND",
      [floats([4, 3, 2], 1), listed("int64", [3, 1], [0, 2, reduction === undefined ? 1 : 2]), floats([3, 3, 2], 2)],
      reduction === undefined ? {} : { reduction },
      { opset: 18 },
    ),
  ),
  ...[undefined, "add", "mul", "max", "min"].map((reduction) =>
    one(
      `${reduction}`,
      "ScatterElements",
      [floats([1, 5], 1), listed("int64", [1, 2], [1, reduction === undefined ? 3 : 1]), floats([1, 2], 2)],
      { axis: 1n, ...(reduction === undefined ? {} : { reduction }) },
      { opset: 18 },
    ),
  ),
  one(
    "negative",
    "ScatterElements",
    [floats([1, 5], 1), listed("int64", [1, 2], [1, -3]), floats([1, 2], 2)],
    { axis: 1n },
    { opset: 18 },
  ),
  one(
    "axis 0",
    "ScatterElements",
    [floats([4, 3], 1), listed("int64", [2, 3], [1, 0, 2, 0, 2, 1]), floats([2, 3], 2)],
    { axis: 0n },
    { opset: 18 },
  ),
  one(
    "old",
    "ScatterElements",
    [floats([4, 3], 1), listed("int64", [2, 3], [1, 0, 2, 0, 2, 1]), floats([2, 3], 2)],
    {},
    { opset: 11 },
  ),
  one(
    "elements",
    "ScatterND",
    [floats([8], 1), listed("int64", [4, 1], [4, 3, 1, 7]), floats([4], 2)],
    {},
    { opset: 11 },
  ),
  ...[0n, 1n, -1n, -2n].map((axis) =>
    one(
      `${axis}`,
      "OneHot",
      [ints("int64", [2, 3], -9, 9), constant(scalar("int64", 10)), constant(listed("float32", [2], [1, 3]))],
      { axis },
    ),
  ),
  one("int32", "OneHot", [
    ints("int32", [4], 0, 11),
    constant(scalar("int32", 12)),
    constant(listed("int32", [2], [0, 1])),
  ]),
  ...[0n, 1n].flatMap((upper) =>
    [undefined, 0, 1, -1, 2, -7, 7].map((k) =>
      one(
        `${upper} ${k}`,
        "Trilu",
        [floats([2, 4, 5], 1), ...(k === undefined ? [] : [constant(scalar("int64", k))])],
        { upper },
      ),
    ),
  ),
  one("run-time k", "Trilu", [floats([4, 5], 1), scalar("int64", 1)]),
  one("int64", "Trilu", [ints("int64", [4, 5], -9, 9), constant(scalar("int64", -1))], { upper: 0n }),
  one("ints", "Range", [constant(scalar("int32", 10)), constant(scalar("int32", 6)), constant(scalar("int32", -3))]),
  one("floats", "Range", [
    constant(scalar("float32", 1)),
    constant(scalar("float32", 5)),
    constant(scalar("float32", 2)),
  ]),
  one("ones", "ConstantOfShape", [constant(i64(4, 3, 2))], { value: listed("float32", [1], [1]) }),
  one("default", "ConstantOfShape", [constant(i64(4, 3))]),
  one("ints", "ConstantOfShape", [constant(i64(10, 6))], { value: listed("int32", [1], [5]) }),
];

/** From one type to another and, where the binding cannot pass it, back. */
function cast(from: DType, to: DType, number: number, back?: number): OpCase {
  const values = [0, 1, -1, 0.5, 1.75, -2.25, 100, 3.1, 0.0625, -60].map((x) =>
    from.startsWith("u") || from === "bool" ? Math.abs(x) : x,
  );
  const x = listed(
    from,
    [values.length],
    from.startsWith("f") ? values : values.map((v) => (from === "bool" ? Math.sign(v) : Math.trunc(v))),
  );
  const nodes: NodeSpec[] = [{ op: "Cast", inputs: [x], attrs: { to: BigInt(number) } }];
  if (back !== undefined) nodes.push({ op: "Cast", inputs: ["y0"], attrs: { to: BigInt(back) } });
  return chain(`Cast ${from} ${to}`, nodes);
}

const numbers: Readonly<Record<string, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  uint32: 12,
};

const casts: readonly OpCase[] = [
  ...Object.keys(numbers).flatMap((from) =>
    Object.entries(numbers).flatMap(([to, number]) => {
      const source = from as DType;
      // Negative numbers in unsigned types, and fractions beyond a type, are nobody's contract.
      if (from === to || (to.startsWith("u") && !from.startsWith("u") && from !== "bool")) return [];
      return [cast(source, to as DType, number)];
    }),
  ),
  cast("float32", "bfloat16", 16, 1),
  cast("float16", "bfloat16", 16, 1),
  cast("float32", "float8e4m3fn", 17, 1),
  cast("float32", "float8e4m3fnuz", 18, 1),
  cast("float32", "float8e5m2", 19, 1),
  cast("float32", "float8e5m2fnuz", 20, 1),
  chain("CastLike float16", [{ op: "CastLike", inputs: [floats([3, 4], 1), listed("float16", [1], [0])] }]),
  chain("CastLike int32", [{ op: "CastLike", inputs: [floats([3, 4], 1), listed("int32", [1], [0])] }]),
];

const scale = (dtype: DType = "float32") => constant(scalar(dtype, 0.05));

const quantised: readonly OpCase[] = [
  ...(["int8", "uint8", "int16", "uint16"] as const).flatMap((dtype) => {
    const zero = constant(scalar(dtype, dtype.startsWith("u") ? 100 : -3));
    return [
      one(`${dtype}`, "QuantizeLinear", [floats([3, 7], 1, -9, 9), scale(), zero]),
      one(`${dtype}`, "DequantizeLinear", [ints(dtype, [3, 7], dtype.startsWith("u") ? 0 : -99, 99), scale(), zero]),
    ];
  }),
  one("no zero point", "QuantizeLinear", [floats([3, 7], 1, 0, 9), scale()]),
  one("run-time scale", "QuantizeLinear", [floats([3, 7], 1, -9, 9), scalar("float32", 0.07), scalar("uint8", 128)]),
  one(
    "axis",
    "QuantizeLinear",
    [
      floats([2, 3, 4], 1, -9, 9),
      constant(listed("float32", [3], [0.1, 0.2, 0.05])),
      constant(listed("uint8", [3], [84, 24, 196])),
    ],
    { axis: 1n },
  ),
  one(
    "axis",
    "DequantizeLinear",
    [
      ints("uint8", [2, 3, 4], 0, 255),
      constant(listed("float32", [3], [0.1, 0.2, 0.05])),
      constant(listed("uint8", [3], [84, 24, 196])),
    ],
    { axis: 1n },
  ),
  one(
    "axis -1",
    "DequantizeLinear",
    [
      ints("int8", [2, 3], -99, 99),
      constant(listed("float32", [3], [0.1, 0.2, 0.05])),
      constant(listed("int8", [3], [8, -2, 0])),
    ],
    { axis: -1n },
  ),
  one(
    "blocks",
    "QuantizeLinear",
    [floats([3, 4], 1, -9, 9), constant(floats([3, 2], 2, 0.05, 0.2)), constant(ints("uint8", [3, 2], 90, 140))],
    { axis: 1n, block_size: 2n },
  ),
  one(
    "blocks",
    "DequantizeLinear",
    [ints("uint8", [3, 4], 0, 255), constant(floats([3, 2], 2, 0.05, 0.2)), constant(ints("uint8", [3, 2], 90, 140))],
    { axis: 1n, block_size: 2n },
  ),
  one("int32", "DequantizeLinear", [ints("int32", [3, 4], -999, 999), scale()]),
  one("uint8", "DynamicQuantizeLinear", [floats([3, 4], 1, -3, 5)], {}, { outputs: ["y", "s", "z"] }),
  one("positive", "DynamicQuantizeLinear", [floats([12], 1, 1, 5)], {}, { outputs: ["y", "s", "z"] }),
  one("negative", "DynamicQuantizeLinear", [floats([12], 1, -5, -1)], {}, { outputs: ["y", "s", "z"] }),
  one("uint8 uint8", "MatMulInteger", [
    ints("uint8", [4, 3], 0, 20),
    ints("uint8", [3, 2], 0, 20),
    constant(scalar("uint8", 12)),
    constant(scalar("uint8", 5)),
  ]),
  one("uint8 int8", "MatMulInteger", [
    ints("uint8", [4, 330], 0, 255),
    constant(ints("int8", [330, 5], -127, 127)),
    scalar("uint8", 128),
  ]),
  one("int8 int8", "MatMulInteger", [ints("int8", [2, 4, 90], -128, 127), constant(ints("int8", [90, 5], -128, 127))]),
  one("zero points of rows and columns", "MatMulInteger", [
    ints("uint8", [4, 3], 0, 20),
    ints("uint8", [3, 2], 0, 20),
    constant(scalar("uint8", 12)),
    constant(listed("uint8", [2], [5, 9])),
  ]),
  ...(["int8", "uint8"] as const).flatMap((dtype) =>
    [
      [2, 4],
      [2, 2, 4],
    ].map((shape) =>
      one(`${dtype} ${shape.length}d`, "QLinearMatMul", [
        ints(dtype, shape, lowest(dtype), 127, 1),
        constant(scalar("float32", 0.0066)),
        constant(scalar(dtype, 113)),
        constant(ints(dtype, [4, 3], lowest(dtype), 127, 2)),
        constant(scalar("float32", 0.00705)),
        constant(scalar(dtype, 114)),
        constant(scalar("float32", 0.0107)),
        constant(scalar(dtype, 118)),
      ]),
    ),
  ),
  one("uint8", "QLinearConv", [
    ints("uint8", [1, 1, 7, 7], 0, 255, 1),
    constant(scalar("float32", 0.00369)),
    constant(scalar("uint8", 132)),
    constant(ints("uint8", [1, 1, 1, 1], 0, 255, 2)),
    constant(listed("float32", [1], [0.00172])),
    constant(listed("uint8", [1], [255])),
    constant(scalar("float32", 0.00162)),
    constant(scalar("uint8", 123)),
  ]),
  chain("a quantised layer, QDQ", [
    { op: "QuantizeLinear", inputs: [floats([3, 40], 1, -6, 6), scale(), constant(scalar("int8", 0))], outputs: ["q"] },
    { op: "DequantizeLinear", inputs: ["q", scale(), constant(scalar("int8", 0))], outputs: ["a"] },
    {
      op: "DequantizeLinear",
      inputs: [
        constant(ints("int8", [40, 9], -127, 127)),
        constant(floats([9], 3, 0.01, 0.02)),
        constant(ints("int8", [9], 0, 0)),
      ],
      attrs: { axis: 1n },
      outputs: ["w"],
    },
    { op: "MatMul", inputs: ["a", "w"] },
  ]),
];

function lowest(dtype: DType): number {
  return dtype.startsWith("u") ? 0 : -128;
}

const dropouts: readonly OpCase[] = [
  one("default", "Dropout", [floats([3, 4], 1)], {}, { opset: 13 }),
  one("ratio", "Dropout", [floats([3, 4], 1), constant(scalar("float32", 0.1))], {}, { opset: 13 }),
  one("mask", "Dropout", [floats([3, 4], 1)], {}, { opset: 13, outputs: ["y", "m"] }),
  one("attribute", "Dropout", [floats([3, 4], 1)], { ratio: 0.2 }, { opset: 7 }),
  one(
    "training, nothing dropped",
    "Dropout",
    [floats([3, 4], 1), constant(scalar("float32", 0)), constant(listed("bool", [], [1]))],
    {},
    { opset: 13, outputs: ["y", "m"] },
  ),
];

export const dataCases: readonly OpCase[] = [
  ...views,
  ...joins,
  ...slices,
  ...pads,
  ...indices,
  ...casts,
  ...quantised,
  ...dropouts,
];
