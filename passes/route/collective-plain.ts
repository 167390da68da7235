// Quick trees for the chunks of a collective: every rank gets a chunk by a shortest way from its nearest source, of several ways the one whose
// link has least to do in that step. Fewest steps always; how many rounds they take is as it comes.
import type { CollectiveProblem } from "./collective-problem.ts";
import type { StepSends } from "./collective-trees.ts";

export function layPlainTrees(
  problem: CollectiveProblem,
  chunks: number,
  hops: Float64Array,
  steps: number,
): StepSends {
  const { ranks, links, blocks } = problem;
  const inlets: number[][] = Array.from({ length: ranks }, () => []);
  links.forEach(({ to }, link) => {
    inlets[to]?.push(link);
  });
  const sends: (readonly [number, number])[][] = Array.from({ length: steps }, () => []);
  const load = new Float64Array(steps * links.length);
  const groupsOf: number[][] = links.map(() => []);
  problem.groups.forEach((group, g) => {
    for (const link of new Set(group.links)) groupsOf[link]?.push(g);
  });
  const groupLoad = new Float64Array(steps * problem.groups.length);
  const fullness = (step: number, link: number): number => {
    let most = ((load[step * links.length + link] ?? 0) + 1) / (links[link]?.perRound ?? 1);
    for (const g of groupsOf[link] ?? [])
      most = Math.max(
        most,
        ((groupLoad[step * problem.groups.length + g] ?? 0) + 1) / (problem.groups[g]?.perRound ?? 1),
      );
    return most;
  };
  const take = (chunk: number, step: number, link: number): void => {
    sends[step]?.push([chunk, link]);
    const at = step * links.length + link;
    load[at] = (load[at] ?? 0) + 1;
    for (const g of groupsOf[link] ?? []) {
      const where = step * problem.groups.length + g;
      groupLoad[where] = (groupLoad[where] ?? 0) + 1;
    }
  };
  blocks.forEach(({ sources, destinations }, block) => {
    const distance = (rank: number): number => Math.min(...sources.map((from) => hops[from * ranks + rank] ?? 0));
    for (let i = 0; i < chunks; i++) {
      const has = new Set(sources);
      for (const end of destinations) {
        for (let rank = end, left = distance(end); !has.has(rank); left--) {
          has.add(rank);
          const link = emptiest(inlets[rank] ?? [], (candidate) => {
            const from = links[candidate]?.from ?? -1;
            if (distance(from) !== left - 1) return Number.POSITIVE_INFINITY;
            // A rank that has the chunk anyway saves a send.
            return fullness(left - 1, candidate) - (has.has(from) ? 0.5 : 0);
          });
          take(block * chunks + i, left - 1, link);
          rank = links[link]?.from ?? -1;
        }
      }
    }
  });
  return sends;
}

function emptiest(links: readonly number[], cost: (link: number) => number): number {
  let best = links[0] as number;
  let least = Number.POSITIVE_INFINITY;
  for (const link of links) {
    const here = cost(link);
    if (here >= least) continue;
    least = here;
    best = link;
  }
  return best;
}
