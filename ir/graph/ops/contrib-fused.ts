// Fused normalisations, activations and matrix products of com.microsoft.
import { float, int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { shapeText } from "../shapes.ts";
import { mapped, numbersOf, type TensorType, type TensorValue, valueFromNumbers } from "../values.ts";
import { geluErf, geluTanh, sigmoid } from "./activation.ts";
import { placeOf } from "./gather.ts";
import { matmulNumbers, matmulShape } from "./matmul.ts";
import { transposeValue } from "./movement.ts";
import { linesOf, momentsOf, scaleFits, spread } from "./norm.ts";
import { sumOf } from "./reduce.ts";
import { inferSame, mapNumbers, outputAt, typeAt, valueAt } from "./rules.ts";

type Optional<T> = T | null | undefined;

/** The skip may lack leading dimensions of the input or have size 1 there. */
function inferSkip(ctx: InferContext): Inferred {
  const x = typeAt(ctx, 0);
  if ((x.shape.at(-1) ?? 0) === 0)
    return problem("shape", `input ${shapeText(x.shape)} has no last dimension to normalise`);
  for (const [index, name] of [
    [1, "skip"],
    [2, "gamma"],
    [3, "beta or bias"],
    [4, "bias"],
  ] as const) {
    const fits = scaleFits(ctx, index, name, x.shape);
    if (fits !== true) return fits;
  }
  const stats: TensorType = { dtype: "float32", shape: x.shape.with(-1, 1) };
  return [x, stats, stats, x];
}

/** Lines of the last dimension, normalised: by mean and variance, or (`simple`) by the root of the mean square. */
function normaliseLast(
  sum: ArrayLike<number>,
  size: number,
  epsilon: number,
  simple: boolean,
): readonly [Float64Array, number[], number[]] {
  const lines = linesOf(sum, size);
  const moments = lines.map((line) =>
    simple ? { mean: 0, variance: sumOf(line, (v) => v * v) / size } : momentsOf(line),
  );
  const inverse = moments.map(({ variance }) => 1 / Math.sqrt(variance + epsilon));
  const y = mapped(sum, (v, at) => {
    const line = Math.floor(at / size);
    return (v - (moments[line]?.mean ?? 0)) * (inverse[line] ?? 0);
  });
  return [y, moments.map(({ mean }) => mean), inverse];
}

function skipNorm(
  ctx: EvaluateContext,
  beta: Optional<TensorValue>,
  bias: Optional<TensorValue>,
  simple: boolean,
): TensorValue[] {
  const [x, skip, gamma] = [valueAt(ctx, 0), valueAt(ctx, 1), valueAt(ctx, 2)];
  const size = x.shape.at(-1) ?? 1;
  const [other, shift] = [spread(skip, x.shape, 0), spread(bias, x.shape, 0)];
  const sum = mapped(numbersOf(x), (v, i) => v + (other[i] ?? 0) + (shift[i] ?? 0));
  const [normal, mean, inverse] = normaliseLast(sum, size, numberOf(ctx.attrs, "epsilon"), simple);
  const [gain, add] = [spread(gamma, x.shape, 1), spread(beta, x.shape, 0)];
  const y = normal.map((v, i) => v * (gain[i] ?? 1) + (add[i] ?? 0));
  const results = [y, mean, inverse, sum];
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, results[i] ?? []));
}

function inferEmbed(ctx: InferContext): Inferred {
  const [ids, words, positions] = [typeAt(ctx, 0), typeAt(ctx, 2), typeAt(ctx, 3)];
  if (ids.shape.length !== 2 || words.shape.length !== 2 || words.shape[1] !== positions.shape[1]) {
    return problem(
      "shape",
      `input_ids ${shapeText(ids.shape)} and word_embedding ${shapeText(words.shape)} do not fit`,
    );
  }
  const [segments, mask, given] = [ctx.inputs[1] ?? null, ctx.inputs[7] ?? null, ctx.inputs[8] ?? null];
  for (const [name, type] of [
    ["segment_ids", segments],
    ["mask", mask],
    ["position_ids", given],
  ] as const) {
    const fits = type === null || type.shape.join() === ids.shape.join();
    if (fits || (name === "position_ids" && type.shape.join() === [1, ids.shape[1]].join())) continue;
    return problem("shape", `${name} ${shapeText(type.shape)} do not fit input_ids ${shapeText(ids.shape)}`);
  }
  const [size = 0] = words.shape.slice(1);
  for (const index of [5, 6]) {
    const parameter = typeAt(ctx, index).shape;
    if (parameter.join() !== `${size}`) {
      return problem("shape", `gamma or beta ${shapeText(parameter)} is not [${size}]`);
    }
  }
  const table = ctx.inputs[4] ?? null;
  if (size === 0 || (table !== null && (table.shape.length !== 2 || table.shape[1] !== size))) {
    return problem("shape", `embeddings of width ${size} and ${shapeText(table?.shape ?? [])} do not fit`);
  }
  const y = { dtype: words.dtype, shape: [...ids.shape, size] };
  return [y, { dtype: "int32", shape: [ids.shape[0] ?? 0] }, y];
}

