// Reductions over axes. Sums are taken in double and rounded once; integers are exact and wrap at the end.
import { type DType, dtypes } from "../../dtype.ts";
import { exp, log } from "../../numeric/real.ts";
import { int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
} from "../op-row.ts";
import { axisOf, normaliseAxes, stridedPositions, stridesOf } from "../shapes.ts";
import {
  bigintsOf,
  intsOf,
  is64Bit,
  largestOf,
  numbersOf,
  smallestOf,
  type TensorValue,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";
import { bigMax, bigMin, optionalInts, outputAt, typeAt, valueAt } from "./rules.ts";

/** Axes of the reduction: those given, or all; none with noop_with_empty_axes. */
function reducedAxes(given: readonly number[] | undefined, rank: number, noop: boolean): readonly number[] {
  if (given !== undefined && given.length > 0) return given.map((axis) => axisOf(axis, rank));
  return noop ? [] : Array.from({ length: rank }, (_, i) => i);
}

export function keptShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  return keepDims ? shape.map((size, i) => (axes.includes(i) ? 1 : size)) : shape.filter((_, i) => !axes.includes(i));
}

function inferReduce(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const given = optionalInts(ctx, 1, "axes");
  if (isProblem(given)) return given;
  const checked = normaliseAxes(given ?? [], shape.length);
  if (isProblem(checked)) return checked;
  const axes = reducedAxes(given, shape.length, numberOf(ctx.attrs, "noop_with_empty_axes") === 1);
  return [{ dtype, shape: keptShape(shape, axes, numberOf(ctx.attrs, "keepdims") === 1) }];
}

/** For each element of the result the position of its first operand, and from there the offsets of all operands. */
export interface Groups {
  readonly starts: Int32Array;
  readonly offsets: Int32Array;
}

export function groupsOf(shape: readonly number[], axes: readonly number[]): Groups {
  const strides = stridesOf(shape);
  const part = (inside: boolean): Int32Array => {
    const dims = shape.flatMap((_, i) => (axes.includes(i) === inside ? [i] : []));
    return stridedPositions(
      dims.map((i) => shape[i] ?? 1),
      dims.map((i) => strides[i] ?? 1),
    );
  };
  return { starts: part(false), offsets: part(true) };
}

function axesOf(ctx: EvaluateContext): readonly number[] {
  const given = ctx.inputs[1] ?? null;
  const rank = valueAt(ctx, 0).shape.length;
  return reducedAxes(
    given === null ? undefined : intsOf(given),
    rank,
    numberOf(ctx.attrs, "noop_with_empty_axes") === 1,
  );
}

interface Reduction {
  /** The reduction of one group; may be empty. */
  readonly numbers: (group: Float64Array) => number;
  /** The same for 64-bit integers where the op allows them. */
  readonly bigs?: (group: readonly bigint[]) => bigint;
}

function reduceValue(ctx: EvaluateContext, { numbers, bigs }: Reduction): TensorValue {
  const x = valueAt(ctx, 0);
  const out = outputAt(ctx);
  const { starts, offsets } = groupsOf(x.shape, axesOf(ctx));
  if (is64Bit(x.dtype) && bigs !== undefined) {
    const source = bigintsOf(x);
    const result = Array.from(starts, (start) => bigs(Array.from(offsets, (offset) => source[start + offset] ?? 0n)));
    return valueFromBigints(out.dtype, out.shape, result);
  }
  const source = numbersOf(x);
  const group = new Float64Array(offsets.length);
  const result = new Float64Array(starts.length);
  for (let i = 0; i < starts.length; i++) {
    for (let j = 0; j < group.length; j++) group[j] = source[(starts[i] ?? 0) + (offsets[j] ?? 0)] ?? 0;
    result[i] = numbers(group);
  }
  return valueFromNumbers(out.dtype, out.shape, result);
}

