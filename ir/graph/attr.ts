// Constant attributes of graph nodes: the value type, and typed access after the attributes were checked. Knows no operator.
import { invariant } from "../diag/diagnostic.ts";
import { type DType, dtypes } from "../dtype.ts";

/** A constant attribute of a node. Tensor attributes become constant inputs instead. */
export type AttrValue = number | string | boolean | readonly number[] | readonly string[];
export type Attrs = Readonly<Record<string, AttrValue>>;

/** What a row says of an attribute. `dtype` attributes hold a name of ir/dtype.ts, never a number of the file format. */
export interface AttrSpec {
  readonly type: "int" | "float" | "ints" | "floats" | "string" | "strings" | "dtype";
  readonly default?: AttrValue;
  readonly required?: true;
}

export const int = (value?: number): AttrSpec =>
  value === undefined ? { type: "int" } : { type: "int", default: value };
export const float = (value?: number): AttrSpec =>
  value === undefined ? { type: "float" } : { type: "float", default: value };
export const ints = (value?: readonly number[]): AttrSpec =>
  value === undefined ? { type: "ints" } : { type: "ints", default: value };
export const string = (value?: string): AttrSpec =>
  value === undefined ? { type: "string" } : { type: "string", default: value };
export const dtypeAttr = (value?: DType): AttrSpec =>
  value === undefined ? { type: "dtype" } : { type: "dtype", default: value };

export const isDType = (name: unknown): name is DType => typeof name === "string" && Object.hasOwn(dtypes, name);

function isNumbers(value: AttrValue): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/** Whether `value` is one that an attribute of this type can hold. */
export function attrFits(spec: AttrSpec, value: AttrValue): boolean {
  switch (spec.type) {
    case "int":
      return typeof value === "number" && Number.isInteger(value);
    case "float":
      return typeof value === "number";
    case "ints":
      return isNumbers(value) && value.every(Number.isInteger);
    case "floats":
      return isNumbers(value);
    case "string":
      return typeof value === "string";
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "dtype":
      return isDType(value);
  }
}

export function optionalNumber(attrs: Attrs, name: string): number | undefined {
  const value = attrs[name];
  if (value === undefined) return undefined;
  invariant(typeof value === "number", `attribute ${name} is not a number`);
  return value;
}

export function numberOf(attrs: Attrs, name: string): number {
  const value = optionalNumber(attrs, name);
  invariant(value !== undefined, `attribute ${name} is missing`);
  return value;
}

export function optionalNumbers(attrs: Attrs, name: string): readonly number[] | undefined {
  const value = attrs[name];
  if (value === undefined) return undefined;
  invariant(isNumbers(value), `attribute ${name} is not a list of numbers`);
  return value;
}

export function numbersAttr(attrs: Attrs, name: string): readonly number[] {
  const value = optionalNumbers(attrs, name);
  invariant(value !== undefined, `attribute ${name} is missing`);
  return value;
}

export function stringOf(attrs: Attrs, name: string): string {
  const value = attrs[name];
  invariant(typeof value === "string", `attribute ${name} is not a string`);
  return value;
}

export function optionalDType(attrs: Attrs, name: string): DType | undefined {
  const value = attrs[name];
  if (value === undefined) return undefined;
  invariant(isDType(value), `attribute ${name} is not an element type`);
  return value;
}
