// Arbitrary machines: targets of small random geometry that pass the target schema, wirings of chips, and the two together.
import fc from "fast-check";
import { parseTarget } from "../../ir/target/schema.ts";
import type { Target, TopologyKind, TopologySpec } from "../../ir/target/target.ts";
import { buildTopology, type Topology } from "../../ir/target/topology.ts";

const cycles = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most });
const oneTo = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });

function modesOf(planes: number, lanes: number): fc.Arbitrary<Target["mxm"]["modes"]> {
  const mode = fc.record({
    tileK: oneTo(lanes),
    tileN: fc.constant(lanes),
    planesPerTile: planes % 4 === 0 ? fc.constantFrom(1 as const, 2 as const) : fc.constant(1 as const),
    vectorPeriod: oneTo(3),
  });
  // The int8 mode transposes: a compiler may ask that it takes a vector a cycle.
  const bytes = mode.map((spec) => ({ ...spec, planesPerTile: 1 as const, vectorPeriod: 1 }));
  return fc.record({ int8: bytes, fp16: mode, fp32: mode });
}

const geometries = fc.record({
  lanes: fc.constantFrom(8, 16, 32),
  superlaneLanes: fc.constantFrom(4, 8),
  streamsPerDirection: fc.constantFrom(16, 24, 32),
  columns: fc.integer({ min: 7, max: 13 }),
  wordsPerBank: fc.constantFrom(2048, 8192),
  planes: fc.constantFrom(2, 4),
  loadStreams: fc.constantFrom(4, 8, 16),
  alus: fc.constantFrom(6, 8, 16),
});

/** Targets with small memories and vectors: a compiler works the same on them, and its programs are executed quickly. */
export const targets: fc.Arbitrary<Target> = geometries.chain((shape) =>
  fc
    .record({
      verticalRipple: cycles(8),
      memory: fc.record({ read: oneTo(9), write: oneTo(9), gather: oneTo(9), scatter: oneTo(9) }),
      matrix: fc.record({
        lw: cycles(9),
        iw: oneTo(9),
        abc: oneTo(30),
        acc: cycles(9),
      }),
      vector: fc.record({
        simple: oneTo(6),
        multiply: oneTo(6),
        large: oneTo(12),
      }),
      modes: modesOf(shape.planes, shape.lanes),
      chainDepth: fc.integer({ min: 3, max: 5 }),
      history: fc.constantFrom(12, 16, 32),
      units: fc.integer({ min: 2, max: 4 }),
      permute: cycles(9),
      ports: fc.integer({ min: 2, max: 8 }),
      period: oneTo(9),
      latency: oneTo(120),
      laneReduce: fc.boolean(),
    })
    .map((rest): Target => {
      const parsed = parseTarget({
        name: "drawn",
        description: "a drawn machine",
        clockHz: 1e9,
        lanes: shape.lanes,
        superlaneLanes: shape.superlaneLanes,
        verticalRipple: rest.verticalRipple,
        streamsPerDirection: shape.streamsPerDirection,
        mem: {
          slicesPerHemisphere: 4 * shape.columns,
          slicesPerColumn: 4,
          banks: 2,
          wordsPerBank: shape.wordsPerBank,
          latency: rest.memory,
        },
        mxm: {
          planes: shape.planes,
          modes: rest.modes,
          loadStreamsPerPlane: Math.min(shape.loadStreams, shape.streamsPerDirection),
          accumulators: 256,
          latency: rest.matrix,
        },
        vxm: {
          alus: shape.alus,
          largeAlus: Array.from({ length: shape.alus / 2 }, (_, i) => 2 * i + 1),
          chainDepth: rest.chainDepth,
          operandHistory: rest.history,
          latency: rest.vector,
        },
        sxm: { unitsPerHemisphere: rest.units, latency: { permute: rest.permute } },
        link: {
          portsPerChip: rest.ports,
          bytesPerSecond: 1e9,
          framedBytesPerVector: rest.period,
          latency: rest.latency,
          switchLatency: 10,
        },
        topology: { kind: "chain", chipsPerNode: 4, nodesPerRack: 3, linksPerPair: 1 },
        instructionFetchBytes: 2 * shape.lanes,
        extensions: { laneReduce: rest.laneReduce },
        host: null,
        energy: {
          picojoulePerMacInt8: 0.3,
          picojoulePerSramByte: 1,
          picojoulePerLinkByte: 40,
          picojoulePerStreamHopByte: 0.05,
        },
      });
      if (!parsed.ok) throw new RangeError(parsed.diagnostics.map(({ message }) => message).join("; "));
      return parsed.value;
    }),
);

const kinds: readonly TopologyKind[] = ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d"];

const specs: fc.Arbitrary<TopologySpec> = fc.record({
  kind: fc.constantFrom(...kinds),
  chipsPerNode: fc.integer({ min: 2, max: 4 }),
  nodesPerRack: fc.integer({ min: 2, max: 6 }),
  linksPerPair: oneTo(2),
});

export interface Wiring {
  readonly spec: TopologySpec;
  readonly topology: Topology;
}

/** Wirings of exactly so many chips; a kind that cannot join so many becomes a chain. */
function wiringsOf(target: Target, chips: number): fc.Arbitrary<Wiring> {
  return specs.map((spec) => {
    const built = buildTopology(spec, target.link, chips);
    if (built.ok) return { spec, topology: built.value };
    const chain: TopologySpec = { ...spec, kind: "chain", linksPerPair: 1 };
    const plain = buildTopology(chain, target.link, chips);
    if (!plain.ok) throw new RangeError(plain.diagnostics.map(({ message }) => message).join("; "));
    return { spec: chain, topology: plain.value };
  });
}

/** Wirings of up to `mostChips` chips with the links of a target. */
export function wirings(target: Target, mostChips: number): fc.Arbitrary<Wiring> {
  return oneTo(mostChips).chain((chips) => wiringsOf(target, chips));
}

export interface System extends Wiring {
  readonly target: Target;
  readonly chips: number;
}

export function systems(
  options: { readonly chips?: number; readonly targets?: fc.Arbitrary<Target> } = {},
): fc.Arbitrary<System> {
  return (options.targets ?? targets).chain((target) =>
    wirings(target, options.chips ?? 4).map((wiring) => ({ ...wiring, target, chips: wiring.topology.chips })),
  );
}
