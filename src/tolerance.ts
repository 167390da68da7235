// When an output of a conformance case agrees with the recorded one: the rules, what half precision adds to them, and the comparison. Pure.

import { type DType, dtypes } from "../ir/dtype.ts";
import type { Graph, TensorId } from "../ir/graph/graph.ts";
import type { ModelPrecision } from "../ir/graph/precision.ts";
import { bigintsOf, is64Bit, numbersOf, type TensorValue } from "../ir/graph/values.ts";

/** Floats: |found - expected| <= absolute + relative |expected| + ofScale max |expected|. All else within `steps`, exactly if there are none. */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
  readonly ofScale?: number;
  readonly steps?: number;
}

/**
 * `element`: relative to each element, integers exactly, as the public runner of the backend suite compares. `scale`: relative to the largest
 * magnitude of the output; 8-bit integers may be one quantisation step off.
 */
export interface CompareRule {
  readonly to: "element" | "scale";
  readonly relative: number;
}

export const comparedTo = ["element", "scale"] as const;

/** What the public runner of the backend suite uses. */
export const suiteRule: CompareRule = { to: "element", relative: 1e-3 };
/** For whole graphs, whose small elements are differences of large ones. */
export const graphRule: CompareRule = { to: "scale", relative: 1e-3 };

const absolute = 1e-7;

/** Two units in the last place: what the suite's runner allows bfloat16 at least (assert_similar_outputs, onnx/backend/test/runner of ONNX 1.23). */
const bfloat16Relative = 2 ** -6;

/** Largest error of an operand relative to the largest of its column, or of itself: half a step. */
const rounding = { fp32: 0, fp16: 2 ** -11, w8a16: 1 / 254, int8: 2 / 254 } as const satisfies Record<
  ModelPrecision,
  number
>;

/**
 * What a precision adds, relative to the output's largest magnitude. Both operands of a product are rounded, and what is multiplied is often larger
 * than the sum that is left of it: four roundings a product. Errors of products behind one another are independent: they grow with the root of
 * their number.
 */
export const allowanceOf = (precision: ModelPrecision, productsInChain: number): number =>
  4 * rounding[precision] * Math.sqrt(Math.max(1, productsInChain));

export interface CaseNumerics {
  readonly precision: ModelPrecision;
  /** Most matrix products one behind the other. */
  readonly productsInChain: number;
}

/** The tolerance for one output. In fp32 the suite's rule stands alone; whole graphs that are float16 themselves round as often as fp16 programs. */
export function toleranceFor(rule: CompareRule, dtype: DType, numerics: CaseNumerics): Tolerance {
  const { precision, productsInChain } = numerics;
  const isHalf = precision !== "fp32" || (rule.to === "scale" && dtype === "float16");
  const half = isHalf ? allowanceOf(precision === "fp32" ? "fp16" : precision, productsInChain) : 0;
  const least = dtype === "bfloat16" ? bfloat16Relative : 0;
  if (rule.to === "element")
    return { relative: Math.max(rule.relative, least), absolute, ...(isHalf ? { ofScale: half } : {}) };
  const steps = dtype === "int8" || dtype === "uint8" ? { steps: 1 } : {};
  return { relative: 0, absolute, ofScale: Math.max(rule.relative, half), ...steps };
}

/** Matrix products on the longest way through a core graph. */
export function productsInChain(graph: Graph): number {
  const depth = new Map<TensorId, number>();
  let deepest = 0;
  for (const node of graph.nodes) {
    const before = Math.max(0, ...node.inputs.map((id) => (id === null ? 0 : (depth.get(id) ?? 0))));
    const own = node.op === "matmul" ? before + 1 : before;
    deepest = Math.max(deepest, own);
    for (const id of node.outputs) if (id !== null) depth.set(id, own);
  }
  return deepest;
}

function largestFinite(data: ArrayLike<number>): number {
  let scale = 0;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i] ?? 0);
    if (size > scale && size < Number.POSITIVE_INFINITY) scale = size;
  }
  return scale;
}

/** Where two tensors differ, or undefined. Equal infinities and NaNs agree, a NaN and a number never do. */
export function difference(found: TensorValue, expected: TensorValue, tolerance: Tolerance): string | undefined {
  const type = ({ dtype, shape }: TensorValue): string => `${dtype}[${shape.join()}]`;
  if (type(found) !== type(expected)) return `is ${type(found)}, expected ${type(expected)}`;
  if (is64Bit(expected.dtype)) {
    const [a, b] = [bigintsOf(found), bigintsOf(expected)];
    for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return `element ${i} is ${a[i]}, expected ${b[i]}`;
    return undefined;
  }
  const [a, b] = [numbersOf(found), numbersOf(expected)];
  const isFloat = dtypes[expected.dtype].kind === "float";
  const ofScale = (tolerance.ofScale ?? 0) * (tolerance.ofScale === undefined ? 0 : largestFinite(b));
  const allowed = isFloat ? tolerance.absolute + ofScale : (tolerance.steps ?? 0);
  const relative = isFloat ? tolerance.relative : 0;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] ?? Number.NaN, b[i] ?? Number.NaN];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    if (!(Number.isFinite(y) && Math.abs(x - y) <= allowed + relative * Math.abs(y)))
      return `element ${i} is ${x}, expected ${y}`;
  }
  return undefined;
}
