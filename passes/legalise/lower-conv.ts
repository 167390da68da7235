// Convolutions and pools: windows become slices. Patches (stride = kernel) are a transpose and one product; other windows put the slices of all
// taps side by side first; depthwise ones are sums of scaled slices.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { numberOf, numbersAttr } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { isProblem } from "../../ir/graph/op-row.ts";
import { type Windows, windowsOf } from "../../ir/graph/ops/window.ts";
import { add, lt, max, mul, reduce, select } from "./arith.ts";
import { type CoreDraft, constantOf, float, int, isFloat, shapeOf } from "./core-draft.ts";
import { matmul } from "./lower-matmul.ts";
import { meanOver } from "./lower-reduce.ts";
import { hasInput, type Lowered, type LoweringTable, outputType, type Site, typeAt } from "./site.ts";
import { concat, padWith, reshape, slice, sliceAxis, swapLast, transpose } from "./views.ts";

function windowsFor(site: Site, kernel: readonly number[], x = 0): Windows {
  const windows = windowsOf(typeAt(site, x).shape.slice(2), kernel, site.attrs);
  invariant(!isProblem(windows), "inference accepted the windows");
  return windows;
}

/** Kernel offsets of each tap, row-major. */
function taps(kernel: readonly number[]): number[][] {
  return Array.from({ length: elementCount(kernel) }, (_, tap) =>
    kernel.map((size, dim) => Math.floor(tap / elementCount(kernel.slice(dim + 1))) % size),
  );
}

/** x padded so that every window lies inside, those that stick out at the end included. */
function padded(d: CoreDraft, x: TensorId, w: Windows, value: TensorId): TensorId {
  const spatial = shapeOf(d, x).slice(2);
  const needed = spatial.map((_, dim) => {
    const span = ((w.kernel[dim] ?? 1) - 1) * (w.dilations[dim] ?? 1) + 1;
    return ((w.output[dim] ?? 1) - 1) * (w.strides[dim] ?? 1) + span;
  });
  const after = spatial.map((size, dim) => Math.max(0, (needed[dim] ?? 0) - size - (w.before[dim] ?? 0)));
  return padWith(d, x, [0, 0, ...w.before], [0, 0, ...after], value);
}

/** What one tap of all windows sees: [N, C, ...output]. */
function tapSlice(d: CoreDraft, room: TensorId, w: Windows, tap: readonly number[]): TensorId {
  const [n = 1, c = 1] = shapeOf(d, room);
  const starts = tap.map((offset, dim) => offset * (w.dilations[dim] ?? 1));
  return slice(d, room, [0, 0, ...starts], [1, 1, ...w.strides], [n, c, ...w.output]);
}

function isPatches(w: Windows): boolean {
  const plain =
    [...w.before].every((count) => count === 0) && w.dilations.every((step, dim) => step === 1 || w.kernel[dim] === 1);
  return plain && w.strides.every((stride, dim) => stride === w.kernel[dim]);
}

/** [N, places, C * taps]: each row what one window sees. */
function windowRows(d: CoreDraft, x: TensorId, w: Windows, value: TensorId): TensorId {
  const [n = 1, c = 1] = shapeOf(d, x);
  const places = elementCount(w.output);
  const count = elementCount(w.kernel);
  if (isPatches(w)) {
    let whole = x;
    for (const [dim, size] of w.output.entries()) whole = sliceAxis(d, whole, dim + 2, 0, size * (w.kernel[dim] ?? 1));
    const split = reshape(d, whole, [n, c, ...w.output.flatMap((size, dim) => [size, w.kernel[dim] ?? 1])]);
    const outer = w.output.map((_, dim) => 2 + 2 * dim);
    const inner = w.output.map((_, dim) => 3 + 2 * dim);
    return reshape(d, transpose(d, split, [0, ...outer, 1, ...inner]), [n, places, c * count]);
  }
  const room = padded(d, x, w, value);
  const columns = taps(w.kernel).map((tap) => reshape(d, tapSlice(d, room, w, tap), [n, c, 1, places]));
  return swapLast(d, reshape(d, concat(d, columns, 2), [n, c * count, places]));
}

