// Attention (opsets 23, 24) and RotaryEmbedding.
import { numberOf, optionalNumber } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { attentionWindow } from "../../ir/graph/ops/attention.ts";
import { add, and, le, lt, sub, toFloat } from "./arith.ts";
import { attend, joinHeads, rotate, splitHeads } from "./attend.ts";
import { type CoreDraft, constantOf, int, isFloat, shapeOf } from "./core-draft.ts";
import { gatherRows } from "./lower-index.ts";
import { iota } from "./lower-views.ts";
import { hasInput, type Lowered, type LoweringTable, optionalInput, type Site, typeAt } from "./site.ts";
import { concat, pad, reshape, withRank } from "./views.ts";

/** The usual scale of scores. Roots of doubles are rounded alike everywhere. */
export function inverseRoot(size: number): number {
  return 1 / Math.sqrt(size);
}

/** j - i for queries i and keys j, [1, 1, S, T]. */
export const distances = (d: CoreDraft, queries: number, keys: number): TensorId =>
  sub(d, iota(d, 4, 3, keys), iota(d, 4, 2, queries));

/** 0 where query i may see key j (first <= j - i <= last), `hidden` elsewhere; undefined where all is seen. */
export function windowBias(
  d: CoreDraft,
  queries: number,
  keys: number,
  window: { readonly first: number; readonly last: number },
  hidden: number,
): TensorId | undefined {
  const values = Array.from({ length: queries * keys }, (_, at) => {
    const distance = (at % keys) - Math.floor(at / keys);
    return distance > window.last || distance < window.first ? hidden : 0;
  });
  return values.every((value) => value === 0) ? undefined : constantOf(d, values, [1, 1, queries, keys]);
}

export const both = (
  d: CoreDraft,
  a: TensorId | undefined,
  b: TensorId | undefined,
  join: (d: CoreDraft, a: TensorId, b: TensorId) => TensorId,
): TensorId | undefined => (a === undefined ? b : b === undefined ? a : join(d, a, b));

interface Mask {
  readonly bias: TensorId | undefined;
  readonly visible: TensorId | undefined;
}

/** The mask input: flags or an addend; keys beyond a short one are hidden. */
function maskOf(d: CoreDraft, site: Site, keys: number): Mask {
  if (!hasInput(site, 3)) return { bias: undefined, visible: undefined };
  const given = withRank(d, site.input(3), 4);
  const flags = typeAt(site, 3).dtype === "bool";
  const mask = flags || isFloat(d, given) ? given : toFloat(d, given);
  const missing = keys - (shapeOf(d, mask)[3] ?? 0);
  const full =
    (shapeOf(d, mask)[3] ?? 0) === 1 && keys > 1
      ? mask
      : pad(d, mask, [0, 0, 0, 0], [0, 0, 0, missing], flags ? 0 : -Infinity);
  return flags ? { bias: undefined, visible: full } : { bias: full, visible: undefined };
}

/** What is_causal, the window and nonpad_kv_seqlen hide. */
function hidingOf(d: CoreDraft, site: Site, queries: number, keys: number, past: number): Mask {
  const { left, right } = attentionWindow(site.attrs);
  const lengths = optionalInput(site, 6);
  if (lengths === undefined) {
    const window = { first: past - left, last: past + right };
    return { bias: windowBias(d, queries, keys, window, -Infinity), visible: undefined };
  }
  const length = reshape(d, lengths, [shapeOf(d, lengths)[0] ?? 1, 1, 1, 1]);
  let visible = lt(d, iota(d, 4, 3, keys), length);
  const distance = distances(d, queries, keys);
  if (right < keys) visible = and(d, visible, le(d, distance, add(d, length, int(d, right - queries))));
  if (left < keys) visible = and(d, visible, le(d, add(d, length, int(d, -left - queries)), distance));
  return { bias: undefined, visible };
}

function attention(d: CoreDraft, site: Site): Lowered {
  const packed = typeAt(site, 0).shape.length === 3;
  const heads = (index: number, name: string): TensorId =>
    packed ? splitHeads(d, site.input(index), optionalNumber(site.attrs, name) ?? 1) : site.input(index);
  const q = heads(0, "q_num_heads");
  const withPast = (added: TensorId, index: number): TensorId =>
    hasInput(site, index) ? concat(d, [site.input(index), added], 2) : added;
  const k = withPast(heads(1, "kv_num_heads"), 4);
  const v = withPast(heads(2, "kv_num_heads"), 5);
  const [, , queries = 1, size = 1] = shapeOf(d, q);
  const keys = shapeOf(d, k)[2] ?? 1;
  const mask = maskOf(d, site, keys);
  const hiding = hidingOf(d, site, queries, keys, hasInput(site, 4) ? (typeAt(site, 4).shape[2] ?? 0) : 0);
  const { y, stages } = attend(d, {
    q,
    k,
    v,
    scale: optionalNumber(site.attrs, "scale") ?? inverseRoot(size),
    softcap: numberOf(site.attrs, "softcap"),
    bias: both(d, mask.bias, hiding.bias, add),
    visible: both(d, mask.visible, hiding.visible, and),
    mayHideAll: hasInput(site, 3) || hasInput(site, 6) || hiding.bias !== undefined,
    sink: undefined,
  });
  const stage = stages[numberOf(site.attrs, "qk_matmul_output_mode")] ?? stages[0];
  return [packed ? joinHeads(d, y) : y, k, v, site.wanted[3] === true ? stage : null];
}

function rotaryEmbedding(d: CoreDraft, site: Site): Lowered {
  const packed = typeAt(site, 0).shape.length === 3;
  const x = packed ? splitHeads(d, site.input(0), numberOf(site.attrs, "num_heads")) : site.input(0);
  const ids = optionalInput(site, 3);
  const angles = (index: number): TensorId => {
    const table = site.input(index);
    const rows = ids === undefined ? table : gatherRows(d, table, ids, 0);
    const [batch = 1, length = 1, half = 1] = shapeOf(d, rows);
    return reshape(d, rows, [batch, 1, length, half]);
  };
  const turned = rotate(d, x, angles(1), angles(2), numberOf(site.attrs, "interleaved") === 1);
  return packed ? joinHeads(d, turned) : turned;
}

export const attentionLowerings: LoweringTable = {
  Attention: attention,
  RotaryEmbedding: rotaryEmbedding,
};
