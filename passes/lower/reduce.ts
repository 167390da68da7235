// Reductions: along vectors by VXM feedback; along lanes by a product with ones (float32 sums) or after a transposition.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import type { AluOp } from "../../ir/machine/isa.ts";
import type { Demands } from "./elementwise.ts";
import { buildPass, resultHome } from "./elementwise.ts";
import {
  access,
  addStorage,
  bytesOf,
  type Home,
  homesOf,
  type LowerContext,
  newHome,
  storedTypeOf,
  tensorOf,
} from "./homes.ts";
import { type Joining, joinBlocks, joinLanes } from "./join-blocks.ts";
import type { EwPass, MatmulGroup, MatmulStep, StorageId } from "./kernel.ts";
import { dimOffsets, type Layout, makeLayout, runsAlongLanes } from "./layout.ts";
import { groupLimit } from "./matmul.ts";
import { moveHome } from "./move.ts";
import { pieceBorders, pushPasses, slicePass } from "./passes.ts";
import { laneDimOf, moveTo } from "./request.ts";
import type { Unit } from "./units.ts";
import { laneRuns, type VectorWalk, walkVectors } from "./walk.ts";

function reduceOp(node: GraphNode, float: boolean): AluOp {
  switch (node.op) {
    case "reduceSum":
      return float ? "add" : "iadd";
    case "reduceMax":
      return float ? "max" : "imax";
    case "reduceMin":
      return float ? "min" : "imin";
    case "reduceProd":
      return float ? "mul" : "imul";
    default:
      invariant(false, `${node.op} is no reduction`);
  }
}

/** Reductions that give the same bits in any order. */
const joinings: Partial<Record<AluOp, Joining>> = {
  max: { op: "max", neutral: 0xff800000 | 0 },
  min: { op: "min", neutral: 0x7f800000 },
  imax: { op: "imax", neutral: -(2 ** 31) },
  imin: { op: "imin", neutral: 2 ** 31 - 1 },
  iadd: { op: "iadd", neutral: 0 },
  imul: { op: "imul", neutral: 1 },
};

/** Whether every index of a dimension has a vector of its own: those of an expanded one share theirs. */
function isApart(layout: Layout, axis: number): boolean {
  const { vectors } = dimOffsets(layout.dims[axis] ?? [], layout.shape[axis] as number);
  return new Set(vectors).size === vectors.length;
}

export function lowerReduce(
  context: LowerContext,
  node: GraphNode,
  demands: Demands,
  origins: readonly number[],
): void {
  const source = node.inputs[0] as TensorId;
  const axes = node.attrs.axes as readonly number[];
  const along = (home: Home): boolean => axes.some((axis) => runsAlongLanes(home.layout.dims[axis] ?? []));
  const homes = homesOf(context, source).filter((home) => bytesOf(home.type) === 4);
  const still = homes.find(
    (home) =>
      !along(home) &&
      home.layout.lane === 0 &&
      home.layout.dims.filter((digits) => runsAlongLanes(digits)).length <= 1 &&
      hasStandardLanes(context, home.layout) &&
      home.layout.dims.every((digits, d) => runsAlongLanes(digits) || isApart(home.layout, d)),
  );
  if (still !== undefined) {
    reduceVectors(context, node, still, demands, origins);
    return;
  }
  const across = homes.find((home) => axes.includes(laneDimOf(home.layout)) && !home.uniform);
  const float = tensorOf(context, source).dtype === "float32";
  if (node.op === "reduceSum" && float && across !== undefined && singleLaneDim(across.layout)) {
    sumLanes(context, node, across, origins, (layout, vectors, walk) => ({
      count: walk.vectors.length,
      sources: ["sums"],
      ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
      sinks: demands.typesOf(node.outputs[0] as TensorId).map((type) => ({
        op: 0,
        access: access(
          resultHome(context, node.outputs[0] as TensorId, type, layout, vectors, true, demands, true).storage,
          walk.vectors,
        ),
        every: 1,
      })),
    }));
    return;
  }
  const shape = tensorOf(context, source).shape;
  const kept = shape.map((_, d) => d).filter((d) => !axes.includes(d) && (shape[d] as number) > 1);
  const laneDim = kept[kept.length - 1] ?? -1;
  const joining = joinings[reduceOp(node, float)];
  if (joining !== undefined && across !== undefined && singleLaneDim(across.layout)) {
    const joined = joinLanes(context, across, laneDimOf(across.layout), joining, origins);
    const { layout, vectors } = makeLayout(joined.layout.shape, laneDim, context.target.lanes);
    const turned = newHome(context, "turned", joined.type, layout, vectors);
    moveHome(context, joined, turned, origins);
    reduceVectors(context, node, turned, demands, origins);
    return;
  }
  const moved = moveTo(context, source, laneDim, false, storedTypeOf(tensorOf(context, source)), origins);
  reduceVectors(context, node, moved, demands, origins);
}

