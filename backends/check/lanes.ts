// What registers hold in the data-flow proof. A byte of a stream or word is concrete or is byte b of a symbolic value; a 32-bit lane is
// concrete bits or a field element with a meaning. Vectors share their arrays: nobody writes to an array after it was made.

import { f32ToBits } from "../../ir/numeric/bits.ts";
import { float16FromF32Bits, float16ToF32 } from "../../ir/numeric/float16.ts";
import { embedFloat, embedInt, floatAsInt, hash, intAsFloat, multiplyField, roundField } from "./field.ts";
import { newBytes, newInts } from "./vectors.ts";

/** Byte tags. Planes: tag + b is byte b of the value. */
export const byteTags = {
  concrete: 0,
  float: 1,
  int: 5,
  half: 9,
  signed: 11,
  unsigned: 12,
  junk: 13,
  unknown: 14,
} as const;
/** Lane kinds. A byte widened to 32 bits keeps its tag: signedByte + tag, unsignedByte + tag. */
export const laneKinds = { bits: 0, float: 1, int: 2, junk: 3, unknown: 4, signedByte: 16, unsignedByte: 32 } as const;

/** 32-bit lanes known to be a byte's number: narrowing them again changes nothing. */
export const widenedKinds = {
  signed: laneKinds.signedByte + byteTags.signed,
  unsigned: laneKinds.unsignedByte + byteTags.unsigned,
} as const;

/** One byte in every lane. `x`: the byte where concrete, else the value that it is a byte of. `tags` only where lanes differ. */
export interface ByteVector {
  readonly x: Int32Array;
  readonly tag: number;
  readonly tags: Uint8Array | undefined;
}

/** One 32-bit value in every lane, or a tensor of such. `kinds` only where lanes differ. */
export interface Lanes {
  readonly x: Int32Array;
  readonly kind: number;
  readonly kinds: Uint8Array | undefined;
  /** Field elements of all lanes read as floats, once asked for. */
  floats?: Int32Array;
  /** All lanes, floats, rounded to half precision, once asked for. */
  halves?: Int32Array;
}

export type Stored = "f32" | "i32" | "f16" | "i8" | "u8";
export const storedBytes = { f32: 4, i32: 4, f16: 2, i8: 1, u8: 1 } as const satisfies Record<Stored, number>;

export const lanesOf = (x: Int32Array, kind: number): Lanes => ({ x, kind, kinds: undefined });
export const bytesOf = (x: Int32Array, tag: number): ByteVector => ({ x, tag, tags: undefined });

/** Lanes of which some differ in kind; told apart only if they do. */
export function mixedLanes(x: Int32Array, kinds: Uint8Array): Lanes {
  const kind = kinds[0] ?? 0;
  for (let i = 1; i < kinds.length; i++) if (kinds[i] !== kind) return { x, kind: -1, kinds };
  return lanesOf(x, kind);
}

export function mixedBytes(x: Int32Array, tags: Uint8Array): ByteVector {
  const tag = tags[0] ?? 0;
  for (let i = 1; i < tags.length; i++) if (tags[i] !== tag) return { x, tag: -1, tags };
  return bytesOf(x, tag);
}

export function concreteLanes(count: number, bits: number): Lanes {
  return lanesOf(new Int32Array(count).fill(bits), laneKinds.bits);
}

export const kindAt = (lanes: Lanes, lane: number): number =>
  lanes.kinds === undefined ? lanes.kind : (lanes.kinds[lane] as number);
export const tagAt = (bytes: ByteVector, lane: number): number =>
  bytes.tags === undefined ? bytes.tag : (bytes.tags[lane] as number);

/** Multipliers that make the bytes of a value into different integers. */
const byteFactor = (tag: number): number => hash(900, tag);

/** The integer that a byte stands for when it is read as signed: what an int8 product sees. */
export function byteAsInt(tag: number, x: number): number {
  if (tag === byteTags.concrete) return (x << 24) >> 24;
  if (tag === byteTags.signed) return x;
  return tag === byteTags.unsigned ? hash(901, x) : multiplyField(byteFactor(tag), x);
}

/** A lane read as a float. */
export function floatAt(kind: number, x: number): number {
  if (kind === laneKinds.float) return x;
  if (kind === laneKinds.bits) return embedFloat(x);
  if (kind === laneKinds.int) return intAsFloat(x);
  return hash(910 + kind, x);
}

