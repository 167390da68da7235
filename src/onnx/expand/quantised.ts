// com.microsoft's quantised operators, written out as what they stand for: operands dequantised, the operator on floats (whose products run on bytes
// where they can), the result quantised again.
import type { DType } from "../../../ir/dtype.ts";
import { type AttrSpec, type AttrValue, float, int, ints, numberOf, numbersAttr } from "../../../ir/graph/attr.ts";
import type { OnnxOp } from "../../../ir/graph/onnx-ops.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { normaliseAxes, shapeText } from "../../../ir/graph/shapes.ts";
import type { ExpandCall, Expansion, ExpansionTable, Made, Writer } from "./writer.ts";

type Given = Made | null;

export const dequantised = (
  w: Writer,
  x: Given,
  scale: Given,
  zero: Given,
  attrs: Readonly<Record<string, AttrValue>> = {},
): Made => w.op("DequantizeLinear", [x, scale, zero ?? null], attrs);

/** A zero point that is not given is 0 of the type of `like`. */
export function quantised(w: Writer, y: Made, scale: Given, zero: Given, like: Given): Made {
  return w.op("QuantizeLinear", [y, scale, zero ?? w.like(like, 0)]);
}

/** Inputs of an operator of one tensor: X, its scale and zero point, those of Y. */
const unaryInputs = [
  "X: byte",
  "X_scale: float32 single",
  "X_zero_point?: X single",
  "Y_scale: float32 single",
  "Y_zero_point?: X single",
] as const;

function unary(
  summary: string,
  attrs: Readonly<Record<string, AttrSpec>>,
  of: (w: Writer, x: Made, call: ExpandCall) => Made | Problem,
): Expansion {
  return {
    summary,
    inputs: unaryInputs,
    outputs: ["Y"],
    attrs,
    expand: (w, call) => {
      const [x, scale, zero, toScale, toZero] = call.inputs;
      const y = of(w, dequantised(w, x, scale, zero), call);
      return typeof y === "object" ? y : [quantised(w, y, toScale, toZero, x)];
    },
  };
}

/** Channels moved from behind to the second dimension, or back. */
function channelsTurned(w: Writer, x: Made, to: "second" | "last"): Made {
  const rank = w.shape(x).length;
  const middle = Array.from({ length: rank - 2 }, (_, i) => i + (to === "second" ? 1 : 2));
  const perm = to === "second" ? [0, rank - 1, ...middle] : [0, ...middle, 1];
  return w.op("Transpose", [x], { perm });
}

function pooled(w: Writer, x: Made, call: ExpandCall, op: OnnxOp, attrs: Readonly<Record<string, AttrValue>>): Made {
  if (numberOf(call.attrs, "channels_last") !== 1) return w.op(op, [x], attrs);
  return channelsTurned(w, w.op(op, [channelsTurned(w, x, "second")], attrs), "last");
}

const averageAttrs = {
  auto_pad: { type: "string", default: "NOTSET" },
  ceil_mode: int(0),
  count_include_pad: int(0),
  kernel_shape: { ...ints(), required: true },
  pads: ints(),
  strides: ints(),
} as const satisfies Readonly<Record<string, AttrSpec>>;

const averagePool = unary(
  "average over windows of quantised X, quantised again",
  { ...averageAttrs, channels_last: int(0) },
  (w, x, call) => {
    const { channels_last: _, ...attrs } = call.attrs;
    return pooled(w, x, call, "AveragePool", attrs);
  },
);

const softmax = unary(
  "softmax of quantised X, quantised again",
  { axis: int(-1), opset: { ...int(), required: true } },
  (w, x, { attrs }) => {
    const axis = numberOf(attrs, "axis");
    if (numberOf(attrs, "opset") >= 13) return w.op("Softmax", [x], { axis });
    const shape = w.shape(x);
    const from = axis < 0 ? axis + shape.length : axis;
    const flat = w.op("Flatten", [x], { axis: from });
    return w.op("Reshape", [w.op("Softmax", [flat], { axis: 1 }), w.ints(...shape)]);
  },
);

const reduceMean = unary(
  "mean over axes of quantised data, quantised again",
  { axes: { ...ints(), required: true }, keepdims: { ...int(), required: true } },
  (w, x, { attrs }) => {
    const axes = normaliseAxes(numbersAttr(attrs, "axes"), w.shape(x).length);
    if ("problem" in axes) return axes;
    return w.op("ReduceMean", [x, w.ints(...axes)], { keepdims: numberOf(attrs, "keepdims") });
  },
);

