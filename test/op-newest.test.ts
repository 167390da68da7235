// Operators in their newest forms: the evaluator and the whole line give what the definitions say; attributes nobody knows are refused or named.
import { afterAll, describe, expect, test } from "vitest";
import { evaluateOp } from "../ir/graph/infer.ts";
import { isOnnxOp } from "../ir/graph/onnx-ops.ts";
import { difference, suiteRule, toleranceFor } from "../src/tolerance.ts";
import { scratchFolder } from "./cli-runner.ts";
import { floats, judgeAgainst, type NodeSpec } from "./op-models.ts";
import { type DefinedCall, definedCalls, operandsOf } from "./op-newest.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const caseOf = (call: DefinedCall) => ({
  name: call.name,
  opset: call.opset,
  nodes: [{ op: call.op, inputs: operandsOf(call), attrs: call.attrs }],
});

const fp32 = { precision: "fp32", productsInChain: 2 } as const;

describe("newest forms", () => {
  test.each(definedCalls.map((call) => [call.name, call] as const))("%s", (name, call) => {
    const { op, inputs, attrs, expected } = call;
    if (!isOnnxOp(op)) throw new Error(`${op} is an operator`);
    const plain = Object.entries(attrs).map(([key, value]) => [key, typeof value === "bigint" ? Number(value) : value]);
    const evaluated = evaluateOp(op, inputs, Object.fromEntries(plain), expected.length);
    if (!evaluated.ok) throw new Error(evaluated.problems.map(({ problem }) => problem).join());
    for (const [i, value] of expected.entries()) {
      const found = evaluated.outputs[i];
      expect(found && difference(found, value, toleranceFor(suiteRule, value.dtype, fp32))).toBeUndefined();
    }
    const result = judgeAgainst(scratch.path(name.replaceAll(/\W+/g, "-")), caseOf(call), expected);
    expect([result.status, result.reason]).toEqual(["passed", ""]);
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
