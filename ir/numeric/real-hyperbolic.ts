// Hyperbolic functions and their inverses, the error function and the cube root in binary64 (see real.ts for what all of these promise).
import { exp, expm1, log, log1p } from "./real-exp.ts";

const TWO_OVER_SQRT_PI = 1.1283791670955126;

export function sinh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 1e-8) return x;
  let value: number;
  if (magnitude < 20) {
    const t = expm1(magnitude);
    value = (t + t / (t + 1)) / 2;
  } else {
    const root = exp(magnitude / 2);
    value = (root / 2) * root;
  }
  return x < 0 ? -value : value;
}

export function cosh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 20) {
    const t = exp(magnitude);
    return (t + 1 / t) / 2;
  }
  const root = exp(magnitude / 2);
  return (root / 2) * root;
}

export function tanh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 1e-8) return x;
  if (magnitude > 20) return x < 0 ? -1 : 1;
  const t = expm1(2 * magnitude);
  const value = magnitude < 1 ? t / (t + 2) : 1 - 2 / (t + 2);
  return x < 0 ? -value : value;
}

export function asinh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 1e-8) return x;
  const square = magnitude * magnitude;
  const value = magnitude < 1e8 ? log1p(magnitude + square / (1 + Math.sqrt(square + 1))) : log(magnitude) + Math.LN2;
  return x < 0 ? -value : value;
}

export function acosh(x: number): number {
  if (!(x >= 1)) return Number.NaN;
  if (x >= 1e8) return log(x) + Math.LN2;
  const t = x - 1;
  return log1p(t + Math.sqrt(2 * t + t * t));
}

export function atanh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 1e-8) return x;
  if (!(magnitude <= 1)) return Number.NaN;
  const value = 0.5 * log1p((2 * magnitude) / (1 - magnitude));
  return x < 0 ? -value : value;
}

/** e^(-x^2) with the square taken to twice the precision. */
function gauss(x: number): number {
  const big = 134217729 * x;
  const high = big - (big - x);
  const low = x - high;
  const square = x * x;
  const rest = high * high - square + 2 * high * low + low * low;
  return exp(-square) * (1 - rest);
}

export function erf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const magnitude = Math.abs(x);
  if (magnitude < 1e-9) return x * TWO_OVER_SQRT_PI;
  if (magnitude >= 6) return x < 0 ? -1 : 1;
  const value = magnitude < 3 ? erfSeries(magnitude) : 1 - erfcFraction(magnitude);
  return x < 0 ? -value : value;
}

/** erf x = 2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1)): all terms positive. */
function erfSeries(x: number): number {
  const twice = 2 * x * x;
  let term = x;
  let sum = x;
  for (let n = 3; n < 160 && term > sum * 1e-17; n += 2) {
    term *= twice / n;
    sum += term;
  }
  return TWO_OVER_SQRT_PI * gauss(x) * sum;
}

/** erfc for x >= 3: e^(-x^2) / sqrt(pi) / (x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))), 60 levels. */
function erfcFraction(x: number): number {
  let denominator = x;
  for (let n = 60; n >= 1; n -= 1) denominator = x + n / 2 / denominator;
  return ((TWO_OVER_SQRT_PI / 2) * gauss(x)) / denominator;
}

export function cbrt(x: number): number {
  if (!(Math.abs(x) < Infinity) || x === 0) return x;
  const magnitude = Math.abs(x);
  // Away from subnormals, so that the Newton step below is accurate.
  const scaled = magnitude < 1e-290 ? magnitude * 18014398509481984 : magnitude;
  let y = exp(log(scaled) / 3);
  y -= (y - scaled / (y * y)) / 3;
  if (scaled !== magnitude) y /= 262144;
  return x < 0 ? -y : y;
}
