// Field numbers of the public onnx.proto (IR version 13) that lpuc reads, and the numbers of its element and attribute types: facts as
// tables. Knows nothing of bytes or of what the fields mean to a compiler.
import type { DType } from "../../ir/dtype.ts";

/**
 * How a field is encoded. `skip` fields are known and carry nothing that changes results; `hint` fields carry wishes or other uses of the model
 * that lpuc does not follow, and says so.
 */
export type FieldKind =
  | "int"
  | "float"
  | "string"
  | "message"
  | "bytes"
  | "ints"
  | "floats"
  | "doubles"
  | "skip"
  | "hint";

export interface FieldRow {
  readonly name: string;
  readonly kind: FieldKind;
}

type MessageRow = Readonly<Record<number, FieldRow>>;
const row = (name: string, kind: FieldKind): FieldRow => ({ name, kind });

export const messages = {
  Model: {
    1: row("irVersion", "int"),
    2: row("producerName", "string"),
    3: row("producerVersion", "string"),
    4: row("domain", "string"),
    5: row("modelVersion", "skip"),
    6: row("docString", "skip"),
    7: row("graph", "message"),
    8: row("opsetImport", "message"),
    14: row("metadataProps", "skip"),
    20: row("trainingInfo", "hint"),
    25: row("functions", "message"),
    26: row("configuration", "hint"),
  },
  OperatorSetId: { 1: row("domain", "string"), 2: row("version", "int") },
  StringStringEntry: { 1: row("key", "string"), 2: row("value", "string") },
  Graph: {
    1: row("node", "message"),
    2: row("name", "string"),
    5: row("initializer", "message"),
    10: row("docString", "skip"),
    11: row("input", "message"),
    12: row("output", "message"),
    13: row("valueInfo", "message"),
    14: row("quantizationAnnotation", "hint"),
    15: row("sparseInitializer", "message"),
    16: row("metadataProps", "skip"),
  },
  Function: {
    1: row("name", "string"),
    2: row("sinceVersion", "skip"),
    3: row("status", "skip"),
    4: row("input", "string"),
    5: row("output", "string"),
    6: row("attribute", "string"),
    7: row("node", "message"),
    8: row("docString", "skip"),
    9: row("opsetImport", "message"),
    10: row("domain", "string"),
    11: row("attributeProto", "message"),
    12: row("valueInfo", "skip"),
    13: row("overload", "string"),
    14: row("metadataProps", "skip"),
  },
  Node: {
    1: row("input", "string"),
    2: row("output", "string"),
    3: row("name", "string"),
    4: row("opType", "string"),
    5: row("attribute", "message"),
    6: row("docString", "skip"),
    7: row("domain", "string"),
    8: row("overload", "string"),
    9: row("metadataProps", "message"),
    10: row("deviceConfigurations", "hint"),
  },
  Attribute: {
    1: row("name", "string"),
    2: row("f", "float"),
    3: row("i", "int"),
    4: row("s", "bytes"),
    5: row("t", "message"),
    6: row("g", "message"),
    7: row("floats", "floats"),
    8: row("ints", "ints"),
    9: row("strings", "bytes"),
    10: row("tensors", "message"),
    11: row("graphs", "message"),
    13: row("docString", "skip"),
    14: row("tp", "message"),
    15: row("typeProtos", "message"),
    20: row("type", "int"),
    21: row("refAttrName", "string"),
    22: row("sparseTensor", "message"),
    23: row("sparseTensors", "message"),
  },
  Tensor: {
    1: row("dims", "ints"),
    2: row("dataType", "int"),
    3: row("segment", "hint"),
    4: row("floatData", "floats"),
    5: row("int32Data", "ints"),
    6: row("stringData", "bytes"),
    7: row("int64Data", "ints"),
    8: row("name", "string"),
    9: row("rawData", "bytes"),
    10: row("doubleData", "doubles"),
    11: row("uint64Data", "ints"),
    12: row("docString", "skip"),
    13: row("externalData", "message"),
    14: row("dataLocation", "int"),
    16: row("metadataProps", "skip"),
  },
  SparseTensor: { 1: row("values", "message"), 2: row("indices", "message"), 3: row("dims", "ints") },
  ValueInfo: {
    1: row("name", "string"),
    2: row("type", "message"),
    3: row("docString", "skip"),
    4: row("metadataProps", "skip"),
  },
  Type: {
    1: row("tensorType", "message"),
    4: row("sequenceType", "message"),
    5: row("mapType", "message"),
    6: row("denotation", "skip"),
    7: row("opaqueType", "message"),
    8: row("sparseTensorType", "message"),
    9: row("optionalType", "message"),
  },
  TensorType: { 1: row("elemType", "int"), 2: row("shape", "message") },
  Shape: { 1: row("dim", "message") },
  Dimension: { 1: row("dimValue", "int"), 2: row("dimParam", "string"), 3: row("denotation", "skip") },
} as const satisfies Record<string, MessageRow>;

export type MessageName = keyof typeof messages;

/** TensorProto.DataType numbers. Those mapped to a string have no place in a graph of tensors of numbers. */
const elementTypes: Readonly<Record<number, DType>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
  16: "bfloat16",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
};
const otherElementTypes: Readonly<Record<number, string>> = {
  0: "undefined",
  8: "string",
  14: "complex64",
  15: "complex128",
};

export function dtypeOfElementType(code: number): DType | undefined {
  return elementTypes[code];
}

export function elementTypeName(code: number): string {
  return elementTypes[code] ?? otherElementTypes[code] ?? `element type ${code}`;
}

const codesByDtype: ReadonlyMap<string, number> = new Map(
  Object.entries(elementTypes).map(([code, dtype]) => [dtype, Number(code)]),
);

/** The number of an element type in TensorProto.DataType. */
export function elementTypeOfDtype(dtype: DType): number {
  return codesByDtype.get(dtype) ?? 0;
}

/** AttributeProto.AttributeType numbers and the field that holds such a value. */
export const attributeTypes = {
  1: "f",
  2: "i",
  3: "s",
  4: "t",
  5: "g",
  6: "floats",
  7: "ints",
  8: "strings",
  9: "tensors",
  10: "graphs",
  11: "sparseTensor",
  12: "sparseTensors",
  13: "tp",
  14: "typeProtos",
} as const satisfies Record<number, string>;