const where: Expansion = {
  summary: "quantised X where condition holds, else Y, quantised again",
  inputs: [
    "condition: bool",
    "X: byte",
    "x_scale: float32 single",
    "x_zero_point?: X single",
    "Y: X",
    "y_scale: float32 single",
    "y_zero_point?: X single",
    "z_scale: float32 single",
    "z_zero_point?: X single",
  ],
  outputs: ["Z"],
  attrs: {},
  expand: (w, { inputs: [condition, x, xScale, xZero, y, yScale, yZero, zScale, zZero] }) => {
    const chosen = w.op("Where", [condition, dequantised(w, x, xScale, xZero), dequantised(w, y, yScale, yZero)]);
    return [quantised(w, chosen, zScale, zZero, x)];
  },
};

const concat: Expansion = {
  summary: "tensors with a scale and zero point each, joined along axis and quantised again",
  inputs: ["Y_scale: float32 single", "Y_zero_point: byte single", "inputs...: byte|float32 mixed"],
  outputs: ["Y"],
  attrs: { axis: { ...int(), required: true } },
  expand: (w, { inputs: [scale, zero, ...given], attrs }) => {
    const triples = Array.from({ length: Math.ceil(given.length / 3) }, (_, i) => given.slice(3 * i, 3 * i + 3));
    const fits = triples.every(
      ([x, ownScale, ownZero]) =>
        w.dtype(x) === w.dtype(zero) && w.dtype(ownScale) === "float32" && w.dtype(ownZero) === w.dtype(x),
    );
    if (!fits || given.length % 3 !== 0 || given.includes(null))
      return problem("arity", "inputs are not tensors with a scale and a zero point each, all of one type");
    const parts = triples.map(([x, ownScale, ownZero]) => dequantised(w, x, ownScale, ownZero));
    return [quantised(w, w.op("Concat", parts, { axis: numberOf(attrs, "axis") }), scale, zero, zero)];
  },
};

const gemm: Expansion = {
  summary:
    "product of quantised A and B plus C, summed exactly, times alpha and both scales; quantised again where y_scale is given",
  inputs: [
    "A: byte",
    "a_scale: float32 single",
    "a_zero_point: A single",
    "B: byte",
    "b_scale: float32",
    "b_zero_point: B",
    "C?: int32",
    "y_scale?: float32 single",
    "y_zero_point?: byte single",
  ],
  outputs: ["Y"],
  attrs: { alpha: float(1), transA: int(0), transB: int(0) },
  expand: (w, { inputs: [a, aScale, aZero, b, bScale, bZero, c, yScale, yZero], attrs }) => {
    if (w.shape(a).length !== 2 || w.shape(b).length !== 2)
      return problem("shape", `A ${shapeText(w.shape(a))} and B ${shapeText(w.shape(b))} are no matrices`);
    const turned = (x: Given, name: string): Given =>
      numberOf(attrs, name) === 1 ? w.op("Transpose", [x], { perm: [1, 0] }) : x;
    const sums = w.op("MatMulInteger", [turned(a, "transA"), turned(b, "transB"), aZero, bZero]);
    const whole = c === null || c === undefined ? sums : w.op("Add", [sums, c]);
    const scale = w.op("Mul", [w.op("Mul", [aScale, bScale]), w.like(aScale, numberOf(attrs, "alpha"))]);
    const y = w.op("Mul", [w.op("Cast", [whole], { to: "float32" }), scale]);
    return [yScale === null || yScale === undefined ? y : quantised(w, y, yScale, yZero, a)];
  },
};

const attention: Expansion = {
  summary:
    "self-attention as com.microsoft.Attention has it, of quantised input and weights: the projections are summed exactly",
  inputs: [
    "input: byte",
    "weight: byte",
    "bias: float",
    "input_scale: bias single",
    "weight_scale: bias",
    "mask_index?: int32",
    "input_zero_point?: input single",
    "weight_zero_point?: weight",
    "past?: bias",
  ],
  outputs: ["output", "present?"],
  attrs: {
    num_heads: { ...int(), required: true },
    unidirectional: int(0),
    scale: float(),
    mask_filter_value: float(-10000),
    do_rotary: int(0),
    past_present_share_buffer: int(0),
  },
  expand: (
    w,
    { inputs: [x, weight, bias, xScale, weightScale, mask, xZero, weightZero, past], attrs, outputCount },
  ) => {
    const floats = dequantised(w, x, xScale, xZero);
    const weights = dequantised(w, weight, weightScale, weightZero, { axis: 1 });
    return w.ops("com.microsoft.Attention", [floats, weights, bias, mask, past], attrs, outputCount);
  },
};