/** The pass that takes the sums, for the layout of the (uniform) result. */
type PassMaker = (layout: Layout, vectors: number, walk: VectorWalk) => EwPass;

/** A lane sum and the elementwise unit that takes it; false where the sum is not computed over lanes. */
export function lowerFedReduce(
  context: LowerContext,
  unit: Unit,
  escaped: readonly TensorId[],
  demands: Demands,
  origins: readonly number[],
): boolean {
  const node = unit.fed?.matmul;
  if (node === undefined || node.op !== "reduceSum") return false;
  const source = node.inputs[0] as TensorId;
  const axes = node.attrs.axes as readonly number[];
  const homes = homesOf(context, source).filter((home) => bytesOf(home.type) === 4);
  const along = (home: Home): boolean => axes.some((axis) => runsAlongLanes(home.layout.dims[axis] ?? []));
  const across = homes.find(
    (home) => axes.includes(laneDimOf(home.layout)) && !home.uniform && singleLaneDim(home.layout),
  );
  if (tensorOf(context, source).dtype !== "float32" || across === undefined || homes.some((home) => !along(home)))
    return false;
  const result = unit.nodes[0]?.outputs[0] as TensorId;
  const { shape } = tensorOf(context, result);
  const laneDim = context.laneDims.get(result) ?? shape.length - 1;
  if (laneDim >= 0 && shape[laneDim] !== 1) return false;
  const { pass, layout, walk } = buildPass(context, unit, escaped, demands, node.outputs[0] as TensorId, origins);
  const expected = walkVectors(makeLayout(layout.shape, -1, context.target.lanes).layout);
  invariant(
    expected.vectors.every((v, i) => v === walk.vectors[i]),
    "a unit of lane sums has one element a vector",
  );
  sumLanes(context, node, across, origins, () => pass);
  return true;
}

const singleLaneDim = (layout: Layout): boolean => layout.dims.filter((digits) => runsAlongLanes(digits)).length === 1;

/** Running result over successive vectors; the reduced dims are innermost in the stream. */
function reduceVectors(
  context: LowerContext,
  node: GraphNode,
  home: Home,
  demands: Demands,
  origins: readonly number[],
): void {
  const id = node.outputs[0] as TensorId;
  const axes = node.attrs.axes as readonly number[];
  const shape = home.layout.shape;
  const kept = shape.map((_, d) => d).filter((d) => !axes.includes(d));
  const laneDim = laneDimOf(home.layout);
  const { layout: outLayout, vectors } = makeLayout(tensorOf(context, id).shape, laneDim, context.target.lanes);
  const result = laneDim < 0 ? outLayout : { ...outLayout, lane: home.layout.lane };
  const outWalk = walkVectors(result);
  const blockOrder = [...kept].sort((a, b) => vectorStep(result, b) - vectorStep(result, a) || a - b);
  const walk = walkVectors({ ...home.layout }, [...blockOrder, ...axes]);
  const repeats = axes.reduce((n, axis) => n * (shape[axis] as number), 1);
  invariant(
    walk.vectors.length === outWalk.vectors.length * repeats,
    "every vector of the result is made of vectors of its own",
  );
  const op = reduceOp(node, tensorOf(context, id).dtype === "float32");
  const sinks = demands.typesOf(id).map((type) => {
    const out = resultHome(context, id, type, result, vectors, home.uniform, demands);
    return { op: 0, access: access(out.storage, outWalk.vectors), every: repeats };
  });
  const pass: EwPass = {
    count: walk.vectors.length,
    sources: [access(home.storage, walk.vectors)],
    ops: [{ op, args: [{ kind: "source", source: 0 }, { kind: "self" }], reset: repeats }],
    sinks,
  };
  keepTogether(context, home.storage, walk.vectors, repeats);
  pushPasses(context, node.op, origins, [pass]);
}

/** A running result over vectors of several parts reads all of them in one burst, which comes from one side. */
function keepTogether(context: LowerContext, id: StorageId, vectors: Int32Array, repeats: number): void {
  const storage = context.storages[id];
  if (storage === undefined) return;
  const partAt = (i: number): number => Math.floor((vectors[i] as number) / storage.partVectors);
  const isParted = vectors.some((_, i) => partAt(i) !== partAt(i - (i % repeats)));
  if (isParted) context.storages[id] = { ...storage, oneSided: true };
}

const vectorStep = (layout: Layout, d: number): number =>
  Math.max(0, ...(layout.dims[d] ?? []).map((digit) => digit.vector));

