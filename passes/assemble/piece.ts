// One burst of a copy: the template of its reads, its link or its streams, and its writes, placed at the earliest cycle at which all of them are free
// on the chips of both ends.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { LinkConnection } from "../../ir/machine/program.ts";
import {
  columnCount,
  type Direction,
  diagonal,
  type Hemisphere,
  linkColumn,
  memColumn,
} from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { type Choice, commit, findStart, type Need, type Reservations } from "../schedule/place.ts";
import type { ResourceMap } from "../schedule/resources.ts";
import { span } from "../schedule/template.ts";
import type { TransferBurst } from "./transfer.ts";

/** Reservations of all chips: the resources of a chip stand from `baseOf(chip)` on. */
export interface CopyTable {
  readonly target: Target;
  readonly map: ResourceMap;
  readonly reservations: Reservations;
  /** The same resources, with the copies alone. */
  readonly own: Reservations;
  readonly baseOf: (chip: number) => number;
}

/** One byte plane of some vectors on a chip. */
export interface ChipPlace {
  readonly chip: number;
  readonly base: number;
  readonly region: string;
  readonly hemisphere: Hemisphere;
  readonly slice: number;
  readonly bank: number;
  readonly address: number;
}

interface Piece {
  /** Cycle of the first Send, or of the first read where none is sent. */
  readonly start: number;
  readonly read: number;
  readonly written: number;
  readonly bursts: readonly TransferBurst[];
}

/** Cycles after the last write until a chip is quiet. */
export const drainCycles = (target: Target): number => columnCount(target) + target.mem.latency.write;

/** The last ones first: blocks take the first ones first, and what they leave free other inferences may have. */
const streams = ({ target, map }: CopyTable, direction: Direction, base: number): number[][] =>
  Array.from({ length: target.streamsPerDirection }, (_, s) => [
    base + map.stream(direction, target.streamsPerDirection - 1 - s),
  ]);

/** The stream that an option of `streams` stands for. */
const streamOf = ({ target }: CopyTable, option: number): number => target.streamsPerDirection - 1 - option;

const readNeeds = ({ map }: CopyTable, place: ChipPlace, at: number, length: number): Need[] => [
  { resource: place.base + map.readQueue(place.hemisphere, place.slice), at, length },
  { resource: place.base + map.bank(place.hemisphere, place.slice, place.bank), at, length },
];

const writeNeeds = ({ map }: CopyTable, place: ChipPlace, at: number, length: number): Need[] => [
  { resource: place.base + map.writeQueue(place.hemisphere, place.slice), at, length },
  { resource: place.base + map.bank(place.hemisphere, place.slice, place.bank), at, length },
];

interface Timing {
  readonly count: number;
  readonly period: number;
}

function memoryBurst(
  op: "read" | "write",
  place: ChipPlace,
  cycle: number,
  { count, period }: Timing,
  stream: number,
  direction: Direction,
): TransferBurst {
  const kind = op === "read" ? "memRead" : "memWrite";
  return {
    chip: place.chip,
    unit: { kind, hemisphere: place.hemisphere, slice: place.slice },
    region: place.region,
    instruction: {
      op,
      cycle,
      count,
      period: count > 1 ? period : 1,
      address: place.address,
      stride: count > 1 ? 1 : 0,
      stream,
      direction,
    },
  };
}

function linkBurst(
  op: "send" | "receive",
  chip: number,
  port: number,
  cycle: number,
  { count, period }: Timing,
  stream: number,
): TransferBurst {
  const kind = op === "send" ? "linkSend" : "linkReceive";
  return {
    chip,
    unit: { kind, port },
    region: undefined,
    instruction: { op, cycle, count, period: count > 1 ? period : 1, stream },
  };
}

export interface LinkEnd {
  readonly link: LinkConnection;
  readonly to: ChipPlace;
}

