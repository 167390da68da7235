// `lpuc alloc` without its command line: text of an allocation problem in; the allocated table, an answer for people and one for
// machines out. Pure; must not know files, streams, how options are spelt, or exit codes.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { checkAllocation, printAllocViolation } from "../../passes/alloc/check.ts";
import { checkChoices, printChoiceViolation } from "../../passes/alloc/choice-check.ts";
import type { ChoiceBuffer } from "../../passes/alloc/choice-problem.ts";
import { solveChoices } from "../../passes/alloc/choice-solve.ts";
import { minimisePeak } from "../../passes/alloc/minimise.ts";
import { solveAlloc } from "../../passes/alloc/solve.ts";
import { type AllocPlace, type AllocTable, type LineError, readAllocTable, writeAllocTable } from "./alloc-csv.ts";

export type AllocOptions = {
  /** Size of the address space; without one, the lowest peak is looked for. */
  readonly capacity?: number;
  /** Units of search work before the best found so far is given. */
  readonly budget?: number;
};

export type AllocAnswer =
  | {
      readonly ok: true;
      /** False where the buffers do not fit, or were not made to fit; `json` and `text` then say why. */
      readonly fits: boolean;
      /** The table with offsets; absent where there is no allocation within the capacity. */
      readonly csv?: string;
      readonly json: Readonly<Record<string, unknown>>;
      readonly text: string;
    }
  | { readonly ok: false; readonly errors: readonly LineError[] };

const SCHEMA = "lpuc.alloc/1";

/** Some ten seconds of search on today's machines. */
const defaultBudget = 2_500_000;

type Outcome = {
  readonly kind: "fits" | "infeasible" | "unknown";
  /** Absent where none were found that keep apart what must be. */
  readonly places: readonly AllocPlace[] | undefined;
  readonly peak: number;
  readonly lowerBound: number;
  readonly time: number;
  readonly live: readonly string[];
  readonly work: number;
  readonly why: string;
};

/** Refuses an answer that is wrong. */
function refuse(faults: readonly string[]): void {
  invariant(faults.length === 0, `allocation is wrong: ${faults.join("; ")}`);
}

function choiceOutcome(buffers: readonly ChoiceBuffer[], { capacity, budget = defaultBudget }: AllocOptions): Outcome {
  const found = solveChoices({ buffers }, { budget, ...(capacity === undefined ? {} : { capacity }) });
  const { kind, by, places, peak, lowerBound: bound } = found;
  if (places !== undefined) refuse(checkChoices({ buffers, capacity: peak }, places).map(printChoiceViolation));
  const banks = bound.banks.length === 1 ? `bank ${bound.banks[0]}` : `${bound.banks.length} banks`;
  const reasons = {
    load: `buffers that are live together at time ${bound.time} need ${bound.peak} in the fullest of ${banks}`,
    apart: "there are not enough banks for what must be apart",
    search: "every choice of banks and every way of stacking the buffers was ruled out",
  };
  const isOptimal = capacity === undefined && peak === found.provedPeak;
  const outOfBudget =
    capacity === undefined ? "the search budget ran out" : "the search budget ran out before it was decided";
  const fitting = capacity !== undefined ? "" : isOptimal ? "no allocation has a lower peak" : outOfBudget;
  return {
    kind: kind === "found" ? "fits" : kind,
    places,
    peak,
    lowerBound: capacity === undefined ? found.provedPeak : bound.peak,
    time: bound.time,
    live: bound.buffers,
    work: found.work,
    why: kind === "found" ? fitting : by === undefined ? outOfBudget : reasons[by],
  };
}

function plainOutcome(buffers: AllocTable["buffers"], { capacity, budget = defaultBudget }: AllocOptions): Outcome {
  const found = outcomeOf(buffers, capacity, budget);
  const offsets = (found.places ?? []).map(({ offset }) => offset);
  refuse(checkAllocation({ buffers, capacity: found.peak }, offsets).map(printAllocViolation));
  return found;
}

const placesOf = (offsets: readonly number[]): AllocPlace[] => offsets.map((offset) => ({ offset }));

