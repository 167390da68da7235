// Quantisation: linear quantise and dequantise per tensor, axis or block, and products of quantised matrices. Scales and quotients are rounded to
// float32 where the operator's definition computes in float32; integer sums are exact.
import { type DType, dtypes } from "../../dtype.ts";
import { roundHalfEven } from "../../numeric/bits.ts";
import { dtypeAttr, int, numberOf, optionalDType } from "../attr.ts";
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
import { axisOf, broadcastStrides, normaliseAxis, shapeText, stridedPositions, stridesOf } from "../shapes.ts";
import {
  countOf,
  mapped,
  numbersOf,
  type TensorType,
  type TensorValue,
  tabulateInts,
  valueFromNumbers,
} from "../values.ts";
import { castValue, quantiseNumbers } from "./cast.ts";
import { matmulNumbers, matmulShape } from "./matmul.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";

/** Which scale each element of `shape` uses. One scale, one an index of `axis` (`block` is 0), or one a block along `axis`. */
function scalePositions(shape: readonly number[], scale: readonly number[], axis: number, block: number): Int32Array {
  const count = countOf(shape);
  if (countOf(scale) === 1 && scale.length <= 1) return new Int32Array(count);
  const strides = stridesOf(shape);
  if (scale.length === 1 && block === 0) {
    const stride = strides[axis] ?? 1;
    return tabulateInts(count, (flat) => Math.floor(flat / stride) % (shape[axis] ?? 1));
  }
  const own = stridesOf(scale);
  return tabulateInts(count, (flat) =>
    shape.reduce((sum, size, i) => {
      const at = Math.floor(flat / (strides[i] ?? 1)) % size;
      return sum + (i === axis ? Math.floor(at / Math.max(block, 1)) : at) * (own[i] ?? 0);
    }, 0),
  );
}

/** Whether scales fit a tensor, and the axis they run along. */
function checkScale(ctx: InferContext, x: readonly number[], scale: readonly number[]): number | Problem {
  const block = numberOf(ctx.attrs, "block_size");
  if (scale.length === 0 || (scale.length === 1 && scale[0] === 1 && block === 0)) return 0;
  const axis = normaliseAxis(numberOf(ctx.attrs, "axis"), x.length);
  if (isProblem(axis)) return axis;
  if (scale.length === 1 && block === 0) {
    if (scale[0] === x[axis]) return axis;
    return problem("shape", `${scale[0]} scales for axis ${axis} of ${shapeText(x)}`);
  }
  const blocks = x.map((size, i) => (i === axis ? Math.ceil(size / Math.max(block, 1)) : size));
  if (block > 0 && shapeText(scale) === shapeText(blocks)) return axis;
  return problem(
    "shape",
    `scales ${shapeText(scale)} do not fit ${shapeText(x)} in blocks of ${block} along axis ${axis}`,
  );
}

const positionsFor = (ctx: EvaluateContext, x: TensorValue, scale: TensorValue): Int32Array =>
  scalePositions(
    x.shape,
    scale.shape,
    axisOf(numberOf(ctx.attrs, "axis"), x.shape.length),
    numberOf(ctx.attrs, "block_size"),
  );

/** One element each, whatever the rank, or the same shape. */
const sameForm = (a: readonly number[], b: readonly number[]): boolean =>
  (countOf(a) === 1 && countOf(b) === 1) || shapeText(a) === shapeText(b);

function inferQuantize(ctx: InferContext): Inferred {
  const [x, scale, zero] = [typeAt(ctx, 0), typeAt(ctx, 1), ctx.inputs[2] ?? null];
  const axis = checkScale(ctx, x.shape, scale.shape);
  if (isProblem(axis)) return axis;
  if (zero !== null && !sameForm(zero.shape, scale.shape)) {
    return problem("shape", `zero points ${shapeText(zero.shape)} and scales ${shapeText(scale.shape)} differ`);
  }
  const asked = optionalDType(ctx.attrs, "output_dtype");
  return [{ dtype: zero?.dtype ?? asked ?? "uint8", shape: x.shape }];
}

/** saturate(round(x / scale) + zero point); 8-bit floats: x / scale converted. */
function quantize(ctx: EvaluateContext): TensorValue {
  const [x, scale, zero] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const out = outputAt(ctx);
  const at = positionsFor(ctx, x, scale);
  const [xs, scales, zeros] = [numbersOf(x), numbersOf(scale), zero === null ? [] : numbersOf(zero)];
  const quotients = mapped(at, (s, i) => Math.fround((xs[i] ?? 0) / (scales[s] ?? 1)));
  if (dtypes[out.dtype].kind === "float") {
    return castValue(
      { dtype: "float64", shape: x.shape, data: quotients },
      out.dtype,
      numberOf(ctx.attrs, "saturate") === 1,
    );
  }
  return quantiseNumbers(
    out.dtype,
    out.shape,
    quotients.map((q, i) => roundedOrEnd(q) + (zeros[at[i] ?? 0] ?? 0)),
  );
}

/** Nearest integer, ties to even; infinities stay. */
const roundedOrEnd = (x: number): number => (Math.abs(x) < 4503599627370496 ? roundHalfEven(x) : x);

