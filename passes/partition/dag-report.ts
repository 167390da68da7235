// From a list of stages back to the problem's words: loads, sizes, and what does not fit. Must not know any search.
import type { Model } from "./dag-model.ts";
import type { DagDevice, DagInfeasible, DagProblem, DagSolution } from "./dag-problem.ts";

type NodeStage = { readonly kind: DagDevice["kind"]; readonly items: readonly number[] };

export function describePlacement(
  problem: DagProblem,
  stages: readonly NodeStage[],
  bound: number,
  workUnits: number,
): DagSolution {
  const loads = stageLoads(problem, stages);
  const devices: DagDevice[] = [];
  stages.forEach(({ kind, items }, s) => {
    if (items.length === 0) return;
    const nodes = [...items].sort((a, b) => a - b);
    let sizeBytes = 0;
    for (const node of nodes) sizeBytes += problem.nodes[node]?.sizeBytes ?? 0;
    devices.push({ kind, nodes, load: loads[s] ?? 0, sizeBytes });
  });
  const maxLoad = Math.max(0, ...devices.map((device) => device.load));
  // What is proved up to rounding is proved: the two numbers are sums of the same parts in another order.
  const isOptimal = bound >= maxLoad * (1 - 1e-8);
  return { kind: "solution", devices, maxLoad, lowerBound: isOptimal ? maxLoad : bound, isOptimal, workUnits };
}

export function largestLoad(problem: DagProblem, stages: readonly NodeStage[]): number {
  return stageLoads(problem, stages).reduce((largest, load) => Math.max(largest, load), 0);
}

function stageLoads(problem: DagProblem, stages: readonly NodeStage[]): Float64Array {
  const loads = new Float64Array(stages.length);
  const stageOf = new Int32Array(problem.nodes.length).fill(-1);
  stages.forEach(({ kind, items }, s) => {
    for (const node of items) {
      const { acceleratorTime = 0, cpuTime = 0 } = problem.nodes[node] ?? {};
      loads[s] = (loads[s] ?? 0) + (kind === "cpu" ? cpuTime : acceleratorTime);
      stageOf[node] = s;
    }
  });
  const touched: Set<number>[] = problem.nodes.map(() => new Set());
  for (const { source, target } of problem.edges) {
    if (stageOf[source] === stageOf[target]) continue;
    touched[source]?.add(stageOf[source] ?? 0).add(stageOf[target] ?? 0);
  }
  touched.forEach((set, source) => {
    for (const s of set)
      if (stages[s]?.kind === "accelerator") loads[s] = (loads[s] ?? 0) + (problem.nodes[source]?.sendTime ?? 0);
  });
  return loads;
}

export function describeInfeasible(problem: DagProblem, model: Model, isProved: boolean): DagInfeasible {
  const contributors = model.nodes.map((nodes, item) => {
    const name = problem.nodes[nodes[0] ?? 0]?.name ?? "";
    const others = nodes.length > 1 ? ` and ${nodes.length - 1} more that share its device` : "";
    return { name: `${name}${others}`, bytes: model.bytes[item] ?? 0, item };
  });
  contributors.sort((a, b) => b.bytes - a.bytes || a.item - b.item);
  const largest = contributors[0]?.bytes ?? 0;
  const isOneItem = largest > problem.capacityBytes;
  const all = contributors.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    kind: "infeasible",
    isProved,
    demandBytes: isOneItem ? largest : all,
    capacityBytes: isOneItem ? problem.capacityBytes : problem.capacityBytes * problem.accelerators,
    contributors: contributors.slice(0, 5).map(({ name, bytes }) => ({ name, bytes })),
  };
}
