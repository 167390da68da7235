// Placements: the boxes of a tensor that stand in one part of a storage with a standard layout.
import type { LayoutDigit, Placement } from "../../ir/machine/program.ts";
import type { Layout } from "../lower/layout.ts";

interface VectorDigit {
  readonly dim: number;
  readonly stride: number;
  readonly size: number;
  /** Indices of the dimension one step of this digit covers. */
  readonly covers: number;
}

/** One digit a dimension at most moves along vectors in a standard layout. */
function vectorDigits(layout: Layout): VectorDigit[] {
  return layout.dims
    .flatMap((digits, dim) =>
      digits.flatMap((digit, i): VectorDigit[] =>
        digit.vector === 0
          ? []
          : [
              {
                dim,
                stride: digit.vector,
                size: digit.size,
                covers: digits.slice(i + 1).reduce((n, inner) => n * inner.size, 1),
              },
            ],
      ),
    )
    .sort((a, b) => b.stride - a.stride);
}

/** The boxes whose vectors are [from, to), as ranges of digit values. */
function digitBoxes(digits: readonly VectorDigit[], from: number, to: number): { low: number; high: number }[][] {
  const [outer, ...inner] = digits;
  if (outer === undefined) return [[]];
  const boxes: { low: number; high: number }[][] = [];
  const add = (low: number, high: number, innerFrom: number, innerTo: number): void => {
    if (low >= high) return;
    for (const box of digitBoxes(inner, innerFrom, innerTo)) boxes.push([{ low, high }, ...box]);
  };
  const firstWhole = Math.ceil(from / outer.stride);
  const endWhole = Math.floor(to / outer.stride);
  if (firstWhole > endWhole) {
    add(endWhole, endWhole + 1, from - endWhole * outer.stride, to - endWhole * outer.stride);
    return boxes;
  }
  if (from % outer.stride !== 0) add(firstWhole - 1, firstWhole, from % outer.stride, outer.stride);
  add(firstWhole, endWhole, 0, outer.stride);
  if (to % outer.stride !== 0) add(endWhole, endWhole + 1, 0, to % outer.stride);
  return boxes;
}

/** Placements of the vectors [from, to) of a storage; vector `from` is word `address`. */
export function partPlacements(
  layout: Layout,
  from: number,
  to: number,
  where: Pick<Placement, "chip" | "type" | "pack" | "slices" | "address">,
): Placement[] {
  const digits = vectorDigits(layout);
  const begin = from - layout.vector;
  const placements: Placement[] = [];
  for (const box of digitBoxes(digits, begin, to - layout.vector)) {
    const origin = layout.shape.map(() => 0);
    const extent = [...layout.shape];
    let address = where.address - begin;
    const cut = new Map<number, { low: number; high: number; digit: VectorDigit }>();
    digits.forEach((digit, i) => {
      const range = box[i] as { low: number; high: number };
      cut.set(digit.dim, { ...range, digit });
      address += range.low * digit.stride;
      origin[digit.dim] = range.low * digit.covers;
      extent[digit.dim] = Math.min(
        (layout.shape[digit.dim] as number) - range.low * digit.covers,
        (range.high - range.low) * digit.covers,
      );
    });
    const dims = layout.dims.map((list, dim): readonly LayoutDigit[] => {
      const range = cut.get(dim);
      if (range === undefined) return list;
      return list.map((digit) =>
        digit.vector === range.digit.stride ? { ...digit, size: range.high - range.low } : digit,
      );
    });
    placements.push({ ...where, origin, extent, digits: dims, address });
  }
  return placements;
}
