// `npm run docs:conformance -- NODE-CASES GRAPHS`: runs the public test folders and writes docs/conformance.md.
import { availableParallelism } from "node:os";
import { exitCodeOf } from "../../ir/diag/codes.ts";
import type { CaseOptions } from "../conformance.ts";
import { runCases } from "../conformance-run.ts";
import { writeFileAtomic, writeStderr } from "../io.ts";
import { findCases } from "../onnx/case-files.ts";
import { renderDiagnostics } from "../render.ts";
import { defaultTargetName, presetTarget } from "../targets/presets.ts";
import { type CompareRule, graphRule, suiteRule } from "../tolerance.ts";
import { conformancePage, type Suite } from "./conformance-page.ts";

async function runSuite(folder: string, title: string, about: string, rule: CompareRule): Promise<Suite> {
  const target = presetTarget(defaultTargetName);
  const cases = findCases([folder]);
  if (!cases.ok || target === undefined) {
    writeStderr(renderDiagnostics(cases.ok ? [] : cases.diagnostics, { color: false }));
    process.exitCode = cases.ok ? 70 : exitCodeOf(cases.diagnostics);
    return { title, about, results: [] };
  }
  const options: CaseOptions = { target, precision: "fp32", chips: "auto", rule };
  const onResult = (
    _folder: string,
    { name, status, reason }: { name: string; status: string; reason: string },
  ): void => {
    if (status !== "passed") writeStderr(`${name}: ${status}: ${reason}\n`);
  };
  const results = await runCases(cases.value, options, { jobs: availableParallelism(), onResult });
  return { title, about, results };
}

const [nodeCases = "", graphs = ""] = process.argv.slice(2);
const suites = [
  await runSuite(
    nodeCases,
    "Node tests",
    "About half of the ONNX backend suite for the operators of transformers, at the suite's own tolerance: 1e-3 relative (2^-6 for bfloat16), 1e-7 absolute.",
    suiteRule,
  ),
  await runSuite(
    graphs,
    "Graphs of real exporters",
    "Recorded with onnxruntime. Compared within 1e-3 of the largest magnitude of each output, integers exactly.",
    graphRule,
  ),
];
const page = conformancePage(defaultTargetName, "fp32", suites);
const written = writeFileAtomic("docs/conformance.md", [new TextEncoder().encode(page)]);
if (!written.ok) writeStderr(renderDiagnostics(written.diagnostics, { color: false }));
