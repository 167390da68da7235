// Grouped-query attention with its cache, and rotary embedding, of com.microsoft.
import { float, int, numberOf, optionalNumber, string } from "../attr.ts";
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
import {
  countOf,
  intsOf,
  numbersOf,
  type TensorType,
  type TensorValue,
  tabulate,
  valueFromNumbers,
} from "../values.ts";
import { attend, joinHeads, splitHeads } from "./attend.ts";
import { type Rotation, rotate } from "./attention.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";

interface GroupSizes {
  readonly batch: number;
  readonly queries: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly size: number;
  readonly past: number;
  /** K and V follow Q inside the query. */
  readonly packed: boolean;
}

function groupSizes(
  inputs: readonly (TensorType | null | undefined)[],
  attrs: InferContext["attrs"],
): GroupSizes | Problem {
  const [q = [], k, v] = [inputs[0]?.shape, inputs[1]?.shape, inputs[2]?.shape];
  const [heads, kvHeads] = [numberOf(attrs, "num_heads"), numberOf(attrs, "kv_num_heads")];
  const packed = k === undefined;
  if (heads < 1 || kvHeads < 1) return problem("attr", `num_heads is ${heads}, kv_num_heads ${kvHeads}`);
  const size = (q[2] ?? 0) / (packed ? heads + 2 * kvHeads : heads);
  const fits = packed || (k[2] === kvHeads * size && v?.[2] === kvHeads * size && k[1] === q[1] && v?.[1] === q[1]);
  if (q.length !== 3 || heads % kvHeads !== 0 || !Number.isInteger(size) || !fits) {
    return problem(
      "shape",
      `query ${shapeText(q)} and key ${shapeText(k ?? [])} do not fit ${heads} and ${kvHeads} heads`,
    );
  }
  return { batch: q[0] ?? 0, queries: q[1] ?? 0, heads, kvHeads, size, past: inputs[3]?.shape[2] ?? 0, packed };
}

/**
 * The present holds max(past, total) entries when the total is a constant. When it is computed from run-time data, every sample's past is
 * taken to be full, and the new entries follow it.
 */
function presentLength(ctx: InferContext, s: GroupSizes): number {
  const total = ctx.constant(6);
  return total === undefined ? s.past + s.queries : Math.max(s.past, intsOf(total)[0] ?? 0);
}

/** Shapes of what stands beside query, key and value. */
function checkGroupInputs(ctx: InferContext, s: GroupSizes): Problem | undefined {
  if (((ctx.inputs[3] ?? null) === null) !== ((ctx.inputs[4] ?? null) === null)) {
    return problem("arity", "past_key and past_value go together");
  }
  const cache = [s.batch, s.kvHeads, s.past, s.size];
  for (const [index, name, needed] of [
    [3, "past_key", cache],
    [4, "past_value", cache],
    [9, "position_ids", [s.batch, s.queries]],
    [11, "head_sink", [s.heads]],
  ] as const) {
    const shape = ctx.inputs[index]?.shape;
    if (shape === undefined || shapeText(shape) === shapeText(needed)) continue;
    return problem("shape", `${name} is ${shapeText(shape)}, needed: ${shapeText(needed)}`);
  }
  const lengths = typeAt(ctx, 5).shape;
  if (countOf(lengths) === s.batch) return undefined;
  return problem("shape", `seqlens_k is ${shapeText(lengths)}, needed: [${s.batch}]`);
}

/** Attributes of the operator that only their defaults are taken of: a quantised cache, and scores as an output. */
const plainGroupAttrs = { k_quant_type: "NONE", v_quant_type: "NONE", kv_cache_bit_width: 0, qk_output: 0 } as const;

