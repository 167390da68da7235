// A collective in cycles: the sends of a schedule of steps put on the links of a real topology as early as links and data allow, sums taking the
// time of the adders; and the choice of the schedule that is over first. Knows nothing of how schedules of steps are found.
import { collectiveBounds } from "./collective-bound.ts";
import { leastByTransfers } from "./collective-least.ts";
import {
  type CollectiveBounds,
  type CollectiveKind,
  type CollectiveProblem,
  type CollectiveSchedule,
  collectiveBlocks,
  isCombiningKind,
} from "./collective-problem.ts";
import { solveCollective } from "./collective-solve.ts";
import type { CollectiveObjective } from "./collective-spread.ts";
import type { RouteLink } from "./problem.ts";

export type CollectiveTask = {
  readonly kind: CollectiveKind;
  readonly chips: number;
  readonly links: readonly RouteLink[];
  readonly root: number;
  /** Of one chip's contribution; for broadcast, reduce, all-reduce and reduce-scatter of the whole tensor. */
  readonly vectors: number;
  /** Between the arrival of a vector and its being sent on. */
  readonly forwardCycles: number;
  /** Between the arrival of a vector and its being part of a sum. */
  readonly addCycles: number;
};

/** Vector i of the chunk is put on the link at `start + i * cyclesPerVector`. */
export type TimedSend = {
  readonly chunk: number;
  readonly link: number;
  readonly start: number;
  readonly vectors: number;
  readonly isAdded: boolean;
};

/** An addition of what arrives to what a chip has: `start` is when the first vectors of both are there. Work of the vector unit. */
export type TimedSum = {
  readonly chunk: number;
  readonly chip: number;
  readonly start: number;
  readonly vectors: number;
};

export type TimedCollective = {
  readonly problem: CollectiveProblem;
  readonly schedule: CollectiveSchedule;
  readonly sends: readonly TimedSend[];
  readonly sums: readonly TimedSum[];
  readonly completionCycles: number;
  /** Least cycles, by distance and by the bandwidth of the links. */
  readonly boundCycles: number;
  readonly bounds: CollectiveBounds;
  /** Vectors that are added to others, over all chips: work of their vector units. */
  readonly additions: number;
  readonly busyCycles: number;
  readonly workUnits: number;
};

/** Vectors from `first` to `last`: when the data of a chunk are at a chip. */
type Ready = { readonly first: number; readonly last: number };

type Candidate = {
  readonly problem: CollectiveProblem;
  readonly chunks: number;
  readonly objective: CollectiveObjective;
  readonly vectorsOfBlock: (block: number) => number;
};

const chunkCounts = [1, 2, 3, 4, 6, 8, 16] as const;

/** The quickest of several schedules; undefined where some chip cannot be reached. */
export function solveTimedCollective(task: CollectiveTask, budget = 60_000_000): TimedCollective | undefined {
  const wires = gatherWires(task);
  let best: TimedCollective | undefined;
  let workUnits = 0;
  const candidates = candidatesOf(task, wires);
  for (const candidate of candidates) {
    if (workUnits >= budget) break;
    const { problem, chunks, objective } = candidate;
    const solution = solveCollective(problem, { chunks, objective, budget: Math.ceil(budget / candidates.length) });
    if (solution.kind === "unreachable") return undefined;
    workUnits += solution.workUnits;
    const timed = timeSchedule(task, wires, candidate, solution.schedule);
    if (best === undefined || timed.completionCycles < best.completionCycles) best = timed;
  }
  if (best === undefined) return undefined;
  return { ...best, boundCycles: Math.max(best.boundCycles, leastByTransfers(task)), workUnits };
}

type Wires = {
  readonly links: CollectiveProblem["links"];
  /** Physical links of each link of the collective. */
  readonly physical: readonly (readonly number[])[];
  /** Cycles of one round. */
  readonly roundCycles: number;
};

