// Asking for a tensor in a form that a kernel can stream: an existing home that fits, or a movement that makes one.

import { invariant } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import { elementCount, type GraphNode, type TensorId } from "../../ir/graph/graph.ts";
import {
  addHome,
  bytesOf,
  freshHome,
  type Home,
  homesOf,
  type LowerContext,
  newHome,
  storedTypeOf,
  tensorOf,
  viewLayout,
} from "./homes.ts";
import { expandLayout, followLayout, type Layout, makeLayout, runsAlongLanes } from "./layout.ts";
import { castHome, moveHome } from "./move.ts";
import { laneCompatible } from "./walk.ts";

export const isConstant = (context: LowerContext, id: TensorId): boolean => tensorOf(context, id).data !== undefined;

/** Dimension of a layout that runs along the lanes, -1 if none. */
export const laneDimOf = (layout: Layout): number => layout.dims.findIndex((digits) => runsAlongLanes(digits));

/** A constant's home with `laneDim` along lanes; where that dim has size 1 (or is -1), every lane carries the value. */
export function constantHome(context: LowerContext, id: TensorId, laneDim: number, type: StoredType): Home {
  const tensor = tensorOf(context, id);
  const uniform = laneDim < 0 || (tensor.shape[laneDim] as number) === 1;
  const { layout, vectors } = makeLayout(tensor.shape, uniform ? -1 : laneDim, context.target.lanes);
  const key = `${id}:${uniform ? -1 : laneDim}:${type}`;
  const known = context.constants.get(key);
  if (known !== undefined) return { storage: known, type, layout, uniform };
  const home = newHome(context, tensor.name, type, layout, vectors, {
    uniform,
    content: { kind: "tensor", tensor: id, layout, uniform },
  });
  context.constants.set(key, home.storage);
  return home;
}

/** Constants of so few vectors stand in both hemispheres: many passes read them, some at the same time. */
const smallConstant = 16;

/** A constant's home that follows a result layout. */
function constantFor(context: LowerContext, id: TensorId, out: Layout, type: StoredType): Home {
  const tensor = tensorOf(context, id);
  const { own, spread, vectors, uniform } = followLayout(tensor.shape, out);
  const key = `${id}:${JSON.stringify(spread.dims)}:${uniform}:${type}`;
  const known = context.constants.get(key);
  if (known !== undefined) return { storage: known, type, layout: own, uniform };
  const home = newHome(context, tensor.name, type, own, vectors, {
    uniform,
    replicated: vectors <= smallConstant,
    content: { kind: "tensor", tensor: id, layout: spread, uniform },
  });
  context.constants.set(key, home.storage);
  return home;
}

/** A home of `id` that a VXM pass with result layout `out` can read, made if there is none. */
export function requestForPass(
  context: LowerContext,
  id: TensorId,
  out: Layout,
  outUniform: boolean,
  origins: readonly number[],
): Home {
  const natural = storedTypeOf(tensorOf(context, id));
  if (isConstant(context, id)) return constantFor(context, id, out, natural);
  const homes = homesOf(context, id);
  const fitting = homes.filter((home) => laneCompatible(out, outUniform, home));
  const best = fitting.find((home) => bytesOf(home.type) === 4) ?? fitting[0];
  if (best !== undefined) return best;
  const { shape, name } = tensorOf(context, id);
  const follow = followLayout(shape, out);
  const uniform = follow.uniform && (outUniform || out.dims.some((digits) => runsAlongLanes(digits)));
  const from = homes.find((home) => home.type === natural) ?? homes[0];
  if (from === undefined || uniform)
    return moveTo(context, id, uniform ? -1 : laneDimOf(out), uniform, natural, origins);
  const home = newHome(context, name, from.type, follow.own, follow.vectors);
  const repeated = follow.spread.shape.some((size, d) => size !== shape[d]);
  const source: Home = repeated ? { ...from, layout: expandLayout(from.layout, follow.spread.shape) } : from;
  moveHome(context, source, { ...home, layout: follow.spread }, origins);
  if (!repeated) addHome(context, id, home);
  return home;
}

/** Moves `id` into a fresh home with the given lane dimension. */
export function moveTo(
  context: LowerContext,
  id: TensorId,
  laneDim: number,
  uniform: boolean,
  type: StoredType,
  origins: readonly number[],
): Home {
  const homes = homesOf(context, id);
  const from = homes.find((home) => home.type === type) ?? homes[0];
  if (from === undefined) return materialiseView(context, id, laneDim, uniform, type, origins);
  const home = freshHome(context, id, from.type, laneDim, { uniform });
  moveHome(context, from, home, origins);
  addHome(context, id, home);
  return home;
}

