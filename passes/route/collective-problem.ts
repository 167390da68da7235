// The collective problem: ranks joined by directed links of so many chunks a round, blocks that some ranks hold and others must get (or get the
// sum of), and schedules for it in steps and rounds. Data only; must not know how it is solved or checked.

export type CollectiveLink = {
  readonly from: number;
  readonly to: number;
  /** Chunks this link moves in one round. */
  readonly perRound: number;
};

/** Links that share one resource, such as a switch: together they move no more than this a round. */
export type LinkGroup = { readonly links: readonly number[]; readonly perRound: number };

export type Block = {
  /** Ranks that hold it at the start; where the problem combines, ranks that hold a part of the sum. */
  readonly sources: readonly number[];
  /** Ranks that must hold it (the whole sum) at the end. */
  readonly destinations: readonly number[];
};

export type CollectiveProblem = {
  readonly ranks: number;
  readonly links: readonly CollectiveLink[];
  readonly groups: readonly LinkGroup[];
  readonly blocks: readonly Block[];
  /** The sources of a block hold different parts, and its destinations need the sum of all of them. */
  readonly isCombining: boolean;
};

/** Chunk `block * chunks + i` is part i of a block. */
export type ChunkSend = {
  readonly chunk: number;
  readonly link: number;
  /** What arrives is added to what the receiver has; otherwise it takes its place. */
  readonly isAdded: boolean;
};

/** A step is one latency: what arrives in it can be sent on in the next. A round is one slot of every link. */
export type CollectiveStep = { readonly rounds: number; readonly sends: readonly ChunkSend[] };

export type CollectiveSchedule = {
  /** Equal parts every block is cut into. */
  readonly chunks: number;
  readonly steps: readonly CollectiveStep[];
};

export type Fraction = { readonly numerator: number; readonly denominator: number };

export type CollectiveBounds = {
  readonly steps: number;
  /** Least rounds for each chunk a block is cut into, over all numbers of chunks. */
  readonly roundsPerChunk: Fraction;
  /** What gives it: ranks whose incoming links are the bottleneck, or all sends over all links. */
  readonly reason: string;
};

export type CollectiveSolution = {
  readonly kind: "solution";
  readonly schedule: CollectiveSchedule;
  readonly steps: number;
  readonly rounds: number;
  /** No schedule with these chunks and this many steps has fewer rounds. */
  readonly roundsBound: number;
  readonly bounds: CollectiveBounds;
  readonly workUnits: number;
};

export type CollectiveUnreachable = {
  readonly kind: "unreachable";
  readonly block: number;
  readonly destination: number;
};

/** Everything that makes this no problem at all. */
export function verifyCollective(problem: CollectiveProblem): readonly string[] {
  const faults: string[] = [];
  const { ranks, links, groups, blocks } = problem;
  const isRank = (rank: number): boolean => Number.isInteger(rank) && rank >= 0 && rank < ranks;
  if (!Number.isSafeInteger(ranks) || ranks < 1) faults.push(`${ranks} is no number of ranks`);
  links.forEach(({ from, to, perRound }, i) => {
    if (!isRank(from) || !isRank(to) || from === to) faults.push(`link ${i} joins ${from} and ${to}`);
    if (!Number.isInteger(perRound) || perRound < 1) faults.push(`link ${i} moves ${perRound} chunks a round`);
  });
  groups.forEach((group, g) => {
    if (!group.links.every((link) => links[link] !== undefined))
      faults.push(`group ${g} names a link that is not there`);
    if (!Number.isInteger(group.perRound) || group.perRound < 1)
      faults.push(`group ${g} moves ${group.perRound} chunks a round`);
  });
  blocks.forEach(({ sources, destinations }, b) => {
    if (sources.length === 0 && destinations.length > 0) faults.push(`block ${b} is needed but nobody holds it`);
    for (const rank of [...sources, ...destinations]) if (!isRank(rank)) faults.push(`block ${b} names rank ${rank}`);
  });
  return faults;
}

export function countRounds(schedule: CollectiveSchedule): number {
  return schedule.steps.reduce((sum, step) => sum + step.rounds, 0);
}

const everyRank = (ranks: number): readonly number[] => Array.from({ length: ranks }, (_, rank) => rank);

export const collectiveKinds = [
  "all-gather",
  "reduce-scatter",
  "all-reduce",
  "broadcast",
  "reduce",
  "scatter",
  "gather",
  "all-to-all",
] as const;
export type CollectiveKind = (typeof collectiveKinds)[number];

/** Blocks of a named collective among all ranks. All-reduce has one block a rank, so that reduce-scatter and all-gather share them out. */
export function collectiveBlocks(kind: CollectiveKind, ranks: number, root: number): readonly Block[] {
  const all = everyRank(ranks);
  switch (kind) {
    case "all-gather":
      return all.map((rank) => ({ sources: [rank], destinations: all }));
    case "reduce-scatter":
      return all.map((rank) => ({ sources: all, destinations: [rank] }));
    case "all-reduce":
      return all.map(() => ({ sources: all, destinations: all }));
    case "broadcast":
      return [{ sources: [root], destinations: all }];
    case "reduce":
      return [{ sources: all, destinations: [root] }];
    case "scatter":
      return all.map((rank) => ({ sources: [root], destinations: [rank] }));
    case "gather":
      return all.map((rank) => ({ sources: [rank], destinations: [root] }));
    case "all-to-all":
      return all.flatMap((from) => all.map((to) => ({ sources: [from], destinations: [to] })));
  }
}

export function isCombiningKind(kind: CollectiveKind): boolean {
  return kind === "reduce-scatter" || kind === "all-reduce" || kind === "reduce";
}
