// com.microsoft's attention, embedding and fused activation operators.
import { numberOf, optionalNumber, optionalNumbers } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { add, and, eq, le, lt, max, select, sub } from "./arith.ts";
import { attend, joinHeads, rotate, splitHeads } from "./attend.ts";
import { type CoreDraft, float, int, shapeOf, uniform } from "./core-draft.ts";
import { geluErf, geluTanh, swish } from "./lower-activation.ts";
import { both, distances, inverseRoot, windowBias } from "./lower-attention.ts";
import { gatherRows, writeRows } from "./lower-index.ts";
import { scaled, standardise } from "./lower-norm.ts";
import { projection } from "./lower-qdq.ts";
import { sumOver } from "./lower-reduce.ts";
import { iota } from "./lower-views.ts";
import {
  constantNumbers,
  hasInput,
  type Lowered,
  type LoweringTable,
  optionalInput,
  type Site,
  typeAt,
} from "./site.ts";
import { concat, expand, pad, reshape, sliceAxis, unsqueeze, withRank } from "./views.ts";

/** What a causal mask adds in these operators: the lowest float32, so that a line stays finite. */
const LOWEST = -3.4028234663852886e38;

const scaleOf = (site: Site, size: number): number => {
  const scale = optionalNumber(site.attrs, "scale") ?? 0;
  return scale === 0 ? inverseRoot(size) : scale;
};

interface Extent {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly past: number;
}

/** Flags of hidden keys, [B, 1, 1 or S, T], from the forms a mask may have: counts, ends and starts, flags. */
function hiddenKeys(d: CoreDraft, mask: TensorId, e: Extent): TensorId {
  const shape = shapeOf(d, mask);
  const places = iota(d, 4, 3, e.keys);
  if (shape.length === 1) {
    const ends = reshape(d, sliceAxis(d, mask, 0, 0, e.batch), [e.batch, 1, 1, 1]);
    const late = le(d, ends, places);
    if (shape[0] !== 2 * e.batch) return late;
    const starts = reshape(d, sliceAxis(d, mask, 0, e.batch, 2 * e.batch), [e.batch, 1, 1, 1]);
    return max(d, late, lt(d, places, starts));
  }
  const flags = eq(d, mask, int(d, 0));
  return reshape(d, flags, [e.batch, 1, shape.length === 3 ? e.queries : 1, e.keys]);
}

/** Key mask and causality as one addend. */
function keyBias(d: CoreDraft, site: Site, mask: TensorId | undefined, e: Extent): TensorId | undefined {
  const hidden = mask === undefined ? undefined : hiddenKeys(d, mask, e);
  const keys =
    hidden === undefined
      ? undefined
      : select(d, hidden, float(d, numberOf(site.attrs, "mask_filter_value")), float(d, 0));
  const causal =
    numberOf(site.attrs, "unidirectional") === 1
      ? windowBias(d, e.queries, e.keys, { first: -Infinity, last: e.past }, LOWEST)
      : undefined;
  if (keys === undefined || causal === undefined) return keys ?? causal;
  return select(d, lt(d, causal, float(d, 0)), float(d, LOWEST), keys);
}

