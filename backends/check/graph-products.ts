// Matrix products of the embedded core graph in the field of the data-flow proof.
import { addField, isSpecial, multiplyField } from "./field.ts";
import { broadcastSteps, countOf, type Operand, positions, type Shape } from "./graph-positions.ts";
import { floatsOf, intAt, kindAt, type Lanes, laneKinds, lanesOf } from "./lanes.ts";
import { roundToHalf } from "./meaning.ts";
import { dotRows } from "./tile.ts";

/** Rows of both operands as field values; constants of an fp16 product are rounded first. */
function matrixValues(value: Lanes, precision: string): Int32Array {
  if (precision !== "int8") return floatsOf(precision === "fp16" ? roundToHalf(value) : value);
  return Int32Array.from(value.x, (x, i) => intAt(kindAt(value, i), x));
}

export function matmul(a: Operand, b: Operand, out: Shape, precision: string): Lanes {
  const rank = out.length;
  const [m, n] = [out[rank - 2] as number, out[rank - 1] as number];
  const k = a.shape[rank - 1] as number;
  const va = matrixValues(a.value, precision);
  const vb = matrixValues(b.value, precision);
  const batch = out.slice(0, rank - 2);
  const startsA = positions(batch, broadcastSteps(a.shape).slice(0, rank - 2));
  const startsB = positions(batch, broadcastSteps(b.shape).slice(0, rank - 2));
  const result = new Int32Array(countOf(out));
  const special = va.some(isSpecial) || vb.some(isSpecial);
  const rows = new Float32Array(special ? 0 : n * k);
  const vector = new Float64Array(k);
  let loaded = -1;
  for (let i = 0; i < startsA.length; i++) {
    const [fromA, fromB] = [startsA[i] as number, startsB[i] as number];
    const into = result.subarray(i * m * n, (i + 1) * m * n);
    if (special) {
      specialProduct(va.subarray(fromA, fromA + m * k), vb.subarray(fromB, fromB + k * n), n, k, into);
      continue;
    }
    if (loaded !== fromB) {
      for (let r = 0; r < k; r++) for (let c = 0; c < n; c++) rows[c * k + r] = vb[fromB + r * n + c] as number;
      loaded = fromB;
    }
    for (let row = 0; row < m; row++) {
      for (let r = 0; r < k; r++) vector[r] = va[fromA + row * k + r] as number;
      dotRows(rows, k, n, vector, k, into.subarray(row * n, (row + 1) * n));
    }
  }
  const exact = precision === "int8" && a.value.kind === laneKinds.bits && b.value.kind === laneKinds.bits;
  if (!exact) return lanesOf(result, precision === "int8" ? laneKinds.int : laneKinds.float);
  return exactProduct(a, b, out, startsA, startsB);
}

/** As the lazy product, where infinities or NaN take part. */
function specialProduct(a: Int32Array, b: Int32Array, n: number, k: number, into: Int32Array): void {
  for (let i = 0; i < into.length; i++) {
    const row = Math.floor(i / n);
    let sum = 0;
    for (let r = 0; r < k; r++) {
      sum = addField(sum, multiplyField(a[row * k + r] as number, b[r * n + (i % n)] as number));
    }
    into[i] = sum;
  }
}

/** Constant int8 operands: the sums are concrete. */
function exactProduct(a: Operand, b: Operand, out: Shape, startsA: Int32Array, startsB: Int32Array): Lanes {
  const rank = out.length;
  const [m, n] = [out[rank - 2] as number, out[rank - 1] as number];
  const k = a.shape[rank - 1] as number;
  const x = new Int32Array(countOf(out));
  for (let i = 0; i < x.length; i++) {
    const matrix = Math.floor(i / (m * n));
    const row = Math.floor(i / n) % m;
    let sum = 0;
    for (let r = 0; r < k; r++) {
      const left = a.value.x[(startsA[matrix] as number) + row * k + r] as number;
      sum += left * (b.value.x[(startsB[matrix] as number) + r * n + (i % n)] as number);
    }
    x[i] = sum;
  }
  return lanesOf(x, laneKinds.bits);
}
