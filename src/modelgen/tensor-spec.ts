// Tensors of generated models as data: name, shape, type and where the values come from, and how such a tensor becomes
// little-endian bytes. Values come from a small integer generator seeded by tensor name, so a tensor never depends on
// what else is in the model. Knows nothing of ONNX nodes or of files.

/** Element types that generated models use. */
export type ElementType = "float32" | "float16" | "int64" | "bool";

/** Where the values of a tensor come from. */
export type TensorContent =
  | { readonly kind: "values"; readonly values: readonly number[] }
  /** Uniform multiples of one step in [-amplitude, amplitude), around `centre`; exact in fp16 when `centre` is 0. */
  | { readonly kind: "random"; readonly seed: number; readonly amplitude: number; readonly centre: number };

export type TensorSpec = {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: ElementType;
  readonly content: TensorContent;
};

const BYTES_PER_ELEMENT = { float32: 4, float16: 2, int64: 8, bool: 1 } as const satisfies Record<ElementType, number>;
const CHUNK_ELEMENTS = 1 << 16;
/** Random values are integers of at most 11 bits times a power of two: fp16 and fp32 models get the same weights. */
const MAX_STEPS = 1024;

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

export function tensorByteLength(tensor: TensorSpec): number {
  return elementCount(tensor.dims) * BYTES_PER_ELEMENT[tensor.type];
}

/** Seed of the tensor `name` in a model seeded with `modelSeed` (FNV-1a, then a final mix). */
export function tensorSeed(modelSeed: number, name: string): number {
  let hash = (0x811c9dc5 ^ modelSeed) >>> 0;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Bits of the fp16 number nearest to `value`, ties to even; overflow gives infinity. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  let exponent = -14;
  while (exponent < 15 && magnitude >= 2 ** (exponent + 1)) exponent += 1;
  const scaled = magnitude / 2 ** (exponent - 10);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // Subnormals have a biased exponent of 0, normals carry the hidden 1024: both are one addition, carries included.
  return sign | (rounded < 1024 ? rounded : rounded + (exponent + 14) * 1024);
}

/** Steps a side and the step that give [-amplitude, amplitude): steps in (512, 1024], step a power of two. */
function quantise(amplitude: number): { readonly steps: number; readonly step: number } {
  let step = 2 ** -24;
  while (amplitude / step > MAX_STEPS) step *= 2;
  return { steps: Math.max(1, Math.round(amplitude / step)), step };
}

/** The distinct values that a random tensor may hold, smallest first. */
function randomLevels(content: TensorContent & { readonly kind: "random" }): Float64Array {
  const { steps, step } = quantise(content.amplitude);
  const levels = new Float64Array(2 * steps);
  for (let index = 0; index < levels.length; index += 1) levels[index] = content.centre + (index - steps) * step;
  return levels;
}

type Sink = { readonly bytes: Uint8Array; position: number };

function push(sink: Sink, chunk: Float32Array | Uint16Array, count: number): void {
  const length = count * chunk.BYTES_PER_ELEMENT;
  sink.bytes.set(new Uint8Array(chunk.buffer, chunk.byteOffset, length), sink.position);
  sink.position += length;
}

/** Draws `count` indices below `levels.length` (at most 2048) and pushes the levels' values: two draws a 32-bit word. */
function pushRandom(sink: Sink, levels: Float32Array | Uint16Array, seed: number, count: number): void {
  const size = Math.min(CHUNK_ELEMENTS, count + (count % 2));
  const chunk = levels instanceof Float32Array ? new Float32Array(size) : new Uint16Array(size);
  const range = levels.length;
  let state = seed === 0 ? 0x9e3779b9 : seed | 0;
  for (let done = 0; done < count; done += size) {
    const wanted = Math.min(size, count - done);
    for (let index = 0; index < wanted; index += 2) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      const word = Math.imul(state, 0x2c1b3c6d);
      chunk[index] = levels[((word >>> 16) * range) >>> 16] ?? 0;
      chunk[index + 1] = levels[((word & 0xffff) * range) >>> 16] ?? 0;
    }
    push(sink, chunk, wanted);
  }
}

function valueBytes(type: ElementType, values: readonly number[]): Uint8Array {
  switch (type) {
    case "float32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "float16":
      return new Uint8Array(Uint16Array.from(values, halfBits).buffer);
    case "int64":
      return new Uint8Array(BigInt64Array.from(values.map((value) => BigInt(value))).buffer);
    case "bool":
      return Uint8Array.from(values);
  }
}

/** Fills `bytes` (exactly the tensor's size) with the tensor's little-endian values. */
export function writeTensorBytes(tensor: TensorSpec, bytes: Uint8Array): void {
  if (bytes.length !== tensorByteLength(tensor)) {
    throw new RangeError(`tensor ${tensor.name}: ${bytes.length} bytes given for ${tensorByteLength(tensor)}`);
  }
  if (tensor.content.kind === "values") {
    bytes.set(valueBytes(tensor.type, tensor.content.values));
    return;
  }
  const levels = randomLevels(tensor.content);
  const encoded = tensor.type === "float16" ? Uint16Array.from(levels, halfBits) : new Float32Array(levels);
  pushRandom({ bytes, position: 0 }, encoded, tensor.content.seed, elementCount(tensor.dims));
}
