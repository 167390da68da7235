// The core op set: what the legaliser reduces every ONNX operator to, what lowering accepts and what the verifier gives an algebraic
// meaning. One row an op. All operands have explicit equal ranks; broadcasting is size 1 against size n only.

export interface CoreOpRow {
  readonly summary: string;
  readonly operands: readonly string[];
  readonly attrs: Readonly<Record<string, string>>;
  readonly group: "binary" | "unary" | "compare" | "select" | "cast" | "matmul" | "reduce" | "view" | "move" | "index";
}

const defineCoreOp = <const T extends CoreOpRow>(row: T): T => row;
const lhsRhs = ["lhs", "rhs"] as const;

export const coreOps = {
  // Elementwise, float32 x float32 -> float32 or int32 x int32 -> int32 (wrapping). IEEE, round to nearest even.
  add: defineCoreOp({ summary: "lhs + rhs", operands: lhsRhs, attrs: {}, group: "binary" }),
  sub: defineCoreOp({ summary: "lhs - rhs", operands: lhsRhs, attrs: {}, group: "binary" }),
  mul: defineCoreOp({ summary: "lhs * rhs", operands: lhsRhs, attrs: {}, group: "binary" }),
  min: defineCoreOp({ summary: "smaller of both; NaN if either is NaN", operands: lhsRhs, attrs: {}, group: "binary" }),
  max: defineCoreOp({ summary: "larger of both; NaN if either is NaN", operands: lhsRhs, attrs: {}, group: "binary" }),
  and: defineCoreOp({ summary: "bitwise and of int32", operands: lhsRhs, attrs: {}, group: "binary" }),
  or: defineCoreOp({ summary: "bitwise or of int32", operands: lhsRhs, attrs: {}, group: "binary" }),
  xor: defineCoreOp({ summary: "bitwise exclusive or of int32", operands: lhsRhs, attrs: {}, group: "binary" }),
  shl: defineCoreOp({
    summary: "lhs << rhs; 0 when rhs is outside 0..31",
    operands: lhsRhs,
    attrs: {},
    group: "binary",
  }),
  shr: defineCoreOp({
    summary: "lhs >> rhs with the sign; rhs is clamped to 31",
    operands: lhsRhs,
    attrs: {},
    group: "binary",
  }),
  shru: defineCoreOp({
    summary: "lhs >>> rhs; 0 when rhs is outside 0..31",
    operands: lhsRhs,
    attrs: {},
    group: "binary",
  }),
  // Comparisons of two float32 or two int32 -> int32 0 or 1; any comparison with NaN is 0.
  eq: defineCoreOp({ summary: "lhs = rhs", operands: lhsRhs, attrs: {}, group: "compare" }),
  lt: defineCoreOp({ summary: "lhs < rhs", operands: lhsRhs, attrs: {}, group: "compare" }),
  le: defineCoreOp({ summary: "lhs <= rhs", operands: lhsRhs, attrs: {}, group: "compare" }),
  select: defineCoreOp({
    summary: "lhs where condition (int32) is not 0, else rhs; bits are moved untouched",
    operands: ["condition", "lhs", "rhs"],
    attrs: {},
    group: "select",
  }),
  // Unary float32, functions of ir/numeric.
  exp2: defineCoreOp({ summary: "2 to the power of x", operands: ["x"], attrs: {}, group: "unary" }),
  rsqrt: defineCoreOp({ summary: "1 / sqrt(x)", operands: ["x"], attrs: {}, group: "unary" }),
  tanh: defineCoreOp({ summary: "hyperbolic tangent", operands: ["x"], attrs: {}, group: "unary" }),
  // Casts and reinterpretation.
  toInt: defineCoreOp({
    summary: "float32 -> int32, saturating, NaN -> 0",
    operands: ["x"],
    attrs: { mode: "rne | trunc" },
    group: "cast",
  }),
  toFloat: defineCoreOp({
    summary: "int32 -> float32, round to nearest even",
    operands: ["x"],
    attrs: {},
    group: "cast",
  }),
  roundF16: defineCoreOp({
    summary: "float32 -> nearest float16 value (even), as float32; overflow gives infinity",
    operands: ["x"],
    attrs: {},
    group: "cast",
  }),
  toInt8: defineCoreOp({
    summary: "int32 -> int8 or uint8, saturating; the only op whose result is a byte tensor",
    operands: ["x"],
    attrs: { to: "int8 | uint8" },
    group: "cast",
  }),
  fromInt8: defineCoreOp({ summary: "int8 or uint8 -> int32", operands: ["x"], attrs: {}, group: "cast" }),
  bitcast: defineCoreOp({ summary: "float32 <-> int32, same bits", operands: ["x"], attrs: {}, group: "cast" }),
  // [..., M, K] x [..., K, N] -> [..., M, N]; batch dims broadcast. float32 operands: `precision` says whether both are rounded to float16
  // first ("fp16") or not ("fp32"); int8/uint8 operands: exact int32.
  matmul: defineCoreOp({
    summary: "matrix product over the last two dimensions",
    operands: lhsRhs,
    attrs: { precision: "fp16 | fp32 | int8" },
    group: "matmul",
  }),
  // Reductions keep the reduced dimensions with size 1. float32 or int32.
  reduceSum: defineCoreOp({ summary: "sum over axes", operands: ["x"], attrs: { axes: "ints" }, group: "reduce" }),
  reduceMax: defineCoreOp({ summary: "maximum over axes", operands: ["x"], attrs: { axes: "ints" }, group: "reduce" }),
  reduceMin: defineCoreOp({ summary: "minimum over axes", operands: ["x"], attrs: { axes: "ints" }, group: "reduce" }),
  reduceProd: defineCoreOp({ summary: "product over axes", operands: ["x"], attrs: { axes: "ints" }, group: "reduce" }),
  // Views: any element type, bits are moved untouched.
  reshape: defineCoreOp({
    summary: "same elements in row-major order, new shape (that of the output)",
    operands: ["x"],
    attrs: {},
    group: "view",
  }),
  transpose: defineCoreOp({
    summary: "output dim i is input dim perm[i]",
    operands: ["x"],
    attrs: { perm: "ints" },
    group: "view",
  }),
  expand: defineCoreOp({
    summary: "size-1 dims repeated to the output's shape (equal ranks)",
    operands: ["x"],
    attrs: {},
    group: "view",
  }),
  slice: defineCoreOp({
    summary: "output[i] = x[starts + i * steps], steps not 0, per dim",
    operands: ["x"],
    attrs: { starts: "ints", steps: "ints" },
    group: "view",
  }),
  concat: defineCoreOp({
    summary: "operands joined along axis",
    operands: ["xs..."],
    attrs: { axis: "int" },
    group: "move",
  }),
  pad: defineCoreOp({
    summary: "x with `before` and `after` elements of value added per dim (never negative)",
    operands: ["x"],
    attrs: { before: "ints", after: "ints", value: "number" },
    group: "move",
  }),
  // Run-time indices (int32, already made non-negative and clamped by the legaliser).
  gather: defineCoreOp({
    summary: "rows of data chosen along axis: out = data.shape[:axis] + indices.shape + data.shape[axis+1:]",
    operands: ["data", "indices"],
    attrs: { axis: "int" },
    group: "index",
  }),
} as const satisfies Record<string, CoreOpRow>;

export type CoreOp = keyof typeof coreOps;
