// Applies the operator table to one node: are its inputs and attributes what the row allows, and what comes out? Also evaluates one node.
import { type Attrs, type AttrValue, attrFits, isDType } from "./attr.ts";
import { type OnnxOp, onnxOps } from "./onnx-ops.ts";
import {
  isProblem,
  type OnnxOpRow,
  type OpSignature,
  type Parameter,
  type Problem,
  parseParameter,
  problem,
  typeClasses,
} from "./op-row.ts";
import { shapeText } from "./shapes.ts";
import type { TensorType, TensorValue } from "./values.ts";

export interface OpCall {
  /** null for an omitted optional input. */
  readonly inputs: readonly (TensorType | null)[];
  /** The value of input `index` if it is a constant. */
  readonly constant: (index: number) => TensorValue | undefined;
  readonly attrs: Attrs;
  readonly outputCount: number;
}

export type InferredCall =
  | { readonly ok: true; readonly outputs: readonly TensorType[]; readonly attrs: Attrs }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const parameters = new Map<OpSignature, readonly Parameter[]>();

export function parametersOf(row: OpSignature): readonly Parameter[] {
  const known = parameters.get(row);
  if (known !== undefined) return known;
  const parsed = row.inputs.map(parseParameter);
  parameters.set(row, parsed);
  return parsed;
}

/** Fills in defaults; names unknown, missing and ill-typed attributes. */
export function completeAttrs(
  row: OpSignature,
  given: Attrs,
): { readonly attrs: Attrs; readonly problems: readonly Problem[] } {
  const attrs: Record<string, AttrValue> = {};
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(given)) {
    const spec = Object.hasOwn(row.attrs, name) ? row.attrs[name] : undefined;
    if (spec === undefined) {
      const known = Object.keys(row.attrs).join(", ");
      problems.push(problem("attr", `attribute ${name} is unknown, allowed: ${known === "" ? "none" : known}`));
    } else if (!attrFits(spec, value)) {
      problems.push(problem("attr", `attribute ${name} is ${JSON.stringify(value)}, needed: ${spec.type}`));
    } else attrs[name] = value;
  }
  for (const [name, spec] of Object.entries(row.attrs)) {
    if (given[name] !== undefined) continue;
    if (spec.default !== undefined) attrs[name] = spec.default;
    else if (spec.required === true) problems.push(problem("attr", `attribute ${name} is missing`));
  }
  return { attrs, problems };
}

/** The parameter that input `index` belongs to. */
function parameterAt(list: readonly Parameter[], index: number): Parameter | undefined {
  const last = list.at(-1);
  return list[index] ?? (last?.variadic === true ? last : undefined);
}

function checkArity(row: OpSignature, list: readonly Parameter[], call: OpCall): Problem[] {
  const problems: Problem[] = [];
  const surplus = call.inputs.findIndex((_, i) => parameterAt(list, i) === undefined);
  if (surplus >= 0) problems.push(problem("arity", `${call.inputs.length} inputs, allowed: at most ${list.length}`));
  for (const [i, parameter] of list.entries()) {
    if (!parameter.optional && (call.inputs[i] ?? null) === null) {
      problems.push(problem("arity", `input ${parameter.name} is missing`));
    }
  }
  const variadic = row.outputs.at(-1)?.includes("...") === true;
  if (!variadic && call.outputCount > row.outputs.length) {
    problems.push(problem("arity", `${call.outputCount} outputs, allowed: at most ${row.outputs.length}`));
  }
  return problems;
}

/** Element types that a parameter allows, with references to earlier parameters resolved. */
function allowedTypes(
  parameter: Parameter,
  list: readonly Parameter[],
  inputs: OpCall["inputs"],
  index: number,
): readonly string[] {
  const sameAs = (name: string): readonly string[] => {
    const at = list.findIndex((other) => other.name === name);
    const dtype = inputs[at]?.dtype;
    return dtype === undefined ? typeClasses.any : [dtype];
  };
  const first = inputs[list.indexOf(parameter)] ?? null;
  if (parameter.variadic && !parameter.mixed && first !== null && index > list.indexOf(parameter)) return [first.dtype];
  return parameter.types.flatMap((name): readonly string[] => {
    if (Object.hasOwn(typeClasses, name)) return typeClasses[name as keyof typeof typeClasses];
    return isDType(name) ? [name] : sameAs(name);
  });
}

function checkTypes(list: readonly Parameter[], call: OpCall): Problem[] {
  return call.inputs.flatMap((input, index) => {
    const parameter = parameterAt(list, index);
    if (input === null || parameter === undefined) return [];
    const allowed = allowedTypes(parameter, list, call.inputs, index);
    if (!allowed.includes(input.dtype)) {
      return [problem("dtype", `input ${parameter.name} is ${input.dtype}, allowed: ${allowed.join(", ")}`)];
    }
    if (!parameter.single || input.shape.every((size) => size === 1)) return [];
    return [problem("shape", `input ${parameter.name} has shape ${shapeText(input.shape)}, needed: one element`)];
  });
}

/** Sizes beyond have no place in any memory. */
const MAX_SIZE = 2 ** 40;

/** Whether a call has the inputs and attributes of a signature: its attributes with defaults, and everything that is wrong. */
export function checkCall(
  row: OpSignature,
  call: OpCall,
): { readonly attrs: Attrs; readonly problems: readonly Problem[] } {
  const list = parametersOf(row);
  const { attrs, problems } = completeAttrs(row, call.attrs);
  return { attrs, problems: [...problems, ...checkArity(row, list, call), ...checkTypes(list, call)] };
}

/** Types of a node's outputs, or everything that is wrong with it. */
export function inferOp(op: OnnxOp, call: OpCall): InferredCall {
  const row: OnnxOpRow = onnxOps[op];
  const { attrs, problems } = checkCall(row, call);
  if (problems.length > 0) return { ok: false, problems };
  const outputs = row.infer({ ...call, attrs });
  if (isProblem(outputs)) return { ok: false, problems: [outputs] };
  if (outputs.length < call.outputCount) {
    return { ok: false, problems: [problem("arity", `${call.outputCount} outputs, this form has ${outputs.length}`)] };
  }
  const huge = outputs.find(
    ({ shape }) =>
      !shape.every((size) => Number.isSafeInteger(size) && size >= 0 && size <= MAX_SIZE) ||
      !Number.isSafeInteger(shape.reduce((a, b) => a * b, 1)),
  );
  if (huge !== undefined)
    return { ok: false, problems: [problem("shape", `the result has ${huge.shape.join(" x ")} elements`)] };
  return { ok: true, outputs: outputs.map(({ dtype, shape }) => ({ dtype, shape })), attrs };
}

export type EvaluatedCall =
  | { readonly ok: true; readonly outputs: readonly TensorValue[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** The values of a node's outputs, for constant folding and for the graph evaluator. */
export function evaluateOp(
  op: OnnxOp,
  inputs: readonly (TensorValue | null)[],
  attrs: Attrs,
  outputCount: number,
): EvaluatedCall {
  const inferred = inferOp(op, { inputs, attrs, outputCount, constant: (index) => inputs[index] ?? undefined });
  if (!inferred.ok) return inferred;
  const outputs = inferred.outputs.slice(0, outputCount);
  return { ok: true, outputs: onnxOps[op].evaluate({ inputs, attrs: inferred.attrs, outputs }) };
}
