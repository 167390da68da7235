// Convolutions over any number of spatial dimensions. Floats are summed in double and rounded once, integers exactly.
import { int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  isProblem,
  type OnnxOpRow,
  type Problem,
  problem,
} from "../op-row.ts";
import { shapeText } from "../shapes.ts";
import { countOf, mapped, numbersOf, type TensorValue, valueFromNumbers } from "../values.ts";
import { quantiseNumbers } from "./cast.ts";
import { outputAt, typeAt, valueAt } from "./rules.ts";
import { visitWindow, type Windows, windowAttrs, windowsOf } from "./window.ts";

export const convAttrs = { ...windowAttrs, group: int(1) } as const;

function convShape(ctx: InferContext, x: readonly number[], w: readonly number[]): number[] | Problem {
  if (x.length < 3 || w.length !== x.length) {
    return problem("shape", `X ${shapeText(x)} and W ${shapeText(w)} must have one rank of 3 or more`);
  }
  const group = numberOf(ctx.attrs, "group");
  const [batch = 0, channels = 0] = x;
  const [filters = 0, perGroup = 0] = w;
  if (group < 1 || channels !== perGroup * group || filters % group !== 0) {
    return problem("shape", `${channels} channels and W ${shapeText(w)} do not fit group ${group}`);
  }
  const kernel = ctx.attrs.kernel_shape ?? w.slice(2);
  if (String(kernel) !== String(w.slice(2)))
    return problem("attr", `kernel_shape [${kernel}] differs from W ${shapeText(w)}`);
  const windows = windowsOf(x.slice(2), w.slice(2), ctx.attrs);
  return isProblem(windows) ? windows : [batch, filters, ...windows.output];
}

/** Parameters that hold one element, or one for each filter where their place says so. */
function checkPerFilter(
  ctx: InferContext,
  filters: number,
  places: readonly (readonly [index: number, name: string, form: "filters" | "filters or one" | "one"])[],
): Problem | undefined {
  for (const [index, name, form] of places) {
    const shape = ctx.inputs[index]?.shape;
    if (shape === undefined || (form !== "filters" && countOf(shape) === 1)) continue;
    if (form !== "one" && shape.length === 1 && shape[0] === filters) continue;
    const needed = form === "filters" ? `[${filters}]` : form === "one" ? "one element" : `one element or [${filters}]`;
    return problem("shape", `${name} has shape ${shapeText(shape)}, needed: ${needed}`);
  }
  return undefined;
}

interface Operands {
  readonly x: Float64Array;
  readonly w: Float64Array;
  readonly xShape: readonly number[];
  readonly wShape: readonly number[];
  readonly group: number;
}

/** Sums of products for every output element, [batch, filter, position]. */
function convolve({ x, w, xShape, wShape, group }: Operands, windows: Windows): Float64Array {
  const [batch = 0, channels = 0, ...spatial] = xShape;
  const [filters = 0, perGroup = 0] = wShape;
  const [places, area, taps] = [countOf(windows.output), countOf(spatial), countOf(windows.kernel)];
  const result = new Float64Array(batch * filters * places);
  for (let place = 0; place < places; place++) {
    const [positions, tapsSeen]: [number[], number[]] = [[], []];
    visitWindow(windows, spatial, place, (position, tap) => {
      if (position < 0) return;
      positions.push(position);
      tapsSeen.push(tap);
    });
    for (let b = 0; b < batch; b++) {
      for (let f = 0; f < filters; f++) {
        const first = Math.floor(f / (filters / group)) * perGroup;
        let sum = 0;
        for (let c = 0; c < perGroup; c++) {
          const [atX, atW] = [(b * channels + first + c) * area, (f * perGroup + c) * taps];
          for (let t = 0; t < positions.length; t++) {
            sum += (x[atX + (positions[t] ?? 0)] ?? 0) * (w[atW + (tapsSeen[t] ?? 0)] ?? 0);
          }
        }
        result[(b * filters + f) * places + place] = sum;
      }
    }
  }
  return result;
}

function convolutionSums(
  ctx: EvaluateContext,
  x: TensorValue,
  xs: ArrayLike<number>,
  w: TensorValue,
  ws: ArrayLike<number>,
): Float64Array {
  const windows = windowsOf(x.shape.slice(2), w.shape.slice(2), ctx.attrs);
  if (isProblem(windows)) return new Float64Array(0);
  return convolve(
    {
      x: new Float64Array(xs),
      w: new Float64Array(ws),
      xShape: x.shape,
      wShape: w.shape,
      group: numberOf(ctx.attrs, "group"),
    },
    windows,
  );
}

/** Which filter an element of the output belongs to. */
const filterOf = (flat: number, shape: readonly number[]): number =>
  Math.floor(flat / countOf(shape.slice(2))) % (shape[1] ?? 1);