/** Parallel links are one, with more chunks a round; a round is a vector on the slowest link. */
function gatherWires({ chips, links }: CollectiveTask): Wires {
  const roundCycles = links.reduce((most, { cyclesPerVector }) => Math.max(most, cyclesPerVector), 1);
  const byPair = new Map<number, number[]>();
  links.forEach(({ from, to }, link) => {
    const list = byPair.get(from * chips + to);
    if (list === undefined) byPair.set(from * chips + to, [link]);
    else list.push(link);
  });
  const pairs = [...byPair].sort((a, b) => a[0] - b[0]);
  return {
    roundCycles,
    physical: pairs.map(([, list]) => list),
    links: pairs.map(([pair, list]) => ({
      from: Math.floor(pair / chips),
      to: pair % chips,
      perRound: list.reduce((sum, link) => sum + Math.floor(roundCycles / (links[link]?.cyclesPerVector ?? 1)), 0),
    })),
  };
}

function candidatesOf(task: CollectiveTask, wires: Wires): readonly Candidate[] {
  const { kind, chips, root, vectors } = task;
  const make = (blocks: CollectiveProblem["blocks"], isCombining: boolean): CollectiveProblem => ({
    ranks: chips,
    links: wires.links,
    groups: [],
    blocks,
    isCombining,
  });
  const all = Array.from({ length: chips }, (_, chip) => chip);
  const shared = (block: number): number =>
    Math.floor(((block + 1) * vectors) / chips) - Math.floor((block * vectors) / chips);
  const isShared = kind === "all-reduce" || kind === "reduce-scatter";
  const plain = {
    problem: make(collectiveBlocks(kind, chips, root), isCombiningKind(kind)),
    vectorsOfBlock: isShared ? shared : () => vectors,
  };
  const ways = [plain];
  if (kind === "all-reduce") {
    // Everybody sums for itself; or one chip sums and tells.
    const own = all.map((chip) => ({ sources: all, destinations: [chip] }));
    ways.push({ problem: make(own, true), vectorsOfBlock: () => vectors });
    ways.push({ problem: make([{ sources: all, destinations: all }], true), vectorsOfBlock: () => vectors });
  }
  const largest = (of: (block: number) => number, blocks: number): number =>
    Array.from({ length: blocks }, (_, block) => of(block)).reduce((most, count) => Math.max(most, count), 0);
  return ways.flatMap((way) => {
    const most = largest(way.vectorsOfBlock, way.problem.blocks.length);
    // Multiples of the bound's denominator can meet it exactly.
    const share = collectiveBounds(way.problem).roundsPerChunk.denominator;
    const tried = new Set([...chunkCounts, ...[1, 2, 4].map((times) => times * share).filter((count) => count <= 64)]);
    const counts = [...tried].filter((chunks) => chunks === 1 || chunks <= most).sort((a, b) => a - b);
    const objectives: readonly CollectiveObjective[] = ["latency", "bandwidth"];
    return counts.flatMap((chunks) => objectives.map((objective) => ({ ...way, chunks, objective })));
  });
}

