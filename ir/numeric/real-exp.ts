// Exponentials, logarithms and powers in binary64 (see real.ts for what all of these promise).
import { f64HighWord, pow2, roundHalfEven, scaleByPow2 } from "./bits.ts";
import { exp2Fraction } from "./exp2.ts";

const LN2_HIGH = 0.6931471804855391; // 33 bits: times a small integer is exact
const LN2_LOW = 7.440617110012397e-11;
const LOG2_E = Math.LOG2E;

/** A value as the unevaluated sum of two numbers, between a function here and its caller; holds nothing between calls from outside. */
const pair = new Float64Array(2);

/** e^r - 1 for |r| <= 0.35, by the Taylor polynomial of degree 14, with `correction` added to r. */
function expm1Kernel(r: number, correction: number): number {
  const tail =
    0.008333333333333333 +
    r *
      (0.001388888888888889 +
        r *
          (0.0001984126984126984 +
            r *
              (2.48015873015873e-5 +
                r *
                  (2.7557319223985893e-6 +
                    r *
                      (2.755731922398589e-7 +
                        r *
                          (2.505210838544172e-8 +
                            r * (2.08767569878681e-9 + r * (1.6059043836821613e-10 + r * 1.1470745597729725e-11))))))));
  const rest = r * r * (0.5 + r * (0.16666666666666666 + r * (0.041666666666666664 + r * tail)));
  return r + (rest + correction * (1 + r + rest));
}

/** e^(x + low), |low| far below |x|. */
function expWithTail(x: number, low: number): number {
  const k = roundHalfEven(x * LOG2_E);
  const high = x - k * LN2_HIGH;
  const r = high - k * LN2_LOW;
  const correction = high - r - k * LN2_LOW + low;
  return scaleByPow2(1 + expm1Kernel(r, correction), k);
}

export function exp(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x > 709.79) return Infinity;
  if (x < -745.2) return 0;
  return expWithTail(x, 0);
}

export function exp2(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x >= 1024) return Infinity;
  if (x <= -1075) return 0;
  const n = roundHalfEven(x);
  return scaleByPow2(exp2Fraction(x - n), n);
}

export function expm1(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (Math.abs(x) < 0.35) return x === 0 ? x : expm1Kernel(x, 0);
  if (x < -40) return -1;
  return exp(x) - 1;
}

/** 2 atanh(s) - 2 s for |s| <= 0.172: the odd series from the cubic term on. */
function logTail(s: number): number {
  const z = s * s;
  const series =
    0.6666666666666666 +
    z *
      (0.4 +
        z *
          (0.2857142857142857 +
            z *
              (0.2222222222222222 +
                z *
                  (0.18181818181818182 +
                    z *
                      (0.15384615384615385 +
                        z *
                          (0.13333333333333333 +
                            z * (0.11764705882352941 + z * (0.10526315789473684 + z * 0.09523809523809523))))))));
  return s * z * series;
}

/** The exponent e with x = 2^e m, sqrt(1/2) <= m < sqrt(2), for a normal positive x. */
function logExponent(x: number): number {
  // 0x6a09e is the fraction field of sqrt(2); comparing the high word only moves the border by 2^-20.
  const high = f64HighWord(x);
  return (high >> 20) - 1023 + ((high & 0xfffff) >= 0x6a09e ? 1 : 0);
}

/** log x as an unevaluated sum high + low, left in `pair`, for finite x > 0: relative error below 3e-18. */
function logPair(x: number): void {
  const subnormal = x < pow2(-1022);
  const normal = subnormal ? x * pow2(54) : x;
  const e = logExponent(normal);
  // Two steps, since 2^-e itself may be out of range.
  const half = e >> 1;
  const m = normal * pow2(-half) * pow2(half - e);
  const k = subnormal ? e - 54 : e;
  // s + sLow = f / (m + 1); twice atanh of it is log m.
  const f = m - 1;
  const sum = m + 1;
  const sumLow = m - (sum - 1);
  const s = f / sum;
  const product = s * sum;
  const sLow = (f - product - productError(s, sum, product) - s * sumLow) / sum;
  const a = k * LN2_HIGH;
  const b = 2 * s;
  const lead = a + b;
  // Exact error of a + b, whichever is larger.
  const part = lead - a;
  const leadLow = a - (lead - part) + (b - part);
  const low = leadLow + (k * LN2_LOW + (logTail(s) + 2 * sLow));
  const total = lead + low;
  pair[0] = total;
  pair[1] = low - (total - lead);
}

/** a * b - p exactly, where p is the rounded product and nothing over- or underflows. */
function productError(a: number, b: number, p: number): number {
  const aBig = 134217729 * a;
  const aHigh = aBig - (aBig - a);
  const aLow = a - aHigh;
  const bBig = 134217729 * b;
  const bHigh = bBig - (bBig - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - p + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : Number.NaN;
  if (x === Infinity) return x;
  logPair(x);
  return pair[0] as number;
}

export function log1p(x: number): number {
  if (Math.abs(x) < 1e-17) return x;
  const u = 1 + x;
  if (!(u > 0) || u === Infinity) return log(u);
  return log(u) + (x >= 1 ? 1 - (u - x) : x - (u - 1)) / u;
}

/** The parity of an integer of any size. */
function isOdd(x: number): boolean {
  return Math.abs(x) <= 9007199254740991 && x % 2 !== 0;
}

/** x to the power of y, as C Annex F: pow(x, 0) and pow(1, y) are 1 even for NaN. */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN;
  const integer = Math.floor(y) === y;
  const negative = (x < 0 || (x === 0 && 1 / x < 0)) && integer && isOdd(y);
  const base = Math.abs(x);
  if (x < 0 && base !== Infinity && !integer) return Number.NaN;
  const magnitude = powMagnitude(base, y, integer);
  return negative ? -magnitude : magnitude;
}

function powMagnitude(base: number, y: number, integer: boolean): number {
  if (base === 1) return 1;
  if (base === 0 || base === Infinity) return (base === 0) === y > 0 ? 0 : Infinity;
  if (y === Infinity || y === -Infinity) return base > 1 === y > 0 ? Infinity : 0;
  if (y === 0.5) return Math.sqrt(base);
  if (integer && y >= 1 && y <= 4) return y === 1 ? base : y === 2 ? base * base : smallPower(base, y);
  if (y === -1) return 1 / base;
  logPair(base);
  const high = pair[0] as number;
  const estimate = high * y;
  if (estimate > 709.79) return Infinity;
  if (estimate < -745.2) return 0;
  if (Math.abs(estimate) < 1e-17) return 1;
  // Here |y| < 2^63 and |high| < 710: the splitting cannot overflow.
  return expWithTail(estimate, productError(high, y, estimate) + (pair[1] as number) * y);
}

/** base^3 or base^4; exact where it is representable. */
function smallPower(base: number, y: number): number {
  const square = base * base;
  return y === 3 ? square * base : square * square;
}
