// Quantised matrix products of com.microsoft: weight-only blocks of few bits, and integer products scaled back to floats.

import { dtypes } from "../../dtype.ts";
import { roundHalfEven } from "../../numeric/bits.ts";
import { int, numberOf } from "../attr.ts";
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
import { broadcastShapes, shapeText } from "../shapes.ts";
import {
  countOf,
  intsOf,
  numbersOf,
  type TensorType,
  type TensorValue,
  tabulate,
  valueFromNumbers,
} from "../values.ts";
import { quantiseNumbers } from "./cast.ts";
import { matmulNumbers, matmulShape } from "./matmul.ts";
import { scaleFits, spread } from "./norm.ts";
import { dynamicQuantize, integerProduct, parameterFits, parameterPositions } from "./quantise.ts";
import { operandPositions, outputAt, typeAt, valueAt } from "./rules.ts";

/** g_idx names the block whose scale and zero point a row of the weights takes. */
function groupsProblem(ctx: InferContext, k: number, blocks: number, block: number): Problem | undefined {
  const type = ctx.inputs[4] ?? null;
  if (type === null) return undefined;
  // onnxruntime reads the middle for zero here, whatever the zero points are.
  if ((ctx.inputs[3] ?? null) !== null) return problem("unsupported", "g_idx together with zero_points");
  const count = countOf(type.shape);
  if (count !== k && count !== blocks * block)
    return problem("shape", `g_idx is ${shapeText(type.shape)}, needed: [${k}]`);
  const groups = ctx.constant(4);
  if (groups === undefined) return problem("constant", "input g_idx is computed at run time");
  const outside = intsOf(groups).find((group) => group < 0 || group >= blocks);
  return outside === undefined ? undefined : problem("attr", `g_idx holds ${outside}, allowed: 0 to ${blocks - 1}`);
}

/** Packed zero points fill whole bytes for each column; those of floats are one a block. */
function zerosProblem(
  zeros: TensorType | null | undefined,
  n: number,
  blocks: number,
  bits: number,
): Problem | undefined {
  if (zeros === null || zeros === undefined) return undefined;
  const needed = n * (zeros.dtype === "uint8" ? Math.ceil((blocks * bits) / 8) : blocks);
  if (countOf(zeros.shape) === needed) return undefined;
  return problem("shape", `zero_points are ${shapeText(zeros.shape)}, needed: ${needed} of them`);
}

function inferNBits(ctx: InferContext): Inferred {
  const [a, b] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const [k, n, bits, block] = ["K", "N", "bits", "block_size"].map((name) => numberOf(ctx.attrs, name));
  if (k === undefined || n === undefined || bits === undefined || block === undefined)
    return problem("attr", "K, N, bits, block_size");
  if (![2, 4, 8].includes(bits) || block < 16 || (block & (block - 1)) !== 0) {
    return problem(
      "attr",
      `bits is ${bits} and block_size ${block}, allowed: 2, 4 or 8 bits, powers of two from 16 on`,
    );
  }
  const blocks = Math.ceil(k / block);
  if (b.dtype === "int32" || ctx.inputs[3]?.dtype === "int32")
    return problem(
      "unsupported",
      "weights or zero points of int32 (allowed: packed in uint8, zero points also floats)",
    );
  const wrong = groupsProblem(ctx, k, blocks, block) ?? zerosProblem(ctx.inputs[3], n, blocks, bits);
  if (wrong !== undefined) return wrong;
  if (a.shape.at(-1) !== k) return problem("shape", `A is ${shapeText(a.shape)}, K is ${k}`);
  if (countOf(b.shape) !== n * blocks * ((block * bits) / 8)) {
    return problem("shape", `B is ${shapeText(b.shape)}, needed: ${shapeText([n, blocks, (block * bits) / 8])}`);
  }
  if (countOf(typeAt(ctx, 2).shape) !== n * blocks) {
    return problem("shape", `scales are ${shapeText(typeAt(ctx, 2).shape)}, needed: ${n * blocks} of them`);
  }
  return [{ dtype: a.dtype, shape: [...a.shape.slice(0, -1), n] }];
}

/** Element `index` of packed unsigned integers, lowest bits first. */
const field = (bytes: ArrayLike<number>, index: number, bits: number, base = 0): number =>
  ((bytes[base + Math.floor((index * bits) / 8)] ?? 0) >>> ((index * bits) % 8)) & ((1 << bits) - 1);

