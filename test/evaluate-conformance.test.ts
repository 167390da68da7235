// The graph evaluator against the public ONNX backend cases: no wrong answer, and whatever is refused is refused with a reason.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { verifyGraph } from "../ir/graph/verify.ts";
import { bindByName, difference, importCase, loadTensors } from "./onnx-case.ts";
import { sharedData } from "./shared-data.ts";

const folder = sharedData("onnx-node");
const tolerance = { relative: 1e-3, absolute: 1e-7 };

/** Why a case is wrong, "pass", or "unsupported: ..." */
function runCase(path: string): string {
  const data = join(path, "test_data_set_0");
  const [inputs, outputs] = [loadTensors(data, "input"), loadTensors(data, "output")];
  const imported = importCase(path, inputs);
  if (!imported.ok)
    return `unsupported: ${imported.diagnostics.map(({ code, message }) => `${code} ${message}`).join("; ")}`;
  const { graph } = imported;
  const violations = verifyGraph(graph);
  if (violations.length > 0) return `violates ${violations[0]?.rule}: ${violations[0]?.message}`;
  const found = evaluateGraph(graph, bindByName(graph, inputs));
  const wrong = outputs.flatMap((expected, i) => {
    const key = graph.outputs[i]?.name ?? "";
    const value = found.get(key);
    if (expected === undefined || value === undefined) return [`no output ${key}`];
    const text = difference(value, expected.value, tolerance);
    return text === undefined ? [] : [`${key}: ${text}`];
  });
  return wrong.length === 0 ? "pass" : wrong.join("; ");
}

test.skipIf(folder === undefined)("no case of the backend suite is answered wrongly, at least 97 % pass", () => {
  const cases = readdirSync(folder ?? "").filter((name) => existsSync(join(folder ?? "", name, "model.onnx")));
  const results = cases.map((name) => [name, runCase(join(folder ?? "", name))] as const);
  expect(results.filter(([, result]) => result !== "pass" && !result.startsWith("unsupported: LPU2"))).toEqual([]);
  expect(results.filter(([, result]) => result === "pass").length).toBeGreaterThanOrEqual(0.97 * cases.length);
});
