// Where tensor elements stand in memory, worked out from the digits of a placement, and whether a placement is well formed.
import { storedTypes } from "../../ir/dtype.ts";
import type { LayoutDigit, Placement, Program } from "../../ir/machine/program.ts";
import { wordsPerSlice } from "../../ir/target/geometry.ts";

/** More elements than any tensor of a checkable program has. */
export const maxElements = 2 ** 28;

const whole = (value: number, from: number, until: number): boolean =>
  Number.isSafeInteger(value) && value >= from && value < until;

/** Vector and lane steps of every index of one dimension. */
interface DimensionTable {
  readonly vectors: Int32Array;
  readonly lanes: Int32Array;
}

function tableOf(digits: readonly LayoutDigit[], extent: number): DimensionTable {
  const vectors = new Int32Array(extent);
  const lanes = new Int32Array(extent);
  for (let index = 0; index < extent; index++) {
    let rest = index;
    let vector = 0;
    let lane = 0;
    for (let d = digits.length - 1; d >= 0; d--) {
      const digit = digits[d];
      if (digit === undefined) break;
      const value = d === 0 ? rest : rest % digit.size;
      rest = Math.floor(rest / digit.size);
      vector += value * digit.vector;
      lane += value * digit.lane;
    }
    vectors[index] = vector;
    lanes[index] = lane;
  }
  return { vectors, lanes };
}

/** Positions of a placement's elements in row-major order of its box: `visit(elementIndexInTensor, vector, lane)`. */
export function visitPlacement(
  placement: Placement,
  shape: readonly number[],
  visit: (element: number, vector: number, lane: number) => void,
): void {
  const rank = shape.length;
  const strides = new Array<number>(rank).fill(1);
  for (let d = rank - 2; d >= 0; d--) strides[d] = (strides[d + 1] ?? 1) * (shape[d + 1] ?? 1);
  const tables = placement.extent.map((extent, d) => tableOf(placement.digits[d] ?? [], extent));
  const walk = (d: number, element: number, vector: number, lane: number): void => {
    if (d === rank) {
      visit(element, vector, lane);
      return;
    }
    const table = tables[d];
    const stride = strides[d] ?? 1;
    const extent = placement.extent[d] ?? 0;
    if (table === undefined) return;
    let at = element + (placement.origin[d] ?? 0) * stride;
    if (d === rank - 1) {
      for (let i = 0; i < extent; i++) {
        visit(at, vector + (table.vectors[i] ?? 0), lane + (table.lanes[i] ?? 0));
        at += stride;
      }
      return;
    }
    for (let i = 0; i < extent; i++) {
      walk(d + 1, at, vector + (table.vectors[i] ?? 0), lane + (table.lanes[i] ?? 0));
      at += stride;
    }
  };
  walk(0, 0, 0, 0);
}

/** Vectors in one period of the stripes: `slices[(v mod stripes) * bytes + b]`. */
export function stripesOf(placement: Placement): number {
  return placement.pack > 0 ? placement.slices.length : placement.slices.length / storedTypes[placement.type].bytes;
}

function boxProblem(placement: Placement, shape: readonly number[]): string | undefined {
  const rank = shape.length;
  const { origin, extent, digits } = placement;
  if (origin.length !== rank || extent.length !== rank || digits.length !== rank) return `is not of rank ${rank}`;
  for (let d = 0; d < rank; d++) {
    const from = origin[d] ?? -1;
    const size = extent[d] ?? -1;
    if (!whole(from, 0, maxElements) || !whole(size, 0, maxElements) || from + size > (shape[d] ?? 0)) {
      return `covers [${from}, ${from + size}) of dimension ${d}, which has ${shape[d]}`;
    }
    let product = 1;
    for (const digit of digits[d] ?? []) {
      if (
        !whole(digit.size, 1, maxElements) ||
        !Number.isSafeInteger(digit.vector) ||
        !Number.isSafeInteger(digit.lane)
      ) {
        return `has a digit of size ${digit.size}, vector step ${digit.vector}, lane step ${digit.lane}`;
      }
      product *= digit.size;
    }
    if (product < size) return `has digits for ${product} of ${size} indices of dimension ${d}`;
  }
  return undefined;
}

/** First and last word that elements of a well-formed placement may take in any of its slices. */
export function wordRange(placement: Placement): readonly [number, number] {
  let [low, high] = [0, 0];
  placement.extent.forEach((extent, d) => {
    const { vectors } = tableOf(placement.digits[d] ?? [], extent);
    low += vectors.reduce((a, b) => Math.min(a, b), 0);
    high += vectors.reduce((a, b) => Math.max(a, b), 0);
  });
  const stripes = stripesOf(placement);
  return [placement.address + Math.floor(low / stripes), placement.address + Math.floor(high / stripes)];
}

/** Why elements of the placement stand outside memory, undefined if they do not. */
export function placementProblem(program: Program, placement: Placement, shape: readonly number[]): string | undefined {
  const { target } = program;
  const { bytes } = storedTypes[placement.type];
  if (!whole(placement.chip, 0, program.chips.length)) return `is on chip ${placement.chip}, which does not exist`;
  const slices = placement.slices.every(({ hemisphere, slice }) => {
    return (hemisphere === "W" || hemisphere === "E") && whole(slice, 0, target.mem.slicesPerHemisphere);
  });
  if (!slices) return "names a slice that the chip does not have";
  if (!whole(placement.pack, 0, target.lanes + 1)) return `is packed every ${placement.pack} lanes`;
  if (!whole(stripesOf(placement), 1, 2 ** 20))
    return `has ${placement.slices.length} slices for elements of ${bytes} bytes`;
  const box = boxProblem(placement, shape);
  if (box !== undefined) return box;
  if (placement.extent.includes(0)) return undefined;
  let [lowVector, highVector, lowLane, highLane] = [0, 0, 0, 0];
  placement.extent.forEach((extent, d) => {
    const table = tableOf(placement.digits[d] ?? [], extent);
    lowVector += table.vectors.reduce((a, b) => Math.min(a, b));
    highVector += table.vectors.reduce((a, b) => Math.max(a, b));
    lowLane += table.lanes.reduce((a, b) => Math.min(a, b));
    highLane += table.lanes.reduce((a, b) => Math.max(a, b));
  });
  highLane += placement.pack > 0 ? (bytes - 1) * placement.pack : 0;
  if (lowLane < 0 || highLane >= target.lanes) return `uses lanes ${lowLane}..${highLane} of ${target.lanes}`;
  const words = wordsPerSlice(target);
  const first = placement.address + Math.floor(lowVector / stripesOf(placement));
  const last = placement.address + Math.floor(highVector / stripesOf(placement));
  if (lowVector < 0 || !whole(first, 0, words) || !whole(last, 0, words))
    return `uses words ${first}..${last} of ${words}`;
  return undefined;
}
