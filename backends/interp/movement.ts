// The instructions that move vectors and leave their bytes as they are: memory reads and writes, lane permutations, links.
import type { InstructionOf } from "../../ir/machine/isa.ts";
import { type Direction, type Hemisphere, linkColumn, memColumn, sxmColumn } from "../../ir/target/geometry.ts";
import { banksOf, claimRead, claimWrite, findSlice, readWord, writeWord } from "./memory.ts";
import { raise } from "./raise.ts";
import type { Chip, Machine, Slice } from "./state.ts";
import { isGroup, putStream, takeStream } from "./streams.ts";

/** The slice of a memory unit. */
export interface SliceSite {
  readonly hemisphere: Hemisphere;
  readonly slice: number;
}

function sliceAt(machine: Machine, chip: Chip, site: SliceSite): Slice | undefined {
  const slice = findSlice(chip.memory, site.hemisphere, site.slice);
  if (slice === undefined) raise(machine, "form", `there is no slice ${site.hemisphere}${site.slice}`);
  return slice;
}

/** READ. */
export function readMemory(
  machine: Machine,
  chip: Chip,
  site: SliceSite,
  ins: InstructionOf<"read">,
  repetition: number,
): void {
  const slice = sliceAt(machine, chip, site);
  const address = ins.address + repetition * ins.stride;
  const banks = slice === undefined ? 0 : banksOf(machine, chip.memory, address, address);
  if (slice === undefined || banks === 0 || !claimRead(machine, slice, banks)) return;
  const ready = machine.cycle + machine.target.mem.latency.read;
  putWord(machine, chip, site, slice, address, ins.stream, ins.direction, ready);
}

function putWord(
  machine: Machine,
  chip: Chip,
  site: SliceSite,
  slice: Slice,
  address: number,
  stream: number,
  direction: Direction,
  ready: number,
): void {
  if (!isGroup(machine, stream, 1, 1)) return;
  const column = memColumn(machine.target, site.hemisphere, site.slice);
  const at = putStream(machine, chip, stream, direction, ready, column);
  if (at >= 0) readWord(machine, chip.memory, slice, address, chip.streams.words, at >> 2);
}

/** WRITE. */
export function writeMemory(
  machine: Machine,
  chip: Chip,
  site: SliceSite,
  ins: InstructionOf<"write">,
  repetition: number,
): void {
  const slice = sliceAt(machine, chip, site);
  const address = ins.address + repetition * ins.stride;
  const banks = slice === undefined ? 0 : banksOf(machine, chip.memory, address, address);
  if (slice === undefined || banks === 0 || !claimWrite(machine, slice, banks)) return;
  const column = memColumn(machine.target, site.hemisphere, site.slice);
  if (!isGroup(machine, ins.stream, 1, 1)) return;
  const from = takeStream(machine, chip, ins.stream, ins.direction, machine.cycle, column);
  if (from < 0) return;
  const done = machine.cycle + machine.target.mem.latency.write;
  writeWord(chip.memory, slice, address, chip.streams.words, from >> 2, done);
  if (done > machine.lastWritten) machine.lastWritten = done;
}

/** The index on lane 0 of a map group, as int32; undefined and a fault if it is not there. */
function takeIndex(
  machine: Machine,
  chip: Chip,
  site: SliceSite,
  stream: number,
  direction: Direction,
): number | undefined {
  if (!isGroup(machine, stream, 4, 4)) return undefined;
  const column = memColumn(machine.target, site.hemisphere, site.slice);
  let index = 0;
  for (let byte = 0; byte < 4; byte += 1) {
    const from = takeStream(machine, chip, stream + byte, direction, machine.cycle, column);
    if (from < 0) return undefined;
    index |= (chip.streams.bytes[from] as number) << (8 * byte);
  }
  return index;
}

/** Banks of every word a gather or scatter might touch: its ports must not depend on data. */
function banksOfRange(machine: Machine, chip: Chip, ins: InstructionOf<"gather"> | InstructionOf<"scatter">): number {
  if (!(ins.limit >= 1)) {
    raise(machine, "form", `limit ${ins.limit}; at least one row is needed`);
    return 0;
  }
  const end = ins.address + ins.scale * (ins.limit - 1);
  return banksOf(machine, chip.memory, Math.min(ins.address, end), Math.max(ins.address, end));
}

/** GATHER. */
export function gatherMemory(machine: Machine, chip: Chip, site: SliceSite, ins: InstructionOf<"gather">): void {
  const slice = sliceAt(machine, chip, site);
  const banks = slice === undefined ? 0 : banksOfRange(machine, chip, ins);
  if (slice === undefined || banks === 0 || !claimRead(machine, slice, banks)) return;
  const index = takeIndex(machine, chip, site, ins.map, ins.mapDirection);
  if (index === undefined) return;
  const clamped = Math.max(0, Math.min(ins.limit - 1, index));
  const ready = machine.cycle + machine.target.mem.latency.gather;
  putWord(machine, chip, site, slice, ins.address + ins.scale * clamped, ins.stream, ins.direction, ready);
}

