// The initiation interval of a program that is scheduled and placed to the last instruction: nothing moves, one inference just follows another as soon
// as every resource of the system allows.
import type { Program } from "../../ir/machine/program.ts";
import { linkVectorPeriod } from "../../ir/target/geometry.ts";
import { type IntervalSolution, leastInterval } from "./least.ts";
import { addMatrixUses } from "./matrix.ts";
import { addUnitUses } from "./units.ts";
import { isFull, newCollector, type Use, usesOf } from "./uses.ts";
import { addWordUses } from "./words.ts";

/** Stretches of use that are looked at; of a program with more, a chip has one inference at a time. */
const MOST_STRETCHES = 2 ** 23;

type Scheduled = Omit<Program, "initiationIntervalCycles">;

/** What one inference needs of the system, undefined where that is too much to list. */
export function programUses(program: Program, most = MOST_STRETCHES): readonly Use[] | undefined {
  const collector = newCollector(most);
  for (let chip = 0; chip < program.chips.length && !isFull(collector); chip++) {
    const queues = program.chips[chip]?.queues ?? [];
    for (const { unit, instructions } of queues) addUnitUses(collector, program.target, chip, unit, instructions);
    addMatrixUses(collector, program.target, chip, queues);
    addWordUses(collector, program, chip);
  }
  return isFull(collector) ? undefined : usesOf(collector);
}

/** Cycles for which a unit may be taken after its last issue, when the chip is done with the inference. */
function lastHold({ target, chips }: Scheduled): number {
  const engine = Math.max(...Object.values(target.mxm.modes).map(({ vectorPeriod }) => vectorPeriod));
  return Math.max(engine, chips.length > 1 ? Math.ceil(linkVectorPeriod(target)) : 1) - 1;
}

/** `busiest`: cycles for which the busiest chip has one inference; at most `inFlight` are to be under way at once. */
export function intervalOf(
  program: Scheduled,
  busiest: number,
  inFlight: number | undefined,
): Pick<IntervalSolution, "interval" | "bound"> {
  const least = inFlight === undefined ? 1 : Math.ceil(program.latencyCycles / inFlight);
  const most = Math.max(busiest + lastHold(program), least, 1);
  const uses = programUses({ ...program, initiationIntervalCycles: most });
  return uses === undefined ? { interval: most, bound: least } : leastInterval({ uses, least, most });
}
