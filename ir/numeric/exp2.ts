// exp2 of the VXM: binary32 -> binary32, the same bits everywhere. Method: x = n + f with n the nearest integer (ties to even), 2^f by its
// Taylor polynomial of degree 13 in Horner form, binary64 + and * only (fused nowhere), then one exact scaling by 2^n and one rounding to
// binary32. The polynomial's relative error is below 4e-16, so the result is the correctly rounded one unless the exact value is that close to
// the middle of two binary32 numbers; stated maximum error: 0.5000001 ulp. Subnormal results are kept; overflow gives infinity, underflow 0.
import { pow2, roundHalfEven } from "./bits.ts";

// ln(2)^k / k!
const C1 = Math.LN2;
const C2 = 0.2402265069591007;
const C3 = 0.05550410866482158;
const C4 = 0.009618129107628477;
const C5 = 0.0013333558146428443;
const C6 = 0.0001540353039338161;
const C7 = 1.5252733804059841e-5;
const C8 = 1.321548679014431e-6;
const C9 = 1.01780860092397e-7;
const C10 = 7.054911620801123e-9;
const C11 = 4.4455382718708116e-10;
const C12 = 2.5678435993488206e-11;
const C13 = 1.3691488853904128e-12;

/** 2^f for |f| <= 0.5, binary64, relative error below 4e-16. */
export function exp2Fraction(f: number): number {
  const high = C7 + f * (C8 + f * (C9 + f * (C10 + f * (C11 + f * (C12 + f * C13)))));
  return 1 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * (C5 + f * (C6 + f * high))))));
}

/** 2^x for a binary32 number x. */
export function exp2F32(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x >= 128) return Infinity;
  if (x <= -150) return 0;
  const n = roundHalfEven(x);
  return Math.fround(exp2Fraction(x - n) * pow2(n));
}
