// What the interpreter says when the program asks the machine for something it cannot do. A fault is a value; it names place and cause.

/** Kinds of faults: one row each. */
const faultKinds = {
  binding: "an input is missing, unknown or of another type or shape",
  form: "an instruction the machine does not have: field, unit or mode out of bounds",
  queue: "two instructions of one queue in one cycle, or out of order",
  stream: "two values on one stream register",
  operand: "an operand that is not there in that cycle",
  poison: "a memory word or accumulator that was never written is read",
  bank: "a read and a write of one bank of a slice in one cycle",
  hazard: "a word is read before its write is complete",
  range: "an address, entry or lane outside its memory",
  weights: "a tile is used, loaded or replaced against the order LW, IW, ABC",
  accumulator: "an ACC without its ABC, or an ABC without its ACC",
  alu: "an ALU lacks the function, or a chain is too long",
  link: "a link is busy, or a Send and a Receive do not meet",
  latency: "the last write is not at the cycle the program states",
} as const satisfies Record<string, string>;

export type FaultKind = keyof typeof faultKinds;

export interface Fault {
  readonly kind: FaultKind;
  readonly chip: number;
  /** Short name of the unit (`unitName`), "host" for bindings and results. */
  readonly unit: string;
  readonly cycle: number;
  /** Mnemonic, position in the unit's queue, and which issue of the burst. */
  readonly instruction: { readonly op: string; readonly index: number; readonly repetition: number } | undefined;
  /** Name of the buffer the instruction says it touches, or of the tensor. */
  readonly symbol: string | undefined;
  readonly message: string;
}

/** One line for people. */
export function describeFault(fault: Fault): string {
  const at = fault.instruction;
  const instruction = at === undefined ? "" : ` ${at.op}#${at.index}${at.repetition > 0 ? `+${at.repetition}` : ""}`;
  const symbol = fault.symbol === undefined ? "" : ` (${fault.symbol})`;
  return `${fault.kind}: chip ${fault.chip} ${fault.unit} cycle ${fault.cycle}${instruction}${symbol}: ${fault.message}`;
}
