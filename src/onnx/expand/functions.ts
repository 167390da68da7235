// Operators that ONNX defines, or could define, as short functions of others.
import { float, int, ints, numberOf, numbersAttr, optionalNumber, optionalNumbers } from "../../../ir/graph/attr.ts";
import { elementCount } from "../../../ir/graph/graph.ts";
import { problem } from "../../../ir/graph/op-row.ts";
import { normaliseAxes, normaliseAxis, shapeText } from "../../../ir/graph/shapes.ts";
import { type Expansion, type ExpansionTable, type Made, tooManyNumbers, tooManySteps, type Writer } from "./writer.ts";

/** Elements from `start` (inclusive) to `end` (exclusive) along an axis. */
export const sliceOf = (w: Writer, x: Made, axis: number, start: number, end: number): Made =>
  w.op("Slice", [x, w.ints(start), w.ints(end), w.ints(axis)]);

/** An axis the other way round. */
export const reversed = (w: Writer, x: Made, axis: number): Made =>
  w.op("Slice", [x, w.ints(-1), w.ints(-(2 ** 31)), w.ints(axis), w.ints(-1)]);

/** `before` and `after` elements of a number added along an axis; negative counts are taken off. */
export function padded(w: Writer, x: Made, axis: number, before: number, after: number, number = 0): Made {
  if (before === 0 && after === 0) return x;
  return w.op("Pad", [x, w.ints(before, after), w.like(x, number), w.ints(axis)]);
}

const swiGlu: Expansion = {
  summary: "A * sigmoid(alpha A) * B",
  inputs: ["A: float", "B: A"],
  outputs: ["Y"],
  attrs: { alpha: float(1) },
  expand: (w, { inputs: [a, b], attrs }) => {
    const [gate, value] = [w.shape(a), w.shape(b)];
    if (gate.join() !== value.join()) return problem("shape", `A ${shapeText(gate)} and B ${shapeText(value)} differ`);
    return [w.op("Mul", [w.op("Swish", [a], { alpha: numberOf(attrs, "alpha") }), b])];
  },
};

const meanVariance: Expansion = {
  summary: "(X - mean) / (standard deviation + 1e-9) over axes",
  inputs: ["X: float"],
  outputs: ["Y"],
  attrs: { axes: ints([0, 2, 3]) },
  expand: (w, { inputs: [x], attrs }) => {
    const axes = normaliseAxes(numbersAttr(attrs, "axes"), w.shape(x).length);
    if ("problem" in axes) return axes;
    const mean = (of: Made): Made => w.op("ReduceMean", [of, w.ints(...axes)]);
    const centred = w.op("Sub", [x, mean(x ?? undefined)]);
    const deviation = w.op("Sqrt", [mean(w.op("Mul", [centred, centred]))]);
    return [w.op("Div", [centred, w.op("Add", [deviation, w.like(x, 1e-9)])])];
  },
};

const localResponse: Expansion = {
  summary: "X / (bias + alpha / size * sum of squares of `size` neighbouring channels) ^ beta",
  inputs: ["X: float"],
  outputs: ["Y"],
  attrs: { alpha: float(0.0001), beta: float(0.75), bias: float(1), size: { ...int(), required: true } },
  expand: (w, { inputs: [x], attrs }) => {
    const [size, channels] = [numberOf(attrs, "size"), w.shape(x)[1]];
    if (channels === undefined || size < 1) return problem("shape", `${size} channels of ${shapeText(w.shape(x))}`);
    const many = tooManySteps(size, "neighbours");
    if (many !== undefined) return many;
    const square = w.op("Mul", [x, x]);
    const wide = padded(w, square, 1, Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2));
    const neighbours = Array.from({ length: size }, (_, at) => sliceOf(w, wide, 1, at, at + channels));
    const share = w.op("Mul", [w.op("Sum", neighbours), w.like(x, numberOf(attrs, "alpha") / size)]);
    const base = w.op("Add", [share, w.like(x, numberOf(attrs, "bias"))]);
    return [w.op("Div", [x, w.op("Pow", [base, w.like(x, numberOf(attrs, "beta"))])])];
  },
};

const compress: Expansion = {
  summary: "slices along axis (or elements) where condition holds; the condition is a constant",
  inputs: ["input: any", "condition: bool"],
  outputs: ["output"],
  attrs: { axis: int() },
  expand: (w, { inputs: [x, condition], attrs }) => {
    const flags = w.list(condition);
    if (flags === undefined)
      return problem("constant", "condition is computed at run time, and the number of results depends on it");
    const given = optionalNumber(attrs, "axis");
    const source = given === undefined ? w.op("Reshape", [x, w.ints(-1)]) : (x ?? undefined);
    const axis = normaliseAxis(given ?? 0, w.shape(source).length);
    if (typeof axis !== "number") return axis;
    const size = w.shape(source)[axis] ?? 0;
    if (flags.length > size) return problem("shape", `${flags.length} conditions for ${size} elements`);
    const taken = flags.flatMap((flag, at) => (flag === 0 ? [] : [at]));
    return [w.op("Gather", [source, w.ints(...taken)], { axis })];
  },
};