function inferGroup(ctx: InferContext): Inferred {
  const s = groupSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return s;
  for (const [name, plain] of Object.entries(plainGroupAttrs)) {
    if (ctx.attrs[name] !== plain) return problem("unsupported", `attribute ${name}=${String(ctx.attrs[name])}`);
  }
  if (ctx.inputs[11] !== undefined && ctx.inputs[11] !== null && numberOf(ctx.attrs, "smooth_softmax") === 1) {
    return problem("unsupported", "smooth_softmax together with head_sink");
  }
  if (
    numberOf(ctx.attrs, "do_rotary") === 1 &&
    ((ctx.inputs[7] ?? null) === null || (ctx.inputs[8] ?? null) === null)
  ) {
    return problem("arity", "do_rotary needs cos_cache and sin_cache");
  }
  const wrong = checkGroupInputs(ctx, s);
  if (wrong !== undefined) return wrong;
  const { dtype } = typeAt(ctx, 0);
  const present = { dtype, shape: [s.batch, s.kvHeads, presentLength(ctx, s), s.size] };
  return [{ dtype, shape: [s.batch, s.queries, s.heads * s.size] }, present, present];
}

/** Columns of a packed query. */
function slice(x: ArrayLike<number>, width: number, first: number, count: number): Float64Array {
  const rows = x.length / width;
  return tabulate(rows * count, (i) => x[Math.floor(i / count) * width + first + (i % count)] ?? 0);
}

function groupParts(ctx: EvaluateContext, s: GroupSizes): readonly [Float64Array, Float64Array, Float64Array] {
  const { batch, queries, heads, kvHeads, size } = s;
  const q = numbersOf(valueAt(ctx, 0));
  const [wide, narrow] = [heads * size, kvHeads * size];
  const parts = s.packed
    ? [
        slice(q, wide + 2 * narrow, 0, wide),
        slice(q, wide + 2 * narrow, wide, narrow),
        slice(q, wide + 2 * narrow, wide + narrow, narrow),
      ]
    : [q, numbersOf(valueAt(ctx, 1)), numbersOf(valueAt(ctx, 2))];
  return [
    splitHeads(parts[0] ?? [], batch, queries, heads),
    splitHeads(parts[1] ?? [], batch, queries, kvHeads),
    splitHeads(parts[2] ?? [], batch, queries, kvHeads),
  ];
}

/** Entries before the new ones: none in a prompt, else what seqlens_k says (it counts all entries, minus one). */
function pastOf(ctx: EvaluateContext, s: GroupSizes): (b: number) => number {
  const lengths = numbersOf(valueAt(ctx, 5));
  const total = numbersOf(valueAt(ctx, 6))[0] ?? 0;
  return (b) => (total === s.queries ? 0 : Math.max(0, (lengths[b] ?? 0) + 1 - s.queries));
}

/** Entries of each sample at the end, as seqlens_k says: what stands behind them is padding and nobody's key. */
function totalOf(ctx: EvaluateContext, s: GroupSizes, pastAt: (b: number) => number): (b: number) => number {
  const lengths = numbersOf(valueAt(ctx, 5));
  return (b) => Math.min((lengths[b] ?? 0) + 1, pastAt(b) + s.queries);
}

/** The cache with the new entries written after each sample's past; behind them it is 0, whatever stood there. */
function present(
  old: TensorValue | null,
  added: Float64Array,
  s: GroupSizes,
  length: number,
  pastAt: (b: number) => number,
): Float64Array {
  const { batch, kvHeads, queries, size } = s;
  const source = old === null ? [] : numbersOf(old);
  const result = new Float64Array(batch * kvHeads * length * size);
  for (let plane = 0; plane < batch * kvHeads; plane++) {
    const past = pastAt(Math.floor(plane / kvHeads));
    for (let t = 0; t < length; t++) {
      const isNew = t >= past && t < past + queries;
      for (let i = 0; i < size; i++) {
        const from = isNew
          ? added[(plane * queries + t - past) * size + i]
          : t < Math.min(past, s.past)
            ? source[(plane * s.past + t) * size + i]
            : 0;
        result[(plane * length + t) * size + i] = from ?? 0;
      }
    }
  }
  return result;
}

