// Which port of which chip is wired to which: every topology kind made into a list of directed links, and the shortest routes over it.
// Knows the link and topology numbers of a target and the number of chips, nothing of programs or traffic.
import { diagnostic } from "../diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../diag/diagnostic.ts";
import type { LinkConnection } from "../machine/program.ts";
import { switchShifts } from "./switch-planes.ts";
import type { LinkSpec, TopologySpec } from "./target.ts";

export interface Topology {
  readonly name: string;
  readonly chips: number;
  /** Directed, in the order of (from, fromPort). A port is the source of at most one and the sink of at most one. */
  readonly links: readonly LinkConnection[];
  /** Switches each link passes (0: direct). */
  readonly switchHops: number;
  /** Links from one chip to another, as indices into `links`; absent where they are not joined. */
  readonly between: ReadonlyMap<number, readonly number[]>;
  /** hops[from][to]: links on a shortest route; 0 for the chip itself. */
  readonly hops: readonly (readonly number[])[];
}

/** Two chips to be joined, `links` times in each direction. */
interface Join {
  readonly a: number;
  readonly b: number;
  readonly links: number;
}

const count = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);

function badCount(message: string, help?: string): Result<never> {
  return fail(diagnostic("LPU3010", message, { help }));
}

function linePairs(chips: number, closed: boolean): (readonly [number, number])[] {
  const pairs = count(Math.max(0, chips - 1)).map((chip) => [chip, chip + 1] as const);
  if (closed && chips > 2) pairs.push([chips - 1, 0]);
  return pairs;
}

const allPairs = (first: number, chips: number): (readonly [number, number])[] =>
  count(chips).flatMap((a) => count(chips - a - 1).map((step) => [first + a, first + a + 1 + step] as const));

/** As many links a pair as asked for and as the ports of the busiest chip allow. */
function evenJoins(
  name: string,
  pairs: readonly (readonly [number, number])[],
  chips: number,
  spec: TopologySpec,
  ports: number,
): Result<readonly Join[]> {
  const degree = count(chips).map(() => 0);
  for (const [a, b] of pairs) {
    degree[a] = (degree[a] ?? 0) + 1;
    degree[b] = (degree[b] ?? 0) + 1;
  }
  const busiest = Math.max(1, ...degree);
  const links = Math.min(spec.linksPerPair, Math.floor(ports / busiest));
  if (links < 1) {
    return badCount(`${name} of ${chips} chips needs ${busiest} link ports a chip, the target has ${ports}`);
  }
  return ok(pairs.map(([a, b]) => ({ a, b, links })));
}

function allToAll(spec: TopologySpec, ports: number, chips: number): Result<readonly Join[]> {
  if (chips - 1 > ports) {
    return badCount(
      `all-to-all joins at most ${ports + 1} chips with ${ports} link ports a chip, not ${chips}`,
      "take --topology dragonfly or chain",
    );
  }
  return evenJoins("all-to-all", allPairs(0, chips), chips, spec, ports);
}

/** Rows and columns as near to a square as possible, or undefined for a prime. */
function torusRows(chips: number): number | undefined {
  for (let rows = Math.floor(Math.sqrt(chips)); rows > 1; rows--) if (chips % rows === 0) return rows;
  return undefined;
}

function torus(spec: TopologySpec, ports: number, chips: number): Result<readonly Join[]> {
  if (chips === 1) return ok([]);
  const rows = torusRows(chips);
  if (rows === undefined) {
    const near = [chips - 1, chips + 1].filter((size) => torusRows(size) !== undefined);
    const help = near.length > 0 ? `take ${near.join(" or ")} chips, or --topology ring` : "take --topology ring";
    return badCount(`torus2d needs rows and columns of at least 2, ${chips} chips cannot be laid out so`, help);
  }
  const columns = chips / rows;
  // Every other row is numbered backwards, so that a chip and the next one are neighbours: stages of a pipeline stand on chips in order.
  const chipAt = (row: number, column: number): number =>
    row * columns + (row % 2 === 0 ? column : columns - 1 - column);
  const pairs = [
    ...count(rows).flatMap((row) =>
      linePairs(columns, true).map(([a, b]) => [chipAt(row, a), chipAt(row, b)] as const),
    ),
    ...count(columns).flatMap((column) =>
      linePairs(rows, true).map(([a, b]) => [chipAt(a, column), chipAt(b, column)] as const),
    ),
  ];
  return evenJoins("torus2d", pairs, chips, spec, ports);
}

/** Chips of node `node`: the last node may be smaller. */
const nodeChips = (spec: TopologySpec, chips: number, node: number): readonly number[] =>
  count(Math.min(spec.chipsPerNode, chips - node * spec.chipsPerNode)).map((k) => node * spec.chipsPerNode + k);

