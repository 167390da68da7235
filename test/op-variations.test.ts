// Operators in many forms the whole way - compile, verify, execute - against onnxruntime: no wrong answer, no bug, what is refused says why. Here
// every fourth case is run, in CI and with LPUC_ALL=1 each of them.
import { afterAll, describe, expect, test } from "vitest";
import { scratchFolder } from "./cli-runner.ts";
import { judge, type OpCase, type Verdict } from "./op-models.ts";
import { numericCases } from "./op-variations.ts";
import { dataCases } from "./op-variations-data.ts";
import { functionCases } from "./op-variations-functions.ts";
import { fusedCases } from "./op-variations-fused.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const isWhole = process.env.CI === "true" || process.env.LPUC_ALL === "1";

/** Cases that once went wrong are always run. */
const once = ["Concat odd sizes", "MatMulInteger zero points of rows and columns"];

async function judgeAll(group: string, cases: readonly OpCase[]): Promise<(Verdict & { readonly name: string })[]> {
  const verdicts: (Verdict & { readonly name: string })[] = [];
  for (const [i, spec] of cases.entries()) {
    if (!isWhole && i % 4 !== 0 && !once.includes(spec.name)) continue;
    verdicts.push({ name: spec.name, ...(await judge(scratch.path(`${group}${i}`), spec)) });
  }
  return verdicts;
}

describe.each([
  ["numbers", numericCases],
  ["data", dataCases],
  ["functions", functionCases],
  ["fused", fusedCases],
])("%s", (group, cases) => {
  test("agree with onnxruntime", async () => {
    const verdicts = await judgeAll(group, cases);
    const text = ({ name, result }: (typeof verdicts)[number]): string => `${name}: ${result.reason}`;
    expect(verdicts.filter(({ result }) => result.status === "failed").map(text)).toEqual([]);
    const refused = verdicts.filter(({ result }) => result.status === "unsupported");
    expect(refused.map(text).filter((reason) => !/: LPU2\d{3} \S/.test(reason))).toEqual([]);
    expect(refused.length).toBeLessThanOrEqual(0.03 * verdicts.length);
    // What onnxruntime does not run is no comparison.
    expect(verdicts.filter(({ noReference }) => noReference !== undefined).length).toBeLessThanOrEqual(
      0.05 * verdicts.length,
    );
  });
});

test("a wrong answer is noticed", async () => {
  const spec = numericCases.find(({ name }) => name === "Add row over matrix");
  if (spec === undefined) throw new Error("the case is there");
  const { result } = await judge(scratch.path("wrong"), spec, (bytes) =>
    bytes.map((byte, i) => (i === 2 ? byte ^ 64 : byte)),
  );
  expect(result.status).toBe("failed");
  expect(result.reason).toContain("element 0");
});
