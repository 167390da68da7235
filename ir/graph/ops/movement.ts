// Operators that move, repeat, cut, join or surround elements without looking at them.
import { int, ints, numberOf, optionalNumber, optionalNumbers, string, stringOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import {
  aroundAxis,
  axisOf,
  broadcastShapes,
  broadcastTo,
  normaliseAxes,
  pick,
  pickStrided,
  shapeText,
  stridedPositions,
  stridesOf,
} from "../shapes.ts";
import { allocate, intsOf, setElement, type TensorType, type TensorValue, tensorValue } from "../values.ts";
import {
  axisAttr,
  constantInts,
  optionalInts,
  outputAt,
  presentTypes,
  presentValues,
  typeAt,
  valueAt,
} from "./rules.ts";

const permutation = (perm: readonly number[] | undefined, rank: number): readonly number[] =>
  perm ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);

function inferTranspose(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const perm = normaliseAxes(permutation(optionalNumbers(ctx.attrs, "perm"), shape.length), shape.length);
  if (isProblem(perm)) return perm;
  const given = optionalNumbers(ctx.attrs, "perm") ?? [];
  if (given.some((axis) => axis < 0)) return problem("attr", `perm is [${given.join()}], needed: axes from 0 on`);
  if (perm.length !== shape.length) return problem("attr", `perm has ${perm.length} entries for rank ${shape.length}`);
  return [{ dtype, shape: perm.map((axis) => shape[axis] ?? 1) }];
}

export function transposeValue(x: TensorValue, perm: readonly number[]): TensorValue {
  const strides = stridesOf(x.shape);
  const shape = perm.map((axis) => x.shape[axis] ?? 1);
  return pickStrided(
    x,
    shape,
    perm.map((axis) => strides[axis] ?? 0),
  );
}

function inferConcat(ctx: InferContext): Inferred {
  const types = presentTypes(ctx);
  const first = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  let size = 0;
  for (const type of types) {
    const agrees =
      type.shape.length === first.shape.length && type.shape.every((n, i) => i === axis || n === first.shape[i]);
    if (!agrees) {
      const list = types.map((one) => shapeText(one.shape)).join(", ");
      return problem("shape", `shapes ${list} differ in more than axis ${axis}`);
    }
    size += type.shape[axis] ?? 0;
  }
  return [{ dtype: first.dtype, shape: first.shape.with(axis, size) }];
}

/** Values joined along `axis`; shapes agree elsewhere. */
export function concatValues(values: readonly TensorValue[], axis: number, out: TensorType): TensorValue {
  const data = allocate(
    out.dtype,
    out.shape.reduce((a, b) => a * b, 1),
  );
  const [, total, inner] = aroundAxis(out.shape, axis);
  let start = 0;
  for (const value of values) {
    const [outer, size] = aroundAxis(value.shape, axis);
    const run = size * inner;
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < run; i++) {
        setElement(data, (o * total + start) * inner + i, value.data[o * run + i]);
      }
    }
    start += size;
  }
  return tensorValue(out.dtype, out.shape, data);
}

/** Sizes of the parts: given, or equal ones with a smaller last. */
function inferSplit(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  const given = optionalInts(ctx, 1, "split");
  if (isProblem(given)) return given;
  const size = shape[axis] ?? 0;
  const parts = optionalNumber(ctx.attrs, "num_outputs") ?? ctx.outputCount;
  const chunk = Math.ceil(size / parts);
  const sizes = given ?? Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(chunk, size - i * chunk)));
  if (sizes.some((n) => n < 0) || sizes.reduce((a, b) => a + b, 0) !== size) {
    return problem("shape", `parts of ${sizes.join(", ")} do not add up to ${size}, the size of axis ${axis}`);
  }
  if (sizes.length !== ctx.outputCount) {
    return problem("arity", `${sizes.length} parts for ${ctx.outputCount} outputs`);
  }
  return sizes.map((n) => ({ dtype, shape: shape.with(axis, n) }));
}

function split(ctx: EvaluateContext): TensorValue[] {
  const x = valueAt(ctx, 0);
  const axis = axisOf(numberOf(ctx.attrs, "axis"), x.shape.length);
  const strides = stridesOf(x.shape);
  let start = 0;
  return ctx.outputs.map((out) => {
    const part = pickStrided(x, out.shape, strides, start * (strides[axis] ?? 1));
    start += out.shape[axis] ?? 0;
    return part;
  });
}