function inferDequantize(ctx: InferContext): Inferred {
  const [x, scale] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const axis = checkScale(ctx, x.shape, scale.shape);
  if (isProblem(axis)) return axis;
  const zero = ctx.inputs[2] ?? null;
  if (zero !== null && !sameForm(zero.shape, scale.shape)) {
    return problem("shape", `zero points ${shapeText(zero.shape)} and scales ${shapeText(scale.shape)} differ`);
  }
  const dtype = optionalDType(ctx.attrs, "output_dtype") ?? scale.dtype;
  if (dtypes[dtype].kind !== "float") return problem("attr", `output_dtype is ${dtype}, needed: a float type`);
  return [{ dtype, shape: x.shape }];
}

function dequantize(ctx: EvaluateContext): TensorValue {
  const [x, scale, zero] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const out = outputAt(ctx);
  const [xs, scales, zeros] = [numbersOf(x), numbersOf(scale), zero === null ? [] : numbersOf(zero)];
  const at = positionsFor(ctx, x, scale);
  return valueFromNumbers(
    out.dtype,
    out.shape,
    mapped(at, (s, i) => ((xs[i] ?? 0) - (zeros[s] ?? 0)) * (scales[s] ?? 1)),
  );
}

const quantizeRow = defineOp({
  summary: "saturate(round(x / y_scale) + y_zero_point), ties to even; per tensor, axis or block",
  inputs: ["x: float|int32", "y_scale: float|int32|float8e8m0", "y_zero_point?: quantised"],
  outputs: ["y"],
  attrs: { axis: int(1), block_size: int(0), output_dtype: dtypeAttr(), saturate: int(1), precision: dtypeAttr() },
  infer: inferQuantize,
  evaluate: (ctx) => [quantize(ctx)],
});

const dequantizeRow = defineOp({
  summary: "(x - x_zero_point) * x_scale; per tensor, axis or block",
  inputs: ["x: quantised", "x_scale: float|float8e8m0", "x_zero_point?: x"],
  outputs: ["y"],
  attrs: { axis: int(1), block_size: int(0), output_dtype: dtypeAttr() },
  infer: inferDequantize,
  evaluate: (ctx) => [dequantize(ctx)],
});

/** Scale and zero point that map [min(x, 0), max(x, 0)] to 0..255; float32 steps as the operator defines them. */
export function dynamicQuantize(x: TensorValue): {
  readonly y: TensorValue;
  readonly scale: number;
  readonly zero: number;
} {
  const numbers = numbersOf(x);
  let [low, high] = [0, 0];
  for (let i = 0; i < numbers.length; i++) {
    low = Math.min(low, numbers[i] ?? 0);
    high = Math.max(high, numbers[i] ?? 0);
  }
  const scale = high === low ? 1 : Math.fround(Math.fround(high - low) / 255);
  const zero = Math.min(Math.max(roundHalfEven(Math.fround(-low / scale)), 0), 255);
  const y = mapped(numbers, (v) => roundedOrEnd(Math.fround(v / scale)) + zero);
  return { y: quantiseNumbers("uint8", x.shape, y), scale, zero };
}

/** Zero points along the rows (all but the last dimension) or columns (the last) of a matrix, or one for all. */
function centred(x: TensorValue, zero: TensorValue | null, along: "rows" | "columns"): Float64Array {
  const xs = numbersOf(x);
  if (zero === null) return new Float64Array(xs);
  const zeros = numbersOf(zero);
  const at = parameterPositions(x.shape, zero.shape, along);
  return mapped(xs, (v, i) => v - (zeros[at[i] ?? 0] ?? 0));
}

export function parameterPositions(
  shape: readonly number[],
  parameter: readonly number[],
  along: "rows" | "columns",
): Int32Array {
  if (countOf(parameter) === 1) return new Int32Array(countOf(shape));
  const aligned = parameter.length === 1 && along === "rows" ? [...parameter, 1] : parameter;
  return stridedPositions(shape, broadcastStrides(aligned, shape));
}

/** Per-row parameters of A have [M] or [..., M, 1], per-column ones of B have [N] or [..., 1, N]. */
export function parameterFits(
  shape: readonly number[],
  parameter: readonly number[],
  along: "rows" | "columns",
): boolean {
  if (countOf(parameter) === 1) return true;
  const aligned = parameter.length === 1 && along === "rows" ? [...parameter, 1] : parameter;
  const open = along === "rows" ? -1 : -2;
  const fits = aligned.every((size, i) => size === 1 || size === shape.at(i - aligned.length));
  return fits && aligned.length <= shape.length && (aligned.length === 1 || aligned.at(open) === 1);
}

function inferMatMulInteger(ctx: InferContext): Inferred {
  const [a, b] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const shape = matmulShape(a.shape, b.shape);
  if (isProblem(shape)) return shape;
  for (const [index, matrix, along] of [
    [2, a, "rows"],
    [3, b, "columns"],
  ] as const) {
    const zero = ctx.inputs[index] ?? null;
    if (zero !== null && !parameterFits(matrix.shape, zero.shape, along)) {
      return problem(
        "shape",
        `zero points ${shapeText(zero.shape)} do not fit the ${along} of ${shapeText(matrix.shape)}`,
      );
    }
  }
  return [{ dtype: "int32", shape }];
}

