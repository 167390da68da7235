// Schedules transfers: pieces of one transfer after the other each take the quickest way that is left; then what came late or last is given
// precedence, and all is laid again, as long as the budget lasts. Knows nothing of chips' programs.

import { routeBounds } from "./bound.ts";
import { type Buffers, bufferPeaks, makeBuffers, ringVectors, takeBuffer } from "./buffers.ts";
import { type Calendar, makeCalendar, takeSlot } from "./calendar.ts";
import type { RouteBounds, RouteBurst, RouteProblem, RouteSolution, RouteTransfer, Unroutable } from "./problem.ts";
import { distancesTo, findWay, type Hop, makeNet, type Net, type Presence } from "./search.ts";

export type RouteSolveOptions = {
  /** Links that may be looked at before the best schedule so far is given; the first schedule is always finished. */
  readonly budget?: number;
};

const defaultBudget = 12_000_000;
const mostPasses = 200;
/** Passes without a better schedule after which it is enough. */
const patience = 24;
/** Pieces a transfer is cut into, at most, so that they can take different ways. */
const mostPieces = [4, 16, 64] as const;
/** So few vectors are laid in every order, each by itself. */
const mostForAllOrders = 6;
/** Later departures that are tried for a piece that finds no room on its way. */
const mostDepartures = 24;

/** A schedule under construction. */
type Draft = {
  readonly bursts: RouteBurst[];
  readonly arrivals: number[];
  readonly calendar: Calendar;
  /** Kept for the peaks only where the capacity is infinite. */
  readonly buffers: Buffers;
  work: number;
};

type Score = { readonly lateness: number; readonly completion: number; readonly sum: number };

/** `problem` must have passed `verifyRouteProblem`. */
export function solveRoute(problem: RouteProblem, options: RouteSolveOptions = {}): RouteSolution | Unroutable {
  const net = makeNet(problem);
  for (const [transfer, { source, destinations }] of problem.transfers.entries()) {
    const cut = destinations.find((chip) => !Number.isFinite(distancesTo(net, chip)[source]));
    if (cut !== undefined) return { kind: "unroutable", transfer, reason: "reach", destination: cut };
  }
  const bounds = routeBounds(problem, (destination) => distancesTo(net, destination));
  const budget = options.budget ?? defaultBudget;
  let order = firstOrder(net);
  let best: { readonly draft: Draft; readonly score: Score } | undefined;
  let failure: Unroutable | undefined;
  let [workUnits, passes] = [0, 0];
  const lay = (parts: readonly Part[]): Draft | Unroutable => {
    const draft = layParts(net, parts);
    workUnits += "work" in draft ? draft.work : problem.links.length;
    passes++;
    return draft;
  };
  /** Whether the schedule is the best so far. */
  const take = (draft: Draft): boolean => {
    const score = scoreOf(problem, draft.arrivals);
    if (best !== undefined && !isBetter(score, best.score)) return false;
    best = { draft, score };
    return true;
  };
  const isOver = (): boolean =>
    workUnits + workUnits / passes > budget || (best !== undefined && meets(best.score, bounds));
  let sinceBest = 0;
  for (let pass = 0; pass < mostPasses && sinceBest < patience; pass++) {
    const draft = lay(partsOf(net, order, mostPieces[pass % mostPieces.length] as number));
    sinceBest++;
    if ("kind" in draft) {
      failure ??= draft;
      order = promote(order, [draft.transfer], pass);
    } else {
      if (take(draft)) sinceBest = 0;
      order = promote(order, critical(problem, draft.arrivals, scoreOf(problem, draft.arrivals)), pass);
    }
    if (isOver()) break;
  }
  const single = problem.transfers.reduce((sum, { vectors }) => sum + vectors, 0) <= mostForAllOrders;
  const parts = single ? partsOf(net, [...problem.transfers.keys()], Number.POSITIVE_INFINITY) : [];
  if (parts.length > 1 && !isOver())
    for (const next of permutations(parts.length)) {
      const draft = lay(next.map((index) => parts[index] as Part));
      if (!("kind" in draft)) take(draft);
      if (isOver()) break;
    }
  const found = best as { readonly draft: Draft; readonly score: Score } | undefined;
  if (found === undefined) return failure as Unroutable;
  const { draft, score } = found;
  return {
    kind: "solution",
    bursts: mergedBursts(problem, draft.bursts),
    arrivals: draft.arrivals,
    latenessCycles: score.lateness,
    completionCycles: score.completion,
    bufferPeaks: bufferPeaks(draft.buffers),
    bounds,
    workUnits,
  };
}

/** Every order of so many things. */
function permutations(count: number): readonly (readonly number[])[] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => [...order.slice(0, at), count - 1, ...order.slice(at)]),
  );
}

