// Products of dequantised operands, as exporters write quantised layers: bytes are multiplied exactly, the sums scaled. Else the product is one of
// floats, as the plain lowering makes it.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { numberOf, optionalNumbers } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { add, fromInt8, mul, reduce, sub, toFloat, unary } from "./arith.ts";
import {
  type CoreDraft,
  float,
  isConstant,
  lazyConstant,
  type QuantisedForm,
  SMALL_ELEMENTS,
  shapeOf,
  tensorOf,
} from "./core-draft.ts";
import { blockProduct } from "./lower-block-products.ts";
import { afterConv, conv, convWindows, perFilter } from "./lower-conv.ts";
import { afterGemm, gemm, matmul, matmulOf } from "./lower-matmul.ts";
import { type ByteMatrix, integerProduct } from "./lower-quantise.ts";
import { byteConvolution } from "./lower-quantised-products.ts";
import { type Lowered, type LoweringTable, outputType, type Site, typeAt } from "./site.ts";
import { reshape, transpose } from "./views.ts";

function transposedForm(d: CoreDraft, form: QuantisedForm, perm: readonly number[]): QuantisedForm {
  const turned = (x: TensorId): TensorId => (shapeOf(d, x).length === 0 ? x : transpose(d, x, perm));
  const { bytes, scale, zero, blocks } = form;
  const along = blocks === undefined ? undefined : { dim: perm.indexOf(blocks.dim), size: blocks.size };
  return {
    bytes: () => turned(bytes()),
    scale: turned(scale),
    zero: zero === undefined ? undefined : turned(zero),
    ...(blocks === undefined || along === undefined
      ? {}
      : {
          blocks: {
            ...along,
            scale: turned(blocks.scale),
            zero: blocks.zero === undefined ? undefined : turned(blocks.zero),
          },
        }),
  };
}

const formOf = (d: CoreDraft, site: Site, index: number): QuantisedForm | undefined =>
  d.quantised.get(site.input(index));

const isShared = (d: CoreDraft, { scale, zero }: QuantisedForm): boolean =>
  elementCount(shapeOf(d, scale)) === 1 && (zero === undefined || elementCount(shapeOf(d, zero)) === 1);

/** What a view of a dequantised tensor stands for. */
export function carryForm(d: CoreDraft, site: Site, result: TensorId): void {
  const { op } = site;
  if (op !== "Transpose" && op !== "Reshape") return;
  const form = formOf(d, site, 0);
  if (form === undefined || d.quantised.has(result)) return;
  const { shape } = typeAt(site, 0);
  if (op === "Transpose") {
    const perm = optionalNumbers(site.attrs, "perm") ?? shape.map((_, dim) => shape.length - 1 - dim);
    d.quantised.set(result, transposedForm(d, form, perm));
    return;
  }
  if (!isShared(d, form)) return;
  const to = shapeOf(d, result);
  const one = to.map(() => 1);
  d.quantised.set(result, {
    bytes: () => reshape(d, form.bytes(), to),
    scale: reshape(d, form.scale, one),
    zero: form.zero === undefined ? undefined : reshape(d, form.zero, one),
  });
}

/** Whether scale and zero point are the same along a dimension, counted from the back. */
function isEven(d: CoreDraft, { scale, zero }: QuantisedForm, fromBack: number): boolean {
  return [scale, zero].every((x) => x === undefined || (shapeOf(d, x).at(-fromBack) ?? 1) === 1);
}

/** Exact sums of the bytes, scaled; undefined where an operand is no matrix of bytes with one scale along the sum, or one a block. */
function bytesProduct(d: CoreDraft, a: QuantisedForm | undefined, b: QuantisedForm | undefined): TensorId | undefined {
  if (a === undefined || b === undefined || d.without.has("bytes")) return undefined;
  if (shapeOf(d, a.scale).length < 2 || shapeOf(d, b.scale).length < 2) return undefined;
  if (!isEven(d, a, 1) || !isEven(d, b, 2))
    return shapeOf(d, b.scale).length === 2 ? blockProduct(d, a, transposedForm(d, b, [1, 0])) : undefined;
  const sums = integerProduct(d, { bytes: a.bytes(), zero: a.zero }, { bytes: b.bytes(), zero: b.zero });
  const scalar = (x: TensorId): TensorId => (elementCount(shapeOf(d, x)) === 1 ? reshape(d, x, []) : x);
  return mul(d, toFloat(d, sums), mul(d, scalar(a.scale), scalar(b.scale)));
}

/** A step as the matrix units take it: the least binary16 number, so that a whole number of one byte is its own low byte. */
const STEP = 2 ** -24;

/** int8 as uint8: 128 more. */
function unsignedBytes(d: CoreDraft, x: TensorId): TensorId {
  const { shape, data, name } = tensorOf(d, x);
  invariant(data !== undefined, "weights are constant");
  const read = (): Uint8Array => data.read().map((byte) => byte ^ 128);
  return lazyConstant(d, "uint8", shape, `${name}.unsigned`, { byteLength: data.byteLength, read });
}

