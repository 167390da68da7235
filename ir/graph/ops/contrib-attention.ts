// The attention operators of com.microsoft, as onnxruntime's optimiser and genai builder write them.
import { float, int, ints, numberOf, optionalNumber, optionalNumbers } from "../attr.ts";
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
import { broadcastStrides, shapeText } from "../shapes.ts";
import { numbersOf, type TensorType, type TensorValue, tabulate, valueFromNumbers } from "../values.ts";
import { appendKeys, attend, joinHeads, splitHeads } from "./attend.ts";
import { matmulNumbers } from "./matmul.ts";
import { typeAt, valueAt } from "./rules.ts";

type Optional<T> = T | null | undefined;
type Bias = (b: number, h: number, i: number, j: number) => number;

/** What a causal mask adds: the lowest float32, so that a row with nothing else to see stays finite. */
const LOWEST = -3.4028234663852886e38;

interface KeyMask {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly past: number;
  readonly causal: boolean;
  readonly filter: number;
}

/**
 * The mask forms of these operators: [B] counts of valid keys, [2B] ends and starts, [B, T] and [B, S, T] flags. A hidden key gets
 * `filter` added, one in the future the lowest float.
 */
function keyMaskBias(mask: Optional<TensorValue>, m: KeyMask): Bias {
  const numbers = mask === null || mask === undefined ? undefined : numbersOf(mask);
  const rank = mask?.shape.length ?? 0;
  const hidden = (b: number, i: number, j: number): boolean => {
    if (numbers === undefined) return false;
    if (rank === 1)
      return j >= (numbers[b] ?? 0) || (numbers.length === 2 * m.batch && j < (numbers[b + m.batch] ?? 0));
    const row = rank === 2 ? b : b * m.queries + i;
    return (numbers[row * m.keys + j] ?? 0) === 0;
  };
  return (b, _h, i, j) => (m.causal && j > m.past + i ? LOWEST : hidden(b, i, j) ? m.filter : 0);
}

function maskProblem(mask: Optional<TensorType>, m: KeyMask): Problem | undefined {
  if (mask === null || mask === undefined) return undefined;
  const allowed = [[m.batch], [2 * m.batch], [m.batch, m.keys], [m.batch, m.queries, m.keys]].map(shapeText);
  if (allowed.includes(shapeText(mask.shape))) return undefined;
  return problem("unsupported", `a mask of shape ${shapeText(mask.shape)}, allowed: ${allowed.join(", ")}`);
}

/** An additive bias broadcast to [batch, heads, queries, keys]. */
function additiveBias(bias: Optional<TensorValue>, shape: readonly number[]): Bias {
  if (bias === null || bias === undefined) return () => 0;
  const [sb = 0, sh = 0, si = 0, sj = 0] = broadcastStrides(bias.shape, shape);
  const numbers = numbersOf(bias);
  return (b, h, i, j) => numbers[b * sb + h * sh + i * si + j * sj] ?? 0;
}

const scaleOf = (ctx: EvaluateContext, size: number): number => {
  const scale = optionalNumber(ctx.attrs, "scale") ?? 0;
  return scale === 0 ? 1 / Math.sqrt(size) : scale;
};

/** Columns first..first+count of a matrix of `width` columns, plus that part of a bias. */
function columns(
  x: ArrayLike<number>,
  width: number,
  first: number,
  count: number,
  bias: ArrayLike<number> = [],
): Float64Array {
  const rows = x.length / width;
  return tabulate(
    rows * count,
    (i) => (x[Math.floor(i / count) * width + first + (i % count)] ?? 0) + (bias[first + (i % count)] ?? 0),
  );
}

interface FusedSizes {
  readonly batch: number;
  readonly queries: number;
  readonly heads: number;
  /** Widths of Q, K and V in the weights. */
  readonly widths: readonly [number, number, number];
  readonly past: number;
}

