// Cuts of a topology through which a collective may have to squeeze. Knows ranks and links only.
import type { CollectiveProblem } from "./collective-problem.ts";

/** Beyond this many ranks the sides of links are too many to look at. */
const mostRanksForSides = 64;

/**
 * Sets of ranks as 0/1 lists: all of them where they are few, else single ranks, prefixes, for every link what is nearer to its end than to its
 * beginning, and the complements of these.
 */
export function cuts(problem: CollectiveProblem, hops: Float64Array, mostRanks: number): readonly Uint8Array[] {
  const { ranks, links } = problem;
  if (ranks <= mostRanks) {
    const sets = Array.from({ length: Math.max(0, 2 ** ranks - 2) }, (_, i) => i + 1);
    return sets.map((set) => Uint8Array.from({ length: ranks }, (_, rank) => (set >> rank) & 1));
  }
  const found: Uint8Array[] = [];
  const seen = new Set<string>();
  const add = (isIn: (rank: number) => boolean): void => {
    const inside = Uint8Array.from({ length: ranks }, (_, rank) => (isIn(rank) ? 1 : 0));
    const key = inside.join("");
    if (seen.has(key) || !inside.includes(1) || !inside.includes(0)) return;
    seen.add(key);
    found.push(inside);
  };
  const addBoth = (isIn: (rank: number) => boolean): void => {
    add(isIn);
    add((rank) => !isIn(rank));
  };
  for (let rank = 0; rank < ranks; rank++) addBoth((other) => other === rank);
  for (let end = 2; end < ranks - 1; end++) addBoth((rank) => rank < end);
  if (ranks > mostRanksForSides) return found;
  for (const { from, to } of links)
    addBoth((rank) => (hops[to * ranks + rank] as number) < (hops[from * ranks + rank] as number));
  return found;
}
