// Seeded mutants of a good program: every operator breaks one thing and says under which names that may be told.
import type { InvariantName } from "../backends/check/report.ts";
import type { Instruction } from "../ir/machine/isa.ts";
import type { ChipProgram, Program, ProgramSymbol, Queue } from "../ir/machine/program.ts";

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

interface Spot {
  readonly chip: number;
  readonly queue: number;
  readonly index: number;
  readonly ins: Instruction;
}

type Op = Instruction["op"];

function spotsOf(program: Program, ops: readonly Op[]): readonly Spot[] {
  return program.chips.flatMap((chip, c) =>
    chip.queues.flatMap((queue, q) =>
      queue.instructions.flatMap((ins, index) => (ops.includes(ins.op) ? [{ chip: c, queue: q, index, ins }] : [])),
    ),
  );
}

const pick = <T>(random: Random, items: readonly T[]): T | undefined => items[random(Math.max(1, items.length))];

function editQueue(program: Program, spot: Spot, edit: (queue: Queue) => readonly Instruction[]): Program {
  const chips = program.chips.map((chip, c): ChipProgram => {
    if (c !== spot.chip) return chip;
    const queues = chip.queues.map((queue, q) => (q === spot.queue ? { ...queue, instructions: edit(queue) } : queue));
    return { ...chip, queues };
  });
  return { ...program, chips };
}

/** Replaces one instruction; the queue is put in order again. */
function replace(program: Program, spot: Spot, changed: Instruction): Program {
  return editQueue(program, spot, ({ instructions }) =>
    instructions.map((ins, i) => (i === spot.index ? changed : ins)).sort((a, b) => a.cycle - b.cycle),
  );
}

function editSymbol(program: Program, index: number, edit: (symbol: ProgramSymbol) => ProgramSymbol): Program {
  return { ...program, symbols: program.symbols.map((symbol, i) => (i === index ? edit(symbol) : symbol)) };
}

export interface Mutation {
  readonly name: string;
  /** The violation must be told under one of these. */
  readonly expected: readonly InvariantName[];
  /** undefined where the program has nothing to mutate in this way. */
  readonly apply: (program: Program, random: Random) => Program | undefined;
}

const anyOp = [
  "read",
  "write",
  "gather",
  "lw",
  "iw",
  "abc",
  "acc",
  "alu",
  "permute",
  "send",
  "receive",
] as const satisfies readonly Op[];

/** A mutation of one random instruction among `ops`. */
function onInstruction(
  name: string,
  expected: readonly InvariantName[],
  ops: readonly Op[],
  change: (ins: Instruction, random: Random, program: Program) => Instruction | undefined,
): Mutation {
  return {
    name,
    expected,
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, ops));
      const changed = spot === undefined ? undefined : change(spot.ins, random, program);
      return spot === undefined || changed === undefined ? undefined : replace(program, spot, changed);
    },
  };
}

function dropped(name: string, expected: readonly InvariantName[], ops: readonly Op[]): Mutation {
  return {
    name,
    expected,
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, ops));
      if (spot === undefined) return undefined;
      return editQueue(program, spot, (queue) => queue.instructions.filter((_, i) => i !== spot.index));
    },
  };
}

const shift = (random: Random): number => [-3, -2, -1, 1, 2, 3][random(6)] ?? 1;
/** What goes wrong where values do not meet their reader. */
const missed = ["operand", "stream", "lifetime", "queue", "bank", "completeness", "determinism"] as const;

