// Several inferences under way at once, one initiation interval apart, on the same machine: each queue issues the instructions of all of them,
// each shifted by its own start. The host binds an inference's inputs when its stage begins on a chip and reads results when it ends there.
import type { Instruction } from "../../ir/machine/isa.ts";
import type { ChipProgram, Program, Queue } from "../../ir/machine/program.ts";
import type { Fault } from "./fault.ts";
import { bindInputs, type HostTensor, loadImages, readOutputs } from "./host.ts";
import { checkEnd, collectQueues, type HostEvent, type InterpretOptions, run, zeroCounts } from "./interpret.ts";
import { makeMachine } from "./machine.ts";
import { raiseOutside } from "./raise.ts";
import type { Machine } from "./state.ts";

export type OverlapResult =
  | {
      readonly ok: true;
      /** Outputs of every inference in order. */
      readonly outputs: readonly ReadonlyMap<string, HostTensor>[];
      /** Cycle 0 to the last write of the last inference. */
      readonly executedCycles: number;
    }
  | { readonly ok: false; readonly fault: Fault };

const shifted = (ins: Instruction, by: number): Instruction => ({ ...ins, cycle: ins.cycle + by });

function repeatedQueue(queue: Queue, inferences: number, interval: number): Queue {
  const instructions = Array.from({ length: inferences }, (_, t) =>
    queue.instructions.map((ins) => shifted(ins, t * interval)),
  ).flat();
  return { unit: queue.unit, instructions: instructions.sort((a, b) => a.cycle - b.cycle) };
}

/** Binding and reading on one chip, for every inference. Where one stage ends as the next begins, results are read first. */
function hostEvents(
  machine: Machine,
  inputs: readonly ReadonlyMap<string, HostTensor>[],
  outputs: readonly Map<string, HostTensor>[],
): HostEvent[] {
  const { stages, initiationIntervalCycles: interval, bindings } = machine.program;
  const resultChip = new Map(
    bindings.flatMap(({ kind, name, placements: [first] }) =>
      kind === "output" && first !== undefined ? [[name, first.chip] as const] : [],
    ),
  );
  const events: (HostEvent & { readonly order: number })[] = [];
  inputs.forEach((values, t) => {
    for (const { chip, startCycle, endCycle } of stages) {
      const bind = (): void => bindInputs(machine, values, { chip });
      const read = (): void => {
        for (const [name, tensor] of readOutputs(machine, (output) => resultChip.get(output) === chip))
          outputs[t]?.set(name, tensor);
      };
      events.push({ cycle: startCycle + t * interval, act: bind, order: 1 });
      events.push({ cycle: endCycle + t * interval, act: read, order: 0 });
    }
    const last = Math.max(0, ...stages.map(({ endCycle }) => endCycle)) + t * interval;
    const readElsewhere = (): void => {
      for (const [name, tensor] of readOutputs(machine, (output) => resultChip.get(output) === undefined))
        outputs[t]?.set(name, tensor);
    };
    events.push({ cycle: last, act: readElsewhere, order: 0 });
  });
  return events.sort((a, b) => a.cycle - b.cycle || a.order - b.order);
}

/** Runs one inference for each entry of `inputs`, each beginning an initiation interval after the one before. */
export function interpretOverlapped(
  program: Program,
  inputs: readonly ReadonlyMap<string, HostTensor>[],
  options: Pick<InterpretOptions, "isFast"> = {},
): OverlapResult {
  const interval = program.initiationIntervalCycles;
  const chips = program.chips.map(
    (chip): ChipProgram => ({
      ...chip,
      queues: chip.queues.map((queue) => repeatedQueue(queue, inputs.length, interval)),
    }),
  );
  const machine = makeMachine({ ...program, chips }, options.isFast);
  if (machine.fault === undefined) loadImages(machine);
  const outputs = inputs.map(() => new Map<string, HostTensor>());
  const events = hostEvents(machine, inputs, outputs);
  if (machine.fault === undefined) run(machine, collectQueues(machine), events, program.chips.map(zeroCounts), {});
  if (machine.fault === undefined) checkEnd(machine);
  const executedCycles = machine.lastWritten < 0 ? 0 : machine.lastWritten + program.target.verticalRipple;
  const promised = program.latencyCycles + Math.max(0, inputs.length - 1) * interval;
  if (machine.fault === undefined && machine.lastWritten >= 0 && executedCycles !== promised) {
    const message = `${inputs.length} inferences should take ${promised} cycles, the last write is complete at ${executedCycles}`;
    raiseOutside(machine, "latency", 0, undefined, message);
  }
  return machine.fault === undefined ? { ok: true, outputs, executedCycles } : { ok: false, fault: machine.fault };
}
