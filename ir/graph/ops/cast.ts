// Conversions between element types.
import { type DType, dtypes } from "../../dtype.ts";
import { roundHalfEven } from "../../numeric/bits.ts";
import { encodeE8m0 } from "../../numeric/small-float.ts";
import { dtypeAttr, int, isDType, numberOf, optionalDType, string, stringOf } from "../attr.ts";
import { defineOp, type EvaluateContext, type OnnxOpRow, problem } from "../op-row.ts";
import {
  allocate,
  bigintsOf,
  bytesOf,
  encodeFloat,
  is64Bit,
  isBigData,
  isCodedFloat,
  mapped,
  numbersOf,
  type TensorValue,
  tensorValue,
  valueFromBigints,
  valueFromBytes,
  valueFromNumbers,
} from "../values.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";

/** Smallest and largest value of an integer type. */
function integerRange(dtype: DType): readonly [bigint, bigint] {
  const { bits, kind } = dtypes[dtype];
  return kind === "int" ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n] : [0n, (1n << BigInt(bits)) - 1n];
}

/** Float to integer: towards zero, saturating at 32 bits (64 for the wide types), of which narrower types keep the low bits; NaN gives 0. */
function floatToInt(x: TensorValue, to: DType): TensorValue {
  const { bits } = dtypes[to];
  if (bits < 32) return valueFromNumbers(to, x.shape, numbersOf(floatToInt(x, "int32")));
  const [low, high] = integerRange(to);
  const numbers = numbersOf(x);
  const data = allocate(to, numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const number = Math.trunc(numbers[i] ?? 0);
    const known = Number.isNaN(number) ? 0 : number;
    if (isBigData(data)) data[i] = known <= Number(low) ? low : known >= Number(high) ? high : BigInt(known);
    else data[i] = Math.min(Math.max(known, Number(low)), Number(high));
  }
  return tensorValue(to, x.shape, data);
}

function toCodedFloat(x: TensorValue, to: DType, saturate: boolean, rounding: string): TensorValue {
  const numbers = numbersOf(x);
  const data = allocate(to, numbers.length);
  const mode = rounding === "down" || rounding === "nearest" ? rounding : "up";
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] ?? 0;
    if (to === "float8e8m0") data[i] = encodeE8m0(number, saturate, mode);
    else if (isCodedFloat(to)) data[i] = encodeFloat(to, number, saturate);
  }
  return tensorValue(to, x.shape, data);
}

/** The rules of every pair of types: to bool "is not 0", float to integer truncates, integer to integer wraps, to float rounds. */
export function castValue(x: TensorValue, to: DType, saturate: boolean, rounding = "up"): TensorValue {
  if (x.dtype === to) return x;
  const [from, target] = [dtypes[x.dtype], dtypes[to]];
  if (target.kind === "bool") return valueFromNumbers(to, x.shape, numbersOf(x));
  if (target.kind === "float") {
    if (!isCodedFloat(to)) return valueFromNumbers(to, x.shape, numbersOf(x));
    return toCodedFloat(x, to, saturate && target.bits <= 8, rounding);
  }
  if (from.kind === "float") return floatToInt(x, to);
  return is64Bit(x.dtype) ? valueFromBigints(to, x.shape, bigintsOf(x)) : valueFromNumbers(to, x.shape, numbersOf(x));
}

/** Nearest integers, ties to even, limited to the type. */
export function quantiseNumbers(dtype: DType, shape: readonly number[], source: ArrayLike<number>): TensorValue {
  const [low = 0, high = 0] = integerRange(dtype).map(Number);
  const rounded = mapped(source, (x) => (Number.isNaN(x) ? 0 : roundHalfEven(Math.min(Math.max(x, low), high))));
  return valueFromNumbers(dtype, shape, rounded);
}

const convert = (ctx: EvaluateContext): TensorValue =>
  castValue(
    valueAt(ctx, 0),
    outputAt(ctx).dtype,
    numberOf(ctx.attrs, "saturate") === 1,
    stringOf(ctx.attrs, "round_mode"),
  );

const conversionAttrs = { saturate: int(1), round_mode: string("up") };

export const castOps = {
  Cast: defineOp({
    summary: "X as another type; saturate holds for 8-bit floats, round_mode for float8e8m0",
    inputs: ["X: any"],
    outputs: ["Y"],
    attrs: { to: { ...dtypeAttr(), required: true }, ...conversionAttrs },
    infer: (ctx) => {
      const to = optionalDType(ctx.attrs, "to");
      return isDType(to) ? [{ dtype: to, shape: typeAt(ctx, 0).shape }] : problem("attr", "attribute to is missing");
    },
    evaluate: (ctx) => [convert(ctx)],
  }),
  BitCast: defineOp({
    summary: "the bits of each element as another type of as many bits",
    inputs: ["input: any"],
    outputs: ["output"],
    attrs: { to: { ...dtypeAttr(), required: true } },
    infer: (ctx) => {
      const [to, { dtype, shape }] = [optionalDType(ctx.attrs, "to"), typeAt(ctx, 0)];
      if (!isDType(to)) return problem("attr", "attribute to is missing");
      if (dtypes[to].bits === dtypes[dtype].bits) return [{ dtype: to, shape }];
      return problem("attr", `to is ${to}, needed: a type of ${dtypes[dtype].bits} bits, as ${dtype} has`);
    },
    evaluate: (ctx) => {
      const out = outputAt(ctx);
      return [valueFromBytes(out.dtype, out.shape, bytesOf(valueAt(ctx, 0)))];
    },
  }),
  CastLike: defineOp({
    summary: "X as the type of the second input",
    inputs: ["X: any", "target_type: any"],
    outputs: ["Y"],
    attrs: conversionAttrs,
    infer: (ctx) => [{ dtype: typeAt(ctx, 1).dtype, shape: typeAt(ctx, 0).shape }],
    evaluate: (ctx) => [convert(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
