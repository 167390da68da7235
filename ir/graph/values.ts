// Tensor values: typed storage of every element type, conversion from and to bytes, and views as numbers or bigints. Knows no operator.
import { invariant } from "../diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes } from "../dtype.ts";
import {
  decodeE8m0,
  decodeSmallFloat,
  encodeE8m0,
  encodeSmallFloat,
  type SmallFloat,
  smallFloats,
} from "../numeric/small-float.ts";

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * Storage by dtype: float32/float64 and integers in their own arrays, bool as 0/1 bytes, float16 and bfloat16 as bit patterns in
 * Uint16Array, 8-bit and 4-bit floats as bit patterns in Uint8Array, 2- and 4-bit integers one to an element.
 */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export interface TensorValue extends TensorType {
  readonly data: TensorData;
}

/** Constant contents as graphs hold them. */
interface Readable {
  readonly byteLength: number;
  readonly read: () => Uint8Array;
}

export function allocate(dtype: DType, count: number): TensorData {
  switch (dtype) {
    case "float32":
      return new Float32Array(count);
    case "float64":
      return new Float64Array(count);
    case "float16":
    case "bfloat16":
    case "uint16":
      return new Uint16Array(count);
    case "int16":
      return new Int16Array(count);
    case "int32":
      return new Int32Array(count);
    case "uint32":
      return new Uint32Array(count);
    case "int64":
      return new BigInt64Array(count);
    case "uint64":
      return new BigUint64Array(count);
    case "int8":
    case "int4":
    case "int2":
      return new Int8Array(count);
    case "uint8":
    case "uint4":
    case "uint2":
    case "bool":
    case "float8e4m3fn":
    case "float8e4m3fnuz":
    case "float8e5m2":
    case "float8e5m2fnuz":
    case "float8e8m0":
    case "float4e2m1":
      return new Uint8Array(count);
  }
}

export function countOf(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

export function tensorValue(dtype: DType, shape: readonly number[], data: TensorData): TensorValue {
  invariant(data.length === countOf(shape), `${data.length} elements for a shape of ${countOf(shape)}`);
  return { dtype, shape, data };
}

export const isBigData = (data: TensorData): data is BigInt64Array | BigUint64Array =>
  data instanceof BigInt64Array || data instanceof BigUint64Array;

/** Writes an element read from storage of the same dtype; undefined (out of range) writes nothing. */
export function setElement(data: TensorData, at: number, element: number | bigint | undefined): void {
  if (isBigData(data)) {
    if (typeof element === "bigint") data[at] = element;
  } else if (typeof element === "number") data[at] = element;
}

export const is64Bit = (dtype: DType): dtype is "int64" | "uint64" => dtype === "int64" || dtype === "uint64";

/** f(0), f(1), ... (Float64Array.from takes many times as long.) */
export function tabulate(length: number, f: (i: number) => number): Float64Array {
  const result = new Float64Array(length);
  for (let i = 0; i < length; i++) result[i] = f(i);
  return result;
}

export function tabulateInts(length: number, f: (i: number) => number): Int32Array {
  const result = new Int32Array(length);
  for (let i = 0; i < length; i++) result[i] = f(i);
  return result;
}

/** f of each number and its index. */
export function mapped(source: ArrayLike<number>, f: (x: number, i: number) => number): Float64Array {
  const result = new Float64Array(source.length);
  for (let i = 0; i < result.length; i++) result[i] = f(source[i] ?? 0, i);
  return result;
}

/** Replaces each number by f of it, in place. */
export function transform(numbers: Float64Array, f: (x: number, i: number) => number): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = f(numbers[i] ?? 0, i);
}

/** The largest number, NaN if there is one; `none` if there are none. */
export function largestOf(numbers: ArrayLike<number>, none = -Infinity): number {
  let result = numbers[0] ?? none;
  for (let i = 1; i < numbers.length; i++) result = Math.max(result, numbers[i] ?? 0);
  return result;
}

export function smallestOf(numbers: ArrayLike<number>, none = Infinity): number {
  let result = numbers[0] ?? none;
  for (let i = 1; i < numbers.length; i++) result = Math.min(result, numbers[i] ?? 0);
  return result;
}

/** Types whose elements are stored as bit patterns. */
export type CodedFloat = SmallFloat | "float8e8m0";

export const isCodedFloat = (dtype: DType): dtype is CodedFloat =>
  dtype === "float8e8m0" || Object.hasOwn(smallFloats, dtype);

const decoded = new Map<CodedFloat, Float64Array>();

/** Every value of a coded type, by bit pattern; made once. */
function valuesByCode(dtype: CodedFloat): Float64Array {
  const known = decoded.get(dtype);
  if (known !== undefined) return known;
  const table = tabulate(1 << dtypes[dtype].bits, (code) =>
    dtype === "float8e8m0" ? decodeE8m0(code) : decodeSmallFloat(dtype, code),
  );
  decoded.set(dtype, table);
  return table;
}

/** float4e2m1 has no NaN; the ONNX backend tests turn NaN into its negative zero. */
const FLOAT4_FOR_NAN = 8;

/** Bit pattern of the nearest value; beyond the range infinity or NaN, or the largest one with `saturate`. */
export function encodeFloat(dtype: CodedFloat, x: number, saturate = false): number {
  if (dtype === "float8e8m0") return encodeE8m0(x, saturate, "up");
  if (dtype === "float4e2m1" && Number.isNaN(x)) return FLOAT4_FOR_NAN;
  return encodeSmallFloat(dtype, x, saturate);
}

