// Reductions, softmaxes, ranking.
import { dtypes } from "../../ir/dtype.ts";
import { numberOf } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { emptyExtreme } from "../../ir/graph/ops/reduce.ts";
import { abs, add, and, eq, max, mul, not, reduce, scaledBy, select, sub, toFloat, toInt, unary } from "./arith.ts";
import { type CoreDraft, float, int, isFloat, shapeOf } from "./core-draft.ts";
import { divide, divideInts, LOG2_E, reciprocal, sqrt } from "./divide.ts";
import { exp, log } from "./functions.ts";
import { iota } from "./lower-views.ts";
import {
  axisOf,
  constantNumbers,
  hasInput,
  isFloatType,
  type Lowered,
  type Lowering,
  type LoweringTable,
  outputType,
  refuse,
  type Site,
  typeAt,
  wrapTo,
} from "./site.ts";
import { concat, expand, reshape, sliceAxis } from "./views.ts";

const allAxes = (rank: number): number[] => Array.from({ length: rank }, (_, dim) => dim);

/** Axes to reduce, or undefined where nothing is reduced. */
function reducedAxes(site: Site): readonly number[] | undefined {
  const rank = typeAt(site, 0).shape.length;
  const given = hasInput(site, 1) ? constantNumbers(site, 1) : undefined;
  if (given !== undefined && given.length > 0) return given.map((axis) => axisOf(axis, rank));
  return numberOf(site.attrs, "noop_with_empty_axes") === 1 ? undefined : allAxes(rank);
}

type Reduce = (d: CoreDraft, x: TensorId, axes: readonly number[]) => TensorId;

export const sumOver: Reduce = (d, x, axes) => reduce(d, "reduceSum", x, axes);
const maxOver: Reduce = (d, x, axes) => reduce(d, "reduceMax", x, axes);
const square = (d: CoreDraft, x: TensorId): TensorId => mul(d, x, x);

const countOver = (d: CoreDraft, x: TensorId, axes: readonly number[]): number =>
  axes.reduce((count, axis) => count * (shapeOf(d, x)[axis] ?? 1), 1);

/** Sum times 1/n. */
export const meanOver: Reduce = (d, x, axes) => {
  const count = countOver(d, x, axes);
  const sum = sumOver(d, x, axes);
  return isFloat(d, x) ? mul(d, sum, float(d, 1 / count)) : divideInts(d, sum, int(d, count));
};

const logSumExp: Reduce = (d, x, axes) => {
  const numbers = isFloat(d, x) ? x : toFloat(d, x);
  const peak = maxOver(d, numbers, axes);
  const safe = select(d, eq(d, sub(d, peak, peak), float(d, 0)), peak, float(d, 0));
  return add(d, log(d, sumOver(d, exp(d, sub(d, numbers, safe)), axes)), safe);
};

const asFloat = (d: CoreDraft, x: TensorId): TensorId => (isFloat(d, x) ? x : toFloat(d, x));

function reduction(f: Reduce, alone: (d: CoreDraft, x: TensorId) => TensorId): Lowering {
  return (d, site) => {
    if (hasInput(site, 1) && constantNumbers(site, 1) === undefined) return refuse("the axes are computed at run time");
    const axes = reducedAxes(site);
    const x = site.input(0);
    const found = axes === undefined ? alone(d, x) : f(d, x, axes);
    // Roots and logarithms of integers are taken in floats.
    const isWhole = dtypes[outputType(site).dtype].kind !== "float";
    const result = isWhole && isFloat(d, found) ? toInt(d, found, "trunc") : found;
    return wrapTo(d, reshape(d, result, outputType(site).shape), outputType(site).dtype);
  };
}

const same = (_: CoreDraft, x: TensorId): TensorId => x;

