// Matrix products: which operand is stationary, tiles and lane windows, groups of accumulations, and the VXM pass that takes the sums.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import type { MxmMode } from "../../ir/target/target.ts";
import { buildPass, type Demands, resultHome } from "./elementwise.ts";
import { access, type Home, type LowerContext, tensorOf } from "./homes.ts";
import type { EwPass, MatmulGroup, MatmulStep, RowWindow, Stationary } from "./kernel.ts";
import { type LaneBlock, laneBlocks } from "./lane-blocks.ts";
import { laneDimBehindViews } from "./lane-dims.ts";
import { choiceLayout, dimOffsets, type Layout, runsAlongLanes } from "./layout.ts";
import { pieceBorders, slicePass } from "./passes.ts";
import { constantHome, isConstant, requestRows } from "./request.ts";
import type { Unit } from "./units.ts";
import { alignRuns, type LaneRun, laneRuns, type VectorWalk, walkVectors } from "./walk.ts";

const modeOf = (node: GraphNode): MxmMode => node.attrs.precision as MxmMode;
const storedOf = (mode: MxmMode): StoredType => (mode === "fp16" ? "f16" : mode === "fp32" ? "f32" : "i8");

interface Operand {
  readonly id: TensorId;
  /** Contraction and row dimension of the operand. */
  readonly kDim: number;
  readonly rowDim: number;
  /** Absent where the operand is a constant that is loaded as packed tiles. */
  readonly home?: Home;
}

/** One product: rows of `stationary` become lanes of the result, rows of `moving` its vectors. */
interface Product {
  readonly node: GraphNode;
  readonly mode: MxmMode;
  readonly moving: Operand & { readonly home: Home };
  readonly stationary: Operand;
  /** Result dims of the moving and stationary rows. */
  readonly movingDim: number;
  readonly laneDim: number;
}

/** K runs along lanes and rows do not; matrices of a batch may stand side by side in the lanes. */
const rowsOnly = (layout: Layout, kDim: number): boolean =>
  layout.dims.every(
    (digits, d) =>
      d < layout.shape.length - 2 ||
      (d === kDim ? layout.shape[d] === 1 || runsAlongLanes(digits) : !runsAlongLanes(digits)),
  );

/** Decides operands and their homes; `lanesAreRows`: the lhs is stationary and the result runs M along the lanes. */
function makeProduct(
  context: LowerContext,
  node: GraphNode,
  lanesAreRows: boolean,
  origins: readonly number[],
): Product {
  const mode = modeOf(node);
  const stored = storedOf(mode);
  const [lhs, rhs] = node.inputs as [TensorId, TensorId];
  const rank = tensorOf(context, lhs).shape.length;
  const left: Operand = { id: lhs, kDim: rank - 1, rowDim: rank - 2 };
  const right: Operand = { id: rhs, kDim: rank - 2, rowDim: rank - 1 };
  const [moving, stationary] = lanesAreRows ? [right, left] : [left, right];
  const homeOf = (operand: Operand): Home =>
    isConstant(context, operand.id)
      ? constantHome(context, operand.id, operand.kDim, stored)
      : requestRows(context, operand.id, stored, operand.kDim, (layout) => rowsOnly(layout, operand.kDim), origins);
  return {
    node,
    mode,
    moving: { ...moving, home: homeOf(moving) },
    stationary: isConstant(context, stationary.id) ? stationary : { ...stationary, home: homeOf(stationary) },
    movingDim: lanesAreRows ? rank - 1 : rank - 2,
    laneDim: lanesAreRows ? rank - 2 : rank - 1,
  };
}

/** Makes the home of one operand of a matmul that `makeProduct` will ask for. */
export function prepareOperand(context: LowerContext, node: GraphNode, id: TensorId, origins: readonly number[]): void {
  const stored = storedOf(modeOf(node));
  const rank = tensorOf(context, id).shape.length;
  node.inputs.forEach((input, side) => {
    if (input !== id || isConstant(context, id)) return;
    const kDim = side === 0 ? rank - 1 : rank - 2;
    requestRows(context, id, stored, kDim, (layout) => rowsOnly(layout, kDim), origins);
  });
}

/** Index of the matrix of an operand for a batch index of the result. */
function batchOffset(shape: readonly number[], batch: readonly number[]): number {
  let index = 0;
  for (let d = 0; d < batch.length; d++)
    index = index * (shape[d] as number) + (shape[d] === 1 ? 0 : (batch[d] as number));
  return index;
}

