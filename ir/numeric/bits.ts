// Bit patterns of binary32 and binary64 values. Knows nothing of machines or graphs. The scratch words are private to this file and hold
// nothing between calls.

const f32Scratch = new Float32Array(1);
const i32Scratch = new Int32Array(f32Scratch.buffer);
const f64Scratch = new Float64Array(1);
const wordScratch = new Int32Array(f64Scratch.buffer);
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const HIGH = littleEndian ? 1 : 0;
const LOW = 1 - HIGH;

/** The one NaN pattern of the machine. */
const CANONICAL_NAN_BITS = 0x7fc00000;

/** Pattern of the binary32 nearest to `x`, as a signed 32-bit integer; every NaN gives the canonical one. */
export function f32ToBits(x: number): number {
  if (Number.isNaN(x)) return CANONICAL_NAN_BITS;
  f32Scratch[0] = x;
  return i32Scratch[0] as number;
}

/** Writes the canonical pattern over every NaN of bits [from, from + count): engines differ in the pattern they store for a NaN result. */
export function canonicaliseNan(bits: Int32Array, from: number, count: number): void {
  for (let i = from; i < from + count; i += 1) {
    if (((bits[i] as number) & 0x7fffffff) > 0x7f800000) bits[i] = CANONICAL_NAN_BITS;
  }
}

export function f32FromBits(bits: number): number {
  i32Scratch[0] = bits;
  return f32Scratch[0] as number;
}

/** Upper half of the binary64 pattern: sign, 11 exponent bits, 20 fraction bits. */
export function f64HighWord(x: number): number {
  f64Scratch[0] = x;
  return wordScratch[HIGH] as number;
}

export function f64LowWord(x: number): number {
  f64Scratch[0] = x;
  return wordScratch[LOW] as number;
}

/** 2^exponent for -1022 <= exponent <= 1023. */
export function pow2(exponent: number): number {
  wordScratch[HIGH] = (exponent + 1023) << 20;
  wordScratch[LOW] = 0;
  return f64Scratch[0] as number;
}

/** x * 2^exponent for 0.25 <= |x| <= 4 and -1200 <= exponent <= 1200, rounded once, also where the result is subnormal. */
export function scaleByPow2(x: number, exponent: number): number {
  if (exponent > 1020) return x * pow2(1000) * pow2(exponent - 1000);
  if (exponent < -1010) return x * pow2(exponent + 400) * pow2(-400);
  return x * pow2(exponent);
}

/** Nearest integer, ties to even, for |x| < 2^51. Keeps no sign of zero. */
export function roundHalfEven(x: number): number {
  return x + 6755399441055744 - 6755399441055744;
}
