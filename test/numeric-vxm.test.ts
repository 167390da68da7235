// exp2, rsqrt and tanh of the VXM against double-double references: every 97th binary32 number of the interesting binades, the special
// values, and the whole exponent range.
import { describe, expect, it } from "vitest";
import { f32FromBits, f32ToBits } from "../ir/numeric/bits.ts";
import { exp2F32 } from "../ir/numeric/exp2.ts";
import { rsqrtF32 } from "../ir/numeric/rsqrt.ts";
import { tanhF32 } from "../ir/numeric/tanh.ts";
import { exp2, type Pair, rsqrt, tanh, ulp32 } from "./double-double.ts";

/** Largest error in ulps over the patterns [from, to) in steps, and where. */
function worst(
  f: (x: number) => number,
  reference: (x: number) => Pair,
  from: number,
  to: number,
  step: number,
): { ulps: number; at: number } {
  let ulps = 0;
  let at = 0;
  for (let bits = from; bits < to; bits += step) {
    const x = f32FromBits(bits | 0);
    const [high, low] = reference(x);
    const y = f(x);
    if (Math.fround(y) !== y) return { ulps: Infinity, at: x };
    const error = Math.abs(y - high - low) / ulp32(high);
    if (!(error <= ulps)) {
      ulps = error;
      at = x;
    }
  }
  return { ulps, at };
}

const bitsOf = (x: number): number => f32ToBits(x) >>> 0;
const STATED = 0.5000001;

describe("exp2", () => {
  it("is within the stated error on every 97th number of three binades and every 679th up to the overflow, both signs", () => {
    expect(worst(exp2F32, exp2, bitsOf(0.25), bitsOf(2), 97).ulps).toBeLessThan(STATED);
    expect(worst(exp2F32, exp2, bitsOf(2 ** -26), bitsOf(127.9999924), 97 * 7).ulps).toBeLessThan(STATED);
    expect(worst(exp2F32, exp2, bitsOf(-(2 ** -26)), bitsOf(-149), 97 * 7).ulps).toBeLessThan(STATED);
  });
  it("is exact on integers and keeps subnormals", () => {
    for (let n = -149; n < 128; n += 1) expect(exp2F32(n)).toBe(2 ** n);
    expect(exp2F32(-149.5)).toBe(2 ** -149);
    expect(exp2F32(Math.fround(-140.3))).toBe(Math.fround(2 ** Math.fround(-140.3)));
  });
  it("knows the special values and both ends", () => {
    expect(exp2F32(Number.NaN)).toBeNaN();
    expect(exp2F32(Infinity)).toBe(Infinity);
    expect(exp2F32(-Infinity)).toBe(0);
    expect(exp2F32(128)).toBe(Infinity);
    expect(exp2F32(f32FromBits(bitsOf(128) - 1))).toBe(f32FromBits(0x7f7fffa7));
    expect(exp2F32(-150)).toBe(0);
    expect(exp2F32(f32FromBits(bitsOf(-150) - 1))).toBe(2 ** -149);
    expect(exp2F32(-0)).toBe(1);
    expect(exp2F32(f32FromBits(1))).toBe(1);
  });
  it("never decreases", () => {
    let last = 0;
    for (let x = -151; x < 128.5; x += 1 / 1024) {
      const y = exp2F32(x);
      if (!(y >= last)) expect(y).toBeGreaterThanOrEqual(last);
      last = y;
    }
  });
});

describe("rsqrt", () => {
  it("is within the stated error on two whole binades and a sample of all numbers", () => {
    expect(worst(rsqrtF32, rsqrt, bitsOf(1), bitsOf(4), 97).ulps).toBeLessThan(STATED);
    expect(worst(rsqrtF32, rsqrt, 1, 0x7f800000, 971).ulps).toBeLessThan(STATED);
  });
  it("knows the special values", () => {
    expect(rsqrtF32(0)).toBe(Infinity);
    expect(rsqrtF32(-0)).toBe(-Infinity);
    expect(rsqrtF32(Infinity)).toBe(0);
    expect(rsqrtF32(-1)).toBeNaN();
    expect(rsqrtF32(-(2 ** -149))).toBeNaN();
    expect(rsqrtF32(Number.NaN)).toBeNaN();
    expect(rsqrtF32(2 ** -148)).toBe(2 ** 74);
    for (let n = -74; n <= 63; n += 1) expect(rsqrtF32(2 ** (2 * n))).toBe(2 ** -n);
  });
});

describe("tanh", () => {
  it("is within the stated error between 2^-14 and 20", () => {
    expect(worst(tanhF32, tanh, bitsOf(2 ** -14), bitsOf(20), 97).ulps).toBeLessThan(STATED);
    expect(worst(tanhF32, tanh, bitsOf(0.499), bitsOf(0.501), 7).ulps).toBeLessThan(STATED);
  });
  it("is odd, and the argument itself where that is nearest", () => {
    for (let bits = 1; bits < 0x7f800000; bits += 104729) {
      const x = f32FromBits(bits);
      const y = tanhF32(x);
      if (!Object.is(tanhF32(-x), -y)) expect(x).toBe("odd");
      if (x < 2 ** -13 && y !== x) expect(y).toBe(x);
    }
  });
  it("knows the special values", () => {
    expect(tanhF32(Number.NaN)).toBeNaN();
    expect(tanhF32(Infinity)).toBe(1);
    expect(tanhF32(-Infinity)).toBe(-1);
    expect(Object.is(tanhF32(-0), -0)).toBe(true);
    expect(tanhF32(9.5)).toBe(1);
    expect(tanhF32(8.9)).toBeLessThan(1);
  });
});
