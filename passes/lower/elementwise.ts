// Elementwise units become VXM passes; a matmul that feeds one gives its sums straight to the pass.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import type { AluOp } from "../../ir/machine/isa.ts";
import { hasAlus, type ResultPlace } from "./alu-room.ts";
import { access, addHome, type Home, homesOf, type LowerContext, newHome, storedTypeOf, tensorOf } from "./homes.ts";
import type { EwArg, EwOp, EwPass, EwSink } from "./kernel.ts";
import { choiceLayout, type Layout } from "./layout.ts";
import { isConstant, laneDimOf, requestForPass } from "./request.ts";
import { isScalarConstant, type Unit } from "./units.ts";
import { followWalk, laneCompatible, type VectorWalk, walkVectors } from "./walk.ts";

type FloatOrInt = "f32" | "i32";

/** VXM operation of a core op on operands of the given type. */
function aluOpOf(node: GraphNode, type: FloatOrInt): AluOp {
  const int = type === "i32";
  switch (node.op) {
    case "add":
      return int ? "iadd" : "add";
    case "sub":
      return int ? "isub" : "sub";
    case "mul":
      return int ? "imul" : "mul";
    case "min":
      return int ? "imin" : "min";
    case "max":
      return int ? "imax" : "max";
    case "eq":
      return int ? "icmpEq" : "cmpEq";
    case "lt":
      return int ? "icmpLt" : "cmpLt";
    case "le":
      return int ? "icmpLe" : "cmpLe";
    case "toInt":
      return node.attrs.mode === "trunc" ? "toIntTrunc" : "toInt";
    case "toInt8":
    case "fromInt8":
      return "mov";
    case "and":
    case "or":
    case "xor":
    case "shl":
    case "shr":
    case "shru":
    case "select":
    case "exp2":
    case "rsqrt":
    case "tanh":
    case "toFloat":
    case "roundF16":
      return node.op;
    default:
      invariant(false, `no VXM operation for ${node.op}`);
  }
}

export function scalarBits(context: LowerContext, id: TensorId): number {
  const bytes = tensorOf(context, id).data?.read();
  invariant(bytes !== undefined && bytes.byteLength >= 4, "a scalar operand is a 32-bit constant");
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true) | 0;
}

/** Tensors of the unit that somebody outside reads. */
export function escaping(
  unit: Unit,
  consumers: ReadonlyMap<TensorId, readonly GraphNode[]>,
  outputs: ReadonlySet<TensorId>,
): TensorId[] {
  return unit.nodes
    .map((node) => node.outputs[0] as TensorId)
    .filter((id) => outputs.has(id) || (consumers.get(id) ?? []).some((reader) => !unit.nodes.includes(reader)));
}

export interface Demands {
  /** Stored types in which readers want a tensor. */
  readonly typesOf: (id: TensorId) => readonly ("f32" | "f16" | "i32" | "i8" | "u8")[];
  readonly boundaryOut: (id: TensorId) => boolean;
}

/** The result layout of a unit: its shape with the chosen lane dim; uniform where nothing runs along lanes and all operands are uniform. */
function resultLayout(
  context: LowerContext,
  unit: Unit,
  sources: readonly TensorId[],
): { layout: Layout; vectors: number; uniform: boolean } {
  const head = unit.nodes[0] as GraphNode;
  const id = head.outputs[0] as TensorId;
  const shape = tensorOf(context, id).shape;
  const laneDim = context.laneDims.get(id) ?? shape.length - 1;
  const flat = laneDim < 0 || shape[laneDim] === 1;
  const made = choiceLayout(shape, flat ? -1 : laneDim, context.target.lanes);
  const uniform =
    flat &&
    (unit.fed === undefined || unit.fed.matmul.op === "reduceSum") &&
    sources.every(
      (source) =>
        isConstant(context, source) ||
        homesOf(context, source).some((home) => home.uniform && laneCompatible(made.layout, true, home)),
    );
  return { ...made, uniform };
}

export interface LoweredPass {
  readonly pass: EwPass;
  readonly layout: Layout;
  readonly walk: VectorWalk;
}

/**
 * Builds the pass of an elementwise unit and the homes of its results. `walkOrder` fixes the streaming order when the pass is fed by a matmul.
 */
