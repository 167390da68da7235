// The moves that turn a tensor held in one way by the ranks into one held in another: which box of whose copy becomes which box of whose. Pure box
// arithmetic; knows no links and no layouts.
import type { TensorId } from "../../ir/graph/graph.ts";
import { shareSize, shareStart } from "./axes.ts";
import { type ExchangeMove, shareShape } from "./sharded.ts";

interface Ends {
  readonly source: TensorId;
  readonly ways: number;
  /** Shape of the whole tensor. */
  readonly shape: readonly number[];
}

const ranksOf = (ways: number): number[] => Array.from({ length: ways }, (_, rank) => rank);
const zeros = (shape: readonly number[]): number[] => shape.map(() => 0);
const at = (shape: readonly number[], dim: number, origin: number): number[] =>
  shape.map((_, d) => (d === dim ? origin : 0));

/** The elements of a dimension that a rank gives to the whole: shares that overlap are taken once. */
function ownRange(size: number, ways: number, rank: number): { from: number; count: number } {
  const step = shareSize(size, ways);
  const from = Math.min(rank * step, size);
  return { from, count: Math.min(step, size - from) };
}

/** Shares along `dim` to all of it on every rank. */
export function gatherMoves({ source, ways, shape }: Ends, dim: number, target: TensorId): ExchangeMove[] {
  const size = shape[dim] as number;
  return ranksOf(ways).flatMap((from) => {
    const own = ownRange(size, ways, from);
    if (own.count === 0) return [];
    return ranksOf(ways).map((to) => ({
      source,
      target,
      from,
      to,
      sourceOrigin: at(shape, dim, own.from - shareStart(size, ways, from)),
      targetOrigin: at(shape, dim, own.from),
      extent: shape.map((n, d) => (d === dim ? own.count : n)),
    }));
  });
}

/** The share along `dim` of every rank's tensor to the rank whose share it is: `targets[from]`. */
export function scatterMoves({ source, ways, shape }: Ends, dim: number, targets: readonly TensorId[]): ExchangeMove[] {
  const extent = shareShape(shape, dim, ways);
  return ranksOf(ways).flatMap((to) =>
    targets.map((target, from) => ({
      source,
      target,
      from,
      to,
      sourceOrigin: at(shape, dim, shareStart(shape[dim] as number, ways, to)),
      targetOrigin: zeros(shape),
      extent,
    })),
  );
}

/** Every rank's tensor to all ranks: `targets[from]`. */
export function copyMoves({ source, ways, shape }: Ends, targets: readonly TensorId[]): ExchangeMove[] {
  return ranksOf(ways).flatMap((to) =>
    targets.map((target, from) => ({
      source,
      target,
      from,
      to,
      sourceOrigin: zeros(shape),
      targetOrigin: zeros(shape),
      extent: shape,
    })),
  );
}

/** Each rank takes its own share of a tensor that it has all of. */
export function shareMoves({ source, ways, shape }: Ends, dim: number, target: TensorId): ExchangeMove[] {
  return ranksOf(ways).map((rank) => ({
    source,
    target,
    from: rank,
    to: rank,
    sourceOrigin: at(shape, dim, shareStart(shape[dim] as number, ways, rank)),
    targetOrigin: zeros(shape),
    extent: shareShape(shape, dim, ways),
  }));
}

/** Shares along `dim` to shares along `other`. */
export function transposeMoves(
  { source, ways, shape }: Ends,
  dim: number,
  other: number,
  target: TensorId,
): ExchangeMove[] {
  const size = shape[dim] as number;
  return ranksOf(ways).flatMap((from) => {
    const own = ownRange(size, ways, from);
    if (own.count === 0) return [];
    return ranksOf(ways).map((to) => {
      const start = shareStart(shape[other] as number, ways, to);
      return {
        source,
        target,
        from,
        to,
        sourceOrigin: shape.map((_, d) =>
          d === dim ? own.from - shareStart(size, ways, from) : d === other ? start : 0,
        ),
        targetOrigin: at(shape, dim, own.from),
        extent: shape.map((n, d) => (d === dim ? own.count : d === other ? shareSize(n, ways) : n)),
      };
    });
  });
}
