// Operators that move, repeat or generate elements without computing on them.
import { numberOf, optionalNumbers, stringOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { add, and, eq, le, lt, select, sub, toInt } from "./arith.ts";
import { type CoreDraft, constantOf, float, int, isFloat, shapeOf } from "./core-draft.ts";
import {
  axisOf,
  constantNumbers,
  hasInput,
  isFloatType,
  type Lowered,
  type LoweringTable,
  optionalInput,
  outputType,
  presentInputs,
  refuse,
  type Site,
  typeAt,
} from "./site.ts";
import { concat, expand, full, pad, padWith, reshape, slice, sliceAxis, transpose, unsqueeze } from "./views.ts";

const toOutputShape = (d: CoreDraft, site: Site): TensorId => reshape(d, site.input(0), outputType(site).shape);

function transposed(d: CoreDraft, site: Site): TensorId {
  const rank = typeAt(site, 0).shape.length;
  const perm = optionalNumbers(site.attrs, "perm") ?? Array.from({ length: rank }, (_, dim) => rank - 1 - dim);
  return transpose(d, site.input(0), perm);
}

function split(d: CoreDraft, site: Site): readonly TensorId[] {
  const x = site.input(0);
  const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, x).length);
  let start = 0;
  return site.outputs.map((type) => {
    const size = type.shape[axis] ?? 0;
    start += size;
    return sliceAxis(d, x, axis, start - size, start);
  });
}

/** First element and step along each axis, by ONNX's rules for starts beyond the ends. */
function slicing(d: CoreDraft, site: Site): Lowered {
  const x = site.input(0);
  const shape = shapeOf(d, x);
  const starts = constantNumbers(site, 1);
  const steps = hasInput(site, 4) ? constantNumbers(site, 4) : undefined;
  const axes = hasInput(site, 3) ? constantNumbers(site, 3) : starts?.map((_, index) => index);
  if (starts === undefined || axes === undefined || (hasInput(site, 4) && steps === undefined)) {
    return refuse("starts, axes or steps are computed at run time");
  }
  const first = shape.map(() => 0);
  const step = shape.map(() => 1);
  for (const [index, start] of starts.entries()) {
    const axis = axisOf(axes[index] ?? 0, shape.length);
    const size = shape[axis] ?? 0;
    const by = steps?.[index] ?? 1;
    const from = start < 0 ? start + size : start;
    first[axis] = by > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, 0), size - 1);
    step[axis] = by;
  }
  return slice(d, x, first, step, outputType(site).shape);
}

/** Indices of an axis after padding in the given mode, and the pieces of x they are. */
function padAxis(d: CoreDraft, x: TensorId, axis: number, before: number, after: number, mode: string): TensorId {
  const size = shapeOf(d, x)[axis] ?? 0;
  const single = (index: number): TensorId => sliceAxis(d, x, axis, index, index + 1);
  const source = (index: number): number => {
    if (mode === "edge") return Math.min(Math.max(index, 0), size - 1);
    if (mode === "wrap") return ((index % size) + size) % size;
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const place = ((index % period) + period) % period;
    return place < size ? place : period - place;
  };
  const outside = (from: number, count: number): TensorId[] =>
    Array.from({ length: count }, (_, at) => single(source(from + at)));
  return concat(d, [...outside(-before, before), x, ...outside(size, after)], axis);
}

function padding(d: CoreDraft, site: Site): Lowered {
  const rank = typeAt(site, 0).shape.length;
  const pads = constantNumbers(site, 1);
  const axes = hasInput(site, 3) ? constantNumbers(site, 3) : Array.from({ length: rank }, (_, dim) => dim);
  if (pads === undefined || axes === undefined) return refuse("pads or axes are computed at run time");
  const mode = stringOf(site.attrs, "mode");
  const before = new Array<number>(rank).fill(0);
  const after = new Array<number>(rank).fill(0);
  for (const [index, axis] of axes.entries()) {
    before[axisOf(axis, rank)] = pads[index] ?? 0;
    after[axisOf(axis, rank)] = pads[index + axes.length] ?? 0;
  }
  let x = site.input(0);
  for (let axis = 0; axis < rank; axis += 1) {
    const [low, high] = [before[axis] ?? 0, after[axis] ?? 0];
    const size = shapeOf(d, x)[axis] ?? 0;
    if (low < 0 || high < 0) x = sliceAxis(d, x, axis, Math.max(0, -low), size + Math.min(0, high));
    if (mode !== "constant") x = padAxis(d, x, axis, Math.max(0, low), Math.max(0, high), mode);
  }
  if (mode !== "constant") return x;
  const positive = (list: readonly number[]): number[] => list.map((count) => Math.max(0, count));
  const none = isFloat(d, x) ? float(d, 0) : int(d, 0);
  return padWith(d, x, positive(before), positive(after), hasInput(site, 2) ? site.input(2) : none);
}

