// What is known of the values of a core tensor: an interval that holds every number in it (NaN aside). Found from how it was made. Decides whether a denominator needs its sign and zero looked after.
import { numbersAttr } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import {
  type CoreDraft,
  type CoreNode,
  type Interval,
  producedBy,
  producerOf,
  shapeOf,
  smallValue,
  uniform,
} from "./core-draft.ts";

const everything: Interval = { low: -Infinity, high: Infinity };
/** Ranges are remembered as nodes are made, so that this is reached by chains nobody asked about only. */
const MAX_DEPTH = 256;

function ofConstant(d: CoreDraft, id: TensorId): Interval {
  const value = smallValue(d, id);
  if (value === undefined) return everything;
  let low = Infinity;
  let high = -Infinity;
  for (const element of value.data) {
    const number = Number(element);
    if (number < low) low = number;
    if (number > high) high = number;
  }
  return low <= high ? { low, high } : everything;
}

/** inf * 0 counts as 0: bounds of products are limits. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

function product(a: Interval, b: Interval): Interval {
  const ends = [times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)];
  return { low: Math.min(...ends), high: Math.max(...ends) };
}

const reducedCount = (d: CoreDraft, node: CoreNode, x: TensorId): number =>
  numbersAttr(node.attrs, "axes").reduce((count, axis) => count * (shapeOf(d, x)[axis] ?? 1), 1);

/** Sum over the axes of 2^(c (x - max x)), c > 0, of the same axes: at least one term is 1. */
function isSoftmaxSum(d: CoreDraft, node: CoreNode): boolean {
  const [summed] = node.inputs;
  const exponential = summed === undefined ? undefined : producedBy(d, summed, "exp2");
  const [exponent] = exponential?.inputs ?? [];
  if (exponent === undefined) return false;
  const scaled = producedBy(d, exponent, "mul");
  const factor = scaled === undefined ? 1 : uniform(d, scaled.inputs[1] ?? exponent);
  const difference = producedBy(d, scaled?.inputs[0] ?? exponent, "sub");
  const [x, peak] = difference?.inputs ?? [];
  if (x === undefined || peak === undefined || factor === undefined || factor <= 0) return false;
  const maximum = producedBy(d, peak, "reduceMax");
  return (
    maximum?.inputs[0] === x && numbersAttr(maximum.attrs, "axes").join() === numbersAttr(node.attrs, "axes").join()
  );
}

function ofSum(d: CoreDraft, node: CoreNode, x: TensorId, depth: number): Interval {
  if (isSoftmaxSum(d, node)) return { low: 1, high: Infinity };
  const each = interval(d, x, depth);
  const count = reducedCount(d, node, x);
  return { low: times(count, each.low), high: times(count, each.high) };
}

function ofNode(d: CoreDraft, node: CoreNode, depth: number): Interval {
  const at = (index: number): Interval => interval(d, node.inputs[index] ?? node.output, depth);
  const [x] = node.inputs;
  switch (node.op) {
    case "add":
      return { low: at(0).low + at(1).low, high: at(0).high + at(1).high };
    case "sub":
      return { low: at(0).low - at(1).high, high: at(0).high - at(1).low };
    case "mul": {
      if (node.inputs[0] === node.inputs[1]) return { low: 0, high: Math.max(at(0).low ** 2, at(0).high ** 2) };
      return product(at(0), at(1));
    }
    case "min":
      return { low: Math.min(at(0).low, at(1).low), high: Math.min(at(0).high, at(1).high) };
    case "max":
      return { low: Math.max(at(0).low, at(1).low), high: Math.max(at(0).high, at(1).high) };
    case "select":
      return { low: Math.min(at(1).low, at(2).low), high: Math.max(at(1).high, at(2).high) };
    case "eq":
    case "lt":
    case "le":
      return { low: 0, high: 1 };
    case "exp2":
    case "rsqrt":
      return { low: 0, high: Infinity };
    case "tanh":
      return { low: -1, high: 1 };
    case "toFloat":
    case "toInt":
    case "roundF16":
    case "fromInt8":
    case "reduceMax":
    case "reduceMin":
    case "reshape":
    case "transpose":
    case "expand":
    case "slice":
    case "gather":
      return at(0);
    case "reduceSum":
      return x === undefined ? everything : ofSum(d, node, x, depth);
    case "concat": {
      const parts = node.inputs.map((input) => interval(d, input, depth));
      return { low: Math.min(...parts.map((part) => part.low)), high: Math.max(...parts.map((part) => part.high)) };
    }
    case "pad": {
      const value = Number(node.attrs.value);
      return { low: Math.min(at(0).low, value), high: Math.max(at(0).high, value) };
    }
    case "and":
      return at(1).low >= 0 ? { low: 0, high: at(1).high } : everything;
    case "or":
    case "xor":
    case "shl":
    case "shr":
    case "shru":
    case "toInt8":
    case "bitcast":
    case "matmul":
    case "reduceProd":
      return everything;
  }
}

function interval(d: CoreDraft, id: TensorId, depth: number): Interval {
  const known = d.ranges.get(id);
  if (known !== undefined) return known;
  if (depth <= 0) return everything;
  const node = producerOf(d, id);
  const found = node === undefined ? ofConstant(d, id) : ofNode(d, node, depth - 1);
  const wraps = d.tensors[id]?.dtype !== "float32" && (found.low < -(2 ** 31) || found.high >= 2 ** 31);
  const range = wraps || Number.isNaN(found.low) || Number.isNaN(found.high) ? everything : found;
  d.ranges.set(id, range);
  return range;
}

export const rangeOf = (d: CoreDraft, id: TensorId): Interval => interval(d, id, MAX_DEPTH);
export const isPositive = (d: CoreDraft, id: TensorId): boolean => rangeOf(d, id).low > 0;
export const isNonNegative = (d: CoreDraft, id: TensorId): boolean => rangeOf(d, id).low >= 0;

export function isWithin(d: CoreDraft, id: TensorId, least: number, most: number): boolean {
  const { low, high } = rangeOf(d, id);
  return low >= least && high <= most;
}
