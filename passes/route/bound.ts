// Lower bounds of a transfer schedule that no routes beat: each transfer alone, what must leave or enter each chip, and all work over all links.
// Knows the problem only.
import type { RouteBounds, RouteProblem, RouteTransfer } from "./problem.ts";

/** Fewest cycles from the first to the last sending of so many vectors over links of these periods. */
function spanOver(periods: readonly number[], vectors: number): number {
  const sendable = (span: number): number => periods.reduce((sum, every) => sum + Math.floor(span / every) + 1, 0);
  if (periods.length === 0) return Number.POSITIVE_INFINITY;
  let low = 0;
  let high = vectors * Math.min(...periods);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (sendable(middle) >= vectors) high = middle;
    else low = middle + 1;
  }
  return low;
}

type Side = {
  /** Periods of the links of each chip on this side. */
  readonly periods: readonly (readonly number[])[];
  /** By chip: when the transfer can begin to cross this side, vectors, cycles still to go after it, and when it should be there. */
  readonly crossings: readonly {
    readonly from: number;
    readonly vectors: number;
    readonly after: number;
    readonly latest: number;
  }[][];
};

/** `distanceTo(destination)[chip]`: least cycles of one vector, as the search has them. */
export function routeBounds(problem: RouteProblem, distanceTo: (destination: number) => Float64Array): RouteBounds {
  const { chips, links, transfers } = problem;
  const lists = (): number[][] => Array.from({ length: chips }, () => []);
  const [out, into] = [lists(), lists()];
  for (const { from, to, cyclesPerVector } of links) {
    out[from]?.push(cyclesPerVector);
    into[to]?.push(cyclesPerVector);
  }
  const leaving: Side = { periods: out, crossings: Array.from({ length: chips }, () => []) };
  const entering: Side = { periods: into, crossings: Array.from({ length: chips }, () => []) };
  const best = { latenessCycles: 0, completionCycles: 0, reason: "nothing to do", intervalCycles: 0 };
  const claim = (cycles: number, reason: string): void => {
    if (cycles > best.completionCycles) Object.assign(best, { completionCycles: cycles, reason });
  };
  transfers.forEach((transfer, t) => {
    const alone = aloneBound(transfer, leaving, entering, distanceTo);
    claim(alone, `transfer ${t} alone`);
    if (transfer.latest !== undefined) best.latenessCycles = Math.max(best.latenessCycles, alone - transfer.latest);
  });
  for (const [side, verb] of [
    [leaving, "leaves"],
    [entering, "enters"],
  ] as const)
    side.crossings.forEach((crossings, chip) => {
      const periods = side.periods[chip] ?? [];
      claim(crowdBound(crossings, periods), `what ${verb} chip ${chip}`);
      best.latenessCycles = Math.max(best.latenessCycles, crowdLateness(crossings, periods));
      const vectors = crossings.reduce((sum, crossing) => sum + crossing.vectors, 0);
      if (vectors > 0) best.intervalCycles = Math.max(best.intervalCycles, Math.ceil(vectors / rateOf(periods) - 1e-9));
    });
  const vectorHops = leastVectorHops(problem, distanceTo);
  const periods = links.map(({ cyclesPerVector }) => cyclesPerVector);
  if (vectorHops > 0) {
    best.intervalCycles = Math.max(best.intervalCycles, Math.ceil(vectorHops / rateOf(periods) - 1e-9));
    const earliest = transfers.reduce((least, transfer) => Math.min(least, transfer.earliest), Number.MAX_SAFE_INTEGER);
    const latency = links.reduce((least, link) => Math.min(least, link.latency), Number.MAX_SAFE_INTEGER);
    claim(earliest + spanOver(periods, vectorHops) + latency, "all sends over all links");
  }
  return best;
}

function rateOf(periods: readonly number[]): number {
  return periods.reduce((sum, every) => sum + 1 / every, 0);
}

/** Also notes the transfer at the sides it must cross. */
function aloneBound(
  transfer: RouteTransfer,
  leaving: Side,
  entering: Side,
  distanceTo: (destination: number) => Float64Array,
): number {
  const { source, destinations, vectors, earliest, readyEvery } = transfer;
  const latest = transfer.latest ?? Number.POSITIVE_INFINITY;
  let worst = 0;
  let nearest = Number.POSITIVE_INFINITY;
  for (const destination of destinations) {
    const distance = distanceTo(destination)[source] ?? Number.POSITIVE_INFINITY;
    nearest = Math.min(nearest, distance);
    const spread = Math.max(
      spanOver(leaving.periods[source] ?? [], vectors),
      spanOver(entering.periods[destination] ?? [], vectors),
      (vectors - 1) * readyEvery,
    );
    worst = Math.max(worst, earliest + distance + spread);
    entering.crossings[destination]?.push({ from: earliest + distance, vectors, after: 0, latest });
  }
  leaving.crossings[source]?.push({ from: earliest, vectors, after: nearest, latest });
  return worst;
}

/** For every time: all that can cross only from then on, one after the other over all links of the side. */
function crowdBound(crossings: Side["crossings"][number], periods: readonly number[]): number {
  const sorted = [...crossings].sort((a, b) => b.from - a.from);
  let bound = 0;
  let vectors = 0;
  let after = Number.POSITIVE_INFINITY;
  for (const crossing of sorted) {
    vectors += crossing.vectors;
    after = Math.min(after, crossing.after);
    bound = Math.max(bound, crossing.from + spanOver(periods, vectors) + after);
  }
  return bound;
}

/** The same for all that should be there by a time. */
function crowdLateness(crossings: Side["crossings"][number], periods: readonly number[]): number {
  const sorted = crossings.filter(({ latest }) => Number.isFinite(latest)).sort((a, b) => a.latest - b.latest);
  let lateness = 0;
  let vectors = 0;
  let from = Number.POSITIVE_INFINITY;
  let after = Number.POSITIVE_INFINITY;
  for (const crossing of sorted) {
    vectors += crossing.vectors;
    from = Math.min(from, crossing.from);
    after = Math.min(after, crossing.after);
    lateness = Math.max(lateness, from + spanOver(periods, vectors) + after - crossing.latest);
  }
  return lateness;
}

/** Sends of single vectors over single links, if everything went the shortest way. */
function leastVectorHops(problem: RouteProblem, distanceTo: (destination: number) => Float64Array): number {
  const { links, transfers, forwardCycles } = problem;
  const longest = links.reduce((most, { latency }) => Math.max(most, latency), 1) + forwardCycles;
  let vectorHops = 0;
  for (const { source, destinations, vectors } of transfers) {
    let hops = destinations.length;
    for (const destination of destinations) {
      const distance = (distanceTo(destination)[source] ?? 0) + forwardCycles;
      if (Number.isFinite(distance)) hops = Math.max(hops, Math.ceil(distance / longest - 1e-9));
    }
    vectorHops += vectors * hops;
  }
  return vectorHops;
}
