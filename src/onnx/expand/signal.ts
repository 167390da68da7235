// Fourier transforms as products with constant matrices, and windows of samples, which are constants themselves.
import { dtypeAttr, int, numberOf, optionalDType, optionalNumber } from "../../../ir/graph/attr.ts";
import { elementCount } from "../../../ir/graph/graph.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { normaliseAxis, shapeText } from "../../../ir/graph/shapes.ts";
import { cos, sin } from "../../../ir/numeric/real.ts";
import { sliceOf } from "./functions.ts";
import {
  type ExpandCall,
  type Expansion,
  type ExpansionTable,
  type Made,
  tooManyNumbers,
  tooManySteps,
  type Writer,
} from "./writer.ts";

/** Turns 2 pi k n / length as parts of a whole turn, so that large products keep their digits. */
const angle = (k: number, n: number, length: number): number => (2 * Math.PI * ((k * n) % length)) / length;

function matrix(w: Writer, x: Made, rows: number, columns: number, f: (row: number, column: number) => number): Made {
  const values = Float64Array.from({ length: rows * columns }, (_, i) => f(Math.floor(i / columns), i % columns));
  return w.numbers(w.dtype(x), [rows, columns], values);
}

/** A complex number a place: real and imaginary parts, the latter perhaps absent. */
interface Complex {
  readonly re: Made;
  readonly im: Made;
}

interface Transform {
  readonly length: number;
  readonly inverse: boolean;
  readonly onesided: boolean;
}

/** The transform of the middle of [before, n, after]. */
function transform(w: Writer, { re, im }: Complex, { length, inverse, onesided }: Transform): Complex {
  const present = w.shape(re)[1] ?? 0;
  const product = (m: Made, x: Made): Made => w.op("MatMul", [m, x]);
  if (onesided && inverse) {
    const weight = (k: number): number => (k === 0 || 2 * k === length ? 1 : 2) / length;
    const real = matrix(w, re, length, present, (n, k) => weight(k) * cos(angle(k, n, length)));
    const imaginary = matrix(w, re, length, present, (n, k) => -weight(k) * sin(angle(k, n, length)));
    return { re: w.op("Add", [product(real, re), product(imaginary, im)]), im: undefined };
  }
  const bins = onesided ? Math.floor(length / 2) + 1 : length;
  const [factor, sign] = inverse ? [1 / length, 1] : [1, -1];
  const real = matrix(w, re, bins, present, (k, n) => factor * cos(angle(k, n, length)));
  const imaginary = matrix(w, re, bins, present, (k, n) => factor * sign * sin(angle(k, n, length)));
  if (im === undefined) return { re: product(real, re), im: product(imaginary, re) };
  return {
    re: w.op("Sub", [product(real, re), product(imaginary, im)]),
    im: w.op("Add", [product(imaginary, re), product(real, im)]),
  };
}

/** The transform along an axis of a tensor whose last dimension holds one part or two. */
function along(w: Writer, x: Made, axis: number, t: Transform): Made {
  const shape = w.shape(x);
  const last = shape.length - 1;
  const around = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis + 1, last))];
  const wanted = t.onesided && t.inverse ? Math.floor(t.length / 2) + 1 : t.length;
  const present = Math.min(shape[axis] ?? 0, wanted);
  const part = (index: number): Made => {
    const taken = sliceOf(w, sliceOf(w, x, last, index, index + 1), axis, 0, present);
    return w.op("Reshape", [taken, w.ints(around[0] ?? 1, present, around[1] ?? 1)]);
  };
  const { re, im } = transform(w, { re: part(0), im: shape[last] === 2 ? part(1) : undefined }, t);
  const count = w.shape(re)[1] ?? 0;
  const back = (value: Made): Made =>
    w.op("Reshape", [value, w.ints(...shape.map((size, dim) => (dim === axis ? count : dim === last ? 1 : size)))]);
  return t.onesided && t.inverse ? back(re) : w.op("Concat", [back(re), back(im)], { axis: last });
}

