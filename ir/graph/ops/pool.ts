// Pooling, and the exchange of channels and positions.
import { int, ints, numberOf, numbersAttr, string, stringOf } from "../attr.ts";
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
import { countOf, largestOf, numbersOf, reshaped, type TensorValue, valueFromNumbers } from "../values.ts";
import { transposeValue } from "./movement.ts";
import { sumOf } from "./reduce.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";
import { poolAttrs, visitWindow, type Windows, windowsOf } from "./window.ts";

const kernelAttrs = { ...poolAttrs, kernel_shape: { ...ints(), required: true } } as const;

function inferPool(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  if (shape.length < 3) return problem("shape", `X has rank ${shape.length}, needed: 3 or more`);
  const windows = windowsOf(shape.slice(2), numbersAttr(ctx.attrs, "kernel_shape"), ctx.attrs);
  if (isProblem(windows)) return windows;
  const result = [...shape.slice(0, 2), ...windows.output];
  return [
    { dtype, shape: result },
    { dtype: "int64", shape: result },
  ];
}

const planWindows = (ctx: EvaluateContext): Windows | undefined => {
  const windows = windowsOf(valueAt(ctx, 0).shape.slice(2), numbersAttr(ctx.attrs, "kernel_shape"), ctx.attrs);
  return isProblem(windows) ? undefined : windows;
};

/** Position in the plane with the first spatial dimension running fastest. */
function columnMajor(position: number, spatial: readonly number[]): number {
  let [rest, result] = [position, 0];
  const digits = spatial.toReversed().map((size) => {
    const digit = rest % size;
    rest = Math.floor(rest / size);
    return digit;
  });
  for (const [i, digit] of digits.entries()) result = result * (spatial[spatial.length - 1 - i] ?? 1) + digit;
  return result;
}

function maxPool(ctx: EvaluateContext): TensorValue[] {
  const x = valueAt(ctx, 0);
  const out = outputAt(ctx);
  const windows = planWindows(ctx);
  if (windows === undefined) return [x];
  const [planes, spatial, places] = [countOf(x.shape.slice(0, 2)), x.shape.slice(2), countOf(windows.output)];
  const [area, source] = [countOf(spatial), numbersOf(x)];
  const byColumns = numberOf(ctx.attrs, "storage_order") === 1;
  const best = new Float64Array(planes * places);
  const where = new Float64Array(planes * places);
  for (let place = 0; place < places; place++) {
    const seen: number[] = [];
    visitWindow(windows, spatial, place, (position) => {
      if (position >= 0) seen.push(position);
    });
    for (let plane = 0; plane < planes; plane++) {
      let at = seen[0] ?? 0;
      for (const position of seen)
        if ((source[plane * area + position] ?? 0) > (source[plane * area + at] ?? 0)) at = position;
      best[plane * places + place] = seen.length === 0 ? -Infinity : (source[plane * area + at] ?? 0);
      where[plane * places + place] = plane * area + (byColumns ? columnMajor(at, spatial) : at);
    }
  }
  return ctx.outputs.map(({ dtype }, i) => valueFromNumbers(dtype, out.shape, i === 0 ? best : where));
}

function averagePool(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const out = outputAt(ctx);
  const windows = planWindows(ctx);
  if (windows === undefined) return x;
  const [planes, spatial, places] = [countOf(x.shape.slice(0, 2)), x.shape.slice(2), countOf(windows.output)];
  const [area, source] = [countOf(spatial), numbersOf(x)];
  const countPads = numberOf(ctx.attrs, "count_include_pad") === 1;
  const means = new Float64Array(planes * places);
  for (let place = 0; place < places; place++) {
    const seen: number[] = [];
    let count = 0;
    visitWindow(windows, spatial, place, (position, _element, padded) => {
      if (position >= 0) seen.push(position);
      if (position >= 0 || (countPads && padded)) count += 1;
    });
    for (let plane = 0; plane < planes; plane++) {
      means[plane * places + place] = sumOf(seen, (position) => source[plane * area + position] ?? 0) / count;
    }
  }
  return valueFromNumbers(out.dtype, out.shape, means);
}

