// A model file as it was read: messages of onnx.proto as plain data, tensors as places in the file. Holds no tensor contents and decides nothing.

/** A half-open range of file offsets. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A piece of a repeated number field: packed values, or a run of tagged ones. */
export interface DataPiece extends Span {
  readonly packed: boolean;
}

export type TypedField = "floatData" | "int32Data" | "int64Data" | "doubleData" | "uint64Data";

export type TensorStorage =
  | { readonly kind: "none" }
  | { readonly kind: "raw"; readonly span: Span }
  | { readonly kind: "typed"; readonly field: TypedField; readonly pieces: readonly DataPiece[] }
  | { readonly kind: "strings" }
  | { readonly kind: "external"; readonly entries: ReadonlyMap<string, string> };

export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly storage: TensorStorage;
}

export interface SparseTensorProto {
  readonly values: TensorProto;
  readonly indices: TensorProto;
  readonly dims: readonly number[];
}

export type AttributeValue =
  | { readonly kind: "f" | "i"; readonly value: number }
  | { readonly kind: "s"; readonly value: string }
  | { readonly kind: "t"; readonly value: TensorProto }
  | { readonly kind: "sparseTensor"; readonly value: SparseTensorProto }
  | { readonly kind: "g"; readonly value: GraphProto }
  | { readonly kind: "floats" | "ints"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  /** Refers to an attribute of the enclosing function. */
  | { readonly kind: "ref"; readonly value: string }
  /** Present and understood by no operator here: lists of tensors or graphs, types. */
  | { readonly kind: "other"; readonly value: string };

export interface AttributeProto {
  readonly name: string;
  readonly value: AttributeValue;
}

export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly AttributeProto[];
  /** What the exporter wrote about the node: module path, source line. */
  readonly metadata: ReadonlyMap<string, string>;
}

export type Dimension =
  | { readonly kind: "value"; readonly size: number }
  | { readonly kind: "symbol"; readonly symbol: string }
  | { readonly kind: "unknown" };

export type ValueType =
  | { readonly kind: "tensor"; readonly elemType: number; readonly dims: readonly Dimension[] | undefined }
  | { readonly kind: "other"; readonly what: string }
  | { readonly kind: "missing" };

export interface ValueInfo {
  readonly name: string;
  readonly type: ValueType;
}

export interface GraphProto {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly sparseInitializers: readonly SparseTensorProto[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Types declared for other tensors. */
  readonly declared: readonly ValueInfo[];
}

export interface FunctionProto {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly attributeDefaults: readonly AttributeProto[];
  readonly nodes: readonly NodeProto[];
  readonly opsets: ReadonlyMap<string, number>;
}

export interface ModelProto {
  readonly irVersion: number;
  readonly producer: string;
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: GraphProto;
  readonly functions: readonly FunctionProto[];
}
