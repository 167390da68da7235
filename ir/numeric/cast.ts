// Conversions between binary32 and int32, minimum and maximum, as the VXM defines them. Arguments and results are JS numbers.
import { roundHalfEven } from "./bits.ts";

/** Nearest int32, ties to even, saturating; NaN gives 0. */
export function f32ToInt32Nearest(x: number): number {
  if (x >= 2147483647.5) return 2147483647;
  if (x <= -2147483648) return -2147483648;
  return !Number.isNaN(x) ? roundHalfEven(x) | 0 : 0;
}

/** Towards zero, saturating; NaN gives 0. */
export function f32ToInt32Truncating(x: number): number {
  if (x >= 2147483648) return 2147483647;
  if (x <= -2147483648) return -2147483648;
  return !Number.isNaN(x) ? x | 0 : 0;
}

export function int32ToF32(x: number): number {
  return Math.fround(x);
}

export function saturateInt8(x: number): number {
  return Math.max(-128, Math.min(127, x));
}

export function saturateUint8(x: number): number {
  return Math.max(0, Math.min(255, x));
}

// Math.min and Math.max of ECMAScript are exactly these: NaN if either is NaN, and -0 smaller than 0.

/** Smaller of both; NaN if either is; -0 is smaller than 0. */
export const minF32 = (a: number, b: number): number => Math.min(a, b);

/** Larger of both; NaN if either is; -0 is smaller than 0. */
export const maxF32 = (a: number, b: number): number => Math.max(a, b);
