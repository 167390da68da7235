// Run-time gathers: table rows chosen by an address stream. A table of several parts is asked part by part, and the right answer selected.
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { type Demands, resultHome, standardLaneDim } from "./elementwise.ts";
import { access, type Home, homesOf, type LowerContext, newHome, storageOf, storedTypeOf, tensorOf } from "./homes.ts";
import type { Access, EwArg, EwPass, GatherJob, StorageId } from "./kernel.ts";
import { dimOffsets, type Layout, makeLayout, runsAlongLanes } from "./layout.ts";
import { movPass } from "./move.ts";
import { flatPositions } from "./movement.ts";
import { pushPasses } from "./passes.ts";
import { constantHome, isConstant, moveTo } from "./request.ts";
import { walkVectors } from "./walk.ts";

/** Whether exactly `laneDim` runs along lanes, as in the standard layout, and the gathered axis steps evenly from vector to vector. */
function isTable(context: LowerContext, home: Home, axis: number, laneDim: number): boolean {
  const { layout, uniform } = home;
  if (layout.lane !== 0 || (uniform && laneDim >= 0)) return false;
  const standard = makeLayout(layout.shape, laneDim, context.target.lanes).layout;
  return layout.shape.every((size, d) => {
    const { vectors, lanes } = dimOffsets(layout.dims[d] ?? [], size);
    const wanted = dimOffsets(standard.dims[d] ?? [], size);
    const step = (vectors[1] ?? 0) - (vectors[0] ?? 0);
    return (
      lanes.every((lane, i) => lane === wanted.lanes[i]) && (d !== axis || vectors.every((v, i) => v === i * step))
    );
  });
}

/** The lane dimension of a table: never the gathered one. */
function tableLaneDim(shape: readonly number[], axis: number, lanes: number): number {
  const standard = standardLaneDim(shape, lanes);
  if (standard >= 0 && standard !== axis) return standard;
  const rest = shape.map((_, d) => d).filter((d) => d !== axis && (shape[d] as number) > 1);
  return rest.at(-1) ?? -1;
}

/** Parts of a constant table: two of them leave some of a bank to others. */
const partsOfBank = 16 / 7;

/** A constant table in few parts. */
function constantTable(context: LowerContext, id: TensorId, laneDim: number, type: Home["type"]): Home {
  const { name, shape } = tensorOf(context, id);
  const { layout, vectors } = makeLayout(shape, laneDim, context.target.lanes);
  const key = `table:${id}:${laneDim}`;
  const known = context.constants.get(key);
  if (known !== undefined) return { storage: known, type, layout, uniform: false };
  const content = { kind: "tensor", tensor: id, layout, uniform: false } as const;
  const partVectors = Math.max(1, Math.min(vectors, Math.floor(context.target.mem.wordsPerBank / partsOfBank)));
  const home = newHome(context, name, type, layout, vectors, { content, partVectors });
  context.constants.set(key, home.storage);
  return home;
}

function tableHome(context: LowerContext, id: TensorId, axis: number, origins: readonly number[]): Home {
  const shape = tensorOf(context, id).shape;
  const type = storedTypeOf(tensorOf(context, id));
  const laneDim = tableLaneDim(shape, axis, context.target.lanes);
  if (isConstant(context, id)) return constantTable(context, id, laneDim, context.halfTables.has(id) ? "f16" : type);
  const known = homesOf(context, id).find((home) => home.type === type && isTable(context, home, axis, laneDim));
  return known ?? moveTo(context, id, laneDim, false, type, origins);
}

/** Indices, one a vector: in lane 0, or in all lanes. */
function indexHome(context: LowerContext, id: TensorId, inAllLanes: boolean, origins: readonly number[]): Home {
  if (isConstant(context, id)) return constantHome(context, id, -1, "i32");
  const fits = (home: Home): boolean =>
    home.type === "i32" &&
    (home.uniform || (!inAllLanes && home.layout.lane === 0 && !home.layout.dims.some(runsAlongLanes)));
  return homesOf(context, id).find(fits) ?? moveTo(context, id, -1, inAllLanes, "i32", origins);
}

