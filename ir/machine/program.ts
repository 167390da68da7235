// A machine program: what the backend emits, the encoder writes, the interpreter executes and the verifier judges. Data only.
import type { DType, StoredType } from "../dtype.ts";
import type { CoreOp } from "../graph/core-ops.ts";
import type { Attrs, NodeOrigin } from "../graph/graph.ts";
import type { Hemisphere } from "../target/geometry.ts";
import type { Target } from "../target/target.ts";
import type { Instruction } from "./isa.ts";

/** The queue of one unit. `slice`, `alu`, `plane`, `port` count per hemisphere (slices, SXM units) or per chip (ALUs, planes, ports). */
export type Unit =
  | { readonly kind: "memRead" | "memWrite"; readonly hemisphere: Hemisphere; readonly slice: number }
  | { readonly kind: "vxmAlu"; readonly alu: number }
  | { readonly kind: "sxm"; readonly hemisphere: Hemisphere; readonly index: number }
  | { readonly kind: "mxmLoad" | "mxmActivate" | "mxmAccumulate"; readonly plane: number }
  | { readonly kind: "linkSend" | "linkReceive"; readonly port: number }
  | { readonly kind: "control" };

/** Instructions of one unit in issue order; their bursts do not overlap. */
export interface Queue {
  readonly unit: Unit;
  readonly instructions: readonly Instruction[];
}

/** One byte plane of initial memory: `bytes.length / lanes` words of one slice from `address` on. */
export interface ImageSegment {
  readonly hemisphere: Hemisphere;
  readonly slice: number;
  readonly address: number;
  /** Fetch lazily: images of large models are produced as they are written. Length is a multiple of the lanes. */
  readonly byteLength: number;
  readonly read: () => Uint8Array;
}

/** A claimed SRAM region: words [address, address + words) of every listed slice. The verifier checks claims, it does not trust them. */
export interface ProgramSymbol {
  readonly name: string;
  readonly chip: number;
  readonly role: "weight" | "constant" | "input" | "output" | "state" | "activation" | "text";
  readonly slices: readonly { readonly hemisphere: Hemisphere; readonly slice: number }[];
  readonly address: number;
  readonly words: number;
  /** Claimed live interval in cycles; weights and constants live from 0 to the end. */
  readonly from: number;
  readonly until: number;
}

export interface ChipProgram {
  readonly queues: readonly Queue[];
  readonly images: readonly ImageSegment[];
  /** SXM lane maps: source lane of each result lane, -1 for zero. */
  readonly laneMaps: readonly Int16Array[];
  /** Bytes of encoded program text of this chip (counts against SRAM). */
  readonly textBytes: number;
}

/**
 * One mixed-radix digit of a tensor dimension's index: it advances the vector number by `vector` and the lane by `lane` for each step.
 * The digits of a dimension are listed outermost first; the product of the sizes is >= the dimension.
 */
export interface LayoutDigit {
  readonly size: number;
  readonly vector: number;
  readonly lane: number;
}

/**
 * Where the box [origin, origin + extent) of a tensor stands. Element index e (relative to origin) -> digits -> vector v and lane l.
 * planar (`pack` 0): byte b is lane l of slice slices[(v mod stripes) * bytes + b], word address + floor(v / stripes).
 * packed (`pack` > 0): byte b is lane l + b * pack of slice slices[v mod stripes], same word. stripes = slices.length / (pack > 0 ? 1 : bytes).
 */
export interface Placement {
  readonly chip: number;
  readonly origin: readonly number[];
  readonly extent: readonly number[];
  readonly digits: readonly (readonly LayoutDigit[])[];
  readonly type: StoredType;
  readonly pack: number;
  readonly slices: readonly { readonly hemisphere: Hemisphere; readonly slice: number }[];
  readonly address: number;
}

/** An input or output of the program as the host sees it. Inputs may stand in several places (all must be filled). */
export interface Binding {
  readonly name: string;
  readonly kind: "input" | "output";
  /** Element type at the host side. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Index of the tensor in the program's graph. */
  readonly tensor: number;
  /** Together the placements of an output cover it once; those of an input cover it at least once. Empty for a constant output (see `constants`). */
  readonly placements: readonly Placement[];
  /** State: this output is the next execution's value of the input at this place of `bindings`; type and shape are the same. The host carries it. */
  readonly renews?: number;
}

