// Precisions that quantise: constant matrices of MatMul and Gemm become int8 with a scale a column, in the graph, so that all that follows sees
// plain operators. `w8a16` dequantises them before the product; `int8` quantises what they are multiplied with too, as it comes. The largest
// element of a column becomes 127: no weight is off by more than 1/254 of it.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";
import { type Attrs, numberOf } from "../../ir/graph/attr.ts";
import {
  type ConstData,
  elementCount,
  type Graph,
  type GraphNode,
  type GraphTensor,
  nodeId,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import { completeAttrs } from "../../ir/graph/infer.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import { onnxOps } from "../../ir/graph/onnx-ops.ts";
import type { ModelPrecision } from "../../ir/graph/precision.ts";
import { bytesOf, numbersOf, valueFromBytes, valueFromNumbers } from "../../ir/graph/values.ts";
import { roundHalfEven } from "../../ir/numeric/bits.ts";
import type { Precision } from "./core-draft.ts";

/** Type of the products of floats that are left. */
export const productPrecision = (precision: ModelPrecision): Precision => (precision === "fp32" ? "fp32" : "fp16");
export const isQuantising = (precision: ModelPrecision): boolean => precision === "int8" || precision === "w8a16";

interface Drafting {
  readonly graph: Graph;
  readonly tensors: GraphTensor[];
  readonly nodes: GraphNode[];
  readonly matrices: Map<string, QuantisedMatrix>;
}

interface QuantisedMatrix {
  readonly bytes: TensorId;
  /** float32, one a column. */
  readonly scales: TensorId;
}

function addTensor(d: Drafting, name: string, dtype: DType, shape: readonly number[], data?: ConstData): TensorId {
  const id = tensorId(d.tensors.length);
  d.tensors.push({ id, name, dtype, shape, ...(data === undefined ? {} : { data }) });
  return id;
}

type Inputs = readonly (TensorId | null)[];

function addNode(d: Drafting, from: GraphNode, op: OnnxOp, inputs: Inputs, output: TensorId, attrs: Attrs = {}): void {
  d.nodes.push({ id: nodeId(d.nodes.length), op, inputs, outputs: [output], attrs, origins: from.origins });
}

/** The weights of a node: its second operand, if it is a constant matrix of floats. */
function weightsOf(graph: Graph, node: GraphNode): GraphTensor | undefined {
  if (node.op !== "MatMul" && node.op !== "Gemm") return undefined;
  const id = node.inputs[1];
  const tensor = id === null || id === undefined ? undefined : graph.tensors[id];
  if (tensor?.data === undefined || tensor.shape.length !== 2 || elementCount(tensor.shape) === 0) return undefined;
  return dtypes[tensor.dtype].kind === "float" && dtypes[tensor.dtype].bits >= 16 ? tensor : undefined;
}

/** Number `at` of a matrix belongs to this column; a transposed one has its columns as rows. */
const columnOf = ([rows = 1, columns = 1]: readonly number[], isTurned: boolean): ((at: number) => number) =>
  isTurned && rows > 0 ? (at) => Math.floor(at / columns) : (at) => at % columns;

/** A scale a column: its largest magnitude over 127, 1 where all is zero or nothing finite is said. */
export function columnScales(numbers: ArrayLike<number>, shape: readonly number[], isTurned: boolean): Float32Array {
  const column = columnOf(shape, isTurned);
  const scales = new Float32Array(shape[isTurned ? 0 : 1] ?? 1);
  for (let at = 0; at < numbers.length; at += 1) {
    const size = Math.abs(numbers[at] ?? 0);
    const own = column(at);
    if (size > (scales[own] ?? 0) && size < Number.POSITIVE_INFINITY) scales[own] = size;
  }
  return scales.map((largest) => Math.fround(largest / 127) || 1);
}

function quantisedBytes(numbers: ArrayLike<number>, shape: readonly number[], isTurned: boolean): Uint8Array {
  const column = columnOf(shape, isTurned);
  const scales = columnScales(numbers, shape, isTurned);
  const bytes = new Int8Array(numbers.length);
  for (let at = 0; at < bytes.length; at += 1) {
    const steps = (numbers[at] ?? 0) / (scales[column(at)] ?? 1);
    bytes[at] = Math.min(127, Math.max(-127, roundHalfEven(Number.isNaN(steps) ? 0 : steps)));
  }
  return new Uint8Array(bytes.buffer);
}

function quantisedMatrix(d: Drafting, weights: GraphTensor, isTurned: boolean, flip: boolean): QuantisedMatrix {
  const key = `${weights.id} ${isTurned} ${flip}`;
  const known = d.matrices.get(key);
  if (known !== undefined) return known;
  const { data, dtype, shape, name } = weights;
  invariant(data !== undefined, `${name} is a constant`);
  const [rows = 1, columns = 1] = shape;
  const numbers = (): ArrayLike<number> => numbersOf(valueFromBytes(dtype, shape, data.read()));
  const bytes: ConstData = {
    byteLength: rows * columns,
    read: () => {
      const made = quantisedBytes(numbers(), shape, isTurned);
      return flip ? turned(made, rows, columns) : made;
    },
  };
  const count = isTurned ? rows : columns;
  const scales: ConstData = {
    byteLength: byteLengthOf("float32", count),
    read: () => bytesOf(valueFromNumbers("float32", [count], columnScales(numbers(), shape, isTurned))),
  };
  const made = {
    bytes: addTensor(d, `${name}.int8`, "int8", flip ? [columns, rows] : shape, bytes),
    scales: addTensor(d, `${name}.scales`, "float32", [count], scales),
  };
  d.matrices.set(key, made);
  return made;
}

function turned(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1)
      result[column * rows + row] = bytes[row * columns + column] ?? 0;
  return result;
}

