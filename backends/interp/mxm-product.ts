// Multiplying by the tile in use and adding up the products: ABC and ACC.
import type { InstructionOf } from "../../ir/machine/isa.ts";
import { canonicaliseNan } from "../../ir/numeric/bits.ts";
import { joinWords, splitWords } from "./byte-planes.ts";
import { claimPlanes, inward, modeBytes, modeNumber, outward } from "./mxm.ts";
import { raise } from "./raise.ts";
import type { Chip, Machine, Plane } from "./state.ts";
import { isGroup, putStream, takeStream } from "./streams.ts";
import { multiplyTile } from "./tile.ts";

/** ABC. */
export function startActivation(machine: Machine, chip: Chip, index: number, ins: InstructionOf<"abc">): void {
  const site = claimPlanes(machine, chip, index, ins.mode, "activate");
  if (site === undefined) return;
  const { plane, partner, spec } = site;
  const { cycle } = machine;
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    const { tile } = one;
    if (tile.mode !== ins.mode || tile.owner !== plane.index) {
      const what = tile.mode === undefined ? "no tile" : `a ${tile.mode} tile of plane ${tile.owner}`;
      raise(machine, "weights", `plane ${one.index} has ${what} in use, not this ${ins.mode} tile`);
    } else if (cycle < tile.readyAt) {
      raise(machine, "weights", `the tile is in place at cycle ${tile.readyAt}`);
    } else if (cycle < tile.busyUntil) {
      raise(
        machine,
        "weights",
        `the next vector may start at cycle ${tile.busyUntil} (one every ${spec.vectorPeriod})`,
      );
    }
    tile.busyUntil = cycle + spec.vectorPeriod;
  }
  if (!(ins.k >= 1 && ins.k <= spec.tileK && ins.lane >= 0 && ins.lane + ins.k <= machine.lanes)) {
    raise(
      machine,
      "form",
      `elements at lanes ${ins.lane}..${ins.lane + ins.k - 1}; a tile takes 1..${spec.tileK} of ${machine.lanes} lanes`,
    );
  }
  if (machine.fault !== undefined || !takeActivation(machine, chip, plane, ins)) return;
  const { waiting } = plane;
  if (waiting.count === waiting.capacity) {
    raise(machine, "accumulator", "the products of earlier vectors were never taken by an ACC");
    return;
  }
  const slot = (waiting.first + waiting.count) % waiting.capacity;
  waiting.count += 1;
  waiting.issued[slot] = cycle;
  waiting.modes[slot] = ins.mode;
  multiplyTile(plane, ins.mode, spec, ins.k, slot * machine.lanes);
  machine.macs += ins.k * plane.tile.rows;
}

/** The activation vector as numbers. */
function takeActivation(machine: Machine, chip: Chip, plane: Plane, ins: InstructionOf<"abc">): boolean {
  const bytes = modeBytes[ins.mode];
  if (!isGroup(machine, ins.stream, bytes, bytes)) return false;
  const at: number[] = [];
  for (let byte = 0; byte < bytes; byte += 1) {
    const from = takeStream(machine, chip, ins.stream + byte, inward(plane), machine.cycle, plane.column);
    if (from < 0) return false;
    at.push(from);
  }
  decodeActivation(machine, chip, plane, ins, at);
  return true;
}

function decodeActivation(
  machine: Machine,
  chip: Chip,
  plane: Plane,
  ins: InstructionOf<"abc">,
  at: readonly number[],
): void {
  const { bytes, words } = chip.streams;
  const { activation } = plane;
  const [p0 = 0, p1 = 0, p2 = 0, p3 = 0] = at;
  const scratch = machine.operands.scratch;
  switch (ins.mode) {
    case "int8":
      for (let k = 0; k < ins.k; k += 1) activation[k] = ((bytes[p0 + ins.lane + k] as number) << 24) >> 24;
      return;
    case "fp16": {
      const values = machine.operands.halves;
      for (let k = 0; k < ins.k; k += 1) {
        const lane = ins.lane + k;
        activation[k] = values[(bytes[p0 + lane] as number) | ((bytes[p1 + lane] as number) << 8)] as number;
      }
      return;
    }
    case "fp32":
      joinWords(words, p0 >> 2, p1 >> 2, p2 >> 2, p3 >> 2, machine.lanes, scratch.bits);
      for (let k = 0; k < ins.k; k += 1) activation[k] = scratch.floats[ins.lane + k] as number;
  }
}

