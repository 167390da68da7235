// Mutants in time and on streams. A value that misses its reader is an `operand` violation (a `lifetime` one where an older or younger value
// of the word is read instead); what it meets on its way is told by the resource: `queue`, `stream`, `bank`.
import type { InvariantName } from "../backends/check/report.ts";
import type { Instruction } from "../ir/machine/isa.ts";
import type { Program } from "../ir/machine/program.ts";
import {
  anyOp,
  dropped,
  editQueue,
  insert,
  type Mutation,
  onInstruction,
  onProgram,
  pick,
  replace,
  type Spot,
  shift,
  shifted,
  spotsOf,
} from "./verify-mutation.ts";

const resources = ["queue", "stream", "bank"] as const;
/** What goes wrong where a value does not come when it is taken, or comes from or to the wrong place. */
const missed = ["operand", "lifetime", ...resources] as const satisfies readonly InvariantName[];
/** Bursts of other units are told by their protocols first. */
const anything = [
  ...missed,
  "range",
  "weights",
  "accumulator",
  "link",
  "completeness",
  "determinism",
] as const satisfies readonly InvariantName[];

export const timing: readonly Mutation[] = [
  onInstruction("shift a read", missed, ["read", "gather"], (ins, random) => shifted(ins, shift(random))),
  onInstruction("shift a write", [...missed, "determinism"], ["write", "scatter"], (ins, random) =>
    shifted(ins, shift(random)),
  ),
  onInstruction("shift a vector instruction", missed, ["alu", "permute"], (ins, random) => shifted(ins, shift(random))),
  onInstruction("move an instruction far", anything, anyOp, (ins, random) =>
    shifted(ins, (random(2) === 0 ? 1 : -1) * (20 + random(200))),
  ),
  onInstruction("stretch a burst", anything, anyOp, (ins) =>
    ins.count > 1 ? { ...ins, period: ins.period + 1 } : undefined,
  ),
  onInstruction("squeeze a burst", anything, anyOp, (ins) =>
    ins.count > 1 && ins.period > 1 ? { ...ins, period: ins.period - 1 } : undefined,
  ),
  onInstruction("one repetition less", anything, anyOp, (ins) =>
    ins.count > 1 ? { ...ins, count: ins.count - 1 } : undefined,
  ),
  onInstruction("one repetition more", anything, anyOp, (ins) => ({ ...ins, count: ins.count + 1 })),
  dropped("drop an instruction", anything, anyOp),
  onProgram("queue out of order", ["queue"], (program, random) => {
    const before = (spot: Spot): Instruction | undefined =>
      program.chips[spot.chip]?.queues[spot.queue]?.instructions[spot.index - 1];
    const spots = spotsOf(program, anyOp).filter((spot) => (before(spot)?.cycle ?? spot.ins.cycle) < spot.ins.cycle);
    const spot = pick(random, spots);
    if (spot === undefined) return undefined;
    return editQueue(program, spot, ({ instructions }) => [
      ...instructions.slice(0, spot.index - 1),
      spot.ins,
      before(spot) ?? spot.ins,
      ...instructions.slice(spot.index + 1),
    ]);
  }),
  onProgram("duplicate an instruction", ["queue"], (program, random) => {
    const spot = pick(random, spotsOf(program, anyOp));
    if (spot === undefined) return undefined;
    return editQueue(program, spot, ({ instructions }) => [
      ...instructions.slice(0, spot.index + 1),
      ...instructions.slice(spot.index),
    ]);
  }),
  onProgram("issue in the middle of a burst", ["queue"], (program, random) => {
    const spot = pick(
      random,
      // The rows of an LW go with its count.
      spotsOf(program, anyOp).filter(({ ins }) => ins.count > 2 && ins.op !== "lw"),
    );
    if (spot === undefined) return undefined;
    const cycle = spot.ins.cycle + spot.ins.period * (1 + random(spot.ins.count - 1));
    return insert(program, spot.chip, spot.unit, { ...spot.ins, cycle, count: 1 });
  }),
  onProgram("issue between two issues of a burst", ["queue"], (program, random) => {
    const spot = pick(
      random,
      spotsOf(program, anyOp).filter(({ ins }) => ins.count > 1 && ins.period > 1 && ins.op !== "lw"),
    );
    if (spot === undefined) return undefined;
    const { cycle: first, count, period } = spot.ins;
    const cycle = first + period * random(count - 1) + 1 + random(period - 1);
    return insert(program, spot.chip, spot.unit, { ...spot.ins, cycle, count: 1 });
  }),
  onProgram("a second queue of a unit", ["queue"], (program, random) => {
    const spot = pick(random, spotsOf(program, anyOp));
    if (spot === undefined) return undefined;
    const chips = program.chips.map((chip, c) =>
      c === spot.chip ? { ...chip, queues: [...chip.queues, { unit: spot.unit, instructions: [spot.ins] }] } : chip,
    );
    return { ...program, chips };
  }),
];