export function buildPass(
  context: LowerContext,
  unit: Unit,
  escaped: readonly TensorId[],
  demands: Demands,
  fedTensor: TensorId | undefined,
  origins: readonly number[],
): LoweredPass {
  const inside = new Map<TensorId, number>();
  unit.nodes.forEach((node, index) => {
    inside.set(node.outputs[0] as TensorId, index);
  });
  const external = new Set<TensorId>();
  for (const node of unit.nodes) {
    for (const input of node.inputs) {
      if (input !== null && !inside.has(input) && !isScalarConstant(context.graph, input) && input !== fedTensor)
        external.add(input);
    }
  }
  const sources = [...external];
  const { layout, vectors, uniform } = resultLayout(context, unit, sources);
  const walk = walkVectors(layout);
  const homes = sources.map((id) => requestForPass(context, id, layout, uniform, origins));
  const offset = fedTensor === undefined ? 0 : 1;
  const sourceIndex = new Map<TensorId, number>(sources.map((id, i) => [id, i + offset]));
  if (fedTensor !== undefined) sourceIndex.set(fedTensor, 0);
  const argOf = (id: TensorId): EwArg => {
    const op = inside.get(id);
    if (op !== undefined) return { kind: "op", op };
    const source = sourceIndex.get(id);
    return source === undefined ? { kind: "immediate", bits: scalarBits(context, id) } : { kind: "source", source };
  };
  const ops: EwOp[] = unit.nodes.map((node) => {
    const operand = node.inputs[node.op === "select" ? 1 : 0] as TensorId;
    const type: FloatOrInt = tensorOf(context, operand).dtype === "float32" ? "f32" : "i32";
    return { op: aluOpOf(node, type), args: node.inputs.map((id) => argOf(id as TensorId)), reset: 0 };
  });
  const operations = ops.map(({ op }) => op);
  const wanted = escaped.flatMap((id) =>
    demands.typesOf(id).map((type): ResultPlace & { readonly id: TensorId } => ({
      id,
      op: inside.get(id) as number,
      type,
      replicated: type === "f16" || uniform,
    })),
  );
  const places = hasAlus(context.target, operations, wanted)
    ? wanted
    : // One place each; what readers want besides is made from it.
      escaped.map((id) => ({
        id,
        op: inside.get(id) as number,
        type: storedTypeOf(tensorOf(context, id)),
        replicated: false,
      }));
  const sinks = places.map(({ id, op, type, replicated }): EwSink => {
    const home = resultHome(context, id, type, layout, vectors, uniform, demands, replicated);
    return { op, access: access(home.storage, walk.vectors), every: 1 };
  });
  return {
    pass: {
      count: walk.vectors.length,
      sources: [
        ...(fedTensor === undefined ? [] : (["sums"] as const)),
        ...homes.map((home) => access(home.storage, followWalk(walk, home.layout))),
      ],
      ops,
      sinks,
    },
    layout,
    walk,
  };
}

/** A home for a result of a pass; a block output in its standard layout goes to the border at once. */
export function resultHome(
  context: LowerContext,
  id: TensorId,
  type: "f32" | "f16" | "i32" | "i8" | "u8",
  layout: Layout,
  vectors: number,
  uniform: boolean,
  demands: Demands,
  replicated = type === "f16",
): Home {
  const tensor = tensorOf(context, id);
  const border =
    demands.boundaryOut(id) &&
    type === storedTypeOf(tensor) &&
    !uniform &&
    laneDimOf(layout) === standardLaneDim(tensor.shape, context.target.lanes);
  const home = newHome(context, tensor.name, type, layout, vectors, {
    uniform,
    replicated: replicated && !border,
    ...(border ? { boundary: { tensor: id, kind: "out" } } : {}),
  });
  addHome(context, id, home);
  return home;
}

/** Vectors a tensor takes with `laneDim` along lanes. */
const vectorsWith = (shape: readonly number[], laneDim: number, lanes: number): number =>
  shape.reduce((n, size, d) => n * (d === laneDim ? Math.ceil(size / lanes) : size), 1);

/**
 * Border tensors run their last dimension along lanes (none where that has size 1), unless that would waste most of the lanes of a large tensor:
 * then the dimension that needs the fewest vectors.
 */
export function standardLaneDim(shape: readonly number[], lanes: number): number {
  const last = shape.length > 0 && (shape[shape.length - 1] as number) > 1 ? shape.length - 1 : -1;
  const vectors = vectorsWith(shape, last, lanes);
  if (vectors <= 512) return last;
  let best = last;
  let least = vectors / 4;
  shape.forEach((size, d) => {
    const taken = vectorsWith(shape, d, lanes);
    if (size > 1 && (taken < least || (best === last && taken === least))) {
      best = d;
      least = taken;
    }
  });
  return best;
}
