// Operators that change or report shapes and move no element.
import { int, numberOf, optionalNumber } from "../attr.ts";
import type { EvaluateContext } from "../op-row.ts";
import {
  defineOp,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  type Problem,
  problem,
} from "../op-row.ts";
import { axisOf, normaliseAxes, shapeText } from "../shapes.ts";
import type { TensorValue } from "../values.ts";
import { countOf, int64s, reshaped, scalar } from "../values.ts";
import { constantInts, optionalInts, outputAt, typeAt, valueAt } from "./rules.ts";

const reshapeFirst = (ctx: EvaluateContext): TensorValue[] => [reshaped(valueAt(ctx, 0), outputAt(ctx).shape)];

/** Zeros copy the input's size (unless `allowZero`), one -1 takes what is left. */
function targetShape(from: readonly number[], target: readonly number[], allowZero: boolean): number[] | Problem {
  const sizes = target.map((size, i) => (size === 0 && !allowZero ? (from[i] ?? -2) : size));
  const wrong = problem("shape", `${shapeText(from)} cannot be reshaped to ${shapeText(target)}`);
  if (sizes.some((size) => size < -1)) return wrong;
  const open = sizes.filter((size) => size === -1).length;
  if (open > 1) return wrong;
  const known = countOf(sizes.filter((size) => size !== -1));
  const total = countOf(from);
  if (open === 1 && (known === 0 || total % known !== 0)) return wrong;
  const shape = sizes.map((size) => (size === -1 ? total / known : size));
  return countOf(shape) === total ? shape : wrong;
}

function inferReshape(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const target = constantInts(ctx, 1, "shape");
  if (isProblem(target)) return target;
  const result = targetShape(shape, target, numberOf(ctx.attrs, "allowzero") === 1);
  return isProblem(result) ? result : [{ dtype, shape: result }];
}

function inferSqueeze(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const given = optionalInts(ctx, 1, "axes");
  if (isProblem(given)) return given;
  const ones = shape.flatMap((size, i) => (size === 1 ? [i] : []));
  const axes = given === undefined ? ones : normaliseAxes(given, shape.length);
  if (isProblem(axes)) return axes;
  const wide = axes.find((axis) => shape[axis] !== 1);
  if (wide !== undefined) return problem("shape", `axis ${wide} of ${shapeText(shape)} has size ${shape[wide]}, not 1`);
  return [{ dtype, shape: shape.filter((_, i) => !axes.includes(i)) }];
}

function inferUnsqueeze(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const given = constantInts(ctx, 1, "axes");
  if (isProblem(given)) return given;
  const rank = shape.length + given.length;
  const axes = normaliseAxes(given, rank);
  if (isProblem(axes)) return axes;
  const rest = shape.values();
  const result = Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (rest.next().value ?? 1)));
  return [{ dtype, shape: result }];
}

function inferFlatten(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const axis = numberOf(ctx.attrs, "axis");
  if (axis < -shape.length || axis > shape.length) {
    return problem("attr", `axis is ${axis}, allowed: ${-shape.length} to ${shape.length}`);
  }
  const at = axis < 0 ? axis + shape.length : axis;
  return [{ dtype, shape: [countOf(shape.slice(0, at)), countOf(shape.slice(at))] }];
}

/** The half-open range of dimensions that start and end name, both clamped. */
function shapeRange(ctx: { readonly attrs: InferContext["attrs"] }, rank: number): readonly [number, number] {
  const clamp = (axis: number): number => Math.min(Math.max(axisOf(axis, rank), 0), rank);
  const start = clamp(numberOf(ctx.attrs, "start"));
  const end = clamp(optionalNumber(ctx.attrs, "end") ?? rank);
  return [start, Math.max(start, end)];
}

export const shapeOps = {
  Shape: defineOp({
    summary: "dimensions start to end of data's shape",
    inputs: ["data: any"],
    outputs: ["shape"],
    attrs: { start: int(0), end: int() },
    infer: (ctx) => {
      const [start, end] = shapeRange(ctx, typeAt(ctx, 0).shape.length);
      return [{ dtype: "int64", shape: [end - start] }];
    },
    evaluate: (ctx) => {
      const { shape } = valueAt(ctx, 0);
      return [int64s(shape.slice(...shapeRange(ctx, shape.length)))];
    },
  }),
  Size: defineOp({
    summary: "number of elements",
    inputs: ["data: any"],
    outputs: ["size"],
    attrs: {},
    infer: () => [{ dtype: "int64", shape: [] }],
    evaluate: (ctx) => [scalar("int64", countOf(valueAt(ctx, 0).shape))],
  }),
  Reshape: defineOp({
    summary: "the same elements under a new shape; 0 copies a size (unless allowzero), one -1 takes the rest",
    inputs: ["data: any", "shape: int64"],
    outputs: ["reshaped"],
    attrs: { allowzero: int(0) },
    infer: inferReshape,
    evaluate: reshapeFirst,
  }),
  Squeeze: defineOp({
    summary: "without the named dimensions of size 1 (all of them by default)",
    inputs: ["data: any", "axes?: int64"],
    outputs: ["squeezed"],
    attrs: {},
    infer: inferSqueeze,
    evaluate: reshapeFirst,
  }),
  Unsqueeze: defineOp({
    summary: "with dimensions of size 1 put in at the axes of the result",
    inputs: ["data: any", "axes: int64"],
    outputs: ["expanded"],
    attrs: {},
    infer: inferUnsqueeze,
    evaluate: reshapeFirst,
  }),
  Flatten: defineOp({
    summary: "two dimensions: those before axis, and the others",
    inputs: ["input: any"],
    outputs: ["output"],
    attrs: { axis: int(1) },
    infer: inferFlatten,
    evaluate: reshapeFirst,
  }),
  Dropout: defineOp({
    summary: "data at inference time; the mask is all true",
    inputs: ["data: float|smallFloat", "ratio?: float|smallFloat", "training_mode?: bool"],
    outputs: ["output", "mask?"],
    attrs: { seed: int() },
    infer: (ctx) => {
      const training = ctx.inputs[2] ?? null;
      const flag = ctx.constant(2)?.data[0];
      const ratio = ctx.constant(1);
      const never = ratio !== undefined && Number(ratio.data[0]) === 0;
      if (training !== null && flag !== 0 && !never)
        return problem("unsupported", "training mode draws random numbers");
      return [typeAt(ctx, 0), { dtype: "bool", shape: typeAt(ctx, 0).shape }];
    },
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      return [x, { dtype: "bool", shape: x.shape, data: new Uint8Array(x.data.length).fill(1) }];
    },
  }),
} as const satisfies Record<string, OnnxOpRow>;
