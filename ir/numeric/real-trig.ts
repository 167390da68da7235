// Circular functions and their inverses in binary64 (see real.ts for what all of these promise).
import { f64HighWord, f64LowWord, roundHalfEven } from "./bits.ts";

const HALF_PI = 1.5707963267948966;
const HALF_PI_LOW = 6.123233995736766e-17;
// pi / 2 in parts of 33, 33 and 53 bits.
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_3 = 2.0222662487959506e-21;
const TWO_OVER_PI = 0.6366197723675814;

/** x = quadrant * pi/2 + reduced[0] + reduced[1]; holds nothing between calls from outside. */
const reduced = new Float64Array(2);

/** Reduces a finite x to [-pi/4, pi/4] (a little more, by rounding); the return value is the quadrant modulo 4. */
function reduce(x: number): number {
  if (Math.abs(x) <= 0.7853981633974483) {
    reduced[0] = x;
    reduced[1] = 0;
    return 0;
  }
  if (Math.abs(x) < 1048576) {
    const n = roundHalfEven(x * TWO_OVER_PI);
    const t = x - n * HALF_PI_1;
    const w = n * HALF_PI_2;
    const r = t - w;
    const part = t - r;
    const low = t - (r + part) + (part - w) - n * HALF_PI_3;
    const y = r + low;
    // Very near a multiple of pi/2 the three parts are not enough.
    if (Math.abs(y) > 1e-6) {
      reduced[0] = y;
      reduced[1] = r - y + low;
      return n & 3;
    }
  }
  return reduceExactly(x);
}

const PI_BITS = 1300n;

/** pi * 2^PI_BITS by Machin's formula, in integers. */
function piFixed(): bigint {
  const one = 1n << (PI_BITS + 32n);
  const arctanOfInverse = (k: bigint): bigint => {
    let power = one / k;
    let sum = power;
    for (let n = 3n; power !== 0n; n += 2n) {
      power /= k * k;
      sum += (n & 2n) !== 0n ? -(power / n) : power / n;
    }
    return sum;
  };
  return (16n * arctanOfInverse(5n) - 4n * arctanOfInverse(239n)) >> 32n;
}

let piCache: bigint | undefined;

/** As `reduce`, in integers of any size: for huge arguments and those very near a multiple of pi/2. */
function reduceExactly(x: number): number {
  piCache ??= piFixed();
  const magnitude = Math.abs(x);
  const high = f64HighWord(magnitude);
  const exponent = (high >>> 20) - 1075;
  const significand = (BigInt((high & 0xfffff) | 0x100000) << 32n) | BigInt(f64LowWord(magnitude) >>> 0);
  const shift = PI_BITS + BigInt(exponent);
  const fixed = significand << shift;
  const halfPi = piCache >> 1n;
  const n = (fixed + (halfPi >> 1n)) / halfPi;
  // |rest| <= pi/4; the error of n * halfPi is below n ulps of 2^-PI_BITS, n < 2^1024.
  const rest = fixed - n * halfPi - ((n * (piCache & 1n)) >> 1n);
  const y = bigToNumber(rest);
  const sign = x < 0 ? -1 : 1;
  reduced[0] = sign * y.high;
  reduced[1] = sign * y.low;
  const quadrant = Number(n & 3n);
  return sign > 0 ? quadrant : (4 - quadrant) & 3;
}

/** value / 2^PI_BITS as high + low. */
function bigToNumber(value: bigint): { high: number; low: number } {
  const negative = value < 0n;
  const magnitude = negative ? -value : value;
  const length = BigInt(magnitude.toString(2).length);
  const drop = length > 106n ? length - 106n : 0n;
  const top = magnitude >> drop;
  const high = Number(top >> 53n) * 9007199254740992;
  const low = Number(top & 9007199254740991n);
  const down = Number(PI_BITS - drop);
  let scale = 1;
  for (let i = 0; i < down; i += 1) scale /= 2;
  const sum = high * scale + low * scale;
  const rest = high * scale - sum + low * scale;
  return negative ? { high: -sum, low: -rest } : { high: sum, low: rest };
}

/** sin(x + low) for |x| <= pi/4 and a little more. */
function sinKernel(x: number, low: number): number {
  const z = x * x;
  const series =
    -0.16666666666666666 +
    z *
      (0.008333333333333333 +
        z *
          (-0.0001984126984126984 +
            z *
              (2.7557319223985893e-6 +
                z *
                  (-2.505210838544172e-8 +
                    z * (1.6059043836821613e-10 + z * (-7.647163731819816e-13 + z * 2.8114572543455206e-15))))));
  return x + (x * z * series + low * (1 - 0.5 * z));
}

