// Normalisations. Computed in double, rounded once.
import { dtypeAttr, float, int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { axisOf, broadcastShapes, broadcastStrides, shapeText, stridedPositions } from "../shapes.ts";
import { countOf, mapped, numbersOf, type TensorType, type TensorValue, valueFromNumbers } from "../values.ts";
import { sumOf } from "./reduce.ts";
import { axisAttr, outputAt, typeAt, valueAt } from "./rules.ts";

export interface Moments {
  readonly mean: number;
  readonly variance: number;
}

/** Mean and population variance. */
export function momentsOf(line: Float64Array): Moments {
  const mean = sumOf(line) / line.length;
  return { mean, variance: sumOf(line, (x) => (x - mean) * (x - mean)) / line.length };
}

/** Repeats `scale` over `shape` (numpy broadcasting); a scale that is not there is `none` everywhere. */
export function spread(scale: TensorValue | null | undefined, shape: readonly number[], none: number): Float64Array {
  if (scale === null || scale === undefined) return new Float64Array(countOf(shape)).fill(none);
  const source = numbersOf(scale);
  return mapped(stridedPositions(shape, broadcastStrides(scale.shape, shape)), (at) => source[at] ?? none);
}

/** Numbers cut into lines of `size`. */
export function linesOf(numbers: ArrayLike<number>, size: number): Float64Array[] {
  const all = new Float64Array(numbers);
  return Array.from({ length: size === 0 ? 0 : all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** The scale must broadcast to the normalised shape without growing it. */
export function scaleFits(ctx: InferContext, index: number, name: string, shape: readonly number[]): true | Inferred {
  const scale = ctx.inputs[index] ?? null;
  if (scale === null) return true;
  const joined = broadcastShapes(shape, scale.shape);
  if (!isProblem(joined) && shapeText(joined) === shapeText(shape)) return true;
  return problem("shape", `${name} ${shapeText(scale.shape)} does not broadcast to ${shapeText(shape)}`);
}

const nothingToNormalise = (shape: readonly number[], axis: number): Inferred =>
  problem("shape", `${shapeText(shape)} has nothing to normalise from axis ${axis} on`);

function inferLayerNorm(ctx: InferContext): Inferred {
  const x = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  if (countOf(x.shape.slice(axis)) === 0) return nothingToNormalise(x.shape, axis);
  for (const [index, name] of [
    [1, "Scale"],
    [2, "B"],
  ] as const) {
    const fits = scaleFits(ctx, index, name, x.shape);
    if (fits !== true) return fits;
  }
  const stats: TensorType = { dtype: "float32", shape: x.shape.map((size, i) => (i < axis ? size : 1)) };
  return [{ dtype: typeAt(ctx, 1).dtype, shape: x.shape }, stats, stats];
}

function layerNorm(ctx: EvaluateContext): TensorValue[] {
  const [x, scale, bias] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2]];
  const axis = axisOf(numberOf(ctx.attrs, "axis"), x.shape.length);
  const epsilon = numberOf(ctx.attrs, "epsilon");
  const size = countOf(x.shape.slice(axis));
  const [gain, shift] = [spread(scale, x.shape, 1), spread(bias, x.shape, 0)];
  const lines = linesOf(numbersOf(x), size);
  const moments = lines.map(momentsOf);
  const inverse = moments.map(({ variance }) => 1 / Math.sqrt(variance + epsilon));
  const y = mapped(numbersOf(x), (v, at) => {
    const line = Math.floor(at / size);
    return (v - (moments[line]?.mean ?? 0)) * (inverse[line] ?? 0) * (gain[at] ?? 1) + (shift[at] ?? 0);
  });
  const result = [y, moments.map(({ mean }) => mean), inverse];
  return ctx.outputs.map((out, i) => valueFromNumbers(out.dtype, out.shape, result[i] ?? []));
}

function inferRmsNorm(ctx: InferContext): Inferred {
  const x = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  if (countOf(x.shape.slice(axis)) === 0) return nothingToNormalise(x.shape, axis);
  const fits = scaleFits(ctx, 1, "scale", x.shape);
  if (fits !== true) return fits;
  const stats: TensorType = { dtype: "float32", shape: x.shape.map((size, i) => (i < axis ? size : 1)) };
  return [{ dtype: typeAt(ctx, 1).dtype, shape: x.shape }, stats];
}

/** x / sqrt(mean(x^2) + epsilon) * scale over dimensions axis and later. */
function rmsNorm(
  x: TensorValue,
  scale: TensorValue,
  axis: number,
  epsilon: number,
  outputs: readonly TensorType[],
): TensorValue[] {
  const size = countOf(x.shape.slice(axis));
  const gain = spread(scale, x.shape, 1);
  const lines = linesOf(numbersOf(x), size);
  const inverse = lines.map((line) => 1 / Math.sqrt(sumOf(line, (v) => v * v) / size + epsilon));
  const y = mapped(numbersOf(x), (v, at) => v * (inverse[Math.floor(at / size)] ?? 0) * (gain[at] ?? 1));
  return outputs.map((out, i) => valueFromNumbers(out.dtype, out.shape, i === 0 ? y : inverse));
}

const rmsRow = (summary: string, outputs: readonly string[], epsilon: number): OnnxOpRow =>
  defineOp({
    summary,
    inputs: ["X: float", "scale: float"],
    outputs,
    attrs: { axis: int(-1), epsilon: float(epsilon), stash_type: dtypeAttr("float32") },
    infer: (ctx) => {
      const inferred = inferRmsNorm(ctx);
      return isProblem(inferred) ? inferred : inferred.slice(0, outputs.length);
    },
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      const axis = axisOf(numberOf(ctx.attrs, "axis"), x.shape.length);
      return rmsNorm(x, valueAt(ctx, 1), axis, numberOf(ctx.attrs, "epsilon"), ctx.outputs);
    },
  });

function inferGroupNorm(ctx: InferContext): Inferred {
  const x = typeAt(ctx, 0);
  if (x.shape.length < 2) return problem("shape", `X has rank ${x.shape.length}, needed: 2 or more`);
  const channels = x.shape[1] ?? 0;
  const groups = numberOf(ctx.attrs, "num_groups");
  if (groups < 1 || channels % groups !== 0) return problem("attr", `num_groups is ${groups} for ${channels} channels`);
  for (const index of [1, 2]) {
    const { shape } = typeAt(ctx, index);
    if (shape.length !== 1 || shape[0] !== channels) {
      return problem("shape", `scale and bias need shape [${channels}], found ${shapeText(shape)}`);
    }
  }
  return [x];
}

/** Statistics over each group of channels (and all positions), then a scale and bias a channel. */
function groupNorm(
  x: TensorValue,
  groups: number,
  epsilon: number,
  scale: TensorValue,
  bias: TensorValue,
  out: TensorType,
): TensorValue {
  const channels = x.shape[1] ?? 1;
  const inner = countOf(x.shape.slice(2));
  const [gain, shift] = [numbersOf(scale), numbersOf(bias)];
  const size = (channels / groups) * inner;
  const moments = linesOf(numbersOf(x), size).map(momentsOf);
  const inverses = moments.map(({ variance }) => 1 / Math.sqrt(variance + epsilon));
  const y = mapped(numbersOf(x), (v, at) => {
    const [line, channel] = [Math.floor(at / size), Math.floor(at / inner) % channels];
    return (v - (moments[line]?.mean ?? 0)) * (inverses[line] ?? 0) * (gain[channel] ?? 1) + (shift[channel] ?? 0);
  });
  return valueFromNumbers(out.dtype, out.shape, y);
}

const batchNormTypes = (ctx: InferContext): Inferred => {
  const x = typeAt(ctx, 0);
  if (x.shape.length < 2) return problem("unsupported", `X of rank ${x.shape.length}`);
  const channels = x.shape[1] ?? 1;
  for (const index of [1, 2, 3, 4]) {
    const { shape } = typeAt(ctx, index);
    if (shape.length !== 1 || shape[0] !== channels) {
      return problem("shape", `scale, B, mean and var need shape [${channels}], found ${shapeText(shape)}`);
    }
  }
  const stats = { dtype: typeAt(ctx, 3).dtype, shape: [channels] };
  return numberOf(ctx.attrs, "training_mode") === 1 ? [x, stats, stats] : [x];
};

function batchNorm(ctx: EvaluateContext): TensorValue[] {
  const x = valueAt(ctx, 0);
  const [gain = [], shift = [], oldMean = [], oldVar = []] = [1, 2, 3, 4].map((i) => numbersOf(valueAt(ctx, i)));
  const [epsilon, momentum] = [numberOf(ctx.attrs, "epsilon"), numberOf(ctx.attrs, "momentum")];
  const training = numberOf(ctx.attrs, "training_mode") === 1;
  const [channels, inner] = [x.shape[1] ?? 1, countOf(x.shape.slice(2))];
  const source = numbersOf(x);
  const channelOf = (i: number): number => Math.floor(i / inner) % channels;
  const current: Moments[] = Array.from({ length: channels }, (_, c) =>
    training
      ? momentsOf(new Float64Array(source).filter((_x, i) => channelOf(i) === c))
      : { mean: oldMean[c] ?? 0, variance: oldVar[c] ?? 0 },
  );
  const y = mapped(source, (v, i) => {
    const c = channelOf(i);
    const { mean = 0, variance = 1 } = current[c] ?? {};
    return ((v - mean) / Math.sqrt(variance + epsilon)) * (gain[c] ?? 1) + (shift[c] ?? 0);
  });
  const running = (old: ArrayLike<number>, now: (m: Moments) => number): number[] =>
    current.map((m, c) => (old[c] ?? 0) * momentum + now(m) * (1 - momentum));
  const results = [y, running(oldMean, (m) => m.mean), running(oldVar, (m) => m.variance)];
  return ctx.outputs.map((out, i) => valueFromNumbers(out.dtype, out.shape, results[i] ?? []));
}

export const normOps = {
  LayerNormalization: defineOp({
    summary: "(X - mean) / sqrt(variance + epsilon) * Scale + B over dimensions axis and later",
    inputs: ["X: float", "Scale: float", "B?: Scale"],
    outputs: ["Y", "Mean?", "InvStdDev?"],
    attrs: { axis: int(-1), epsilon: float(1e-5), stash_type: dtypeAttr("float32") },
    infer: inferLayerNorm,
    evaluate: layerNorm,
  }),
  RMSNormalization: rmsRow("X / sqrt(mean of squares + epsilon) * scale over dimensions axis and later", ["Y"], 1e-5),
  SimplifiedLayerNormalization: rmsRow(
    "RMSNormalization, under the name exporters use before opset 23",
    ["Y", "inv_std_var?"],
    1e-5,
  ),
  GroupNormalization: defineOp({
    summary: "each group of channels normalised by its mean and variance; scale and bias a channel",
    inputs: ["X: float", "scale: X", "bias: X"],
    outputs: ["Y"],
    attrs: { num_groups: { ...int(), required: true }, epsilon: float(1e-5), stash_type: dtypeAttr("float32") },
    infer: inferGroupNorm,
    evaluate: (ctx) => [
      groupNorm(
        valueAt(ctx, 0),
        numberOf(ctx.attrs, "num_groups"),
        numberOf(ctx.attrs, "epsilon"),
        valueAt(ctx, 1),
        valueAt(ctx, 2),
        outputAt(ctx),
      ),
    ],
  }),
  InstanceNormalization: defineOp({
    summary: "each channel of each sample normalised by its mean and variance",
    inputs: ["input: float", "scale: input", "B: input"],
    outputs: ["output"],
    attrs: { epsilon: float(1e-5) },
    infer: (ctx) => inferGroupNorm({ ...ctx, attrs: { num_groups: typeAt(ctx, 0).shape[1] ?? 0 } }),
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      const epsilon = numberOf(ctx.attrs, "epsilon");
      return [groupNorm(x, x.shape[1] ?? 1, epsilon, valueAt(ctx, 1), valueAt(ctx, 2), outputAt(ctx))];
    },
  }),
  BatchNormalization: defineOp({
    summary: "each channel normalised by given statistics, or by its own in training mode",
    inputs: ["X: float", "scale: float", "B: scale", "input_mean: float", "input_var: input_mean"],
    outputs: ["Y", "running_mean?", "running_var?"],
    attrs: { epsilon: float(1e-5), momentum: float(0.9), training_mode: int(0) },
    infer: batchNormTypes,
    evaluate: batchNorm,
  }),
} as const satisfies Record<string, OnnxOpRow>;