function fourier(w: Writer, { inputs, attrs, opset }: ExpandCall): readonly Made[] | Problem {
  const [x, lengthInput = null, axisInput = null] = inputs;
  const shape = w.shape(x);
  const parts = shape.at(-1);
  if (shape.length < 2 || (parts !== 1 && parts !== 2))
    return problem("shape", `input ${shapeText(shape)} has no last dimension of 1 or 2 parts`);
  const given = axisInput === null ? undefined : w.list(axisInput)?.[0];
  if (axisInput !== null && given === undefined) return problem("constant", "axis is computed at run time");
  const axis = normaliseAxis(given ?? optionalNumber(attrs, "axis") ?? (opset < 20 ? 1 : -2), shape.length);
  if (typeof axis !== "number") return axis;
  if (axis === shape.length - 1) return problem("attr", "axis is the dimension of the parts");
  const inverse = numberOf(attrs, "inverse") === 1;
  const onesided = numberOf(attrs, "onesided") === 1;
  if (onesided && inverse !== (parts === 2))
    return problem("shape", `a one-sided ${inverse ? "inverse of real" : "transform of complex"} numbers`);
  const own = shape[axis] ?? 0;
  const length = lengthInput === null ? (onesided && inverse ? 2 * (own - 1) : own) : w.list(lengthInput)?.[0];
  if (length === undefined) return problem("constant", "dft_length is computed at run time");
  if (length < 1) return problem("shape", `a transform of length ${length}`);
  const many = tooManyNumbers(length * Math.max(own, length), "factors of a transform");
  return many ?? [along(w, x ?? undefined, axis, { length, inverse, onesided })];
}

function shortTime(w: Writer, { inputs, attrs }: ExpandCall): readonly Made[] | Problem {
  const [signal, stepInput, window = null, lengthInput = null] = inputs;
  const [batch = 0, samples = 0, parts = 1] = w.shape(signal);
  const step = w.list(stepInput)?.[0];
  const length = lengthInput === null ? w.shape(window)[0] : w.list(lengthInput)?.[0];
  if (step === undefined || length === undefined)
    return problem("constant", "frame_step or frame_length is not constant");
  if (w.shape(signal).length !== 3 || step < 1 || length < 1 || length > samples)
    return problem("shape", `frames of ${length} every ${step} in ${shapeText(w.shape(signal))}`);
  const onesided = numberOf(attrs, "onesided") === 1;
  if (onesided && parts !== 1) return problem("shape", "a one-sided transform of complex numbers");
  if (window !== null && w.shape(window).join() !== `${length}`)
    return problem("shape", `window ${shapeText(w.shape(window))} for frames of ${length}`);
  const frames = Math.floor((samples - length) / step) + 1;
  const many = tooManySteps(frames, "frames") ?? tooManyNumbers(length * length, "factors of a transform");
  if (many !== undefined) return many;
  const cut = Array.from({ length: frames }, (_, frame) =>
    w.op("Unsqueeze", [sliceOf(w, signal ?? undefined, 1, frame * step, frame * step + length), w.ints(1)]),
  );
  const all = w.op("Concat", cut, { axis: 1 });
  const shaped = window === null ? all : w.op("Mul", [all, w.op("Reshape", [window, w.ints(length, 1)])]);
  if (batch < 1) return problem("shape", "an empty batch");
  return [along(w, shaped, 2, { length, inverse: false, onesided })];
}

/** A window: constant, and cosines of one and two turns. */
const windowOf = (summary: string, a: number, b: number, c: number): Expansion => ({
  summary,
  inputs: ["size: index single"],
  outputs: ["output"],
  attrs: { output_datatype: dtypeAttr("float32"), periodic: int(1) },
  expand: (w, { inputs: [size], attrs }) => {
    const count = w.list(size)?.[0];
    if (count === undefined) return problem("constant", "size is computed at run time");
    const many = tooManyNumbers(count, "samples of a window");
    if (many !== undefined) return many;
    const whole = numberOf(attrs, "periodic") === 1 ? count : count - 1;
    const at = (turns: number, n: number): number => (whole < 1 ? 1 : cos(angle(turns, n, whole)));
    const values = Array.from({ length: count }, (_, n) => a - b * at(1, n) + c * at(2, n));
    return [w.numbers(optionalDType(attrs, "output_datatype") ?? "float32", [count], values)];
  },
});

export const signalExpansions: ExpansionTable = {
  DFT: {
    summary: "the discrete Fourier transform along an axis, or its inverse",
    inputs: ["input: float", "dft_length?: index single", "axis?: int64 single"],
    outputs: ["output"],
    attrs: { axis: int(), inverse: int(0), onesided: int(0) },
    expand: fourier,
  },
  STFT: {
    summary: "Fourier transforms of frames of a signal, each times a window",
    inputs: ["signal: float", "frame_step: index single", "window?: signal", "frame_length?: index single"],
    outputs: ["output"],
    attrs: { onesided: int(1) },
    expand: shortTime,
  },
  HannWindow: windowOf("0.5 - 0.5 cos(2 pi n / N)", 0.5, 0.5, 0),
  HammingWindow: windowOf("25/46 - 21/46 cos(2 pi n / N)", 25 / 46, 21 / 46, 0),
  BlackmanWindow: windowOf("0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)", 0.42, 0.5, 0.08),
};
