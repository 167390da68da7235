// The reference interpreter: executes a program issue by issue, in cycle order over all queues of all chips, and stops at the first fault.
// Cycles in which nothing issues are skipped, which changes nothing: a value moves by its diagonal, not by being carried.
import { type Instruction, isa, type Mnemonic } from "../../ir/machine/isa.ts";
import { type Program, unitName } from "../../ir/machine/program.ts";
import { execute } from "./execute.ts";
import type { Fault } from "./fault.ts";
import { bindInputs, type HostTensor, loadImages, readOutputs } from "./host.ts";
import { type KeptState, keepState, keptInputs, restoreState } from "./kept.ts";
import { makeMachine } from "./machine.ts";
import { raise, raiseAt, raiseOutside } from "./raise.ts";
import type { Machine, QueueState } from "./state.ts";
import { makeTimeline, popTimeline, pushTimeline, type Timeline } from "./timeline.ts";

/** What was executed. */
interface Profile {
  /** Issues of each instruction, over all chips. */
  readonly issues: Readonly<Record<Mnemonic, number>>;
  /** Issues a chip. */
  readonly chips: readonly { readonly issues: Readonly<Record<Mnemonic, number>> }[];
  /** Multiply-accumulates with elements that were loaded. */
  readonly macs: number;
}

export interface InterpretOptions {
  /** Products of tiles by the vector kernel; same bits, same faults. By default in plain loops, as the reference does. */
  readonly isFast?: boolean;
  /** Called now and then with the current cycle, for progress. */
  readonly progress?: (cycle: number) => void;
  /** What the execution before has left in the state buffers: inputs that stand there may be left out. */
  readonly kept?: KeptState;
}

export type InterpretResult =
  | {
      readonly ok: true;
      readonly outputs: ReadonlyMap<string, HostTensor>;
      /** Cycle 0 to the last write complete in every superlane, over all chips; 0 if nothing is written. */
      readonly executedCycles: number;
      readonly profile: Profile;
      /** What the next execution finds in the state buffers. */
      readonly keep: () => KeptState;
    }
  | { readonly ok: false; readonly fault: Fault };

/** Something the host does before the first issue from `cycle` on. */
export interface HostEvent {
  readonly cycle: number;
  readonly act: () => void;
}

const LAST_CYCLE = 2 ** 29;
/** A program that still issues so long after the end it states does not run to that end. */
const OVERRUN_CYCLES = 2 ** 20;
const PROGRESS_EVERY = 65536;

type Counts = Record<Mnemonic, number>;
export const zeroCounts = (): Counts => {
  const counts = {} as Counts;
  for (const op of Object.keys(isa) as Mnemonic[]) counts[op] = 0;
  return counts;
};

/** Runs `program` on `inputs`. */
export function interpret(
  program: Program,
  inputs: ReadonlyMap<string, HostTensor>,
  options: InterpretOptions = {},
): InterpretResult {
  const machine = makeMachine(program, options.isFast);
  if (machine.fault === undefined) loadImages(machine);
  if (options.kept !== undefined && machine.fault === undefined) restoreState(machine, options.kept);
  const mayLack: ReadonlySet<string> = options.kept === undefined ? new Set() : keptInputs(machine);
  if (machine.fault === undefined) bindInputs(machine, inputs, { mayLack });
  const counts = program.chips.map(zeroCounts);
  if (machine.fault === undefined) run(machine, collectQueues(machine), [], counts, options);
  if (machine.fault === undefined) checkEnd(machine);
  const executedCycles = machine.lastWritten < 0 ? 0 : machine.lastWritten + program.target.verticalRipple;
  if (machine.fault === undefined && executedCycles !== program.latencyCycles) {
    const message = `the program states ${program.latencyCycles} cycles, the last write is complete at ${executedCycles}`;
    raiseOutside(machine, "latency", 0, undefined, message);
  }
  const outputs = machine.fault === undefined ? readOutputs(machine) : new Map<string, HostTensor>();
  if (machine.fault !== undefined) return { ok: false, fault: machine.fault };
  return { ok: true, outputs, executedCycles, profile: profileOf(machine, counts), keep: () => keepState(machine) };
}

function profileOf(machine: Machine, counts: readonly Counts[]): Profile {
  const issues = zeroCounts();
  for (const chip of counts) for (const op of Object.keys(isa) as Mnemonic[]) issues[op] += chip[op];
  return { issues, chips: counts.map((chip) => ({ issues: chip })), macs: machine.macs };
}

