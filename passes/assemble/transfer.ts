// Copies of vectors from places on one chip to places on it or on others: along the ways of the routing pass, stored on every chip they pass, each
// byte plane of a piece a Send burst on one link and, exactly the link's latency later, a Receive burst. The reservations of all chips are kept in one table, so a
// burst is placed on both its ends at once. All copies of a call are on their way at the same time.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { LinkConnection, Unit } from "../../ir/machine/program.ts";
import { linkColumn, linkVectorPeriod } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { linksBetween, type Topology } from "../../ir/target/topology.ts";
import { copiedReservations, newReservations, type Reservations } from "../schedule/place.ts";
import { mapResources } from "../schedule/resources.ts";
import type { Location } from "../schedule/state.ts";
import { type BareInstruction, span } from "../schedule/template.ts";
import { type ChipPlace, type CopyTable, drainCycles, placeLinkPiece, placeLocalPiece } from "./piece.ts";
import { type CopyPiece, inShortPieces, routedWays, type Strand, shortestWays } from "./ways.ts";

export interface CopyPlace {
  readonly region: string;
  readonly location: Location;
  /** First word in the region. */
  readonly offset: number;
}

export interface CopyEnd extends CopyPlace {
  readonly chip: number;
}

/** `words` vectors from one place to others. */
export interface Copy {
  readonly source: CopyEnd;
  readonly targets: readonly CopyEnd[];
  readonly words: number;
  /** Cycle (from the start of the transfers) at which the vectors may be read. */
  readonly ready: number;
}

export interface TransferBurst {
  readonly chip: number;
  readonly unit: Unit;
  readonly instruction: BareInstruction;
  readonly region: string | undefined;
}

/** Vectors that stand on a chip only to be sent on. */
export interface Stopover {
  readonly chip: number;
  readonly region: string;
  readonly location: Location;
  readonly words: number;
}

export interface Transfers {
  readonly bursts: readonly TransferBurst[];
  /** Cycles until everything has arrived and the chips' streams are empty. */
  readonly cycles: number;
  /** First cycle and end of what each chip does. */
  readonly windows: ReadonlyMap<number, { readonly start: number; readonly end: number }>;
  readonly stopovers: readonly Stopover[];
  /** What the transfers alone need of each chip. */
  readonly reservations: ReadonlyMap<number, Reservations>;
  /** Vectors sent, and vectors the busiest link is sent. */
  readonly vectors: number;
  readonly busiest: number;
}

/** One hop of a strand: from a chip to others that are joined to it, or to places on itself. */
interface Leg {
  readonly strand: Strand;
  readonly from: CopyEnd;
  readonly to: readonly CopyEnd[];
  readonly depth: number;
}

const placeKey = (place: CopyEnd): string => `${place.chip}:${place.region}:${place.offset}`;

/** Places of a region in the other bank: a slice cannot read and write one bank at a time. */
const otherBank = (location: Location): Location => ({ ...location, bank: 1 - location.bank });

const sameSlices = (a: Location, b: Location): boolean =>
  a.hemisphere === b.hemisphere && a.column === b.column && a.sub === b.sub && a.bank === b.bank;

const locationKey = ({ hemisphere, column, sub, bank }: Location): string => `${hemisphere}${column}.${sub}.${bank}`;

