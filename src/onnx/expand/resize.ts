// Resize: along each axis a product with a constant matrix of weights, or a gather where every row takes one element.
import { type Attrs, float, int, ints, numberOf, optionalNumbers, string, stringOf } from "../../../ir/graph/attr.ts";
import { elementCount } from "../../../ir/graph/graph.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { normaliseAxes } from "../../../ir/graph/shapes.ts";
import { type ExpandCall, type ExpansionTable, type Made, tooManyNumbers, type Writer } from "./writer.ts";

/** One axis: its sizes, the factor, and the part of the input that is looked at. */
interface Axis {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  readonly roi: readonly [number, number];
}

type Place = (at: number, axis: Axis) => number;

const f32 = Math.fround;

/** Where an element of the result stands in the input, in float32 as runtimes find it: floors of whole numbers hang on the last digit. */
const transformations: Readonly<Record<string, Place>> = {
  half_pixel: (at, { scale }) => f32(f32((at + 0.5) / scale) - 0.5),
  pytorch_half_pixel: (at, { scale, to }) => (to > 1 ? f32(f32((at + 0.5) / scale) - 0.5) : 0),
  half_pixel_symmetric: (at, { scale, from, to }) =>
    f32(f32((from / 2) * (1 - to / (scale * from))) + f32(f32((at + 0.5) / scale) - 0.5)),
  asymmetric: (at, { scale }) => f32(at / scale),
  align_corners: (at, { scale, from }) => (scale * from === 1 ? 0 : f32((at * (from - 1)) / f32(scale * from - 1))),
  tf_crop_and_resize: (at, { scale, from, roi: [start, end] }) => {
    const inside = (end - start) * (from - 1);
    return f32(start * (from - 1) + (scale * from === 1 ? inside / 2 : (at * inside) / f32(scale * from - 1)));
  },
};

const nearest: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

const linear = (x: number): number => Math.max(0, 1 - Math.abs(x));
const cubic =
  (a: number) =>
  (x: number): number => {
    const d = Math.abs(x);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
  };

/** Elements of the input and their weights. */
type Taps = readonly (readonly [number, number])[];

function filterTaps(x: number, axis: Axis, attrs: Attrs): Taps {
  const isCubic = stringOf(attrs, "mode") === "cubic";
  const kernel = isCubic ? cubic(numberOf(attrs, "cubic_coeff_a")) : linear;
  const stretch = numberOf(attrs, "antialias") === 1 ? Math.min(axis.scale, 1) : 1;
  const reach = Math.ceil((isCubic ? 2 : 1) / stretch);
  const base = Math.floor(x);
  let taps = Array.from({ length: 2 * reach }, (_, i) => {
    const at = base - reach + 1 + i;
    return [at, kernel((at - x) * stretch)] as const;
  });
  const outside = numberOf(attrs, "exclude_outside") === 1;
  if (outside) taps = taps.filter(([at]) => at >= 0 && at < axis.from);
  const total = outside || stretch < 1 ? taps.reduce((sum, [, weight]) => sum + weight, 0) : 1;
  return taps.map(([at, weight]) => [Math.min(Math.max(at, 0), axis.from - 1), weight / total]);
}

function resizeAxis(w: Writer, x: Made, axis: Axis, attrs: Attrs, place: Place): Made {
  const { from, to } = axis;
  const places = Array.from({ length: to }, (_, at) => place(at, axis));
  if (stringOf(attrs, "mode") === "nearest") {
    const round = nearest[stringOf(attrs, "nearest_mode")] ?? Math.floor;
    const rows = places.map((at) => Math.min(Math.max(round(at), 0), from - 1));
    return w.op("Gather", [x, w.ints(...rows)], { axis: axis.axis });
  }
  const weights = new Float64Array(to * from);
  for (const [row, at] of places.entries()) {
    for (const [column, weight] of filterTaps(at, axis, attrs)) {
      weights[row * from + column] = (weights[row * from + column] ?? 0) + weight;
    }
  }
  const shape = w.shape(x);
  const around = [elementCount(shape.slice(0, axis.axis)), elementCount(shape.slice(axis.axis + 1))];
  const planes = w.op("Reshape", [x, w.ints(around[0] ?? 1, from, around[1] ?? 1)]);
  const product = w.op("MatMul", [w.numbers(w.dtype(x), [to, from], weights), planes]);
  return w.op("Reshape", [product, w.ints(...shape.map((size, dim) => (dim === axis.axis ? to : size)))]);
}

/** Factors of all listed axes from the sizes that are asked for. */
function scalesFor(sizes: readonly number[], own: readonly number[], policy: string): readonly number[] {
  const factors = sizes.map((size, i) => f32(size / (own[i] ?? 1)));
  if (policy === "stretch") return factors;
  const one = policy === "not_larger" ? Math.min(...factors) : Math.max(...factors);
  return factors.map(() => one);
}

