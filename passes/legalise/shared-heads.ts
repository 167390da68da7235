// Query heads that share a key head: exporters repeat the keys for each of them. For one token the queries of a group are the rows of one product with the
// keys as they are, so that these are loaded, or read, once.
import type { TensorId } from "../../ir/graph/graph.ts";
import { type CoreDraft, producedBy, shapeOf } from "./core-draft.ts";
import { reshape, swapLast } from "./views.ts";

interface SharedMatrices {
  /** [..., heads, T, D] */
  readonly own: TensorId;
  /** Times that each is repeated. */
  readonly group: number;
}

/** Matrices [..., heads * group, T, D] of which each comes `group` times in a row, perhaps transposed. */
function sharedMatrices(d: CoreDraft, id: TensorId): SharedMatrices | undefined {
  const rank = shapeOf(d, id).length;
  const turned = producedBy(d, id, "transpose");
  if (turned !== undefined) {
    const swaps = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
    const from = turned.inputs[0];
    if (from === undefined || String(turned.attrs.perm) !== swaps.join()) return undefined;
    const inner = producedBy(d, from, "transpose") === undefined ? sharedMatrices(d, from) : undefined;
    return inner && { own: swapLast(d, inner.own), group: inner.group };
  }
  const joined = producedBy(d, id, "reshape")?.inputs[0];
  const wide = joined === undefined ? undefined : producedBy(d, joined, "expand");
  const narrow = wide?.inputs[0];
  if (joined === undefined || narrow === undefined || rank < 3) return undefined;
  const [from, to, shape] = [shapeOf(d, narrow), shapeOf(d, joined), shapeOf(d, id)];
  const at = rank - 2;
  const group = to[at] ?? 1;
  const kept = from.filter((_, dim) => dim !== at);
  const isRepeated =
    to.length === rank + 1 &&
    group > 1 &&
    from.every((size, dim) => size === (dim === at ? 1 : to[dim])) &&
    shape.every((size, dim) => size === (dim === rank - 3 ? (kept[dim] ?? 1) * group : kept[dim]));
  return isRepeated ? { own: reshape(d, narrow, kept), group } : undefined;
}

/** Operands [..., heads, group, K] and [..., heads, K, N] of the product of [..., heads * group, 1, K] with repeated matrices; undefined for any other. */
export function groupedOperands(
  d: CoreDraft,
  left: TensorId,
  right: TensorId,
): readonly [TensorId, TensorId] | undefined {
  const shape = shapeOf(d, left);
  const rank = shape.length;
  if (rank < 3 || rank !== shapeOf(d, right).length || shape[rank - 2] !== 1) return undefined;
  if (shape[rank - 3] !== shapeOf(d, right)[rank - 3]) return undefined;
  const shared = sharedMatrices(d, right);
  if (shared === undefined) return undefined;
  const heads = (shape[rank - 3] ?? 1) / shared.group;
  return [reshape(d, left, [...shape.slice(0, -3), heads, shared.group, shape[rank - 1] ?? 1]), shared.own];
}
