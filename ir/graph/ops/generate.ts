// Operators that make tensors from shapes, ranges and indices.
import { dtypeAttr, int, numberOf, optionalDType } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { axisOf, normaliseAxis, pick, shapeText, stridesOf } from "../shapes.ts";
import {
  allocate,
  bigintsOf,
  countOf,
  is64Bit,
  numbersOf,
  setElement,
  type TensorValue,
  tabulate,
  tabulateInts,
  tensorValue,
  valueFromBigints,
  valueFromNumbers,
} from "../values.ts";
import { constantInts, outputAt, typeAt, valueAt } from "./rules.ts";

function inferRange(ctx: InferContext): Inferred {
  const [start, limit, delta] = [ctx.constant(0), ctx.constant(1), ctx.constant(2)];
  if (start === undefined || limit === undefined || delta === undefined) {
    return problem("constant", "start, limit or delta is computed at run time, and the length depends on it");
  }
  const [first = 0, end = 0, step = 0] = [start, limit, delta].map((value) => numbersOf(value)[0]);
  if (step === 0) return problem("attr", "delta is 0");
  const count = Math.max(0, Math.ceil((end - first) / step));
  if (!Number.isSafeInteger(count)) return problem("shape", `a range of ${count} elements`);
  return [{ dtype: start.dtype, shape: [count] }];
}

function range(ctx: EvaluateContext): TensorValue {
  const [start, delta, out] = [valueAt(ctx, 0), valueAt(ctx, 2), outputAt(ctx)];
  const length = countOf(out.shape);
  if (is64Bit(start.dtype)) {
    const [first, step] = [bigintsOf(start)[0] ?? 0n, bigintsOf(delta)[0] ?? 0n];
    return valueFromBigints(
      out.dtype,
      out.shape,
      Array.from({ length }, (_, i) => first + BigInt(i) * step),
    );
  }
  const [first, step] = [numbersOf(start)[0] ?? 0, numbersOf(delta)[0] ?? 0];
  return valueFromNumbers(
    out.dtype,
    out.shape,
    tabulate(length, (i) => first + i * step),
  );
}

function inferConstantOfShape(ctx: InferContext): Inferred {
  const shape = constantInts(ctx, 0, "shape");
  if (isProblem(shape)) return shape;
  if (shape.some((size) => size < 0)) return problem("shape", `shape ${shapeText(shape)} has a negative size`);
  return [{ dtype: ctx.inputs[1]?.dtype ?? "float32", shape }];
}

function constantOfShape(ctx: EvaluateContext): TensorValue {
  const out = outputAt(ctx);
  const data = allocate(out.dtype, countOf(out.shape));
  for (let i = 0; i < data.length; i++) setElement(data, i, ctx.inputs[1]?.data[0]);
  return tensorValue(out.dtype, out.shape, data);
}

function inferOneHot(ctx: InferContext): Inferred {
  const { shape } = typeAt(ctx, 0);
  const depth = ctx.constant(1);
  if (depth === undefined)
    return problem("constant", "input depth is computed at run time, and the shape depends on it");
  const axis = normaliseAxis(numberOf(ctx.attrs, "axis"), shape.length + 1);
  if (isProblem(axis)) return axis;
  const size = Math.trunc(numbersOf(depth)[0] ?? 0);
  if (!(size >= 0)) return problem("shape", `depth is ${size}`);
  const values = typeAt(ctx, 2);
  if (shapeText(values.shape) !== shapeText([2])) {
    return problem("shape", `values ${shapeText(values.shape)} are not two numbers, off and on`);
  }
  return [{ dtype: typeAt(ctx, 2).dtype, shape: shape.toSpliced(axis, 0, size) }];
}

/** The on value where the index names the place, the off value elsewhere; an index outside -depth..depth-1 names none. */
function oneHot(ctx: EvaluateContext): TensorValue {
  const [indices, values, out] = [valueAt(ctx, 0), valueAt(ctx, 2), outputAt(ctx)];
  const axis = axisOf(numberOf(ctx.attrs, "axis"), out.shape.length);
  const depth = out.shape[axis] ?? 0;
  const inner = countOf(out.shape.slice(axis + 1));
  const numbers = numbersOf(indices);
  const positions = tabulateInts(countOf(out.shape), (flat) => {
    const [outer, at, rest] = [Math.floor(flat / (inner * depth)), Math.floor(flat / inner) % depth, flat % inner];
    const index = Math.trunc(numbers[outer * inner + rest] ?? 0);
    return (index < 0 ? index + depth : index) === at ? 1 : 0;
  });
  return pick(values, out.shape, positions);
}

