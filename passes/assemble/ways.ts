// Which chips the vectors of copies pass: a tree for each piece, found by the routing pass with what it knows of links and their loads, or the plain
// shortest routes. Knows links and vectors, not memories: when a piece is sent, and from which port, is decided where it is placed.
import { columnCount, linkVectorPeriod } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { shortestRoute, type Topology } from "../../ir/target/topology.ts";
import type { RouteBurst, RouteProblem, RouteTransfer } from "../route/problem.ts";
import { solveRoute } from "../route/solve.ts";
import type { Copy } from "./transfer.ts";

/** Longest burst of one link: parts are cut so that parallel links and ways share them. */
const burstVectors = 64;
/** Pieces that are stored on the way are shorter, so that they follow each other over the hops: so many of a copy, but none shorter than that. */
const piecesOnWay = 16;
const leastVectorsOnWay = 16;
/** Links looked at in the search for better ways. */
const searchBudget = 60_000;

/** One byte plane of some vectors of a copy. */
export interface CopyPiece {
  readonly plane: number;
  readonly from: number;
  readonly count: number;
}

/** Pieces of a copy that take the same way. `parents`: the chip from which each chip of the tree gets them; the source has none. */
export interface Strand {
  readonly copy: number;
  readonly parents: ReadonlyMap<number, number>;
  readonly pieces: readonly CopyPiece[];
}

function piecesOf(topology: Topology, copy: Copy): CopyPiece[] {
  const { source, words } = copy;
  const isDirect = destinationsOf(copy).every((chip) => topology.between.has(source.chip * topology.chips + chip));
  const onWay = Math.max(leastVectorsOnWay, Math.ceil(words / piecesOnWay));
  const most = isDirect ? burstVectors : Math.min(burstVectors, onWay);
  const pieces: CopyPiece[] = [];
  for (let from = 0; from < words; from += most)
    for (let plane = 0; plane < source.location.width; plane++)
      pieces.push({ plane, from, count: Math.min(most, words - from) });
  return pieces;
}

const destinationsOf = ({ source, targets }: Copy): number[] => [
  ...new Set(targets.map(({ chip }) => chip).filter((chip) => chip !== source.chip)),
];

/** Everything by the shortest route that takes the lowest-numbered chips. */
export function shortestWays(topology: Topology, copies: readonly Copy[]): readonly Strand[] {
  return copies.map((copy, index) => {
    const parents = new Map<number, number>();
    for (const chip of destinationsOf(copy)) {
      const route = shortestRoute(topology, copy.source.chip, chip);
      for (let i = 1; i < route.length; i++)
        if (!parents.has(route[i] as number)) parents.set(route[i] as number, route[i - 1] as number);
    }
    return { copy: index, parents, pieces: piecesOf(topology, copy) };
  });
}

/** The copies as a problem of the routing pass, a transfer a piece. Pieces are stored whole before they are sent on. */
function routeProblem(
  target: Target,
  topology: Topology,
  copies: readonly Copy[],
): { readonly problem: RouteProblem; readonly owners: readonly { copy: number; piece: CopyPiece }[] } {
  const cyclesPerVector = linkVectorPeriod(target);
  const owners: { copy: number; piece: CopyPiece }[] = [];
  const transfers: RouteTransfer[] = [];
  copies.forEach((copy, index) => {
    const destinations = destinationsOf(copy);
    for (const piece of piecesOf(topology, copy)) {
      if (destinations.length === 0) continue;
      owners.push({ copy: index, piece });
      const name = `${copy.source.region} plane ${piece.plane} word ${piece.from}`;
      const { ready: earliest } = copy;
      transfers.push({
        name,
        source: copy.source.chip,
        destinations,
        vectors: piece.count,
        earliest,
        readyEvery: 0,
        latest: undefined,
      });
    }
  });
  const { read, write } = target.mem.latency;
  const problem: RouteProblem = {
    chips: topology.chips,
    links: topology.links.map(({ from, to, latency }) => ({ from, to, cyclesPerVector, latency })),
    transfers,
    forwarding: "store-and-forward",
    forwardCycles: read + write + 2 * columnCount(target),
    bufferVectors: undefined,
    intervalCycles: undefined,
  };
  return { problem, owners };
}

/** The tree along which bursts bring a piece to chips, the first to reach a chip counting. */
function parentsOf(topology: Topology, source: number, bursts: readonly RouteBurst[]): Map<number, number> {
  const parents = new Map<number, number>();
  for (const { link } of [...bursts].sort((a, b) => a.start - b.start || a.link - b.link)) {
    const wire = topology.links[link];
    if (wire === undefined || wire.to === source || parents.has(wire.to)) continue;
    parents.set(wire.to, wire.from);
  }
  return parents;
}

const wayKey = (copy: number, parents: ReadonlyMap<number, number>): string =>
  `${copy}:${[...parents]
    .sort((a, b) => a[0] - b[0])
    .map(([chip, from]) => `${from}>${chip}`)
    .join()}`;

/** Ways of the routing pass: several for a large copy where there are several, in turn the loads of all of them in mind. */
export function routedWays(target: Target, topology: Topology, copies: readonly Copy[]): readonly Strand[] | undefined {
  const { problem, owners } = routeProblem(target, topology, copies);
  const solution = solveRoute(problem, { budget: searchBudget });
  if (solution.kind !== "solution") return undefined;
  const byPart = new Map<string, RouteBurst[]>();
  for (const burst of solution.bursts) {
    const key = `${burst.transfer}:${burst.firstVector}`;
    const list = byPart.get(key);
    if (list === undefined) byPart.set(key, [burst]);
    else list.push(burst);
  }
  const strands = new Map<string, { copy: number; parents: ReadonlyMap<number, number>; pieces: CopyPiece[] }>();
  // Copies that stay on their chip have no transfers.
  copies.forEach((copy, index) => {
    if (destinationsOf(copy).length === 0)
      strands.set(wayKey(index, new Map()), { copy: index, parents: new Map(), pieces: piecesOf(topology, copy) });
  });
  for (const bursts of byPart.values()) {
    const { transfer, firstVector, vectors } = bursts[0] as RouteBurst;
    const { copy, piece } = owners[transfer] as { copy: number; piece: CopyPiece };
    const parents = parentsOf(topology, (copies[copy] as Copy).source.chip, bursts);
    const part: CopyPiece = { plane: piece.plane, from: piece.from + firstVector, count: vectors };
    const key = wayKey(copy, parents);
    const strand = strands.get(key);
    if (strand === undefined) strands.set(key, { copy, parents, pieces: [part] });
    else strand.pieces.push(part);
  }
  return [...strands.values()].sort((a, b) => a.copy - b.copy);
}

/** Pieces of no more than `longest` vectors, of nearly equal length. */
function shortPieces(piece: CopyPiece, longest: number): readonly CopyPiece[] {
  const parts = Math.max(1, Math.ceil(piece.count / longest));
  return Array.from({ length: parts }, (_, i) => {
    const [from, end] = [Math.floor((i * piece.count) / parts), Math.floor(((i + 1) * piece.count) / parts)];
    return { ...piece, from: piece.from + from, count: end - from };
  });
}

export const inShortPieces = (strands: readonly Strand[], longest: number): readonly Strand[] =>
  strands.map((strand) => ({ ...strand, pieces: strand.pieces.flatMap((piece) => shortPieces(piece, longest)) }));
