// Lower bounds of the rounds of a collective from how it must begin and end: only who has a chunk can send it, so that copies multiply round by round,
// and only near ends are worth sending to late. They hold for any number of steps. Knows the problem only.
import { crossingCapacity } from "./collective-bound.ts";
import type { CollectiveProblem } from "./collective-problem.ts";

/** Least rounds for so many chunks a block; for problems without sums. */
export function leastRoundsByGrowth(problem: CollectiveProblem, hops: Float64Array, chunks: number): number {
  return Math.max(byCopies(problem, chunks), byUsefulSends(problem, hops, chunks));
}

/**
 * A rank that alone has blocks sends every chunk of them once at least. The last one to leave it has the rounds after that, and in each of them what has
 * it can give it to so many others.
 */
function byCopies(problem: CollectiveProblem, chunks: number): number {
  const { ranks, blocks } = problem;
  const outflow = Array.from({ length: ranks }, (_, rank) => crossingCapacity(problem, ({ from }) => from === rank));
  const most = outflow.reduce((best, flow) => Math.max(best, flow), 0);
  let bound = 0;
  for (let rank = 0; rank < ranks; rank++) {
    const first = outflow[rank] as number;
    if (first === 0) continue;
    const wanted = blocks
      .filter(({ sources }) => sources.length === 1 && sources[0] === rank)
      .map(({ destinations }) => new Set(destinations.filter((to) => to !== rank)).size)
      .filter((count) => count > 0)
      .sort((a, b) => b - a);
    // Of the first so many blocks each is wanted by `count` at least.
    wanted.forEach((count, i) => {
      let holders = 1 + first;
      let rounds = Math.ceil(((i + 1) * chunks) / first);
      for (; holders < 1 + count; holders *= 1 + most) rounds++;
      bound = Math.max(bound, rounds);
    });
  }
  return bound;
}

/** Sends that are needed, against slots of links that can carry anything useful in their round. */
function byUsefulSends(problem: CollectiveProblem, hops: Float64Array, chunks: number): number {
  const { ranks, blocks } = problem;
  const since = new Float64Array(ranks).fill(Number.POSITIVE_INFINITY);
  const until = new Float64Array(ranks).fill(Number.POSITIVE_INFINITY);
  let sends = 0;
  for (const { sources, destinations } of blocks) {
    const held = new Set(sources);
    const ends = [...new Set(destinations)].filter((to) => !held.has(to));
    if (ends.length === 0) continue;
    let farthest = 0;
    for (let rank = 0; rank < ranks; rank++) {
      let [near, left] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (const from of sources) near = Math.min(near, hops[from * ranks + rank] as number);
      for (const to of ends) left = Math.min(left, hops[rank * ranks + to] as number);
      since[rank] = Math.min(since[rank] as number, near);
      until[rank] = Math.min(until[rank] as number, left);
      if (left === 0) farthest = Math.max(farthest, near);
    }
    sends += chunks * Math.max(ends.length, farthest);
  }
  if (sends === 0) return 0;
  // By how long a link must wait at the beginning, and how soon it is useless at the end.
  const whole = crossingCapacity(problem, () => true);
  const late = new Map<number, number>();
  const capacity = (round: number, after: number): number => {
    const key = Math.min(round, ranks) * (ranks + 1) + Math.min(after, ranks);
    const known = late.get(key);
    if (known !== undefined) return known;
    const fresh = crossingCapacity(
      problem,
      ({ from, to }) => (since[from] as number) <= round && (until[to] as number) <= after,
    );
    late.set(key, fresh);
    return fresh;
  };
  for (let rounds = Math.max(1, Math.floor(sends / Math.max(1, whole))); ; rounds++) {
    let slots = 0;
    for (let round = 0; round < rounds; round++) slots += capacity(round, rounds - 1 - round);
    if (slots >= sends || whole === 0) return rounds;
  }
}
