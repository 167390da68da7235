// Attributes as the file has them -> attribute values of the operator table: numbers, texts and element types by name. Knows no operator.
import type { DType } from "../../ir/dtype.ts";
import type { AttrSpec, AttrValue } from "../../ir/graph/attr.ts";
import { type Problem, problem } from "../../ir/graph/op-row.ts";
import type { AttributeValue } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";

/** An element type attribute; 0 stands for "not given". */
function elementType(value: number): DType | undefined | Problem {
  if (value === 0) return undefined;
  return dtypeOfElementType(value) ?? problem("dtype", `element type ${elementTypeName(value)} is not supported`);
}

function plainValue(name: string, value: AttributeValue): AttrValue | Problem {
  switch (value.kind) {
    case "f":
    case "i":
    case "s":
    case "floats":
    case "ints":
    case "strings":
      return value.value;
    case "t":
    case "g":
    case "sparseTensor":
    case "ref":
    case "other":
      return problem("attr", `attribute ${name} holds a ${value.kind === "t" ? "tensor" : value.kind}`);
  }
}

const isProblem = (x: unknown): x is Problem => typeof x === "object" && x !== null && "problem" in x;

/** Attributes in the operator table's form; problems are collected in `problems`. */
export function convertAttributes(
  specs: Readonly<Record<string, AttrSpec>>,
  attributes: ReadonlyMap<string, AttributeValue>,
  problems: Problem[],
): Record<string, AttrValue> {
  const attrs: Record<string, AttrValue> = {};
  for (const [name, value] of attributes) {
    const converted =
      specs[name]?.type === "dtype" && value.kind === "i" ? elementType(value.value) : plainValue(name, value);
    if (isProblem(converted)) problems.push(converted);
    else if (converted !== undefined) attrs[name] = converted;
  }
  return attrs;
}

export function intAttribute(attributes: ReadonlyMap<string, AttributeValue>, name: string): number | undefined {
  const value = attributes.get(name);
  return value?.kind === "i" ? value.value : undefined;
}

export function intsAttribute(
  attributes: ReadonlyMap<string, AttributeValue>,
  name: string,
): readonly number[] | undefined {
  const value = attributes.get(name);
  return value?.kind === "ints" ? value.value : undefined;
}

export function floatAttribute(attributes: ReadonlyMap<string, AttributeValue>, name: string): number | undefined {
  const value = attributes.get(name);
  return value?.kind === "f" ? value.value : undefined;
}
