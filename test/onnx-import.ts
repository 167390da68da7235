// Imports models from bytes in tests, and says in short what came of it.

import type { Diagnostic, Result } from "../ir/diag/diagnostic.ts";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { type TensorValue, valueOfConst } from "../ir/graph/values.ts";
import { bytesSource } from "../src/io.ts";
import { type ImportedModel, type ImportOptions, importModel } from "../src/onnx/import.ts";

const absent = () => ({ refused: "there is none", outside: false });

export const imported = (bytes: Uint8Array, options: Partial<ImportOptions> = {}): Result<ImportedModel> =>
  importModel(bytesSource(bytes), { path: "m.onnx", dims: new Map(), shapes: new Map(), external: absent, ...options });

/** A model that has to be valid. */
export function good(bytes: Uint8Array, options: Partial<ImportOptions> = {}): ImportedModel {
  const result = imported(bytes, options);
  if (!result.ok) throw new Error(result.diagnostics.map(({ code, message }) => `${code}: ${message}`).join("\n"));
  return result.value;
}

export const problemsOf = (bytes: Uint8Array, options: Partial<ImportOptions> = {}): readonly Diagnostic[] => {
  const result = imported(bytes, options);
  return result.ok ? [] : result.diagnostics;
};

export const codesOf = (bytes: Uint8Array, options: Partial<ImportOptions> = {}): readonly string[] => [
  ...new Set(problemsOf(bytes, options).map(({ code }) => code)),
];

/** The constant that a model without inputs has as its only output. */
export function onlyConstant(model: ImportedModel): TensorValue {
  const { graph } = model;
  const tensor = graph.tensors[graph.outputs[0]?.tensor ?? -1];
  if (tensor?.data === undefined) throw new Error("the output is not constant");
  return valueOfConst(tensor, tensor.data);
}

/** Outputs of a model by the meaning of its operators. */
export const evaluated = (model: ImportedModel, inputs: Readonly<Record<string, TensorValue>>) =>
  evaluateGraph(model.graph, new Map(Object.entries(inputs)));
