// Elements chosen at run time by comparing places instead of by address: a row that is fetched fills a whole vector, however short it is.
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { eq, reduce, select } from "./arith.ts";
import { type CoreDraft, float, int, isFloat, shapeOf } from "./core-draft.ts";
import { iota } from "./lower-views.ts";
import { reshape, sliceAxis } from "./views.ts";

/** Longest axis that is compared, and most comparisons. */
const LONGEST = 256;
const MOST = 2 ** 20;

/** [before, n, after] chosen along the middle by [before, k, after]. */
function chosen(d: CoreDraft, data: TensorId, indices: TensorId, size: number): TensorId {
  const hit = eq(d, indices, iota(d, 4, 2, size));
  return reduce(d, "reduceSum", select(d, hit, data, isFloat(d, data) ? float(d, 0) : int(d, 0)), [2]);
}

/** Elements along an axis where indices (inside the axis) name them, other coordinates being their own; undefined where addresses are better. */
export function chooseAlong(d: CoreDraft, data: TensorId, indices: TensorId, axis: number): TensorId | undefined {
  const own = shapeOf(d, indices);
  const size = shapeOf(d, data)[axis] ?? 1;
  if (size > LONGEST || elementCount(own) * size > MOST) return undefined;
  let part = data;
  for (const [dim, count] of own.entries()) if (dim !== axis) part = sliceAxis(d, part, dim, 0, count);
  const [before, count, after] = [elementCount(own.slice(0, axis)), own[axis] ?? 1, elementCount(own.slice(axis + 1))];
  const wide = reshape(d, part, [before, 1, size, after]);
  return reshape(d, chosen(d, wide, reshape(d, indices, [before, count, 1, after]), size), own);
}

/** Numbers of a list at indices (inside it). */
export function chooseFromList(d: CoreDraft, list: TensorId, indices: TensorId): TensorId | undefined {
  const own = shapeOf(d, indices);
  const size = shapeOf(d, list)[0] ?? 1;
  if (size > LONGEST || elementCount(own) * size > MOST || elementCount(own) < 2) return undefined;
  const places = reshape(d, indices, [1, 1, 1, elementCount(own)]);
  return reshape(d, chosen(d, reshape(d, list, [1, 1, size, 1]), places, size), own);
}
