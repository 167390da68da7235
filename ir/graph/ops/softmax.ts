// Softmax and its relatives along one axis, cumulative sums, Lp normalisation. Computed in double, rounded once.
import { exp, log } from "../../numeric/real.ts";
import { int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { aroundAxis, axisOf, normaliseAxis } from "../shapes.ts";
import {
  bigintsOf,
  intsOf,
  is64Bit,
  largestOf,
  numbersOf,
  type TensorValue,
  transform,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";
import { sumOf } from "./reduce.ts";
import { axisAttr, typeAt, valueAt } from "./rules.ts";

/** Applies `f` to every line along `axis`, in place. */
function mapLines(x: TensorValue, axis: number, f: (line: Float64Array) => void): TensorValue {
  const [outer, size, inner] = aroundAxis(x.shape, axis);
  const source = numbersOf(x);
  const result = new Float64Array(source.length);
  const line = new Float64Array(size);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      for (let j = 0; j < size; j++) line[j] = source[(o * size + j) * inner + i] ?? 0;
      f(line);
      for (let j = 0; j < size; j++) result[(o * size + j) * inner + i] = line[j] ?? 0;
    }
  }
  return valueFromNumbers(x.dtype, x.shape, result);
}

/** e^x / sum e^x over a line; a line of -infinity only gives NaN, as the formula does. */
function softmaxLine(line: Float64Array): void {
  const top = largestOf(line);
  transform(line, (x) => exp(x - top));
  const sum = sumOf(line);
  transform(line, (x) => x / sum);
}

function logSoftmaxLine(line: Float64Array): void {
  const top = largestOf(line);
  const shift = top + log(sumOf(line, (x) => exp(x - top)));
  transform(line, (x) => x - shift);
}

/** 1 at the first maximum. */
function hardmaxLine(line: Float64Array): void {
  const at = line.indexOf(largestOf(line));
  transform(line, (_, j) => (j === at ? 1 : 0));
}

function inferAlongAxis(ctx: InferContext): Inferred {
  const axis = axisAttr(ctx);
  return isProblem(axis) ? axis : [typeAt(ctx, 0)];
}

const alongAxis = (summary: string, f: (line: Float64Array) => void): OnnxOpRow =>
  defineOp({
    summary,
    inputs: ["input: float"],
    outputs: ["output"],
    attrs: { axis: int(-1) },
    infer: inferAlongAxis,
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      return [mapLines(x, axisOf(numberOf(ctx.attrs, "axis"), x.shape.length), f)];
    },
  });

function lpNormalise(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const p = numberOf(ctx.attrs, "p");
  return mapLines(x, axisOf(numberOf(ctx.attrs, "axis"), x.shape.length), (line) => {
    const norm = p === 1 ? sumOf(line, Math.abs) : Math.sqrt(sumOf(line, (v) => v * v));
    transform(line, (v) => (norm === 0 ? 0 : v / norm));
  });
}

/** Running sums of a line; `exclusive` leaves out the element itself, `reverse` runs from the end. */
function runningSums<T extends number | bigint>(
  line: readonly T[],
  zero: T,
  add: (a: T, b: T) => T,
  ctx: EvaluateContext,
): T[] {
  const exclusive = numberOf(ctx.attrs, "exclusive") === 1;
  const ordered = numberOf(ctx.attrs, "reverse") === 1 ? line.toReversed() : line;
  let sum = zero;
  const sums = ordered.map((x) => {
    const before = sum;
    sum = add(sum, x);
    return exclusive ? before : sum;
  });
  return numberOf(ctx.attrs, "reverse") === 1 ? sums.toReversed() : sums;
}

function cumSum(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const axis = axisOf(intsOf(valueAt(ctx, 1))[0] ?? 0, x.shape.length);
  if (!is64Bit(x.dtype)) {
    return mapLines(x, axis, (line) => line.set(runningSums(Array.from(line), 0, (a, b) => a + b, ctx)));
  }
  const [outer, size, inner] = aroundAxis(x.shape, axis);
  const source = bigintsOf(x);
  const result = new Array<bigint>(source.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const line = Array.from({ length: size }, (_, j) => source[(o * size + j) * inner + i] ?? 0n);
      for (const [j, sum] of runningSums(line, 0n, (a, b) => a + b, ctx).entries())
        result[(o * size + j) * inner + i] = sum;
    }
  }
  return valueFromBigints(x.dtype, x.shape, result);
}

export const softmaxOps = {
  Softmax: alongAxis("e^x divided by its sum along axis", softmaxLine),
  LogSoftmax: alongAxis("logarithm of Softmax", logSoftmaxLine),
  Hardmax: alongAxis("1 at the first maximum along axis, else 0", hardmaxLine),
  LpNormalization: defineOp({
    summary: "divided by the p-norm along axis; 0 where the norm is 0",
    inputs: ["input: float"],
    outputs: ["output"],
    attrs: { axis: int(-1), p: int(2) },
    infer: (ctx) => {
      const p = numberOf(ctx.attrs, "p");
      return p === 1 || p === 2 ? inferAlongAxis(ctx) : problem("attr", `p is ${p}, allowed: 1, 2`);
    },
    evaluate: (ctx) => [lpNormalise(ctx)],
  }),
  CumSum: defineOp({
    summary: "running sums along axis",
    inputs: ["x: number", "axis: index"],
    outputs: ["y"],
    attrs: { exclusive: int(0), reverse: int(0) },
    infer: (ctx) => {
      const axis = ctx.constant(1);
      if (axis === undefined) return problem("constant", "input axis is computed at run time");
      const checked = normaliseAxis(intsOf(axis)[0] ?? 0, typeAt(ctx, 0).shape.length);
      return isProblem(checked) ? checked : [typeAt(ctx, 0)];
    },
    evaluate: (ctx) => [cumSum(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
