// Computes named tensors of a scope on demand: a node runs when its result is asked for, after its inputs. So dead nodes cost nothing and the
// listing order does not matter. Inlines model-local functions.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import type { NodeOrigin, TensorId } from "../../ir/graph/graph.ts";
import { onnxOps } from "../../ir/graph/onnx-ops.ts";
import { scalar, valueFromNumbers } from "../../ir/graph/values.ts";
import { addStoredConstant } from "../../passes/fold/draft.ts";
import { canonicalise, knownOperator, tableName } from "./canonical.ts";
import { expansions } from "./expand/table.ts";
import { codes } from "./import-codes.ts";
import { isControlFlow, runControlFlow } from "./import-control.ts";
import {
  emitConstant,
  type Importer,
  lookUp,
  MAX_NODES,
  openScope,
  poison,
  providerOf,
  type RawCall,
  report,
  reportAt,
  type Scope,
  type Value,
} from "./import-scope.ts";
import type { AttributeValue, FunctionProto, GraphProto, NodeProto } from "./model.ts";
import { normalDomain } from "./reader.ts";
import { isTensorProblem, loadSparseTensor, loadTensor } from "./tensor-data.ts";

const MAX_INLINE_DEPTH = 32;
const OLDEST_OPSET = 7;
/** Operators whose form in opsets 1 to 6 is that of opset 7. */
const unchangedOperators: ReadonlySet<string> = new Set([
  "Not",
  "Constant",
  "Identity",
  "Transpose",
  "Shape",
  "Size",
  "Squeeze",
  "Unsqueeze",
  "Slice",
  "Gather",
  "Flatten",
  "Softplus",
  "Softsign",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "ReduceMean",
  "ReduceSum",
  "ReduceMax",
  "ReduceMin",
]);

export const functionKey = (domain: string, name: string, overload: string): string =>
  `${normalDomain(domain)}|${name}|${overload}`;