/** The elements as numbers: the storage itself where it holds numbers already, else a decoded copy. 64-bit integers beyond 2^53 lose digits. */
export function numbersOf(value: TensorValue): ArrayLike<number> {
  const { data, dtype } = value;
  if (isBigData(data)) return tabulate(data.length, (i) => Number(data[i]));
  if (!isCodedFloat(dtype)) return data;
  const table = valuesByCode(dtype);
  return mapped(data, (bits) => table[bits] ?? Number.NaN);
}

/** The elements of an integer or bool tensor as bigints. */
export function bigintsOf(value: TensorValue): ArrayLike<bigint> {
  const { data } = value;
  return isBigData(data) ? data : BigInt64Array.from(data, BigInt);
}

/** Elements of a shape, axes or index list input. */
export const intsOf = (value: TensorValue): number[] => Array.from(numbersOf(value));

const wrap = (x: number, bits: number, signed: boolean): number => {
  const size = 1 << bits;
  const low = ((x % size) + size) % size;
  return signed && low >= size / 2 ? low - size : low;
};

/** The whole part; numbers that have none give the lowest 64-bit integer, as processors do. */
const bigintOf = (x: number): bigint => (Number.isFinite(x) ? BigInt(Math.trunc(x)) : -(2n ** 63n));

/** Numbers into storage: floats rounded to nearest even (overflow to infinity, or saturating where there is none), integers wrapped. */
export function valueFromNumbers(dtype: DType, shape: readonly number[], source: ArrayLike<number>): TensorValue {
  const data = allocate(dtype, source.length);
  if (isBigData(data)) {
    for (let i = 0; i < source.length; i++) data[i] = bigintOf(source[i] ?? 0);
  } else if (isCodedFloat(dtype)) {
    for (let i = 0; i < source.length; i++) data[i] = encodeFloat(dtype, source[i] ?? 0);
  } else if (dtypes[dtype].kind === "bool") {
    for (let i = 0; i < source.length; i++) data[i] = source[i] === 0 ? 0 : 1;
  } else if (dtypes[dtype].bits < 8) {
    const { bits, kind } = dtypes[dtype];
    for (let i = 0; i < source.length; i++) data[i] = wrap(Math.trunc(source[i] ?? 0), bits, kind === "int");
  } else {
    data.set(source);
  }
  return tensorValue(dtype, shape, data);
}

/** Bigints into the storage of an integer type, wrapped to its width. */
export function valueFromBigints(dtype: DType, shape: readonly number[], source: ArrayLike<bigint>): TensorValue {
  const { bits, kind } = dtypes[dtype];
  const data = allocate(dtype, source.length);
  for (let i = 0; i < source.length; i++) {
    const wrapped = kind === "int" ? BigInt.asIntN(bits, source[i] ?? 0n) : BigInt.asUintN(bits, source[i] ?? 0n);
    if (isBigData(data)) data[i] = wrapped;
    else data[i] = Number(wrapped);
  }
  return tensorValue(dtype, shape, data);
}

export const scalar = (dtype: DType, x: number): TensorValue => valueFromNumbers(dtype, [], [x]);
export const int64s = (list: readonly number[]): TensorValue => valueFromNumbers("int64", [list.length], list);

/** Elements of a sub-byte type, lowest bits first. */
function unpack(bytes: Uint8Array, dtype: DType, count: number): TensorData {
  const { bits, kind } = dtypes[dtype];
  const perByte = 8 / bits;
  const data = allocate(dtype, count);
  for (let i = 0; i < count; i++) {
    const raw = ((bytes[Math.floor(i / perByte)] ?? 0) >>> ((i % perByte) * bits)) & ((1 << bits) - 1);
    data[i] = kind === "int" ? wrap(raw, bits, true) : raw;
  }
  return data;
}

function pack(value: TensorValue): Uint8Array {
  const { bits } = dtypes[value.dtype];
  const perByte = 8 / bits;
  const bytes = new Uint8Array(byteLengthOf(value.dtype, value.data.length));
  for (let i = 0; i < value.data.length; i++) {
    const at = Math.floor(i / perByte);
    const raw = Number(value.data[i]) & ((1 << bits) - 1);
    bytes[at] = (bytes[at] ?? 0) | (raw << ((i % perByte) * bits));
  }
  return bytes;
}

/** A typed array over a byte image, element by element so that neither alignment nor the host's byte order matters. */
export function valueFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): TensorValue {
  const count = countOf(shape);
  invariant(bytes.length === byteLengthOf(dtype, count), `${bytes.length} bytes for ${count} elements of ${dtype}`);
  if (dtypes[dtype].bits < 8) return tensorValue(dtype, shape, unpack(bytes, dtype, count));
  const data = allocate(dtype, count);
  const image = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  image.set(bytes);
  if (!littleEndianHost) swapBytes(image, data.BYTES_PER_ELEMENT);
  return tensorValue(dtype, shape, data);
}

/** Row-major, little endian, sub-byte types packed lowest bits first; the inverse of `valueFromBytes`. */
export function bytesOf(value: TensorValue): Uint8Array {
  if (dtypes[value.dtype].bits < 8) return pack(value);
  const { data } = value;
  const image = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  if (!littleEndianHost) swapBytes(image, data.BYTES_PER_ELEMENT);
  return image;
}

const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function swapBytes(image: Uint8Array, width: number): void {
  for (let at = 0; at < image.length; at += width) image.subarray(at, at + width).reverse();
}

export const valueOfConst = (type: TensorType, data: Readable): TensorValue =>
  valueFromBytes(type.dtype, type.shape, data.read());

/** The value as constant contents of a graph tensor. The bytes are made when they are read. */
export const constDataOf = (value: TensorValue): Readable => ({
  byteLength: byteLengthOf(value.dtype, value.data.length),
  read: () => bytesOf(value),
});

/** The same elements under another shape. */
export const reshaped = (value: TensorValue, shape: readonly number[]): TensorValue =>
  tensorValue(value.dtype, shape, value.data);
