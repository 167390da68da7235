// Lower bounds of a collective in cycles. From steps and rounds: distance or bandwidth. From the transfers in it: what a chip must send to others, and how
// far it is to them, whatever is summed on the way, distance and bandwidth together. Knows the task only.
import { routeBounds } from "./bound.ts";
import { collectiveBounds } from "./collective-bound.ts";
import { type CollectiveProblem, collectiveBlocks, isCombiningKind } from "./collective-problem.ts";
import type { CollectiveTask } from "./collective-timing.ts";
import type { RouteProblem, RouteTransfer } from "./problem.ts";
import { distancesTo, makeNet } from "./search.ts";

const transferOf = (source: number, destinations: readonly number[], vectors: number): RouteTransfer => ({
  name: "part",
  source,
  destinations: destinations.filter((chip) => chip !== source),
  vectors,
  earliest: 0,
  readyEvery: 0,
  latest: undefined,
});

/**
 * Sets of transfers that each take as long as the collective at least. Sums may merge what different chips send, so that with sums a set has what
 * one chip sends: its part of every vector has to leave it and, alone or in a sum, reach everybody who wants it.
 */
function transferSets({ kind, chips, root, vectors }: CollectiveTask): readonly (readonly RouteTransfer[])[] {
  const all = Array.from({ length: chips }, (_, chip) => chip);
  const share = (block: number): number =>
    Math.floor(((block + 1) * vectors) / chips) - Math.floor((block * vectors) / chips);
  switch (kind) {
    case "all-reduce":
      return all.map((chip) => [transferOf(chip, all, vectors)]);
    case "reduce":
      return all.map((chip) => [transferOf(chip, [root], vectors)]);
    case "reduce-scatter":
      return all.map((chip) => all.map((to) => transferOf(chip, [to], share(to))));
    default:
      return [
        collectiveBlocks(kind, chips, root).flatMap(({ sources, destinations }) =>
          sources.map((source) => transferOf(source, destinations, vectors)),
        ),
      ];
  }
}

/**
 * A vector that is summed alone is added to another on its way; of many the last may be a whole sum already when it arrives.
 */
export function leastByTransfers(task: CollectiveTask): number {
  const alone = isCombiningKind(task.kind) && task.vectors > 0 ? leastToMove({ ...task, vectors: 1 }) : 0;
  return Math.max(leastToMove(task), alone === 0 ? 0 : alone + task.addCycles);
}

function leastToMove(task: CollectiveTask): number {
  const { chips, links, forwardCycles } = task;
  const problem: RouteProblem = {
    chips,
    links,
    transfers: [],
    forwarding: "cut-through",
    forwardCycles,
    bufferVectors: undefined,
    intervalCycles: undefined,
  };
  const net = makeNet(problem);
  let least = 0;
  for (const set of transferSets(task)) {
    const transfers = set.filter(({ destinations, vectors }) => destinations.length > 0 && vectors > 0);
    if (transfers.length === 0) continue;
    const { completionCycles } = routeBounds({ ...problem, transfers }, (chip) => distancesTo(net, chip));
    least = Math.max(least, completionCycles);
  }
  return least;
}

/** Beyond this, rates of links of different speeds are rounded up. */
const mostRoundCycles = 100_000;

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

/** No schedule of this collective ends sooner, however the tensor is cut. */
export function leastByRounds({ links, forwardCycles, addCycles, kind, chips, root, vectors }: CollectiveTask): number {
  const periods = links.map(({ cyclesPerVector }) => cyclesPerVector);
  const slowest = periods.reduce((most, every) => Math.max(most, every), 1);
  // A round in which every link sends a whole number of vectors.
  const roundCycles = periods.reduce((all, every) => Math.min(mostRoundCycles, leastCommonMultiple(all, every)), 1);
  const whole: CollectiveProblem = {
    ranks: chips,
    links: links.map(({ from, to, cyclesPerVector }) => ({
      from,
      to,
      perRound: Math.ceil(roundCycles / cyclesPerVector),
    })),
    groups: [],
    blocks: collectiveBlocks(kind, chips, root),
    isCombining: isCombiningKind(kind),
  };
  const { steps, roundsPerChunk } = collectiveBounds(whole);
  if (steps === 0 || vectors === 0) return 0;
  const latency = links.reduce((least, link) => Math.min(least, link.latency), Number.MAX_SAFE_INTEGER);
  const adding = whole.isCombining ? addCycles : 0;
  // Where chips get different parts, some get less than others.
  const perBlock =
    kind === "all-reduce" ? vectors / chips : kind === "reduce-scatter" ? Math.floor(vectors / chips) : vectors;
  const rounds = (roundsPerChunk.numerator / roundsPerChunk.denominator) * perBlock;
  // Every link has sent its first vector at once, so that one period of it is saved.
  const sending = Math.max(0, Math.ceil(rounds * roundCycles - slowest - 1e-6));
  const byBandwidth = perBlock === 0 ? 0 : latency + sending;
  return Math.max(byBandwidth, perBlock === 0 ? 0 : steps * latency + (steps - 1) * forwardCycles + adding);
}
