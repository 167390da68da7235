// Elementwise core ops with broadcasting, reductions and casts, simplified as they are made: neutral operands, constants on the right, chains of
// scalar factors. Nothing here changes a result by more than one rounding.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { CoreOp } from "../../ir/graph/core-ops.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import {
  type CoreDraft,
  constantOf,
  dtypeOf,
  emitCore,
  float,
  int,
  isConstant,
  isFloat,
  producedBy,
  shapeOf,
  uniform,
} from "./core-draft.ts";
import { isWithin, rangeOf } from "./range.ts";
import { expand, reshape, sameShape, withRank } from "./views.ts";

type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "min"
  | "max"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "shru"
  | "eq"
  | "lt"
  | "le";

const commutative: ReadonlySet<CoreOp> = new Set(["add", "mul", "min", "max", "and", "or", "xor", "eq"]);
const comparing: ReadonlySet<CoreOp> = new Set(["eq", "lt", "le"]);

/** The common shape of operands of equal rank. */
export function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, dim) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[dim - (rank - shape.length)] ?? 1;
      if (own !== 1) size = own;
    }
    return size;
  });
}

/** Operands of equal rank; repetition that the others bring about anyway is taken off. */
function alignOperands(
  d: CoreDraft,
  operands: readonly TensorId[],
): { readonly operands: TensorId[]; readonly shape: number[] } {
  const shape = broadcastShape(operands.map((id) => shapeOf(d, id)));
  const ranked = operands.map((id) => withRank(d, id, shape.length));
  for (const [index, id] of ranked.entries()) {
    const source = producedBy(d, id, "expand")?.inputs[0];
    if (source === undefined) continue;
    const others = ranked.filter((_, at) => at !== index).map((other) => shapeOf(d, other));
    if (sameShape(broadcastShape([...others, shapeOf(d, source)]), shape)) ranked[index] = source;
  }
  return { operands: ranked, shape };
}

function binary(d: CoreDraft, op: BinaryOp, a: TensorId, b: TensorId): TensorId {
  const aligned = alignOperands(d, [a, b]);
  let [lhs, rhs] = aligned.operands;
  invariant(lhs !== undefined && rhs !== undefined, "two operands stay two");
  invariant(dtypeOf(d, lhs) === dtypeOf(d, rhs), `${op} of ${dtypeOf(d, lhs)} and ${dtypeOf(d, rhs)}`);
  if (commutative.has(op)) {
    const swapped = isConstant(d, lhs) !== isConstant(d, rhs) ? isConstant(d, lhs) : lhs > rhs;
    if (swapped) [lhs, rhs] = [rhs, lhs];
  }
  return emitCore(d, op, [lhs, rhs], {}, comparing.has(op) ? "int32" : dtypeOf(d, lhs), aligned.shape);
}

/** `x`, repeated to the shape that it has together with `y`. */
function alike(d: CoreDraft, x: TensorId, y: TensorId): TensorId {
  return expand(d, x, broadcastShape([shapeOf(d, x), shapeOf(d, y)]));
}

const isAll = (d: CoreDraft, id: TensorId, value: number): boolean => uniform(d, id) === value;

export function add(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  if (isAll(d, b, 0)) return alike(d, a, b);
  if (isAll(d, a, 0)) return alike(d, b, a);
  return binary(d, "add", a, b);
}

export function sub(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  if (isAll(d, b, 0)) return alike(d, a, b);
  const subtracted = uniform(d, b);
  if (subtracted !== undefined && (isFloat(d, b) || subtracted > -(2 ** 31))) {
    return add(
      d,
      a,
      constantOf(
        d,
        [-subtracted],
        new Array<number>(shapeOf(d, b).length).fill(1),
        isFloat(d, b) ? "float32" : "int32",
      ),
    );
  }
  return binary(d, "sub", a, b);
}

/** Factors of a scalar chain: x * c. */
function scaledBy(d: CoreDraft, id: TensorId): { readonly x: TensorId; readonly factor: number } | undefined {
  const node = isFloat(d, id) ? producedBy(d, id, "mul") : undefined;
  const [x, c] = node?.inputs ?? [];
  const factor = c === undefined ? undefined : uniform(d, c);
  return x === undefined || factor === undefined ? undefined : { x, factor };
}

