// Homes: where tensors of a block stand. The lowering context makes storages, keeps the homes of every tensor and sees through views.
// Knows no cycles and no addresses.

import { invariant } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import { storedTypes } from "../../ir/dtype.ts";
import type { Graph, GraphNode, GraphTensor, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import type { ByteTile } from "./byte-tiles.ts";
import type { Access, BoundaryKey, ConstContent, Kernel, Storage, StorageId } from "./kernel.ts";
import { expandLayout, type Layout, makeLayout, reshapeLayout, sliceLayout, transposeLayout } from "./layout.ts";

/** One place of a tensor. `uniform`: nothing of it runs along lanes and every lane of its vectors carries the same value. */
export interface Home {
  readonly storage: StorageId;
  readonly type: StoredType;
  readonly layout: Layout;
  readonly uniform: boolean;
}

export interface LowerContext {
  readonly graph: Graph;
  readonly target: Target;
  readonly storages: Storage[];
  readonly kernels: Kernel[];
  /** Homes that hold a tensor's own data. */
  readonly homes: Map<TensorId, Home[]>;
  /** The node that defines each tensor of the block. */
  readonly producers: ReadonlyMap<TensorId, GraphNode>;
  /** Constant storages already made, by a key of their content. */
  readonly constants: Map<string, StorageId>;
  /** Constant tables whose elements are all float16 numbers: they are kept as such. */
  readonly halfTables: ReadonlySet<TensorId>;
  /** Constants of which the matrix units take the bytes. */
  readonly byteTiles: ReadonlyMap<TensorId, ByteTile>;
  /** Lane dimension chosen for each tensor the block computes. */
  readonly laneDims: ReadonlyMap<TensorId, number>;
  /** Moves the elements of a view whose layout algebra has no answer (set by move-view.ts). */
  readonly moveView: (context: LowerContext, node: GraphNode, from: Home, to: Home, origins: readonly number[]) => void;
}

export const tensorOf = (context: LowerContext, id: TensorId): GraphTensor => context.graph.tensors[id] as GraphTensor;

export function addStorage(context: LowerContext, spec: Omit<Storage, "id">): StorageId {
  const id = context.storages.length as StorageId;
  context.storages.push({ ...spec, id });
  return id;
}

export const storageOf = (context: LowerContext, id: StorageId): Storage => context.storages[id] as Storage;

/** Vectors of a part where there is a choice: a tile load stays hidden behind as many, and what follows starts as early as it can. */
export const usualPart = 64;

/**
 * Vectors a part of a storage holds: whole inner dimensions, at least 64 vectors where there are as many, never more than a quarter bank.
 * Rows of one matrix are cut into parts of 64; the matrices of a batch (heads) stay whole, they are loaded as tiles.
 */
export function partVectorsOf(layout: Layout, vectors: number, target: Target): number {
  const limit = Math.min(256, Math.max(usualPart, target.mem.wordsPerBank >> 2));
  const batch = batchOf(layout);
  if (vectors <= usualPart)
    return batch > 1 && vectors % batch === 0 ? Math.max(1, vectors / batch) : Math.max(1, vectors);
  const strides = layout.dims.flatMap((digits) =>
    digits.filter((digit) => digit.vector > 0).map((digit) => digit.vector * digit.size),
  );
  const whole = [...new Set(strides)]
    .sort((a, b) => a - b)
    .find((size) => size >= usualPart && size <= limit && vectors % size === 0);
  if (whole === undefined) return Math.min(vectors, limit);
  return batch === 1 && whole % usualPart === 0 ? usualPart : whole;
}

/** Vectors a part of a storage holds that is spread over all lanes, or is to be: one movement makes each part. */
export const spreadPart = (vectors: number, target: Target): number =>
  Math.max(1, Math.min(vectors, 2 * usualPart, target.mem.wordsPerBank >> 2));

/** Matrices of a batch; they stand apart, and are worked on side by side. */
function batchOf(layout: Layout): number {
  const rank = layout.shape.length;
  return rank < 4 ? 1 : layout.shape.slice(0, rank - 2).reduce((n, size) => n * size, 1);
}

export const storedTypeOf = (tensor: GraphTensor): StoredType => {
  switch (tensor.dtype) {
    case "float32":
      return "f32";
    case "int8":
      return "i8";
    case "uint8":
      return "u8";
    default:
      return "i32";
  }
};

export const bytesOf = (type: StoredType): 1 | 2 | 4 => storedTypes[type].bytes;

/** A new storage for a tensor in a layout. */
export function newHome(
  context: LowerContext,
  name: string,
  type: StoredType,
  layout: Layout,
  vectors: number,
  options: {
    uniform?: boolean;
    replicated?: boolean;
    boundary?: BoundaryKey;
    content?: ConstContent;
    partVectors?: number;
  } = {},
): Home {
  const storage = addStorage(context, {
    name,
    type,
    vectors,
    partVectors: options.partVectors ?? partVectorsOf(layout, vectors, context.target),
    replicated: options.replicated ?? false,
    ...(options.content ? { content: options.content } : {}),
    ...(options.boundary ? { boundary: options.boundary } : {}),
  });
  return { storage, type, layout, uniform: options.uniform ?? false };
}

export function addHome(context: LowerContext, tensor: TensorId, home: Home): void {
  const list = context.homes.get(tensor);
  if (list === undefined) context.homes.set(tensor, [home]);
  else list.push(home);
}

/** Layout of a view node's result over a layout of its operand, or undefined where data has to move. */
export function viewLayout(node: GraphNode, layout: Layout, shape: readonly number[]): Layout | undefined {
  switch (node.op) {
    case "reshape":
      return reshapeLayout(layout, shape);
    case "transpose":
      return transposeLayout(layout, node.attrs.perm as readonly number[]);
    case "expand":
      return expandLayout(layout, shape);
    case "slice":
      return sliceLayout(layout, node.attrs.starts as readonly number[], node.attrs.steps as readonly number[], shape);
    case "bitcast":
      return layout;
    default:
      return undefined;
  }
}

export const isView = (node: GraphNode): boolean =>
  ["reshape", "transpose", "expand", "slice", "bitcast"].includes(node.op);

/** All homes of a tensor: its own, and those of the tensor it is a view of. */
export function homesOf(context: LowerContext, id: TensorId): readonly Home[] {
  const own = context.homes.get(id) ?? [];
  const node = context.producers.get(id);
  if (node === undefined || !isView(node)) return own;
  const source = node.inputs[0];
  invariant(source !== null && source !== undefined, "a view has one operand");
  const shape = tensorOf(context, id).shape;
  const seen: Home[] = [];
  for (const home of homesOf(context, source)) {
    const layout = viewLayout(node, home.layout, shape);
    if (layout === undefined) continue;
    const type = node.op === "bitcast" ? storedTypeOf(tensorOf(context, id)) : home.type;
    if (node.op === "bitcast" && bytesOf(home.type) !== 4) continue;
    seen.push({ storage: home.storage, type, layout, uniform: home.uniform });
  }
  return [...own, ...seen];
}

/** Default home for a computed tensor with `laneDim` along lanes (-1, or a dimension of size 1: one element a vector). */
export function freshHome(
  context: LowerContext,
  id: TensorId,
  type: StoredType,
  laneDim: number,
  options: { uniform?: boolean; replicated?: boolean } = {},
): Home {
  const tensor = tensorOf(context, id);
  const { layout, vectors } = makeLayout(tensor.shape, laneDim, context.target.lanes);
  const parts = options.uniform === true ? { partVectors: spreadPart(vectors, context.target) } : {};
  return newHome(context, tensor.name, type, layout, vectors, { ...options, ...parts });
}

export const access = (storage: StorageId, vectors: Int32Array): Access => ({ storage, vectors });
