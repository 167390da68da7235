// ONNX Attention (opsets 23 and 24) and RotaryEmbedding (23).
import { dtypes } from "../../dtype.ts";
import { type Attrs, dtypeAttr, float, int, numberOf, optionalNumber } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  type Problem,
  problem,
} from "../op-row.ts";
import { broadcastShapes, broadcastStrides, shapeText, stridesOf } from "../shapes.ts";
import { numbersOf, type TensorType, type TensorValue, valueFromNumbers } from "../values.ts";
import { type AttentionResult, appendKeys, attend, joinHeads, splitHeads } from "./attend.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";

interface Sizes {
  readonly packed: boolean;
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly added: number;
  readonly past: number;
  readonly size: number;
  readonly valueSize: number;
}

/** Sizes from the shapes of Q, K, V and the past, whichever of the two layouts they have. */
function sizesOf(inputs: readonly (TensorType | null)[], attrs: InferContext["attrs"]): Sizes | Problem {
  const [q = [], k = [], v = []] = inputs.slice(0, 3).map((type) => type?.shape ?? []);
  const packed = q.length === 3;
  if (![3, 4].includes(q.length) || k.length !== q.length || v.length !== q.length) {
    return problem("shape", `Q ${shapeText(q)}, K ${shapeText(k)} and V ${shapeText(v)} must all have rank 3 or 4`);
  }
  const heads = packed ? (optionalNumber(attrs, "q_num_heads") ?? 0) : (q[1] ?? 0);
  const kvHeads = packed ? (optionalNumber(attrs, "kv_num_heads") ?? 0) : (k[1] ?? 0);
  if (heads < 1 || kvHeads < 1) return problem("attr", "rank 3 needs q_num_heads and kv_num_heads");
  const part = (shape: readonly number[], count: number): number => (shape.at(-1) ?? 0) / (packed ? count : 1);
  const [size, keySize, valueSize] = [part(q, heads), part(k, kvHeads), part(v, kvHeads)];
  if (heads % kvHeads !== 0 || ![size, keySize, valueSize].every(Number.isInteger) || size !== keySize) {
    return problem(
      "shape",
      `Q ${shapeText(q)}, K ${shapeText(k)}, V ${shapeText(v)} do not fit ${heads} and ${kvHeads} heads`,
    );
  }
  if (!packed && v[1] !== kvHeads) return problem("shape", `K has ${kvHeads} heads, V has ${v[1]}`);
  const sequence = packed ? 1 : 2;
  if (k[sequence] !== v[sequence] || q[0] !== k[0] || k[0] !== v[0]) {
    return problem("shape", `Q ${shapeText(q)}, K ${shapeText(k)} and V ${shapeText(v)} differ in batch or length`);
  }
  const past = inputs[4]?.shape[2] ?? 0;
  return {
    packed,
    batch: q[0] ?? 0,
    heads,
    kvHeads,
    queries: q[sequence] ?? 0,
    added: k[sequence] ?? 0,
    past,
    size,
    valueSize,
  };
}

function checkMask(mask: TensorType | null, s: Sizes): Problem | undefined {
  if (mask === null) return undefined;
  const keys = s.past + s.added;
  const length = mask.shape.at(-1) ?? 0;
  const full = [s.batch, s.heads, s.queries, length];
  const joined = broadcastShapes(mask.shape, full);
  if (!isProblem(joined) && shapeText(joined) === shapeText(full) && length <= keys) return undefined;
  return problem(
    "shape",
    `attn_mask ${shapeText(mask.shape)} does not fit ${shapeText([s.batch, s.heads, s.queries, keys])}`,
  );
}

