// Is a node of the embedded graph well formed? Ranks, shapes and attributes as its core op asks for; only then can it be evaluated.

import { coreOps } from "../../ir/graph/core-ops.ts";
import type { AttrValue } from "../../ir/graph/graph.ts";
import type { ProgramGraph, ProgramTensor } from "../../ir/machine/program.ts";

type Node = ProgramGraph["nodes"][number];
type Shape = readonly number[];

const ints = (value: AttrValue | undefined): readonly number[] => (Array.isArray(value) ? value.map(Number) : []);
const isSame = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, d) => size === b[d]);
const elements = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
const isAxis = (axis: number, rank: number): boolean => Number.isSafeInteger(axis) && axis >= 0 && axis < rank;

/** Size 1 against size n, equal ranks; undefined if they do not meet. */
function broadcastShape(shapes: readonly Shape[]): Shape | undefined {
  const rank = shapes[0]?.length ?? 0;
  if (shapes.some((shape) => shape.length !== rank)) return undefined;
  const out: number[] = [];
  for (let d = 0; d < rank; d++) {
    const sizes = shapes.map((shape) => shape[d] ?? 1).filter((size) => size !== 1);
    if (sizes.some((size) => size !== sizes[0])) return undefined;
    out.push(sizes[0] ?? 1);
  }
  return out;
}

function matmulShape(a: Shape, b: Shape): Shape | undefined {
  const rank = a.length;
  if (rank < 2 || b.length !== rank || a[rank - 1] !== b[rank - 2]) return undefined;
  const batch = broadcastShape([a.slice(0, rank - 2), b.slice(0, rank - 2)]);
  return batch === undefined ? undefined : [...batch, a[rank - 2] ?? 0, b[rank - 1] ?? 0];
}

function reducedShape(x: Shape, axes: readonly number[]): Shape | undefined {
  if (new Set(axes).size !== axes.length || axes.some((axis) => !isAxis(axis, x.length))) return undefined;
  return x.map((size, d) => (axes.includes(d) ? 1 : size));
}

/** Shape of a slice is the output's own; every element must come from inside. */
function sliceShape(x: Shape, out: Shape, starts: readonly number[], steps: readonly number[]): Shape | undefined {
  if ([out, starts, steps].some((list) => list.length !== x.length)) return undefined;
  const inside = x.every((size, d) => {
    const from = starts[d] ?? -1;
    const until = from + ((out[d] ?? 0) - 1) * (steps[d] ?? 0);
    return [from, until].every((at) => Number.isSafeInteger(at) && at >= 0 && at < size);
  });
  return inside || out.includes(0) ? out : undefined;
}

function concatShape(shapes: readonly Shape[], axis: number): Shape | undefined {
  const first = shapes[0];
  if (first === undefined || !isAxis(axis, first.length)) return undefined;
  const total = shapes.reduce((sum, shape) => sum + (shape[axis] ?? 0), 0);
  const alike = shapes.every((shape) => isSame([...shape].fill(0, axis, axis + 1), [...first].fill(0, axis, axis + 1)));
  return alike ? first.map((size, d) => (d === axis ? total : size)) : undefined;
}

function paddedShape(x: Shape, before: readonly number[], after: readonly number[]): Shape | undefined {
  const counts = [...before, ...after];
  if (before.length !== x.length || after.length !== x.length) return undefined;
  if (counts.some((count) => !Number.isSafeInteger(count) || count < 0)) return undefined;
  return x.map((size, d) => size + (before[d] ?? 0) + (after[d] ?? 0));
}

function viewShape(node: Node, x: Shape, out: Shape): Shape | undefined {
  switch (node.op) {
    case "transpose": {
      const perm = ints(node.attrs.perm);
      const proper =
        perm.length === x.length && new Set(perm).size === perm.length && perm.every((d) => isAxis(d, x.length));
      return proper ? perm.map((d) => x[d] ?? 0) : undefined;
    }
    case "expand":
      return x.length === out.length && x.every((size, d) => size === 1 || size === out[d]) ? out : undefined;
    case "slice":
      return sliceShape(x, out, ints(node.attrs.starts), ints(node.attrs.steps));
    default:
      return elements(x) === elements(out) ? out : undefined;
  }
}

function expectedShape(node: Node, shapes: readonly Shape[], out: Shape): Shape | undefined {
  const [x = [], second = []] = shapes;
  const axis = Number(node.attrs.axis);
  switch (coreOps[node.op].group) {
    case "binary":
    case "compare":
    case "select":
      return broadcastShape(shapes);
    case "unary":
    case "cast":
      return x;
    case "matmul":
      return matmulShape(x, second);
    case "reduce":
      return reducedShape(x, ints(node.attrs.axes));
    case "view":
      return viewShape(node, x, out);
    case "move":
      return node.op === "concat"
        ? concatShape(shapes, axis)
        : paddedShape(x, ints(node.attrs.before), ints(node.attrs.after));
    case "index":
      return isAxis(axis, x.length) ? [...x.slice(0, axis), ...second, ...x.slice(axis + 1)] : undefined;
  }
}

/** Why the node cannot be evaluated, undefined if it can. Its tensors must exist. */
export function nodeProblem(node: Node, inputs: readonly ProgramTensor[], output: ProgramTensor): string | undefined {
  const { operands } = coreOps[node.op];
  const isVariadic = operands.some((operand) => operand.endsWith("..."));
  if (isVariadic ? inputs.length === 0 : inputs.length !== operands.length) {
    return `takes ${operands.join(", ")}, given are ${inputs.length} tensors`;
  }
  const shapes = inputs.map((input) => input.shape);
  const expected = expectedShape(node, shapes, output.shape);
  if (expected !== undefined && isSame(expected, output.shape)) return undefined;
  const given = shapes.map((shape) => `[${shape.join(", ")}]`).join(" and ");
  return `makes [${output.shape.join(", ")}] out of ${given}`;
}
