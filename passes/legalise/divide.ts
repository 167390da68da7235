// Quotients, reciprocals and roots from rsqrt, the only such function the machine has. Signs, zeros and infinities come out as IEEE division gives
// them; where ranges show that they cannot occur they cost nothing.
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { numbersOf, valueFromNumbers } from "../../ir/graph/values.ts";
import {
  abs,
  add,
  and,
  bitcast,
  eq,
  le,
  lt,
  mul,
  neg,
  not,
  or,
  select,
  shr,
  sub,
  toFloat,
  toInt,
  unary,
  xor,
} from "./arith.ts";
import { type CoreDraft, constant, float, int, producedBy, shapeOf, smallValue, uniform } from "./core-draft.ts";
import { isNonNegative, isPositive, rangeOf } from "./range.ts";
import { expand, reshape } from "./views.ts";

const SIGN_BIT = -(2 ** 31);

export const rsqrt = (d: CoreDraft, x: TensorId): TensorId => unary(d, "rsqrt", x);

/** The number whose root this value is, seen through views. */
function rootOf(d: CoreDraft, id: TensorId): TensorId | undefined {
  const meaning = d.meanings.get(id);
  if (meaning?.kind === "sqrt") return meaning.of;
  const view = producedBy(d, id, "reshape") ?? producedBy(d, id, "expand");
  const [source] = view?.inputs ?? [];
  const inner = source === undefined ? undefined : rootOf(d, source);
  if (inner === undefined) return undefined;
  return view?.op === "expand" ? expand(d, inner, shapeOf(d, id)) : reshape(d, inner, shapeOf(d, id));
}

/** Square root: 0 and infinity are their own roots. */
export function sqrt(d: CoreDraft, x: TensorId): TensorId {
  const product = mul(d, x, rsqrt(d, x));
  const result = isPositive(d, x) ? product : select(d, eq(d, add(d, x, x), x), x, product);
  if (!d.meanings.has(result)) d.meanings.set(result, { kind: "sqrt", of: x });
  return result;
}

/** A constant's reciprocals, rounded once. */
function constantReciprocal(d: CoreDraft, x: TensorId): TensorId | undefined {
  const value = smallValue(d, x);
  if (value === undefined || value.dtype !== "float32") return undefined;
  const inverse = Array.from(numbersOf(value), (element) => 1 / element);
  const usable = inverse.every(
    (number) => Number.isFinite(number) && Math.abs(number) > 2 ** -120 && Math.abs(number) < 2 ** 120,
  );
  return usable ? constant(d, valueFromNumbers("float32", value.shape, inverse)) : undefined;
}

/** 1 / (1 + 2^(c x)) is a sigmoid. */
function asSigmoid(d: CoreDraft, x: TensorId): TensorId | undefined {
  const sum = producedBy(d, x, "add");
  const [power, one] = sum?.inputs ?? [];
  if (power === undefined || one === undefined || uniform(d, one) !== 1) return undefined;
  const [exponent] = producedBy(d, power, "exp2")?.inputs ?? [];
  const scaled = exponent === undefined ? undefined : producedBy(d, exponent, "mul");
  const [inner, factor] = scaled?.inputs ?? [];
  const c = factor === undefined ? undefined : uniform(d, factor);
  if (inner === undefined || c === undefined) return undefined;
  const plain = -c / LOG2_E;
  const rounded = Math.abs(plain - 1) < 1e-6 ? 1 : Math.fround(plain);
  return sigmoid(d, mul(d, inner, float(d, rounded)));
}

export const LOG2_E = Math.LOG2E;

/** 1 / (1 + e^-x) as a tanh: small and accurate to a rounding of 1. */
export function sigmoid(d: CoreDraft, x: TensorId): TensorId {
  const half = unary(d, "tanh", mul(d, x, float(d, 0.5)));
  const result = add(d, mul(d, half, float(d, 0.5)), float(d, 0.5));
  d.meanings.set(result, { kind: "sigmoid", of: x });
  return result;
}

/** The parts of 1/x: rsqrt|x|, and the same with the sign of x. */
function inverseRoots(d: CoreDraft, x: TensorId): readonly [TensorId, TensorId] {
  if (isNonNegative(d, x)) {
    const root = rsqrt(d, x);
    return [root, root];
  }
  if (rangeOf(d, x).high <= 0) {
    const root = rsqrt(d, neg(d, x));
    return [root, neg(d, root)];
  }
  const root = rsqrt(d, abs(d, x));
  const sign = and(d, bitcast(d, x), int(d, SIGN_BIT));
  return [root, bitcast(d, or(d, bitcast(d, root), sign))];
}

export function reciprocal(d: CoreDraft, x: TensorId): TensorId {
  const known = constantReciprocal(d, x);
  if (known !== undefined) return known;
  const root = rootOf(d, x);
  if (root !== undefined) return rsqrt(d, root);
  const asGate = asSigmoid(d, x);
  if (asGate !== undefined) return asGate;
  const [first, signed] = inverseRoots(d, x);
  return mul(d, first, signed);
}

/** A quotient of constants, rounded once. */
function constantQuotient(d: CoreDraft, y: TensorId, x: TensorId): TensorId | undefined {
  const [above, below] = [smallValue(d, y), smallValue(d, x)];
  if (above === undefined || below === undefined) return undefined;
  const [ys, xs] = [numbersOf(above), numbersOf(below)];
  if (xs.length !== 1 && (ys.length !== xs.length || above.shape.join() !== below.shape.join())) return undefined;
  if (below.shape.length > above.shape.length) return undefined;
  return constant(
    d,
    valueFromNumbers(
      "float32",
      above.shape,
      Array.from(ys, (number, at) => number / (xs[xs.length === 1 ? 0 : at] ?? 1)),
    ),
  );
}