/** Vector and lane at which the matrix of a batch index starts. */
function homeOffset(home: Home, batch: readonly number[]): { vector: number; lane: number } {
  let { vector } = home.layout;
  let lane = 0;
  for (let d = 0; d < batch.length; d++) {
    if (home.layout.shape[d] === 1) continue;
    const offsets = dimOffsets(home.layout.dims[d] ?? [], home.layout.shape[d] as number);
    vector += offsets.vectors[batch[d] as number] as number;
    lane += offsets.lanes[batch[d] as number] as number;
  }
  return { vector, lane };
}

/** Whether a product can have its result in this layout: a constant is loaded in its own order. */
function canStandAs(product: Product, layout: Layout): boolean {
  const blocks = laneBlocks(layout, product.laneDim);
  if (blocks === undefined) return false;
  const inOrder = ({ rows }: LaneBlock): boolean => rows.every((row, i) => row === (rows[0] as number) + i);
  return product.stationary.home !== undefined || [...blocks.values()].every(inOrder);
}

/** Steps over K for one block of result lanes. */
function makeSteps(
  context: LowerContext,
  product: Product,
  block: LaneBlock,
  batch: readonly number[],
  movingVectors: Int32Array,
  movingLane: number,
): MatmulStep[] {
  const spec = context.target.mxm.modes[product.mode];
  invariant(spec !== undefined, `the target has no ${product.mode} mode`);
  const { moving, stationary } = product;
  let runs = laneRuns(moving.home.layout, moving.kDim, spec.tileK);
  let other: readonly LaneRun[] = runs;
  if (stationary.home !== undefined) {
    const aligned = alignRuns(runs, laneRuns(stationary.home.layout, stationary.kDim, spec.tileK));
    runs = aligned.a;
    other = aligned.b;
  }
  const window = (home: Home, vectors: Int32Array, run: LaneRun, lane: number): RowWindow => ({
    access: access(
      home.storage,
      vectors.map((v) => v + run.vector),
    ),
    lane: run.lane + lane,
    k: run.length,
  });
  return runs.map((run, i): MatmulStep => {
    let tile: Stationary;
    if (stationary.home === undefined) {
      const shape = tensorOf(context, stationary.id).shape;
      const low = context.byteTiles.get(stationary.id);
      tile = {
        kind: "const",
        row: block.lane,
        tile: {
          tensor: low?.bytes ?? stationary.id,
          byRows: stationary.kDim > stationary.rowDim,
          batch: batchOffset(shape, batch),
          k0: run.start,
          k: run.length,
          n0: block.rows[0] as number,
          rows: block.rows.length,
          ...(low === undefined ? {} : { lowOf: shape[stationary.kDim] as number }),
        },
      };
    } else {
      const rowOffsets = dimOffsets(
        stationary.home.layout.dims[stationary.rowDim] ?? [],
        stationary.home.layout.shape[stationary.rowDim] as number,
      ).vectors;
      const base = homeOffset(stationary.home, batch);
      const vectors = block.rows.map((row) => base.vector + (rowOffsets[row] as number));
      tile = {
        kind: "rows",
        row: block.lane,
        window: window(stationary.home, vectors, other[i] as LaneRun, base.lane),
      };
    }
    return { stationary: [tile], moving: window(moving.home, movingVectors, run, movingLane) };
  });
}

/** Engines of a mode: tiles that can be at work at the same time. */
export function engineCount(context: LowerContext, mode: MxmMode): number {
  return context.target.mxm.planes / (context.target.mxm.modes[mode]?.planesPerTile ?? 1);
}

/**
 * Largest number of moving vectors in one group: accumulator entries, and short enough that `tiles` accumulations of `rows` vectors occupy all
 * engines for about the same time. A tile load stays hidden behind 64 vectors.
 */
export function groupLimit(context: LowerContext, mode: MxmMode, tiles: number, rows: number, steps: number): number {
  const most = Math.min(context.target.mxm.accumulators, 256);
  const engines = engineCount(context, mode);
  const worthIt = tiles === 1 || steps >= 8;
  if (!worthIt || tiles % engines === 0 || tiles >= 4 * engines || rows < 64) return most;
  return Math.min(most, Math.max(32, Math.ceil(rows / engines)));
}

