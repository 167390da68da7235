// Short ways to write tensors and single-operator calls in tests.

import type { DType } from "../ir/dtype.ts";
import type { Attrs } from "../ir/graph/attr.ts";
import { evaluateOp } from "../ir/graph/infer.ts";
import type { OnnxOp } from "../ir/graph/onnx-ops.ts";
import { numbersOf, type TensorValue, valueFromNumbers } from "../ir/graph/values.ts";

export const tensor = (dtype: DType, shape: readonly number[], numbers: readonly number[]): TensorValue =>
  valueFromNumbers(dtype, shape, numbers);
export const f32 = (shape: readonly number[], ...numbers: readonly number[]): TensorValue =>
  tensor("float32", shape, numbers);
export const i64 = (...numbers: readonly number[]): TensorValue => tensor("int64", [numbers.length], numbers);
export const count = (...shape: readonly number[]): TensorValue =>
  tensor(
    "float32",
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  );

export interface Answer {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly numbers: readonly number[];
}

export const answer = (value: TensorValue): Answer => ({
  dtype: value.dtype,
  shape: value.shape,
  numbers: Array.from(numbersOf(value)),
});

/** Outputs of one operator; throws what is wrong with the call. */
export function run(op: OnnxOp, inputs: readonly (TensorValue | null)[], attrs: Attrs = {}, outputs = 1): Answer[] {
  const result = evaluateOp(op, inputs, attrs, outputs);
  if (!result.ok) throw new Error(result.problems.map(({ kind, problem }) => `${kind}: ${problem}`).join("; "));
  return result.outputs.map(answer);
}

export function problemsOf(
  op: OnnxOp,
  inputs: readonly (TensorValue | null)[],
  attrs: Attrs = {},
  outputs = 1,
): string[] {
  const result = evaluateOp(op, inputs, attrs, outputs);
  return result.ok ? [] : result.problems.map(({ kind, problem }) => `${kind}: ${problem}`);
}
