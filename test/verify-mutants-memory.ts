// Mutants of memory accesses and of the buffers they claim. A wrong word is an `operand` violation (the value is not the graph's), `range` where
// it is outside slice or buffer, `lifetime` where a value is gone or a claim on time is broken, `bank` where the two ports meet.
import type { Instruction } from "../ir/machine/isa.ts";
import type { Program, ProgramSymbol } from "../ir/machine/program.ts";
import { wordsPerSlice } from "../ir/target/geometry.ts";
import {
  dropped,
  editChip,
  editSymbol,
  insert,
  type Mutation,
  onInstruction,
  onProgram,
  pick,
  type Random,
  type Spot,
  spotsOf,
} from "./verify-mutation.ts";

const accesses = ["read", "write", "gather", "scatter"] as const;
type Access = Instruction & { readonly op: (typeof accesses)[number] };

const isAccess = (ins: Instruction): ins is Access => (accesses as readonly string[]).includes(ins.op);

/** Moves a buffer with all its accesses by `offset` words. */
function moveBuffer(program: Program, symbol: number, offset: number): Program {
  const chips = program.chips.map((chip) => ({
    ...chip,
    queues: chip.queues.map((queue) => ({
      ...queue,
      instructions: queue.instructions.map((ins) =>
        ins.symbol === symbol && isAccess(ins) ? { ...ins, address: ins.address + offset } : ins,
      ),
    })),
  }));
  return editSymbol({ ...program, chips }, symbol, (one) => ({ ...one, address: one.address + offset }));
}

const whereOf = (symbol: ProgramSymbol): string =>
  `${symbol.chip} ${symbol.slices.map(({ hemisphere, slice }) => hemisphere + slice).join()}`;

/** Moves a written buffer onto another one of the same slices that lives at the same time. */
function moveOnto(program: Program, random: Random): Program | undefined {
  const written = new Set(spotsOf(program, ["write"]).map(({ ins }) => ins.symbol));
  const found = [...written].flatMap((from) => {
    const a = program.symbols[from];
    if (a === undefined || a.role !== "activation") return [];
    return program.symbols.flatMap((b, to) => {
      const together = from !== to && whereOf(a) === whereOf(b) && a.from < b.until && b.from < a.until;
      return together && a.address !== b.address ? [{ from, offset: b.address - a.address }] : [];
    });
  });
  const chosen = pick(random, found);
  return chosen === undefined ? undefined : moveBuffer(program, chosen.from, chosen.offset);
}

/** A write of other data into a word between its own write and its read. */
function overwrite(program: Program, random: Random): Program | undefined {
  const read = pick(
    random,
    spotsOf(program, ["read"]).filter(({ ins }) => program.symbols[ins.symbol]?.role === "activation"),
  );
  if (read?.ins.op !== "read" || read.unit.kind !== "memRead") return undefined;
  const { hemisphere, slice } = read.unit;
  const { address, cycle, direction, stream, note, symbol } = read.ins;
  const other = program.symbols.findIndex((one, i) => i !== symbol && one.role === "activation");
  const write: Instruction = {
    op: "write",
    cycle: Math.max(0, cycle - 1),
    count: 1,
    period: 1,
    address,
    stride: 0,
    direction,
    stream,
    note,
    symbol: other < 0 || random(2) === 0 ? symbol : other,
  };
  return insert(program, read.chip, { kind: "memWrite", hemisphere, slice }, write);
}

function besideRead(program: Program, random: Random): Program | undefined {
  const spot = pick(random, spotsOf(program, ["read", "gather"]));
  if (spot === undefined || spot.unit.kind !== "memRead" || !isAccess(spot.ins)) return undefined;
  const { direction, stream, cycle, address, note, symbol } = spot.ins;
  const write: Instruction = {
    op: "write",
    cycle: cycle + spot.ins.period * random(spot.ins.count),
    count: 1,
    period: 1,
    address,
    stride: 0,
    direction,
    stream,
    note,
    symbol,
  };
  const { hemisphere, slice } = spot.unit;
  return insert(program, spot.chip, { kind: "memWrite", hemisphere, slice }, write);
}

function besideWrite(program: Program, random: Random): Program | undefined {
  const spot = pick(random, spotsOf(program, ["write"]));
  if (spot?.ins.op !== "write" || spot.unit.kind !== "memWrite") return undefined;
  const { cycle, count, period, address, note, symbol } = spot.ins;
  const words = program.symbols[symbol]?.words ?? 1;
  const first = program.symbols[symbol]?.address ?? address;
  const read: Instruction = {
    op: "read",
    cycle: cycle + period * random(count),
    count: 1,
    period: 1,
    address: first + random(words),
    stride: 0,
    direction: random(2) === 0 ? "W" : "E",
    stream: random(program.target.streamsPerDirection),
    note,
    symbol,
  };
  const { hemisphere, slice } = spot.unit;
  return insert(program, spot.chip, { kind: "memRead", hemisphere, slice }, read);
}

const lastTouch = (program: Program, symbol: number): number =>
  spotsOf(program, accesses).reduce(
    (last, { ins }) => (ins.symbol === symbol ? Math.max(last, ins.cycle + (ins.count - 1) * ins.period) : last),
    0,
  );
const firstTouch = (program: Program, symbol: number): number =>
  spotsOf(program, accesses).reduce(
    (first, { ins }) => (ins.symbol === symbol ? Math.min(first, ins.cycle) : first),
    Number.MAX_SAFE_INTEGER,
  );

const touched = (program: Program, random: Random): number | undefined =>
  pick(random, [...new Set(spotsOf(program, accesses).map(({ ins }) => ins.symbol))]);