/** e^(x - max) and its sum along an axis. A positive scalar factor of x is applied after the subtraction, with log2 e. */
function exponentials(
  d: CoreDraft,
  x: TensorId,
  axis: number,
): { readonly shifted: TensorId; readonly powers: TensorId; readonly sum: TensorId } {
  const scaled = scaledBy(d, x);
  const inner = scaled !== undefined && scaled.factor > 0 ? scaled : { x, factor: 1 };
  const distance = sub(d, inner.x, maxOver(d, inner.x, [axis]));
  const powers = unary(d, "exp2", mul(d, distance, float(d, inner.factor * LOG2_E)));
  return { shifted: mul(d, distance, float(d, inner.factor)), powers, sum: sumOver(d, powers, [axis]) };
}

export function softmax(d: CoreDraft, x: TensorId, axis: number): TensorId {
  const { powers, sum } = exponentials(d, x, axis);
  return divide(d, powers, sum);
}

/** Softmax whose wholly masked lines (all -inf) are 0 instead of NaN. */
export function softmaxOrZero(d: CoreDraft, x: TensorId, axis: number): TensorId {
  const peak = maxOver(d, x, [axis]);
  const blocked = eq(d, peak, float(d, -Infinity));
  const powers = unary(d, "exp2", mul(d, sub(d, x, select(d, blocked, float(d, 0), peak)), float(d, LOG2_E)));
  const sum = sumOver(d, powers, [axis]);
  return mul(d, powers, reciprocal(d, select(d, blocked, float(d, 1), sum)));
}

/** Softmax with one more term e^sink in the sum. */
export function softmaxWithSink(d: CoreDraft, x: TensorId, axis: number, sink: TensorId): TensorId {
  const peak = max(d, maxOver(d, x, [axis]), sink);
  const powers = unary(d, "exp2", mul(d, sub(d, x, peak), float(d, LOG2_E)));
  const extra = unary(d, "exp2", mul(d, sub(d, sink, peak), float(d, LOG2_E)));
  return divide(d, powers, add(d, sumOver(d, powers, [axis]), extra));
}

function logSoftmax(d: CoreDraft, site: Site): TensorId {
  const axis = axisOf(numberOf(site.attrs, "axis"), typeAt(site, 0).shape.length);
  const { shifted, sum } = exponentials(d, site.input(0), axis);
  return sub(d, shifted, log(d, sum));
}

/** Index of the first (or last) largest element; size 1 along the axis. */
function bestIndex(
  d: CoreDraft,
  x: TensorId,
  axis: number,
  best: TensorId,
  last: boolean,
  allowed?: TensorId,
): TensorId {
  const size = shapeOf(d, x)[axis] ?? 0;
  const places = iota(d, shapeOf(d, x).length, axis, size);
  const hit = allowed === undefined ? eq(d, x, best) : and(d, eq(d, x, best), allowed);
  return last
    ? reduce(d, "reduceMax", select(d, hit, places, int(d, -1)), [axis])
    : reduce(d, "reduceMin", select(d, hit, places, int(d, size)), [axis]);
}

const argument =
  (op: "reduceMax" | "reduceMin"): Lowering =>
  (d, site) => {
    const x = site.input(0);
    const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, x).length);
    const last = numberOf(site.attrs, "select_last_index") === 1;
    return reshape(d, bestIndex(d, x, axis, reduce(d, op, x, [axis]), last), outputType(site).shape);
  };

function hardmax(d: CoreDraft, site: Site): TensorId {
  const x = site.input(0);
  const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, x).length);
  const best = bestIndex(d, x, axis, maxOver(d, x, [axis]), false);
  return toFloat(d, eq(d, iota(d, shapeOf(d, x).length, axis, shapeOf(d, x)[axis] ?? 0), best));
}

const MAX_TOP = 256;

