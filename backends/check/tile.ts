// Matrix tiles in the data-flow proof: loading rows from byte vectors and multiplying an activation vector with a tile in field arithmetic.
// An int8 tile keeps its byte vectors, so that products with 0/1 selections move symbolic bytes untouched.
import type { MxmMode } from "../../ir/target/target.ts";
import { addField, embedFloat, isSpecial, lazyTerms, multiplyField, reduce } from "./field.ts";
import {
  type ByteVector,
  byteAsInt,
  byteTags,
  floatAt,
  halfToFloatBits,
  intAt,
  joinLane,
  kindAt,
  type Lanes,
  laneKinds,
  lanesOf,
  mixedLanes,
  tagAt,
} from "./lanes.ts";
import { newBytes, newInts } from "./vectors.ts";

/** Elements [lane, lane + k) of a byte vector. */
interface ByteWindow {
  readonly bytes: ByteVector;
  readonly lane: number;
  readonly k: number;
}

/** A tile being loaded or in use. Row n holds the weights of result lane n. */
export interface Tile {
  readonly mode: MxmMode;
  readonly depth: number;
  /** Field values, row-major, balanced (exact in float32). int8: made when first needed. */
  values: Float32Array | undefined;
  /** int8 only. */
  readonly rows: (ByteWindow | undefined)[];
  /** One past the last row loaded, and the greatest number of elements of a row. */
  usedRows: number;
  usedDepth: number;
  special: boolean;
  symbolic: boolean;
  selection: Int32Array | null | undefined;
}

/** `old`: a tile that nobody uses any more, to be made over. */
export function newTile(mode: MxmMode, rows: number, depth: number, old?: Tile): Tile {
  let values: Float32Array | undefined;
  if (mode !== "int8") {
    const again = old?.mode === mode ? old.values : undefined;
    values = again?.fill(0, 0, (old?.usedRows ?? 0) * depth) ?? new Float32Array(rows * depth);
  }
  const fresh = { usedRows: 0, usedDepth: 0, special: false, symbolic: false, selection: undefined };
  return { mode, depth, values, rows: [], ...fresh };
}

/** An activation vector: field values, or bytes for int8. */
export interface Activation {
  readonly values: Float64Array;
  readonly bytes: ByteWindow | undefined;
  readonly special: boolean;
  readonly torn: boolean;
}

const stored = { int8: "i8", fp16: "f16", fp32: "f32" } as const;

/** Field value of every binary16 pattern. */
function halfFields(): Int32Array {
  if (halfTable === undefined) {
    halfTable = new Int32Array(65536);
    for (let code = 0; code < halfTable.length; code++) halfTable[code] = embedFloat(halfToFloatBits(code));
  }
  return halfTable;
}
let halfTable: Int32Array | undefined;

/** Where elements go: out[at + i]. */
interface Destination {
  readonly out: Float32Array | Float64Array;
  readonly at: number;
}

/** Concrete bytes: byte j of element i is lane `lane` + i + j * pack of its plane. */
function readConcrete(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  k: number,
  pack: number,
  to: Destination,
): void {
  const planeAt = (j: number): Int32Array => (planes[pack > 0 ? 0 : j] ?? (planes[0] as ByteVector)).x;
  const [p0, p1, p2, p3] = [planeAt(0), planeAt(1), planeAt(2), planeAt(3)];
  const fields = halfFields();
  const { out, at } = to;
  for (let i = 0; i < k; i++) {
    const from = lane + i;
    const low = (p0[from] as number) | ((p1[from + pack] as number) << 8);
    if (mode === "fp16") out[at + i] = fields[low] as number;
    else {
      const high = (p2[from + 2 * pack] as number) | ((p3[from + 3 * pack] as number) << 8);
      out[at + i] = embedFloat(low | (high << 16));
    }
  }
}

function packedViews(bytes: ByteVector, pack: number, count: number): readonly ByteVector[] {
  return Array.from({ length: count }, (_, j) => ({
    x: bytes.x.subarray(j * pack),
    tag: bytes.tag,
    tags: bytes.tags?.subarray(j * pack),
  }));
}

function readJoined(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  k: number,
  pack: number,
  to: Destination,
): boolean {
  const value = { kind: 0, x: 0 };
  const views = pack > 0 ? packedViews(planes[0] as ByteVector, pack, mode === "fp16" ? 2 : 4) : planes;
  let torn = false;
  for (let i = 0; i < k; i++) {
    joinLane(views, stored[mode], lane + i, value);
    if (value.kind === -1) torn = true;
    to.out[to.at + i] = floatAt(value.kind, value.x);
  }
  return torn;
}

interface Reading {
  readonly special: boolean;
  /** Bytes of different values met. */
  readonly torn: boolean;
}

