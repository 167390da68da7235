// Small floating-point formats and casts: every code both ways, rounding at every midpoint, saturation, and ONNX's recorded corner cases.
import { describe, expect, it } from "vitest";
import { f32FromBits, f32ToBits } from "../ir/numeric/bits.ts";
import {
  f32ToInt32Nearest,
  f32ToInt32Truncating,
  int32ToF32,
  maxF32,
  minF32,
  saturateInt8,
  saturateUint8,
} from "../ir/numeric/cast.ts";
import {
  bfloat16FromF32,
  bfloat16ToF32,
  float16FromF32,
  float16ToF32,
  float16Values,
  roundToFloat16,
} from "../ir/numeric/float16.ts";
import {
  decodeE8m0,
  decodeSmallFloat,
  encodeE8m0,
  encodeSmallFloat,
  type SmallFloat,
  smallFloats,
} from "../ir/numeric/small-float.ts";

/** Collects what is wrong; one `expect` a case would dominate the run time. */
const mismatches = (): { same: (actual: number, expected: number, what: number) => void; list: string[] } => {
  const list: string[] = [];
  const same = (actual: number, expected: number, what: number): void => {
    if (!Object.is(actual, expected) && list.length < 10) list.push(`${what}: ${actual}, not ${expected}`);
  };
  return { same, list };
};

const kinds = Object.keys(smallFloats) as SmallFloat[];

describe.each(kinds)("%s", (kind) => {
  const { bits, maxCode, signedZero } = smallFloats[kind];
  const half = 1 << (bits - 1);

  it("decodes and encodes every code to itself", () => {
    const { same, list } = mismatches();
    for (let code = 0; code < 1 << bits; code += 1) {
      const value = decodeSmallFloat(kind, code);
      if (Number.isNaN(value)) same(decodeSmallFloat(kind, encodeSmallFloat(kind, value, true)), Number.NaN, code);
      else {
        if (Number.isFinite(value)) same(encodeSmallFloat(kind, value, true), code, code);
        same(encodeSmallFloat(kind, value, false), code, code);
      }
    }
    expect(list).toEqual([]);
  });

  it("rounds to nearest, ties to even, at every midpoint, both signs", () => {
    const { same, list } = mismatches();
    for (let code = 0; code < maxCode; code += 1) {
      const low = decodeSmallFloat(kind, code);
      const high = decodeSmallFloat(kind, code + 1);
      if (!(high > low)) list.push(`${code}: not above the one before`);
      const middle = (low + high) / 2;
      const even = (code & 1) === 0 ? code : code + 1;
      const negative = (c: number): number => (c === 0 && !signedZero ? 0 : c + half);
      same(encodeSmallFloat(kind, middle, true), even, code);
      same(encodeSmallFloat(kind, -middle, true), negative(even), code);
      same(encodeSmallFloat(kind, middle * (1 + 1e-12), true), code + 1, code);
      same(encodeSmallFloat(kind, -middle * (1 - 1e-12), true), negative(code), code);
    }
    expect(list).toEqual([]);
  });

  it("overflows as asked", () => {
    const max = decodeSmallFloat(kind, maxCode);
    const step = max - decodeSmallFloat(kind, maxCode - 1);
    // float16 and float8e5m2 end in an odd code: the tie goes up and overflows.
    const above = max + step;
    expect(encodeSmallFloat(kind, above, true)).toBe(maxCode);
    expect(encodeSmallFloat(kind, -Infinity, true)).toBe(maxCode + half);
    expect(encodeSmallFloat(kind, max + step * 0.49, false)).toBe(maxCode);
    const over = decodeSmallFloat(kind, encodeSmallFloat(kind, -above, false));
    if (kind === "float4e2m1") expect(over).toBe(-6);
    else if (smallFloats[kind].infCode >= 0) expect(over).toBe(-Infinity);
    else expect(over).toBeNaN();
  });
});

it("agrees with ONNX's recorded casts of special values", () => {
  const inputs = [Number.NaN, Infinity, 1e6, -Infinity, -1e-7, 1e-7, -1e6];
  const encodeAll = (kind: SmallFloat, saturate: boolean): number[] =>
    inputs.map((x) => encodeSmallFloat(kind, x, saturate));
  expect(encodeAll("float8e4m3fn", true)).toEqual([0x7f, 0x7e, 0x7e, 0xfe, 0x80, 0x00, 0xfe]);
  expect(encodeAll("float8e4m3fnuz", true)).toEqual([0x80, 0x7f, 0x7f, 0xff, 0x00, 0x00, 0xff]);
  expect(encodeAll("float8e4m3fnuz", false)).toEqual([0x80, 0x80, 0x80, 0x80, 0x00, 0x00, 0x80]);
  expect(encodeAll("float8e5m2", true)).toEqual([0x7e, 0x7b, 0x7b, 0xfb, 0x80, 0x00, 0xfb]);
  expect(encodeSmallFloat("float4e2m1", Number.NaN, true)).toBe(7);
});

