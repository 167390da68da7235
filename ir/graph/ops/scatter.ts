// Operators that write elements at indices. A negative index counts from the end; one out of range is clamped; later writes win.
import { int, numberOf, string, stringOf } from "../attr.ts";
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
import { aroundAxis, axisOf, normaliseAxis, shapeText } from "../shapes.ts";
import {
  bigintsOf,
  countOf,
  is64Bit,
  numbersOf,
  setElement,
  type TensorValue,
  tabulateInts,
  tensorValue,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";
import { elementPositions, tuplePositions } from "./gather.ts";
import { axisAttr, bigMax, bigMin, typeAt, valueAt } from "./rules.ts";

const reductions = ["none", "add", "mul", "max", "min"];

const copied = (value: TensorValue): TensorValue => tensorValue(value.dtype, value.shape, value.data.slice());

function combineNumbers(reduction: string, a: number, b: number): number {
  switch (reduction) {
    case "add":
      return a + b;
    case "mul":
      return a * b;
    case "max":
      return Math.max(a, b);
    case "min":
      return Math.min(a, b);
    default:
      return b;
  }
}

function combineBigs(reduction: string, a: bigint, b: bigint): bigint {
  switch (reduction) {
    case "add":
      return a + b;
    case "mul":
      return a * b;
    case "max":
      return bigMax(a, b);
    case "min":
      return bigMin(a, b);
    default:
      return b;
  }
}

/** Each update goes to its position, one after the other. */
function scatterInto(data: TensorValue, positions: Int32Array, updates: TensorValue, reduction: string): TensorValue {
  if (reduction === "none") {
    const result = copied(data);
    for (const [i, at] of positions.entries()) setElement(result.data, at, updates.data[i]);
    return result;
  }
  if (is64Bit(data.dtype)) {
    const [result, source] = [Array.from(bigintsOf(data)), bigintsOf(updates)];
    for (const [i, at] of positions.entries()) result[at] = combineBigs(reduction, result[at] ?? 0n, source[i] ?? 0n);
    return valueFromBigints(data.dtype, data.shape, result);
  }
  const [result, source] = [new Float64Array(numbersOf(data)), numbersOf(updates)];
  for (const [i, at] of positions.entries()) result[at] = combineNumbers(reduction, result[at] ?? 0, source[i] ?? 0);
  return valueFromNumbers(data.dtype, data.shape, result);
}

function checkReduction(ctx: InferContext): Problem | undefined {
  const reduction = stringOf(ctx.attrs, "reduction");
  if (reductions.includes(reduction)) return undefined;
  return problem("attr", `reduction is "${reduction}", allowed: ${reductions.join(", ")}`);
}

function inferScatterElements(ctx: InferContext): Inferred {
  const [data, indices, updates] = [typeAt(ctx, 0), typeAt(ctx, 1), typeAt(ctx, 2)];
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  if (shapeText(indices.shape) !== shapeText(updates.shape) || indices.shape.length !== data.shape.length) {
    return problem("shape", `indices ${shapeText(indices.shape)} and updates ${shapeText(updates.shape)} must agree`);
  }
  if (indices.shape.some((size, i) => i !== axis && size > (data.shape[i] ?? 0))) {
    return problem("shape", `indices ${shapeText(indices.shape)} reach beyond data ${shapeText(data.shape)}`);
  }
  return checkReduction(ctx) ?? [data];
}

function inferScatterNd(ctx: InferContext): Inferred {
  const [data, indices, updates] = [typeAt(ctx, 0), typeAt(ctx, 1), typeAt(ctx, 2)];
  const depth = indices.shape.at(-1) ?? 0;
  if (indices.shape.length < 1 || depth > data.shape.length) {
    return problem("shape", `indices ${shapeText(indices.shape)} do not fit data ${shapeText(data.shape)}`);
  }
  const needed = [...indices.shape.slice(0, -1), ...data.shape.slice(depth)];
  if (shapeText(needed) !== shapeText(updates.shape)) {
    return problem("shape", `updates are ${shapeText(updates.shape)}, needed: ${shapeText(needed)}`);
  }
  return checkReduction(ctx) ?? [data];
}

function scatterNd(ctx: EvaluateContext): TensorValue {
  const [data, indices, updates] = [valueAt(ctx, 0), valueAt(ctx, 1), valueAt(ctx, 2)];
  const starts = tuplePositions(data.shape, indices, 0);
  const size = countOf(data.shape.slice(indices.shape.at(-1) ?? 0));
  const positions = tabulateInts(starts.length * size, (i) => (starts[Math.floor(i / size)] ?? 0) + (i % size));
  return scatterInto(data, positions, updates, stringOf(ctx.attrs, "reduction"));
}

function inferTensorScatter(ctx: InferContext): Inferred {
  const [cache, update] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const axis = normaliseAxis(numberOf(ctx.attrs, "axis"), cache.shape.length);
  if (isProblem(axis)) return axis;
  if (axis === 0) return problem("attr", "axis names the batch dimension");
  const fits =
    cache.shape.length === update.shape.length &&
    cache.shape.every((size, i) => (i === axis ? (update.shape[i] ?? 0) <= size : size === update.shape[i]));
  if (!fits) return problem("shape", `update ${shapeText(update.shape)} does not fit cache ${shapeText(cache.shape)}`);
  const starts = ctx.inputs[2] ?? null;
  if (starts !== null && starts.shape.join() !== `${cache.shape[0]}`) {
    return problem(
      "shape",
      `write_indices ${shapeText(starts.shape)} are not one for each of ${cache.shape[0]} samples`,
    );
  }
  const mode = stringOf(ctx.attrs, "mode");
  if (mode !== "linear" && mode !== "circular") return problem("attr", `mode is "${mode}", allowed: linear, circular`);
  return [cache];
}

/** Each sample's update is written from its own start along axis; circular wraps around, linear clamps. */
function tensorScatter(ctx: EvaluateContext): TensorValue {
  const [cache, update, starts] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const axis = axisOf(numberOf(ctx.attrs, "axis"), cache.shape.length);
  const circular = stringOf(ctx.attrs, "mode") === "circular";
  const [outer, length, inner] = aroundAxis(cache.shape, axis);
  const steps = update.shape[axis] ?? 0;
  const first = starts === null ? [] : numbersOf(starts);
  const perBatch = outer / (cache.shape[0] ?? 1);
  const result = copied(cache);
  for (let o = 0; o < outer; o++) {
    for (let s = 0; s < steps; s++) {
      const at = (first[Math.floor(o / perBatch)] ?? 0) + s;
      const row = circular ? ((at % length) + length) % length : Math.min(Math.max(at, 0), length - 1);
      for (let i = 0; i < inner; i++) {
        setElement(result.data, (o * length + row) * inner + i, update.data[(o * steps + s) * inner + i]);
      }
    }
  }
  return result;
}

export const scatterOps = {
  ScatterElements: defineOp({
    summary: "data with each update written at its own place, except along axis at its index",
    inputs: ["data: any", "indices: index", "updates: data"],
    outputs: ["output"],
    attrs: { axis: int(0), reduction: string("none") },
    infer: inferScatterElements,
    evaluate: (ctx) => {
      const [data, indices] = [valueAt(ctx, 0), valueAt(ctx, 1)];
      const positions = elementPositions(data.shape, indices, axisOf(numberOf(ctx.attrs, "axis"), data.shape.length));
      return [scatterInto(data, positions, valueAt(ctx, 2), stringOf(ctx.attrs, "reduction"))];
    },
  }),
  ScatterND: defineOp({
    summary: "data with slices written where the index tuples point",
    inputs: ["data: any", "indices: int64", "updates: data"],
    outputs: ["output"],
    attrs: { reduction: string("none") },
    infer: inferScatterNd,
    evaluate: (ctx) => [scatterNd(ctx)],
  }),
  TensorScatter: defineOp({
    summary: "a cache with new entries written along axis from each sample's write index on",
    inputs: ["past_cache: any", "update: past_cache", "write_indices?: int64"],
    outputs: ["present_cache"],
    attrs: { axis: int(-2), mode: string("linear") },
    infer: inferTensorScatter,
    evaluate: (ctx) => [tensorScatter(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
