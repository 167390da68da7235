// Lower bounds of a collective that no schedule beats: steps by distance, rounds a chunk by cuts of the topology and by the number of sends.
// Knows the problem only.
import type { CollectiveBounds, CollectiveProblem, Fraction } from "./collective-problem.ts";

/** All cuts are looked at up to so many ranks; beyond, only natural ones. */
const mostRanksForAllCuts = 12;

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
  for (const inside of cuts(problem.ranks, mostRanksForAllCuts)) {
    const { demand, capacity } = cutLoad(problem, inside);
    if (demand === 0 || capacity === 0) continue;
    const bound = reduced(demand, capacity);
    if (!isLess(best, bound)) continue;
    best = bound;
    reason = `${demand} blocks into ranks ${[...inside.keys()].filter((rank) => inside[rank] === 1).join(",")}, ${capacity} chunks a round`;
  }
  return { steps, roundsPerChunk: best, reason };
}

/** Sets of ranks as 0/1 lists: all of them where they are few, else single ranks, prefixes, halves of the order, and complements. */
export function* cuts(ranks: number, mostRanks: number): Generator<Uint8Array> {
  if (ranks <= mostRanks) {
    for (let set = 1; set < 2 ** ranks - 1; set++)
      yield Uint8Array.from({ length: ranks }, (_, rank) => (set >> rank) & 1);
    return;
  }
  for (let rank = 0; rank < ranks; rank++) {
    yield Uint8Array.from({ length: ranks }, (_, other) => (other === rank ? 1 : 0));
    yield Uint8Array.from({ length: ranks }, (_, other) => (other === rank ? 0 : 1));
  }
  for (let end = 2; end < ranks - 1; end++) {
    yield Uint8Array.from({ length: ranks }, (_, rank) => (rank < end ? 1 : 0));
    yield Uint8Array.from({ length: ranks }, (_, rank) => (rank < end ? 0 : 1));
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

/** Chunks a round over the chosen links. A link's share is limited by the group it is in; of several groups the first counts. */
function crossingCapacity(
  problem: CollectiveProblem,
  crosses: (link: CollectiveProblem["links"][number]) => boolean,
): number {
  const { links, groups } = problem;
  const counted = new Set<number>();
  let capacity = 0;
  for (const group of groups) {
    let members = 0;
    for (const index of group.links) {
      const link = links[index];
      if (link === undefined || counted.has(index) || !crosses(link)) continue;
      counted.add(index);
      members += link.perRound;
    }
    capacity += Math.min(members, group.perRound);
  }
  links.forEach((link, index) => {
    if (!counted.has(index) && crosses(link)) capacity += link.perRound;
  });
  return capacity;
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