function dragonfly(spec: TopologySpec, ports: number, chips: number): Result<readonly Join[]> {
  const most = spec.chipsPerNode * spec.nodesPerRack;
  if (chips > most) {
    return badCount(
      `dragonfly has ${spec.nodesPerRack} nodes of ${spec.chipsPerNode}: at most ${most} chips, not ${chips}`,
    );
  }
  const nodes = Math.ceil(chips / spec.chipsPerNode);
  if (nodes <= 1) return allToAll(spec, ports, chips);
  const local = Math.min(spec.linksPerPair, Math.floor((ports - 1) / Math.max(1, spec.chipsPerNode - 1)));
  if (local < 1)
    return badCount(`dragonfly nodes of ${spec.chipsPerNode} leave no port for other nodes (${ports} ports)`);
  const joins: Join[] = [];
  const free: number[] = [];
  for (const node of count(nodes)) {
    const members = nodeChips(spec, chips, node);
    for (const [a, b] of allPairs(node * spec.chipsPerNode, members.length)) joins.push({ a, b, links: local });
    const left = ports - local * (members.length - 1);
    for (const _ of members) free.push(Math.min(left, spec.globalPortsPerChip ?? left));
  }
  const pairs = allPairs(0, nodes);
  const mostRounds = ports * spec.chipsPerNode;
  for (let round = 0; round < mostRounds; round++) {
    // A round gives every pair of nodes one more link, or none: pairs of nodes stay equal.
    const added = globalRound(spec, chips, pairs, free);
    if (added === undefined) {
      if (round > 0) break;
      return badCount(
        `dragonfly of ${chips} chips: a node has too few ports left to reach the ${nodes - 1} other nodes`,
        `take a multiple of ${spec.chipsPerNode} chips`,
      );
    }
    joins.push(...added);
  }
  return ok(joins);
}

function globalRound(
  spec: TopologySpec,
  chips: number,
  pairs: readonly (readonly [number, number])[],
  free: number[],
): readonly Join[] | undefined {
  const left = [...free];
  const take = (node: number): number | undefined => {
    let best: number | undefined;
    for (const chip of nodeChips(spec, chips, node)) {
      if ((left[chip] ?? 0) > (best === undefined ? 0 : (left[best] ?? 0))) best = chip;
    }
    if (best !== undefined) left[best] = (left[best] ?? 0) - 1;
    return best;
  };
  const joins: Join[] = [];
  for (const [nodeA, nodeB] of pairs) {
    const a = take(nodeA);
    const b = take(nodeB);
    if (a === undefined || b === undefined) return undefined;
    joins.push({ a, b, links: 1 });
  }
  free.splice(0, free.length, ...left);
  return joins;
}

function edgeJoins(spec: TopologySpec, ports: number, chips: number): Result<readonly Join[]> {
  const edges = spec.edges ?? [];
  const problems: Diagnostic[] = [];
  const degree = count(chips).map(() => 0);
  for (const [index, [a, b]] of edges.entries()) {
    if (a >= chips || b >= chips || a < 0 || b < 0) {
      problems.push(diagnostic("LPU3012", `edge ${index} joins chips ${a} and ${b}, but there are ${chips} chips`));
    } else if (a === b) {
      problems.push(diagnostic("LPU3012", `edge ${index} joins chip ${a} with itself`));
    } else {
      degree[a] = (degree[a] ?? 0) + spec.linksPerPair;
      degree[b] = (degree[b] ?? 0) + spec.linksPerPair;
    }
  }
  for (const [chip, used] of degree.entries()) {
    if (used > ports) {
      problems.push(diagnostic("LPU3012", `chip ${chip} has ${used} links by the edge list, but ${ports} ports`));
    }
  }
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  return ok(edges.map(([a, b]) => ({ a, b, links: spec.linksPerPair })));
}

/** Each join takes the lowest free ports of both chips, so that ports of both edges of the chip get used in turn. */
function wire(joins: readonly Join[], chips: number, latency: number): readonly LinkConnection[] {
  const nextPort = count(chips).map(() => 0);
  const links: LinkConnection[] = [];
  for (const { a, b, links: parallel } of joins) {
    for (let link = 0; link < parallel; link++) {
      const portA = nextPort[a] ?? 0;
      const portB = nextPort[b] ?? 0;
      nextPort[a] = portA + 1;
      nextPort[b] = portB + 1;
      links.push({ from: a, fromPort: portA, to: b, toPort: portB, latency });
      links.push({ from: b, fromPort: portB, to: a, toPort: portA, latency });
    }
  }
  return links;
}

