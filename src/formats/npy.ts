// NumPy's .npy files to tensors and back: format 1.0 to 3.0 read, 1.0 written. Pure; knows bytes, not files.
import type { HostTensor } from "../../backends/interp/host.ts";
import type { DType } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { stridesOf } from "../../ir/graph/shapes.ts";

export type NpyReading =
  | { readonly ok: true; readonly value: HostTensor }
  | { readonly ok: false; readonly message: string };

const magic = "\u0093NUMPY";

/** Type letter and bytes of NumPy for the element types it has. */
const descriptions = {
  float64: "f8",
  float32: "f4",
  float16: "f2",
  int64: "i8",
  int32: "i4",
  int16: "i2",
  int8: "i1",
  uint64: "u8",
  uint32: "u4",
  uint16: "u2",
  uint8: "u1",
  bool: "b1",
} as const satisfies Partial<Record<DType, string>>;

type NpyType = keyof typeof descriptions;
export const isNpyType = (dtype: DType): dtype is NpyType => Object.hasOwn(descriptions, dtype);
const typeOf = new Map(Object.entries(descriptions).map(([dtype, text]) => [text, dtype as NpyType]));
const bytesOf = (dtype: NpyType): number => Number(descriptions[dtype].slice(1));

const refused = (message: string): NpyReading => ({ ok: false, message });
const latin = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** Reverses the bytes of every element: big endian to little. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) result[i - (i % width) + (width - 1 - (i % width))] = bytes[i] ?? 0;
  return result;
}

/** Column-major contents as row-major ones. */
function rowMajor(bytes: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  const reversed = stridesOf([...shape].reverse()).reverse();
  const strides = stridesOf(shape);
  const count = elementCount(shape);
  for (let i = 0; i < count; i++) {
    let from = 0;
    let rest = i;
    for (const [axis, stride] of strides.entries()) {
      from += Math.floor(rest / stride) * (reversed[axis] ?? 0);
      rest %= stride;
    }
    result.set(bytes.subarray(from * width, (from + 1) * width), i * width);
  }
  return result;
}

function headerText(bytes: Uint8Array): { readonly text: string; readonly end: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWide = (bytes[6] ?? 0) >= 2;
  const start = isWide ? 12 : 10;
  if (bytes.length < start) return undefined;
  const end = start + (isWide ? view.getUint32(8, true) : view.getUint16(8, true));
  return end > bytes.length ? undefined : { text: latin(bytes.subarray(start, end)), end };
}

/** The array in a .npy file. */
export function readNpy(bytes: Uint8Array): NpyReading {
  if (latin(bytes.subarray(0, 6)) !== magic) return refused("it does not start as a .npy file does");
  const header = headerText(bytes);
  if (header === undefined) return refused("its header is cut off");
  const description = /'descr'\s*:\s*'([<>|=]?)([a-z]\d+)'/.exec(header.text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header.text);
  const dimensions = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header.text);
  if (description === null || order === null || dimensions === null) {
    return refused(`its header is not one that lpuc reads: ${header.text.trim().slice(0, 120)}`);
  }
  const dtype = typeOf.get(description[2] as (typeof descriptions)[NpyType]);
  if (dtype === undefined)
    return refused(`its element type ${description[2]} is none of ${[...typeOf.keys()].join(", ")}`);
  const shape = (dimensions[1] ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(Number);
  const width = bytesOf(dtype);
  const wanted = elementCount(shape) * width;
  const contents = bytes.subarray(header.end);
  if (contents.length !== wanted) return refused(`it has ${contents.length} bytes of data, its shape needs ${wanted}`);
  const little = description[1] === ">" ? swapped(contents, width) : contents;
  return {
    ok: true,
    value: { dtype, shape, bytes: order[1] === "True" ? rowMajor(little, shape, width) : little.slice() },
  };
}

/** The tensor as a .npy file; undefined for element types NumPy does not have. */
export function writeNpy({ dtype, shape, bytes }: HostTensor): Uint8Array | undefined {
  if (!isNpyType(dtype)) return undefined;
  const description = `${bytesOf(dtype) === 1 ? "|" : "<"}${descriptions[dtype]}`;
  const dimensions = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': ${dimensions}, }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const result = new Uint8Array(10 + padded.length + bytes.length);
  for (const [index, character] of [...magic].entries()) result[index] = character.charCodeAt(0);
  result[6] = 1;
  new DataView(result.buffer).setUint16(8, padded.length, true);
  for (let i = 0; i < padded.length; i++) result[10 + i] = padded.charCodeAt(i);
  result.set(bytes, 10 + padded.length);
  return result;
}
