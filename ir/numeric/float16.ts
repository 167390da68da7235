// binary16 and bfloat16, the fast way: table and bit operations for hot loops. Agrees with smallFloats (tested over every code).
import { f32FromBits, f32ToBits } from "./bits.ts";

/** Binary32 value of every binary16 code; NaN codes give NaN. Made once, on first use. */
export function float16Values(): Float32Array {
  values ??= makeValues();
  return values;
}

let values: Float32Array | undefined;

function makeValues(): Float32Array {
  const table = new Float32Array(65536);
  for (let code = 0; code < 65536; code += 1) table[code] = float16ToF32(code);
  return table;
}

export function float16ToF32(code: number): number {
  const exponent = (code >>> 10) & 31;
  const fraction = code & 1023;
  let magnitude: number;
  if (exponent === 31) magnitude = fraction === 0 ? Infinity : Number.NaN;
  else if (exponent === 0) magnitude = fraction * 5.9604644775390625e-8;
  else magnitude = f32FromBits(((exponent + 112) << 23) | (fraction << 13));
  return (code & 0x8000) !== 0 ? -magnitude : magnitude;
}

/** Nearest binary16 code of a binary32 value given by its pattern, ties to even, overflow to infinity, NaN to 0x7e00. */
export function float16FromF32Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Normal: drop 13 fraction bits; half of the dropped range less the parity of the kept last bit rounds ties to even.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign;
  // Subnormal: the significand in units of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}

export function float16FromF32(x: number): number {
  return float16FromF32Bits(f32ToBits(x));
}

/** Nearest binary16 value, as binary32; overflow gives infinity. */
export function roundToFloat16(x: number): number {
  return float16ToF32(float16FromF32Bits(f32ToBits(x)));
}

export function bfloat16ToF32(code: number): number {
  return f32FromBits(code << 16);
}

/** Nearest bfloat16 code, ties to even, overflow to infinity, NaN to 0x7fc0. */
export function bfloat16FromF32(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0;
  const bits = f32ToBits(x);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