function fusedAttention(d: CoreDraft, site: Site): Lowered {
  const heads = numberOf(site.attrs, "num_heads");
  const [batch = 1, queries = 1] = typeAt(site, 0).shape;
  const total = typeAt(site, 1).shape[1] ?? 0;
  const [wq = 0, wk = 0, wv = 0] = optionalNumbers(site.attrs, "qkv_hidden_sizes") ?? [total / 3, total / 3, total / 3];
  const product = projection(d, site);
  const all = hasInput(site, 2) ? add(d, product, site.input(2)) : product;
  const part = (first: number, count: number): TensorId =>
    splitHeads(d, sliceAxis(d, all, 2, first, first + count), heads);
  const past = optionalInput(site, 4);
  const withPast = (added: TensorId, which: 0 | 1): TensorId => {
    if (past === undefined) return added;
    const old = sliceAxis(d, past, 0, which, which + 1);
    return concat(d, [reshape(d, old, shapeOf(d, old).slice(1)), added], 2);
  };
  const [k, v] = [withPast(part(wq, wk), 0), withPast(part(wq + wk, wv), 1)];
  const keys = shapeOf(d, k)[2] ?? queries;
  const e = { batch, queries, keys, past: keys - queries };
  const extra = hasInput(site, 5) ? withRank(d, site.input(5), 4) : undefined;
  const bias = both(d, keyBias(d, site, optionalInput(site, 3), e), extra, add);
  const call = { q: part(0, wq), k, v, scale: scaleOf(site, wq / heads), softcap: 0, bias, visible: undefined };
  const { y } = attend(d, { ...call, mayHideAll: false, sink: undefined });
  const present = site.wanted[1] === true ? concat(d, [unsqueeze(d, k, [0]), unsqueeze(d, v, [0])], 0) : null;
  return [joinHeads(d, y), present];
}

/** Q, K and V of the new positions, [B, heads, length, size], biases added. */
function multiParts(d: CoreDraft, site: Site, heads: number): readonly [TensorId, TensorId, TensorId] {
  const bias = optionalInput(site, 3);
  let used = 0;
  const head = (x: TensorId): TensorId => {
    const width = shapeOf(d, x)[2] ?? 0;
    const shift = bias === undefined ? undefined : sliceAxis(d, bias, 0, used, used + width);
    used += width;
    return splitHeads(d, shift === undefined ? x : add(d, x, shift), heads);
  };
  /** Part `index` of [batch, length, heads, parts, size]. */
  const unpack = (x: TensorId, index: number): TensorId => {
    const [batch = 1, length = 1, own = 1, , size = 1] = shapeOf(d, x);
    return reshape(d, sliceAxis(d, x, 3, index, index + 1), [batch, length, own * size]);
  };
  const query = site.input(0);
  if (shapeOf(d, query).length === 5) return [head(unpack(query, 0)), head(unpack(query, 1)), head(unpack(query, 2))];
  const key = site.input(1);
  if (shapeOf(d, key).length === 5) return [head(query), head(unpack(key, 0)), head(unpack(key, 1))];
  if (shapeOf(d, key).length === 4) return [head(query), key, site.input(2)];
  return [head(query), head(key), head(site.input(2))];
}

function multiHeadAttention(d: CoreDraft, site: Site): Lowered {
  const heads = numberOf(site.attrs, "num_heads");
  const [q, newK, newV] = multiParts(d, site, heads);
  const withPast = (added: TensorId, index: number): TensorId =>
    hasInput(site, index) ? concat(d, [site.input(index), added], 2) : added;
  const [k, v] = [withPast(newK, 6), withPast(newV, 7)];
  const [batch = 1, , queries = 1, size = 1] = shapeOf(d, q);
  const keys = shapeOf(d, k)[2] ?? queries;
  const past = hasInput(site, 6) ? (typeAt(site, 6).shape[2] ?? 0) : 0;
  const extra = hasInput(site, 5) ? withRank(d, site.input(5), 4) : undefined;
  const bias = both(d, keyBias(d, site, optionalInput(site, 4), { batch, queries, keys, past }), extra, add);
  const call = { q, k, v, scale: scaleOf(site, size), softcap: 0, bias, visible: undefined };
  const { y } = attend(d, { ...call, mayHideAll: false, sink: undefined });
  return [joinHeads(d, y), k, v];
}

/** Entries before the new ones, a batch element: none in a prompt, else what seqlens_k says (all entries, minus one). */
function pastLengths(d: CoreDraft, site: Site, queries: number): TensorId {
  const total = constantNumbers(site, 6)?.[0];
  if (total === queries) return int(d, 0);
  const counted = max(
    d,
    add(d, reshape(d, site.input(5), [typeAt(site, 0).shape[0] ?? 1]), int(d, 1 - queries)),
    int(d, 0),
  );
  if (total !== undefined) return counted;
  return select(d, eq(d, reshape(d, site.input(6), [1]), int(d, queries)), int(d, 0), counted);
}

