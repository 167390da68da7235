// Loading and installing a tile: LW and IW.
import type { InstructionOf } from "../../ir/machine/isa.ts";
import type { MxmModeSpec } from "../../ir/target/target.ts";
import { claimPlanes, inward, modeBytes } from "./mxm.ts";
import { raise } from "./raise.ts";
import type { Chip, Machine, Plane } from "./state.ts";
import { isGroup, takeStream } from "./streams.ts";
import { decodeTile } from "./tile.ts";

function raisesBadRows(machine: Machine, ins: InstructionOf<"lw">, spec: MxmModeSpec): boolean {
  const bytes = modeBytes[ins.mode];
  const limit = machine.target.mxm.loadStreamsPerPlane * spec.planesPerTile;
  const planar = ins.format === "planar";
  const needed = planar ? ins.lane + ins.k : bytes * spec.tileK;
  let message = "";
  if (!(ins.row >= 0 && ins.rows >= 1 && ins.row + ins.rows <= spec.tileN)) {
    message = `rows ${ins.row}..${ins.row + ins.rows - 1} are outside the tile's ${spec.tileN}`;
  } else if (!(ins.k >= 1 && ins.k <= spec.tileK)) message = `${ins.k} elements a row; a tile has 1..${spec.tileK}`;
  else if (!(ins.streams >= 1 && ins.streams <= limit)) message = `${ins.streams} streams; a load takes 1..${limit}`;
  else if (planar && ins.streams % bytes !== 0) message = `${ins.streams} streams are no whole groups of ${bytes}`;
  else if (!planar && ins.lane !== 0) message = `a packed load starts at lane 0, not ${ins.lane}`;
  else if (ins.lane < 0 || needed > machine.lanes)
    message = `lanes up to ${needed} are needed, there are ${machine.lanes}`;
  if (message !== "") raise(machine, "form", message);
  return message !== "";
}

/** LW. */
export function loadRows(
  machine: Machine,
  chip: Chip,
  index: number,
  ins: InstructionOf<"lw">,
  repetition: number,
): void {
  const site = claimPlanes(machine, chip, index, ins.mode, "load");
  if (site === undefined || raisesBadRows(machine, ins, site.spec)) return;
  const { plane, partner, spec } = site;
  const bytes = modeBytes[ins.mode];
  const planar = ins.format === "planar";
  if (!isGroup(machine, ins.stream, ins.streams, planar ? bytes : 1)) return;
  const perIssue = planar ? ins.streams / bytes : ins.streams;
  const first = repetition * perIssue;
  const last = Math.min(first + perIssue, ins.rows);
  if (first >= last) {
    raise(machine, "form", `issue ${repetition} of the burst has no row left to load (${ins.rows} rows)`);
    return;
  }
  if (!openBuffer(machine, plane, partner, ins, repetition)) return;
  const { buffer } = plane;
  buffer.lastLoad = machine.cycle;
  for (let i = first; i < last; i += 1) {
    const row = ins.row + i;
    if (buffer.rowLoaded[row] !== 0) {
      raise(machine, "weights", `row ${row} was loaded already and not yet installed`);
      return;
    }
    buffer.rowLoaded[row] = 1;
    buffer.rowLength[row] = ins.k;
    const stream = ins.stream + (i - first) * (planar ? bytes : 1);
    for (let byte = 0; byte < bytes; byte += 1) {
      const from = takeStream(
        machine,
        chip,
        planar ? stream + byte : stream,
        inward(plane),
        machine.cycle,
        plane.column,
      );
      if (from < 0) return;
      const at = planar ? from + ins.lane : from + byte * spec.tileK;
      const to = (row * bytes + byte) * spec.tileK;
      const source = chip.streams.bytes;
      for (let k = 0; k < ins.k; k += 1) buffer.bytes[to + k] = source[at + k] as number;
    }
  }
}

/** Makes the load buffer one that takes rows of this instruction. */
function openBuffer(
  machine: Machine,
  plane: Plane,
  partner: Plane | undefined,
  ins: InstructionOf<"lw">,
  repetition: number,
): boolean {
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    const { buffer } = one;
    const mine = buffer.owner === plane.index && buffer.mode === ins.mode;
    const starts = ins.clear && repetition === 0;
    if (buffer.mode !== undefined && (!mine || starts)) {
      raise(
        machine,
        "weights",
        `rows in the buffer of plane ${one.index} (${buffer.mode}) would be lost before they are installed`,
      );
      return false;
    }
    if (buffer.mode === undefined) {
      buffer.owner = plane.index;
      buffer.mode = ins.mode;
      buffer.cleared = starts;
      buffer.rowLoaded.fill(0);
    }
  }
  return true;
}

/** IW. */
export function installTile(machine: Machine, chip: Chip, index: number, ins: InstructionOf<"iw">): void {
  const site = claimPlanes(machine, chip, index, ins.mode, "load");
  if (site === undefined) return;
  const { plane, partner, spec } = site;
  const { cycle } = machine;
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    const { buffer, tile } = one;
    if (buffer.mode !== ins.mode || buffer.owner !== plane.index) {
      const what = buffer.mode === undefined ? "nothing" : `a ${buffer.mode} tile of plane ${buffer.owner}`;
      raise(machine, "weights", `plane ${one.index} has ${what} in its buffer, not this ${ins.mode} tile`);
    } else if (tile.busyUntil > cycle) {
      raise(machine, "weights", `the tile of plane ${one.index} is in use until cycle ${tile.busyUntil}`);
    }
  }
  const { buffer, tile } = plane;
  const ready = buffer.lastLoad + machine.target.mxm.latency.lw;
  if (cycle < ready) raise(machine, "weights", `the last row is in the buffer at cycle ${ready}`);
  if (!buffer.cleared) {
    for (let row = 0; row < spec.tileN; row += 1) {
      if (buffer.rowLoaded[row] === 0)
        raise(machine, "weights", `row ${row} of the tile was neither loaded nor cleared`);
    }
  }
  if (machine.fault !== undefined) return;
  decodeTile(machine, plane, ins.mode, spec);
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    one.buffer.mode = undefined;
    one.tile.owner = plane.index;
    one.tile.mode = ins.mode;
    one.tile.readyAt = cycle + machine.target.mxm.latency.iw;
  }
  tile.busyUntil = 0;
}
