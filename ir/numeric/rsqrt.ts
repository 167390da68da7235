// rsqrt of the VXM: binary32 -> binary32, the same bits everywhere. Method: binary64 division of 1 by the binary64 square root (both are
// correctly rounded by IEEE 754), then one rounding to binary32. Relative error before the last rounding is below 2.3e-16; stated maximum error:
// 0.5000001 ulp. rsqrt(+0) = +infinity, rsqrt(-0) = -infinity, rsqrt(x < 0) = NaN, rsqrt(+infinity) = +0.

/** 1 / sqrt(x) for a binary32 number x. */
export function rsqrtF32(x: number): number {
  return Math.fround(1 / Math.sqrt(x));
}
