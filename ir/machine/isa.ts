// The instruction set as one table: unit, fields with their encoding, operand roles and latency. Types, encoder, text form, interpreter
// fields and docs/isa.md derive from the rows. An instruction is a burst: it issues `count` times, `period` cycles apart, and fields with a
// stride advance by it each time (ICU Repeat).

/** Kinds of queue. `memRead`/`memWrite`: the two issue slots of a MEM slice. `mxmLoad`, `mxmActivate`, `mxmAccumulate`: the three of a plane. */
export type UnitKind =
  | "memRead"
  | "memWrite"
  | "vxmAlu"
  | "sxm"
  | "mxmLoad"
  | "mxmActivate"
  | "mxmAccumulate"
  | "linkSend"
  | "linkReceive"
  | "control";

/**
 * Field encodings. `word`: word address in a slice. `stride`: signed words a repetition. `stream`: first stream of an aligned group.
 * `direction`: W or E. `bytes`: streams of the group (1, 2 or 4). `operand`: a VXM operand. `output`: a VXM result.
 */
export type FieldKind =
  | "word"
  | "stride"
  | "stream"
  | "direction"
  | "bytes"
  | "count"
  | "lane"
  | "flag"
  | "index"
  | "mode"
  | "format"
  | "aluOp"
  | "operand"
  | "output";

export interface InstructionRow {
  readonly unit: UnitKind;
  readonly summary: string;
  readonly fields: Readonly<Record<string, FieldKind>>;
}

const defineInstruction = <const T extends InstructionRow>(row: T): T => row;

export const isa = {
  read: defineInstruction({
    unit: "memRead",
    summary:
      "word `address` of the slice onto `stream`; on the slice's column after latency.read. A word that was never written, or whose write is not " +
      "complete, may not be read; nor may a slice read and write the same bank in one cycle",
    fields: { address: "word", stride: "stride", stream: "stream", direction: "direction" },
  }),
  write: defineInstruction({
    unit: "memWrite",
    summary: "the value of `stream` at the slice's column at issue into word `address`; readable after latency.write",
    fields: { address: "word", stride: "stride", stream: "stream", direction: "direction" },
  }),
  gather: defineInstruction({
    unit: "memRead",
    summary:
      "as read, at word address + scale * m, m = int32 in lane 0 of the 4-stream group `map` at issue; m is clamped to 0..limit-1 first. " +
      "Takes the banks of all `limit` words, whatever m is; on the column after latency.gather",
    fields: {
      address: "word",
      scale: "stride",
      limit: "count",
      map: "stream",
      mapDirection: "direction",
      stream: "stream",
      direction: "direction",
    },
  }),
  scatter: defineInstruction({
    unit: "memWrite",
    summary:
      "as write, at word address + scale * m, m = int32 in lane 0 of the 4-stream group `map` at issue; m outside 0..limit-1 writes nothing. " +
      "Takes the banks of all `limit` words, whatever m is; readable after latency.scatter",
    fields: {
      address: "word",
      scale: "stride",
      limit: "count",
      map: "stream",
      mapDirection: "direction",
      stream: "stream",
      direction: "direction",
    },
  }),
  lw: defineInstruction({
    unit: "mxmLoad",
    summary:
      "loads rows of the next tile from `streams` neighbouring streams: each cycle the next streams (packed) or streams / bytes (planar) rows from `row` on, `rows` in all; " +
      "packed (`lane` 0): byte j of element k of a row is lane j * tileK + k of one stream; planar: a row is a group of `bytes` streams, element k is lane `lane` + k. " +
      "Elements from `k` on are zero. `clear` zeroes the buffer at the first issue; rows that are neither loaded nor cleared may not be installed, a row " +
      "may not be loaded twice, nor loaded rows be cleared or replaced before they are installed",
    fields: {
      mode: "mode",
      format: "format",
      stream: "stream",
      streams: "count",
      row: "index",
      rows: "count",
      lane: "lane",
      k: "count",
      clear: "flag",
    },
  }),
  iw: defineInstruction({
    unit: "mxmLoad",
    summary:
      "makes the loaded buffer the tile in use (no ABC of the old tile may be under way); ABC may issue after latency.iw. " +
      "At least latency.lw after the last LW of the tile; an LW issued later than this IW fills the next buffer",
    fields: { mode: "mode" },
  }),
  abc: defineInstruction({
    unit: "mxmActivate",
    summary:
      "takes one activation vector from the group at `stream`: element k of the tile's K dimension is lane `lane` + k, k < `k`; the others take no part. " +
      "The planes are busy for vectorPeriod cycles; every ABC has its ACC. Sums: ir/numeric/tile-product.ts",
    fields: { mode: "mode", stream: "stream", lane: "lane", k: "count" },
  }),
  acc: defineInstruction({
    unit: "mxmAccumulate",
    summary:
      "latency.abc after its ABC: sum of accumulator entry `entry` (0 if `init`) and the tile's product is stored in the entry and, if `emit`, " +
      "put on the 4-stream group `stream` away from the edge after latency.acc (lanes beyond tileN are zero). An entry that was not started with `init` may not be added to",
    fields: { mode: "mode", entry: "index", stride: "stride", init: "flag", emit: "flag", stream: "stream" },
  }),
  alu: defineInstruction({
    unit: "vxmAlu",
    summary:
      "result = operation(a, b, c), lane by lane; operand `self` is this ALU's previous result, fed back at once (the next issue may take it); every " +
      "`reset` repetitions from the first on (0: never) the result is a alone. An ALU has one result a cycle; `self` does not lengthen a chain. " +
      "The result is at `output` after the op's latency, and may be taken by other ALUs then",
    fields: { operation: "aluOp", a: "operand", b: "operand", c: "operand", reset: "count", output: "output" },
  }),
  permute: defineInstruction({
    unit: "sxm",
    summary:
      "lane i of the result is lane map[i] of the group at `stream`, or zero where the map says so; a source lane is used at most once",
    fields: {
      stream: "stream",
      direction: "direction",
      bytes: "bytes",
      map: "index",
      mapStride: "stride",
      outStream: "stream",
      outDirection: "direction",
    },
  }),
  send: defineInstruction({
    unit: "linkSend",
    summary:
      "takes the vector of `stream` (moving towards this edge) at the port's column onto the link, which is busy for " +
      "framedBytesPerVector * clockHz / bytesPerSecond cycles; every Send has its Receive",
    fields: { stream: "stream" },
  }),
  receive: defineInstruction({
    unit: "linkReceive",
    summary:
      "puts the vector that was sent exactly the link's latency ago on `stream`, away from the port's edge, at issue",
    fields: { stream: "stream" },
  }),
  deskew: defineInstruction({
    unit: "control",
    summary: "aligns this chip's counter with the system's common cycle 0",
    fields: {},
  }),
} as const satisfies Record<string, InstructionRow>;

