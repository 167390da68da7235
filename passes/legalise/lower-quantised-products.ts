// Integer convolutions, and products with weights packed in few bits.
import { numberOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { bytesOf, numbersOf, type TensorValue, tabulateInts, valueFromNumbers } from "../../ir/graph/values.ts";
import { add, fromInt8, mul, sub, toFloat } from "./arith.ts";
import { type CoreDraft, float, int, lazyConstant, shapeOf } from "./core-draft.ts";
import { divide } from "./divide.ts";
import { convolve, convWindows } from "./lower-conv.ts";
import { matmul } from "./lower-matmul.ts";
import { integerProduct, roundAndLimit, shiftedZero } from "./lower-quantise.ts";
import { asBytes, byteOffset } from "./operands.ts";
import {
  hasInput,
  type Lowered,
  type LoweringTable,
  optionalInput,
  outputType,
  refuse,
  type Site,
  typeAt,
} from "./site.ts";
import { reshape, sliceAxis, swapLast } from "./views.ts";

/** Which inputs of an integer convolution hold what. */
interface Places {
  readonly x: number;
  readonly xZero: number;
  readonly w: number;
  readonly wZero: number;
}

/** Exact sums; the padding stands for the zero point, which is 0 in truth. */
function integerConvolution(d: CoreDraft, site: Site, at: Places): TensorId {
  const xZero = hasInput(site, at.xZero) ? reshape(d, site.input(at.xZero), []) : undefined;
  const wZero = optionalInput(site, at.wZero);
  const padding = asBytes(d, xZero ?? int(d, 0), typeAt(site, at.x).dtype);
  const zeroOf = (zero: TensorId | undefined, index: number): TensorId | undefined =>
    shiftedZero(d, zero, byteOffset(typeAt(site, index).dtype));
  const product = (rows: TensorId, matrix: TensorId): TensorId =>
    integerProduct(d, { bytes: rows, zero: zeroOf(xZero, at.x) }, { bytes: matrix, zero: zeroOf(wZero, at.w) });
  const group = numberOf(site.attrs, "group");
  return convolve(d, site.bytes(at.x), site.bytes(at.w), {
    windows: convWindows(site, at.x, at.w),
    group,
    padding,
    product,
  });
}

/** Zero points a filter do not line up with the columns of grouped products. */
const groupedZeros = (site: Site, index: number): boolean =>
  numberOf(site.attrs, "group") > 1 && hasInput(site, index) && elementCount(typeAt(site, index).shape) > 1;

function convInteger(d: CoreDraft, site: Site): Lowered {
  if (groupedZeros(site, 3)) return refuse("zero points a filter in groups");
  return integerConvolution(d, site, { x: 0, xZero: 2, w: 1, wZero: 3 });
}

/** One value a filter, beside [N, filters, ...]. */
function perFilter(d: CoreDraft, x: TensorId, rank: number): TensorId {
  const count = elementCount(shapeOf(d, x));
  return count === 1 ? reshape(d, x, []) : reshape(d, x, [1, count, ...new Array<number>(rank - 2).fill(1)]);
}

function qlinearConv(d: CoreDraft, site: Site): Lowered {
  if (groupedZeros(site, 5)) return refuse("zero points a filter in groups");
  const rank = typeAt(site, 0).shape.length;
  const sums = integerConvolution(d, site, { x: 0, xZero: 2, w: 3, wZero: 5 });
  const whole = hasInput(site, 8) ? add(d, sums, perFilter(d, site.input(8), rank)) : sums;
  const scales = mul(d, perFilter(d, site.input(1), rank), perFilter(d, site.input(4), rank));
  const scaled = mul(d, toFloat(d, whole), divide(d, scales, perFilter(d, site.input(6), rank)));
  return roundAndLimit(d, scaled, perFilter(d, site.input(7), rank), outputType(site).dtype);
}

/** Element `index` of packed unsigned integers, lowest bits first, from byte `base` on. */
const field = (bytes: ArrayLike<number>, index: number, bits: number, base: number): number =>
  ((bytes[base + Math.floor((index * bits) / 8)] ?? 0) >>> ((index * bits) % 8)) & (2 ** bits - 1);

/** Rows of packed fields less half their range, one byte each: a constant made when it is read. */
function unpacked(
  d: CoreDraft,
  site: Site,
  index: number,
  rows: number,
  each: number,
  rowBytes: number,
  bits: number,
): TensorId {
  const read = (): Uint8Array => {
    const packed: TensorValue | undefined = site.constant(index);
    const bytes = packed === undefined ? [] : numbersOf(packed);
    const half = 2 ** (bits - 1);
    const list = tabulateInts(
      rows * each,
      (at) => field(bytes, at % each, bits, Math.floor(at / each) * rowBytes) - half,
    );
    return bytesOf(valueFromNumbers("int8", [rows, each], list));
  };
  return lazyConstant(d, "int8", [rows, each], `${d.site.label}.weights`, { byteLength: rows * each, read });
}

function matMulNBits(d: CoreDraft, site: Site): Lowered {
  const [k, n, bits, block] = ["K", "N", "bits", "block_size"].map((name) => numberOf(site.attrs, name));
  if (k === undefined || n === undefined || bits === undefined || block === undefined)
    return refuse("sizes are missing");
  const packedZeros = hasInput(site, 3) && typeAt(site, 3).dtype === "uint8";
  if (site.constant(1) === undefined || (packedZeros && site.constant(3) === undefined)) {
    return refuse("packed weights are computed at run time");
  }
  if (typeAt(site, 1).dtype !== "uint8") return refuse("weights are not packed in bytes");
  const blocks = Math.ceil(k / block);
  const fields = unpacked(d, site, 1, n * blocks, block, (block * bits) / 8, bits);
  const words = reshape(d, toFloat(d, fromInt8(d, fields)), [n, blocks, block]);
  const column = (x: TensorId): TensorId => reshape(d, x, [n, blocks, 1]);
  let zero = float(d, 0);
  if (packedZeros)
    zero = column(toFloat(d, fromInt8(d, unpacked(d, site, 3, n, blocks, Math.ceil((blocks * bits) / 8), bits))));
  else if (hasInput(site, 3)) zero = sub(d, column(site.input(3)), float(d, 2 ** (bits - 1)));
  const scaled = mul(d, sub(d, words, zero), column(site.input(2)));
  const rows = sliceAxis(d, reshape(d, scaled, [n, blocks * block]), 1, 0, k);
  const product = matmul(d, site.input(0), swapLast(d, rows));
  return hasInput(site, 5) ? add(d, product, site.input(5)) : product;
}

export const quantisedProductLowerings: LoweringTable = {
  ConvInteger: convInteger,
  QLinearConv: qlinearConv,
  "com.microsoft.MatMulNBits": matMulNBits,
};
