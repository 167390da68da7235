// Matrix tiles in the data-flow proof: loading rows from byte vectors and multiplying an activation vector with a tile in field arithmetic.
// An int8 tile keeps its bytes, so that products with 0/1 selections move symbolic bytes untouched.
import type { MxmMode } from "../../ir/target/target.ts";
import { addField, embedFloat, isSpecial, lazyTerms, multiplyField, notANumber, reduce } from "./field.ts";
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

/** A tile being loaded or in use. Row n holds the weights of result lane n. */
export interface Tile {
  readonly mode: MxmMode;
  readonly rows: number;
  readonly depth: number;
  /** Field values, row-major, balanced (exact in float32). */
  readonly values: Float32Array;
  /** int8 only: tag of every element; `sources` the values they are bytes of. */
  readonly tags: Uint8Array | undefined;
  readonly sources: Int32Array | undefined;
  /** One past the last row loaded, and the greatest number of elements of a row. */
  usedRows: number;
  usedDepth: number;
  special: boolean;
  symbolic: boolean;
  selection: Int32Array | null | undefined;
}

export function newTile(mode: MxmMode, rows: number, depth: number): Tile {
  const size = rows * depth;
  const isBytes = mode === "int8";
  return {
    mode,
    rows,
    depth,
    values: new Float32Array(size),
    tags: isBytes ? new Uint8Array(size) : undefined,
    sources: isBytes ? new Int32Array(size) : undefined,
    usedRows: 0,
    usedDepth: 0,
    special: false,
    symbolic: false,
    selection: undefined,
  };
}