/** Reads k float elements of `mode`; byte j of element i is lane `lane + i + j * pack` of planes[pack > 0 ? 0 : j]. */
function readFloats(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  k: number,
  pack: number,
  to: Destination,
): Reading {
  const first = planes[0] as ByteVector;
  const { out, at } = to;
  let torn = false;
  const wholeTag = mode === "fp16" ? byteTags.half : byteTags.float;
  if (planes.every((plane) => plane.tag === byteTags.concrete)) readConcrete(mode, planes, lane, k, pack, to);
  else if (pack === 0 && planes.every((plane, b) => plane.x === first.x && plane.tag === wholeTag + b)) {
    const { x } = first;
    for (let i = 0; i < k; i++) out[at + i] = x[lane + i] as number;
  } else torn = readJoined(mode, planes, lane, k, pack, to);
  let special = false;
  for (let i = 0; i < k; i++) if (isSpecial(out[at + i] as number)) special = true;
  return { special, torn };
}

function isSymbolic({ bytes, lane, k }: ByteWindow): boolean {
  const { tag, tags } = bytes;
  if (tags === undefined) return tag !== byteTags.concrete;
  for (let i = lane; i < lane + k; i++) if (tags[i] !== byteTags.concrete) return true;
  return false;
}

export function readActivation(mode: MxmMode, planes: readonly ByteVector[], lane: number, k: number): Activation {
  if (mode === "int8") {
    const bytes = { bytes: planes[0] as ByteVector, lane, k };
    return { values: new Float64Array(0), bytes, special: false, torn: false };
  }
  const values = new Float64Array(k);
  return { values, bytes: undefined, ...readFloats(mode, planes, lane, k, 0, { out: values, at: 0 }) };
}

/** Stores elements as row `row`, the rest of which is zero; says whether bytes of different values met. */
export function loadRow(
  tile: Tile,
  row: number,
  planes: readonly ByteVector[],
  lane: number,
  k: number,
  pack: number,
): boolean {
  tile.usedRows = Math.max(tile.usedRows, row + 1);
  tile.usedDepth = Math.max(tile.usedDepth, k);
  tile.selection = undefined;
  if (tile.values === undefined || tile.mode === "int8") {
    const window = { bytes: planes[0] as ByteVector, lane, k };
    tile.rows[row] = window;
    tile.values = undefined;
    tile.symbolic ||= isSymbolic(window);
    return false;
  }
  const at = row * tile.depth;
  const { special, torn } = readFloats(tile.mode, planes, lane, k, pack, { out: tile.values, at });
  for (let i = at + k; i < at + tile.depth; i++) tile.values[i] = 0;
  tile.special ||= special;
  return torn;
}

/** Sums of products of row n of `weights` (rows of `depth`) with `vector`, each below 2^53 before its one reduction. */
export function dotRows(
  weights: Float32Array,
  depth: number,
  rows: number,
  vector: Float64Array,
  length: number,
  out: Int32Array,
): void {
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let from = 0; from < length; from += lazyTerms) {
      const until = Math.min(length, from + lazyTerms);
      let p0 = row * depth + from;
      let p1 = p0 + depth;
      let p2 = p1 + depth;
      let p3 = p2 + depth;
      for (let k = from; k < until; k++) {
        const a = vector[k] as number;
        s0 += a * (weights[p0++] as number);
        s1 += a * (weights[p1++] as number);
        s2 += a * (weights[p2++] as number);
        s3 += a * (weights[p3++] as number);
      }
      s0 = reduce(s0);
      s1 = reduce(s1);
      s2 = reduce(s2);
      s3 = reduce(s3);
    }
    out[row] = s0;
    out[row + 1] = s1;
    out[row + 2] = s2;
    out[row + 3] = s3;
  }
  for (; row < rows; row++) {
    let sum = 0;
    for (let k = 0; k < length; k++) {
      sum += (vector[k] as number) * (weights[row * depth + k] as number);
      if (k % lazyTerms === lazyTerms - 1) sum = reduce(sum);
    }
    out[row] = reduce(sum);
  }
}

/** As dotRows where infinities or NaN take part. */
function dotSpecial(weights: Float32Array, tile: Tile, vector: Float64Array, length: number, out: Int32Array): void {
  for (let row = 0; row < tile.usedRows; row++) {
    let sum = 0;
    for (let k = 0; k < length; k++) {
      sum = addField(sum, multiplyField(vector[k] as number, weights[row * tile.depth + k] as number));
    }
    out[row] = sum;
  }
}

/** The element of a byte window where it is the only one that is not 0 and a concrete 1; -1 if all are 0, -2 if neither. */
function unitOf({ bytes, lane, k }: ByteWindow): number {
  const { x, tag, tags } = bytes;
  let unit = -1;
  for (let i = 0; i < k; i++) {
    const isConcrete = (tags === undefined ? tag : tags[lane + i]) === byteTags.concrete;
    const value = x[lane + i] as number;
    if (isConcrete && value === 0) continue;
    if (!isConcrete || value !== 1 || unit !== -1) return -2;
    unit = i;
  }
  return unit;
}

/** Per row its `unitOf`; null if the tile is no selection. */
function selectionOf(tile: Tile): Int32Array | null {
  const chosen = new Int32Array(tile.usedRows).fill(-1);
  for (let row = 0; row < tile.usedRows; row++) {
    const window = tile.rows[row];
    if (window === undefined) continue;
    const unit = unitOf(window);
    if (unit === -2) return null;
    chosen[row] = unit;
  }
  return chosen;
}

