// Packs a schedule tightly: every send goes in the first round in which its chunk is there and its link is free, whatever step it came from. Phases that
// followed each other, such as summing and telling, then overlap, for more steps and fewer rounds. Knows schedules, not how they are found.
import type { ChunkSend, CollectiveProblem, CollectiveSchedule, CollectiveStep } from "./collective-problem.ts";

/** Sends with those that each waits for, and those that wait for it. */
type Chains = {
  readonly sends: readonly ChunkSend[];
  readonly before: readonly (readonly number[])[];
  readonly after: readonly (readonly number[])[];
};

/** At most so many times a send is looked at in all rounds of all attempts together. */
const mostLooks = 30_000_000;
/** Times the sends are pushed to the end and back to the beginning. */
const mostTurns = 6;

type Work = { left: number };

/** The same sends in other steps, or undefined where that is too much work. */
export function packSchedule(problem: CollectiveProblem, schedule: CollectiveSchedule): CollectiveSchedule | undefined {
  const chains = chainsOf(problem, schedule);
  const count = chains.sends.length;
  const work: Work = { left: mostLooks };
  const blocks = Math.max(1, problem.blocks.length);
  const { chunks } = schedule;
  const part = ({ chunk }: ChunkSend): number => (chunk % chunks) * blocks + Math.floor(chunk / chunks);
  // Everybody to the next rank, then everybody to the one after it, and so on: nobody gets two at a time.
  const turned = ({ chunk }: ChunkSend): number => {
    const { sources, destinations } = problem.blocks[Math.floor(chunk / chunks)] ?? { sources: [], destinations: [] };
    return ((destinations[0] ?? 0) - (sources[0] ?? 0) + problem.ranks) % problem.ranks;
  };
  const tails = tailsOf(chains);
  const firsts: readonly ((index: number) => number)[] = [
    (index) => -(tails[index] as number),
    (index) => part(chains.sends[index] as ChunkSend),
    (index) => turned(chains.sends[index] as ChunkSend) - (tails[index] as number) * problem.ranks,
  ];
  let best: readonly number[] | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const first of firsts) {
    let urgency = Float64Array.from({ length: count }, (_, index) => first(index));
    for (let turn = 0; turn < mostTurns; turn++) {
      const forward = roundsOf(problem, chains.sends, chains.before, chains.after, urgency, work);
      if (forward === undefined) break;
      const rounds = 1 + forward.reduce((most, round) => Math.max(most, round), 0);
      if (rounds < least) [best, least] = [forward, rounds];
      const latest = Float64Array.from(forward, (round) => -round);
      const backward = roundsOf(problem, chains.sends, chains.after, chains.before, latest, work);
      if (backward === undefined) break;
      urgency = Float64Array.from(backward, (round) => -round);
    }
  }
  return best === undefined ? undefined : { chunks, steps: joinRounds(problem, chains.sends, best) };
}

/** A send waits for all that arrived at its rank before, of the same chunk. */
function chainsOf(problem: CollectiveProblem, schedule: CollectiveSchedule): Chains {
  const { ranks, links } = problem;
  const sends: ChunkSend[] = [];
  const before: (readonly number[])[] = [];
  const after: number[][] = [];
  const arrived = new Map<number, readonly number[]>();
  for (const step of schedule.steps) {
    const fresh: { readonly key: number; readonly index: number }[] = [];
    for (const send of step.sends) {
      const { from, to } = links[send.link] ?? { from: 0, to: 0 };
      const index = sends.length;
      const blockers = arrived.get(send.chunk * ranks + from) ?? [];
      for (const blocker of blockers) after[blocker]?.push(index);
      sends.push(send);
      before.push(blockers);
      after.push([]);
      fresh.push({ key: send.chunk * ranks + to, index });
    }
    for (const { key, index } of fresh) arrived.set(key, [...(arrived.get(key) ?? []), index]);
  }
  return { sends, before, after };
}

