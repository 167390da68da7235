// TensorProto and SparseTensorProto: where a tensor's contents stand in the file. Contents are never copied here.

import { addPiece, type Cursor, type Field, fields, problem, readInts, readString } from "./cursor.ts";
import { codes } from "./import-codes.ts";
import type { DataPiece, Span, SparseTensorProto, TensorProto, TensorStorage, TypedField } from "./model.ts";

const MAX_RANK = 64;
const EXTERNAL_LOCATION = 1;

interface DraftTensor {
  name: string;
  readonly dims: number[];
  dataType: number;
  raw: Span | undefined;
  readonly typed: Map<TypedField, DataPiece[]>;
  strings: boolean;
  external: boolean;
  readonly entries: Map<string, string>;
}

export function readStringEntry(cursor: Cursor, span: Span, into: Map<string, string>): void {
  let key = "";
  let value = "";
  for (const field of fields(cursor, "StringStringEntry", span)) {
    if (field.name === "key") key = readString(cursor, field);
    else value = readString(cursor, field);
  }
  into.set(key, value);
}

function takeTensorField(cursor: Cursor, field: Field, draft: DraftTensor): void {
  switch (field.name) {
    case "dims":
      readInts(cursor, field, draft.dims);
      return;
    case "dataType":
      draft.dataType = field.value;
      return;
    case "name":
      draft.name = readString(cursor, field);
      return;
    case "rawData":
      draft.raw = { start: field.start, end: field.end };
      return;
    case "stringData":
      draft.strings = true;
      return;
    case "externalData":
      readStringEntry(cursor, field, draft.entries);
      return;
    case "dataLocation":
      draft.external = field.value === EXTERNAL_LOCATION;
      return;
    case "floatData":
    case "int32Data":
    case "int64Data":
    case "doubleData":
    case "uint64Data": {
      const pieces = draft.typed.get(field.name) ?? [];
      draft.typed.set(field.name, pieces);
      addPiece(pieces, field);
    }
  }
}

function storageOf(draft: DraftTensor): TensorStorage {
  if (draft.external) return { kind: "external", entries: draft.entries };
  if (draft.raw !== undefined) return { kind: "raw", span: draft.raw };
  for (const [field, pieces] of draft.typed) return { kind: "typed", field, pieces };
  return draft.strings ? { kind: "strings" } : { kind: "none" };
}

export function readTensor(cursor: Cursor, span: Span): TensorProto {
  const draft: DraftTensor = {
    name: "",
    dims: [],
    dataType: 0,
    raw: undefined,
    typed: new Map(),
    strings: false,
    external: false,
    entries: new Map(),
  };
  for (const field of fields(cursor, "Tensor", span)) takeTensorField(cursor, field, draft);
  if (draft.dims.length > MAX_RANK) {
    problem(cursor, codes.badTensor, span.start, `tensor '${draft.name}' has ${draft.dims.length} dimensions`);
    draft.dims.length = 0;
  }
  if (draft.typed.size > 1) {
    problem(cursor, codes.badTensor, span.start, `tensor '${draft.name}' has contents of several types`);
  }
  return { name: draft.name, dims: draft.dims, dataType: draft.dataType, storage: storageOf(draft) };
}

export function readSparseTensor(cursor: Cursor, span: Span): SparseTensorProto {
  let values: TensorProto = { name: "", dims: [], dataType: 0, storage: { kind: "none" } };
  let indices = values;
  const dims: number[] = [];
  for (const field of fields(cursor, "SparseTensor", span)) {
    if (field.name === "values") values = readTensor(cursor, field);
    else if (field.name === "indices") indices = readTensor(cursor, field);
    else readInts(cursor, field, dims);
  }
  return { values, indices, dims };
}
