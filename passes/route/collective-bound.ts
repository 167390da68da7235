// Lower bounds of a collective that no schedule beats: steps by distance, rounds a chunk by cuts of the topology and by the number of sends.
// Knows the problem only.
import { cuts } from "./collective-cuts.ts";
import type { CollectiveBounds, CollectiveProblem, Fraction } from "./collective-problem.ts";

/** All cuts are looked at up to so many ranks; beyond, only natural ones. */
const mostRanksForAllCuts = 12;
/** Up to so many, natural cuts are improved rank by rank. */
const mostRanksToMove = 64;

export function isLess(a: Fraction, b: Fraction): boolean {
  return a.numerator * b.denominator < b.numerator * a.denominator;
}

/** Least whole number of rounds for `chunks` chunks a block. */
export function leastRounds(perChunk: Fraction, chunks: number): number {
  return Math.ceil((perChunk.numerator * chunks) / perChunk.denominator - 1e-9);
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function reduced(numerator: number, denominator: number): Fraction {
  const divisor = greatestCommonDivisor(numerator, denominator) || 1;
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

/** hops[from * ranks + to]; infinite where there is no way. */
export function rankHops(problem: CollectiveProblem): Float64Array {
  const { ranks, links } = problem;
  const hops = new Float64Array(ranks * ranks).fill(Number.POSITIVE_INFINITY);
  const next: number[][] = Array.from({ length: ranks }, () => []);
  for (const { from, to } of links) next[from]?.push(to);
  for (let start = 0; start < ranks; start++) {
    hops[start * ranks + start] = 0;
    const queue = [start];
    for (const rank of queue) {
      for (const to of next[rank] ?? []) {
        if (hops[start * ranks + to] !== Number.POSITIVE_INFINITY) continue;
        hops[start * ranks + to] = (hops[start * ranks + rank] ?? 0) + 1;
        queue.push(to);
      }
    }
  }
  return hops;
}

/** Hops from the nearest source, or from the farthest where all are needed. */
export function sourceDistance(
  problem: CollectiveProblem,
  hops: Float64Array,
  sources: readonly number[],
  to: number,
): number {
  const distances = sources.map((from) => hops[from * problem.ranks + to] ?? Number.POSITIVE_INFINITY);
  return problem.isCombining ? Math.max(0, ...distances) : Math.min(...distances);
}

export function collectiveBounds(problem: CollectiveProblem): CollectiveBounds {
  const hops = rankHops(problem);
  let steps = 0;
  for (const { sources, destinations } of problem.blocks)
    for (const to of destinations) steps = Math.max(steps, sourceDistance(problem, hops, sources, to));
  let best = sendBound(problem, hops);
  let reason = "all sends over all links";
  let bestCut: Uint8Array | undefined;
  const improve = (inside: Uint8Array): boolean => {
    const { demand, capacity } = cutLoad(problem, inside);
    if (demand === 0 || capacity === 0) return false;
    const bound = reduced(demand, capacity);
    if (!isLess(best, bound)) return false;
    best = bound;
    bestCut = inside;
    reason = `${demand} blocks into ranks ${[...inside.keys()].filter((rank) => inside[rank] === 1).join(",")}, ${capacity} chunks a round`;
    return true;
  };
  for (const inside of cuts(problem, hops, mostRanksForAllCuts)) improve(inside);
  if (problem.ranks > mostRanksForAllCuts && problem.ranks <= mostRanksToMove) moveRanks(bestCut, improve);
  return { steps, roundsPerChunk: best, reason };
}

/** Moves single ranks to the other side of the best cut as long as that makes it better. */
function moveRanks(start: Uint8Array | undefined, improve: (inside: Uint8Array) => boolean): void {
  let here = start;
  for (let pass = 0; pass < 4 && here !== undefined; pass++) {
    let better: Uint8Array | undefined;
    for (let rank = 0; rank < here.length; rank++) {
      const moved = Uint8Array.from(better ?? here);
      moved[rank] = 1 - (moved[rank] as number);
      if (improve(moved)) better = moved;
    }
    here = better;
  }
}

function cutLoad(
  problem: CollectiveProblem,
  inside: Uint8Array,
): { readonly demand: number; readonly capacity: number } {
  const isIn = (rank: number): boolean => inside[rank] === 1;
  let demand = 0;
  for (const { sources, destinations } of problem.blocks) {
    const mustEnter = problem.isCombining ? sources.some((rank) => !isIn(rank)) : !sources.some(isIn);
    if (mustEnter && destinations.some(isIn)) demand++;
  }
  return { demand, capacity: cutCapacity(problem, inside) };
}

/** Chunks a round into the ranks of the set. */
export function cutCapacity(problem: CollectiveProblem, inside: Uint8Array): number {
  return crossingCapacity(problem, (link) => inside[link.from] === 0 && inside[link.to] === 1);
}

/**
 * Chunks a round over the chosen links, at most. A link counts with one of the groups it is in, or by itself: groups that limit most are taken first, as
 * long as they limit anything.
 */
export function crossingCapacity(
  problem: CollectiveProblem,
  crosses: (link: CollectiveProblem["links"][number]) => boolean,
): number {
  const { links, groups } = problem;
  const left = new Set<number>();
  links.forEach((link, index) => {
    if (crosses(link)) left.add(index);
  });
  const rest = groups.map(({ links: members, perRound }) => ({
    members: [...new Set(members)].filter((link) => left.has(link)),
    perRound,
  }));
  const whole = shareOfGroups(problem, left);
  let capacity = 0;
  for (;;) {
    let best: (typeof rest)[number] | undefined;
    let least = 1;
    for (const group of rest) {
      const sum = group.members.reduce((total, link) => total + (left.has(link) ? (links[link]?.perRound ?? 0) : 0), 0);
      if (sum === 0 || group.perRound / sum >= least) continue;
      least = group.perRound / sum;
      best = group;
    }
    if (best === undefined) break;
    capacity += best.perRound;
    for (const link of best.members) left.delete(link);
  }
  for (const link of left) capacity += links[link]?.perRound ?? 0;
  return Math.min(capacity, whole);
}

/** Where every link is in several groups, what all groups move together counts every chunk so many times. */
function shareOfGroups({ links, groups }: CollectiveProblem, chosen: ReadonlySet<number>): number {
  const counts = new Map<number, number>();
  let moved = 0;
  for (const { links: members, perRound } of groups) {
    const inside = [...new Set(members)].filter((link) => chosen.has(link));
    for (const link of inside) counts.set(link, (counts.get(link) ?? 0) + 1);
    const sum = inside.reduce((total, link) => total + (links[link]?.perRound ?? 0), 0);
    moved += Math.min(perRound, sum);
  }
  const times = [...counts.values()].reduce((least, count) => Math.min(least, count), Number.MAX_SAFE_INTEGER);
  let alone = 0;
  for (const link of chosen) if (!counts.has(link)) alone += links[link]?.perRound ?? 0;
  return alone + Math.ceil(moved / times);
}

/** Every block takes so many sends at least, and a round has so many. */
function sendBound(problem: CollectiveProblem, hops: Float64Array): Fraction {
  let sends = 0;
  for (const { sources, destinations } of problem.blocks) {
    const others = destinations.filter((rank) => !sources.includes(rank)).length;
    const farthest = Math.max(0, ...destinations.map((to) => sourceDistance(problem, hops, sources, to)));
    sends += Math.max(farthest, problem.isCombining ? combiningSends(sources, destinations) : others);
  }
  const capacity = crossingCapacity(problem, () => true);
  return capacity === 0 ? { numerator: 0, denominator: 1 } : reduced(sends, capacity);
}

/** Each source but the place of the sum sends once; where the sources are the destinations, each is also told. */
function combiningSends(sources: readonly number[], destinations: readonly number[]): number {
  if (destinations.length === 0) return 0;
  const outside = sources.filter((rank) => !destinations.includes(rank)).length;
  const isSame = outside === 0 && sources.length === destinations.length;
  if (isSame) return 2 * (sources.length - 1);
  if (destinations.length === 1) return sources.filter((rank) => rank !== destinations[0]).length;
  return Math.max(outside, sources.length - 1, destinations.length - 1);
}
