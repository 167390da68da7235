// The tile in use of one plane as numbers, and its product with an activation vector. The reference interpreter has a tile row by row and
// multiplies in plain loops; the fast one has it column by column in the memory of its vector kernel. Both give the same bits.

import { f32FromBits } from "../../ir/numeric/bits.ts";
import { float16Values } from "../../ir/numeric/float16.ts";
import { tileProduct } from "../../ir/numeric/tile-product.ts";
import type { MxmMode, MxmModeSpec } from "../../ir/target/target.ts";
import type { SimdTile } from "./simd-products.ts";
import type { Machine, Plane } from "./state.ts";
import { halfProducts, integerProducts, singleProducts } from "./tile-kernel.ts";

/** So many products of int8 numbers add up exactly in float32, in any order. */
const EXACT_TERMS = 2 ** 24 / 2 ** 14;

/** Turns the loaded buffer into the tile's weights; rows not loaded and elements beyond a row's length are zero. */
export function decodeTile(machine: Machine, plane: Plane, mode: MxmMode, spec: MxmModeSpec): void {
  const { buffer, tile } = plane;
  const { tileK, tileN } = spec;
  let rows = 0;
  let length = 0;
  tile.isSimd = machine.simdTiles !== undefined && (mode !== "int8" || tileK <= EXACT_TERMS);
  if (tile.isSimd) tile.simd ??= machine.simdTiles?.take();
  const simd = tile.isSimd ? tile.simd : undefined;
  if (simd !== undefined) simd.weights.fill(0, 0, tileK * simd.stride);
  else if (mode === "int8") tile.integers.fill(0, 0, tileK * tileN);
  else tile.weights.fill(0, 0, tileK * tileN);
  for (let row = 0; row < tileN; row += 1) {
    if (buffer.rowLoaded[row] === 0) continue;
    const k = buffer.rowLength[row] as number;
    rows = row + 1;
    length = Math.max(length, k);
    if (simd === undefined) decodeRow(plane, mode, row, k, tileK);
    else decodeColumn(plane.buffer.bytes, simd, mode, row, k, tileK);
  }
  tile.rows = rows;
  tile.length = length;
}

function decodeRow(plane: Plane, mode: MxmMode, row: number, length: number, tileK: number): void {
  const { bytes } = plane.buffer;
  const { weights, integers } = plane.tile;
  const to = row * tileK;
  switch (mode) {
    case "int8":
      for (let k = 0; k < length; k += 1) integers[to + k] = bytes[to + k] as number;
      return;
    case "fp16": {
      const values = float16Values();
      const low = row * 2 * tileK;
      const high = low + tileK;
      for (let k = 0; k < length; k += 1) {
        weights[to + k] = values[(bytes[low + k] as number) | ((bytes[high + k] as number) << 8)] as number;
      }
      return;
    }
    case "fp32": {
      const b0 = row * 4 * tileK;
      const [b1, b2, b3] = [b0 + tileK, b0 + 2 * tileK, b0 + 3 * tileK];
      for (let k = 0; k < length; k += 1) {
        weights[to + k] = f32FromBits(
          (bytes[b0 + k] as number) |
            ((bytes[b1 + k] as number) << 8) |
            ((bytes[b2 + k] as number) << 16) |
            ((bytes[b3 + k] as number) << 24),
        );
      }
    }
  }
}

/** As `decodeRow`; row `n` of the tile becomes a column. */
function decodeColumn(
  bytes: Uint8Array,
  simd: SimdTile,
  mode: MxmMode,
  n: number,
  length: number,
  tileK: number,
): void {
  const { weights, stride } = simd;
  const at = n * tileK;
  switch (mode) {
    case "int8":
      for (let k = 0; k < length; k += 1) weights[k * stride + n] = ((bytes[at + k] as number) << 24) >> 24;
      return;
    case "fp16": {
      const values = float16Values();
      const low = 2 * at;
      const high = low + tileK;
      for (let k = 0; k < length; k += 1) {
        weights[k * stride + n] = values[(bytes[low + k] as number) | ((bytes[high + k] as number) << 8)] as number;
      }
      return;
    }
    case "fp32": {
      const b0 = 4 * at;
      const [b1, b2, b3] = [b0 + tileK, b0 + 2 * tileK, b0 + 3 * tileK];
      const low = (k: number): number => (bytes[b0 + k] as number) | ((bytes[b1 + k] as number) << 8);
      const high = (k: number): number => ((bytes[b2 + k] as number) << 16) | ((bytes[b3 + k] as number) << 24);
      for (let k = 0; k < length; k += 1) weights[k * stride + n] = f32FromBits(low(k) | high(k));
    }
  }
}

/** As `multiplyTile`, by the vector kernel. */
function multiplySimd(plane: Plane, simd: SimdTile, mode: MxmMode, spec: MxmModeSpec, k: number, at: number): void {
  const { tile, waiting, activation } = plane;
  const isWhole = mode !== "int8" && !isFiniteVector(activation, k);
  const length = isWhole ? k : Math.min(k, tile.length);
  const rows = length === 0 ? 0 : isWhole ? spec.tileN : tile.rows;
  const { activations, products } = simd;
  for (let i = 0; i < length; i += 1) activations[i] = activation[i] as number;
  if (rows > 0) simd.multiply(length, rows);
  const out = mode === "int8" ? waiting.integers : waiting.products;
  for (let n = 0; n < rows; n += 1) out[at + n] = products[n] as number;
  out.fill(0, at + rows, at + spec.tileN);
}

function isFiniteVector(values: Float64Array, length: number): boolean {
  // 0 * x is 0 exactly for finite x; one NaN spreads.
  let sum = 0;
  for (let i = 0; i < length; i += 1) sum += 0 * (values[i] as number);
  return sum === 0;
}

/** Products of the plane's activation vector (`k` elements) with every column, to offset `at` of the waiting products. */
export function multiplyTile(plane: Plane, mode: MxmMode, spec: MxmModeSpec, k: number, at: number): void {
  const { tile, waiting, activation } = plane;
  const { tileK, tileN } = spec;
  if (tile.isSimd && tile.simd !== undefined) {
    multiplySimd(plane, tile.simd, mode, spec, k, at);
    return;
  }
  // Zero weights add nothing, unless infinity or NaN meets them.
  const length = Math.min(k, tile.length);
  if (mode === "int8") {
    integerProducts(tile.integers, tileK, length, tile.rows, activation, waiting.integers, at);
    waiting.integers.fill(0, at + tile.rows, at + tileN);
  } else if (isFiniteVector(activation, k)) {
    const kernel = mode === "fp16" ? halfProducts : singleProducts;
    kernel(tile.weights, tileK, length, tile.rows, activation, waiting.products, at);
    waiting.products.fill(0, at + tile.rows, at + tileN);
  } else {
    const vector = activation.subarray(0, k);
    for (let n = 0; n < tileN; n += 1) {
      const row = tile.weights.subarray(n * tileK, n * tileK + k);
      waiting.products[at + n] = tileProduct(mode, vector, row);
    }
  }
}