it("encodes scales (float8e8m0)", () => {
  for (let code = 0; code < 255; code += 1) expect(encodeE8m0(decodeE8m0(code), false, "up")).toBe(code);
  expect(decodeE8m0(255)).toBeNaN();
  expect(encodeE8m0(Number.NaN, true, "up")).toBe(255);
  expect(["up", "down", "nearest"].map((r) => encodeE8m0(3, true, r as "up"))).toEqual([129, 128, 129]);
  expect(["up", "down", "nearest"].map((r) => encodeE8m0(2.9, true, r as "up"))).toEqual([129, 128, 128]);
  expect(encodeE8m0(0, true, "up")).toBe(0);
  expect(encodeE8m0(0, false, "nearest")).toBe(255);
  expect(encodeE8m0(Infinity, true, "up")).toBe(254);
  expect(encodeE8m0(Infinity, false, "up")).toBe(255);
});

describe("float16 and bfloat16, fast", () => {
  it("decode every code as the table format does", () => {
    const { same, list } = mismatches();
    const values = float16Values();
    for (let code = 0; code < 65536; code += 1) {
      same(float16ToF32(code), decodeSmallFloat("float16", code), code);
      same(values[code] as number, float16ToF32(code), code);
      same(bfloat16ToF32(code), decodeSmallFloat("bfloat16", code), code);
    }
    expect(list).toEqual([]);
  });
  it("encode a sample of all binary32 numbers as the table format does", () => {
    const { same, list } = mismatches();
    for (let bits = 0; bits < 0x7f800000; bits += 9973) {
      for (const x of [f32FromBits(bits), -f32FromBits(bits)]) {
        same(float16FromF32(x), encodeSmallFloat("float16", x, false), x);
        same(bfloat16FromF32(x), encodeSmallFloat("bfloat16", x, false), x);
      }
    }
    // All ties and their neighbours.
    for (let code = 0; code < 0x7c00; code += 1) {
      const x = (float16ToF32(code) + float16ToF32(code + 1)) / 2;
      for (const y of Number.isFinite(x)
        ? [x, f32FromBits(f32ToBits(x) + 1), f32FromBits(f32ToBits(x) - 1)]
        : [65519.996, 65520]) {
        same(float16FromF32(y), encodeSmallFloat("float16", y, false), y);
      }
    }
    expect(list).toEqual([]);
    expect(float16FromF32(Number.NaN)).toBe(0x7e00);
    expect(float16FromF32(-Infinity)).toBe(0xfc00);
    expect(roundToFloat16(65520)).toBe(Infinity);
    expect(roundToFloat16(1 + 2 ** -11)).toBe(1);
    expect(bfloat16FromF32(Number.NaN)).toBe(0x7fc0);
  });
});

describe("casts", () => {
  it("rounds to int32, ties to even, saturating", () => {
    const cases: [number, number, number][] = [
      [0.5, 0, 0],
      [1.5, 2, 1],
      [2.5, 2, 2],
      [-0.5, 0, 0],
      [-1.5, -2, -1],
      [-2.5, -2, -2],
      [8388607.5, 8388608, 8388607],
      [2147483520, 2147483520, 2147483520],
      [2147483648, 2147483647, 2147483647],
      [-2147483648, -2147483648, -2147483648],
      [-4e9, -2147483648, -2147483648],
      [Infinity, 2147483647, 2147483647],
      [-Infinity, -2147483648, -2147483648],
      [Number.NaN, 0, 0],
    ];
    for (const [x, nearest, truncated] of cases) {
      expect(Object.is(f32ToInt32Nearest(x), nearest)).toBe(true);
      expect(Object.is(f32ToInt32Truncating(x), truncated)).toBe(true);
    }
    expect(int32ToF32(16777217)).toBe(16777216);
    expect(int32ToF32(16777219)).toBe(16777220);
    expect([saturateInt8(200), saturateInt8(-200), saturateInt8(5)]).toEqual([127, -128, 5]);
    expect([saturateUint8(300), saturateUint8(-1), saturateUint8(5)]).toEqual([255, 0, 5]);
  });
  it("orders zeros and lets NaN through", () => {
    expect(Object.is(minF32(0, -0), -0)).toBe(true);
    expect(Object.is(minF32(-0, 0), -0)).toBe(true);
    expect(Object.is(maxF32(-0, 0), 0)).toBe(true);
    expect(Object.is(maxF32(0, -0), 0)).toBe(true);
    expect(minF32(Number.NaN, 1)).toBeNaN();
    expect(maxF32(1, Number.NaN)).toBeNaN();
    expect(minF32(1, 2)).toBe(1);
    expect(maxF32(1, 2)).toBe(2);
    expect(f32ToBits(Number.NaN)).toBe(0x7fc00000);
    expect(f32ToBits(f32FromBits(-1))).toBe(0x7fc00000);
  });
});