function trilu(ctx: EvaluateContext): TensorValue {
  const [x, offset] = [valueAt(ctx, 0), ctx.inputs[1] ?? null];
  const k = offset === null ? 0 : (numbersOf(offset)[0] ?? 0);
  const upper = numberOf(ctx.attrs, "upper") === 1;
  const [rows, columns] = [x.shape.at(-2) ?? 1, x.shape.at(-1) ?? 1];
  const positions = tabulateInts(x.data.length, (flat) => {
    const distance = (flat % columns) - (Math.floor(flat / columns) % rows);
    return (upper ? distance >= k : distance <= k) ? flat : -1;
  });
  return pick(x, x.shape, positions);
}

function nonZeroIndices(x: TensorValue): number[][] {
  const numbers = numbersOf(x);
  const strides = stridesOf(x.shape);
  const found = Array.from({ length: numbers.length }, (_, i) => i).filter((i) => numbers[i] !== 0);
  return x.shape.map((size, axis) => found.map((flat) => Math.floor(flat / (strides[axis] ?? 1)) % size));
}

export const generateOps = {
  Range: defineOp({
    summary: "start, start + delta, ... before limit",
    inputs: ["start: number", "limit: start", "delta: start"],
    outputs: ["output"],
    // Halves are always computed in more digits than either type that can be asked for.
    attrs: { stash_type: int(1) },
    infer: inferRange,
    evaluate: (ctx) => [range(ctx)],
  }),
  ConstantOfShape: defineOp({
    summary:
      "a tensor of the given shape filled with value (the attribute of the file format, here an input); float32 0 by default",
    inputs: ["input: int64", "value?: any single"],
    outputs: ["output"],
    attrs: {},
    infer: inferConstantOfShape,
    evaluate: (ctx) => [constantOfShape(ctx)],
  }),
  EyeLike: defineOp({
    summary: "ones on diagonal k of a matrix of the input's shape",
    inputs: ["input: number|bool"],
    outputs: ["output"],
    attrs: { dtype: dtypeAttr(), k: int(0) },
    infer: (ctx) => {
      const { dtype, shape } = typeAt(ctx, 0);
      if (shape.length !== 2) return problem("shape", `input has rank ${shape.length}, needed: 2`);
      return [{ dtype: optionalDType(ctx.attrs, "dtype") ?? dtype, shape }];
    },
    evaluate: (ctx) => {
      const out = outputAt(ctx);
      const columns = out.shape[1] ?? 1;
      const k = numberOf(ctx.attrs, "k");
      const ones = Array.from({ length: countOf(out.shape) }, (_, i) =>
        (i % columns) - Math.floor(i / columns) === k ? 1 : 0,
      );
      return [valueFromNumbers(out.dtype, out.shape, ones)];
    },
  }),
  OneHot: defineOp({
    summary: "values[1] where the index names the place along the new axis, else values[0]",
    inputs: ["indices: number", "depth: number single", "values: any"],
    outputs: ["output"],
    attrs: { axis: int(-1) },
    infer: inferOneHot,
    evaluate: (ctx) => [oneHot(ctx)],
  }),
  Trilu: defineOp({
    summary: "the upper or lower triangle about diagonal k, zeros elsewhere",
    inputs: ["input: any", "k?: int64 single"],
    outputs: ["output"],
    attrs: { upper: int(1) },
    infer: (ctx) => {
      const x = typeAt(ctx, 0);
      return x.shape.length < 2 ? problem("shape", `input has rank ${x.shape.length}, needed: 2 or more`) : [x];
    },
    evaluate: (ctx) => [trilu(ctx)],
  }),
  NonZero: defineOp({
    summary: "index tuples of the elements that are not 0; only of constants",
    inputs: ["X: any"],
    outputs: ["Y"],
    attrs: {},
    infer: (ctx) => {
      const x = ctx.constant(0);
      if (x === undefined)
        return problem("unsupported", "the number of results depends on data known at run time only");
      return [{ dtype: "int64", shape: [x.shape.length, nonZeroIndices(x)[0]?.length ?? 0] }];
    },
    evaluate: (ctx) => [valueFromNumbers("int64", outputAt(ctx).shape, nonZeroIndices(valueAt(ctx, 0)).flat())],
  }),
} as const satisfies Record<string, OnnxOpRow>;