/** Result vectors whose rows lie at base + scale * index. */
interface Lookup {
  readonly base: number;
  readonly index: number[];
  readonly out: number[];
}

function lookups(table: Home, index: Home, layout: Layout, axis: number): Lookup[] {
  const dataShape = table.layout.shape;
  const indexShape = index.layout.shape;
  const walk = walkVectors(layout);
  const flatIndex = flatPositions(index.layout).vectors;
  const offsets = dataShape.map((size, d) => dimOffsets(table.layout.dims[d] ?? [], size).vectors);
  const found = new Map<number, Lookup>();
  for (let i = 0; i < walk.vectors.length; i++) {
    const at = (d: number): number => walk.first[i * walk.rank + d] as number;
    let base = table.layout.vector;
    for (let d = 0; d < dataShape.length; d++) {
      if (d !== axis) base += offsets[d]?.[at(d < axis ? d : d + indexShape.length - 1)] as number;
    }
    let flat = 0;
    for (let d = 0; d < indexShape.length; d++) flat = flat * (indexShape[d] as number) + at(axis + d);
    let lookup = found.get(base);
    if (lookup === undefined) {
      lookup = { base, index: [], out: [] };
      found.set(base, lookup);
    }
    lookup.index.push(flatIndex[flat] as number);
    lookup.out.push(walk.vectors[i] as number);
  }
  return [...found.values()];
}

/** Rows [from, from + count) of an axis that stand in one part of the table. */
interface RowRange {
  readonly from: number;
  readonly count: number;
}

function rowRanges(base: number, scale: number, limit: number, partVectors: number): RowRange[] {
  const part = (row: number): number => Math.floor((base + scale * row) / partVectors);
  const ranges: RowRange[] = [];
  for (let from = 0; from < limit; ) {
    let end = from + 1;
    while (end < limit && part(end) === part(from)) end++;
    ranges.push({ from, count: end - from });
    from = end;
  }
  return ranges;
}

/** A new storage with as many vectors as `like` has, in the same order. */
function scratch(context: LowerContext, name: string, type: Home["type"], count: number): Access {
  const layout: Layout = {
    shape: [count],
    dims: [count > 1 ? [{ size: count, vector: 1, lane: 0 }] : []],
    vector: 0,
    lane: 0,
  };
  const { storage } = newHome(context, name, type, layout, count);
  return access(
    storage,
    Int32Array.from({ length: count }, (_, i) => i),
  );
}

const sourceArg = (source: number): EwArg => ({ kind: "source", source });
const opArg = (op: number): EwArg => ({ kind: "op", op });
const intArg = (bits: number): EwArg => ({ kind: "immediate", bits });

/** out = index >= from ? later : earlier. */
const choosePass = (index: Access, earlier: Access, later: Access, from: number, out: Access): EwPass => ({
  count: index.vectors.length,
  sources: [index, earlier, later],
  ops: [
    { op: "icmpLe", args: [intArg(from), sourceArg(0)], reset: 0 },
    { op: "select", args: [opArg(0), sourceArg(2), sourceArg(1)], reset: 0 },
  ],
  sinks: [{ op: 1, access: out, every: 1 }],
});

interface Gatherer {
  readonly context: LowerContext;
  readonly table: StorageId;
  readonly scale: number;
  /** Type of the table's elements. */
  readonly type: Home["type"];
  readonly origins: readonly number[];
  /** Indices counted from the start of a part, by that start and the place of the indices. */
  readonly shifted: Map<string, Access>;
}

/** Indices counted from row `from` on. */
function shiftedIndex(g: Gatherer, index: Access, from: number): Access {
  if (from === 0) return index;
  const key = `${from}:${index.vectors.join()}`;
  const known = g.shifted.get(key);
  if (known !== undefined) return known;
  const local = scratch(g.context, "index", "i32", index.vectors.length);
  const shift: EwPass = {
    count: index.vectors.length,
    sources: [index],
    ops: [{ op: "isub", args: [sourceArg(0), intArg(from)], reset: 0 }],
    sinks: [{ op: 0, access: local, every: 1 }],
  };
  pushPasses(g.context, "gather", g.origins, [shift]);
  g.shifted.set(key, local);
  return local;
}

