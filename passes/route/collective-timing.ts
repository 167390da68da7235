// A collective in cycles: the sends of a schedule of steps put on the links of a real topology as early as links and data allow, sums taking the
// time of the adders; and the choice of the schedule that is over first. Knows nothing of how schedules of steps are found.
import { collectiveBounds } from "./collective-bound.ts";
import { type Holds, holdPeaks, keep, makeHolds, sendKept, waitToAdd } from "./collective-holds.ts";
import { leastByRounds, leastByTransfers } from "./collective-least.ts";
import {
  type CollectiveBounds,
  type CollectiveKind,
  type CollectiveProblem,
  type CollectiveSchedule,
  type CollectiveStep,
  collectiveBlocks,
  isCombiningKind,
} from "./collective-problem.ts";
import { solveCollective } from "./collective-solve.ts";
import type { CollectiveObjective } from "./collective-spread.ts";
import type { Forwarding, RouteLink } from "./problem.ts";

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
  readonly forwarding: Forwarding;
  /** Vectors that a chip can hold for others at a time. */
  readonly bufferVectors: number | undefined;
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
  readonly kind: "timed";
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
  /** Vectors held for others, at most, by each chip: on their way through, in sums for another, or waiting to be added. */
  readonly bufferPeaks: readonly number[];
  readonly workUnits: number;
};

