// The solver's view of a device placement problem: items (sets of nodes that must share a device), the order between
// them, and nets (an output and all its readers; a device that holds some but not all of a net pays for it once).
// Contracting items gives a smaller model of the same form. Must not know any search.
import type { DagProblem } from "./dag-problem.ts";

/** Rows of numbers, flattened: row `i` is `items[start[i] .. start[i + 1])`. */
export type Rows = { readonly start: Int32Array; readonly items: Int32Array };

export type Model = {
  readonly count: number;
  readonly accelerators: number;
  readonly cpus: number;
  readonly capacityBytes: number;
  readonly time: Float64Array;
  readonly cpuTime: Float64Array;
  readonly bytes: Float64Array;
  readonly cpuOnly: Uint8Array;
  readonly predecessors: Rows;
  readonly successors: Rows;
  readonly netCost: Float64Array;
  readonly netItems: Rows;
  readonly itemNets: Rows;
  /** The problem's nodes in each item. */
  readonly nodes: readonly (readonly number[])[];
};

export function row(rows: Rows, i: number): Int32Array {
  return rows.items.subarray(rows.start[i] ?? 0, rows.start[i + 1] ?? 0);
}

function rowsOf(lists: readonly (readonly number[])[]): Rows {
  const start = new Int32Array(lists.length + 1);
  lists.forEach((list, i) => {
    start[i + 1] = (start[i] ?? 0) + list.length;
  });
  const items = new Int32Array(start[lists.length] ?? 0);
  lists.forEach((list, i) => {
    items.set(list, start[i] ?? 0);
  });
  return { start, items };
}

/** One item for each set of nodes that colours and cycles through colours force together. */
export function buildModel(problem: DagProblem): Model {
  const { nodes } = problem;
  const hasForward = new Set<number>();
  const firstOfColour = new Map<number, number>();
  const group = nodes.map((node, i) => {
    if (node.colour === undefined) return i;
    if (!node.isBackward) hasForward.add(node.colour);
    const first = firstOfColour.get(node.colour) ?? i;
    firstOfColour.set(node.colour, first);
    return first;
  });
  const isMirrored = nodes.map(
    (node) => node.isBackward && !(node.colour !== undefined && hasForward.has(node.colour)),
  );
  const successors: number[][] = nodes.map(() => []);
  const readers: number[][] = nodes.map(() => []);
  for (const { source, target } of problem.edges) {
    readers[source]?.push(target);
    const isForward = nodes[target]?.isBackward === false;
    const isBackward = nodes[source]?.isBackward === true;
    if (isForward) successors[source]?.push(target);
    else if (isBackward && (isMirrored[source] === true || isMirrored[target] === true))
      successors[target]?.push(source);
  }
  const nets: number[][] = [];
  const netCost: number[] = [];
  readers.forEach((targets, source) => {
    const cost = nodes[source]?.sendTime ?? 0;
    if (targets.length === 0 || cost === 0) return;
    nets.push([source, ...targets]);
    netCost.push(cost);
  });
  const single = assemble({
    problem,
    time: Float64Array.from(nodes, (node) => node.acceleratorTime),
    cpuTime: Float64Array.from(nodes, (node) => node.cpuTime),
    bytes: Float64Array.from(nodes, (node) => node.sizeBytes),
    cpuOnly: Uint8Array.from(nodes, (node) => (node.cpuOnly ? 1 : 0)),
    successors: successors.map((list) => [...new Set(list)]),
    nets: nets.map((net) => [...new Set(net)]),
    netCost,
    nodes: nodes.map((_, i) => [i]),
  });
  return contractCycles(contract(single, group));
}

type Parts = {
  readonly problem: Pick<DagProblem, "accelerators" | "cpus" | "capacityBytes">;
  readonly time: Float64Array;
  readonly cpuTime: Float64Array;
  readonly bytes: Float64Array;
  readonly cpuOnly: Uint8Array;
  readonly successors: readonly (readonly number[])[];
  readonly nets: readonly (readonly number[])[];
  readonly netCost: readonly number[];
  readonly nodes: readonly (readonly number[])[];
};