interface Cut {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** What starts, ends, axes and steps keep of each dimension. */
function cutsOf(shape: readonly number[], lists: readonly (readonly number[] | undefined)[]): Cut[] | string {
  const [starts = [], ends = [], axes = starts.map((_, i) => i), steps = starts.map(() => 1)] = lists;
  if ([ends, axes, steps].some((list) => list.length !== starts.length))
    return "starts, ends, axes and steps differ in length";
  const named = normaliseAxes(axes, shape.length);
  if (isProblem(named)) return named.problem;
  const cuts: Cut[] = shape.map((size) => ({ start: 0, step: 1, size }));
  for (const [i, axis] of named.entries()) {
    const size = shape[axis] ?? 0;
    const step = steps[i] ?? 1;
    if (step === 0) return "a step is 0";
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const place = (at: number): number => Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const start = Math.max(place(starts[i] ?? 0), 0);
    const count = Math.ceil((place(ends[i] ?? 0) - start) / step);
    cuts[axis] = { start, step, size: size === 0 ? 0 : Math.max(0, count) };
  }
  return cuts;
}

function inferSlice(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const lists: (readonly number[] | undefined)[] = [];
  for (const [i, name] of ["starts", "ends", "axes", "steps"].entries()) {
    const list = optionalInts(ctx, i + 1, name);
    if (isProblem(list)) return list;
    lists.push(list);
  }
  const cuts = cutsOf(shape, lists);
  return typeof cuts === "string" ? problem("attr", cuts) : [{ dtype, shape: cuts.map((cut) => cut.size) }];
}

function slice(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const lists = [1, 2, 3, 4].map((i) => {
    const value = ctx.inputs[i] ?? null;
    return value === null ? undefined : intsOf(value);
  });
  const cuts = cutsOf(x.shape, lists);
  if (typeof cuts === "string") return x;
  const strides = stridesOf(x.shape);
  const offset = cuts.reduce((sum, cut, i) => sum + cut.start * (strides[i] ?? 0), 0);
  return pickStrided(
    x,
    outputAt(ctx).shape,
    cuts.map((cut, i) => cut.step * (strides[i] ?? 0)),
    offset,
  );
}

/** Elements before and after each dimension; negative ones cut. */
function padsOf(
  shape: readonly number[],
  pads: readonly number[],
  axes: readonly number[] | undefined,
): [number, number][] | string {
  const named = normaliseAxes(axes ?? shape.map((_, i) => i), shape.length);
  if (isProblem(named)) return named.problem;
  if (pads.length !== 2 * named.length) return `pads has ${pads.length} entries, needed: ${2 * named.length}`;
  const result = shape.map((): [number, number] => [0, 0]);
  for (const [i, axis] of named.entries()) result[axis] = [pads[i] ?? 0, pads[i + named.length] ?? 0];
  return result;
}

const padModes = ["constant", "edge", "reflect", "wrap"];

function inferPad(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const mode = stringOf(ctx.attrs, "mode");
  if (!padModes.includes(mode)) return problem("attr", `mode is "${mode}", allowed: ${padModes.join(", ")}`);
  const pads = constantInts(ctx, 1, "pads");
  if (isProblem(pads)) return pads;
  const axes = optionalInts(ctx, 3, "axes");
  if (isProblem(axes)) return axes;
  const ends = padsOf(shape, pads, axes);
  if (typeof ends === "string") return problem("attr", ends);
  const result = shape.map((size, i) => size + (ends[i]?.[0] ?? 0) + (ends[i]?.[1] ?? 0));
  if (result.some((size) => size < 0)) return problem("shape", `pads cut more than ${shapeText(shape)} has`);
  const empty = shape.findIndex((size, i) => size === 0 && (result[i] ?? 0) > 0);
  if (mode !== "constant" && empty >= 0) return problem("shape", `axis ${empty} is empty, there is nothing to repeat`);
  return [{ dtype, shape: result }];
}

/** Source index of a padded index, or -1 where the constant stands. */
function padSource(at: number, size: number, mode: string): number {
  if (at >= 0 && at < size) return at;
  if (mode === "constant") return -1;
  if (mode === "edge") return at < 0 ? 0 : size - 1;
  if (mode === "wrap") return ((at % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

function pad(ctx: EvaluateContext): TensorValue {
  const [x, pads, fill, axes] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null, ctx.inputs[3] ?? null];
  const ends = padsOf(x.shape, intsOf(pads), axes === null ? undefined : intsOf(axes));
  if (typeof ends === "string") return x;
  const out = outputAt(ctx);
  const mode = stringOf(ctx.attrs, "mode");
  const strides = stridesOf(x.shape);
  let positions = new Int32Array(1);
  for (const [axis, size] of out.shape.entries()) {
    const next = new Int32Array(positions.length * size);
    for (const [i, base] of positions.entries()) {
      for (let j = 0; j < size; j++) {
        const source = padSource(j - (ends[axis]?.[0] ?? 0), x.shape[axis] ?? 0, mode);
        next[i * size + j] = base < 0 || source < 0 ? -1 : base + source * (strides[axis] ?? 0);
      }
    }
    positions = next;
  }
  const padded = pick(x, out.shape, positions);
  for (const [i, at] of positions.entries()) if (at < 0) setElement(padded.data, i, fill?.data[0]);
  return padded;
}

function inferTile(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const repeats = constantInts(ctx, 1, "repeats");
  if (isProblem(repeats)) return repeats;
  if (repeats.length !== shape.length) return problem("shape", `${repeats.length} repeats for rank ${shape.length}`);
  if (repeats.some((n) => n < 0)) return problem("attr", "a repeat is negative");
  return [{ dtype, shape: shape.map((size, i) => size * (repeats[i] ?? 1)) }];
}

function tile(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const repeats = intsOf(valueAt(ctx, 1));
  const strides = stridesOf(x.shape);
  const split = x.shape.flatMap((size, i) => [repeats[i] ?? 1, size]);
  return pick(
    x,
    outputAt(ctx).shape,
    stridedPositions(
      split,
      strides.flatMap((stride) => [0, stride]),
    ),
  );
}

function inferExpand(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const target = constantInts(ctx, 1, "shape");
  if (isProblem(target)) return target;
  if (target.some((size) => size < 0)) return problem("shape", `shape ${shapeText(target)} has a negative size`);
  const result = broadcastShapes(shape, target);
  return isProblem(result) ? result : [{ dtype, shape: result }];
}

export const movementOps = {
  Transpose: defineOp({
    summary: "dimensions in the order of perm (reversed by default)",
    inputs: ["data: any"],
    outputs: ["transposed"],
    attrs: { perm: ints() },
    infer: inferTranspose,
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      const perm = permutation(optionalNumbers(ctx.attrs, "perm"), x.shape.length);
      return [
        transposeValue(
          x,
          perm.map((axis) => axisOf(axis, x.shape.length)),
        ),
      ];
    },
  }),
  Concat: defineOp({
    summary: "inputs joined along axis",
    inputs: ["inputs...: any"],
    outputs: ["concat_result"],
    attrs: { axis: { ...int(), required: true } },
    infer: inferConcat,
    evaluate: (ctx) => {
      const out = outputAt(ctx);
      return [concatValues(presentValues(ctx), axisOf(numberOf(ctx.attrs, "axis"), out.shape.length), out)];
    },
  }),
  Split: defineOp({
    summary: "cut along axis into parts of the given sizes, or into equal ones",
    inputs: ["input: any", "split?: int64"],
    outputs: ["outputs..."],
    attrs: { axis: int(0), num_outputs: int() },
    infer: inferSplit,
    evaluate: split,
  }),
  Slice: defineOp({
    summary: "every step-th element from start to end along axes; out-of-range bounds are clamped",
    inputs: ["data: any", "starts: index", "ends: starts", "axes?: starts", "steps?: starts"],
    outputs: ["output"],
    attrs: {},
    infer: inferSlice,
    evaluate: (ctx) => [slice(ctx)],
  }),
  Pad: defineOp({
    summary: "data surrounded by a constant, its edge, its reflection or itself; negative pads cut",
    inputs: ["data: any", "pads: int64", "constant_value?: data single", "axes?: index"],
    outputs: ["output"],
    attrs: { mode: string("constant") },
    infer: inferPad,
    evaluate: (ctx) => [pad(ctx)],
  }),
  Tile: defineOp({
    summary: "data repeated along each dimension",
    inputs: ["input: any", "repeats: int64"],
    outputs: ["output"],
    attrs: {},
    infer: inferTile,
    evaluate: (ctx) => [tile(ctx)],
  }),
  Expand: defineOp({
    summary: "data broadcast with a shape",
    inputs: ["input: any", "shape: int64"],
    outputs: ["output"],
    attrs: {},
    infer: inferExpand,
    evaluate: (ctx) => [broadcastTo(valueAt(ctx, 0), outputAt(ctx).shape)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