const globalPool = (summary: string, reduce: (plane: Float64Array) => number): OnnxOpRow =>
  defineOp({
    summary,
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: {},
    infer: (ctx) => {
      const { dtype, shape } = typeAt(ctx, 0);
      if (shape.length < 3) return problem("shape", `X has rank ${shape.length}, needed: 3 or more`);
      return [{ dtype, shape: shape.map((size, i) => (i < 2 ? size : 1)) }];
    },
    evaluate: (ctx) => {
      const x = valueAt(ctx, 0);
      const out = outputAt(ctx);
      const [area, source] = [countOf(x.shape.slice(2)), new Float64Array(numbersOf(x))];
      const planes = Array.from({ length: countOf(out.shape) }, (_, i) =>
        reduce(source.slice(i * area, (i + 1) * area)),
      );
      return [valueFromNumbers(out.dtype, out.shape, planes)];
    },
  });

function inferBlocks(ctx: InferContext, toSpace: boolean): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const block = numberOf(ctx.attrs, "blocksize");
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  const fits = toSpace ? c % (block * block) === 0 : h % block === 0 && w % block === 0;
  const mode = stringOf(ctx.attrs, "mode");
  if (mode !== "DCR" && mode !== "CRD") return problem("attr", `mode is ${mode}, allowed: DCR, CRD`);
  if (shape.length !== 4 || block < 1 || !fits)
    return problem("shape", `blocks of ${block} do not fit ${shapeText(shape)}`);
  const result = toSpace
    ? [n, c / (block * block), h * block, w * block]
    : [n, c * block * block, h / block, w / block];
  return [{ dtype, shape: result }];
}

function depthToSpace(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const block = numberOf(ctx.attrs, "blocksize");
  const [n = 0, c = 0, h = 0, w = 0] = x.shape;
  const rest = c / (block * block);
  const columnRow = stringOf(ctx.attrs, "mode") === "CRD";
  const split = columnRow ? [n, rest, block, block, h, w] : [n, block, block, rest, h, w];
  const perm = columnRow ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return reshaped(transposeValue(reshaped(x, split), perm), outputAt(ctx).shape);
}

function spaceToDepth(ctx: EvaluateContext): TensorValue {
  const x = valueAt(ctx, 0);
  const block = numberOf(ctx.attrs, "blocksize");
  const [n = 0, c = 0, h = 0, w = 0] = x.shape;
  const split = reshaped(x, [n, c, h / block, block, w / block, block]);
  const columnRow = stringOf(ctx.attrs, "mode") === "CRD";
  return reshaped(transposeValue(split, columnRow ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]), outputAt(ctx).shape);
}

export const poolOps = {
  MaxPool: defineOp({
    summary: "largest element of each window, and where it stands",
    inputs: ["X: float|byte"],
    outputs: ["Y", "Indices?"],
    attrs: { ...kernelAttrs, storage_order: int(0) },
    infer: inferPool,
    evaluate: maxPool,
  }),
  AveragePool: defineOp({
    summary: "mean of each window, over its data or (count_include_pad) over data and padding",
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: { ...kernelAttrs, count_include_pad: int(0) },
    infer: (ctx) => {
      const inferred = inferPool(ctx);
      return isProblem(inferred) ? inferred : inferred.slice(0, 1);
    },
    evaluate: (ctx) => [averagePool(ctx)],
  }),
  GlobalAveragePool: globalPool("mean of each channel", (plane) => sumOf(plane) / plane.length),
  GlobalMaxPool: globalPool("largest element of each channel", (plane) => largestOf(plane)),
  DepthToSpace: defineOp({
    summary: "channels rearranged into blocks of positions",
    inputs: ["input: any"],
    outputs: ["output"],
    attrs: { blocksize: { ...int(), required: true }, mode: string("DCR") },
    infer: (ctx) => inferBlocks(ctx, true),
    evaluate: (ctx) => [depthToSpace(ctx)],
  }),
  SpaceToDepth: defineOp({
    summary: "blocks of positions rearranged into channels",
    inputs: ["input: any"],
    outputs: ["output"],
    attrs: { blocksize: { ...int(), required: true }, mode: string("DCR") },
    infer: (ctx) => inferBlocks(ctx, false),
    evaluate: (ctx) => [spaceToDepth(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
