// Constants of the embedded graph. A placed constant is what the image holds at its placement: a changed weight byte makes another model, which
// no data flow can tell from the one that was meant (the container's checksum can). What can be told: words that are not there, and several
// placements of one element that disagree.
import { storedTypes } from "../../ir/dtype.ts";
import type { Placement, ProgramTensor } from "../../ir/machine/program.ts";
import { float16FromF32Bits } from "../../ir/numeric/float16.ts";
import { type Images, imageWord } from "./image.ts";
import { halfToFloatBits, type Lanes, laneKinds, lanesOf } from "./lanes.ts";
import { stripesOf, visitPlacement } from "./placements.ts";

type Words = (Uint8Array | undefined)[];

/** Reads one placement: `put(element, value)`. The result says whether all its words are in the image. */
function readPlacement(
  images: Images,
  placement: Placement,
  shape: readonly number[],
  put: (element: number, value: number) => void,
): boolean {
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
    if (placement.type === "f16") put(element, halfToFloatBits(value));
    else put(element, placement.type === "i8" ? (value << 24) >> 24 : value);
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

export interface ConstantValue {
  /** Bits of 32-bit elements, values of 8-bit ones. */
  readonly lanes: Lanes;
  /** An element of which two placements hold different values, -1 if there is none. */
  readonly disputed: number;
}

/** Where copies differ in width, the wide one is the constant and the others are its roundings. */
function readPlaced(
  images: Images,
  placements: readonly Placement[],
  shape: readonly number[],
  into: Int32Array,
): { readonly complete: boolean; readonly disputed: number } {
  const wideFirst = [...placements].sort((a, b) => storedTypes[b.type].bytes - storedTypes[a.type].bytes);
  const covered = new Uint8Array(into.length);
  let complete = true;
  let disputed = -1;
  for (const placement of wideFirst) {
    const isHalf = placement.type === "f16";
    const whole = readPlacement(images, placement, shape, (element, value) => {
      if (covered[element] === 0) {
        covered[element] = 1;
        into[element] = value;
        return;
      }
      const known = into[element] as number;
      if (value !== (isHalf ? halfToFloatBits(float16FromF32Bits(known)) : known)) disputed = element;
    });
    complete &&= whole;
  }
  return { complete: complete && !covered.includes(0), disputed };
}

/** Contents of a constant, undefined if they are not all there. */
export function constantOf(images: Images, tensor: ProgramTensor): ConstantValue | undefined {
  const { constant, shape } = tensor;
  if (constant === undefined) return undefined;
  const into = new Int32Array(shape.reduce((product, size) => product * size, 1));
  const value = { lanes: lanesOf(into, laneKinds.bits), disputed: -1 };
  switch (constant.kind) {
    case "inline":
      return readInline(tensor, constant.bytes, into) ? value : undefined;
    case "splat":
      into.fill(constant.bits | 0);
      return value;
    case "placed": {
      const { complete, disputed } = readPlaced(images, constant.placements, shape, into);
      return complete ? { ...value, disputed } : undefined;
    }
  }
}
