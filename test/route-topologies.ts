// Families of topologies for tests of collectives, as links of so many chunks a round, and switches that links share.
import type { CollectiveLink, LinkGroup } from "../passes/route/collective-problem.ts";

export type Wires = {
  readonly ranks: number;
  readonly links: readonly CollectiveLink[];
  readonly groups: readonly LinkGroup[];
};

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Both directions of each pair. */
function joinedPairs(ranks: number, pairs: readonly (readonly [number, number])[], there = 1, back = there): Wires {
  const links = pairs.flatMap(([a, b]) => [
    { from: a, to: b, perRound: there },
    { from: b, to: a, perRound: back },
  ]);
  return { ranks, links, groups: [] };
}

export function ringOf(ranks: number, there = 1, back = there): Wires {
  return joinedPairs(
    ranks,
    upTo(ranks).map((rank) => [rank, (rank + 1) % ranks]),
    there,
    back,
  );
}

export function oneWayRing(ranks: number): Wires {
  return {
    ranks,
    links: upTo(ranks).map((rank) => ({ from: rank, to: (rank + 1) % ranks, perRound: 1 })),
    groups: [],
  };
}

export const lineOf = (ranks: number): Wires =>
  joinedPairs(
    ranks,
    upTo(ranks - 1).map((rank) => [rank, rank + 1]),
  );

export const starOf = (ranks: number): Wires =>
  joinedPairs(
    ranks,
    upTo(ranks - 1).map((rank) => [0, rank + 1]),
  );

/** A heap: rank i hangs on (i - 1) / 2. */
export const treeOf = (ranks: number): Wires =>
  joinedPairs(
    ranks,
    upTo(ranks - 1).map((rank) => [rank + 1, rank >> 1]),
  );

export const allToAll = (ranks: number): Wires =>
  joinedPairs(
    ranks,
    upTo(ranks).flatMap((a) => upTo(a).map((b) => [b, a] as const)),
  );

export function cubeOf(dimensions: number): Wires {
  const ranks = 2 ** dimensions;
  return joinedPairs(
    ranks,
    upTo(ranks).flatMap((rank) =>
      upTo(dimensions)
        .filter((bit) => ((rank >> bit) & 1) === 0)
        .map((bit) => [rank, rank + 2 ** bit] as const),
    ),
  );
}

/** Sides of three or more. */
export function torusOf(rows: number, columns: number): Wires {
  return joinedPairs(
    rows * columns,
    upTo(rows * columns).flatMap((rank) => {
      const [row, column] = [Math.floor(rank / columns), rank % columns];
      return [
        [rank, row * columns + ((column + 1) % columns)],
        [rank, ((row + 1) % rows) * columns + column],
      ] as const;
    }),
  );
}

/** All behind one switch: everybody sends one chunk a round and gets one. */
export function hubOf(ranks: number): Wires {
  const { links } = allToAll(ranks);
  const those = (isIt: (link: CollectiveLink) => boolean): LinkGroup => ({
    links: links.flatMap((link, index) => (isIt(link) ? [index] : [])),
    perRound: 1,
  });
  const groups = upTo(ranks).flatMap((rank) => [those(({ from }) => from === rank), those(({ to }) => to === rank)]);
  return { ranks, links, groups };
}

/** `table[to][from]` chunks a round. */
export function tableOf(table: readonly (readonly number[])[]): Wires {
  const links = table.flatMap((row, to) =>
    row.flatMap((perRound, from) => (perRound > 0 ? [{ from, to, perRound }] : [])),
  );
  return { ranks: table.length, links, groups: [] };
}
