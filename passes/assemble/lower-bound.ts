// Lower bounds on the latency of one token: what each resource would need if it never waited.
import type { Program } from "../../ir/machine/program.ts";
import { linkVectorPeriod } from "../../ir/target/geometry.ts";
import { enginePlanes } from "../schedule/mxm.ts";
import type { AssemblyInput } from "./assemble.ts";
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

/** Cycles the busiest memory slice of a block reads or writes. */
function memCycles(blockClass: BlockClass): number {
  const busy = new Map<string, number>();
  for (const { unit, instruction } of blockClass.schedule.state.bursts) {
    if (unit.kind !== "memRead" && unit.kind !== "memWrite") continue;
    const key = `${unit.kind}${unit.hemisphere}${unit.slice}`;
    busy.set(key, (busy.get(key) ?? 0) + instruction.count);
  }
  return Math.max(0, ...busy.values());
}

export function lowerBoundOf(input: AssemblyInput, timeline: SystemTimeline): Program["lowerBound"] {
  const perClass = input.compiled.classes.map((blockClass) => ({
    mxm: mxmCycles(blockClass),
    mem: memCycles(blockClass),
  }));
  let mxm = 0;
  let mem = 0;
  for (const index of input.compiled.classOf) {
    mxm += perClass[index]?.mxm ?? 0;
    mem += perClass[index]?.mem ?? 0;
  }
  const period = linkVectorPeriod(input.target);
  let link = 0;
  for (const { transfers } of timeline.traffic) {
    const latency = transfers.vectors > 0 ? input.target.link.latency : 0;
    link += Math.ceil(transfers.busiest * period) + latency;
  }
  const { read, write } = input.target.mem.latency;
  const busyBlocks = input.compiled.classOf.filter(
    (index) => (input.compiled.classes[index]?.schedule.state.bursts.length ?? 0) > 0,
  ).length;
  const perResource = { mxm, mem, link, dependency: busyBlocks * (read + write) + link };
  const by = (["mxm", "mem", "link", "dependency"] as const).reduce((best, name) =>
    perResource[name] > perResource[best] ? name : best,
  );
  return { cycles: Math.max(perResource[by], link + Math.max(mxm, mem)), by, perResource };
}
