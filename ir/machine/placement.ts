// Where each element of a placed tensor stands: pure address arithmetic over `Placement`, by tables and digit loops. Used by whoever binds,
// reads or judges placed data. Knows no memory contents and no schedule.
import { invariant } from "../diag/diagnostic.ts";
import { storedTypes } from "../dtype.ts";
import type { LayoutDigit, Placement } from "./program.ts";

/** Contribution of each index of each dimension to the vector number and to the lane; an element's place is the sum over the dimensions. */
interface PlacementTables {
  readonly vectors: readonly Int32Array[];
  readonly lanes: readonly Int32Array[];
}

function fillDigits(digits: readonly LayoutDigit[], step: (digit: LayoutDigit) => number, table: Int32Array): void {
  // Outermost first: each digit repeats what the inner ones gave. Built from the innermost outwards.
  let filled = 1;
  for (let d = digits.length - 1; d >= 0 && filled < table.length; d -= 1) {
    const digit = digits[d] as LayoutDigit;
    const add = step(digit);
    const inner = filled;
    for (let value = 1; value < digit.size && filled < table.length; value += 1) {
      for (let i = 0; i < inner && filled < table.length; i += 1) {
        table[filled] = (table[i] as number) + value * add;
        filled += 1;
      }
    }
  }
  invariant(filled >= table.length, `the digits of a placement cover ${filled} of ${table.length} indices`);
}

function placementTables(placement: Placement): PlacementTables {
  const vectors: Int32Array[] = [];
  const lanes: Int32Array[] = [];
  placement.extent.forEach((size, d) => {
    const digits = placement.digits[d] ?? [];
    const vector = new Int32Array(size);
    const lane = new Int32Array(size);
    if (size > 0) {
      fillDigits(digits, (digit) => digit.vector, vector);
      fillDigits(digits, (digit) => digit.lane, lane);
    }
    vectors.push(vector);
    lanes.push(lane);
  });
  return { vectors, lanes };
}

/** Is the box inside the tensor, and has every index of every dimension its digits? Programs from files may say otherwise. */
export function isPlaced(placement: Placement, shape: readonly number[]): boolean {
  const { extent, origin, digits } = placement;
  return (
    extent.length === shape.length &&
    extent.every((size, d) => {
      const [start, whole] = [origin[d] ?? -1, shape[d] ?? 0];
      if (!(size >= 0 && start >= 0 && start + size <= whole)) return false;
      let covered = 1;
      for (const digit of digits[d] ?? []) covered *= digit.size;
      return covered >= size;
    })
  );
}

/** Vector number and lane of one element, `index` relative to the tensor (not to the origin). */
export function locate(
  placement: Placement,
  index: readonly number[],
): { readonly vector: number; readonly lane: number } {
  let vector = 0;
  let lane = 0;
  placement.digits.forEach((digits, d) => {
    let rest = (index[d] ?? 0) - (placement.origin[d] ?? 0);
    for (let i = digits.length - 1; i >= 0; i -= 1) {
      const digit = digits[i] as LayoutDigit;
      const value = rest % digit.size;
      rest = (rest - value) / digit.size;
      vector += value * digit.vector;
      lane += value * digit.lane;
    }
    invariant(rest === 0, "an element lies outside its placement");
  });
  return { vector, lane };
}

/**
 * Every element of the box: `visit(flat, vector, lane)`, flat being the element's row-major position in the whole tensor of shape `shape`.
 * Innermost dimension last, indices ascending.
 */
export function forEachElement(
  placement: Placement,
  shape: readonly number[],
  visit: (flat: number, vector: number, lane: number) => void,
): void {
  const rank = placement.extent.length;
  const { vectors, lanes } = placementTables(placement);
  const strides = new Array<number>(rank).fill(1);
  for (let d = rank - 2; d >= 0; d -= 1) strides[d] = (strides[d + 1] as number) * (shape[d + 1] as number);
  if (placement.extent.some((size) => size === 0)) return;
  const walk = (d: number, flat: number, vector: number, lane: number): void => {
    if (d === rank) {
      visit(flat, vector, lane);
      return;
    }
    const [vectorOf, laneOf] = [vectors[d] as Int32Array, lanes[d] as Int32Array];
    const stride = strides[d] as number;
    let at = flat + (placement.origin[d] as number) * stride;
    if (d === rank - 1) {
      for (let i = 0; i < vectorOf.length; i += 1) {
        visit(at, vector + (vectorOf[i] as number), lane + (laneOf[i] as number));
        at += stride;
      }
      return;
    }
    for (let i = 0; i < vectorOf.length; i += 1) {
      walk(d + 1, at, vector + (vectorOf[i] as number), lane + (laneOf[i] as number));
      at += stride;
    }
  };
  walk(0, 0, 0, 0);
}

/** How vectors turn into words: `stripes` neighbouring vectors stand at one address in different slices. */
export interface PlacementGeometry {
  readonly bytes: 1 | 2 | 4;
  readonly stripes: number;
  /** Slices between two bytes of an element (planar), or lanes (packed). */
  readonly sliceStep: number;
  readonly laneStep: number;
}

export function placementGeometry(placement: Placement): PlacementGeometry {
  const bytes = storedTypes[placement.type].bytes;
  return placement.pack > 0
    ? { bytes, stripes: placement.slices.length, sliceStep: 0, laneStep: placement.pack }
    : { bytes, stripes: placement.slices.length / bytes, sliceStep: 1, laneStep: 0 };
}

/** Index into `placement.slices` of the slice that holds byte `byte` of vector `vector`. */
export function sliceOf(geometry: PlacementGeometry, vector: number, byte: number): number {
  const stripe = vector % geometry.stripes;
  return geometry.sliceStep === 0 ? stripe : stripe * geometry.bytes + byte;
}

/** Word address of vector `vector`. */
export function wordOf(placement: Placement, geometry: PlacementGeometry, vector: number): number {
  return placement.address + Math.floor(vector / geometry.stripes);
}

/** One more than the largest vector number of the placement. */
export function vectorCountOf(placement: Placement): number {
  let last = 0;
  const { vectors } = placementTables(placement);
  for (const table of vectors) {
    let largest = 0;
    for (const value of table) largest = Math.max(largest, value);
    last += largest;
  }
  return placement.extent.some((size) => size === 0) ? 0 : last + 1;
}
