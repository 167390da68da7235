// `lpuc conformance`: folders of the ONNX backend tests the whole way, compared at the suite's own tolerance.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { type CaseOptions, type CaseResult, conformanceReport } from "../conformance.ts";
import { knownResults, resultLine, runCases } from "../conformance-run.ts";
import { isFile, readFileBytes, writeFileAtomic } from "../io.ts";
import { findCases } from "../onnx/case-files.ts";
import { columns } from "../report/table.ts";
import { type CompareRule, comparedTo, suiteRule } from "../tolerance.ts";
import { modelOptions } from "./model-options.ts";
import { badOption, type Outcome, optionValue, progress, type Session, wholeOption } from "./session.ts";

function ruleOf(session: Session): Result<CompareRule> {
  const given = optionValue(session, "compareTo") ?? suiteRule.to;
  const to = comparedTo.find((name) => name === given) ?? suiteRule.to;
  const text = optionValue(session, "caseTolerance");
  if (text === undefined) return ok({ ...suiteRule, to });
  const relative = Number(text);
  if (text.trim() === "" || !(relative >= 0) || !Number.isFinite(relative)) {
    return fail(badOption("caseTolerance", `'${text}' is not a number from 0 on`));
  }
  return ok({ to, relative });
}

interface Journal {
  readonly known: ReadonlyMap<string, CaseResult>;
  readonly keep: (folder: string, result: CaseResult) => Result<unknown>;
}

/** The results that a file has, and what adds to it. Without a file nothing is known or kept. */
function openJournal(file: string | undefined): Result<Journal> {
  if (file === undefined) return ok({ known: new Map(), keep: () => ok(undefined) });
  const found = isFile(file) ? readFileBytes(file) : ok(new Uint8Array(0));
  if (!found.ok) return found;
  const known = knownResults(new TextDecoder().decode(found.value));
  const lines = [...known].map(([folder, result]) => resultLine(folder, result));
  const keep = (folder: string, result: CaseResult): Result<unknown> => {
    lines.push(resultLine(folder, result));
    return writeFileAtomic(file, [new TextEncoder().encode(lines.join(""))]);
  };
  return ok({ known, keep });
}

export async function conformanceCommand(session: Session): Promise<Result<Outcome>> {
  const options = modelOptions(session, "fp32");
  const rule = ruleOf(session);
  const jobs = wholeOption(session, "jobs", 1);
  if (!options.ok) return options;
  if (!rule.ok) return rule;
  if (!jobs.ok) return jobs;
  const cases = findCases(session.operands);
  if (!cases.ok) return cases;
  if (cases.value.length === 0) {
    const help = "a case is a folder with model.onnx and test_data_set_0";
    return fail(diagnostic("LPU1001", `no test case in ${session.operands.join(", ")}`, { help }));
  }
  const { target, topology, tensorParallel, precision, chips, allowNarrowing = false, without } = options.value;
  const caseOptions: CaseOptions = {
    target,
    ...(topology === undefined ? {} : { topology }),
    ...(tensorParallel === undefined ? {} : { tensorParallel }),
    precision,
    chips,
    rule: rule.value,
    allowNarrowing,
    ...(without === undefined ? {} : { without }),
  };
  const journal = openJournal(optionValue(session, "resume"));
  if (!journal.ok) return journal;
  const { known, keep } = journal.value;
  let done = known.size;
  let broken: Result<unknown> = ok(undefined);
  const onResult = (folder: string, result: CaseResult): void => {
    done += 1;
    progress(session, `${done} of ${cases.value.length}: ${result.name}`);
    const kept = keep(folder, result);
    if (!kept.ok) broken = kept;
  };
  const results = await runCases(cases.value, caseOptions, { jobs: jobs.value ?? 1, known, onResult });
  progress(session, "");
  if (!broken.ok) return broken;
  const report = conformanceReport(results);
  const { passed, failed, unsupported } = report;
  const rows = [
    ...failed.map(({ name, reason }) => ["FAIL", name, reason]),
    ...unsupported.map(({ name, op, reason }) => ["unsupported", name, `${op}: ${reason}`]),
  ];
  const list = rows.length === 0 ? [] : [columns(["", "case", "reason"], rows)];
  const counts = `${passed.length} passed, ${failed.length} failed, ${unsupported.length} unsupported`;
  const problem = diagnostic("LPU6003", `${failed.length} of ${results.length} cases fail`);
  return ok({
    json: { target: target.name, precision, compared: rule.value, ...report },
    text: `${[...list, counts].join("\n\n")}\n`,
    problems: failed.length === 0 ? [] : [problem],
  });
}
