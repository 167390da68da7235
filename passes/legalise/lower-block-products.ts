// Products of bytes whose scales change from block to block along the sum: exact sums of whole numbers within a block, each scaled in float32, added
// block after block.
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { add, mul, reduce, toFloat } from "./arith.ts";
import { type CoreDraft, type QuantisedForm, shapeOf } from "./core-draft.ts";
import { type ByteMatrix, integerProduct } from "./lower-quantise.ts";
import { expand, reshape, sliceAxis, swapLast, transpose } from "./views.ts";

/** Rows of bytes along the sum, [rows, K]; scale and zero point one for all, [rows, 1] or [rows, blocks]. */
interface Rows {
  readonly bytes: TensorId;
  readonly scale: TensorId;
  readonly zero: TensorId | undefined;
}

/** The scale or zero point of an operand with its rows behind one another; all of one element is left alone. */
function flatParameter(d: CoreDraft, x: TensorId, lead: readonly number[]): TensorId {
  if (elementCount(shapeOf(d, x)) === 1) return reshape(d, x, []);
  const last = shapeOf(d, x).at(-1) ?? 1;
  return reshape(d, expand(d, x, [...lead, last]), [elementCount(lead), last]);
}

/** An operand [..., K] as rows; undefined where its scales change along K in another way than by `size`. */
function rowsOf(d: CoreDraft, form: QuantisedForm, size: number): Rows | undefined {
  const bytes = form.bytes();
  const lead = shapeOf(d, bytes).slice(0, -1);
  const isAlong = form.blocks?.dim === lead.length;
  if (isAlong && form.blocks.size !== size) return undefined;
  const { scale, zero } = isAlong ? form.blocks : form;
  const isFlat = (x: TensorId | undefined): boolean => x === undefined || (shapeOf(d, x).at(-1) ?? 1) === 1;
  if (!isAlong && !(isFlat(scale) && isFlat(zero))) return undefined;
  return {
    bytes: reshape(d, bytes, [elementCount(lead), shapeOf(d, bytes).at(-1) ?? 1]),
    scale: flatParameter(d, scale, lead),
    zero: zero === undefined ? undefined : flatParameter(d, zero, lead),
  };
}

interface Stretch {
  readonly block: number;
  readonly count: number;
  readonly size: number;
  /** First element along K. */
  readonly from: number;
}

/** A stretch of some blocks of one size as matrices, [count, rows, size], with parameters [count, rows, 1]. */
function matricesOf(d: CoreDraft, rows: Rows, { block, count, size, from }: Stretch): Rows {
  const height = shapeOf(d, rows.bytes)[0] ?? 1;
  const batched = (x: TensorId, each: number): TensorId =>
    transpose(d, reshape(d, x, [height, count, each]), [1, 0, 2]);
  const parameter = (x: TensorId): TensorId => {
    const shape = shapeOf(d, x);
    if (shape.length === 0) return x;
    if (shape[1] === 1) return reshape(d, x, [1, height, 1]);
    return batched(sliceAxis(d, x, 1, block, block + count), 1);
  };
  return {
    bytes: batched(sliceAxis(d, rows.bytes, 1, from, from + count * size), size),
    scale: parameter(rows.scale),
    zero: rows.zero === undefined ? undefined : parameter(rows.zero),
  };
}

/** Sum of one stretch, [rows of a, rows of b]. */
function stretchProduct(d: CoreDraft, a: Rows, b: Rows, stretch: Stretch): TensorId {
  const [left, right] = [matricesOf(d, a, stretch), matricesOf(d, b, stretch)];
  const turned = (x: TensorId): TensorId => (shapeOf(d, x).length === 0 ? x : swapLast(d, x));
  const columns: ByteMatrix = {
    bytes: swapLast(d, right.bytes),
    zero: right.zero === undefined ? undefined : turned(right.zero),
  };
  const sums = toFloat(d, integerProduct(d, { bytes: left.bytes, zero: left.zero }, columns, [stretch.count]));
  const [, m = 1, n = 1] = shapeOf(d, sums);
  return reshape(d, reduce(d, "reduceSum", mul(d, sums, mul(d, left.scale, turned(right.scale))), [0]), [m, n]);
}

/** [..., K] times the transpose of [N, K], where the scales of one of them (or both) stand for blocks along K. */
export function blockProduct(d: CoreDraft, a: QuantisedForm, b: QuantisedForm): TensorId | undefined {
  const [left, right] = [shapeOf(d, a.bytes()), shapeOf(d, b.bytes())];
  const size = (a.blocks?.dim === left.length - 1 ? a.blocks.size : undefined) ?? b.blocks?.size;
  const k = right[1] ?? 0;
  if (size === undefined || right.length !== 2 || left.length < 2 || k === 0) return undefined;
  const [rows, columns] = [rowsOf(d, a, size), rowsOf(d, b, size)];
  if (rows === undefined || columns === undefined) return undefined;
  const whole = Math.floor(k / size);
  const rest = k - whole * size;
  const stretches: Stretch[] = [
    { block: 0, count: whole, size, from: 0 },
    { block: whole, count: 1, size: rest, from: whole * size },
  ];
  const sums = stretches
    .filter(({ count, size: each }) => count > 0 && each > 0)
    .map((stretch) => stretchProduct(d, rows, columns, stretch));
  const [first, second] = sums;
  if (first === undefined) return undefined;
  return reshape(d, second === undefined ? first : add(d, first, second), [...left.slice(0, -1), right[0] ?? 1]);
}