/** What each part has at the indices, counted from its own start. */
function gatherEach(g: Gatherer, base: number, ranges: readonly RowRange[], index: Access): Access[] {
  const jobs = ranges.map(
    ({ from, count }): GatherJob => ({
      table: g.table,
      base: base + g.scale * from,
      scale: g.scale,
      limit: count,
      index: shiftedIndex(g, index, from),
      out: scratch(g.context, "rows", g.type, index.vectors.length),
    }),
  );
  for (const job of jobs) g.context.kernels.push({ kind: "gather", name: "gather", origins: g.origins, jobs: [job] });
  return jobs.map(({ out }) => out);
}

/** One lookup over a table in several parts: all are asked, and of every two answers the one whose part has the row is kept. */
function gatherParts(g: Gatherer, base: number, ranges: readonly RowRange[], index: Access, out: Access): void {
  let answers = gatherEach(g, base, ranges, index).map((rows, i) => ({ rows, from: ranges[i]?.from ?? 0 }));
  while (answers.length > 1) {
    const kept: typeof answers = [];
    for (let i = 0; i < answers.length; i += 2) {
      const [earlier, later] = answers.slice(i, i + 2);
      if (earlier === undefined) continue;
      if (later === undefined) {
        kept.push(earlier);
        continue;
      }
      const rows = answers.length === 2 ? out : scratch(g.context, "rows", g.type, out.vectors.length);
      pushPasses(g.context, "gather", g.origins, [choosePass(index, earlier.rows, later.rows, later.from, rows)]);
      kept.push({ rows, from: earlier.from });
    }
    answers = kept;
  }
}

/** One lookup over a table in one part that is narrower than the result. */
function gatherWidened(g: Gatherer, base: number, limit: number, index: Access, out: Access): void {
  const [rows] = gatherEach(g, base, [{ from: 0, count: limit }], index);
  if (rows !== undefined) pushPasses(g.context, "gather", g.origins, [movPass(rows, out)]);
}

/** Rows of `data` at run-time indices; one index a vector, one address stream for all byte planes. */
export function lowerGather(
  context: LowerContext,
  node: GraphNode,
  demands: Demands,
  origins: readonly number[],
): void {
  const id = node.outputs[0] as TensorId;
  const [data, indices] = node.inputs as [TensorId, TensorId];
  const axis = node.attrs.axis as number;
  const dataShape = tensorOf(context, data).shape;
  const limit = dataShape[axis] as number;
  const table = tableHome(context, data, axis, origins);
  const { partVectors, vectors: rows } = storageOf(context, table.storage);
  const index = indexHome(context, indices, rows > partVectors, origins);
  const laneDim = tableLaneDim(dataShape, axis, context.target.lanes);
  const outLane = laneDim < axis ? laneDim : laneDim + tensorOf(context, indices).shape.length - 1;
  const { layout, vectors } = makeLayout(tensorOf(context, id).shape, outLane, context.target.lanes);
  const home = resultHome(context, id, storedTypeOf(tensorOf(context, data)), layout, vectors, false, demands);
  const axisVectors = dimOffsets(table.layout.dims[axis] ?? [], limit).vectors;
  const g: Gatherer = {
    context,
    table: table.storage,
    scale: (axisVectors[1] ?? 0) - (axisVectors[0] ?? 0),
    type: table.type,
    origins,
    shifted: new Map(),
  };
  const jobs: GatherJob[] = [];
  for (const { base, index: from, out: to } of lookups(table, index, layout, axis)) {
    const ranges = rowRanges(base, g.scale, limit, partVectors);
    const [ids, out] = [access(index.storage, Int32Array.from(from)), access(home.storage, Int32Array.from(to))];
    if (ranges.length > 1) gatherParts(g, base, ranges, ids, out);
    else if (table.type === home.type)
      jobs.push({ table: table.storage, base, scale: g.scale, limit, index: ids, out });
    else gatherWidened(g, base, limit, ids, out);
  }
  if (jobs.length > 0) context.kernels.push({ kind: "gather", name: "gather", origins, jobs });
}
