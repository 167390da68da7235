// When each kernel of a program runs: first and last cycle on each chip, and the source nodes it implements. Pure.
import type { Program } from "../../ir/machine/program.ts";

export interface KernelSpan {
  readonly chip: number;
  readonly kernel: string;
  readonly nodes: readonly string[];
  readonly firstCycle: number;
  /** Cycle of the last issue. */
  readonly lastCycle: number;
  readonly instructions: number;
  readonly issues: number;
}

/** A row for each note on each chip, by first cycle. */
export function kernelSpans(program: Program): readonly KernelSpan[] {
  const { notes, origins } = program.debug;
  const spans: KernelSpan[] = [];
  for (const [chip, part] of program.chips.entries()) {
    const own = new Map<number, { first: number; last: number; instructions: number; issues: number }>();
    for (const { instructions } of part.queues) {
      for (const { note, cycle, count, period } of instructions) {
        const last = cycle + (count - 1) * period;
        const span = own.get(note);
        if (span === undefined) {
          own.set(note, { first: cycle, last, instructions: 1, issues: count });
          continue;
        }
        span.first = Math.min(span.first, cycle);
        span.last = Math.max(span.last, last);
        span.instructions += 1;
        span.issues += count;
      }
    }
    for (const [note, { first, last, instructions, issues }] of own) {
      const nodes = (notes[note]?.origins ?? []).flatMap((origin) => origins[origin]?.name ?? []);
      const kernel = notes[note]?.kernel ?? "";
      spans.push({ chip, kernel, nodes, firstCycle: first, lastCycle: last, instructions, issues });
    }
  }
  return spans.sort((a, b) => a.firstCycle - b.firstCycle || a.chip - b.chip || a.lastCycle - b.lastCycle);
}
