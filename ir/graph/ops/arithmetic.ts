// Arithmetic of two or more broadcast operands. Integer results wrap to their width; integer division by zero gives 0.

import { dtypes } from "../../dtype.ts";
import { pow } from "../../numeric/real.ts";
import { int, numberOf, string, stringOf } from "../attr.ts";
import { defineOp, type EvaluateContext, type OnnxOpRow } from "../op-row.ts";
import { is64Bit, mapped, numbersOf, type TensorValue, valueFromNumbers } from "../values.ts";
import {
  type BinaryMeaning,
  bigMax,
  bigMin,
  inferBroadcast,
  mapPair,
  outputAt,
  presentValues,
  valueAt,
} from "./rules.ts";

const isFloat = (value: TensorValue): boolean => dtypes[value.dtype].kind === "float";

/** Exact product of two integers of at most 32 bits, modulo 2^32. */
const multiplyInts = (a: number, b: number): number => Math.imul(a, b);

const add: BinaryMeaning = { number: (a, b) => a + b, big: (a, b) => a + b };
const sub: BinaryMeaning = { number: (a, b) => a - b, big: (a, b) => a - b };
const mulFloat: BinaryMeaning = { number: (a, b) => a * b, big: (a, b) => a * b };
const mulInt: BinaryMeaning = { number: multiplyInts, big: (a, b) => a * b };
const divFloat: BinaryMeaning = { number: (a, b) => a / b, big: (a) => a };
const divInt: BinaryMeaning = {
  number: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  big: (a, b) => (b === 0n ? 0n : a / b),
};
/** Remainder with the sign of the dividend. */
const fmod: BinaryMeaning = { number: (a, b) => a % b, big: (a, b) => (b === 0n ? 0n : a % b) };
/** Remainder of integers with the sign of the divisor. */
const modulo: BinaryMeaning = {
  number: (a, b) => {
    if (b === 0) return 0;
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  },
  big: (a, b) => {
    if (b === 0n) return 0n;
    const rest = a % b;
    return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
  },
};
/** Remainder of floats with the sign of the divisor, zeros too; an infinite divisor stands for itself where the signs differ. */
const floatModulo: BinaryMeaning = {
  number: (a, b) => {
    const rest = a % b;
    if (rest === 0) return b < 0 ? -0 : 0;
    return rest < 0 !== b < 0 ? rest + b : rest;
  },
  big: (a) => a,
};
const smaller: BinaryMeaning = { number: (a, b) => Math.min(a, b), big: bigMin };
const larger: BinaryMeaning = { number: (a, b) => Math.max(a, b), big: bigMax };
/** Shifts outside the type's bits leave the sign alone: -1 to the right of a negative number, else 0. */
const shift = (direction: string, bits: number): BinaryMeaning => {
  const left = direction === "LEFT";
  return {
    number: (a, b) => {
      if (b < 0 || b >= bits) return !left && a < 0 ? -1 : 0;
      return left ? a << b : a < 0 ? a >> b : a >>> b;
    },
    big: (a, b) => {
      if (b < 0n || b >= BigInt(bits)) return !left && a < 0n ? -1n : 0n;
      return left ? a << b : a >> b;
    },
  };
};
const bitAnd: BinaryMeaning = { number: (a, b) => a & b, big: (a, b) => a & b };
const bitOr: BinaryMeaning = { number: (a, b) => a | b, big: (a, b) => a | b };
const bitXor: BinaryMeaning = { number: (a, b) => a ^ b, big: (a, b) => a ^ b };

const pair = (ctx: EvaluateContext, meaning: BinaryMeaning): TensorValue[] => [
  mapPair(valueAt(ctx, 0), valueAt(ctx, 1), outputAt(ctx), meaning),
];

const binary = (summary: string, types: string, meaning: (ctx: EvaluateContext) => BinaryMeaning): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`A: ${types}`, "B: A"],
    outputs: ["C"],
    attrs: {},
    infer: inferBroadcast(),
    evaluate: (ctx) => pair(ctx, meaning(ctx)),
  });

const variadic = (
  summary: string,
  types: string,
  fold: (values: readonly TensorValue[], ctx: EvaluateContext) => TensorValue,
): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`inputs...: ${types}`],
    outputs: ["result"],
    attrs: {},
    infer: inferBroadcast(),
    evaluate: (ctx) => [fold(presentValues(ctx), ctx)],
  });

/** Folds from the first operand, at the result's shape from the first step on. */
function foldPairs(values: readonly TensorValue[], ctx: EvaluateContext, meaning: BinaryMeaning): TensorValue {
  const out = outputAt(ctx);
  const [first, ...rest] = values;
  const start = first ?? valueAt(ctx, 0);
  const same: BinaryMeaning = { number: (a) => a, big: (a) => a };
  let result = mapPair(start, rest[0] ?? start, out, rest[0] === undefined ? same : meaning);
  for (const value of rest.slice(1)) result = mapPair(result, value, out, meaning);
  return result;
}

