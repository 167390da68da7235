// The state of an import: the graph being built, scopes of names, and the problems found so far. Knows nothing of single operators.
import { type DiagnosticCode, type DiagnosticDetails, diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic, DiagnosticLocation } from "../../ir/diag/diagnostic.ts";
import type { AttrValue } from "../../ir/graph/attr.ts";
import type { NodeOrigin, TensorId } from "../../ir/graph/graph.ts";
import type { OnnxOp } from "../../ir/graph/onnx-ops.ts";
import type { Problem } from "../../ir/graph/op-row.ts";
import type { TensorValue } from "../../ir/graph/values.ts";
import { addCall, addConstant, type OnnxDraft, typeOfTensor } from "../../passes/fold/draft.ts";
import { codes } from "./import-codes.ts";
import type { AttributeValue, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto } from "./model.ts";
import type { TensorFiles } from "./tensor-data.ts";

/** Nodes an import may process; beyond, everything is poison. */
export const MAX_NODES = 300_000;
const MAX_OPENED = 5_000_000;

/** Stands for a value that could not be computed; whoever reads it stays silent. */
export const poison = "poison";
export type Value = TensorId | typeof poison;

export interface Importer {
  readonly draft: OnnxDraft;
  readonly files: TensorFiles;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly problems: Diagnostic[];
  readonly warnings: Diagnostic[];
  /** Nodes processed so far, inlined and unrolled ones included, and nodes of all the bodies that were opened for it. */
  readonly spent: { nodes: number; opened: number };
  /** The node that is being processed, for messages about it. */
  readonly at: { place: NodePlace | undefined };
  /** Names that subgraphs read from the scopes around them. */
  readonly captured: Map<GraphProto, ReadonlySet<string>>;
  /** Sizes that the model declares for tensors of its main graph, as far as they are numbers once the inputs are bound. */
  readonly declared: Map<string, readonly (number | undefined)[]>;
}

export interface NodePlace {
  readonly scope: Scope;
  readonly node: NodeProto;
  readonly origin: NodeOrigin;
}

/** Names of one graph, subgraph or function body. */
export interface Scope {
  readonly nodes: readonly NodeProto[];
  /** Node that makes a name. */
  readonly producers: ReadonlyMap<string, number>;
  readonly initializers: ReadonlyMap<string, TensorProto | SparseTensorProto>;
  readonly values: Map<string, Value>;
  readonly parent: Scope | undefined;
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes of the function call this is the body of. */
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  /** Put before node names, to tell inlined and unrolled nodes apart. */
  readonly prefix: string;
  /** Index of the node of the main graph all nodes here belong to. */
  readonly index: number | undefined;
  readonly active: readonly string[];
}

