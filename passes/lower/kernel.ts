// Kernels: what a block of the graph becomes before it has cycles and addresses. Each kernel is a stream computation over virtual vectors
// of storages: Reads -> (SXM | MXM | VXM) -> Writes. Data only.
import type { StoredType } from "../../ir/dtype.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import type { AluOp } from "../../ir/machine/isa.ts";
import type { MxmMode } from "../../ir/target/target.ts";
import type { Layout } from "./layout.ts";

/** Index into `KernelProgram.storages`. */
export type StorageId = number & { readonly brand: "StorageId" };

/** What a constant storage holds. `uniform`: every lane of a vector carries the element of that vector. */
export type ConstContent =
  | { readonly kind: "tensor"; readonly tensor: TensorId; readonly layout: Layout; readonly uniform: boolean }
  /** Vector v has 1 in lane v (int8). */
  | { readonly kind: "identity" }
  /** Every lane of every vector has these bits. */
  | { readonly kind: "fill"; readonly bits: number }
  /** The first `lanes` lanes of every vector have these bits, the others zero. */
  | { readonly kind: "mask"; readonly bits: number; readonly lanes: number };

/** An array of vectors in SRAM, cut into parts of `partVectors` that may stand in different columns and banks. */
export interface Storage {
  readonly id: StorageId;
  readonly name: string;
  readonly type: StoredType;
  readonly vectors: number;
  readonly partVectors: number;
  /** A copy in each hemisphere, so that the matrix units of both sides read it at the same time. */
  readonly replicated: boolean;
  /** All parts in one hemisphere: a pass reads several of them in one burst. */
  readonly oneSided?: boolean;
  readonly content?: ConstContent;
  /** Set on tensors that enter or leave the block: their place is decided outside (part -> location key). */
  readonly boundary?: BoundaryKey;
  /** State: a vector of this storage takes the place of that one's vector of the same number, when all have read that. */
  readonly renews?: StorageId;
}

/** Names a tensor that crosses the block's border: n-th input or output of the block, in a stored type. */
export interface BoundaryKey {
  readonly tensor: TensorId;
  readonly kind: "in" | "out";
}

/** Vectors of one storage in the order in which they are streamed. */
export interface Access {
  readonly storage: StorageId;
  readonly vectors: Int32Array;
}

export type EwArg =
  | { readonly kind: "source"; readonly source: number }
  | { readonly kind: "op"; readonly op: number }
  | { readonly kind: "immediate"; readonly bits: number }
  | { readonly kind: "self" };

export interface EwOp {
  readonly op: AluOp;
  readonly args: readonly EwArg[];
  /** For `self`: the result is the first argument alone every `reset` vectors. */
  readonly reset: number;
}

/** Result `op` (index into ops) goes to `access.vectors[i]` at iteration (i + 1) * every - 1. */
export interface EwSink {
  readonly op: number;
  readonly access: Access;
  readonly every: number;
  /** Which copy of a replicated storage is written (set by the scheduler). */
  readonly copy?: 0 | 1;
}

/** One pass through the VXM. Sources: memory, or (source index 0 of an epilogue) the sums that leave the MXM. */
export interface EwPass {
  readonly count: number;
  readonly sources: readonly (Access | "sums")[];
  readonly ops: readonly EwOp[];
  readonly sinks: readonly EwSink[];
}

/** Element k of the tile's K dimension is lane `lane` + k of the row's vector. */
export interface RowWindow {
  readonly access: Access;
  readonly lane: number;
  readonly k: number;
}

/** A constant tile: element (row r, k) is element (k0 + k, n = rows[r]) of matrix `batch` of tensor `tensor` ([..., K, N], or [..., N, K] if `byRows`). */
export interface ConstTile {
  readonly tensor: TensorId;
  readonly byRows: boolean;
  /** Index of the matrix among the leading dims (row-major). */
  readonly batch: number;
  readonly k0: number;
  readonly k: number;
  /** Row r holds n = n0 + r. */
  readonly n0: number;
  readonly rows: number;
  /** The tensor holds the low bytes of binary16 elements, the high ones are 0; and so many elements along K. */
  readonly lowOf?: number;
}

export type Stationary =
  | { readonly kind: "const"; readonly tile: ConstTile; readonly row: number }
  /** Row `row` + i comes from access.vectors[i]. */
  | { readonly kind: "rows"; readonly window: RowWindow; readonly row: number };

export interface MatmulStep {
  readonly stationary: readonly Stationary[];
  readonly moving: RowWindow;
}

/** One accumulation: every step's tile meets `count` moving vectors; the sums feed the pass. */
export interface MatmulGroup {
  readonly steps: readonly MatmulStep[];
  readonly count: number;
  readonly epilogue: EwPass;
}

export type Kernel =
  | {
      readonly kind: "vxm";
      readonly name: string;
      readonly origins: readonly number[];
      readonly passes: readonly EwPass[];
    }
  | {
      readonly kind: "matmul";
      readonly name: string;
      readonly origins: readonly number[];
      readonly mode: MxmMode;
      readonly groups: readonly MatmulGroup[];
    }
  /** out.vectors[i] lane row + r = lane `lane` + i of rows.vectors[r], whatever the type (int8 identity product on each byte plane). */
  | {
      readonly kind: "transpose";
      readonly name: string;
      readonly origins: readonly number[];
      readonly jobs: readonly TransposeJob[];
    }
  /** Every lane of out.vectors[i] is lane `lane` of source.vectors[i] (int8 product of each byte plane with a column of ones). */
  | {
      readonly kind: "spread";
      readonly name: string;
      readonly origins: readonly number[];
      readonly jobs: readonly SpreadJob[];
    }
  | {
      readonly kind: "permute";
      readonly name: string;
      readonly origins: readonly number[];
      readonly jobs: readonly PermuteJob[];
    }
  | {
      readonly kind: "gather";
      readonly name: string;
      readonly origins: readonly number[];
      readonly jobs: readonly GatherJob[];
    };

export interface TransposeJob {
  readonly rows: Access;
  readonly lane: number;
  readonly k: number;
  readonly row: number;
  readonly out: Access;
}

export interface SpreadJob {
  readonly source: Access;
  readonly lane: number;
  readonly out: Access;
}

/** out = or over pieces of permuted vectors; lane i of a piece is source lane map[i], or zero where map[i] < 0. */
export interface PermuteJob {
  readonly pieces: readonly { readonly access: Access; readonly map: Int16Array | null }[];
  readonly out: Access;
}

/** out.vectors[i] = vector `base` + scale * m of the table, m = lane 0 of index.vectors[i] clamped to 0..limit-1. */
export interface GatherJob {
  readonly table: StorageId;
  readonly base: number;
  readonly scale: number;
  readonly limit: number;
  readonly index: Access;
  readonly out: Access;
}

export interface KernelProgram {
  readonly storages: readonly Storage[];
  readonly kernels: readonly Kernel[];
}
