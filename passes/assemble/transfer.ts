// Transfers between two joined chips: each byte plane of each part is a Send burst on one link and, exactly the link's latency later, a Receive
// burst. Both chips' reservations are kept in one table, so a burst is placed on both at once.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { LinkConnection, Unit } from "../../ir/machine/program.ts";
import {
  columnCount,
  type Direction,
  diagonal,
  linkColumn,
  linkVectorPeriod,
  memColumn,
} from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { type Choice, commit, findStart, type Need, newReservations } from "../schedule/place.ts";
import { mapResources } from "../schedule/resources.ts";
import type { Location } from "../schedule/state.ts";
import { type BareInstruction, span } from "../schedule/template.ts";

/** `words` vectors of one part, standing in the same place on both chips. */
export interface TransferPart {
  readonly region: string;
  readonly location: Location;
  readonly words: number;
  /** Cycle (from the start of the transfers) at which the part's vectors may be read. */
  readonly ready: number;
}

export interface TransferBurst {
  readonly side: "from" | "to";
  readonly unit: Unit;
  readonly instruction: BareInstruction;
  readonly region: string | undefined;
}

export interface Transfers {
  readonly bursts: readonly TransferBurst[];
  /** Cycles until everything has arrived and the chips' streams are empty. */
  readonly cycles: number;
  /** Cycles until the sender's streams are empty. */
  readonly senderCycles: number;
  readonly firstReceive: number;
  readonly vectors: number;
}

/** Longest burst of one link: parts are cut so that parallel links share them. */
const burstVectors = 64;

export function scheduleTransfers(
  target: Target,
  links: readonly LinkConnection[],
  parts: readonly TransferPart[],
): Transfers {
  const resources = mapResources(target);
  const table = newReservations(2 * resources.count);
  const bursts: TransferBurst[] = [];
  const period = linkVectorPeriod(target);
  const linkFree = links.map(() => 0);
  let end = 0;
  let senderEnd = 0;
  let firstReceive = Number.MAX_SAFE_INTEGER;
  let vectors = 0;
  for (const part of parts) {
    const planes = Array.from({ length: part.location.width }, (_, b) => b);
    for (let from = 0; from < part.words; from += burstVectors) {
      const count = Math.min(burstVectors, part.words - from);
      for (const plane of planes) {
        const chosen = linkFree.indexOf(Math.min(...linkFree));
        const link = links[chosen];
        invariant(link !== undefined, "the chips are joined");
        const piece = placePiece(target, resources, table, link, part, plane, from, count, period);
        linkFree[chosen] = piece.start + span(count, period);
        bursts.push(...piece.bursts);
        end = Math.max(end, piece.written);
        senderEnd = Math.max(senderEnd, piece.start + span(count, period));
        firstReceive = Math.min(firstReceive, piece.start + link.latency);
        vectors += count;
      }
    }
  }
  const drain = columnCount(target) + target.mem.latency.write;
  return { bursts, cycles: end + drain, senderCycles: senderEnd + drain, firstReceive, vectors };
}

function placePiece(
  target: Target,
  resources: ReturnType<typeof mapResources>,
  table: ReturnType<typeof newReservations>,
  link: LinkConnection,
  part: TransferPart,
  plane: number,
  from: number,
  count: number,
  period: number,
): { start: number; written: number; bursts: TransferBurst[] } {
  const { hemisphere, bank } = part.location;
  const slice = part.location.column * target.mem.slicesPerColumn + part.location.sub + plane;
  const column = memColumn(target, hemisphere, slice);
  const length = span(count, period);
  const outEdge = linkColumn(target, link.fromPort);
  const inEdge = linkColumn(target, link.toPort);
  const outward: Direction = outEdge === 0 ? "W" : "E";
  const inward: Direction = inEdge === 0 ? "E" : "W";
  const read = -target.mem.latency.read - Math.abs(outEdge - column);
  const write = link.latency + Math.abs(inEdge - column);
  const far = resources.count;
  const needs: Need[] = [
    { resource: resources.readQueue(hemisphere, slice), at: read, length },
    { resource: resources.bank(hemisphere, slice, bank), at: read, length },
    { resource: resources.send(link.fromPort), at: 0, length: length + period - 1 },
    { resource: far + resources.receive(link.toPort), at: link.latency, length },
    { resource: far + resources.writeQueue(hemisphere, slice), at: write, length },
    { resource: far + resources.bank(hemisphere, slice, bank), at: write, length },
  ];
  const streams = (direction: Direction, base: number): number[][] =>
    Array.from({ length: target.streamsPerDirection }, (_, s) => [base + resources.stream(direction, s)]);
  const choices: Choice[] = [
    { options: streams(outward, 0), at: diagonal(outward, 0, outEdge), length },
    { options: streams(inward, far), at: diagonal(inward, link.latency, inEdge), length },
  ];
  const placed = findStart(table, { needs, choices }, Math.max(-read, part.ready - read));
  invariant(placed !== undefined, "a transfer can be placed");
  commit(table, { needs, choices }, placed);
  const { start } = placed;
  const [outStream, inStream] = placed.taken as [number, number];
  const timing = { count, period: count > 1 ? period : 1 };
  const stride = count > 1 ? 1 : 0;
  return {
    start,
    written: start + write + length,
    bursts: [
      {
        side: "from",
        unit: { kind: "memRead", hemisphere, slice },
        region: part.region,
        instruction: {
          op: "read",
          cycle: start + read,
          ...timing,
          address: from,
          stride,
          stream: outStream,
          direction: outward,
        },
      },
      {
        side: "from",
        unit: { kind: "linkSend", port: link.fromPort },
        region: undefined,
        instruction: { op: "send", cycle: start, ...timing, stream: outStream },
      },
      {
        side: "to",
        unit: { kind: "linkReceive", port: link.toPort },
        region: undefined,
        instruction: { op: "receive", cycle: start + link.latency, ...timing, stream: inStream },
      },
      {
        side: "to",
        unit: { kind: "memWrite", hemisphere, slice },
        region: part.region,
        instruction: {
          op: "write",
          cycle: start + write,
          ...timing,
          address: from,
          stride,
          stream: inStream,
          direction: inward,
        },
      },
    ],
  };
}
