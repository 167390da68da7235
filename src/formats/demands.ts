// Reads demands as JSON: a topology, its links, and transfers or one collective to be scheduled on them. The format is described in
// docs/route-demands.md. Pure; must not know files or the solvers.
import { columnCount, linkVectorPeriod } from "../../ir/target/geometry.ts";
import type { Target, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology } from "../../ir/target/topology.ts";
import { type CollectiveKind, collectiveKinds } from "../../passes/route/collective-problem.ts";
import type { CollectiveTask } from "../../passes/route/collective-timing.ts";
import type { Forwarding, RouteLink, RouteProblem, RouteTransfer } from "../../passes/route/problem.ts";
import { verifyRouteProblem } from "../../passes/route/problem.ts";
import { type Fault, isRecord, list, type Reading, wholeNumber } from "./json-value.ts";

export type Demands =
  | { readonly kind: "transfers"; readonly topology: string; readonly problem: RouteProblem }
  | { readonly kind: "collective"; readonly topology: string; readonly task: CollectiveTask };

type Json = Readonly<Record<string, unknown>>;

const fields = [
  "format",
  "target",
  "topology",
  "link",
  "forwarding",
  "forwardCycles",
  "addCycles",
  "bufferVectors",
  "intervalCycles",
  "transfers",
  "collective",
] as const;
const topologyFields = ["kind", "chips", "linksPerPair", "chipsPerNode", "nodesPerRack", "globalPortsPerChip", "links"];
const linkFields = ["cyclesPerVector", "latency", "portsPerChip"];
const transferFields = ["name", "from", "to", "vectors", "earliest", "readyEvery", "latest"];

export function looksLikeDemands(value: unknown): boolean {
  return isRecord(value) && ("transfers" in value || "collective" in value) && "topology" in value;
}

/** `findTarget`: gives the target a file names, for what the file leaves out. */
export function readDemands(value: unknown, findTarget: (name: string) => Target | undefined): Reading<Demands> {
  const faults: Fault[] = [];
  const record: Json = isRecord(value) ? value : {};
  refuseUnknown(record, fields, "", faults);
  const target = readTarget(record.target, findTarget, faults);
  const network = readTopology(record, target, faults);
  const count = (field: string, absent: number): number => optional(record, field, "", absent, faults);
  const hold = target === undefined ? 0 : target.mem.latency.write + target.mem.latency.read + 2 * columnCount(target);
  const sum = target === undefined ? 0 : target.vxm.latency.simple + target.mem.latency.write + columnCount(target);
  const forwardCycles = count("forwardCycles", hold);
  const addCycles = count("addCycles", sum);
  const limit = (field: string): number | undefined => (record[field] === undefined ? undefined : count(field, 0));
  const forwarding = readForwarding(record.forwarding, faults);
  const { chips, links } = network;
  const shared = { chips, links, forwardCycles };
  if (record.collective !== undefined && record.transfers !== undefined)
    faults.push({ path: "collective", message: "a file has transfers or a collective, not both" });
  if (record.collective !== undefined) {
    const collective = readWanted(record.collective, chips, faults);
    const bufferVectors = limit("bufferVectors");
    if (record.intervalCycles !== undefined)
      faults.push({ path: "intervalCycles", message: "a collective is not repeated; write its transfers for that" });
    if (faults.length > 0) return { ok: false, faults };
    const task = { ...shared, ...collective, addCycles, forwarding, bufferVectors };
    return { ok: true, value: { kind: "collective", topology: network.name, task } };
  }
  const transfers = list(record.transfers, "transfers", faults).map((item, i) => readTransfer(item, i, faults));
  const bufferVectors = limit("bufferVectors");
  const intervalCycles = limit("intervalCycles");
  const problem: RouteProblem = { ...shared, transfers, forwarding, bufferVectors, intervalCycles };
  if (faults.length === 0) for (const message of verifyRouteProblem(problem)) faults.push({ path: "", message });
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, value: { kind: "transfers", topology: network.name, problem } };
}

function refuseUnknown(record: Json, known: readonly string[], path: string, faults: Fault[]): void {
  for (const field of Object.keys(record))
    if (!known.includes(field))
      faults.push({
        path: path === "" ? field : `${path}.${field}`,
        message: `unknown; there are ${known.join(", ")}`,
      });
}

function optional(record: Json, field: string, path: string, absent: number, faults: Fault[]): number {
  const value = record[field];
  if (value === undefined) return absent;
  const where = path === "" ? field : `${path}.${field}`;
  const number = wholeNumber(value, where, faults);
  if (number < 0) faults.push({ path: where, message: `${number} is negative` });
  return number;
}

function readTarget(
  value: unknown,
  findTarget: (name: string) => Target | undefined,
  faults: Fault[],
): Target | undefined {
  if (value === undefined) return undefined;
  const target = typeof value === "string" ? findTarget(value) : undefined;
  if (target === undefined) faults.push({ path: "target", message: "no such target" });
  return target;
}

function readForwarding(value: unknown, faults: Fault[]): Forwarding {
  if (value === undefined || value === "cut-through") return "cut-through";
  if (value !== "store-and-forward")
    faults.push({ path: "forwarding", message: "expected cut-through or store-and-forward" });
  return "store-and-forward";
}

type Network = { readonly name: string; readonly chips: number; readonly links: readonly RouteLink[] };