/** [B] or scalar as [B, 1, 1, 1] or [1, 1, 1, 1]. */
const column = (d: CoreDraft, x: TensorId): TensorId => reshape(d, x, [shapeOf(d, x)[0] ?? 1, 1, 1, 1]);

function groupRotary(d: CoreDraft, site: Site, x: TensorId, past: TensorId): TensorId {
  const [batch = 1, , queries = 1] = shapeOf(d, x);
  const counted = add(d, reshape(d, past, [shapeOf(d, past)[0] ?? 1, 1]), iota(d, 2, 1, queries));
  const ids = hasInput(site, 9) ? site.input(9) : counted;
  const rows = (index: number): TensorId => {
    const table = gatherRows(d, site.input(index), ids, 0);
    return reshape(d, table, [shapeOf(d, table)[0] ?? batch, 1, queries, shapeOf(d, table)[2] ?? 1]);
  };
  return rotate(d, x, rows(7), rows(8), numberOf(site.attrs, "rotary_interleaved") === 1);
}

/** The cache, brought to its present length, with the new entries after each sample's past and 0 behind them. */
function presentCache(d: CoreDraft, site: Site, index: number, added: TensorId, past: TensorId): TensorId {
  const [batch = 1, heads = 1, queries = 1, size = 1] = shapeOf(d, added);
  const before = hasInput(site, index) ? (typeAt(site, index).shape[2] ?? 0) : 0;
  const total = constantNumbers(site, 6)?.[0];
  const keys = total === undefined ? before + queries : Math.max(before, total);
  const shape = [batch, heads, keys, size];
  const old = hasInput(site, index) ? site.input(index) : expand(d, float(d, 0), [batch, heads, 0, size]);
  const missing = keys - (shapeOf(d, old)[2] ?? 0);
  const room = missing > 0 ? pad(d, old, [0, 0, 0, 0], [0, 0, missing, 0], 0) : old;
  const isOld = lt(d, iota(d, 4, 2, keys), column(d, past));
  const kept = uniform(d, past) === 0 ? expand(d, float(d, 0), shape) : select(d, isOld, room, float(d, 0));
  return expand(d, writeRows(d, kept, added, past, 2, false), shape);
}

/** 1 where a key lies at or before its query, and inside the window. */
function groupVisible(d: CoreDraft, site: Site, queries: number, keys: number, past: TensorId): TensorId {
  const ahead = sub(d, distances(d, queries, keys), column(d, past));
  const window = numberOf(site.attrs, "local_window_size");
  const counted = reshape(d, site.input(5), [typeAt(site, 0).shape[0] ?? 1]);
  const isEntry = le(d, iota(d, 4, 3, keys), column(d, counted));
  const early = and(d, le(d, ahead, int(d, 0)), isEntry);
  return window > 0 ? and(d, early, lt(d, int(d, -window), ahead)) : early;
}

function groupQueryAttention(d: CoreDraft, site: Site): Lowered {
  const [heads, kvHeads] = [numberOf(site.attrs, "num_heads"), numberOf(site.attrs, "kv_num_heads")];
  const query = site.input(0);
  const [, queries = 1, width = 1] = shapeOf(d, query);
  const packed = !hasInput(site, 1);
  const size = width / (packed ? heads + 2 * kvHeads : heads);
  const cut = (from: number, count: number): TensorId => sliceAxis(d, query, 2, from * size, (from + count) * size);
  const rawQ = splitHeads(d, packed ? cut(0, heads) : query, heads);
  const rawK = splitHeads(d, packed ? cut(heads, kvHeads) : site.input(1), kvHeads);
  const newV = splitHeads(d, packed ? cut(heads + kvHeads, kvHeads) : site.input(2), kvHeads);
  const known = pastLengths(d, site, queries);
  const past = reshape(d, known, [shapeOf(d, known)[0] ?? 1]);
  const turn = (x: TensorId): TensorId => (numberOf(site.attrs, "do_rotary") === 1 ? groupRotary(d, site, x, past) : x);
  const k = presentCache(d, site, 3, turn(rawK), past);
  const v = presentCache(d, site, 4, newV, past);
  const keys = shapeOf(d, k)[2] ?? 1;
  const sink = hasInput(site, 11)
    ? reshape(d, site.input(11), [1, heads, 1, 1])
    : numberOf(site.attrs, "smooth_softmax") === 1
      ? float(d, 0)
      : undefined;
  const { y } = attend(d, {
    q: turn(rawQ),
    k,
    v,
    scale: scaleOf(site, size),
    softcap: numberOf(site.attrs, "softcap"),
    bias: hasInput(site, 10) ? withRank(d, site.input(10), 4) : undefined,
    visible: groupVisible(d, site, queries, keys, past),
    mayHideAll: false,
    sink,
  });
  return [joinHeads(d, y), k, v];
}

