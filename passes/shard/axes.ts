// The axes along which a core operation can be worked on in equal shares: which dimension of the result and of each operand runs along an axis, and
// whether the shares of the result are laid side by side or added. One table for all operations; knows no machine and no costs.
import { numberOf, numbersAttr } from "../../ir/graph/attr.ts";
import { type CoreOp, coreOps } from "../../ir/graph/core-ops.ts";
import type { GraphNode } from "../../ir/graph/graph.ts";

type Shape = readonly number[];

export type OperandAxis = number | null | "partial";

export interface Axis {
  /** Dimension of the result along the axis; null: the axis is summed over, and every share gives a part of the sum. */
  readonly out: number | null;
  /** Dimension of each operand along the axis; null: all of the operand is read by every share; partial: parts of a sum that is still to be added. */
  readonly operands: readonly OperandAxis[];
  /** Shares must be equal and apart; otherwise the last one may overlap the one before it. */
  readonly exact: boolean;
}

const along = (out: number | null, operands: readonly OperandAxis[], exact = false): Axis => ({
  out,
  operands,
  exact,
});

/** A dimension of an operand that goes with dimension `d` of the result: none where it is repeated. */
const repeated = (shape: Shape, d: number): number | null => (shape[d] === 1 ? null : d);

const elementwise = (inputs: readonly Shape[], out: Shape): Axis[] =>
  out.map((_, d) =>
    along(
      d,
      inputs.map((shape) => repeated(shape, d)),
    ),
  );

/** Parts of sums give parts of a sum where that is the same as to add them first. */
const sumAxes: Readonly<Record<string, readonly Axis[]>> = {
  add: [along(null, ["partial", "partial"])],
  sub: [along(null, ["partial", "partial"])],
  mul: [along(null, ["partial", null]), along(null, [null, "partial"])],
  reduceSum: [along(null, ["partial"])],
};

function matmulAxes([a = [], b = []]: readonly Shape[], out: Shape): Axis[] {
  const rank = out.length;
  const batch = out.slice(0, rank - 2).map((_, d) => along(d, [repeated(a, d), repeated(b, d)]));
  return [
    ...batch,
    along(rank - 1, [null, rank - 1]),
    along(null, [rank - 1, rank - 2], true),
    along(rank - 2, [rank - 2, null]),
  ];
}

function reduceAxes(node: GraphNode, [x = []]: readonly Shape[]): Axis[] {
  const axes = numbersAttr(node.attrs, "axes");
  return x.flatMap((_, d) =>
    axes.includes(d) ? (node.op === "reduceSum" ? [along(null, [d], true)] : []) : [along(d, [d])],
  );
}

/** Dimensions that stay whole under a reshape go through it; of those that are split or joined, the outermost ones do in equal shares. */
function reshapeAxes([x = []]: readonly Shape[], out: Shape): Axis[] {
  const axes: Axis[] = [];
  let [i, o] = [0, 0];
  while (i < x.length && o < out.length) {
    if (x[i] === 1 || out[o] === 1) {
      if (x[i] === 1) i++;
      else o++;
      continue;
    }
    const [firstIn, firstOut] = [i, o];
    let [left, right] = [x[i++] ?? 1, out[o++] ?? 1];
    const whole = left === right;
    while (left !== right && i <= x.length && o <= out.length) {
      if (left < right) left *= x[i++] ?? 1;
      else right *= out[o++] ?? 1;
    }
    axes.push(along(firstOut, [firstIn], !whole));
  }
  return axes;
}

function sliceAxes(node: GraphNode, [x = []]: readonly Shape[], out: Shape): Axis[] {
  const [starts, steps] = [numbersAttr(node.attrs, "starts"), numbersAttr(node.attrs, "steps")];
  return x.flatMap((size, d) => (starts[d] === 0 && steps[d] === 1 && out[d] === size ? [along(d, [d])] : []));
}

function gatherAxes(node: GraphNode, [data = [], indices = []]: readonly Shape[]): Axis[] {
  const axis = numberOf(node.attrs, "axis");
  const own = data.flatMap((_, d) => (d === axis ? [] : [along(d < axis ? d : d + indices.length - 1, [d, null])]));
  return [...indices.map((_, d) => along(axis + d, [null, d])), ...own];
}

function viewAxes(node: GraphNode, inputs: readonly Shape[], out: Shape): Axis[] {
  switch (node.op) {
    case "transpose":
      return numbersAttr(node.attrs, "perm").map((from, d) => along(d, [from]));
    case "slice":
      return sliceAxes(node, inputs, out);
    case "expand":
      return elementwise(inputs, out);
    default:
      return reshapeAxes(inputs, out);
  }
}

function moveAxes(node: GraphNode, inputs: readonly Shape[], out: Shape): Axis[] {
  const before = node.op === "pad" ? numbersAttr(node.attrs, "before") : [];
  const after = node.op === "pad" ? numbersAttr(node.attrs, "after") : [];
  return out.flatMap((_, d) => {
    const changed = node.op === "pad" ? (before[d] ?? 0) + (after[d] ?? 0) > 0 : numberOf(node.attrs, "axis") === d;
    return changed
      ? []
      : [
          along(
            d,
            inputs.map(() => d),
          ),
        ];
  });
}

/** Axes of a node, results laid side by side before sums, weights cut before rows. */
export function axesOf(node: GraphNode, inputs: readonly Shape[], out: Shape): readonly Axis[] {
  return [...cutsOf(node, inputs, out), ...(sumAxes[node.op] ?? [])];
}

function cutsOf(node: GraphNode, inputs: readonly Shape[], out: Shape): readonly Axis[] {
  switch (coreOps[node.op as CoreOp].group) {
    case "binary":
    case "compare":
    case "select":
    case "unary":
    case "cast":
      return elementwise(inputs, out);
    case "matmul":
      return matmulAxes(inputs, out);
    case "reduce":
      return reduceAxes(node, inputs);
    case "view":
      return viewAxes(node, inputs, out);
    case "move":
      return moveAxes(node, inputs, out);
    case "index":
      return gatherAxes(node, inputs);
  }
}

/** Elements of one share of a dimension. */
export const shareSize = (size: number, ways: number): number => Math.ceil(size / ways);

/** Where the share of `rank` starts: shares have one size, so the last ones may reach back into the one before. */
export const shareStart = (size: number, ways: number, rank: number): number =>
  Math.min(rank * shareSize(size, ways), size - shareSize(size, ways));

/** Whether `ways` shares of an axis can be made. */
export function canShare(axis: Axis, inputs: readonly Shape[], out: Shape, ways: number): boolean {
  const sizes = [
    ...(axis.out === null ? [] : [out[axis.out] ?? 1]),
    ...axis.operands.flatMap((d, i) => (typeof d === "number" ? [inputs[i]?.[d] ?? 1] : [])),
  ];
  return sizes.every((size) => size >= ways && (!axis.exact || size % ways === 0));
}
