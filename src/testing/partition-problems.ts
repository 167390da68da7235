// Arbitrary partition problems, small enough for every solution to be looked at.
import fc from "fast-check";
import type { DagNode, DagProblem } from "../../passes/partition/dag-problem.ts";
import type { ChainProblem } from "../../passes/partition/problem.ts";

const small = fc.integer({ min: 0, max: 9 });
const cost = fc.integer({ min: 0, max: 12 });

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

const costs = fc.record({
  computeCycles: cost,
  collectiveCycles: cost,
  weightBytes: cost,
  stateBytes: cost,
  activationBytes: cost,
  receiveBusyCycles: cost,
  sendBusyCycles: cost,
  sendLatencyCycles: cost,
});

/** Chains of up to six layers, on up to six chips, with pins, cuts, uneven links and nodes. */
export const chainProblems: fc.Arbitrary<ChainProblem> = fc
  .record({
    layerCount: fc.integer({ min: 1, max: 6 }),
    degrees: fc.constantFrom([1], [1, 2], [1, 2, 4], [2, 3], [1, 2, 2]),
    chips: fc.integer({ min: 1, max: 6 }),
    capacityBytes: fc.integer({ min: 15, max: 60 }),
    transfer: fc.constantFrom("overlapped" as const, "serial" as const),
    constrained: fc.boolean(),
    isUneven: fc.boolean(),
    chipsPerNode: fc.constantFrom(undefined, undefined, 2, 3, 4),
  })
  .chain((shape) =>
    fc.record({
      layers: fc.array(
        fc.record({
          name: fc.string({ maxLength: 5 }),
          boundaryBytes: cost,
          costs: fc.tuple(...shape.degrees.map((_, i) => (i === 0 ? costs : fc.option(costs, { nil: undefined })))),
        }),
        { minLength: shape.layerCount, maxLength: shape.layerCount },
      ),
      degrees: fc.constant(shape.degrees),
      chips: fc.constant(shape.chips),
      capacityBytes: fc.constant(shape.capacityBytes),
      transfer: fc.constant(shape.transfer),
      cutAfter: fc.array(fc.nat(shape.layerCount - 1), { maxLength: shape.constrained ? 2 : 0 }),
      pins: fc.array(fc.record({ layer: fc.nat(shape.layerCount - 1), chip: fc.nat(shape.chips - 1) }), {
        maxLength: shape.constrained ? 2 : 0,
      }),
      ...(shape.isUneven && shape.chips > 1
        ? {
            borders: fc.array(fc.record({ busyFactor: fc.constantFrom(1, 1.5, 3), extraLatencyCycles: cost }), {
              minLength: shape.chips - 1,
              maxLength: shape.chips - 1,
            }),
          }
        : {}),
      ...(shape.chipsPerNode === undefined ? {} : { chipsPerNode: fc.constant(shape.chipsPerNode) }),
    }),
  );
