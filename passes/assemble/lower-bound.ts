// Lower bounds on the latency of one token: what each resource would need if it never waited.
import type { Program } from "../../ir/machine/program.ts";
import { linkVectorPeriod, sliceCount } from "../../ir/target/geometry.ts";
import { enginePlanes } from "../schedule/engines.ts";
import type { AssemblyInput } from "./assemble.ts";
import { chainBound } from "./chain-bound.ts";
import type { BlockClass } from "./classes.ts";
import type { SystemTimeline } from "./timeline.ts";

/** Cycles the matrix engines of one chip need for a block: activation vectors, or tile loads over all streams where these are more. */
function mxmCycles(blockClass: BlockClass): number {
  const { state } = blockClass.schedule;
  const { target } = state;
  let cycles = 0;
  for (const kernel of blockClass.lowered.kernels) {
    if (kernel.kind !== "matmul") continue;
    const spec = target.mxm.modes[kernel.mode];
    if (spec === undefined) continue;
    const engines = enginePlanes(state, kernel.mode).length;
    let work = 0;
    for (const group of kernel.groups) {
      for (const step of group.steps) {
        const stationary = step.stationary[0];
        const rows =
          stationary?.kind === "const" ? stationary.tile.rows : (stationary?.window.access.vectors.length ?? 0);
        const load = stationary?.kind === "const" ? rows / (target.mxm.loadStreamsPerPlane * spec.planesPerTile) : 0;
        work += Math.max(load, group.count * spec.vectorPeriod);
      }
    }
    cycles += work / engines;
  }
  return Math.ceil(cycles);
}

/** Words that a block reads and writes, whatever slices they stand in. */
function accessesOf(blockClass: BlockClass): { readonly reads: number; readonly writes: number } {
  let [reads, writes] = [0, 0];
  for (const { unit, instruction } of blockClass.schedule.state.bursts) {
    if (unit.kind === "memRead") reads += instruction.count;
    if (unit.kind === "memWrite") writes += instruction.count;
  }
  return { reads, writes };
}

/** The most that any chip has of something that its blocks add up. */
function mostOfChips({ compiled, chipsOf }: AssemblyInput, amount: (blockClass: BlockClass) => number): number {
  const amounts = compiled.classes.map(amount);
  const sums = new Map<number, number>();
  compiled.classOf.forEach((index, i) => {
    for (const chip of chipsOf[i] ?? []) sums.set(chip, (sums.get(chip) ?? 0) + (amounts[index] ?? 0));
  });
  return Math.max(0, ...sums.values());
}

/**
 * What each resource needs at the least: the matrix engines and the memory of the busiest chip for all of their work, the busiest link for its vectors, and the
 * longest chain of dependences. No schedule of the same kernels, wherever they and their data stand on their chips, takes less.
 */
export function lowerBoundOf(input: AssemblyInput, timeline: SystemTimeline): Program["lowerBound"] {
  const { target, sharded } = input;
  // Whoever issues last does not wait for its engine to be free again.
  const lastWait = Math.max(...Object.values(target.mxm.modes).map(({ vectorPeriod }) => vectorPeriod - 1));
  const mxm = Math.max(0, mostOfChips(input, mxmCycles) - lastWait);
  const reads = mostOfChips(input, (blockClass) => accessesOf(blockClass).reads);
  const writes = mostOfChips(input, (blockClass) => accessesOf(blockClass).writes);
  const mem = Math.ceil(Math.max(reads, writes) / sliceCount(target));
  const period = linkVectorPeriod(target);
  // The last vector starts behind the others and arrives `latency` later.
  const link = Math.max(
    0,
    ...timeline.traffic.map(({ transfers: { vectors, busiest } }) =>
      vectors === 0 ? 0 : Math.ceil((busiest - 1) * period) + target.link.latency,
    ),
  );
  const chain = chainBound({ ...input, graph: sharded.graph, exchanges: sharded.exchanges });
  const perResource = { mxm, mem, link, dependency: chain === 0 ? 0 : chain + target.verticalRipple };
  const by = (["mxm", "mem", "link", "dependency"] as const).reduce((best, name) =>
    perResource[name] > perResource[best] ? name : best,
  );
  return { cycles: perResource[by], by, perResource };
}