/** Whether the lane dimension runs as in the standard layout, up to the first lane. */
function hasStandardLanes(context: LowerContext, layout: Layout): boolean {
  const laneDim = laneDimOf(layout);
  if (laneDim < 0) return true;
  const standard = makeLayout(layout.shape, laneDim, context.target.lanes).layout;
  const lanesOf = (dims: Layout["dims"]) => (dims[laneDim] ?? []).filter((digit) => digit.lane !== 0);
  const [own, wanted] = [lanesOf(layout.dims), lanesOf(standard.dims)];
  return (
    own.length === wanted.length &&
    own.every((digit, i) => digit.size === wanted[i]?.size && digit.lane === wanted[i]?.lane)
  );
}

/** Moving vectors of one lane sum: few, so that all engines share the rows that are there first. */
const laneSumRows = 32;

/** float32 sum over lanes: every lane of the product with ones is the sum, so the result is uniform. */
function sumLanes(
  context: LowerContext,
  node: GraphNode,
  home: Home,
  origins: readonly number[],
  passOf: PassMaker,
): void {
  const id = node.outputs[0] as TensorId;
  const axes = node.attrs.axes as readonly number[];
  const spec = context.target.mxm.modes.fp32;
  invariant(spec !== undefined, "the target has an fp32 mode");
  const laneDim = laneDimOf(home.layout);
  const joined = joinBlocks(context, home, laneDim, origins);
  if (joined !== undefined) {
    sumLanes(context, node, joined, origins, passOf);
    return;
  }
  const otherAxes = axes.filter((axis) => axis !== laneDim && (home.layout.shape[axis] as number) > 1);
  const { layout, vectors } = makeLayout(tensorOf(context, id).shape, -1, context.target.lanes);
  const walk = walkVectors(layout);
  const pass = passOf(layout, vectors, walk);
  const base = followKept(walk, home, axes);
  const ones = onesStorage(context);
  const runs = laneRuns(home.layout, laneDim, spec.tileK);
  const offsets = crossOffsets(home.layout, otherAxes);
  const limit = Math.min(groupLimit(context, "fp32", 1, pass.count, runs.length), laneSumRows);
  const others = pass.sources.flatMap((source) => (source === "sums" ? [] : [source]));
  const borders = pieceBorders(
    context,
    pass.count,
    1,
    [...others, ...pass.sinks.map((sink) => sink.access)].map((part) => ({ access: part, every: 1 })),
  );
  const groups: MatmulGroup[] = [];
  for (let b = 0; b + 1 < borders.length; b++) {
    for (let from = borders[b] as number; from < (borders[b + 1] as number); from += limit) {
      const to = Math.min(borders[b + 1] as number, from + limit);
      const steps = offsets.flatMap((offset) =>
        runs.map(
          (run): MatmulStep => ({
            stationary: [
              {
                kind: "rows",
                row: 0,
                window: { access: access(ones, new Int32Array(spec.tileN)), lane: 0, k: run.length },
              },
            ],
            moving: {
              access: access(
                home.storage,
                base.subarray(from, to).map((v) => v + offset + run.vector - home.layout.vector),
              ),
              lane: run.lane,
              k: run.length,
            },
          }),
        ),
      );
      groups.push({ steps, count: to - from, epilogue: slicePass(pass, from, to) });
    }
  }
  context.kernels.push({ kind: "matmul", name: node.op, origins, mode: "fp32", groups });
}

/** First vector (index 0 of the reduced dims) for every result position. */
function followKept(walk: VectorWalk, home: Home, axes: readonly number[]): Int32Array {
  const base = new Int32Array(walk.vectors.length).fill(home.layout.vector);
  for (let d = 0; d < walk.rank; d++) {
    if (axes.includes(d)) continue;
    const { vectors } = dimOffsets(home.layout.dims[d] ?? [], home.layout.shape[d] as number);
    for (let i = 0; i < base.length; i++)
      base[i] = (base[i] as number) + (vectors[walk.first[i * walk.rank + d] as number] as number);
  }
  return base;
}

/** Vector offsets over all index combinations of `axes`; the layout's base vector included. */
function crossOffsets(layout: Layout, axes: readonly number[]): number[] {
  let offsets = [layout.vector];
  for (const axis of axes) {
    const { vectors } = dimOffsets(layout.dims[axis] ?? [], layout.shape[axis] as number);
    offsets = offsets.flatMap((offset) => Array.from(vectors, (v) => offset + v));
  }
  return offsets;
}

function onesStorage(context: LowerContext): StorageId {
  const key = "ones";
  const known = context.constants.get(key);
  if (known !== undefined) return known;
  const id = addStorage(context, {
    name: "ones",
    type: "f32",
    vectors: 1,
    partVectors: 1,
    replicated: true,
    content: { kind: "fill", bits: 0x3f800000 },
  });
  context.constants.set(key, id);
  return id;
}
