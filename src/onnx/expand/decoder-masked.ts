// com.microsoft's attention of one new token over a cache, written out as attention of heads: with a cache that grows, one of fixed size, or one of
// an encoder.
import { float, int, numberOf } from "../../../ir/graph/attr.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { shapeText } from "../../../ir/graph/shapes.ts";
import { sliceOf } from "./functions.ts";
import {
  type ExpandCall,
  type Expansion,
  type ExpansionTable,
  type Made,
  tooManyNumbers,
  type Writer,
} from "./writer.ts";

type Given = Made | null;

/** What a key gets that is not there yet: the lowest float32, so that a row with nothing to see stays finite. */
const LOWEST = -3.4028234663852886e38;

interface Token {
  readonly query: Made;
  readonly key: Made;
  readonly value: Made;
}

/** Query, key and value of the new token with their biases; key and value of rank 4 are an encoder's and have none. */
function tokenOf(w: Writer, { inputs }: ExpandCall, bias: Given): Token | Problem {
  const [query, key, value] = inputs;
  const width = w.shape(query)[2] ?? 0;
  if ((key ?? null) === null) {
    const size = Math.floor(width / 3);
    if (size * 3 !== width)
      return problem("shape", `query ${shapeText(w.shape(query))} is not Q, K and V side by side`);
    const whole = bias === null || bias === undefined ? query : w.op("Add", [query, bias]);
    const part = (at: number): Made => sliceOf(w, whole ?? undefined, 2, at * size, (at + 1) * size);
    return { query: part(0), key: part(1), value: part(2) };
  }
  let used = 0;
  const biased = (x: Given): Made => {
    const own = w.shape(x)[2] ?? 0;
    const from = used;
    used += own;
    if (bias === null || bias === undefined || w.shape(x).length !== 3) return x ?? undefined;
    return w.op("Add", [x, sliceOf(w, bias, 0, from, from + own)]);
  };
  return { query: biased(query), key: biased(key), value: biased(value) };
}

/** [B, 1, heads * size] as [B, heads, 1, size]. */
function headsOf(w: Writer, x: Made, heads: number): Made {
  const [batch = 1, , width = 1] = w.shape(x);
  return w.op("Reshape", [x, w.ints(batch, heads, 1, width / heads)]);
}

/** A cache of fixed size: the new entry is written at the past's end, and what lies behind it is hidden. */
function overBuffer(w: Writer, call: ExpandCall, token: Token): readonly Made[] | Problem {
  const [, , , mask, bias, pastKey, pastValue, length] = call.inputs;
  const heads = numberOf(call.attrs, "num_heads");
  const [batch = 1, , room = 0] = w.shape(pastKey);
  if ((length ?? null) === null) return problem("arity", "past_present_share_buffer needs past_sequence_length");
  if (mask !== null && mask !== undefined && w.shape(mask)[1] !== room)
    return problem("unsupported", `mask_index ${shapeText(w.shape(mask))} for a cache of ${room}`);
  if (bias !== null && bias !== undefined && ![1, room].includes(w.shape(bias)[3] ?? 0))
    return problem("unsupported", `attention_bias ${shapeText(w.shape(bias))} for a cache of ${room}`);
  const many = tooManyNumbers(room, "places of a cache");
  if (many !== undefined) return many;
  const end = w.op("Reshape", [w.op("Cast", [length], { to: "int64" }), w.ints(1)]);
  const at = w.op("Expand", [end, w.ints(batch)]);
  const written = (past: Given, x: Made): Made =>
    w.op("TensorScatter", [past, headsOf(w, x, heads), at], { axis: 2, mode: "linear" });
  const [key, value] = [written(pastKey, token.key), written(pastValue, token.value)];
  const places = w.numbers(
    "int64",
    [1, 1, 1, room],
    Array.from({ length: room }, (_, i) => i),
  );
  const behind = w.op("Where", [w.op("Greater", [places, end]), w.like(token.query, LOWEST), w.like(token.query, 0)]);
  const extra = bias === null || bias === undefined ? behind : w.op("Add", [bias, behind]);
  const { scale, mask_filter_value, num_heads } = call.attrs;
  const attrs = { num_heads: num_heads ?? heads, mask_filter_value: mask_filter_value ?? -10000 };
  const made = w.op("com.microsoft.MultiHeadAttention", [token.query, key, value, null, mask ?? null, extra], {
    ...attrs,
    ...(scale === undefined ? {} : { scale }),
  });
  return [made, key, value];
}

