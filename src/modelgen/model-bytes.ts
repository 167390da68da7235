// A finished draft as ONNX ModelProto bytes. Weights are written straight into the one buffer that is returned, so the
// peak memory is the model's own size; or they go to external data, given as a stream of chunks that may never be
// asked for. Knows the field numbers of onnx.proto that it writes by hand, nothing of transformers or of files.

import type { onnx as Onnx } from "onnx-proto";
import onnxProto from "onnx-proto";
import { DATA_TYPE, type GraphDraft, type ValueSpec } from "./graph-draft.ts";
import { type TensorSpec, tensorByteLength, writeTensorBytes } from "./tensor-spec.ts";

const { onnx } = onnxProto;

/** Fields of onnx.proto written by hand; all of them length-delimited. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALISER = 5;
const TENSOR_RAW_DATA = 9;
/** Protobuf messages end at 2 GiB; a model beyond that has to keep its weights in external data. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;
const EXTERNAL_ALIGNMENT = 4096;
/** Initialisers below this stay in the model whatever is asked for: shapes and scalars must be readable. */
const EXTERNAL_THRESHOLD_BYTES = 1024;

export type ModelMetadata = { readonly name: string; readonly opset: number; readonly irVersion: number };

/** A model whose large weights are in another file. `chunks()` gives that file's bytes in order. */
export type ExternalModel = {
  readonly model: Uint8Array;
  readonly location: string;
  readonly dataBytes: number;
  readonly chunks: () => Iterable<Uint8Array>;
};

/** One initialiser: its encoded TensorProto but for the raw data, which `tensor` still has to give (or nothing). */
type Piece = { readonly header: Uint8Array; readonly raw: TensorSpec | undefined };
type Writer = { readonly bytes: Uint8Array; position: number };

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1;
  return length;
}

function putVarint(writer: Writer, value: number): void {
  let rest = value;
  while (rest >= 128) {
    writer.bytes[writer.position] = (rest % 128) | 128;
    writer.position += 1;
    rest = Math.floor(rest / 128);
  }
  writer.bytes[writer.position] = rest;
  writer.position += 1;
}

function putField(writer: Writer, field: number, length: number): void {
  putVarint(writer, field * 8 + 2);
  putVarint(writer, length);
}

function putBytes(writer: Writer, bytes: Uint8Array): void {
  writer.bytes.set(bytes, writer.position);
  writer.position += bytes.length;
}

function fieldLength(field: number, length: number): number {
  return varintLength(field * 8 + 2) + varintLength(length) + length;
}

function pieceLength(piece: Piece): number {
  const raw = piece.raw === undefined ? 0 : fieldLength(TENSOR_RAW_DATA, tensorByteLength(piece.raw));
  return piece.header.length + raw;
}

function valueInfo(value: ValueSpec): Onnx.IValueInfoProto {
  const dim = value.dims.map((size) => ({ dimValue: size }));
  return { name: value.name, type: { tensorType: { elemType: DATA_TYPE[value.type], shape: { dim } } } };
}

function assemble(draft: GraphDraft, metadata: ModelMetadata, pieces: readonly Piece[]): Uint8Array {
  const graphHead = onnx.GraphProto.encode({
    node: draft.nodes,
    name: metadata.name,
    input: draft.inputs.map(valueInfo),
    output: draft.outputs.map(valueInfo),
  }).finish();
  const modelHead = onnx.ModelProto.encode({
    irVersion: metadata.irVersion,
    producerName: "lpuc-modelgen",
    opsetImport: [{ domain: "", version: metadata.opset }],
  }).finish();
  const graphLength = pieces.reduce(
    (sum, piece) => sum + fieldLength(GRAPH_INITIALISER, pieceLength(piece)),
    graphHead.length,
  );
  const total = modelHead.length + fieldLength(MODEL_GRAPH, graphLength);
  if (total > MAX_MODEL_BYTES) {
    throw new RangeError(`${metadata.name}: ${total} bytes do not fit one protobuf message; use external data`);
  }
  const writer: Writer = { bytes: new Uint8Array(total), position: 0 };
  putBytes(writer, modelHead);
  putField(writer, MODEL_GRAPH, graphLength);
  putBytes(writer, graphHead);
  for (const piece of pieces) {
    putField(writer, GRAPH_INITIALISER, pieceLength(piece));
    putBytes(writer, piece.header);
    if (piece.raw === undefined) continue;
    const length = tensorByteLength(piece.raw);
    putField(writer, TENSOR_RAW_DATA, length);
    writeTensorBytes(piece.raw, writer.bytes.subarray(writer.position, writer.position + length));
    writer.position += length;
  }
  return writer.bytes;
}

function tensorHead(tensor: TensorSpec): Onnx.ITensorProto {
  return { dims: [...tensor.dims], dataType: DATA_TYPE[tensor.type], name: tensor.name };
}

function inlinePiece(tensor: TensorSpec): Piece {
  return { header: onnx.TensorProto.encode(tensorHead(tensor)).finish(), raw: tensor };
}

/** The model with every weight inside. */
export function encodeModel(draft: GraphDraft, metadata: ModelMetadata): Uint8Array {
  return assemble(draft, metadata, draft.tensors.map(inlinePiece));
}

type Placed = { readonly tensor: TensorSpec; readonly offset: number; readonly length: number };

function placeExternally(tensors: readonly TensorSpec[]): readonly Placed[] {
  let offset = 0;
  return tensors.map((tensor) => {
    const placed = { tensor, offset, length: tensorByteLength(tensor) };
    offset = Math.ceil((offset + placed.length) / EXTERNAL_ALIGNMENT) * EXTERNAL_ALIGNMENT;
    return placed;
  });
}

function externalPiece(placed: Placed, location: string): Piece {
  const externalData = [
    { key: "location", value: location },
    { key: "offset", value: String(placed.offset) },
    { key: "length", value: String(placed.length) },
  ];
  const dataLocation = onnx.TensorProto.DataLocation.EXTERNAL;
  const header = onnx.TensorProto.encode({ ...tensorHead(placed.tensor), externalData, dataLocation }).finish();
  return { header, raw: undefined };
}

function* externalChunks(placed: readonly Placed[]): Iterable<Uint8Array> {
  let position = 0;
  for (const { tensor, offset, length } of placed) {
    if (offset > position) yield new Uint8Array(offset - position);
    const bytes = new Uint8Array(length);
    writeTensorBytes(tensor, bytes);
    yield bytes;
    position = offset + length;
  }
}

/** The model with its large weights in a file `location` beside it, which only has to exist when weights are wanted. */
export function encodeExternalModel(draft: GraphDraft, metadata: ModelMetadata, location: string): ExternalModel {
  const isLarge = (tensor: TensorSpec) => tensorByteLength(tensor) >= EXTERNAL_THRESHOLD_BYTES;
  const placed = placeExternally(draft.tensors.filter(isLarge));
  const inline = draft.tensors.filter((tensor) => !isLarge(tensor)).map(inlinePiece);
  const last = placed.at(-1);
  return {
    model: assemble(draft, metadata, [...inline, ...placed.map((entry) => externalPiece(entry, location))]),
    location,
    dataBytes: last === undefined ? 0 : last.offset + last.length,
    chunks: () => externalChunks(placed),
  };
}
