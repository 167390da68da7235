// One VXM operation over all lanes. The meaning of an operation is its scalar in ir/numeric/alu-scalar.ts; the commonest ones have a loop of
// their own, of the same arithmetic, because a call a lane would cost more than the operation.
import { type AluOp, aluOps } from "../../ir/machine/isa.ts";
import { type AluScalar, aluScalars, integerResult } from "../../ir/numeric/alu-scalar.ts";
import { canonicaliseNan } from "../../ir/numeric/bits.ts";

/** Lanes from `offset` on. */
export interface Lanes {
  readonly bits: Int32Array;
  readonly floats: Float32Array;
  readonly offset: number;
}

export interface LaneResult {
  readonly bits: Int32Array;
  readonly floats: Float32Array;
}

/** result lanes [to, to + count) = operation(a, b, c). */
export function applyAlu(
  operation: AluOp,
  a: Lanes,
  b: Lanes,
  c: Lanes,
  result: LaneResult,
  to: number,
  count: number,
): void {
  switch (operation) {
    case "mov":
      for (let i = 0; i < count; i += 1) result.bits[to + i] = a.bits[a.offset + i] as number;
      return;
    case "add":
      addLanes(a, b, result.floats, to, count);
      break;
    case "sub":
      subtractLanes(a, b, result.floats, to, count);
      break;
    case "rsub":
      subtractLanes(b, a, result.floats, to, count);
      break;
    case "mul":
      multiplyLanes(a, b, result.floats, to, count);
      break;
    case "max":
      maximumLanes(a, b, result.floats, to, count);
      break;
    default:
      applyScalar(operation, a, b, c, result, to, count);
  }
  if (!integerResult[operation]) canonicaliseNan(result.bits, to, count);
}

function addLanes(a: Lanes, b: Lanes, out: Float32Array, to: number, count: number): void {
  const [x, y, p, q] = [a.floats, b.floats, a.offset, b.offset];
  for (let i = 0; i < count; i += 1) out[to + i] = (x[p + i] as number) + (y[q + i] as number);
}

function subtractLanes(a: Lanes, b: Lanes, out: Float32Array, to: number, count: number): void {
  const [x, y, p, q] = [a.floats, b.floats, a.offset, b.offset];
  for (let i = 0; i < count; i += 1) out[to + i] = (x[p + i] as number) - (y[q + i] as number);
}

function multiplyLanes(a: Lanes, b: Lanes, out: Float32Array, to: number, count: number): void {
  const [x, y, p, q] = [a.floats, b.floats, a.offset, b.offset];
  for (let i = 0; i < count; i += 1) out[to + i] = (x[p + i] as number) * (y[q + i] as number);
}

function maximumLanes(a: Lanes, b: Lanes, out: Float32Array, to: number, count: number): void {
  const [x, y, p, q] = [a.floats, b.floats, a.offset, b.offset];
  for (let i = 0; i < count; i += 1) out[to + i] = Math.max(x[p + i] as number, y[q + i] as number);
}

function applyScalar(
  operation: AluOp,
  a: Lanes,
  b: Lanes,
  c: Lanes,
  result: LaneResult,
  to: number,
  count: number,
): void {
  const scalar: AluScalar = aluScalars[operation];
  const floats = aluOps[operation].type === "f32";
  const x = floats ? a.floats : a.bits;
  const y = floats ? b.floats : b.bits;
  const z = floats ? c.floats : c.bits;
  const out = integerResult[operation] ? result.bits : result.floats;
  for (let i = 0; i < count; i += 1) {
    out[to + i] = scalar(x[a.offset + i] as number, y[b.offset + i] as number, z[c.offset + i] as number);
  }
}
