// Exponentials, logarithms, trigonometry, error function and powers in core ops. Polynomials were fitted by iteratively reweighted least squares
// (minimax) over the reduced ranges given at each; the stated errors hold before float32 rounding.
import type { TensorId } from "../../ir/graph/graph.ts";
import {
  abs,
  add,
  and,
  bitcast,
  eq,
  lt,
  max,
  min,
  mul,
  neg,
  not,
  or,
  polynomial,
  scaledBy,
  select,
  shl,
  shr,
  sub,
  toFloat,
  toInt,
  unary,
  xor,
} from "./arith.ts";
import { type CoreDraft, float, int, isFloat, producedBy, shapeOf, uniform } from "./core-draft.ts";
import { floor, LOG2_E, reciprocal, rsqrt, sqrt } from "./divide.ts";
import { isPositive, rangeOf } from "./range.ts";
import { expand } from "./views.ts";

export const exp = (d: CoreDraft, x: TensorId): TensorId => unary(d, "exp2", mul(d, x, float(d, LOG2_E)));

/** atanh(erf(x)) / x as a polynomial in x^2: |error of erf| < 6e-8 (7 terms) or 3e-6 (5 terms). Grows with x, so tanh saturates by itself. */
const erfLong = [
  1.128379705467864, 0.10276548147142636, -0.00018438373013178466, -0.000625719535452568, 8.971257099441021e-5,
  -5.985687710159671e-6, 1.5896004029736233e-7,
];
const erfShort = [
  1.128358168062505, 0.10293292988296254, -0.0004968225703121561, -0.0004151386914932617, 3.2244168213541036e-5,
];

export function erf(d: CoreDraft, x: TensorId): TensorId {
  const scaled = scaledBy(d, x);
  const inner = scaled?.x ?? x;
  const factor = scaled?.factor ?? 1;
  const terms = d.precision === "fp16" ? erfShort : erfLong;
  let scale = factor;
  const coefficients = terms.map((term) => {
    const coefficient = term * scale;
    scale *= factor * factor;
    return coefficient;
  });
  const series = polynomial(d, mul(d, inner, inner), coefficients);
  return unary(d, "tanh", mul(d, inner, series));
}

/** tanh(k (x + c x^3)) with the factors folded: x (k + k c x^2). */
export function tanh(d: CoreDraft, x: TensorId): TensorId {
  const outer = scaledBy(d, x);
  const sum = outer === undefined ? undefined : producedBy(d, outer.x, "add");
  if (outer === undefined || sum === undefined) return unary(d, "tanh", x);
  const [left, right] = sum.inputs;
  for (const [linear, cubic] of [
    [left, right],
    [right, left],
  ]) {
    if (linear === undefined || cubic === undefined) continue;
    const term = scaledBy(d, cubic);
    const cube = term === undefined ? undefined : cubeOf(d, term.x);
    if (term === undefined || cube !== linear) continue;
    const series = polynomial(d, mul(d, linear, linear), [outer.factor, outer.factor * term.factor]);
    return unary(d, "tanh", mul(d, linear, series));
  }
  return unary(d, "tanh", x);
}

/** x if the value is x * x * x. */
function cubeOf(d: CoreDraft, id: TensorId): TensorId | undefined {
  const [a, b] = producedBy(d, id, "mul")?.inputs ?? [];
  for (const [square, x] of [
    [a, b],
    [b, a],
  ]) {
    if (square === undefined || x === undefined) continue;
    const inner = producedBy(d, square, "mul");
    if (inner?.inputs[0] === x && inner.inputs[1] === x) return x;
  }
  return undefined;
}

/** log(1 + f) = f + f^2 P(f) for f in [sqrt(1/2) - 1, sqrt(2) - 1]: relative error < 3e-8. */
const logTerms = [
  -0.4999999160623098, 0.33333950226549847, -0.2500175527712019, 0.1996207193344153, -0.16570507415962638,
  0.1491797514611684, -0.14307528413759898, 0.08734847051140764,
];
const LN_2 = Math.LN2;
/** Bits of sqrt(1/2) as float32. */
const HALF_ROOT_BITS = 0x3f3504f3;

/** Exponent e and f with x = 2^e (1 + f), for normal positive x. */
function splitExponent(d: CoreDraft, x: TensorId): { readonly exponent: TensorId; readonly fraction: TensorId } {
  const bits = bitcast(d, x);
  const exponent = shr(d, add(d, bits, int(d, -HALF_ROOT_BITS)), int(d, 23));
  const mantissa = bitcast(d, sub(d, bits, shl(d, exponent, int(d, 23))));
  return { exponent: toFloat(d, exponent), fraction: add(d, mantissa, float(d, -1)) };
}