function outcomeOf(buffers: AllocTable["buffers"], capacity: number | undefined, budget: number): Outcome {
  if (capacity === undefined) {
    const found = minimisePeak({ buffers }, { budget });
    const { time, buffers: live } = found.lowerBound;
    const why = found.gap === 0 ? "no allocation has a lower peak" : "the search budget ran out";
    return { ...found, places: placesOf(found.offsets), kind: "fits", lowerBound: found.provedPeak, time, live, why };
  }
  const found = solveAlloc({ buffers, capacity }, { budget });
  const { peak: bound, time, buffers: live } = found.lowerBound;
  const common = { ...found, places: placesOf(found.offsets), lowerBound: bound, time, live };
  switch (found.kind) {
    case "fits":
      return { ...common, why: "" };
    case "infeasible": {
      const clique = `buffers that are live together at time ${time} need ${bound}`;
      return { ...common, why: found.by === "clique" ? clique : "every way of stacking the buffers was ruled out" };
    }
    case "unknown":
      return { ...common, why: "the search budget ran out before it was decided" };
  }
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? "0 %" : `${((100 * part) / whole).toFixed(2)} %`;

function textOf(table: AllocTable, options: AllocOptions, outcome: Outcome): string {
  const { kind, peak, lowerBound, live, why } = outcome;
  const capacity = options.capacity === undefined ? "" : `, capacity ${options.capacity}`;
  const named = live.slice(0, 5).join(", ") + (live.length > 5 ? ` and ${live.length - 5} more` : "");
  const gap = Number.isFinite(peak) ? `, gap ${percent(peak - lowerBound, lowerBound)}` : "";
  const lines = [
    `${table.buffers.length} buffers${capacity}`,
    kind === "fits" ? "fits" : kind === "infeasible" ? `does not fit: ${why}` : `not decided: ${why}`,
    `${kind === "fits" ? "peak" : "best peak found"} ${Number.isFinite(peak) ? peak : "none"}, lower bound ${lowerBound}${gap}`,
  ];
  if (live.length > 0) lines.push(`most is live at time ${outcome.time}: ${named}`);
  if (kind === "fits" && why !== "") lines.push(why);
  return `${[...lines, ...table.notes.map((note) => `note: ${note}`)].join("\n")}\n`;
}

const banksById = (buffers: AllocTable["buffers"], places: readonly AllocPlace[]) =>
  Object.fromEntries(buffers.map(({ id }, index) => [id, places[index]?.banks ?? []]));

/** Reads a problem, solves it and checks the answer. */
export function runAlloc(text: string, options: AllocOptions = {}): AllocAnswer {
  const { capacity, budget = defaultBudget } = options;
  if (capacity !== undefined && (!Number.isSafeInteger(capacity) || capacity < 0)) {
    return { ok: false, errors: [{ line: 0, message: `capacity ${capacity} is not a non-negative integer` }] };
  }
  if (!Number.isSafeInteger(budget) || budget < 0) {
    return { ok: false, errors: [{ line: 0, message: `budget ${budget} is not a non-negative integer` }] };
  }
  const table = readAllocTable(text);
  if (!table.ok) return { ok: false, errors: table.errors };
  const { choosing, buffers } = table;
  const outcome = choosing === undefined ? plainOutcome(buffers, options) : choiceOutcome(choosing, options);
  const { kind, places = [], peak, lowerBound, work, time, live, why } = outcome;
  const fits = kind === "fits";
  return {
    ok: true,
    fits,
    ...(fits ? { csv: writeAllocTable(table, places) } : {}),
    json: {
      schema: SCHEMA,
      buffers: table.buffers.length,
      capacity: capacity ?? null,
      result: kind,
      peak: Number.isFinite(peak) ? peak : null,
      lowerBound,
      gap: !Number.isFinite(peak) ? null : lowerBound === 0 ? 0 : peak / lowerBound - 1,
      reason: why === "" ? null : why,
      mostLive: { time, buffers: live },
      offsets: fits ? Object.fromEntries(buffers.map(({ id }, index) => [id, places[index]?.offset ?? 0])) : null,
      ...(choosing === undefined ? {} : { banks: fits ? banksById(buffers, places) : null }),
      work,
      notes: table.notes,
    },
    text: textOf(table, options, outcome),
  };
}
