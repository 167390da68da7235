// ModelProto and its parts, read by range into plain data. Says what is wrong with the bytes; does not judge the graph.
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { ByteSource } from "../io.ts";
import { type Cursor, type Field, fields, openCursor, problem, readFloats, readInts, readString } from "./cursor.ts";
import { codes } from "./import-codes.ts";
import type {
  AttributeProto,
  AttributeValue,
  Dimension,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  Span,
  TensorProto,
  ValueInfo,
  ValueType,
} from "./model.ts";
import { readSparseTensor, readStringEntry, readTensor } from "./reader-tensor.ts";
import { attributeTypes } from "./schema.ts";

export interface ReadModel {
  readonly model: ModelProto;
  /** Unknown fields and the like: nothing that ends the reading. */
  readonly warnings: readonly Diagnostic[];
}

function readDimension(cursor: Cursor, span: Span): Dimension {
  let dimension: Dimension = { kind: "unknown" };
  for (const field of fields(cursor, "Dimension", span)) {
    if (field.name === "dimValue") dimension = { kind: "value", size: field.value };
    else {
      const symbol = readString(cursor, field);
      dimension = symbol === "" ? { kind: "unknown" } : { kind: "symbol", symbol };
    }
  }
  return dimension;
}

function readTensorType(cursor: Cursor, span: Span): ValueType {
  let elemType = 0;
  let dims: Dimension[] | undefined;
  for (const field of fields(cursor, "TensorType", span)) {
    if (field.name === "elemType") elemType = field.value;
    else {
      dims ??= [];
      for (const dim of fields(cursor, "Shape", field)) dims.push(readDimension(cursor, dim));
    }
  }
  return { kind: "tensor", elemType, dims };
}

function readType(cursor: Cursor, span: Span): ValueType {
  let type: ValueType = { kind: "missing" };
  for (const field of fields(cursor, "Type", span)) {
    if (field.name === "tensorType") type = readTensorType(cursor, field);
    else type = { kind: "other", what: field.name.replace(/Type$/, "") };
  }
  return type;
}

function readValueInfo(cursor: Cursor, span: Span): ValueInfo {
  let name = "";
  let type: ValueType = { kind: "missing" };
  for (const field of fields(cursor, "ValueInfo", span)) {
    if (field.name === "name") name = readString(cursor, field);
    else type = readType(cursor, field);
  }
  return { name, type };
}

type DraftAttribute = {
  name: string;
  type: number;
  ref: string;
  readonly values: Map<string, AttributeValue>;
  readonly ints: number[];
  readonly floats: number[];
  readonly strings: string[];
};

function takeAttributeField(cursor: Cursor, field: Field, draft: DraftAttribute): void {
  const { values } = draft;
  switch (field.name) {
    case "name":
      draft.name = readString(cursor, field);
      return;
    case "type":
      draft.type = field.value;
      return;
    case "refAttrName":
      draft.ref = readString(cursor, field);
      return;
    case "f":
    case "i":
      values.set(field.name, { kind: field.name, value: field.value });
      return;
    case "s":
      values.set("s", { kind: "s", value: readString(cursor, field) });
      return;
    case "t":
      values.set("t", { kind: "t", value: readTensor(cursor, field) });
      return;
    case "sparseTensor":
      values.set("sparseTensor", { kind: "sparseTensor", value: readSparseTensor(cursor, field) });
      return;
    case "g":
      values.set("g", { kind: "g", value: readGraph(cursor, field) });
      return;
    case "floats":
      readFloats(cursor, field, draft.floats);
      values.set("floats", { kind: "floats", value: draft.floats });
      return;
    case "ints":
      readInts(cursor, field, draft.ints);
      values.set("ints", { kind: "ints", value: draft.ints });
      return;
    case "strings":
      draft.strings.push(readString(cursor, field));
      values.set("strings", { kind: "strings", value: draft.strings });
      return;
    default:
      values.set(field.name, { kind: "other", value: field.name });
  }
}

/** What an attribute of this type holds when its field was left out, as proto3 writers do with zeros. */
function emptyValue(type: string | undefined): AttributeValue | undefined {
  switch (type) {
    case "f":
    case "i":
      return { kind: type, value: 0 };
    case "s":
      return { kind: "s", value: "" };
    case "floats":
    case "ints":
      return { kind: type, value: [] };
    case "strings":
      return { kind: "strings", value: [] };
    default:
      return undefined;
  }
}

function readAttribute(cursor: Cursor, span: Span): AttributeProto {
  const draft: DraftAttribute = { name: "", type: 0, ref: "", values: new Map(), ints: [], floats: [], strings: [] };
  for (const field of fields(cursor, "Attribute", span)) takeAttributeField(cursor, field, draft);
  if (draft.name === "") problem(cursor, codes.attribute, span.start, "an attribute has no name");
  if (draft.ref !== "") return { name: draft.name, value: { kind: "ref", value: draft.ref } };
  const byNumber: Readonly<Record<number, string>> = attributeTypes;
  const type = byNumber[draft.type];
  const first = draft.values.values().next().value;
  const value = type === undefined ? first : (draft.values.get(type) ?? emptyValue(type));
  if (value === undefined) {
    problem(cursor, codes.attribute, span.start, `attribute '${draft.name}' has no value of its type`);
    return { name: draft.name, value: { kind: "other", value: "nothing" } };
  }
  return { name: draft.name, value };
}

