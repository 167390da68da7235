// The public conformance folders the whole way: no wrong answer, no bug, what is not supported says why. In CI all cases of
// the backend suite in fp32 and some of the others, with LPUC_ALL=1 all of all, else some.
import { expect, test } from "vitest";
import { type CaseResult, conformanceReport } from "../src/conformance.ts";
import { runCases } from "../src/conformance-run.ts";
import { findCases } from "../src/onnx/case-files.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { type CompareRule, graphRule, suiteRule } from "../src/tolerance.ts";
import { sharedData } from "./shared-data.ts";

const isAll = process.env.LPUC_ALL === "1";
const isSuiteWhole = process.env.CI === "true" || isAll;

async function run(
  folder: string,
  rule: CompareRule,
  precision: "fp16" | "fp32",
  every: number,
): Promise<CaseResult[]> {
  const target = presetTarget("lpu-nvlink");
  const cases = findCases([folder]);
  if (!cases.ok || target === undefined) throw new Error(`${folder} cannot be read`);
  const chosen = cases.value.filter((_, i) => i % (isAll ? 1 : every) === 0);
  const options = { target, precision, chips: "auto", rule } as const;
  return runCases(chosen, options, { jobs: 1 });
}

/** What must not be: wrong answers, bugs, refusals without a reason. */
function complaints(results: readonly CaseResult[]): string[] {
  const { failed, unsupported } = conformanceReport(results);
  const unexplained = unsupported.filter(({ reason }) => !/^LPU[24]\d{3} \S/.test(reason));
  return [...failed, ...unexplained].map(({ name, reason }) => `${name}: ${reason}`);
}

const share = (results: readonly CaseResult[]): number =>
  results.filter(({ status }) => status === "passed").length / results.length;

const nodes = sharedData("onnx-node");
test.skipIf(nodes === undefined).each(["fp32", "fp16"] as const)("the backend suite in %s", async (precision) => {
  const results = await run(nodes ?? "", suiteRule, precision, precision === "fp16" ? 12 : isSuiteWhole ? 1 : 4);
  expect(complaints(results)).toEqual([]);
  expect(share(results)).toBeGreaterThanOrEqual(isSuiteWhole && precision === "fp32" ? 0.95 : 0.9);
});

const graphs = sharedData("graphs");
test.skipIf(graphs === undefined)("graphs of real exporters", async () => {
  const results = await run(graphs ?? "", graphRule, "fp32", 10);
  expect(complaints(results)).toEqual([]);
  expect(share(results)).toBeGreaterThanOrEqual(0.95);
});
