// Contents of tensors: checks that a TensorProto fits its type and shape, and reads its bytes when asked, from the model file or an
// external one. Bytes come out row-major, little endian, packed as ir/dtype.ts says. Knows no operator.
import { byteLengthOf, type DType, dtypes } from "../../ir/dtype.ts";
import { type ConstData, elementCount } from "../../ir/graph/graph.ts";
import type { ByteSource } from "../io.ts";
import { codes } from "./import-codes.ts";
import type { DataPiece, SparseTensorProto, TensorProto, TypedField } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";
import { standIn } from "./stand-in.ts";
import { countNumbers, readNumbers } from "./typed-data.ts";

/** Where contents come from: the model file, and other files by the path that the model names. */
export interface TensorFiles {
  readonly model: ByteSource;
  readonly external: (location: string) => ExternalFile;
  /** Leaves external weights unread (and unchecked): other numbers stand in for them. Short lists of whole numbers are read all the same. */
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

/** Longest list of whole numbers that can determine a shape. */
const SHAPING_BYTES = 4096;
/** Contents of one tensor are held in one piece while they are used. */
const MAX_TENSOR_BYTES = 2 ** 32 - 1;

const wrong = (message: string): TensorProblem => ({ code: codes.badTensor, message });

const tooLarge = (byteLength: number): TensorProblem => ({
  code: codes.tooLarge,
  message: `${byteLength} bytes in one tensor; lpuc reads at most ${MAX_TENSOR_BYTES}`,
});

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

/** The texts of offset and length: digits alone. */
function wholeNumber(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Short lists of whole numbers are axes, sizes and conditions: without them there are no shapes. */
function mayShape(dtype: DType, byteLength: number): boolean {
  return byteLength <= SHAPING_BYTES && (dtype === "int64" || dtype === "int32" || dtype === "bool");
}

function readExternal(
  tensor: TensorProto,
  entries: ReadonlyMap<string, string>,
  byteLength: number,
  files: TensorFiles,
): ConstData | TensorProblem {
  const location = entries.get("location") ?? "";
  const offset = wholeNumber(entries.get("offset") ?? "0");
  const length = wholeNumber(entries.get("length") ?? `${byteLength}`);
  if (location === "") return wrong(`external tensor '${tensor.name}' names no file`);
  if (offset === undefined || length === undefined) {
    return wrong(
      `external tensor '${tensor.name}' has offset ${entries.get("offset")}, length ${entries.get("length")}`,
    );
  }
  if (length !== byteLength) return wrong(`${length} external bytes where the type and shape need ${byteLength}`);
  const dtype = dtypeOfElementType(tensor.dataType);
  if (files.shapesOnly && dtype !== undefined && !mayShape(dtype, byteLength)) {
    return { byteLength, read: () => standIn(tensor.name, dtype, elementCount(tensor.dims)) };
  }
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
  const found = countNumbers(files.model, pieces, field);
  if (found !== numbers) return wrong(`${found} numbers where the shape [${tensor.dims.join("x")}] needs ${numbers}`);
  const bytesEach = Math.max(1, bits / 8);
  return { byteLength, read: () => readNumbers(files.model, pieces, field, numbers, bytesEach) };
}

/** The contents of a tensor, checked against its type and shape but not read yet. */
export function loadTensor(tensor: TensorProto, files: TensorFiles): LoadedTensor | TensorProblem {
  const dtype = typeOf(tensor);
  if (typeof dtype !== "string") return dtype;
  const count = elementCount(tensor.dims);
  const byteLength = byteLengthOf(dtype, count);
  if (byteLength > MAX_TENSOR_BYTES && !files.shapesOnly) return tooLarge(byteLength);
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
  if (byteLength > MAX_TENSOR_BYTES) return tooLarge(byteLength);
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