function assemble(parts: Parts): Model {
  const count = parts.nodes.length;
  const predecessors: number[][] = parts.nodes.map(() => []);
  parts.successors.forEach((list, i) => {
    for (const next of list) predecessors[next]?.push(i);
  });
  const itemNets: number[][] = parts.nodes.map(() => []);
  parts.nets.forEach((net, n) => {
    for (const item of net) itemNets[item]?.push(n);
  });
  return {
    count,
    // More devices than items are of no use.
    accelerators: Math.min(parts.problem.accelerators, count),
    cpus: Math.min(parts.problem.cpus, count),
    capacityBytes: parts.problem.capacityBytes,
    time: parts.time,
    cpuTime: parts.cpuTime,
    bytes: parts.bytes,
    cpuOnly: parts.cpuOnly,
    predecessors: rowsOf(predecessors),
    successors: rowsOf(parts.successors),
    netCost: Float64Array.from(parts.netCost),
    netItems: rowsOf(parts.nets),
    itemNets: rowsOf(itemNets),
    nodes: parts.nodes,
  };
}

/** Items with equal `group` become one. Nets inside one item vanish, nets over the same items add up. */
function contract(model: Model, group: readonly number[]): Model {
  const newIndex = new Map<number, number>();
  const itemOf = new Int32Array(model.count);
  for (let i = 0; i < model.count; i++) {
    const key = group[i] ?? i;
    const index = newIndex.get(key) ?? newIndex.size;
    newIndex.set(key, index);
    itemOf[i] = index;
  }
  const count = newIndex.size;
  if (count === model.count) return model;
  const sums = { time: new Float64Array(count), cpuTime: new Float64Array(count), bytes: new Float64Array(count) };
  const cpuOnly = new Uint8Array(count);
  const nodes: number[][] = Array.from({ length: count }, () => []);
  const successors: Set<number>[] = Array.from({ length: count }, () => new Set());
  for (let i = 0; i < model.count; i++) {
    const item = itemOf[i] ?? 0;
    for (const field of ["time", "cpuTime", "bytes"] as const)
      sums[field][item] = (sums[field][item] ?? 0) + (model[field][i] ?? 0);
    if (model.cpuOnly[i] === 1) cpuOnly[item] = 1;
    nodes[item]?.push(...(model.nodes[i] ?? []));
    for (const next of row(model.successors, i)) if (itemOf[next] !== item) successors[item]?.add(itemOf[next] ?? 0);
  }
  const netOf = new Map<string, number>();
  const nets: number[][] = [];
  const netCost: number[] = [];
  for (let n = 0; n < model.netCost.length; n++) {
    const members = [...new Set(Array.from(row(model.netItems, n), (i) => itemOf[i] ?? 0))].sort((a, b) => a - b);
    if (members.length < 2) continue;
    const key = members.join();
    const known = netOf.get(key);
    if (known !== undefined) netCost[known] = (netCost[known] ?? 0) + (model.netCost[n] ?? 0);
    else {
      netOf.set(key, nets.length);
      nets.push(members);
      netCost.push(model.netCost[n] ?? 0);
    }
  }
  const lists = successors.map((set) => [...set].sort((a, b) => a - b));
  return assemble({ problem: model, ...sums, cpuOnly, successors: lists, nets, netCost, nodes });
}

/** Items on a cycle of the order must share a device. */
function contractCycles(model: Model): Model {
  return contract(model, Array.from(strongComponents(model)));
}

