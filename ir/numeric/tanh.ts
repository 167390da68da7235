// tanh of the VXM: binary32 -> binary32, the same bits everywhere. Method, in binary64 + - * / only: |x| < 0.5 by the [7/6] Pade
// approximant (relative error below 4e-16), |x| < 20 as 1 - 2 / (2^(2x log2 e) + 1), else 1; then one rounding to binary32. Stated maximum
// error: 0.5000001 ulp. Odd: tanh(-x) = -tanh(x), also for zero; subnormal arguments return themselves; infinities give +-1.
import { pow2, roundHalfEven } from "./bits.ts";
import { exp2Fraction } from "./exp2.ts";

const TWO_LOG2_E = 2.8853900817779268;

/** Hyperbolic tangent of a binary32 number x. */
export function tanhF32(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 0.5) {
    const y = x * x;
    const numerator = 135135 + y * (17325 + y * (378 + y));
    const denominator = 135135 + y * (62370 + y * (3150 + y * 28));
    return Math.fround(x * (numerator / denominator));
  }
  if (Number.isNaN(x)) return Number.NaN;
  if (magnitude >= 20) return x < 0 ? -1 : 1;
  const t = magnitude * TWO_LOG2_E;
  const n = roundHalfEven(t);
  const value = Math.fround(1 - 2 / (exp2Fraction(t - n) * pow2(n) + 1));
  return x < 0 ? -value : value;
}
