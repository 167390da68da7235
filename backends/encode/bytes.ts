// Writing and reading the primitive values of a program file: varints, fixed little-endian words, floats and text. A `Cursor` never reads
// beyond its end: the first problem sticks, everything after it reads as zero, and loops are bounded by `takeCount`.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { utf8Bytes, utf8Text } from "./utf8.ts";

export interface ByteSink {
  bytes: Uint8Array;
  length: number;
}

export const byteSink = (): ByteSink => ({ bytes: new Uint8Array(1024), length: 0 });

/** What was written so far (a view). */
export const written = (sink: ByteSink): Uint8Array => sink.bytes.subarray(0, sink.length);

function reserve(sink: ByteSink, more: number): void {
  if (sink.length + more <= sink.bytes.length) return;
  const grown = new Uint8Array(Math.max(2 * sink.bytes.length, sink.length + more));
  grown.set(sink.bytes.subarray(0, sink.length));
  sink.bytes = grown;
}

export function putByte(sink: ByteSink, value: number): void {
  reserve(sink, 1);
  sink.bytes[sink.length++] = value;
}

/** A whole number from 0 to 2^53 - 1 in groups of 7 bits, low ones first. */
export function putVarint(sink: ByteSink, value: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, `cannot encode ${value} as a count`);
  let rest = value;
  while (rest >= 128) {
    putByte(sink, (rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  putByte(sink, rest);
}

/** A whole number of either sign, at most 2^52 in magnitude: 0, -1, 1, -2, ... become 0, 1, 2, 3, ... */
export function putSigned(sink: ByteSink, value: number): void {
  putVarint(sink, value < 0 ? -2 * value - 1 : 2 * value);
}

export function putU32(sink: ByteSink, value: number): void {
  for (let shift = 0; shift < 32; shift += 8) putByte(sink, (value >>> shift) & 255);
}

/** A whole number up to 2^53 - 1 in eight bytes. */
export function putU64(sink: ByteSink, value: number): void {
  putU32(sink, value % 2 ** 32);
  putU32(sink, Math.floor(value / 2 ** 32));
}

/** The one pattern of NaN, as `putF64` writes it. */
const nanBytes: readonly number[] = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];

export function putF64(sink: ByteSink, value: number): void {
  reserve(sink, 8);
  if (Number.isNaN(value)) {
    putBytes(sink, Uint8Array.from(nanBytes));
    return;
  }
  new DataView(sink.bytes.buffer, sink.bytes.byteOffset).setFloat64(sink.length, value, true);
  sink.length += 8;
}

/** Any number: whole ones short, others as binary64. */
export function putNumber(sink: ByteSink, value: number): void {
  if (Number.isSafeInteger(value) && Math.abs(value) <= 2 ** 51 && !Object.is(value, -0)) {
    putByte(sink, 0);
    putSigned(sink, value);
  } else {
    putByte(sink, 1);
    putF64(sink, value);
  }
}

export function putBytes(sink: ByteSink, bytes: Uint8Array): void {
  reserve(sink, bytes.length);
  sink.bytes.set(bytes, sink.length);
  sink.length += bytes.length;
}

/** Length, then the bytes. */
export function putBlob(sink: ByteSink, bytes: Uint8Array): void {
  putVarint(sink, bytes.length);
  putBytes(sink, bytes);
}

export const putText = (sink: ByteSink, text: string): void => putBlob(sink, utf8Bytes(text));

export function putList<T>(sink: ByteSink, items: readonly T[], put: (sink: ByteSink, item: T) => void): void {
  putVarint(sink, items.length);
  for (const item of items) put(sink, item);
}

export interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  /** The first thing that was wrong. */
  problem: string | undefined;
  problemAt: number;
}

export const cursorOver = (bytes: Uint8Array): Cursor => ({
  bytes,
  at: 0,
  end: bytes.length,
  problem: undefined,
  problemAt: 0,
});

/** Records the first problem; everything read afterwards is zero. */
export function reject(cursor: Cursor, problem: string): void {
  if (cursor.problem !== undefined) return;
  cursor.problem = problem;
  cursor.problemAt = cursor.at;
}

export const isBad = (cursor: Cursor): boolean => cursor.problem !== undefined;

export function takeByte(cursor: Cursor): number {
  if (cursor.problem !== undefined) return 0;
  if (cursor.at >= cursor.end) {
    reject(cursor, "the section ends in the middle of a value");
    return 0;
  }
  return cursor.bytes[cursor.at++] as number;
}

