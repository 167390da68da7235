// Stream registers, ALU results and links in the data-flow proof: rings indexed by diagonal or cycle, just long enough for what can be alive.
import { columnCount, type Direction, diagonal } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { type ByteVector, type Lanes, planeOf, type Splitting, storedBytes } from "./lanes.ts";

interface Ring<T> {
  readonly keys: Float64Array;
  readonly values: (T | undefined)[];
}

function newRing<T>(size: number): Ring<T> {
  return { keys: new Float64Array(size).fill(Number.NEGATIVE_INFINITY), values: [] };
}

/** What passes on one stream: a byte vector, or byte plane `planes` of lanes. */
interface StreamRing extends Ring<ByteVector> {
  readonly columns: Int32Array;
  readonly splittings: (Splitting | undefined)[];
  readonly planes: Uint8Array;
}

function newStreamRing(size: number): StreamRing {
  return { ...newRing<ByteVector>(size), columns: new Int32Array(size), splittings: [], planes: new Uint8Array(size) };
}

const slotOf = (key: number, size: number): number => ((key % size) + size) % size;

function powerOfTwo(least: number): number {
  let size = 1;
  while (size < least) size *= 2;
  return size;
}

export interface Registers {
  readonly target: Target;
  readonly streamRing: number;
  readonly aluRing: number;
  readonly streams: (StreamRing | undefined)[];
  readonly alus: Map<number, Ring<Lanes>>;
  /** Last result of each ALU, for feedback. */
  readonly results: Map<number, Lanes>;
}

export function newRegisters(target: Target): Registers {
  const { latency } = target.vxm;
  const memory = target.mem.latency;
  const late = Math.max(latency.simple, latency.multiply, latency.large);
  const slowest = Math.max(late, target.mxm.latency.acc, target.sxm.latency.permute, memory.read, memory.gather);
  return {
    target,
    streamRing: powerOfTwo(2 * columnCount(target) + slowest + target.vxm.operandHistory + 8),
    aluRing: powerOfTwo(2 * late + target.vxm.operandHistory + 8),
    streams: [],
    alus: new Map(),
    results: new Map(),
  };
}

function streamRing(registers: Registers, chip: number, direction: Direction, stream: number): StreamRing {
  const { streamsPerDirection } = registers.target;
  const key = (chip * 2 + (direction === "E" ? 1 : 0)) * streamsPerDirection + stream;
  let ring = registers.streams[key];
  if (ring === undefined) {
    ring = newStreamRing(registers.streamRing);
    registers.streams[key] = ring;
  }
  return ring;
}

/** A value appears on a stream at `column` in `cycle`. */
export function putStream(
  registers: Registers,
  chip: number,
  direction: Direction,
  stream: number,
  cycle: number,
  column: number,
  value: ByteVector,
): void {
  const ring = streamRing(registers, chip, direction, stream);
  const key = diagonal(direction, cycle, column);
  const slot = slotOf(key, registers.streamRing);
  ring.keys[slot] = key;
  ring.columns[slot] = column;
  ring.values[slot] = value;
  ring.splittings[slot] = undefined;
}

/** Lanes appear on the streams of a group from `stream` on. */
export function putSplitting(
  registers: Registers,
  chip: number,
  direction: Direction,
  stream: number,
  cycle: number,
  column: number,
  splitting: Splitting,
): void {
  const key = diagonal(direction, cycle, column);
  const slot = slotOf(key, registers.streamRing);
  for (let b = 0; b < storedBytes[splitting.type]; b++) {
    const ring = streamRing(registers, chip, direction, stream + b);
    ring.keys[slot] = key;
    ring.columns[slot] = column;
    ring.values[slot] = undefined;
    ring.splittings[slot] = splitting;
    ring.planes[slot] = b;
  }
}

/** The slot of a stream's ring with what passes `column` in `cycle`, -1 if nothing does. */
function passingSlot(
  registers: Registers,
  ring: StreamRing,
  direction: Direction,
  cycle: number,
  column: number,
): number {
  const key = diagonal(direction, cycle, column);
  const slot = slotOf(key, registers.streamRing);
  if (ring.keys[slot] !== key) return -1;
  const born = ring.columns[slot] as number;
  return (direction === "E" ? born <= column : born >= column) ? slot : -1;
}

/** The value that passes `column` in `cycle`, undefined if none does. */
export function takeStream(
  registers: Registers,
  chip: number,
  direction: Direction,
  stream: number,
  cycle: number,
  column: number,
): ByteVector | undefined {
  const ring = streamRing(registers, chip, direction, stream);
  const slot = passingSlot(registers, ring, direction, cycle, column);
  if (slot < 0) return undefined;
  const splitting = ring.splittings[slot];
  return splitting === undefined ? ring.values[slot] : planeOf(splitting, ring.planes[slot] as number);
}

/** The 4-byte lanes that pass on a group as they were put there; undefined where bytes of anything else do. */
export function takeWhole(
  registers: Registers,
  chip: number,
  direction: Direction,
  stream: number,
  cycle: number,
  column: number,
): Lanes | undefined {
  let whole: Splitting | undefined;
  for (let b = 0; b < 4; b++) {
    const ring = streamRing(registers, chip, direction, stream + b);
    const slot = passingSlot(registers, ring, direction, cycle, column);
    if (slot < 0 || ring.planes[slot] !== b) return undefined;
    const splitting = ring.splittings[slot];
    if (splitting === undefined || storedBytes[splitting.type] !== 4) return undefined;
    if (whole !== undefined && splitting !== whole) return undefined;
    whole = splitting;
  }
  return whole?.lanes;
}

/** The ALU produces `value` in `cycle`; false if it produces another in the same cycle. */
export function putResult(registers: Registers, chip: number, alu: number, cycle: number, value: Lanes): boolean {
  const key = chip * registers.target.vxm.alus + alu;
  let ring = registers.alus.get(key);
  if (ring === undefined) {
    ring = newRing(registers.aluRing);
    registers.alus.set(key, ring);
  }
  registers.results.set(key, value);
  const slot = slotOf(cycle, registers.aluRing);
  const doubled = ring.keys[slot] === cycle;
  ring.keys[slot] = cycle;
  ring.values[slot] = value;
  return !doubled;
}

/** What the ALU produced in `cycle`. */
export function takeResult(registers: Registers, chip: number, alu: number, cycle: number): Lanes | undefined {
  const ring = registers.alus.get(chip * registers.target.vxm.alus + alu);
  const slot = slotOf(cycle, registers.aluRing);
  return ring !== undefined && ring.keys[slot] === cycle ? ring.values[slot] : undefined;
}

export function lastResult(registers: Registers, chip: number, alu: number): Lanes | undefined {
  return registers.results.get(chip * registers.target.vxm.alus + alu);
}