/** The legs of a strand: a tree from its source, over the targets themselves where ways pass them. */
function legsOf(copy: Copy, strand: Strand, stopovers: Map<string, Stopover>): Leg[] {
  const legs: Leg[] = [];
  const { source, words } = copy;
  const reached = new Map<number, { readonly end: CopyEnd; readonly depth: number }>();
  const stopover = (chip: number, location: Location): CopyEnd => {
    const region = `stop${strand.copy}:${source.chip}:${source.region}:${source.offset}:${locationKey(location)}`;
    stopovers.set(`${chip}:${region}`, { chip, region, location, words });
    return { chip, region, location, offset: 0 };
  };
  reached.set(source.chip, { end: source, depth: 0 });
  const add = (from: { end: CopyEnd; depth: number }, to: CopyEnd): { end: CopyEnd; depth: number } => {
    legs.push({ strand, from: from.end, to: [to], depth: from.depth + 1 });
    return { end: to, depth: from.depth + 1 };
  };
  const wayTo = (chip: number): readonly number[] => {
    const way: number[] = [];
    for (let at: number | undefined = chip; at !== undefined && at !== source.chip; at = strand.parents.get(at))
      way.unshift(at);
    return way;
  };
  const distant = copy.targets
    .map((target) => ({ target, way: wayTo(target.chip) }))
    .sort((a, b) => a.way.length - b.way.length || a.target.chip - b.target.chip);
  for (const { target, way } of distant) {
    if (target.chip === source.chip) {
      const here = reached.get(target.chip) as { end: CopyEnd; depth: number };
      const clash = sameSlices(here.end.location, target.location);
      add(clash ? add(here, stopover(target.chip, otherBank(target.location))) : here, target);
      continue;
    }
    let at = reached.get(source.chip) as { end: CopyEnd; depth: number };
    for (const chip of way) {
      const known = reached.get(chip);
      if (known === undefined || chip === target.chip) {
        const next = add(at, chip === target.chip ? target : stopover(chip, target.location));
        reached.set(chip, known ?? next);
        at = next;
      } else at = known;
    }
  }
  return joinLegs(legs);
}

/** Hops of one copy from one place to other chips become one: a word that is read once may be sent to all of them. */
function joinLegs(legs: readonly Leg[]): Leg[] {
  const joined = new Map<string, Leg>();
  for (const leg of legs) {
    const isLocal = leg.to.every((end) => end.chip === leg.from.chip);
    const key = isLocal ? `here ${joined.size}` : placeKey(leg.from);
    const known = joined.get(key);
    joined.set(key, known === undefined ? leg : { ...known, to: [...known.to, ...leg.to] });
  }
  return [...joined.values()];
}

/** Orders of the pieces that are tried; the first is kept unless another one is done earlier. */
const turns: readonly Turn[] = [
  (set, sets, sender, senders) => set / sets + sender / senders,
  (set, sets) => set / sets,
  () => 0,
];

/** What a chip does already, in cycles from the start of the transfers. */
export type Busy = Pick<ReadonlyMap<number, Reservations>, "get">;

export function scheduleTransfers(
  target: Target,
  topology: Topology,
  copies: readonly Copy[],
  busy: Busy = new Map(),
  longest = Number.POSITIVE_INFINITY,
): Transfers {
  const plain = inShortPieces(shortestWays(topology, copies), longest);
  const routes = routedWays(target, topology, copies);
  const routed = routes === undefined ? undefined : inShortPieces(routes, longest);
  // The routing pass sees links, but not that a slice sends one burst at a time: the plain ways are tried too where they are others.
  const ways = routed === undefined ? [plain] : isSameWays(routed, plain) ? [routed] : [routed, plain];
  const found = ways.flatMap((strands): Transfers[] => {
    const stopovers = new Map<string, Stopover>();
    const legs = strands.flatMap((strand) => legsOf(copies[strand.copy] as Copy, strand, stopovers));
    const senders = new Set(legs.flatMap(({ from, to }) => to.map((end) => `${from.chip} ${end.chip}`)));
    const tried = senders.size > 1 ? turns : turns.slice(0, 1);
    return tried.map((turn) => ({
      ...tryTurn(target, topology, copies, busy, legs, turn),
      stopovers: [...stopovers.values()],
    }));
  });
  return found.reduce((a, b) => (b.cycles < a.cycles ? b : a));
}

function isSameWays(a: readonly Strand[], b: readonly Strand[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ copy, parents }, i) => {
      const other = b[i];
      return (
        other?.copy === copy &&
        other.parents.size === parents.size &&
        [...parents].every(([chip, from]) => other.parents.get(chip) === from)
      );
    })
  );
}

