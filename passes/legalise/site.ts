// One ONNX node as its lowering sees it: operands as core tensors, made when asked for; ONNX types, constants and attributes. Also the helpers that
// keep narrow integer types exact. Knows no operator.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type DType, dtypes } from "../../ir/dtype.ts";
import type { Attrs } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import { numbersOf, type TensorType, type TensorValue } from "../../ir/graph/values.ts";
import { and, shl, shr } from "./arith.ts";
import { type CoreDraft, dtypeOf, int } from "./core-draft.ts";
import { isWithin } from "./range.ts";

export interface Site {
  readonly op: OnnxOp;
  /** ONNX types of the inputs; null where one is omitted. */
  readonly types: readonly (TensorType | null)[];
  readonly outputs: readonly TensorType[];
  /** Which outputs the node really has. */
  readonly wanted: readonly boolean[];
  /** Defaults filled in. */
  readonly attrs: Attrs;
  /** Input as float32 or int32 core tensor. */
  readonly input: (index: number) => TensorId;
  /** Integer input of 8 bits as a byte tensor, for an integer matmul. */
  readonly bytes: (index: number) => TensorId;
  /** Contents of a constant input. */
  readonly constant: (index: number) => TensorValue | undefined;
  /** Operators that read output 0. */
  readonly readers: ReadonlySet<OnnxOp>;
}

/** Why a node cannot be lowered. */
export interface Refusal {
  readonly refusal: string;
}

export type Lowered = TensorId | readonly (TensorId | null)[] | Refusal;
export type Lowering = (d: CoreDraft, site: Site) => Lowered;
export type LoweringTable = Partial<Record<OnnxOp, Lowering>>;

export const refuse = (refusal: string): Refusal => ({ refusal });
export const isRefusal = (x: unknown): x is Refusal => typeof x === "object" && x !== null && "refusal" in x;

export function typeAt(site: Site, index: number): TensorType {
  const type = site.types[index];
  invariant(type !== null && type !== undefined, `${site.op} has an input ${index}`);
  return type;
}

export function outputType(site: Site, index = 0): TensorType {
  const type = site.outputs[index];
  invariant(type !== undefined, `${site.op} has an output ${index}`);
  return type;
}

export const hasInput = (site: Site, index: number): boolean => (site.types[index] ?? null) !== null;

/** An input that may be left out. */
export const optionalInput = (site: Site, index: number): TensorId | undefined =>
  hasInput(site, index) ? site.input(index) : undefined;

/** All inputs that are there, in order. */
export const presentInputs = (site: Site): TensorId[] =>
  site.types.flatMap((type, index) => (type === null ? [] : [site.input(index)]));

/** Numbers of a constant integer or float input. */
export function constantNumbers(site: Site, index: number): readonly number[] | undefined {
  const value = site.constant(index);
  return value === undefined ? undefined : Array.from(numbersOf(value));
}

export const isFloatType = (dtype: DType): boolean => dtypes[dtype].kind === "float";

/** Brings an int32 result back into the range of a narrower integer type, by wrapping; nothing where it cannot leave it. */
export function wrapTo(d: CoreDraft, x: TensorId, dtype: DType): TensorId {
  const { bits, kind } = dtypes[dtype];
  if (dtypeOf(d, x) !== "int32" || bits >= 32 || kind === "bool" || kind === "float") return x;
  const [least, most] = kind === "uint" ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  if (isWithin(d, x, least, most)) return x;
  if (kind === "uint") return and(d, x, int(d, 2 ** bits - 1));
  return shr(d, shl(d, x, int(d, 32 - bits)), int(d, 32 - bits));
}

/** Axis counted from the front. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
