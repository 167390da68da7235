// Imports a model whose input values are at hand: where a shape or a course depends on small inputs, their given values are taken as constants.
import type { Result } from "../../ir/diag/diagnostic.ts";
import type { DType } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import type { TensorValue } from "../../ir/graph/values.ts";
import type { ByteSource } from "../io.ts";
import { type ImportedModel, type ImportOptions, importModel } from "./import.ts";
import { codes } from "./import-codes.ts";

export interface ImportedWithValues extends ImportedModel {
  /** Inputs whose given value became part of the graph. */
  readonly fixed: readonly string[];
}

const indexTypes: readonly DType[] = ["int64", "int32", "bool"];
const MAX_FIXED_ELEMENTS = 64;
const MAX_FIXED_FACTORS = 16;
const dataDependent: readonly string[] = [codes.dataDependentShape, codes.dataDependentControl, codes.unsupportedForm];

/** Lists of axes, sizes and the like, and scalars. */
function mayShape(value: TensorValue): boolean {
  const count = elementCount(value.shape);
  return count === 1 || (value.shape.length <= 1 && count <= MAX_FIXED_ELEMENTS && indexTypes.includes(value.dtype));
}

/** Scales of axes, which give the shape of a resized tensor. */
function mayScale(value: TensorValue): boolean {
  return value.shape.length === 1 && value.dtype === "float32" && elementCount(value.shape) <= MAX_FIXED_FACTORS;
}

/** Imports with the shapes of `values`; only if that fails for want of a value, with small ones fixed too, factors last. */
export function importWithValues(
  source: ByteSource,
  values: ReadonlyMap<string, TensorValue>,
  options: ImportOptions,
): Result<ImportedWithValues> {
  const shapes = new Map([...[...values].map(([name, value]) => [name, value.shape] as const), ...options.shapes]);
  const first = importModel(source, { ...options, shapes });
  if (first.ok) return { ok: true, value: { ...first.value, fixed: [] } };
  if (!first.diagnostics.some(({ code }) => dataDependent.includes(code))) return first;
  for (const isFixed of [mayShape, (value: TensorValue) => mayShape(value) || mayScale(value)]) {
    const constants = new Map([...values].filter(([, value]) => isFixed(value)));
    const again = importModel(source, { ...options, shapes, constants });
    if (again.ok) return { ok: true, value: { ...again.value, fixed: [...constants.keys()] } };
    if (!again.diagnostics.some(({ code }) => code === codes.dataDependentShape)) break;
  }
  return first;
}