const timing: readonly Mutation[] = [
  onInstruction("shift a read", missed, ["read", "gather"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle + shift(random),
  })),
  onInstruction("shift a write", missed, ["write"], (ins, random) => ({ ...ins, cycle: ins.cycle + shift(random) })),
  onInstruction("shift a vector instruction", missed, ["alu", "permute"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle + shift(random),
  })),
  onInstruction("stretch a burst", [...missed, "weights", "accumulator", "link", "range"], anyOp, (ins) =>
    ins.count > 1 ? { ...ins, period: ins.period + 1 } : undefined,
  ),
  onInstruction("one repetition less", [...missed, "weights", "accumulator", "link", "range"], anyOp, (ins) =>
    ins.count > 1 ? { ...ins, count: ins.count - 1 } : undefined,
  ),
  onInstruction("one repetition more", [...missed, "weights", "accumulator", "link", "range"], anyOp, (ins) => ({
    ...ins,
    count: ins.count + 1,
  })),
  {
    name: "queue out of order",
    expected: ["queue"],
    apply: (program, random) => {
      const spot = pick(
        random,
        spotsOf(program, anyOp).filter((one) => one.index > 0),
      );
      if (spot === undefined) return undefined;
      return editQueue(program, spot, ({ instructions }) => [
        ...instructions.slice(0, spot.index - 1),
        spot.ins,
        instructions[spot.index - 1] ?? spot.ins,
        ...instructions.slice(spot.index + 1),
      ]);
    },
  },
  {
    name: "duplicate an instruction",
    expected: ["queue"],
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, anyOp));
      if (spot === undefined) return undefined;
      return editQueue(program, spot, ({ instructions }) => [
        ...instructions.slice(0, spot.index + 1),
        ...instructions.slice(spot.index),
      ]);
    },
  },
];

const streams: readonly Mutation[] = [
  onInstruction(
    "swap a stream",
    ["operand", "stream"],
    ["read", "write", "gather", "abc", "send", "receive"],
    (ins, random) => ("stream" in ins ? { ...ins, stream: (ins.stream + 4 * (1 + random(7))) % 32 } : undefined),
  ),
  onInstruction("swap an output stream", ["operand", "stream"], ["alu"], (ins, random) => {
    if (ins.op !== "alu" || ins.output.kind === "none") return undefined;
    return { ...ins, output: { ...ins.output, stream: (ins.output.stream + 4 * (1 + random(7))) % 32 } };
  }),
  onInstruction("turn a direction", ["operand", "stream"], ["read", "write"], (ins) =>
    ins.op === "read" || ins.op === "write" ? { ...ins, direction: ins.direction === "E" ? "W" : "E" } : undefined,
  ),
  {
    name: "two reads on one stream",
    expected: ["stream"],
    apply: (program, random) => {
      const reads = spotsOf(program, ["read"]);
      const spot = pick(random, reads);
      const twin = pick(
        random,
        reads.filter((one) => one.chip === spot?.chip && one.queue !== spot.queue),
      );
      const { ins } = spot ?? {};
      if (twin?.ins.op !== "read" || ins?.op !== "read" || spot === undefined) return undefined;
      return replace(program, twin, onSameStream(program, spot, ins, twin, twin.ins));
    },
  },
];

type Read = Instruction & { readonly op: "read" };

/** `moved` on the stream and diagonal of `ins`; columns are counted from the slices. */
function onSameStream(program: Program, spot: Spot, ins: Read, twin: Spot, moved: Read): Read {
  const columnOf = (one: Spot): number => {
    const unit = program.chips[one.chip]?.queues[one.queue]?.unit;
    if (unit?.kind !== "memRead") return 0;
    const group = Math.floor(unit.slice / program.target.mem.slicesPerColumn);
    return unit.hemisphere === "W" ? -1 - group : 1 + group;
  };
  const hops = columnOf(twin) - columnOf(spot);
  const cycle = ins.cycle + (ins.direction === "E" ? hops : -hops);
  return { ...moved, stream: ins.stream, direction: ins.direction, cycle };
}

