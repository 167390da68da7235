// ConvTranspose as a convolution of the spread input with turned weights; LpPool as a convolution of powers with ones.
import { int, ints, numberOf, optionalNumbers, string, stringOf } from "../../../ir/graph/attr.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { shapeText } from "../../../ir/graph/shapes.ts";
import { padded, reversed } from "./functions.ts";
import type { ExpandCall, ExpansionTable, Made, Writer } from "./writer.ts";

/** One spatial dimension of a transposed convolution. */
interface Dim {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
}

function dimsOf(w: Writer, { inputs, attrs }: ExpandCall): readonly Dim[] | Problem {
  const [shape, weights] = [w.shape(inputs[0]), w.shape(inputs[1])];
  const spatial = shape.slice(2);
  if (shape.length < 3 || weights.length !== shape.length || weights[0] !== shape[1])
    return problem("shape", `W ${shapeText(weights)} does not fit X ${shapeText(shape)}`);
  const list = (name: string, fallback: number): readonly number[] =>
    optionalNumbers(attrs, name) ?? spatial.map(() => fallback);
  const [strides, dilations, extra] = [list("strides", 1), list("dilations", 1), list("output_padding", 0)];
  const pads = optionalNumbers(attrs, "pads") ?? [...spatial, ...spatial].map(() => 0);
  const [auto, wanted] = [stringOf(attrs, "auto_pad"), optionalNumbers(attrs, "output_shape")?.slice(-spatial.length)];
  return spatial.map((size, i) => {
    const [stride, dilation, more] = [strides[i] ?? 1, dilations[i] ?? 1, extra[i] ?? 0];
    const kernel = weights[i + 2] ?? 1;
    const reach = (kernel - 1) * dilation;
    const same = auto === "SAME_UPPER" || auto === "SAME_LOWER" ? size * stride : undefined;
    const target = wanted?.[i] ?? same;
    const total = target === undefined ? 0 : stride * (size - 1) + more + reach + 1 - target;
    const [less, rest] = [Math.floor(total / 2), Math.ceil(total / 2)];
    const fitted = auto === "SAME_UPPER" ? [less, rest] : [rest, less];
    const given = auto === "VALID" ? [0, 0] : [pads[i] ?? 0, pads[i + spatial.length] ?? 0];
    const [start = 0, end = 0] = target === undefined ? given : fitted;
    return { size, kernel, stride, dilation, before: reach - start, after: reach - end + more };
  });
}

/** stride - 1 zeros between neighbours along an axis. */
function spread(w: Writer, x: Made, axis: number, { size, stride }: Dim): Made {
  if (stride === 1) return x;
  const shape = w.shape(x);
  const split = w.op("Unsqueeze", [x, w.ints(axis + 1)]);
  const wide = padded(w, split, axis + 1, 0, stride - 1);
  const joined = w.op("Reshape", [wide, w.ints(...shape.map((n, dim) => (dim === axis ? size * stride : n)))]);
  return padded(w, joined, axis, 0, 1 - stride);
}

function transposedConvolution(w: Writer, call: ExpandCall): readonly Made[] | Problem {
  const dims = dimsOf(w, call);
  if ("problem" in dims) return dims;
  const [x, weights, bias] = call.inputs;
  const group = numberOf(call.attrs, "group");
  const [channels = 0, each = 0, ...kernel] = w.shape(weights);
  if (group < 1 || channels % group !== 0) return problem("attr", `${channels} channels in ${group} groups`);
  let [input, turned]: [Made, Made] = [x ?? undefined, weights ?? undefined];
  for (const [i, dim] of dims.entries()) {
    input = padded(w, spread(w, input, i + 2, dim), i + 2, dim.before, dim.after);
    turned = reversed(w, turned, i + 2);
  }
  const grouped = w.op("Reshape", [turned, w.ints(group, channels / group, each, ...kernel)]);
  const swapped = w.op("Transpose", [grouped], { perm: [0, 2, 1, ...kernel.map((_, i) => i + 3)] });
  const filters = w.op("Reshape", [swapped, w.ints(group * each, channels / group, ...kernel)]);
  return [w.op("Conv", [input, filters, bias], { group, dilations: dims.map(({ dilation }) => dilation) })];
}

function powerPool(w: Writer, { inputs: [x], attrs }: ExpandCall): readonly Made[] | Problem {
  const shape = w.shape(x);
  const [p, kernel] = [numberOf(attrs, "p"), optionalNumbers(attrs, "kernel_shape") ?? []];
  const channels = shape[1] ?? 0;
  if (shape.length !== kernel.length + 2)
    return problem("shape", `kernel_shape ${shapeText(kernel)} on ${shapeText(shape)}`);
  if (numberOf(attrs, "ceil_mode") !== 0) return problem("unsupported", "ceil_mode");
  const given = ["auto_pad", "dilations", "pads", "strides"].flatMap((name) => {
    const value = attrs[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const ones = w.op("Expand", [w.like(x, 1), w.ints(channels, 1, ...kernel)]);
  const powers = w.op("Pow", [w.op("Abs", [x]), w.like(x, p)]);
  const sums = w.op("Conv", [powers, ones], { ...Object.fromEntries(given), group: channels });
  return [w.op("Pow", [sums, w.like(x, 1 / p)])];
}

const windowAttrs = {
  auto_pad: string("NOTSET"),
  dilations: ints(),
  kernel_shape: ints(),
  pads: ints(),
  strides: ints(),
} as const;

export const transposedConvolutionExpansions: ExpansionTable = {
  ConvTranspose: {
    summary: "the transpose of a convolution: every element of X spreads W",
    inputs: ["X: float", "W: X", "B?: X"],
    outputs: ["Y"],
    attrs: { ...windowAttrs, group: int(1), output_padding: ints(), output_shape: ints() },
    expand: transposedConvolution,
  },
  LpPool: {
    summary: "root of the sum of powers of each window",
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: { ...windowAttrs, ceil_mode: int(0), p: int(2) },
    expand: powerPool,
  },
};
