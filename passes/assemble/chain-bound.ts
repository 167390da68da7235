// The longest chain of dependences, in cycles, that no schedule of the lowered kernels can shorten: every kernel reads, computes and writes as soon as
// its operands are in memory, with the latencies of the units and the fewest hops there can be, and no unit is ever busy.
import type { TensorId } from "../../ir/graph/graph.ts";
import { aluOps } from "../../ir/machine/isa.ts";
import { memColumn, mxmColumn, sxmColumn, vxmColumn } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { correspondence } from "../blocks/blocks.ts";
import type { Access, EwPass, Kernel, MatmulGroup, StorageId } from "../lower/kernel.ts";
import type { LoweredBlock } from "../lower/lower.ts";
import { exchangesAfter } from "../shard/order.ts";
import { type TimelineInput, travelling } from "./timeline.ts";

/** Cycle from which each vector of a storage can be read. */
type Times = Float64Array;

/** Fewest cycles between two units by way of streams. */
interface Steps {
  readonly memToVxm: number;
  readonly memToMxm: number;
  readonly memToSxm: number;
  readonly mxmToVxm: number;
}

function stepsOf(target: Target): Steps {
  const outermost = memColumn(target, "W", target.mem.slicesPerHemisphere - 1);
  const innermost = memColumn(target, "W", 0);
  return {
    memToVxm: vxmColumn(target) - innermost,
    memToMxm: outermost - mxmColumn(target, "W"),
    memToSxm: outermost - sxmColumn(target, "W"),
    mxmToVxm: vxmColumn(target) - mxmColumn(target, "W"),
  };
}

interface Chain {
  readonly target: Target;
  readonly steps: Steps;
  readonly times: ReadonlyMap<StorageId, Times>;
}

function timeOf(chain: Chain, storage: StorageId, vector: number): number {
  return chain.times.get(storage)?.[vector] ?? 0;
}

const latest = (chain: Chain, { storage, vectors }: Access): number =>
  vectors.reduce((most, vector) => Math.max(most, timeOf(chain, storage, vector)), 0);

function settle(chain: Chain, { storage, vectors }: Access, index: number, cycle: number): void {
  const times = chain.times.get(storage);
  const vector = vectors[index];
  if (times === undefined || vector === undefined) return;
  times[vector] = Math.max(times[vector] as number, cycle);
}

/** Cycles from the operands of a pass to each of its operations' results. */
function depthsOf(target: Target, pass: EwPass): readonly number[] {
  const depths: number[] = [];
  for (const { op, args } of pass.ops) {
    const before = args.map((arg) => (arg.kind === "op" ? (depths[arg.op] ?? 0) : 0));
    depths.push(Math.max(0, ...before) + target.vxm.latency[aluOps[op].latency]);
  }
  return depths;
}

/** `sumsAt`: when the sums that a matrix product feeds into the pass are at the VXM. */
function followPass(chain: Chain, pass: EwPass, sumsAt: (index: number) => number): void {
  const { target, steps } = chain;
  const { read, write } = target.mem.latency;
  const depths = depthsOf(target, pass);
  for (const { op, access, every } of pass.sinks) {
    for (let j = 0; j < access.vectors.length; j++) {
      const i = Math.min(pass.count, (j + 1) * every) - 1;
      let arrival = 0;
      for (const source of pass.sources) {
        if (source === "sums") arrival = Math.max(arrival, sumsAt(i));
        else arrival = Math.max(arrival, timeOf(chain, source.storage, source.vectors[i] ?? 0) + read + steps.memToVxm);
      }
      settle(chain, access, j, arrival + (depths[op] ?? 0) + steps.memToVxm + write);
    }
  }
}

function followGroup(chain: Chain, group: MatmulGroup): void {
  const { target, steps } = chain;
  const { lw, iw, abc, acc } = target.mxm.latency;
  const there = target.mem.latency.read + steps.memToMxm;
  const loaded = group.steps.map(({ stationary }) =>
    Math.max(
      0,
      ...stationary.map((tile) => (tile.kind === "rows" ? latest(chain, tile.window.access) + there + lw + iw : 0)),
    ),
  );
  followPass(chain, group.epilogue, (i) => {
    let issue = 0;
    group.steps.forEach(({ moving: { access } }, step) => {
      const moved = timeOf(chain, access.storage, access.vectors[i] ?? 0) + there;
      issue = Math.max(issue, moved, loaded[step] as number);
    });
    return issue + abc + acc + steps.mxmToVxm;
  });
}

