// Which number of chips shares every layer, where the user leaves it open: a few are compiled, and the best is taken.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, type Result } from "../../ir/diag/diagnostic.ts";
import type { Compiled } from "./compile.ts";

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

type Compile = (ways: number, chips: number) => Result<Compiled>;

/** The fewest chips that hold the model in some way, and the fastest way to use them. */
export function fastest(chips: number | "auto", compile: Compile): Result<Compiled> {
  const counts = chips === "auto" ? Array.from({ length: mostChips }, (_, i) => i + 1) : [chips];
  return firstThatHolds(counts.map((count) => () => fastestOf(count, compile)));
}

/** Latency, then interval; of failures those last that more chips would not help. */
function ranking(result: Result<Compiled>): readonly [number, number] {
  if (!result.ok) return [Number.POSITIVE_INFINITY, isTooSmall(result) ? 0 : 1];
  const { latencyCycles, initiationIntervalCycles } = result.value.program;
  return [latencyCycles, initiationIntervalCycles];
}

/** Of all ways to split the chips into groups the best, of equal ones that with the smallest groups. */
function fastestOf(chips: number, compile: Compile): Result<Compiled> {
  let best: Result<Compiled> | undefined;
  for (let ways = 1; ways <= chips; ways++) {
    if (chips % ways !== 0) continue;
    const result = compile(ways, chips);
    if (!result.ok && result.diagnostics.length === 0) return result;
    if (best === undefined) {
      best = result;
      continue;
    }
    const [[latency, interval], [least, leastInterval]] = [ranking(result), ranking(best)];
    if (latency < least || (latency === least && interval < leastInterval)) best = result;
  }
  return best ?? fail(diagnostic("LPU4002", "there are no chips"));
}
