// Products of an activation vector with a tile, fast: four columns side by side. Each single sum runs in the order that
// ir/numeric/tile-product.ts defines, so the bits are the same; nothing here mixes terms of different sums.

/**
 * Sums of `k` terms for the first `columns` columns, to offset `p` of `products`. `weights` is row-major [n][stride]: row n holds the weights
 * of column n. Products of float16 values are exact in float32, so only the sums are rounded.
 */
export function halfProducts(
  weights: Float32Array,
  stride: number,
  k: number,
  columns: number,
  activations: Float64Array,
  products: Float32Array,
  p: number,
): void {
  let n = 0;
  for (; n + 4 <= columns; n += 4) {
    const r0 = n * stride;
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < k; i += 1) {
      const x = activations[i] as number;
      s0 = Math.fround(s0 + x * (weights[r0 + i] as number));
      s1 = Math.fround(s1 + x * (weights[r1 + i] as number));
      s2 = Math.fround(s2 + x * (weights[r2 + i] as number));
      s3 = Math.fround(s3 + x * (weights[r3 + i] as number));
    }
    products[p + n] = s0;
    products[p + n + 1] = s1;
    products[p + n + 2] = s2;
    products[p + n + 3] = s3;
  }
  for (; n < columns; n += 1) {
    let sum = 0;
    for (let i = 0; i < k; i += 1) {
      sum = Math.fround(sum + (activations[i] as number) * (weights[n * stride + i] as number));
    }
    products[p + n] = sum;
  }
}

/** As `halfProducts`, for any float32 operands: each product is rounded first. */
export function singleProducts(
  weights: Float32Array,
  stride: number,
  k: number,
  columns: number,
  activations: Float64Array,
  products: Float32Array,
  p: number,
): void {
  let n = 0;
  for (; n + 4 <= columns; n += 4) {
    const r0 = n * stride;
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < k; i += 1) {
      const x = activations[i] as number;
      s0 = Math.fround(s0 + Math.fround(x * (weights[r0 + i] as number)));
      s1 = Math.fround(s1 + Math.fround(x * (weights[r1 + i] as number)));
      s2 = Math.fround(s2 + Math.fround(x * (weights[r2 + i] as number)));
      s3 = Math.fround(s3 + Math.fround(x * (weights[r3 + i] as number)));
    }
    products[p + n] = s0;
    products[p + n + 1] = s1;
    products[p + n + 2] = s2;
    products[p + n + 3] = s3;
  }
  for (; n < columns; n += 1) {
    let sum = 0;
    for (let i = 0; i < k; i += 1) {
      sum = Math.fround(sum + Math.fround((activations[i] as number) * (weights[n * stride + i] as number)));
    }
    products[p + n] = sum;
  }
}

/** As `halfProducts`, for int8 operands: exact int32 sums, whatever the order. Zeros around the activations (identity vectors) are left out. */
export function integerProducts(
  weights: Int8Array,
  stride: number,
  k: number,
  columns: number,
  activations: Float64Array,
  products: Int32Array,
  p: number,
): void {
  let from = 0;
  let to = k;
  while (from < to && activations[from] === 0) from += 1;
  while (to > from && activations[to - 1] === 0) to -= 1;
  let n = 0;
  for (; n + 4 <= columns; n += 4) {
    const r0 = n * stride;
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = from; i < to; i += 1) {
      const x = activations[i] as number;
      s0 += x * (weights[r0 + i] as number);
      s1 += x * (weights[r1 + i] as number);
      s2 += x * (weights[r2 + i] as number);
      s3 += x * (weights[r3 + i] as number);
    }
    products[p + n] = s0;
    products[p + n + 1] = s1;
    products[p + n + 2] = s2;
    products[p + n + 3] = s3;
  }
  for (; n < columns; n += 1) {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum += (activations[i] as number) * (weights[n * stride + i] as number);
    products[p + n] = sum;
  }
}
