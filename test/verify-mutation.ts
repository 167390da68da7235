// What a mutation of a program is, and the edits that mutations are made of. Seeded: the same seed gives the same mutant.
import type { InvariantName } from "../backends/check/report.ts";
import type { Instruction } from "../ir/machine/isa.ts";
import type { Binding, ChipProgram, Placement, Program, ProgramSymbol, Queue, Unit } from "../ir/machine/program.ts";
import { unitName } from "../ir/machine/program.ts";

/** Numbers in 0..limit-1, the same for the same seed. */
export type Random = (limit: number) => number;

export function newRandom(seed: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

export interface Mutation {
  readonly name: string;
  /** Right names: the violation must be told under one of these. Consequences may be told under others besides. */
  readonly right: readonly InvariantName[];
  /** Changes what the program says it computes: what it does cannot tell whether that is right, so every mutant must be caught. */
  readonly always?: boolean;
  /** undefined where the program has nothing to mutate in this way. */
  readonly apply: (program: Program, random: Random) => Program | undefined;
}

export type Op = Instruction["op"];

/** All that may be shifted, repeated, dropped: everything but the deskew. */
export const anyOp = [
  "read",
  "write",
  "gather",
  "scatter",
  "lw",
  "iw",
  "abc",
  "acc",
  "alu",
  "permute",
  "send",
  "receive",
] as const satisfies readonly Op[];

/** Where an instruction stands. */
export interface Spot {
  readonly chip: number;
  readonly queue: number;
  readonly index: number;
  readonly unit: Unit;
  readonly ins: Instruction;
}

export function spotsOf(program: Program, ops: readonly Op[]): readonly Spot[] {
  return program.chips.flatMap((chip, c) =>
    chip.queues.flatMap((queue, q) =>
      queue.instructions.flatMap((ins, index) =>
        ops.includes(ins.op) ? [{ chip: c, queue: q, index, unit: queue.unit, ins }] : [],
      ),
    ),
  );
}

export const pick = <T>(random: Random, items: readonly T[]): T | undefined => items[random(Math.max(1, items.length))];

export function editChip(program: Program, chip: number, edit: (chip: ChipProgram) => ChipProgram): Program {
  return { ...program, chips: program.chips.map((one, c) => (c === chip ? edit(one) : one)) };
}

export function editQueue(
  program: Program,
  { chip, queue }: { readonly chip: number; readonly queue: number },
  edit: (queue: Queue) => readonly Instruction[],
): Program {
  return editChip(program, chip, (one) => ({
    ...one,
    queues: one.queues.map((each, q) => (q === queue ? { ...each, instructions: edit(each) } : each)),
  }));
}

const inOrder = (instructions: readonly Instruction[]): readonly Instruction[] =>
  [...instructions].sort((a, b) => a.cycle - b.cycle);

/** Replaces one instruction; the queue is put in order again. */
export function replace(program: Program, spot: Spot, changed: Instruction): Program {
  return editQueue(program, spot, ({ instructions }) =>
    inOrder(instructions.map((ins, i) => (i === spot.index ? changed : ins))),
  );
}

/** Adds an instruction to the queue of a unit, which is made if there is none. */
export function insert(program: Program, chip: number, unit: Unit, ins: Instruction): Program {
  const name = unitName(unit);
  return editChip(program, chip, (one) => {
    const found = one.queues.some((queue) => unitName(queue.unit) === name);
    if (!found) return { ...one, queues: [...one.queues, { unit, instructions: [ins] }] };
    const queues = one.queues.map((queue) =>
      unitName(queue.unit) === name ? { ...queue, instructions: inOrder([...queue.instructions, ins]) } : queue,
    );
    return { ...one, queues };
  });
}

export function editSymbol(program: Program, index: number, edit: (symbol: ProgramSymbol) => ProgramSymbol): Program {
  return { ...program, symbols: program.symbols.map((symbol, i) => (i === index ? edit(symbol) : symbol)) };
}

/** Edits the one placement numbered `index` among those of all bindings that `wanted` takes. */
export function editPlacement(
  program: Program,
  random: Random,
  wanted: (binding: Binding) => boolean,
  edit: (placement: Placement) => Placement | undefined,
): Program | undefined {
  const all = program.bindings.flatMap((binding) => (wanted(binding) ? binding.placements : []));
  const chosen = pick(random, all);
  const changed = chosen === undefined ? undefined : edit(chosen);
  if (changed === undefined) return undefined;
  const bindings = program.bindings.map((binding) => ({
    ...binding,
    placements: binding.placements.map((placement) => (placement === chosen ? changed : placement)),
  }));
  return { ...program, bindings };
}

/** A mutation of one random instruction among `ops` that `change` can be applied to (a few are tried). */
export function onInstruction(
  name: string,
  right: readonly InvariantName[],
  ops: readonly Op[],
  change: (ins: Instruction, random: Random, program: Program, spot: Spot) => Instruction | undefined,
): Mutation {
  return {
    name,
    right,
    apply: (program, random) => {
      const spots = spotsOf(program, ops);
      for (let attempt = 0; attempt < 40; attempt++) {
        const spot = pick(random, spots);
        const changed = spot === undefined ? undefined : change(spot.ins, random, program, spot);
        if (spot !== undefined && changed !== undefined) return replace(program, spot, changed);
      }
      return undefined;
    },
  };
}

export function dropped(name: string, right: readonly InvariantName[], ops: readonly Op[]): Mutation {
  return {
    name,
    right,
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, ops));
      if (spot === undefined) return undefined;
      return editQueue(program, spot, (queue) => queue.instructions.filter((_, i) => i !== spot.index));
    },
  };
}

/** A mutation of what the program claims, told without fail. */
export function onClaim(name: string, right: readonly InvariantName[], apply: Mutation["apply"]): Mutation {
  return { name, right, always: true, apply };
}

/** A mutation of the program as a whole. */
export function onProgram(name: string, right: readonly InvariantName[], apply: Mutation["apply"]): Mutation {
  return { name, right, apply };
}

export const shift = (random: Random): number => [-3, -2, -1, 1, 2, 3][random(6)] ?? 1;

/** The instruction `by` cycles later; undefined before cycle 0. */
export const shifted = (ins: Instruction, by: number): Instruction | undefined =>
  ins.cycle + by < 0 ? undefined : { ...ins, cycle: ins.cycle + by };