/** Shared by the many nodes that have none. */
const noMetadata: Map<string, string> = new Map();

function readNode(cursor: Cursor, span: Span): NodeProto {
  const texts = { name: "", opType: "", domain: "", overload: "" };
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: AttributeProto[] = [];
  let metadata = noMetadata;
  for (const field of fields(cursor, "Node", span)) {
    switch (field.name) {
      case "input":
        inputs.push(readString(cursor, field));
        break;
      case "output":
        outputs.push(readString(cursor, field));
        break;
      case "attribute":
        attributes.push(readAttribute(cursor, field));
        break;
      case "metadataProps":
        if (metadata === noMetadata) metadata = new Map();
        readStringEntry(cursor, field, metadata);
        break;
      case "name":
      case "opType":
      case "domain":
      case "overload":
        texts[field.name] = readString(cursor, field);
    }
  }
  return { ...texts, inputs, outputs, attributes, metadata };
}

function readGraph(cursor: Cursor, span: Span): GraphProto {
  let name = "";
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const sparseInitializers: GraphProto["sparseInitializers"][number][] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const declared: ValueInfo[] = [];
  for (const field of fields(cursor, "Graph", span)) {
    switch (field.name) {
      case "name":
        name = readString(cursor, field);
        break;
      case "node":
        nodes.push(readNode(cursor, field));
        break;
      case "initializer":
        initializers.push(readTensor(cursor, field));
        break;
      case "sparseInitializer":
        sparseInitializers.push(readSparseTensor(cursor, field));
        break;
      case "input":
        inputs.push(readValueInfo(cursor, field));
        break;
      case "output":
        outputs.push(readValueInfo(cursor, field));
        break;
      case "valueInfo":
        declared.push(readValueInfo(cursor, field));
    }
  }
  return { name, nodes, initializers, sparseInitializers, inputs, outputs, declared };
}

/** The default domain has two spellings. */
export const normalDomain = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

function readOpset(cursor: Cursor, span: Span, into: Map<string, number>): void {
  let domain = "";
  let version = 0;
  for (const field of fields(cursor, "OperatorSetId", span)) {
    if (field.name === "domain") domain = normalDomain(readString(cursor, field));
    else version = field.value;
  }
  const known = into.get(domain);
  if (known !== undefined && known !== version) {
    const label = domain === "" ? "the default domain" : `domain '${domain}'`;
    const message = `${label} is imported as version ${known} and as version ${version}; the last is taken`;
    const location = { kind: "file", path: cursor.path, offset: span.start } as const;
    cursor.warnings.set(`opset ${domain}`, { code: codes.badOpset, message, location });
  }
  into.set(domain, version);
}

function readFunction(cursor: Cursor, span: Span): FunctionProto {
  const texts = { name: "", domain: "", overload: "" };
  const lists: Record<"input" | "output" | "attribute", string[]> = { input: [], output: [], attribute: [] };
  const attributeDefaults: AttributeProto[] = [];
  const nodes: NodeProto[] = [];
  const opsets = new Map<string, number>();
  for (const field of fields(cursor, "Function", span)) {
    switch (field.name) {
      case "name":
      case "domain":
      case "overload":
        texts[field.name] = readString(cursor, field);
        break;
      case "input":
      case "output":
      case "attribute":
        lists[field.name].push(readString(cursor, field));
        break;
      case "node":
        nodes.push(readNode(cursor, field));
        break;
      case "attributeProto":
        attributeDefaults.push(readAttribute(cursor, field));
        break;
      case "opsetImport":
        readOpset(cursor, field, opsets);
    }
  }
  const { input: inputs, output: outputs, attribute: attributes } = lists;
  return { ...texts, inputs, outputs, attributes, attributeDefaults, nodes, opsets };
}

/** Reads a model file. `path` is only for messages. */
export function readModel(source: ByteSource, path: string): Result<ReadModel> {
  const cursor = openCursor(source, path);
  let irVersion = 0;
  const producer = ["", ""];
  const opsets = new Map<string, number>();
  let graph: GraphProto | undefined;
  const functions: FunctionProto[] = [];
  for (const field of fields(cursor, "Model", { start: 0, end: source.byteLength })) {
    switch (field.name) {
      case "irVersion":
        irVersion = field.value;
        break;
      case "producerName":
        producer[0] = readString(cursor, field);
        break;
      case "producerVersion":
        producer[1] = readString(cursor, field);
        break;
      case "graph":
        graph = readGraph(cursor, field);
        break;
      case "opsetImport":
        readOpset(cursor, field, opsets);
        break;
      case "functions":
        functions.push(readFunction(cursor, field));
    }
  }
  if (graph === undefined && cursor.problems.length === 0) {
    problem(cursor, codes.noGraph, 0, source.byteLength === 0 ? "the file is empty" : "the model has no graph");
  }
  if (graph === undefined || cursor.problems.length > 0) return { ok: false, diagnostics: cursor.problems };
  const model = { irVersion, producer: producer.join(" ").trim(), opsets, graph, functions };
  return ok({ model, warnings: [...cursor.warnings.values()] });
}

/** Reads a bare TensorProto file. */
export function readTensorFile(source: ByteSource, path: string): Result<TensorProto> {
  const cursor = openCursor(source, path);
  const tensor = readTensor(cursor, { start: 0, end: source.byteLength });
  return cursor.problems.length > 0 ? { ok: false, diagnostics: cursor.problems } : ok(tensor);
}