const reduction = (summary: string, types: string, meaning: (x: TensorValue) => Reduction): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`data: ${types}`, "axes?: int64"],
    outputs: ["reduced"],
    attrs: { keepdims: int(1), noop_with_empty_axes: int(0) },
    infer: inferReduce,
    evaluate: (ctx) => [reduceValue(ctx, meaning(valueAt(ctx, 0)))],
  });

export function sumOf(group: ArrayLike<number>, f: (x: number) => number = (x) => x): number {
  let sum = 0;
  for (let i = 0; i < group.length; i++) sum += f(group[i] ?? 0);
  return sum;
}

const bigSum = (group: readonly bigint[], f: (x: bigint) => bigint = (x) => x): bigint =>
  group.reduce((sum, x) => sum + f(x), 0n);

function product(group: Float64Array): number {
  let result = 1;
  for (let i = 0; i < group.length; i++) result *= group[i] ?? 1;
  return result;
}

/** What a maximum (or minimum) over nothing gives: the least (or greatest) value of the type. */
export function emptyExtreme(dtype: DType, of: "max" | "min"): number {
  const { bits, kind } = dtypes[dtype];
  switch (kind) {
    case "bool":
      return of === "max" ? 0 : 1;
    case "uint":
      return of === "max" ? 0 : 2 ** bits - 1;
    case "int":
      return of === "max" ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1;
    case "float":
      return of === "max" ? -Infinity : Infinity;
  }
}

/** The same of a 64-bit type. */
function emptyBig(dtype: DType, of: "max" | "min"): bigint {
  if (dtype === "uint64") return of === "max" ? 0n : (1n << 64n) - 1n;
  return of === "max" ? -(1n << 63n) : (1n << 63n) - 1n;
}

function logSumExp(group: Float64Array): number {
  const top = largestOf(group);
  if (top === -Infinity || top === Infinity) return top;
  return top + log(sumOf(group, (x) => exp(x - top)));
}

const bigAbs = (x: bigint): bigint => (x < 0n ? -x : x);

export const reduceOps = {
  ReduceSum: reduction("sum", "number", () => ({ numbers: (group) => sumOf(group), bigs: (group) => bigSum(group) })),
  ReduceMean: reduction("mean", "number", () => ({
    numbers: (group) => sumOf(group) / group.length,
    bigs: (group) => (group.length === 0 ? 0n : bigSum(group) / BigInt(group.length)),
  })),
  ReduceMax: reduction("largest value", "number|bool", (x) => ({
    numbers: (group) => largestOf(group, emptyExtreme(x.dtype, "max")),
    bigs: (group) => group.reduce(bigMax, group[0] ?? emptyBig(x.dtype, "max")),
  })),
  ReduceMin: reduction("smallest value", "number|bool", (x) => ({
    numbers: (group) => smallestOf(group, emptyExtreme(x.dtype, "min")),
    bigs: (group) => group.reduce(bigMin, group[0] ?? emptyBig(x.dtype, "min")),
  })),
  ReduceProd: reduction("product", "number", () => ({
    numbers: product,
    bigs: (group) => group.reduce((result, x) => result * x, 1n),
  })),
  ReduceL1: reduction("sum of absolute values", "number", () => ({
    numbers: (group) => sumOf(group, Math.abs),
    bigs: (group) => bigSum(group, bigAbs),
  })),
  ReduceL2: reduction("square root of the sum of squares", "number", () => ({
    numbers: (group) => Math.sqrt(sumOf(group, (x) => x * x)),
  })),
  ReduceSumSquare: reduction("sum of squares", "number", () => ({
    numbers: (group) => sumOf(group, (x) => x * x),
    bigs: (group) => bigSum(group, (x) => x * x),
  })),
  ReduceLogSum: reduction("logarithm of the sum", "number", () => ({ numbers: (group) => log(sumOf(group)) })),
  ReduceLogSumExp: reduction("logarithm of the sum of exponentials", "number", () => ({ numbers: logSumExp })),
} as const satisfies Record<string, OnnxOpRow>;
