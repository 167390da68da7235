// Initial memory by slice and word, and constants of the embedded graph read from it through their placements.
import { storedTypes } from "../../ir/dtype.ts";
import type { ImageSegment, Placement, Program, ProgramTensor } from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import { type ByteVector, bytesOf, byteTags, halfToFloatBits, type Lanes, laneKinds, lanesOf } from "./lanes.ts";
import { stripesOf, visitPlacement } from "./placements.ts";
import { newInts } from "./vectors.ts";

/** Images of one slice, ascending by address, contents fetched when first needed. */
interface SliceImage {
  readonly segments: readonly { readonly image: ImageSegment; readonly words: number }[];
}

export interface Images {
  readonly lanes: number;
  readonly slices: ReadonlyMap<string, SliceImage>;
  readonly contents: Map<ImageSegment, Uint8Array>;
  /** Words already made into vectors: tables and selections are read over and over. */
  readonly vectors: Map<Uint8Array, (ByteVector | undefined)[]>;
  vectorCount: number;
}

/** Vectors kept at most. */
const maxVectors = 2 ** 14;

const sliceKey = (chip: number, hemisphere: Hemisphere, slice: number): string => `${chip}${hemisphere}${slice}`;

export function newImages(program: Program): Images {
  const { lanes } = program.target;
  const slices = new Map<string, { segments: { image: ImageSegment; words: number }[] }>();
  program.chips.forEach((chip, index) => {
    for (const image of chip.images) {
      const key = sliceKey(index, image.hemisphere, image.slice);
      const slice = slices.get(key) ?? { segments: [] };
      slices.set(key, slice);
      slice.segments.push({ image, words: Math.floor(image.byteLength / lanes) });
    }
  });
  for (const slice of slices.values())
    slice.segments.sort((a, b) => a.image.address - b.image.address || a.words - b.words);
  return { lanes, slices, contents: new Map(), vectors: new Map(), vectorCount: 0 };
}

interface Found {
  readonly bytes: Uint8Array;
  /** Position in them, in words. */
  readonly at: number;
}

function findWord(
  images: Images,
  chip: number,
  hemisphere: Hemisphere,
  slice: number,
  word: number,
): Found | undefined {
  const segments = images.slices.get(sliceKey(chip, hemisphere, slice))?.segments;
  if (segments === undefined) return undefined;
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segments[middle]?.image.address ?? 0) <= word) low = middle + 1;
    else high = middle;
  }
  const found = segments[low - 1];
  if (found === undefined || word >= found.image.address + found.words) return undefined;
  let bytes = images.contents.get(found.image);
  if (bytes === undefined) {
    bytes = found.image.read();
    images.contents.set(found.image, bytes);
  }
  const at = word - found.image.address;
  return (at + 1) * images.lanes <= bytes.length ? { bytes, at } : undefined;
}

/** The bytes of one word of initial memory, undefined where there is none. */
function imageWord(
  images: Images,
  chip: number,
  hemisphere: Hemisphere,
  slice: number,
  word: number,
): Uint8Array | undefined {
  const found = findWord(images, chip, hemisphere, slice, word);
  return found?.bytes.subarray(found.at * images.lanes, (found.at + 1) * images.lanes);
}

/** imageWord as a concrete vector. */
export function imageVector(
  images: Images,
  chip: number,
  hemisphere: Hemisphere,
  slice: number,
  word: number,
): ByteVector | undefined {
  const found = findWord(images, chip, hemisphere, slice, word);
  if (found === undefined) return undefined;
  const { bytes, at } = found;
  const known = images.vectors.get(bytes)?.[at];
  if (known !== undefined) return known;
  const x = newInts(images.lanes);
  const from = at * images.lanes;
  for (let lane = 0; lane < x.length; lane++) x[lane] = bytes[from + lane] as number;
  if (images.vectorCount === maxVectors) {
    images.vectors.clear();
    images.vectorCount = 0;
  }
  let list = images.vectors.get(bytes);
  if (list === undefined) {
    list = [];
    images.vectors.set(bytes, list);
  }
  images.vectorCount++;
  const vector = bytesOf(x, byteTags.concrete);
  list[at] = vector;
  return vector;
}

type Words = (Uint8Array | undefined)[];

/** Reads one placement into `into`; the result says whether all its words are in the image. */
function readPlacement(images: Images, placement: Placement, shape: readonly number[], into: Int32Array): boolean {
  const { bytes } = storedTypes[placement.type];
  const stripes = stripesOf(placement);
  const perVector = placement.pack > 0 ? 1 : bytes;
  const words: Words = [];
  let complete = true;
  const wordOf = (vector: number, plane: number): Uint8Array | undefined => {
    const at = vector * perVector + plane;
    if (at in words) return words[at];
    const place = placement.slices[(vector % stripes) * perVector + plane];
    const word = placement.address + Math.floor(vector / stripes);
    words[at] =
      place === undefined ? undefined : imageWord(images, placement.chip, place.hemisphere, place.slice, word);
    return words[at];
  };
  visitPlacement(placement, shape, (element, vector, lane) => {
    let value = 0;
    for (let b = 0; b < bytes; b++) {
      const word = wordOf(vector, placement.pack > 0 ? 0 : b);
      if (word === undefined) complete = false;
      else value |= (word[lane + b * placement.pack] as number) << (8 * b);
    }
    into[element] =
      placement.type === "f16" ? halfToFloatBits(value) : placement.type === "i8" ? (value << 24) >> 24 : value;
  });
  return complete;
}

function readInline(tensor: ProgramTensor, bytes: Uint8Array, into: Int32Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size =
    tensor.dtype === "int8" || tensor.dtype === "uint8" || tensor.dtype === "bool"
      ? 1
      : tensor.dtype === "float16"
        ? 2
        : 4;
  if (bytes.length < into.length * size) return false;
  for (let i = 0; i < into.length; i++) {
    if (size === 4) into[i] = view.getInt32(4 * i, true);
    else if (size === 2) into[i] = halfToFloatBits(view.getUint16(2 * i, true));
    else into[i] = tensor.dtype === "int8" ? view.getInt8(i) : view.getUint8(i);
  }
  return true;
}

/** Contents of a constant: bits of 32-bit elements, values of 8-bit ones. Undefined if they are not all there. */
export function constantOf(images: Images, tensor: ProgramTensor): Lanes | undefined {
  const { constant } = tensor;
  if (constant === undefined) return undefined;
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const into = new Int32Array(count);
  let complete = true;
  switch (constant.kind) {
    case "inline":
      complete = readInline(tensor, constant.bytes, into);
      break;
    case "splat":
      into.fill(constant.bits | 0);
      break;
    case "placed": {
      // Where copies differ in width, the wide one is the constant.
      const narrowFirst = [...constant.placements].sort(
        (a, b) => storedTypes[a.type].bytes - storedTypes[b.type].bytes,
      );
      const covered = new Uint8Array(count);
      for (const placement of narrowFirst) {
        complete = readPlacement(images, placement, tensor.shape, into) && complete;
        visitPlacement(placement, tensor.shape, (element) => {
          covered[element] = 1;
        });
      }
      complete &&= !covered.includes(0);
    }
  }
  return complete ? lanesOf(into, laneKinds.bits) : undefined;
}