export const memory: readonly Mutation[] = [
  onInstruction("move a read address", ["operand", "range", "lifetime", "bank"], ["read"], (ins, random, program) =>
    ins.op === "read"
      ? { ...ins, address: ins.address + 1 + random(program.symbols[ins.symbol]?.words ?? 1) }
      : undefined,
  ),
  onInstruction("move a write address", ["operand", "range", "lifetime", "bank"], ["write"], (ins, random) =>
    ins.op === "write" ? { ...ins, address: ins.address + 1 + random(3) } : undefined,
  ),
  onInstruction("address outside the slice", ["range"], accesses, (ins, random, program) =>
    isAccess(ins) ? { ...ins, address: [wordsPerSlice(program.target), -1, 2 ** 20][random(3)] ?? -1 } : undefined,
  ),
  onInstruction("claim another buffer", ["range", "operand", "lifetime"], ["read", "write"], (ins, random, program) =>
    program.symbols.length < 2
      ? undefined
      : { ...ins, symbol: (ins.symbol + 1 + random(program.symbols.length - 1)) % program.symbols.length },
  ),
  onInstruction("claim no buffer", ["range"], accesses, (ins) => ({ ...ins, symbol: -1 })),
  onInstruction("stride off", ["operand", "range", "lifetime", "bank"], ["read", "write"], (ins, random) =>
    (ins.op === "read" || ins.op === "write") && ins.count > 1
      ? { ...ins, stride: ins.stride + (random(2) === 0 ? 1 : -1) }
      : undefined,
  ),
  onInstruction("the other bank", ["range"], accesses, (ins, _random, program) => {
    const { wordsPerBank } = program.target.mem;
    return isAccess(ins)
      ? { ...ins, address: ins.address < wordsPerBank ? ins.address + wordsPerBank : ins.address - wordsPerBank }
      : undefined;
  }),
  onInstruction("gather beyond its table", ["range"], ["gather", "scatter"], (ins, random, program) =>
    ins.op === "gather" || ins.op === "scatter"
      ? { ...ins, limit: ins.limit + (program.symbols[ins.symbol]?.words ?? 1) + random(9) }
      : undefined,
  ),
  onInstruction("gather from a part of its table", ["operand"], ["gather", "scatter"], (ins, random) =>
    (ins.op === "gather" || ins.op === "scatter") && ins.limit > 1
      ? { ...ins, limit: 1 + random(Math.min(2, ins.limit - 1)) }
      : undefined,
  ),
  onInstruction("gather rows of another size", ["operand", "range"], ["gather", "scatter"], (ins) =>
    ins.op === "gather" || ins.op === "scatter" ? { ...ins, scale: ins.scale + 1 } : undefined,
  ),
  onInstruction("gather by other indices", ["operand", "range"], ["gather", "scatter"], (ins, random, program) =>
    ins.op === "gather" || ins.op === "scatter"
      ? { ...ins, map: (ins.map + 4 * (1 + random(7))) % program.target.streamsPerDirection }
      : undefined,
  ),
  dropped("drop a write", ["operand", "completeness", "determinism", "lifetime"], ["write", "scatter"]),
  dropped("drop a read", ["operand"], ["read", "gather"]),
  onProgram("write beside a read of the same bank", ["bank"], besideRead),
  onProgram("read beside a write of the same bank", ["bank"], besideWrite),
  onProgram("write just before a read", ["operand", "lifetime", "range", "queue", "bank"], overwrite),
  onProgram("write into a weight", ["lifetime", "range"], (program, random) => {
    const fixed = program.symbols.flatMap(({ role }, i) => (role === "weight" || role === "constant" ? [i] : []));
    const symbol = pick(random, fixed);
    const spot = pick(random, spotsOf(program, ["write"]));
    const where = symbol === undefined ? undefined : program.symbols[symbol];
    const slice = where?.slices[0];
    if (spot?.ins.op !== "write" || where === undefined || slice === undefined || symbol === undefined)
      return undefined;
    const ins: Instruction = { ...spot.ins, address: where.address, stride: 0, symbol };
    return insert(program, where.chip, { kind: "memWrite", ...slice }, ins);
  }),
  onProgram("claimed life ends early", ["lifetime"], (program, random) => {
    const index = touched(program, random);
    if (index === undefined) return undefined;
    return editSymbol(program, index, (symbol) => ({
      ...symbol,
      until: Math.max(symbol.from, lastTouch(program, index)),
    }));
  }),
  onProgram("claimed life begins late", ["lifetime"], (program, random) => {
    const index = touched(program, random);
    if (index === undefined) return undefined;
    const from = firstTouch(program, index) + 1;
    return editSymbol(program, index, (symbol) => ({ ...symbol, from, until: Math.max(from, symbol.until) }));
  }),
  onProgram("two lives in one place", ["lifetime", "capacity"], moveOnto),
  onProgram("a buffer moves, its accesses do not", ["range"], (program, random) => {
    const index = touched(program, random);
    if (index === undefined) return undefined;
    return editSymbol(program, index, (symbol) => ({ ...symbol, address: symbol.address + 1 + random(5) }));
  }),
  onProgram("a read of an other slice", ["range", "operand", "queue"], (program, random) => {
    const spot = pick(random, spotsOf(program, ["read"]));
    if (spot === undefined || spot.unit.kind !== "memRead") return undefined;
    const unit = { ...spot.unit, slice: (spot.unit.slice + 1) % program.target.mem.slicesPerHemisphere };
    return insert(without(program, spot), spot.chip, unit, spot.ins);
  }),
];

function without(program: Program, spot: Spot): Program {
  return editChip(program, spot.chip, (chip) => ({
    ...chip,
    queues: chip.queues.map((queue, q) =>
      q === spot.queue ? { ...queue, instructions: queue.instructions.filter((_, i) => i !== spot.index) } : queue,
    ),
  }));
}