function followKernel(chain: Chain, kernel: Kernel): void {
  const { target, steps } = chain;
  const { read, write, gather } = target.mem.latency;
  const product = read + steps.memToMxm + target.mxm.latency.abc + target.mxm.latency.acc + steps.memToMxm + write;
  switch (kernel.kind) {
    case "vxm":
      for (const pass of kernel.passes) followPass(chain, pass, () => 0);
      return;
    case "matmul":
      for (const group of kernel.groups) followGroup(chain, group);
      return;
    case "transpose":
      for (const { rows, out } of kernel.jobs) {
        const ready = latest(chain, rows) + product;
        for (let i = 0; i < out.vectors.length; i++) settle(chain, out, i, ready);
      }
      return;
    case "spread":
      for (const { source, out } of kernel.jobs)
        for (let i = 0; i < out.vectors.length; i++)
          settle(chain, out, i, timeOf(chain, source.storage, source.vectors[i] ?? 0) + product);
      return;
    case "permute":
      for (const { pieces, out } of kernel.jobs)
        for (let i = 0; i < out.vectors.length; i++) {
          // What stays in its lanes does not go through an SXM.
          const through = steps.memToSxm + target.sxm.latency.permute + steps.memToSxm;
          const ready = pieces.map(
            ({ access, map }) =>
              timeOf(chain, access.storage, access.vectors[i] ?? 0) + (map === null ? 2 * steps.memToVxm : through),
          );
          settle(chain, out, i, Math.max(0, ...ready) + read + write);
        }
      return;
    case "gather":
      for (const { index, out } of kernel.jobs)
        for (let i = 0; i < out.vectors.length; i++)
          settle(chain, out, i, timeOf(chain, index.storage, index.vectors[i] ?? 0) + read + gather + write);
  }
}

const least = (times: Times | undefined): number =>
  times === undefined ? 0 : times.reduce((a, b) => Math.min(a, b), times[0] ?? 0);

/** What a block's border storage starts with: the times of the tensor, vector by vector where it stands in the same layout. */
function borderTimes(known: Times | undefined, vectors: number): Times {
  if (known?.length === vectors) return known.slice();
  return new Float64Array(vectors).fill(least(known));
}

function followBlock(
  target: Target,
  lowered: LoweredBlock,
  tensorOf: (id: TensorId) => TensorId,
  known: Map<TensorId, Times>,
): number {
  const times = new Map<StorageId, Times>();
  for (const { id, vectors, boundary } of lowered.storages) {
    const isInput = boundary?.kind === "in";
    times.set(id, isInput ? borderTimes(known.get(tensorOf(boundary.tensor)), vectors) : new Float64Array(vectors));
  }
  const chain: Chain = { target, steps: stepsOf(target), times };
  for (const kernel of lowered.kernels) followKernel(chain, kernel);
  let end = 0;
  for (const { id, boundary } of lowered.storages) {
    const made = times.get(id) as Times;
    end = made.reduce((most, time) => Math.max(most, time), end);
    if (boundary?.kind === "out") known.set(tensorOf(boundary.tensor), made);
  }
  return end;
}

/** The cycle at which the last word of the longest chain can be read, over all blocks and transfers. */
export function chainBound(input: TimelineInput): number {
  const { target, chain, compiled, chipsOf, exchanges } = input;
  const hop = target.mem.latency.read + target.link.latency + target.mem.latency.write;
  const known = new Map<TensorId, Times>();
  let end = 0;
  chain.blocks.forEach((block, i) => {
    const blockClass = compiled.classes[compiled.classOf[i] as number];
    if (blockClass === undefined) return;
    if (i > 0 && chipsOf[i]?.[0] !== chipsOf[i - 1]?.[0]) {
      for (const id of travelling(input, i - 1))
        known.set(
          id,
          (known.get(id) ?? new Float64Array(1)).map((time) => time + hop),
        );
    }
    const tensors = correspondence(blockClass.first, block);
    end = Math.max(
      end,
      followBlock(target, blockClass.lowered, (id) => tensors.get(id) ?? id, known),
    );
    for (const { moves } of exchangesAfter(chain, exchanges, i))
      for (const move of moves) known.set(move.target, Float64Array.of(least(known.get(move.source))));
  });
  return end;
}
