// The core of every attention operator in core ops: scores, softcap, bias, softmax, weighted sum; heads split and joined by views; rotary turns.
// Knows no operator's inputs or attributes.
import type { TensorId } from "../../ir/graph/graph.ts";
import { add, mul, neg, select, unary } from "./arith.ts";
import { type CoreDraft, float, shapeOf } from "./core-draft.ts";
import { matmul } from "./lower-matmul.ts";
import { softmax, softmaxOrZero, softmaxWithSink } from "./lower-reduce.ts";
import { concat, expand, reshape, sliceAxis, swapLast, transpose } from "./views.ts";

/** [B, S, heads * size] -> [B, heads, S, size]. */
export function splitHeads(d: CoreDraft, x: TensorId, heads: number): TensorId {
  const [batch = 1, length = 1, width = 1] = shapeOf(d, x);
  return transpose(d, reshape(d, x, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** [B, heads, S, size] -> [B, S, heads * size]. */
export function joinHeads(d: CoreDraft, x: TensorId): TensorId {
  const [batch = 1, heads = 1, length = 1, size = 1] = shapeOf(d, x);
  return reshape(d, transpose(d, x, [0, 2, 1, 3]), [batch, length, heads * size]);
}

/** Each of [B, kvHeads, T, size] for the group of query heads that share it. */
export function repeatHeads(d: CoreDraft, x: TensorId, heads: number): TensorId {
  const [batch = 1, kvHeads = 1, length = 1, size = 1] = shapeOf(d, x);
  if (kvHeads === heads) return x;
  const group = heads / kvHeads;
  const wide = expand(d, reshape(d, x, [batch, kvHeads, 1, length, size]), [batch, kvHeads, group, length, size]);
  return reshape(d, wide, [batch, heads, length, size]);
}

export interface AttentionCall {
  /** [B, heads, S, size] */
  readonly q: TensorId;
  /** [B, kvHeads, T, size] */
  readonly k: TensorId;
  readonly v: TensorId;
  readonly scale: number;
  /** 0 for none. */
  readonly softcap: number;
  /** Added to the scores. */
  readonly bias: TensorId | undefined;
  /** Keys with a flag of 0 are hidden; given flags may hide a whole line, which then gives 0. */
  readonly visible: TensorId | undefined;
  /** Whether a line can be hidden wholly, by -inf in the bias or by flags. */
  readonly mayHideAll: boolean;
  /** Logit of an extra key without a value, [heads]-shaped for broadcasting to [B, heads, S, 1]. */
  readonly sink: TensorId | undefined;
}

export interface AttentionParts {
  /** [B, heads, S, valueSize] */
  readonly y: TensorId;
  /** Scaled products, then softcapped, then biased and masked, then softmax. */
  readonly stages: readonly [TensorId, TensorId, TensorId, TensorId];
}

export function attend(d: CoreDraft, call: AttentionCall): AttentionParts {
  const heads = shapeOf(d, call.q)[1] ?? 1;
  const keys = swapLast(d, repeatHeads(d, call.k, heads));
  const raw = mul(d, matmul(d, call.q, keys), float(d, call.scale));
  const capped =
    call.softcap === 0
      ? raw
      : mul(d, unary(d, "tanh", mul(d, raw, float(d, 1 / call.softcap))), float(d, call.softcap));
  const added = call.bias === undefined ? capped : add(d, capped, call.bias);
  const biased = call.visible === undefined ? added : select(d, call.visible, added, float(d, -Infinity));
  const last = shapeOf(d, biased).length - 1;
  const weights =
    call.sink !== undefined
      ? softmaxWithSink(d, biased, last, call.sink)
      : (call.mayHideAll ? softmaxOrZero : softmax)(d, biased, last);
  const y = matmul(d, weights, repeatHeads(d, call.v, heads));
  return { y, stages: [raw, capped, biased, weights] };
}

/** Angles of pairs laid out as the elements of a head: [c, c] or c twice in a row; the sine with the sign of the other element. */
function spreadAngles(d: CoreDraft, first: TensorId, second: TensorId, interleaved: boolean): TensorId {
  const rank = shapeOf(d, first).length;
  if (!interleaved) return concat(d, [first, second], rank - 1);
  const shape = shapeOf(d, first);
  const column = (x: TensorId): TensorId => reshape(d, x, [...shape, 1]);
  return reshape(d, concat(d, [column(first), column(second)], rank), [...shape.slice(0, -1), 2 * (shape.at(-1) ?? 0)]);
}

/** The other element of each pair in each place. */
function swapPairs(d: CoreDraft, x: TensorId, interleaved: boolean): TensorId {
  const shape = shapeOf(d, x);
  const last = shape.length - 1;
  const half = (shape[last] ?? 0) / 2;
  if (!interleaved) return concat(d, [sliceAxis(d, x, last, half, 2 * half), sliceAxis(d, x, last, 0, half)], last);
  const pairs = reshape(d, x, [...shape.slice(0, -1), half, 2]);
  return reshape(
    d,
    concat(d, [sliceAxis(d, pairs, last + 1, 1, 2), sliceAxis(d, pairs, last + 1, 0, 1)], last + 1),
    shape,
  );
}

/** Pairs (i, i + half) or (2i, 2i + 1) turned: a c - b s and a s + b c. `cos` and `sin` broadcast to [..., half]; elements beyond stay. */
export function rotate(d: CoreDraft, x: TensorId, cos: TensorId, sin: TensorId, interleaved: boolean): TensorId {
  const last = shapeOf(d, x).length - 1;
  const size = shapeOf(d, x)[last] ?? 0;
  const rotary = 2 * (shapeOf(d, cos).at(-1) ?? 0);
  const turning = sliceAxis(d, x, last, 0, rotary);
  const cosines = spreadAngles(d, cos, cos, interleaved);
  const sines = spreadAngles(d, neg(d, sin), sin, interleaved);
  const turned = add(d, mul(d, turning, cosines), mul(d, swapPairs(d, turning, interleaved), sines));
  return rotary === size ? turned : concat(d, [turned, sliceAxis(d, x, last, rotary, size)], last);
}