/** A node with its inputs found: what operators' rewriting works on. */
export interface RawCall {
  readonly domain: string;
  readonly opType: string;
  readonly opset: number;
  readonly inputs: readonly (TensorId | null)[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly outputs: readonly (string | null)[];
  readonly origin: NodeOrigin;
}

export function report(
  importer: Importer,
  code: DiagnosticCode,
  message: string,
  details: DiagnosticDetails = {},
): void {
  importer.problems.push(diagnostic(code, message, details));
}

export function warn(importer: Importer, code: DiagnosticCode, message: string, details: DiagnosticDetails = {}): void {
  importer.warnings.push(diagnostic(code, message, details));
}

export function reportAt(
  importer: Importer,
  code: DiagnosticCode,
  origin: NodeOrigin,
  message: string,
  help?: string,
): void {
  report(importer, code, `${origin.opType}: ${message}`, { location: nodeLocation(importer, origin), help });
}

/** Where a node is and what it reads, as far as that is known by now. */
export function nodeLocation(importer: Importer, { name, index, opType }: NodeOrigin): DiagnosticLocation {
  const { place } = importer.at;
  const location = { kind: "node", name, index, opType } as const;
  if (place === undefined || place.origin.name !== name || place.origin.index !== index) return location;
  const { scope, node } = place;
  const opset = scope.opsets.get(node.domain === "ai.onnx" ? "" : node.domain);
  const inputs = node.inputs.map((input) => {
    const value = input === "" ? undefined : lookUp(scope, input);
    if (value === undefined || value === poison) return input === "" ? "-" : `${input} ?`;
    const { dtype, shape } = typeOfTensor(importer.draft, value);
    return `${input} ${dtype}[${shape.join("x")}]`;
  });
  return { ...location, ...(opset === undefined ? {} : { opset }), ...(inputs.length === 0 ? {} : { inputs }) };
}

const codeOfProblem = {
  arity: codes.arity,
  dtype: codes.dtype,
  shape: codes.shape,
  attr: codes.attribute,
  constant: codes.dataDependentShape,
  unsupported: codes.unsupportedForm,
} as const satisfies Record<Problem["kind"], DiagnosticCode>;

export function reportProblem(importer: Importer, origin: NodeOrigin, problem: Problem): void {
  reportAt(importer, codeOfProblem[problem.kind], origin, problem.problem);
}

/** What a rewriting gives: the results, or what is wrong. */
export type Emitted = readonly (TensorId | null)[] | undefined;

/** Adds one canonical node for `call`; its problems are reported. */
export function emit(
  importer: Importer,
  call: Pick<RawCall, "origin">,
  op: OnnxOp,
  inputs: readonly (TensorId | null)[],
  attrs: Readonly<Record<string, AttrValue>>,
  outputs: readonly (string | null)[] = [call.origin.name],
): Emitted {
  const result = addCall(importer.draft, { op, inputs: withoutTail(inputs), attrs, outputs, origins: [call.origin] });
  if (result.ok) return result.outputs;
  for (const problem of result.problems) reportProblem(importer, call.origin, problem);
  return undefined;
}

/** Omitted inputs at the end are the same as none. */
function withoutTail(inputs: readonly (TensorId | null)[]): readonly (TensorId | null)[] {
  let count = inputs.length;
  while (count > 0 && inputs[count - 1] === null) count -= 1;
  return inputs.slice(0, count);
}

/** The single result of `emit`. */
export function emitOne(
  importer: Importer,
  call: Pick<RawCall, "origin">,
  op: OnnxOp,
  inputs: readonly (TensorId | null)[],
  attrs: Readonly<Record<string, AttrValue>> = {},
): TensorId | undefined {
  return emit(importer, call, op, inputs, attrs)?.[0] ?? undefined;
}

export const emitConstant = (importer: Importer, call: Pick<RawCall, "origin">, value: TensorValue): TensorId =>
  addConstant(importer.draft, `${call.origin.name}.constant`, value);

/** The value of a name in a scope or those around it, if it is known by now. */
export function lookUp(scope: Scope, name: string): Value | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The scope whose node or initialiser provides a name. */
export function providerOf(scope: Scope, name: string): Scope | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    if (at.producers.has(name) || at.initializers.has(name) || at.values.has(name)) return at;
  }
  return undefined;
}

const nameOf = (tensor: TensorProto | SparseTensorProto): string =>
  "values" in tensor ? tensor.values.name : tensor.name;

/** Producers and initialisers of a list of nodes; a name made twice is reported. */
export function openScope(
  importer: Importer,
  graph: Pick<GraphProto, "nodes" | "initializers" | "sparseInitializers">,
  rest: Omit<Scope, "nodes" | "producers" | "initializers">,
): Scope {
  importer.spent.opened += graph.nodes.length;
  if (importer.spent.opened > MAX_OPENED && importer.spent.nodes < MAX_NODES) {
    report(importer, codes.tooLarge, `bodies that are inlined and unrolled list more than ${MAX_OPENED} nodes`);
    importer.spent.nodes = MAX_NODES;
  }
  const producers = new Map<string, number>();
  const initializers = new Map<string, TensorProto | SparseTensorProto>();
  const twice = (name: string): void =>
    report(importer, codes.badName, `tensor '${name}' is produced twice`, { location: { kind: "tensor", name } });
  for (const tensor of [...graph.initializers, ...graph.sparseInitializers]) {
    const name = nameOf(tensor);
    if (initializers.has(name)) twice(name);
    if (name === "") report(importer, codes.badName, "an initialiser has no name");
    initializers.set(name, tensor);
  }
  for (const [index, node] of graph.nodes.entries()) {
    for (const name of node.outputs) {
      if (name === "") continue;
      const other = graph.nodes[producers.get(name) ?? -1];
      if (other?.opType === "Constant" && node.opType === "Constant") {
        const location = { kind: "tensor", name } as const;
        importer.warnings.push(
          diagnostic(codes.badName, `constant '${name}' is defined twice; the last is taken`, { location }),
        );
      } else if (producers.has(name) || initializers.has(name) || rest.values.has(name)) twice(name);
      producers.set(name, index);
    }
  }
  return { ...rest, nodes: graph.nodes, producers, initializers };
}
