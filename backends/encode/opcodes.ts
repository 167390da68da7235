// The numbers instructions, ALU operations and units have in a program file, and how the ISA table's fields are laid out. The numbers are
// part of the file format: rows are added at the end, never renumbered.
import { type AluOp, aluOps, type FieldKind, isa, type Mnemonic, type UnitKind } from "../../ir/machine/isa.ts";

export const opcodes = {
  read: 1,
  write: 2,
  gather: 3,
  scatter: 4,
  lw: 5,
  iw: 6,
  abc: 7,
  acc: 8,
  alu: 9,
  permute: 10,
  send: 11,
  receive: 12,
  deskew: 13,
} as const satisfies Record<Mnemonic, number>;

export const mnemonics = Object.keys(opcodes) as readonly Mnemonic[];

const mnemonicByOpcode: ReadonlyMap<number, Mnemonic> = new Map(mnemonics.map((name) => [opcodes[name], name]));
export const mnemonicOf = (opcode: number): Mnemonic | undefined => mnemonicByOpcode.get(opcode);

export const aluOpcodes = {
  mov: 0,
  add: 1,
  sub: 2,
  rsub: 3,
  mul: 4,
  min: 5,
  max: 6,
  relu: 7,
  cmpEq: 8,
  cmpLt: 9,
  cmpLe: 10,
  iadd: 11,
  isub: 12,
  irsub: 13,
  imul: 14,
  imin: 15,
  imax: 16,
  icmpEq: 17,
  icmpLt: 18,
  icmpLe: 19,
  and: 20,
  or: 21,
  xor: 22,
  shl: 23,
  shr: 24,
  shru: 25,
  select: 26,
  exp2: 27,
  rsqrt: 28,
  tanh: 29,
  toInt: 30,
  toIntTrunc: 31,
  toFloat: 32,
  roundF16: 33,
} as const satisfies Record<AluOp, number>;

const aluOpByNumber: ReadonlyMap<number, AluOp> = new Map(
  (Object.keys(aluOps) as AluOp[]).map((name) => [aluOpcodes[name], name]),
);
export const aluOpOf = (value: number): AluOp | undefined => aluOpByNumber.get(value);

/** Order is the number of the kind in a file. */
export const unitKinds = [
  "memRead",
  "memWrite",
  "vxmAlu",
  "sxm",
  "mxmLoad",
  "mxmActivate",
  "mxmAccumulate",
  "linkSend",
  "linkReceive",
  "control",
] as const satisfies readonly UnitKind[];

/** Values of the field kinds that are packed into the instruction's first field byte; order is the number. */
export const smallValues = {
  direction: ["W", "E"],
  flag: [false, true],
  mode: ["int8", "fp16", "fp32"],
  format: ["packed", "planar"],
  bytes: [1, 2, 4],
} as const satisfies Partial<Record<FieldKind, readonly unknown[]>>;

export type SmallKind = keyof typeof smallValues;
export const isSmallKind = (kind: FieldKind): kind is SmallKind => Object.hasOwn(smallValues, kind);

export interface FieldLayout {
  /** Packed into one byte, low bits first. */
  readonly small: readonly {
    readonly name: string;
    readonly kind: SmallKind;
    readonly shift: number;
    readonly bits: number;
  }[];
  readonly smallBits: number;
  /** Encoded one after the other behind it. */
  readonly wide: readonly { readonly name: string; readonly kind: Exclude<FieldKind, SmallKind> }[];
}

function layoutOf(fields: Readonly<Record<string, FieldKind>>): FieldLayout {
  const small: FieldLayout["small"][number][] = [];
  const wide: FieldLayout["wide"][number][] = [];
  let shift = 0;
  for (const [name, kind] of Object.entries(fields)) {
    if (isSmallKind(kind)) {
      const bits = smallValues[kind].length > 2 ? 2 : 1;
      small.push({ name, kind, shift, bits });
      shift += bits;
    } else {
      wide.push({ name, kind });
    }
  }
  return { small, smallBits: shift, wide };
}

export const fieldLayouts = Object.fromEntries(
  mnemonics.map((name) => [name, layoutOf(isa[name].fields)]),
) as unknown as Readonly<Record<Mnemonic, FieldLayout>>;
