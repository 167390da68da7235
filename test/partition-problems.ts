// Small random placement problems, and every placement of one of them, by the words of the problem.
import fc from "fast-check";
import type { DagDevice, DagNode, DagProblem } from "../passes/partition/dag-problem.ts";

const small = fc.integer({ min: 0, max: 9 });

/** Forward nodes first, then backward ones; edges lead from a lower to a higher index. */
export function placementProblems(limits: {
  readonly nodes: number;
  readonly accelerators: number;
  readonly cpus: number;
}): fc.Arbitrary<DagProblem> {
  return fc
    .record({ forward: fc.integer({ min: 1, max: limits.nodes }), backward: fc.integer({ min: 0, max: limits.nodes }) })
    .map(({ forward, backward }) => ({ forward, count: Math.min(limits.nodes, forward + backward) }))
    .chain(({ forward, count }) =>
      fc.record({
        forward: fc.constant(forward),
        nodes: fc.array(
          fc.record({
            acceleratorTime: small,
            cpuTime: small.map((time) => 3 * time),
            cpuOnly: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
            sizeBytes: small,
            sendTime: fc.integer({ min: 0, max: 4 }),
            colour: fc.option(fc.integer({ min: 0, max: count }), { nil: undefined }),
            isFree: fc.boolean(),
          }),
          { minLength: count, maxLength: count },
        ),
        pairs: fc.uniqueArray(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), {
          maxLength: 2 * count,
          selector: ([a, b]) => Math.min(a, b) * count + Math.max(a, b),
        }),
        accelerators: fc.integer({ min: limits.cpus > 0 ? 0 : 1, max: limits.accelerators }),
        cpus: fc.integer({ min: 0, max: limits.cpus }),
        capacityBytes: fc.integer({ min: 5, max: 40 }),
      }),
    )
    .map((shape) => {
      const nodes = shape.nodes.map(
        (node, i): DagNode => ({
          name: `n${i}`,
          acceleratorTime: node.isFree ? 0 : node.acceleratorTime,
          cpuTime: node.isFree ? 0 : node.cpuTime,
          cpuOnly: node.cpuOnly && shape.cpus > 0,
          sizeBytes: node.sizeBytes,
          sendTime: node.sendTime,
          colour: node.colour,
          isBackward: i >= shape.forward,
        }),
      );
      const edges = shape.pairs
        .filter(([a, b]) => a !== b)
        .map(([a, b]) => ({ source: Math.min(a, b), target: Math.max(a, b) }));
      const { accelerators, cpus, capacityBytes } = shape;
      return { nodes, edges, accelerators: accelerators + cpus > 0 ? accelerators : 1, cpus, capacityBytes };
    });
}

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
