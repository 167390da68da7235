// Arbitrary collectives over topologies in which everybody reaches everybody, and random legal schedules for them, made by chance and not by the solver.
import fc from "fast-check";
import {
  type Block,
  type ChunkSend,
  type CollectiveProblem,
  type CollectiveSchedule,
  type CollectiveStep,
  collectiveBlocks,
  collectiveKinds,
  isCombiningKind,
} from "../../passes/route/collective-problem.ts";

/** A ring in one direction, and more links; now and then a switch that some of them share. */
const topologies = fc.integer({ min: 2, max: 7 }).chain((ranks) =>
  fc
    .record({
      ring: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: ranks, maxLength: ranks }),
      more: fc.uniqueArray(
        fc.record({
          from: fc.nat(ranks - 1),
          step: fc.integer({ min: 2, max: ranks }),
          rate: fc.constantFrom(1, 2, 3),
        }),
        { maxLength: 10, selector: ({ from, step }) => from * 8 + step },
      ),
      shared: fc.option(
        fc.record({ every: fc.integer({ min: 1, max: 3 }), perRound: fc.integer({ min: 1, max: 3 }) }),
        {
          nil: undefined,
        },
      ),
    })
    .map(({ ring, more, shared }) => {
      const links = [
        ...ring.map((perRound, from) => ({ from, to: (from + 1) % ranks, perRound })),
        ...more.map(({ from, step, rate }) => ({ from, to: (from + step) % ranks, perRound: rate })),
      ].filter(({ from, to }) => from !== to);
      const groups =
        shared === undefined
          ? []
          : [{ links: [...links.keys()].filter((link) => link % shared.every === 0), perRound: shared.perRound }];
      return { ranks, links, groups };
    }),
);

/** Every named collective, with any root. */
export const collectiveProblems: fc.Arbitrary<CollectiveProblem> = fc
  .record({ topology: topologies, kind: fc.constantFrom(...collectiveKinds), root: fc.nat(6) })
  .map(({ topology, kind, root }) => ({
    ...topology,
    blocks: collectiveBlocks(kind, topology.ranks, root % topology.ranks),
    isCombining: isCombiningKind(kind),
  }));

export interface LegalCollective {
  readonly problem: CollectiveProblem;
  readonly schedule: CollectiveSchedule;
}

/** A tree from `root` to all ranks; `turn` chooses among links. By rank its link and depth. */
function treeFrom(
  { ranks, links }: CollectiveProblem,
  root: number,
  turn: number,
  isReversed: boolean,
): readonly { readonly link: number; readonly parent: number; readonly depth: number }[] {
  const tree = Array.from({ length: ranks }, () => ({ link: -1, parent: -1, depth: -1 }));
  tree[root] = { link: -1, parent: -1, depth: 0 };
  const queue = [root];
  for (const rank of queue) {
    for (let i = 0; i < links.length; i++) {
      const link = (i + turn) % links.length;
      const { from, to } = links[link] ?? { from: 0, to: 0 };
      const [here, there] = isReversed ? [to, from] : [from, to];
      if (here !== rank || tree[there]?.depth !== -1) continue;
      tree[there] = { link, parent: rank, depth: (tree[rank]?.depth ?? 0) + 1 };
      queue.push(there);
    }
  }
  return tree;
}

/** Ranks of `wanted` and all above them in the tree, but not its root. */
function branch(tree: ReturnType<typeof treeFrom>, wanted: readonly number[]): readonly number[] {
  const needed = new Set<number>();
  for (const end of wanted)
    for (let rank = end; rank >= 0 && (tree[rank]?.depth ?? 0) > 0; rank = tree[rank]?.parent ?? -1) needed.add(rank);
  return [...needed];
}

/** Sums to one rank first, then from there to everybody who wants it; without sums, from one who has it. */
function layBlock(
  problem: CollectiveProblem,
  { sources, destinations }: Block,
  turn: number,
  send: (step: number, link: number, isAdded: boolean) => void,
): void {
  const { ranks, isCombining } = problem;
  if (destinations.length === 0) return;
  const choice = isCombining ? destinations : sources;
  const root = choice[turn % choice.length] ?? 0;
  if (isCombining) {
    const tree = treeFrom(problem, root, turn, true);
    for (const rank of branch(tree, sources)) send(ranks - (tree[rank]?.depth ?? 0), tree[rank]?.link ?? 0, true);
  }
  const tree = treeFrom(problem, root, turn, false);
  const ends = isCombining ? destinations : destinations.filter((rank) => !sources.includes(rank));
  for (const rank of branch(tree, ends)) send(ranks + (tree[rank]?.depth ?? 0), tree[rank]?.link ?? 0, false);
}

/** As many rounds as the sends of a step need. */
function roundsFor({ links, groups }: CollectiveProblem, sends: readonly ChunkSend[]): number {
  const count = (isIn: (link: number) => boolean): number => sends.filter(({ link }) => isIn(link)).length;
  const byLink = links.map(({ perRound }, index) => Math.ceil(count((link) => link === index) / perRound));
  const byGroup = groups.map((group) => Math.ceil(count((link) => group.links.includes(link)) / group.perRound));
  return Math.max(1, ...byLink, ...byGroup);
}

/** Problems with a schedule along random trees, with rounds to spare now and then. */
export function legalCollectives(problems: fc.Arbitrary<CollectiveProblem>): fc.Arbitrary<LegalCollective> {
  return problems.chain((problem) =>
    fc
      .record({ chunks: fc.integer({ min: 1, max: 3 }), turn: fc.nat(1000), spare: fc.nat(1) })
      .map(({ chunks, turn, spare }) => {
        const bySteps: ChunkSend[][] = Array.from({ length: 2 * problem.ranks + 1 }, () => []);
        problem.blocks.forEach((block, b) => {
          for (let i = 0; i < chunks; i++)
            layBlock(problem, block, turn + i, (step, link, isAdded) => {
              bySteps[step]?.push({ chunk: b * chunks + i, link, isAdded });
            });
        });
        const steps = bySteps
          .filter((sends) => sends.length > 0)
          .map((sends): CollectiveStep => ({ rounds: roundsFor(problem, sends) + spare, sends }));
        return { problem, schedule: { chunks, steps } };
      }),
  );
}
