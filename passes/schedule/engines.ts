// Engines of the MXM: a plane, or a pair of planes that hold one tile. Until when each is busy, what it has installed, which accumulator entries are
// held by accumulations that are not finished.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { MxmMode, MxmModeSpec } from "../../ir/target/target.ts";
import type { Kernel } from "../lower/kernel.ts";
import type { EngineState, ScheduleState } from "./state.ts";
import { emitBurst } from "./template.ts";

/** Below this many moving vectors the tile loads are the bottleneck and take all streams. */
export const fewVectors = 24;

export const specOf = (state: ScheduleState, mode: MxmMode): MxmModeSpec => {
  const spec = state.target.mxm.modes[mode];
  invariant(spec !== undefined, `the target has no ${mode} mode`);
  return spec;
};

/** Planes that are engines of a mode. */
export function enginePlanes(state: ScheduleState, mode: MxmMode): number[] {
  const step = specOf(state, mode).planesPerTile;
  return Array.from({ length: state.target.mxm.planes / step }, (_, i) => i * step);
}

/** The planes an engine occupies. */
export function planesOf(state: ScheduleState, mode: MxmMode, plane: number): number[] {
  return specOf(state, mode).planesPerTile === 2 ? [plane, plane + 1] : [plane];
}

export const engineOf = (state: ScheduleState, plane: number): EngineState => state.engines[plane] as EngineState;

export const busyUntil = (state: ScheduleState, planes: readonly number[]): number =>
  Math.max(...planes.map((plane) => engineOf(state, plane).lastActivate));

/** Cycle at which the first engine of a mode is free. */
export const enginesFreeAt = (state: ScheduleState, mode: MxmMode): number =>
  Math.min(...enginePlanes(state, mode).map((plane) => busyUntil(state, planesOf(state, mode, plane)))) + 1;

/** First cycle at which the next tile of an engine may be loaded. */
export const loadFreeAt = (state: ScheduleState, planes: readonly number[]): number =>
  Math.max(...planes.map((plane) => engineOf(state, plane).loadFree));

/** Whether planes hold a tile with this key. */
export const holdsTile = (state: ScheduleState, planes: readonly number[], key: string): boolean =>
  planes.every((plane) => engineOf(state, plane).installed === key);

/** Issues IW as early as the tile in use allows; gives the first cycle at which ABC may issue. */
export function install(
  state: ScheduleState,
  mode: MxmMode,
  planes: readonly number[],
  plane: number,
  loadEnd: number,
  key = "",
): number {
  const { lw, iw } = state.target.mxm.latency;
  const cycle = Math.max(loadEnd + lw, busyUntil(state, planes) + 1, loadEnd + 1);
  emitBurst(state, { kind: "mxmLoad", plane }, { op: "iw", cycle, count: 1, period: 1, mode });
  for (const p of planes) {
    const engine = engineOf(state, p);
    engine.loadFree = Math.max(engine.loadFree, cycle + 1);
    engine.installed = key;
  }
  return cycle + iw;
}

/** Whether tile loads are the bottleneck of some kernel. */
export const waitsForLoads = (kernels: readonly Kernel[]): boolean =>
  kernels.some((kernel) => kernel.kind === "matmul" && kernel.groups.some((group) => group.count < fewVectors));

/** Entries [0, n) are used by accumulations that are placed as one; those that are placed a step at a time have the others. */
export function entriesPlacedAsOne(kernels: readonly Kernel[], accumulators: number, lanes: number): number {
  let most = lanes;
  for (const kernel of kernels) {
    if (kernel.kind === "matmul") for (const group of kernel.groups) most = Math.max(most, group.count);
  }
  return Math.min(most, accumulators);
}

/** First of `count` entries that no open accumulation on the planes holds; undefined if there are none. */
export function findEntries(state: ScheduleState, planes: readonly number[], count: number): number | undefined {
  const held = planes.flatMap((plane) => engineOf(state, plane).held).sort((a, b) => a.from - b.from);
  let entry = state.placedAsOne;
  for (const { from, to } of held) {
    if (entry + count <= from) break;
    entry = Math.max(entry, to);
  }
  return entry + count <= state.target.mxm.accumulators ? entry : undefined;
}

export function holdEntries(state: ScheduleState, planes: readonly number[], from: number, count: number): void {
  for (const plane of planes) engineOf(state, plane).held.push({ from, to: from + count });
}

export function releaseEntries(state: ScheduleState, planes: readonly number[], from: number): void {
  for (const plane of planes) {
    const { held } = engineOf(state, plane);
    held.splice(
      held.findIndex((range) => range.from === from),
      1,
    );
  }
}