function inferAttention(ctx: InferContext): Inferred {
  const s = sizesOf(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return s;
  const wrong = checkMask(ctx.inputs[3] ?? null, s);
  if (wrong !== undefined) return wrong;
  if (((ctx.inputs[4] ?? null) === null) !== ((ctx.inputs[5] ?? null) === null)) {
    return problem("arity", "past_key and past_value go together");
  }
  for (const [index, name, size] of [
    [4, "past_key", s.size],
    [5, "past_value", s.valueSize],
  ] as const) {
    const [past, needed] = [ctx.inputs[index]?.shape, [s.batch, s.kvHeads, s.past, size]];
    if (past !== undefined && past.join() !== needed.join())
      return problem("shape", `${name} is ${shapeText(past)}, needed: ${shapeText(needed)}`);
  }
  const lengths = ctx.inputs[6]?.shape;
  if (lengths !== undefined && lengths.join() !== `${s.batch}`)
    return problem("shape", `nonpad_kv_seqlen is ${shapeText(lengths)}, needed: [${s.batch}]`);
  const [q, k, v] = [typeAt(ctx, 0), typeAt(ctx, 1), typeAt(ctx, 2)];
  const keys = s.past + s.added;
  const y = s.packed ? [s.batch, s.queries, s.heads * s.valueSize] : [s.batch, s.heads, s.queries, s.valueSize];
  return [
    { dtype: q.dtype, shape: y },
    { dtype: k.dtype, shape: [s.batch, s.kvHeads, keys, s.size] },
    { dtype: v.dtype, shape: [s.batch, s.kvHeads, keys, s.valueSize] },
    { dtype: q.dtype, shape: [s.batch, s.heads, s.queries, keys] },
  ];
}

type Bias = (b: number, h: number, i: number, j: number) => number;

/** The mask as an addend: bool hides where false; keys beyond a short mask are hidden. */
function maskBias(mask: TensorValue | null, s: Sizes): Bias {
  if (mask === null) return () => 0;
  const length = mask.shape.at(-1) ?? 0;
  const [sb = 0, sh = 0, si = 0] = broadcastStrides(mask.shape, [s.batch, s.heads, s.queries, length]);
  const step = length === 1 ? 0 : 1;
  const numbers = numbersOf(mask);
  const flag = dtypes[mask.dtype].kind === "bool";
  return (b, h, i, j) => {
    if (j >= length) return -Infinity;
    const x = numbers[b * sb + h * sh + i * si + j * step] ?? 0;
    return flag ? (x === 0 ? -Infinity : 0) : x;
  };
}

/** How far before and after its own place a query may look; unbounded sides are infinite. */
export function attentionWindow(attrs: Attrs): { readonly left: number; readonly right: number } {
  const bound = (name: string): number => (numberOf(attrs, name) < 0 ? Infinity : numberOf(attrs, name));
  const right = bound("right_window_size");
  return { left: bound("left_window_size"), right: numberOf(attrs, "is_causal") === 1 ? Math.min(right, 0) : right };
}

/**
 * Query i stands at key i + offset and sees the window around it: offset is the length of the past, or with nonpad_kv_seqlen that length minus
 * the number of queries. Keys at or beyond nonpad_kv_seqlen are hidden.
 */
function visibility(ctx: EvaluateContext, s: Sizes): Bias {
  const lengths = ctx.inputs[6] ?? null;
  const valid = lengths === null ? undefined : numbersOf(lengths);
  const { left, right } = attentionWindow(ctx.attrs);
  return (b, _h, i, j) => {
    const length = valid?.[b];
    const place = i + (length === undefined ? s.past : length - s.queries);
    const hidden = j > place + right || j < place - left || (length !== undefined && j >= length);
    return hidden ? -Infinity : 0;
  };
}

function attention(ctx: EvaluateContext): TensorValue[] {
  const s = sizesOf(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return [];
  const [q, k, v] = [0, 1, 2].map((i) => numbersOf(valueAt(ctx, i)));
  const split = (x: ArrayLike<number> | undefined, length: number, heads: number): ArrayLike<number> =>
    s.packed ? splitHeads(x ?? [], s.batch, length, heads) : (x ?? []);
  const past = (index: number): ArrayLike<number> => numbersOf(valueAt(ctx, index));
  const [newK, newV] = [split(k, s.added, s.kvHeads), split(v, s.added, s.kvHeads)];
  const keys = s.past === 0 ? newK : appendKeys(past(4), s.past, newK, s.added, s.size);
  const values = s.past === 0 ? newV : appendKeys(past(5), s.past, newV, s.added, s.valueSize);
  const [mask, visible] = [maskBias(ctx.inputs[3] ?? null, s), visibility(ctx, s)];
  const result: AttentionResult = attend({
    ...s,
    keys: s.past + s.added,
    scale: optionalNumber(ctx.attrs, "scale") ?? 1 / Math.sqrt(s.size),
    softcap: numberOf(ctx.attrs, "softcap"),
    q: split(q, s.queries, s.heads),
    k: keys,
    v: values,
    bias: (b, h, i, j) => mask(b, h, i, j) + visible(b, h, i, j),
  });
  const stage = result.stages[numberOf(ctx.attrs, "qk_matmul_output_mode")] ?? [];
  const y = s.packed ? joinHeads(result.y, s.batch, s.queries, s.heads) : result.y;
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, [y, keys, values, stage][i] ?? []));
}

export interface Rotation {
  readonly batch: number;
  readonly sequence: number;
  readonly heads: number;
  readonly size: number;
  /** How many leading elements of each head turn. */
  readonly rotary: number;
  readonly interleaved: boolean;
  /** Start of the row of angles for (batch, position). */
  readonly row: (b: number, s: number) => number;
}

/** Turns pairs (i, i + half), or (2i, 2i + 1), of each head by its position's angles. `x` is [batch, heads, sequence, size]. */
export function rotate(
  x: ArrayLike<number>,
  cos: ArrayLike<number>,
  sin: ArrayLike<number>,
  r: Rotation,
): Float64Array {
  const result = new Float64Array(x);
  const half = r.rotary / 2;
  for (let plane = 0; plane < r.batch * r.heads; plane++) {
    for (let s = 0; s < r.sequence; s++) {
      const row = r.row(Math.floor(plane / r.heads), s);
      const start = (plane * r.sequence + s) * r.size;
      for (let i = 0; i < half; i++) {
        const [first, second] = r.interleaved ? [start + 2 * i, start + 2 * i + 1] : [start + i, start + half + i];
        const [a, b, c, d] = [x[first] ?? 0, x[second] ?? 0, cos[row + i] ?? 1, sin[row + i] ?? 0];
        result[first] = a * c - b * d;
        result[second] = a * d + b * c;
      }
    }
  }
  return result;
}

