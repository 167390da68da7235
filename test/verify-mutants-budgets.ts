// Mutants of what a program claims in numbers: `capacity` for what does not fit, `determinism` for wrong certificates, `overlap` for too small
// intervals.
import type { Program } from "../ir/machine/program.ts";
import { unitName } from "../ir/machine/program.ts";
import {
  editChip,
  editSymbol,
  type Mutation,
  onClaim,
  onProgram,
  pick,
  type Random,
  shift,
} from "./verify-mutation.ts";

/** Issues of the busiest queue: no interval can be shorter. */
function busiest(program: Program): number {
  const issues = new Map<string, number>();
  program.chips.forEach((chip, c) => {
    for (const queue of chip.queues) {
      const key = `${c} ${unitName(queue.unit)}`;
      const count = queue.instructions.reduce((sum, ins) => sum + ins.count, 0);
      issues.set(key, (issues.get(key) ?? 0) + count);
    }
  });
  return Math.max(...issues.values());
}

/** Tokens so far apart that an instruction meets a later one of its own queue. */
function meetingInterval(program: Program, random: Random): Program | undefined {
  const queues = program.chips.flatMap((chip) => chip.queues).filter(({ instructions }) => instructions.length > 1);
  const instructions = pick(random, queues)?.instructions ?? [];
  const at = random(Math.max(1, instructions.length - 1));
  const [first, second] = [instructions[at], pick(random, instructions.slice(at + 1))];
  if (first === undefined || second === undefined || second.cycle <= first.cycle) return undefined;
  return { ...program, initiationIntervalCycles: second.cycle - first.cycle };
}

export const budgets: readonly Mutation[] = [
  onClaim("oversize text", ["capacity"], (program, random) =>
    editChip(program, random(program.chips.length), (chip) => ({ ...chip, textBytes: 2 ** 33 + random(1000) })),
  ),
  onClaim("text that holds no program", ["capacity"], (program, random) =>
    editChip(program, random(program.chips.length), (chip) => ({ ...chip, textBytes: [0, -1, 0.5][random(3)] ?? 0 })),
  ),
  onProgram("buffer grows over its slice", ["capacity"], (program, random) =>
    editSymbol(program, random(program.symbols.length), (symbol) => ({ ...symbol, words: 2 ** 20 })),
  ),
  onProgram("buffer in a slice that is not there", ["capacity"], (program, random) =>
    editSymbol(program, random(program.symbols.length), (symbol) => ({
      ...symbol,
      slices: [{ hemisphere: "W", slice: program.target.mem.slicesPerHemisphere + random(5) }],
    })),
  ),
  onProgram("buffer on a chip that is not there", ["capacity"], (program, random) =>
    editSymbol(program, random(program.symbols.length), (symbol) => ({ ...symbol, chip: program.chips.length })),
  ),
  onClaim("two buffers claim one place", ["capacity"], (program, random) => {
    const twin = pick(
      random,
      program.symbols.filter(({ words, from, until }) => words > 0 && from < until),
    );
    return twin === undefined
      ? undefined
      : { ...program, symbols: [...program.symbols, { ...twin, name: "twin", role: "text" }] };
  }),
  onClaim("wrong certificate", ["determinism"], (program, random) => ({
    ...program,
    latencyCycles: program.latencyCycles + shift(random),
  })),
  onClaim("wrong term of the certificate", ["determinism"], (program, random) => {
    const at = random(Math.max(1, program.latencyTerms.length));
    const edit = random(2) === 0 ? { cycles: shift(random) } : { cycles: 0, count: 1 };
    return {
      ...program,
      latencyTerms: program.latencyTerms.map((term, i) =>
        i === at ? { ...term, cycles: term.cycles + edit.cycles, count: term.count + (edit.count ?? 0) } : term,
      ),
    };
  }),
  onClaim("a stage of other cycles", ["determinism"], (program, random) => {
    const at = random(program.stages.length);
    const later = 1 + random(3);
    return {
      ...program,
      stages: program.stages.map((stage, i) => {
        if (i !== at) return stage;
        if (random(2) === 0) return { ...stage, startCycle: stage.startCycle + stage.endCycle * later };
        return {
          ...stage,
          endCycle: random(2) === 0 ? stage.startCycle + later : program.latencyCycles + 1000 * later,
        };
      }),
    };
  }),
  onClaim("no stage where something is bound", ["determinism"], (program, random) => {
    const chips = program.bindings.flatMap(({ placements }) => placements.map(({ chip }) => chip));
    const gone = pick(random, chips);
    return gone === undefined ? undefined : { ...program, stages: program.stages.filter(({ chip }) => chip !== gone) };
  }),
  onClaim("no interval", ["determinism"], (program, random) => ({
    ...program,
    initiationIntervalCycles: [0, -5, 1.5, Number.NaN][random(4)] ?? 0,
  })),
  onClaim("a bound above the latency", ["determinism"], (program, random) => ({
    ...program,
    lowerBound: { ...program.lowerBound, cycles: program.latencyCycles + 1 + random(100) },
  })),
  onClaim("smaller interval", ["overlap"], (program, random) => ({
    ...program,
    initiationIntervalCycles: 1 + random(Math.max(1, busiest(program) - 1)),
  })),
  onClaim("an interval at which two instructions of a queue meet", ["overlap"], meetingInterval),
];