export function takeVarint(cursor: Cursor): number {
  let value = takeByte(cursor);
  if (value < 128) return value;
  value -= 128;
  for (let scale = 128; scale <= 2 ** 49; scale *= 128) {
    const byte = takeByte(cursor);
    value += (byte & 127) * scale;
    if (byte < 128) {
      if (byte === 0) reject(cursor, "a number is longer than it needs to be");
      if (value > Number.MAX_SAFE_INTEGER) reject(cursor, "a number is too large");
      return isBad(cursor) ? 0 : value;
    }
  }
  reject(cursor, "a number is too large");
  return 0;
}

export function takeSigned(cursor: Cursor): number {
  const value = takeVarint(cursor);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

export function takeU32(cursor: Cursor): number {
  let value = 0;
  for (let scale = 1; scale < 2 ** 32; scale *= 256) value += takeByte(cursor) * scale;
  return isBad(cursor) ? 0 : value;
}

export function takeU64(cursor: Cursor): number {
  const low = takeU32(cursor);
  const high = takeU32(cursor);
  if (high >= 2 ** 21) reject(cursor, "a number is too large");
  return isBad(cursor) ? 0 : high * 2 ** 32 + low;
}

function takeF64(cursor: Cursor): number {
  const bytes = takeBytes(cursor, 8);
  if (bytes.length < 8) return 0;
  const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  if (Number.isNaN(value) && nanBytes.some((byte, index) => bytes[index] !== byte)) {
    reject(cursor, "a NaN is not the canonical one");
  }
  return value;
}

export function takeNumber(cursor: Cursor): number {
  const tag = takeByte(cursor);
  if (tag === 0) {
    const value = takeSigned(cursor);
    if (Math.abs(value) > 2 ** 51) reject(cursor, "a whole number is too large");
    return value;
  }
  if (tag !== 1) reject(cursor, `there is no kind of number ${tag}`);
  const value = takeF64(cursor);
  const short = Number.isSafeInteger(value) && Math.abs(value) <= 2 ** 51 && !Object.is(value, -0);
  if (short && !isBad(cursor)) reject(cursor, "a whole number is stored as a float");
  return value;
}

/** A number that counts or measures something: finite, and zero has no sign. */
export function putQuantity(sink: ByteSink, value: number): void {
  invariant(Number.isFinite(value), `cannot encode ${value} as a quantity`);
  putNumber(sink, value + 0);
}

export function takeQuantity(cursor: Cursor): number {
  const value = takeNumber(cursor);
  if (!Number.isFinite(value) || Object.is(value, -0)) reject(cursor, `${value} is not a quantity`);
  return value;
}

/** A view of the next `length` bytes; empty if they are not there. */
export function takeBytes(cursor: Cursor, length: number): Uint8Array {
  if (length > cursor.end - cursor.at)
    reject(cursor, `${length} bytes are announced, ${cursor.end - cursor.at} are left`);
  if (isBad(cursor)) return new Uint8Array(0);
  cursor.at += length;
  return cursor.bytes.subarray(cursor.at - length, cursor.at);
}

export const takeBlob = (cursor: Cursor): Uint8Array => takeBytes(cursor, takeVarint(cursor));

export function takeText(cursor: Cursor): string {
  const text = utf8Text(takeBlob(cursor));
  if (text === undefined) reject(cursor, "text is not UTF-8");
  return text ?? "";
}

/** The number of items that follow, each at least `leastBytes` long: never more than the section can hold. */
export function takeCount(cursor: Cursor, leastBytes: number): number {
  const count = takeVarint(cursor);
  if (count * Math.max(1, leastBytes) > cursor.end - cursor.at) {
    reject(cursor, `${count} items are announced, ${cursor.end - cursor.at} bytes are left`);
  }
  return isBad(cursor) ? 0 : count;
}

export function takeList<T>(cursor: Cursor, leastBytes: number, take: (cursor: Cursor) => T): T[] {
  const items: T[] = [];
  for (let left = takeCount(cursor, leastBytes); left > 0 && !isBad(cursor); left--) items.push(take(cursor));
  return items;
}

/** One of a few words, by its position in the list. */
export function takeChoice<T>(cursor: Cursor, choices: readonly T[], fallback: T, what: string): T {
  const index = takeByte(cursor);
  const choice = choices[index];
  if (choice !== undefined) return choice;
  reject(cursor, `there is no ${what} ${index}`);
  return fallback;
}
