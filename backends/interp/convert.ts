// Elements between the host's types and the types SRAM holds. Values travel as JS numbers; int64 saturates to int32 on its way in.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes, type StoredType } from "../../ir/dtype.ts";
import { encodeFloat } from "../../ir/graph/values.ts";
import { f32FromBits, f32ToBits } from "../../ir/numeric/bits.ts";
import { f32ToInt32Truncating, saturateInt8, saturateUint8 } from "../../ir/numeric/cast.ts";
import { float16FromF32, float16ToF32 } from "../../ir/numeric/float16.ts";
import { decodeE8m0, decodeSmallFloat, encodeE8m0, type SmallFloat } from "../../ir/numeric/small-float.ts";

const smallFloatOf = {
  float16: "float16",
  bfloat16: "bfloat16",
  float8e4m3fn: "float8e4m3fn",
  float8e4m3fnuz: "float8e4m3fnuz",
  float8e5m2: "float8e5m2",
  float8e5m2fnuz: "float8e5m2fnuz",
  float4e2m1: "float4e2m1",
} as const satisfies Partial<Record<DType, SmallFloat>>;

const isSmallFloat = (dtype: DType): dtype is keyof typeof smallFloatOf => Object.hasOwn(smallFloatOf, dtype);

const clampInt64 = (value: bigint): number => {
  if (value > 2147483647n) return 2147483647;
  return value < -2147483648n ? -2147483648 : Number(value);
};

/** Element `index` of packed little-endian `bytes`. */
function readCode(bytes: DataView, bits: number, index: number): number {
  switch (bits) {
    case 32:
      return bytes.getUint32(4 * index, true);
    case 16:
      return bytes.getUint16(2 * index, true);
    case 8:
      return bytes.getUint8(index);
    default: {
      const perByte = 8 / bits;
      const shift = (index % perByte) * bits;
      return (bytes.getUint8(Math.floor(index / perByte)) >> shift) & ((1 << bits) - 1);
    }
  }
}

function readElement(bytes: DataView, dtype: DType, index: number): number {
  const { bits, kind } = dtypes[dtype];
  if (dtype === "float64") return bytes.getFloat64(8 * index, true);
  if (bits === 64)
    return clampInt64(kind === "int" ? bytes.getBigInt64(8 * index, true) : bytes.getBigUint64(8 * index, true));
  const code = readCode(bytes, bits, index);
  if (dtype === "float32") return f32FromBits(code | 0);
  if (isSmallFloat(dtype)) return decodeSmallFloat(smallFloatOf[dtype], code);
  if (dtype === "float8e8m0") return decodeE8m0(code);
  if (kind === "bool") return code === 0 ? 0 : 1;
  if (kind === "int") return (code << (32 - bits)) >> (32 - bits);
  return code;
}

/** The 32-bit pattern, or its low bytes, that SRAM holds for `value`. */
function storedCode(type: StoredType, value: number): number {
  switch (type) {
    case "f32":
      return f32ToBits(value);
    case "f16":
      return float16FromF32(Math.fround(value));
    case "i32":
      return value > 2147483647 ? 2147483647 : f32ToInt32Truncating(value);
    case "i8":
      return saturateInt8(value) & 0xff;
    case "u8":
      return saturateUint8(value);
  }
}

/** All elements of a host tensor as stored codes. */
export function toStoredCodes(bytes: Uint8Array, dtype: DType, count: number, type: StoredType): Int32Array {
  invariant(bytes.length >= byteLengthOf(dtype, count), "a host tensor is shorter than its shape says");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes = new Int32Array(count);
  // Patterns that need no conversion keep their bits, NaN payloads included.
  const same = (dtype === "float32" && type === "f32") || (dtype === "float16" && type === "f16");
  for (let i = 0; i < count; i += 1) {
    codes[i] = same ? readCode(view, dtypes[dtype].bits, i) : storedCode(type, readElement(view, dtype, i));
  }
  return codes;
}

function storedValue(type: StoredType, code: number): number {
  switch (type) {
    case "f32":
      return f32FromBits(code);
    case "f16":
      return float16ToF32(code & 0xffff);
    case "i32":
      return code;
    case "i8":
      return (code << 24) >> 24;
    case "u8":
      return code & 0xff;
  }
}

function writeElement(out: DataView, dtype: DType, index: number, value: number): void {
  const { bits, kind } = dtypes[dtype];
  if (dtype === "float32") out.setUint32(4 * index, f32ToBits(value), true);
  else if (dtype === "float64") out.setFloat64(8 * index, value, true);
  else if (bits === 64) out.setBigInt64(8 * index, BigInt(Math.trunc(value)), true);
  else if (isSmallFloat(dtype)) writeCode(out, bits, index, encodeFloat(smallFloatOf[dtype], value, false));
  else if (dtype === "float8e8m0") writeCode(out, bits, index, encodeE8m0(value, true, "up"));
  else if (kind === "bool") out.setUint8(index, value === 0 ? 0 : 1);
  else writeCode(out, bits, index, Math.trunc(value));
}

function writeCode(out: DataView, bits: number, index: number, code: number): void {
  switch (bits) {
    case 32:
      out.setUint32(4 * index, code >>> 0, true);
      return;
    case 16:
      out.setUint16(2 * index, code & 0xffff, true);
      return;
    case 8:
      out.setUint8(index, code & 0xff);
      return;
    default: {
      const perByte = 8 / bits;
      const at = Math.floor(index / perByte);
      const shift = (index % perByte) * bits;
      const mask = ((1 << bits) - 1) << shift;
      out.setUint8(at, (out.getUint8(at) & ~mask & 0xff) | ((code << shift) & mask));
    }
  }
}

/** A host tensor of `dtype` from stored codes. */
export function fromStoredCodes(codes: Int32Array, type: StoredType, dtype: DType): Uint8Array {
  const bytes = new Uint8Array(byteLengthOf(dtype, codes.length));
  const view = new DataView(bytes.buffer);
  const same = (dtype === "float32" && type === "f32") || (dtype === "float16" && type === "f16");
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] as number;
    if (same) writeCode(view, dtypes[dtype].bits, i, code);
    else writeElement(view, dtype, i, storedValue(type, code));
  }
  return bytes;
}

/** A host tensor of another element type with the same values. */
export function convertTensor(bytes: Uint8Array, from: DType, to: DType, count: number): Uint8Array {
  if (from === to) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Uint8Array(byteLengthOf(to, count));
  const outView = new DataView(out.buffer);
  for (let i = 0; i < count; i += 1) writeElement(outView, to, i, readElement(view, from, i));
  return out;
}
