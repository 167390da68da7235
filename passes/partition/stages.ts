// All the stages that may start at a layer, with what they ask of their chips. Must not know which of them are chosen.
import { insideLoad, stageLoad } from "./describe.ts";
import type { ChainProblem } from "./problem.ts";

export type Stage = {
  readonly end: number;
  readonly variant: number;
  readonly degree: number;
  readonly load: number;
  readonly latency: number;
  /** The parts of the load: what links at either border, and what the chips and the links between them take. */
  readonly incoming: number;
  readonly inside: number;
  readonly outgoing: number;
};

export type Work = { units: number };

export const NO_LIMIT = Number.POSITIVE_INFINITY;

/**
 * Visits all stages that start at `first`, fit their chips and stay within `limit`, if the links at their borders are the usual
 * ones. Returns a number above `limit` that
 * no excluded stage is below, so that nothing changes for limits between the two.
 */
export function eachStage(
  problem: ChainProblem,
  first: number,
  limit: number,
  work: Work,
  visit: (stage: Stage) => void,
): number {
  const { layers, degrees, capacityBytes, chips } = problem;
  const cuts = new Set(problem.cutAfter);
  let excluded = NO_LIMIT;
  for (let d = 0; d < degrees.length; d++) {
    const degree = degrees[d] ?? 1;
    if (degree > chips) break;
    const incoming = first === 0 ? 0 : (layers[first]?.costs[d]?.receiveBusyCycles ?? 0);
    let compute = 0;
    let collective = 0;
    let held = 0;
    let peak = 0;
    for (let j = first; j < layers.length; j++) {
      const cost = layers[j]?.costs[d];
      if (cost === undefined) break;
      work.units++;
      compute += cost.computeCycles;
      collective += cost.collectiveCycles;
      held += cost.weightBytes + cost.stateBytes;
      peak = Math.max(peak, cost.activationBytes);
      if (held + peak > capacityBytes) break;
      const inside = insideLoad(problem.transfer, compute, collective);
      if (inside > limit) {
        excluded = Math.min(excluded, inside);
        break;
      }
      const isLast = j + 1 === layers.length;
      const outgoing = isLast ? 0 : cost.sendBusyCycles;
      const load = stageLoad(problem.transfer, incoming, inside, outgoing);
      if (load > limit) excluded = Math.min(excluded, load);
      else {
        const latency = compute + collective + (isLast ? 0 : cost.sendLatencyCycles);
        visit({ end: j + 1, variant: d, degree, load, latency, incoming, inside, outgoing });
      }
      if (cuts.has(j)) break;
    }
  }
  return excluded;
}
