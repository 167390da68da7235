// Runs the core graph of an ONNX case in the evaluator and compares it with the recorded outputs, for the tests of the legaliser.
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import {
  bindInputs,
  type DataSet,
  diagnosticText,
  importCase,
  readCaseModel,
  readDataSets,
  valuesFor,
} from "../src/onnx/case-files.ts";
import { difference, type Tolerance } from "../src/tolerance.ts";

function evaluateSet(folder: string, names: readonly string[], set: DataSet, tolerance: Tolerance): string {
  const values = bindInputs(names, set.inputs);
  const imported = importCase(folder, values);
  if (!imported.ok) return `refused: ${diagnosticText(imported.diagnostics)}`;
  const core = legalise(imported.value.graph, { precision: "fp32" });
  if (!core.ok) return `refused: ${diagnosticText(core.diagnostics)}`;
  const [violation] = verifyGraph(core.value);
  if (violation !== undefined) return `violates ${violation.rule}: ${violation.message}`;
  const found = evaluateGraph(core.value, valuesFor(core.value, values));
  for (const [i, { name, value }] of set.outputs.entries()) {
    const key = found.has(name) ? name : (core.value.outputs[i]?.name ?? "");
    const output = found.get(key);
    const text = output === undefined ? "is missing" : difference(output, value, tolerance);
    if (text !== undefined) return `${key} ${text}`;
  }
  return "passed";
}

/** "passed", "refused: ..." with the diagnostics, or what is wrong. */
export function evaluateCase(folder: string, tolerance: Tolerance): string {
  const model = readCaseModel(folder);
  const sets = readDataSets(folder);
  if (!model.ok || !sets.ok)
    return `refused: ${diagnosticText([model, sets].flatMap((r) => (r.ok ? [] : r.diagnostics)))}`;
  const results = sets.value.map((set) => evaluateSet(folder, model.value.inputs, set, tolerance));
  return results.find((result) => result !== "passed") ?? (results.length > 0 ? "passed" : "there is no data");
}
