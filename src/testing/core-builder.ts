// Builds core graphs node by node and keeps what is known of every value: how large it can be and whether it is a whole number. So graphs can be
// made whose sums are exact in any order. Must not know how graphs are drawn.
import { inferCore } from "../../ir/graph/core-infer.ts";
import type { CoreOp } from "../../ir/graph/core-ops.ts";
import {
  type Attrs,
  type Graph,
  type GraphInput,
  type GraphNode,
  type GraphTensor,
  nodeId,
  type TensorId,
  tensorId,
} from "../../ir/graph/graph.ts";
import { isProblem } from "../../ir/graph/op-row.ts";
import { constDataOf, countOf, type TensorValue, valueFromNumbers } from "../../ir/graph/values.ts";

export interface Known {
  readonly id: TensorId;
  readonly dtype: "float32" | "int32" | "int8" | "uint8";
  readonly shape: readonly number[];
  /** Largest magnitude it can have. */
  readonly limit: number;
  /** All elements are whole numbers, of whatever element type. */
  readonly isWhole: boolean;
}

export interface CoreBuilder {
  readonly tensors: GraphTensor[];
  readonly nodes: GraphNode[];
  readonly inputs: GraphInput[];
  readonly values: Map<string, TensorValue>;
}

export const newCoreBuilder = (): CoreBuilder => ({ tensors: [], nodes: [], inputs: [], values: new Map() });

/** Whole numbers up to this are exact in float32. */
export const mostExact = 2 ** 24;
const mostInt = 2 ** 31;

/** A whole number from -limit to limit that depends on its arguments alone. */
export function drawn(seed: number, index: number, limit: number): number {
  let mixed = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return (((mixed ^ (mixed >>> 12)) >>> 0) % (2 * limit + 1)) - limit;
}

function drawnValue(dtype: "float32" | "int32", shape: readonly number[], limit: number, seed: number): TensorValue {
  return valueFromNumbers(
    dtype,
    shape,
    Float64Array.from({ length: countOf(shape) }, (_, i) => drawn(seed, i, limit)),
  );
}

/** An input, and the value it is given: whole numbers up to `limit`. */
export function addInput(
  builder: CoreBuilder,
  dtype: "float32" | "int32",
  shape: readonly number[],
  limit: number,
  seed: number,
): Known {
  const name = `input${builder.inputs.length}`;
  const id = tensorId(builder.tensors.length);
  builder.tensors.push({ id, name, dtype, shape });
  builder.inputs.push({ name, tensor: id, dtype });
  builder.values.set(name, drawnValue(dtype, shape, limit, seed));
  return { id, dtype, shape, limit, isWhole: true };
}

export function addConstant(
  builder: CoreBuilder,
  dtype: "float32" | "int32",
  shape: readonly number[],
  limit: number,
  seed: number,
): Known {
  return addValue(builder, drawnValue(dtype, shape, limit, seed), limit);
}

/** One number, of the rank of what it will meet. */
export function addScalar(builder: CoreBuilder, like: Known, value: number): Known {
  const dtype = like.dtype === "int32" ? "int32" : "float32";
  return addValue(
    builder,
    valueFromNumbers(
      dtype,
      like.shape.map(() => 1),
      [value],
    ),
    Math.abs(value),
  );
}

function addValue(builder: CoreBuilder, value: TensorValue, limit: number): Known {
  const id = tensorId(builder.tensors.length);
  const { dtype, shape } = value;
  builder.tensors.push({ id, name: `constant${id}`, dtype, shape, data: constDataOf(value) });
  return { id, dtype: dtype === "int32" ? "int32" : "float32", shape, limit, isWhole: true };
}

interface Meaning {
  readonly limit: number;
  readonly isWhole: boolean;
}

/** Adds a node; `shape`: of the result, for operations that leave it open. */
export function addNode(
  builder: CoreBuilder,
  op: CoreOp,
  operands: readonly Known[],
  { limit, isWhole }: Meaning,
  attrs: Attrs = {},
  shape: readonly number[] = [],
): Known {
  const declared = { dtype: operands[0]?.dtype ?? "float32", shape } as const;
  const inferred = inferCore({ op, inputs: operands, attrs, declared });
  if (isProblem(inferred)) throw new RangeError(`${op}: ${inferred.problem}`);
  const { dtype } = inferred;
  if (dtype !== "float32" && dtype !== "int32" && dtype !== "int8" && dtype !== "uint8")
    throw new RangeError(`${op} gives ${dtype}`);
  const id = tensorId(builder.tensors.length);
  const name = `${op}${builder.nodes.length}`;
  builder.tensors.push({ id, name, dtype, shape: inferred.shape });
  builder.nodes.push({
    id: nodeId(builder.nodes.length),
    op,
    inputs: operands.map((operand) => operand.id),
    outputs: [id],
    attrs,
    origins: [{ name, opType: op, index: builder.nodes.length }],
  });
  const most = dtype === "int32" ? Math.min(limit, mostInt) : limit;
  return { id, dtype, shape: inferred.shape, limit: most, isWhole: isWhole || dtype !== "float32" };
}

/** The value held between -limit and limit, where it may be outside. */
export function within(builder: CoreBuilder, x: Known, limit: number): Known {
  if (x.limit <= limit) return x;
  const known = { limit: x.limit, isWhole: x.isWhole };
  const low = addNode(builder, "max", [x, addScalar(builder, x, -limit)], known);
  return addNode(builder, "min", [low, addScalar(builder, x, limit)], { ...known, limit });
}

export function asFloat(builder: CoreBuilder, x: Known): Known {
  if (x.dtype === "float32") return x;
  const meaning = { limit: x.limit, isWhole: x.limit <= mostExact };
  return addNode(builder, "toFloat", [x], meaning);
}

export function asInt(builder: CoreBuilder, x: Known): Known {
  if (x.dtype === "int32") return x;
  return addNode(builder, "toInt", [x], { limit: x.limit, isWhole: true }, { mode: "rne" });
}

/** Float32 whole numbers up to `limit`: eighths of what was no whole number. */
export function asWhole(builder: CoreBuilder, x: Known, limit: number): Known {
  const float = asFloat(builder, x);
  if (float.isWhole) return within(builder, float, limit);
  const near = within(builder, float, limit / 8);
  const scaled = addNode(builder, "mul", [near, addScalar(builder, near, 8)], { limit, isWhole: false });
  const rounded = addNode(builder, "toInt", [scaled], { limit, isWhole: true }, { mode: "rne" });
  return addNode(builder, "toFloat", [rounded], { limit, isWhole: true });
}

/** The graph of all that was added; outputs are the values nobody reads. */
export function finishGraph(builder: CoreBuilder, name: string): Graph {
  const read = new Set(builder.nodes.flatMap((node) => node.inputs));
  const ends = builder.nodes.flatMap((node) => node.outputs.flatMap((id) => (id === null || read.has(id) ? [] : [id])));
  return {
    name,
    form: "core",
    tensors: builder.tensors,
    nodes: builder.nodes,
    inputs: builder.inputs,
    outputs: ends.map((tensor, i) => ({
      name: `output${i}`,
      tensor,
      dtype: builder.tensors[tensor]?.dtype ?? "float32",
    })),
  };
}
