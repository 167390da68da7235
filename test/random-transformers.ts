// Random transformers in the styles of many exporters: sizes that divide nothing, batches, tied weights, dead nodes, outputs that are inputs or
// constants. The same seed gives the same model.
import onnxProto, { type onnx as Onnx } from "onnx-proto";
import type { HostTensor } from "../backends/interp/host.ts";
import { bytesOf } from "../ir/graph/values.ts";
import { disguiseModel } from "../src/modelgen/disguise.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import type { TransformerOptions } from "../src/modelgen/transformer-options.ts";
import { floats, ints, random } from "./op-models.ts";

const { onnx } = onnxProto;

export interface RandomTransformer {
  readonly inputs: ReadonlyMap<string, HostTensor>;
  readonly options: TransformerOptions;
  /** What was done to the generated model. */
  readonly twists: readonly string[];
  readonly bytes: Uint8Array;
}

type Pick = <T>(...choices: readonly T[]) => T;

function randomOptions(pick: Pick, whole: (low: number, high: number) => number, seed: number): TransformerOptions {
  const kind = pick("encoder", "decoder");
  const opset = pick(13, 14, 15, 17, 17);
  const kvHeads = whole(1, 3);
  const heads = kvHeads * whole(1, 3);
  const positions = pick("learned", "rope", "none");
  const size = positions === "rope" ? 2 * whole(2, 9) : whole(3, 19);
  const norms =
    opset < 17
      ? (["layernorm-decomposed", "rmsnorm"] as const)
      : (["layernorm", "layernorm-decomposed", "rmsnorm"] as const);
  return {
    kind,
    layers: whole(1, 2),
    d: heads * size,
    heads,
    kvHeads: pick(heads, kvHeads),
    ffn: whole(5, 90),
    seq: whole(1, 13),
    batch: pick(1, 1, 2, 3),
    vocab: whole(11, 70),
    input: pick("tokens", "tokens", "hidden"),
    output: kind === "decoder" ? pick("logits", "hidden") : pick("hidden", "pooler"),
    norm: pick(...norms),
    normPlacement: pick("pre", "post"),
    activation: pick("gelu-erf", "gelu-tanh", "relu", "swiglu"),
    positions,
    causal: pick(kind === "decoder", true, false),
    attentionMask: pick(true, false),
    bias: pick(true, false),
    precision: pick("float32", "float32", "float16-weights"),
    qkv: pick("separate", "fused"),
    linear: pick("matmul", "gemm", "transposed"),
    maskStyle: pick("where", "add"),
    scaleStyle: pick("divide-scores", "multiply-query"),
    shapeStyle: pick("constant", "computed"),
    constantStyle: pick("initialiser", "node"),
    seed,
    opset,
  };
}

type Twist = (graph: Onnx.IGraphProto) => boolean;

const dims = (tensor: Onnx.ITensorProto | undefined): string => (tensor?.dims ?? []).map(String).join();

/** The last projection takes the token table itself, behind a Transpose. */
function tieWeights(graph: Onnx.IGraphProto): boolean {
  const nodes = graph.node ?? [];
  const named = (name: string | undefined) => (graph.initializer ?? []).find((tensor) => tensor.name === name);
  const table = named(nodes.find(({ opType }) => opType === "Gather")?.input?.[0]);
  const head = [...nodes].reverse().find(({ opType }) => opType === "MatMul");
  const weight = named(head?.input?.[1] ?? "");
  const turned = dims(table).split(",").reverse().join();
  if (table === undefined || head?.input === null || head?.input === undefined || weight === undefined) return false;
  if (dims(weight) !== turned || table.dataType !== weight.dataType) return false;
  const at = nodes.indexOf(head);
  const turn = {
    name: "tied/Transpose",
    opType: "Transpose",
    input: [table.name ?? ""],
    output: ["tied"],
    attribute: [{ name: "perm", type: 7, ints: [1, 0] }],
  };
  head.input = [head.input[0] ?? "", "tied"];
  graph.node = [...nodes.slice(0, at), onnx.NodeProto.fromObject(turn), ...nodes.slice(at)];
  graph.initializer = (graph.initializer ?? []).filter((tensor) => tensor !== weight);
  return true;
}

