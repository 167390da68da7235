// Moving a tensor from one home to another: copies, lane permutations (SXM), transpositions (int8 identity products in the MXM), casts.

import type { StoredType } from "../../ir/dtype.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import type { LayoutDigit } from "../../ir/machine/program.ts";
import { access, addStorage, type Home, type LowerContext, newHome, spreadPart, storageOf, tensorOf } from "./homes.ts";
import type { Access, EwPass, Kernel, PermuteJob, StorageId, TransposeJob } from "./kernel.ts";
import { dimOffsets, type Layout, makeLayout, runsAlongLanes } from "./layout.ts";
import { pushPasses } from "./passes.ts";
import { followWalk, laneCompatible, walkVectors } from "./walk.ts";

export const movPass = (source: Access, sink: Access): EwPass => ({
  count: source.vectors.length,
  sources: [source],
  ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
  sinks: [{ op: 0, access: sink, every: 1 }],
});

/** A copy of `from` in another stored type, same layout (f32 <-> f16). */
export function castHome(
  context: LowerContext,
  id: TensorId,
  from: Home,
  type: StoredType,
  origins: readonly number[],
): Home {
  const { vectors, layout } = compactLayout(from.layout);
  const to = newHome(context, tensorOf(context, id).name, type, layout, vectors, { uniform: from.uniform });
  const walk = walkVectors(to.layout);
  pushPasses(context, "cast", origins, [
    movPass(access(from.storage, followWalk(walk, from.layout)), access(to.storage, walk.vectors)),
  ]);
  return to;
}

/** The same lanes, vectors renumbered densely (views may leave holes or repeat vectors). Lane blocks are outermost. */
function compactLayout(layout: Layout): { layout: Layout; vectors: number } {
  const dims: LayoutDigit[][] = layout.shape.map(() => []);
  let vectors = 1;
  const renumber = (digit: LayoutDigit): LayoutDigit => {
    if (digit.lane !== 0) return { size: digit.size, vector: 0, lane: digit.lane };
    const renumbered = { size: digit.size, vector: vectors, lane: 0 };
    vectors *= digit.size;
    return renumbered;
  };
  for (const lanesPass of [false, true]) {
    for (let d = layout.shape.length - 1; d >= 0; d--) {
      const digits = layout.dims[d] ?? [];
      if (runsAlongLanes(digits) !== lanesPass || layout.shape[d] === 1) continue;
      dims[d] = digits.slice().reverse().map(renumber).reverse();
    }
  }
  return { layout: { shape: layout.shape, dims, vector: 0, lane: layout.lane }, vectors };
}

/** Brings the elements of `from` to `to` (same stored type, same shape). */
export function moveHome(context: LowerContext, from: Home, to: Home, origins: readonly number[]): void {
  if (laneCompatible(to.layout, to.uniform, from)) {
    const walk = walkVectors(to.layout);
    pushPasses(context, "copy", origins, [
      movPass(access(from.storage, followWalk(walk, from.layout)), access(to.storage, walk.vectors)),
    ]);
    return;
  }
  if (to.uniform) {
    spreadHome(context, from, to, origins);
    return;
  }
  const jobs = transposeJobs(context, from, to);
  if (jobs !== undefined) {
    context.kernels.push({ kind: "transpose", name: "transpose", origins, jobs });
    return;
  }
  assemble(context, [{ home: from, into: to.layout }], to.storage, origins);
}

/** One element a vector first, then each in all the lanes. */
function spreadHome(context: LowerContext, from: Home, to: Home, origins: readonly number[]): void {
  let single = from;
  if (from.uniform || from.layout.dims.some((digits) => runsAlongLanes(digits))) {
    const { layout, vectors } = makeLayout(from.layout.shape, -1, context.target.lanes);
    const partVectors = spreadPart(vectors, context.target);
    single = newHome(context, "single", from.type, layout, vectors, { partVectors });
    moveHome(context, { ...from, uniform: false }, single, origins);
  }
  const walk = walkVectors(to.layout);
  const source = access(single.storage, followWalk(walk, single.layout));
  context.kernels.push({
    kind: "spread",
    name: "spread",
    origins,
    jobs: [{ source, lane: single.layout.lane, out: access(to.storage, walk.vectors) }],
  });
}

/** Index combinations of some dims: vector and lane offsets in two layouts. */
interface Combination {
  readonly fromVector: number;
  readonly fromLane: number;
  readonly toVector: number;
  readonly toLane: number;
}

function combinations(from: Layout, to: Layout, dims: readonly number[]): Combination[] {
  let list: Combination[] = [{ fromVector: 0, fromLane: 0, toVector: 0, toLane: 0 }];
  for (const d of dims) {
    const size = to.shape[d] as number;
    const a = dimOffsets(from.dims[d] ?? [], size);
    const b = dimOffsets(to.dims[d] ?? [], size);
    list = list.flatMap((base) =>
      Array.from({ length: size }, (_, i) => ({
        fromVector: base.fromVector + (a.vectors[i] as number),
        fromLane: base.fromLane + (a.lanes[i] as number),
        toVector: base.toVector + (b.vectors[i] as number),
        toLane: base.toLane + (b.lanes[i] as number),
      })),
    );
  }
  return list;
}

