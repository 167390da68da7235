// Two small well-formed graphs, one of each form, for tests of the verifier and the text.
import { type Graph, nodeId, tensorId } from "../ir/graph/graph.ts";
import { constDataOf } from "../ir/graph/values.ts";
import { f32, i64, tensor } from "./evaluate-values.ts";

const t = tensorId;

/** A matrix product with a bias, a split with an omitted output, and constants of several types. */
export const onnxSample: Graph = {
  name: 'sample "one"',
  form: "onnx",
  tensors: [
    { id: t(0), name: "x", dtype: "float32", shape: [2, 3] },
    {
      id: t(1),
      name: "w",
      dtype: "float32",
      shape: [3, 4],
      data: constDataOf(
        tensor(
          "float32",
          [3, 4],
          Array.from({ length: 12 }, (_, i) => i / 3),
        ),
      ),
    },
    { id: t(2), name: "b", dtype: "float32", shape: [], data: constDataOf(f32([], 0.1)) },
    { id: t(3), name: "parts", dtype: "int64", shape: [2], data: constDataOf(i64(1, 3)) },
    { id: t(4), name: "product", dtype: "float32", shape: [2, 4] },
    { id: t(5), name: "sum", dtype: "float32", shape: [2, 4] },
    { id: t(6), name: "right", dtype: "float32", shape: [2, 3] },
    { id: t(7), name: "soft", dtype: "float32", shape: [2, 3] },
    { id: t(8), name: "half", dtype: "float16", shape: [2], data: constDataOf(tensor("float16", [2], [0.5, -1])) },
    { id: t(9), name: "left over", dtype: "bool", shape: [0, 2] },
  ],
  nodes: [
    {
      id: nodeId(0),
      op: "MatMul",
      inputs: [t(0), t(1)],
      outputs: [t(4)],
      attrs: {},
      origins: [{ name: "/fc/MatMul", opType: "MatMul", index: 0 }],
    },
    { id: nodeId(1), op: "Add", inputs: [t(4), t(2)], outputs: [t(5)], attrs: {}, origins: [] },
    { id: nodeId(2), op: "Split", inputs: [t(5), t(3)], outputs: [null, t(6)], attrs: { axis: 1 }, origins: [] },
    {
      id: nodeId(3),
      op: "Softmax",
      inputs: [t(6)],
      outputs: [t(7)],
      attrs: { axis: -1 },
      origins: [
        { name: "a", opType: "Exp", index: 5 },
        { name: "b", opType: "Div", index: -1 },
      ],
    },
  ],
  inputs: [{ name: "x", tensor: t(0), dtype: "float64" }],
  outputs: [
    { name: "y", tensor: t(7), dtype: "float32" },
    { name: "x again", tensor: t(0), dtype: "float32" },
  ],
};

export const coreSample: Graph = {
  name: "core",
  form: "core",
  tensors: [
    { id: t(0), name: "x", dtype: "float32", shape: [2, 2] },
    { id: t(1), name: "q", dtype: "int32", shape: [2, 2] },
    { id: t(2), name: "bytes", dtype: "int8", shape: [2, 2] },
    { id: t(3), name: "w", dtype: "int8", shape: [2, 2], data: constDataOf(tensor("int8", [2, 2], [1, -2, 3, -4])) },
    { id: t(4), name: "y", dtype: "int32", shape: [2, 2] },
  ],
  nodes: [
    { id: nodeId(0), op: "toInt", inputs: [t(0)], outputs: [t(1)], attrs: { mode: "rne" }, origins: [] },
    { id: nodeId(1), op: "toInt8", inputs: [t(1)], outputs: [t(2)], attrs: { to: "int8" }, origins: [] },
    { id: nodeId(2), op: "matmul", inputs: [t(2), t(3)], outputs: [t(4)], attrs: { precision: "int8" }, origins: [] },
  ],
  inputs: [{ name: "x", tensor: t(0), dtype: "float32" }],
  outputs: [{ name: "y", tensor: t(4), dtype: "int64" }],
};