/** ACC. */
export function accumulateProduct(
  machine: Machine,
  chip: Chip,
  index: number,
  ins: InstructionOf<"acc">,
  repetition: number,
): void {
  const site = claimPlanes(machine, chip, index, ins.mode, "accumulate");
  if (site === undefined) return;
  const { plane, partner, spec } = site;
  const { target, lanes, cycle } = machine;
  const { waiting } = plane;
  const due = cycle - target.mxm.latency.abc;
  const slot = waiting.first;
  const issued = waiting.count === 0 ? -1 : (waiting.issued[slot] as number);
  if (issued !== due || waiting.modes[slot] !== ins.mode) {
    const found =
      waiting.count === 0
        ? "no product is on its way"
        : `the next ${waiting.modes[slot]} product is due at cycle ${issued + target.mxm.latency.abc}`;
    raise(machine, "accumulator", `an ${ins.mode} ABC in cycle ${due} is needed; ${found}`);
    return;
  }
  waiting.first = (slot + 1) % waiting.capacity;
  waiting.count -= 1;
  const entry = ins.entry + repetition * ins.stride;
  if (!(entry >= 0 && entry < target.mxm.accumulators)) {
    raise(machine, "range", `entry ${entry} of ${target.mxm.accumulators}`);
    return;
  }
  const tag = 1 + plane.index * 3 + modeNumber[ins.mode];
  for (const one of [plane, partner]) {
    if (one === undefined) continue;
    if (!ins.init && one.entryTags[entry] !== tag) {
      raise(machine, "poison", `accumulator entry ${entry} holds no ${ins.mode} sum of this tile`);
      return;
    }
    one.entryTags[entry] = tag;
  }
  addProduct(plane, ins, entry * lanes, slot * lanes, spec.tileN, lanes);
  if (ins.emit) emitEntry(machine, chip, plane, ins.stream, entry * lanes);
}

/** Adds a product to an entry; lanes beyond the tile's columns are zero. */
function addProduct(
  plane: Plane,
  ins: InstructionOf<"acc">,
  to: number,
  from: number,
  columns: number,
  lanes: number,
): void {
  const { accumulators, sums, waiting } = plane;
  if (ins.mode === "int8") {
    for (let n = 0; n < columns; n += 1) {
      const old = ins.init ? 0 : (sums[to + n] as number);
      sums[to + n] = old + (waiting.integers[from + n] as number);
    }
  } else {
    for (let n = 0; n < columns; n += 1) {
      const old = ins.init ? 0 : (accumulators[to + n] as number);
      accumulators[to + n] = old + (waiting.products[from + n] as number);
    }
    canonicaliseNan(sums, to, columns);
  }
  for (let n = columns; n < lanes; n += 1) sums[to + n] = 0;
}

function emitEntry(machine: Machine, chip: Chip, plane: Plane, stream: number, from: number): void {
  if (!isGroup(machine, stream, 4, 4)) return;
  const at = machine.cycle + machine.target.mxm.latency.acc;
  const direction = outward(plane);
  const p0 = putStream(machine, chip, stream, direction, at, plane.column);
  const p1 = putStream(machine, chip, stream + 1, direction, at, plane.column);
  const p2 = putStream(machine, chip, stream + 2, direction, at, plane.column);
  const p3 = putStream(machine, chip, stream + 3, direction, at, plane.column);
  if (machine.fault !== undefined) return;
  splitWords(plane.sums, from, machine.lanes, chip.streams.words, p0 >> 2, p1 >> 2, p2 >> 2, p3 >> 2);
}
