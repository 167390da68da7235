// Decides whether one component fits a capacity: several exact searches that differ in what they try first take turns, none
// ever starting over, until one finds a solution or has seen everything. Knows nothing of whole problems.
import type { Instance } from "./instance.ts";
import { advanceLowestFirst, type LowestFirst, type Preorder, startLowestFirst } from "./lowest-first.ts";

/** No preorder is good everywhere; the first is good most often. */
const preorders: readonly Preorder[] = [
  ["pressure", "length", "area"],
  ["pressure", "area", "length"],
  ["length", "area", "pressure"],
];

/** Work of one turn: small beside what hard instances need, large beside the cost of changing over. */
const turn = 2_000;

export type ExactAnswer =
  | { readonly kind: "solved"; readonly offsets: Float64Array; readonly work: number }
  | { readonly kind: "impossible"; readonly work: number }
  | { readonly kind: "budget"; readonly work: number };

/** Offsets, in the problem's unit, of the instance's buffers. `budget` counts nodes opened and placements tried. */
export function searchExactly(instance: Instance, budget: number): ExactAnswer {
  const searches: LowestFirst[] = [];
  let work = 0;
  while (work < budget) {
    for (const [index, preorder] of preorders.entries()) {
      const before = searches[index]?.at.work ?? 0;
      const search = searches[index] ?? startLowestFirst(instance, preorder);
      searches[index] = search;
      const status = advanceLowestFirst(search, Math.min(turn, budget - work));
      work += Math.max(1, search.at.work - before);
      if (status === "exhausted") return { kind: "impossible", work };
      if (status === "solved") {
        const offsets = Float64Array.from(search.packing.offset, (offset) => offset * instance.unit);
        return { kind: "solved", offsets, work };
      }
      if (work >= budget) break;
    }
  }
  return { kind: "budget", work };
}