function inferRotary(ctx: InferContext): Inferred {
  const [x, cos, sin, ids] = [typeAt(ctx, 0), typeAt(ctx, 1), typeAt(ctx, 2), ctx.inputs[3] ?? null];
  const heads = numberOf(ctx.attrs, "num_heads");
  if (x.shape.length !== 4 && (x.shape.length !== 3 || heads < 1 || (x.shape[2] ?? 0) % heads !== 0)) {
    return problem("shape", `X ${shapeText(x.shape)} must have rank 4, or rank 3 with num_heads`);
  }
  if (shapeText(cos.shape) !== shapeText(sin.shape) || cos.shape.length !== (ids === null ? 3 : 2)) {
    return problem("shape", `cos_cache ${shapeText(cos.shape)} and sin_cache ${shapeText(sin.shape)} do not fit`);
  }
  const tokens = [x.shape[0] ?? 0, x.shape[x.shape.length === 4 ? 2 : 1] ?? 0];
  const found = (ids ?? cos).shape.slice(0, 2);
  if ((ids !== null && ids.shape.length !== 2) || found.join() !== tokens.join()) {
    return problem(
      "shape",
      `${ids === null ? "cos_cache" : "position_ids"} ${shapeText((ids ?? cos).shape)} do not fit X ${shapeText(x.shape)}`,
    );
  }
  const size = x.shape.length === 4 ? (x.shape[3] ?? 0) : (x.shape[2] ?? 0) / heads;
  const rotary = numberOf(ctx.attrs, "rotary_embedding_dim") || size;
  if (rotary % 2 !== 0 || rotary > size || cos.shape.at(-1) !== rotary / 2) {
    return problem("shape", `${cos.shape.at(-1)} angles a position for ${rotary} rotated elements of heads of ${size}`);
  }
  return [x];
}

function rotaryEmbedding(ctx: EvaluateContext): TensorValue {
  const [x, cos, sin, ids] = [valueAt(ctx, 0), valueAt(ctx, 1), valueAt(ctx, 2), ctx.inputs[3] ?? null];
  const packed = x.shape.length === 3;
  const [batch = 0, second = 0, third = 0, last = 0] = x.shape;
  const heads = packed ? numberOf(ctx.attrs, "num_heads") : second;
  const [sequence, size] = packed ? [second, third / heads] : [third, last];
  const rotary = numberOf(ctx.attrs, "rotary_embedding_dim") || size;
  const positions = ids === null ? undefined : numbersOf(ids);
  const [batchStride = 0, rowStride = 0] = ids === null ? stridesOf(cos.shape) : [0, rotary / 2];
  const rotation: Rotation = {
    batch,
    sequence,
    heads,
    size,
    rotary,
    interleaved: numberOf(ctx.attrs, "interleaved") === 1,
    row: (b, s) =>
      positions === undefined ? b * batchStride + s * rowStride : (positions[b * sequence + s] ?? 0) * rowStride,
  };
  const source = packed ? splitHeads(numbersOf(x), batch, sequence, heads) : numbersOf(x);
  const turned = rotate(source, numbersOf(cos), numbersOf(sin), rotation);
  const out = outputAt(ctx);
  return valueFromNumbers(out.dtype, out.shape, packed ? joinHeads(turned, batch, sequence, heads) : turned);
}

export const attentionOps = {
  Attention: defineOp({
    summary:
      "softmax(softcap(scale * Q K^T) + mask) V, with grouped heads, a past to append to, causal, window and length masks",
    inputs: [
      "Q: float",
      "K: Q",
      "V: float",
      "attn_mask?: number|bool",
      "past_key?: K",
      "past_value?: V",
      "nonpad_kv_seqlen?: int64",
    ],
    outputs: ["Y", "present_key?", "present_value?", "qk_matmul_output?"],
    attrs: {
      is_causal: int(0),
      kv_num_heads: int(),
      left_window_size: int(-1),
      q_num_heads: int(),
      qk_matmul_output_mode: int(0),
      right_window_size: int(-1),
      scale: float(),
      softcap: float(0),
      softmax_precision: dtypeAttr(),
    },
    infer: inferAttention,
    evaluate: attention,
  }),
  RotaryEmbedding: defineOp({
    summary: "pairs of elements of each head turned by the angles of their position",
    inputs: ["X: float", "cos_cache: X", "sin_cache: X", "position_ids?: int64"],
    outputs: ["Y"],
    attrs: { interleaved: int(0), num_heads: int(0), rotary_embedding_dim: int(0) },
    infer: inferRotary,
    evaluate: (ctx) => [rotaryEmbedding(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
