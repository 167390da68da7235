// Operators in their newest forms: the evaluator and the whole line give what the definitions say; attributes nobody knows are refused or named.
import { afterAll, describe, expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { importCase, valuesFor } from "../src/onnx/case-files.ts";
import { difference, suiteRule, toleranceFor } from "../src/tolerance.ts";
import { scratchFolder } from "./cli-runner.ts";
import { floats, judgeAgainst, listed, type NodeSpec } from "./op-models.ts";
import { type DefinedCall, definedCalls, operandsOf } from "./op-newest.ts";
import { definedFunctions } from "./op-newest-functions.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const caseOf = (call: DefinedCall) => ({
  name: call.name,
  opset: call.opset,
  nodes: [{ op: call.op, inputs: operandsOf(call), attrs: call.attrs, ...(call.outputs && { outputs: call.outputs }) }],
});

const fp32 = { precision: "fp32", productsInChain: 2 } as const;

describe("newest forms", () => {
  test.each([...definedCalls, ...definedFunctions].map((call) => [call.name, call] as const))("%s", (name, call) => {
    const folder = scratch.path(name.replaceAll(/\W+/g, "-"));
    const result = judgeAgainst(folder, caseOf(call), call.expected);
    expect([result.status, result.reason]).toEqual(["passed", ""]);
    const given = call.inputs.filter((value, i) => value !== null && call.constants?.includes(i) !== true);
    const values = new Map(given.flatMap((value, i) => (value === null ? [] : [[`x${i}`, value] as const])));
    const imported = importCase(folder, values);
    if (!imported.ok) throw new Error(imported.diagnostics.map(({ message }) => message).join());
    const { graph } = imported.value;
    const evaluated = [...evaluateGraph(graph, valuesFor(graph, values)).values()];
    const wrong = call.expected.map((value, i) => {
      const found = evaluated[i];
      return found && difference(found, value, toleranceFor(suiteRule, value.dtype, fp32));
    });
    expect(wrong).toEqual(call.expected.map(() => undefined));
    expect(evaluated.length).toBe(call.expected.length);
  });

  test("a wrong answer is noticed", () => {
    const [call] = definedCalls;
    if (call === undefined) throw new Error("there are calls");
    const result = judgeAgainst(scratch.path("wrong"), caseOf(call), call.inputs.flatMap((x) => x ?? []).slice(0, 1));
    expect(result.status).toBe("failed");
  });
});

describe("an attribute that no definition has", () => {
  const x = floats([2, 3]);
  const judged = (name: string, opset: number, node: Omit<NodeSpec, "inputs">) =>
    judgeAgainst(scratch.path(name), { name, opset, nodes: [{ ...node, inputs: [x] }] }, [x]);

  test("is refused in an operator set that is not known yet", () => {
    const result = judged("later", 29, { op: "Abs", attrs: { turned: 1n } });
    expect([result.status, result.reason]).toEqual([
      "unsupported",
      "LPU2008 Abs: attribute turned (opset 29) is not known",
    ]);
  });

  test("is refused in another domain", () => {
    const result = judged("contrib", 21, { op: "QuickGelu", domain: "com.microsoft", attrs: { turned: 1n } });
    expect([result.status, result.reason]).toEqual([
      "unsupported",
      "LPU2008 QuickGelu: attribute turned (com.microsoft) is not known",
    ]);
  });

  test("means nothing where all are known", () => {
    const positive = floats([2, 3], 1, 0.5, 2);
    const spec = { name: "odd", opset: 21, nodes: [{ op: "Abs", inputs: [positive], attrs: { turned: 1n } }] };
    expect(judgeAgainst(scratch.path("odd"), spec, [positive]).status).toBe("passed");
  });
});

describe("what would be written out without end is refused", () => {
  const [x, weights] = [floats([4097, 1, 1]), floats([1, 1, 1])];
  const scales = (...numbers: number[]) => listed("float32", [numbers.length], numbers);
  const calls: readonly (readonly [string, NodeSpec, string])[] = [
    ["tokens", { op: "RNN", inputs: [x, weights, weights] }, "4097 tokens written out, at most 4096 are"],
    ["neighbours", { op: "LRN", inputs: [floats([1, 2, 1])], attrs: { size: 99999n } }, "99999 neighbours"],
    ["weights", { op: "Resize", inputs: [floats([3]), null, { constant: scales(1e12) }] }, "weights of an axis"],
    ["less than nothing", { op: "Resize", inputs: [floats([3]), null, { constant: scales(-2) }] }, "-18 weights"],
  ];
  test.each(calls)("%s", (name, node, text) => {
    const { status, reason } = judgeAgainst(scratch.path(`long-${name}`), { name, opset: 19, nodes: [node] }, [x]);
    expect(status).toBe("unsupported");
    expect(reason).toContain(text);
  });
});
