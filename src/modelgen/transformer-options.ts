// What a generated transformer may look like: sizes, and the styles in which exporters write the same computation.
// Pure data with its defaults and checks; knows nothing of ONNX.
import type { ConstantStyle } from "./graph-draft.ts";

export type TransformerOptions = {
  /** A decoder is causal, pre-norm and ends in logits; an encoder is none of these, unless said otherwise below. */
  readonly kind: "encoder" | "decoder";
  readonly layers: number;
  readonly d: number;
  readonly heads: number;
  readonly ffn: number;
  readonly seq: number;
  /** Heads of K and V, a divisor of `heads`; fewer than `heads` is grouped-query attention. */
  readonly kvHeads?: number;
  readonly batch?: number;
  /** Rows of the token table; needed where tokens come in or logits go out. */
  readonly vocab?: number;
  /** `tokens`: int64 `input_ids`. `hidden`: the float tensor `hidden_states`, no embedding. */
  readonly input?: "tokens" | "hidden";
  /** `logits`: a bias-free projection to the vocabulary. `hidden`: `last_hidden_state`. `pooler`: that, and tanh of a projection of the first row. */
  readonly output?: "logits" | "hidden" | "pooler";
  readonly norm?: "layernorm" | "layernorm-decomposed" | "rmsnorm";
  readonly normPlacement?: "pre" | "post";
  readonly activation?: "gelu-erf" | "gelu-tanh" | "relu" | "swiglu";
  readonly positions?: "learned" | "rope" | "none";
  readonly causal?: boolean;
  /** Adds the input `attention_mask` (int64, 1 = attend), turned into a penalty of -10000 as BERT does. */
  readonly attentionMask?: boolean;
  readonly bias?: boolean;
  /** `float16-weights`: the matrices are stored as fp16 and cast to fp32 in the graph. */
  readonly precision?: "float32" | "float16" | "float16-weights";
  /** One projection and a Split, or three projections. */
  readonly qkv?: "separate" | "fused";
  /** `matmul`: MatMul and Add. `gemm`: rows flattened, Gemm with transB. `transposed`: weights stored [out, in], Transpose nodes. */
  readonly linear?: "matmul" | "gemm" | "transposed";
  /** The causal mask selects (Where with minus infinity) or is added (the most negative finite number). */
  readonly maskStyle?: "where" | "add";
  readonly scaleStyle?: "divide-scores" | "multiply-query";
  /** Shapes of Reshape are constants, or are computed by Shape, Gather and Concat chains. */
  readonly shapeStyle?: "constant" | "computed";
  readonly constantStyle?: ConstantStyle;
  readonly seed?: number;
  readonly opset?: number;
};

export type ResolvedOptions = { readonly [Key in keyof TransformerOptions]-?: TransformerOptions[Key] };

/** BERT-base's shape without its embedding tables: 85 M parameters, 340 MB in fp32. */
export const bertBaseOptions: TransformerOptions = {
  kind: "encoder",
  layers: 12,
  d: 768,
  heads: 12,
  ffn: 3072,
  seq: 128,
  input: "hidden",
  output: "hidden",
  norm: "layernorm",
  activation: "gelu-erf",
};

/** A deep and narrow decoder: 96 equal layers. */
export const deepNarrowOptions: TransformerOptions = {
  kind: "decoder",
  layers: 96,
  d: 64,
  heads: 4,
  ffn: 256,
  seq: 16,
  input: "hidden",
  output: "hidden",
};

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive integer, not ${value}`);
}

function checkOptions(options: ResolvedOptions): void {
  const sizes = { layers: options.layers, d: options.d, heads: options.heads, kvHeads: options.kvHeads };
  const rest = { ffn: options.ffn, seq: options.seq, batch: options.batch };
  for (const [name, value] of Object.entries({ ...sizes, ...rest })) requirePositive(name, value);
  if (options.d % options.heads !== 0) throw new RangeError(`heads ${options.heads} does not divide d ${options.d}`);
  if (options.heads % options.kvHeads !== 0) {
    throw new RangeError(`kvHeads ${options.kvHeads} does not divide heads ${options.heads}`);
  }
  if (options.positions === "rope" && (options.d / options.heads) % 2 !== 0) {
    throw new RangeError(`rope needs an even head size, not ${options.d / options.heads}`);
  }
  if (options.input === "tokens" || options.output === "logits") requirePositive("vocab", options.vocab);
  if (options.opset < 13 || options.opset > 17) throw new RangeError(`opset ${options.opset} is outside 13..17`);
  if (options.norm === "layernorm" && options.opset < 17) {
    throw new RangeError(`opset ${options.opset} has no LayerNormalization: use layernorm-decomposed`);
  }
}

/** Fills in every default and refuses what makes no model. */
export function resolveOptions(options: TransformerOptions): ResolvedOptions {
  const isDecoder = options.kind === "decoder";
  const resolved: ResolvedOptions = {
    kvHeads: options.heads,
    batch: 1,
    vocab: 0,
    input: "tokens",
    output: isDecoder ? "logits" : "hidden",
    norm: (options.opset ?? 17) < 17 ? "layernorm-decomposed" : "layernorm",
    normPlacement: isDecoder ? "pre" : "post",
    activation: "gelu-erf",
    positions: "learned",
    causal: isDecoder,
    attentionMask: false,
    bias: true,
    precision: "float32",
    qkv: "separate",
    linear: "matmul",
    maskStyle: "where",
    scaleStyle: "divide-scores",
    shapeStyle: "constant",
    constantStyle: "initialiser",
    seed: 1,
    opset: 17,
    ...options,
  };
  checkOptions(resolved);
  return resolved;
}
