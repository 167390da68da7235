// The device placement problem: a DAG of operators over ordered devices, accelerators with a memory limit and CPUs, as
// Tarnawski et al. (NeurIPS 2020) define it for pipelined throughput. Holds the data, its text form and the parser of
// that text. Must not know how it is solved or checked.
//
// - Nodes of one colour share a device. An accelerator holds at most `capacityBytes`; a CPU holds anything.
// - Devices are in order, and a forward edge never leads to an earlier device; so every device's forward part is convex.
// - Backward nodes (training) follow the forward nodes of their colour, on the way back. A colour of backward nodes only
//   is placed by its edges to other backward nodes, mirrored: such an edge never leads to a later device.
// - The load of an accelerator is the time of its nodes, plus, for every node whose output crosses its border in either
//   direction, that node's `sendTime` once. A CPU pays for its nodes only. The objective is the largest load.

export type DagNode = {
  readonly name: string;
  readonly acceleratorTime: number;
  readonly cpuTime: number;
  /** Must be placed on a CPU. */
  readonly cpuOnly: boolean;
  readonly sizeBytes: number;
  /** Time to move this node's output over the border of a device. */
  readonly sendTime: number;
  readonly colour: number | undefined;
  readonly isBackward: boolean;
};

/** Indices into `nodes`. */
export type DagEdge = { readonly source: number; readonly target: number };

export type DagProblem = {
  readonly nodes: readonly DagNode[];
  readonly edges: readonly DagEdge[];
  readonly accelerators: number;
  readonly cpus: number;
  readonly capacityBytes: number;
};

export type DagDevice = {
  readonly kind: "accelerator" | "cpu";
  /** Indices, ascending. */
  readonly nodes: readonly number[];
  readonly load: number;
  readonly sizeBytes: number;
};

export type DagSolution = {
  readonly kind: "solution";
  /** In pipeline order; devices that hold nothing are left out. */
  readonly devices: readonly DagDevice[];
  readonly maxLoad: number;
  /** No placement has a smaller largest load (up to rounding). */
  readonly lowerBound: number;
  readonly isOptimal: boolean;
  /** Steps taken by the search; the same on every machine. */
  readonly workUnits: number;
};

export type DagInfeasible = {
  readonly kind: "infeasible";
  /** True where no placement exists; false where the budget ended before one was found. */
  readonly isProved: boolean;
  /** Bytes that must share one accelerator, or else the bytes of all nodes. */
  readonly demandBytes: number;
  readonly capacityBytes: number;
  /** The five colours (or nodes) with most bytes, largest first. */
  readonly contributors: readonly { readonly name: string; readonly bytes: number }[];
};

type DagTextError = { readonly line: number; readonly message: string };
export type DagParse =
  | { readonly ok: true; readonly problem: DagProblem }
  | { readonly ok: false; readonly errors: readonly DagTextError[] };

export function printDagProblem(problem: DagProblem): string {
  const { accelerators, cpus, capacityBytes } = problem;
  const lines = [`dag accelerators=${accelerators} cpus=${cpus} capacity=${capacityBytes}`];
  for (const node of problem.nodes) {
    const numbers = [node.acceleratorTime, node.cpuTime, node.sizeBytes, node.sendTime].join(",");
    const flags = [
      node.colour === undefined ? "" : ` colour=${node.colour}`,
      node.cpuOnly ? " cpu-only" : "",
      node.isBackward ? " backward" : "",
    ];
    lines.push(`node ${JSON.stringify(node.name)} ${numbers}${flags.join("")}`);
  }
  for (const edge of problem.edges) lines.push(`edge ${edge.source} ${edge.target}`);
  return `${lines.join("\n")}\n`;
}

const HEADER = /^dag accelerators=(\d+) cpus=(\d+) capacity=([\d.e+]+)$/;
const NODE = /^node ("(?:[^"\\]|\\.)*") (\S+)((?: (?:colour=-?\d+|cpu-only|backward))*)$/;
const EDGE = /^edge (\d+) (\d+)$/;

