// The meaning of elementwise operations in the proof, lane by lane: field arithmetic on floats, exact arithmetic on concrete integers, field
// arithmetic on symbolic ones, fixed pseudo-random functions for everything that is not a polynomial.
import type { AluOp } from "../../ir/machine/isa.ts";
import { float16FromF32Bits } from "../../ir/numeric/float16.ts";
import {
  addField,
  hash,
  hashPair,
  isSpecial,
  maxField,
  minField,
  minusInfinity,
  multiplyField,
  negateField,
  notANumber,
  roundField,
} from "./field.ts";
import {
  floatAt,
  floatsOf,
  halfToFloatBits,
  halvesOf,
  intAt,
  kindAt,
  type Lanes,
  laneKinds,
  lanesOf,
  mixedLanes,
} from "./lanes.ts";
import { newBytes, newInts } from "./vectors.ts";

const salts = {
  exp2: 1,
  rsqrt: 2,
  tanh: 3,
  toInt: 4,
  toIntTrunc: 5,
  and: 6,
  or: 7,
  xor: 8,
  shl: 9,
  shr: 10,
  shru: 11,
  compare: 12,
} as const;

type FloatOp = (a: number, b: number) => number;

const subtractField: FloatOp = (a, b) => addField(a, negateField(b));

function mapFloats(a: Lanes, b: Lanes, op: FloatOp): Lanes {
  const fa = floatsOf(a);
  const fb = floatsOf(b);
  const x = newInts(fa.length);
  for (let i = 0; i < x.length; i++) x[i] = op(fa[i] as number, fb[i] as number);
  return lanesOf(x, laneKinds.float);
}

const scratch = new Float32Array(1);
const scratchBits = new Int32Array(scratch.buffer);

function bitsOfFloat(x: number): number {
  scratch[0] = x;
  return scratchBits[0] as number;
}

function floatOfBits(bits: number): number {
  scratchBits[0] = bits;
  return scratch[0] as number;
}

/** A known number of so many units is one in float32 as well. */
const WHOLE = 2 ** 24;

/** Known whole numbers stay known: what they are rounded to later is what numbers are rounded to. */
const toFloat = (a: Lanes): Lanes =>
  mapKinds(a, (kind, x) =>
    kind === laneKinds.bits && Math.abs(x) <= WHOLE ? [kind, bitsOfFloat(x)] : [laneKinds.float, intAt(kind, x)],
  );

const isPowerOfTwo = (bits: number): boolean => (bits & 0x7fffff) === 0 && bits >>> 23 > 0 && bits >>> 23 < 255;
const isUsual = (x: number): boolean => x === 0 || (Math.abs(x) >= 2 ** -126 && Math.abs(x) < 2 ** 64);

/** Known numbers times powers of two stay known, for nothing is rounded. */
function multiply(a: Lanes, b: Lanes): Lanes {
  if (a.kind === laneKinds.float || b.kind === laneKinds.float) return mapFloats(a, b, multiplyField);
  const x = newInts(a.x.length);
  const kinds = newBytes(x.length);
  for (let i = 0; i < x.length; i++) {
    const [ka, kb, xa, xb] = [kindAt(a, i), kindAt(b, i), a.x[i] as number, b.x[i] as number];
    const known = ka === laneKinds.bits && kb === laneKinds.bits && (isPowerOfTwo(xa) || isPowerOfTwo(xb));
    const product = known ? floatOfBits(xa) * floatOfBits(xb) : 0;
    const isExact = known && isUsual(product) && isUsual(floatOfBits(xa)) && isUsual(floatOfBits(xb));
    x[i] = isExact ? bitsOfFloat(product) : multiplyField(floatAt(ka, xa), floatAt(kb, xb));
    kinds[i] = isExact ? laneKinds.bits : laneKinds.float;
  }
  return mixedLanes(x, kinds);
}

function mapFloat(a: Lanes, kind: number, op: (a: number) => number): Lanes {
  const fa = floatsOf(a);
  const x = newInts(fa.length);
  for (let i = 0; i < x.length; i++) x[i] = op(fa[i] as number);
  return lanesOf(x, kind);
}

type Comparison = "eq" | "lt" | "le";

/** Is the difference one of those that count as none? */
const countsAsEqual = (difference: number): boolean =>
  difference === 0 || (hash(salts.compare, Math.abs(difference)) & 3) === 0;

/**
 * Two computed values almost never are equal, and then what a program does with equal ones would never be seen: a quarter of all differences
 * counts as none. Follows from the difference alone, so that a = b is b = a and a - b = 0, and a < b is not b <= a.
 */
