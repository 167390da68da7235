// Lane blocks of a tensor joined to one block, and that to a part of its lanes, before the rest is reduced over lanes: sums by a product with
// ones, the others after a transposition.

import type { AluOp } from "../../ir/machine/isa.ts";
import { memColumnsPerHemisphere } from "../../ir/target/geometry.ts";
import { access, addStorage, type Home, type LowerContext, newHome, usualPart } from "./homes.ts";
import type { Access, EwArg, EwOp, StorageId } from "./kernel.ts";
import { type Layout, makeLayout } from "./layout.ts";
import { engineCount } from "./matmul.ts";
import { pushPasses } from "./passes.ts";
import { followWalk, type LaneRun, laneRuns, walkVectors } from "./walk.ts";

/** Most addends of one pass: lane blocks, and parts of them that were brought to the first lanes. */
const joinedAtOnce = 5;

/** Neighbouring lanes of a block, with the vector offset of the block. */
interface Addend {
  readonly vector: number;
  readonly lane: number;
  readonly length: number;
}

/** Blocks cut after every `width` lanes. */
const addendsOf = (runs: readonly LaneRun[], width: number): Addend[] =>
  runs.flatMap(({ vector, lane, length }) =>
    Array.from({ length: Math.ceil(length / width) }, (_, i) => ({
      vector,
      lane: lane + i * width,
      length: Math.min(width, length - i * width),
    })),
  );

/**
 * Lanes to which the blocks of `rows` rows are added up: half of a block where the engines save more cycles than the way of a part through the SXM
 * takes, and through the VXM where it would not pass there anyway.
 */
function joinedWidth(context: LowerContext, runs: readonly LaneRun[], rows: number): number {
  const { mem, sxm, mxm } = context.target;
  const full = runs[0]?.length ?? 0;
  const { tileK = full, vectorPeriod = 1 } = mxm.modes.fp32 ?? {};
  const steps = Math.ceil(full / tileK);
  const half = Math.ceil(steps / 2) * tileK;
  const saved = ((steps - half / tileK) * rows * vectorPeriod) / engineCount(context, "fp32");
  const latency = mem.latency.read + sxm.latency.permute + mem.latency.write;
  const trip = Math.min(rows, usualPart) + latency + 2 * memColumnsPerHemisphere(context.target);
  const worthIt = saved > (runs.length > 1 ? trip : 2 * trip);
  return worthIt && addendsOf(runs, half).length <= joinedAtOnce ? half : full;
}

/** How values are joined, and the value that joins to no effect, as bits. */
export interface Joining {
  readonly op: AluOp;
  readonly neutral: number;
}

const sums: Joining = { op: "add", neutral: 0 };

/**
 * A home whose lane blocks are added to one vector a row, so that the product with ones has fewer steps; undefined where that changes nothing
 * or there are too many blocks. Lanes of the last block that hold nothing are masked.
 */
export function joinBlocks(
  context: LowerContext,
  home: Home,
  laneDim: number,
  origins: readonly number[],
): Home | undefined {
  const runs = blockRuns(context, home, laneDim);
  if (runs === undefined) return undefined;
  const width = joinedWidth(context, runs, rowsOf(home, laneDim, widthOf(runs)));
  const addends = addendsOf(runs, width);
  if (addends.length < 2 || addends.length > joinedAtOnce) return undefined;
  return joined(context, { home, laneDim, addends, width }, sums, origins);
}

/**
 * The same for what may be joined in any order: all blocks to one, then that to the part of its lanes from which a transposition and a running
 * result over vectors take least.
 */
export function joinLanes(
  context: LowerContext,
  home: Home,
  laneDim: number,
  joining: Joining,
  origins: readonly number[],
): Home {
  const runs = blockRuns(context, home, laneDim);
  if (runs === undefined) return home;
  const width = widthOf(runs);
  const one =
    runs.length === 1
      ? home
      : joined(context, { home, laneDim, addends: addendsOf(runs, width), width }, joining, origins);
  const part = partWidth(context, width, rowsOf(one, laneDim, width));
  if (part === width) return one;
  const block: LaneRun = { start: 0, vector: one.layout.vector, lane: 0, length: width };
  return joined(context, { home: one, laneDim, addends: addendsOf([block], part), width: part }, joining, origins);
}

/** Blocks of a dimension along the lanes; undefined if they do not start at lane 0. */
function blockRuns(context: LowerContext, home: Home, laneDim: number): LaneRun[] | undefined {
  const runs = laneRuns(home.layout, laneDim, context.target.lanes);
  return runs.some((run) => run.lane !== 0) ? undefined : runs;
}

const widthOf = (runs: readonly LaneRun[]): number => runs[0]?.length ?? 0;

/** The layout of the first `width` lanes of the first block. */
function firstBlock({ layout }: Home, laneDim: number, width: number): Layout {
  const shape = layout.shape.map((extent, d) => (d === laneDim ? width : extent));
  const dims = layout.dims.map((digits, d) => (d === laneDim ? digits.filter(({ lane }) => lane !== 0) : digits));
  return { ...layout, shape, dims };
}

