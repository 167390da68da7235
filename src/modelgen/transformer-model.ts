// Whole generated models for tests and benchmarks: transformers of any size and style, one matmul, one feed-forward
// block. Every weight is seeded; the same options always give the same bytes. Knows nothing of files.
import { addAttention, addSharedInputs, type SharedInputs } from "./attention.ts";
import { addInts, addNode, createDraft, finishOutput, type GraphDraft } from "./graph-draft.ts";
import { activationType, addFeedForward, addLinear, addLookup, addNorm, type Drafting } from "./layer-parts.ts";
import { type ExternalModel, encodeExternalModel, encodeModel, type ModelMetadata } from "./model-bytes.ts";
import { tensorSeed } from "./tensor-spec.ts";
import { type ResolvedOptions, resolveOptions, type TransformerOptions } from "./transformer-options.ts";

const IR_VERSION = 8;

function addEmbedding(drafting: Drafting): string {
  const { draft, options } = drafting;
  const { batch, seq, d } = options;
  const scope = "/embeddings";
  if (options.input === "hidden") {
    draft.inputs.push({ name: "hidden_states", type: activationType(options), dims: [batch, seq, d] });
    return "hidden_states";
  }
  draft.inputs.push({ name: "input_ids", type: "int64", dims: [batch, seq] });
  const tokens = addLookup(drafting, `${scope}/tokens`, "input_ids", options.vocab, d);
  if (options.positions !== "learned") return tokens;
  const indices = addInts(
    draft,
    `${scope}/positions`,
    Array.from({ length: seq }, (_, position) => position),
  );
  const positions = addLookup(drafting, `${scope}/positions`, indices, seq, d);
  return addNode(draft, scope, "Add", [tokens, positions]);
}

function addLayer(drafting: Drafting, index: number, value: string, shared: SharedInputs): string {
  const { draft, options } = drafting;
  const scope = `/layers.${index}`;
  if (options.normPlacement === "pre") {
    const normal = addNorm(drafting, `${scope}/norm1`, value);
    const middle = addNode(draft, scope, "Add", [value, addAttention(drafting, `${scope}/attention`, normal, shared)]);
    const inner = addFeedForward(drafting, `${scope}/ffn`, addNorm(drafting, `${scope}/norm2`, middle));
    return addNode(draft, scope, "Add", [middle, inner]);
  }
  const sum = addNode(draft, scope, "Add", [addAttention(drafting, `${scope}/attention`, value, shared), value]);
  const middle = addNorm(drafting, `${scope}/norm1`, sum);
  const total = addNode(draft, scope, "Add", [addFeedForward(drafting, `${scope}/ffn`, middle), middle]);
  return addNorm(drafting, `${scope}/norm2`, total);
}

function addOutputs(drafting: Drafting, value: string): void {
  const { draft, options } = drafting;
  const { batch, seq, d, vocab } = options;
  const type = activationType(options);
  if (options.output === "logits") {
    const logits = addLinear(drafting, "/head", value, { inputs: d, outputs: vocab, bias: false });
    finishOutput(draft, logits, { name: "logits", type, dims: [batch, seq, vocab] });
    return;
  }
  const pooled = options.output === "pooler" ? addPooler(drafting, value) : undefined;
  finishOutput(draft, value, { name: "last_hidden_state", type, dims: [batch, seq, d] });
  if (pooled !== undefined) finishOutput(draft, pooled, { name: "pooler_output", type, dims: [batch, d] });
}

/** tanh(W x[:, 0] + b), always as Gemm: the row is already flat. */
function addPooler(drafting: Drafting, value: string): string {
  const { draft, options } = drafting;
  const scope = "/pooler";
  const bounds = [[0], [1], [1]].map((ints) => addInts(draft, scope, ints));
  const first = addNode(draft, scope, "Slice", [value, ...bounds]);
  const flat: Drafting = { draft, options: { ...options, seq: 1, linear: options.linear } };
  const dense = addLinear(flat, scope, first, { inputs: options.d, outputs: options.d, bias: true });
  const row = addNode(draft, scope, "Squeeze", [dense, addInts(draft, scope, [1])]);
  return addNode(draft, scope, "Tanh", [row]);
}

function transformerDraft(options: ResolvedOptions): GraphDraft {
  const drafting: Drafting = { draft: createDraft(options.constantStyle), options };
  let value = addEmbedding(drafting);
  const shared = addSharedInputs(drafting);
  for (let layer = 0; layer < options.layers; layer += 1) value = addLayer(drafting, layer, value, shared);
  if (options.normPlacement === "pre") value = addNorm(drafting, "/norm", value);
  addOutputs(drafting, value);
  return drafting.draft;
}

function metadata(options: ResolvedOptions): ModelMetadata {
  return { name: `${options.kind}-${options.layers}x${options.d}`, opset: options.opset, irVersion: IR_VERSION };
}

/** The model with its weights inside: one buffer, filled in place. */
export function transformerModel(options: TransformerOptions): Uint8Array {
  const resolved = resolveOptions(options);
  return encodeModel(transformerDraft(resolved), metadata(resolved));
}

/** The model with its large weights in a file `location`; a caller that wants shapes only never asks for the chunks. */
export function externalTransformerModel(options: TransformerOptions, location: string): ExternalModel {
  const resolved = resolveOptions(options);
  return encodeExternalModel(transformerDraft(resolved), metadata(resolved), location);
}

export type MatmulOptions = {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly precision?: "float32" | "float16";
  /** The second operand is an initialiser (a weight) or an input (an activation). */
  readonly rhs?: "weight" | "input";
  readonly seed?: number;
};

/** y[m, n] = a[m, k] times b[k, n]. */
export function matmulModel(options: MatmulOptions): Uint8Array {
  const { m, k, n } = options;
  const type = options.precision ?? "float32";
  const draft = createDraft("initialiser");
  draft.inputs.push({ name: "a", type, dims: [m, k] });
  if (options.rhs === "input") {
    draft.inputs.push({ name: "b", type, dims: [k, n] });
  } else {
    const seed = tensorSeed(options.seed ?? 1, "b");
    const content = { kind: "random", seed, amplitude: Math.sqrt(3 / k), centre: 0 } as const;
    draft.tensors.push({ name: "b", type, dims: [k, n], content });
  }
  finishOutput(draft, addNode(draft, "", "MatMul", ["a", "b"]), { name: "y", type, dims: [m, n] });
  return encodeModel(draft, { name: `matmul-${m}x${k}x${n}`, opset: 17, irVersion: IR_VERSION });
}

export type FfnOptions = Pick<TransformerOptions, "activation" | "bias" | "precision" | "linear" | "seed"> & {
  readonly rows: number;
  readonly d: number;
  readonly ffn: number;
};

/** y[1, rows, d] = the feed-forward block of a layer on x[1, rows, d], without norm or residual. */
export function ffnModel(options: FfnOptions): Uint8Array {
  const { rows, d, ffn, ...style } = options;
  const shape = { kind: "encoder", layers: 1, heads: 1, seq: rows, d, ffn, input: "hidden" } as const;
  const resolved = resolveOptions({ ...shape, ...style });
  const type = activationType(resolved);
  const drafting: Drafting = { draft: createDraft(resolved.constantStyle), options: resolved };
  drafting.draft.inputs.push({ name: "x", type, dims: [1, rows, d] });
  const value = addFeedForward(drafting, "/ffn", "x");
  finishOutput(drafting.draft, value, { name: "y", type, dims: [1, rows, d] });
  return encodeModel(drafting.draft, { name: `ffn-${rows}x${d}x${ffn}`, opset: resolved.opset, irVersion: IR_VERSION });
}