/** cos(x + low) for |x| <= pi/4 and a little more. */
function cosKernel(x: number, low: number): number {
  const z = x * x;
  const series =
    0.041666666666666664 +
    z *
      (-0.001388888888888889 +
        z *
          (2.48015873015873e-5 +
            z *
              (-2.755731922398589e-7 +
                z * (2.08767569878681e-9 + z * (-1.1470745597729725e-11 + z * 4.779477332387385e-14)))));
  const half = 0.5 * z;
  const lead = 1 - half;
  return lead + (1 - lead - half + (z * z * series - x * low));
}

export function sin(x: number): number {
  if (!(Math.abs(x) < Infinity)) return Number.NaN;
  if (Math.abs(x) < 1e-8) return x;
  const quadrant = reduce(x);
  const [y, low] = [reduced[0] as number, reduced[1] as number];
  const value = (quadrant & 1) === 0 ? sinKernel(y, low) : cosKernel(y, low);
  return (quadrant & 2) === 0 ? value : -value;
}

export function cos(x: number): number {
  if (!(Math.abs(x) < Infinity)) return Number.NaN;
  const quadrant = reduce(x);
  const [y, low] = [reduced[0] as number, reduced[1] as number];
  const value = (quadrant & 1) === 0 ? cosKernel(y, low) : sinKernel(y, low);
  return ((quadrant + 1) & 2) === 0 ? value : -value;
}

export function tan(x: number): number {
  if (!(Math.abs(x) < Infinity)) return Number.NaN;
  if (Math.abs(x) < 1e-8) return x;
  const quadrant = reduce(x);
  const [y, low] = [reduced[0] as number, reduced[1] as number];
  const s = sinKernel(y, low);
  const c = cosKernel(y, low);
  return (quadrant & 1) === 0 ? s / c : -c / s;
}

/** atan(i / 8), i = 0..8, and what the binary64 number leaves over. */
const ATAN_HIGH = [
  0, 0.12435499454676144, 0.24497866312686414, 0.35877067027057225, 0.4636476090008061, 0.5585993153435624,
  0.6435011087932844, 0.7188299996216245, 0.7853981633974483,
] as const;
const ATAN_LOW = [
  0, -3.1253241424539383e-18, 1.0698755618734451e-17, -2.4623815582638635e-17, 2.2698777452961687e-17,
  -5.4556305485916264e-18, 1.5834785051444286e-17, -2.1478388444456983e-17, 3.061616997868383e-17,
] as const;

/** atan on [0, 1]: by the nearest eighth c, atan x = atan c + atan((x - c) / (1 + x c)); the last argument is at most 1/16. */
function atanUnit(x: number): number {
  const i = Math.floor(x * 8 + 0.5);
  const c = i / 8;
  const t = i === 0 ? x : (x - c) / (1 + x * c);
  const z = t * t;
  const series =
    -0.3333333333333333 +
    z *
      (0.2 +
        z *
          (-0.14285714285714285 +
            z *
              (0.1111111111111111 + z * (-0.09090909090909091 + z * (0.07692307692307693 - z * 0.06666666666666667)))));
  return (ATAN_HIGH[i] as number) + (t + (t * z * series + (ATAN_LOW[i] as number)));
}

export function atan(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const magnitude = Math.abs(x);
  if (magnitude < 1e-8) return x;
  const value = magnitude <= 1 ? atanUnit(magnitude) : HALF_PI - (atanUnit(1 / magnitude) - HALF_PI_LOW);
  return x < 0 ? -value : value;
}

/** asin on [0, 0.5]. */
function asinSmall(x: number): number {
  return x < 1e-8 ? x : atanUnit(x / Math.sqrt((1 - x) * (1 + x)));
}

export function asin(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude <= 1)) return Number.NaN;
  if (magnitude <= 0.5) return x < 0 || 1 / x < 0 ? -asinSmall(magnitude) : asinSmall(magnitude);
  const value = HALF_PI - (2 * asinSmall(Math.sqrt((1 - magnitude) / 2)) - HALF_PI_LOW);
  return x < 0 ? -value : value;
}

export function acos(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude <= 1)) return Number.NaN;
  if (magnitude <= 0.5) return HALF_PI - (asin(x) - HALF_PI_LOW);
  const value = 2 * asinSmall(Math.sqrt((1 - magnitude) / 2));
  return x > 0 ? value : 2 * HALF_PI - (value - 2 * HALF_PI_LOW);
}