/** The weights as a [K, N] matrix of floats. */
function unpackNBits(ctx: EvaluateContext): Float64Array {
  const [k, n, bits, block] = [
    numberOf(ctx.attrs, "K"),
    numberOf(ctx.attrs, "N"),
    numberOf(ctx.attrs, "bits"),
    numberOf(ctx.attrs, "block_size"),
  ];
  const [bytes, scales, zeros] = [numbersOf(valueAt(ctx, 1)), numbersOf(valueAt(ctx, 2)), ctx.inputs[3] ?? null];
  const blocks = Math.ceil(k / block);
  const blob = (block * bits) / 8;
  const rowBytes = Math.ceil((blocks * bits) / 8);
  const zeroList = zeros === null ? undefined : numbersOf(zeros);
  const zeroAt = (row: number, at: number): number => {
    if (zeros === null || zeroList === undefined) return 1 << (bits - 1);
    if (dtypes[zeros.dtype].kind === "float") return zeroList[row * blocks + at] ?? 0;
    return field(zeroList, at, bits, row * rowBytes);
  };
  const groups = ctx.inputs[4] ?? null;
  const groupList = groups === null ? undefined : numbersOf(groups);
  const result = new Float64Array(k * n);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) {
      const at = groupList?.[i] ?? Math.floor(i / block);
      const raw = field(bytes, i % block, bits, (row * blocks + Math.floor(i / block)) * blob);
      result[i * n + row] = (raw - zeroAt(row, at)) * (scales[row * blocks + at] ?? 0);
    }
  }
  return result;
}

function matMulNBits(ctx: EvaluateContext): TensorValue {
  const [a, bias, out] = [valueAt(ctx, 0), ctx.inputs[5], outputAt(ctx)];
  const [k, n] = [numberOf(ctx.attrs, "K"), numberOf(ctx.attrs, "N")];
  const product = matmulNumbers(numbersOf(a), a.shape, unpackNBits(ctx), [k, n]);
  const shift = spread(bias, out.shape, 0);
  return valueFromNumbers(
    out.dtype,
    out.shape,
    product.map((v, i) => v + (shift[i] ?? 0)),
  );
}

/** Which inputs of an integer product with float result hold what. */
interface Places {
  readonly aScale: number;
  readonly aZero: number;
  readonly bScale: number;
  readonly bZero: number;
  readonly bias: number;
}

const toFloatPlaces: Places = { aScale: 2, aZero: 4, bScale: 3, bZero: 5, bias: 6 };
const dynamicPlaces: Places = { aScale: -1, aZero: -1, bScale: 2, bZero: 3, bias: 4 };

const inferScaled =
  (places: Places) =>
  (ctx: InferContext): Inferred => {
    const [a, b] = [typeAt(ctx, 0), typeAt(ctx, 1)];
    const shape = matmulShape(a.shape, b.shape);
    if (isProblem(shape)) return shape;
    if (b.shape.length < 2) return problem("shape", `B ${shapeText(b.shape)} is no matrix`);
    for (const index of [places.bScale, places.bZero]) {
      const parameter = ctx.inputs[index] ?? null;
      if (parameter !== null && !parameterFits(b.shape, parameter.shape, "columns")) {
        return problem(
          "shape",
          `scales or zero points ${shapeText(parameter.shape)} do not fit the columns of ${shapeText(b.shape)}`,
        );
      }
    }
    const aParts = [places.aScale, places.aZero].map((index) => ctx.inputs[index] ?? null);
    if (aParts.some((type) => type !== null && countOf(type.shape) !== 1)) {
      return problem("shape", "the scale and zero point of A are not one element each");
    }
    const fits = scaleFits(ctx, places.bias, "bias", shape);
    return fits === true ? [{ dtype: "float32", shape }] : fits;
  };

/** Sums times both scales, plus the bias. */
function scaledProduct(
  ctx: EvaluateContext,
  sums: Float64Array,
  aScale: ArrayLike<number>,
  places: Places,
): TensorValue {
  const out = outputAt(ctx);
  const bScale = valueAt(ctx, places.bScale);
  const scales = numbersOf(bScale);
  const at = parameterPositions(out.shape, bScale.shape, "columns");
  const shift = spread(ctx.inputs[places.bias], out.shape, 0);
  const y = sums.map((sum, i) => sum * Math.fround((aScale[0] ?? 1) * (scales[at[i] ?? 0] ?? 1)) + (shift[i] ?? 0));
  return valueFromNumbers(out.dtype, out.shape, y);
}