function fusedSizes(inputs: readonly Optional<TensorType>[], attrs: InferContext["attrs"]): FusedSizes | Problem {
  const [x = [], w = []] = [inputs[0]?.shape, inputs[1]?.shape];
  const heads = numberOf(attrs, "num_heads");
  if (heads < 1) return problem("attr", `num_heads is ${heads}`);
  const total = w[1] ?? 0;
  const [q = 0, k = 0, v = 0] = optionalNumbers(attrs, "qkv_hidden_sizes") ?? [total / 3, total / 3, total / 3];
  const fits = x.length === 3 && w.length === 2 && x[2] === w[0] && q + k + v === total && q === k;
  if (!fits || [q, k, v].some((n) => n % heads !== 0)) {
    return problem("shape", `input ${shapeText(x)} and weights ${shapeText(w)} do not fit ${heads} heads`);
  }
  return { batch: x[0] ?? 0, queries: x[1] ?? 0, heads, widths: [q, k, v], past: inputs[4]?.shape[3] ?? 0 };
}

const maskOf = (
  ctx: { readonly attrs: InferContext["attrs"] },
  batch: number,
  queries: number,
  past: number,
  keys: number,
): KeyMask => ({
  batch,
  queries,
  keys,
  past,
  causal: numberOf(ctx.attrs, "unidirectional") === 1,
  filter: numberOf(ctx.attrs, "mask_filter_value"),
});

function inferFused(ctx: InferContext): Inferred {
  const s = fusedSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return s;
  for (const name of ["do_rotary", "past_present_share_buffer"]) {
    if (numberOf(ctx.attrs, name) === 1) return problem("unsupported", `attribute ${name}=1`);
  }
  if ((ctx.inputs[6] ?? null) !== null) return problem("unsupported", "input past_sequence_length");
  const keys = s.past + s.queries;
  const wrong = maskProblem(ctx.inputs[3], maskOf(ctx, s.batch, s.queries, s.past, keys));
  if (wrong !== undefined) return wrong;
  const { dtype } = typeAt(ctx, 0);
  const [q, , v] = s.widths;
  const present = { dtype, shape: [2, s.batch, s.heads, keys, q / s.heads] };
  return [{ dtype, shape: [s.batch, s.queries, v] }, present];
}

function fusedAttention(ctx: EvaluateContext): TensorValue[] {
  const s = fusedSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return [];
  const [x, w, bias] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const { batch, queries, heads, past } = s;
  const [wq, wk, wv] = s.widths;
  const [size, valueSize, keys] = [wq / heads, wv / heads, past + queries];
  const product = matmulNumbers(numbersOf(x), x.shape, numbersOf(w), w.shape);
  const shift = bias === null ? [] : numbersOf(bias);
  const part = (first: number, count: number): Float64Array =>
    splitHeads(columns(product, wq + wk + wv, first, count, shift), batch, queries, heads);
  const [q, newK, newV] = [part(0, wq), part(wq, wk), part(wq + wk, wv)];
  const old = past === 0 ? new Float64Array(0) : new Float64Array(numbersOf(valueAt(ctx, 4)));
  const k = appendKeys(old.slice(0, old.length / 2), past, newK, queries, size);
  const v = appendKeys(old.slice(old.length / 2), past, newV, queries, valueSize);
  const masked = keyMaskBias(ctx.inputs[3], maskOf(ctx, batch, queries, past, keys));
  const extra = additiveBias(ctx.inputs[5], [batch, heads, queries, keys]);
  const scale = scaleOf(ctx, size);
  const bias4: Bias = (b, h, i, j) => masked(b, h, i, j) + extra(b, h, i, j);
  const { y } = attend({
    batch,
    heads,
    kvHeads: heads,
    queries,
    keys,
    size,
    valueSize,
    scale,
    softcap: 0,
    q,
    k,
    v,
    bias: bias4,
  });
  const results = [joinHeads(y, batch, queries, heads), [...k, ...v]];
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, results[i] ?? []));
}

