// An ONNX-form graph while it is built: every node is checked by the operator table, folds to constants where its inputs are constant and
// the result is not huge, and is shared with an equal node. Knows no file format.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";
import type { Attrs } from "../../ir/graph/attr.ts";
import {
  type ConstData,
  elementCount,
  type GraphNode,
  type GraphTensor,
  type NodeOrigin,
  nodeId,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import { evaluateOp, inferOp } from "../../ir/graph/infer.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import { type Problem, problem } from "../../ir/graph/op-row.ts";
import { bytesOf, type TensorType, type TensorValue, valueFromBytes, valueFromNumbers } from "../../ir/graph/values.ts";
import { workOf } from "./work.ts";

export interface OnnxDraft {
  readonly tensors: GraphTensor[];
  readonly nodes: GraphNode[];
  /** Results of nodes by op, inputs and attributes. */
  readonly memo: Map<string, readonly (TensorId | null)[]>;
  /** Decoded contents of small constants. */
  readonly values: Map<TensorId, TensorValue>;
  /** Constants of few elements by contents. */
  readonly constants: Map<string, TensorId>;
  /** Fold nodes whose inputs are constant (shape arithmetic of `Shape` included). */
  readonly folding: boolean;
  /** Work to read a constant that is computed when it is read. */
  readonly readWork: Map<TensorId, number>;
  /** What was stored and what was done so far: both bound what folding may still do. */
  readonly spent: { storedBytes: number; work: number };
}

export interface Call {
  readonly op: OnnxOp;
  readonly inputs: readonly (TensorId | null)[];
  readonly attrs: Attrs;
  /** Names of the outputs; null where the node leaves one out. */
  readonly outputs: readonly (string | null)[];
  readonly origins: readonly NodeOrigin[];
}

export type CallResult =
  | { readonly ok: true; readonly outputs: readonly (TensorId | null)[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Results up to this many bytes are folded at once and kept; larger ones when they are read. */
const EAGER_BYTES = 1 << 16;
/** Results larger than this fold only if they are not larger than what they are made from. */
const GROWTH_BYTES = 1 << 20;
/** Work on values that are folded at once, all nodes together. */
const EAGER_WORK = 2 ** 32;
/** Work to read a value that is computed when it is read: this much, and this much for each of its bytes. */
const READ_WORK = 2 ** 28;
const READ_WORK_PER_BYTE = 64;
/** Elements of a result that is computed at run time: as many words would take all of the largest chip's memory. */
const LARGEST_RESULT = 2 ** 26;
/** Constants up to this many bytes are shared by contents. */
const SHARED_BYTES = 1 << 12;

export function createOnnxDraft(folding = true): OnnxDraft {
  return {
    tensors: [],
    nodes: [],
    memo: new Map(),
    values: new Map(),
    constants: new Map(),
    folding,
    readWork: new Map(),
    spent: { storedBytes: 0, work: 0 },
  };
}

export function draftTensor(draft: OnnxDraft, id: TensorId): GraphTensor {
  const tensor = draft.tensors[id];
  invariant(tensor !== undefined, `tensor ${id} does not exist`);
  return tensor;
}

export function addDraftTensor(draft: OnnxDraft, name: string, type: TensorType, data?: ConstData): TensorId {
  const id = tensorId(draft.tensors.length);
  const { dtype, shape } = type;
  draft.tensors.push(data === undefined ? { id, name, dtype, shape } : { id, name, dtype, shape, data });
  return id;
}

/** A constant of known contents; small equal ones are one tensor. */
export function addConstant(draft: OnnxDraft, name: string, value: TensorValue): TensorId {
  const bytes = bytesOf(value);
  const key = bytes.length > SHARED_BYTES ? undefined : `${value.dtype} [${value.shape.join()}] ${bytes.join()}`;
  const known = key === undefined ? undefined : draft.constants.get(key);
  if (known !== undefined) return known;
  const id = addDraftTensor(draft, name, value, { byteLength: bytes.length, read: () => bytes });
  draft.values.set(id, value);
  if (key !== undefined) draft.constants.set(key, id);
  return id;
}

/** A constant that stays where it is until it is read; small ones are read now. */
export function addStoredConstant(draft: OnnxDraft, name: string, type: TensorType, data: ConstData): TensorId {
  draft.spent.storedBytes += data.byteLength;
  if (data.byteLength <= SHARED_BYTES)
    return addConstant(draft, name, valueFromBytes(type.dtype, type.shape, data.read()));
  return addDraftTensor(draft, name, type, data);
}

/** Contents of a constant, kept if small. */
export function constantValue(draft: OnnxDraft, id: TensorId): TensorValue | undefined {
  const known = draft.values.get(id);
  if (known !== undefined) return known;
  const tensor = draftTensor(draft, id);
  if (tensor.data === undefined) return undefined;
  const value = valueFromBytes(tensor.dtype, tensor.shape, tensor.data.read());
  if (tensor.data.byteLength <= EAGER_BYTES) draft.values.set(id, value);
  return value;
}

function byteCount(type: TensorType): number {
  return byteLengthOf(type.dtype, elementCount(type.shape));
}

/** Work to have the contents of a constant. */
function workToRead(draft: OnnxDraft, id: TensorId): number {
  if (draft.values.has(id)) return 0;
  return draft.readWork.get(id) ?? draftTensor(draft, id).data?.byteLength ?? 0;
}

/** Spends work of values needed at once; false when too little is left. */
function spend(draft: OnnxDraft, work: number): boolean {
  if (draft.spent.work + work > EAGER_WORK) return false;
  draft.spent.work += work;
  return true;
}

const areSmall = (outputs: readonly TensorType[]): boolean => outputs.every((type) => byteCount(type) <= EAGER_BYTES);

/** Weights of at most 8 bits: products take them as they are, so whether they become floats is decided there. */
function staysInBytes(draft: OnnxDraft, call: Call): boolean {
  const [x] = call.inputs;
  if (!call.op.endsWith("DequantizeLinear") || x === null || x === undefined) return false;
  const { bits, kind } = dtypes[draftTensor(draft, x).dtype];
  return bits <= 8 && kind !== "float";
}

/** The work of folding a call; undefined where it is not constant, makes too much of too little, or takes too long. */
function foldingWork(draft: OnnxDraft, call: Call, outputs: readonly TensorType[]): number | undefined {
  if (!draft.folding) return undefined;
  let [inputBytes, work] = [0, 0];
  for (const id of call.inputs) {
    if (id === null) continue;
    const { data } = draftTensor(draft, id);
    if (data === undefined) return undefined;
    inputBytes += data.byteLength;
    work += workToRead(draft, id);
  }
  if (staysInBytes(draft, call)) return undefined;
  const outputBytes = outputs.reduce((sum, type) => sum + byteCount(type), 0);
  const most = Math.max(GROWTH_BYTES, 8 * Math.min(inputBytes, draft.spent.storedBytes));
  if (outputBytes > most) return undefined;
  const types = call.inputs.map((id) => (id === null ? null : draftTensor(draft, id)));
  work += workOf(call.op, types, outputs, call.attrs);
  if (areSmall(outputs)) return spend(draft, work) ? work : undefined;
  return work <= READ_WORK + READ_WORK_PER_BYTE * outputBytes ? work : undefined;
}

function foldCall(
  draft: OnnxDraft,
  call: Call,
  outputs: readonly TensorType[],
  work: number,
): readonly (TensorId | null)[] {
  const evaluate = (): readonly TensorValue[] => {
    const inputs = call.inputs.map((id) => (id === null ? null : (constantValue(draft, id) ?? null)));
    const result = evaluateOp(call.op, inputs, call.attrs, call.outputs.length);
    invariant(result.ok, `${call.op} was accepted and cannot be evaluated`);
    return result.outputs;
  };
  const values = areSmall(outputs) ? evaluate() : [];
  return outputs.map((type, index) => {
    const name = call.outputs[index];
    if (name === null || name === undefined) return null;
    const value = values[index];
    if (value !== undefined) return addConstant(draft, name, value);
    const read = (): Uint8Array => {
      const result = evaluate()[index];
      invariant(result !== undefined, `${call.op} has no output ${index}`);
      return bytesOf(result);
    };
    const id = addDraftTensor(draft, name, type, { byteLength: byteCount(type), read });
    draft.readWork.set(id, work);
    return id;
  });
}

/** Shape and Size need no contents. */
function fromTypesAlone(draft: OnnxDraft, call: Call): TensorValue | undefined {
  const [input] = call.inputs;
  if (!draft.folding || (call.op !== "Shape" && call.op !== "Size") || input === null || input === undefined)
    return undefined;
  const { shape } = draftTensor(draft, input);
  if (call.op === "Size") return valueFromNumbers("int64", [], [elementCount(shape)]);
  const [start, end] = [call.attrs.start ?? 0, call.attrs.end ?? shape.length];
  const part = shape.slice(...[start, end].map((at) => Math.max(-shape.length, Math.min(Number(at), shape.length))));
  return valueFromNumbers("int64", [part.length], part);
}

function memoKey(call: Call): string {
  const attrs = Object.entries(call.attrs).sort(([a], [b]) => (a < b ? -1 : 1));
  const present = call.outputs.map((name) => (name === null ? 0 : 1)).join("");
  return `${call.op} ${call.inputs.map((id) => id ?? "-").join()} ${JSON.stringify(attrs)} ${present}`;
}

/** Adds a node, or finds its results without one. */
export function addCall(draft: OnnxDraft, call: Call): CallResult {
  const types = call.inputs.map((id) => (id === null ? null : draftTensor(draft, id)));
  const constant = (index: number): TensorValue | undefined => {
    const id = call.inputs[index];
    if (id === null || id === undefined || !spend(draft, workToRead(draft, id))) return undefined;
    return constantValue(draft, id);
  };
  const inferred = inferOp(call.op, { inputs: types, constant, attrs: call.attrs, outputCount: call.outputs.length });
  if (!inferred.ok) return inferred;
  const complete = { ...call, attrs: inferred.attrs };
  const key = memoKey(complete);
  const known = draft.memo.get(key);
  if (known !== undefined) return { ok: true, outputs: known };
  const results = inferred.outputs.slice(0, call.outputs.length);
  const folded = foldedResults(draft, complete, results);
  const huge = results.find(({ shape }) => elementCount(shape) > LARGEST_RESULT);
  if (folded === undefined && huge !== undefined) {
    const text = `the result has ${huge.shape.join(" x ")} elements, more than the memory of any chip`;
    return { ok: false, problems: [problem("unsupported", text)] };
  }
  const outputs = folded ?? addNode(draft, complete, results);
  draft.memo.set(key, outputs);
  return { ok: true, outputs };
}

/** Results of a call that needs no node. */
function foldedResults(
  draft: OnnxDraft,
  call: Call,
  types: readonly TensorType[],
): readonly (TensorId | null)[] | undefined {
  const known = fromTypesAlone(draft, call);
  if (known !== undefined) return [addConstant(draft, call.outputs[0] ?? "", known)];
  const work = foldingWork(draft, call, types);
  return work === undefined ? undefined : foldCall(draft, call, types, work);
}

function addNode(draft: OnnxDraft, call: Call, types: readonly TensorType[]): readonly (TensorId | null)[] {
  const outputs = types.map((type, index) => {
    const name = call.outputs[index];
    return name === null || name === undefined ? null : addDraftTensor(draft, name, type);
  });
  const { op, inputs, attrs, origins } = call;
  draft.nodes.push({ id: nodeId(draft.nodes.length), op, inputs, outputs, attrs, origins });
  return outputs;
}

/** The element type and shape of a tensor of the draft. */
export const typeOfTensor = (
  draft: OnnxDraft,
  id: TensorId,
): { readonly dtype: DType; readonly shape: readonly number[] } => draftTensor(draft, id);
