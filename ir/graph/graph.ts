// The static graph: tensors with fixed shapes, nodes in topological order. Holds data only; knows no file format and no machine.
import type { DType } from "../dtype.ts";
import type { Attrs } from "./attr.ts";
import type { OpName } from "./op-names.ts";

/** Index of a tensor in `Graph.tensors`. */
export type TensorId = number & { readonly brand: "TensorId" };
/** Index of a node in `Graph.nodes`. */
export type NodeId = number & { readonly brand: "NodeId" };
export const tensorId = (index: number): TensorId => index as TensorId;
export const nodeId = (index: number): NodeId => index as NodeId;

/** Constant contents, row-major, little endian, elements packed as `dtypes` says. `read` may fetch from a file each time: call it once, drop it soon. */
export interface ConstData {
  readonly byteLength: number;
  readonly read: () => Uint8Array;
}

export interface GraphTensor {
  readonly id: TensorId;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Present exactly on constants. */
  readonly data?: ConstData;
}

export type { Attrs, AttrValue } from "./attr.ts";

/** The source node something came from; fused and legalised nodes list all of theirs. */
export interface NodeOrigin {
  readonly name: string;
  readonly opType: string;
  /** Position in the source graph's node list. */
  readonly index: number;
}

export interface GraphNode {
  readonly id: NodeId;
  readonly op: OpName;
  /** null stands for an omitted optional input or output. */
  readonly inputs: readonly (TensorId | null)[];
  readonly outputs: readonly (TensorId | null)[];
  readonly attrs: Attrs;
  readonly origins: readonly NodeOrigin[];
}

export interface GraphOutput {
  readonly name: string;
  /** May be an input, a constant, or the same tensor as another output. */
  readonly tensor: TensorId;
  /** Element type the model declares for this output (the core graph may compute in another). */
  readonly dtype: DType;
}

export interface GraphInput {
  readonly name: string;
  readonly tensor: TensorId;
  /** Element type the model declares; the host converts when binding (int64 -> int32, bool -> int32, float16 -> float32). */
  readonly dtype: DType;
}

/**
 * `form: "onnx"`: nodes are ONNX operators in canonical (newest-opset) form. `form: "core"`: nodes are core ops only,
 * tensors are float32 or int32 (bool is int32 0/1), or int8/uint8 operands of an integer matmul.
 */
export interface Graph {
  readonly name: string;
  readonly form: "onnx" | "core";
  readonly tensors: readonly GraphTensor[];
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphOutput[];
}

export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}