function timeSchedule(
  task: CollectiveTask,
  wires: Wires,
  { problem, vectorsOfBlock }: Candidate,
  schedule: CollectiveSchedule,
): TimedCollective {
  const { chips, links, forwardCycles, addCycles } = task;
  const { chunks } = schedule;
  const vectorsOf = (chunk: number): number => {
    const [block, part] = [Math.floor(chunk / chunks), chunk % chunks];
    const whole = vectorsOfBlock(block);
    return Math.floor(((part + 1) * whole) / chunks) - Math.floor((part * whole) / chunks);
  };
  const ready = new Map<number, Ready>();
  const free = new Float64Array(links.length);
  const sends: TimedSend[] = [];
  const sums: TimedSum[] = [];
  const counts = { additions: 0, busyCycles: 0 };
  for (const step of schedule.steps) {
    const readyAt = (chunk: number, chip: number): Ready => ready.get(chunk * chips + chip) ?? { first: 0, last: 0 };
    const sorted = step.sends
      .map((send) => ({ send, at: readyAt(send.chunk, problem.links[send.link]?.from ?? 0).last }))
      .sort((a, b) => a.at - b.at || a.send.chunk - b.send.chunk || a.send.link - b.send.link);
    const arrivals: {
      readonly key: number;
      readonly arrival: Ready;
      readonly isAdded: boolean;
      readonly vectors: number;
    }[] = [];
    for (const { send } of sorted) {
      const { chunk, link, isAdded } = send;
      const vectors = vectorsOf(chunk);
      if (vectors === 0) continue;
      const { from, to } = problem.links[link] ?? { from: 0, to: 0 };
      const has = readyAt(chunk, from);
      const wire = soonest(wires.physical[link] ?? [], (candidate) => free[candidate] ?? 0);
      const { cyclesPerVector: every, latency } = links[wire] as RouteLink;
      const wait = has.last === 0 ? 0 : forwardCycles;
      const start = Math.max(free[wire] ?? 0, Math.max(has.first, has.last - (vectors - 1) * every) + wait);
      free[wire] = start + vectors * every;
      counts.busyCycles += vectors * every;
      sends.push({ chunk, link: wire, start, vectors, isAdded });
      const arrival = { first: start + latency, last: start + latency + (vectors - 1) * every };
      arrivals.push({ key: chunk * chips + to, arrival, isAdded, vectors });
    }
    arrivals.sort((a, b) => a.arrival.first - b.arrival.first || a.key - b.key);
    for (const { key, arrival, isAdded, vectors } of arrivals) {
      const before = ready.get(key) ?? { first: 0, last: 0 };
      if (isAdded) {
        counts.additions += vectors;
        const [chunk, chip] = [Math.floor(key / chips), key % chips];
        sums.push({ chunk, chip, start: Math.max(before.first, arrival.first), vectors });
      }
      ready.set(key, isAdded ? later(before, arrival, addCycles) : arrival);
    }
  }
  return {
    problem,
    schedule,
    sends,
    sums,
    completionCycles: completionOf(problem, chunks, chips, ready),
    boundCycles: leastCycles(task, wires, problem, vectorsOfBlock),
    bounds: collectiveBounds(problem),
    ...counts,
    workUnits: 0,
  };
}

function soonest(links: readonly number[], free: (link: number) => number): number {
  let best = links[0] as number;
  for (const link of links) if (free(link) < free(best)) best = link;
  return best;
}

function later(a: Ready, b: Ready, cycles: number): Ready {
  return { first: Math.max(a.first, b.first) + cycles, last: Math.max(a.last, b.last) + cycles };
}

function completionOf(
  { blocks }: CollectiveProblem,
  chunks: number,
  chips: number,
  ready: ReadonlyMap<number, Ready>,
): number {
  let completion = 0;
  blocks.forEach(({ destinations }, block) => {
    for (let i = 0; i < chunks; i++)
      for (const chip of destinations)
        completion = Math.max(completion, ready.get((block * chunks + i) * chips + chip)?.last ?? 0);
  });
  return completion;
}

/** No schedule of this collective ends sooner, however the tensor is cut. */
function leastCycles(
  task: CollectiveTask,
  wires: Wires,
  problem: CollectiveProblem,
  vectorsOfBlock: (block: number) => number,
): number {
  const { links, forwardCycles, addCycles, kind, chips, root, vectors } = task;
  const blocks = collectiveBlocks(kind, chips, root);
  const whole: CollectiveProblem = { ...problem, blocks, isCombining: isCombiningKind(kind) };
  const { steps, roundsPerChunk } = collectiveBounds(whole);
  if (steps === 0 || vectorsOfBlock(0) + vectors === 0) return 0;
  const latency = links.reduce((least, link) => Math.min(least, link.latency), Number.MAX_SAFE_INTEGER);
  const adding = whole.isCombining ? addCycles : 0;
  const isShared = kind === "all-reduce" || kind === "reduce-scatter";
  const perBlock = isShared ? vectors / chips : vectors;
  const rounds = (roundsPerChunk.numerator / roundsPerChunk.denominator) * perBlock;
  const byBandwidth =
    latency + Math.max(0, Math.ceil((rounds - 1) * wires.roundCycles - 1e-6)) + (kind === "all-reduce" ? 0 : adding);
  return Math.max(byBandwidth, steps * latency + (steps - 1) * forwardCycles + adding);
}