/** Repetition along each axis: an axis of size 1 before it is repeated, then joined with it. */
export function tile(d: CoreDraft, x: TensorId, repeats: readonly number[]): TensorId {
  const shape = shapeOf(d, x);
  const split = shape.flatMap((size) => [1, size]);
  const wide = shape.flatMap((size, dim) => [repeats[dim] ?? 1, size]);
  const whole = shape.map((size, dim) => size * (repeats[dim] ?? 1));
  return reshape(d, expand(d, reshape(d, x, split), wide), whole);
}

/** 0, 1, 2... along one axis of a shape with size 1 elsewhere. */
export function iota(d: CoreDraft, rank: number, axis: number, count: number): TensorId {
  const shape = Array.from({ length: rank }, (_, dim) => (dim === axis ? count : 1));
  return constantOf(
    d,
    Array.from({ length: count }, (_, index) => index),
    shape,
    "int32",
  );
}

function trilu(d: CoreDraft, site: Site): Lowered {
  const x = site.input(0);
  const shape = shapeOf(d, x);
  const rank = shape.length;
  const [rows = 1, columns = 1] = shape.slice(-2);
  const distance = sub(d, iota(d, rank, rank - 1, columns), iota(d, rank, rank - 2, rows));
  const k = hasInput(site, 1) ? reshape(d, site.input(1), []) : int(d, 0);
  const kept = numberOf(site.attrs, "upper") === 1 ? le(d, k, distance) : le(d, distance, k);
  return select(d, kept, x, isFloat(d, x) ? float(d, 0) : int(d, 0));
}

function oneHot(d: CoreDraft, site: Site): Lowered {
  const out = outputType(site).shape;
  const axis = axisOf(numberOf(site.attrs, "axis"), out.length);
  const depth = out[axis] ?? 0;
  const given = site.input(0);
  const indices = isFloat(d, given) ? toInt(d, given, "trunc") : given;
  const wrapped = select(d, lt(d, indices, int(d, 0)), add(d, indices, int(d, depth)), indices);
  const hit = eq(d, unsqueeze(d, wrapped, [axis]), iota(d, out.length, axis, depth));
  const values = site.input(2);
  return expand(d, select(d, hit, sliceAxis(d, values, 0, 1, 2), sliceAxis(d, values, 0, 0, 1)), out);
}

/** Running sum by doubling distances. */
function cumulative(d: CoreDraft, site: Site): Lowered {
  const axisValue = constantNumbers(site, 1)?.[0];
  if (axisValue === undefined) return refuse("the axis is computed at run time");
  let x = site.input(0);
  const shape = shapeOf(d, x);
  const axis = axisOf(axisValue, shape.length);
  const size = shape[axis] ?? 0;
  const backwards = numberOf(site.attrs, "reverse") === 1;
  const shifted = (value: TensorId, by: number): TensorId => {
    const kept = backwards ? sliceAxis(d, value, axis, by, size) : sliceAxis(d, value, axis, 0, size - by);
    const place = shape.map((_, dim) => (dim === axis ? by : 0));
    const none = shape.map(() => 0);
    return backwards ? pad(d, kept, none, place, 0) : pad(d, kept, place, none, 0);
  };
  if (numberOf(site.attrs, "exclusive") === 1 && size > 0) x = shifted(x, 1);
  for (let by = 1; by < size; by *= 2) x = add(d, x, shifted(x, by));
  return x;
}

function constantOfShape(d: CoreDraft, site: Site): Lowered {
  const { shape, dtype } = outputType(site);
  const value = hasInput(site, 1) ? site.input(1) : isFloatType(dtype) ? float(d, 0) : int(d, 0);
  return expand(d, reshape(d, value, new Array<number>(shape.length).fill(1)), shape);
}