/**
 * The same in fp16 without widening: weights are loaded as the bytes they are, 2^-24 each, 128 too many; what that is too much is the sum of a row
 * of `a`, as the matrix units take it.
 */
function stepsProduct(d: CoreDraft, a: TensorId, b: QuantisedForm): TensorId {
  const weights = mul(d, toFloat(d, fromInt8(d, unsignedBytes(d, b.bytes()))), float(d, STEP));
  const zero = b.zero === undefined ? float(d, 128) : add(d, toFloat(d, b.zero), float(d, 128));
  const sums = reduce(d, "reduceSum", unary(d, "roundF16", a), [shapeOf(d, a).length - 1]);
  const excess = mul(d, sums, mul(d, zero, float(d, STEP)));
  return mul(d, sub(d, matmul(d, a, weights), excess), mul(d, b.scale, float(d, 1 / STEP)));
}

/** Weights alone are bytes: their steps are multiplied, which every float type holds exactly, and the sums scaled. */
function weightsProduct(d: CoreDraft, a: () => TensorId, b: QuantisedForm | undefined): TensorId | undefined {
  if (b === undefined || d.without.has("bytes") || shapeOf(d, b.scale).length < 2 || !isEven(d, b, 2)) return undefined;
  const bytes = b.bytes();
  if (!isConstant(d, bytes)) return undefined;
  const shape = shapeOf(d, bytes);
  const isMatrix = shape.length === 2 && (shape[0] ?? 1) > 1 && (shape[1] ?? 1) > 1;
  // The sum of a row takes longer than small weights do to be widened.
  if (d.precision === "fp16" && isMatrix && elementCount(shape) > SMALL_ELEMENTS) return stepsProduct(d, a(), b);
  const whole = fromInt8(d, bytes);
  const steps = toFloat(d, b.zero === undefined ? whole : sub(d, whole, b.zero));
  return mul(d, matmul(d, a(), steps), b.scale);
}

function flipped(d: CoreDraft, form: QuantisedForm | undefined, isFlipped: boolean): QuantisedForm | undefined {
  return form === undefined || !isFlipped ? form : transposedForm(d, form, [1, 0]);
}

/** Input 0 times input 1 on bytes, where they stand for bytes. */
function dequantisedProduct(d: CoreDraft, site: Site): TensorId | undefined {
  const [a, b] = [formOf(d, site, 0), formOf(d, site, 1)];
  const isMatrix = typeAt(site, 0).shape.length > 1;
  return bytesProduct(d, a, b) ?? (isMatrix ? weightsProduct(d, () => site.input(0), b) : undefined);
}

/** Input 0 times the matrix that is input 1. */
export const projection = (d: CoreDraft, site: Site): TensorId =>
  dequantisedProduct(d, site) ?? matmul(d, site.input(0), site.input(1));

function matMul(d: CoreDraft, site: Site): Lowered {
  const product = dequantisedProduct(d, site);
  return product === undefined ? matmulOf(d, site) : reshape(d, product, outputType(site).shape);
}

function gemmOf(d: CoreDraft, site: Site): Lowered {
  const a = flipped(d, formOf(d, site, 0), numberOf(site.attrs, "transA") === 1);
  const b = flipped(d, formOf(d, site, 1), numberOf(site.attrs, "transB") === 1);
  const left = (): TensorId =>
    numberOf(site.attrs, "transA") === 1 ? transpose(d, site.input(0), [1, 0]) : site.input(0);
  const product = bytesProduct(d, a, b) ?? weightsProduct(d, left, b);
  return product === undefined ? gemm(d, site) : afterGemm(d, site, product);
}

/** One scale and zero point for all of the data, one of all or one a filter for the filters. */
function convOf(d: CoreDraft, site: Site): Lowered {
  const [x, w] = [formOf(d, site, 0), formOf(d, site, 1)];
  if (x === undefined || w === undefined || d.without.has("bytes")) return conv(d, site);
  const { shape } = typeAt(site, 1);
  const perFilterOnly = shape.every((_, dim) => dim === 0 || isEven(d, w, shape.length - dim));
  if (!isShared(d, x) || !perFilterOnly) return conv(d, site);
  const group = numberOf(site.attrs, "group");
  const windows = convWindows(site, 0, 1);
  const bytes = (form: QuantisedForm): ByteMatrix => ({ bytes: form.bytes(), zero: form.zero });
  const sums = toFloat(d, byteConvolution(d, bytes(x), bytes(w), { windows, group }));
  const scales = mul(d, reshape(d, x.scale, []), perFilter(d, w.scale, shape.length));
  return afterConv(d, site, mul(d, sums, scales));
}

/** Take the place of the plain lowerings. */
export const qdqLowerings: LoweringTable = { MatMul: matMul, Gemm: gemmOf, Conv: convOf };
