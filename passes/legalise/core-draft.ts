// A core graph while it is built: tensors, hash-consed nodes with provenance, constants with cached small contents. Every node is made by
// `emitCore`, which folds constants and shares equal nodes. Knows no ONNX operator and no algebraic rule.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { byteLengthOf, type DType } from "../../ir/dtype.ts";
import type { Attrs } from "../../ir/graph/attr.ts";
import { evaluateCore } from "../../ir/graph/core-eval.ts";
import type { CoreOp } from "../../ir/graph/core-ops.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import {
  type ConstData,
  elementCount,
  type GraphTensor,
  type NodeOrigin,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import { bytesOf, type TensorValue, valueFromBytes, valueFromNumbers } from "../../ir/graph/values.ts";

export type Precision = "fp16" | "fp32";
type CoreDType = "float32" | "int32" | "int8" | "uint8";

export interface CoreNode {
  readonly op: CoreOp;
  readonly inputs: readonly TensorId[];
  readonly output: TensorId;
  readonly attrs: Attrs;
  /** In the order in which source nodes asked for it. */
  readonly origins: NodeOrigin[];
}

/** What later rules may know of a value beside the node that makes it. */
export interface Meaning {
  readonly kind: "sqrt" | "sigmoid" | "erf";
  readonly of: TensorId;
}

/** What a float tensor stands for that was dequantised: scale * (bytes - zero). Scale and zero have its rank, with size 1 where they are shared. */
export interface QuantisedForm {
  /** int8, less the offset of the quantised type; made when asked for. */
  readonly bytes: () => TensorId;
  readonly scale: TensorId;
  /** int32, less the same offset. */
  readonly zero: TensorId | undefined;
  /** Where they stand for blocks along a dimension: one for each block of `size`. */
  readonly blocks?: {
    readonly dim: number;
    readonly size: number;
    readonly scale: TensorId;
    readonly zero: TensorId | undefined;
  };
}

/** Bounds of all numbers of a tensor. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface CoreDraft {
  readonly precision: Precision;
  /** Of the machine that this is for. */
  readonly lanes: number;
  readonly without: FusionSet;
  /** Bytes are widened on the machine, however few they are. */
  readonly keepsBytes: boolean;
  readonly tensors: GraphTensor[];
  readonly nodes: CoreNode[];
  readonly producers: Map<TensorId, CoreNode>;
  readonly memo: Map<string, TensorId>;
  readonly values: Map<TensorId, TensorValue>;
  readonly meanings: Map<TensorId, Meaning>;
  readonly quantised: Map<TensorId, QuantisedForm>;
  readonly ranges: Map<TensorId, Interval>;
  readonly site: { origins: readonly NodeOrigin[]; label: string };
}

/** Constants up to this many elements are decoded, compared and folded at once; larger ones fold when they are read. */
export const SMALL_ELEMENTS = 1 << 16;

export function createCoreDraft(
  precision: Precision,
  lanes: number,
  without: FusionSet,
  keepsBytes: boolean,
): CoreDraft {
  return {
    precision,
    lanes,
    without,
    keepsBytes,
    tensors: [],
    nodes: [],
    producers: new Map(),
    memo: new Map(),
    values: new Map(),
    meanings: new Map(),
    quantised: new Map(),
    ranges: new Map(),
    site: { origins: [], label: "value" },
  };
}

export function tensorOf(d: CoreDraft, id: TensorId): GraphTensor {
  const tensor = d.tensors[id];
  invariant(tensor !== undefined, `core tensor ${id} does not exist`);
  return tensor;
}

export const shapeOf = (d: CoreDraft, id: TensorId): readonly number[] => tensorOf(d, id).shape;
export const dtypeOf = (d: CoreDraft, id: TensorId): DType => tensorOf(d, id).dtype;
export const isFloat = (d: CoreDraft, id: TensorId): boolean => tensorOf(d, id).dtype === "float32";
export const isConstant = (d: CoreDraft, id: TensorId): boolean => tensorOf(d, id).data !== undefined;

/** The node that makes a tensor; constants and inputs have none. */
export const producerOf = (d: CoreDraft, id: TensorId): CoreNode | undefined => d.producers.get(id);

/** Steps back that are taken to see where a tensor comes from. */
const MOST_STEPS_BACK = 16;

/** Whether a tensor is made of constants alone, widened or dequantised on the machine. */
export function isMadeOfConstants(d: CoreDraft, id: TensorId, steps = MOST_STEPS_BACK): boolean {
  if (isConstant(d, id)) return true;
  const inputs = d.producers.get(id)?.inputs ?? [];
  return steps > 0 && inputs.length > 0 && inputs.every((input) => isMadeOfConstants(d, input, steps - 1));
}

/** The producer if it is a given op. */
export function producedBy(d: CoreDraft, id: TensorId, op: CoreOp): CoreNode | undefined {
  const node = d.producers.get(id);
  return node?.op === op ? node : undefined;
}

function addTensor(d: CoreDraft, dtype: DType, shape: readonly number[], name: string, data?: ConstData): TensorId {
  const id = tensorId(d.tensors.length);
  d.tensors.push(data === undefined ? { id, name, dtype, shape } : { id, name, dtype, shape, data });
  return id;
}

export function addInput(d: CoreDraft, name: string, dtype: CoreDType, shape: readonly number[]): TensorId {
  return addTensor(d, dtype, shape, name);
}

function hashBytes(bytes: Uint8Array): string {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x5bd1e995) ^ (high >>> 15);
  }
  return `${low >>> 0}.${high >>> 0}`;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** A constant with known contents; equal small constants are one tensor. */
