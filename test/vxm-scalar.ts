// Every vector operation once more as plain scalar code, bit patterns in and out: what the interpreter's is held against.
import type { AluOp } from "../ir/machine/isa.ts";

const f32 = new Float32Array(1);
const i32 = new Int32Array(f32.buffer);
export const bitsOf = (x: number): number => {
  f32[0] = x;
  return Number.isNaN(x) ? 0x7fc00000 : (i32[0] as number);
};
export const numberOf = (bits: number): number => {
  i32[0] = bits;
  return f32[0] as number;
};

/** The meaning of each operation on bit patterns, written a second time. Transcendentals are allowed to differ by a rounding. */
const onFloats = (f: (a: number, b: number) => number) => (a: number, b: number) => bitsOf(f(numberOf(a), numberOf(b)));
const compare = (f: (a: number, b: number) => boolean) => (a: number, b: number) =>
  f(numberOf(a), numberOf(b)) ? 1 : 0;
const low = (x: bigint): number => Number(BigInt.asIntN(32, x));
const inside = (b: number): boolean => b >= 0 && b < 32;
export const halfOf = (x: number): number => {
  // By search over all float16 values: independent of the conversions under test.
  if (Number.isNaN(x)) return x;
  const magnitude = Math.abs(x);
  if (magnitude >= 65520) return x < 0 ? -Infinity : Infinity;
  const exponent = Math.max(-14, magnitude === 0 ? -14 : Math.floor(Math.log2(magnitude)));
  const unit = 2 ** (exponent - 10);
  const down = Math.floor(magnitude / unit);
  const rest = magnitude / unit - down;
  const rounded = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  return Object.is(x, -0) || x < 0 ? -(rounded * unit) : rounded * unit;
};
const clampInt = (x: number): number => (Number.isNaN(x) ? 0 : Math.max(-2147483648, Math.min(2147483647, x)));
const nearestEven = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
};
/** float32 patterns ordered as the numbers are, -0 before 0. */
const order = (bits: number): number => bits ^ ((bits >> 31) >>> 1);
const pickByOrder = (a: number, b: number, sign: 1 | -1): number => {
  if (Number.isNaN(numberOf(a)) || Number.isNaN(numberOf(b))) return 0x7fc00000;
  return Math.sign(order(a) - order(b)) === sign ? a : b;
};
export const expected: Record<AluOp, (a: number, b: number, c: number) => number> = {
  mov: (a) => a,
  add: onFloats((a, b) => a + b),
  sub: onFloats((a, b) => a - b),
  rsub: onFloats((a, b) => b - a),
  mul: onFloats((a, b) => a * b),
  min: (a, b) => pickByOrder(a, b, -1),
  max: (a, b) => pickByOrder(a, b, 1),
  relu: (a) => pickByOrder(a, 0, 1),
  cmpEq: compare((a, b) => a === b),
  cmpLt: compare((a, b) => a < b),
  cmpLe: compare((a, b) => a <= b),
  iadd: (a, b) => low(BigInt(a) + BigInt(b)),
  isub: (a, b) => low(BigInt(a) - BigInt(b)),
  irsub: (a, b) => low(BigInt(b) - BigInt(a)),
  imul: (a, b) => low(BigInt(a) * BigInt(b)),
  imin: (a, b) => Math.min(a, b),
  imax: (a, b) => Math.max(a, b),
  icmpEq: (a, b) => Number(a === b),
  icmpLt: (a, b) => Number(a < b),
  icmpLe: (a, b) => Number(a <= b),
  and: (a, b) => low(BigInt(a) & BigInt(b)),
  or: (a, b) => low(BigInt(a) | BigInt(b)),
  xor: (a, b) => low(BigInt(a) ^ BigInt(b)),
  shl: (a, b) => (inside(b) ? low(BigInt(a) << BigInt(b)) : 0),
  shr: (a, b) => low(BigInt(a) >> BigInt(inside(b) ? b : 31)),
  shru: (a, b) => (inside(b) ? low(BigInt.asUintN(32, BigInt(a)) >> BigInt(b)) : 0),
  select: (a, b, c) => (a === 0 ? c : b),
  exp2: onFloats((a) => 2 ** a),
  rsqrt: onFloats((a) => 1 / Math.sqrt(a)),
  tanh: onFloats((a) => Math.tanh(a)),
  toInt: (a) => clampInt(nearestEven(numberOf(a))),
  toIntTrunc: (a) => clampInt(Math.trunc(numberOf(a))),
  toFloat: (a) => bitsOf(a),
  roundF16: onFloats((a) => halfOf(a)),
};
