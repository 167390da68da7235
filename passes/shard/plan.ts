// What every node of a graph does when a group of chips shares it, before anything is decided: the axes it may be cut along, how its operands have
// to be held then, and the tensors that are really stored behind views.
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { findRoots, isViewNode } from "../blocks/blocks.ts";
import { type Axis, axesOf, canShare } from "./axes.ts";
import { type Share, shareShape } from "./sharded.ts";

/** Axis of every node that is shared, by its index; the others are done by every rank. */
export type ShardPlan = ReadonlyMap<number, Axis>;

/** The stored tensor an operand is a view of, and how that one has to be held. */
export interface Need {
  readonly root: TensorId;
  readonly share: Share;
}

export interface ShardSpace {
  readonly graph: Graph;
  readonly ways: number;
  readonly producer: ReadonlyMap<TensorId, GraphNode>;
  readonly rootOf: (id: TensorId) => TensorId;
  /** Axes of a view that is cut. */
  readonly viewAxes: (view: GraphNode) => readonly Axis[];
  /** Axes a node may be cut along. */
  readonly axes: (node: GraphNode) => readonly Axis[];
  /** How the root behind tensor `id` is held if `id` is in shares along `dim`; undefined where no shares of the root make shares of the view. */
  readonly behind: (id: TensorId, dim: number) => Share | undefined;
}

const shapeOf = (graph: Graph, id: TensorId | null): readonly number[] =>
  id === null ? [] : (graph.tensors[id]?.shape ?? []);

export function shardSpace(graph: Graph, ways: number): ShardSpace {
  const { producer, rootOf } = findRoots(graph);
  const known = new Map<GraphNode, readonly Axis[]>();
  const allAxes = (node: GraphNode): readonly Axis[] => {
    const before = known.get(node);
    if (before !== undefined) return before;
    const inputs = node.inputs.map((id) => shapeOf(graph, id));
    const out = shapeOf(graph, node.outputs[0] ?? null);
    const axes = axesOf(node, inputs, out).filter((axis) => canShare(axis, inputs, out, ways));
    known.set(node, axes);
    return axes;
  };
  const behind = (id: TensorId, dim: number): Share | undefined => {
    let [at, d] = [id, dim];
    for (let view = producer.get(at); view !== undefined && isViewNode(view); view = producer.get(at)) {
      const axis = allAxes(view).find((one) => one.out === d);
      if (axis === undefined) return undefined;
      at = view.inputs[0] as TensorId;
      const inner = axis.operands[0];
      if (typeof inner !== "number") return "whole";
      d = inner;
    }
    return d;
  };
  /** A scalar is part of the code, which is the same on all ranks: its share may not be one. */
  const isCode = (id: TensorId, share: Share): boolean => {
    const tensor = graph.tensors[id];
    return (
      tensor?.data !== undefined &&
      typeof share === "number" &&
      elementCount(shareShape(tensor.shape, share, ways)) === 1
    );
  };
  const axes = (node: GraphNode): readonly Axis[] =>
    allAxes(node).filter((axis) =>
      node.inputs.every((id, i) => {
        const dim = axis.operands[i] ?? null;
        if (id === null || dim === null) return true;
        if (dim === "partial") return producer.has(rootOf(id));
        const share = behind(id, dim);
        return share !== undefined && !isCode(rootOf(id), share);
      }),
    );
  return { graph, ways, producer, rootOf, viewAxes: allAxes, axes, behind };
}

/** How the roots behind a node's operands have to be held, given its axis. */
export function needsOf(space: ShardSpace, node: GraphNode, axis: Axis | undefined): Need[] {
  return node.inputs.flatMap((id, i): Need[] => {
    if (id === null) return [];
    const dim = axis?.operands[i] ?? null;
    const share = typeof dim === "number" ? space.behind(id, dim) : dim;
    return [{ root: space.rootOf(id), share: share ?? "whole" }];
  });
}

/** How a node's result is held, given its axis. */
export const resultShare = (axis: Axis | undefined): Share => (axis === undefined ? "whole" : (axis.out ?? "partial"));

/** The dimension of an output in which it is in shares when its root is held so; undefined where they are not shares of it. */
export function outputShare(space: ShardSpace, output: TensorId, share: Share): Share | undefined {
  if (share === "whole" || share === "partial") return share;
  const dims = shapeOf(space.graph, output);
  for (let d = 0; d < dims.length; d++) if (space.behind(output, d) === share) return d;
  return undefined;
}
