// Initial memory by slice and word.
import type { ImageSegment, Program } from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import { type ByteVector, bytesOf, byteTags } from "./lanes.ts";
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
export function imageWord(
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
