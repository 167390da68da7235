// Older forms of operators -> the newest one that the operator table describes, a row an operator. `below` says from which opset on a row is not
// needed any more. Everything else about an operator stands in ir/graph.

import { diagnostic } from "../../ir/diag/codes.ts";
import type { Attrs } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { isOnnxOp, type OnnxOp, onnxOps } from "../../ir/graph/onnx-ops.ts";
import { type OpSignature, type Problem, problem } from "../../ir/graph/op-row.ts";
import { int64s, scalar, valueFromBytes, valueFromNumbers } from "../../ir/graph/values.ts";
import { constantValue, typeOfTensor } from "../../passes/fold/draft.ts";
import { convertAttributes, floatAttribute, intAttribute, intsAttribute } from "./canonical-attrs.ts";
import { expandCall, expansions } from "./expand/table.ts";
import { codes } from "./import-codes.ts";
import {
  type Emitted,
  emit,
  emitConstant,
  emitOne,
  type Importer,
  nodeLocation,
  type RawCall,
  reportAt,
  reportProblem,
} from "./import-scope.ts";
import type { AttributeValue } from "./model.ts";
import { isTensorProblem, loadTensor } from "./tensor-data.ts";

/** A changed call, finished results, or undefined after reporting a problem. */
type Rewritten = RawCall | readonly (TensorId | null)[] | undefined;
type Rewrite = (importer: Importer, call: RawCall) => Rewritten;

interface Row {
  readonly below: number;
  readonly rewrite: Rewrite;
}

const always = Number.POSITIVE_INFINITY;

function without(
  attributes: ReadonlyMap<string, AttributeValue>,
  ...names: readonly string[]
): Map<string, AttributeValue> {
  return new Map([...attributes].filter(([name]) => !names.includes(name)));
}

function withInput(call: RawCall, index: number, input: TensorId | null): RawCall {
  const inputs = [...call.inputs];
  while (inputs.length <= index) inputs.push(null);
  inputs[index] = input;
  return { ...call, inputs };
}

/** List attributes become int64 inputs. */
const intsToInputs =
  (names: Readonly<Record<string, number>>): Rewrite =>
  (importer, call) => {
    let result: RawCall = { ...call, attributes: without(call.attributes, ...Object.keys(names)) };
    for (const [name, index] of Object.entries(names)) {
      const list = intsAttribute(call.attributes, name);
      if (list !== undefined) result = withInput(result, index, emitConstant(importer, call, int64s(list)));
    }
    return result;
  };

/** Number attributes become scalar inputs of the type of input 0. */
const floatsToInputs =
  (names: Readonly<Record<string, number>>): Rewrite =>
  (importer, call) => {
    let result: RawCall = { ...call, attributes: without(call.attributes, ...Object.keys(names)) };
    const [x] = call.inputs;
    for (const [name, index] of Object.entries(names)) {
      const value = floatAttribute(call.attributes, name);
      if (value === undefined || x === null || x === undefined) continue;
      result = withInput(
        result,
        index,
        emitConstant(importer, call, scalar(typeOfTensor(importer.draft, x).dtype, value)),
      );
    }
    return result;
  };

const both =
  (first: Rewrite, second: Rewrite): Rewrite =>
  (importer, call) => {
    const result = first(importer, call);
    return result === undefined || !("opType" in result) ? result : second(importer, result);
  };

/** Attributes that say nothing any more. */
const drop =
  (...names: readonly string[]): Rewrite =>
  (_, call) => ({ ...call, attributes: without(call.attributes, ...names) });

/** Before opset 13 the softmaxes saw their input as a matrix split at `axis`. */
const matrixSoftmax: Rewrite = (importer, call) => {
  const [x] = call.inputs;
  const op = call.opType;
  if (x === null || x === undefined || !isOnnxOp(op)) return call;
  const { shape } = typeOfTensor(importer.draft, x);
  const given = intAttribute(call.attributes, "axis") ?? 1;
  const axis = given < 0 ? given + shape.length : given;
  if (axis < 0 || axis > shape.length) {
    reportAt(importer, codes.attribute, call.origin, `axis ${given} is outside rank ${shape.length}`);
    return undefined;
  }
  if (axis === shape.length - 1) return { ...call, attributes: new Map([["axis", { kind: "i", value: -1 }]]) };
  const matrix = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
  const flat = emitOne(importer, call, "Reshape", [x, emitConstant(importer, call, int64s(matrix))], { allowzero: 1 });
  const result = flat === undefined ? undefined : emitOne(importer, call, op, [flat], { axis: -1 });
  if (result === undefined) return undefined;
  return emit(
    importer,
    call,
    "Reshape",
    [result, emitConstant(importer, call, int64s(shape))],
    { allowzero: 1 },
    call.outputs,
  );
};

const splitOutputs: Rewrite = (_, call) => {
  if ((call.inputs[1] ?? null) !== null || call.attributes.has("num_outputs")) return call;
  const attributes = new Map(call.attributes).set("num_outputs", { kind: "i", value: call.outputs.length });
  return { ...call, attributes };
};