export function parseDagProblem(text: string): DagParse {
  const errors: DagTextError[] = [];
  const lines = text.split("\n");
  const header = HEADER.exec(lines[0] ?? "");
  if (header === null)
    return { ok: false, errors: [{ line: 1, message: 'expected "dag accelerators=N cpus=N capacity=BYTES"' }] };
  const nodes: DagNode[] = [];
  const edges: DagEdge[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === "") continue;
    const edge = EDGE.exec(line);
    if (edge !== null) {
      edges.push({ source: Number(edge[1]), target: Number(edge[2]) });
      continue;
    }
    const node = parseNode(line);
    if (node !== undefined) nodes.push(node);
    else
      errors.push({ line: i + 1, message: 'expected "node "NAME" TIME,CPU-TIME,BYTES,SEND FLAGS" or "edge FROM TO"' });
  }
  const [, accelerators, cpus, capacity] = header;
  const problem: DagProblem = {
    nodes,
    edges,
    accelerators: Number(accelerators),
    cpus: Number(cpus),
    capacityBytes: Number(capacity),
  };
  if (errors.length === 0) for (const message of verifyDagProblem(problem)) errors.push({ line: 1, message });
  return errors.length > 0 ? { ok: false, errors } : { ok: true, problem };
}

function parseNode(line: string): DagNode | undefined {
  const match = NODE.exec(line);
  if (match === null) return undefined;
  const [acceleratorTime, cpuTime, sizeBytes, sendTime, ...rest] = (match[2] ?? "").split(",").map(Number);
  const flags = (match[3] ?? "").split(" ");
  const colour = flags.find((flag) => flag.startsWith("colour="));
  const name = parseName(match[1] ?? "");
  if (name === undefined || acceleratorTime === undefined || cpuTime === undefined) return undefined;
  if (sizeBytes === undefined || sendTime === undefined || rest.length > 0) return undefined;
  return {
    name,
    acceleratorTime,
    cpuTime,
    cpuOnly: flags.includes("cpu-only"),
    sizeBytes,
    sendTime,
    colour: colour === undefined ? undefined : Number(colour.slice("colour=".length)),
    isBackward: flags.includes("backward"),
  };
}

function parseName(quoted: string): string | undefined {
  try {
    const name: unknown = JSON.parse(quoted);
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Everything that is wrong with the problem itself; a solver may assume that this is empty. */
export function verifyDagProblem(problem: DagProblem): readonly string[] {
  const faults: string[] = [];
  const { nodes, edges, accelerators, cpus, capacityBytes } = problem;
  if (nodes.length === 0) faults.push("the graph has no nodes");
  for (const [what, count] of [
    ["accelerators", accelerators],
    ["CPUs", cpus],
  ] as const)
    if (!Number.isInteger(count) || count < 0) faults.push(`${count} is not a number of ${what}`);
  if (accelerators + cpus < 1) faults.push("there are no devices");
  if (!(capacityBytes >= 0)) faults.push(`${capacityBytes} is not a capacity in bytes`);
  for (const node of nodes) {
    for (const field of ["acceleratorTime", "cpuTime", "sizeBytes", "sendTime"] as const)
      if (!(Number.isFinite(node[field]) && node[field] >= 0))
        faults.push(`node "${node.name}": ${field} is ${node[field]}`);
    if (node.cpuOnly && cpus === 0) faults.push(`node "${node.name}" needs a CPU and there is none`);
  }
  for (const { source, target } of edges) {
    const from = nodes[source];
    const to = nodes[target];
    if (from === undefined || to === undefined) faults.push(`edge ${source} to ${target}: no such node`);
    else if (source === target) faults.push(`edge from node "${from.name}" to itself`);
    else if (from.isBackward && !to.isBackward)
      faults.push(`edge from backward node "${from.name}" to forward node "${to.name}"`);
  }
  if (faults.length === 0 && hasCycle(nodes.length, edges)) faults.push("the graph has a cycle");
  return faults;
}

function hasCycle(count: number, edges: readonly DagEdge[]): boolean {
  const incoming = new Int32Array(count);
  const targets: number[][] = Array.from({ length: count }, () => []);
  for (const { source, target } of edges) {
    incoming[target] = (incoming[target] ?? 0) + 1;
    targets[source]?.push(target);
  }
  const ready: number[] = [];
  for (let i = 0; i < count; i++) if (incoming[i] === 0) ready.push(i);
  let done = 0;
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    done++;
    for (const target of targets[node] ?? []) {
      const left = (incoming[target] ?? 0) - 1;
      incoming[target] = left;
      if (left === 0) ready.push(target);
    }
  }
  return done < count;
}
