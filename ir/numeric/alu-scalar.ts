// Meaning of every VXM operation on one lane. Arguments and results are binary32 numbers for type f32 and int32 numbers else, as the row in
// ir/machine/isa.ts says of operands; comparisons and casts differ in their result, which is int32 (`integerResult`).
import type { AluOp } from "../machine/isa.ts";
import { f32ToInt32Nearest, f32ToInt32Truncating, int32ToF32, maxF32, minF32 } from "./cast.ts";
import { exp2F32 } from "./exp2.ts";
import { roundToFloat16 } from "./float16.ts";
import { rsqrtF32 } from "./rsqrt.ts";
import { tanhF32 } from "./tanh.ts";

export type AluScalar = (a: number, b: number, c: number) => number;

const inRange = (b: number): boolean => b >= 0 && b <= 31;

export const aluScalars = {
  mov: (a) => a,
  add: (a, b) => Math.fround(a + b),
  sub: (a, b) => Math.fround(a - b),
  rsub: (a, b) => Math.fround(b - a),
  mul: (a, b) => Math.fround(a * b),
  min: minF32,
  max: maxF32,
  relu: (a) => maxF32(a, 0),
  cmpEq: (a, b) => (a === b ? 1 : 0),
  cmpLt: (a, b) => (a < b ? 1 : 0),
  cmpLe: (a, b) => (a <= b ? 1 : 0),
  iadd: (a, b) => (a + b) | 0,
  isub: (a, b) => (a - b) | 0,
  irsub: (a, b) => (b - a) | 0,
  imul: (a, b) => Math.imul(a, b),
  imin: (a, b) => Math.min(a, b),
  imax: (a, b) => Math.max(a, b),
  icmpEq: (a, b) => (a === b ? 1 : 0),
  icmpLt: (a, b) => (a < b ? 1 : 0),
  icmpLe: (a, b) => (a <= b ? 1 : 0),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => (inRange(b) ? a << b : 0),
  shr: (a, b) => a >> (inRange(b) ? b : 31),
  shru: (a, b) => (inRange(b) ? (a >>> b) | 0 : 0),
  select: (a, b, c) => (a !== 0 ? b : c),
  exp2: exp2F32,
  rsqrt: rsqrtF32,
  tanh: tanhF32,
  toInt: f32ToInt32Nearest,
  toIntTrunc: f32ToInt32Truncating,
  toFloat: int32ToF32,
  roundF16: roundToFloat16,
} as const satisfies Record<AluOp, AluScalar>;

/** Operations whose result is int32 or bits; the others give float32. */
export const integerResult = {
  mov: true,
  add: false,
  sub: false,
  rsub: false,
  mul: false,
  min: false,
  max: false,
  relu: false,
  cmpEq: true,
  cmpLt: true,
  cmpLe: true,
  iadd: true,
  isub: true,
  irsub: true,
  imul: true,
  imin: true,
  imax: true,
  icmpEq: true,
  icmpLt: true,
  icmpLe: true,
  and: true,
  or: true,
  xor: true,
  shl: true,
  shr: true,
  shru: true,
  select: true,
  exp2: false,
  rsqrt: false,
  tanh: false,
  toInt: true,
  toIntTrunc: true,
  toFloat: false,
  roundF16: false,
} as const satisfies Record<AluOp, boolean>;
