// Numbers of a tensor's typed fields (`float_data`, `int32_data`, ...) as bytes of the tensor's own type, read a window at a time: besides the
// result only a window is held. Knows varints and fixed-size numbers, not which type belongs in which field.
import type { ByteSource } from "../io.ts";
import type { DataPiece, TypedField } from "./model.ts";

const WINDOW_BYTES = 1 << 16;

/** Bytes of one number where they are fixed; 0 for varints. */
const fixedBytes: Readonly<Record<TypedField, 0 | 4 | 8>> = {
  floatData: 4,
  doubleData: 8,
  int32Data: 0,
  int64Data: 0,
  uint64Data: 0,
};

const lengthOf = (piece: DataPiece): number => piece.end - piece.start;

/** Every byte of a piece in order, with its place in the window. */
function forEachWindow(source: ByteSource, piece: DataPiece, take: (bytes: Uint8Array) => void): void {
  for (let at = piece.start; at < piece.end; at += WINDOW_BYTES) {
    take(source.read(at, Math.min(WINDOW_BYTES, piece.end - at)));
  }
}

/** Bytes that end a varint in a piece; a half more where the last one has no end. */
function countEndings(source: ByteSource, piece: DataPiece): number {
  let [endings, last] = [0, 0];
  forEachWindow(source, piece, (bytes) => {
    for (const byte of bytes) if (byte < 128) endings += 1;
    last = bytes.at(-1) ?? 0;
  });
  return last < 128 ? endings : endings + 0.5;
}

/** How many numbers the pieces hold; the tags of numbers that are not packed take one byte each. */
export function countNumbers(source: ByteSource, pieces: readonly DataPiece[], field: TypedField): number {
  const fixed = fixedBytes[field];
  let count = 0;
  for (const piece of pieces) {
    if (fixed > 0) count += lengthOf(piece) / (fixed + (piece.packed ? 0 : 1));
    else count += countEndings(source, piece) / (piece.packed ? 1 : 2);
  }
  return count;
}

function copyFixed(source: ByteSource, piece: DataPiece, fixed: number, image: Uint8Array, at: number): number {
  let to = at;
  if (piece.packed) {
    forEachWindow(source, piece, (bytes) => {
      image.set(bytes, to);
      to += bytes.length;
    });
    return to;
  }
  for (let from = piece.start; from < piece.end; from += (fixed + 1) * 4096) {
    const bytes = source.read(from, Math.min((fixed + 1) * 4096, piece.end - from));
    for (let tag = 0; tag < bytes.length; tag += fixed + 1) {
      image.set(bytes.subarray(tag + 1, tag + 1 + fixed), to);
      to += fixed;
    }
  }
  return to;
}

/** The low `bytesEach` bytes of each varint, two's complement; tags in between are passed over. */
function copyVarints(source: ByteSource, piece: DataPiece, bytesEach: number, image: Uint8Array, at: number): number {
  let [to, low, high, shift, isTag] = [at, 0, 0, 0, !piece.packed];
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const store = (): void => {
    if (bytesEach === 8) {
      view.setUint32(to, low >>> 0, true);
      view.setUint32(to + 4, high >>> 0, true);
    } else if (bytesEach === 4) view.setUint32(to, low >>> 0, true);
    else if (bytesEach === 2) view.setUint16(to, low & 0xffff, true);
    else view.setUint8(to, low & 0xff);
    to += bytesEach;
  };
  forEachWindow(source, piece, (bytes) => {
    for (const byte of bytes) {
      const part = byte & 127;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high |= part >>> 4;
      } else if (shift < 64) high |= part << (shift - 32);
      shift += 7;
      if (byte >= 128) continue;
      if (!isTag && to + bytesEach <= image.length) store();
      if (!piece.packed) isTag = !isTag;
      [low, high, shift] = [0, 0, 0];
    }
  });
  return to;
}

/** `count` numbers of the pieces, which `countNumbers` counted, as `bytesEach` little-endian bytes each. */
export function readNumbers(
  source: ByteSource,
  pieces: readonly DataPiece[],
  field: TypedField,
  count: number,
  bytesEach: number,
): Uint8Array {
  const image = new Uint8Array(count * bytesEach);
  const fixed = fixedBytes[field];
  let at = 0;
  for (const piece of pieces) {
    at = fixed > 0 ? copyFixed(source, piece, fixed, image, at) : copyVarints(source, piece, bytesEach, image, at);
  }
  return image;
}
