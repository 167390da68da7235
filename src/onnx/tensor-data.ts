// Contents of tensors: checks that a TensorProto fits its type and shape, and reads its bytes when asked, from the model file or an
// external one. Bytes come out row-major, little endian, packed as ir/dtype.ts says. Knows no operator.
import protobuf from "protobufjs";
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";
import { type ConstData, elementCount } from "../../ir/graph/graph.ts";
import type { ByteSource } from "../io.ts";
import { codes } from "./import-codes.ts";
import type { DataPiece, SparseTensorProto, TensorProto, TypedField } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";

/** Where contents come from: the model file, and other files by the path that the model names. */
export interface TensorFiles {
  readonly model: ByteSource;
  readonly external: (location: string) => ExternalFile;
  /** Leaves external contents unread (and unchecked): they read as zeros. */
  readonly shapesOnly: boolean;
}

export type ExternalFile = { readonly source: ByteSource } | { readonly refused: string; readonly outside: boolean };

export interface LoadedTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ConstData;
}

/** What is wrong with a tensor, as a code and a text. */
export interface TensorProblem {
  readonly code: (typeof codes)[keyof typeof codes];
  readonly message: string;
}

export const isTensorProblem = (x: object): x is TensorProblem => "message" in x;

const wrong = (message: string): TensorProblem => ({ code: codes.badTensor, message });

/** Values a typed field may carry, by the width it is stored in. */
const fieldOfDtype: Readonly<Record<TypedField, readonly DType[]>> = {
  floatData: ["float32"],
  doubleData: ["float64"],
  int64Data: ["int64"],
  uint64Data: ["uint32", "uint64"],
  int32Data: [
    "int32",
    "int16",
    "int8",
    "int4",
    "int2",
    "uint16",
    "uint8",
    "uint4",
    "uint2",
    "bool",
    "float16",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "float8e8m0",
    "float4e2m1",
  ],
};

function checkShape(dims: readonly number[]): TensorProblem | undefined {
  for (const size of dims) {
    if (!Number.isSafeInteger(size) || size < 0) return wrong(`dimension ${size} of [${dims.join("x")}] is not a size`);
  }
  return Number.isSafeInteger(elementCount(dims) * 8)
    ? undefined
    : wrong(`shape [${dims.join("x")}] is absurdly large`);
}

/** The type of a tensor, its shape checked. */
function typeOf(tensor: TensorProto): DType | TensorProblem {
  const dtype = dtypeOfElementType(tensor.dataType);
  if (dtype === undefined) {
    return { code: codes.elementType, message: `element type ${elementTypeName(tensor.dataType)} is not supported` };
  }
  return checkShape(tensor.dims) ?? dtype;
}

const spanLength = (span: { readonly start: number; readonly end: number }): number => span.end - span.start;

function readExternal(
  tensor: TensorProto,
  entries: ReadonlyMap<string, string>,
  byteLength: number,
  files: TensorFiles,
): ConstData | TensorProblem {
  const location = entries.get("location") ?? "";
  const offset = Number(entries.get("offset") ?? "0");
  const length = Number(entries.get("length") ?? byteLength);
  if (location === "") return wrong(`external tensor '${tensor.name}' names no file`);
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
    return wrong(
      `external tensor '${tensor.name}' has offset ${entries.get("offset")}, length ${entries.get("length")}`,
    );
  }
  if (length !== byteLength) return wrong(`${length} external bytes where the type and shape need ${byteLength}`);
  if (files.shapesOnly) return { byteLength, read: () => new Uint8Array(byteLength) };
  const file = files.external(location);
  if ("refused" in file) {
    const code = file.outside ? codes.externalOutside : codes.externalMissing;
    return { code, message: `external data '${location}': ${file.refused}` };
  }
  if (offset + length > file.source.byteLength) {
    const message = `external data '${location}' has ${file.source.byteLength} bytes, tensor '${tensor.name}' ends at ${offset + length}`;
    return { code: codes.externalMissing, message };
  }
  return { byteLength, read: () => file.source.read(offset, length) };
}