/** A lane read as an integer, not concrete. */
export function intAt(kind: number, x: number): number {
  if (kind === laneKinds.int) return x;
  if (kind === laneKinds.bits) return embedInt(x);
  if (kind === laneKinds.float) return floatAsInt(x);
  if (kind === widenedKinds.unsigned) return x;
  if (kind >= laneKinds.unsignedByte) return hash(1000 + kind, x);
  if (kind >= laneKinds.signedByte) return byteAsInt(kind - laneKinds.signedByte, x);
  return hash(910 + kind, x);
}

/** All lanes as floats; kept with the lanes. */
export function floatsOf(lanes: Lanes): Int32Array {
  if (lanes.kind === laneKinds.float) return lanes.x;
  if (lanes.floats !== undefined) return lanes.floats;
  const floats = newInts(lanes.x.length);
  for (let i = 0; i < floats.length; i++) floats[i] = floatAt(kindAt(lanes, i), lanes.x[i] as number);
  lanes.floats = floats;
  return floats;
}

interface LaneValue {
  kind: number;
  x: number;
}

/** Bytes of different values in one lane. */
const torn = -1;

/** Of a signed byte in 32 bits: its low byte is the byte itself, byte `b` above is that of the integer. */
const upperTag = (b: number): number => byteTags.int + b;

const isZeroByte = (plane: ByteVector, lane: number): boolean =>
  plane.x[lane] === 0 && tagAt(plane, lane) === byteTags.concrete;

function joinWord(planes: readonly ByteVector[], lane: number, into: LaneValue): void {
  const [a, b, c, d] = planes as readonly [ByteVector, ByteVector, ByteVector, ByteVector];
  const tag = tagAt(a, lane);
  const x = a.x[lane] as number;
  const bx = b.x[lane] as number;
  const cx = c.x[lane] as number;
  const dx = d.x[lane] as number;
  if (tag === byteTags.concrete && tagAt(b, lane) === 0 && tagAt(c, lane) === 0 && tagAt(d, lane) === 0) {
    into.kind = laneKinds.bits;
    into.x = x | (bx << 8) | (cx << 16) | (dx << 24);
    return;
  }
  const steps = tagAt(b, lane) === tag + 1 && tagAt(c, lane) === tag + 2 && tagAt(d, lane) === tag + 3;
  if ((tag === byteTags.float || tag === byteTags.int) && steps && bx === x && cx === x && dx === x) {
    into.kind = tag === byteTags.float ? laneKinds.float : laneKinds.int;
    into.x = x;
    return;
  }
  const widened = tagAt(b, lane) === upperTag(1) && tagAt(c, lane) === upperTag(2) && tagAt(d, lane) === upperTag(3);
  if (tag === byteTags.signed && widened && bx === x && cx === x && dx === x) {
    into.kind = widenedKinds.signed;
    into.x = x;
    return;
  }
  if (tag === byteTags.unsigned && isZeroByte(b, lane) && isZeroByte(c, lane) && isZeroByte(d, lane)) {
    into.kind = widenedKinds.unsigned;
    into.x = x;
    return;
  }
  into.kind = torn;
  into.x = hashBytes(planes, lane);
  for (const plane of planes) if (tagAt(plane, lane) === byteTags.unknown) into.kind = laneKinds.unknown;
}

function hashBytes(planes: readonly ByteVector[], lane: number): number {
  let h = 0;
  for (const plane of planes) h = hash(920 + tagAt(plane, lane), (Math.imul(h, 31) + (plane.x[lane] as number)) | 0);
  return h;
}

function joinHalf(planes: readonly ByteVector[], lane: number, into: LaneValue): void {
  const [low, high] = planes as readonly [ByteVector, ByteVector];
  const tag = tagAt(low, lane);
  const x = low.x[lane] as number;
  const y = high.x[lane] as number;
  if (tag === byteTags.concrete && tagAt(high, lane) === byteTags.concrete) {
    into.kind = laneKinds.bits;
    into.x = halfToFloatBits(x | (y << 8));
  } else if (tag === byteTags.half && tagAt(high, lane) === byteTags.half + 1 && x === y) {
    into.kind = laneKinds.float;
    into.x = x;
  } else {
    const unknown = tag === byteTags.unknown || tagAt(high, lane) === byteTags.unknown;
    into.kind = unknown ? laneKinds.unknown : torn;
    into.x = hashBytes(planes, lane);
  }
}

function joinByte(plane: ByteVector, lane: number, signed: boolean, into: LaneValue): void {
  const tag = tagAt(plane, lane);
  const x = plane.x[lane] as number;
  into.x = x;
  if (tag === byteTags.concrete) {
    into.kind = laneKinds.bits;
    into.x = signed ? (x << 24) >> 24 : x & 255;
  } else if (tag === byteTags.unknown) into.kind = laneKinds.unknown;
  else into.kind = (signed ? laneKinds.signedByte : laneKinds.unsignedByte) + tag;
}

