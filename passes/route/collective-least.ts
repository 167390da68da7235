// A lower bound of a collective in cycles from the transfers in it: what a chip must send to others, and how far it is to them, whatever is summed on
// the way. Distance and bandwidth together, where the bounds of steps and rounds have one or the other. Knows the task only.
import { routeBounds } from "./bound.ts";
import { collectiveBlocks, isCombiningKind } from "./collective-problem.ts";
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

export function leastByTransfers(task: CollectiveTask): number {
  const { chips, links, forwardCycles, addCycles, kind } = task;
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
    least = Math.max(least, completionCycles + (isCombiningKind(kind) ? addCycles : 0));
  }
  return least;
}
