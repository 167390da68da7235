// A graph for one rank of a group of chips that share every layer, and what the ranks exchange. All ranks run the same nodes on tensors of the
// same shapes; only weights and inputs differ. Data only.
import type { ConstData, Graph, TensorId } from "../../ir/graph/graph.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { shareSize, shareStart } from "./axes.ts";
import type { ConstantBox } from "./unpack.ts";

/** How a tensor is held: all of it by every rank, shares along a dimension, or parts of a sum that are still to be added. */
export type Share = "whole" | "partial" | number;

/** What a tensor of the rank's graph is of the model's graph: all of tensor `tensor`, or the rank's share along `dim`. */
export interface Piece {
  readonly tensor: TensorId;
  readonly dim: number | null;
}

/** A box of `source` on rank `from` becomes a box of `target` on rank `to`. */
export interface ExchangeMove {
  readonly source: TensorId;
  readonly target: TensorId;
  readonly from: number;
  readonly to: number;
  readonly sourceOrigin: readonly number[];
  readonly targetOrigin: readonly number[];
  readonly extent: readonly number[];
}

export type ExchangeKind = "gather" | "scatter-sum" | "sum" | "share" | "transpose";

/** Takes place when all nodes of phase `phase` are done and before any of a later one. */
export interface Exchange {
  readonly kind: ExchangeKind;
  readonly phase: number;
  readonly moves: readonly ExchangeMove[];
}

export interface ShardedGraph {
  readonly ways: number;
  /** The model's graph, or one that computes the same and has its inputs, outputs and tensors, and new constants that are `boxes` of its own. */
  readonly source: Graph;
  readonly boxes: ReadonlyMap<TensorId, ConstantBox>;
  /** Rank 0's graph: constants have its contents. Targets of exchanges have no producer and are no inputs. */
  readonly graph: Graph;
  /** Phase of every node, ascending. */
  readonly phases: readonly number[];
  readonly exchanges: readonly Exchange[];
  /** Of the graph's inputs, outputs and constants, in tensors of `source`. */
  readonly pieces: ReadonlyMap<TensorId, Piece>;
}

/** A model that is not shared: one rank that does everything. */
export const unsharded = (graph: Graph): ShardedGraph => ({
  ways: 1,
  source: graph,
  boxes: new Map(),
  graph,
  phases: graph.nodes.map(() => 0),
  exchanges: [],
  pieces: new Map(graph.tensors.map(({ id }) => [id, { tensor: id, dim: null }])),
});

/** The share of a rank of a constant. Read from the whole each time. */
function shareOfData(data: ConstData, shape: readonly number[], dim: number, ways: number, rank: number): ConstData {
  const size = shape[dim] as number;
  const [count, start] = [shareSize(size, ways), shareStart(size, ways, rank)];
  const outer = elementCount(shape.slice(0, dim));
  const stride = data.byteLength / outer;
  const [from, length] = [(stride / size) * start, (stride / size) * count];
  return {
    byteLength: outer * length,
    read: () => {
      const whole = data.read();
      const share = new Uint8Array(outer * length);
      for (let i = 0; i < outer; i++)
        share.set(whole.subarray(i * stride + from, i * stride + from + length), i * length);
      return share;
    },
  };
}

export const shareShape = (shape: readonly number[], dim: number, ways: number): readonly number[] =>
  shape.map((size, d) => (d === dim ? shareSize(size, ways) : size));

/** Contents of a constant on a rank. */
export function dataOnRank(source: Graph, piece: Piece, ways: number, rank: number): ConstData | undefined {
  const tensor = source.tensors[piece.tensor];
  if (tensor?.data === undefined || piece.dim === null) return tensor?.data;
  return shareOfData(tensor.data, tensor.shape, piece.dim, ways, rank);
}

/** The graph with the constants of a rank. */
export function graphOfRank(sharded: ShardedGraph, rank: number): Graph {
  if (rank === 0 || sharded.ways === 1) return sharded.graph;
  return {
    ...sharded.graph,
    tensors: sharded.graph.tensors.map((tensor) => {
      const piece = sharded.pieces.get(tensor.id);
      if (tensor.data === undefined || piece === undefined || piece.dim === null) return tensor;
      const data = dataOnRank(sharded.source, piece, sharded.ways, rank);
      return data === undefined ? tensor : { ...tensor, data };
    }),
  };
}

/** Where a rank's piece starts in the tensor it is of. */
export function pieceOrigin({ source, ways }: ShardedGraph, piece: Piece, rank: number): readonly number[] {
  const shape = source.tensors[piece.tensor]?.shape ?? [];
  return shape.map((size, d) => (d === piece.dim ? shareStart(size, ways, rank) : 0));
}