export { scaledBy };

function mulScalar(d: CoreDraft, x: TensorId, scalar: TensorId, factor: number): TensorId {
  if (factor === 1) return alike(d, x, scalar);
  if (!isFloat(d, x) && factor === 0) return alike(d, int(d, 0), x);
  const inner = scaledBy(d, x);
  const joined = inner === undefined ? Number.NaN : inner.factor * factor;
  const magnitude = Math.abs(joined);
  if (inner !== undefined && magnitude > 2 ** -100 && magnitude < 2 ** 100) {
    return mul(d, alike(d, inner.x, scalar), float(d, Math.fround(joined)));
  }
  return binary(d, "mul", x, scalar);
}

export function mul(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const [factorA, factorB] = [uniform(d, a), uniform(d, b)];
  if (factorB !== undefined && factorA === undefined) return mulScalar(d, a, b, factorB);
  if (factorA !== undefined && factorB === undefined) return mulScalar(d, b, a, factorA);
  return siluOf(d, a, b) ?? siluOf(d, b, a) ?? binary(d, "mul", a, b);
}

/** x * sigmoid(x) = h + h tanh(h) with h = x / 2. */
function siluOf(d: CoreDraft, x: TensorId, gate: TensorId): TensorId | undefined {
  const meaning = d.meanings.get(gate);
  if (meaning?.kind !== "sigmoid" || meaning.of !== x) return undefined;
  const half = mul(d, x, float(d, 0.5));
  return add(d, mul(d, half, unary(d, "tanh", half)), half);
}

export const min = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => (a === b ? a : binary(d, "min", a, b));
export const max = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => (a === b ? a : binary(d, "max", a, b));
export const and = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => (a === b ? a : binary(d, "and", a, b));
export const or = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => (a === b ? a : binary(d, "or", a, b));
export const shl = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "shl", a, b);
export const shr = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "shr", a, b);
export const shru = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "shru", a, b);
export const eq = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "eq", a, b);
export const lt = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "lt", a, b);
export const le = (d: CoreDraft, a: TensorId, b: TensorId): TensorId => binary(d, "le", a, b);

export function xor(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const mask = uniform(d, b);
  const inner = mask === undefined ? undefined : producedBy(d, a, "xor");
  const [x, c] = inner?.inputs ?? [];
  if (x !== undefined && c !== undefined && mask !== undefined && uniform(d, c) === mask) return alike(d, x, b);
  return binary(d, "xor", a, b);
}

/** Logical not of 0 or 1. */
export const not = (d: CoreDraft, flag: TensorId): TensorId => xor(d, flag, int(d, 1));

export function select(d: CoreDraft, condition: TensorId, yes: TensorId, no: TensorId): TensorId {
  const known = uniform(d, condition);
  const shape = broadcastShape([shapeOf(d, condition), shapeOf(d, yes), shapeOf(d, no)]);
  if (known !== undefined) return expand(d, known === 0 ? no : yes, shape);
  if (yes === no) return expand(d, yes, shape);
  const inverted = producedBy(d, condition, "xor");
  const [flag, one] = inverted?.inputs ?? [];
  if (flag !== undefined && one !== undefined && uniform(d, one) === 1 && isFlag(d, flag))
    return select(d, flag, no, yes);
  const aligned = alignOperands(d, [condition, yes, no]);
  return emitCore(d, "select", aligned.operands, {}, dtypeOf(d, yes), aligned.shape);
}

function isFlag(d: CoreDraft, id: TensorId): boolean {
  const { low, high } = rangeOf(d, id);
  return low >= 0 && high <= 1;
}

export const unary = (d: CoreDraft, op: "exp2" | "rsqrt" | "tanh" | "roundF16", x: TensorId): TensorId =>
  emitCore(d, op, [x], {}, "float32", shapeOf(d, x));

