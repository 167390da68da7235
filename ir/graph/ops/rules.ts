// Inference rules and evaluation loops shared by many operators. Each operator's own meaning stays in its row.
import type { DType } from "../../dtype.ts";
import { numberOf } from "../attr.ts";
import { type EvaluateContext, type InferContext, type Inferred, isProblem, type Problem, problem } from "../op-row.ts";
import { broadcastShapes, broadcastStrides, normaliseAxis, stridedPositions } from "../shapes.ts";
import {
  bigintsOf,
  intsOf,
  is64Bit,
  numbersOf,
  type TensorType,
  type TensorValue,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";

/** Type of an input that the row requires (its presence was checked). */
export function typeAt(ctx: InferContext, index: number): TensorType {
  return ctx.inputs[index] ?? { dtype: "float32", shape: [] };
}

/** Value of an input that the row requires. */
export function valueAt(ctx: EvaluateContext, index: number): TensorValue {
  return ctx.inputs[index] ?? valueFromNumbers("float32", [], [0]);
}

export const presentTypes = (ctx: InferContext): TensorType[] => ctx.inputs.filter((type) => type !== null);
export const presentValues = (ctx: EvaluateContext): TensorValue[] => ctx.inputs.filter((value) => value !== null);

/** Type of output `index`, which inference gave. */
export const outputAt = (ctx: EvaluateContext, index = 0): TensorType =>
  ctx.outputs[index] ?? { dtype: "float32", shape: [] };

export const inferSame = (ctx: InferContext): Inferred => [typeAt(ctx, 0)];

/** All inputs broadcast together; the result has the first one's type, or `dtype`. */
export const inferBroadcast =
  (dtype?: DType) =>
  (ctx: InferContext): Inferred => {
    const shape = broadcastShapes(...presentTypes(ctx).map((type) => type.shape));
    return isProblem(shape) ? shape : [{ dtype: dtype ?? typeAt(ctx, 0).dtype, shape }];
  };

/** The integers of a constant input, or that it has to be one. */
export function constantInts(ctx: InferContext, index: number, name: string): number[] | Problem {
  const value = ctx.constant(index);
  if (value === undefined) {
    return problem("constant", `input ${name} is computed at run time, and the shape of the result depends on it`);
  }
  return intsOf(value);
}

/** Like `constantInts`; an omitted input is undefined. */
export function optionalInts(ctx: InferContext, index: number, name: string): number[] | undefined | Problem {
  return (ctx.inputs[index] ?? null) === null ? undefined : constantInts(ctx, index, name);
}

/** The `axis` attribute against the rank of input 0. */
export function axisAttr(ctx: InferContext, rank = typeAt(ctx, 0).shape.length): number | Problem {
  return normaliseAxis(numberOf(ctx.attrs, "axis"), rank);
}

/** A float function applied to each element, computed in double and rounded once. */
export function mapNumbers(x: TensorValue, out: TensorType, f: (x: number) => number): TensorValue {
  const numbers = numbersOf(x);
  const result = new Float64Array(numbers.length);
  for (let i = 0; i < result.length; i++) result[i] = f(numbers[i] ?? 0);
  return valueFromNumbers(out.dtype, out.shape, result);
}

/** Element i of each operand after broadcasting to `shape`, as an index list a operand. */
export const operandPositions = (operands: readonly TensorValue[], shape: readonly number[]): Int32Array[] =>
  operands.map((operand) => stridedPositions(shape, broadcastStrides(operand.shape, shape)));

export function bigMin(a: bigint, b: bigint): bigint {
  if (b < a) return b;
  return a;
}

export function bigMax(a: bigint, b: bigint): bigint {
  if (b > a) return b;
  return a;
}

export interface BinaryMeaning {
  /** Floats (in double, rounded once) and integers of at most 32 bits (wrapped on the way out). */
  readonly number: (a: number, b: number) => number;
  /** 64-bit integers, wrapped on the way out. */
  readonly big: (a: bigint, b: bigint) => bigint;
}

export function mapPair(a: TensorValue, b: TensorValue, out: TensorType, meaning: BinaryMeaning): TensorValue {
  const [atA, atB] = operandPositions([a, b], out.shape);
  if (atA === undefined || atB === undefined) return a;
  if (is64Bit(a.dtype) && is64Bit(b.dtype)) {
    const [bigA, bigB] = [bigintsOf(a), bigintsOf(b)];
    const result = new Array<bigint>(atA.length);
    for (let i = 0; i < atA.length; i++) result[i] = meaning.big(bigA[atA[i] ?? 0] ?? 0n, bigB[atB[i] ?? 0] ?? 0n);
    return valueFromBigints(out.dtype, out.shape, result);
  }
  const [numA, numB] = [new Float64Array(numbersOf(a)), new Float64Array(numbersOf(b))];
  const result = new Float64Array(atA.length);
  for (let i = 0; i < atA.length; i++) result[i] = meaning.number(numA[atA[i] ?? 0] ?? 0, numB[atB[i] ?? 0] ?? 0);
  return valueFromNumbers(out.dtype, out.shape, result);
}

/** A comparison of two tensors of one type, giving bool. */
export function comparePair(
  a: TensorValue,
  b: TensorValue,
  out: TensorType,
  holds: (a: number | bigint, b: number | bigint) => boolean,
): TensorValue {
  const [atA, atB] = operandPositions([a, b], out.shape);
  if (atA === undefined || atB === undefined) return a;
  const [numA, numB] = is64Bit(a.dtype) ? [bigintsOf(a), bigintsOf(b)] : [numbersOf(a), numbersOf(b)];
  const result = new Uint8Array(atA.length);
  for (let i = 0; i < atA.length; i++) result[i] = holds(numA[atA[i] ?? 0] ?? 0, numB[atB[i] ?? 0] ?? 0) ? 1 : 0;
  return { dtype: "bool", shape: out.shape, data: result };
}