const rowsOf = (home: Home, laneDim: number, width: number): number =>
  walkVectors(firstBlock(home, laneDim, width)).vectors.length;

/** Lanes that are left for a transposition: parts go through the SXM side by side, and each halving saves half of the transposed vectors. */
function partWidth(context: LowerContext, width: number, rows: number): number {
  const { mem, sxm, lanes } = context.target;
  const trip = mem.latency.read + sxm.latency.permute + mem.latency.write + 4 * memColumnsPerHemisphere(context.target);
  const cyclesOf = (parts: number): number => {
    const moved = parts === 1 ? 0 : trip + Math.ceil(((parts - 1) * rows) / 2);
    return moved + Math.ceil(width / parts) * Math.ceil(rows / lanes);
  };
  const best = [1, 2, 3, 4, 5].reduce((least, parts) => (cyclesOf(parts) < cyclesOf(least) ? parts : least));
  return Math.ceil(width / best);
}

interface Block {
  readonly home: Home;
  readonly laneDim: number;
  readonly addends: readonly Addend[];
  readonly width: number;
}

/** The addends of every row joined to one vector, a few at a time. */
function joined(context: LowerContext, block: Block, joining: Joining, origins: readonly number[]): Home {
  const { home, laneDim, addends, width } = block;
  const first = firstBlock(home, laneDim, width);
  const made = makeLayout(first.shape, laneDim, context.target.lanes);
  const walk = walkVectors(made.layout);
  const base = followWalk(walk, first);
  let sources = addends.map((addend): Access => {
    const there = access(
      home.storage,
      base.map((v) => v + addend.vector),
    );
    return addend.lane === 0 ? there : firstLanes(context, home, there, addend, made, origins);
  });
  // Lanes that were moved have zeros behind them, which change no sum.
  let short = addends.findIndex(({ lane, length }) => length < width && (lane === 0 || joining.neutral !== 0));
  const shortLength = addends[short]?.length ?? width;
  while (sources.length > 1) {
    const isLast = sources.length <= joinedAtOnce;
    const taken = short >= 0 && short < joinedAtOnce ? short : -1;
    const few = sources.slice(0, joinedAtOnce);
    if (taken >= 0) few.push(access(maskStorage(context, shortLength), new Int32Array(base.length)));
    const ops = joinOps(Math.min(sources.length, joinedAtOnce), taken, joining);
    const to = newHome(context, "joined", home.type, made.layout, made.vectors, isLast ? { replicated: true } : {});
    const out = access(to.storage, walk.vectors);
    const sinks = [{ op: ops.length - 1, access: out, every: 1 }];
    pushPasses(context, "join blocks", origins, [{ count: base.length, sources: few, ops, sinks }]);
    if (isLast) return to;
    short = taken >= 0 ? -1 : short - joinedAtOnce;
    sources = [...sources.slice(joinedAtOnce), out];
  }
  return home;
}

/** Operations that join the first `count` sources; source `masked` (or none, -1) counts where the source behind them is not 0. */
function joinOps(count: number, masked: number, joining: Joining): EwOp[] {
  const ops: EwOp[] = [];
  const args = Array.from({ length: count }, (_, source): EwArg => ({ kind: "source", source }));
  if (masked >= 0) {
    const [mask, value, neutral]: EwArg[] = [
      { kind: "source", source: count },
      { kind: "source", source: masked },
      { kind: "immediate", bits: joining.neutral },
    ];
    ops.push({ op: "select", args: [mask, value, neutral] as EwArg[], reset: 0 });
    args.splice(masked, 1);
    args.push({ kind: "op", op: 0 });
  }
  while (args.length > 1) {
    ops.push({ op: joining.op, args: args.splice(0, 2), reset: 0 });
    args.push({ kind: "op", op: ops.length - 1 });
  }
  return ops;
}

/** The lanes of an addend moved to lane 0, zeros behind them. */
function firstLanes(
  context: LowerContext,
  home: Home,
  rows: Access,
  { lane, length }: Addend,
  { layout, vectors }: { readonly layout: Layout; readonly vectors: number },
  origins: readonly number[],
): Access {
  const { storage } = newHome(context, "shifted", home.type, layout, vectors);
  const out = access(storage, walkVectors(layout).vectors);
  const map = Int16Array.from({ length: context.target.lanes }, (_, i) => (i < length ? lane + i : -1));
  context.kernels.push({ kind: "permute", name: "shift", origins, jobs: [{ pieces: [{ access: rows, map }], out }] });
  return out;
}

/** A vector with int32 1 in its first lanes. */
function maskStorage(context: LowerContext, count: number): StorageId {
  const key = `mask:${count}`;
  const known = context.constants.get(key);
  if (known !== undefined) return known;
  const id = addStorage(context, {
    name: "mask",
    type: "i32",
    vectors: 1,
    partVectors: 1,
    replicated: false,
    content: { kind: "mask", bits: 1, lanes: count },
  });
  context.constants.set(key, id);
  return id;
}