export function bitcast(d: CoreDraft, x: TensorId): TensorId {
  const before = producedBy(d, x, "bitcast")?.inputs[0];
  return before ?? emitCore(d, "bitcast", [x], {}, isFloat(d, x) ? "int32" : "float32", shapeOf(d, x));
}

/** Whole numbers that were made floats without loss are taken themselves. */
export function toInt(d: CoreDraft, x: TensorId, mode: "rne" | "trunc"): TensorId {
  const [whole] = producedBy(d, x, "toFloat")?.inputs ?? [];
  if (whole !== undefined && isWithin(d, whole, -(2 ** 24), 2 ** 24)) return whole;
  return emitCore(d, "toInt", [x], { mode }, "int32", shapeOf(d, x));
}
export const toFloat = (d: CoreDraft, x: TensorId): TensorId =>
  emitCore(d, "toFloat", [x], {}, "float32", shapeOf(d, x));
export const toInt8 = (d: CoreDraft, x: TensorId, to: "int8" | "uint8"): TensorId =>
  emitCore(d, "toInt8", [x], { to }, to, shapeOf(d, x));

/** Bytes as whole numbers; what fitted bytes before it was narrowed is taken itself. */
export function fromInt8(d: CoreDraft, x: TensorId): TensorId {
  const dtype = dtypeOf(d, x);
  const [wide] = producedBy(d, x, "toInt8")?.inputs ?? [];
  const [least, most] = dtype === "int8" ? [-128, 127] : [0, 255];
  if (wide !== undefined && isWithin(d, wide, least, most)) return wide;
  return dtype === "int8" || dtype === "uint8" ? emitCore(d, "fromInt8", [x], {}, "int32", shapeOf(d, x)) : x;
}

export const neg = (d: CoreDraft, x: TensorId): TensorId =>
  isFloat(d, x) ? mul(d, x, float(d, -1)) : binary(d, "sub", int(d, 0), x);

export function abs(d: CoreDraft, x: TensorId): TensorId {
  if (rangeOf(d, x).low >= 0) return x;
  return isFloat(d, x) ? bitcast(d, and(d, bitcast(d, x), int(d, 0x7fffffff))) : max(d, x, neg(d, x));
}

type ReduceOp = "reduceSum" | "reduceMax" | "reduceMin" | "reduceProd";
const neutral: Readonly<Record<ReduceOp, readonly [number, number]>> = {
  reduceSum: [0, 0],
  reduceMax: [-Infinity, -(2 ** 31)],
  reduceMin: [Infinity, 2 ** 31 - 1],
  reduceProd: [1, 1],
};

/** Keeps the reduced dimensions with size 1; over no element the neutral value. */
export function reduce(d: CoreDraft, op: ReduceOp, x: TensorId, axes: readonly number[]): TensorId {
  const shape = shapeOf(d, x);
  const out = shape.map((size, dim) => (axes.includes(dim) ? 1 : size));
  if (axes.some((axis) => shape[axis] === 0)) {
    const [ofFloats, ofInts] = neutral[op];
    return expand(d, isFloat(d, x) ? float(d, ofFloats) : int(d, ofInts), out);
  }
  const wide = axes.filter((axis) => shape[axis] !== 1).sort((a, b) => a - b);
  if (wide.length === 0) return reshape(d, x, out);
  // Extremes are the same in any order, and rows are cheaply compared with rows: what is left has one row.
  const isExtreme = op === "reduceMax" || op === "reduceMin";
  if (isExtreme && wide.length > 1 && wide.at(-1) === shape.length - 1) {
    return reduce(d, op, reduce(d, op, x, wide.slice(0, -1)), wide.slice(-1));
  }
  return emitCore(d, op, [x], { axes: wide }, dtypeOf(d, x), out);
}

/** Polynomial c0 + c1 x + c2 x^2 + ..., by Horner's rule. */
export function polynomial(d: CoreDraft, x: TensorId, coefficients: readonly number[]): TensorId {
  const [last = 0, ...rest] = [...coefficients].reverse();
  let result = float(d, last);
  for (const coefficient of rest) result = add(d, mul(d, result, x), float(d, coefficient));
  return result;
}
