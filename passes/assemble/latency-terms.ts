// What the latency of a program is made of: layers of equal cost, other blocks, transfers between chips, and the end of the last of them.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { LatencyTerm } from "../../ir/machine/program.ts";
import type { BlockChain } from "../blocks/blocks.ts";
import type { SystemTimeline } from "./timeline.ts";

/** Cycles for which the busiest chip has one inference. */
export const busiestCycles = ({ windows }: SystemTimeline): number =>
  Math.max(1, ...windows.map(({ start, end }) => Math.max(0, end - start)));

/** The latency of a timeline whose last block ends as another's did. */
export const latencyFromEnd = ({ blockEnd }: SystemTimeline, endCycles: number): number =>
  Math.max(0, ...blockEnd) + endCycles;

/** Equal terms are counted together, in the order in which the first of them runs. */
export function latencyTermsOf(chain: BlockChain, timeline: SystemTimeline, latencyCycles: number): LatencyTerm[] {
  const counts = new Map<string, { part: LatencyTerm["part"]; count: number; cycles: number }>();
  const add = (part: LatencyTerm["part"], cycles: number): void => {
    if (cycles === 0) return;
    const key = `${part} ${cycles}`;
    const term = counts.get(key);
    if (term === undefined) counts.set(key, { part, count: 1, cycles });
    else term.count++;
  };
  chain.blocks.forEach((block, i) => {
    const cycles = (timeline.blockEnd[i] as number) - (timeline.blockStart[i] as number);
    add(block.layer === undefined ? "block" : "layer", cycles);
  });
  for (const { waitCycles } of timeline.traffic) add("transfer", waitCycles);
  const terms = [...counts.values()];
  const end = Math.max(0, ...timeline.blockEnd);
  const sum = terms.reduce((total, term) => total + term.count * term.cycles, 0);
  invariant(sum === end, "blocks and transfers follow one another without gaps");
  return latencyCycles === end ? terms : [...terms, { part: "end", count: 1, cycles: latencyCycles - end }];
}
