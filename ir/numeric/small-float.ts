// Floating-point formats of 16 bits and fewer: one row a format, conversion both ways. Values travel as JS numbers, codes as integers.
// Allocates nothing per value. Knows nothing of machines or graphs.
import { f64HighWord, pow2 } from "./bits.ts";

export interface SmallFloatFormat {
  readonly bits: number;
  readonly fractionBits: number;
  /** Exponent of the least normal value: a normal code's value is 2^(field - 1 + minExponent) * (1 + fraction). */
  readonly minExponent: number;
  /** Code of the largest finite magnitude. */
  readonly maxCode: number;
  /** Code of +infinity, -1 where the format has none. */
  readonly infCode: number;
  /** The code written for NaN, -1 where the format has none (NaN then becomes the largest value, as ONNX says of float4e2m1). */
  readonly nanCode: number;
  /** False where the code of "-0" is NaN: zero has no sign. */
  readonly signedZero: boolean;
}

const format = (
  bits: number,
  fractionBits: number,
  minExponent: number,
  maxCode: number,
  infCode: number,
  nanCode: number,
  signedZero = true,
): SmallFloatFormat => ({ bits, fractionBits, minExponent, maxCode, infCode, nanCode, signedZero });

/** IEEE 754 binary16, bfloat16, OCP 8-bit and 4-bit formats, and the "fnuz" 8-bit formats (one NaN, unsigned zero, bias one higher). */
export const smallFloats = {
  float16: format(16, 10, -14, 0x7bff, 0x7c00, 0x7e00),
  bfloat16: format(16, 7, -126, 0x7f7f, 0x7f80, 0x7fc0),
  float8e4m3fn: format(8, 3, -6, 0x7e, -1, 0x7f),
  float8e4m3fnuz: format(8, 3, -7, 0x7f, -1, 0x80, false),
  float8e5m2: format(8, 2, -14, 0x7b, 0x7c, 0x7e),
  float8e5m2fnuz: format(8, 2, -15, 0x7f, -1, 0x80, false),
  float4e2m1: format(4, 1, 0, 0x7, -1, -1),
} as const satisfies Record<string, SmallFloatFormat>;

export type SmallFloat = keyof typeof smallFloats;

/** The exact value of a code. */
export function decodeSmallFloat(kind: SmallFloat, code: number): number {
  const f: SmallFloatFormat = smallFloats[kind];
  const signBit = 1 << (f.bits - 1);
  const magnitude = code & (signBit - 1);
  const negative = (code & signBit) !== 0;
  if (!f.signedZero && negative && magnitude === 0) return Number.NaN;
  if (magnitude > f.maxCode) return magnitude === f.infCode ? (negative ? -Infinity : Infinity) : Number.NaN;
  const field = magnitude >> f.fractionBits;
  const fraction = magnitude & ((1 << f.fractionBits) - 1);
  const significand = field === 0 ? fraction : fraction + (1 << f.fractionBits);
  const value = significand * pow2(Math.max(field, 1) - 1 + f.minExponent - f.fractionBits);
  return negative ? -value : value;
}

/**
 * Code of the value nearest to `x` (any binary64 number), ties to even, rounded once. Beyond the largest finite value: with `saturate` the
 * largest one (infinities too); else infinity, or NaN where the format has no infinity; formats with neither always saturate.
 */
export function encodeSmallFloat(kind: SmallFloat, x: number, saturate: boolean): number {
  const f: SmallFloatFormat = smallFloats[kind];
  if (Number.isNaN(x)) return f.nanCode < 0 ? f.maxCode : f.nanCode;
  const signBit = x < 0 || (x === 0 && 1 / x < 0) ? 1 << (f.bits - 1) : 0;
  const magnitude = Math.abs(x);
  let code: number;
  if (magnitude >= 3.5e38 || magnitude === Infinity) {
    code = f.maxCode + 1;
  } else {
    const exponent = Math.max(((f64HighWord(magnitude) >>> 20) & 0x7ff) - 1023, f.minExponent);
    const scaled = magnitude * pow2(f.fractionBits - exponent);
    code = scaled + 4503599627370496 - 4503599627370496 + (exponent - f.minExponent) * (1 << f.fractionBits);
  }
  if (code > f.maxCode) {
    if (saturate || (f.infCode < 0 && f.nanCode < 0)) code = f.maxCode;
    else if (f.infCode >= 0) code = f.infCode;
    else return f.nanCode;
  }
  return code === 0 && !f.signedZero ? 0 : code | signBit;
}

export type ScaleRounding = "up" | "down" | "nearest";

/** float8e8m0 has only an exponent: code c is 2^(c - 127), 0xff is NaN; no zero, no sign. */
export function decodeE8m0(code: number): number {
  return code === 0xff ? Number.NaN : pow2(code - 127);
}

/**
 * ONNX leaves negative numbers open: here they count as below the range. `nearest` is by value, ties up. Out of range: with `saturate` the
 * nearest end, else NaN.
 */
export function encodeE8m0(x: number, saturate: boolean, rounding: ScaleRounding): number {
  if (Number.isNaN(x)) return 0xff;
  if (!(x >= pow2(-127))) return saturate ? 0 : 0xff;
  if (x > pow2(127)) return saturate ? 0xfe : 0xff;
  const exponent = ((f64HighWord(x) >>> 20) & 0x7ff) - 1023;
  const fraction = x / pow2(exponent) - 1;
  const up = fraction !== 0 && (rounding === "up" || (rounding === "nearest" && fraction >= 0.5));
  return exponent + 127 + (up ? 1 : 0);
}
