// Matrix products. Floats are summed in double and rounded once, integers exactly.

import { dtypes } from "../../dtype.ts";
import { float, int, numberOf, string, stringOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  type Problem,
  problem,
} from "../op-row.ts";
import { broadcastShapes, broadcastStrides, shapeText, stridedPositions, stridesOf } from "../shapes.ts";
import {
  bigintsOf,
  countOf,
  numbersOf,
  type TensorType,
  type TensorValue,
  tabulate,
  transform,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";
import { parseEquation } from "./einsum-equation.ts";
import { outputAt, presentTypes, presentValues, typeAt, valueAt } from "./rules.ts";

/** Shape of a numpy matrix product: vectors gain a dimension that the result loses again. */
export function matmulShape(a: readonly number[], b: readonly number[]): number[] | Problem {
  if (a.length === 0 || b.length === 0) return problem("shape", "a scalar has no matrix product");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  if (left.at(-1) !== right.at(-2)) {
    return problem(
      "shape",
      `${shapeText(a)} x ${shapeText(b)}: the inner sizes ${left.at(-1)} and ${right.at(-2)} differ`,
    );
  }
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  if (isProblem(batch)) return batch;
  const rows = a.length === 1 ? [] : [left.at(-2) ?? 1];
  const columns = b.length === 1 ? [] : [right.at(-1) ?? 1];
  return [...batch, ...rows, ...columns];
}

interface MatrixShape {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** One [m,k] x [k,n] product into `out`, summed over k in ascending order. */
function multiplyInto(
  out: Float64Array,
  at: number,
  a: Float64Array,
  atA: number,
  b: Float64Array,
  atB: number,
  shape: MatrixShape,
): void {
  const { m, k, n } = shape;
  for (let i = 0; i < m; i++) {
    const row = at + i * n;
    for (let l = 0; l < k; l++) {
      const left = a[atA + i * k + l] ?? 0;
      const from = atB + l * n;
      for (let j = 0; j < n; j++) out[row + j] = (out[row + j] ?? 0) + left * (b[from + j] ?? 0);
    }
  }
}

/** Products of every batch, in double. */
export function matmulNumbers(
  a: ArrayLike<number>,
  shapeA: readonly number[],
  b: ArrayLike<number>,
  shapeB: readonly number[],
): Float64Array {
  const left = shapeA.length === 1 ? [1, ...shapeA] : shapeA;
  const right = shapeB.length === 1 ? [...shapeB, 1] : shapeB;
  const shape = { m: left.at(-2) ?? 1, k: left.at(-1) ?? 1, n: right.at(-1) ?? 1 };
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const batchShape = isProblem(batch) ? [] : batch;
  const starts = (own: readonly number[]): Int32Array =>
    stridedPositions(batchShape, broadcastStrides(own.slice(0, -2), batchShape));
  const [startsA, startsB] = [starts(left), starts(right)];
  const out = new Float64Array(startsA.length * shape.m * shape.n);
  const [x, y] = [a, b].map((numbers) => (numbers instanceof Float64Array ? numbers : new Float64Array(numbers)));
  if (x === undefined || y === undefined) return out;
  for (let i = 0; i < startsA.length; i++) {
    const atA = (startsA[i] ?? 0) * shape.m * shape.k;
    const atB = (startsB[i] ?? 0) * shape.k * shape.n;
    multiplyInto(out, i * shape.m * shape.n, x, atA, y, atB, shape);
  }
  return out;
}

/** 64-bit integers: exact modulo 2^64. */
function matmulBigs(a: TensorValue, b: TensorValue, out: TensorType): TensorValue {
  const [x, y] = [bigintsOf(a), bigintsOf(b)];
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [m, k, n] = [left.at(-2) ?? 1, left.at(-1) ?? 1, right.at(-1) ?? 1];
  const batch = out.shape.slice(0, out.shape.length - (a.shape.length > 1 ? 1 : 0) - (b.shape.length > 1 ? 1 : 0));
  const startsA = stridedPositions(batch, broadcastStrides(left.slice(0, -2), batch));
  const startsB = stridedPositions(batch, broadcastStrides(right.slice(0, -2), batch));
  const result = new Array<bigint>(startsA.length * m * n).fill(0n);
  for (let i = 0; i < result.length; i++) {
    const [t, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
    let sum = 0n;
    for (let l = 0; l < k; l++) {
      sum += (x[((startsA[t] ?? 0) * m + row) * k + l] ?? 0n) * (y[((startsB[t] ?? 0) * k + l) * n + column] ?? 0n);
    }
    result[i] = sum;
  }
  return valueFromBigints(out.dtype, out.shape, result);
}

function matmul(ctx: EvaluateContext): TensorValue {
  const [a, b] = [valueAt(ctx, 0), valueAt(ctx, 1)];
  const out = outputAt(ctx);
  if (dtypes[a.dtype].bits >= 32 && dtypes[a.dtype].kind !== "float") {
    const wide = matmulBigs(a, b, { dtype: "int64", shape: out.shape });
    return valueFromBigints(out.dtype, out.shape, bigintsOf(wide));
  }
  return valueFromNumbers(out.dtype, out.shape, matmulNumbers(numbersOf(a), a.shape, numbersOf(b), b.shape));
}

function inferMatMul(ctx: InferContext): Inferred {
  const shape = matmulShape(typeAt(ctx, 0).shape, typeAt(ctx, 1).shape);
  return isProblem(shape) ? shape : [{ dtype: typeAt(ctx, 0).dtype, shape }];
}

const swapped = (shape: readonly number[], swap: boolean): readonly number[] => (swap ? shape.toReversed() : shape);

function inferGemm(ctx: InferContext): Inferred {
  const [a, b, c] = [typeAt(ctx, 0), typeAt(ctx, 1), ctx.inputs[2] ?? null];
  if (a.shape.length !== 2 || b.shape.length !== 2) return problem("shape", "A and B must have rank 2");
  for (const name of ["transA", "transB"]) {
    const flag = numberOf(ctx.attrs, name);
    if (flag !== 0 && flag !== 1) return problem("attr", `${name} is ${flag}, allowed: 0, 1`);
  }
  const shape = matmulShape(
    swapped(a.shape, numberOf(ctx.attrs, "transA") !== 0),
    swapped(b.shape, numberOf(ctx.attrs, "transB") !== 0),
  );
  if (isProblem(shape) || c === null) return isProblem(shape) ? shape : [{ dtype: a.dtype, shape }];
  const joined = broadcastShapes(shape, c.shape);
  if (isProblem(joined) || shapeText(joined) !== shapeText(shape)) {
    return problem("shape", `C ${shapeText(c.shape)} does not broadcast to ${shapeText(shape)}`);
  }
  return [{ dtype: a.dtype, shape }];
}

/** The numbers of a matrix, rows and columns exchanged when asked. */
function matrixNumbers(x: TensorValue, swap: boolean): ArrayLike<number> {
  const source = numbersOf(x);
  if (!swap) return source;
  const [rows = 1, columns = 1] = x.shape;
  return tabulate(rows * columns, (i) => source[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}

function gemm(ctx: EvaluateContext): TensorValue {
  const [a, b, c] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const [swapA, swapB] = [numberOf(ctx.attrs, "transA") !== 0, numberOf(ctx.attrs, "transB") !== 0];
  const [alpha, beta] = [numberOf(ctx.attrs, "alpha"), numberOf(ctx.attrs, "beta")];
  const out = outputAt(ctx);
  const product = matmulNumbers(
    matrixNumbers(a, swapA),
    swapped(a.shape, swapA),
    matrixNumbers(b, swapB),
    swapped(b.shape, swapB),
  );
  const at = stridedPositions(out.shape, c === null ? [0, 0] : broadcastStrides(c.shape, out.shape));
  const bias = c === null ? [0] : numbersOf(c);
  transform(product, (x, i) => alpha * x + (c === null ? 0 : beta * (bias[at[i] ?? 0] ?? 0)));
  return valueFromNumbers(out.dtype, out.shape, product);
}

function inferEinsum(ctx: InferContext): Inferred {
  const types = presentTypes(ctx);
  const equation = parseEquation(
    stringOf(ctx.attrs, "equation"),
    types.map((type) => type.shape),
  );
  if (isProblem(equation)) return equation;
  return [{ dtype: typeAt(ctx, 0).dtype, shape: equation.output.map((label) => equation.sizes.get(label) ?? 1) }];
}

/** Sum over all labels that the output lacks of the product of the operands' elements. */
function einsum(ctx: EvaluateContext): TensorValue {
  const values = presentValues(ctx);
  const out = outputAt(ctx);
  const equation = parseEquation(
    stringOf(ctx.attrs, "equation"),
    values.map((value) => value.shape),
  );
  if (isProblem(equation)) return valueAt(ctx, 0);
  const { inputs, output, sizes } = equation;
  const summed = [...sizes.keys()].filter((label) => !output.includes(label));
  const shapeOf = (labels: readonly string[]): number[] => labels.map((label) => sizes.get(label) ?? 1);
  const stridesFor = (labels: readonly string[], t: number): number[] => {
    const [own, shape] = [inputs[t] ?? [], values[t]?.shape ?? []];
    const strides = stridesOf(shape);
    return labels.map((label) =>
      own.reduce((sum, name, i) => (name === label && shape[i] !== 1 ? sum + (strides[i] ?? 0) : sum), 0),
    );
  };
  const bases = values.map((_, t) => stridedPositions(shapeOf(output), stridesFor(output, t)));
  const offsets = values.map((_, t) => stridedPositions(shapeOf(summed), stridesFor(summed, t)));
  const sources = values.map(numbersOf);
  const terms = countOf(shapeOf(summed));
  const result = new Float64Array(countOf(out.shape));
  for (let i = 0; i < result.length; i++) {
    let sum = 0;
    for (let j = 0; j < terms; j++) {
      let term = 1;
      for (const [t, source] of sources.entries()) term *= source[(bases[t]?.[i] ?? 0) + (offsets[t]?.[j] ?? 0)] ?? 0;
      sum += term;
    }
    result[i] = sum;
  }
  return valueFromNumbers(out.dtype, out.shape, result);
}

export const matmulOps = {
  MatMul: defineOp({
    summary: "matrix product with numpy broadcasting",
    inputs: ["A: float|int32|int64|uint32|uint64", "B: A"],
    outputs: ["Y"],
    attrs: {},
    infer: inferMatMul,
    evaluate: (ctx) => [matmul(ctx)],
  }),
  Gemm: defineOp({
    summary: "alpha * A' * B' + beta * C, where ' is a transpose if asked",
    inputs: ["A: float|int32|int64|uint32|uint64", "B: A", "C?: A"],
    outputs: ["Y"],
    attrs: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
    infer: inferGemm,
    evaluate: (ctx) => [gemm(ctx)],
  }),
  Einsum: defineOp({
    summary: "sum of products by an Einstein equation",
    inputs: ["inputs...: number"],
    outputs: ["output"],
    attrs: { equation: { ...string(), required: true } },
    infer: inferEinsum,
    evaluate: (ctx) => [einsum(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