let halfBits: Int32Array | undefined;

function makeHalfBits(): Int32Array {
  const table = new Int32Array(65536);
  for (let code = 0; code < table.length; code++) table[code] = f32ToBits(float16ToF32(code));
  return table;
}

/** float32 pattern of a binary16 code. */
export function halfToFloatBits(code: number): number {
  halfBits ??= makeHalfBits();
  return halfBits[code & 0xffff] as number;
}

/** The one lane of byte planes read as `type`; kind -1 where the bytes belong to different values. */
export function joinLane(planes: readonly ByteVector[], type: Stored, lane: number, into: LaneValue): void {
  if (type === "f32" || type === "i32") joinWord(planes, lane, into);
  else if (type === "f16") joinHalf(planes, lane, into);
  else joinByte(planes[0] as ByteVector, lane, type === "i8", into);
}

/** All four planes of one value in all lanes: the usual case. */
function wholeValue(planes: readonly ByteVector[], type: Stored): Lanes | undefined {
  const first = planes[0] as ByteVector;
  const { x, tag } = first;
  const planar = tag === byteTags.float || tag === byteTags.int ? 4 : tag === byteTags.half ? 2 : 0;
  if (planar !== storedBytes[type] || !planes.every((plane, b) => plane.x === x && plane.tag === tag + b))
    return undefined;
  return lanesOf(x, tag === byteTags.int ? laneKinds.int : laneKinds.float);
}

/** Byte planes read as 32-bit lanes. `tornLane` is a lane in which bytes of different values meet, -1 if there is none. */
export function joinBytes(
  planes: readonly ByteVector[],
  type: Stored,
): { readonly lanes: Lanes; readonly tornLane: number } {
  const whole = wholeValue(planes, type);
  if (whole !== undefined) return { lanes: whole, tornLane: -1 };
  const count = (planes[0] as ByteVector).x.length;
  const x = newInts(count);
  const kinds = newBytes(count);
  const value: LaneValue = { kind: 0, x: 0 };
  let tornLane = -1;
  for (let lane = 0; lane < count; lane++) {
    joinLane(planes, type, lane, value);
    if (value.kind === torn) tornLane = lane;
    kinds[lane] = value.kind === torn ? laneKinds.junk : value.kind;
    x[lane] = value.x;
  }
  return { lanes: mixedLanes(x, kinds), tornLane };
}

/** Byte `b` of a lane written as a 4-byte value. */
function splitWord(kind: number, x: number, b: number, into: LaneValue): void {
  into.x = x;
  if (kind === laneKinds.bits) {
    into.kind = byteTags.concrete;
    into.x = (x >>> (8 * b)) & 255;
  } else if (kind === laneKinds.float) into.kind = byteTags.float + b;
  else if (kind === laneKinds.int) into.kind = byteTags.int + b;
  else if (kind === laneKinds.unknown) into.kind = byteTags.unknown;
  else if (kind >= laneKinds.signedByte && b === 0) {
    into.kind = kind % 16;
  } else if (kind === widenedKinds.signed) into.kind = upperTag(b);
  else if (kind === widenedKinds.unsigned) {
    into.kind = byteTags.concrete;
    into.x = 0;
  } else {
    into.kind = byteTags.junk;
    into.x = hash(930 + b, Math.imul(kind, 7919) + x);
  }
}

function splitHalf(kind: number, x: number, b: number, into: LaneValue): void {
  if (kind === laneKinds.bits) {
    into.kind = byteTags.concrete;
    into.x = (float16FromF32Bits(x) >>> (8 * b)) & 255;
  } else if (kind === laneKinds.unknown) {
    into.kind = byteTags.unknown;
    into.x = x;
  } else {
    into.kind = byteTags.half + b;
    into.x = roundField(floatAt(kind, x));
  }
}

/** What a saturating narrowing to 8 bits makes of a symbolic integer; the graph's cast and the VXM agree on it. */
export function saturated(x: number, signed: boolean): number {
  return hash(signed ? 940 : 941, x);
}

function splitByte(kind: number, x: number, signed: boolean, into: LaneValue): void {
  into.x = x;
  if (kind === laneKinds.bits) {
    into.kind = byteTags.concrete;
    into.x = (signed ? Math.min(127, Math.max(-128, x)) : Math.min(255, Math.max(0, x))) & 255;
  } else if (kind === laneKinds.unknown) into.kind = byteTags.unknown;
  else if (kind >= laneKinds.signedByte && kind >= laneKinds.unsignedByte !== signed) into.kind = kind % 16;
  else {
    into.kind = signed ? byteTags.signed : byteTags.unsigned;
    into.x = saturated(intAt(kind, x), signed);
  }
}