/** A tensor attribute becomes an input. */
const tensorToInput =
  (name: string, index: number): Rewrite =>
  (importer, call) => {
    const attribute = call.attributes.get(name);
    const rest = { ...call, attributes: without(call.attributes, name) };
    if (attribute?.kind !== "t") return rest;
    const loaded = loadTensor(attribute.value, importer.files);
    if (isTensorProblem(loaded)) {
      reportAt(importer, loaded.code, call.origin, `attribute ${name}: ${loaded.message}`);
      return undefined;
    }
    const value = valueFromBytes(loaded.dtype, loaded.shape, loaded.data.read());
    return withInput(rest, index, emitConstant(importer, call, value));
  };

const rename =
  (domain: string, opType: string): Rewrite =>
  (_, call) => ({ ...call, domain, opType });

/** Without a mask or training, Dropout is its input. */
const dropout: Rewrite = (importer, call) => {
  const [x, ratio, training] = call.inputs;
  if (x === null || x === undefined) return call;
  const numberAt = (id: TensorId | null | undefined): number | undefined =>
    id === null || id === undefined ? 0 : Number(constantValue(importer.draft, id)?.data[0]);
  const active = numberAt(training) !== 0 && numberAt(ratio) !== 0;
  if (active || (call.outputs[1] ?? null) !== null) return call;
  return [x];
};

/** In opsets 18 to 20 scale and bias have one element a group. */
const groupScale: Rewrite = (importer, call) => {
  const [x] = call.inputs;
  const groups = intAttribute(call.attributes, "num_groups") ?? 1;
  const channels = x === null || x === undefined ? 0 : (typeOfTensor(importer.draft, x).shape[1] ?? 0);
  const each = channels / groups;
  if (!Number.isInteger(each)) return call;
  const ints = (list: readonly number[]): TensorId => emitConstant(importer, call, int64s(list));
  const spread = (id: TensorId | null | undefined): TensorId | null | undefined => {
    if (id === null || id === undefined) return null;
    const column = emitOne(importer, call, "Reshape", [id, ints([groups, 1])]);
    const wide = column === undefined ? undefined : emitOne(importer, call, "Expand", [column, ints([groups, each])]);
    return wide === undefined ? undefined : emitOne(importer, call, "Reshape", [wide, ints([channels])]);
  };
  const scale = spread(call.inputs[1]);
  const bias = spread(call.inputs[2]);
  if (scale === undefined || bias === undefined || x === undefined) return undefined;
  return { ...call, inputs: [x, scale, bias] };
};

const inferenceOnly: Rewrite = (_, call) => ({
  ...call,
  attributes: without(call.attributes, "spatial", "is_test"),
  outputs: call.outputs.slice(0, 1),
});

const axesInput = intsToInputs({ axes: 1 });
const reductions = [
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceLogSum",
  "ReduceLogSumExp",
];

const rows: ReadonlyMap<string, readonly Row[]> = new Map<string, readonly Row[]>([
  ...reductions.map((op): [string, Row[]] => [op, [{ below: 18, rewrite: axesInput }]]),
  ["ReduceSum", [{ below: 13, rewrite: axesInput }]],
  ["Squeeze", [{ below: 13, rewrite: axesInput }]],
  ["Unsqueeze", [{ below: 13, rewrite: axesInput }]],
  [
    "Split",
    [
      { below: 13, rewrite: intsToInputs({ split: 1 }) },
      { below: 18, rewrite: splitOutputs },
    ],
  ],
  ["Slice", [{ below: 10, rewrite: intsToInputs({ starts: 1, ends: 2, axes: 3 }) }]],
  ["Pad", [{ below: 11, rewrite: both(intsToInputs({ pads: 1 }), floatsToInputs({ value: 2 })) }]],
  ["Clip", [{ below: 11, rewrite: floatsToInputs({ min: 1, max: 2 }) }]],
  ["TopK", [{ below: 10, rewrite: topKCount }]],
  [
    "Dropout",
    [
      { below: 12, rewrite: drop("ratio", "is_test") },
      { below: always, rewrite: dropout },
    ],
  ],
  ["Softmax", [{ below: 13, rewrite: matrixSoftmax }]],
  ["LogSoftmax", [{ below: 13, rewrite: matrixSoftmax }]],
  ["Hardmax", [{ below: 13, rewrite: matrixSoftmax }]],
  ["BatchNormalization", [{ below: 14, rewrite: inferenceOnly }]],
  ["GroupNormalization", [{ below: 21, rewrite: groupScale }]],
  ["ConstantOfShape", [{ below: always, rewrite: tensorToInput("value", 1) }]],
  ["Upsample", [{ below: always, rewrite: upsample }]],
  ["Resize", [{ below: 11, rewrite: oldResize }]],
  ["Scatter", [{ below: always, rewrite: rename("", "ScatterElements") }]],
  ["com.microsoft.GroupQueryAttention", [{ below: always, rewrite: declaredTotal }]],
  ["com.microsoft.Gelu", [{ below: always, rewrite: rename("", "Gelu") }]],
]);