/** The queues of all chips; two of one unit are a fault. */
export function collectQueues(machine: Machine): QueueState[] {
  const queues: QueueState[] = [];
  machine.program.chips.forEach((chip, index) => {
    const names = new Set<string>();
    for (const { unit, instructions } of chip.queues) {
      const state = machine.chips[index];
      if (state === undefined || instructions.length === 0) continue;
      const name = unitName(unit);
      if (names.has(name)) raiseAt(machine, "queue", state, name, "the unit has two queues");
      names.add(name);
      queues.push({ chip: state, unit, instructions, index: 0, repetition: 0, next: 0 });
    }
  });
  return queues;
}

/** Executes queues to their end; `events` ascend by cycle. */
export function run(
  machine: Machine,
  queues: readonly QueueState[],
  events: readonly HostEvent[],
  counts: readonly Counts[],
  options: InterpretOptions,
): void {
  let due = 0;
  const hostUntil = (cycle: number): void => {
    for (let event = events[due]; event !== undefined && event.cycle <= cycle; event = events[due]) {
      due += 1;
      if (machine.fault === undefined) event.act();
    }
  };
  const timeline = makeTimeline(queues.length);
  for (let i = 0; i < queues.length && machine.fault === undefined; i += 1) {
    startInstruction(machine, queues[i] as QueueState, timeline, i, -1);
  }
  let until = PROGRESS_EVERY;
  while (machine.fault === undefined) {
    const number = popTimeline(timeline);
    if (number < 0) break;
    const queue = queues[number] as QueueState;
    const ins = queue.instructions[queue.index] as Instruction;
    machine.queue = undefined;
    hostUntil(queue.next);
    if (machine.fault !== undefined) break;
    machine.queue = queue;
    machine.cycle = queue.next;
    execute(machine, queue, ins);
    (counts[queue.chip.index] as Counts)[ins.op] += 1;
    if (machine.fault === undefined) advance(machine, queue, ins, timeline, number);
    until -= 1;
    if (until === 0) {
      until = PROGRESS_EVERY;
      options.progress?.(machine.cycle);
    }
  }
  machine.queue = undefined;
  hostUntil(Number.MAX_SAFE_INTEGER);
}

const lastCycle = (machine: Machine): number => Math.min(LAST_CYCLE, machine.program.latencyCycles + OVERRUN_CYCLES);

/** To the next issue of the burst, or to the next instruction. */
function advance(machine: Machine, queue: QueueState, ins: Instruction, timeline: Timeline, number: number): void {
  if (queue.repetition + 1 < ins.count) {
    queue.repetition += 1;
    queue.next += ins.period;
    if (queue.next > lastCycle(machine)) raise(machine, "range", `issues after cycle ${lastCycle(machine)}`);
    else pushTimeline(timeline, queue.next, number);
    return;
  }
  const last = queue.next;
  queue.index += 1;
  queue.repetition = 0;
  startInstruction(machine, queue, timeline, number, last);
}

/** Enters the queue's next instruction, which must issue after cycle `last`. */
function startInstruction(machine: Machine, queue: QueueState, timeline: Timeline, number: number, last: number): void {
  const ins = queue.instructions[queue.index];
  if (ins === undefined) return;
  machine.queue = queue;
  const proper = Number.isInteger(ins.cycle) && Number.isInteger(ins.count) && Number.isInteger(ins.period);
  if (!proper || ins.count < 1 || ins.period < 1 || ins.cycle < 0 || ins.cycle > lastCycle(machine)) {
    raise(machine, "form", `issues ${ins.count} times from cycle ${ins.cycle}, every ${ins.period}`);
  } else if (ins.cycle <= last) {
    raise(machine, "queue", `issues in cycle ${ins.cycle}, but the instruction before it in cycle ${last}`);
  } else {
    queue.next = ins.cycle;
    pushTimeline(timeline, ins.cycle, number);
  }
}

/** Nothing may be left on the way. */
export function checkEnd(machine: Machine): void {
  for (const { connection, sentAt } of machine.links) {
    const [sent] = sentAt;
    const to = machine.chips[connection.to];
    if (sent === undefined || to === undefined) continue;
    const message = `the vector that chip ${connection.from} sent in cycle ${sent} is never received`;
    raiseAt(machine, "link", to, unitName({ kind: "linkReceive", port: connection.toPort }), message);
  }
  for (const chip of machine.chips) {
    for (const { index, waiting, buffer } of chip.planes) {
      const name = (kind: "mxmLoad" | "mxmAccumulate"): string => unitName({ kind, plane: index });
      if (waiting.count > 0) {
        const message = `the product of the ABC in cycle ${waiting.issued[waiting.first]} is never taken by an ACC`;
        raiseAt(machine, "accumulator", chip, name("mxmAccumulate"), message);
      }
      if (buffer.mode !== undefined)
        raiseAt(machine, "weights", chip, name("mxmLoad"), "the last rows loaded are never installed");
    }
  }
}