/** Groups with equal `key`, each cut into runs whose `lane` goes up by one and that have at most `limit` members. */
function laneGroups(
  list: readonly Combination[],
  key: (c: Combination) => number,
  lane: (c: Combination) => number,
  limit: number,
): Combination[][] {
  const sorted = [...list].sort((x, y) => key(x) - key(y) || lane(x) - lane(y));
  const groups: Combination[][] = [];
  for (const item of sorted) {
    const group = groups[groups.length - 1];
    const before = group?.[group.length - 1];
    if (
      group !== undefined &&
      before !== undefined &&
      group.length < limit &&
      key(before) === key(item) &&
      lane(item) === lane(before) + 1
    )
      group.push(item);
    else groups.push([item]);
  }
  return groups;
}

/**
 * Jobs of a transposition: dimensions along the lanes of `from` run along vectors of `to` and the other way round. Undefined where the layouts
 * are not of that kind.
 */
function transposeJobs(context: LowerContext, from: Home, to: Home): TransposeJob[] | undefined {
  const lanes = context.target.lanes;
  const shape = to.layout.shape;
  const columns = shape.map((_, d) => d).filter((d) => runsAlongLanes(from.layout.dims[d] ?? []));
  const rows = shape.map((_, d) => d).filter((d) => runsAlongLanes(to.layout.dims[d] ?? []));
  if (from.uniform && columns.length > 0) return undefined;
  if (columns.some((d) => rows.includes(d))) return undefined;
  const batch = shape.map((_, d) => d).filter((d) => !columns.includes(d) && !rows.includes(d));
  const limit = context.target.mxm.modes.int8?.tileK ?? lanes;
  const windows = laneGroups(
    combinations(from.layout, to.layout, columns),
    (c) => c.fromVector,
    (c) => c.fromLane,
    limit,
  );
  const runs = laneGroups(
    combinations(from.layout, to.layout, rows),
    (c) => c.toVector,
    (c) => c.toLane,
    lanes,
  );
  const jobs: TransposeJob[] = [];
  for (const base of combinations(from.layout, to.layout, batch)) {
    for (const window of windows) {
      for (const run of runs) {
        const source = from.layout.vector + base.fromVector + (window[0] as Combination).fromVector;
        const dest = to.layout.vector + base.toVector + (run[0] as Combination).toVector;
        const rowVectors = Int32Array.from(run, (c) => source + c.fromVector);
        jobs.push({
          rows: access(from.storage, rowVectors),
          lane: from.layout.lane + (window[0] as Combination).fromLane,
          k: window.length,
          row: to.layout.lane + (run[0] as Combination).toLane,
          out: access(
            to.storage,
            Int32Array.from(window, (c) => dest + c.toVector),
          ),
        });
      }
    }
  }
  return jobs;
}

/** One operand of an assembly: the elements of `home` go where `into` (a layout of the same shape over the result's storage) says. */
export interface AssemblyPart {
  readonly home: Home;
  readonly into: Layout;
}

interface Piece {
  readonly storage: StorageId;
  readonly vector: number;
  readonly map: Int16Array;
  /** Lanes of the source that the map reads. */
  readonly reads: Uint8Array;
}

/** Calls `visit` with the source and result position of every element. */
function forEachMove(
  part: AssemblyPart,
  visit: (fromVector: number, fromLane: number, toVector: number, toLane: number) => void,
): void {
  const { shape } = part.into;
  const rank = shape.length;
  const from = shape.map((size, d) => dimOffsets(part.home.layout.dims[d] ?? [], size));
  const to = shape.map((size, d) => dimOffsets(part.into.dims[d] ?? [], size));
  const go = (d: number, fv: number, fl: number, tv: number, tl: number): void => {
    if (d === rank) {
      visit(fv, fl, tv, tl);
      return;
    }
    const f = from[d] as { vectors: Int32Array; lanes: Int32Array };
    const t = to[d] as { vectors: Int32Array; lanes: Int32Array };
    for (let i = 0; i < (shape[d] as number); i++) {
      go(
        d + 1,
        fv + (f.vectors[i] as number),
        fl + (f.lanes[i] as number),
        tv + (t.vectors[i] as number),
        tl + (t.lanes[i] as number),
      );
    }
  };
  go(0, part.home.layout.vector, part.home.layout.lane, part.into.vector, part.into.lane);
}

/**
 * Builds the vectors of `storage` from pieces of other storages, lane by lane: the general movement. `fill` gives the value of lanes that no
 * part covers (a storage whose vector 0 has it in every lane) for the listed vectors; without it they become zero.
 */
