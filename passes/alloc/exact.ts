// Decides whether one component fits a capacity: several exact searches that differ in what they try first take turns, none
// ever starting over, until one finds a solution or has seen everything. Knows nothing of whole problems.
import type { Instance } from "./instance.ts";
import { advanceLowestFirst, type LowestFirst, type Preorder, startLowestFirst } from "./lowest-first.ts";

/** No preorder is good everywhere; the first is good most often. */
const preorders: readonly [Preorder, ...Preorder[]] = [
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

export type ExactSearch = {
  readonly instance: Instance;
  readonly turns: (LowestFirst | undefined)[];
  /** Whose turn it is. */
  next: number;
};

/** A search about to begin. */
export function startExactly(instance: Instance): ExactSearch {
  return { instance, turns: preorders.map(() => undefined), next: 0 };
}

/** Goes on for `budget` more units of work; the answer has this call's work, and offsets in the problem's unit. */
export function continueExactly(search: ExactSearch, budget: number): ExactAnswer {
  const { instance, turns } = search;
  let work = 0;
  while (work < budget) {
    const index = search.next;
    const before = turns[index]?.at.work ?? 0;
    const own = turns[index] ?? startLowestFirst(instance, preorders[index] ?? preorders[0]);
    turns[index] = own;
    const status = advanceLowestFirst(own, Math.min(turn, budget - work));
    work += Math.max(1, own.at.work - before);
    if (status === "exhausted") return { kind: "impossible", work };
    if (status === "solved") {
      return { kind: "solved", offsets: Float64Array.from(own.packing.offset, (x) => x * instance.unit), work };
    }
    search.next = (index + 1) % preorders.length;
  }
  return { kind: "budget", work };
}