/** Names a subgraph reads from the scopes around it. */
function capturedNames(importer: Importer, graph: GraphProto): ReadonlySet<string> {
  const known = importer.captured.get(graph);
  if (known !== undefined) return known;
  const own = new Set<string>([
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.map((tensor) => tensor.name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ]);
  const read = [...graph.nodes.flatMap((node) => readNames(importer, node)), ...graph.outputs.map(({ name }) => name)];
  const captured = new Set(read.filter((name) => name !== "" && !own.has(name)));
  importer.captured.set(graph, captured);
  return captured;
}

function readNames(importer: Importer, node: NodeProto): readonly string[] {
  const names = node.inputs.filter((name) => name !== "");
  for (const { value } of node.attributes) {
    if (value.kind === "g") for (const name of capturedNames(importer, value.value)) names.push(name);
  }
  return names;
}

function originOf(scope: Scope, node: NodeProto, index: number): NodeOrigin {
  const own = node.name !== "" ? node.name : (node.outputs.find((name) => name !== "") ?? `node ${index}`);
  const name = scope.prefix === "" ? own : `${scope.prefix}/${own}`;
  return { name, opType: node.opType, index: scope.index ?? index };
}

function loadInitializer(importer: Importer, scope: Scope, name: string): Value {
  const tensor = scope.initializers.get(name);
  invariant(tensor !== undefined, `initialiser ${name} exists`);
  const loaded = "values" in tensor ? loadSparseTensor(tensor, importer.files) : loadTensor(tensor, importer.files);
  if (isTensorProblem(loaded)) {
    report(importer, loaded.code, `tensor '${name}': ${loaded.message}`, { location: { kind: "tensor", name } });
    return poison;
  }
  return addStoredConstant(importer.draft, name, loaded, loaded.data);
}

/** Attributes of a node with references to the enclosing function's attributes resolved. */
function resolveAttributes(scope: Scope, node: NodeProto): ReadonlyMap<string, AttributeValue> {
  const attributes = new Map<string, AttributeValue>();
  for (const { name, value } of node.attributes) {
    const resolved = value.kind === "ref" ? scope.attributes.get(value.value) : value;
    if (resolved !== undefined) attributes.set(name, resolved);
  }
  return attributes;
}

const constantKinds: ReadonlyMap<string, "float32" | "int64"> = new Map([
  ["value_float", "float32"],
  ["value_floats", "float32"],
  ["value_int", "int64"],
  ["value_ints", "int64"],
]);

function runConstant(importer: Importer, call: RawCall): Value {
  for (const [name, value] of call.attributes) {
    const dtype = constantKinds.get(name);
    if (value.kind === "t" || value.kind === "sparseTensor") {
      const loaded =
        value.kind === "t" ? loadTensor(value.value, importer.files) : loadSparseTensor(value.value, importer.files);
      if (!isTensorProblem(loaded)) return addStoredConstant(importer.draft, call.origin.name, loaded, loaded.data);
      reportAt(importer, loaded.code, call.origin, loaded.message);
      return poison;
    }
    if (dtype !== undefined && (value.kind === "i" || value.kind === "f"))
      return emitConstant(importer, call, scalar(dtype, value.value));
    if (dtype !== undefined && (value.kind === "ints" || value.kind === "floats")) {
      return emitConstant(importer, call, valueFromNumbers(dtype, [value.value.length], value.value));
    }
  }
  reportAt(importer, codes.attribute, call.origin, "no attribute holds a tensor of numbers");
  return poison;
}

function runFunction(
  importer: Importer,
  scope: Scope,
  call: RawCall,
  body: FunctionProto,
  key: string,
): readonly Value[] {
  const bad = scope.active.includes(key) ? "the function calls itself" : "functions are nested too deeply";
  if (scope.active.includes(key) || scope.active.length >= MAX_INLINE_DEPTH) {
    reportAt(importer, codes.cycle, call.origin, bad);
    return body.outputs.map((): Value => poison);
  }
  const attributes = new Map<string, AttributeValue>();
  for (const { name, value } of body.attributeDefaults) attributes.set(name, value);
  for (const [name, value] of call.attributes) attributes.set(name, value);
  const values = new Map<string, Value>();
  const missing: string[] = [];
  for (const [index, name] of body.inputs.entries()) {
    const input = call.inputs[index] ?? null;
    if (input === null) missing.push(name);
    else values.set(name, input);
  }
  const nodes = body.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (missing.includes(name) ? "" : name)),
  }));
  const opsets = body.opsets.size > 0 ? body.opsets : scope.opsets;
  const graph = { nodes, initializers: [], sparseInitializers: [] };
  const rest = { values, parent: undefined, opsets, attributes, prefix: call.origin.name, index: call.origin.index };
  const inner = openScope(importer, graph, { ...rest, active: [...scope.active, key] });
  return runScope(importer, inner, body.outputs);
}

function opsetOf(importer: Importer, scope: Scope, node: NodeProto, origin: NodeOrigin): number | undefined {
  const domain = normalDomain(node.domain);
  const version = scope.opsets.get(domain);
  if (domain !== "") return version ?? 1;
  if (version === undefined) {
    reportAt(importer, codes.badOpset, origin, "the model imports no version of the default operator set");
    return undefined;
  }
  if (version < OLDEST_OPSET && !unchangedOperators.has(node.opType)) {
    const help = "convert it with ONNX's version converter, or export it again";
    reportAt(importer, codes.oldOpset, origin, `opset ${version} is older than ${OLDEST_OPSET}`, help);
    return undefined;
  }
  return version;
}

function reportUnknown(importer: Importer, domain: string, origin: NodeOrigin): void {
  const name = tableName(domain, origin.opType);
  const help = isControlFlow(domain, origin.opType)
    ? undefined
    : didYouMean(name, [...Object.keys(onnxOps), ...Object.keys(expansions)]);
  reportAt(importer, codes.unknownOperator, origin, `operator ${name} is not supported`, help);
}

/** Results of one node whose inputs are computed. */
function runNode(importer: Importer, scope: Scope, index: number): readonly Value[] {
  const node = scope.nodes[index];
  invariant(node !== undefined, `node ${index} exists`);
  const origin = originOf(scope, node, index);
  const outer = importer.at.place;
  importer.at.place = { scope, node, origin };
  const results = nodeResults(importer, scope, node, origin);
  importer.at.place = outer;
  return results;
}

