// Every placement of a small problem, by the words of the problem.
import type { DagDevice, DagProblem } from "../passes/partition/dag-problem.ts";

type Kind = DagDevice["kind"];

/** The smallest largest load of any placement, or undefined if there is none. */
export function bestOfAll(problem: DagProblem): number | undefined {
  const { nodes, edges } = problem;
  const isAlone = nodes.map((node) =>
    nodes.every((other) => other.isBackward || other.colour === undefined || other.colour !== node.colour),
  );
  let best: number | undefined;
  for (const kinds of sequences(problem.accelerators, problem.cpus)) {
    const deviceOf = nodes.map(() => 0);
    const tryFrom = (node: number) => {
      if (node === nodes.length) {
        const load = largestLoad(problem, kinds, deviceOf);
        if (load !== undefined && load < (best ?? Number.POSITIVE_INFINITY)) best = load;
        return;
      }
      for (let d = 0; d < kinds.length; d++) {
        deviceOf[node] = d;
        const parted = nodes.findIndex(
          (other, i) => i < node && other.colour === nodes[node]?.colour && deviceOf[i] !== d,
        );
        if (parted >= 0 && nodes[node]?.colour !== undefined) continue;
        if (!edges.every((edge) => edge.target !== node || isOrdered(problem, edge, deviceOf, isAlone))) continue;
        tryFrom(node + 1);
      }
    };
    tryFrom(0);
  }
  return best;
}

function isOrdered(
  problem: DagProblem,
  { source, target }: DagProblem["edges"][number],
  deviceOf: readonly number[],
  isAlone: readonly boolean[],
): boolean {
  const from = deviceOf[source] ?? 0;
  const to = deviceOf[target] ?? 0;
  if (problem.nodes[target]?.isBackward === false) return from <= to;
  if (problem.nodes[source]?.isBackward === false) return true;
  return isAlone[source] === true || isAlone[target] === true ? from >= to : true;
}

function sequences(accelerators: number, cpus: number): readonly (readonly Kind[])[] {
  if (accelerators + cpus === 0) return [[]];
  const longer: (readonly Kind[])[] = [];
  if (accelerators > 0) for (const rest of sequences(accelerators - 1, cpus)) longer.push(["accelerator", ...rest]);
  if (cpus > 0) for (const rest of sequences(accelerators, cpus - 1)) longer.push(["cpu", ...rest]);
  return longer;
}

function largestLoad(problem: DagProblem, kinds: readonly Kind[], deviceOf: readonly number[]): number | undefined {
  const { nodes, edges } = problem;
  let largest = 0;
  for (let d = 0; d < kinds.length; d++) {
    let load = 0;
    let bytes = 0;
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i];
      if (node === undefined) continue;
      const isHere = deviceOf[i] === d;
      if (kinds[d] === "cpu") {
        if (isHere) load += node.cpuTime;
        continue;
      }
      if (isHere && node.cpuOnly) return undefined;
      if (isHere) {
        load += node.acceleratorTime;
        bytes += node.sizeBytes;
      }
      if (edges.some((edge) => edge.source === i && isHere !== (deviceOf[edge.target] === d))) load += node.sendTime;
    }
    if (kinds[d] === "accelerator" && bytes > problem.capacityBytes) return undefined;
    largest = Math.max(largest, load);
  }
  return largest;
}