export function assemble(
  context: LowerContext,
  parts: readonly AssemblyPart[],
  storage: StorageId,
  origins: readonly number[],
  fill?: { readonly storage: StorageId; readonly vectors: Int32Array },
): void {
  const lanes = context.target.lanes;
  const byVector = new Map<number, Piece[]>();
  for (const vector of fill?.vectors ?? []) byVector.set(vector, []);
  for (const part of parts) {
    forEachMove(part, (fromVector, fromLane, toVector, toLane) => {
      let pieces = byVector.get(toVector);
      if (pieces === undefined) {
        pieces = [];
        byVector.set(toVector, pieces);
      }
      let piece = pieces.find(
        (candidate) =>
          candidate.storage === part.home.storage &&
          candidate.vector === fromVector &&
          (candidate.map[toLane] as number) < 0 &&
          candidate.reads[fromLane] === 0,
      );
      if (piece === undefined) {
        const map = new Int16Array(lanes).fill(-1);
        piece = { storage: part.home.storage, vector: fromVector, map, reads: new Uint8Array(lanes) };
        pieces.push(piece);
      }
      piece.map[toLane] = fromLane;
      piece.reads[fromLane] = 1;
    });
  }
  if (fill !== undefined) addFillPieces(byVector, fill.storage, lanes);
  pushAssembly(context, byVector, storage, origins);
}

function addFillPieces(byVector: Map<number, Piece[]>, storage: StorageId, lanes: number): void {
  for (const pieces of byVector.values()) {
    const map = new Int16Array(lanes);
    for (let lane = 0; lane < lanes; lane++)
      map[lane] = pieces.some((piece) => (piece.map[lane] as number) >= 0) ? -1 : lane;
    if (map.some((lane) => lane >= 0)) pieces.push({ storage, vector: 0, map, reads: new Uint8Array(lanes) });
  }
}

/** Vectors assembled in the same way become one job. */
function pushAssembly(
  context: LowerContext,
  byVector: ReadonlyMap<number, readonly Piece[]>,
  storage: StorageId,
  origins: readonly number[],
): void {
  const groups = new Map<string, { out: number[]; sources: number[][]; pieces: readonly Piece[] }>();
  for (const vector of [...byVector.keys()].sort((a, b) => a - b)) {
    const pieces = byVector.get(vector) as readonly Piece[];
    const key = pieces.map((piece) => `${piece.storage}:${piece.map.join()}`).join(";");
    let group = groups.get(key);
    if (group === undefined) {
      group = { out: [], sources: pieces.map(() => []), pieces };
      groups.set(key, group);
    }
    group.out.push(vector);
    pieces.forEach((piece, i) => {
      group.sources[i]?.push(piece.vector);
    });
  }
  const jobs: PermuteJob[] = [];
  const copies: EwPass[] = [];
  for (const group of groups.values()) {
    const out = access(storage, Int32Array.from(group.out));
    const pieces = group.pieces.map((piece, i) => ({
      access: access(piece.storage, Int32Array.from(group.sources[i] as number[])),
      map: group.pieces.length === 1 && isInPlace(piece.map) ? null : piece.map,
    }));
    const only = pieces[0];
    if (pieces.length === 1 && only !== undefined && only.map === null) copies.push(movPass(only.access, out));
    else jobs.push(...mergeInSteps(context, { pieces, out }));
  }
  if (copies.length > 0) pushPasses(context, "copy", origins, copies);
  if (jobs.length > 0) {
    const kernel: Kernel = { kind: "permute", name: "assemble", origins, jobs };
    context.kernels.push(kernel);
  }
}

/** Pieces that one pass joins: at most as many as there are SXM units in a hemisphere. */
const mergedAtOnce = ({ target }: LowerContext): number => Math.min(4, target.sxm.unitsPerHemisphere);

/** A job with many pieces as a tree of jobs over temporary storages, inner ones first. */
function mergeInSteps(context: LowerContext, job: PermuteJob): PermuteJob[] {
  const most = mergedAtOnce(context);
  if (job.pieces.length <= most) return [job];
  const { type } = storageOf(context, job.out.storage);
  const count = job.out.vectors.length;
  const jobs: PermuteJob[] = [];
  const pieces: PermuteJob["pieces"][number][] = [];
  for (let from = 0; from < job.pieces.length; from += most) {
    const some = job.pieces.slice(from, from + most);
    const only = some[0];
    if (some.length === 1 && only !== undefined) {
      pieces.push(only);
      continue;
    }
    const storage = addStorage(context, {
      name: "merge",
      type,
      vectors: count,
      partVectors: Math.min(count, 256),
      replicated: false,
    });
    const out = access(
      storage,
      Int32Array.from({ length: count }, (_, i) => i),
    );
    jobs.push({ pieces: some, out });
    pieces.push({ access: out, map: null });
  }
  return [...jobs, ...mergeInSteps(context, { pieces, out: job.out })];
}

/** Lanes that stay where they are, up to lanes nobody reads (after the last used one). */
function isInPlace(map: Int16Array): boolean {
  let last = map.length - 1;
  while (last >= 0 && (map[last] as number) < 0) last--;
  for (let lane = 0; lane <= last; lane++) if (map[lane] !== lane) return false;
  return true;
}