/** Natural logarithm times `factor`, of positive normal numbers. */
function scaledLog(d: CoreDraft, x: TensorId, factor: number): TensorId {
  const { exponent, fraction } = splitExponent(d, x);
  const square = mul(d, fraction, fraction);
  const mantissa = add(d, mul(d, square, polynomial(d, fraction, logTerms)), fraction);
  return add(d, mul(d, mantissa, float(d, factor)), mul(d, exponent, float(d, LN_2 * factor)));
}

/** Logarithm: -inf at 0, NaN below, infinity of infinity; subnormals as 2^24 x. */
export function log(d: CoreDraft, x: TensorId): TensorId {
  const { low, high } = rangeOf(d, x);
  if (low >= 2 ** -126 && high < Infinity) return scaledLog(d, x, 1);
  const tiny = lt(d, x, float(d, 2 ** -126));
  const normal = select(d, tiny, mul(d, x, float(d, 2 ** 24)), x);
  const finite = sub(d, scaledLog(d, normal, 1), mul(d, toFloat(d, tiny), float(d, 24 * LN_2)));
  const large = select(d, lt(d, x, float(d, Infinity)), finite, x);
  if (isPositive(d, x)) return large;
  const edge = select(d, eq(d, x, float(d, 0)), float(d, -Infinity), float(d, Number.NaN));
  return select(d, lt(d, float(d, 0), x), large, edge);
}

/** log(1 + t) / t for t in [0, 1]: relative error < 4e-8. */
const log1pTerms = [
  0.9999999698039422, -0.4999949277800342, 0.3331909173525835, -0.24842950325833568, 0.19105900403566678,
  -0.13663044492977228, 0.07822378139648019, -0.02950399675101331, 0.005232401562314082,
];

/** log(1 + e^x) = max(x, 0) + log(1 + e^-|x|). */
export function softplus(d: CoreDraft, x: TensorId): TensorId {
  const small = unary(d, "exp2", mul(d, abs(d, x), float(d, -LOG2_E)));
  return add(d, mul(d, small, polynomial(d, small, log1pTerms)), max(d, x, float(d, 0)));
}

/** (e^x - 1) / x for |x| < 0.35: relative error < 2e-8. */
const expm1Terms = [
  1.0000000112717489, 0.49999998010861363, 0.16666499790814981, 0.04166715505535024, 0.008369778488889548,
  0.0013888872206739102,
];

/** e^x - 1 without loss near 0. */
export function expm1(d: CoreDraft, x: TensorId): TensorId {
  const near = mul(d, x, polynomial(d, x, expm1Terms));
  const far = add(d, exp(d, x), float(d, -1));
  return select(d, lt(d, abs(d, x), float(d, 0.35)), near, far);
}

const sinTerms = [-0.16666653079423158, 0.008332063868860802, -0.0001950213407446331];
const cosTerms = [0.0416666429835833, -0.00138871846959852, 2.4418127706483418e-5];
/** pi/2 in three parts whose products with whole numbers below 2^13 are exact. */
const HALF_PI = [1.5703125, 4.837512969970703e-4, 7.549789948768648e-8];

/** sin (phase 0) or cos (phase 1) by quarter turns; accurate for |x| up to about 10^4. */
function circular(d: CoreDraft, x: TensorId, phase: 0 | 1): TensorId {
  const turns = toInt(d, mul(d, x, float(d, 2 / Math.PI)), "rne");
  const turnsFloat = toFloat(d, turns);
  let rest = x;
  for (const part of HALF_PI) rest = sub(d, rest, mul(d, turnsFloat, float(d, part)));
  const square = mul(d, rest, rest);
  const sine = add(d, mul(d, mul(d, rest, square), polynomial(d, square, sinTerms)), rest);
  const cosine = add(
    d,
    add(d, mul(d, mul(d, square, square), polynomial(d, square, cosTerms)), mul(d, square, float(d, -0.5))),
    float(d, 1),
  );
  const quarter = add(d, turns, int(d, phase));
  const odd = and(d, quarter, int(d, 1));
  const sign = shl(d, and(d, quarter, int(d, 2)), int(d, 30));
  const magnitude = select(d, odd, cosine, sine);
  const result = bitcast(d, xor(d, bitcast(d, magnitude), sign));
  const outside = eq(d, sub(d, x, x), float(d, 0));
  return select(d, outside, result, float(d, Number.NaN));
}

export const sin = (d: CoreDraft, x: TensorId): TensorId => circular(d, x, 0);
export const cos = (d: CoreDraft, x: TensorId): TensorId => circular(d, x, 1);