function contribRotary(d: CoreDraft, site: Site): Lowered {
  const { shape } = typeAt(site, 0);
  const half = typeAt(site, 2).shape[1] ?? 0;
  const heads = numberOf(site.attrs, "num_heads");
  const flat = shape.length === 3;
  const size = flat ? (heads > 0 ? (shape[2] ?? 0) / heads : 2 * half) : (shape[3] ?? 0);
  const x = flat ? splitHeads(d, site.input(0), (shape[2] ?? 0) / size) : site.input(0);
  const [, , length = 1] = shapeOf(d, x);
  const given = site.input(1);
  const ids = shapeOf(d, given).length === 1 ? add(d, reshape(d, given, [1, 1]), iota(d, 2, 1, length)) : given;
  const rows = (index: number): TensorId => {
    const table = gatherRows(d, site.input(index), ids, 0);
    return reshape(d, table, [shapeOf(d, table)[0] ?? 1, 1, length, half]);
  };
  const turned = rotate(d, x, rows(2), rows(3), numberOf(site.attrs, "interleaved") === 1);
  return flat ? joinHeads(d, turned) : turned;
}

function embedLayerNormalization(d: CoreDraft, site: Site): Lowered {
  const [batch = 1, length = 1] = typeAt(site, 0).shape;
  const words = gatherRows(d, site.input(2), site.input(0), 0);
  const places = optionalInput(site, 8) ?? iota(d, 2, 1, length);
  let sum = add(d, words, gatherRows(d, site.input(3), places, 0));
  const table = optionalInput(site, 4);
  if (table !== undefined) {
    const segments = optionalInput(site, 1);
    const row = segments === undefined ? sliceAxis(d, table, 0, 0, 1) : gatherRows(d, table, segments, 0);
    sum = add(d, sum, row);
  }
  const { y } = standardise(d, sum, [2], numberOf(site.attrs, "epsilon"));
  const mask = optionalInput(site, 7);
  const counts =
    mask === undefined ? expand(d, int(d, 0), [batch]) : reshape(d, sumOver(d, eq(d, mask, int(d, 1)), [1]), [batch]);
  return [scaled(d, y, site.input(5), site.input(6)), counts, sum];
}

function biased(d: CoreDraft, site: Site): TensorId {
  const bias = optionalInput(site, 1);
  return bias === undefined ? site.input(0) : add(d, site.input(0), bias);
}

export const contribLowerings: LoweringTable = {
  "com.microsoft.Attention": fusedAttention,
  "com.microsoft.MultiHeadAttention": multiHeadAttention,
  "com.microsoft.GroupQueryAttention": groupQueryAttention,
  "com.microsoft.RotaryEmbedding": contribRotary,
  "com.microsoft.EmbedLayerNormalization": embedLayerNormalization,
  "com.microsoft.Gelu": (d, site) => geluErf(d, site.input(0)),
  "com.microsoft.BiasGelu": (d, site) => geluErf(d, biased(d, site)),
  "com.microsoft.FastGelu": (d, site) => geluTanh(d, biased(d, site)),
  "com.microsoft.QuickGelu": (d, site) => swish(d, site.input(0), numberOf(site.attrs, "alpha")),
};