/** start + i * delta, where the length is known and the start is not. */
function rangeOf(d: CoreDraft, site: Site): Lowered {
  const { shape, dtype } = outputType(site);
  const delta = constantNumbers(site, 2)?.[0];
  if (delta === undefined) return refuse("the step is computed at run time");
  const steps = Array.from({ length: shape[0] ?? 0 }, (_, index) => index * delta);
  return add(d, constantOf(d, steps, shape, isFloatType(dtype) ? "float32" : "int32"), reshape(d, site.input(0), [1]));
}

function eyeLike(d: CoreDraft, site: Site): Lowered {
  const { shape, dtype } = outputType(site);
  const [rows = 0, columns = 0] = shape;
  const k = numberOf(site.attrs, "k");
  const ones = Array.from({ length: rows * columns }, (_, at) =>
    (at % columns) - Math.floor(at / columns) === k ? 1 : 0,
  );
  return constantOf(d, ones, shape, isFloatType(dtype) ? "float32" : "int32");
}

/** Blocks of channels <-> blocks of pixels: a transpose of the split dimensions. */
function depthToSpace(d: CoreDraft, site: Site): Lowered {
  const [n = 1, c = 1, h = 1, w = 1] = typeAt(site, 0).shape;
  const b = numberOf(site.attrs, "blocksize");
  const rest = c / (b * b);
  const crd = stringOf(site.attrs, "mode") === "CRD";
  const parts = reshape(d, site.input(0), crd ? [n, rest, b, b, h, w] : [n, b, b, rest, h, w]);
  return reshape(d, transpose(d, parts, crd ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]), outputType(site).shape);
}

function spaceToDepth(d: CoreDraft, site: Site): Lowered {
  const [n = 1, c = 1, h = 1, w = 1] = typeAt(site, 0).shape;
  const b = numberOf(site.attrs, "blocksize");
  const parts = reshape(d, site.input(0), [n, c, h / b, b, w / b, b]);
  const crd = stringOf(site.attrs, "mode") === "CRD";
  return reshape(d, transpose(d, parts, crd ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]), outputType(site).shape);
}

function concatenated(d: CoreDraft, site: Site): TensorId {
  const { shape } = outputType(site);
  return concat(d, presentInputs(site), axisOf(numberOf(site.attrs, "axis"), shape.length));
}

/** Without training the input, and a mask that keeps everything. */
function dropout(d: CoreDraft, site: Site): Lowered {
  const training = optionalInput(site, 2);
  const active = training !== undefined && constantNumbers(site, 2)?.[0] !== 0;
  if (active && constantNumbers(site, 1)?.[0] !== 0) return refuse("training mode draws random numbers");
  return [site.input(0), full(d, outputType(site).shape, 1, "int32")];
}

function shapeConstant(d: CoreDraft, site: Site): Lowered {
  const { shape } = typeAt(site, 0);
  if (site.op === "Size") return int(d, elementCount(shape));
  const start = Math.min(axisOf(numberOf(site.attrs, "start"), shape.length), shape.length);
  const count = outputType(site).shape[0] ?? 0;
  return constantOf(d, shape.slice(Math.max(0, start), Math.max(0, start) + count), [count], "int32");
}

export const viewLowerings: LoweringTable = {
  Reshape: toOutputShape,
  Squeeze: toOutputShape,
  Unsqueeze: toOutputShape,
  Flatten: toOutputShape,
  Transpose: transposed,
  Concat: concatenated,
  Split: split,
  Slice: slicing,
  Pad: padding,
  Tile: (d, site) => {
    const repeats = constantNumbers(site, 1);
    return repeats === undefined ? refuse("the repeats are computed at run time") : tile(d, site.input(0), repeats);
  },
  Expand: (d, site) => expand(d, site.input(0), outputType(site).shape),
  Shape: shapeConstant,
  Size: shapeConstant,
  ConstantOfShape: constantOfShape,
  Range: rangeOf,
  EyeLike: eyeLike,
  OneHot: oneHot,
  Trilu: trilu,
  CumSum: cumulative,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Dropout: dropout,
};

/** 1 where an index lies inside 0 <= index < size. */
export const insideFlags = (d: CoreDraft, index: TensorId, size: number): TensorId =>
  and(d, lt(d, int(d, -1), index), lt(d, index, int(d, size)));
