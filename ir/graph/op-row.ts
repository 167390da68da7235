// What a row of the ONNX operator table is: parameters with their allowed element types, attributes, inference and evaluation.
// Knows no operator.
import type { DType } from "../dtype.ts";
import type { AttrSpec, Attrs } from "./attr.ts";
import type { TensorType, TensorValue } from "./values.ts";

/** Why a node is wrong or cannot be had; `kind` says which sort of mistake it is. */
export interface Problem {
  readonly kind: "arity" | "dtype" | "shape" | "attr" | "constant" | "unsupported";
  readonly problem: string;
}

export const problem = (kind: Problem["kind"], text: string): Problem => ({ kind, problem: text });

export function isProblem(x: unknown): x is Problem {
  return typeof x === "object" && x !== null && "problem" in x;
}

export type Inferred = readonly TensorType[] | Problem;

export interface InferContext {
  /** null for an omitted optional input. Required inputs are present and of allowed types when a row's `infer` runs. */
  readonly inputs: readonly (TensorType | null)[];
  /** The value of input `index` if it is a constant. */
  readonly constant: (index: number) => TensorValue | undefined;
  /** Checked, defaults filled in. */
  readonly attrs: Attrs;
  /** How many outputs the node lists (omitted ones in the middle included). */
  readonly outputCount: number;
}

export interface EvaluateContext {
  readonly inputs: readonly (TensorValue | null)[];
  readonly attrs: Attrs;
  /** What `infer` said of the outputs. */
  readonly outputs: readonly TensorType[];
}

/**
 * Parameters are written `name: types`. `name?` is optional, `name...` takes the rest (at least one; `name...?` possibly none).
 * Types end in ` single` where the tensor holds exactly one element, in ` mixed` where what repeats may differ in type, and are names of `typeClasses`, element types, or earlier parameters (then: the same type), joined by `|`.
 */
export interface OpSignature {
  readonly summary: string;
  readonly inputs: readonly string[];
  /** Names; `name?` may be omitted, `name...` stands for any number. */
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, AttrSpec>>;
}

export interface OnnxOpRow extends OpSignature {
  /** Types of all outputs the node could have, in order; callers take those the node lists. */
  readonly infer: (ctx: InferContext) => Inferred;
  /** As many outputs as `ctx.outputs`. Total: whatever `infer` accepted is computed. */
  readonly evaluate: (ctx: EvaluateContext) => readonly TensorValue[];
}

export const defineOp = (row: OnnxOpRow): OnnxOpRow => row;

const floats = ["float32", "float64", "float16", "bfloat16"] as const;
const smallFloats = [
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "float8e8m0",
  "float4e2m1",
] as const;
const signedInts = ["int64", "int32", "int16", "int8"] as const;
const unsignedInts = ["uint64", "uint32", "uint16", "uint8"] as const;
const subByteInts = ["int4", "uint4", "int2", "uint2"] as const;

export const typeClasses = {
  any: [...floats, ...smallFloats, ...signedInts, ...unsignedInts, ...subByteInts, "bool"],
  float: floats,
  /** fp8 and smaller: storage only. */
  smallFloat: smallFloats,
  int: [...signedInts, ...unsignedInts],
  signed: [...floats, ...signedInts],
  number: [...floats, ...signedInts, ...unsignedInts],
  index: ["int64", "int32"],
  byte: ["int8", "uint8"],
  quantised: [...subByteInts, "int8", "uint8", "int16", "uint16", "int32", ...smallFloats],
} as const satisfies Record<string, readonly DType[]>;

export interface Parameter {
  readonly name: string;
  readonly optional: boolean;
  readonly variadic: boolean;
  /** Alternatives as written: type classes, element types, names of earlier parameters. */
  readonly types: readonly string[];
  /** Holds exactly one element, whatever its rank. */
  readonly single: boolean;
  /** Of a variadic one: each may have another type. */
  readonly mixed: boolean;
}

/** Reads the `name: types` notation of a row. */
export function parseParameter(text: string): Parameter {
  const [head = "", written = "any"] = text.split(":").map((part) => part.trim());
  const single = written.endsWith(" single");
  const mixed = written.endsWith(" mixed");
  const types = single || mixed ? written.slice(0, written.lastIndexOf(" ")) : written;
  const match = /^(\w+)(\.\.\.)?(\?)?$/.exec(head);
  const [, name = head, dots, question] = match ?? [];
  return {
    name,
    optional: question !== undefined,
    variadic: dots !== undefined,
    types: types.split("|").map((part) => part.trim()),
    single,
    mixed,
  };
}