interface MultiSizes {
  readonly batch: number;
  readonly queries: number;
  readonly added: number;
  readonly past: number;
  readonly heads: number;
  readonly size: number;
  readonly valueSize: number;
  /** "separate": Q, K, V of rank 3. "cached": K and V already [batch, heads, length, size]. "packedKv", "packedQkv": rank 5. */
  readonly layout: "separate" | "cached" | "packedKv" | "packedQkv";
}

function multiSizes(inputs: readonly Optional<TensorType>[], attrs: InferContext["attrs"]): MultiSizes | Problem {
  const [q = [], k = [], v = []] = inputs.slice(0, 3).map((type) => type?.shape ?? []);
  const heads = numberOf(attrs, "num_heads");
  if (heads < 1) return problem("attr", `num_heads is ${heads}`);
  const past = inputs[6]?.shape[2] ?? 0;
  const [batch = 0, queries = 0] = q;
  const wrong = problem(
    "shape",
    `query ${shapeText(q)}, key ${shapeText(k)} and value ${shapeText(v)} do not fit ${heads} heads`,
  );
  if (q.length === 5) {
    if (q[2] !== heads || q[3] !== 3) return wrong;
    const size = q[4] ?? 0;
    return { batch, queries, added: queries, past, heads, size, valueSize: size, layout: "packedQkv" };
  }
  const size = (q[2] ?? 0) / heads;
  if (q.length !== 3 || !Number.isInteger(size)) return wrong;
  if (k.length === 5 && (k[2] !== heads || k[3] !== 2 || k[4] !== size)) return wrong;
  if (k.length === 5)
    return { batch, queries, added: k[1] ?? 0, past, heads, size, valueSize: size, layout: "packedKv" };
  if (k.length === 4 && v.length === 4 && k[1] === heads && k[3] === size) {
    return { batch, queries, added: k[2] ?? 0, past, heads, size, valueSize: v[3] ?? 0, layout: "cached" };
  }
  const valueSize = (v[2] ?? 0) / heads;
  if (k.length !== 3 || v.length !== 3 || k[2] !== q[2] || k[1] !== v[1] || !Number.isInteger(valueSize)) return wrong;
  return { batch, queries, added: k[1] ?? 0, past, heads, size, valueSize, layout: "separate" };
}

function inferMulti(ctx: InferContext): Inferred {
  const s = multiSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return s;
  const keys = s.past + s.added;
  for (const [index, name] of ["past_sequence_length", "cache_indirection"].entries())
    if ((ctx.inputs[8 + index] ?? null) !== null) return problem("unsupported", `input ${name}`);
  // onnxruntime hides nothing from the last query, which is right where its own key is the last one.
  if (numberOf(ctx.attrs, "unidirectional") === 1 && s.added !== s.queries) {
    return problem("unsupported", `unidirectional=1 with ${s.added} keys for ${s.queries} queries`);
  }
  const wrong = maskProblem(ctx.inputs[4], maskOf(ctx, s.batch, s.queries, s.past, keys));
  if (wrong !== undefined) return wrong;
  const { dtype } = typeAt(ctx, 0);
  return [
    { dtype, shape: [s.batch, s.queries, s.heads * s.valueSize] },
    { dtype, shape: [s.batch, s.heads, keys, s.size] },
    { dtype, shape: [s.batch, s.heads, keys, s.valueSize] },
    { dtype, shape: [s.batch, s.heads, s.queries, keys] },
  ];
}