/** Word + position + segment rows, normalised. The mask index counts each sample's ones. */
function embed(ctx: EvaluateContext): TensorValue[] {
  const [ids, segments, words, positions, segmentTable] = [
    valueAt(ctx, 0),
    ctx.inputs[1],
    valueAt(ctx, 2),
    valueAt(ctx, 3),
    ctx.inputs[4],
  ];
  const [gamma, beta, mask, given] = [valueAt(ctx, 5), valueAt(ctx, 6), ctx.inputs[7], ctx.inputs[8]];
  const [batch = 0, sequence = 0] = ids.shape;
  const size = words.shape[1] ?? 1;
  const row = (table: Optional<TensorValue>): ((index: number, i: number) => number) => {
    if (table === null || table === undefined) return () => 0;
    const numbers = numbersOf(table);
    return (index, i) => numbers[placeOf(index, table.shape[0] ?? 1) * size + i] ?? 0;
  };
  const [wordAt, positionAt, segmentAt] = [row(words), row(positions), row(segmentTable)];
  const [idList, segmentList, positionList] = [ids, segments, given].map((value) =>
    value ? numbersOf(value) : undefined,
  );
  const sum = new Float64Array(batch * sequence * size);
  for (let t = 0; t < batch * sequence; t++) {
    const position = positionList?.[positionList.length === sequence ? t % sequence : t] ?? t % sequence;
    for (let i = 0; i < size; i++) {
      sum[t * size + i] = wordAt(idList?.[t] ?? 0, i) + positionAt(position, i) + segmentAt(segmentList?.[t] ?? 0, i);
    }
  }
  const [normal] = normaliseLast(sum, size, numberOf(ctx.attrs, "epsilon"), false);
  const [gain, add] = [spread(gamma, [batch * sequence, size], 1), spread(beta, [batch * sequence, size], 0)];
  const flags = mask ? numbersOf(mask) : undefined;
  const counts = Array.from({ length: batch }, (_, b) =>
    sumOf(Array.from({ length: sequence }, (_s, s) => (flags?.[b * sequence + s] === 1 ? 1 : 0))),
  );
  const results = [normal.map((v, i) => v * (gain[i] ?? 1) + (add[i] ?? 0)), counts, sum];
  return ctx.outputs.map(({ dtype, shape }, i) => valueFromNumbers(dtype, shape, results[i] ?? []));
}

function biased(ctx: EvaluateContext, f: (x: number) => number): TensorValue {
  const x = valueAt(ctx, 0);
  const shift = spread(ctx.inputs[1], x.shape, 0);
  const out = outputAt(ctx);
  return valueFromNumbers(
    out.dtype,
    out.shape,
    mapped(numbersOf(x), (v, i) => f(v + (shift[i] ?? 0))),
  );
}

const inferBias = (ctx: InferContext): Inferred => {
  const fits = scaleFits(ctx, 1, "bias", typeAt(ctx, 0).shape);
  return fits === true ? [typeAt(ctx, 0)] : fits;
};

/** Where each dimension of a FusedMatMul operand comes from: transBatch moves the first dimension behind the batch, trans swaps the last two. */
function fusedPerm(rank: number, trans: boolean, transBatch: boolean): number[] {
  const axes = Array.from({ length: rank }, (_, i) => i);
  const batch = transBatch && rank > 2 ? [...axes.slice(1, rank - 1), 0, rank - 1] : axes;
  return trans && rank > 1 ? [...batch.slice(0, -2), batch.at(-1) ?? 0, batch.at(-2) ?? 0] : batch;
}

const fusedPerms = (attrs: InferContext["attrs"], a: number, b: number): readonly [number[], number[]] => [
  fusedPerm(a, numberOf(attrs, "transA") !== 0, numberOf(attrs, "transBatchA") !== 0),
  fusedPerm(b, numberOf(attrs, "transB") !== 0, numberOf(attrs, "transBatchB") !== 0),
];