/** The mean is summed in double and rounded once. */
function meanOf(values: readonly TensorValue[], ctx: EvaluateContext): TensorValue {
  const out = outputAt(ctx);
  const wide = values.map((value) => valueFromNumbers("float64", value.shape, numbersOf(value)));
  const sum = foldPairs(wide, { ...ctx, outputs: [{ dtype: "float64", shape: out.shape }] }, add);
  return valueFromNumbers(
    out.dtype,
    out.shape,
    mapped(numbersOf(sum), (x) => x / values.length),
  );
}

/** Integer powers by repeated multiplication; a negative exponent of an integer base truncates towards zero. */
function bigPower(base: bigint, exponent: bigint): bigint {
  if (exponent >= 0n) return BigInt.asIntN(64, powWrapped(base, exponent));
  return base === 1n ? 1n : base === -1n ? (exponent % 2n === 0n ? 1n : -1n) : 0n;
}

function powWrapped(base: bigint, exponent: bigint): bigint {
  let [result, square, rest] = [1n, base, exponent];
  while (rest > 0n) {
    if (rest % 2n === 1n) result = BigInt.asIntN(64, result * square);
    square = BigInt.asIntN(64, square * square);
    rest /= 2n;
  }
  return result;
}

/** Base and exponent may differ in type; the result has the base's. */
function power(ctx: EvaluateContext): TensorValue {
  const [base, exponent] = [valueAt(ctx, 0), valueAt(ctx, 1)];
  if (isFloat(base) || isFloat(exponent)) {
    const wide = (value: TensorValue): TensorValue => valueFromNumbers("float64", value.shape, numbersOf(value));
    return mapPair(wide(base), wide(exponent), outputAt(ctx), { number: pow, big: (a) => a });
  }
  const wide = (value: TensorValue): TensorValue => valueFromNumbers("int64", value.shape, numbersOf(value));
  const [bigBase, bigExponent] = [base, exponent].map((value) => (is64Bit(value.dtype) ? value : wide(value)));
  return mapPair(bigBase ?? base, bigExponent ?? exponent, outputAt(ctx), { number: (a) => a, big: bigPower });
}

export const arithmeticOps = {
  Add: binary("A + B", "number", () => add),
  Sub: binary("A - B", "number", () => sub),
  Mul: binary("A * B", "number", (ctx) => (isFloat(valueAt(ctx, 0)) ? mulFloat : mulInt)),
  Div: binary("A / B; integers truncate towards zero", "number", (ctx) =>
    isFloat(valueAt(ctx, 0)) ? divFloat : divInt,
  ),
  Mod: defineOp({
    summary: "remainder: of the divisor's sign, or with fmod=1 of the dividend's",
    inputs: ["A: number", "B: A"],
    outputs: ["C"],
    attrs: { fmod: int(0) },
    infer: inferBroadcast(),
    evaluate: (ctx) => {
      const floored = isFloat(valueAt(ctx, 0)) ? floatModulo : modulo;
      return pair(ctx, numberOf(ctx.attrs, "fmod") === 1 ? fmod : floored);
    },
  }),
  Pow: defineOp({
    summary: "X to the power of Y, in X's type",
    inputs: ["X: number", "Y: number"],
    outputs: ["Z"],
    attrs: {},
    infer: inferBroadcast(),
    evaluate: (ctx) => [power(ctx)],
  }),
  Min: variadic("smallest of all inputs; NaN if one is NaN", "number", (values, ctx) =>
    foldPairs(values, ctx, smaller),
  ),
  Max: variadic("largest of all inputs; NaN if one is NaN", "number", (values, ctx) => foldPairs(values, ctx, larger)),
  Sum: variadic("sum of all inputs", "float", (values, ctx) => foldPairs(values, ctx, add)),
  Mean: variadic("mean of all inputs", "float", meanOf),
  BitShift: defineOp({
    summary: "X shifted by Y bits; to the right signed numbers keep their sign",
    inputs: ["X: int", "Y: X"],
    outputs: ["Z"],
    attrs: { direction: { ...string(), required: true } },
    infer: inferBroadcast(),
    evaluate: (ctx) => pair(ctx, shift(stringOf(ctx.attrs, "direction"), dtypes[valueAt(ctx, 0).dtype].bits)),
  }),
  BitwiseAnd: binary("bits set in both", "int", () => bitAnd),
  BitwiseOr: binary("bits set in either", "int", () => bitOr),
  BitwiseXor: binary("bits set in exactly one", "int", () => bitXor),
} as const satisfies Record<string, OnnxOpRow>;
