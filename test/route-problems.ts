// Small transfer problems for tests, with what a test does not say left plain.
import type { RouteLink, RouteProblem, RouteTransfer } from "../passes/route/problem.ts";

export function transfer(
  fields: Partial<RouteTransfer> & Pick<RouteTransfer, "source" | "destinations">,
): RouteTransfer {
  return { name: "t", vectors: 1, earliest: 0, readyEvery: 0, latest: undefined, ...fields };
}

export function routeProblem(fields: Partial<RouteProblem> & Pick<RouteProblem, "chips" | "links">): RouteProblem {
  return {
    transfers: [],
    forwarding: "cut-through",
    forwardCycles: 5,
    bufferVectors: undefined,
    intervalCycles: undefined,
    ...fields,
  };
}

/** Both directions of each pair. */
export function joined(
  pairs: readonly (readonly [number, number])[],
  cyclesPerVector: number,
  latency: number,
): RouteLink[] {
  return pairs.flatMap(([a, b]) => [
    { from: a, to: b, cyclesPerVector, latency },
    { from: b, to: a, cyclesPerVector, latency },
  ]);
}
