// Element types: of graph tensors (`DType`) and of what SRAM words and streams carry (`StoredType`). Knows nothing of ONNX's enum.

/** Graph element types. `bits` is the size of one element; sub-byte types are packed low nibble first. */
export const dtypes = {
  float32: { bits: 32, kind: "float" },
  float64: { bits: 64, kind: "float" },
  float16: { bits: 16, kind: "float" },
  bfloat16: { bits: 16, kind: "float" },
  float8e4m3fn: { bits: 8, kind: "float" },
  float8e4m3fnuz: { bits: 8, kind: "float" },
  float8e5m2: { bits: 8, kind: "float" },
  float8e5m2fnuz: { bits: 8, kind: "float" },
  float8e8m0: { bits: 8, kind: "float" },
  float4e2m1: { bits: 4, kind: "float" },
  int64: { bits: 64, kind: "int" },
  int32: { bits: 32, kind: "int" },
  int16: { bits: 16, kind: "int" },
  int8: { bits: 8, kind: "int" },
  int4: { bits: 4, kind: "int" },
  int2: { bits: 2, kind: "int" },
  uint64: { bits: 64, kind: "uint" },
  uint32: { bits: 32, kind: "uint" },
  uint16: { bits: 16, kind: "uint" },
  uint8: { bits: 8, kind: "uint" },
  uint4: { bits: 4, kind: "uint" },
  uint2: { bits: 2, kind: "uint" },
  bool: { bits: 8, kind: "bool" },
} as const satisfies Record<string, { bits: number; kind: "float" | "int" | "uint" | "bool" }>;

export type DType = keyof typeof dtypes;

/** Bytes of `elements` elements of `dtype`, rounded up to whole bytes. */
export function byteLengthOf(dtype: DType, elements: number): number {
  return Math.ceil((dtypes[dtype].bits * elements) / 8);
}

/** What a stream group or a set of SRAM byte planes carries: `bytes` neighbouring streams, little endian. */
export const storedTypes = {
  f32: { bytes: 4 },
  i32: { bytes: 4 },
  f16: { bytes: 2 },
  i8: { bytes: 1 },
  u8: { bytes: 1 },
} as const satisfies Record<string, { bytes: 1 | 2 | 4 }>;

export type StoredType = keyof typeof storedTypes;