/**
 * Groups of a product whose result has `layout` (in the matmul's own shape); `pass` takes the sums in the order of `walk`.
 */
function makeGroups(
  context: LowerContext,
  product: Product,
  layout: Layout,
  walk: VectorWalk,
  pass: EwPass,
): MatmulGroup[] {
  const rank = layout.shape.length;
  const blocks = laneBlocks(layout, product.laneDim);
  invariant(blocks !== undefined, "result vectors have no gaps");
  const stationaryShape = tensorOf(context, product.stationary.id).shape;
  const movingHome = product.moving.home;
  const movingRows = dimOffsets(
    movingHome.layout.dims[product.moving.rowDim] ?? [],
    movingHome.layout.shape[product.moving.rowDim] as number,
  ).vectors;
  const byTile = new Map<
    string,
    { block: LaneBlock; batch: number[]; lane: number; positions: number[]; moving: number[] }
  >();
  const index = (position: number, d: number): number => walk.first[position * rank + d] as number;
  for (let position = 0; position < walk.vectors.length; position++) {
    const batch = Array.from({ length: rank - 2 }, (_, d) => index(position, d));
    const start = index(position, product.laneDim);
    const block = blocks.get(start);
    invariant(block !== undefined, "a result vector starts a lane block");
    const from = homeOffset(movingHome, batch);
    const key = `${start}/${batchOffset(stationaryShape, batch)}/${from.lane}`;
    let tile = byTile.get(key);
    if (tile === undefined) {
      tile = { block, batch, lane: from.lane, positions: [], moving: [] };
      byTile.set(key, tile);
    }
    tile.positions.push(position);
    tile.moving.push(from.vector + (movingRows[index(position, product.movingDim)] as number));
  }
  const sides = headsOf(layout);
  const steps =
    laneRuns(
      movingHome.layout,
      product.moving.kDim,
      context.target.mxm.modes[product.mode]?.tileK ?? context.target.lanes,
    ).length * sides.length;
  const groups: MatmulGroup[] = [];
  const pieces: number[] = [];
  for (const { block, batch, lane, positions, moving } of byTile.values()) {
    const picked = pickPass(pass, positions);
    const accesses = [
      ...picked.sources.flatMap((source) => (source === "sums" ? [] : [{ access: source, every: 1 }])),
      ...picked.sinks.map((sink) => ({ access: sink.access, every: 1 })),
    ];
    const borders = pieceBorders(context, positions.length, 1, accesses);
    const limit = groupLimit(context, product.mode, byTile.size, positions.length, steps);
    for (let b = 0; b + 1 < borders.length; b++) {
      const end = borders[b + 1] as number;
      const parts = Math.ceil((end - (borders[b] as number)) / limit);
      for (let p = 0; p < parts; p++) {
        const span = end - (borders[b] as number);
        const from = (borders[b] as number) + Math.floor((span * p) / parts);
        const to = (borders[b] as number) + Math.floor((span * (p + 1)) / parts);
        const rows = Int32Array.from(moving.slice(from, to));
        const sums = sides.flatMap((side) => {
          const head = batch.map((index, d) => (d === rank - 3 ? index + side.head : index));
          if (rank >= 3 && (head[rank - 3] as number) >= (layout.shape[rank - 3] as number)) return [];
          const first = homeOffset(movingHome, batch);
          const there = homeOffset(movingHome, head);
          return makeSteps(
            context,
            product,
            { ...block, lane: block.lane + side.lane },
            head,
            rows.map((v) => v + there.vector - first.vector),
            lane + there.lane - first.lane,
          );
        });
        groups.push({ steps: sums, count: to - from, epilogue: slicePass(picked, from, to) });
        pieces.push(b);
      }
    }
  }
  return byRows(groups, pieces);
}

/** Most pieces of rows that are worked on one after the other. */
const fewPieces = 4;

/**
 * Few rows: each piece of them meets all tiles before the next piece does, so that what follows starts while the next one is at work. Many rows:
 * a tile that is loaded meets all of them.
 */
function byRows(groups: readonly MatmulGroup[], pieces: readonly number[]): MatmulGroup[] {
  const order = groups.map((_, i) => i);
  if (Math.max(...pieces) < fewPieces) order.sort((a, b) => (pieces[a] as number) - (pieces[b] as number) || a - b);
  return order.map((i) => groups[i] as MatmulGroup);
}

