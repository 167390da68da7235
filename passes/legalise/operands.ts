// Tensors of an ONNX-form graph as core tensors: inputs and constants in the two types the machine computes with, bytes for integer products.
// 64-bit integers must fit 32 bits. Knows no operator.
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";
import { type ConstData, elementCount, type GraphTensor, type TensorId } from "../../ir/graph/graph.ts";
import {
  bytesOf,
  mapped,
  numbersOf,
  type TensorValue,
  valueFromBytes,
  valueFromNumbers,
} from "../../ir/graph/values.ts";
import { sub, toInt8 } from "./arith.ts";
import { type CoreDraft, dtypeOf, int, lazyConstant } from "./core-draft.ts";

export type WordType = "float32" | "int32";

/** The type the machine computes with in place of an ONNX type. */
export const wordTypeOf = (dtype: DType): WordType => (dtypes[dtype].kind === "float" ? "float32" : "int32");
/** What is taken off numbers of an integer type of at most 8 bits to fit int8: the matrix unit multiplies signed bytes only. */
export const byteOffset = (dtype: DType): number => (dtype === "uint8" ? 128 : 0);

const INT32 = { low: -(2 ** 31), high: 2 ** 31 - 1 };

/** First element of a constant that does not fit 32 bits. */
export function wideElement(tensor: GraphTensor): number | undefined {
  const { data, dtype } = tensor;
  if (data === undefined || (dtype !== "int64" && dtype !== "uint64" && dtype !== "uint32")) return undefined;
  const numbers = numbersOf(valueFromBytes(dtype, tensor.shape, data.read()));
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at] ?? 0;
    if (number < INT32.low || number > INT32.high) return number;
  }
  return undefined;
}

function converted(tensor: GraphTensor, data: ConstData, to: WordType | "int8"): ConstData {
  if (tensor.dtype === to) return data;
  const byteLength = byteLengthOf(to, elementCount(tensor.shape));
  const offset = to === "int8" ? byteOffset(tensor.dtype) : 0;
  const read = (): Uint8Array => {
    const value: TensorValue = valueFromBytes(tensor.dtype, tensor.shape, data.read());
    const numbers = offset === 0 ? numbersOf(value) : mapped(numbersOf(value), (number) => number - offset);
    return bytesOf(valueFromNumbers(to, tensor.shape, numbers));
  };
  return { byteLength, read };
}

/** A constant in the type the machine computes with. */
export const wordConstant = (d: CoreDraft, tensor: GraphTensor, data: ConstData): TensorId =>
  lazyConstant(
    d,
    wordTypeOf(tensor.dtype),
    tensor.shape,
    tensor.name,
    converted(tensor, data, wordTypeOf(tensor.dtype)),
  );

/** A constant of at most 8 bits as bytes, less the type's offset. */
export const byteConstant = (d: CoreDraft, tensor: GraphTensor, data: ConstData): TensorId =>
  lazyConstant(d, "int8", tensor.shape, tensor.name, converted(tensor, data, "int8"));

/** An int32 value that fits `dtype`, as bytes less the type's offset. */
export const asBytes = (d: CoreDraft, x: TensorId, dtype: DType): TensorId =>
  dtypeOf(d, x) === "int32" ? toInt8(d, sub(d, x, int(d, byteOffset(dtype))), "int8") : x;
