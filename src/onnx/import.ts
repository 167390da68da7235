// A model file -> the static graph in ONNX form: inputs bound, functions inlined, constant control flow unrolled, shape arithmetic folded,
// operators in their newest form, in an order that depends on structure alone.
import type { Diagnostic, Result } from "../../ir/diag/diagnostic.ts";
import type { Graph, GraphInput, GraphOutput } from "../../ir/graph/graph.ts";
import type { TensorValue } from "../../ir/graph/values.ts";
import { addConstant, addDraftTensor, createOnnxDraft, draftTensor } from "../../passes/fold/draft.ts";
import { canonicalOrder } from "../../passes/fold/order.ts";
import type { ByteSource } from "../io.ts";
import { checkDeclared, noteDeclared } from "./declared.ts";
import { codes } from "./import-codes.ts";
import { bindInputs } from "./import-inputs.ts";
import { functionKey, runScope } from "./import-nodes.ts";
import { type Importer, openScope, poison, report, type Value } from "./import-scope.ts";
import type { FunctionProto, ModelProto } from "./model.ts";
import { readModel } from "./reader.ts";
import type { ExternalFile } from "./tensor-data.ts";

export interface ImportOptions {
  /** For messages only. */
  readonly path: string;
  /** Sizes of symbolic dimensions. */
  readonly dims: ReadonlyMap<string, number>;
  /** Whole shapes of inputs. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly external: (location: string) => ExternalFile;
  /** Inputs whose value is known when compiling: they stay inputs, and what depends on them folds. */
  readonly constants?: ReadonlyMap<string, TensorValue>;
  /** External weights are not read: shapes are enough. */
  readonly shapesOnly?: boolean;
}

export interface ImportedModel {
  readonly graph: Graph;
  readonly producer: string;
  readonly opsets: ReadonlyMap<string, number>;
  readonly warnings: readonly Diagnostic[];
}

function indexFunctions(
  importer: Importer,
  functions: readonly FunctionProto[],
  into: Map<string, FunctionProto>,
): void {
  for (const body of functions) {
    const key = functionKey(body.domain, body.name, body.overload);
    if (into.has(key)) report(importer, codes.badName, `function ${body.domain}.${body.name} is defined twice`);
    into.set(key, body);
  }
}

function buildGraph(importer: Importer, model: ModelProto, options: ImportOptions): Graph {
  const { graph } = model;
  const initial = new Set([
    ...graph.initializers.map((tensor) => tensor.name),
    ...graph.sparseInitializers.map((tensor) => tensor.values.name),
  ]);
  const free = graph.inputs.filter((input) => !initial.has(input.name));
  const bound = bindInputs(importer, free, options);
  noteDeclared(importer, graph, free, bound);
  const values = new Map<string, Value>();
  const inputs: GraphInput[] = [];
  const ready = importer.problems.length === 0;
  for (const { name, dtype, shape } of bound) {
    const tensor = addDraftTensor(importer.draft, name, { dtype, shape });
    if (name === "" || values.has(name))
      report(importer, codes.badName, name === "" ? "a graph input has no name" : `input '${name}' is listed twice`);
    const known = options.constants?.get(name);
    if (known !== undefined && (known.dtype !== dtype || known.shape.join() !== shape.join())) {
      report(
        importer,
        codes.unknownBinding,
        `the value given for input '${name}' is ${known.dtype}[${known.shape.join("x")}]`,
      );
    }
    const value = known === undefined ? tensor : addConstant(importer.draft, name, known);
    values.set(name, ready ? value : poison);
    inputs.push({ name, tensor, dtype });
  }
  for (const { name } of free) if (!values.has(name)) values.set(name, poison);
  const rest = {
    values,
    parent: undefined,
    opsets: model.opsets,
    attributes: new Map(),
    prefix: "",
    index: undefined,
    active: [],
  };
  const scope = openScope(importer, graph, rest);
  if (graph.outputs.length === 0) report(importer, codes.noGraph, "the graph has no outputs");
  const results = runScope(
    importer,
    scope,
    graph.outputs.map((output) => output.name),
  );
  checkDeclared(importer, [...graph.declared, ...graph.outputs], (name) => scope.values.get(name));
  const outputs: GraphOutput[] = [];
  for (const [index, value] of results.entries()) {
    const name = graph.outputs[index]?.name ?? "";
    if (graph.outputs.findIndex((output) => output.name === name) < index)
      report(importer, codes.badName, `output '${name}' is listed twice`);
    if (value === poison) continue;
    outputs.push({
      name,
      tensor: value,
      dtype: draftTensor(importer.draft, value).dtype,
    });
  }
  return {
    name: graph.name,
    form: "onnx",
    tensors: importer.draft.tensors,
    nodes: importer.draft.nodes,
    inputs,
    outputs,
  };
}

/** What an import gives even where something is wrong with the model. */
export interface PartialImport {
  readonly model: ModelProto;
  /** With problems: the nodes that could be had, in the order in which they were made, and their outputs that are graph outputs. */
  readonly graph: Graph;
  readonly problems: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

/** Imports as much of a model as can be had; fails only where the file cannot be read as a model. */
export function importPartly(source: ByteSource, options: ImportOptions): Result<PartialImport> {
  const read = readModel(source, options.path);
  if (!read.ok) return read;
  const { model, warnings } = read.value;
  const functions = new Map<string, FunctionProto>();
  const importer: Importer = {
    draft: createOnnxDraft(),
    files: { model: source, external: options.external, shapesOnly: options.shapesOnly ?? false },
    functions,
    problems: [],
    warnings: [...warnings],
    spent: { nodes: 0, opened: 0 },
    at: { place: undefined },
    captured: new Map(),
    declared: new Map(),
  };
  indexFunctions(importer, model.functions, functions);
  const graph = buildGraph(importer, model, options);
  return { ok: true, value: { model, graph, problems: importer.problems, warnings: importer.warnings } };
}

/** Imports a model; every problem is reported at once. */
export function importModel(source: ByteSource, options: ImportOptions): Result<ImportedModel> {
  const partial = importPartly(source, options);
  if (!partial.ok) return partial;
  const { model, graph, problems, warnings } = partial.value;
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  return {
    ok: true,
    value: { graph: canonicalOrder(graph), producer: model.producer, opsets: model.opsets, warnings },
  };
}
