// Arithmetic, comparison, logic and selection operators in core ops.
import { dtypes } from "../../ir/dtype.ts";
import { numberOf, stringOf } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import {
  abs,
  add,
  and,
  eq,
  le,
  lt,
  max,
  min,
  mul,
  neg,
  not,
  or,
  select,
  shl,
  shr,
  shru,
  sub,
  toFloat,
  toInt,
  xor,
} from "./arith.ts";
import { type CoreDraft, float, int, isFloat } from "./core-draft.ts";
import {
  ceil,
  divide,
  divideInts,
  exactQuotient,
  floor,
  reciprocal,
  remainderOf,
  round,
  sqrt,
  truncate,
} from "./divide.ts";
import { cos, erf, exp, integerPower, isNan, log, power, sin, tanh } from "./functions.ts";
import {
  hasInput,
  isFloatType,
  type Lowering,
  type LoweringTable,
  outputType,
  presentInputs,
  type Site,
  typeAt,
  wrapTo,
} from "./site.ts";
import { expand } from "./views.ts";

type Binary = (d: CoreDraft, a: TensorId, b: TensorId) => TensorId;
type Unary = (d: CoreDraft, x: TensorId) => TensorId;

/** Integer results wrap to their type; operands are repeated to the result's shape only where it takes both to make it. */
const binary =
  (f: Binary): Lowering =>
  (d, site) =>
    expand(d, wrapTo(d, f(d, site.input(0), site.input(1)), outputType(site).dtype), outputType(site).shape);

const unary =
  (f: Unary): Lowering =>
  (d, site) =>
    wrapTo(d, f(d, site.input(0)), outputType(site).dtype);

const variadic =
  (f: Binary): Lowering =>
  (d, site) => {
    const [first, ...rest] = presentInputs(site);
    const folded = rest.reduce((result, next) => f(d, result, next), first ?? site.input(0));
    return expand(d, wrapTo(d, folded, outputType(site).dtype), outputType(site).shape);
  };

/** Readers for which a quotient one rounding off would be a wrong whole number, and Clip, behind which they stand. */
const rounders = ["Floor", "Ceil", "Round", "Cast", "Mod", "QuantizeLinear", "Clip"] as const;
const isRounded = (site: Site): boolean => rounders.some((op) => site.readers.has(op));

function div(d: CoreDraft, site: Site): TensorId {
  const [a, b] = [site.input(0), site.input(1)];
  if (!isFloat(d, a)) return wrapTo(d, divideInts(d, a, b), outputType(site).dtype);
  return isRounded(site) ? exactQuotient(d, a, b) : divide(d, a, b);
}

const lessWholes = (d: CoreDraft, x: TensorId, y: TensorId): TensorId =>
  remainderOf(d, x, truncate(d, divide(d, x, y)), y);

/**
 * Remainder of floats with the sign of the dividend. A quotient of more than 24 bits leaves several divisors, which a second turn takes; a
 * quotient that is one off is brought back by one divisor. What is below the divisor (an infinite one too) is its own remainder.
 */
function floatRemainder(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const [x, y] = [abs(d, a), abs(d, b)];
  const rest = lessWholes(d, lessWholes(d, x, y), y);
  const above = select(d, lt(d, rest, float(d, 0)), add(d, rest, y), rest);
  const inside = select(d, le(d, y, above), sub(d, above, y), above);
  const found = select(d, lt(d, x, y), x, inside);
  return select(d, lt(d, a, float(d, 0)), neg(d, found), found);
}

/** Remainder of floats with the sign of the divisor, zeros too. */
function floatModulo(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const rest = floatRemainder(d, a, b);
  const zero = float(d, 0);
  const apart = lt(d, mul(d, sign(d, rest), b), zero);
  const signedZero = select(d, lt(d, b, zero), float(d, -0), zero);
  return select(d, eq(d, rest, zero), signedZero, select(d, apart, add(d, rest, b), rest));
}

function mod(d: CoreDraft, site: Site): TensorId {
  const [a, b] = [site.input(0), site.input(1)];
  const truncated = numberOf(site.attrs, "fmod") === 1;
  if (isFloat(d, a)) return (truncated ? floatRemainder : floatModulo)(d, a, b);
  const rest = sub(d, a, mul(d, divideInts(d, a, b), b));
  if (truncated) return rest;
  const differs = and(d, lt(d, xor(d, rest, b), int(d, 0)), not(d, eq(d, rest, int(d, 0))));
  return select(d, differs, add(d, rest, b), rest);
}

