// What a number of steps asks of the rounds of each step: through every cut, what must get in can do so only so soon and no later than its way on
// allows. Lower bounds only; knows nothing of trees.
import { cutCapacity } from "./collective-bound.ts";
import { cuts } from "./collective-cuts.ts";
import type { CollectiveProblem } from "./collective-problem.ts";

/** All cuts are looked at up to so many ranks. */
const mostRanks = 8;
/** Beyond this many ranks nothing is looked at. */
const mostRanksAtAll = 64;

/** needs[x * steps + y]: rounds a chunk that steps x..y must have together. */
export function windowNeeds(problem: CollectiveProblem, hops: Float64Array, steps: number): Float64Array {
  const needs = new Float64Array(steps * steps);
  if (problem.ranks > mostRanksAtAll) return needs;
  for (const inside of cuts(problem, hops, mostRanks)) {
    const capacity = cutCapacity(problem, inside);
    if (capacity === 0) continue;
    const demands = windowDemands(problem, hops, steps, inside);
    // Demands of all windows inside a window, by sums over rows, then columns.
    for (let x = steps - 1; x >= 0; x--) {
      for (let y = x; y < steps; y++) {
        const at = x * steps + y;
        const narrower = y > x ? (demands[at - 1] ?? 0) : 0;
        const later = x < y ? (demands[at + steps] ?? 0) : 0;
        const both = x + 1 < y ? (demands[at + steps - 1] ?? 0) : 0;
        demands[at] = (demands[at] ?? 0) + narrower + later - both;
        needs[at] = Math.max(needs[at] ?? 0, (demands[at] ?? 0) / capacity);
      }
    }
  }
  return needs;
}

/** demands[x * steps + y]: blocks that must enter the cut not before step x and not after step y. */
function windowDemands(
  problem: CollectiveProblem,
  hops: Float64Array,
  steps: number,
  inside: Uint8Array,
): Float64Array {
  const { ranks, links, blocks } = problem;
  const crossing = links.filter(({ from, to }) => inside[from] === 0 && inside[to] === 1);
  const tails = [...new Set(crossing.map(({ from }) => from))];
  const heads = [...new Set(crossing.map(({ to }) => to))];
  const onward = Array.from({ length: ranks }, (_, to) =>
    Math.min(...heads.map((head) => hops[head * ranks + to] ?? 0)),
  );
  const arrival = Array.from({ length: ranks }, (_, from) =>
    Math.min(...tails.map((tail) => hops[from * ranks + tail] ?? 0)),
  );
  const demands = new Float64Array(steps * steps);
  for (const { sources, destinations } of blocks) {
    if (sources.some((rank) => inside[rank] === 1)) continue;
    let farthest = -1;
    for (const rank of destinations) if (inside[rank] === 1) farthest = Math.max(farthest, onward[rank] ?? 0);
    if (farthest < 0) continue;
    const first = Math.min(...sources.map((rank) => arrival[rank] ?? 0));
    const last = steps - 1 - farthest;
    if (first <= last) demands[first * steps + last] = (demands[first * steps + last] ?? 0) + 1;
  }
  return demands;
}
