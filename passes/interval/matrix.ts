// How long the registers of the matrix planes hold something: rows loaded and not yet installed, the tile in use, entries of the accumulators.
import type { Instruction } from "../../ir/machine/isa.ts";
import type { Queue } from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import { addUse, type Collector, isFull } from "./uses.ts";

const lastIssue = ({ cycle, count, period }: Instruction): number => cycle + (count - 1) * period;

/** Instructions of each plane in the order of their issue; where a tile stands on two planes, of both. */
function byPlane(target: Target, queues: readonly Queue[]): ReadonlyMap<number, readonly Instruction[]> {
  const planes = new Map<number, Instruction[]>();
  for (const { unit, instructions } of queues) {
    if (!("plane" in unit)) continue;
    for (const ins of instructions) {
      if (!("mode" in ins)) continue;
      const width = target.mxm.modes[ins.mode]?.planesPerTile ?? 1;
      for (let plane = unit.plane; plane < unit.plane + width; plane++) {
        const list = planes.get(plane);
        if (list === undefined) planes.set(plane, [ins]);
        else list.push(ins);
      }
    }
  }
  for (const list of planes.values()) list.sort((a, b) => a.cycle - b.cycle);
  return planes;
}

function addTiles(collector: Collector, target: Target, where: string, instructions: readonly Instruction[]): void {
  let loading: number | undefined;
  let tile: { readonly from: number; until: number } | undefined;
  const close = (): void => {
    if (tile !== undefined) addUse(collector, `${where} tile`, tile.from, tile.until - tile.from);
  };
  for (const ins of instructions) {
    if (ins.op === "lw") loading ??= ins.cycle;
    if (ins.op === "iw") {
      if (loading !== undefined) addUse(collector, `${where} buffer`, loading, ins.cycle + 1 - loading);
      loading = undefined;
      close();
      tile = { from: ins.cycle, until: ins.cycle + 1 };
    }
    if (ins.op === "abc" && tile !== undefined)
      tile.until = Math.max(tile.until, lastIssue(ins) + (target.mxm.modes[ins.mode]?.vectorPeriod ?? 1));
  }
  close();
}

function addEntries(collector: Collector, where: string, instructions: readonly Instruction[]): void {
  const entries = new Map<number, { readonly from: number; readonly until: number }>();
  const close = (entry: number): void => {
    const held = entries.get(entry);
    if (held !== undefined) addUse(collector, `${where} entry ${entry}`, held.from, held.until - held.from);
  };
  for (const ins of instructions) {
    if (ins.op !== "acc") continue;
    for (let i = 0; i < ins.count && !isFull(collector); i++) {
      const [entry, cycle] = [ins.entry + i * ins.stride, ins.cycle + i * ins.period];
      if (ins.init) close(entry);
      const from = ins.init ? cycle : (entries.get(entry)?.from ?? cycle);
      entries.set(entry, { from, until: cycle + 1 });
    }
  }
  for (const entry of entries.keys()) close(entry);
}

export function addMatrixUses(collector: Collector, target: Target, chip: number, queues: readonly Queue[]): void {
  for (const [plane, instructions] of byPlane(target, queues)) {
    const where = `${chip} plane ${plane}`;
    addTiles(collector, target, where, instructions);
    addEntries(collector, where, instructions);
  }
}