export type UntimedCollective = {
  readonly kind: "unroutable";
  /** `reach`: some chip cannot be reached; `buffer`: no schedule that was found holds so little. */
  readonly reason: "reach" | "buffer";
  /** Of the schedule that holds least. */
  readonly leastVectors: number;
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

/** The quickest of several schedules, of those that hold little enough for others. */
export function solveTimedCollective(task: CollectiveTask, budget = 60_000_000): TimedCollective | UntimedCollective {
  const wires = gatherWires(task);
  let best: TimedCollective | undefined;
  let workUnits = 0;
  let leastVectors = Number.POSITIVE_INFINITY;
  const candidates = candidatesOf(task, wires);
  for (const candidate of candidates) {
    if (workUnits >= budget) break;
    const { problem, chunks, objective } = candidate;
    const solution = solveCollective(problem, { chunks, objective, budget: Math.ceil(budget / candidates.length) });
    if (solution.kind === "unreachable") return { kind: "unroutable", reason: "reach", leastVectors: 0 };
    workUnits += solution.workUnits;
    const timed = timeSchedule(task, wires, candidate, solution.schedule);
    const held = timed.bufferPeaks.reduce((most, vectors) => Math.max(most, vectors), 0);
    leastVectors = Math.min(leastVectors, held);
    if (held > (task.bufferVectors ?? held)) continue;
    if (best === undefined || timed.completionCycles < best.completionCycles) best = timed;
  }
  if (best === undefined) return { kind: "unroutable", reason: "buffer", leastVectors };
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

/** A schedule as far as it has been put on the links. */
type Play = {
  readonly task: CollectiveTask;
  readonly wires: Wires;
  readonly problem: CollectiveProblem;
  readonly vectorsOf: (chunk: number) => number;
  readonly isKeeper: (chunk: number, chip: number) => boolean;
  /** By chunk and chip: when what the chip has of the chunk is there. */
  readonly ready: Map<number, Ready>;
  readonly free: Float64Array;
  readonly holds: Holds;
  readonly sends: TimedSend[];
  /** By chunk and chip: what was added there, as it came. */
  readonly added: Map<number, readonly Arrival[]>;
};

type Arrival = {
  /** Chunk and chip. */
  readonly key: number;
  readonly arrival: Ready;
  readonly isAdded: boolean;
  readonly vectors: number;
  readonly every: number;
};

function timeSchedule(
  task: CollectiveTask,
  wires: Wires,
  { problem, vectorsOfBlock }: Candidate,
  schedule: CollectiveSchedule,
): TimedCollective {
  const { chips, links } = task;
  const { chunks } = schedule;
  const play: Play = {
    task,
    wires,
    problem,
    vectorsOf: (chunk) => {
      const [block, part] = [Math.floor(chunk / chunks), chunk % chunks];
      const whole = vectorsOfBlock(block);
      return Math.floor(((part + 1) * whole) / chunks) - Math.floor((part * whole) / chunks);
    },
    isKeeper: (chunk, chip) => {
      const { sources, destinations } = problem.blocks[Math.floor(chunk / chunks)] ?? { sources: [], destinations: [] };
      return destinations.includes(chip) || (!problem.isCombining && sources.includes(chip));
    },
    ready: new Map(),
    free: new Float64Array(links.length),
    holds: makeHolds(chips),
    sends: [],
    added: new Map(),
  };
  for (const step of schedule.steps) receiveAll(play, sendAll(play, step));
  const sums = sumsOf(play);
  return {
    kind: "timed",
    problem,
    schedule,
    sends: play.sends,
    sums,
    completionCycles: completionOf(problem, chunks, chips, play.ready),
    boundCycles: leastByRounds(task),
    bounds: collectiveBounds(problem),
    additions: sums.reduce((sum, { vectors }) => sum + vectors, 0),
    busyCycles: play.sends.reduce((sum, { link, vectors }) => sum + vectors * (links[link]?.cyclesPerVector ?? 0), 0),
    bufferPeaks: holdPeaks(play.holds),
    workUnits: 0,
  };
}

/** Puts the sends of a step on the links, what is there first before the rest. */
function sendAll(play: Play, step: CollectiveStep): readonly Arrival[] {
  const { task, wires, problem, ready, free, holds } = play;
  const { chips, links, forwardCycles, forwarding } = task;
  const readyAt = (chunk: number, chip: number): Ready => ready.get(chunk * chips + chip) ?? { first: 0, last: 0 };
  const sorted = step.sends
    .map((send) => ({ send, at: readyAt(send.chunk, problem.links[send.link]?.from ?? 0).last }))
    .sort((a, b) => a.at - b.at || a.send.chunk - b.send.chunk || a.send.link - b.send.link);
  const arrivals: Arrival[] = [];
  for (const { send } of sorted) {
    const { chunk, link, isAdded } = send;
    const vectors = play.vectorsOf(chunk);
    if (vectors === 0) continue;
    const { from, to } = problem.links[link] ?? { from: 0, to: 0 };
    const has = readyAt(chunk, from);
    const wire = soonest(wires.physical[link] ?? [], (candidate) => free[candidate] ?? 0);
    const { cyclesPerVector: every, latency } = links[wire] as RouteLink;
    const wait = has.last === 0 ? 0 : forwardCycles;
    const there = forwarding === "store-and-forward" ? has.last : Math.max(has.first, has.last - (vectors - 1) * every);
    const start = Math.max(free[wire] ?? 0, there + wait);
    sendKept(holds, chunk * chips + from, start, vectors, every);
    free[wire] = start + vectors * every;
    play.sends.push({ chunk, link: wire, start, vectors, isAdded });
    const arrival = { first: start + latency, last: start + latency + (vectors - 1) * every };
    arrivals.push({ key: chunk * chips + to, arrival, isAdded, vectors, every });
  }
  return arrivals.sort((a, b) => a.arrival.first - b.arrival.first || a.key - b.key);
}

function receiveAll(play: Play, arrivals: readonly Arrival[]): void {
  const { task, ready, added, holds, isKeeper } = play;
  const { chips, addCycles } = task;
  for (const arrived of arrivals) {
    const { key, arrival, isAdded, vectors } = arrived;
    let [content, earliest] = [arrival, arrival];
    if (isAdded) {
      // Added in the order in which they come, whatever steps they belong to.
      const list = [...(added.get(key) ?? []), arrived].sort((a, b) => a.arrival.first - b.arrival.first);
      added.set(key, list);
      const states = statesOf(list, addCycles);
      content = states.at(-1) ?? arrival;
      earliest = states[1] ?? arrival;
    }
    ready.set(key, content);
    const [chunk, chip] = [Math.floor(key / chips), key % chips];
    if (!isKeeper(chunk, chip)) keep(holds, key, chip, { ...earliest, vectors, isSum: isAdded });
  }
}

/** What a chip has of a chunk before and after each addition. */
function statesOf(list: readonly Arrival[], addCycles: number): readonly Ready[] {
  const states: Ready[] = [{ first: 0, last: 0 }];
  for (const { arrival } of list) states.push(later(states.at(-1) as Ready, arrival, addCycles));
  return states;
}

/** All additions; notes what waits for them. */
function sumsOf({ task, added, holds }: Play): readonly TimedSum[] {
  const { chips, addCycles } = task;
  return [...added].flatMap(([key, list]) => {
    const states = statesOf(list, addCycles);
    const [chunk, chip] = [Math.floor(key / chips), key % chips];
    return list.map(({ arrival, vectors, every }, i) => {
      const before = states[i] as Ready;
      const [start, end] = [Math.max(before.first, arrival.first), Math.max(before.last, arrival.last)];
      waitToAdd(holds, chip, arrival, start, end, vectors, every);
      return { chunk, chip, start, vectors };
    });
  });
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
