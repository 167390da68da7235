// Tasks: the pieces of kernels that are placed as one, with the vectors they read and write. They may be placed in any order that respects these.
import type { MxmMode } from "../../ir/target/target.ts";
import type { Access, EwPass, Kernel, MatmulGroup, MatmulStep } from "../lower/kernel.ts";
import { scheduleVxmPass } from "./apart.ts";
import { enginesFreeAt, fewVectors } from "./engines.ts";
import { scheduleGather, schedulePermute } from "./move.ts";
import { hasRoom, newAccumulation, placeStepOf, probeStep, scheduleMatmul, stepFrom } from "./mxm.ts";
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
  /** Where it is known better: the cycle the task would start at, not before `from`, if it were placed now. */
  readonly probe?: (state: ScheduleState, from: number) => number;
  /** Set on the first of several tasks that follow each other, as many as these are. */
  readonly parts?: number;
  /** Whether there is room for results that are kept from this task to the last of its parts. */
  readonly hasRoom?: (state: ScheduleState) => boolean;
  /** Placed after the task before it. */
  readonly follows?: true;
}

const anyTime = (): number => 0;

const passReads = (pass: EwPass): Access[] => pass.sources.filter((source): source is Access => source !== "sums");
const passWrites = (pass: EwPass): Access[] => pass.sinks.map((sink) => sink.access);

const stepReads = (step: MatmulStep): Access[] => [
  step.moving.access,
  ...step.stationary.flatMap((tile) => (tile.kind === "rows" ? [tile.window.access] : [])),
];

const groupReads = (group: MatmulGroup): Access[] => [...group.steps.flatMap(stepReads), ...passReads(group.epilogue)];

/** The steps of an accumulation. */
function stepTasks(kernel: number, mode: MxmMode, group: MatmulGroup, leastCount: number): Task[] {
  const accumulation = newAccumulation(mode, group, leastCount);
  const last = group.steps.length - 1;
  return group.steps.map(
    (step, index): Task => ({
      kernel,
      reads: index === last ? [...stepReads(step), ...passReads(group.epilogue)] : stepReads(step),
      writes: index === last ? passWrites(group.epilogue) : [],
      place: (state) => placeStepOf(state, accumulation, index),
      unitsFree: (state) => stepFrom(state, accumulation, index),
      probe: (state, from) => probeStep(state, accumulation, index, from),
      ...(index === 0
        ? { parts: group.steps.length, hasRoom: (state: ScheduleState) => hasRoom(state, accumulation) }
        : { follows: true as const }),
    }),
  );
}

/** Where tile loads are the bottleneck, each is started during the one before: the groups stay together. */
function matmulTasks(kernel: number, mode: MxmMode, groups: readonly MatmulGroup[]): Task[] {
  const leastCount = groups.reduce((least, group) => Math.min(least, group.count), Number.POSITIVE_INFINITY);
  if (leastCount >= fewVectors) return groups.flatMap((group) => stepTasks(kernel, mode, group, leastCount));
  return [
    {
      kernel,
      reads: groups.flatMap(groupReads),
      writes: groups.flatMap((group) => passWrites(group.epilogue)),
      place: (state) => scheduleMatmul(state, mode, groups, leastCount),
      unitsFree: (state) => enginesFreeAt(state, mode),
    },
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
    case "matmul":
      return matmulTasks(index, kernel.mode, kernel.groups);
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