const memory: readonly Mutation[] = [
  onInstruction("move a read address", ["operand", "range", "lifetime"], ["read"], (ins, random, program) => {
    const words = program.symbols[ins.symbol]?.words ?? 1;
    return ins.op === "read" ? { ...ins, address: ins.address + 1 + random(words) } : undefined;
  }),
  onInstruction("move a write address", ["operand", "range", "lifetime", "bank"], ["write"], (ins, random) =>
    ins.op === "write" ? { ...ins, address: ins.address + 1 + random(3) } : undefined,
  ),
  onInstruction("address outside the slice", ["range"], ["read", "write", "gather"], (ins) =>
    ins.op === "read" || ins.op === "write" || ins.op === "gather" ? { ...ins, address: 2 ** 17 } : undefined,
  ),
  onInstruction("claim another buffer", ["range", "operand"], ["read", "write"], (ins, random, program) => ({
    ...ins,
    symbol: (ins.symbol + 1 + random(program.symbols.length - 1)) % program.symbols.length,
  })),
  onInstruction("stride off", ["operand", "range"], ["read", "write"], (ins) =>
    (ins.op === "read" || ins.op === "write") && ins.count > 1 ? { ...ins, stride: ins.stride + 1 } : undefined,
  ),
  onInstruction("gather beyond its table", ["range"], ["gather"], (ins) =>
    ins.op === "gather" ? { ...ins, limit: ins.limit + 1 } : undefined,
  ),
  {
    name: "write beside a read of the same bank",
    expected: ["bank"],
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, ["read"]));
      const chip = program.chips[spot?.chip ?? 0];
      const queue = chip?.queues[spot?.queue ?? 0];
      if (spot === undefined || chip === undefined || queue?.unit.kind !== "memRead" || spot.ins.op !== "read")
        return undefined;
      const { direction, stream, cycle, address, note, symbol } = spot.ins;
      const unit = { ...queue.unit, kind: "memWrite" } as const;
      const write: Instruction = {
        op: "write",
        cycle,
        count: 1,
        period: 1,
        address,
        stride: 0,
        direction,
        stream,
        note,
        symbol,
      };
      const chips = program.chips.map((one, c) =>
        c === spot.chip ? { ...one, queues: withInstruction(one.queues, unit, write) } : one,
      );
      return { ...program, chips };
    },
  },
  {
    name: "claimed life too short",
    expected: ["lifetime"],
    apply: (program, random) => {
      const used = new Set(spotsOf(program, ["read", "write", "gather"]).map((spot) => spot.ins.symbol));
      const index = pick(random, [...used]);
      if (index === undefined) return undefined;
      return editSymbol(program, index, (symbol) => ({
        ...symbol,
        until: Math.max(symbol.from, lastTouch(program, index)),
      }));
    },
  },
  {
    name: "two lives in one place",
    expected: ["lifetime", "capacity"],
    apply: (program, random) => moveOnto(program, random),
  },
];

function withInstruction(queues: readonly Queue[], unit: Queue["unit"], ins: Instruction): readonly Queue[] {
  const same = JSON.stringify(unit);
  const found = queues.find((queue) => JSON.stringify(queue.unit) === same);
  if (found === undefined) return [...queues, { unit, instructions: [ins] }];
  const instructions = [...found.instructions, ins].sort((a, b) => a.cycle - b.cycle);
  return queues.map((queue) => (queue === found ? { unit, instructions } : queue));
}

function lastTouch(program: Program, symbol: number): number {
  let last = 0;
  for (const { ins } of spotsOf(program, ["read", "write", "gather"])) {
    if (ins.symbol === symbol) last = Math.max(last, ins.cycle + (ins.count - 1) * ins.period);
  }
  return last;
}

/** Moves a written buffer, with its accesses, to the words of another one of the same slices that lives at the same time. */
function moveOnto(program: Program, random: Random): Program | undefined {
  const pairs: [number, number][] = [];
  program.symbols.forEach((a, i) => {
    program.symbols.forEach((b, j) => {
      const together = a.chip === b.chip && a.from < b.until && b.from < a.until;
      const alike =
        JSON.stringify(a.slices) === JSON.stringify(b.slices) && a.role !== "weight" && a.role !== "constant";
      if (i !== j && together && alike && a.role !== "input") pairs.push([i, j]);
    });
  });
  const pair = pick(random, pairs);
  if (pair === undefined) return undefined;
  const [from, to] = pair;
  const offset = (program.symbols[to]?.address ?? 0) - (program.symbols[from]?.address ?? 0);
  const chips = program.chips.map((chip) => ({
    ...chip,
    queues: chip.queues.map((queue) => ({
      ...queue,
      instructions: queue.instructions.map((ins) =>
        ins.symbol === from && "address" in ins ? { ...ins, address: ins.address + offset } : ins,
      ),
    })),
  }));
  return editSymbol({ ...program, chips }, from, (symbol) => ({ ...symbol, address: symbol.address + offset }));
}

