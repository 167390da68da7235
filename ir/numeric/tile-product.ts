// The matrix unit's arithmetic, defined one scalar after the other. This is the meaning; faster kernels must give the same bits.
//
// One ABC gives, for each column n of the tile in use, a product: the sum over the tile's K dimension of activation[k] * tile[n][k].
// - int8: exact products, exact int32 sums (wrapping at 32 bits, which no tile can reach).
// - fp16: both operands are float16 values; a product of two is exact in float32; products are added in float32, one rounding (nearest
//   even) each, in ascending k, starting from +0.
// - fp32: each product is rounded to float32, then added as above.
// One ACC adds the finished product to its accumulator entry: one float32 (or int32) addition; K tiles follow in program order. With `init` the
// entry counts as +0. So the sum over a long K is the sum of the tiles' sums, in this order and no other. NaN leaves the unit as 0x7fc00000.
import type { MxmMode } from "../target/target.ts";

/** Sum over k of activation[k] * weights[k] as one plane (or pair of planes) computes it for one column. */
export function tileProduct(mode: MxmMode, activation: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < activation.length; k += 1) {
    const product = (activation[k] ?? 0) * (weights[k] ?? 0);
    if (mode === "int8") sum = (sum + product) | 0;
    else sum = Math.fround(sum + Math.fround(product));
  }
  return sum;
}

/** What an accumulator entry holds after a product was added to it. */
export function accumulate(mode: MxmMode, entry: number, product: number): number {
  return mode === "int8" ? (entry + product) | 0 : Math.fround(entry + product);
}