const multiHead: Expansion = {
  summary: "attention of one new token over a cache that grows, one of fixed size, or an encoder's keys and values",
  inputs: [
    "query: float",
    "key?: query",
    "value?: query",
    "mask_index?: int32",
    "attention_bias?: query",
    "past_key?: query",
    "past_value?: query",
    "past_sequence_length?: int32 single",
    "beam_width?: int32",
    "cache_indirection?: int32",
    "bias?: query",
  ],
  outputs: ["output", "present_key?", "present_value?", "qk?"],
  attrs: {
    num_heads: { ...int(), required: true },
    scale: float(),
    mask_filter_value: float(-10000),
    past_present_share_buffer: int(0),
    output_qk: int(0),
  },
  expand: (w, call) => {
    const { inputs, attrs, outputCount } = call;
    const [query, , , mask, extra, pastKey, pastValue, , , beams, bias] = inputs;
    if ((beams ?? null) !== null) return problem("unsupported", "input cache_indirection");
    if (numberOf(attrs, "output_qk") === 1 || outputCount > 3) return problem("unsupported", "output qk");
    if (w.shape(query).length !== 3 || w.shape(query)[1] !== 1)
      return problem("shape", `query is ${shapeText(w.shape(query))}, needed: one token`);
    const heads = numberOf(attrs, "num_heads");
    if (heads < 1 || (w.shape(query)[2] ?? 0) % heads !== 0)
      return problem("shape", `query ${shapeText(w.shape(query))} does not fit ${heads} heads`);
    const token = tokenOf(w, call, bias ?? null);
    if ("problem" in token) return token;
    const isShared = numberOf(attrs, "past_present_share_buffer") === 1 && w.shape(token.key).length === 3;
    if (isShared && (pastKey ?? null) !== null && (pastValue ?? null) !== null) return overBuffer(w, call, token);
    const { scale, mask_filter_value } = attrs;
    const given = { num_heads: heads, mask_filter_value: mask_filter_value ?? -10000 };
    const operands = [token.query, token.key, token.value, null, mask ?? null, extra ?? null, pastKey ?? null];
    return w.ops(
      "com.microsoft.MultiHeadAttention",
      [...operands, pastValue ?? null],
      { ...given, ...(scale === undefined ? {} : { scale }) },
      outputCount,
    );
  },
};

const selfAttention: Expansion = {
  summary: "attention of one new token over a cache that grows, with the projections of Q, K and V in one matrix",
  inputs: [
    "input: float",
    "weights: input",
    "bias: input",
    "mask_index?: int32",
    "past: input",
    "attention_bias?: input",
    "past_sequence_length: int32 single",
    "beam_width?: int32",
    "cache_indirection?: int32",
  ],
  outputs: ["output", "present"],
  attrs: {
    num_heads: { ...int(), required: true },
    scale: float(),
    mask_filter_value: float(-10000),
    past_present_share_buffer: int(0),
    do_rotary: int(0),
  },
  expand: (w, { inputs, attrs, outputCount }) => {
    const [input, weights, bias, mask, past, extra, , , beams] = inputs;
    if ((beams ?? null) !== null) return problem("unsupported", "input cache_indirection");
    if (w.shape(input)[1] !== 1) return problem("shape", `input is ${shapeText(w.shape(input))}, needed: one token`);
    return w.ops("com.microsoft.Attention", [input, weights, bias, mask, past, extra], attrs, outputCount);
  },
};

export const decoderMaskedExpansions: ExpansionTable = {
  "com.microsoft.DecoderMaskedMultiHeadAttention": multiHead,
  "com.microsoft.DecoderMaskedSelfAttention": selfAttention,
};