function pow(d: CoreDraft, site: Site): TensorId {
  const [x, y] = [site.input(0), site.input(1)];
  if (isFloat(d, x)) return power(d, x, isFloat(d, y) ? y : toFloat(d, y));
  if (!isFloat(d, y)) return wrapTo(d, integerPower(d, x, y), outputType(site).dtype);
  // A power that is whole in truth must not be cut below it: nudge it up by less than the distance to the next one.
  const approximate = power(d, toFloat(d, x), y);
  return toInt(d, add(d, approximate, mul(d, approximate, float(d, 2 ** -20))), "trunc");
}

function mean(d: CoreDraft, site: Site): TensorId {
  const inputs = presentInputs(site);
  const sum = inputs.reduce((total, next) => add(d, total, next));
  return expand(d, mul(d, sum, float(d, 1 / inputs.length)), outputType(site).shape);
}

function bitShift(d: CoreDraft, site: Site): TensorId {
  const { dtype } = outputType(site);
  const right = dtypes[dtype].kind === "int" ? shr : shru;
  const shift = stringOf(site.attrs, "direction") === "LEFT" ? shl : right;
  return wrapTo(d, shift(d, site.input(0), site.input(1)), dtype);
}

function sign(d: CoreDraft, x: TensorId): TensorId {
  const zero = isFloat(d, x) ? float(d, 0) : int(d, 0);
  const whole = sub(d, lt(d, zero, x), lt(d, x, zero));
  return isFloat(d, x) ? select(d, eq(d, x, x), toFloat(d, whole), x) : whole;
}

function clip(d: CoreDraft, site: Site): TensorId {
  let result = site.input(0);
  if (hasInput(site, 1)) result = max(d, result, site.input(1));
  if (hasInput(site, 2)) result = min(d, result, site.input(2));
  return result;
}

function isInfinite(d: CoreDraft, site: Site): TensorId {
  const x = site.input(0);
  const flags: TensorId[] = [];
  if (numberOf(site.attrs, "detect_positive") === 1) flags.push(eq(d, x, float(d, Infinity)));
  if (numberOf(site.attrs, "detect_negative") === 1) flags.push(eq(d, x, float(d, -Infinity)));
  const [first, second] = flags;
  if (first === undefined) return expand(d, int(d, 0), outputType(site).shape);
  return second === undefined ? first : or(d, first, second);
}

/** Whole numbers are their own rounding. */
const rounding =
  (f: Unary): Lowering =>
  (d, site) =>
    isFloatType(typeAt(site, 0).dtype) ? f(d, site.input(0)) : site.input(0);

function bitwiseNot(d: CoreDraft, site: Site): TensorId {
  const { bits, kind } = dtypes[outputType(site).dtype];
  return xor(d, site.input(0), int(d, kind === "uint" && bits < 32 ? 2 ** bits - 1 : -1));
}

export const elementwiseLowerings: LoweringTable = {
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Div: (d, site) => expand(d, div(d, site), outputType(site).shape),
  Mod: (d, site) => expand(d, mod(d, site), outputType(site).shape),
  Pow: (d, site) => expand(d, pow(d, site), outputType(site).shape),
  Min: variadic(min),
  Max: variadic(max),
  Sum: variadic(add),
  Mean: mean,
  BitShift: (d, site) => expand(d, bitShift(d, site), outputType(site).shape),
  BitwiseAnd: binary(and),
  BitwiseOr: binary(or),
  BitwiseXor: binary(xor),
  BitwiseNot: bitwiseNot,
  Equal: binary(eq),
  Greater: binary((d, a, b) => lt(d, b, a)),
  GreaterOrEqual: binary((d, a, b) => le(d, b, a)),
  Less: binary(lt),
  LessOrEqual: binary(le),
  And: binary(and),
  Or: binary(or),
  Xor: binary(xor),
  Not: unary(not),
  IsNaN: unary(isNan),
  IsInf: isInfinite,
  Where: (d, site) => expand(d, select(d, site.input(0), site.input(1), site.input(2)), outputType(site).shape),
  Abs: unary(abs),
  Neg: unary(neg),
  Sign: unary(sign),
  Ceil: rounding(ceil),
  Floor: rounding(floor),
  Round: rounding(round),
  Sqrt: unary(sqrt),
  Reciprocal: unary(reciprocal),
  Exp: unary(exp),
  Log: unary(log),
  Sin: unary(sin),
  Cos: unary(cos),
  Tanh: unary(tanh),
  Erf: unary(erf),
  Clip: clip,
  Identity: unary((_, x) => x),
};