function nodeResults(importer: Importer, scope: Scope, node: NodeProto, origin: NodeOrigin): readonly Value[] {
  const failed = node.outputs.map((): Value => poison);
  const domain = normalDomain(node.domain);
  const key = functionKey(domain, node.opType, node.overload);
  const body = importer.functions.get(key);
  const special = isControlFlow(domain, node.opType) || (domain === "" && node.opType === "Constant");
  if (body === undefined && !special && !knownOperator(domain, node.opType)) {
    reportUnknown(importer, domain, origin);
    return failed;
  }
  const opset = opsetOf(importer, scope, node, origin);
  const inputs: (TensorId | null)[] = [];
  for (const name of node.inputs) {
    const value = name === "" ? null : lookUp(scope, name);
    if (value === poison || value === undefined) return failed;
    inputs.push(value);
  }
  if (opset === undefined) return failed;
  const outputs = node.outputs.map((name) => (name === "" ? null : name));
  const call: RawCall = {
    domain,
    opType: node.opType,
    opset,
    inputs,
    attributes: resolveAttributes(scope, node),
    outputs,
    origin,
  };
  if (body !== undefined) return runFunction(importer, scope, call, body, key);
  if (isControlFlow(domain, node.opType)) return runControlFlow(importer, scope, call, runScope) ?? failed;
  if (domain === "" && node.opType === "Constant") return [runConstant(importer, call)];
  const [only] = inputs;
  if (domain === "" && node.opType === "Identity" && only !== undefined && only !== null) return [only];
  return canonicalise(importer, call)?.map((id) => id ?? poison) ?? failed;
}

interface Frame {
  readonly scope: Scope;
  readonly index: number;
  readonly reads: readonly string[];
  next: number;
}

function openFrame(importer: Importer, scope: Scope, index: number): Frame {
  const node = scope.nodes[index];
  return { scope, index, reads: node === undefined ? [] : readNames(importer, node), next: 0 };
}

function finishFrame(importer: Importer, frame: Frame): void {
  const node = frame.scope.nodes[frame.index];
  importer.spent.nodes += 1;
  if (importer.spent.nodes === MAX_NODES)
    report(importer, codes.tooLarge, `inlining and unrolling gives more than ${MAX_NODES} nodes`);
  const results = importer.spent.nodes < MAX_NODES ? runNode(importer, frame.scope, frame.index) : [];
  for (const [at, name] of (node?.outputs ?? []).entries())
    if (name !== "") frame.scope.values.set(name, results[at] ?? poison);
}

/** A value that is there, or the frame of the node that has to run first. */
function demand(importer: Importer, scope: Scope, name: string): Value | Frame {
  const known = lookUp(scope, name);
  if (known !== undefined) return known;
  const provider = providerOf(scope, name);
  const index = provider?.producers.get(name);
  if (provider !== undefined && index !== undefined) return openFrame(importer, provider, index);
  let value: Value = poison;
  if (provider !== undefined) value = loadInitializer(importer, provider, name);
  else
    report(importer, codes.undefinedTensor, `tensor '${name}' is read and nothing produces it`, {
      location: { kind: "tensor", name },
    });
  (provider ?? scope).values.set(name, value);
  return value;
}

/** Computes names of a scope, nodes before those that read them. Everything wrong is reported; what could not be computed is poison. */
export function runScope(importer: Importer, scope: Scope, names: readonly string[]): readonly Value[] {
  return names.map((name) => {
    const first = demand(importer, scope, name);
    if (typeof first !== "object") return first;
    const stack = [first];
    const open = new Map<Scope, Set<number>>([[first.scope, new Set([first.index])]]);
    while (stack.length > 0) {
      const top = stack.at(-1);
      if (top === undefined) break;
      const read = top.reads[top.next];
      if (read === undefined || importer.spent.nodes > MAX_NODES) {
        stack.pop();
        open.get(top.scope)?.delete(top.index);
        finishFrame(importer, top);
        continue;
      }
      top.next += 1;
      const value = demand(importer, top.scope, read);
      if (typeof value !== "object") continue;
      const busy = open.get(value.scope) ?? new Set();
      open.set(value.scope, busy);
      if (busy.has(value.index)) {
        report(importer, codes.cycle, `tensor '${read}' depends on itself`, {
          location: { kind: "tensor", name: read },
        });
        value.scope.values.set(read, poison);
        continue;
      }
      busy.add(value.index);
      stack.push(value);
    }
    return lookUp(scope, name) ?? poison;
  });
}