export const isDepthwise = (d: CoreDraft, x: TensorId, weights: TensorId, group: number): boolean =>
  group > 1 && shapeOf(d, weights)[1] === 1 && shapeOf(d, weights)[0] === shapeOf(d, x)[1];

/** One filter a channel: scaled slices added up, floats or whole numbers. */
export function depthwise(d: CoreDraft, x: TensorId, weights: TensorId, w: Windows): TensorId {
  const [, c = 1] = shapeOf(d, x);
  const room = padded(d, x, w, isFloat(d, x) ? float(d, 0) : int(d, 0));
  const flat = reshape(d, weights, [c, elementCount(w.kernel)]);
  const parts = taps(w.kernel).map((tap, at) => {
    const factor = reshape(d, sliceAxis(d, flat, 1, at, at + 1), [1, c, ...w.output.map(() => 1)]);
    return mul(d, tapSlice(d, room, w, tap), factor);
  });
  return parts.reduce((sum, part) => add(d, sum, part));
}

export interface Convolution {
  readonly windows: Windows;
  readonly group: number;
  /** What stands in the padding, one element. */
  readonly padding: TensorId;
  /** Product of [..., places, inner] and [..., inner, filters]. */
  readonly product: (rows: TensorId, matrix: TensorId) => TensorId;
}

/** Sums of products of all windows with all filters, [N, filters, ...output]. */
export function convolve(d: CoreDraft, x: TensorId, weights: TensorId, c: Convolution): TensorId {
  const [n = 1] = shapeOf(d, x);
  const [filters = 1, perGroup = 1] = shapeOf(d, weights);
  const { windows, group } = c;
  const places = elementCount(windows.output);
  const inner = perGroup * elementCount(windows.kernel);
  const rows = windowRows(d, x, windows, c.padding);
  const matrix = swapLast(d, reshape(d, weights, [group, filters / group, inner]));
  const shape = [n, filters, ...windows.output];
  if (group === 1) return reshape(d, swapLast(d, c.product(rows, reshape(d, matrix, [inner, filters]))), shape);
  const grouped = transpose(d, reshape(d, rows, [n, places, group, inner]), [0, 2, 1, 3]);
  return reshape(d, swapLast(d, c.product(grouped, reshape(d, matrix, [1, group, inner, filters / group]))), shape);
}

export const convWindows = (site: Site, x: number, weights: number): Windows =>
  windowsFor(site, typeAt(site, weights).shape.slice(2), x);

function floatConvolution(d: CoreDraft, x: TensorId, weights: TensorId, windows: Windows, group: number): TensorId {
  if (isDepthwise(d, x, weights, group)) return depthwise(d, x, weights, windows);
  const product = (rows: TensorId, matrix: TensorId): TensorId => matmul(d, rows, matrix);
  return convolve(d, x, weights, { windows, group, padding: float(d, 0), product });
}

export function conv(d: CoreDraft, site: Site): TensorId {
  const w = convWindows(site, 0, 1);
  return afterConv(d, site, floatConvolution(d, site.input(0), site.input(1), w, numberOf(site.attrs, "group")));
}

/** Sums of a convolution and the bias, if there is one. */
export function afterConv(d: CoreDraft, site: Site, sums: TensorId): TensorId {
  return hasInput(site, 2) ? add(d, sums, perFilter(d, site.input(2), shapeOf(d, sums).length)) : sums;
}

/** One value a filter, beside [N, filters, ...]. */
export function perFilter(d: CoreDraft, x: TensorId, rank: number): TensorId {
  const count = elementCount(shapeOf(d, x));
  return count === 1 ? reshape(d, x, []) : reshape(d, x, [1, count, ...new Array<number>(rank - 2).fill(1)]);
}

