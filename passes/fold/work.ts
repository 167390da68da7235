// How much work it is to evaluate an operator on constants: an upper bound in elements touched, so that folding a hostile graph ends in
// bounded time. Knows which operators do more than touch each element once.
import type { Attrs } from "../../ir/graph/attr.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import type { TensorType } from "../../ir/graph/values.ts";

interface Sizes {
  readonly inputs: readonly TensorType[];
  readonly outputElements: number;
  readonly attrs: Attrs;
}

const elements = (type: TensorType | undefined): number => (type === undefined ? 1 : elementCount(type.shape));
const largestDim = (type: TensorType | undefined): number => Math.max(1, ...(type?.shape ?? []));

/** Each result sums over one dimension of the first operand. */
const product = ({ inputs, outputElements }: Sizes): number => outputElements * largestDim(inputs[0]);

/** Each result sums over one filter. */
const convolution =
  (weight: number) =>
  ({ inputs, outputElements }: Sizes): number =>
    outputElements * (elements(inputs[weight]) / Math.max(1, inputs[weight]?.shape[0] ?? 1));

const pooling = ({ outputElements, attrs }: Sizes): number => {
  const kernel = attrs.kernel_shape;
  return outputElements * (Array.isArray(kernel) ? elementCount(kernel.map(Number)) : 1);
};

/** Every element of one operand may meet every element of another. */
const everyPair = ({ inputs, outputElements }: Sizes): number =>
  outputElements * inputs.reduce((most, type) => Math.max(most, elements(type)), 1);

const everyTuple = ({ inputs }: Sizes): number => inputs.reduce((work, type) => work * Math.max(1, elements(type)), 1);

const rows: Partial<Record<OnnxOp, (sizes: Sizes) => number>> = {
  MatMul: product,
  Gemm: product,
  MatMulInteger: product,
  QLinearMatMul: product,
  "com.microsoft.FusedMatMul": product,
  "com.microsoft.MatMulNBits": product,
  "com.microsoft.MatMulIntegerToFloat": product,
  "com.microsoft.DynamicQuantizeMatMul": product,
  Conv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  MaxPool: pooling,
  AveragePool: pooling,
  Einsum: everyTuple,
  Attention: everyPair,
  "com.microsoft.Attention": everyPair,
  "com.microsoft.MultiHeadAttention": everyPair,
  "com.microsoft.GroupQueryAttention": everyPair,
};

/** Elements touched, at most; never less than one. */
export function workOf(
  op: OnnxOp,
  inputs: readonly (TensorType | null)[],
  outputs: readonly TensorType[],
  attrs: Attrs,
) {
  const given = inputs.filter((type) => type !== null);
  const outputElements = outputs.reduce((sum, type) => sum + elements(type), 0);
  const touched = given.reduce((sum, type) => sum + elements(type), outputElements);
  const more = rows[op]?.({ inputs: given, outputElements, attrs }) ?? 0;
  return Math.max(1, touched, more);
}