const streamOps = ["read", "write", "gather", "scatter", "abc", "acc", "lw", "permute", "send", "receive"] as const;

export const streams: readonly Mutation[] = [
  onInstruction("swap a stream", ["operand", "stream", "range"], streamOps, (ins, random, program) =>
    "stream" in ins && !(ins.op === "acc" && !ins.emit)
      ? { ...ins, stream: (ins.stream + 4 * (1 + random(7))) % program.target.streamsPerDirection }
      : undefined,
  ),
  onInstruction("swap an output stream", ["operand", "stream"], ["alu"], (ins, random, program) =>
    ins.op === "alu" && ins.output.kind === "stream"
      ? {
          ...ins,
          output: {
            ...ins.output,
            stream: (ins.output.stream + 4 * (1 + random(7))) % program.target.streamsPerDirection,
          },
        }
      : undefined,
  ),
  onInstruction("swap the byte planes of a stream", ["operand", "stream"], ["read", "write"], (ins) =>
    ins.op === "read" || ins.op === "write" ? { ...ins, stream: ins.stream ^ 1 } : undefined,
  ),
  onInstruction("turn a direction", ["operand", "stream"], ["read", "write", "gather", "scatter"], (ins) =>
    "direction" in ins ? { ...ins, direction: ins.direction === "E" ? "W" : "E" } : undefined,
  ),
  onInstruction("turn an output", ["operand", "stream"], ["alu", "permute"], (ins) => {
    if (ins.op === "permute") return { ...ins, outDirection: ins.outDirection === "E" ? "W" : "E" };
    if (ins.op !== "alu" || ins.output.kind !== "stream") return undefined;
    return { ...ins, output: { ...ins.output, direction: ins.output.direction === "E" ? "W" : "E" } };
  }),
  onProgram("two reads on one diagonal", ["stream"], (program, random) => {
    const reads = spotsOf(program, ["read"]);
    const spot = pick(random, reads);
    const twin = pick(
      random,
      reads.filter((one) => one.chip === spot?.chip && one.queue !== spot.queue),
    );
    if (spot?.ins.op !== "read" || twin?.ins.op !== "read") return undefined;
    const moved = onSameStream(program, spot, spot.ins, twin, twin.ins);
    return moved.cycle < 0 ? undefined : replace(program, twin, moved);
  }),
];

type Read = Instruction & { readonly op: "read" };

/** `moved` on the stream and diagonal of `ins`; columns are counted from the slices. */
function onSameStream(program: Program, spot: Spot, ins: Read, twin: Spot, moved: Read): Read {
  const columnOf = ({ unit }: Spot): number => {
    if (unit.kind !== "memRead") return 0;
    const group = Math.floor(unit.slice / program.target.mem.slicesPerColumn);
    return unit.hemisphere === "W" ? -1 - group : 1 + group;
  };
  const hops = columnOf(twin) - columnOf(spot);
  return {
    ...moved,
    stream: ins.stream,
    direction: ins.direction,
    cycle: ins.cycle + (ins.direction === "E" ? hops : -hops),
  };
}
