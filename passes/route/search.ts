// Quickest way of one piece of a transfer to one more destination, given the slots that are taken: a best-first search over chips by arrival, guided
// by the distance left. Knows links, slots and buffers; not in which order pieces are laid.
import { type Buffers, fitsBuffer, ringVectors } from "./buffers.ts";
import { type Calendar, findSlot } from "./calendar.ts";
import type { RouteProblem } from "./problem.ts";

/** A topology with what searches need of it. */
export type Net = {
  readonly problem: RouteProblem;
  /** Links out of each chip. */
  readonly outlets: readonly Int32Array[];
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly every: Int32Array;
  readonly latency: Int32Array;
  /** Least cycles from each chip to a destination, by destination, as far as they were asked for. */
  readonly distances: Map<number, Float64Array>;
  readonly scratch: Scratch;
};

/** Labels of chips; those with another stamp than the current one are old. */
type Scratch = {
  stamp: number;
  readonly stamps: Int32Array;
  readonly settled: Int32Array;
  /** Arrival of the first and last vector of the piece. */
  readonly first: Float64Array;
  readonly last: Float64Array;
  readonly via: Int32Array;
  readonly start: Float64Array;
  readonly heapKeys: number[];
  readonly heapChips: number[];
};

/** Where a piece is: at a chip from `first` (its first vector) to `last` (its last). */
export type Presence = { readonly chip: number; readonly first: number; readonly last: number };

export type Hop = { readonly link: number; readonly start: number };

export type Piece = {
  readonly vectors: number;
  readonly source: number;
  /** Chips that keep what they get: no buffer is needed there. */
  readonly keepers: ReadonlySet<number>;
};

export function makeNet(problem: RouteProblem): Net {
  const { chips, links } = problem;
  const lists: number[][] = Array.from({ length: chips }, () => []);
  links.forEach(({ from }, link) => {
    lists[from]?.push(link);
  });
  return {
    problem,
    outlets: lists.map((list) => Int32Array.from(list)),
    from: Int32Array.from(links, (link) => link.from),
    to: Int32Array.from(links, (link) => link.to),
    every: Int32Array.from(links, (link) => link.cyclesPerVector),
    latency: Int32Array.from(links, (link) => link.latency),
    distances: new Map(),
    scratch: {
      stamp: 0,
      stamps: new Int32Array(chips),
      settled: new Int32Array(chips),
      first: new Float64Array(chips),
      last: new Float64Array(chips),
      via: new Int32Array(chips),
      start: new Float64Array(chips),
      heapKeys: [],
      heapChips: [],
    },
  };
}

/** Least cycles for a vector from every chip to `destination`, forwarding included. */
export function distancesTo(net: Net, destination: number): Float64Array {
  const known = net.distances.get(destination);
  if (known !== undefined) return known;
  const { chips, links, forwardCycles } = net.problem;
  const inlets: number[][] = Array.from({ length: chips }, () => []);
  links.forEach(({ to }, link) => {
    inlets[to]?.push(link);
  });
  const distance = new Float64Array(chips).fill(Number.POSITIVE_INFINITY);
  distance[destination] = 0;
  const heap: Heap = { heapKeys: [0], heapChips: [destination] };
  for (let chip = pop(heap); chip >= 0; chip = pop(heap)) {
    const here = distance[chip] as number;
    for (const link of inlets[chip] ?? []) {
      const from = net.from[link] as number;
      const length = (net.latency[link] as number) + here + (chip === destination ? 0 : forwardCycles);
      if (length >= (distance[from] as number)) continue;
      distance[from] = length;
      push(heap, length, from);
    }
  }
  net.distances.set(destination, distance);
  return distance;
}

type Heap = Pick<Scratch, "heapKeys" | "heapChips">;

/** Smallest key first; of equal ones the lower chip. */
function push({ heapKeys, heapChips }: Heap, key: number, chip: number): void {
  let at = heapKeys.length;
  heapKeys.push(key);
  heapChips.push(chip);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const upKey = heapKeys[up] as number;
    if (upKey < key || (upKey === key && (heapChips[up] as number) <= chip)) break;
    heapKeys[at] = upKey;
    heapChips[at] = heapChips[up] as number;
    at = up;
  }
  heapKeys[at] = key;
  heapChips[at] = chip;
}