/** Constants of the embedded graph. `inline`: contents in the file; `placed`: contents are the image, read through the placements. */
export type ProgramConstant =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "splat"; readonly bits: number }
  | { readonly kind: "placed"; readonly placements: readonly Placement[] };

export interface ProgramTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly constant?: ProgramConstant;
}

/** The core graph the program claims to compute, constants by reference to the image. */
export interface ProgramGraph {
  readonly tensors: readonly ProgramTensor[];
  readonly nodes: readonly {
    readonly op: CoreOp;
    readonly inputs: readonly number[];
    readonly output: number;
    readonly attrs: Attrs;
    readonly origins: readonly number[];
  }[];
}

export interface Program {
  readonly modelName: string;
  readonly target: Target;
  /** Directed links in use or not: port `fromPort` of chip `from` to port `toPort` of chip `to`, Send issue -> Receive issue in `latency` cycles. */
  readonly links: readonly LinkConnection[];
  readonly topology: string;
  readonly precision: string;
  readonly chips: readonly ChipProgram[];
  readonly symbols: readonly ProgramSymbol[];
  readonly bindings: readonly Binding[];
  readonly graph: ProgramGraph;
  /** From cycle 0 with inputs in SRAM to the last word written everywhere (write latency and vertical ripple included). */
  readonly latencyCycles: number;
  /** What the latency is made of; the sum is the latency, exactly. */
  readonly latencyTerms: readonly LatencyTerm[];
  readonly initiationIntervalCycles: number;
  readonly stages: readonly StageInfo[];
  readonly lowerBound: {
    readonly cycles: number;
    readonly by: "mxm" | "mem" | "link" | "dependency";
    readonly perResource: Readonly<Record<"mxm" | "mem" | "link" | "dependency", number>>;
  };
  readonly debug: DebugMap;
}

/**
 * `count` parts of `cycles` each. `layer`: a repeated block, `block`: another one, `transfer`: what a hop or an exchange between chips takes
 * beyond the block before it, beside which it may begin; each until its chip's streams are empty again. `end`: from there to the last word written everywhere, negative where that word stands before the streams are empty.
 */
export interface LatencyTerm {
  readonly part: (typeof latencyParts)[number];
  readonly count: number;
  readonly cycles: number;
}

export const latencyParts = ["layer", "block", "transfer", "end"] as const;

export interface LinkConnection {
  readonly from: number;
  readonly fromPort: number;
  readonly to: number;
  readonly toPort: number;
  readonly latency: number;
}

export interface StageInfo {
  readonly chip: number;
  readonly firstLayer: number;
  readonly lastLayer: number;
  readonly startCycle: number;
  readonly endCycle: number;
  readonly weightBytes: number;
}

export interface DebugMap {
  /** Source nodes. */
  readonly origins: readonly NodeOrigin[];
  /** Each instruction's `note` points here: a kernel with the origins it implements. */
  readonly notes: readonly { readonly kernel: string; readonly origins: readonly number[] }[];
}

/** Short name of a unit: MEM.W12.R, MEM.E3.W, VXM.A5, SXM.W0, MXM2.L, MXM2.A, MXM2.C, LINK3.S, LINK3.R, CTL. */
export function unitName(unit: Unit): string {
  switch (unit.kind) {
    case "memRead":
      return `MEM.${unit.hemisphere}${unit.slice}.R`;
    case "memWrite":
      return `MEM.${unit.hemisphere}${unit.slice}.W`;
    case "vxmAlu":
      return `VXM.A${unit.alu}`;
    case "sxm":
      return `SXM.${unit.hemisphere}${unit.index}`;
    case "mxmLoad":
      return `MXM${unit.plane}.L`;
    case "mxmActivate":
      return `MXM${unit.plane}.A`;
    case "mxmAccumulate":
      return `MXM${unit.plane}.C`;
    case "linkSend":
      return `LINK${unit.port}.S`;
    case "linkReceive":
      return `LINK${unit.port}.R`;
    case "control":
      return "CTL";
  }
}