const embedding: Expansion = {
  summary:
    "embeddings and normalisation as com.microsoft.EmbedLayerNormalization has them, of quantised tables, gamma and beta",
  inputs: [
    "input_ids: int32",
    "segment_ids?: int32",
    "word_embedding_quant: byte",
    "position_embedding_quant: byte",
    "segment_embedding?: byte",
    "gamma_quant: byte",
    "beta_quant: byte",
    "mask?: int32",
    "word_embedding_scale: float32 single",
    "position_embedding_scale: float32 single",
    "segment_embedding_scale?: float32 single",
    "gamma_scale: float32 single",
    "beta_scale: float32 single",
    "word_embedding_zero_point: byte single",
    "position_embedding_zero_point: byte single",
    "segment_embedding_zero_point?: byte single",
    "gamma_zero_point: byte single",
    "beta_zero_point: byte single",
  ],
  outputs: ["layernorm_out", "mask_index_out"],
  attrs: { epsilon: float(1e-12) },
  expand: (w, { inputs, attrs, outputCount }) => {
    const [ids, segments, , , segmentTable, , , mask] = inputs;
    const table = (at: number, parameter: number): Given =>
      (inputs[at] ?? null) === null ? null : dequantised(w, inputs[at], inputs[parameter], inputs[parameter + 5]);
    const tables = [table(2, 8), table(3, 9), segmentTable === null ? null : table(4, 10), table(5, 11), table(6, 12)];
    return w.ops("com.microsoft.EmbedLayerNormalization", [ids, segments, ...tables, mask], attrs, outputCount);
  },
};

/** Whole numbers of 4 bits that lie in bytes, the low half first. */
function unpackedHalves(w: Writer, x: Given): Made | Problem {
  const bytes = w.list(x);
  if (bytes === undefined) return problem("constant", "data packed in bytes is computed at run time");
  const shape = w.shape(x).map((size, dim, all) => (dim === all.length - 1 ? 2 * size : size));
  return w.numbers(
    "uint4",
    shape,
    bytes.flatMap((byte) => [byte & 15, byte >> 4]),
  );
}

const halves: ReadonlySet<DType> = new Set(["int4", "uint4"]);

const gatherBlocks: Expansion = {
  summary: "rows of data that is quantised in blocks, dequantised",
  inputs: ["data: uint4|int4|uint8", "indices: index", "scales: float", "zero_points?: data"],
  outputs: ["output"],
  attrs: { bits: int(4), block_size: int(128), gather_axis: int(0), quantize_axis: int(1) },
  expand: (w, { inputs: [data, indices, scales, zeros], attrs }) => {
    const isPacked = !halves.has(w.dtype(data)) && numberOf(attrs, "bits") === 4;
    const whole = isPacked ? unpackedHalves(w, data) : data;
    if (typeof whole === "object" && whole !== null) return whole;
    let shifts = zeros;
    if (isPacked && zeros !== null && zeros !== undefined) {
      const unpacked = unpackedHalves(w, zeros);
      if (typeof unpacked === "object") return unpacked;
      // An odd number of blocks leaves half a byte.
      const size = w.shape(scales).at(-1) ?? 1;
      shifts = w.op("Slice", [unpacked, w.ints(0), w.ints(size), w.ints(-1)]) ?? null;
    } else if (!halves.has(w.dtype(data))) {
      const middle = 2 ** (numberOf(attrs, "bits") - 1);
      const count = w.shape(scales).reduce((n, size) => n * size, 1);
      shifts = w.numbers(w.dtype(whole), w.shape(scales), new Array<number>(count).fill(middle));
    }
    const blocks = { axis: numberOf(attrs, "quantize_axis"), block_size: numberOf(attrs, "block_size") };
    const floats = dequantised(w, whole, scales, shifts, blocks);
    return [w.op("Gather", [floats, indices], { axis: numberOf(attrs, "gather_axis") })];
  },
};

export const quantisedExpansions: ExpansionTable = {
  "com.microsoft.QLinearSigmoid": unary("sigmoid of quantised X, quantised again", {}, (w, x) => w.op("Sigmoid", [x])),
  "com.microsoft.QLinearLeakyRelu": unary(
    "quantised X, alpha X where it is negative, quantised again",
    { alpha: float(0.01) },
    (w, x, { attrs }) => w.op("LeakyRelu", [x], { alpha: numberOf(attrs, "alpha") }),
  ),
  "com.microsoft.QLinearSoftmax": softmax,
  "com.microsoft.QLinearReduceMean": reduceMean,
  "com.microsoft.QLinearAveragePool": averagePool,
  "com.microsoft.QLinearGlobalAveragePool": unary(
    "average over all positions of quantised X, quantised again",
    { channels_last: int(0) },
    (w, x, call) => pooled(w, x, call, "GlobalAveragePool", {}),
  ),
  "com.microsoft.QLinearWhere": where,
  "com.microsoft.QLinearConcat": concat,
  "com.microsoft.QGemm": gemm,
  "com.microsoft.QAttention": attention,
  "com.microsoft.QEmbedLayerNormalization": embedding,
  "com.microsoft.GatherBlockQuantized": gatherBlocks,
};