/** SCATTER. Writes nothing, but takes its ports and time all the same, when the index is outside. */
export function scatterMemory(machine: Machine, chip: Chip, site: SliceSite, ins: InstructionOf<"scatter">): void {
  const slice = sliceAt(machine, chip, site);
  const banks = slice === undefined ? 0 : banksOfRange(machine, chip, ins);
  if (slice === undefined || banks === 0 || !claimWrite(machine, slice, banks)) return;
  const index = takeIndex(machine, chip, site, ins.map, ins.mapDirection);
  if (index === undefined || !isGroup(machine, ins.stream, 1, 1)) return;
  const column = memColumn(machine.target, site.hemisphere, site.slice);
  const from = takeStream(machine, chip, ins.stream, ins.direction, machine.cycle, column);
  if (from < 0) return;
  const done = machine.cycle + machine.target.mem.latency.scatter;
  if (done > machine.lastWritten) machine.lastWritten = done;
  if (index < 0 || index >= ins.limit) return;
  writeWord(chip.memory, slice, ins.address + ins.scale * index, chip.streams.words, from >> 2, done);
}

/** A lane map by number: as long as there are lanes, no source lane twice. */
function laneMap(machine: Machine, chip: Chip, number: number): Int16Array | undefined {
  const map = chip.laneMaps[number];
  if (map === undefined) {
    raise(machine, "form", `there is no lane map ${number}`);
    return undefined;
  }
  if (chip.checkedMaps[number] === 1) return map;
  const used = new Uint8Array(machine.lanes);
  if (map.length !== machine.lanes) raise(machine, "form", `lane map ${number} has ${map.length} lanes`);
  for (const source of map) {
    if (source === -1) continue;
    if (source < 0 || source >= machine.lanes || used[source] === 1) {
      raise(
        machine,
        "form",
        `lane map ${number} takes lane ${source} ${used[source] === 1 ? "twice" : "which is not there"}`,
      );
      return undefined;
    }
    used[source] = 1;
  }
  chip.checkedMaps[number] = 1;
  return map;
}

/** PERMUTE. */
export function permuteLanes(
  machine: Machine,
  chip: Chip,
  site: { readonly hemisphere: Hemisphere; readonly index: number },
  ins: InstructionOf<"permute">,
  repetition: number,
): void {
  if (!(site.index >= 0 && site.index < machine.target.sxm.unitsPerHemisphere)) {
    raise(machine, "form", `there is no SXM unit ${site.index}`);
    return;
  }
  const map = laneMap(machine, chip, ins.map + repetition * ins.mapStride);
  const column = sxmColumn(machine.target, site.hemisphere);
  const ready = machine.cycle + machine.target.sxm.latency.permute;
  if (ins.bytes !== 1 && ins.bytes !== 2 && ins.bytes !== 4) raise(machine, "form", `a group of ${ins.bytes} streams`);
  if (map === undefined || machine.fault !== undefined) return;
  if (!isGroup(machine, ins.stream, ins.bytes, ins.bytes) || !isGroup(machine, ins.outStream, ins.bytes, ins.bytes))
    return;
  const { bytes } = chip.streams;
  for (let byte = 0; byte < ins.bytes; byte += 1) {
    const from = takeStream(machine, chip, ins.stream + byte, ins.direction, machine.cycle, column);
    const to = from < 0 ? -1 : putStream(machine, chip, ins.outStream + byte, ins.outDirection, ready, column);
    if (to < 0) return;
    for (let lane = 0; lane < map.length; lane += 1) {
      const source = map[lane] as number;
      bytes[to + lane] = source < 0 ? 0 : (bytes[from + source] as number);
    }
  }
}

const edgeOf = (port: number): Direction => (port % 2 === 0 ? "W" : "E");

/** SEND. */
export function sendVector(machine: Machine, chip: Chip, port: number, ins: InstructionOf<"send">): void {
  const { target, cycle, lanes } = machine;
  const link = machine.links[machine.linkFrom[chip.index * target.link.portsPerChip + port] ?? -1];
  if (link === undefined) {
    raise(machine, "link", `port ${port} is not joined to another chip`);
    return;
  }
  // Both sides in bytes times hertz: no rounding.
  const needed = target.link.framedBytesPerVector * target.clockHz;
  if (link.lastSend >= 0 && (cycle - link.lastSend) * target.link.bytesPerSecond < needed) {
    raise(machine, "link", `the link is busy with the vector sent in cycle ${link.lastSend}`);
    return;
  }
  if (!isGroup(machine, ins.stream, 1, 1)) return;
  const from = takeStream(machine, chip, ins.stream, edgeOf(port), cycle, linkColumn(target, port));
  if (from < 0) return;
  link.lastSend = cycle;
  link.sentAt.push(cycle);
  link.vectors.push(chip.streams.bytes.slice(from, from + lanes));
}

/** RECEIVE. */
export function receiveVector(machine: Machine, chip: Chip, port: number, ins: InstructionOf<"receive">): void {
  const { target, cycle } = machine;
  const link = machine.links[machine.linkTo[chip.index * target.link.portsPerChip + port] ?? -1];
  if (link === undefined) {
    raise(machine, "link", `port ${port} is not joined to another chip`);
    return;
  }
  const { from, fromPort, latency } = link.connection;
  if (link.sentAt[0] !== cycle - latency) {
    const found =
      link.sentAt.length === 0 ? "nothing is under way" : `the next vector was sent in cycle ${link.sentAt[0]}`;
    raise(machine, "link", `chip ${from} port ${fromPort} must have sent in cycle ${cycle - latency}; ${found}`);
    return;
  }
  link.sentAt.shift();
  const vector = link.vectors.shift();
  if (!isGroup(machine, ins.stream, 1, 1)) return;
  const away = edgeOf(port) === "W" ? "E" : "W";
  const to = putStream(machine, chip, ins.stream, away, cycle, linkColumn(target, port));
  if (to >= 0 && vector !== undefined) chip.streams.bytes.set(vector, to);
}