function tryTurn(
  target: Target,
  topology: Topology,
  copies: readonly Copy[],
  busy: Busy,
  legs: readonly Leg[],
  turn: Turn,
): Omit<Transfers, "stopovers"> {
  const map = mapResources(target);
  const bases = new Map<number, number>();
  const reservations = newReservations(0);
  const own = newReservations(0);
  const table: CopyTable = {
    target,
    map,
    reservations,
    own,
    baseOf: (chip) => {
      const known = bases.get(chip);
      if (known !== undefined) return known;
      const base = reservations.timelines.length;
      const taken = busy.get(chip);
      const before = taken === undefined ? newReservations(map.count) : copiedReservations(taken);
      reservations.timelines.push(...before.timelines);
      own.timelines.push(...newReservations(map.count).timelines);
      bases.set(chip, base);
      return base;
    },
  };
  const depths = Math.max(0, ...legs.map((leg) => leg.depth));
  const done = newProgress(target, topology);
  for (let depth = 1; depth <= depths; depth++) {
    const pieces = legs
      .filter((leg) => leg.depth === depth)
      .flatMap((leg) => piecesOf(leg, copies[leg.strand.copy] as Copy));
    for (const piece of takeTurns(pieces, turn)) sendPiece(table, done, piece);
  }
  const drain = drainCycles(target);
  const windows = new Map(
    [...done.windows].map(([chip, { start, end }]) => [chip, { start, end: end + drain }] as const),
  );
  return {
    bursts: done.bursts,
    cycles: done.end + drain,
    windows,
    reservations: new Map(
      [...bases].map(([chip, base]) => [chip, { timelines: own.timelines.slice(base, base + map.count) }] as const),
    ),
    vectors: done.vectors,
    busiest: Math.max(0, ...done.linkVectors),
  };
}

interface Progress {
  readonly topology: Topology;
  readonly period: number;
  readonly bursts: TransferBurst[];
  readonly linkFree: number[];
  readonly linkVectors: number[];
  /** Cycle from which the first words of a place, byte plane by byte plane and piece by piece, may be read. */
  readonly arrival: Map<string, number>;
  readonly windows: Map<number, { start: number; end: number }>;
  end: number;
  vectors: number;
}

const newProgress = (target: Target, topology: Topology): Progress => ({
  topology,
  period: linkVectorPeriod(target),
  bursts: [],
  linkFree: topology.links.map(() => 0),
  linkVectors: topology.links.map(() => 0),
  arrival: new Map(),
  windows: new Map(),
  end: 0,
  vectors: 0,
});

function touch(progress: Progress, chip: number, start: number, end: number): void {
  const window = progress.windows.get(chip);
  if (window === undefined) progress.windows.set(chip, { start, end });
  else {
    window.start = Math.min(window.start, start);
    window.end = Math.max(window.end, end);
  }
}

/** One byte plane of some vectors of a hop. */
interface Piece extends CopyPiece {
  readonly leg: Leg;
  readonly ready: number;
}

const piecesOf = (leg: Leg, { ready }: Copy): Piece[] => leg.strand.pieces.map((piece) => ({ ...piece, leg, ready }));

/** Part of its list at which the n-th set of a sender's targets begins. */
type Turn = (set: number, sets: number, sender: number, senders: number) => number;

/**
 * The pieces of every chip in turn. A slice sends, and is written, for one burst at a time, so the chips start with different slices, and each of
 * them with others for every set of chips that it sends to.
 */
function takeTurns(pieces: readonly Piece[], turn: Turn): Piece[] {
  const senders = new Map<number, Map<string, Piece[]>>();
  for (const piece of pieces) {
    const { from, to } = piece.leg;
    const sets = senders.get(from.chip) ?? new Map<string, Piece[]>();
    senders.set(from.chip, sets);
    const key = to.map((end) => end.chip).join();
    const list = sets.get(key);
    if (list === undefined) sets.set(key, [piece]);
    else list.push(piece);
  }
  const lists = [...senders.values()].flatMap((sets, sender) =>
    [...sets.values()].map((list, i) => {
      const first = Math.floor(list.length * (turn(i, sets.size, sender, senders.size) % 1));
      return [...list.slice(first), ...list.slice(0, first)];
    }),
  );
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}

