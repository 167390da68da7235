// Tangent, inverse trigonometry and hyperbolic functions in core ops, each in a form that keeps the digits of small results.
import type { TensorId } from "../../ir/graph/graph.ts";
import { abs, add, and, bitcast, eq, lt, mul, neg, or, polynomial, select, sub } from "./arith.ts";
import { type CoreDraft, float, int } from "./core-draft.ts";
import { divide, sqrt } from "./divide.ts";
import { cos, exp, expm1, log, sin } from "./functions.ts";
import type { Lowering, LoweringTable } from "./site.ts";

type Unary = (d: CoreDraft, x: TensorId) => TensorId;

const lowering =
  (f: Unary): Lowering =>
  (d, site) =>
    f(d, site.input(0));

/** f of magnitudes with the sign of x: for odd functions. */
function odd(d: CoreDraft, x: TensorId, f: Unary): TensorId {
  const sign = and(d, bitcast(d, x), int(d, -(2 ** 31)));
  return bitcast(d, or(d, bitcast(d, f(d, abs(d, x))), sign));
}

/** atan(t) / t as a polynomial in t^2 for |t| <= tan(pi / 8), by Chebyshev interpolation: relative error < 2e-8. */
const atanTerms = [
  0.9999999818725117, -0.3333279693519578, 0.1997440478588991, -0.13851478426954714, 0.0798496291168071,
];

/** Arc tangent of numbers from 0 to infinity: by the complement from tan(3 pi / 8) on, around 1 as (x - 1) / (x + 1). */
function positiveAtan(d: CoreDraft, x: TensorId): TensorId {
  const one = float(d, 1);
  const [far, middle] = [lt(d, float(d, 2.414213562373095), x), lt(d, float(d, 0.4142135623730951), x)];
  const above = select(d, far, float(d, -1), select(d, middle, sub(d, x, one), x));
  const below = select(d, far, x, select(d, middle, add(d, x, one), one));
  const rest = divide(d, above, below);
  const turned = mul(d, rest, polynomial(d, mul(d, rest, rest), atanTerms));
  return add(d, turned, select(d, far, float(d, Math.PI / 2), select(d, middle, float(d, Math.PI / 4), float(d, 0))));
}

const atan: Unary = (d, x) => odd(d, x, positiveAtan);

/** (1 - x)(1 + x). */
const lessSquare: Unary = (d, x) => mul(d, sub(d, float(d, 1), x), add(d, x, float(d, 1)));

const asin: Unary = (d, x) => odd(d, x, (_, a) => positiveAtan(d, divide(d, a, sqrt(d, lessSquare(d, a)))));

/** 2 atan(sqrt((1 - x) / (1 + x))). */
const acos: Unary = (d, x) => {
  const ratio = divide(d, sub(d, float(d, 1), x), add(d, x, float(d, 1)));
  return mul(d, positiveAtan(d, sqrt(d, ratio)), float(d, 2));
};

/** log(1 + t), t >= 0 (or below -1: NaN): the logarithm of the rounded sum, corrected by what rounding took. */
const log1p: Unary = (d, t) => {
  const sum = add(d, t, float(d, 1));
  const corrected = mul(d, log(d, sum), divide(d, t, sub(d, sum, float(d, 1))));
  const isRounded = eq(d, sum, float(d, 1));
  const isEnd = eq(d, t, float(d, Infinity));
  return select(d, or(d, isRounded, isEnd), t, corrected);
};

/** Where squares would overflow: log(2 x). */
const logOfTwice: Unary = (d, x) => add(d, log(d, x), float(d, Math.LN2));
const isHuge: Unary = (d, x) => lt(d, float(d, 2 ** 30), x);

const asinh: Unary = (d, x) =>
  odd(d, x, (_, a) => {
    const square = mul(d, a, a);
    const root = sqrt(d, add(d, square, float(d, 1)));
    const near = log1p(d, add(d, a, divide(d, square, add(d, root, float(d, 1)))));
    return select(d, isHuge(d, a), logOfTwice(d, a), near);
  });

const acosh: Unary = (d, x) => {
  const above = sub(d, x, float(d, 1));
  const near = log1p(d, add(d, above, sqrt(d, mul(d, above, add(d, above, float(d, 2))))));
  return select(d, isHuge(d, x), logOfTwice(d, x), near);
};

const atanh: Unary = (d, x) =>
  odd(d, x, (_, a) => {
    const ratio = divide(d, mul(d, a, float(d, 2)), sub(d, float(d, 1), a));
    return mul(d, log1p(d, ratio), float(d, 0.5));
  });

/** e^a / 2 for a >= 0, which is finite where e^a need not be. */
const halfPower: Unary = (d, a) => exp(d, add(d, a, float(d, -Math.LN2)));

const sinh: Unary = (d, x) =>
  odd(d, x, (_, a) => {
    const less = expm1(d, a);
    const near = mul(d, add(d, less, divide(d, less, add(d, less, float(d, 1)))), float(d, 0.5));
    return select(d, lt(d, a, float(d, 1)), near, sub(d, halfPower(d, a), halfPower(d, neg(d, a))));
  });

const cosh: Unary = (d, x) => {
  const a = abs(d, x);
  return add(d, halfPower(d, a), halfPower(d, neg(d, a)));
};

export const trigonometryLowerings: LoweringTable = {
  Tan: lowering((d, x) => divide(d, sin(d, x), cos(d, x))),
  Asin: lowering(asin),
  Acos: lowering(acos),
  Atan: lowering(atan),
  Sinh: lowering(sinh),
  Cosh: lowering(cosh),
  Asinh: lowering(asinh),
  Acosh: lowering(acosh),
  Atanh: lowering(atanh),
};
