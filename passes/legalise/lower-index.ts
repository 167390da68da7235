// Gathering and scattering. Constant indices become slices; run-time ones are made non-negative, clamped into range and gathered by address.
// Scattering at run-time places selects by comparing places, or rows by a one-hot product of flags.
import { numberOf, stringOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { numbersOf } from "../../ir/graph/values.ts";
import { add, eq, lt, max, min, mul, select, sub, unary } from "./arith.ts";
import { chooseAlong, chooseFromList } from "./choose.ts";
import { type CoreDraft, constantOf, int, isConstant, isFloat, shapeOf, smallValue, uniform } from "./core-draft.ts";
import { clamp } from "./functions.ts";
import { insideFlags, iota } from "./lower-views.ts";
import { rangeOf } from "./range.ts";
import {
  axisOf,
  type Lowered,
  type LoweringTable,
  optionalInput,
  outputType,
  refuse,
  type Site,
  typeAt,
} from "./site.ts";
import { concat, expand, gather, reshape, slice, sliceAxis } from "./views.ts";

/** Indices counted from the front and inside the axis. */
function insideAxis(d: CoreDraft, indices: TensorId, size: number): TensorId {
  const { low, high } = rangeOf(d, indices);
  const wrapped = low >= 0 ? indices : select(d, lt(d, indices, int(d, 0)), add(d, indices, int(d, size)), indices);
  return low >= 0 && high < size ? wrapped : clamp(d, wrapped, 0, size - 1);
}

interface Run {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Indices as arithmetic runs. */
function runsOf(indices: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const index of indices) {
    const last = runs.at(-1);
    if (last !== undefined && (last.count === 1 || index === last.start + last.count * last.step)) {
      const step = last.count === 1 ? index - last.start : last.step;
      if (step !== 0) {
        runs[runs.length - 1] = { start: last.start, step, count: last.count + 1 };
        continue;
      }
    }
    runs.push({ start: index, step: 1, count: 1 });
  }
  return runs;
}

const MAX_RUNS = 16;

/** Slices joined, where few runs make up the constant indices. */
function gatherRuns(d: CoreDraft, data: TensorId, indices: readonly number[], axis: number): TensorId | undefined {
  const runs = runsOf(indices);
  if (runs.length === 0 || runs.length > MAX_RUNS) return undefined;
  const shape = shapeOf(d, data);
  const parts = runs.map(({ start, step, count }) =>
    slice(
      d,
      data,
      shape.map((_, dim) => (dim === axis ? start : 0)),
      shape.map((_, dim) => (dim === axis ? step : 1)),
      shape.map((size, dim) => (dim === axis ? count : size)),
    ),
  );
  return concat(d, parts, axis);
}

/** Elements from which on a constant table is an embedding, kept in float16 where the matrix units take float16 anyway. */
const LARGE_TABLE = 1 << 20;

function tableOf(d: CoreDraft, data: TensorId): TensorId {
  const isRounded =
    d.precision === "fp16" && isFloat(d, data) && isConstant(d, data) && elementCount(shapeOf(d, data)) >= LARGE_TABLE;
  return isRounded ? unary(d, "roundF16", data) : data;
}

/** Rows of data along an axis; indices of any shape. */
export function gatherRows(d: CoreDraft, data: TensorId, indices: TensorId, axis: number): TensorId {
  const size = shapeOf(d, data)[axis] ?? 0;
  const known = smallValue(d, indices);
  const listed = known === undefined ? undefined : Array.from(numbersOf(known));
  const places = listed?.map((index) => (index < 0 ? index + size : index));
  const inRange = places?.every((place) => place >= 0 && place < size) === true;
  const shape = [...shapeOf(d, data).slice(0, axis), ...shapeOf(d, indices), ...shapeOf(d, data).slice(axis + 1)];
  const joined = places === undefined || !inRange ? undefined : gatherRuns(d, data, places, axis);
  if (joined !== undefined) return reshape(d, joined, shape);
  const inside = insideAxis(d, indices, size);
  const chosen = shapeOf(d, data).length === 1 ? chooseFromList(d, data, inside) : undefined;
  return chosen ?? gather(d, tableOf(d, data), inside, axis);
}

function gatherOf(d: CoreDraft, site: Site): Lowered {
  const axis = axisOf(numberOf(site.attrs, "axis"), typeAt(site, 0).shape.length);
  return gatherRows(d, site.input(0), site.input(1), axis);
}

/** Row-major distance between neighbours along each dimension. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, dim) => elementCount(shape.slice(dim + 1)));
}

/** The flat place in `shape` of each element of `indices`, which stand for coordinates along `axis`; other coordinates are its own. */
function flatPlaces(d: CoreDraft, indices: TensorId, shape: readonly number[], axis: number): TensorId {
  const own = shapeOf(d, indices);
  const strides = stridesOf(shape);
  let places = mul(d, insideAxis(d, indices, shape[axis] ?? 1), int(d, strides[axis] ?? 1));
  for (const dim of own.keys()) {
    if (dim === axis) continue;
    const along = iota(d, own.length, dim, own[dim] ?? 1);
    places = add(d, places, mul(d, along, int(d, strides[dim] ?? 1)));
  }
  return places;
}

function gatherElements(d: CoreDraft, site: Site): Lowered {
  const data = site.input(0);
  const shape = shapeOf(d, data);
  const axis = axisOf(numberOf(site.attrs, "axis"), shape.length);
  const inside = insideAxis(d, site.input(1), shape[axis] ?? 1);
  const compared = chooseAlong(d, data, inside, axis);
  if (compared !== undefined) return compared;
  const flat = reshape(d, data, [elementCount(shape)]);
  return gather(d, flat, expand(d, flatPlaces(d, site.input(1), shape, axis), shapeOf(d, site.input(1))), 0);
}

/** Index tuples (last dimension) as flat places in the leading dimensions of `shape`; batch dimensions add their own place. */
function tuplePlaces(d: CoreDraft, indices: TensorId, shape: readonly number[], batch: number): TensorId {
  const own = shapeOf(d, indices);
  const depth = own.at(-1) ?? 0;
  const lead = own.slice(0, -1);
  const dims = shape.slice(0, batch + depth);
  const strides = stridesOf(dims);
  let places: TensorId = constantOf(d, [0], new Array<number>(lead.length).fill(1), "int32");
  for (let dim = 0; dim < batch; dim += 1) {
    places = add(d, places, mul(d, iota(d, lead.length, dim, lead[dim] ?? 1), int(d, strides[dim] ?? 1)));
  }
  for (let at = 0; at < depth; at += 1) {
    const coordinate = reshape(d, sliceAxis(d, indices, own.length - 1, at, at + 1), lead);
    const inside = insideAxis(d, coordinate, dims[batch + at] ?? 1);
    places = add(d, places, mul(d, inside, int(d, strides[batch + at] ?? 1)));
  }
  return expand(d, places, lead);
}

function gatherNd(d: CoreDraft, site: Site): Lowered {
  const data = site.input(0);
  const shape = shapeOf(d, data);
  const batch = numberOf(site.attrs, "batch_dims");
  const depth = typeAt(site, 1).shape.at(-1) ?? 0;
  const rest = shape.slice(batch + depth);
  const flat = reshape(d, data, [elementCount(shape.slice(0, batch + depth)), ...rest]);
  return reshape(d, gatherRows(d, flat, tuplePlaces(d, site.input(1), shape, batch), 0), outputType(site).shape);
}

type Combine = (d: CoreDraft, old: TensorId, given: TensorId) => TensorId;

const combining: Readonly<Record<string, Combine>> = {
  none: (_, __, given) => given,
  add,
  mul,
  max,
  min,
};

/** Beyond this many updates each with its own comparison a scatter is refused: every update costs a pass over the data. */
const MAX_UPDATES = 512;

/**
 * Rows of `flat` [places, ...] changed at the places of each update, one after the other: later updates see earlier ones, which is what the
 * reductions need and what makes the last of equal places win.
 */
function scatterRows(d: CoreDraft, flat: TensorId, places: TensorId, updates: TensorId, combine: Combine): Lowered {
  const shape = shapeOf(d, flat);
  const count = shapeOf(d, places)[0] ?? 0;
  const constantRuns = constantPlaces(d, places);
  if (constantRuns !== undefined && combine === combining.none) return scatterConstant(d, flat, constantRuns, updates);
  if (count > MAX_UPDATES) return refuse(`${count} updates at run-time places, at most ${MAX_UPDATES} are supported`);
  const spots = iota(d, shape.length, 0, shape[0] ?? 0);
  let result = flat;
  for (let at = 0; at < count; at += 1) {
    const place = reshape(d, sliceAxis(d, places, 0, at, at + 1), new Array<number>(shape.length).fill(1));
    const update = sliceAxis(d, updates, 0, at, at + 1);
    result = select(d, eq(d, spots, place), combine(d, result, update), result);
  }
  return expand(d, result, shape);
}

function constantPlaces(d: CoreDraft, places: TensorId): readonly number[] | undefined {
  const value = smallValue(d, places);
  return value === undefined ? undefined : Array.from(numbersOf(value));
}

/** Known places: each row of the result is a row of the data or the last update for it. */
function scatterConstant(d: CoreDraft, flat: TensorId, places: readonly number[], updates: TensorId): TensorId {
  const size = shapeOf(d, flat)[0] ?? 0;
  const sources = Array.from({ length: size }, (_, row) => row);
  for (const [at, place] of places.entries()) sources[place] = size + at;
  return gatherRows(d, concat(d, [flat, updates], 0), constantOf(d, sources, [size], "int32"), 0);
}

function scatterElements(d: CoreDraft, site: Site): Lowered {
  const data = site.input(0);
  const shape = shapeOf(d, data);
  const axis = axisOf(numberOf(site.attrs, "axis"), shape.length);
  const indices = site.input(1);
  const combine = combining[stringOf(site.attrs, "reduction")];
  if (combine === undefined) return refuse(`reduction ${stringOf(site.attrs, "reduction")} is not supported`);
  const own = shapeOf(d, indices);
  const count = elementCount(own);
  const wide = expand(d, flatPlaces(d, indices, shape, axis), own);
  const flat = reshape(d, data, [elementCount(shape)]);
  const result = scatterRows(d, flat, reshape(d, wide, [count]), reshape(d, site.input(2), [count]), combine);
  return typeof result === "number" ? reshape(d, result, shape) : result;
}

function scatterNd(d: CoreDraft, site: Site): Lowered {
  const data = site.input(0);
  const shape = shapeOf(d, data);
  const indices = site.input(1);
  const depth = shapeOf(d, indices).at(-1) ?? 0;
  const combine = combining[stringOf(site.attrs, "reduction")];
  if (combine === undefined) return refuse(`reduction ${stringOf(site.attrs, "reduction")} is not supported`);
  const rest = shape.slice(depth);
  const places = tuplePlaces(d, indices, shape, 0);
  const count = elementCount(shapeOf(d, places));
  const flat = reshape(d, data, [elementCount(shape.slice(0, depth)), ...rest]);
  const result = scatterRows(
    d,
    flat,
    reshape(d, places, [count]),
    reshape(d, site.input(2), [count, ...rest]),
    combine,
  );
  return typeof result === "number" ? reshape(d, result, shape) : result;
}

/** Rows of `update` from run-time row `start` (a scalar) on in one batch element's cache; `circular` wraps at the end. */
function writeBatch(
  d: CoreDraft,
  cache: TensorId,
  update: TensorId,
  start: TensorId,
  axis: number,
  circular: boolean,
): TensorId {
  const rank = shapeOf(d, cache).length;
  const size = shapeOf(d, cache)[axis] ?? 0;
  const count = shapeOf(d, update)[axis] ?? 0;
  const ahead = sub(d, iota(d, rank, axis, size), reshape(d, start, new Array<number>(rank).fill(1)));
  const distance = circular ? select(d, lt(d, ahead, int(d, 0)), add(d, ahead, int(d, size)), ahead) : ahead;
  if (count === 1) return select(d, eq(d, distance, int(d, 0)), update, cache);
  const fresh = gather(d, update, clamp(d, reshape(d, distance, [size]), 0, count - 1), axis);
  return select(d, insideFlags(d, distance, count), fresh, cache);
}

/** A cache with the rows of an update written from a run-time row on, one start a batch element or one for all. */
export function writeRows(
  d: CoreDraft,
  cache: TensorId,
  update: TensorId,
  starts: TensorId,
  axis: number,
  circular: boolean,
): TensorId {
  const [batch = 1] = shapeOf(d, cache);
  const many = elementCount(shapeOf(d, starts));
  const list = reshape(d, starts, [many]);
  const known = uniform(d, starts);
  const [size = 0, count = 0] = [shapeOf(d, cache)[axis], shapeOf(d, update)[axis]];
  if (known !== undefined && known >= 0 && known + count <= size) {
    return concat(
      d,
      [sliceAxis(d, cache, axis, 0, known), update, sliceAxis(d, cache, axis, known + count, size)],
      axis,
    );
  }
  if (many === 1) return writeBatch(d, cache, update, list, axis, circular);
  const parts = Array.from({ length: batch }, (_, b) => {
    const start = sliceAxis(d, list, 0, b, b + 1);
    return writeBatch(d, sliceAxis(d, cache, 0, b, b + 1), sliceAxis(d, update, 0, b, b + 1), start, axis, circular);
  });
  return concat(d, parts, 0);
}

function tensorScatter(d: CoreDraft, site: Site): Lowered {
  const cache = site.input(0);
  if (elementCount(shapeOf(d, cache)) === 0 || elementCount(typeAt(site, 1).shape) === 0) return cache;
  const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, cache).length);
  const update = site.input(1);
  const starts = optionalInput(site, 2) ?? int(d, 0);
  return expand(
    d,
    writeRows(d, cache, update, starts, axis, stringOf(site.attrs, "mode") === "circular"),
    shapeOf(d, cache),
  );
}

export const indexLowerings: LoweringTable = {
  Gather: gatherOf,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  TensorScatter: tensorScatter,
};