/** Sends on the longest chain that begins at each. */
function tailsOf({ sends, after }: Chains): Int32Array {
  const tails = new Int32Array(sends.length).fill(1);
  for (let index = sends.length - 1; index >= 0; index--)
    for (const later of after[index] ?? [])
      tails[index] = Math.max(tails[index] as number, 1 + (tails[later] as number));
  return tails;
}

/** The round of every send if those of least `urgency` come first; the other way round in time where `before` and `after` are exchanged. */
function roundsOf(
  problem: CollectiveProblem,
  sends: readonly ChunkSend[],
  before: Chains["before"],
  after: Chains["after"],
  urgency: Float64Array,
  work: Work,
): readonly number[] | undefined {
  const groupsOf: number[][] = problem.links.map(() => []);
  problem.groups.forEach(({ links }, group) => {
    for (const link of new Set(links)) groupsOf[link]?.push(group);
  });
  const sooner = (a: number, b: number): number => (urgency[a] as number) - (urgency[b] as number) || a - b;
  const blockers = before.map((list) => list.length);
  const rounds = new Array<number>(sends.length).fill(0);
  let ready = [...sends.keys()].filter((index) => blockers[index] === 0).sort(sooner);
  for (let round = 0; ready.length > 0; round++) {
    work.left -= ready.length;
    if (work.left < 0) return undefined;
    const { taken, left } = fillRound(problem, groupsOf, sends, ready);
    const freed: number[] = [];
    for (const index of taken) {
      rounds[index] = round;
      for (const next of after[index] ?? []) {
        blockers[next] = (blockers[next] as number) - 1;
        if (blockers[next] === 0) freed.push(next);
      }
    }
    ready = freed.length === 0 ? left : [...left, ...freed].sort(sooner);
  }
  return rounds;
}

function fillRound(
  problem: CollectiveProblem,
  groupsOf: readonly (readonly number[])[],
  sends: readonly ChunkSend[],
  ready: readonly number[],
): { readonly taken: readonly number[]; readonly left: number[] } {
  const load = new Map<number, number>();
  const groupLoad = new Map<number, number>();
  const taken: number[] = [];
  const left: number[] = [];
  for (const index of ready) {
    const { link } = sends[index] as ChunkSend;
    const groups = groupsOf[link] ?? [];
    const fits =
      (load.get(link) ?? 0) < (problem.links[link]?.perRound ?? 0) &&
      groups.every((group) => (groupLoad.get(group) ?? 0) < (problem.groups[group]?.perRound ?? 0));
    if (!fits) {
      left.push(index);
      continue;
    }
    load.set(link, (load.get(link) ?? 0) + 1);
    for (const group of groups) groupLoad.set(group, (groupLoad.get(group) ?? 0) + 1);
    taken.push(index);
  }
  return { taken, left };
}

/** Rounds of which none needs what arrives in another are one step. */
function joinRounds(
  { ranks, links }: CollectiveProblem,
  sends: readonly ChunkSend[],
  roundOf: readonly number[],
): readonly CollectiveStep[] {
  const rounds: ChunkSend[][] = [];
  roundOf.forEach((round, index) => {
    while (rounds.length <= round) rounds.push([]);
    rounds[round]?.push(sends[index] as ChunkSend);
  });
  const steps: { rounds: number; sends: ChunkSend[] }[] = [];
  let arriving = new Set<number>();
  for (const round of rounds) {
    const needs = round.some(({ chunk, link }) => arriving.has(chunk * ranks + (links[link]?.from ?? 0)));
    const last = steps.at(-1);
    if (last === undefined || needs) {
      steps.push({ rounds: 1, sends: round });
      arriving = new Set();
    } else {
      last.rounds++;
      last.sends.push(...round);
    }
    for (const { chunk, link } of round) arriving.add(chunk * ranks + (links[link]?.to ?? 0));
  }
  return steps;
}
