// The machine as data. Every number of the machine lives here and comes from a target file; code has no machine constants.
// Times are in cycles of the chip clock unless the name says otherwise.

export type MxmMode = "int8" | "fp16" | "fp32";

/** How the matrix unit works on one element type. */
export interface MxmModeSpec {
  /** Rows of the contraction dimension in one tile: lanes of an activation vector used by one ABC. */
  readonly tileK: number;
  /** Output columns of one tile: rows loaded by LW. */
  readonly tileN: number;
  /** Planes that hold one tile together: 1, or 2 (planes 2i and 2i+1; named by the even one). */
  readonly planesPerTile: 1 | 2;
  /** Cycles between two activation vectors. */
  readonly vectorPeriod: number;
}

export interface MxmSpec {
  /** Planes 0..planes/2-1 stand at the west edge, the others at the east edge. */
  readonly planes: number;
  readonly modes: Readonly<Partial<Record<MxmMode, MxmModeSpec>>>;
  /** Streams one plane can take weights from in one cycle. */
  readonly loadStreamsPerPlane: number;
  /** Accumulator entries (one vector of `lanes` 32-bit sums each) a tile's planes have. */
  readonly accumulators: number;
  /** LW: last row arrived -> IW may issue. IW: issue -> ABC may issue. ABC: issue -> the matching ACC issues. ACC: issue -> sums on the stream. */
  readonly latency: { readonly lw: number; readonly iw: number; readonly abc: number; readonly acc: number };
}

export interface VxmSpec {
  readonly alus: number;
  /** ALUs that have the transcendental functions, max/min and narrowing casts. */
  readonly largeAlus: readonly number[];
  /** Longest chain of ALUs in one pass. */
  readonly chainDepth: number;
  /** An operand may be taken up to this many cycles after it passed (operand shift register). */
  readonly operandHistory: number;
  /** Issue -> result, by latency class of the operation. */
  readonly latency: { readonly simple: number; readonly multiply: number; readonly large: number };
}

export type TopologyKind = "chain" | "ring" | "all-to-all" | "dragonfly" | "switch" | "torus2d" | "edges";

export interface LinkSpec {
  /** Link ports a chip has. Even ports stand at the west edge column, odd ones at the east edge column. */
  readonly portsPerChip: number;
  readonly bytesPerSecond: number;
  /** Bytes on the wire for one vector, framing and error correction included. */
  readonly framedBytesPerVector: number;
  /** Send issue -> Receive issue, direct connection. */
  readonly latency: number;
  /** Added for each switch passed. */
  readonly switchLatency: number;
}

export interface TopologySpec {
  readonly kind: TopologyKind;
  readonly chipsPerNode: number;
  readonly nodesPerRack: number;
  /** Parallel links between two directly joined chips. */
  readonly linksPerPair: number;
  /** Dragonfly: ports a chip may use towards other nodes; all that its node leaves free where absent. */
  readonly globalPortsPerChip?: number;
  /** For "edges": joined chip pairs; each takes `linksPerPair` ports of both. */
  readonly edges?: readonly (readonly [number, number])[];
}

export interface Target {
  readonly name: string;
  readonly description: string;
  readonly clockHz: number;
  readonly lanes: number;
  readonly superlaneLanes: number;
  /** Constant ripple of an instruction through all superlanes: a vector is complete this long after its first superlane. */
  readonly verticalRipple: number;
  readonly streamsPerDirection: number;
  readonly mem: {
    readonly slicesPerHemisphere: number;
    /** Slices that share one stream register column. */
    readonly slicesPerColumn: number;
    readonly banks: 2;
    readonly wordsPerBank: number;
    readonly latency: {
      readonly read: number;
      readonly write: number;
      readonly gather: number;
      readonly scatter: number;
    };
  };
  readonly mxm: MxmSpec;
  readonly vxm: VxmSpec;
  /** Lane units a hemisphere has (each one queue, one stream group a cycle). */
  readonly sxm: { readonly unitsPerHemisphere: number; readonly latency: { readonly permute: number } };
  readonly link: LinkSpec;
  readonly topology: TopologySpec;
  readonly instructionFetchBytes: number;
  readonly extensions: { readonly laneReduce: boolean };
  readonly host: { readonly latencySeconds: number; readonly bytesPerSecond: number } | null;
  readonly energy: {
    readonly picojoulePerMacInt8: number;
    readonly picojoulePerSramByte: number;
    readonly picojoulePerLinkByte: number;
    readonly picojoulePerStreamHopByte: number;
  };
  /** Where each number comes from: JSON path -> source or "assumption". */
  readonly sources: Readonly<Record<string, string>>;
}