/** Q, K and V of the new positions as [batch, heads, length, size], biases added. */
function multiParts(ctx: EvaluateContext, s: MultiSizes): readonly [Float64Array, Float64Array, Float64Array] {
  const { batch, queries, added, heads, size, valueSize } = s;
  const bias = ctx.inputs[3] ?? null;
  const shift = bias === null ? [] : Array.from(numbersOf(bias));
  const [q, k, v] = [0, 1, 2].map((i) => ((ctx.inputs[i] ?? null) === null ? [] : numbersOf(valueAt(ctx, i))));
  const width = heads * size;
  const head = (x: ArrayLike<number> = [], length: number, first: number, own: number): Float64Array =>
    splitHeads(columns(x, own, 0, own, shift.slice(first, first + own)), batch, length, heads);
  /** Part `index` of [batch, length, heads, parts, size]. */
  const unpack = (x: ArrayLike<number> = [], parts: number, index: number): Float64Array => {
    const rows = x.length / (parts * size);
    return tabulate(rows * size, (i) => x[(Math.floor(i / size) * parts + index) * size + (i % size)] ?? 0);
  };
  switch (s.layout) {
    case "packedQkv":
      return [
        head(unpack(q, 3, 0), queries, 0, width),
        head(unpack(q, 3, 1), queries, width, width),
        head(unpack(q, 3, 2), queries, 2 * width, width),
      ];
    case "packedKv":
      return [
        head(q, queries, 0, width),
        head(unpack(k, 2, 0), added, width, width),
        head(unpack(k, 2, 1), added, 2 * width, width),
      ];
    case "cached":
      return [head(q, queries, 0, width), new Float64Array(k ?? []), new Float64Array(v ?? [])];
    case "separate":
      return [head(q, queries, 0, width), head(k, added, width, width), head(v, added, 2 * width, heads * valueSize)];
  }
}

function multiHeadAttention(ctx: EvaluateContext): TensorValue[] {
  const s = multiSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return [];
  const { batch, queries, heads, past, added, size, valueSize } = s;
  const keys = past + added;
  const [q, newK, newV] = multiParts(ctx, s);
  const k = past === 0 ? newK : appendKeys(numbersOf(valueAt(ctx, 6)), past, newK, added, size);
  const v = past === 0 ? newV : appendKeys(numbersOf(valueAt(ctx, 7)), past, newV, added, valueSize);
  const masked = keyMaskBias(ctx.inputs[4], maskOf(ctx, batch, queries, past, keys));
  const extra = additiveBias(ctx.inputs[5], [batch, heads, queries, keys]);
  const bias: Bias = (b, h, i, j) => masked(b, h, i, j) + extra(b, h, i, j);
  const scale = scaleOf(ctx, size);
  const { y } = attend({
    batch,
    heads,
    kvHeads: heads,
    queries,
    keys,
    size,
    valueSize,
    scale,
    softcap: 0,
    q,
    k,
    v,
    bias,
  });
  const results = [joinHeads(y, batch, queries, heads), k, v];
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, results[i] ?? []));
}

const sharedAttrs = {
  num_heads: { ...int(), required: true },
  scale: float(),
  unidirectional: int(0),
  mask_filter_value: float(-10000),
} as const;

export const contribAttentionOps = {
  "com.microsoft.Attention": defineOp({
    summary: "self-attention with the projections of Q, K and V in one matrix, a past and key masks",
    inputs: [
      "input: float",
      "weights: input",
      "bias?: input",
      "mask_index?: int32",
      "past?: input",
      "attention_bias?: input",
      "past_sequence_length?: int32",
    ],
    outputs: ["output", "present?"],
    attrs: {
      ...sharedAttrs,
      qkv_hidden_sizes: ints(),
      do_rotary: int(0),
      rotary_embedding_dim: int(0),
      past_present_share_buffer: int(0),
    },
    infer: inferFused,
    evaluate: fusedAttention,
  }),
  "com.microsoft.MultiHeadAttention": defineOp({
    summary: "attention of projected Q, K and V (rank 3, cached rank 4 or packed rank 5), with a past and key masks",
    inputs: [
      "query: float",
      "key?: query",
      "value?: query",
      "bias?: query",
      "key_padding_mask?: int32",
      "attention_bias?: query",
      "past_key?: query",
      "past_value?: query",
      "past_sequence_length?: int32",
      "cache_indirection?: int32",
    ],
    outputs: ["output", "present_key?", "present_value?", "qk?"],
    attrs: sharedAttrs,
    infer: inferMulti,
    evaluate: multiHeadAttention,
  }),
} as const satisfies Record<string, OnnxOpRow>;
