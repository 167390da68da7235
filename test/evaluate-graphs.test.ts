// The graph evaluator on whole models: graphs of real exporters and trained transformers, against outputs recorded with onnxruntime.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { numbersOf } from "../ir/graph/values.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import { bindByName, difference, importCase, loadTensors } from "./onnx-case.ts";
import { sharedData } from "./shared-data.ts";

/** Graphs with 16-bit floats inside are rounded at other places by onnxruntime. */
const isHalf = (graph: Graph): boolean =>
  graph.tensors.some(({ dtype }) => dtype === "float16" || dtype === "bfloat16");

/** Differences of one data set; the tolerance is relative to the largest magnitude of the expected tensor. */
function differences(path: string, set: string, relative: number | undefined): string[] {
  const [inputs, outputs] = ["input", "output"].map((kind) =>
    loadTensors(join(path, set), kind === "input" ? "input" : "output"),
  );
  const imported = importCase(path, inputs ?? []);
  if (!imported.ok) return imported.diagnostics.map(({ code, message }) => `${code} ${message}`);
  const { graph } = imported;
  const violations = verifyGraph(graph).map(({ rule, message }) => `${rule}: ${message}`);
  if (violations.length > 0) return violations;
  const found = evaluateGraph(graph, bindByName(graph, inputs ?? []));
  return (outputs ?? []).flatMap((expected, i) => {
    const value = found.get(graph.outputs[i]?.name ?? "");
    if (expected === undefined || value === undefined) return [`no output ${i}`];
    const scale = Array.from(numbersOf(expected.value)).reduce(
      (a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a),
      0,
    );
    const part = relative ?? (isHalf(graph) ? 1e-2 : 1e-3);
    const text = difference(value, expected.value, { relative: 0, absolute: part * scale + 1e-6 });
    return text === undefined ? [] : [`${expected.name}: ${text}`];
  });
}

const graphs = sharedData("graphs");
const graphNames =
  graphs === undefined ? [] : readdirSync(graphs).filter((name) => existsSync(join(graphs, name, "model.onnx")));

test.skipIf(graphs === undefined)("graphs of real exporters", () => {
  const wrong = graphNames.flatMap((name) =>
    differences(join(graphs ?? "", name), "test_data_set_0", undefined).map((text) => `${name}: ${text}`),
  );
  expect(wrong).toEqual([]);
  expect(graphNames.length).toBeGreaterThan(50);
});

const models = sharedData("models");

test.skipIf(models === undefined).each([
  ["stories260K.prefill-static", "test_data_set_0"],
  ["stories260K.decode-static", "test_data_set_0"],
  ["stories260K.decode-static", "test_data_set_1"],
  ["kwt1.encoder", "test_data_set_3"],
  ["kwt1.encoder-ln17", "test_data_set_7"],
])("%s %s", (name, set) => {
  expect(differences(join(models ?? "", name), set, 1e-5)).toEqual([]);
});
