// Every core op through a one-node graph: verified, evaluated, and compared with answers worked out by hand.
import { expect, test } from "vitest";
import type { Attrs } from "../ir/graph/attr.ts";
import { type CoreOp, coreOps } from "../ir/graph/core-ops.ts";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { type Graph, nodeId, tensorId } from "../ir/graph/graph.ts";
import type { TensorType, TensorValue } from "../ir/graph/values.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import { answer, count, f32, tensor } from "./evaluate-values.ts";

function oneNode(op: CoreOp, inputs: readonly TensorValue[], out: TensorType, attrs: Attrs): Graph {
  const result = tensorId(inputs.length);
  return {
    name: op,
    form: "core",
    tensors: [
      ...inputs.map(({ dtype, shape }, i) => ({ id: tensorId(i), name: `x${i}`, dtype, shape })),
      { id: result, name: "y", dtype: out.dtype, shape: out.shape },
    ],
    nodes: [{ id: nodeId(0), op, inputs: inputs.map((_, i) => tensorId(i)), outputs: [result], attrs, origins: [] }],
    inputs: inputs.map(({ dtype }, i) => ({ name: `x${i}`, tensor: tensorId(i), dtype })),
    outputs: [{ name: "y", tensor: result, dtype: out.dtype }],
  };
}

const i32 = (shape: readonly number[], ...numbers: readonly number[]): TensorValue => tensor("int32", shape, numbers);

type Case = readonly [op: CoreOp, inputs: readonly TensorValue[], attrs: Attrs, expected: TensorValue];

const tenth = Math.fround(0.1);

const cases: readonly Case[] = [
  [
    "add",
    [f32([2, 1], tenth, 1), f32([1, 2], Math.fround(0.2), 16777216)],
    {},
    f32([2, 2], 0.30000001192092896, 16777216, 1.2000000476837158, 16777216),
  ],
  ["add", [i32([1], 2147483647), i32([1], 1)], {}, i32([1], -2147483648)],
  ["sub", [f32([1], 1), f32([1], tenth)], {}, f32([1], 0.8999999761581421)],
  ["mul", [i32([2], 65536, -3), i32([2], 65536, 7)], {}, i32([2], 0, -21)],
  ["min", [f32([2], 1, Number.NaN), f32([2], -2, 0)], {}, f32([2], -2, Number.NaN)],
  ["max", [i32([2], 1, -5), i32([2], -2, 0)], {}, i32([2], 1, 0)],
  ["and", [i32([1], 12), i32([1], 10)], {}, i32([1], 8)],
  ["or", [i32([1], 12), i32([1], 10)], {}, i32([1], 14)],
  ["xor", [i32([1], 12), i32([1], 10)], {}, i32([1], 6)],
  ["shl", [i32([3], 1, 1, 1), i32([3], 31, 32, -1)], {}, i32([3], -2147483648, 0, 0)],
  ["shr", [i32([2], -8, -8), i32([2], 1, 40)], {}, i32([2], -4, -1)],
  ["shru", [i32([2], -8, -8), i32([2], 28, 32)], {}, i32([2], 15, 0)],
  ["eq", [f32([3], 1, Number.NaN, 2), f32([3], 1, Number.NaN, 3)], {}, i32([3], 1, 0, 0)],
  ["lt", [i32([2], 1, 2), i32([2], 2, 2)], {}, i32([2], 1, 0)],
  ["le", [f32([2], 2, Number.NaN), f32([2], 2, 0)], {}, i32([2], 1, 0)],
  ["select", [i32([2, 1], 5, 0), f32([1, 2], 1, 2), f32([1, 1], 9)], {}, f32([2, 2], 1, 2, 9, 9)],
  ["exp2", [f32([2], 3, -1)], {}, f32([2], 8, 0.5)],
  ["rsqrt", [f32([1], 4)], {}, f32([1], 0.5)],
  ["tanh", [f32([2], 0, 100)], {}, f32([2], 0, 1)],
  ["toInt", [f32([4], 2.5, -2.5, 3e9, Number.NaN)], { mode: "rne" }, i32([4], 2, -2, 2147483647, 0)],
  ["toInt", [f32([2], 2.9, -2.9)], { mode: "trunc" }, i32([2], 2, -2)],
  ["toFloat", [i32([1], 16777217)], {}, f32([1], 16777216)],
  ["roundF16", [f32([3], 2049, 65520, tenth)], {}, f32([3], 2048, Infinity, 0.0999755859375)],
  ["toInt8", [i32([3], -300, 5, 300)], { to: "int8" }, tensor("int8", [3], [-128, 5, 127])],
  ["toInt8", [i32([2], -3, 300)], { to: "uint8" }, tensor("uint8", [2], [0, 255])],
  ["fromInt8", [tensor("int8", [2], [-128, 7])], {}, i32([2], -128, 7)],
  ["bitcast", [f32([2], 1, -0)], {}, i32([2], 0x3f800000, -2147483648)],
  ["bitcast", [i32([1], 0x40000000)], {}, f32([1], 2)],
  ["matmul", [f32([1, 2], 2049, 1), f32([2, 1], 1, 1)], { precision: "fp32" }, f32([1, 1], 2050)],
  ["matmul", [f32([1, 2], 2049, 1), f32([2, 1], 1, 1)], { precision: "fp16" }, f32([1, 1], 2049)],
  [
    "matmul",
    [tensor("uint8", [1, 1, 2], [255, 2]), tensor("int8", [2, 2, 1], [-128, 3, 1, 1])],
    { precision: "int8" },
    i32([2, 1, 1], -32634, 257),
  ],
  ["reduceSum", [count(2, 3)], { axes: [1] }, f32([2, 1], 3, 12)],
  ["reduceMax", [i32([2, 2], 3, -1, -7, 9)], { axes: [0, 1] }, i32([1, 1], 9)],
  ["reduceMin", [f32([2, 2], 3, -1, -7, 9)], { axes: [0] }, f32([1, 2], -7, -1)],
  ["reduceProd", [f32([3], 2, 3, 4)], { axes: [0] }, f32([1], 24)],
  ["reshape", [count(2, 3)], {}, f32([3, 2], 0, 1, 2, 3, 4, 5)],
  ["transpose", [count(1, 2, 3)], { perm: [2, 0, 1] }, f32([3, 1, 2], 0, 3, 1, 4, 2, 5)],
  ["expand", [f32([2, 1], 1, 2)], {}, f32([2, 3], 1, 1, 1, 2, 2, 2)],
  ["slice", [count(2, 4)], { starts: [1, 3], steps: [1, -2] }, f32([1, 2], 7, 5)],
  ["concat", [count(1, 2), f32([1, 1], 9)], { axis: 1 }, f32([1, 3], 0, 1, 9)],
  ["pad", [count(1, 2)], { before: [1, 0], after: [0, 1], value: 7 }, f32([2, 3], 7, 7, 7, 0, 1, 7)],
  ["gather", [count(2, 3), i32([2, 1], 2, 0)], { axis: 1 }, f32([2, 2, 1], 2, 0, 5, 3)],
];

