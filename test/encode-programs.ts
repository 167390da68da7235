// Random programs over the whole instruction table, for round trips. They are well formed, not legal schedules.
import fc from "fast-check";
import { textBytesOf } from "../backends/encode/queues.ts";
import { type AluOp, aluOps, type FieldKind, type Instruction, isa, type Mnemonic } from "../ir/machine/isa.ts";
import type { ChipProgram, Placement, Program, Queue, Unit } from "../ir/machine/program.ts";
import { latencyParts, unitName } from "../ir/machine/program.ts";
import type { Target } from "../ir/target/target.ts";
import { presetTarget } from "../src/targets/presets.ts";

function smallTarget(): Target {
  const target = presetTarget("ftlpu32");
  if (target === undefined) throw new Error("no preset ftlpu32");
  return target;
}
export const target = smallTarget();

const size = fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 2 ** 31 }), fc.maxSafeNat());
const signed = fc.oneof(fc.integer({ min: -100, max: 100 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 }));
const direction = fc.constantFrom("W" as const, "E" as const);
const streamType = fc.constantFrom("f32" as const, "i32" as const, "f16" as const, "i8" as const, "u8" as const);
const stream = fc.nat({ max: 31 });

const operand = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.constant({ kind: "self" as const }),
  fc.record({ kind: fc.constant("stream" as const), stream, direction, type: streamType, delay: fc.nat({ max: 300 }) }),
  fc.record({ kind: fc.constant("alu" as const), alu: fc.nat({ max: 15 }), delay: fc.nat({ max: 40 }) }),
  fc.record({ kind: fc.constant("immediate" as const), bits: fc.nat({ max: 0xffffffff }) }),
);
const output = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.record({ kind: fc.constant("stream" as const), stream, direction, type: streamType }),
);

const fieldValues: Readonly<Record<FieldKind, fc.Arbitrary<unknown>>> = {
  word: size,
  stride: signed,
  stream,
  direction,
  bytes: fc.constantFrom(1, 2, 4),
  count: size,
  lane: fc.nat({ max: 320 }),
  flag: fc.boolean(),
  index: size,
  mode: fc.constantFrom("int8", "fp16", "fp32"),
  format: fc.constantFrom("packed", "planar"),
  aluOp: fc.constantFrom(...(Object.keys(aluOps) as AluOp[])),
  operand,
  output,
};

const mnemonics = Object.keys(isa) as readonly Mnemonic[];
const unitKinds = [...new Set(mnemonics.map((name) => isa[name].unit))];

function unitOf(kind: Unit["kind"], hemisphere: "W" | "E", number: number): Unit {
  switch (kind) {
    case "memRead":
    case "memWrite":
      return { kind, hemisphere, slice: number % target.mem.slicesPerHemisphere };
    case "vxmAlu":
      return { kind, alu: number % target.vxm.alus };
    case "sxm":
      return { kind, hemisphere, index: number % target.sxm.unitsPerHemisphere };
    case "mxmLoad":
    case "mxmActivate":
    case "mxmAccumulate":
      return { kind, plane: number % target.mxm.planes };
    case "linkSend":
    case "linkReceive":
      return { kind, port: number % target.link.portsPerChip };
    case "control":
      return { kind };
  }
}

interface Timing {
  readonly gap: number;
  readonly count: number;
  readonly period: number;
  readonly note: number;
  readonly symbol: number;
}
const timing: fc.Arbitrary<Timing> = fc.record({
  gap: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 2 ** 30 })),
  count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 5000 })),
  period: fc.integer({ min: 1, max: 300 }),
  note: fc.integer({ min: -1, max: 1 }),
  symbol: fc.integer({ min: -1, max: 1 }),
});

export const instructionFields = (op: Mnemonic): fc.Arbitrary<Readonly<Record<string, unknown>>> =>
  fc.record(Object.fromEntries(Object.entries(isa[op].fields).map(([name, kind]) => [name, fieldValues[kind]])));

const instructionsOf = (kind: Unit["kind"]): fc.Arbitrary<readonly Instruction[]> => {
  const ops = mnemonics.filter((name) => isa[name].unit === kind);
  const one = fc.constantFrom(...ops).chain((op) => fc.tuple(fc.constant(op), timing, instructionFields(op)));
  return fc.array(one, { maxLength: 6 }).map((rows) => {
    let free = 0;
    return rows.map(([op, { gap, count, period, note, symbol }, fields]) => {
      const cycle = free + gap;
      const burst = { cycle, count, period: count === 1 ? 1 : period };
      free = cycle + (burst.count - 1) * burst.period + 1;
      return { op, ...burst, note, symbol, ...fields } as unknown as Instruction;
    });
  });
};

const queue: fc.Arbitrary<Queue> = fc
  .tuple(fc.constantFrom(...unitKinds), direction, fc.nat({ max: 60 }))
  .chain(([kind, hemisphere, number]) =>
    instructionsOf(kind).map((instructions) => ({ unit: unitOf(kind, hemisphere, number), instructions })),
  );

const slice = fc.record({ hemisphere: direction, slice: fc.nat({ max: 51 }) });
const image = fc
  .tuple(slice, fc.nat({ max: 1000 }), fc.uint8Array({ minLength: 0, maxLength: 3 }))
  .map(([at, address, words]) => {
    const bytes = Uint8Array.from(
      { length: words.length * target.lanes },
      (_, i) => (words[i % words.length] ?? 0) + i,
    );
    return { ...at, address, byteLength: bytes.length, read: () => bytes };
  });
