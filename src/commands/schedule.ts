// `lpuc schedule`: the emitted schedule in the form asked for.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { scheduleCsv, scheduleJson, scheduleText } from "../report/schedule.ts";
import { textOutcome, textPieces } from "./assembler.ts";
import { openProgram } from "./program-file.ts";
import { isSet, type Outcome, operand, optionValue, type Session } from "./session.ts";

const writers: Readonly<Record<string, (program: Program) => Generator<string>>> = {
  text: scheduleText,
  json: scheduleJson,
  csv: scheduleCsv,
};

export function scheduleCommand(session: Session): Result<Outcome> {
  const program = openProgram(operand(session, 0));
  if (!program.ok) return program;
  const toFile = optionValue(session, "resultFile") !== undefined;
  if (isSet(session, "json") && !toFile) {
    // The schedule's own JSON form is this command's document; it is printed as it is made.
    return ok({ json: {}, document: textPieces(scheduleJson(program.value)), text: "" });
  }
  const format = optionValue(session, "format") ?? "text";
  const write = writers[format] ?? scheduleText;
  return textOutcome(session, format, { [Symbol.iterator]: () => write(program.value) });
}