export type Mnemonic = keyof typeof isa;

export type AluLatencyClass = "simple" | "multiply" | "large";
export interface AluOpRow {
  readonly operands: 1 | 2 | 3;
  readonly type: "f32" | "i32" | "bits";
  readonly latency: AluLatencyClass;
  /** Only on ALUs of `vxm.largeAlus`. */
  readonly large: boolean;
  readonly summary: string;
}
const aluOp = (
  operands: 1 | 2 | 3,
  type: AluOpRow["type"],
  latency: AluLatencyClass,
  large: boolean,
  summary: string,
): AluOpRow => ({
  operands,
  type,
  latency,
  large,
  summary,
});

/** VXM operations on 32-bit lanes. Float results are IEEE binary32, round to nearest even; NaN is the one pattern 0x7fc00000. */
export const aluOps = {
  mov: aluOp(1, "bits", "simple", false, "a"),
  add: aluOp(2, "f32", "simple", false, "a + b"),
  sub: aluOp(2, "f32", "simple", false, "a - b"),
  rsub: aluOp(2, "f32", "simple", false, "b - a"),
  mul: aluOp(2, "f32", "multiply", false, "a * b"),
  min: aluOp(2, "f32", "simple", true, "smaller of a, b; NaN if either is NaN; -0 < 0"),
  max: aluOp(2, "f32", "simple", true, "larger of a, b; NaN if either is NaN; -0 < 0"),
  relu: aluOp(1, "f32", "simple", false, "max(a, 0)"),
  cmpEq: aluOp(2, "f32", "simple", false, "1 if a = b else 0 (int32)"),
  cmpLt: aluOp(2, "f32", "simple", false, "1 if a < b else 0 (int32)"),
  cmpLe: aluOp(2, "f32", "simple", false, "1 if a <= b else 0 (int32)"),
  iadd: aluOp(2, "i32", "simple", false, "a + b, wrapping"),
  isub: aluOp(2, "i32", "simple", false, "a - b, wrapping"),
  irsub: aluOp(2, "i32", "simple", false, "b - a, wrapping"),
  imul: aluOp(2, "i32", "multiply", false, "low 32 bits of a * b"),
  imin: aluOp(2, "i32", "simple", true, "smaller of a, b"),
  imax: aluOp(2, "i32", "simple", true, "larger of a, b"),
  icmpEq: aluOp(2, "i32", "simple", false, "1 if a = b else 0"),
  icmpLt: aluOp(2, "i32", "simple", false, "1 if a < b else 0"),
  icmpLe: aluOp(2, "i32", "simple", false, "1 if a <= b else 0"),
  and: aluOp(2, "bits", "simple", false, "a & b"),
  or: aluOp(2, "bits", "simple", false, "a | b"),
  xor: aluOp(2, "bits", "simple", false, "a ^ b"),
  shl: aluOp(2, "i32", "simple", false, "a << b; 0 when b is outside 0..31"),
  shr: aluOp(2, "i32", "simple", false, "a >> b with the sign; b outside 0..31 counts as 31"),
  shru: aluOp(2, "i32", "simple", false, "a >>> b; 0 when b is outside 0..31"),
  select: aluOp(3, "bits", "simple", false, "b where a (int32) is not 0, else c"),
  exp2: aluOp(1, "f32", "large", true, "2 to the power of a (ir/numeric/exp2.ts)"),
  rsqrt: aluOp(1, "f32", "large", true, "1 / sqrt(a) (ir/numeric/rsqrt.ts)"),
  tanh: aluOp(1, "f32", "large", true, "hyperbolic tangent of a (ir/numeric/tanh.ts)"),
  toInt: aluOp(1, "f32", "large", true, "float32 -> int32, round to nearest even, saturating, NaN -> 0"),
  toIntTrunc: aluOp(1, "f32", "large", true, "float32 -> int32, towards zero, saturating, NaN -> 0"),
  toFloat: aluOp(1, "i32", "simple", false, "int32 -> float32, round to nearest even"),
  roundF16: aluOp(1, "f32", "large", true, "nearest float16 value (even; overflow gives infinity), as float32"),
} as const satisfies Record<string, AluOpRow>;
export type AluOp = keyof typeof aluOps;

