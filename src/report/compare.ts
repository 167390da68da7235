// How far an output is from a reference: largest absolute and ULP distance, cosine, whether the largest elements agree. Pure.
import type { HostTensor } from "../../backends/interp/host.ts";
import type { DType } from "../../ir/dtype.ts";
import { dtypes } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { bigintsOf, is64Bit, numbersOf, type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";

export interface Comparison {
  readonly maxAbs: number;
  /** Of float32, in units in the last place; of other types, in steps of the type. */
  readonly maxUlp: number;
  readonly cosine: number;
  /** Share of the vectors along the last dimension whose largest element is the same one. */
  readonly argmaxAgreement: number;
  /** Largest magnitude of the reference. */
  readonly scale: number;
}

export const shapeAndType = ({ dtype, shape }: { readonly dtype: DType; readonly shape: readonly number[] }): string =>
  `${dtype}[${shape.join("x")}]`;

const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

/** Numbers float32 values in order, so that neighbours differ by one; both zeros are 0. */
function ordinal(x: number): number {
  single[0] = x;
  const bits = singleBits[0] ?? 0;
  return bits < 0 ? -(bits & 0x7fffffff) : bits;
}

function numbers(value: TensorValue): ArrayLike<number> {
  return is64Bit(value.dtype) ? Array.from(bigintsOf(value), Number) : numbersOf(value);
}

/** Equal, infinities and NaNs included, is no distance; one NaN, or different infinities, is all the distance there is. */
function distance(a: number, b: number): number {
  if (Object.is(a, b) || a === b) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}

/** Position of the largest element of [from, from + count), the first of equals; a NaN counts as largest. */
function argmax(data: ArrayLike<number>, from: number, count: number): number {
  let best = from;
  for (let i = from; i < from + count; i++) {
    const [x, y] = [data[i] ?? 0, data[best] ?? 0];
    if (Number.isNaN(y)) break;
    if (x > y || Number.isNaN(x)) best = i;
  }
  return best - from;
}

function agreement(a: ArrayLike<number>, b: ArrayLike<number>, shape: readonly number[]): number {
  const row = shape.at(-1) ?? 1;
  const rows = row === 0 ? 0 : a.length / row;
  if (rows === 0) return 1;
  let same = 0;
  for (let i = 0; i < rows; i++) if (argmax(a, i * row, row) === argmax(b, i * row, row)) same++;
  return same / rows;
}

/** Compares tensors of one type and shape; undefined where these differ. */
export function compareTensors(found: HostTensor, expected: HostTensor): Comparison | undefined {
  if (shapeAndType(found) !== shapeAndType(expected)) return undefined;
  const a = numbers(valueFromBytes(found.dtype, found.shape, found.bytes));
  const b = numbers(valueFromBytes(expected.dtype, expected.shape, expected.bytes));
  const isFloat = dtypes[found.dtype].kind === "float";
  let [maxAbs, maxUlp, scale, aa, ab, bb] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < elementCount(found.shape); i++) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    const far = distance(x, y);
    maxAbs = Math.max(maxAbs, far);
    maxUlp = Math.max(maxUlp, far === 0 || !isFloat || !Number.isFinite(far) ? far : Math.abs(ordinal(x) - ordinal(y)));
    scale = Math.max(scale, Number.isFinite(y) ? Math.abs(y) : 0);
    aa += x * x;
    ab += x * y;
    bb += y * y;
  }
  const cosine = aa === 0 && bb === 0 ? 1 : aa === 0 || bb === 0 ? 0 : Math.min(1, ab / Math.sqrt(aa * bb));
  return { maxAbs, maxUlp, cosine, argmaxAgreement: agreement(a, b, found.shape), scale };
}

/**
 * Is it near enough? Floats: largest distance at most `tolerance` times the reference's largest magnitude, which counts as 1 where it is less.
 * Other types: equal.
 */
export function isNear(dtype: DType, comparison: Comparison, tolerance: number): boolean {
  if (dtypes[dtype].kind !== "float") return comparison.maxAbs === 0;
  return comparison.maxAbs <= tolerance * Math.max(1, comparison.scale);
}