function conv(ctx: EvaluateContext): TensorValue {
  const [x, w, bias] = [valueAt(ctx, 0), valueAt(ctx, 1), ctx.inputs[2] ?? null];
  const out = outputAt(ctx);
  const shift = bias === null ? [] : numbersOf(bias);
  const sums = convolutionSums(ctx, x, numbersOf(x), w, numbersOf(w));
  return valueFromNumbers(
    out.dtype,
    out.shape,
    sums.map((sum, i) => sum + (shift[filterOf(i, out.shape)] ?? 0)),
  );
}

/** Elements minus their zero point: one for all, or one for each entry of dimension 0. */
function withoutZeroPoint(x: TensorValue, zero: TensorValue | null): Float64Array {
  const zeros = zero === null ? [0] : numbersOf(zero);
  const perEntry = x.data.length / (x.shape[0] ?? 1);
  return mapped(numbersOf(x), (v, i) => v - (zeros[zeros.length > 1 ? Math.floor(i / perEntry) : 0] ?? 0));
}

function convInteger(ctx: EvaluateContext): TensorValue {
  const [x, w, out] = [valueAt(ctx, 0), valueAt(ctx, 1), outputAt(ctx)];
  const xs = withoutZeroPoint(x, ctx.inputs[2] ?? null);
  const ws = withoutZeroPoint(w, ctx.inputs[3] ?? null);
  return valueFromNumbers(out.dtype, out.shape, convolutionSums(ctx, x, xs, w, ws));
}

function qlinearConv(ctx: EvaluateContext): TensorValue {
  const [x, w, out] = [valueAt(ctx, 0), valueAt(ctx, 3), outputAt(ctx)];
  const [xScale = [], wScale = [], yScale = [], yZero = []] = [1, 4, 6, 7].map((i) => numbersOf(valueAt(ctx, i)));
  const bias = ctx.inputs[8] ?? null;
  const shift = bias === null ? [] : numbersOf(bias);
  const sums = convolutionSums(ctx, x, withoutZeroPoint(x, valueAt(ctx, 2)), w, withoutZeroPoint(w, valueAt(ctx, 5)));
  const scaled = sums.map((sum, i) => {
    const f = filterOf(i, out.shape);
    const scale = Math.fround(
      Math.fround((xScale[0] ?? 1) * (wScale[wScale.length > 1 ? f : 0] ?? 1)) / (yScale[0] ?? 1),
    );
    return Math.fround((sum + (shift[f] ?? 0)) * scale) + (yZero[0] ?? 0);
  });
  return quantiseNumbers(out.dtype, out.shape, scaled);
}

export const convolutionOps = {
  Conv: defineOp({
    summary: "cross-correlation of X [batch, channels, ...] with W [filters, channels / group, ...], plus B",
    inputs: ["X: float", "W: X", "B?: X"],
    outputs: ["Y"],
    attrs: convAttrs,
    infer: (ctx) => {
      const shape = convShape(ctx, typeAt(ctx, 0).shape, typeAt(ctx, 1).shape);
      if (isProblem(shape)) return shape;
      return checkPerFilter(ctx, shape[1] ?? 0, [[2, "B", "filters"]]) ?? [{ dtype: typeAt(ctx, 0).dtype, shape }];
    },
    evaluate: (ctx) => [conv(ctx)],
  }),
  ConvInteger: defineOp({
    summary: "exact int32 convolution of bytes, zero points subtracted",
    inputs: ["x: byte", "w: byte", "x_zero_point?: x", "w_zero_point?: w"],
    outputs: ["y"],
    attrs: convAttrs,
    infer: (ctx) => {
      const shape = convShape(ctx, typeAt(ctx, 0).shape, typeAt(ctx, 1).shape);
      if (isProblem(shape)) return shape;
      const wrong = checkPerFilter(ctx, shape[1] ?? 0, [
        [2, "x_zero_point", "one"],
        [3, "w_zero_point", "filters or one"],
      ]);
      return wrong ?? [{ dtype: "int32", shape }];
    },
    evaluate: (ctx) => [convInteger(ctx)],
  }),
  QLinearConv: defineOp({
    summary: "convolution of quantised x and w, quantised again to y's scale and zero point",
    inputs: [
      "x: byte",
      "x_scale: float32",
      "x_zero_point: x",
      "w: byte",
      "w_scale: float32",
      "w_zero_point: w",
      "y_scale: float32",
      "y_zero_point: byte",
      "B?: int32",
    ],
    outputs: ["y"],
    attrs: convAttrs,
    infer: (ctx) => {
      const shape = convShape(ctx, typeAt(ctx, 0).shape, typeAt(ctx, 3).shape);
      if (isProblem(shape)) return shape;
      const wrong = checkPerFilter(ctx, shape[1] ?? 0, [
        [1, "x_scale", "one"],
        [2, "x_zero_point", "one"],
        [4, "w_scale", "filters or one"],
        [5, "w_zero_point", "filters or one"],
        [6, "y_scale", "one"],
        [7, "y_zero_point", "one"],
        [8, "B", "filters"],
      ]);
      return wrong ?? [{ dtype: typeAt(ctx, 7).dtype, shape }];
    },
    evaluate: (ctx) => [qlinearConv(ctx)],
  }),
} as const satisfies Record<string, OnnxOpRow>;
