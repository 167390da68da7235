// Lane blocks of a tensor added to one block, and that to half of its lanes, before a product with ones adds up the rest.
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
  const { lanes } = context.target;
  const runs = laneRuns(home.layout, laneDim, lanes);
  if (runs.some((run) => run.lane !== 0)) return undefined;
  const full = runs[0]?.length ?? 0;
  const inOne = (width: number): Layout => {
    const shape = home.layout.shape.map((extent, d) => (d === laneDim ? width : extent));
    const dims = home.layout.dims.map((digits, d) =>
      d === laneDim ? digits.filter(({ lane }) => lane !== 0) : digits,
    );
    return { ...home.layout, shape, dims };
  };
  const rows = walkVectors(inOne(full)).vectors.length;
  const width = joinedWidth(context, runs, rows);
  const addends = addendsOf(runs, width);
  if (addends.length < 2 || addends.length > joinedAtOnce) return undefined;
  const first = inOne(width);
  const made = makeLayout(first.shape, laneDim, lanes);
  const walk = walkVectors(made.layout);
  const base = followWalk(walk, first);
  const sources = addends.map((addend): Access => {
    const there = access(
      home.storage,
      base.map((v) => v + addend.vector),
    );
    return addend.lane === 0 ? there : firstLanes(context, there, addend, made, origins);
  });
  const to = newHome(context, "joined", "f32", made.layout, made.vectors, { replicated: true });
  const masked = addends.findIndex(({ lane, length }) => lane === 0 && length < width);
  if (masked >= 0) sources.push(access(maskStorage(context, (addends[masked] as Addend).length), new Int32Array(rows)));
  const ops = sumOps(addends.length, masked);
  pushPasses(context, "join blocks", origins, [
    {
      count: base.length,
      sources,
      ops,
      sinks: [{ op: ops.length - 1, access: access(to.storage, walk.vectors), every: 1 }],
    },
  ]);
  return to;
}

/** Operations that add up the first `count` sources; source `masked` (or none, -1) counts where the source behind them is not 0. */
function sumOps(count: number, masked: number): EwOp[] {
  const ops: EwOp[] = [];
  const args = Array.from({ length: count }, (_, source): EwArg => ({ kind: "source", source }));
  if (masked >= 0) {
    const [mask, value, zero]: EwArg[] = [
      { kind: "source", source: count },
      { kind: "source", source: masked },
      { kind: "immediate", bits: 0 },
    ];
    ops.push({ op: "select", args: [mask, value, zero] as EwArg[], reset: 0 });
    args.splice(masked, 1);
    args.push({ kind: "op", op: 0 });
  }
  while (args.length > 1) {
    ops.push({ op: "add", args: args.splice(0, 2), reset: 0 });
    args.push({ kind: "op", op: ops.length - 1 });
  }
  return ops;
}

/** The lanes of an addend moved to lane 0, zeros behind them. */
function firstLanes(
  context: LowerContext,
  rows: Access,
  { lane, length }: Addend,
  { layout, vectors }: { readonly layout: Layout; readonly vectors: number },
  origins: readonly number[],
): Access {
  const { storage } = newHome(context, "shifted", "f32", layout, vectors);
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