/** y / x. A smaller denominator is inverted first; else its root is applied twice, which overflows only where the quotient does. */
export function divide(d: CoreDraft, y: TensorId, x: TensorId): TensorId {
  const folded = constantQuotient(d, y, x);
  if (folded !== undefined) return folded;
  if (uniform(d, y) === 1)
    return expand(d, reciprocal(d, x), shapeOf(d, y).length > shapeOf(d, x).length ? shapeOf(d, y) : shapeOf(d, x));
  const known = constantReciprocal(d, x);
  if (known !== undefined) return mul(d, y, known);
  const root = rootOf(d, x);
  if (root !== undefined) return mul(d, y, rsqrt(d, root));
  const asGate = asSigmoid(d, x);
  if (asGate !== undefined) return mul(d, y, asGate);
  if (elementCount(shapeOf(d, x)) < elementCount(shapeOf(d, y))) return mul(d, y, reciprocal(d, x));
  const [first, signed] = inverseRoots(d, x);
  return mul(d, mul(d, y, first), signed);
}

/** The upper 12 bits of a number's digits. */
const head = (d: CoreDraft, x: TensorId): TensorId => bitcast(d, and(d, bitcast(d, x), int(d, -(2 ** 12))));

/** y - q x without rounding, where q is within a few roundings of y / x: products of twelve bits by twelve are exact, and so are the differences. */
export function remainderOf(d: CoreDraft, y: TensorId, q: TensorId, x: TensorId): TensorId {
  const [qHead, xHead] = [head(d, q), head(d, x)];
  const [qTail, xTail] = [sub(d, q, qHead), sub(d, x, xHead)];
  const parts = [mul(d, qHead, xHead), mul(d, qHead, xTail), mul(d, qTail, xHead), mul(d, qTail, xTail)];
  return parts.reduce((rest, part) => sub(d, rest, part), y);
}

/** The quotient as IEEE division rounds it, for rounding to whole numbers after it: what is left over corrects it. */
export function exactQuotient(d: CoreDraft, y: TensorId, x: TensorId): TensorId {
  const quotient = divide(d, y, x);
  const factor = uniform(d, x);
  const mantissa = factor === undefined ? 1 : Math.abs(factor) / 2 ** Math.floor(log2Of(Math.abs(factor)));
  if (mantissa === 1 && factor !== undefined) return quotient;
  if (constantQuotient(d, y, x) !== undefined) return quotient;
  const refined = add(d, quotient, mul(d, remainderOf(d, y, quotient, x), reciprocal(d, x)));
  // Infinities and quotients by them leave nothing over.
  return select(d, eq(d, refined, refined), refined, quotient);
}

/** Exponent of a positive number: enough to see powers of two. */
function log2Of(x: number): number {
  let exponent = 0;
  let rest = x;
  while (rest >= 2 && exponent < 200) {
    rest /= 2;
    exponent += 1;
  }
  while (rest < 1 && rest > 0 && exponent > -200) {
    rest *= 2;
    exponent -= 1;
  }
  return exponent;
}

/** floor for numbers: whole numbers stay what they are, however large. */
export function floor(d: CoreDraft, x: TensorId): TensorId {
  const whole = toFloat(d, toInt(d, x, "trunc"));
  const lower = sub(d, whole, toFloat(d, lt(d, x, whole)));
  return keepLarge(d, x, lower);
}

export const ceil = (d: CoreDraft, x: TensorId): TensorId => {
  const whole = toFloat(d, toInt(d, x, "trunc"));
  return keepLarge(d, x, add(d, whole, toFloat(d, lt(d, whole, x))));
};

export const round = (d: CoreDraft, x: TensorId): TensorId => keepLarge(d, x, toFloat(d, toInt(d, x, "rne")));
export const truncate = (d: CoreDraft, x: TensorId): TensorId => keepLarge(d, x, toFloat(d, toInt(d, x, "trunc")));

/** From 2^23 on (and for NaN) a number is its own rounding. */
function keepLarge(d: CoreDraft, x: TensorId, rounded: TensorId): TensorId {
  const { low, high } = rangeOf(d, x);
  if (low > -(2 ** 30) && high < 2 ** 30) return rounded;
  return select(d, lt(d, abs(d, x), float(d, 2 ** 23)), rounded, x);
}

/** Quotient of int32 by int32, towards zero; exact. Division by 0 gives 0. */
export function divideInts(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const known = uniform(d, b);
  if (known !== undefined && known > 0 && (known & (known - 1)) === 0 && isNonNegative(d, a)) {
    return shr(d, a, int(d, log2Of(known)));
  }
  const [x, y] = [abs(d, a), abs(d, b)];
  const inverse = reciprocal(d, toFloat(d, y));
  let quotient = int(d, 0);
  let rest = x;
  for (let step = 0; step < 3; step += 1) {
    const part = toInt(d, mul(d, toFloat(d, rest), inverse), "rne");
    quotient = add(d, quotient, part);
    rest = sub(d, rest, mul(d, part, y));
  }
  quotient = add(d, quotient, sub(d, le(d, y, rest), lt(d, rest, int(d, 0))));
  const negative = lt(d, xor(d, a, b), int(d, 0));
  const signed =
    isNonNegative(d, a) && isNonNegative(d, b) ? quotient : select(d, negative, neg(d, quotient), quotient);
  return isPositive(d, b) ? signed : mul(d, signed, not(d, eq(d, b, int(d, 0))));
}
