// Which number of chips shares every layer, where the user leaves it open: the partition solver says what each would give, and the best is compiled.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Compiled } from "./compile.ts";
import type { Prediction } from "./predict.ts";
import { isStopped, stopped } from "./stopped.ts";

/** Numbers of chips that `--parallel tensor` tries where none is given, and the most that `auto` tries. */
export const groupSizes: readonly number[] = [2, 4, 8, 16, 32, 64];
const mostChips = 64;

/** Not where the compilation was ended on the way, which is a failure without diagnostics. */
const isTooSmall = (result: Result<Compiled>): boolean =>
  !result.ok &&
  result.diagnostics.length > 0 &&
  result.diagnostics.every(({ code }) => code === "LPU4001" || code === "LPU4002");

/** The first that is not too small. Other failures end the search, and where smaller ones were too small, that is what there is to say. */
export function firstThatHolds(candidates: readonly (() => Result<Compiled>)[]): Result<Compiled> {
  let last: Result<Compiled> | undefined;
  for (const candidate of candidates) {
    const result = candidate();
    if (!isTooSmall(result)) return result.ok || last === undefined || result.diagnostics.length === 0 ? result : last;
    last = result;
  }
  return last ?? fail(diagnostic("LPU4002", "there are no chips"));
}

export interface Groups {
  /** What groups of `ways` chips would give; `none` where they do not hold the model. */
  readonly predict: (ways: number, chips: number) => Prediction | "none" | "stopped";
  /** `explains`: whether a failure is to be told in full. */
  readonly compile: (ways: number, chips: number, explains: boolean) => Result<Compiled>;
}

/** The fewest chips that hold the model in some way, and the fastest way to use them. */
export function fastest(chips: number | "auto", groups: Groups): Result<Compiled> {
  const counts = chips === "auto" ? Array.from({ length: mostChips }, (_, i) => i + 1) : [chips];
  for (const count of counts) {
    const result = fastestOf(count, groups);
    if (result !== undefined) return result;
  }
  return failureOf(counts.at(-1) ?? 1, groups);
}

/** What the last block's results take to be written differs by less between groups of different sizes. */
const endSlack = 64;

/** Group sizes that leave no chip idle, and powers of two: chips that are left over are no loss where layers cannot be cut for all. */
const sizesFor = (chips: number): readonly number[] =>
  Array.from({ length: chips }, (_, i) => i + 1).filter((ways) => chips % ways === 0 || (ways & (ways - 1)) === 0);

/** Of all ways to split the chips into groups the one of least latency, then interval; of equal ones that with the smallest groups. */
function fastestOf(chips: number, groups: Groups): Result<Compiled> | undefined {
  const found: { readonly ways: number; readonly prediction: Prediction }[] = [];
  for (const ways of sizesFor(chips)) {
    const prediction = groups.predict(ways, chips);
    if (prediction === "stopped") return stopped;
    if (prediction !== "none") found.push({ ways, prediction });
  }
  found.sort(
    ({ prediction: a }, { prediction: b }) => a.latencyCycles - b.latencyCycles || a.intervalCycles - b.intervalCycles,
  );
  let best: Compiled | undefined;
  for (const { ways, prediction } of found) {
    if (best !== undefined && prediction.latencyCycles > best.program.latencyCycles + endSlack) break;
    const result = groups.compile(ways, chips, false);
    if (isStopped(result)) return result;
    if (result.ok && (best === undefined || isBetter(result.value, best))) best = result.value;
  }
  return best === undefined ? undefined : ok(best);
}

function isBetter({ program: a }: Compiled, { program: b }: Compiled): boolean {
  const [shorter, sooner] = [
    a.latencyCycles - b.latencyCycles,
    a.initiationIntervalCycles - b.initiationIntervalCycles,
  ];
  return shorter < 0 || (shorter === 0 && sooner < 0);
}

/** Why nothing holds the model: of all failures the first that more chips would help. */
function failureOf(chips: number, { compile }: Groups): Result<Compiled> {
  let first: Result<Compiled> | undefined;
  for (const ways of sizesFor(chips)) {
    const result = compile(ways, chips, true);
    if (isStopped(result) || result.ok || isTooSmall(result)) return result;
    first ??= result;
  }
  return first ?? fail(diagnostic("LPU4002", "there are no chips"));
}