/** Homes for a view whose layout algebra failed on the operand as it stands: the operand is turned, or the elements are moved one by one. */
function makeViewHomes(context: LowerContext, id: TensorId, type: StoredType, origins: readonly number[]): void {
  const node = context.producers.get(id);
  invariant(node !== undefined, `tensor ${tensorOf(context, id).name} has no home`);
  if (!turnedOperand(context, node, type, origins)) addHome(context, id, moveThroughView(context, id, origins));
}

/** The default home with a lane dimension, for a view that has none. */
function materialiseView(
  context: LowerContext,
  id: TensorId,
  laneDim: number,
  uniform: boolean,
  type: StoredType,
  origins: readonly number[],
): Home {
  makeViewHomes(context, id, type, origins);
  // Over a turned operand the lanes can have the dimension in another order: callers rely on the usual one.
  const usual = JSON.stringify(makeLayout(tensorOf(context, id).shape, laneDim, context.target.lanes).layout);
  const fitting = homesOf(context, id).find((home) => !home.uniform && JSON.stringify(home.layout) === usual);
  return fitting !== undefined && !uniform ? fitting : moveTo(context, id, laneDim, uniform, type, origins);
}

/** Of elements up to so many, one by one is as fast as turning. */
const fewElements = 64;

/**
 * Gives the operand of a view a home over which digits describe the view, with another dimension along the lanes: a transposition moves many
 * elements at once. Whether there is such a dimension; of several, the one that takes the fewest vectors, the last of these.
 */
function turnedOperand(context: LowerContext, node: GraphNode, type: StoredType, origins: readonly number[]): boolean {
  const source = node.inputs[0] as TensorId;
  const before = tensorOf(context, source).shape;
  const { shape } = tensorOf(context, node.outputs[0] as TensorId);
  if (node.op === "bitcast" || elementCount(shape) <= fewElements) return false;
  const { lanes } = context.target;
  let best = -1;
  let fewest = Number.POSITIVE_INFINITY;
  for (let dim = before.length - 1; dim >= 0; dim--) {
    if (before[dim] === 1) continue;
    const { layout, vectors } = makeLayout(before, dim, lanes);
    if (vectors < fewest && viewLayout(node, layout, shape) !== undefined) [best, fewest] = [dim, vectors];
  }
  if (best < 0) return false;
  moveTo(context, source, best, false, type, origins);
  return true;
}

/** The elements of a view result, from the operand's home, gathered lane by lane into a default layout. */
function moveThroughView(context: LowerContext, id: TensorId, origins: readonly number[]): Home {
  const node = context.producers.get(id);
  invariant(node !== undefined, "a view has a node");
  const source = node.inputs[0] as TensorId;
  const homes = homesOf(context, source);
  const from =
    homes[0] ??
    moveTo(
      context,
      source,
      tensorOf(context, source).shape.length - 1,
      false,
      storedTypeOf(tensorOf(context, source)),
      origins,
    );
  const shape = tensorOf(context, id).shape;
  const { layout, vectors } = makeLayout(shape, shape.length - 1, context.target.lanes);
  const home = newHome(context, tensorOf(context, id).name, from.type, layout, vectors);
  context.moveView(context, node, from, home, origins);
  return home;
}

/** A home of `id` in stored type `type` that satisfies `fits`; else one with `laneDim` along lanes is made. */
export function requestRows(
  context: LowerContext,
  id: TensorId,
  type: StoredType,
  laneDim: number,
  fits: (layout: Layout) => boolean,
  origins: readonly number[],
): Home {
  const homes = homesOf(context, id).filter((home) => !home.uniform || tensorOf(context, id).shape[laneDim] === 1);
  const exact = homes.find((home) => home.type === type && fits(home.layout));
  if (exact !== undefined) return exact;
  const shaped = homes.find((home) => fits(home.layout));
  if (shaped !== undefined && (type === "f16" || type === "f32")) {
    const cast = castHome(context, id, shaped, type, origins);
    addHome(context, id, cast);
    return cast;
  }
  const narrow = homes.find((home) => home.type === type) ?? narrowed(context, id, type, origins);
  if (narrow.type === type && fits(narrow.layout)) return narrow;
  const home = freshHome(context, id, narrow.type, laneDim);
  moveHome(context, narrow, home, origins);
  addHome(context, id, home);
  return home.type === type ? home : requestRows(context, id, type, laneDim, fits, origins);
}

function narrowed(context: LowerContext, id: TensorId, type: StoredType, origins: readonly number[]): Home {
  if (homesOf(context, id).length === 0) makeViewHomes(context, id, storedTypeOf(tensorOf(context, id)), origins);
  const from = homesOf(context, id)[0];
  invariant(from !== undefined, `tensor ${tensorOf(context, id).name} has no home`);
  if (from.type === type || !(type === "f16" || type === "f32")) return from;
  const cast = castHome(context, id, from, type, origins);
  addHome(context, id, cast);
  return cast;
}