test.each(cases.map((entry, i) => [`${entry[0]} #${i}`, entry] as const))("%s", (_, [op, inputs, attrs, expected]) => {
  const graph = oneNode(op, inputs, expected, attrs);
  expect(verifyGraph(graph)).toEqual([]);
  const found = evaluateGraph(graph, new Map(inputs.map((value, i) => [`x${i}`, value])));
  const y = found.get("y");
  expect(y === undefined ? undefined : answer(y)).toEqual(answer(expected));
});

test("every core op has a case", () => {
  const tested = new Set<string>(cases.map(([op]) => op));
  expect(Object.keys(coreOps).filter((op) => !tested.has(op))).toEqual([]);
});

test.each<readonly [CoreOp, readonly TensorValue[], Attrs, TensorType, string]>([
  ["add", [count(2), count(1, 2)], {}, count(1, 2), "differ in rank"],
  ["add", [count(2), i32([2], 1, 2)], {}, count(2), "needed: all float32 or all int32"],
  ["and", [count(2), count(2)], {}, count(2), "needed: all int32"],
  ["expand", [count(2)], {}, count(3), "[2] cannot become [3]"],
  ["slice", [count(4)], { starts: [2], steps: [1] }, count(3), "leaves [4]"],
  ["slice", [count(4)], { starts: [0], steps: [0] }, count(1), "no step 0"],
  ["transpose", [count(2, 2)], { perm: [0, 0] }, count(2, 2), "a permutation of 2 dimensions"],
  ["toInt", [count(2)], { mode: "up" }, i32([2], 0, 0), "needed: rne | trunc"],
  ["matmul", [count(2, 2), count(2)], { precision: "fp32" }, count(2), "no product of matrices"],
  ["gather", [count(2), count(1)], { axis: 0 }, count(1), "needed: int32"],
  ["pad", [count(2)], { before: [-1], after: [0], value: 0 }, count(1), "none negative"],
  ["reduceSum", [count(2)], { axes: [-1] }, count(1), "each of 0 to 0 once"],
  ["concat", [count(2)], { axis: 1 }, count(2), "allowed: 0 to 0"],
])("%s refuses wrong operands (%#)", (op, inputs, attrs, out, message) => {
  const [violation] = verifyGraph(oneNode(op, inputs, out, attrs));
  expect(violation?.rule).toBe("operator");
  expect(violation?.message).toContain(message);
});