/** The same node, its weights dequantised before it. */
function dequantised(d: Drafting, node: GraphNode, weights: GraphTensor, isTurned: boolean): void {
  const { bytes, scales } = quantisedMatrix(d, weights, isTurned, false);
  const floats = addTensor(d, `${weights.name}.dequantised`, weights.dtype, weights.shape);
  const output: Attrs = weights.dtype === "float32" ? {} : { output_dtype: weights.dtype };
  addNode(d, node, "DequantizeLinear", [bytes, scales], floats, { axis: isTurned ? 0 : 1, ...output });
  const inputs = node.inputs.map((id, index) => (index === 1 ? floats : id));
  d.nodes.push({ ...node, id: nodeId(d.nodes.length), inputs });
}

function typeOf(d: Drafting, id: TensorId | null | undefined): GraphTensor {
  const tensor = id === null || id === undefined ? undefined : d.tensors[id];
  invariant(tensor !== undefined, "an operand is there");
  return tensor;
}

/** A tensor in another float type. */
function castTo(d: Drafting, node: GraphNode, id: TensorId, to: DType): TensorId {
  const { dtype, shape, name } = typeOf(d, id);
  if (dtype === to) return id;
  const result = addTensor(d, `${name}.${to}`, to, shape);
  addNode(d, node, "Cast", [id], result, { to });
  return result;
}

/** The operand as DynamicQuantizeMatMul takes it, transposed where Gemm says so. */
function leftOperand(d: Drafting, node: GraphNode, isFlipped: boolean): TensorId {
  const given = typeOf(d, node.inputs[0]);
  const floats = castTo(d, node, given.id, "float32");
  if (!isFlipped) return floats;
  const result = addTensor(d, `${given.name}.turned`, "float32", [...given.shape].reverse());
  addNode(d, node, "Transpose", [floats], result, { perm: [1, 0] });
  return result;
}

const scalarOf = (d: Drafting, name: string, number: number): TensorId =>
  addTensor(d, name, "float32", [], {
    byteLength: 4,
    read: () => bytesOf(valueFromNumbers("float32", [], [number])),
  });

/** A tensor times a number. */
function scaled(d: Drafting, node: GraphNode, id: TensorId, factor: number): TensorId {
  if (factor === 1) return id;
  const { shape, name } = typeOf(d, id);
  const result = addTensor(d, `${name}.scaled`, "float32", shape);
  addNode(d, node, "Mul", [id, scalarOf(d, `${name}.factor`, factor)], result);
  return result;
}

/** The product on bytes, both operands quantised; what Gemm adds is added to it. */
function dynamic(d: Drafting, node: GraphNode, weights: GraphTensor, isTurned: boolean, attrs: Attrs): void {
  const isGemm = node.op === "Gemm";
  const a = leftOperand(d, node, isGemm && numberOf(attrs, "transA") === 1);
  const { bytes, scales } = quantisedMatrix(d, weights, isTurned, isTurned);
  const [result] = node.outputs;
  const out = typeOf(d, result);
  const product = addTensor(d, `${out.name}.product`, "float32", out.shape);
  addNode(d, node, "com.microsoft.DynamicQuantizeMatMul", [a, bytes, scales], product);
  let whole = isGemm ? scaled(d, node, product, numberOf(attrs, "alpha")) : product;
  const addend = isGemm ? node.inputs[2] : undefined;
  const beta = isGemm ? numberOf(attrs, "beta") : 0;
  if (addend !== null && addend !== undefined && beta !== 0) {
    const term = scaled(d, node, castTo(d, node, addend, "float32"), beta);
    const sum = addTensor(d, `${out.name}.sum`, "float32", out.shape);
    addNode(d, node, "Add", [whole, term], sum);
    whole = sum;
  }
  // The node's own output is made last, under its own id.
  if (out.dtype === "float32") addNode(d, node, "Identity", [whole], out.id);
  else addNode(d, node, "Cast", [whole], out.id, { to: out.dtype });
}

/** The graph that a precision asks for. What is quantised already stays as it is. */
export function quantiseWeights(graph: Graph, precision: ModelPrecision): Graph {
  if (!isQuantising(precision)) return graph;
  const d: Drafting = { graph, tensors: [...graph.tensors], nodes: [], matrices: new Map() };
  for (const node of graph.nodes) {
    const weights = weightsOf(graph, node);
    const first = node.inputs[0];
    const operand = first === null || first === undefined ? undefined : graph.tensors[first];
    if (weights === undefined || operand === undefined || operand.shape.length < 2) {
      d.nodes.push({ ...node, id: nodeId(d.nodes.length) });
      continue;
    }
    const attrs = node.op === "Gemm" ? completeAttrs(onnxOps.Gemm, node.attrs).attrs : {};
    const isTurned = node.op === "Gemm" && numberOf(attrs, "transB") === 1;
    if (precision === "w8a16") dequantised(d, node, weights, isTurned);
    else dynamic(d, node, weights, isTurned, attrs);
  }
  return { ...graph, tensors: d.tensors, nodes: d.nodes };
}
