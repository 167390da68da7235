// Walking layouts: lists of vectors in streaming order and how another layout of the same elements follows them.
import type { Home } from "./homes.ts";
import { dimOffsets, type Layout } from "./layout.ts";

/** The vectors a layout occupies, ascending, each with the index (per dim) of the first element in it. */
export interface VectorWalk {
  readonly vectors: Int32Array;
  /** Row-major [vector][dim]. */
  readonly first: Int32Array;
  readonly rank: number;
}

/** Distinct vector offsets of one dim, with the first index that has each. */
function distinctOffsets(layout: Layout, d: number): { offsets: number[]; first: number[] } {
  const { vectors } = dimOffsets(layout.dims[d] ?? [], layout.shape[d] as number);
  const seen = new Map<number, number>();
  vectors.forEach((offset, index) => {
    if (!seen.has(offset)) seen.set(offset, index);
  });
  return { offsets: [...seen.keys()], first: [...seen.values()] };
}

/**
 * All vectors of `layout` in order of `order` (dims, outermost first), or ascending by vector number when no order is given.
 */
export function walkVectors(layout: Layout, order?: readonly number[]): VectorWalk {
  const rank = layout.shape.length;
  const dims = order ?? layout.shape.map((_, d) => d);
  const distinct = layout.shape.map((_, d) => distinctOffsets(layout, d));
  let count = 1;
  for (const { offsets } of distinct) count *= offsets.length;
  const vectors = new Int32Array(count).fill(layout.vector);
  const first = new Int32Array(count * rank);
  let repeat = count;
  for (const d of dims) {
    const { offsets, first: indices } = distinct[d] as { offsets: number[]; first: number[] };
    repeat /= offsets.length;
    for (let i = 0; i < count; i++) {
      const at = Math.floor(i / repeat) % offsets.length;
      vectors[i] = (vectors[i] as number) + (offsets[at] as number);
      first[i * rank + d] = indices[at] as number;
    }
  }
  if (order !== undefined) return { vectors, first, rank };
  const by = Array.from(vectors.keys()).sort((a, b) => (vectors[a] as number) - (vectors[b] as number) || a - b);
  const sortedFirst = new Int32Array(count * rank);
  by.forEach((from, to) => {
    sortedFirst.set(first.subarray(from * rank, (from + 1) * rank), to * rank);
  });
  return { vectors: Int32Array.from(by, (i) => vectors[i] as number), first: sortedFirst, rank };
}

/** Vector of `layout` for each walked position; dims of size 1 in `layout` are broadcast. */
export function followWalk(walk: VectorWalk, layout: Layout): Int32Array {
  const offsets = layout.shape.map((size, d) => dimOffsets(layout.dims[d] ?? [], size).vectors);
  const followed = new Int32Array(walk.vectors.length).fill(layout.vector);
  for (let d = 0; d < walk.rank; d++) {
    if (layout.shape[d] === 1) continue;
    const table = offsets[d] as Int32Array;
    for (let i = 0; i < followed.length; i++)
      followed[i] = (followed[i] as number) + (table[walk.first[i * walk.rank + d] as number] as number);
  }
  return followed;
}

/**
 * Whether a VXM pass whose result has layout `out` can read `home` vector by vector: every element in the same lane, and one vector of
 * `home` for each vector of `out`.
 */
export function laneCompatible(out: Layout, outUniform: boolean, home: Home): boolean {
  if (outUniform && !home.uniform) return false;
  if (!home.uniform && home.layout.lane !== out.lane) return false;
  for (let d = 0; d < out.shape.length; d++) {
    const size = out.shape[d] as number;
    if (size === 1) continue;
    const outDim = dimOffsets(out.dims[d] ?? [], size);
    if (home.layout.shape[d] === 1) {
      if (!home.uniform && outDim.lanes.some((lane) => lane !== 0)) return false;
      continue;
    }
    const dim = dimOffsets(home.layout.dims[d] ?? [], size);
    const byVector = new Map<number, number>();
    for (let i = 0; i < size; i++) {
      if (!home.uniform && dim.lanes[i] !== outDim.lanes[i]) return false;
      const key = outDim.vectors[i] as number;
      const before = byVector.get(key);
      if (before === undefined) byVector.set(key, dim.vectors[i] as number);
      else if (before !== dim.vectors[i]) return false;
    }
  }
  return true;
}

/** Contiguous lane runs of a dimension: indices [start, start + length) at `vector`, lanes from `lane` on. */
export interface LaneRun {
  readonly start: number;
  readonly length: number;
  readonly vector: number;
  readonly lane: number;
}

/** Cuts indices 0..size-1 into runs of at most `limit` indices that stand in neighbouring lanes of one vector. */
export function laneRuns(layout: Layout, d: number, limit: number): LaneRun[] {
  const size = layout.shape[d] as number;
  const { vectors, lanes } = dimOffsets(layout.dims[d] ?? [], size);
  const runs: LaneRun[] = [];
  let start = 0;
  for (let i = 1; i <= size; i++) {
    const joined =
      i < size &&
      vectors[i] === vectors[start] &&
      lanes[i] === (lanes[start] as number) + (i - start) &&
      i - start < limit;
    if (joined) continue;
    runs.push({
      start,
      length: i - start,
      vector: vectors[start] as number,
      lane: layout.lane + (lanes[start] as number),
    });
    start = i;
  }
  return runs;
}

/** Both lists of runs (over the same indices) cut at each other's borders. */
export function alignRuns(a: readonly LaneRun[], b: readonly LaneRun[]): { a: LaneRun[]; b: LaneRun[] } {
  const outA: LaneRun[] = [];
  const outB: LaneRun[] = [];
  let i = 0;
  let j = 0;
  let at = 0;
  while (i < a.length && j < b.length) {
    const x = a[i] as LaneRun;
    const y = b[j] as LaneRun;
    const end = Math.min(x.start + x.length, y.start + y.length);
    outA.push({ start: at, length: end - at, vector: x.vector, lane: x.lane + at - x.start });
    outB.push({ start: at, length: end - at, vector: y.vector, lane: y.lane + at - y.start });
    if (end === x.start + x.length) i++;
    if (end === y.start + y.length) j++;
    at = end;
  }
  return { a: outA, b: outB };
}