function inferFusedMatMul(ctx: InferContext): Inferred {
  const [a, b] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  for (const name of ["transA", "transB", "transBatchA", "transBatchB"]) {
    const flag = numberOf(ctx.attrs, name);
    if (flag !== 0 && flag !== 1) return problem("attr", `${name} is ${flag}, allowed: 0, 1`);
  }
  const [permA, permB] = fusedPerms(ctx.attrs, a.shape.length, b.shape.length);
  const shape = matmulShape(
    permA.map((axis) => a.shape[axis] ?? 1),
    permB.map((axis) => b.shape[axis] ?? 1),
  );
  return isProblem(shape) ? shape : [{ dtype: a.dtype, shape }];
}

function fusedMatMul(ctx: EvaluateContext): TensorValue {
  const [permA, permB] = fusedPerms(ctx.attrs, valueAt(ctx, 0).shape.length, valueAt(ctx, 1).shape.length);
  const [a, b] = [transposeValue(valueAt(ctx, 0), permA), transposeValue(valueAt(ctx, 1), permB)];
  const alpha = numberOf(ctx.attrs, "alpha");
  const out = outputAt(ctx);
  const product = matmulNumbers(numbersOf(a), a.shape, numbersOf(b), b.shape);
  return valueFromNumbers(
    out.dtype,
    out.shape,
    product.map((v) => v * alpha),
  );
}

const skipOutputs = ["output", "mean?", "inv_std_var?", "input_skip_bias_sum?"];

export const contribFusedOps = {
  "com.microsoft.SkipLayerNormalization": defineOp({
    summary: "LayerNormalization of input + skip + bias over the last dimension",
    inputs: ["input: float", "skip: input", "gamma: input", "beta?: input", "bias?: input"],
    outputs: skipOutputs,
    attrs: { epsilon: float(1e-12) },
    infer: inferSkip,
    evaluate: (ctx) => skipNorm(ctx, ctx.inputs[3], ctx.inputs[4], false),
  }),
  "com.microsoft.SkipSimplifiedLayerNormalization": defineOp({
    summary: "RMSNormalization of input + skip + bias over the last dimension",
    inputs: ["input: float", "skip: input", "gamma: input", "bias?: input"],
    outputs: skipOutputs,
    attrs: { epsilon: float(1e-12) },
    infer: inferSkip,
    evaluate: (ctx) => skipNorm(ctx, null, ctx.inputs[3], true),
  }),
  "com.microsoft.EmbedLayerNormalization": defineOp({
    summary: "LayerNormalization of the sum of word, position and segment embeddings; counts the mask's ones",
    inputs: [
      "input_ids: int32",
      "segment_ids?: int32",
      "word_embedding: float",
      "position_embedding: word_embedding",
      "segment_embedding?: word_embedding",
      "gamma: word_embedding",
      "beta: word_embedding",
      "mask?: int32",
      "position_ids?: int32",
    ],
    outputs: ["output", "mask_index?", "embedding_sum?"],
    attrs: { epsilon: float(1e-12), mask_index_type: int(1) },
    infer: inferEmbed,
    evaluate: embed,
  }),
  "com.microsoft.Gelu": defineOp({
    summary: "X * P(standard normal <= X)",
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [mapNumbers(valueAt(ctx, 0), outputAt(ctx), geluErf)],
  }),
  "com.microsoft.BiasGelu": defineOp({
    summary: "Gelu(A + B)",
    inputs: ["A: float", "B: A"],
    outputs: ["C"],
    attrs: {},
    infer: inferBias,
    evaluate: (ctx) => [biased(ctx, geluErf)],
  }),
  "com.microsoft.FastGelu": defineOp({
    summary: "Gelu(X + bias) by the tanh approximation",
    inputs: ["X: float", "bias?: X"],
    outputs: ["Y"],
    attrs: {},
    infer: inferBias,
    evaluate: (ctx) => [biased(ctx, geluTanh)],
  }),
  "com.microsoft.QuickGelu": defineOp({
    summary: "X / (1 + e^(-alpha X))",
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: { alpha: float(1.7020000219345093) },
    infer: inferSame,
    evaluate: (ctx) => {
      const alpha = numberOf(ctx.attrs, "alpha");
      return [mapNumbers(valueAt(ctx, 0), outputAt(ctx), (x) => x * sigmoid(alpha * x))];
    },
  }),
  "com.microsoft.FusedMatMul": defineOp({
    summary: "alpha * A' B', operands transposed as asked",
    inputs: ["A: float", "B: A"],
    outputs: ["Y"],
    attrs: { alpha: float(1), transA: int(0), transB: int(0), transBatchA: int(0), transBatchB: int(0) },
    infer: inferFusedMatMul,
    evaluate: (ctx) => [fusedMatMul(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