export function integerProduct(
  a: TensorValue,
  b: TensorValue,
  aZero: TensorValue | null,
  bZero: TensorValue | null,
): Float64Array {
  return matmulNumbers(centred(a, aZero, "rows"), a.shape, centred(b, bZero, "columns"), b.shape);
}

function qlinearMatMul(ctx: EvaluateContext): TensorValue {
  const [a, b, out] = [valueAt(ctx, 0), valueAt(ctx, 3), outputAt(ctx)];
  const [aScale, bScale, yScale, yZero] = [valueAt(ctx, 1), valueAt(ctx, 4), valueAt(ctx, 6), valueAt(ctx, 7)];
  const sums = integerProduct(a, b, valueAt(ctx, 2), valueAt(ctx, 5));
  const [as, bs, ys, zs] = [aScale, bScale, yScale, yZero].map(numbersOf);
  const atA = parameterPositions(out.shape, aScale.shape, "rows");
  const atB = parameterPositions(out.shape, bScale.shape, "columns");
  const atY = parameterPositions(out.shape, yScale.shape, "rows");
  const y = sums.map((sum, i) => {
    const scale = Math.fround(
      Math.fround((as?.[atA[i] ?? 0] ?? 1) * (bs?.[atB[i] ?? 0] ?? 1)) / (ys?.[atY[i] ?? 0] ?? 1),
    );
    return roundedOrEnd(Math.fround(sum * scale)) + (zs?.[atY[i] ?? 0] ?? 0);
  });
  return quantiseNumbers(out.dtype, out.shape, y);
}

const byteTypes: readonly DType[] = ["int8", "uint8"];
const scalarOf = (dtype: DType): TensorType => ({ dtype, shape: [] });

export const quantiseOps = {
  QuantizeLinear: quantizeRow,
  DequantizeLinear: dequantizeRow,
  "com.microsoft.QuantizeLinear": quantizeRow,
  "com.microsoft.DequantizeLinear": dequantizeRow,
  DynamicQuantizeLinear: defineOp({
    summary: "x as uint8 with a scale and zero point taken from its own range",
    inputs: ["x: float32"],
    outputs: ["y", "y_scale", "y_zero_point"],
    attrs: {},
    infer: (ctx) => [{ dtype: "uint8", shape: typeAt(ctx, 0).shape }, scalarOf("float32"), scalarOf("uint8")],
    evaluate: (ctx) => {
      const { y, scale, zero } = dynamicQuantize(valueAt(ctx, 0));
      return [y, valueFromNumbers("float32", [], [scale]), valueFromNumbers("uint8", [], [zero])].slice(
        0,
        ctx.outputs.length,
      );
    },
  }),
  MatMulInteger: defineOp({
    summary: "exact int32 matrix product of bytes, zero points subtracted",
    inputs: ["A: byte", "B: byte", "a_zero_point?: A", "b_zero_point?: B"],
    outputs: ["Y"],
    attrs: {},
    infer: inferMatMulInteger,
    evaluate: (ctx) => {
      const out = outputAt(ctx);
      const sums = integerProduct(valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null, ctx.inputs[3] ?? null);
      return [valueFromNumbers(out.dtype, out.shape, sums)];
    },
  }),
  QLinearMatMul: defineOp({
    summary: "matrix product of quantised a and b, quantised again to y's scale and zero point",
    inputs: [
      "a: byte|smallFloat",
      "a_scale: float",
      "a_zero_point: a",
      "b: byte|smallFloat",
      "b_scale: float",
      "b_zero_point: b",
      "y_scale: float",
      "y_zero_point: byte|smallFloat",
    ],
    outputs: ["y"],
    attrs: {},
    infer: (ctx) => {
      const [a, b] = [typeAt(ctx, 0), typeAt(ctx, 3)];
      const shape = matmulShape(a.shape, b.shape);
      if (isProblem(shape)) return shape;
      const result = { shape };
      for (const [index, matrix, along] of [
        [1, a, "rows"],
        [2, a, "rows"],
        [4, b, "columns"],
        [5, b, "columns"],
        [6, result, "rows"],
        [7, result, "rows"],
      ] as const) {
        const parameter = typeAt(ctx, index).shape;
        if (parameterFits(matrix.shape, parameter, along)) continue;
        return problem(
          "shape",
          `${shapeText(parameter)} scales or zero points do not fit the ${along} of ${shapeText(matrix.shape)}`,
        );
      }
      if (countOf(typeAt(ctx, 6).shape) !== countOf(typeAt(ctx, 7).shape)) {
        return problem("shape", "y_scale and y_zero_point differ in size");
      }
      const { dtype } = typeAt(ctx, 7);
      return byteTypes.includes(dtype)
        ? [{ dtype, shape }]
        : problem("dtype", `y_zero_point is ${dtype}, allowed: int8, uint8`);
    },
    evaluate: (ctx) => [qlinearMatMul(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