const addNode = (graph: Onnx.IGraphProto, opType: string, input: string, output: string): void => {
  graph.node = [
    ...(graph.node ?? []),
    onnx.NodeProto.fromObject({ name: `extra/${output}`, opType, input: [input], output: [output] }),
  ];
};

/** A tensor in the middle becomes an output, whatever it is. */
function addOutput(graph: Onnx.IGraphProto): boolean {
  const inner = (graph.node ?? []).find(({ opType }) => opType === "Softmax")?.output?.[0];
  if (inner === undefined) return false;
  addNode(graph, "Neg", inner, "inner");
  graph.output = [...(graph.output ?? []), onnx.ValueInfoProto.fromObject({ name: "inner" })];
  return true;
}

const twists: Readonly<Record<string, Twist>> = {
  "tied weights": tieWeights,
  "dead node": (graph) => {
    const last = (graph.node ?? []).at(-1)?.input?.[0];
    if (last === undefined) return false;
    addNode(graph, "Identity", last, "dead");
    return true;
  },
  "an inner output": addOutput,
  "an input that is an output": (graph) => {
    const [input] = graph.input ?? [];
    if (input === undefined) return false;
    addNode(graph, "Identity", input.name ?? "", "same");
    graph.output = [...(graph.output ?? []), onnx.ValueInfoProto.fromObject({ name: "same" })];
    return true;
  },
  "a constant output": (graph) => {
    const tensor = (graph.initializer ?? []).find(({ dataType }) => dataType === 1);
    if (tensor === undefined) return false;
    addNode(graph, "Identity", tensor.name ?? "", "fixed");
    graph.output = [...(graph.output ?? []), onnx.ValueInfoProto.fromObject({ name: "fixed" })];
    return true;
  },
};

export function randomTransformer(seed: number): RandomTransformer {
  const next = random(seed + 1000);
  const whole = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  const pick: Pick = (...choices) => {
    const [chosen] = choices.slice(whole(0, choices.length - 1));
    if (chosen === undefined) throw new Error("there is a choice");
    return chosen;
  };
  const options = randomOptions(pick, whole, seed);
  const model = onnx.ModelProto.decode(transformerModel(options));
  const done = Object.entries(twists).flatMap(([name, twist]) =>
    next() < 0.35 && model.graph !== null && model.graph !== undefined && twist(model.graph) ? [name] : [],
  );
  const bytes = onnx.ModelProto.encode(model).finish();
  if (next() >= 0.3) return { options, twists: done, bytes, inputs: inputsOf(bytes, options, seed) };
  const other = disguiseModel(bytes, seed);
  return { options, twists: [...done, "renamed and reordered"], bytes: other, inputs: inputsOf(other, options, seed) };
}

/** Tokens of the vocabulary, a mask that attends to the first token at least, or hidden states. */
function inputsOf(bytes: Uint8Array, options: TransformerOptions, seed: number): ReadonlyMap<string, HostTensor> {
  const { graph } = onnx.ModelProto.decode(bytes);
  const constants = new Set((graph?.initializer ?? []).map(({ name }) => name));
  const inputs = (graph?.input ?? []).filter(({ name }) => !constants.has(name));
  return new Map(
    inputs.map(({ name, type }, i) => {
      const shape = (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => Number(dimValue));
      const isFloat = type?.tensorType?.elemType === 1;
      const isTokens = !isFloat && options.input !== "hidden" && i === 0;
      const value = isFloat
        ? floats(shape, seed, -1, 1)
        : ints("int64", shape, isTokens ? 0 : 1, isTokens ? (options.vocab ?? 1) - 1 : 1, seed);
      return [name ?? "", { dtype: value.dtype, shape, bytes: bytesOf(value) }];
    }),
  );
}