/** The chip with the smallest key, or -1. */
function pop({ heapKeys, heapChips }: Heap): number {
  const top = heapChips[0];
  if (top === undefined) return -1;
  const key = heapKeys.pop() as number;
  const chip = heapChips.pop() as number;
  const size = heapKeys.length;
  if (size === 0) return top;
  let at = 0;
  for (;;) {
    let down = 2 * at + 1;
    if (down >= size) break;
    const right = down + 1;
    if (right < size && isBelow(heapKeys, heapChips, right, down)) down = right;
    const downKey = heapKeys[down] as number;
    if (key < downKey || (key === downKey && chip <= (heapChips[down] as number))) break;
    heapKeys[at] = downKey;
    heapChips[at] = heapChips[down] as number;
    at = down;
  }
  heapKeys[at] = key;
  heapChips[at] = chip;
  return top;
}

function isBelow(keys: readonly number[], chips: readonly number[], a: number, b: number): boolean {
  const [keyA, keyB] = [keys[a] as number, keys[b] as number];
  return keyA < keyB || (keyA === keyB && (chips[a] as number) < (chips[b] as number));
}

export type WayFound = {
  readonly hops: readonly Hop[];
  /** Links looked at. */
  readonly work: number;
};

/**
 * The quickest way from where the piece is to `destination`; no hops where there is none.
 * `present`: the source, where vectors are from when they are ready, and all chips that the piece already reaches.
 */
export function findWay(
  net: Net,
  calendar: Calendar,
  buffers: Buffers | undefined,
  piece: Piece,
  present: readonly Presence[],
  destination: number,
): WayFound {
  const { scratch } = net;
  const distance = distancesTo(net, destination);
  const stamp = ++scratch.stamp;
  scratch.heapKeys.length = 0;
  scratch.heapChips.length = 0;
  for (const { chip, first, last } of present) {
    scratch.stamps[chip] = stamp;
    scratch.first[chip] = first;
    scratch.last[chip] = last;
    scratch.via[chip] = -1;
    push(scratch, last + (distance[chip] as number), chip);
  }
  let work = 0;
  for (let chip = pop(scratch); chip >= 0; chip = pop(scratch)) {
    if (scratch.settled[chip] === stamp) continue;
    scratch.settled[chip] = stamp;
    if (chip === destination) return { hops: hopsTo(net, destination), work };
    work += (net.outlets[chip] as Int32Array).length;
    leave(net, calendar, buffers, piece, chip, distance);
  }
  return { hops: [], work };
}

/** Offers the piece at `chip` to the chips its links lead to. */
function leave(
  net: Net,
  calendar: Calendar,
  buffers: Buffers | undefined,
  piece: Piece,
  chip: number,
  distance: Float64Array,
): void {
  const { scratch, problem } = net;
  const { stamp } = scratch;
  const first = scratch.first[chip] as number;
  const last = scratch.last[chip] as number;
  for (const link of net.outlets[chip] as Int32Array) {
    const to = net.to[link] as number;
    const left = distance[to] as number;
    if (scratch.settled[to] === stamp || left === Number.POSITIVE_INFINITY) continue;
    const every = net.every[link] as number;
    const length = piece.vectors * every;
    const ready =
      chip === piece.source
        ? Math.max(first, last - length + every)
        : readyToSend(problem, piece.vectors, every, first, last);
    const start = findSlot(calendar, link, ready, length);
    if (start === Number.POSITIVE_INFINITY) continue;
    const arrival = start + (net.latency[link] as number);
    const end = arrival + length - every;
    if (scratch.stamps[to] === stamp && (scratch.last[to] as number) <= end) continue;
    if (buffers !== undefined && !piece.keepers.has(chip)) {
      const ring = ringVectors(piece.vectors, first, last, start, every);
      if (!fitsBuffer(buffers, chip, first, start + length - every, ring)) continue;
    }
    scratch.stamps[to] = stamp;
    scratch.first[to] = arrival;
    scratch.last[to] = end;
    scratch.via[to] = link;
    scratch.start[to] = start;
    push(scratch, end + left, to);
  }
}

/** First cycle at which a piece that is there from `first` to `last` can be sent on without a gap. */
function readyToSend(
  problem: Pick<RouteProblem, "forwarding" | "forwardCycles">,
  vectors: number,
  every: number,
  first: number,
  last: number,
): number {
  const whole = problem.forwarding === "store-and-forward";
  return (whole ? last : Math.max(first, last - (vectors - 1) * every)) + problem.forwardCycles;
}

function hopsTo({ scratch, from }: Net, destination: number): readonly Hop[] {
  const hops: Hop[] = [];
  for (let chip = destination; scratch.via[chip] !== -1; ) {
    const link = scratch.via[chip] as number;
    hops.push({ link, start: scratch.start[chip] as number });
    chip = from[link] as number;
  }
  return hops.reverse();
}