function compareFields(comparison: Comparison, a: number, b: number): boolean {
  if (a === notANumber || b === notANumber) return false;
  const apart = isSpecial(a) || isSpecial(b);
  const difference = apart ? a - b : addField(a, -b);
  const equal = apart ? a === b : countsAsEqual(difference);
  if (comparison === "eq") return equal;
  return comparison === "lt" ? !equal && difference < 0 : equal || difference < 0;
}

function compareFloats(a: Lanes, b: Lanes, comparison: Comparison): Lanes {
  const fa = floatsOf(a);
  const fb = floatsOf(b);
  const x = newInts(fa.length);
  for (let i = 0; i < x.length; i++) x[i] = compareFields(comparison, fa[i] as number, fb[i] as number) ? 1 : 0;
  return lanesOf(x, laneKinds.bits);
}

/** Lane by lane: `concrete` where both operands are bits, else `symbolic` on the field integers (undefined: the other operand unchanged). */
function mapInts(
  a: Lanes,
  b: Lanes,
  concrete: (a: number, b: number) => number,
  symbolic: (a: number, b: number) => number,
  keep: (kind: number, bits: number) => boolean = () => false,
): Lanes {
  const count = a.x.length;
  const x = newInts(count);
  const kinds = newBytes(count);
  for (let i = 0; i < count; i++) {
    const ka = kindAt(a, i);
    const kb = kindAt(b, i);
    const xa = a.x[i] as number;
    const xb = b.x[i] as number;
    if (ka === laneKinds.bits && kb === laneKinds.bits) {
      x[i] = concrete(xa, xb);
    } else if (keep(kb, xb)) {
      x[i] = xa;
      kinds[i] = ka;
    } else if (keep(ka, xa)) {
      x[i] = xb;
      kinds[i] = kb;
    } else {
      x[i] = symbolic(intAt(ka, xa), intAt(kb, xb));
      kinds[i] = laneKinds.int;
    }
  }
  return mixedLanes(x, kinds);
}

const isBits = (wanted: number) => (kind: number, bits: number) => kind === laneKinds.bits && bits === wanted;
/** Commutative pseudo-random function. */
const hashSet = (salt: number) => (a: number, b: number) => hashPair(salt, Math.min(a, b), Math.max(a, b));
const inOrder = (salt: number) => (a: number, b: number) => hashPair(salt, a, b);
const shiftAmount = (b: number, outside: number): number => (b >= 0 && b <= 31 ? b : outside);

/** By nothing, it leaves a lane as it is. */
function shift(a: Lanes, b: Lanes, salt: number, concrete: (a: number, b: number) => number): Lanes {
  const moved = mapInts(a, b, concrete, inOrder(salt));
  const isKept = (i: number): boolean => kindAt(b, i) === laneKinds.bits && b.x[i] === 0;
  const x = newInts(moved.x.length);
  const kinds = newBytes(x.length);
  for (let i = 0; i < x.length; i++) {
    const from = isKept(i) ? a : moved;
    x[i] = from.x[i] as number;
    kinds[i] = kindAt(from, i);
  }
  return mixedLanes(x, kinds);
}

const comparisons = {
  eq: (a, b) => a === b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
} as const satisfies Record<Comparison, (a: number, b: number) => boolean>;

function compareInts(a: Lanes, b: Lanes, comparison: Comparison): Lanes {
  const count = a.x.length;
  const x = newInts(count);
  for (let i = 0; i < count; i++) {
    const ka = kindAt(a, i);
    const kb = kindAt(b, i);
    const xa = a.x[i] as number;
    const xb = b.x[i] as number;
    const exact = ka === laneKinds.bits && kb === laneKinds.bits;
    const holds = exact ? comparisons[comparison](xa, xb) : compareFields(comparison, intAt(ka, xa), intAt(kb, xb));
    x[i] = holds ? 1 : 0;
  }
  return lanesOf(x, laneKinds.bits);
}

function select(condition: Lanes, a: Lanes, b: Lanes): Lanes {
  const count = condition.x.length;
  const x = newInts(count);
  const kinds = newBytes(count);
  for (let i = 0; i < count; i++) {
    const from = intAt(kindAt(condition, i), condition.x[i] as number) !== 0 ? a : b;
    x[i] = from.x[i] as number;
    kinds[i] = kindAt(from, i);
  }
  return mixedLanes(x, kinds);
}

