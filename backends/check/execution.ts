// The state of a program being followed by the data-flow proof, and what every step of it needs: taking from streams, telling a violation once
// an instruction, values that are unknown.
import type { Program } from "../../ir/machine/program.ts";
import type { Direction } from "../../ir/target/geometry.ts";
import { hash } from "./field.ts";
import { type ByteVector, bytesOf, byteTags, joinBytes, type Lanes, type Stored } from "./lanes.ts";
import type { Memory } from "./memory.ts";
import { type Registers, takeStream, takeWhole } from "./registers.ts";
import { type Findings, type InvariantName, type Site, violateAt } from "./report.ts";
import type { StreamPort } from "./sites.ts";
import type { Tile } from "./tile.ts";

export interface PlaneState {
  /** Rows loaded since the last install. */
  buffer: Tile | undefined;
  tile: Tile | undefined;
  /** A tile that was replaced: nobody needs it any more. */
  spare: Tile | undefined;
  /** Products on their way, by the cycle of their ACC. */
  readonly flying: Map<number, Lanes>;
  readonly entries: Map<number, Lanes>;
}

export interface Execution {
  readonly findings: Findings;
  readonly program: Program;
  readonly memory: Memory;
  readonly registers: Registers;
  readonly planes: Map<string, PlaneState>;
  /** Vectors on the wire by sink port, then by arrival cycle. */
  readonly wires: Map<string, Map<number, ByteVector>>;
  /** Sites by id, to name writers. */
  readonly sites: readonly Site[];
  readonly told: Set<string>;
  /** Notes of the gathers that combine all rows of a computed table (see choice.ts). */
  readonly combined: ReadonlySet<number>;
  unknowns: number;
}

/** One issue of a prepared instruction. */
export type Step = (repetition: number, cycle: number) => void;

/** Records a violation, the first of its kind of an instruction only. */
export function complain(
  run: Execution,
  name: InvariantName,
  site: Site,
  cycle: number,
  message: string,
  tensor?: string,
): void {
  const key = `${site.id} ${name}`;
  if (run.told.has(key)) return;
  run.told.add(key);
  violateAt(run.findings, name, site, message, tensor === undefined ? { cycle } : { cycle, tensor });
}

/** A byte vector that equals nothing else. */
export function unknownBytes(run: Execution): ByteVector {
  const salt = ++run.unknowns;
  const x = Int32Array.from({ length: run.program.target.lanes }, (_, lane) => hash(salt, lane));
  return bytesOf(x, byteTags.unknown);
}

function passing(
  run: Execution,
  site: Site,
  direction: Direction,
  stream: number,
  cycle: number,
  column: number,
): ByteVector {
  const value = takeStream(run.registers, site.chip, direction, stream, cycle, column);
  if (value !== undefined) return value;
  complain(
    run,
    "operand",
    site,
    cycle,
    `takes stream ${stream} going ${direction} at cycle ${cycle}, where nothing passes`,
  );
  return unknownBytes(run);
}

/** The byte planes that pass a port when the instruction issues in `cycle`: the first `count` of its streams. */
export function takePort(
  run: Execution,
  site: Site,
  port: StreamPort,
  cycle: number,
  count = port.streams,
): readonly ByteVector[] {
  const at = cycle + port.delay;
  const planes: ByteVector[] = [];
  for (let i = 0; i < count; i++) {
    planes.push(passing(run, site, port.direction, port.stream + i, at, port.column));
  }
  return planes;
}

export function complainTorn(run: Execution, site: Site, cycle: number, lane: number): void {
  complain(run, "operand", site, cycle, `puts bytes of different values together (lane ${lane})`);
}

/** A port's planes as 32-bit lanes. */
export function takeLanes(run: Execution, site: Site, port: StreamPort, type: Stored, cycle: number): Lanes {
  if (port.streams === 4) {
    const at = cycle + port.delay;
    const whole = takeWhole(run.registers, site.chip, port.direction, port.stream, at, port.column);
    if (whole !== undefined) return whole;
  }
  const { lanes, tornLane } = joinBytes(takePort(run, site, port, cycle), type);
  if (tornLane >= 0) complainTorn(run, site, cycle, tornLane);
  return lanes;
}