const centerCropPad: Expansion = {
  summary: "each axis cropped or padded with zeros on both sides to a size",
  inputs: ["input_data: any", "shape: index"],
  outputs: ["output_data"],
  attrs: { axes: ints() },
  expand: (w, { inputs: [x, target], attrs }) => {
    const own = w.shape(x);
    const sizes = w.list(target);
    if (sizes === undefined) return problem("constant", "shape is computed at run time");
    const axes = normaliseAxes(optionalNumbers(attrs, "axes") ?? own.map((_, dim) => dim), own.length);
    if ("problem" in axes) return axes;
    if (axes.length !== sizes.length) return problem("shape", `${sizes.length} sizes for ${axes.length} axes`);
    let result: Made = x ?? undefined;
    for (const [i, axis] of axes.entries()) {
      const [from, to] = [own[axis] ?? 0, sizes[i] ?? 0];
      const start = Math.floor(Math.abs(from - to) / 2);
      if (to < from) result = sliceOf(w, result, axis, start, start + to);
      else result = padded(w, result, axis, start, to - from - start);
    }
    return [result];
  },
};

const reverseSequence: Expansion = {
  summary: "the first sequence_lens elements along the time axis in reverse order",
  inputs: ["input: any", "sequence_lens: int64"],
  outputs: ["Y"],
  attrs: { batch_axis: int(1), time_axis: int(0) },
  expand: (w, { inputs: [x, lengths], attrs }) => {
    const shape = w.shape(x);
    const [batch, time] = [numberOf(attrs, "batch_axis"), numberOf(attrs, "time_axis")];
    if (shape.length < 2 || batch + time !== 1 || w.shape(lengths).join() !== `${shape[batch]}`)
      return problem("shape", `sequence_lens ${shapeText(w.shape(lengths))} does not fit ${shapeText(shape)}`);
    const many = tooManyNumbers(shape[time] ?? 0, "places in time");
    if (many !== undefined) return many;
    const along = (axis: number): number[] => shape.map((size, dim) => (dim === axis ? size : 1));
    const places = w.numbers(
      "int64",
      along(time),
      Array.from({ length: shape[time] ?? 0 }, (_, at) => at),
    );
    const ends = w.op("Reshape", [lengths, w.ints(...along(batch))]);
    const turned = w.op("Sub", [w.op("Sub", [ends, w.ints(1)]), places]);
    const from = w.op("Where", [w.op("Less", [places, ends]), turned, places]);
    return [w.op("GatherElements", [x, w.op("Expand", [from, w.ints(...shape)])], { axis: time })];
  },
};

/** Products of ever longer stretches: each turn joins two of the length before. */
const cumulativeProduct: Expansion = {
  summary: "product of all elements up to each along an axis",
  inputs: ["x: number", "axis: index single"],
  outputs: ["y"],
  attrs: { exclusive: int(0), reverse: int(0) },
  expand: (w, { inputs: [x, axisInput], attrs }) => {
    const given = w.list(axisInput)?.[0];
    if (given === undefined) return problem("constant", "axis is computed at run time");
    const axis = normaliseAxis(given, w.shape(x).length);
    if (typeof axis !== "number") return axis;
    const size = w.shape(x)[axis] ?? 0;
    const turn = (value: Made): Made => (numberOf(attrs, "reverse") === 1 ? reversed(w, value, axis) : value);
    const later = (value: Made, by: number): Made => padded(w, value, axis, by, -by, 1);
    let result = turn(x ?? undefined);
    if (numberOf(attrs, "exclusive") === 1) result = later(result, 1);
    for (let length = 1; length < size; length *= 2) result = w.op("Mul", [result, later(result, length)]);
    return [turn(result)];
  },
};

const causalConvolution: Expansion = {
  summary: "each channel convolved with its own past, which is carried on",
  inputs: ["input: float", "weight: input", "bias?: input", "past_state?: input"],
  outputs: ["output", "present_state?"],
  attrs: { activation: { type: "string", default: "none" } },
  expand: (w, { inputs: [x, weight, bias, past], attrs }) => {
    const [shape, kernel] = [w.shape(x), w.shape(weight)];
    const [batch = 0, channels = 0, length = 0] = shape;
    if (shape.length !== 3 || kernel.length !== 3 || kernel[0] !== channels || kernel[1] !== 1)
      return problem("shape", `weight ${shapeText(kernel)} does not fit ${shapeText(shape)}`);
    const { activation } = attrs;
    if (activation !== "none" && activation !== "silu" && activation !== "swish")
      return problem("attr", `activation is ${activation}, allowed: none, silu, swish`);
    const before = (kernel[2] ?? 1) - 1;
    const needed = [batch, channels, before];
    if (past !== null && past !== undefined && w.shape(past).join() !== needed.join())
      return problem("shape", `past_state is ${shapeText(w.shape(past))}, needed: ${shapeText(needed)}`);
    const isFresh = past === null || past === undefined || elementCount(needed) === 0;
    const whole = isFresh ? padded(w, x ?? undefined, 2, before, 0) : w.op("Concat", [past, x], { axis: 2 });
    const y = w.op("Conv", [whole, weight, bias], { group: channels });
    return [activation === "none" ? y : w.op("Swish", [y]), sliceOf(w, whole, 2, length, length + before)];
  },
};

export const functionExpansions: ExpansionTable = {
  SwiGLU: swiGlu,
  MeanVarianceNormalization: meanVariance,
  LRN: localResponse,
  Compress: compress,
  CenterCropPad: centerCropPad,
  ReverseSequence: reverseSequence,
  CumProd: cumulativeProduct,
  CausalConvWithState: causalConvolution,
};