function mapKinds(a: Lanes, op: (kind: number, x: number) => readonly [number, number]): Lanes {
  const count = a.x.length;
  const x = newInts(count);
  const kinds = newBytes(count);
  for (let i = 0; i < count; i++) {
    const [kind, value] = op(kindAt(a, i), a.x[i] as number);
    x[i] = value;
    kinds[i] = kind;
  }
  return mixedLanes(x, kinds);
}

/** Constants are rounded as they would be, computed values as the field does it. */
export function roundToHalf(a: Lanes): Lanes {
  if (a.kind === laneKinds.float) return lanesOf(halvesOf(a), laneKinds.float);
  return mapKinds(a, (kind, x) =>
    kind === laneKinds.bits
      ? [kind, halfToFloatBits(float16FromF32Bits(x))]
      : [laneKinds.float, roundField(floatAt(kind, x))],
  );
}

const exp2 = (a: number): number => (a === minusInfinity ? 0 : isSpecial(a) ? a : hash(salts.exp2, a));

const inverseRoot = (a: number): number => (a === notANumber ? a : isSpecial(a) ? 0 : hash(salts.rsqrt, a));

const tangent = (a: number): number => (a === notANumber ? a : hash(salts.tanh, a));

/** The result of an ALU operation on whole vectors (or of the core op with the same meaning on whole tensors). */
export function applyOperation(operation: AluOp, a: Lanes, b: Lanes, c: Lanes): Lanes {
  switch (operation) {
    case "mov":
      return a;
    case "add":
      return mapFloats(a, b, addField);
    case "sub":
      return mapFloats(a, b, subtractField);
    case "rsub":
      return mapFloats(b, a, subtractField);
    case "mul":
      return multiply(a, b);
    case "min":
      return mapFloats(a, b, minField);
    case "max":
      return mapFloats(a, b, maxField);
    case "relu":
      return mapFloat(a, laneKinds.float, (x) => maxField(x, 0));
    case "cmpEq":
      return compareFloats(a, b, "eq");
    case "cmpLt":
      return compareFloats(a, b, "lt");
    case "cmpLe":
      return compareFloats(a, b, "le");
    case "exp2":
      return mapFloat(a, laneKinds.float, exp2);
    case "rsqrt":
      return mapFloat(a, laneKinds.float, inverseRoot);
    case "tanh":
      return mapFloat(a, laneKinds.float, tangent);
    case "toInt":
      return mapFloat(a, laneKinds.int, (x) => hash(salts.toInt, x));
    case "toIntTrunc":
      return mapFloat(a, laneKinds.int, (x) => hash(salts.toIntTrunc, x));
    case "roundF16":
      return roundToHalf(a);
    case "toFloat":
      return toFloat(a);
    case "select":
      return select(a, b, c);
    default:
      return applyInteger(operation, a, b);
  }
}

type IntegerOperation = Extract<
  AluOp,
  | "iadd"
  | "isub"
  | "irsub"
  | "imul"
  | "imin"
  | "imax"
  | "icmpEq"
  | "icmpLt"
  | "icmpLe"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "shru"
>;

function applyInteger(operation: IntegerOperation, a: Lanes, b: Lanes): Lanes {
  switch (operation) {
    case "iadd":
      return mapInts(a, b, (x, y) => (x + y) | 0, addField, isBits(0));
    case "isub":
      return mapInts(a, b, (x, y) => (x - y) | 0, subtractField);
    case "irsub":
      return mapInts(b, a, (x, y) => (x - y) | 0, subtractField);
    case "imul":
      return mapInts(a, b, (x, y) => Math.imul(x, y), multiplyField);
    case "imin":
      return mapInts(a, b, Math.min, Math.min);
    case "imax":
      return mapInts(a, b, Math.max, Math.max);
    case "icmpEq":
      return compareInts(a, b, "eq");
    case "icmpLt":
      return compareInts(a, b, "lt");
    case "icmpLe":
      return compareInts(a, b, "le");
    case "and":
      return mapInts(a, b, (x, y) => x & y, hashSet(salts.and), isBits(-1));
    case "or":
      return mapInts(a, b, (x, y) => x | y, hashSet(salts.or), isBits(0));
    case "xor":
      return mapInts(a, b, (x, y) => x ^ y, hashSet(salts.xor), isBits(0));
    case "shl":
      return shift(a, b, salts.shl, (x, y) => (shiftAmount(y, 32) === 32 ? 0 : x << y));
    case "shr":
      return shift(a, b, salts.shr, (x, y) => x >> shiftAmount(y, 31));
    case "shru":
      return shift(a, b, salts.shru, (x, y) => (shiftAmount(y, 32) === 32 ? 0 : x >>> y) | 0);
  }
}