const vector: readonly Mutation[] = [
  onInstruction("another operation", ["operand", "range"], ["alu"], (ins) => {
    if (ins.op !== "alu") return undefined;
    const others = {
      add: "sub",
      sub: "rsub",
      mul: "add",
      max: "min",
      relu: "mov",
      exp2: "tanh",
      rsqrt: "exp2",
      or: "and",
    } as const;
    const operation = others[ins.operation as keyof typeof others];
    return operation === undefined ? undefined : { ...ins, operation };
  }),
  onInstruction("an operand too late", ["operand", "range"], ["alu"], (ins, random) => {
    if (ins.op !== "alu" || (ins.a.kind !== "stream" && ins.a.kind !== "alu")) return undefined;
    return { ...ins, a: { ...ins.a, delay: ins.a.delay + 1 + random(40) } };
  }),
  onInstruction("a small ALU for a large function", ["range"], ["alu"], (ins) =>
    ins.op === "alu" && ins.b.kind === "none"
      ? { ...ins, operation: "tanh", output: { kind: "stream", stream: 1, direction: "E", type: "f32" } }
      : undefined,
  ),
  onInstruction("feedback forgets to start anew", ["operand"], ["alu"], (ins) =>
    ins.op === "alu" && ins.reset > 0 ? { ...ins, reset: 0 } : undefined,
  ),
  onInstruction("another lane map", ["operand", "range"], ["permute"], (ins) =>
    ins.op === "permute" ? { ...ins, map: ins.map + 1 } : undefined,
  ),
  {
    name: "a lane map that is no bijection",
    expected: ["range"],
    apply: (program) => {
      if ((program.chips[0]?.laneMaps.length ?? 0) === 0) return undefined;
      const chips = program.chips.map((chip) => ({ ...chip, laneMaps: chip.laneMaps.map((map) => map.map(() => 3)) }));
      return { ...program, chips };
    },
  },
];

const matrix: readonly Mutation[] = [
  dropped("drop an install", ["weights"], ["iw"]),
  dropped("drop a tile load", ["weights"], ["lw"]),
  dropped("drop an activation", ["accumulator"], ["abc"]),
  dropped("drop an accumulation", ["accumulator"], ["acc"]),
  onInstruction("install too early", ["weights"], ["iw"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle - 1 - random(4),
  })),
  onInstruction("install too late", ["weights"], ["iw"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle + 1 + random(4),
  })),
  onInstruction("load rows twice", ["weights", "range"], ["lw"], (ins) =>
    ins.op === "lw" ? { ...ins, row: ins.row + 1, clear: false } : undefined,
  ),
  onInstruction("another mode", ["weights", "accumulator", "range"], ["iw", "abc"], (ins) =>
    ins.op === "iw" || ins.op === "abc" ? { ...ins, mode: ins.mode === "fp32" ? "int8" : "fp32" } : undefined,
  ),
  onInstruction("fewer elements", ["operand"], ["abc", "lw"], (ins) =>
    ins.op === "abc" || ins.op === "lw" ? { ...ins, k: ins.k - 1 } : undefined,
  ),
  onInstruction("another entry", ["accumulator", "operand", "range"], ["acc"], (ins, random, program) =>
    ins.op === "acc" && program.modelName !== "transpose" ? { ...ins, entry: ins.entry + 1 + random(2000) } : undefined,
  ),
  onInstruction("start anew in the middle", ["accumulator"], ["acc"], (ins) =>
    ins.op === "acc" && !ins.init ? { ...ins, init: true } : undefined,
  ),
  onInstruction("forget to start", ["accumulator", "operand"], ["acc"], (ins) =>
    ins.op === "acc" && ins.init ? { ...ins, init: false } : undefined,
  ),
  onInstruction("forget to emit", ["accumulator"], ["acc"], (ins) =>
    ins.op === "acc" && ins.emit ? { ...ins, emit: false } : undefined,
  ),
  onInstruction("shift an accumulation", ["accumulator"], ["acc"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle + shift(random),
  })),
];