function scoreOf(problem: RouteProblem, arrivals: readonly number[]): Score {
  let [lateness, completion, sum] = [0, 0, 0];
  problem.transfers.forEach(({ latest }, t) => {
    const arrival = arrivals[t] ?? 0;
    if (latest !== undefined) lateness = Math.max(lateness, arrival - latest);
    completion = Math.max(completion, arrival);
    sum += arrival;
  });
  return { lateness, completion, sum };
}

function isBetter(a: Score, b: Score): boolean {
  if (a.lateness !== b.lateness) return a.lateness < b.lateness;
  if (a.completion !== b.completion) return a.completion < b.completion;
  return a.sum < b.sum;
}

function meets({ lateness, completion }: Score, bounds: RouteBounds): boolean {
  return lateness <= bounds.latenessCycles && completion <= bounds.completionCycles;
}

/** Those with the least room before they are due first; then those that can start first; then the largest. */
function firstOrder(net: Net): readonly number[] {
  const { transfers } = net.problem;
  const keys = transfers.map(({ source, destinations, vectors, earliest, latest }) => {
    const distance = Math.max(...destinations.map((chip) => distancesTo(net, chip)[source] as number));
    return { due: (latest ?? Number.MAX_SAFE_INTEGER) - distance, earliest, work: vectors * distance };
  });
  return [...transfers.keys()].sort((a, b) => {
    const [x, y] = [keys[a], keys[b]];
    if (x === undefined || y === undefined) return a - b;
    return x.due - y.due || x.earliest - y.earliest || y.work - x.work || a - b;
  });
}

/** The transfers that make the schedule late, or else long. */
function critical(problem: RouteProblem, arrivals: readonly number[], score: Score): readonly number[] {
  const late = [...arrivals.keys()].filter((t) => {
    const latest = problem.transfers[t]?.latest;
    return latest !== undefined && (arrivals[t] as number) > latest;
  });
  if (late.length > 0) return late;
  return [...arrivals.keys()].filter((t) => (arrivals[t] as number) >= score.completion * 0.97);
}

/** Moves transfers forward in the order: half way, a quarter of the way, or to the front, in turn. */
function promote(order: readonly number[], blamed: readonly number[], pass: number): readonly number[] {
  const share = [0.5, 0.25, 0.02, 0.75][pass % 4] as number;
  const isBlamed = new Set(blamed);
  const keyed = order.map((transfer, position) => ({
    transfer,
    position,
    key: isBlamed.has(transfer) ? position * share - 0.5 : position,
  }));
  keyed.sort((a, b) => a.key - b.key || a.position - b.position);
  return keyed.map(({ transfer }) => transfer);
}

/** So many vectors of a transfer, together. */
type Part = { readonly transfer: number; readonly first: number; readonly count: number };

/** The parts of transfers, one transfer after the other. */
function partsOf(net: Net, order: readonly number[], pieces: number): readonly Part[] {
  return order.flatMap((transfer) => {
    const { vectors } = net.problem.transfers[transfer] as RouteTransfer;
    const size = pieceSize(net, net.problem.transfers[transfer] as RouteTransfer, pieces);
    return Array.from({ length: Math.ceil(vectors / size) }, (_, i) => ({
      transfer,
      first: i * size,
      count: Math.min(size, vectors - i * size),
    }));
  });
}

function layParts(net: Net, parts: readonly Part[]): Draft | Unroutable {
  const { problem } = net;
  const { chips, links, transfers, bufferVectors, intervalCycles } = problem;
  const draft: Draft = {
    bursts: [],
    arrivals: new Array<number>(transfers.length).fill(0),
    calendar: makeCalendar(links.length, intervalCycles),
    buffers: makeBuffers(chips, bufferVectors ?? Number.POSITIVE_INFINITY, intervalCycles),
    work: 0,
  };
  for (const { transfer, first, count } of parts) {
    const failure = layPiece(net, draft, transfer, transfers[transfer] as RouteTransfer, first, count);
    if (failure !== undefined) return failure;
  }
  return draft;
}

/** A way round costs a latency: what is over sooner than a fraction of that stays together. */
function pieceSize(net: Net, { source, vectors }: RouteTransfer, pieces: number): number {
  let shortest = Number.MAX_SAFE_INTEGER;
  for (const link of net.outlets[source] as Int32Array) {
    const worth = (net.latency[link] as number) / (net.every[link] as number);
    shortest = Math.min(shortest, Math.ceil((worth * 4) / pieces));
  }
  const interval = net.problem.intervalCycles ?? Number.MAX_SAFE_INTEGER;
  const mostEvery = net.problem.links.reduce((most, { cyclesPerVector }) => Math.max(most, cyclesPerVector), 1);
  const fitting = Math.max(1, Math.floor(interval / mostEvery));
  return Math.max(1, Math.min(vectors, fitting, Math.max(Math.ceil(vectors / pieces), shortest)));
}