/** x to a whole power, by squaring. */
export function wholePower(d: CoreDraft, x: TensorId, power: number): TensorId {
  if (power === 1) return x;
  if (power % 2 === 1) return mul(d, wholePower(d, x, power - 1), x);
  const root = wholePower(d, x, power / 2);
  return mul(d, root, root);
}

const MAX_WHOLE_POWER = 64;

/** x to a constant power where that is a chain of products and roots. */
function constantPower(d: CoreDraft, x: TensorId, power: number): TensorId | undefined {
  if (power === 0) return expand(d, float(d, 1), shapeOf(d, x));
  if (power === 0.5) return sqrt(d, x);
  if (power === -0.5) return rsqrt(d, x);
  if (power === 1.5) return mul(d, x, sqrt(d, x));
  if (!Number.isInteger(power) || Math.abs(power) > MAX_WHOLE_POWER) return undefined;
  return power > 0 ? wholePower(d, x, power) : reciprocal(d, wholePower(d, x, -power));
}

/** |x|^y = 2^(y log2|x|), exact zeros and ones kept. */
function positivePower(d: CoreDraft, magnitude: TensorId, y: TensorId): TensorId {
  const tiny = lt(d, magnitude, float(d, 2 ** -126));
  const normal = max(d, magnitude, float(d, 2 ** -126));
  const power = unary(d, "exp2", mul(d, y, scaledLog(d, normal, LOG2_E)));
  const atZero = select(d, lt(d, y, float(d, 0)), float(d, Infinity), float(d, 0));
  const withZero = isPositive(d, magnitude) ? power : select(d, tiny, atZero, power);
  const rangeEnd = eq(d, magnitude, float(d, Infinity));
  const atEnd = select(d, lt(d, y, float(d, 0)), float(d, 0), float(d, Infinity));
  return select(d, rangeEnd, atEnd, withZero);
}

/** x^y of floats. */
export function power(d: CoreDraft, x: TensorId, y: TensorId): TensorId {
  const known = uniform(d, y);
  const special = known === undefined ? undefined : constantPower(d, x, known);
  if (special !== undefined) return expand(d, special, broadcastOf(d, x, y));
  const positive = rangeOf(d, x).low >= 0;
  const base = positivePower(d, abs(d, x), y);
  const one = float(d, 1);
  const trivial = or(d, eq(d, y, float(d, 0)), eq(d, x, one));
  if (positive) return select(d, trivial, one, base);
  const whole = eq(d, floor(d, y), y);
  const odd = toInt(d, sub(d, y, mul(d, floor(d, mul(d, y, float(d, 0.5))), float(d, 2))), "trunc");
  const signed = select(d, odd, neg(d, base), base);
  const below = select(d, whole, signed, float(d, Number.NaN));
  return select(d, trivial, one, select(d, lt(d, x, float(d, 0)), below, base));
}

function broadcastOf(d: CoreDraft, x: TensorId, y: TensorId): readonly number[] {
  const [a, b] = [shapeOf(d, x), shapeOf(d, y)];
  if (a.length >= b.length && uniform(d, y) !== undefined && b.every((size) => size === 1)) return a;
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, dim) => {
    const [p, q] = [a[dim - (rank - a.length)] ?? 1, b[dim - (rank - b.length)] ?? 1];
    return p === 1 ? q : p;
  });
}

/** x^y of integers: y below 0 gives 0 except for x = 1 and -1. */
export function integerPower(d: CoreDraft, x: TensorId, y: TensorId): TensorId {
  const known = uniform(d, y);
  if (known !== undefined && known >= 1 && known <= MAX_WHOLE_POWER) return wholePower(d, x, known);
  const one = int(d, 1);
  let result: TensorId = one;
  let square = x;
  for (let bit = 0; bit < 6; bit += 1) {
    const set = and(d, shr(d, y, int(d, bit)), one);
    result = select(d, set, mul(d, result, square), result);
    square = mul(d, square, square);
  }
  const negative = lt(d, y, int(d, 0));
  const odd = and(d, y, one);
  const unit = select(
    d,
    eq(d, x, one),
    one,
    select(d, eq(d, x, int(d, -1)), select(d, odd, int(d, -1), one), int(d, 0)),
  );
  return select(d, negative, unit, result);
}

export function clamp(d: CoreDraft, x: TensorId, low: number, high: number): TensorId {
  const number = isFloat(d, x) ? float : int;
  return min(d, max(d, x, number(d, low)), number(d, high));
}

/** 1 where x is NaN. */
export const isNan = (d: CoreDraft, x: TensorId): TensorId => not(d, eq(d, x, x));
