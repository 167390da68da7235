// The program of a model, for one inference and for many that follow one another: first as fast as one goes by itself; then, where chips wait for each
// other's transfers, with transfers and memory planned for inferences as close as the busiest stage allows. The better of both is taken.
import type { Result } from "../../ir/diag/diagnostic.ts";
import { memoryGap } from "../../ir/machine/memory-fill.ts";
import { type Assembled, type AssemblyInput, type AssemblyOptions, assembleOn } from "./assemble.ts";
import { borderOrdinals } from "./classes.ts";
import { type Ordinals, planFlow, planTimeline, type SystemTimeline, type TimelineInput } from "./timeline.ts";

/** How often transfers that are not done in time are given more. */
const MORE_WAITS = 8;
/** Intervals that are tried, as shares of the way from the least that could be to the one that is known. */
const TRIED_INTERVALS = [0, 0.125, 0.3, 0.6] as const;
/** Vectors sent between the chips of a system for one inference, up to which it is worth the time to plan for several. */
const MOST_VECTORS = 100_000;

/** Cycles from the first block of each stage to its last, of the longest. */
function longestStage({ chipsOf }: TimelineInput, { blockStart, blockEnd }: SystemTimeline): number {
  const stages = new Map<number, { readonly from: number; until: number }>();
  chipsOf.forEach(([first = 0], i) => {
    const [from, until] = [blockStart[i] as number, blockEnd[i] as number];
    const known = stages.get(first);
    if (known === undefined) stages.set(first, { from, until });
    else known.until = until;
  });
  return Math.max(1, ...[...stages.values()].map(({ from, until }) => until - from));
}

/** A timeline for inferences `interval` apart, undefined where transfers find no time. */
function flowTimeline(
  input: TimelineInput,
  ordinals: Ordinals,
  plain: SystemTimeline,
  interval: number,
): SystemTimeline | undefined {
  let waits: readonly number[] = plain.traffic.map(({ waitCycles }) => waitCycles);
  for (let i = 0; i < MORE_WAITS; i++) {
    const found = planFlow(input, ordinals, { interval, waits });
    if (found.waits.every((wait, k) => wait === waits[k])) return found.timeline;
    waits = found.waits;
  }
  return undefined;
}

/** Share by which memory may be above the least it could be for the sake of a shorter interval. */
const MOST_GAP = 0.05;

/** What is lost is latency, of every inference: it counts twice, so the interval must shrink by twice the share by which the latency grows. */
const lossOf = (interval: number, latency: number): number => interval * latency * latency;

/** Assembles the model as `planTimeline` has it, or for inferences that follow one another where that is better on the whole. */
export function assembleProgram(input: AssemblyInput, options: AssemblyOptions): Result<Assembled> {
  const { sharded, chain } = input;
  const { graph, exchanges } = sharded;
  const ordinals = borderOrdinals(sharded, chain);
  const timed = { ...input, graph, exchanges };
  const plain = planTimeline(timed, ordinals);
  const alone = assembleOn(input, options, plain);
  const vectors = plain.traffic.reduce((sum, { transfers }) => sum + transfers.vectors, 0);
  if (!alone.ok || options.alone === true || vectors === 0 || vectors > MOST_VECTORS) return alone;
  const { program } = alone.value;
  const known = program.initiationIntervalCycles;
  const asked = options.inFlight === undefined ? 1 : Math.ceil(program.latencyCycles / options.inFlight);
  const least = Math.max(asked, longestStage(timed, plain));
  let best = alone.value;
  let loss = lossOf(known, program.latencyCycles);
  for (const share of TRIED_INTERVALS) {
    const interval = Math.ceil(least + share * (known - least));
    if (interval >= known) break;
    const timeline = flowTimeline(timed, ordinals, plain, interval);
    if (timeline === undefined || lossOf(interval, Math.max(...timeline.blockEnd)) >= loss) continue;
    const together = assembleOn(input, options, timeline, interval);
    if (!together.ok) continue;
    const found = together.value.program;
    const foundLoss = lossOf(found.initiationIntervalCycles, found.latencyCycles);
    if (foundLoss >= loss || memoryGap(found) > Math.max(MOST_GAP, memoryGap(program))) continue;
    best = together.value;
    loss = foundLoss;
  }
  return { ok: true, value: best };
}
