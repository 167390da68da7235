// `lpuc schedule`: the emitted schedule in the form asked for: texts, traces for viewers, a page.
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { writeFileAtomic } from "../io.ts";
import { scheduleCsv, scheduleJson, scheduleText } from "../report/schedule.ts";
import { schedulePage } from "../report/schedule-page.ts";
import { bytes } from "../report/table.ts";
import { chromeTrace, perfettoTrace } from "../report/trace.ts";
import { textOutcome, textPieces } from "./assembler.ts";
import { openProgram } from "./program-file.ts";
import { badOption, isSet, type Outcome, operand, optionValue, type Session } from "./session.ts";

const writers: Readonly<Record<string, (program: Program) => Generator<string>>> = {
  text: scheduleText,
  json: scheduleJson,
  csv: scheduleCsv,
  chrome: chromeTrace,
  html: schedulePage,
};

/** Bytes to the file of -o; a terminal is no place for them. */
function binaryOutcome(session: Session, format: string, chunks: Iterable<Uint8Array>): Result<Outcome> {
  const file = optionValue(session, "resultFile");
  if (file === undefined) return fail(badOption("format", `${format} is not text`, "give a file for it: -o FILE"));
  const written = writeFileAtomic(file, chunks);
  if (!written.ok) return written;
  const { byteLength } = written.value;
  return ok({ json: { format, file, byteLength }, text: `${file}: ${bytes(byteLength)}\n` });
}

export function scheduleCommand(session: Session): Result<Outcome> {
  const program = openProgram(operand(session, 0));
  if (!program.ok) return program;
  const toFile = optionValue(session, "resultFile") !== undefined;
  if (isSet(session, "json") && !toFile) {
    // The schedule's own JSON form is this command's document; it is printed as it is made.
    return ok({ json: {}, document: textPieces(scheduleJson(program.value)), text: "" });
  }
  const format = optionValue(session, "format") ?? "text";
  if (format === "perfetto") return binaryOutcome(session, format, perfettoTrace(program.value));
  const write = writers[format] ?? scheduleText;
  return textOutcome(session, format, { [Symbol.iterator]: () => write(program.value) });
}
