// Contents for weights that are not there: numbers that are different in every tensor and never special (no 0, no 1, no two rows alike), so that
// nothing folds, is shared or is left out that real weights would keep. The same for the same name. Knows element types only.
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";

/** Bits of floats from 1/2 up to 1: the exponent, and how many bits below it are free. */
const halves: Partial<Record<DType, { readonly high: number; readonly free: number }>> = {
  float32: { high: 0x3f000000, free: 23 },
  float16: { high: 0x3800, free: 10 },
  bfloat16: { high: 0x3f00, free: 7 },
  float8e4m3fn: { high: 0x30, free: 3 },
  float8e4m3fnuz: { high: 0x38, free: 3 },
  float8e5m2: { high: 0x38, free: 2 },
  float8e5m2fnuz: { high: 0x3c, free: 2 },
};

function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) | 1;
}

/** Stand-in contents of `elements` elements. */
export function standIn(name: string, dtype: DType, elements: number): Uint8Array {
  const bytes = new Uint8Array(byteLengthOf(dtype, elements));
  const view = new DataView(bytes.buffer);
  const width = dtypes[dtype].bits / 8;
  const half = halves[dtype];
  let state = seedOf(name);
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.imul(state, 0x2c1b3c6d) >>> 0;
  };
  if (half === undefined && dtype !== "float64") {
    const isWide = width > 1;
    // Numbers of several bytes stay small: they may be indices.
    for (let at = 0; at < bytes.length; at += Math.max(1, width))
      bytes[at] = dtype === "bool" ? next() & 1 : next() & (isWide ? 1 : 255);
    return bytes;
  }
  for (let i = 0; i < elements; i += 1) {
    if (dtype === "float64") view.setFloat64(i * 8, 0.5 + (next() >>> 2) / 2 ** 31, true);
    else if (half !== undefined) {
      const bits = half.high | (next() >>> (32 - half.free));
      if (width === 4) view.setUint32(i * 4, bits, true);
      else if (width === 2) view.setUint16(i * 2, bits, true);
      else view.setUint8(i, bits);
    }
  }
  return bytes;
}