export function constant(d: CoreDraft, value: TensorValue, name = "constant"): TensorId {
  const bytes = bytesOf(value);
  const key = `const ${value.dtype} [${value.shape.join()}] ${hashBytes(bytes)}`;
  const known = d.memo.get(key);
  if (known !== undefined && sameBytes(bytes, tensorOf(d, known).data?.read() ?? new Uint8Array(0))) return known;
  const id = addTensor(d, value.dtype, value.shape, name, { byteLength: bytes.length, read: () => bytes });
  d.values.set(id, value);
  if (known === undefined) d.memo.set(key, id);
  return id;
}

/** A constant whose contents are made when they are read; small ones are read at once. */
export function lazyConstant(
  d: CoreDraft,
  dtype: DType,
  shape: readonly number[],
  name: string,
  data: ConstData,
): TensorId {
  if (elementCount(shape) <= SMALL_ELEMENTS) return constant(d, valueFromBytes(dtype, shape, data.read()), name);
  return addTensor(d, dtype, shape, name, data);
}

export function constantOf(
  d: CoreDraft,
  numbers: readonly number[],
  shape: readonly number[],
  dtype: "float32" | "int32" = "float32",
): TensorId {
  return constant(d, valueFromNumbers(dtype, shape, numbers));
}

/** A scalar; elementwise ops give it the rank they need. */
export const float = (d: CoreDraft, value: number): TensorId => constantOf(d, [value], []);
export const int = (d: CoreDraft, value: number): TensorId => constantOf(d, [value], [], "int32");

/** Contents of a small constant. */
export function smallValue(d: CoreDraft, id: TensorId): TensorValue | undefined {
  return d.values.get(id);
}

/** The number that all elements of a small constant are equal to. */
export function uniform(d: CoreDraft, id: TensorId): number | undefined {
  const data = d.values.get(id)?.data;
  if (data === undefined || data.length === 0) return undefined;
  const first = data[0];
  for (const element of data) if (element !== first) return undefined;
  return typeof first === "number" ? first : undefined;
}

/** Contents of any constant: read now, kept by nobody. */
function loadValue(d: CoreDraft, id: TensorId): TensorValue {
  const known = d.values.get(id);
  if (known !== undefined) return known;
  const tensor = tensorOf(d, id);
  invariant(tensor.data !== undefined, `core tensor ${id} is not a constant`);
  return valueFromBytes(tensor.dtype, tensor.shape, tensor.data.read());
}

function addOrigins(node: CoreNode, origins: readonly NodeOrigin[]): void {
  for (const origin of origins) {
    if (!node.origins.some((known) => known.index === origin.index && known.name === origin.name))
      node.origins.push(origin);
  }
}

const FOLD_GROWTH = 1.01;
/** Fewer bytes than a few vectors hold are not worth widening. */
const FEW_BYTES = 1 << 10;

function foldsToConstant(d: CoreDraft, inputs: readonly TensorId[], dtype: DType, shape: readonly number[]): boolean {
  if (!inputs.every((id) => isConstant(d, id))) return false;
  const bytes = byteLengthOf(dtype, elementCount(shape));
  let inputBytes = 0;
  for (const id of inputs) inputBytes += tensorOf(d, id).data?.byteLength ?? 0;
  return elementCount(shape) <= SMALL_ELEMENTS || bytes <= inputBytes * FOLD_GROWTH;
}

function foldedConstant(
  d: CoreDraft,
  op: CoreOp,
  inputs: readonly TensorId[],
  attrs: Attrs,
  out: { readonly dtype: DType; readonly shape: readonly number[] },
): TensorId {
  const evaluate = (): TensorValue =>
    evaluateCore(
      op,
      inputs.map((id) => loadValue(d, id)),
      out,
      attrs,
    );
  if (elementCount(out.shape) <= SMALL_ELEMENTS) return constant(d, evaluate(), d.site.label);
  const byteLength = byteLengthOf(out.dtype, elementCount(out.shape));
  return addTensor(d, out.dtype, out.shape, d.site.label, { byteLength, read: () => bytesOf(evaluate()) });
}

/** The result of one core op: an empty or folded constant, an equal node's result, or a new node's. */
export function emitCore(
  d: CoreDraft,
  op: CoreOp,
  inputs: readonly TensorId[],
  attrs: Attrs,
  dtype: DType,
  shape: readonly number[],
): TensorId {
  if (elementCount(shape) === 0) return constant(d, valueFromNumbers(dtype, shape, []), d.site.label);
  const key = `${op} ${inputs.join()} ${JSON.stringify(attrs)} [${shape.join()}]`;
  const known = d.memo.get(key);
  if (known !== undefined) {
    const node = d.producers.get(known);
    if (node !== undefined) addOrigins(node, d.site.origins);
    return known;
  }
  const keeps = d.keepsBytes && op === "fromInt8" && elementCount(shape) > FEW_BYTES;
  if (!keeps && foldsToConstant(d, inputs, dtype, shape)) {
    const folded = foldedConstant(d, op, inputs, attrs, { dtype, shape });
    d.memo.set(key, folded);
    return folded;
  }
  const output = addTensor(d, dtype, shape, `${d.site.label}.${d.tensors.length}`);
  const node: CoreNode = { op, inputs, output, attrs, origins: [...d.site.origins] };
  d.nodes.push(node);
  d.producers.set(output, node);
  d.memo.set(key, output);
  return output;
}
