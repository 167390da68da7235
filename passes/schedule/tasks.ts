// Tasks: the pieces of kernels that are placed as one, with the vectors they read and write. They may be placed in any order that respects these.
import type { Access, EwPass, Kernel, MatmulGroup } from "../lower/kernel.ts";
import { scheduleVxmPass } from "./apart.ts";
import { scheduleGather, schedulePermute } from "./move.ts";
import { enginesFreeAt, fewVectors, scheduleMatmul } from "./mxm.ts";
import type { ScheduleState } from "./state.ts";
import { scheduleSpread, scheduleTranspose } from "./transpose.ts";

export interface Task {
  /** Index of the kernel. */
  readonly kernel: number;
  readonly reads: readonly Access[];
  readonly writes: readonly Access[];
  readonly place: (state: ScheduleState) => void;
  /** Earliest cycle at which the units the task needs in order are free. */
  readonly unitsFree: (state: ScheduleState) => number;
}

const anyTime = (): number => 0;

const passReads = (pass: EwPass): Access[] => pass.sources.filter((source): source is Access => source !== "sums");
const passWrites = (pass: EwPass): Access[] => pass.sinks.map((sink) => sink.access);

function groupReads(group: MatmulGroup): Access[] {
  return [
    ...group.steps.flatMap((step) => [
      step.moving.access,
      ...step.stationary.flatMap((tile) => (tile.kind === "rows" ? [tile.window.access] : [])),
    ]),
    ...passReads(group.epilogue),
  ];
}

function kernelTasks(kernel: Kernel, index: number): Task[] {
  switch (kernel.kind) {
    case "vxm":
      return kernel.passes.map((pass) => ({
        kernel: index,
        reads: passReads(pass),
        writes: passWrites(pass),
        place: (state) => scheduleVxmPass(state, pass),
        unitsFree: anyTime,
      }));
    case "matmul": {
      const { mode, groups } = kernel;
      const unitsFree = (state: ScheduleState): number => enginesFreeAt(state, mode);
      const task = (some: readonly MatmulGroup[]): Task => ({
        kernel: index,
        reads: some.flatMap(groupReads),
        writes: some.flatMap((group) => passWrites(group.epilogue)),
        place: (state) => scheduleMatmul(state, mode, some),
        unitsFree,
      });
      // Where tile loads are the bottleneck, each is started during the one before: the groups stay together.
      return groups.some((group) => group.count < fewVectors) ? [task(groups)] : groups.map((group) => task([group]));
    }
    case "transpose":
      return kernel.jobs.map((job) => ({
        kernel: index,
        reads: [job.rows],
        writes: [job.out],
        place: (state) => scheduleTranspose(state, [job]),
        unitsFree: (state) => enginesFreeAt(state, "int8"),
      }));
    case "spread":
      return kernel.jobs.map((job) => ({
        kernel: index,
        reads: [job.source],
        writes: [job.out],
        place: (state) => scheduleSpread(state, [job]),
        unitsFree: (state) => enginesFreeAt(state, "int8"),
      }));
    case "permute":
      return kernel.jobs.map((job) => ({
        kernel: index,
        reads: job.pieces.map((piece) => piece.access),
        writes: [job.out],
        place: (state) => schedulePermute(state, [job]),
        unitsFree: anyTime,
      }));
    case "gather":
      return kernel.jobs.map((job) => ({
        kernel: index,
        reads: [
          job.index,
          { storage: job.table, vectors: Int32Array.from({ length: job.limit }, (_, i) => job.base + i * job.scale) },
        ],
        writes: [job.out],
        place: (state) => scheduleGather(state, [job]),
        unitsFree: anyTime,
      }));
  }
}

export const tasksOf = (kernels: readonly Kernel[]): Task[] => kernels.flatMap(kernelTasks);