/** Float lanes rounded to half precision; kept with the lanes, both byte planes share them. */
export function halvesOf(lanes: Lanes): Int32Array {
  if (lanes.halves !== undefined) return lanes.halves;
  const halves = newInts(lanes.x.length);
  for (let i = 0; i < halves.length; i++) halves[i] = roundField(lanes.x[i] as number);
  lanes.halves = halves;
  return halves;
}

/** Byte `b` of 32-bit lanes put on the streams of a group as `type`. */
function splitOne(lanes: Lanes, type: Stored, b: number): ByteVector {
  const bytes = storedBytes[type];
  const isWord = bytes === 4;
  if (isWord && lanes.kind === laneKinds.float) return bytesOf(lanes.x, byteTags.float + b);
  if (isWord && lanes.kind === laneKinds.int) return bytesOf(lanes.x, byteTags.int + b);
  if (bytes === 2 && lanes.kind === laneKinds.float) return bytesOf(halvesOf(lanes), byteTags.half + b);
  return isWord ? splitWords(lanes, b) : splitPlane(lanes, type, b);
}

/** All byte planes of 32-bit lanes stored as `type`. */
export function splitLanes(lanes: Lanes, type: Stored): readonly ByteVector[] {
  return Array.from({ length: storedBytes[type] }, (_, b) => splitOne(lanes, type, b));
}

/** Lanes on the streams of a group, byte planes made when somebody takes them: most planes of an int8 sum nobody ever does. */
export interface Splitting {
  readonly lanes: Lanes;
  readonly type: Stored;
  readonly planes: (ByteVector | undefined)[];
}

export const splittingOf = (lanes: Lanes, type: Stored): Splitting => ({ lanes, type, planes: [] });

export function planeOf(splitting: Splitting, b: number): ByteVector {
  let plane = splitting.planes[b];
  if (plane === undefined) {
    plane = splitOne(splitting.lanes, splitting.type, b);
    splitting.planes[b] = plane;
  }
  return plane;
}

/** Byte 0 of lanes that are widened bytes or small numbers: the same array; undefined if there are others among them. */
function lowBytes({ x, kind, kinds }: Lanes): ByteVector | undefined {
  if (kinds === undefined) return kind >= laneKinds.signedByte ? bytesOf(x, kind % 16) : undefined;
  for (let lane = 0; lane < x.length; lane++) {
    const one = kinds[lane] as number;
    if (one < laneKinds.signedByte && (one !== laneKinds.bits || (x[lane] as number) >>> 8 !== 0)) return undefined;
  }
  const tags = newBytes(x.length);
  // The kind of a widened byte is its tag plus a multiple of 16, that of bits is 0, the tag of a concrete byte.
  for (let lane = 0; lane < x.length; lane++) tags[lane] = (kinds[lane] as number) & 15;
  return mixedBytes(x, tags);
}

/** splitPlane for 4-byte types, with the kinds that int8 products make in a loop of their own. */
function splitWords(lanes: Lanes, b: number): ByteVector {
  const { x: from, kind, kinds } = lanes;
  const simple = kind === laneKinds.bits || kinds !== undefined || kind >= laneKinds.signedByte;
  if (!simple) return splitPlane(lanes, "i32", b);
  if (b === 0) {
    const low = lowBytes(lanes);
    if (low !== undefined) return low;
  }
  const x = newInts(from.length);
  const tags = newBytes(from.length);
  const value: LaneValue = { kind: 0, x: 0 };
  for (let lane = 0; lane < x.length; lane++) {
    const one = kinds === undefined ? kind : (kinds[lane] as number);
    if (one === laneKinds.bits) x[lane] = ((from[lane] as number) >>> (8 * b)) & 255;
    else {
      splitWord(one, from[lane] as number, b, value);
      x[lane] = value.x;
      tags[lane] = value.kind;
    }
  }
  return mixedBytes(x, tags);
}

function splitPlane(lanes: Lanes, type: Stored, b: number): ByteVector {
  const count = lanes.x.length;
  const x = newInts(count);
  const tags = newBytes(count);
  const value: LaneValue = { kind: 0, x: 0 };
  for (let lane = 0; lane < count; lane++) {
    const kind = kindAt(lanes, lane);
    const from = lanes.x[lane] as number;
    if (type === "f16") splitHalf(kind, from, b, value);
    else if (type === "i8" || type === "u8") splitByte(kind, from, type === "i8", value);
    else splitWord(kind, from, b, value);
    x[lane] = value.x;
    tags[lane] = value.kind;
  }
  return mixedBytes(x, tags);
}