/** Port p of every chip goes to switch plane p, which holds one shift of all chips for the whole program. */
function switched(link: LinkSpec, spec: TopologySpec, chips: number): Result<readonly LinkConnection[]> {
  const most = spec.chipsPerNode * spec.nodesPerRack;
  const shifts = switchShifts(chips, link.portsPerChip);
  if (chips > most || shifts === undefined) {
    return badCount(
      `switch: ${link.portsPerChip} planes and a rack of ${most} do not reach ${chips} chips in two hops`,
    );
  }
  const latency = link.latency + link.switchLatency;
  return ok(
    shifts.flatMap((shift, port) =>
      count(chips).map((chip) => ({ from: chip, fromPort: port, to: (chip + shift) % chips, toPort: port, latency })),
    ),
  );
}

function joinsOf(spec: TopologySpec, ports: number, chips: number): Result<readonly Join[]> {
  switch (spec.kind) {
    case "chain":
      return evenJoins("chain", linePairs(chips, false), chips, spec, ports);
    case "ring":
      return evenJoins("ring", linePairs(chips, true), chips, spec, ports);
    case "all-to-all":
      return allToAll(spec, ports, chips);
    case "torus2d":
      return torus(spec, ports, chips);
    case "dragonfly":
      return dragonfly(spec, ports, chips);
    default:
      return edgeJoins(spec, ports, chips);
  }
}

function hopTable(chips: number, links: readonly LinkConnection[]): readonly (readonly number[])[] {
  const neighbours: number[][] = count(chips).map(() => []);
  for (const link of links) if (!neighbours[link.from]?.includes(link.to)) neighbours[link.from]?.push(link.to);
  return count(chips).map((start) => {
    const hops = count(chips).map((chip) => (chip === start ? 0 : Number.POSITIVE_INFINITY));
    const queue = [start];
    for (const chip of queue) {
      for (const next of neighbours[chip] ?? []) {
        if (Number.isFinite(hops[next])) continue;
        hops[next] = (hops[chip] ?? 0) + 1;
        queue.push(next);
      }
    }
    return hops;
  });
}

/** The wiring of `chips` chips. A chip count that the kind cannot do is a diagnostic. */
export function buildTopology(spec: TopologySpec, link: LinkSpec, chips: number): Result<Topology> {
  if (!Number.isSafeInteger(chips) || chips < 1 || chips > 4096) {
    return badCount(`a system has 1 to 4096 chips, not ${chips}`);
  }
  let wired: Result<readonly LinkConnection[]>;
  if (spec.kind === "switch") {
    wired = switched(link, spec, chips);
  } else {
    const joins = joinsOf(spec, link.portsPerChip, chips);
    wired = joins.ok ? ok(wire(joins.value, chips, link.latency)) : joins;
  }
  if (!wired.ok) return wired;
  const links = [...wired.value].sort((x, y) => x.from - y.from || x.fromPort - y.fromPort);
  const hops = hopTable(chips, links);
  const cut = hops[0]?.findIndex((distance) => !Number.isFinite(distance)) ?? -1;
  if (cut >= 0) return fail(diagnostic("LPU3012", `chip ${cut} cannot be reached from chip 0 by the edge list`));
  const between = new Map<number, number[]>();
  for (const [index, { from, to }] of links.entries()) {
    const found = between.get(from * chips + to);
    if (found === undefined) between.set(from * chips + to, [index]);
    else found.push(index);
  }
  return ok({ name: spec.kind, chips, links, switchHops: spec.kind === "switch" ? 1 : 0, between, hops });
}

/** Indices into `links` of the links from one chip straight to another. */
export function linksBetween(topology: Topology, from: number, to: number): readonly number[] {
  return topology.between.get(from * topology.chips + to) ?? [];
}

/** Neighbours of `from` that lie on a shortest route to `to`, ascending; empty for the chip itself. */
export function nextChips(topology: Topology, from: number, to: number): readonly number[] {
  const distance = topology.hops[from]?.[to] ?? 0;
  return count(topology.chips).filter(
    (chip) => topology.hops[chip]?.[to] === distance - 1 && topology.between.has(from * topology.chips + chip),
  );
}

/** The chips of the shortest route that takes the lowest-numbered chip at each step, both ends included. */
export function shortestRoute(topology: Topology, from: number, to: number): readonly number[] {
  const route = [from];
  let at = from;
  while (at !== to && route.length <= topology.chips) {
    const next = nextChips(topology, at, to)[0];
    if (next === undefined) break;
    route.push(next);
    at = next;
  }
  return route;
}
