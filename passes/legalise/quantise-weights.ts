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
  readonly rows: Map<TensorId, QuantisedRows>;
}

/** The other operand: every row (a token) has a scale of its own. */
interface QuantisedRows {
  readonly bytes: TensorId;
  /** float32 [..., 1]. */
  readonly scales: TensorId;
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
  if (typeOf(d, id).dtype === to) return id;
  return madeBy(d, node, "Cast", [id], to, { dtype: to }, { to });
}

/** The operand in float32, transposed where Gemm says so. */
function leftOperand(d: Drafting, node: GraphNode, isFlipped: boolean): TensorId {
  const given = typeOf(d, node.inputs[0]);
  const floats = castTo(d, node, given.id, "float32");
  if (!isFlipped) return floats;
  return madeBy(d, node, "Transpose", [floats], "turned", { shape: [...given.shape].reverse() }, { perm: [1, 0] });
}

/** A new tensor, named after the first operand and of its type and shape where nothing else is said. */
function madeBy(
  d: Drafting,
  node: GraphNode,
  op: OnnxOp,
  inputs: readonly TensorId[],
  suffix: string,
  type: { readonly dtype?: DType; readonly shape?: readonly number[] } = {},
  attrs: Attrs = {},
): TensorId {
  const { dtype, shape, name } = typeOf(d, inputs[0]);
  const result = addTensor(d, `${name}.${suffix}`, type.dtype ?? dtype, type.shape ?? shape);
  addNode(d, node, op, inputs, result, attrs);
  return result;
}

const constantOf = (d: Drafting, name: string, dtype: DType, shape: readonly number[], number: number): TensorId =>
  addTensor(d, name, dtype, shape, {
    byteLength: byteLengthOf(dtype, elementCount(shape)),
    read: () => bytesOf(valueFromNumbers(dtype, shape, [number])),
  });

/** A tensor times a number. */
function scaled(d: Drafting, node: GraphNode, id: TensorId, factor: number): TensorId {
  if (factor === 1) return id;
  return madeBy(d, node, "Mul", [id, constantOf(d, `${typeOf(d, id).name}.factor`, "float32", [], factor)], "scaled");
}

/** Rows below this are 0 in bytes: its inverse is still a number. */
const LEAST_ROW = 2 ** -100;

/** Rows as bytes: the largest magnitude of a row becomes 127. */
function quantisedRows(d: Drafting, node: GraphNode, floats: TensorId): QuantisedRows {
  const known = d.rows.get(floats);
  if (known !== undefined) return known;
  const { shape, name } = typeOf(d, floats);
  const number = (suffix: string, value: number): TensorId => constantOf(d, `${name}.${suffix}`, "float32", [], value);
  const axes = constantOf(d, `${name}.axes`, "int64", [1], -1);
  const ofRow = { shape: [...shape.slice(0, -1), 1] };
  const sizes = madeBy(d, node, "Abs", [floats], "size");
  const largest = madeBy(d, node, "ReduceMax", [sizes, axes], "largest", ofRow, { keepdims: 1 });
  const limited = madeBy(d, node, "Max", [largest, number("least", LEAST_ROW)], "limited");
  const inverse = addTensor(d, `${name}.inverse`, "float32", ofRow.shape);
  addNode(d, node, "Div", [number("steps", 127), limited], inverse);
  const steps = madeBy(d, node, "Mul", [floats, inverse], "steps");
  const inside = madeBy(d, node, "Clip", [steps, number("low", -127), number("high", 127)], "inside");
  const whole = madeBy(d, node, "Round", [inside], "whole");
  const made = {
    bytes: madeBy(d, node, "Cast", [whole], "int8", { dtype: "int8" }, { to: "int8" }),
    scales: madeBy(d, node, "Mul", [limited, number("step", Math.fround(1 / 127))], "scale"),
  };
  d.rows.set(floats, made);
  return made;
}

/** The product on bytes, both operands quantised; what Gemm adds is added to it. */
function dynamic(d: Drafting, node: GraphNode, weights: GraphTensor, isTurned: boolean, attrs: Attrs): void {
  const isGemm = node.op === "Gemm";
  const a = quantisedRows(d, node, leftOperand(d, node, isGemm && numberOf(attrs, "transA") === 1));
  const b = quantisedMatrix(d, weights, isTurned, isTurned);
  const out = typeOf(d, node.outputs[0]);
  const sums = addTensor(d, `${out.name}.sums`, "int32", out.shape);
  addNode(d, node, "MatMulInteger", [a.bytes, b.bytes], sums);
  const floats = madeBy(d, node, "Cast", [sums], "float", { dtype: "float32" }, { to: "float32" });
  const byRow = madeBy(d, node, "Mul", [floats, a.scales], "row");
  const product = madeBy(d, node, "Mul", [byRow, b.scales], "column");
  let whole = isGemm ? scaled(d, node, product, numberOf(attrs, "alpha")) : product;
  const addend = isGemm ? node.inputs[2] : undefined;
  const beta = isGemm ? numberOf(attrs, "beta") : 0;
  if (addend !== null && addend !== undefined && beta !== 0) {
    const term = scaled(d, node, castTo(d, node, addend, "float32"), beta);
    whole = madeBy(d, node, "Add", [whole, term], "sum");
  }
  // The node's own output is made last, under its own id.
  if (out.dtype === "float32") addNode(d, node, "Identity", [whole], out.id);
  else addNode(d, node, "Cast", [whole], out.id, { to: out.dtype });
}

/** The graph that a precision asks for. What is quantised already stays as it is. */
export function quantiseWeights(graph: Graph, precision: ModelPrecision): Graph {
  if (!isQuantising(precision)) return graph;
  const d: Drafting = { graph, tensors: [...graph.tensors], nodes: [], matrices: new Map(), rows: new Map() };
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
