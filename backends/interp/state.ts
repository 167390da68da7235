// What the machine remembers while a program runs: types only. Mutable records, made by machine.ts and changed by the units' functions only.
import type { Instruction } from "../../ir/machine/isa.ts";
import type { LinkConnection, Program, Unit } from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";
import type { Fault } from "./fault.ts";
import type { SimdTile, SimdTiles } from "./simd-products.ts";

/** Stream registers: a ring of diagonals for each stream and direction. */
export interface Streams {
  /** Slots of one stream and direction; a power of two. Longer than any value or look-back lives. */
  readonly ring: number;
  readonly perDirection: number;
  readonly lanes: number;
  readonly diagonals: Int32Array;
  readonly columns: Int16Array;
  readonly bytes: Uint8Array;
  /** The same memory, four lanes a word. */
  readonly words: Int32Array;
}

/** A block of consecutive words of one slice. */
export interface Page {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Cycle from which the word may be read, plus 1; 0: never written. */
  readonly readyAt: Int32Array;
}

export interface Slice {
  readonly pages: (Page | undefined)[];
  /** Cycle of the last access and the banks it touched, one bit each. */
  readCycle: number;
  readBanks: number;
  writeCycle: number;
  writeBanks: number;
}

export interface Memory {
  readonly lanes: number;
  readonly wordsPerSlice: number;
  readonly wordsPerBank: number;
  readonly slices: Readonly<Record<Hemisphere, readonly Slice[]>>;
}

/** One plane of the matrix unit. */
export interface Plane {
  readonly index: number;
  readonly hemisphere: Hemisphere;
  readonly column: number;
  /** Issue cycle of the last instruction that took this plane's load, activate and accumulate slot. */
  readonly slots: { load: number; activate: number; accumulate: number };
  /** The buffer being loaded: whose, in which mode (undefined: nothing since the last IW), which rows and how many elements of each. */
  readonly buffer: {
    owner: number;
    mode: MxmMode | undefined;
    cleared: boolean;
    lastLoad: number;
    readonly rowLoaded: Uint8Array;
    readonly rowLength: Uint16Array;
    /** Byte j of element k of row n at (n * bytes + j) * tileK + k. */
    readonly bytes: Uint8Array;
  };
  /** The tile in use. */
  readonly tile: {
    owner: number;
    mode: MxmMode | undefined;
    readyAt: number;
    /** A vector flows until this cycle. */
    busyUntil: number;
    /** Rows and elements that may be other than zero. */
    rows: number;
    length: number;
    readonly weights: Float32Array;
    readonly integers: Int8Array;
    /** Where the fast interpreter keeps its weights instead, once it had any; and whether those of the tile in use are there. */
    simd: SimdTile | undefined;
    isSimd: boolean;
  };
  /** Products waiting for their ACC, oldest first, as a ring. */
  readonly waiting: {
    first: number;
    count: number;
    readonly capacity: number;
    readonly issued: Int32Array;
    readonly modes: (MxmMode | undefined)[];
    readonly products: Float32Array;
    readonly integers: Int32Array;
  };
  readonly activation: Float64Array;
  readonly accumulators: Float32Array;
  readonly sums: Int32Array;
  /** Who wrote each entry: 0 nobody, else 1 + owner plane * 3 + mode number. */
  readonly entryTags: Uint8Array;
}

/** One ALU of the vector unit. */
export interface Alu {
  /** Results by ready cycle, as a ring of `ring` vectors (a power of two). */
  readonly ring: number;
  readonly readyAt: Int32Array;
  readonly depths: Uint8Array;
  readonly bits: Int32Array;
  readonly floats: Float32Array;
  /** Ring position of the last issued result, -1: none yet. */
  last: number;
}

/** One vector of 32-bit lanes, seen both ways. */
export interface LaneVector {
  readonly bits: Int32Array;
  readonly floats: Float32Array;
}

/** Where an operand's lanes stand: in a buffer of its own or among the results of an ALU. Reused from issue to issue. */
export interface OperandPlace {
  readonly own: LaneVector;
  bits: Int32Array;
  floats: Float32Array;
  offset: number;
  /** ALUs passed so far. */
  depth: number;
}

export interface OperandBuffers {
  readonly places: readonly [OperandPlace, OperandPlace, OperandPlace];
  readonly scratch: LaneVector;
  readonly halves: Float32Array;
}

/** One instruction queue and where it stands. */
export interface QueueState {
  readonly chip: Chip;
  readonly unit: Unit;
  readonly instructions: readonly Instruction[];
  index: number;
  repetition: number;
  next: number;
}

export interface Chip {
  readonly index: number;
  readonly streams: Streams;
  readonly memory: Memory;
  readonly planes: readonly Plane[];
  readonly alus: readonly Alu[];
  readonly laneMaps: readonly Int16Array[];
  /** Which lane maps were found to be proper ones. */
  readonly checkedMaps: Uint8Array;
}

/** A directed link: what was sent and not yet received. */
export interface LinkState {
  readonly connection: LinkConnection;
  readonly sentAt: number[];
  readonly vectors: Uint8Array[];
  lastSend: number;
}

export interface Machine {
  readonly program: Program;
  readonly target: Target;
  readonly lanes: number;
  readonly chips: readonly Chip[];
  readonly links: readonly LinkState[];
  /** Index into `links` by chip * ports + port, -1 where there is none. */
  readonly linkFrom: Int32Array;
  readonly linkTo: Int32Array;
  readonly operands: OperandBuffers;
  /** Of the fast interpreter only. */
  readonly simdTiles: SimdTiles | undefined;
  cycle: number;
  queue: QueueState | undefined;
  fault: Fault | undefined;
  /** Cycle in which the last write was complete, without the ripple; -1: none yet. */
  lastWritten: number;
  macs: number;
}