/** A burst over links whose ports stand at one edge: every word is read once and sent on all of them. */
export function placeLinkPiece(
  table: CopyTable,
  from: ChipPlace,
  ends: readonly LinkEnd[],
  count: number,
  period: number,
  ready: number,
): Omit<Piece, "written"> & { readonly written: readonly number[] } {
  const { target, map } = table;
  const length = span(count, period);
  const outEdge = linkColumn(target, ends[0]?.link.fromPort ?? 0);
  const outward: Direction = outEdge === 0 ? "W" : "E";
  const read = -target.mem.latency.read - Math.abs(outEdge - memColumn(target, from.hemisphere, from.slice));
  const arrivals = ends.map(({ link, to }) => {
    const inEdge = linkColumn(target, link.toPort);
    const inward: Direction = inEdge === 0 ? "E" : "W";
    const write = link.latency + Math.abs(inEdge - memColumn(target, to.hemisphere, to.slice));
    return { link, to, inEdge, inward, write };
  });
  const needs: Need[] = [
    ...readNeeds(table, from, read, length),
    ...arrivals.flatMap(({ link, to, write }) => [
      { resource: from.base + map.send(link.fromPort), at: 0, length: length + period - 1 },
      { resource: to.base + map.receive(link.toPort), at: link.latency, length },
      ...writeNeeds(table, to, write, length),
    ]),
  ];
  const choices: Choice[] = [
    { options: streams(table, outward, from.base), at: diagonal(outward, 0, outEdge), length },
    ...arrivals.map(({ link, to, inEdge, inward }) => ({
      options: streams(table, inward, to.base),
      at: diagonal(inward, link.latency, inEdge),
      length,
    })),
  ];
  const placed = findStart(table.reservations, { needs, choices }, Math.max(-read, ready - read));
  invariant(placed !== undefined, "a transfer can be placed");
  for (const kept of [table.reservations, table.own]) commit(kept, { needs, choices }, placed);
  const { start } = placed;
  const [outStream, ...inStreams] = placed.taken as [number, ...number[]];
  const timing = { count, period };
  return {
    start,
    read: start + read,
    written: arrivals.map(({ write }) => start + write + length),
    bursts: [
      memoryBurst("read", from, start + read, timing, streamOf(table, outStream), outward),
      ...arrivals.flatMap(({ link, to, inward, write }, i) => {
        const inStream = streamOf(table, inStreams[i] as number);
        return [
          linkBurst("send", from.chip, link.fromPort, start, timing, streamOf(table, outStream)),
          linkBurst("receive", to.chip, link.toPort, start + link.latency, timing, inStream),
          memoryBurst("write", to, start + write, timing, inStream, inward),
        ];
      }),
    ],
  };
}

/** A burst from one slice of a chip to another. */
export function placeLocalPiece(table: CopyTable, from: ChipPlace, to: ChipPlace, count: number, ready: number): Piece {
  const { target } = table;
  const [here, there] = [memColumn(target, from.hemisphere, from.slice), memColumn(target, to.hemisphere, to.slice)];
  const direction: Direction = there < here ? "W" : "E";
  const write = target.mem.latency.read + Math.abs(there - here);
  const needs = [...readNeeds(table, from, 0, count), ...writeNeeds(table, to, write, count)];
  const choices: Choice[] = [
    {
      options: streams(table, direction, from.base),
      at: diagonal(direction, target.mem.latency.read, here),
      length: count,
    },
  ];
  const placed = findStart(table.reservations, { needs, choices }, Math.max(0, ready));
  invariant(placed !== undefined, "a copy can be placed");
  for (const kept of [table.reservations, table.own]) commit(kept, { needs, choices }, placed);
  const { start } = placed;
  const stream = streamOf(table, (placed.taken as [number])[0]);
  const timing = { count, period: 1 };
  return {
    start,
    read: start,
    written: start + write + count,
    bursts: [
      memoryBurst("read", from, start, timing, stream, direction),
      memoryBurst("write", to, start + write, timing, stream, direction),
    ],
  };
}
