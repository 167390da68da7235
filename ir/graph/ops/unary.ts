// Elementwise operators of one operand: rounding, roots, exponentials, clipping. Computed in double, rounded once.
import { roundHalfEven } from "../../numeric/bits.ts";
import {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  cos,
  cosh,
  erf,
  exp,
  log,
  sin,
  sinh,
  tan,
  tanh,
} from "../../numeric/real.ts";
import { defineOp, type EvaluateContext, type OnnxOpRow } from "../op-row.ts";
import { bigintsOf, is64Bit, numbersOf, type TensorValue, valueFromBigints, valueFromNumbers } from "../values.ts";
import { bigMax, bigMin, inferSame, mapNumbers, mapPair, outputAt, valueAt } from "./rules.ts";

const unary = (summary: string, types: string, f: (x: number) => number): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`X: ${types}`],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [mapNumbers(valueAt(ctx, 0), outputAt(ctx), f)],
  });

/** A function of signed numbers that keeps 64-bit integers exact. */
const exactUnary = (summary: string, types: string, f: (x: number) => number, big: (x: bigint) => bigint): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`X: ${types}`],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      if (!is64Bit(x.dtype)) return [mapNumbers(x, outputAt(ctx), f)];
      return [valueFromBigints(x.dtype, x.shape, Array.from(bigintsOf(x), big))];
    },
  });

const absent = (value: TensorValue | null | undefined): value is null | undefined =>
  value === null || value === undefined;

/** min(max(x, low), high): where low exceeds high, everything becomes high. */
function clip(ctx: EvaluateContext): TensorValue {
  const [x, low, high] = [valueAt(ctx, 0), ctx.inputs[1], ctx.inputs[2]];
  const out = outputAt(ctx);
  let result = x;
  if (!absent(low)) {
    result = mapPair(result, low, out, { number: (a, b) => Math.max(a, b), big: bigMax });
  }
  if (!absent(high)) {
    result = mapPair(result, high, out, { number: (a, b) => Math.min(a, b), big: bigMin });
  }
  return result;
}

function invertBits(x: TensorValue): TensorValue {
  if (is64Bit(x.dtype))
    return valueFromBigints(
      x.dtype,
      x.shape,
      Array.from(bigintsOf(x), (big) => ~big),
    );
  return valueFromNumbers(
    x.dtype,
    x.shape,
    Array.from(numbersOf(x), (number) => ~number),
  );
}

const sign = (x: number): number => (Number.isNaN(x) ? x : x > 0 ? 1 : x < 0 ? -1 : 0);

export const unaryOps = {
  Abs: exactUnary("|X|", "number", Math.abs, (x) => (x < 0n ? -x : x)),
  Neg: exactUnary(
    "-X",
    "signed",
    (x) => -x,
    (x) => -x,
  ),
  Sign: exactUnary("-1, 0 or 1", "number", sign, (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n)),
  Ceil: unary("smallest integer not below X", "float", Math.ceil),
  Floor: unary("largest integer not above X", "float", Math.floor),
  Round: unary("nearest integer, ties to even", "float", (x) =>
    Math.abs(x) < 4503599627370496 ? roundHalfEven(x) : x,
  ),
  Sqrt: unary("square root", "float", Math.sqrt),
  Reciprocal: unary("1 / X", "float", (x) => 1 / x),
  Exp: unary("e to the power of X", "float", exp),
  Log: unary("natural logarithm", "float", log),
  Sin: unary("sine", "float", sin),
  Cos: unary("cosine", "float", cos),
  Tan: unary("tangent", "float", tan),
  Asin: unary("inverse of the sine", "float", asin),
  Acos: unary("inverse of the cosine", "float", acos),
  Atan: unary("inverse of the tangent", "float", atan),
  Sinh: unary("hyperbolic sine", "float", sinh),
  Cosh: unary("hyperbolic cosine", "float", cosh),
  Asinh: unary("inverse of the hyperbolic sine", "float", asinh),
  Acosh: unary("inverse of the hyperbolic cosine", "float", acosh),
  Atanh: unary("inverse of the hyperbolic tangent", "float", atanh),
  Tanh: unary("hyperbolic tangent", "float", tanh),
  Erf: unary("error function", "float", erf),
  Clip: defineOp({
    summary: "X limited to at least min and at most max",
    inputs: ["X: number", "min?: X single", "max?: X single"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [clip(ctx)],
  }),
  Identity: defineOp({
    summary: "X",
    inputs: ["X: any"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [valueAt(ctx, 0)],
  }),
  BitwiseNot: defineOp({
    summary: "every bit inverted",
    inputs: ["X: int"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [invertBits(valueAt(ctx, 0))],
  }),
} as const satisfies Record<string, OnnxOpRow>;
