// Banks and offsets for buffers that may choose: fits a capacity, or has the lowest peak that a budget finds. An assignment that is even is packed
// first; then all assignments are gone through whose loads allow the goal, which proves that there is none when they run out.
import { type ChoiceBound, choiceBoundOf } from "./choice-bound.ts";
import { evenOut } from "./choice-improve.ts";
import { type Assignment, type ChoiceModel, choiceModelOf } from "./choice-model.ts";
import { type Packed, packBanks } from "./choice-pack.ts";
import type { ChoicePlace, ChoiceProblem } from "./choice-problem.ts";
import { type ChoiceOrder, nextChoices, startChoices } from "./choice-search.ts";
import { listPerWork } from "./lowest-first.ts";

export type ChoiceResult = {
  /** "found": with a capacity, it is kept. */
  readonly kind: "found" | "infeasible" | "unknown";
  /** Why nothing fits: what is live needs more, what must be apart cannot be, or every way was ruled out. */
  readonly by?: "load" | "apart" | "search";
  /** In the order of the buffers; absent where none were found that keep apart what must be. */
  readonly places: readonly ChoicePlace[] | undefined;
  /** Of the fullest bank; infinite without places. */
  readonly peak: number;
  readonly lowerBound: ChoiceBound;
  /** No solution has a lower peak. */
  readonly provedPeak: number;
  readonly work: number;
};

/** Work of the first attempt, which does not depend on the capacity: what it finds for one is found for all larger ones. */
const firstPacking = 20_000;
const firstEvening = 20_000;
/** Work for one assignment of a search. */
const onePacking = 20_000;

type Best = { assignment: Assignment | undefined; packed: Packed | undefined; work: number };

type Outcome = "found" | "impossible" | "budget";

function keep(best: Best, assignment: Assignment, packed: Packed): void {
  best.work += packed.work;
  if (packed.peak >= (best.packed?.peak ?? Number.POSITIVE_INFINITY)) return;
  best.assignment = assignment;
  best.packed = packed;
}

/** Goes through the assignments whose loads are within `goal`, until one can be packed. */
function searchGoal(model: ChoiceModel, best: Best, goal: number, order: ChoiceOrder, budget: number): Outcome {
  const search = startChoices(model, goal, order);
  const end = best.work + budget;
  // Joined sections hold more than is live: what their loads rule out may fit all the same.
  let isProof = model.isExact;
  while (best.work < end) {
    const before = search.at.work;
    const step = nextChoices(search, end - best.work);
    best.work += Math.max(1, search.at.work - before);
    if (step.kind === "exhausted") return isProof ? "impossible" : "budget";
    if (step.kind === "budget") return "budget";
    const packed = packBanks(model, step.assignment, goal, Math.min(onePacking, end - best.work));
    keep(best, step.assignment, packed);
    if (packed.peak <= goal) return "found";
    if (!packed.isImpossible) isProof = false;
  }
  return "budget";
}

function resultOf(
  model: ChoiceModel,
  best: Best,
  rest: Pick<ChoiceResult, "kind" | "by" | "lowerBound" | "provedPeak">,
) {
  const { assignment, packed, work } = best;
  const places = model.source.map((): ChoicePlace => ({ banks: [], offset: 0 }));
  model.source.forEach((index, b) => {
    const banks = (model.choices[b]?.[assignment?.[b] ?? 0] ?? []).map((bank) => model.banks[bank] ?? "");
    places[index] = { banks, offset: packed?.offsets[b] ?? 0 };
  });
  const peak = packed?.peak ?? Number.POSITIVE_INFINITY;
  return { ...rest, places: packed === undefined ? undefined : places, peak, work };
}

/** A first assignment, made even and packed; "impossible" where what must be apart cannot be. */
function firstAttempt(model: ChoiceModel, target: number, best: Best, budget: number): Outcome {
  const search = startChoices(model, Number.POSITIVE_INFINITY, "emptiest");
  // However small the budget: enough to go down without turning back often.
  const { length } = model.buffers;
  const step = nextChoices(search, Math.max(budget, 8 * length * (1 + length / listPerWork)));
  best.work += search.at.work;
  if (step.kind !== "assigned") return step.kind === "exhausted" ? "impossible" : "budget";
  const even = evenOut(model, step.assignment, target, firstEvening);
  best.work += even.work;
  keep(best, even.assignment, packBanks(model, even.assignment, undefined, firstPacking));
  return "found";
}

/** With a capacity of `undefined`, the lowest peak is looked for. The budget is in units of search work. */
export function solveChoices(
  { buffers }: Pick<ChoiceProblem, "buffers">,
  { capacity, budget }: { readonly capacity?: number; readonly budget: number },
): ChoiceResult {
  const model = choiceModelOf(buffers);
  const lowerBound = choiceBoundOf(model);
  const best: Best = { assignment: undefined, packed: undefined, work: 0 };
  const peak = (): number => best.packed?.peak ?? Number.POSITIVE_INFINITY;
  let proved = lowerBound.peak;
  const result = (kind: ChoiceResult["kind"], by?: ChoiceResult["by"]): ChoiceResult =>
    resultOf(model, best, { kind, lowerBound, provedPeak: proved, ...(by === undefined ? {} : { by }) });
  const first = firstAttempt(model, proved, best, budget);
  if (first === "impossible") return result("infeasible", "apart");
  if (first === "budget") return result("unknown");
  if (capacity !== undefined && proved > capacity) return result("infeasible", "load");
  // Nothing at or below this was found with the share of the budget it had.
  let tried = proved - 1;
  while (peak() > (capacity ?? proved) && best.work < budget) {
    const goal = capacity ?? (tried < proved ? proved : tried + Math.floor((peak() - tried) / 2));
    let outcome: Outcome = "budget";
    for (const order of ["fullest", "emptiest"] as const) {
      const share = Math.ceil((budget - best.work) / (capacity === undefined ? 6 : 2));
      if (outcome === "budget") outcome = searchGoal(model, best, goal, order, share);
    }
    if (outcome === "impossible") proved = Math.max(proved, goal + 1);
    if (capacity !== undefined) {
      if (outcome === "impossible") return result("infeasible", "search");
      break;
    }
    if (outcome !== "found") tried = goal;
    if (peak() - tried <= 1) break;
  }
  return result(capacity === undefined || peak() <= capacity ? "found" : "unknown");
}
