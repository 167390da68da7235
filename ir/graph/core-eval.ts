// What each core op computes: plain loops over indices. Scalar arithmetic is that of ir/numeric; float32 steps are rounded one by one, sums and
// matrix products are accumulated in double and rounded once (the machine's order of summation is its own).
import { aluScalars } from "../numeric/alu-scalar.ts";
import { f32ToInt32Nearest, f32ToInt32Truncating, saturateInt8, saturateUint8 } from "../numeric/cast.ts";
import { roundToFloat16 } from "../numeric/float16.ts";
import { type Attrs, numberOf, numbersAttr, stringOf } from "./attr.ts";
import type { CoreOp } from "./core-ops.ts";
import { matmulNumbers } from "./ops/matmul.ts";
import { concatValues } from "./ops/movement.ts";
import { groupsOf } from "./ops/reduce.ts";
import { aroundAxis, broadcastStrides, broadcastTo, pick, pickStrided, stridedPositions, stridesOf } from "./shapes.ts";
import {
  allocate,
  countOf,
  mapped,
  numbersOf,
  reshaped,
  setElement,
  type TensorType,
  type TensorValue,
  tensorValue,
  valueFromNumbers,
} from "./values.ts";

type Meaning = (inputs: readonly TensorValue[], out: TensorType, attrs: Attrs) => TensorValue;
type Scalar = (a: number, b: number, c: number) => number;

const NOTHING: TensorValue = { dtype: "float32", shape: [], data: new Float32Array(1) };

/** A scalar function applied to operands repeated to the result's shape. */
function elementwise(float: Scalar, integer: Scalar): Meaning {
  return (inputs, out) => {
    const last = inputs.at(-1) ?? NOTHING;
    const f = last.dtype === "float32" ? float : integer;
    const [a = NOTHING, b = a, c = a] = inputs;
    const [x, y, z] = [a, b, c].map(numbersOf);
    const [atX, atY, atZ] = [a, b, c].map((value) =>
      stridedPositions(out.shape, broadcastStrides(value.shape, out.shape)),
    );
    const result = new Float64Array(countOf(out.shape));
    for (let i = 0; i < result.length; i++) {
      result[i] = f(x?.[atX?.[i] ?? 0] ?? 0, y?.[atY?.[i] ?? 0] ?? 0, z?.[atZ?.[i] ?? 0] ?? 0);
    }
    return valueFromNumbers(out.dtype, out.shape, result);
  };
}

const unary = (f: (x: number) => number): Meaning => elementwise(f, f);
const binary = (float: Scalar, integer: Scalar): Meaning => elementwise(float, integer);

/** `start` is what an empty group gives: [for float32, for int32]. */
function reduction(start: readonly [number, number], float: Scalar, integer: Scalar): Meaning {
  return ([x = NOTHING], out, attrs) => {
    const { starts, offsets } = groupsOf(x.shape, numbersAttr(attrs, "axes"));
    const f = x.dtype === "float32" ? float : integer;
    const source = numbersOf(x);
    const result = mapped(starts, (from) => {
      let value = x.dtype === "float32" ? start[0] : start[1];
      for (const offset of offsets) value = f(value, source[from + offset] ?? 0, 0);
      return value;
    });
    return valueFromNumbers(out.dtype, out.shape, result);
  };
}

const matmul: Meaning = ([a = NOTHING, b = NOTHING], out, attrs) => {
  const half = stringOf(attrs, "precision") === "fp16";
  const prepare = (x: TensorValue): ArrayLike<number> => (half ? mapped(numbersOf(x), roundToFloat16) : numbersOf(x));
  return valueFromNumbers(out.dtype, out.shape, matmulNumbers(prepare(a), a.shape, prepare(b), b.shape));
};

/** The storage read as the other type, so that even the payload of a NaN stays. */
const bitcast: Meaning = ([x = NOTHING], out) => {
  const bytes = x.data.slice().buffer;
  return tensorValue(out.dtype, out.shape, out.dtype === "float32" ? new Float32Array(bytes) : new Int32Array(bytes));
};

const slice: Meaning = ([x = NOTHING], out, attrs) => {
  const [starts, steps] = [numbersAttr(attrs, "starts"), numbersAttr(attrs, "steps")];
  const strides = stridesOf(x.shape);
  const offset = starts.reduce((sum, start, i) => sum + start * (strides[i] ?? 0), 0);
  const moves = steps.map((step, i) => step * (strides[i] ?? 0));
  return pickStrided(x, out.shape, moves, offset);
};

