// Integer convolutions, and products with weights packed in few bits.
import { numberOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import type { Windows } from "../../ir/graph/ops/window.ts";
import { bytesOf, numbersOf, type TensorValue, tabulateInts, valueFromNumbers } from "../../ir/graph/values.ts";
import { add, fromInt8, mul, sub, toFloat, toInt8 } from "./arith.ts";
import { type CoreDraft, constantOf, float, int, lazyConstant, shapeOf } from "./core-draft.ts";
import { divide } from "./divide.ts";
import { convolve, convWindows, depthwise, isDepthwise, perFilter } from "./lower-conv.ts";
import { gatherRows } from "./lower-index.ts";
import { matmul } from "./lower-matmul.ts";
import { type ByteMatrix, integerProduct, roundAndLimit, shiftedZero } from "./lower-quantise.ts";
import { byteOffset } from "./operands.ts";
import {
  constantNumbers,
  hasInput,
  type Lowered,
  type Lowering,
  type LoweringTable,
  optionalInput,
  outputType,
  refuse,
  type Site,
  typeAt,
} from "./site.ts";
import { reshape, sliceAxis, swapLast } from "./views.ts";

interface ByteConvolution {
  readonly windows: Windows;
  readonly group: number;
}

/** Zero points a filter, beside the columns of the products of `convolve`. */
function filterZeros(d: CoreDraft, zero: TensorId | undefined, group: number): TensorId | undefined {
  if (zero === undefined) return undefined;
  const count = elementCount(shapeOf(d, zero));
  if (count === 1) return reshape(d, zero, []);
  return reshape(d, zero, group === 1 ? [count] : [1, group, 1, count / group]);
}

/** Exact sums; the padding stands for the zero point, which is 0 in truth. */
export function byteConvolution(d: CoreDraft, x: ByteMatrix, w: ByteMatrix, c: ByteConvolution): TensorId {
  const { windows, group } = c;
  const xZero = x.zero === undefined ? undefined : reshape(d, x.zero, []);
  if (isDepthwise(d, x.bytes, w.bytes, group)) {
    const rank = shapeOf(d, w.bytes).length;
    const [taps, filters] = [fromInt8(d, w.bytes), shapeOf(d, w.bytes)[0] ?? 1];
    const along = (zero: TensorId): TensorId =>
      elementCount(shapeOf(d, zero)) === 1
        ? reshape(d, zero, [])
        : reshape(d, zero, [filters, ...new Array<number>(rank - 1).fill(1)]);
    const wide = fromInt8(d, x.bytes);
    const centred = xZero === undefined ? wide : sub(d, wide, xZero);
    return depthwise(d, centred, w.zero === undefined ? taps : sub(d, taps, along(w.zero)), windows);
  }
  const zero = filterZeros(d, w.zero, group);
  return convolve(d, fromInt8(d, x.bytes), w.bytes, {
    windows,
    group,
    padding: xZero ?? int(d, 0),
    product: (rows, matrix) =>
      integerProduct(d, { bytes: toInt8(d, rows, "int8"), zero: xZero }, { bytes: matrix, zero }),
  });
}

/** Which inputs of an integer convolution hold what. */
interface Places {
  readonly x: number;
  readonly xZero: number;
  readonly w: number;
  readonly wZero: number;
}

function integerConvolution(d: CoreDraft, site: Site, at: Places): TensorId {
  const operand = (index: number, zero: number): ByteMatrix => {
    const given = optionalInput(site, zero);
    return { bytes: site.bytes(index), zero: shiftedZero(d, given, byteOffset(typeAt(site, index).dtype)) };
  };
  const convolution = { windows: convWindows(site, at.x, at.w), group: numberOf(site.attrs, "group") };
  return byteConvolution(d, operand(at.x, at.xZero), operand(at.w, at.wZero), convolution);
}

const convInteger: Lowering = (d, site) => integerConvolution(d, site, { x: 0, xZero: 2, w: 1, wZero: 3 });

function qlinearConv(d: CoreDraft, site: Site): Lowered {
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

/** Parameters of blocks, [N, blocks], one for each row of the weights as g_idx says: [N, blocks * block]. */
function ofGroups(d: CoreDraft, site: Site, x: TensorId, block: number): TensorId {
  const given = constantNumbers(site, 4) ?? [];
  const blocks = shapeOf(d, x)[1] ?? 1;
  // Rows that only fill the last block up are cut off.
  const groups = Array.from({ length: blocks * block }, (_, at) => given[at] ?? blocks - 1);
  return gatherRows(d, x, constantOf(d, groups, [groups.length], "int32"), 1);
}

function matMulNBits(d: CoreDraft, site: Site): Lowered {
  const [k, n, bits, block] = ["K", "N", "bits", "block_size"].map((name) => numberOf(site.attrs, name));
  if (k === undefined || n === undefined || bits === undefined || block === undefined)
    return refuse("sizes are missing");
  const packedZeros = hasInput(site, 3) && typeAt(site, 3).dtype === "uint8";
  if (site.constant(1) === undefined || (packedZeros && site.constant(3) === undefined)) {
    return refuse("packed weights are computed at run time");
  }
  const blocks = Math.ceil(k / block);
  const fields = unpacked(d, site, 1, n * blocks, block, (block * bits) / 8, bits);
  const isGrouped = hasInput(site, 4);
  const shape = isGrouped ? [n, blocks * block] : [n, blocks, block];
  const words = reshape(d, toFloat(d, fromInt8(d, fields)), shape);
  const column = (x: TensorId): TensorId =>
    isGrouped ? ofGroups(d, site, reshape(d, x, [n, blocks]), block) : reshape(d, x, [n, blocks, 1]);
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