/** Lays a tree for some vectors; cuts them in halves where there is no room for them together. */
function layPiece(
  net: Net,
  draft: Draft,
  t: number,
  transfer: RouteTransfer,
  firstVector: number,
  vectors: number,
): Unroutable | undefined {
  const { bufferVectors, intervalCycles } = net.problem;
  const { source, destinations, earliest, readyEvery } = transfer;
  const piece = { vectors, source, keepers: new Set([source, ...destinations]) };
  const near = [...destinations].sort(
    (a, b) => (distancesTo(net, a)[source] as number) - (distancesTo(net, b)[source] as number) || a - b,
  );
  const buffers = bufferVectors === undefined ? undefined : draft.buffers;
  const ready = earliest + firstVector * readyEvery;
  let delay = 0;
  const present: Presence[] = [{ chip: source, first: ready, last: ready + (vectors - 1) * readyEvery }];
  for (const destination of near) {
    if (present.some(({ chip }) => chip === destination)) continue;
    let hops: readonly Hop[] = [];
    for (let attempt = 0; attempt < mostDepartures && hops.length === 0; attempt++) {
      const shifted =
        delay === 0 ? present : present.map((p) => ({ ...p, first: p.first + delay, last: p.last + delay }));
      // Only the source can put off its sending without holding vectors on the way.
      const from = delay === 0 ? present : shifted.slice(0, 1);
      const found = findWay(net, draft.calendar, buffers, piece, from, destination);
      draft.work += found.work + 1;
      hops = found.hops;
      if (buffers === undefined) break;
      if (hops.length === 0) delay = delay === 0 ? 64 : delay * 2;
    }
    if (hops.length === 0) {
      if (vectors > 1 && present.length === 1) return layHalves(net, draft, t, transfer, firstVector, vectors);
      const reason = bufferVectors === undefined || intervalCycles !== undefined ? "interval" : "buffer";
      return { kind: "unroutable", transfer: t, reason, destination };
    }
    commitWay(net, draft, t, firstVector, piece, present, hops);
    delay = 0;
  }
  for (const { chip, last } of present)
    if (destinations.includes(chip)) draft.arrivals[t] = Math.max(draft.arrivals[t] as number, last);
  return undefined;
}

function layHalves(
  net: Net,
  draft: Draft,
  t: number,
  transfer: RouteTransfer,
  firstVector: number,
  vectors: number,
): Unroutable | undefined {
  const half = Math.ceil(vectors / 2);
  return (
    layPiece(net, draft, t, transfer, firstVector, half) ??
    layPiece(net, draft, t, transfer, firstVector + half, vectors - half)
  );
}

function commitWay(
  net: Net,
  draft: Draft,
  transfer: number,
  firstVector: number,
  piece: { readonly vectors: number; readonly keepers: ReadonlySet<number> },
  present: Presence[],
  hops: readonly Hop[],
): void {
  const { vectors, keepers } = piece;
  for (const { link, start } of hops) {
    const every = net.every[link] as number;
    const lastSend = start + (vectors - 1) * every;
    takeSlot(draft.calendar, link, start, vectors * every);
    draft.bursts.push({ transfer, firstVector, vectors, link, start });
    const chip = net.from[link] as number;
    const here = present.findLast((p) => p.chip === chip);
    if (here !== undefined && !keepers.has(chip))
      takeBuffer(draft.buffers, chip, here.first, lastSend, ringVectors(vectors, here.first, here.last, start, every));
    const latency = net.latency[link] as number;
    present.push({ chip: net.to[link] as number, first: start + latency, last: lastSend + latency });
  }
}

/** Sorted, and neighbours on a link that follow each other without a gap made one; not where a burst is forwarded as a whole. */
function mergedBursts(problem: RouteProblem, bursts: readonly RouteBurst[]): readonly RouteBurst[] {
  const sorted = [...bursts].sort(
    (a, b) => a.transfer - b.transfer || a.link - b.link || a.start - b.start || a.firstVector - b.firstVector,
  );
  const merged: RouteBurst[] = [];
  for (const burst of sorted) {
    const before = merged.at(-1);
    const every = problem.links[burst.link]?.cyclesPerVector ?? 1;
    const follows =
      problem.forwarding === "cut-through" &&
      before !== undefined &&
      before.transfer === burst.transfer &&
      before.link === burst.link &&
      before.firstVector + before.vectors === burst.firstVector &&
      before.start + before.vectors * every === burst.start;
    if (follows) merged[merged.length - 1] = { ...before, vectors: before.vectors + burst.vectors };
    else merged.push(burst);
  }
  return merged.sort(
    (a, b) => a.transfer - b.transfer || a.start - b.start || a.link - b.link || a.firstVector - b.firstVector,
  );
}
