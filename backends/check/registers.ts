// Stream registers, ALU results and links in the data-flow proof: rings indexed by diagonal or cycle, just long enough for what can be alive.
import { columnCount, type Direction, diagonal } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { ByteVector, Lanes } from "./lanes.ts";

interface Ring<T> {
  readonly keys: Float64Array;
  readonly columns: Int32Array;
  readonly values: (T | undefined)[];
}

function newRing<T>(size: number): Ring<T> {
  return { keys: new Float64Array(size).fill(Number.NEGATIVE_INFINITY), columns: new Int32Array(size), values: [] };
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
  readonly streams: Map<number, Ring<ByteVector>>;
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
    streams: new Map(),
    alus: new Map(),
    results: new Map(),
  };
}

function streamRing(registers: Registers, chip: number, direction: Direction, stream: number): Ring<ByteVector> {
  const { streamsPerDirection } = registers.target;
  const key = (chip * 2 + (direction === "E" ? 1 : 0)) * streamsPerDirection + stream;
  let ring = registers.streams.get(key);
  if (ring === undefined) {
    ring = newRing(registers.streamRing);
    registers.streams.set(key, ring);
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
  const key = diagonal(direction, cycle, column);
  const slot = slotOf(key, registers.streamRing);
  if (ring.keys[slot] !== key) return undefined;
  const born = ring.columns[slot] as number;
  const passed = direction === "E" ? born <= column : born >= column;
  return passed ? ring.values[slot] : undefined;
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