function groupQueryAttention(ctx: EvaluateContext): TensorValue[] {
  const s = groupSizes(ctx.inputs, ctx.attrs);
  if (isProblem(s)) return [];
  const [rawQ, rawK, newV] = groupParts(ctx, s);
  const pastAt = pastOf(ctx, s);
  const turn = (x: Float64Array, heads: number): Float64Array =>
    numberOf(ctx.attrs, "do_rotary") === 1 ? turned(ctx, s, x, heads, pastAt) : x;
  const length = ctx.outputs[1]?.shape[2] ?? s.past + s.queries;
  const k = present(ctx.inputs[3] ?? null, turn(rawK, s.kvHeads), s, length, pastAt);
  const v = present(ctx.inputs[4] ?? null, newV, s, length, pastAt);
  const window = numberOf(ctx.attrs, "local_window_size");
  const totalAt = totalOf(ctx, s, pastAt);
  const extra = ctx.inputs[10] ?? null;
  const [sb = 0, sh = 0, si = 0, sj = 0] =
    extra === null ? [] : broadcastStrides(extra.shape, [s.batch, s.heads, s.queries, extra.shape[3] ?? 1]);
  const shift = extra === null ? [] : numbersOf(extra);
  const scale = optionalNumber(ctx.attrs, "scale") ?? 0;
  const sinks = ctx.inputs[11] ?? null;
  const smooth = numberOf(ctx.attrs, "smooth_softmax") === 1;
  const sink = sinks === null ? undefined : numbersOf(sinks);
  const { y } = attend({
    ...s,
    keys: length,
    valueSize: s.size,
    scale: scale === 0 ? 1 / Math.sqrt(s.size) : scale,
    softcap: numberOf(ctx.attrs, "softcap"),
    q: turn(rawQ, s.heads),
    k,
    v,
    bias: (b, h, i, j) => {
      const at = pastAt(b) + i;
      if (j > at || j >= totalAt(b) || (window > 0 && j <= at - window)) return -Infinity;
      return shift[b * sb + h * sh + i * si + j * sj] ?? 0;
    },
    ...(sink !== undefined ? { sink: (h: number) => sink[h] ?? -Infinity } : smooth ? { sink: () => 0 } : {}),
  });
  const results = [joinHeads(y, s.batch, s.queries, s.heads), k, v];
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, results[i] ?? []));
}

/** Q or K turned by the angles of their positions: given, or counted from the end of the past. */
function turned(
  ctx: EvaluateContext,
  s: GroupSizes,
  x: Float64Array,
  heads: number,
  pastAt: (b: number) => number,
): Float64Array {
  const [cos, sin, ids] = [valueAt(ctx, 7), valueAt(ctx, 8), ctx.inputs[9] ?? null];
  const half = cos.shape[1] ?? 0;
  const positions = ids === null ? undefined : numbersOf(ids);
  const rotation: Rotation = {
    batch: s.batch,
    sequence: s.queries,
    heads,
    size: s.size,
    rotary: 2 * half,
    interleaved: numberOf(ctx.attrs, "rotary_interleaved") === 1,
    row: (b, t) => (positions?.[b * s.queries + t] ?? pastAt(b) + t) * half,
  };
  return rotate(x, numbersOf(cos), numbersOf(sin), rotation);
}

function inferRotary(ctx: InferContext): Inferred {
  const [x, ids, cos] = [typeAt(ctx, 0), typeAt(ctx, 1), typeAt(ctx, 2)];
  const rotary = 2 * (cos.shape[1] ?? 0);
  const size = headSize(x.shape, rotary, ctx.attrs);
  const width = x.shape.length === 4 ? (x.shape[3] ?? 0) : (x.shape[2] ?? 0);
  if (![3, 4].includes(x.shape.length) || size < rotary || width % size !== 0) {
    return problem("shape", `input ${shapeText(x.shape)} does not fit ${rotary / 2} angles a position`);
  }
  const sequence = x.shape.length === 4 ? x.shape[2] : x.shape[1];
  const perToken = shapeText(ids.shape) === shapeText([x.shape[0] ?? 0, sequence ?? 0]);
  if (!perToken && shapeText(ids.shape) !== "[1]") return problem("shape", `position_ids ${shapeText(ids.shape)}`);
  return [x];
}