const qlinearBinary = (summary: string, f: (a: number, b: number) => number): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [
      "A: byte",
      "A_scale: float32 single",
      "A_zero_point?: A single",
      "B: A",
      "B_scale: float32 single",
      "B_zero_point?: A single",
      "C_scale: float32 single",
      "C_zero_point?: A single",
    ],
    outputs: ["C"],
    attrs: {},
    infer: (ctx) => {
      const shape = broadcastShapes(typeAt(ctx, 0).shape, typeAt(ctx, 3).shape);
      return isProblem(shape) ? shape : [{ dtype: typeAt(ctx, 0).dtype, shape }];
    },
    evaluate: (ctx) => {
      const [a, b, out] = [valueAt(ctx, 0), valueAt(ctx, 3), outputAt(ctx)];
      const first = (index: number, none: number): number => {
        const value = ctx.inputs[index] ?? null;
        return value === null ? none : (numbersOf(value)[0] ?? none);
      };
      const [atA, atB] = operandPositions([a, b], out.shape);
      const [as, bs] = [numbersOf(a), numbersOf(b)];
      const y = tabulate(countOf(out.shape), (i) => {
        const left = ((as[atA?.[i] ?? 0] ?? 0) - first(2, 0)) * first(1, 1);
        const right = ((bs[atB?.[i] ?? 0] ?? 0) - first(5, 0)) * first(4, 1);
        return roundHalfEven(Math.fround(f(left, right) / first(6, 1))) + first(7, 0);
      });
      return [quantiseNumbers(out.dtype, out.shape, y)];
    },
  });

export const contribQuantisedOps = {
  "com.microsoft.MatMulNBits": defineOp({
    summary:
      "A times weights of 2, 4 or 8 bits, quantised in blocks along K with a scale and zero point each; products of floats, which any accuracy_level allows",
    inputs: [
      "A: float",
      "B: uint8|int32",
      "scales: float",
      "zero_points?: float|uint8|int32",
      "g_idx?: int32",
      "bias?: A",
    ],
    outputs: ["Y"],
    attrs: {
      K: { ...int(), required: true },
      N: { ...int(), required: true },
      bits: int(4),
      block_size: { ...int(), required: true },
      accuracy_level: int(0),
      weight_prepacked: int(0),
    },
    infer: inferNBits,
    evaluate: (ctx) => [matMulNBits(ctx)],
  }),
  "com.microsoft.MatMulIntegerToFloat": defineOp({
    summary: "exact integer product of bytes times both scales, plus a bias",
    inputs: [
      "A: byte",
      "B: byte",
      "a_scale: float32",
      "b_scale: float32",
      "a_zero_point?: A",
      "b_zero_point?: B",
      "bias?: float32",
    ],
    outputs: ["Y"],
    attrs: {},
    infer: inferScaled(toFloatPlaces),
    evaluate: (ctx) => {
      const sums = integerProduct(valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[4] ?? null, ctx.inputs[5] ?? null);
      return [scaledProduct(ctx, sums, numbersOf(valueAt(ctx, 2)), toFloatPlaces)];
    },
  }),
  "com.microsoft.DynamicQuantizeMatMul": defineOp({
    summary: "A quantised by its own range, exact integer product with B, scaled back, plus a bias",
    inputs: ["A: float32", "B: byte", "b_scale: float32", "b_zero_point?: B", "bias?: float32"],
    outputs: ["Y"],
    attrs: {},
    infer: inferScaled(dynamicPlaces),
    evaluate: (ctx) => {
      const { y, scale, zero } = dynamicQuantize(valueAt(ctx, 0));
      const zeroPoint = valueFromNumbers("uint8", [], [zero]);
      const sums = integerProduct(y, valueAt(ctx, 1), zeroPoint, ctx.inputs[3] ?? null);
      return [scaledProduct(ctx, sums, [scale], dynamicPlaces)];
    },
  }),
  "com.microsoft.QLinearAdd": qlinearBinary("sum of quantised A and B, quantised again", (a, b) => a + b),
  "com.microsoft.QLinearMul": qlinearBinary("product of quantised A and B, quantised again", (a, b) => a * b),
} as const satisfies Record<string, OnnxOpRow>;
