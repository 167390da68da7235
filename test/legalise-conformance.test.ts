// The core graphs of the public ONNX backend cases and of real exporters' graphs, evaluated: no wrong answer; what is refused says why.
import { expect, test } from "vitest";
import { caseName, findCases } from "../src/onnx/case-files.ts";
import type { Tolerance } from "../src/tolerance.ts";
import { evaluateCase } from "./legalise-cases.ts";
import { sharedData } from "./shared-data.ts";

interface Count {
  readonly cases: number;
  readonly passed: number;
  readonly wrong: readonly string[];
  readonly refused: readonly string[];
}

function evaluateAll(folder: string, tolerance: Tolerance): Count {
  const cases = findCases([folder]);
  if (!cases.ok) throw new Error(`${folder} cannot be read`);
  const results = cases.value.map((path) => ({ name: caseName(path), result: evaluateCase(path, tolerance) }));
  const isRefused = ({ result }: { readonly result: string }): boolean => result.startsWith("refused: ");
  const text = ({ name, result }: { readonly name: string; readonly result: string }): string => `${name}: ${result}`;
  return {
    cases: results.length,
    passed: results.filter(({ result }) => result === "passed").length,
    wrong: results.filter((r) => r.result !== "passed" && !isRefused(r)).map(text),
    refused: results.filter(isRefused).map(text),
  };
}

const nodes = sharedData("onnx-node");
test.skipIf(nodes === undefined)(
  "the backend suite: nothing wrong, at least 95 % pass, the rest is refused with a reason",
  () => {
    const { cases, passed, wrong, refused } = evaluateAll(nodes ?? "", { relative: 1e-3, absolute: 1e-7 });
    expect(wrong).toEqual([]);
    expect(refused.filter((text) => !/: refused: LPU(2\d\d\d|1040) \S/.test(text))).toEqual([]);
    expect(passed / cases).toBeGreaterThanOrEqual(0.95);
    expect(cases).toBeGreaterThan(400);
  },
);

const graphs = sharedData("graphs");
test.skipIf(graphs === undefined)("graphs of real exporters: all are legalised and agree", () => {
  const { cases, wrong, refused } = evaluateAll(graphs ?? "", { relative: 0, absolute: 1e-6, ofScale: 1e-3 });
  expect([...wrong, ...refused]).toEqual([]);
  expect(cases).toBeGreaterThan(50);
});