/** Resize knew one way to place elements before opset 11. */
function oldResize(_: Importer, call: RawCall): Rewritten {
  const [x = null, scales = null] = call.inputs;
  const attributes = new Map(call.attributes)
    .set("coordinate_transformation_mode", { kind: "s", value: "asymmetric" })
    .set("nearest_mode", { kind: "s", value: "floor" });
  return { ...call, opType: "Resize", inputs: [x, null, scales], attributes };
}

const TOTAL_LENGTH = 6;

/** A total length that is known at run time only: how long the caches then are, the model may declare. */
function declaredTotal(importer: Importer, call: RawCall): Rewritten {
  const total = call.inputs[TOTAL_LENGTH] ?? null;
  const present = call.outputs[1] ?? null;
  const size = present === null ? undefined : importer.declared.get(present)?.[2];
  if (total === null || size === undefined || constantValue(importer.draft, total) !== undefined) return call;
  return withInput(call, TOTAL_LENGTH, emitConstant(importer, call, valueFromNumbers("int32", [], [size])));
}

function upsample(importer: Importer, call: RawCall): Rewritten {
  const scales = call.attributes.get("scales");
  const rest = { ...call, attributes: without(call.attributes, "scales") };
  if (scales?.kind !== "floats") return oldResize(importer, rest);
  const list = valueFromNumbers("float32", [scales.value.length], scales.value);
  return oldResize(importer, withInput(rest, 1, emitConstant(importer, call, list)));
}

function topKCount(importer: Importer, call: RawCall): Rewritten {
  const k = intAttribute(call.attributes, "k");
  const rest = { ...call, attributes: without(call.attributes, "k") };
  return k === undefined ? rest : withInput(rest, 1, emitConstant(importer, call, int64s([k])));
}

/** The operator table's name of an operator. */
export function tableName(domain: string, opType: string): string {
  return domain === "" ? opType : `${domain}.${opType}`;
}

export function knownOperator(domain: string, opType: string): boolean {
  const name = tableName(domain, opType);
  return isOnnxOp(name) || rows.has(name) || Object.hasOwn(expansions, name);
}

/** The default operator set whose attributes the operator table has, all of them. */
const COMPLETE_OPSET = 28;

/**
 * Exporters leave odd attributes behind: where the definitions are known to have none of that name it can mean nothing. One of a newer operator
 * set or of another domain may change the result: it is refused.
 */
function reportUnknownAttribute(importer: Importer, call: RawCall, attribute: string): void {
  const { opType } = call.origin;
  if (call.domain !== "" || call.opset > COMPLETE_OPSET) {
    const version = call.domain === "" ? `opset ${call.opset}` : call.domain;
    reportProblem(importer, call.origin, problem("unsupported", `attribute ${attribute} (${version}) is not known`));
    return;
  }
  const location = nodeLocation(importer, call.origin);
  importer.warnings.push(
    diagnostic(codes.attribute, `${opType}: attribute ${attribute} is unknown and was ignored`, { location }),
  );
}

/** The attributes that a signature has, converted; undefined after reporting what is wrong. */
function attributesFor(importer: Importer, call: RawCall, row: OpSignature): Attrs | undefined {
  const problems: Problem[] = [];
  const known = new Map([...call.attributes].filter(([name]) => Object.hasOwn(row.attrs, name)));
  const problemsBefore = importer.problems.length;
  for (const name of call.attributes.keys()) if (!known.has(name)) reportUnknownAttribute(importer, call, name);
  const attrs = convertAttributes(row.attrs, known, problems);
  for (const found of problems) reportProblem(importer, call.origin, found);
  return importer.problems.length > problemsBefore ? undefined : attrs;
}

function emitCanonical(importer: Importer, call: RawCall, op: OnnxOp): Emitted {
  const attrs = attributesFor(importer, call, onnxOps[op]);
  return attrs === undefined ? undefined : emit(importer, call, op, call.inputs, attrs, call.outputs);
}

function emitExpanded(importer: Importer, call: RawCall, name: string, row: OpSignature): Emitted {
  const attrs = attributesFor(importer, call, row);
  return attrs === undefined ? undefined : expandCall(importer, call, name, attrs);
}

/** Adds the canonical nodes of a call and gives its results; undefined after reporting what is wrong. */
export function canonicalise(importer: Importer, call: RawCall): Emitted {
  let current = call;
  for (const { below, rewrite } of rows.get(tableName(call.domain, call.opType)) ?? []) {
    if (call.opset >= below) continue;
    const result = rewrite(importer, current);
    if (result === undefined) return undefined;
    if (!("opType" in result)) return result;
    current = result;
  }
  const name = tableName(current.domain, current.opType);
  if (isOnnxOp(name)) return emitCanonical(importer, current, name);
  const expansion = Object.hasOwn(expansions, name) ? expansions[name] : undefined;
  if (expansion !== undefined) return emitExpanded(importer, current, name, expansion);
  reportProblem(importer, call.origin, problem("unsupported", `${name} is not an operator of lpuc`));
  return undefined;
}