/** Rank 4 shows it; else num_heads does; else every element of a head turns. */
function headSize(shape: readonly number[], rotary: number, attrs: InferContext["attrs"]): number {
  if (shape.length === 4) return shape[3] ?? 0;
  const heads = numberOf(attrs, "num_heads");
  return heads > 0 ? (shape[2] ?? 0) / heads : rotary;
}

function rotaryEmbedding(ctx: EvaluateContext): TensorValue {
  const [x, ids, cos, sin] = [valueAt(ctx, 0), valueAt(ctx, 1), valueAt(ctx, 2), valueAt(ctx, 3)];
  const half = cos.shape[1] ?? 0;
  const size = headSize(x.shape, 2 * half, ctx.attrs);
  const flat = x.shape.length === 3;
  const [batch = 0, second = 0, third = 0] = x.shape;
  const [sequence, heads] = flat ? [second, third / size] : [third, second];
  const positions = numbersOf(ids);
  const rotation: Rotation = {
    batch,
    sequence,
    heads,
    size,
    rotary: 2 * half,
    interleaved: numberOf(ctx.attrs, "interleaved") === 1,
    row: (b, s) => (ids.shape.length === 1 ? (positions[0] ?? 0) + s : (positions[b * sequence + s] ?? 0)) * half,
  };
  const source = flat ? splitHeads(numbersOf(x), batch, sequence, heads) : numbersOf(x);
  const result = rotate(source, numbersOf(cos), numbersOf(sin), rotation);
  const out = outputAt(ctx);
  return valueFromNumbers(out.dtype, out.shape, flat ? joinHeads(result, batch, sequence, heads) : result);
}

export const contribDecoderOps = {
  "com.microsoft.GroupQueryAttention": defineOp({
    summary: "causal attention with shared K and V heads, a cache, rotary embedding, a window and softcap",
    inputs: [
      "query: float",
      "key?: query",
      "value?: query",
      "past_key?: query",
      "past_value?: query",
      "seqlens_k: int32",
      "total_sequence_length: int32 single",
      "cos_cache?: query",
      "sin_cache?: query",
      "position_ids?: int64",
      "attention_bias?: query",
      "head_sink?: query",
    ],
    outputs: ["output", "present_key?", "present_value?"],
    attrs: {
      num_heads: { ...int(), required: true },
      kv_num_heads: { ...int(), required: true },
      scale: float(),
      softcap: float(0),
      local_window_size: int(-1),
      do_rotary: int(0),
      rotary_interleaved: int(0),
      smooth_softmax: int(0),
      k_quant_type: string("NONE"),
      v_quant_type: string("NONE"),
      kv_cache_bit_width: int(0),
      qk_output: int(0),
    },
    infer: inferGroup,
    evaluate: groupQueryAttention,
  }),
  "com.microsoft.RotaryEmbedding": defineOp({
    summary: "pairs of elements of each head turned by the angles of their position",
    inputs: ["input: float", "position_ids: int64", "cos_cache: input", "sin_cache: input"],
    outputs: ["output"],
    attrs: {
      interleaved: int(0),
      num_heads: int(0),
      rotary_embedding_dim: int(0),
      scale: float(1),
      is_packed_batching: int(0),
    },
    infer: (ctx) =>
      numberOf(ctx.attrs, "is_packed_batching") === 1
        ? problem("unsupported", "attribute is_packed_batching=1")
        : inferRotary(ctx),
    evaluate: (ctx) => [rotaryEmbedding(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