/** Collects single bytes into lanes: a byte is sign-extended, what it is a byte of is kept. */
function putByte(x: Int32Array, kinds: Uint8Array, lane: number, { bytes, lane: first }: ByteWindow, k: number): void {
  const source = bytes.x[first + k] as number;
  const tag = tagAt(bytes, first + k);
  if (tag === byteTags.concrete) x[lane] = (source << 24) >> 24;
  else {
    x[lane] = source;
    kinds[lane] = laneKinds.signedByte + tag;
  }
}

/** Field values of an int8 tile, made on first use. */
function byteValues(tile: Tile): Float32Array {
  if (tile.values !== undefined) return tile.values;
  const values = new Float32Array(tile.usedRows * tile.depth);
  tile.rows.forEach((window, row) => {
    if (window !== undefined) readInts(window, values, row * tile.depth);
  });
  tile.values = values;
  return values;
}

function readInts({ bytes, lane, k }: ByteWindow, out: Float32Array | Float64Array, at: number): void {
  for (let i = 0; i < k; i++) out[at + i] = byteAsInt(tagAt(bytes, lane + i), bytes.x[lane + i] as number);
}

/** All operands concrete: the exact integer sums. */
function multiplyConcrete(tile: Tile, vector: Float64Array, length: number, lanes: number): Lanes {
  const weights = byteValues(tile);
  const x = newInts(lanes);
  for (let row = 0; row < tile.usedRows; row++) {
    let sum = 0;
    for (let k = 0; k < length; k++) sum += (vector[k] as number) * (weights[row * tile.depth + k] as number);
    x[row] = sum;
  }
  return lanesOf(x, laneKinds.bits);
}

function multiplyBytes(tile: Tile, vector: ByteWindow, lanes: number): Lanes {
  const length = Math.min(vector.k, tile.usedDepth);
  const isConcrete = !isSymbolic(vector);
  const x = newInts(lanes);
  const kinds = newBytes(lanes);
  const unit = tile.symbolic && isConcrete ? unitOf(vector) : -2;
  if (unit > -2) {
    for (let row = 0; unit >= 0 && row < tile.usedRows; row++) {
      const window = tile.rows[row];
      if (window !== undefined && unit < window.k) putByte(x, kinds, row, window, unit);
    }
    return mixedLanes(x, kinds);
  }
  if (!tile.symbolic && !isConcrete) {
    if (tile.selection === undefined) tile.selection = selectionOf(tile);
    const chosen = tile.selection;
    if (chosen !== null) {
      chosen.forEach((k, row) => {
        if (k >= 0 && k < length) putByte(x, kinds, row, vector, k);
      });
      return mixedLanes(x, kinds);
    }
  }
  const values = new Float64Array(vector.k);
  readInts(vector, values, 0);
  if (!tile.symbolic && isConcrete) return multiplyConcrete(tile, values, length, lanes);
  dotRows(byteValues(tile), tile.depth, tile.usedRows, values, length, x);
  return lanesOf(x, laneKinds.int);
}

/** One activation vector through a tile: lane n is row n times the vector. */
export function multiplyTile(tile: Tile, vector: Activation, lanes: number): Lanes {
  if (tile.mode === "int8" || vector.bytes !== undefined || tile.values === undefined) {
    if (tile.mode === "int8" && vector.bytes !== undefined) return multiplyBytes(tile, vector.bytes, lanes);
    return lanesOf(newInts(lanes), laneKinds.unknown);
  }
  const length = Math.min(vector.values.length, tile.usedDepth);
  const x = newInts(lanes);
  if (tile.special || vector.special) dotSpecial(tile.values, tile, vector.values, length, x);
  else dotRows(tile.values, tile.depth, tile.usedRows, vector.values, length, x);
  return lanesOf(x, laneKinds.float);
}

/** An accumulator entry and a product. */
export function accumulate(entry: Lanes, product: Lanes): Lanes {
  const count = entry.x.length;
  const x = newInts(count);
  if (entry.kind === laneKinds.float && product.kind === laneKinds.float) {
    for (let i = 0; i < count; i++) x[i] = addField(entry.x[i] as number, product.x[i] as number);
    return lanesOf(x, laneKinds.float);
  }
  const kinds = newBytes(count);
  for (let i = 0; i < count; i++) {
    const [ka, kb] = [kindAt(entry, i), kindAt(product, i)];
    const [a, b] = [entry.x[i] as number, product.x[i] as number];
    if (ka === laneKinds.bits && kb === laneKinds.bits) x[i] = (a + b) | 0;
    else if (ka === laneKinds.bits && a === 0) {
      x[i] = b;
      kinds[i] = kb;
    } else if (kb === laneKinds.bits && b === 0) {
      x[i] = a;
      kinds[i] = ka;
    } else {
      x[i] = addField(intAt(ka, a), intAt(kb, b));
      kinds[i] = laneKinds.int;
    }
  }
  return mixedLanes(x, kinds);
}