/** Elements [lane, lane + k) of byte planes as field values; `torn` says that bytes of different values met. */
export interface Window {
  readonly values: Float64Array;
  readonly tags: Uint8Array | undefined;
  readonly sources: Int32Array | undefined;
  readonly special: boolean;
  readonly symbolic: boolean;
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

/** Concrete bytes: byte j of element i is lane `lane + i + j * pack` of its plane. */
function readConcrete(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  pack: number,
  values: Float64Array,
): void {
  const planeAt = (j: number): Int32Array => (planes[pack > 0 ? 0 : j] ?? (planes[0] as ByteVector)).x;
  const [p0, p1, p2, p3] = [planeAt(0), planeAt(1), planeAt(2), planeAt(3)];
  const fields = halfFields();
  for (let i = 0; i < values.length; i++) {
    const at = lane + i;
    const low = (p0[at] as number) | ((p1[at + pack] as number) << 8);
    if (mode === "fp16") values[i] = fields[low] as number;
    else values[i] = embedFloat(low | ((p2[at + 2 * pack] as number) << 16) | ((p3[at + 3 * pack] as number) << 24));
  }
}

function readJoined(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  pack: number,
  values: Float64Array,
): boolean {
  const value = { kind: 0, x: 0 };
  const views = pack > 0 ? packedViews(planes[0] as ByteVector, pack, mode === "fp16" ? 2 : 4) : planes;
  let torn = false;
  for (let i = 0; i < values.length; i++) {
    joinLane(views, stored[mode], lane + i, value);
    if (value.kind === -1) torn = true;
    values[i] = floatAt(value.kind, value.x);
  }
  return torn;
}

/** Reads k elements of `mode`; byte j of element i is lane `lane + i + j * pack` of planes[pack > 0 ? 0 : j]. */
export function readWindow(
  mode: MxmMode,
  planes: readonly ByteVector[],
  lane: number,
  k: number,
  pack: number,
): Window {
  const values = new Float64Array(k);
  const first = planes[0] as ByteVector;
  if (mode === "int8") return readBytes(first, lane, k, values);
  let torn = false;
  const wholeTag = mode === "fp16" ? byteTags.half : byteTags.float;
  if (planes.every((plane) => plane.tag === byteTags.concrete)) readConcrete(mode, planes, lane, pack, values);
  else if (pack === 0 && planes.every((plane, b) => plane.x === first.x && plane.tag === wholeTag + b)) {
    for (let i = 0; i < k; i++) values[i] = first.x[lane + i] as number;
  } else torn = readJoined(mode, planes, lane, pack, values);
  let special = false;
  for (let i = 0; i < k; i++) if (isSpecial(values[i] as number)) special = true;
  return { values, tags: undefined, sources: undefined, special, symbolic: true, torn };
}

function packedViews(bytes: ByteVector, pack: number, count: number): readonly ByteVector[] {
  return Array.from({ length: count }, (_, j) => ({
    x: bytes.x.subarray(j * pack),
    tag: bytes.tag,
    tags: bytes.tags?.subarray(j * pack),
  }));
}

function readBytes(bytes: ByteVector, lane: number, k: number, values: Float64Array): Window {
  const tags = new Uint8Array(k);
  const sources = new Int32Array(k);
  let symbolic = false;
  let special = false;
  for (let i = 0; i < k; i++) {
    const tag = tagAt(bytes, lane + i);
    const x = bytes.x[lane + i] as number;
    tags[i] = tag;
    sources[i] = x;
    values[i] = byteAsInt(tag, x);
    if (tag !== byteTags.concrete) symbolic = true;
    if (isSpecial(values[i] as number)) special = true;
  }
  return { values, tags, sources, special, symbolic, torn: false };
}

/** Stores a window as row `row`; the rest of the row is zero. */
export function loadRow(tile: Tile, row: number, window: Window): void {
  const base = row * tile.depth;
  tile.values.fill(0, base, base + tile.depth);
  tile.values.set(window.values, base);
  if (
    tile.tags !== undefined &&
    tile.sources !== undefined &&
    window.tags !== undefined &&
    window.sources !== undefined
  ) {
    tile.tags.fill(0, base, base + tile.depth);
    tile.sources.fill(0, base, base + tile.depth);
    tile.tags.set(window.tags, base);
    tile.sources.set(window.sources, base);
  }
  tile.usedRows = Math.max(tile.usedRows, row + 1);
  tile.usedDepth = Math.max(tile.usedDepth, window.values.length);
  tile.special ||= window.special;
  tile.symbolic ||= window.symbolic;
  tile.selection = undefined;
}

/** Sums of products of row n of `weights` (rows of `depth`) with `vector`, each below 2^53 before its one reduction. */
export function dotRows(
  weights: Float32Array | Float64Array,
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
function dotSpecial(tile: Tile, vector: Float64Array, length: number, out: Int32Array): void {
  for (let row = 0; row < tile.usedRows; row++) {
    let sum = 0;
    for (let k = 0; k < length; k++) {
      const a = vector[k] as number;
      const w = tile.values[row * tile.depth + k] as number;
      sum = sum === notANumber ? sum : addField(sum, multiplyField(a, w));
    }
    out[row] = sum;
  }
}

/** Per row the only element that is not 0, where it is a concrete 1; -1 for a zero row; null if the tile is no selection. */
function selectionOf(tile: Tile): Int32Array | null {
  const { tags, sources } = tile;
  if (tags === undefined || sources === undefined) return null;
  const chosen = new Int32Array(tile.rows).fill(-1);
  for (let row = 0; row < tile.usedRows; row++) {
    for (let k = 0; k < tile.usedDepth; k++) {
      const at = row * tile.depth + k;
      if (tags[at] === byteTags.concrete && sources[at] === 0) continue;
      if (tags[at] !== byteTags.concrete || sources[at] !== 1 || chosen[row] !== -1) return null;
      chosen[row] = k;
    }
  }
  return chosen;
}

/** The only element that is not 0, where it is a concrete 1; -1 if all are 0, -2 if it is no unit vector. */
function unitOf(vector: Window): number {
  if (vector.symbolic) return -2;
  let unit = -1;
  for (let k = 0; k < vector.values.length; k++) {
    if (vector.values[k] === 0) continue;
    if (vector.values[k] !== 1 || unit !== -1) return -2;
    unit = k;
  }
  return unit;
}

/** Moves single bytes into lanes: the byte is sign-extended, what it is a byte of is kept. */
function pickBytes(lanes: number, pick: (lane: number) => readonly [number, number] | undefined): Lanes {
  const x = new Int32Array(lanes);
  const kinds = new Uint8Array(lanes);
  for (let lane = 0; lane < lanes; lane++) {
    const byte = pick(lane);
    if (byte === undefined) continue;
    const [tag, source] = byte;
    if (tag === byteTags.concrete) x[lane] = (source << 24) >> 24;
    else {
      x[lane] = source;
      kinds[lane] = tag === byteTags.signed ? laneKinds.int : laneKinds.signedByte + tag;
    }
  }
  return mixedLanes(x, kinds);
}

function multiplyBytes(tile: Tile, vector: Window, lanes: number): Lanes {
  const length = Math.min(vector.values.length, tile.usedDepth);
  const { tags, sources } = tile;
  if (!tile.symbolic && !vector.symbolic) {
    const x = new Int32Array(lanes);
    for (let row = 0; row < tile.usedRows; row++) {
      let sum = 0;
      for (let k = 0; k < length; k++)
        sum += (vector.values[k] as number) * (tile.values[row * tile.depth + k] as number);
      x[row] = sum;
    }
    return lanesOf(x, laneKinds.bits);
  }
  const unit = unitOf(vector);
  if (unit > -2 && tags !== undefined && sources !== undefined) {
    return pickBytes(lanes, (lane) => {
      if (unit < 0 || unit >= length || lane >= tile.usedRows) return undefined;
      const at = lane * tile.depth + unit;
      return [tags[at] as number, sources[at] as number];
    });
  }
  if (tile.selection === undefined) tile.selection = selectionOf(tile);
  const chosen = tile.selection;
  if (chosen !== null && vector.tags !== undefined && vector.sources !== undefined) {
    const { tags: vectorTags, sources: vectorSources } = vector;
    return pickBytes(lanes, (lane) => {
      const k = chosen[lane] ?? -1;
      return k < 0 || k >= length ? undefined : [vectorTags[k] as number, vectorSources[k] as number];
    });
  }
  return lanesOf(dotTile(tile, vector, length, lanes), laneKinds.int);
}

function dotTile(tile: Tile, vector: Window, length: number, lanes: number): Int32Array {
  const x = new Int32Array(lanes);
  if (tile.special || vector.special) dotSpecial(tile, vector.values, length, x);
  else dotRows(tile.values, tile.depth, tile.usedRows, vector.values, length, x);
  return x;
}

/** One activation vector through a tile: lane n is row n times the vector. */
export function multiplyTile(tile: Tile, vector: Window, lanes: number): Lanes {
  if (tile.mode === "int8") return multiplyBytes(tile, vector, lanes);
  const length = Math.min(vector.values.length, tile.usedDepth);
  return lanesOf(dotTile(tile, vector, length, lanes), laneKinds.float);
}

/** An accumulator entry and a product. */
export function accumulate(entry: Lanes, product: Lanes): Lanes {
  const count = entry.x.length;
  if (entry.kind === laneKinds.float && product.kind === laneKinds.float) {
    const x = new Int32Array(count);
    for (let i = 0; i < count; i++) x[i] = addField(entry.x[i] as number, product.x[i] as number);
    return lanesOf(x, laneKinds.float);
  }
  const x = new Int32Array(count);
  const kinds = new Uint8Array(count);
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