/** Position in the plane that a tap sees in each window, -1 in the padding. */
function tapPositions(spatial: readonly number[], w: Windows, tap: readonly number[], byColumns: boolean): number[] {
  return Array.from({ length: elementCount(w.output) }, (_, at) => {
    const place = w.output.map((size, dim) => {
      const window = Math.floor(at / elementCount(w.output.slice(dim + 1))) % size;
      return window * (w.strides[dim] ?? 1) + (tap[dim] ?? 0) * (w.dilations[dim] ?? 1) - (w.before[dim] ?? 0);
    });
    if (place.some((index, dim) => index < 0 || index >= (spatial[dim] ?? 0))) return -1;
    const order = spatial.map((_, dim) => dim);
    if (byColumns) order.reverse();
    return order.reduce((flat, dim) => flat * (spatial[dim] ?? 1) + (place[dim] ?? 0), 0);
  });
}

function maxPool(d: CoreDraft, site: Site): Lowered {
  const w = windowsFor(site, numbersAttr(site.attrs, "kernel_shape"));
  const x = site.input(0);
  const [n = 1, c = 1, ...spatial] = shapeOf(d, x);
  const room = padded(d, x, w, isFloat(d, x) ? float(d, -Infinity) : int(d, -(2 ** 31)));
  const list = taps(w.kernel);
  const values = list.map((tap) => tapSlice(d, room, w, tap));
  const best = values.reduce((largest, value) => max(d, largest, value));
  if (site.wanted[1] !== true) return [best, null];
  const byColumns = numberOf(site.attrs, "storage_order") === 1;
  const places = (tap: readonly number[]): TensorId =>
    constantOf(d, tapPositions(spatial, w, tap, byColumns), [1, 1, ...w.output], "int32");
  let [top, where] = [values[0] ?? best, places(list[0] ?? [])];
  for (const [index, tap] of list.slice(1).entries()) {
    const value = values[index + 1] ?? best;
    const better = lt(d, top, value);
    where = select(d, better, places(tap), where);
    top = max(d, top, value);
  }
  const starts = constantOf(
    d,
    Array.from({ length: n * c }, (_, plane) => plane * elementCount(spatial)),
    [n, c, ...spatial.map(() => 1)],
    "int32",
  );
  return [best, add(d, where, starts)];
}

/** How many elements each window averages. */
function windowCounts(spatial: readonly number[], w: Windows, countPads: boolean): number[] {
  const counts = new Array<number>(elementCount(w.output)).fill(0);
  const wide = spatial.map((size, dim) => size + (w.before[dim] ?? 0) + (w.after[dim] ?? 0));
  const shifted: Windows = { ...w, before: spatial.map(() => 0) };
  for (const tap of taps(w.kernel)) {
    const seen = countPads ? tapPositions(wide, shifted, tap, false) : tapPositions(spatial, w, tap, false);
    for (const [at, position] of seen.entries()) if (position >= 0) counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts;
}

function averagePool(d: CoreDraft, site: Site): TensorId {
  const w = windowsFor(site, numbersAttr(site.attrs, "kernel_shape"));
  const x = site.input(0);
  const room = padded(d, x, w, float(d, 0));
  const sum = taps(w.kernel)
    .map((tap) => tapSlice(d, room, w, tap))
    .reduce((total, value) => add(d, total, value));
  const counts = windowCounts(shapeOf(d, x).slice(2), w, numberOf(site.attrs, "count_include_pad") === 1);
  return mul(
    d,
    sum,
    constantOf(
      d,
      counts.map((count) => 1 / count),
      [1, 1, ...w.output],
    ),
  );
}

const spatialAxes = (site: Site): number[] =>
  typeAt(site, 0)
    .shape.map((_, dim) => dim)
    .slice(2);

export const convLowerings: LoweringTable = {
  Conv: conv,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: (d, site) => reshape(d, meanOver(d, site.input(0), spatialAxes(site)), outputType(site).shape),
  GlobalMaxPool: (d, site) =>
    reshape(d, reduce(d, "reduceMax", site.input(0), spatialAxes(site)), outputType(site).shape),
};
