// `lpuc compile`: the whole pipeline, a program file and its summary.
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { isStopped } from "../../passes/compile/stopped.ts";
import { compileModel } from "../compile-model.ts";
import { programReport } from "../report/program-report.ts";
import { linkTable, othersText, programLines, sramTable, stageTable } from "../report/program-text.ts";
import { quantisationText, quantisedProducts } from "../report/quantisation.ts";
import { bytes, columns, seconds } from "../report/table.ts";
import { assertionsOf, failedAssertions } from "./asserts.ts";
import { modelOptions } from "./model-options.ts";
import { observerOf, stoppedOutcome } from "./pipeline-options.ts";
import { emitPlacement } from "./placement-options.ts";
import { programName, writeProgram } from "./program-file.ts";
import {
  badOption,
  endStage,
  isSet,
  type Outcome,
  operand,
  optionValue,
  type Session,
  stage,
  stageTimes,
  warn,
} from "./session.ts";

export const timesTable = (session: Session): string =>
  columns(
    ["stage", "time"],
    stageTimes(session).map((row) => [row.name, seconds(row.seconds)]),
    [1],
  );

export function compileCommand(session: Session): Result<Outcome> {
  const options = modelOptions(session);
  const assertions = assertionsOf(session);
  const observer = observerOf(session, "encode");
  if (!options.ok || !assertions.ok || !observer.ok) {
    const parts = [options, assertions, observer];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const isShapesOnly = isSet(session, "shapesOnly");
  if (isShapesOnly && isSet(session, "programFile")) {
    return fail(badOption("programFile", "with --shapes-only there is no program to write"));
  }
  const path = operand(session, 0);
  const compiled = compileModel(path, { ...options.value, ...observer.value.options });
  endStage(session);
  if (isStopped(compiled)) return stoppedOutcome(session, observer.value);
  if (!compiled.ok) return compiled;
  warn(session, compiled.value.imported.warnings);
  const placed = emitPlacement(session, compiled.value);
  if (!placed.ok) return placed;
  const { program } = compiled.value;
  stage(session, "encode");
  const written = isShapesOnly
    ? ok(undefined)
    : writeProgram(optionValue(session, "programFile") ?? programName(path), program);
  endStage(session);
  if (!written.ok) return written;
  const report = programReport(program);
  const figures = written.value === undefined ? report : { ...report, programBytes: written.value.programBytes };
  const quantised = quantisedProducts(compiled.value.imported.graph, compiled.value.core);
  const text = [
    programLines(report),
    ...quantisationText(quantised),
    stageTable(report),
    sramTable(report),
    linkTable(report),
    ...othersText(report, compiled.value.others),
    ...(isSet(session, "timePasses") ? [timesTable(session)] : []),
    ...(observer.value.dumps.length === 0 ? [] : [observer.value.dumps.join("\n")]),
    ...(placed.value === undefined ? [] : [`${placed.value}: the placement`]),
    written.value === undefined
      ? "no program: the weights were not read"
      : `${written.value.file}: ${bytes(written.value.programBytes)}, sha256 ${written.value.programSha256}`,
  ];
  return ok({
    json: {
      ...figures,
      model: path,
      quantisation: quantised,
      tensorParallel: compiled.value.sharded.ways,
      others: compiled.value.others,
      passes: stageTimes(session),
      programBytes: written.value?.programBytes ?? null,
      programSha256: written.value?.programSha256 ?? null,
      file: written.value?.file ?? null,
      dumps: observer.value.dumps,
    },
    text: `${text.join("\n\n")}\n`,
    problems: failedAssertions(assertions.value, figures),
  });
}