function readTopology(record: Json, target: Target | undefined, faults: Fault[]): Network {
  const { topology } = record;
  const link = isRecord(record.link) ? record.link : {};
  if (record.link !== undefined && !isRecord(record.link)) faults.push({ path: "link", message: "expected an object" });
  refuseUnknown(link, linkFields, "link", faults);
  const needs = (field: string, known: number | undefined): number => {
    if (link[field] === undefined && known === undefined)
      faults.push({ path: `link.${field}`, message: "missing; give it, or a target" });
    return optional(link, field, "link", known ?? 1, faults);
  };
  if (!isRecord(topology)) {
    faults.push({ path: "topology", message: "expected an object with kind and chips, or with chips and links" });
    return { name: "none", chips: 0, links: [] };
  }
  refuseUnknown(topology, topologyFields, "topology", faults);
  const chips = wholeNumber(topology.chips, "topology.chips", faults);
  if (Array.isArray(topology.links)) {
    const isWhole = topology.links.every((item) => Array.isArray(item) && item.length >= 4);
    const every = isWhole ? 1 : needs("cyclesPerVector", target === undefined ? undefined : linkVectorPeriod(target));
    const latency = isWhole ? 1 : needs("latency", target?.link.latency);
    const links = topology.links.map((item, i): RouteLink => {
      const path = `topology.links[${i}]`;
      const numbers = list(item, path, faults).map((n, at) => wholeNumber(n, `${path}[${at}]`, faults));
      const [from = -1, to = -1, own = every, ownLatency = latency] = numbers;
      if (from < 0 || to < 0)
        faults.push({ path, message: "expected [from, to] or [from, to, cyclesPerVector, latency]" });
      return { from, to, cyclesPerVector: own, latency: ownLatency };
    });
    return { name: "explicit", chips, links };
  }
  const every = needs("cyclesPerVector", target === undefined ? undefined : linkVectorPeriod(target));
  const latency = needs("latency", target?.link.latency);
  const ports = needs("portsPerChip", target?.link.portsPerChip);
  return namedTopology(topology, chips, target, { every, latency, ports }, faults);
}

function namedTopology(
  topology: Json,
  chips: number,
  target: Target | undefined,
  link: { readonly every: number; readonly latency: number; readonly ports: number },
  faults: Fault[],
): Network {
  const kinds = ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d"] as const;
  const kind = kinds.find((name) => name === topology.kind);
  if (kind === undefined) {
    faults.push({ path: "topology.kind", message: `expected one of ${kinds.join(", ")}, or links` });
    return { name: "none", chips, links: [] };
  }
  const from = target?.topology;
  const number = (field: "chipsPerNode" | "nodesPerRack" | "linksPerPair", absent: number): number =>
    optional(topology, field, "topology", from?.[field] ?? absent, faults);
  const ports = optional(topology, "globalPortsPerChip", "topology", from?.globalPortsPerChip ?? -1, faults);
  const spec: TopologySpec = {
    kind,
    chipsPerNode: number("chipsPerNode", 8),
    nodesPerRack: number("nodesPerRack", 9),
    linksPerPair: number("linksPerPair", 1),
    ...(ports < 0 ? {} : { globalPortsPerChip: ports }),
  };
  if (faults.length > 0) return { name: kind, chips, links: [] };
  const numbers = { bytesPerSecond: 1, framedBytesPerVector: 1, switchLatency: target?.link.switchLatency ?? 0 };
  const built = buildTopology(spec, { ...numbers, portsPerChip: link.ports, latency: link.latency }, chips);
  if (!built.ok) {
    for (const { message } of built.diagnostics) faults.push({ path: "topology", message });
    return { name: kind, chips, links: [] };
  }
  const links = built.value.links.map((wire) => ({
    from: wire.from,
    to: wire.to,
    cyclesPerVector: link.every,
    latency: wire.latency,
  }));
  return { name: kind, chips, links };
}

function readTransfer(value: unknown, index: number, faults: Fault[]): RouteTransfer {
  const path = `transfers[${index}]`;
  const record: Json = isRecord(value) ? value : {};
  if (!isRecord(value)) faults.push({ path, message: "expected an object with from, to and vectors" });
  else refuseUnknown(record, transferFields, path, faults);
  const destinations = Array.isArray(record.to)
    ? record.to.map((chip, i) => wholeNumber(chip, `${path}.to[${i}]`, faults))
    : [wholeNumber(record.to, `${path}.to`, faults)];
  return {
    name: typeof record.name === "string" ? record.name : `transfer ${index}`,
    source: wholeNumber(record.from, `${path}.from`, faults),
    destinations,
    vectors: wholeNumber(record.vectors, `${path}.vectors`, faults),
    earliest: optional(record, "earliest", path, 0, faults),
    readyEvery: optional(record, "readyEvery", path, 0, faults),
    latest: record.latest === undefined ? undefined : optional(record, "latest", path, 0, faults),
  };
}

function readWanted(
  value: unknown,
  chips: number,
  faults: Fault[],
): { readonly kind: CollectiveKind; readonly vectors: number; readonly root: number } {
  const record: Json = isRecord(value) ? value : {};
  refuseUnknown(record, ["kind", "vectors", "root"], "collective", faults);
  const kind = collectiveKinds.find((name) => name === record.kind);
  if (kind === undefined)
    faults.push({ path: "collective.kind", message: `expected one of ${collectiveKinds.join(", ")}` });
  const vectors = wholeNumber(record.vectors, "collective.vectors", faults);
  if (vectors < 1) faults.push({ path: "collective.vectors", message: `${vectors} vectors` });
  const root = optional(record, "root", "collective", 0, faults);
  if (root >= chips) faults.push({ path: "collective.root", message: `there is no chip ${root}` });
  return { kind: kind ?? "broadcast", vectors, root };
}