/** Heads that stand side by side in one result vector: offset of the head and of its lanes. One where lanes hold one matrix. */
function headsOf(layout: Layout): { head: number; lane: number }[] {
  const digits = layout.dims[layout.shape.length - 3] ?? [];
  const side = digits.find((digit) => digit.lane !== 0 && digit.size > 1);
  return side === undefined
    ? [{ head: 0, lane: 0 }]
    : Array.from({ length: side.size }, (_, head) => ({ head, lane: head * side.lane }));
}

/** The pass restricted to the given walk positions, in that order. */
function pickPass(pass: EwPass, positions: readonly number[]): EwPass {
  const pick = (vectors: Int32Array): Int32Array =>
    Int32Array.from(positions, (position) => vectors[position] as number);
  return {
    count: positions.length,
    sources: pass.sources.map((source) => (source === "sums" ? source : access(source.storage, pick(source.vectors)))),
    ops: pass.ops,
    sinks: pass.sinks.map((sink) => ({ ...sink, access: access(sink.access.storage, pick(sink.access.vectors)) })),
  };
}

/** A matmul alone: its sums are written as they are (or narrowed). */
export function lowerMatmul(
  context: LowerContext,
  node: GraphNode,
  demands: Demands,
  origins: readonly number[],
): void {
  const id = node.outputs[0] as TensorId;
  const shape = tensorOf(context, id).shape;
  const rank = shape.length;
  const laneDim = context.laneDims.get(id) ?? rank - 1;
  const product = makeProduct(context, node, laneDim === rank - 2, origins);
  const { layout, vectors } = choiceLayout(
    shape,
    laneDim === rank - 2 || laneDim >= rank ? laneDim : product.laneDim,
    context.target.lanes,
  );
  const walk = walkVectors(layout);
  const sinks = demands.typesOf(id).map((type) => {
    const home = resultHome(context, id, type, layout, vectors, false, demands);
    return { op: 0, access: access(home.storage, walk.vectors), every: 1 };
  });
  const pass: EwPass = {
    count: walk.vectors.length,
    sources: ["sums"],
    ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
    sinks,
  };
  context.kernels.push({
    kind: "matmul",
    name: "matmul",
    origins,
    mode: product.mode,
    groups: makeGroups(context, product, layout, walk, pass),
  });
}

/** A matmul and the elementwise unit that takes its sums; false where their layouts do not meet. */
export function lowerFedUnit(
  context: LowerContext,
  unit: Unit,
  escaped: readonly TensorId[],
  demands: Demands,
  origins: readonly number[],
): boolean {
  const fed = unit.fed;
  invariant(fed !== undefined, "the unit is fed by a matmul");
  const head = unit.nodes[0] as GraphNode;
  const shape = tensorOf(context, head.outputs[0] as TensorId).shape;
  const laneDim = context.laneDims.get(head.outputs[0] as TensorId) ?? shape.length - 1;
  const behind = laneDimBehindViews(context.graph, context.target, fed.views, shape, laneDim);
  const own = fed.matmul.outputs[0] as TensorId;
  const rank = tensorOf(context, own).shape.length;
  if (behind === undefined || behind.laneDim < rank - 2) return false;
  const fedTensor = fed.views.length === 0 ? own : (fed.views[fed.views.length - 1] as GraphNode).outputs[0];
  const product = makeProduct(context, fed.matmul, behind.laneDim === rank - 2, origins);
  if (fed.views.length > 0 && !canStandAs(product, behind.layout)) return false;
  const { pass, layout, walk } = buildPass(context, unit, escaped, demands, fedTensor as TensorId, origins);
  const ownLayout = fed.views.length === 0 ? layout : behind.layout;
  const ownWalk = walkVectors(ownLayout);
  invariant(
    ownWalk.vectors.length === walk.vectors.length && ownWalk.vectors.every((v, i) => v === walk.vectors[i]),
    "a view of the sums visits the same vectors",
  );
  const groups = makeGroups(context, product, ownLayout, ownWalk, pass);
  context.kernels.push({
    kind: "matmul",
    name: `matmul+${unit.nodes.map((node) => node.op).join("+")}`,
    origins,
    mode: product.mode,
    groups,
  });
  return true;
}
