// Data movement that the graph asks for: concat, pad, run-time gather, and views that no layout describes.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { type Demands, resultHome, standardLaneDim } from "./elementwise.ts";
import {
  addStorage,
  type Home,
  homesOf,
  isView,
  type LowerContext,
  storedTypeOf,
  tensorOf,
  viewLayout,
} from "./homes.ts";
import type { StorageId } from "./kernel.ts";
import { choiceLayout, dimOffsets, type Layout, makeLayout, sliceLayout } from "./layout.ts";
import { type AssemblyPart, assemble } from "./move.ts";
import { constantHome, isConstant, moveTo } from "./request.ts";
import { walkVectors } from "./walk.ts";

/** Any 4-byte home of a tensor, constants included. */
export function anyHome(context: LowerContext, id: TensorId, origins: readonly number[]): Home {
  const type = storedTypeOf(tensorOf(context, id));
  if (isConstant(context, id))
    return constantHome(context, id, standardLaneDim(tensorOf(context, id).shape, context.target.lanes), type);
  const homes = homesOf(context, id).filter((home) => home.type === type);
  return (
    homes[0] ??
    moveTo(context, id, standardLaneDim(tensorOf(context, id).shape, context.target.lanes), false, type, origins)
  );
}

/** A layout that addresses only lane 0 of a uniform home: what an element-by-element movement may read. */
const elementHome = (home: Home): Home => ({ ...home, uniform: false });

export function lowerMove(context: LowerContext, node: GraphNode, demands: Demands, origins: readonly number[]): void {
  const id = node.outputs[0] as TensorId;
  const tensor = tensorOf(context, id);
  const laneDim = context.laneDims.get(id) ?? tensor.shape.length - 1;
  const lane = laneDim >= 0 && tensor.shape[laneDim] !== 1 ? laneDim : -1;
  const { layout, vectors } = choiceLayout(tensor.shape, lane, context.target.lanes);
  const type = storedTypeOf(tensor);
  const home = resultHome(context, id, type, layout, vectors, false, demands);
  const parts: AssemblyPart[] = [];
  if (node.op === "concat") {
    const axis = node.attrs.axis as number;
    let at = 0;
    for (const input of node.inputs as readonly TensorId[]) {
      const shape = tensorOf(context, input).shape;
      const starts = shape.map((_, d) => (d === axis ? at : 0));
      at += shape[axis] as number;
      parts.push(...elementParts(elementHome(anyHome(context, input, origins)), layout, starts));
    }
    assemble(context, parts, home.storage, origins);
    return;
  }
  invariant(node.op === "pad", `${node.op} moves no data`);
  const input = node.inputs[0] as TensorId;
  const before = node.attrs.before as readonly number[];
  const source = elementHome(anyHome(context, input, origins));
  const bits = numberBits(node.attrs.value as number, tensor.dtype === "float32");
  const fill = bits === 0 ? zeroStorage(context) : fillStorage(context, bits, type);
  assemble(context, elementParts(source, layout, before), home.storage, origins, {
    storage: fill,
    vectors: walkVectors(layout).vectors,
  });
}

interface Range {
  readonly start: number;
  readonly size: number;
}

/** The box [starts, starts + shape) of `layout`, cut along each dim so that every piece is a slice of the layout. Falls back to one index a piece. */
function laneBoxes(layout: Layout, starts: readonly number[], shape: readonly number[]): [Range[], Layout][] {
  const whole = sliceLayout(
    layout,
    starts,
    shape.map(() => 1),
    shape,
  );
  if (whole !== undefined) return [[shape.map((size) => ({ start: 0, size })), whole]];
  const d = layout.dims.findIndex(
    (digits, i) => digits.length > 1 && !(starts[i] === 0 && shape[i] === layout.shape[i]),
  );
  const inner = layout.dims[d]?.at(-1)?.size ?? 1;
  const boxes: [Range[], Layout][] = [];
  for (let at = 0; at < (shape[d] as number); ) {
    const start = (starts[d] as number) + at;
    const size = Math.min(inner - (start % inner), (shape[d] as number) - at);
    const boxShape = shape.map((full, i) => (i === d ? size : full));
    const into = sliceLayout(
      layout,
      starts.map((s, i) => (i === d ? start : s)),
      shape.map(() => 1),
      boxShape,
    );
    invariant(into !== undefined, "a box inside one lane block is a slice");
    boxes.push([boxShape.map((full, i) => ({ start: i === d ? at : 0, size: full })), into]);
    at += size;
  }
  return boxes;
}