/** Tarjan's algorithm without recursion; for every item the number of its strongly connected component. */
function strongComponents(model: Model): Int32Array {
  const { count, successors } = model;
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const component = new Int32Array(count).fill(-1);
  const cursor = new Int32Array(count);
  const open: number[] = [];
  let visited = 0;
  let components = 0;
  for (let root = 0; root < count; root++) {
    if (order[root] !== -1) continue;
    const path = [root];
    while (path.length > 0) {
      const item = path[path.length - 1] ?? 0;
      if (order[item] === -1) {
        order[item] = low[item] = visited++;
        cursor[item] = successors.start[item] ?? 0;
        open.push(item);
      }
      const at = cursor[item] ?? 0;
      if (at < (successors.start[item + 1] ?? 0)) {
        cursor[item] = at + 1;
        const next = successors.items[at] ?? 0;
        if (order[next] === -1) path.push(next);
        else if (component[next] === -1) low[item] = Math.min(low[item] ?? 0, order[next] ?? 0);
        continue;
      }
      path.pop();
      const parent = path[path.length - 1];
      if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[item] ?? 0);
      if (low[item] !== order[item]) continue;
      for (let member = open.pop(); member !== undefined; member = open.pop()) {
        component[member] = components;
        if (member === item) break;
      }
      components++;
    }
  }
  return component;
}

/**
 * Joins every item that takes no time and has one neighbour only to that neighbour, as long as there are such items.
 * Where memory does not bind this loses nothing: moving the item to its neighbour's device never raises a load. Where it
 * binds, leaving out the bytes of such items (`keepBytes` false) gives a relaxation of the problem.
 */
export function contractLeaves(model: Model, keepBytes = true): Model {
  let current = model;
  for (;;) {
    const group = Array.from({ length: current.count }, (_, i) => i);
    const taken = new Uint8Array(current.count);
    const bytes = current.bytes.slice();
    let joined = 0;
    for (let item = 0; item < current.count; item++) {
      if (current.time[item] !== 0 || current.cpuTime[item] !== 0 || taken[item] === 1) continue;
      const neighbour = onlyNeighbour(current, item);
      if (neighbour === undefined || group[neighbour] !== neighbour) continue;
      if (current.cpuOnly[item] === 1 && current.cpuOnly[neighbour] !== 1) continue;
      group[item] = neighbour;
      taken[neighbour] = 1;
      if (!keepBytes) bytes[item] = 0;
      joined++;
    }
    if (joined === 0) return current;
    current = contract({ ...current, bytes }, group);
  }
}

/** The one item that shares the order and every net with `item`, or undefined. */
function onlyNeighbour(model: Model, item: number): number | undefined {
  let neighbour: number | undefined;
  for (const rows of [model.predecessors, model.successors])
    for (const other of row(rows, item)) {
      if (neighbour !== undefined && other !== neighbour) return undefined;
      neighbour = other;
    }
  if (neighbour === undefined) return undefined;
  for (const net of row(model.itemNets, item)) if (!row(model.netItems, net).includes(neighbour)) return undefined;
  return neighbour;
}

/**
 * Joins the items of every net that no placement better than `bound` can part: whichever of them is on an accelerator
 * would make it pay more. Needs at most one CPU, for two CPUs could part them at no cost.
 */
export function contractHeavy(model: Model, bound: number): Model {
  if (model.cpus > 1) return model;
  const parent = Array.from({ length: model.count }, (_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root] ?? root;
    return root;
  };
  const cheapest = (item: number) => (model.cpuOnly[item] === 1 ? Number.POSITIVE_INFINITY : (model.time[item] ?? 0));
  for (let net = 0; net < model.netCost.length; net++) {
    const cost = model.netCost[net] ?? 0;
    const members = row(model.netItems, net);
    const affordable = Array.from(members).filter((item) => cheapest(item) + cost < bound);
    if (affordable.length > 0) continue;
    const first = members[0] ?? 0;
    for (const item of members) parent[find(item)] = find(first);
  }
  const group = parent.map((_, i) => find(i));
  return contractCycles(contract(model, group));
}