const links: readonly Mutation[] = [
  dropped("drop a receive", ["link"], ["receive"]),
  dropped("drop a send", ["link"], ["send"]),
  onInstruction("shift a receive", ["link"], ["receive"], (ins, random) => ({
    ...ins,
    cycle: ins.cycle + shift(random),
  })),
  onInstruction("send too fast", ["link"], ["send"], (ins) => ({ ...ins, period: ins.period - 1 })),
  {
    name: "another port",
    expected: ["link", "range"],
    apply: (program, random) => {
      const spot = pick(random, spotsOf(program, ["send", "receive"]));
      if (spot === undefined) return undefined;
      const chips = program.chips.map((chip, c) => ({
        ...chip,
        queues: chip.queues.map((queue, q) => {
          const { unit } = queue;
          return c === spot.chip && q === spot.queue && "port" in unit
            ? { ...queue, unit: { ...unit, port: unit.port + 1 } }
            : queue;
        }),
      }));
      return { ...program, chips };
    },
  },
  {
    name: "another link latency",
    expected: ["link"],
    apply: (program, random) =>
      program.links.length === 0
        ? undefined
        : { ...program, links: program.links.map((link) => ({ ...link, latency: link.latency + 1 + random(50) })) },
  },
  {
    name: "no links",
    expected: ["link"],
    apply: (program) => (program.links.length === 0 ? undefined : { ...program, links: [] }),
  },
];

const whole: readonly Mutation[] = [
  {
    name: "oversize text",
    expected: ["capacity"],
    apply: (program) => ({ ...program, chips: program.chips.map((chip) => ({ ...chip, textBytes: 2 ** 33 })) }),
  },
  {
    name: "buffer grows over its slice",
    expected: ["capacity"],
    apply: (program, random) =>
      editSymbol(program, random(program.symbols.length), (symbol) => ({ ...symbol, words: 2 ** 20 })),
  },
  {
    name: "two buffers claim one place",
    expected: ["capacity"],
    apply: (program, random) => {
      const index = random(program.symbols.length);
      const twin = program.symbols[index];
      return twin === undefined
        ? undefined
        : { ...program, symbols: [...program.symbols, { ...twin, name: "twin", role: "text" }] };
    },
  },
  {
    name: "wrong certificate",
    expected: ["determinism"],
    apply: (program, random) => ({ ...program, latencyCycles: program.latencyCycles + shift(random) }),
  },
  {
    name: "no interval",
    expected: ["determinism"],
    apply: (program, random) => ({ ...program, initiationIntervalCycles: [0, -5, 1.5, Number.NaN][random(4)] ?? 0 }),
  },
  {
    name: "smaller interval",
    expected: ["overlap"],
    apply: (program, random) => ({ ...program, initiationIntervalCycles: 1 + random(20) }),
  },
  {
    name: "omit an output",
    expected: ["completeness"],
    apply: (program) => ({ ...program, bindings: program.bindings.filter((binding) => binding.kind === "input") }),
  },
  {
    name: "an output partly placed",
    expected: ["completeness"],
    apply: (program) => ({
      ...program,
      bindings: program.bindings.map((binding) => ({
        ...binding,
        placements: binding.placements.map((placement) => ({
          ...placement,
          extent: placement.extent.map((size, d) => (d === 0 && binding.kind === "output" ? size - 1 : size)),
        })),
      })),
    }),
  },
  {
    name: "a node nobody claims",
    expected: ["completeness"],
    apply: (program, random) => {
      const index = random(program.graph.nodes.length);
      if (program.graph.nodes[index]?.op === "transpose" || program.graph.nodes[index]?.op === "slice")
        return undefined;
      const notes = program.debug.notes.map((note) => ({
        ...note,
        origins: note.origins.filter((origin) => origin !== index),
      }));
      return { ...program, debug: { ...program.debug, notes } };
    },
  },
  dropped("drop a write", ["operand", "completeness", "determinism"], ["write"]),
  dropped("drop a read", ["operand"], ["read", "gather"]),
];

export const mutations: readonly Mutation[] = [
  ...timing,
  ...streams,
  ...memory,
  ...vector,
  ...matrix,
  ...links,
  ...whole,
];