/** The k largest, one after the other: find, note, take out. Works for any element type; order is by value, ties by index. */
function topK(d: CoreDraft, site: Site): Lowered {
  const k = constantNumbers(site, 1)?.[0];
  if (k === undefined || k > MAX_TOP)
    return refuse(`K is ${k ?? "computed at run time"}, supported: constants up to ${MAX_TOP}`);
  const x = site.input(0);
  const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, x).length);
  const size = shapeOf(d, x)[axis] ?? 0;
  const largest = numberOf(site.attrs, "largest") === 1;
  const places = iota(d, shapeOf(d, x).length, axis, size);
  const worst = isFloat(d, x) ? float(d, largest ? -Infinity : Infinity) : int(d, largest ? -(2 ** 31) : 2 ** 31 - 1);
  let free = expand(d, int(d, 1), shapeOf(d, x));
  const values: TensorId[] = [];
  const indices: TensorId[] = [];
  for (let rank = 0; rank < k; rank += 1) {
    const rest = rank === 0 ? x : select(d, free, x, worst);
    const best = reduce(d, largest ? "reduceMax" : "reduceMin", rest, [axis]);
    const index = bestIndex(d, rest, axis, best, false, free);
    values.push(best);
    indices.push(index);
    free = and(d, free, not(d, eq(d, places, index)));
  }
  if (values.length === 0) return [sliceAxis(d, x, axis, 0, 0), expand(d, int(d, 0), outputType(site).shape)];
  return [concat(d, values, axis), concat(d, indices, axis)];
}

function lpNormalization(d: CoreDraft, site: Site): TensorId {
  const x = site.input(0);
  const axis = axisOf(numberOf(site.attrs, "axis"), shapeOf(d, x).length);
  const norm =
    numberOf(site.attrs, "p") === 1 ? sumOver(d, abs(d, x), [axis]) : sqrt(d, sumOver(d, square(d, x), [axis]));
  const quotient = divide(d, x, norm);
  return select(d, eq(d, norm, float(d, 0)), float(d, 0), quotient);
}

/** Over nothing the end of the element type, where the machine has it. */
const extreme =
  (of: "max" | "min"): Lowering =>
  (d, site) => {
    const { shape, dtype } = outputType(site);
    const whole = reduction((draft, x, axes) => reduce(draft, of === "max" ? "reduceMax" : "reduceMin", x, axes), same);
    if (elementCount(typeAt(site, 0).shape) > 0 || elementCount(shape) === 0) return whole(d, site);
    const end = emptyExtreme(dtype, of);
    if (isFloatType(dtype)) return expand(d, float(d, end), shape);
    if (Math.abs(end) > 2 ** 31) return refuse(`the ${of}imum over no element is the end of ${dtype}, outside 32 bits`);
    return expand(d, int(d, end), shape);
  };

const magnitude: Reduce = (d, x, axes) => sumOver(d, abs(d, x), axes);

export const reduceLowerings: LoweringTable = {
  ReduceSum: reduction(sumOver, same),
  ReduceMean: reduction(meanOver, same),
  ReduceMax: extreme("max"),
  ReduceMin: extreme("min"),
  ReduceProd: reduction((d, x, axes) => reduce(d, "reduceProd", x, axes), same),
  ReduceL1: reduction(magnitude, abs),
  ReduceL2: reduction((d, x, axes) => sqrt(d, sumOver(d, square(d, asFloat(d, x)), axes)), abs),
  ReduceSumSquare: reduction((d, x, axes) => sumOver(d, square(d, x), axes), square),
  ReduceLogSum: reduction(
    (d, x, axes) => log(d, sumOver(d, asFloat(d, x), axes)),
    (d, x) => log(d, asFloat(d, x)),
  ),
  ReduceLogSumExp: reduction(logSumExp, asFloat),
  Softmax: (d, site) => softmax(d, site.input(0), axisOf(numberOf(site.attrs, "axis"), typeAt(site, 0).shape.length)),
  LogSoftmax: logSoftmax,
  Hardmax: hardmax,
  ArgMax: argument("reduceMax"),
  ArgMin: argument("reduceMin"),
  TopK: topK,
  LpNormalization: lpNormalization,
};