const laneMap = fc
  .array(fc.integer({ min: -1, max: target.lanes - 1 }), { minLength: target.lanes, maxLength: target.lanes })
  .map((lanes) => Int16Array.from(lanes));

const chipProgram: fc.Arbitrary<ChipProgram> = fc
  .record({
    queues: fc.uniqueArray(queue, { maxLength: 6, selector: ({ unit }) => unitName(unit) }),
    images: fc.array(image, { maxLength: 3 }),
    laneMaps: fc.array(laneMap, { maxLength: 2 }),
  })
  .map((chip) => ({ ...chip, textBytes: textBytesOf(chip.queues, target.instructionFetchBytes) }));

const name = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: "binary", maxLength: 6 }));
const attrValue = fc.oneof(
  fc.double(),
  signed,
  name,
  fc.boolean(),
  fc.array(fc.oneof(signed, fc.double()), { maxLength: 3 }),
  fc.array(name, { minLength: 1, maxLength: 3 }),
);

const placement = (chip: number): fc.Arbitrary<Placement> =>
  fc.record({
    chip: fc.constant(chip),
    origin: fc.tuple(size, size),
    extent: fc.tuple(size, size),
    digits: fc.tuple(
      fc.array(fc.record({ size, vector: signed, lane: signed }), { maxLength: 3 }),
      fc.array(fc.record({ size, vector: signed, lane: signed }), { maxLength: 1 }),
    ),
    type: streamType,
    pack: fc.nat({ max: 32 }),
    slices: fc.array(slice, { maxLength: 4 }),
    address: size,
  });

const graph = fc.record({
  tensors: fc.tuple(
    fc.record({ name, dtype: fc.constant("float32" as const), shape: fc.constant([2, 3]) }),
    fc.record({
      name,
      dtype: fc.constant("int8" as const),
      shape: fc.constant([2, 3]),
      constant: fc.oneof(
        fc.record({ kind: fc.constant("inline" as const), bytes: fc.uint8Array({ minLength: 6, maxLength: 6 }) }),
        fc.record({ kind: fc.constant("splat" as const), bits: fc.nat({ max: 0xffffffff }) }),
        fc.record({ kind: fc.constant("placed" as const), placements: fc.array(placement(0), { maxLength: 2 }) }),
      ),
    }),
  ),
  nodes: fc.array(
    fc.record({
      op: fc.constantFrom("add" as const, "matmul" as const, "pad" as const),
      inputs: fc.array(fc.nat({ max: 1 }), { maxLength: 3 }),
      output: fc.nat({ max: 1 }),
      attrs: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), attrValue, { maxKeys: 3, noNullPrototype: true }),
      origins: fc.array(fc.nat({ max: 1 }), { maxLength: 2 }),
    }),
    { maxLength: 3 },
  ),
});

const binding = fc.record({
  name,
  kind: fc.constantFrom("input" as const, "output" as const),
  dtype: fc.constantFrom("int64" as const, "bool" as const, "float16" as const),
  shape: fc.array(size, { maxLength: 3 }),
  tensor: fc.nat({ max: 1 }),
  placements: fc.array(placement(0), { maxLength: 2 }),
});

const symbol = fc.record({
  name,
  chip: fc.constant(0),
  role: fc.constantFrom("weight" as const, "state" as const, "text" as const),
  slices: fc.array(slice, { maxLength: 3 }),
  address: size,
  words: size,
  from: size,
  until: size,
});

const origin = fc.record({ name, opType: name, index: fc.nat({ max: 99 }) });
const note = fc.record({ kernel: name, origins: fc.array(fc.nat({ max: 1 }), { maxLength: 2 }) });
const cycles = fc.oneof(
  size,
  fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0),
);

export const programs: fc.Arbitrary<Program> = fc.record({
  modelName: name,
  target: fc.constant(target),
  links: fc.array(
    fc.record({
      from: fc.constant(0),
      fromPort: fc.nat({ max: 5 }),
      to: fc.constant(0),
      toPort: fc.nat({ max: 5 }),
      latency: fc.nat({ max: 1000 }),
    }),
    { maxLength: 3 },
  ),
  topology: name,
  precision: name,
  chips: fc.array(chipProgram, { minLength: 1, maxLength: 2 }),
  symbols: fc.tuple(symbol, symbol),
  bindings: fc.oneof(
    fc.array(binding, { maxLength: 2 }),
    binding.map((one) => [
      { ...one, kind: "input" as const },
      { ...one, kind: "output" as const, renews: 0 },
    ]),
  ),
  graph,
  latencyCycles: size,
  initiationIntervalCycles: size,
  latencyTerms: fc.array(fc.record({ part: fc.constantFrom(...latencyParts), count: size, cycles: signed }), {
    maxLength: 3,
  }),
  stages: fc.array(
    fc.record({
      chip: fc.constant(0),
      firstLayer: signed,
      lastLayer: signed,
      startCycle: size,
      endCycle: size,
      weightBytes: size,
    }),
    { maxLength: 2 },
  ),
  lowerBound: fc.record({
    cycles,
    by: fc.constantFrom("mxm" as const, "mem" as const, "link" as const, "dependency" as const),
    perResource: fc.record({ mxm: cycles, mem: cycles, link: cycles, dependency: cycles }),
  }),
  debug: fc.record({ origins: fc.tuple(origin, origin), notes: fc.tuple(note, note) }),
});

/** Image contents in place of the functions that fetch them, for comparison. */
export function withImageBytes(program: Program): unknown {
  const chips = program.chips.map((chip) => ({
    ...chip,
    images: chip.images.map(({ read, ...image }) => ({ ...image, bytes: [...read()] })),
  }));
  return { ...program, chips };
}