function axesOf(w: Writer, { inputs, attrs }: ExpandCall): readonly Axis[] | Problem {
  const [x, roiInput = null, scalesInput = null, sizesInput = null] = inputs;
  const shape = w.shape(x);
  const axes = normaliseAxes(optionalNumbers(attrs, "axes") ?? shape.map((_, dim) => dim), shape.length);
  if ("problem" in axes) return axes;
  const [sizes, given, roi] = [sizesInput, scalesInput, roiInput].map((input) => w.list(input));
  const bySizes = sizesInput !== null && sizes?.length !== 0;
  const needed = bySizes ? sizes : given;
  if (needed === undefined) return problem("constant", `${bySizes ? "sizes" : "scales"} are computed at run time`);
  if (needed.length !== axes.length)
    return problem("shape", `${needed.length} sizes or scales for ${axes.length} axes`);
  const crops = stringOf(attrs, "coordinate_transformation_mode") === "tf_crop_and_resize";
  if (crops && roi?.length !== 2 * axes.length) return problem("constant", "roi is not a constant for each axis");
  const own = axes.map((axis) => shape[axis] ?? 0);
  const policy = stringOf(attrs, "keep_aspect_ratio_policy");
  const scales = bySizes ? scalesFor(needed, own, policy) : needed;
  return axes.map((axis, i) => {
    const [from, scale] = [own[i] ?? 0, scales[i] ?? 1];
    const part: [number, number] = crops ? [roi?.[i] ?? 0, roi?.[axes.length + i] ?? 1] : [0, 1];
    const bySize = policy === "stretch" ? (needed[i] ?? 0) : Math.floor(scale * from + 0.5);
    const to = bySizes ? bySize : Math.floor(from * (part[1] - part[0]) * scale);
    return { axis, from, to, scale, roi: part };
  });
}

/** Places outside the input take one number instead. */
function extrapolated(w: Writer, y: Made, axes: readonly Axis[], attrs: Attrs, place: Place): Made {
  let result = y;
  for (const axis of axes) {
    const outside = Array.from({ length: axis.to }, (_, at) => place(at, axis)).map((x) =>
      x < 0 || x > axis.from - 1 ? 1 : 0,
    );
    if (outside.every((flag) => flag === 0)) continue;
    const flags = w.numbers(
      "bool",
      w.shape(y).map((size, dim) => (dim === axis.axis ? size : 1)),
      outside,
    );
    result = w.op("Where", [flags, w.like(y, numberOf(attrs, "extrapolation_value")), result]);
  }
  return result;
}

const modes = ["nearest", "linear", "cubic"];

export const resizeExpansions: ExpansionTable = {
  Resize: {
    summary: "axes made longer or shorter by the nearest elements or by weights of their neighbours",
    inputs: ["X: number", "roi?: float", "scales?: float32", "sizes?: int64"],
    outputs: ["Y"],
    attrs: {
      antialias: int(0),
      axes: ints(),
      coordinate_transformation_mode: string("half_pixel"),
      cubic_coeff_a: float(-0.75),
      exclude_outside: int(0),
      extrapolation_value: float(0),
      keep_aspect_ratio_policy: string("stretch"),
      mode: string("nearest"),
      nearest_mode: string("round_prefer_floor"),
    },
    expand: (w, call) => {
      const { attrs } = call;
      const [mode, rounding] = [stringOf(attrs, "mode"), stringOf(attrs, "nearest_mode")];
      const transformation = stringOf(attrs, "coordinate_transformation_mode");
      const place = Object.hasOwn(transformations, transformation) ? transformations[transformation] : undefined;
      if (!modes.includes(mode)) return problem("attr", `mode is ${mode}, allowed: ${modes.join(", ")}`);
      if (!Object.hasOwn(nearest, rounding)) return problem("attr", `nearest_mode is ${rounding}`);
      if (place === undefined) return problem("attr", `coordinate_transformation_mode is ${transformation}`);
      const axes = axesOf(w, call);
      if ("problem" in axes) return axes;
      const wrong = axes.map(({ from, to }) => tooManyNumbers(to * Math.max(from, 1), "weights of an axis"));
      const first = wrong.find((found) => found !== undefined);
      if (first !== undefined) return first;
      const crops = transformation === "tf_crop_and_resize";
      let y: Made = call.inputs[0] ?? undefined;
      for (const axis of axes) {
        if (!crops && axis.from === axis.to && axis.scale === 1) continue;
        y = resizeAxis(w, y, axis, attrs, place);
      }
      return [crops ? extrapolated(w, y, axes, attrs, place) : y];
    },
  },
};