/** Copies numbers of a typed field into a byte image of `bytesEach` little-endian bytes a number. */
function decodePieces(source: ByteSource, pieces: readonly DataPiece[], field: TypedField, image: DataView): number {
  const width = image.byteLength;
  let at = 0;
  for (const piece of pieces) {
    const reader = new protobuf.Reader(source.read(piece.start, spanLength(piece)));
    while (reader.pos < reader.len) {
      if (!piece.packed) reader.uint32();
      if (field === "floatData") image.setFloat32(at, reader.float(), true);
      else if (field === "doubleData") image.setFloat64(at, reader.double(), true);
      else if (field === "int32Data") image.setInt32(at, reader.int32(), true);
      else {
        const value = reader.int64() as number | protobuf.Long;
        const wide = typeof value === "number" ? BigInt(value) : (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
        image.setBigInt64(at, BigInt.asIntN(64, wide), true);
      }
      at += field === "floatData" || field === "int32Data" ? 4 : 8;
      if (at >= width) return at;
    }
  }
  return at;
}

/** How many numbers the pieces hold at most; exact where every piece has fixed-size values. */
function countPieces(source: ByteSource, pieces: readonly DataPiece[], field: TypedField): number {
  let count = 0;
  const fixed = field === "floatData" ? 4 : field === "doubleData" ? 8 : 0;
  for (const piece of pieces) {
    if (fixed > 0) {
      count += Math.floor(spanLength(piece) / (fixed + (piece.packed ? 0 : 1)));
      continue;
    }
    let endings = 0;
    const bytes = source.read(piece.start, spanLength(piece));
    for (const byte of bytes) if (byte < 128) endings += 1;
    count += piece.packed ? endings : Math.floor(endings / 2);
  }
  return count;
}

/** Narrows the numbers of a typed field to the bytes of the tensor's own type. */
function narrow(wide: Uint8Array, wideBytes: number, dtype: DType): Uint8Array {
  const bytesEach = Math.max(1, dtypes[dtype].bits / 8);
  if (bytesEach === wideBytes) return wide;
  const count = wide.length / wideBytes;
  const bytes = new Uint8Array(count * bytesEach);
  for (let index = 0; index < count; index += 1) {
    for (let byte = 0; byte < bytesEach; byte += 1)
      bytes[index * bytesEach + byte] = wide[index * wideBytes + byte] ?? 0;
  }
  return bytes;
}

function readTyped(
  tensor: TensorProto,
  storage: { readonly field: TypedField; readonly pieces: readonly DataPiece[] },
  dtype: DType,
  files: TensorFiles,
): ConstData | TensorProblem {
  const { field, pieces } = storage;
  if (!fieldOfDtype[field].includes(dtype)) return wrong(`contents of type ${dtype} stand in ${field}`);
  const byteLength = byteLengthOf(dtype, elementCount(tensor.dims));
  const bits = dtypes[dtype].bits;
  const numbers = bits < 8 ? byteLength : elementCount(tensor.dims);
  const found = countPieces(files.model, pieces, field);
  if (found !== numbers) return wrong(`${found} numbers where the shape [${tensor.dims.join("x")}] needs ${numbers}`);
  const wideBytes = field === "floatData" || field === "int32Data" ? 4 : 8;
  const read = (): Uint8Array => {
    const wide = new Uint8Array(numbers * wideBytes);
    if (numbers > 0) decodePieces(files.model, pieces, field, new DataView(wide.buffer));
    return narrow(wide, wideBytes, dtype);
  };
  return { byteLength, read };
}

/** The contents of a tensor, checked against its type and shape but not read yet. */
export function loadTensor(tensor: TensorProto, files: TensorFiles): LoadedTensor | TensorProblem {
  const dtype = typeOf(tensor);
  if (typeof dtype !== "string") return dtype;
  const count = elementCount(tensor.dims);
  const byteLength = byteLengthOf(dtype, count);
  const { storage } = tensor;
  const described = { dtype, shape: tensor.dims };
  switch (storage.kind) {
    case "none":
      if (byteLength > 0) return wrong(`no contents where type and shape need ${byteLength} bytes`);
      return { ...described, data: { byteLength, read: () => new Uint8Array(0) } };
    case "strings":
      return { code: codes.elementType, message: "texts are not supported" };
    case "raw": {
      const found = spanLength(storage.span);
      if (found !== byteLength) return wrong(`${found} bytes where type and shape need ${byteLength}`);
      return { ...described, data: { byteLength, read: () => files.model.read(storage.span.start, byteLength) } };
    }
    case "typed": {
      const data = readTyped(tensor, storage, dtype, files);
      return isTensorProblem(data) ? data : { ...described, data };
    }
    case "external": {
      const data = readExternal(tensor, storage.entries, byteLength, files);
      return isTensorProblem(data) ? data : { ...described, data };
    }
  }
}

/** Offset in elements of each stored value of a sparse tensor, or what is wrong with its indices. */
function sparsePositions(sparse: SparseTensorProto, indices: LoadedTensor): number[] | TensorProblem {
  const bytes = indices.data.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rank = sparse.dims.length;
  const linear = indices.shape.length === 1;
  const rows = indices.shape[0] ?? 0;
  if (indices.dtype !== "int64" || (!linear && indices.shape[1] !== rank))
    return wrong("sparse indices have a wrong type or shape");
  const total = elementCount(sparse.dims);
  const positions: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    let position = linear ? Number(view.getBigInt64(row * 8, true)) : 0;
    for (let dim = 0; dim < rank && !linear; dim += 1) {
      const index = Number(view.getBigInt64((row * rank + dim) * 8, true));
      if (index < 0 || index >= (sparse.dims[dim] ?? 0))
        return wrong(`sparse index ${index} is outside dimension ${dim}`);
      position = position * (sparse.dims[dim] ?? 0) + index;
    }
    if (position < 0 || position >= total) return wrong(`sparse index ${position} is outside ${total} elements`);
    positions.push(position);
  }
  return positions;
}

/** A sparse tensor as a dense one. */
export function loadSparseTensor(sparse: SparseTensorProto, files: TensorFiles): LoadedTensor | TensorProblem {
  const values = loadTensor(sparse.values, files);
  if (isTensorProblem(values)) return values;
  const indices = loadTensor(sparse.indices, files);
  if (isTensorProblem(indices)) return indices;
  const bad = checkShape(sparse.dims);
  if (bad !== undefined) return bad;
  const { bits } = dtypes[values.dtype];
  if (bits < 8) return wrong(`sparse tensors of ${values.dtype} are not supported`);
  const positions = sparsePositions(sparse, indices);
  if (!Array.isArray(positions)) return positions;
  if (positions.length !== elementCount(values.shape))
    return wrong(`${positions.length} indices for ${elementCount(values.shape)} values`);
  const bytesEach = bits / 8;
  const byteLength = byteLengthOf(values.dtype, elementCount(sparse.dims));
  const read = (): Uint8Array => {
    const image = new Uint8Array(byteLength);
    const stored = values.data.read();
    for (const [index, position] of positions.entries()) {
      image.set(stored.subarray(index * bytesEach, (index + 1) * bytesEach), position * bytesEach);
    }
    return image;
  };
  return { dtype: values.dtype, shape: sparse.dims, data: { byteLength, read } };
}
