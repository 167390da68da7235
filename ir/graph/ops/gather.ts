// Operators that choose elements by indices. A negative index counts from the end; one out of range is clamped.
import { int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { aroundAxis, axisOf, pick, shapeText, stridesOf } from "../shapes.ts";
import { countOf, numbersOf, type TensorValue, tabulateInts } from "../values.ts";
import { axisAttr, outputAt, typeAt, valueAt } from "./rules.ts";

/** The element an index names. */
export const placeOf = (index: number, size: number): number =>
  Math.min(Math.max(index < 0 ? index + size : index, 0), Math.max(size - 1, 0));

function inferGather(ctx: InferContext): Inferred {
  const [data, indices] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  if (data.shape[axis] === 0 && countOf(indices.shape) > 0) return problem("shape", `axis ${axis} of data is empty`);
  return [{ dtype: data.dtype, shape: data.shape.toSpliced(axis, 1, ...indices.shape) }];
}

function gather(ctx: EvaluateContext): TensorValue {
  const [data, indices] = [valueAt(ctx, 0), valueAt(ctx, 1)];
  const axis = axisOf(numberOf(ctx.attrs, "axis"), data.shape.length);
  const [outer, size, inner] = aroundAxis(data.shape, axis);
  const rows = numbersOf(indices);
  const positions = new Int32Array(outer * rows.length * inner);
  for (let o = 0; o < outer; o++) {
    for (let r = 0; r < rows.length; r++) {
      const from = (o * size + placeOf(rows[r] ?? 0, size)) * inner;
      for (let i = 0; i < inner; i++) positions[(o * rows.length + r) * inner + i] = from + i;
    }
  }
  return pick(data, outputAt(ctx).shape, positions);
}

function inferGatherElements(ctx: InferContext): Inferred {
  const [data, indices] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  const fits =
    indices.shape.length === data.shape.length &&
    indices.shape.every((n, i) => i === axis || n <= (data.shape[i] ?? 0));
  if (!fits) return problem("shape", `indices ${shapeText(indices.shape)} do not fit data ${shapeText(data.shape)}`);
  return [{ dtype: data.dtype, shape: indices.shape }];
}

/** Positions in `shape` of the elements that indices name along `axis`, each at its own place otherwise. */
export function elementPositions(shape: readonly number[], indices: TensorValue, axis: number): Int32Array {
  const numbers = numbersOf(indices);
  const strides = stridesOf(shape);
  const own = stridesOf(indices.shape);
  return tabulateInts(numbers.length, (flat) => {
    let position = 0;
    for (const [i, size] of indices.shape.entries()) {
      const at = i === axis ? placeOf(numbers[flat] ?? 0, shape[i] ?? 0) : Math.floor(flat / (own[i] ?? 1)) % size;
      position += at * (strides[i] ?? 0);
    }
    return position;
  });
}

function inferGatherNd(ctx: InferContext): Inferred {
  const [data, indices] = [typeAt(ctx, 0), typeAt(ctx, 1)];
  const batch = numberOf(ctx.attrs, "batch_dims");
  const depth = indices.shape.at(-1) ?? 0;
  const [rankI, rankD] = [indices.shape.length, data.shape.length];
  if (rankI < 1 || batch < 0 || batch >= rankI || depth < 1 || batch + depth > rankD) {
    return problem(
      "shape",
      `indices ${shapeText(indices.shape)} with batch_dims ${batch} do not fit data ${shapeText(data.shape)}`,
    );
  }
  if (data.shape.slice(0, batch).some((size, i) => size !== indices.shape[i])) {
    return problem("shape", `the first ${batch} sizes of data and indices differ`);
  }
  return [{ dtype: data.dtype, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batch + depth)] }];
}

/** Start of the slice that each index tuple names; dimensions before `batch` are the tuple's own place. */
export function tuplePositions(shape: readonly number[], indices: TensorValue, batch: number): Int32Array {
  const numbers = numbersOf(indices);
  const depth = indices.shape.at(-1) ?? 1;
  const strides = stridesOf(shape);
  const tuples = countOf(indices.shape.slice(0, -1));
  const perBatch = countOf(indices.shape.slice(batch, -1));
  const batchSize = batch === 0 ? 0 : (strides[batch - 1] ?? 1);
  return tabulateInts(tuples, (t) => {
    let position = Math.floor(t / perBatch) * batchSize;
    for (let i = 0; i < depth; i++) {
      position += placeOf(numbers[t * depth + i] ?? 0, shape[batch + i] ?? 1) * (strides[batch + i] ?? 0);
    }
    return position;
  });
}

function gatherNd(ctx: EvaluateContext): TensorValue {
  const [data, indices] = [valueAt(ctx, 0), valueAt(ctx, 1)];
  const batch = numberOf(ctx.attrs, "batch_dims");
  const starts = tuplePositions(data.shape, indices, batch);
  const size = countOf(data.shape.slice(batch + (indices.shape.at(-1) ?? 1)));
  const positions = tabulateInts(starts.length * size, (i) => (starts[Math.floor(i / size)] ?? 0) + (i % size));
  return pick(data, outputAt(ctx).shape, positions);
}

export const gatherOps = {
  Gather: defineOp({
    summary: "slices of data along axis, one for each index",
    inputs: ["data: any", "indices: index"],
    outputs: ["output"],
    attrs: { axis: int(0) },
    infer: inferGather,
    evaluate: (ctx) => [gather(ctx)],
  }),
  GatherElements: defineOp({
    summary: "one element of data for each index, at the index's own place except along axis",
    inputs: ["data: any", "indices: index"],
    outputs: ["output"],
    attrs: { axis: int(0) },
    infer: inferGatherElements,
    evaluate: (ctx) => {
      const [data, indices] = [valueAt(ctx, 0), valueAt(ctx, 1)];
      const axis = axisOf(numberOf(ctx.attrs, "axis"), data.shape.length);
      return [pick(data, outputAt(ctx).shape, elementPositions(data.shape, indices, axis))];
    },
  }),
  GatherND: defineOp({
    summary: "slices of data named by index tuples in the last dimension of indices",
    inputs: ["data: any", "indices: int64"],
    outputs: ["output"],
    attrs: { batch_dims: int(0) },
    infer: inferGatherNd,
    evaluate: (ctx) => [gatherNd(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