const transpose: Meaning = ([x = NOTHING], out, attrs) => {
  const strides = stridesOf(x.shape);
  const moves = numbersAttr(attrs, "perm").map((axis) => strides[axis] ?? 0);
  return pickStrided(x, out.shape, moves);
};

const pad: Meaning = ([x = NOTHING], out, attrs) => {
  const before = numbersAttr(attrs, "before");
  const filled = valueFromNumbers(
    out.dtype,
    out.shape,
    new Float64Array(countOf(out.shape)).fill(numberOf(attrs, "value")),
  );
  const strides = stridesOf(out.shape);
  const offset = before.reduce((sum, n, i) => sum + n * (strides[i] ?? 0), 0);
  for (const [i, at] of stridedPositions(x.shape, strides, offset).entries()) setElement(filled.data, at, x.data[i]);
  return filled;
};

/** Rows along an axis; an index out of range (the legaliser leaves none) is clamped. */
const gather: Meaning = ([data = NOTHING, indices = NOTHING], out, attrs) => {
  const [outer, size, inner] = aroundAxis(data.shape, numberOf(attrs, "axis"));
  const rows = numbersOf(indices);
  const positions = new Int32Array(outer * rows.length * inner);
  for (const i of positions.keys()) {
    const row = Math.min(Math.max(rows[Math.floor(i / inner) % rows.length] ?? 0, 0), size - 1);
    positions[i] = (Math.floor(i / (inner * rows.length)) * size + row) * inner + (i % inner);
  }
  return pick(data, out.shape, positions);
};

const select: Meaning = ([condition = NOTHING, lhs = NOTHING, rhs = NOTHING], out) => {
  const [atC, atL, atR] = [condition, lhs, rhs].map((value) =>
    stridedPositions(out.shape, broadcastStrides(value.shape, out.shape)),
  );
  const data = allocate(out.dtype, countOf(out.shape));
  for (let i = 0; i < data.length; i++) {
    setElement(data, i, condition.data[atC?.[i] ?? 0] !== 0 ? lhs.data[atL?.[i] ?? 0] : rhs.data[atR?.[i] ?? 0]);
  }
  return tensorValue(out.dtype, out.shape, data);
};

const s = aluScalars;

const meanings = {
  add: binary(s.add, s.iadd),
  sub: binary(s.sub, s.isub),
  mul: binary(s.mul, s.imul),
  min: binary(s.min, s.imin),
  max: binary(s.max, s.imax),
  and: binary(s.and, s.and),
  or: binary(s.or, s.or),
  xor: binary(s.xor, s.xor),
  shl: binary(s.shl, s.shl),
  shr: binary(s.shr, s.shr),
  shru: binary(s.shru, s.shru),
  eq: binary(s.cmpEq, s.icmpEq),
  lt: binary(s.cmpLt, s.icmpLt),
  le: binary(s.cmpLe, s.icmpLe),
  select,
  exp2: unary(s.exp2),
  rsqrt: unary(s.rsqrt),
  tanh: unary(s.tanh),
  toInt: (inputs, out, attrs) =>
    unary(stringOf(attrs, "mode") === "rne" ? f32ToInt32Nearest : f32ToInt32Truncating)(inputs, out, attrs),
  toFloat: unary(s.toFloat),
  roundF16: unary(s.roundF16),
  toInt8: (inputs, out, attrs) => unary(out.dtype === "int8" ? saturateInt8 : saturateUint8)(inputs, out, attrs),
  fromInt8: unary((x) => x),
  bitcast,
  matmul,
  reduceSum: reduction([0, 0], (a, b) => a + b, s.iadd),
  reduceMax: reduction([-Infinity, -2147483648], s.max, s.imax),
  reduceMin: reduction([Infinity, 2147483647], s.min, s.imin),
  reduceProd: reduction([1, 1], (a, b) => a * b, s.imul),
  reshape: ([x = NOTHING], out) => reshaped(x, out.shape),
  transpose,
  expand: ([x = NOTHING], out) => broadcastTo(x, out.shape),
  slice,
  concat: (inputs, out, attrs) => concatValues(inputs, numberOf(attrs, "axis"), out),
  pad,
  gather,
} as const satisfies Record<CoreOp, Meaning>;

/** The result of a core op whose node passed `inferCore`. */
export function evaluateCore(op: CoreOp, inputs: readonly TensorValue[], out: TensorType, attrs: Attrs): TensorValue {
  return meanings[op](inputs, out, attrs);
}
