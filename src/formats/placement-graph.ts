// Reads the JSON of the device placement instances (Tarnawski et al., NeurIPS 2020): `maxFPGAs` accelerators,
// `maxCPUs`, nodes with times, sizes and colours, edges with transfer times. Pure: from a parsed JSON value to a problem
// or to the list of all that is wrong. Must not know files, streams or the solver.
import type { DagEdge, DagNode, DagProblem } from "../../passes/partition/dag-problem.ts";
import { verifyDagProblem } from "../../passes/partition/dag-problem.ts";
import { type Fault, flag, isRecord, list, nonNegative, type Reading, wholeNumber } from "./json-value.ts";

export type PlacementGraph = {
  readonly problem: DagProblem;
  /** The file's id of each node of the problem. */
  readonly ids: readonly number[];
};

/** Is this the placement format at all, rather than a chain? */
export function looksLikePlacementGraph(value: unknown): boolean {
  return isRecord(value) && ("nodes" in value || "edges" in value || "maxFPGAs" in value);
}

export function readPlacementGraph(value: unknown): Reading<PlacementGraph> {
  const faults: Fault[] = [];
  if (!isRecord(value))
    return { ok: false, faults: [{ path: "", message: "expected an object with nodes and edges" }] };
  const accelerators = wholeNumber(value.maxFPGAs, "maxFPGAs", faults);
  const cpus = wholeNumber(value.maxCPUs, "maxCPUs", faults);
  const capacityBytes = nonNegative(value.maxSizePerFPGA, "maxSizePerFPGA", faults);
  const indexOfId = new Map<number, number>();
  const nodes: DagNode[] = [];
  list(value.nodes, "nodes", faults).forEach((node, i) => {
    const path = `nodes[${i}]`;
    const read = readNode(node, path, faults);
    if (read === undefined) return;
    const other = indexOfId.get(read.id);
    if (other !== undefined) faults.push({ path: `${path}.id`, message: `id ${read.id} is taken by nodes[${other}]` });
    else indexOfId.set(read.id, i);
    nodes.push(read.node);
  });
  const sendTime = new Map<number, number>();
  const edges: DagEdge[] = [];
  list(value.edges, "edges", faults).forEach((edge, i) => {
    const read = readEdge(edge, `edges[${i}]`, indexOfId, sendTime, faults);
    if (read !== undefined) edges.push(read);
  });
  if (faults.length > 0) return { ok: false, faults };
  const problem: DagProblem = {
    nodes: nodes.map((node, i) => ({ ...node, sendTime: sendTime.get(i) ?? 0 })),
    edges,
    accelerators,
    cpus,
    capacityBytes,
  };
  const wrong = verifyDagProblem(problem);
  if (wrong.length > 0) return { ok: false, faults: wrong.map((message) => ({ path: "", message })) };
  return { ok: true, value: { problem, ids: [...indexOfId.keys()] } };
}

function readNode(value: unknown, path: string, faults: Fault[]): { id: number; node: DagNode } | undefined {
  if (!isRecord(value)) {
    faults.push({ path, message: "expected an object" });
    return undefined;
  }
  const id = wholeNumber(value.id, `${path}.id`, faults);
  const colour = value.colorClass;
  const node: DagNode = {
    name: typeof value.name === "string" ? value.name : `node ${id}`,
    acceleratorTime: nonNegative(value.fpgaLatency, `${path}.fpgaLatency`, faults),
    cpuTime: nonNegative(value.cpuLatency, `${path}.cpuLatency`, faults),
    cpuOnly: !flag(value.supportedOnFpga, `${path}.supportedOnFpga`, true, faults),
    sizeBytes: value.size === undefined ? 0 : nonNegative(value.size, `${path}.size`, faults),
    sendTime: 0,
    colour: colour === undefined || colour === null ? undefined : wholeNumber(colour, `${path}.colorClass`, faults),
    isBackward: flag(value.isBackwardNode, `${path}.isBackwardNode`, false, faults),
  };
  return { id, node };
}

function readEdge(
  value: unknown,
  path: string,
  indexOfId: ReadonlyMap<number, number>,
  sendTime: Map<number, number>,
  faults: Fault[],
): DagEdge | undefined {
  if (!isRecord(value)) {
    faults.push({ path, message: "expected an object" });
    return undefined;
  }
  const [source, target] = (["sourceId", "destId"] as const).map((field) => {
    const id = wholeNumber(value[field], `${path}.${field}`, faults);
    const index = indexOfId.get(id);
    if (index === undefined) faults.push({ path: `${path}.${field}`, message: `there is no node with id ${id}` });
    return index;
  });
  const cost = nonNegative(value.cost, `${path}.cost`, faults);
  if (source === undefined || target === undefined) return undefined;
  const known = sendTime.get(source) ?? cost;
  // The same output costs the same whoever reads it; the published tools allow this much difference.
  if (Math.abs(known - cost) > 1e-6)
    faults.push({
      path: `${path}.cost`,
      message: `another edge from the same node has cost ${known}, this one ${cost}`,
    });
  sendTime.set(source, known);
  return { source, target };
}
