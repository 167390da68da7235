// Decides whether one component fits a capacity: several exact searches that differ in what they try first take turns, none
// ever starting over, until one finds a solution or has seen everything. Knows nothing of whole problems.
import { hasNoSlack } from "./flush.ts";
import type { Amounts, Instance } from "./instance.ts";
import { advanceLowestFirst, type Preorder, type SearchStatus, startLowestFirst } from "./lowest-first.ts";
import { advanceTightestFirst, type FlushOrder, isSmallEnough, startTightestFirst } from "./tightest-first.ts";

/** No preorder is good everywhere; the first is good most often. */
const preorders: readonly Preorder[] = [
  ["pressure", "length", "area"],
  ["pressure", "area", "length"],
  ["length", "area", "pressure"],
];

/** Orders for instances without slack, which are searched in their own way besides. */
const flushOrders: readonly FlushOrder[] = ["length", "size", "area"];

/** A search under way: where it stands, and how it goes on. */
type Turn = {
  readonly packing: { readonly offset: Amounts };
  readonly at: { readonly work: number };
  readonly advance: (work: number) => SearchStatus;
};

type Start = (instance: Instance) => Turn;

const lowestFirstStarts = preorders.map(
  (preorder): Start =>
    (instance) => {
      const search = startLowestFirst(instance, preorder);
      return { ...search, advance: (work) => advanceLowestFirst(search, work) };
    },
);

const tightestFirstStarts = flushOrders.map(
  (order): Start =>
    (instance) => {
      const search = startTightestFirst(instance, order);
      return { ...search, advance: (work) => advanceTightestFirst(search, work) };
    },
);

/** Work of one turn: small beside what hard instances need, large beside the cost of changing over. */
const turn = 2_000;

export type ExactAnswer =
  | { readonly kind: "solved"; readonly offsets: Float64Array; readonly work: number }
  | { readonly kind: "impossible"; readonly work: number }
  | { readonly kind: "budget"; readonly work: number };

export type ExactSearch = {
  readonly instance: Instance;
  readonly starts: readonly Start[];
  readonly turns: (Turn | undefined)[];
  /** Whose turn it is. */
  next: number;
};

/** A search about to begin. */
export function startExactly(instance: Instance): ExactSearch {
  const isFlush = isSmallEnough(instance) && hasNoSlack(instance);
  const starts = isFlush ? [...tightestFirstStarts, ...lowestFirstStarts] : lowestFirstStarts;
  return { instance, starts, turns: starts.map(() => undefined), next: 0 };
}

/** Goes on for `budget` more units of work; the answer has this call's work, and offsets in the problem's unit. */
export function continueExactly(search: ExactSearch, budget: number): ExactAnswer {
  const { instance, starts, turns } = search;
  let work = 0;
  while (work < budget) {
    const index = search.next;
    const before = turns[index]?.at.work ?? 0;
    const own = turns[index] ?? starts[index]?.(instance);
    if (own === undefined) break;
    turns[index] = own;
    const status = own.advance(Math.min(turn, budget - work));
    work += Math.max(1, own.at.work - before);
    if (status === "exhausted") return { kind: "impossible", work };
    if (status === "solved") {
      return { kind: "solved", offsets: Float64Array.from(own.packing.offset, (x) => x * instance.unit), work };
    }
    search.next = (index + 1) % starts.length;
  }
  return { kind: "budget", work };
}
