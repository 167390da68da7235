// Moves 32-bit lanes between an array of lanes and four (or two, or one) byte streams, four lanes at a time. Little endian on every machine:
// a word of a stream holds lanes 4i..4i+3, lowest lane in the lowest byte, however the host orders bytes within words it never sees.
import { float16FromF32Bits, float16Values } from "../../ir/numeric/float16.ts";

/** Lanes whose four bytes stand at word offsets p0..p3 of `planes`. */
export function joinWords(
  planes: Int32Array,
  p0: number,
  p1: number,
  p2: number,
  p3: number,
  lanes: number,
  out: Int32Array,
): void {
  for (let i = 0, o = 0; o < lanes; i += 1, o += 4) {
    const a = planes[p0 + i] as number;
    const b = planes[p1 + i] as number;
    const c = planes[p2 + i] as number;
    const d = planes[p3 + i] as number;
    out[o] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
    out[o + 1] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
    out[o + 2] = ((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
    out[o + 3] = (a >>> 24) | ((b >>> 16) & 0xff00) | ((c >>> 8) & 0xff0000) | (d & 0xff000000);
  }
}

/** The reverse of `joinWords`, from offset `from` of `bits`. */
export function splitWords(
  bits: Int32Array,
  from: number,
  lanes: number,
  planes: Int32Array,
  p0: number,
  p1: number,
  p2: number,
  p3: number,
): void {
  for (let i = 0, o = from; i * 4 < lanes; i += 1, o += 4) {
    const a = bits[o] as number;
    const b = bits[o + 1] as number;
    const c = bits[o + 2] as number;
    const d = bits[o + 3] as number;
    planes[p0 + i] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
    planes[p1 + i] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
    planes[p2 + i] = ((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
    planes[p3 + i] = (a >>> 24) | ((b >>> 16) & 0xff00) | ((c >>> 8) & 0xff0000) | (d & 0xff000000);
  }
}

/** float16 lanes at byte offsets `low` and `high`, widened to float32. */
export function joinHalves(bytes: Uint8Array, low: number, high: number, lanes: number, out: Float32Array): void {
  const values = float16Values();
  for (let i = 0; i < lanes; i += 1) {
    out[i] = values[(bytes[low + i] as number) | ((bytes[high + i] as number) << 8)] as number;
  }
}

/** float32 patterns narrowed to float16 (nearest even) at byte offsets `low` and `high`. */
export function splitHalves(
  bits: Int32Array,
  from: number,
  lanes: number,
  bytes: Uint8Array,
  low: number,
  high: number,
): void {
  for (let i = 0; i < lanes; i += 1) {
    const half = float16FromF32Bits(bits[from + i] as number);
    bytes[low + i] = half;
    bytes[high + i] = half >>> 8;
  }
}
