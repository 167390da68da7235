// Comparisons, bool logic and selection.
import { int, numberOf } from "../attr.ts";
import { defineOp, isProblem, type OnnxOpRow } from "../op-row.ts";
import { broadcastShapes } from "../shapes.ts";
import type { TensorType } from "../values.ts";
import { allocate, numbersOf, setElement, type TensorValue, tensorValue } from "../values.ts";
import { comparePair, inferBroadcast, inferSame, operandPositions, outputAt, typeAt, valueAt } from "./rules.ts";

type Comparable = number | bigint;

const comparison = (summary: string, types: string, holds: (a: Comparable, b: Comparable) => boolean): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`A: ${types}`, "B: A"],
    outputs: ["C"],
    attrs: {},
    infer: inferBroadcast("bool"),
    evaluate: (ctx) => [comparePair(valueAt(ctx, 0), valueAt(ctx, 1), outputAt(ctx), holds)],
  });

function flags(x: TensorValue, holds: (x: number) => boolean): TensorValue {
  return { dtype: "bool", shape: x.shape, data: Uint8Array.from(numbersOf(x), (number) => (holds(number) ? 1 : 0)) };
}

function select(condition: TensorValue, x: TensorValue, y: TensorValue, out: TensorType): TensorValue {
  const [atC, atX, atY] = operandPositions([condition, x, y], out.shape);
  const data = allocate(out.dtype, atC?.length ?? 0);
  for (let i = 0; i < data.length; i++) {
    setElement(data, i, condition.data[atC?.[i] ?? 0] ? x.data[atX?.[i] ?? 0] : y.data[atY?.[i] ?? 0]);
  }
  return tensorValue(out.dtype, out.shape, data);
}

export const logicOps = {
  Equal: comparison("A = B", "number|bool", (a, b) => a === b),
  Greater: comparison("A > B", "number", (a, b) => a > b),
  GreaterOrEqual: comparison("A >= B", "number", (a, b) => a >= b),
  Less: comparison("A < B", "number", (a, b) => a < b),
  LessOrEqual: comparison("A <= B", "number", (a, b) => a <= b),
  And: comparison("both true", "bool", (a, b) => a !== 0 && b !== 0),
  Or: comparison("one or both true", "bool", (a, b) => a !== 0 || b !== 0),
  Xor: comparison("exactly one true", "bool", (a, b) => (a !== 0) !== (b !== 0)),
  Not: defineOp({
    summary: "true where X is false",
    inputs: ["X: bool"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [flags(valueAt(ctx, 0), (x) => x === 0)],
  }),
  IsNaN: defineOp({
    summary: "true where X is NaN",
    inputs: ["X: float|smallFloat"],
    outputs: ["Y"],
    attrs: {},
    infer: (ctx) => [{ dtype: "bool", shape: typeAt(ctx, 0).shape }],
    evaluate: (ctx) => [flags(valueAt(ctx, 0), Number.isNaN)],
  }),
  IsInf: defineOp({
    summary: "true where X is an infinity of a sign asked for",
    inputs: ["X: float|smallFloat"],
    outputs: ["Y"],
    attrs: { detect_negative: int(1), detect_positive: int(1) },
    infer: (ctx) => [{ dtype: "bool", shape: typeAt(ctx, 0).shape }],
    evaluate: (ctx) => {
      const negative = numberOf(ctx.attrs, "detect_negative") === 1;
      const positive = numberOf(ctx.attrs, "detect_positive") === 1;
      return [flags(valueAt(ctx, 0), (x) => (x === Infinity && positive) || (x === -Infinity && negative))];
    },
  }),
  Where: defineOp({
    summary: "X where the condition holds, else Y; all three broadcast",
    inputs: ["condition: bool", "X: any", "Y: X"],
    outputs: ["output"],
    attrs: {},
    infer: (ctx) => {
      const shape = broadcastShapes(typeAt(ctx, 0).shape, typeAt(ctx, 1).shape, typeAt(ctx, 2).shape);
      return isProblem(shape) ? shape : [{ dtype: typeAt(ctx, 1).dtype, shape }];
    },
    evaluate: (ctx) => [select(valueAt(ctx, 0), valueAt(ctx, 1), valueAt(ctx, 2), outputAt(ctx))],
  }),
} as const satisfies Record<string, OnnxOpRow>;
