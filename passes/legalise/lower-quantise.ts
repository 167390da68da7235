// Quantised operators: linear quantise and dequantise by scalar arithmetic; products of bytes as exact integer products with the zero points'
// shares subtracted. Weights of few bits stay bytes until the product asks for floats.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type DType, dtypes } from "../../ir/dtype.ts";
import { numberOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { evaluateOp } from "../../ir/graph/infer.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import { bytesOf, numbersOf, valueFromNumbers } from "../../ir/graph/values.ts";
import { add, eq, fromInt8, max, min, mul, reduce, select, sub, toFloat, toInt } from "./arith.ts";
import {
  type CoreDraft,
  constant,
  float,
  int,
  isFloat,
  lazyConstant,
  type QuantisedForm,
  shapeOf,
  uniform,
} from "./core-draft.ts";
import { divide, exactQuotient } from "./divide.ts";
import { clamp } from "./functions.ts";
import { castTo } from "./lower-cast.ts";
import { matmul } from "./lower-matmul.ts";
import { asBytes, byteOffset } from "./operands.ts";
import {
  axisOf,
  hasInput,
  isFloatType,
  type Lowered,
  type LoweringTable,
  optionalInput,
  outputType,
  type Site,
  typeAt,
} from "./site.ts";
import { expand, reshape, sliceAxis } from "./views.ts";

/** Smallest and largest number of an integer type. */
function integerRange(dtype: DType): readonly [number, number] {
  const { bits, kind } = dtypes[dtype];
  return kind === "int" ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

/** A scale or zero point beside a tensor of `shape`: one for all, one an index of the axis, or one a block along it. */
function spreadParameter(d: CoreDraft, parameter: TensorId, shape: readonly number[], site: Site): TensorId {
  const own = shapeOf(d, parameter);
  const block = numberOf(site.attrs, "block_size");
  if (elementCount(own) === 1)
    return reshape(
      d,
      parameter,
      shape.map(() => 1),
    );
  const axis = axisOf(numberOf(site.attrs, "axis"), shape.length);
  if (own.length === 1 && block === 0)
    return reshape(
      d,
      parameter,
      shape.map((size, dim) => (dim === axis ? size : 1)),
    );
  const split = own.flatMap((size, dim) => (dim === axis ? [size, 1] : [size]));
  const wide = own.flatMap((size, dim) => (dim === axis ? [size, block] : [size]));
  const whole = own.map((size, dim) => (dim === axis ? size * block : size));
  const repeated = reshape(d, expand(d, reshape(d, parameter, split), wide), whole);
  return sliceAxis(d, repeated, axis, 0, shape[axis] ?? 0);
}

/** Rounded to the nearest integer (ties to even), shifted by the zero point, limited to the type. */
export function roundAndLimit(d: CoreDraft, x: TensorId, zero: TensorId | undefined, dtype: DType): TensorId {
  const [low, high] = integerRange(dtype);
  if (zero === undefined) return toInt(d, clamp(d, x, low, high), "rne");
  const shift = toFloat(d, zero);
  const limited = min(d, max(d, x, sub(d, float(d, low), shift)), sub(d, float(d, high), shift));
  return add(d, toInt(d, limited, "rne"), zero);
}

function quantise(d: CoreDraft, site: Site): Lowered {
  const given = site.input(0);
  const x = isFloat(d, given) ? given : toFloat(d, given);
  const shape = shapeOf(d, x);
  const given1 = site.input(1);
  const scale = spreadParameter(d, isFloat(d, given1) ? given1 : toFloat(d, given1), shape, site);
  const { dtype } = outputType(site);
  if (isFloatType(dtype))
    return castTo(d, divide(d, x, scale), "float32", dtype, numberOf(site.attrs, "saturate") === 1);
  const zero = hasInput(site, 2) ? spreadParameter(d, site.input(2), shape, site) : undefined;
  return roundAndLimit(d, exactQuotient(d, x, scale), zero, dtype);
}

/** Whether an input is a constant that stands as bytes, to be widened on the machine. */
const standsAsBytes = (site: Site, index: number): boolean =>
  dtypes[typeAt(site, index).dtype].bits <= 8 && site.constant(index) !== undefined;

/** A zero point less the offset of the bytes it belongs to. */
export function shiftedZero(d: CoreDraft, zero: TensorId | undefined, offset: number): TensorId | undefined {
  if (offset === 0) return zero;
  return zero === undefined ? int(d, -offset) : sub(d, zero, int(d, offset));
}

/** What may take bytes as they are, at once or behind views. */
const takesBytes: ReadonlySet<OnnxOp> = new Set([
  "MatMul",
  "Gemm",
  "Conv",
  "Transpose",
  "Reshape",
  "com.microsoft.Attention",
]);

/** A constant that nothing takes as bytes: its numbers. */
function dequantisedConstant(d: CoreDraft, site: Site): TensorId | undefined {
  if ([...site.readers].every((op) => takesBytes.has(op))) return undefined;
  const given = [0, 1, 2].map((index) => (hasInput(site, index) ? site.constant(index) : null));
  if (given.some((value) => value === undefined)) return undefined;
  const { shape } = outputType(site);
  const read = (): Uint8Array => {
    const inputs = given.map((value) => value ?? null);
    const made = evaluateOp("DequantizeLinear", inputs, site.attrs, 1);
    invariant(made.ok && made.outputs[0] !== undefined, "DequantizeLinear was accepted and cannot be evaluated");
    return bytesOf(valueFromNumbers("float32", shape, numbersOf(made.outputs[0])));
  };
  return lazyConstant(d, "float32", shape, d.site.label, { byteLength: 4 * elementCount(shape), read });
}

function dequantise(d: CoreDraft, site: Site): Lowered {
  const { dtype } = typeAt(site, 0);
  const known = standsAsBytes(site, 0) ? dequantisedConstant(d, site) : undefined;
  if (known !== undefined) return known;
  const floats = isFloatType(dtype);
  const bytes = !floats && standsAsBytes(site, 0);
  const x = bytes ? fromInt8(d, site.bytes(0)) : site.input(0);
  const shape = shapeOf(d, x);
  const scale = spreadParameter(d, site.input(1), shape, site);
  if (floats) return mul(d, x, scale);
  const given = hasInput(site, 2) ? spreadParameter(d, site.input(2), shape, site) : undefined;
  const shifted = shiftedZero(d, given, byteOffset(dtype));
  const zero = bytes ? shifted : given;
  const result = mul(d, toFloat(d, zero === undefined ? x : sub(d, x, zero)), scale);
  if (dtypes[dtype].bits <= 8 && outputType(site).dtype === "float32")
    d.quantised.set(result, { bytes: () => site.bytes(0), scale, zero: shifted, ...blocksOf(d, site, shape) });
  return result;
}

/** Scales of blocks as they were given, with what belongs to the bytes taken off the zero points. */
function blocksOf(d: CoreDraft, site: Site, shape: readonly number[]): Pick<QuantisedForm, "blocks"> {
  const size = numberOf(site.attrs, "block_size");
  const scale = site.input(1);
  if (size === 0 || shapeOf(d, scale).length !== shape.length || elementCount(shapeOf(d, scale)) === 1) return {};
  const dim = axisOf(numberOf(site.attrs, "axis"), shape.length);
  const zero = shiftedZero(d, optionalInput(site, 2), byteOffset(typeAt(site, 0).dtype));
  return { blocks: { dim, size, scale, zero } };
}

interface Dynamic {
  /** int32 numbers of a uint8 tensor. */
  readonly y: TensorId;
  readonly scale: TensorId;
  readonly zero: TensorId;
}

/** Scale and zero point that map [min(x, 0), max(x, 0)] to 0..255. */
function dynamicQuantise(d: CoreDraft, x: TensorId): Dynamic {
  const axes = shapeOf(d, x).map((_, dim) => dim);
  const flat = (value: TensorId): TensorId => reshape(d, value, []);
  const low = min(d, flat(reduce(d, "reduceMin", x, axes)), float(d, 0));
  const high = max(d, flat(reduce(d, "reduceMax", x, axes)), float(d, 0));
  const span = exactQuotient(d, sub(d, high, low), float(d, 255));
  const scale = select(d, eq(d, span, float(d, 0)), float(d, 1), span);
  const zero = toInt(d, clamp(d, exactQuotient(d, mul(d, low, float(d, -1)), scale), 0, 255), "rne");
  return { y: roundAndLimit(d, exactQuotient(d, x, scale), zero, "uint8"), scale, zero };
}

/** Bytes of a matrix and the zero point that belongs to them: both less the offset of the element type. */
export interface ByteMatrix {
  readonly bytes: TensorId;
  readonly zero: TensorId | undefined;
}

const isZero = (d: CoreDraft, x: TensorId): boolean => uniform(d, x) === 0;

/** Zero points along rows or columns of a matrix product. */
function alongMatrix(d: CoreDraft, parameter: TensorId, along: "rows" | "columns"): TensorId {
  const shape = shapeOf(d, parameter);
  if (elementCount(shape) === 1) return reshape(d, parameter, []);
  return shape.length === 1 && along === "rows" ? reshape(d, parameter, [...shape, 1]) : parameter;
}

const ones = (d: CoreDraft, shape: readonly number[]): TensorId =>
  constant(d, valueFromNumbers("int8", shape, new Array<number>(elementCount(shape)).fill(1)));

/** Sum of (a - za)(b - zb) over the inner dimension: the bytes' product less the zero points' shares, whose sums are products with ones (a matrix of them for each of `batch`). */
export function integerProduct(d: CoreDraft, a: ByteMatrix, b: ByteMatrix, batch: readonly number[] = []): TensorId {
  let result = matmul(d, a.bytes, b.bytes);
  const inner = shapeOf(d, a.bytes).at(-1) ?? 0;
  const za = a.zero === undefined || isZero(d, a.zero) ? undefined : alongMatrix(d, a.zero, "rows");
  const zb = b.zero === undefined || isZero(d, b.zero) ? undefined : alongMatrix(d, b.zero, "columns");
  if (za !== undefined) result = sub(d, result, mul(d, za, matmul(d, ones(d, [1, inner]), b.bytes)));
  if (zb !== undefined) result = sub(d, result, mul(d, zb, matmul(d, a.bytes, ones(d, [...batch, inner, 1]))));
  const both = za !== undefined && zb !== undefined;
  return both ? add(d, result, mul(d, mul(d, za, zb), int(d, inner))) : result;
}

const matrixAt = (d: CoreDraft, site: Site, index: number, zero: TensorId | undefined): ByteMatrix => {
  const vector = typeAt(site, index).shape.length === 1;
  const lift = (x: TensorId): TensorId =>
    vector ? reshape(d, x, index === 0 ? [1, ...shapeOf(d, x)] : [...shapeOf(d, x), 1]) : x;
  const offset = byteOffset(typeAt(site, index).dtype);
  return { bytes: lift(site.bytes(index)), zero: shiftedZero(d, zero, offset) };
};

function matMulInteger(d: CoreDraft, site: Site): Lowered {
  const a = matrixAt(d, site, 0, optionalInput(site, 2));
  const b = matrixAt(d, site, 1, optionalInput(site, 3));
  return reshape(d, integerProduct(d, a, b), outputType(site).shape);
}

function qlinearMatMul(d: CoreDraft, site: Site): Lowered {
  const { shape, dtype } = outputType(site);
  const yScale = alongMatrix(d, site.input(6), "rows");
  const zero = alongMatrix(d, site.input(7), "rows");
  const scales = divide(
    d,
    mul(d, alongMatrix(d, site.input(1), "rows"), alongMatrix(d, site.input(4), "columns")),
    yScale,
  );
  const floats = isFloatType(typeAt(site, 0).dtype);
  const product = floats
    ? matmul(d, centredFloats(d, site, 0, 2, "rows"), centredFloats(d, site, 3, 5, "columns"))
    : toFloat(d, integerProduct(d, matrixAt(d, site, 0, site.input(2)), matrixAt(d, site, 3, site.input(5))));
  return roundAndLimit(d, mul(d, reshape(d, product, shape), scales), zero, dtype);
}

const centredFloats = (d: CoreDraft, site: Site, index: number, zero: number, along: "rows" | "columns"): TensorId =>
  sub(d, site.input(index), alongMatrix(d, site.input(zero), along));

/** Integer product of bytes as floats, times both scales, plus a bias. */
function scaledProduct(
  d: CoreDraft,
  product: TensorId,
  aScale: TensorId,
  bScale: TensorId,
  bias: TensorId | undefined,
): TensorId {
  const scales = mul(d, alongMatrix(d, aScale, "rows"), alongMatrix(d, bScale, "columns"));
  const result = mul(d, toFloat(d, product), scales);
  return bias === undefined ? result : add(d, result, bias);
}

function matMulIntegerToFloat(d: CoreDraft, site: Site): Lowered {
  const product = integerProduct(
    d,
    matrixAt(d, site, 0, optionalInput(site, 4)),
    matrixAt(d, site, 1, optionalInput(site, 5)),
  );
  return reshape(
    d,
    scaledProduct(d, product, site.input(2), site.input(3), optionalInput(site, 6)),
    outputType(site).shape,
  );
}

function dynamicQuantizeMatMul(d: CoreDraft, site: Site): Lowered {
  const { y, scale, zero } = dynamicQuantise(d, site.input(0));
  const a: ByteMatrix = { bytes: asBytes(d, y, "uint8"), zero: shiftedZero(d, zero, byteOffset("uint8")) };
  const product = integerProduct(d, a, matrixAt(d, site, 1, optionalInput(site, 3)));
  return reshape(d, scaledProduct(d, product, scale, site.input(2), optionalInput(site, 4)), outputType(site).shape);
}

const qlinearBinary =
  (f: (d: CoreDraft, a: TensorId, b: TensorId) => TensorId) =>
  (d: CoreDraft, site: Site): Lowered => {
    const real = (x: number): TensorId => {
      const zero = optionalInput(site, x + 2);
      const centred = zero === undefined ? site.input(x) : sub(d, site.input(x), reshape(d, zero, []));
      return mul(d, toFloat(d, centred), reshape(d, site.input(x + 1), []));
    };
    const zero = optionalInput(site, 7);
    const scaled = exactQuotient(d, f(d, real(0), real(3)), reshape(d, site.input(6), []));
    return roundAndLimit(d, scaled, zero === undefined ? undefined : reshape(d, zero, []), outputType(site).dtype);
  };

export const quantiseLowerings: LoweringTable = {
  QuantizeLinear: quantise,
  DequantizeLinear: dequantise,
  "com.microsoft.QuantizeLinear": quantise,
  "com.microsoft.DequantizeLinear": dequantise,
  DynamicQuantizeLinear: (d, site) => {
    const { y, scale, zero } = dynamicQuantise(d, site.input(0));
    return [y, scale, zero];
  },
  MatMulInteger: matMulInteger,
  QLinearMatMul: qlinearMatMul,
  "com.microsoft.MatMulIntegerToFloat": matMulIntegerToFloat,
  "com.microsoft.DynamicQuantizeMatMul": dynamicQuantizeMatMul,
  "com.microsoft.QLinearAdd": qlinearBinary(add),
  "com.microsoft.QLinearMul": qlinearBinary(mul),
};
