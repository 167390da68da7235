// A graph while it is being generated: nodes in order, initialisers as specs, and unique names in the manner of the
// PyTorch exporter (`/layers.0/attention/MatMul_1`). Knows ONNX's node messages, nothing of transformers or of bytes.
import type { onnx } from "onnx-proto";
import { type ElementType, type TensorSpec, tensorByteLength, writeTensorBytes } from "./tensor-spec.ts";

/** A graph input or output. */
export type ValueSpec = { readonly name: string; readonly type: ElementType; readonly dims: readonly number[] };

export type Attribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly values: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "tensor"; readonly tensor: TensorSpec };

/** Whether small constants (shapes, scalars, masks) are initialisers or Constant nodes. */
export type ConstantStyle = "initialiser" | "node";

/** Appended to by the functions below and by nothing else. */
export type GraphDraft = {
  readonly constantStyle: ConstantStyle;
  readonly nodes: onnx.INodeProto[];
  readonly tensors: TensorSpec[];
  readonly inputs: ValueSpec[];
  readonly outputs: ValueSpec[];
  readonly nameUses: Map<string, number>;
};

/** ONNX TensorProto.DataType numbers. */
export const DATA_TYPE = { float32: 1, float16: 10, int64: 7, bool: 9 } as const satisfies Record<ElementType, number>;

const ATTRIBUTE_TYPE = { float: 1, int: 2, tensor: 4, ints: 7 } as const;

export function createDraft(constantStyle: ConstantStyle): GraphDraft {
  return { constantStyle, nodes: [], tensors: [], inputs: [], outputs: [], nameUses: new Map() };
}

function uniqueName(draft: GraphDraft, wanted: string): string {
  const uses = draft.nameUses.get(wanted) ?? 0;
  draft.nameUses.set(wanted, uses + 1);
  return uses === 0 ? wanted : `${wanted}_${uses}`;
}

/** TensorProto of a small tensor, values inside. */
function tensorProto(tensor: TensorSpec): onnx.ITensorProto {
  const rawData = new Uint8Array(tensorByteLength(tensor));
  writeTensorBytes(tensor, rawData);
  return { name: tensor.name, dims: [...tensor.dims], dataType: DATA_TYPE[tensor.type], rawData };
}

function attributeProto(name: string, value: Attribute): onnx.IAttributeProto {
  switch (value.kind) {
    case "int":
      return { name, type: ATTRIBUTE_TYPE.int, i: value.value };
    case "ints":
      return { name, type: ATTRIBUTE_TYPE.ints, ints: [...value.values] };
    case "float":
      return { name, type: ATTRIBUTE_TYPE.float, f: value.value };
    case "tensor":
      return { name, type: ATTRIBUTE_TYPE.tensor, t: tensorProto(value.tensor) };
  }
}

export function intAttribute(value: number): Attribute {
  return { kind: "int", value };
}

export function intsAttribute(values: readonly number[]): Attribute {
  return { kind: "ints", values };
}

export function floatAttribute(value: number): Attribute {
  return { kind: "float", value };
}

/** Adds one node with `outputCount` outputs and gives their names. */
export function addNodeOutputs(
  draft: GraphDraft,
  scope: string,
  opType: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
  outputCount: number,
): readonly string[] {
  const name = uniqueName(draft, `${scope}/${opType}`);
  const output = Array.from({ length: outputCount }, (_, index) => `${name}_output_${index}`);
  const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
  draft.nodes.push({ name, opType, input: [...inputs], output, attribute });
  return output;
}

/** Adds one node with one output and gives that output's name. */
export function addNode(
  draft: GraphDraft,
  scope: string,
  opType: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
): string {
  const [output = ""] = addNodeOutputs(draft, scope, opType, inputs, attributes, 1);
  return output;
}

/** Adds a small constant, as an initialiser or a Constant node, and gives its name. */
export function addConstant(
  draft: GraphDraft,
  scope: string,
  type: ElementType,
  dims: readonly number[],
  values: readonly number[],
): string {
  if (draft.constantStyle === "node") {
    const tensor: TensorSpec = { name: "", dims, type, content: { kind: "values", values } };
    return addNode(draft, scope, "Constant", [], { value: { kind: "tensor", tensor } });
  }
  const name = uniqueName(draft, `${scope.replace(/^\//, "").replaceAll("/", ".")}.constant`);
  draft.tensors.push({ name, dims, type, content: { kind: "values", values } });
  return name;
}

/** Adds an int64 vector, as Reshape, Slice, Expand and the like take it. */
export function addInts(draft: GraphDraft, scope: string, values: readonly number[]): string {
  return addConstant(draft, scope, "int64", [values.length], values);
}

/** Makes `value` a graph output named `output.name`: the node that computes it writes that name instead. */
export function finishOutput(draft: GraphDraft, value: string, output: ValueSpec): void {
  for (const node of draft.nodes) {
    node.output = (node.output ?? []).map((name) => (name === value ? output.name : name));
    node.input = (node.input ?? []).map((name) => (name === value ? output.name : name));
  }
  draft.outputs.push(output);
}