/** One part an index along the dims where slicing fails: the slowest, always possible way. */
function elementParts(source: Home, layout: Layout, starts: readonly number[]): AssemblyPart[] {
  return laneBoxes(layout, starts, source.layout.shape).flatMap(([box, into]): AssemblyPart[] => {
    const part = sliceLayout(
      source.layout,
      box.map((range) => range.start),
      box.map(() => 1),
      box.map((range) => range.size),
    );
    if (part !== undefined) return [{ home: { ...source, layout: part }, into }];
    const d = box.findIndex((range, i) => range.size !== source.layout.shape[i]);
    return Array.from({ length: (box[d] as Range).size }, (_, i): AssemblyPart => {
      const shape = box.map((range, j) => (j === d ? 1 : range.size));
      const one = sliceLayout(
        source.layout,
        box.map((range, j) => range.start + (j === d ? i : 0)),
        box.map(() => 1),
        shape,
      );
      const target = sliceLayout(
        into,
        box.map((_, j) => (j === d ? i : 0)),
        box.map(() => 1),
        shape,
      );
      invariant(one !== undefined && target !== undefined, "a single index is a slice");
      return { home: { ...source, layout: one }, into: target };
    });
  });
}

/** float32 or int32 bits of a pad value. */
function numberBits(value: number, float: boolean): number {
  const view = new DataView(new ArrayBuffer(4));
  if (float) view.setFloat32(0, value, true);
  else view.setInt32(0, value, true);
  return view.getInt32(0, true);
}

function fillStorage(context: LowerContext, bits: number, type: Home["type"]): StorageId {
  const key = `fill:${bits}:${type}`;
  const known = context.constants.get(key);
  if (known !== undefined) return known;
  const id = addStorage(context, {
    name: "fill",
    type,
    vectors: 1,
    partVectors: 1,
    replicated: false,
    content: { kind: "fill", bits },
  });
  context.constants.set(key, id);
  return id;
}

const zeroStorage = (context: LowerContext): StorageId => fillStorage(context, 0, "f32");

/** Elements of a view result in row-major order of both shapes (reshape), or index by index (slice), over any homes. */
export function moveView(
  context: LowerContext,
  node: GraphNode,
  from: Home,
  to: Home,
  origins: readonly number[],
): void {
  invariant(isView(node), "only views are moved element by element");
  const shape = to.layout.shape;
  if (node.op !== "reshape") {
    const plain = makeLayout(from.layout.shape, -1, context.target.lanes);
    invariant(viewLayout(node, plain.layout, shape) !== undefined || node.op === "slice", `no movement for ${node.op}`);
  }
  const flat = flatPositions(from.layout);
  const order = node.op === "reshape" ? undefined : viewOrder(node, from.layout.shape, shape);
  const target = flatPositions(to.layout);
  const points: AssemblyPart[] = [];
  for (let i = 0; i < target.vectors.length; i++) {
    const j = order === undefined ? i : (order[i] as number);
    const scalar = (vector: number, lane: number): Layout => ({ shape: [], dims: [], vector, lane });
    points.push({
      home: { ...from, uniform: false, layout: scalar(flat.vectors[j] as number, flat.lanes[j] as number) },
      into: scalar(target.vectors[i] as number, target.lanes[i] as number),
    });
  }
  assemble(context, points, to.storage, origins);
}

/** Vector and lane of every element in row-major order. */
export function flatPositions(layout: Layout): { vectors: Int32Array; lanes: Int32Array } {
  let vectors = Int32Array.of(layout.vector);
  let lanes = Int32Array.of(layout.lane);
  layout.shape.forEach((size, d) => {
    const dim = dimOffsets(layout.dims[d] ?? [], size);
    const nextVectors = new Int32Array(vectors.length * size);
    const nextLanes = new Int32Array(vectors.length * size);
    for (let i = 0; i < vectors.length; i++) {
      for (let j = 0; j < size; j++) {
        nextVectors[i * size + j] = (vectors[i] as number) + (dim.vectors[j] as number);
        nextLanes[i * size + j] = (lanes[i] as number) + (dim.lanes[j] as number);
      }
    }
    vectors = nextVectors;
    lanes = nextLanes;
  });
  return { vectors, lanes };
}

/** Flat index into the operand for every element of a slice, transpose or expand result. */
function viewOrder(node: GraphNode, inShape: readonly number[], outShape: readonly number[]): Int32Array {
  const row: Layout = { shape: inShape, dims: rowMajor(inShape), vector: 0, lane: 0 };
  const rank = outShape.length;
  const starts = node.attrs.starts as readonly number[] | undefined;
  const steps = node.attrs.steps as readonly number[] | undefined;
  const strides = row.dims.map((digits) => digits[0]?.vector ?? 0);
  const count = outShape.reduce((n, size) => n * size, 1);
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let rest = i;
    for (let d = rank - 1; d >= 0; d--) {
      const at = rest % (outShape[d] as number);
      rest = (rest - at) / (outShape[d] as number);
      const source = node.op === "transpose" ? (node.attrs.perm as readonly number[])[d] : d;
      const index =
        node.op === "slice" ? (starts?.[d] ?? 0) + at * (steps?.[d] ?? 1) : inShape[source as number] === 1 ? 0 : at;
      order[i] = (order[i] as number) + index * (strides[source as number] as number);
    }
  }
  return order;
}

function rowMajor(shape: readonly number[]): { size: number; vector: number; lane: number }[][] {
  let step = 1;
  return shape
    .slice()
    .reverse()
    .map((size) => {
      const digits = [{ size, vector: step, lane: 0 }];
      step *= size;
      return digits;
    })
    .reverse();
}