/** How a stream group's bytes become 32-bit lanes: f32/i32 as they are, f16 and bytes widened. */
export type StreamType = "f32" | "i32" | "f16" | "i8" | "u8";

/** `delay`: the value that passed (stream) or was produced (alu) that many cycles before issue. */
export type AluOperand =
  | { readonly kind: "none" }
  | {
      readonly kind: "stream";
      readonly stream: number;
      readonly direction: "W" | "E";
      readonly type: StreamType;
      readonly delay: number;
    }
  | { readonly kind: "alu"; readonly alu: number; readonly delay: number }
  | { readonly kind: "immediate"; readonly bits: number }
  | { readonly kind: "self" };

/**
 * Where a result goes: nowhere but to other ALUs, or onto a stream group. f32 and i32 leave 4 bytes as they are; f16 narrows (round to nearest
 * even, overflow to infinity; large ALUs only), i8 and u8 narrow an int32 with saturation (large ALUs only).
 */
export type AluOutput =
  | { readonly kind: "none" }
  | { readonly kind: "stream"; readonly stream: number; readonly direction: "W" | "E"; readonly type: StreamType };

interface FieldTypes {
  readonly word: number;
  readonly stride: number;
  readonly stream: number;
  readonly direction: "W" | "E";
  readonly bytes: number;
  readonly count: number;
  readonly lane: number;
  readonly flag: boolean;
  readonly index: number;
  readonly mode: "int8" | "fp16" | "fp32";
  readonly format: "packed" | "planar";
  readonly aluOp: AluOp;
  readonly operand: AluOperand;
  readonly output: AluOutput;
}

type FieldsOf<M extends Mnemonic> = {
  readonly [F in keyof (typeof isa)[M]["fields"]]: (typeof isa)[M]["fields"][F] extends FieldKind
    ? FieldTypes[(typeof isa)[M]["fields"][F]]
    : never;
};

/** What every instruction has. */
export interface InstructionBase {
  /** First issue cycle. */
  readonly cycle: number;
  /** Number of issues, >= 1, and cycles between two of them, >= 1. */
  readonly count: number;
  readonly period: number;
  /** Index into `Program.debug.notes`: which graph nodes this belongs to. Not executed. */
  readonly note: number;
  /** Index into `Program.symbols` of the buffer a memory instruction says it touches, -1 on others. Checked, not executed. */
  readonly symbol: number;
}

export type InstructionOf<M extends Mnemonic> = InstructionBase & { readonly op: M } & FieldsOf<M>;
export type Instruction = { [M in Mnemonic]: InstructionOf<M> }[Mnemonic];