function sendPiece(table: CopyTable, progress: Progress, { leg, plane, from, count, ready }: Piece): void {
  const source = chipPlace(table, leg.from, plane, from);
  const at = progress.arrival.get(`${placeKey(leg.from)}/${plane}/${from}`) ?? ready;
  const arrived = (end: CopyEnd, written: number): void => {
    progress.arrival.set(`${placeKey(end)}/${plane}/${from}`, written + table.target.mem.latency.write);
    progress.end = Math.max(progress.end, written);
  };
  const here = leg.to.filter((end) => end.chip === leg.from.chip);
  for (const end of here) {
    const piece = placeLocalPiece(table, source, chipPlace(table, end, plane, from), count, at);
    progress.bursts.push(...piece.bursts);
    touch(progress, end.chip, piece.read, piece.written);
    arrived(end, piece.written);
  }
  const away = leg.to.filter((end) => end.chip !== leg.from.chip);
  for (const rays of raysOf(table, progress, leg.from.chip, away)) {
    const ends = rays.map(({ end, link }) => ({
      to: chipPlace(table, end, plane, from),
      link: linkAt(progress, link),
    }));
    const piece = placeLinkPiece(table, source, ends, count, progress.period, at);
    const sent = piece.start + span(count, progress.period);
    progress.bursts.push(...piece.bursts);
    touch(progress, leg.from.chip, piece.read, sent);
    rays.forEach(({ end, link }, i) => {
      progress.linkFree[link] = sent;
      progress.linkVectors[link] = (progress.linkVectors[link] as number) + count;
      progress.vectors += count;
      const written = piece.written[i] as number;
      touch(progress, end.chip, piece.start + linkAt(progress, link).latency, written);
      arrived(end, written);
    });
  }
}

function linkAt(progress: Progress, link: number): LinkConnection {
  const found = progress.topology.links[link];
  invariant(found !== undefined, "the chips are joined");
  return found;
}

interface Ray {
  readonly end: CopyEnd;
  readonly link: number;
}

/** A link for each target, in sets whose ports stand at one edge of the sender: the sets take their words from one stream. */
function raysOf(table: CopyTable, progress: Progress, from: number, ends: readonly CopyEnd[]): Ray[][] {
  const free = (link: number): number => progress.linkFree[link] as number;
  const least = (links: readonly number[]): number | undefined =>
    links.length === 0 ? undefined : links.reduce((best, link) => (free(link) < free(best) ? link : best));
  const edgeOf = (link: number): number => linkColumn(table.target, linkAt(progress, link).fromPort);
  const linksTo = (end: CopyEnd): readonly number[] => linksBetween(progress.topology, from, end.chip);
  const sets: Ray[][] = [];
  let left = [...ends];
  while (left.length > 0) {
    const [first] = left;
    invariant(first !== undefined, "there is a target left");
    const options = [...new Set(linksTo(first).map(edgeOf))].map((edge) => {
      const rays = left.flatMap((end): Ray[] => {
        const link = least(linksTo(end).filter((one) => edgeOf(one) === edge));
        return link === undefined ? [] : [{ end, link }];
      });
      return { rays, at: Math.max(...rays.map(({ link }) => free(link))) };
    });
    const best = options.reduce((a, b) =>
      b.rays.length > a.rays.length || (b.rays.length === a.rays.length && b.at < a.at) ? b : a,
    );
    sets.push(best.rays);
    left = left.filter((end) => !best.rays.some((ray) => ray.end === end));
  }
  return sets;
}

const chipPlace = (table: CopyTable, end: CopyEnd, plane: number, from: number): ChipPlace => ({
  chip: end.chip,
  base: table.baseOf(end.chip),
  region: end.region,
  hemisphere: end.location.hemisphere,
  slice: end.location.column * table.target.mem.slicesPerColumn + end.location.sub + plane,
  bank: end.location.bank,
  address: end.offset + from,
});
