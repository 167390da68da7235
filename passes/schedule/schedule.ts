// Schedules the kernels of one block on one chip: each task at the earliest cycle its data and the reservation tables allow, several orders and
// placement settings tried, the shortest schedule kept.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Kernel, KernelProgram, StorageId } from "../lower/kernel.ts";
import { entriesPlacedAsOne, waitsForLoads } from "./engines.ts";
import { placeInOrder } from "./list.ts";
import {
  type FullMemory,
  type Location,
  newScheduleState,
  plainTuning,
  type ScheduleState,
  type Tuning,
  type WeightColumns,
} from "./state.ts";
import { type Task, tasksOf } from "./tasks.ts";

/** Storages that one pass reads or writes together. */
function togetherOf(kernels: readonly Kernel[]): Map<StorageId, Set<StorageId>> {
  const together = new Map<StorageId, Set<StorageId>>();
  const meet = (ids: readonly StorageId[]): void => {
    for (const a of ids) {
      for (const b of ids) {
        if (a === b) continue;
        const set = together.get(a) ?? new Set<StorageId>();
        set.add(b);
        together.set(a, set);
      }
    }
  };
  for (const kernel of kernels) {
    switch (kernel.kind) {
      case "vxm":
        for (const pass of kernel.passes)
          meet([
            ...pass.sources.flatMap((s) => (s === "sums" ? [] : [s.storage])),
            ...pass.sinks.map((sink) => sink.access.storage),
          ]);
        break;
      case "matmul":
        for (const group of kernel.groups) {
          const moving = group.steps.map((step) => step.moving.access.storage);
          const pass = group.epilogue;
          meet([
            ...new Set([
              ...moving,
              ...pass.sources.flatMap((s) => (s === "sums" ? [] : [s.storage])),
              ...pass.sinks.map((sink) => sink.access.storage),
            ]),
          ]);
        }
        break;
      case "permute":
        for (const job of kernel.jobs) meet([...job.pieces.map((piece) => piece.access.storage), job.out.storage]);
        break;
      case "transpose":
        break;
      case "spread":
        for (const job of kernel.jobs) meet([job.source.storage, job.out.storage]);
        break;
      case "gather":
        for (const job of kernel.jobs) meet([job.table, job.index.storage, job.out.storage]);
        break;
    }
  }
  return together;
}

export interface BlockSchedule {
  readonly state: ScheduleState;
  /** The setting that gave it. */
  readonly tuning: number;
  /** Name and origins of each note. */
  readonly notes: readonly { readonly kernel: string; readonly origins: readonly number[] }[];
}

/** Bursts that may be placed in search of a shorter schedule; the number of tries follows from it, so it never depends on the machine. */
const searchBudget = 300_000;
const mostTries = 24;

const tunings: readonly Tuning[] = Array.from(
  { length: mostTries },
  (_, i): Tuning =>
    i === 0
      ? plainTuning
      : {
          order: i === 2 ? "kernels" : "list",
          slack: [32, 8, 16, 64][i % 4] as number,
          ahead: [100, 64, 128][i % 3] as number,
          leastLoad: 128,
          candidates: 8,
          noise: i < 4 ? 0 : ([48, 24, 100][i % 3] as number),
          seed: i,
          parity: i % 5 === 0 ? 64 : 32,
        },
);

export interface ScheduleOptions {
  readonly weights: WeightColumns;
  /** Multiplies the search budget; 0 takes the first schedule. */
  readonly effort: number;
  /** The setting that was best for a block of the same kernels: nothing else is tried, unless it gets stuck. */
  readonly hint?: number;
}

/** The shortest schedule that the settings within the budget give; settings that get stuck do not count. Where all do, the target lacks something. */
export function scheduleBlock(
  target: Target,
  program: KernelProgram,
  pinned: ReadonlyMap<string, Location>,
  options: ScheduleOptions,
): Result<BlockSchedule> {
  const order = tunings.map((_, i) => i);
  if (options.hint !== undefined) order.unshift(options.hint);
  let best: BlockSchedule | undefined;
  let stuckAt = 0;
  let full: FullMemory | undefined;
  let tries = 1;
  for (let i = 0; i < order.length && (i < tries || (best === undefined && i < patience(full))); i++) {
    const found = scheduleOnce(target, program, pinned, options.weights, order[i] as number);
    const { state } = found;
    full ??= state.full ?? state.crowded;
    const affordable = Math.floor((searchBudget * options.effort) / Math.max(1, state.bursts.length));
    if (options.hint === undefined && state.full === undefined) tries = Math.max(tries, affordable);
    if (state.stuck) stuckAt = state.note;
    else if (state.full === undefined && isBetter(found, best)) best = found;
  }
  if (best !== undefined) return ok(best);
  if (full !== undefined) return fail(diagnostic("LPU4001", fullMessage(full)));
  const name = program.kernels[stuckAt]?.name ?? "a block";
  const lacks = "it wants more streams, ALUs or columns of memory at a time than a chip has, or in other places";
  return fail(diagnostic("LPU3007", `target ${target.name}: no schedule is found for the kernel '${name}': ${lacks}`));
}

/** Settings tried until one gives a schedule: where memory is what lacks, another order changes little. */
const patience = (full: FullMemory | undefined): number => (full === undefined ? Number.POSITIVE_INFINITY : 4);

/** Room first, then length. */
function isBetter({ state }: BlockSchedule, than: BlockSchedule | undefined): boolean {
  if (than === undefined) return true;
  const [isRoomy, wasRoomy] = [state.crowded === undefined, than.state.crowded === undefined];
  return isRoomy === wasRoomy ? state.end < than.state.end : isRoomy;
}

const fullMessage = ({ name, words, limit }: FullMemory): string =>
  `no bank has room for the next part of '${name}': with all that is still to be read, the emptiest one would hold ${words} words, results may take ${limit}`;

function scheduleOnce(
  target: Target,
  program: KernelProgram,
  pinned: ReadonlyMap<string, Location>,
  weights: WeightColumns,
  index: number,
): BlockSchedule {
  const tuning = tunings[index] as Tuning;
  // Loads that nothing hides take all streams, and these come from as many columns.
  const columns = weights === "outermost" && waitsForLoads(program.kernels) ? "apart" : weights;
  const placedAsOne = entriesPlacedAsOne(program.kernels, target.mxm.accumulators, target.lanes);
  const together = togetherOf(program.kernels);
  const state = newScheduleState(target, program.storages, together, pinned, columns, placedAsOne, tuning);
  const tasks = tasksOf(program.kernels);
  const place = (task: Task): void => {
    state.note = task.kernel;
    task.place(state);
  };
  placeInOrder(state, tasks, place);
  return {
    state,
    tuning: index,
    notes: program.kernels.map((kernel) => ({ kernel: kernel.name, origins: kernel.origins })),
  };
}
