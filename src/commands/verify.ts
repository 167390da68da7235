// `lpuc verify`: the independent checker on a program file.
import type { Violation } from "../../backends/check/report.ts";
import { verifyProgram } from "../../backends/check/verify.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import { columns, grouped } from "../report/table.ts";
import { openProgram } from "./program-file.ts";
import { type Outcome, operand, progress, type Session, wholeOption } from "./session.ts";

function violationText(violation: Violation): string {
  const { chip, unit, cycle, instruction, tensor, node, message } = violation;
  const place = [
    chip === null ? [] : [`chip ${chip}`],
    unit === null ? [] : [unit],
    cycle === null ? [] : [`cycle ${cycle}`],
    instruction === null ? [] : [instruction],
    tensor === null ? [] : [`tensor ${tensor}`],
    node === null ? [] : [`node ${node}`],
  ].flat();
  return `  ${place.length === 0 ? "" : `${place.join(", ")}: `}${message}`;
}

export function verifyCommand(session: Session): Result<Outcome> {
  const seed = wholeOption(session, "seed", 0);
  const listed = wholeOption(session, "listed", 0);
  if (!seed.ok) return seed;
  if (!listed.ok) return listed;
  const program = openProgram(operand(session, 0));
  if (!program.ok) return program;
  progress(session, "verifying ...");
  const report = verifyProgram(program.value, { seed: seed.value ?? 0, listed: listed.value ?? 20 });
  progress(session, "");
  const rows = report.invariants.map(({ name, checked, violationCount }) => [
    violationCount === 0 ? "PASS" : "FAIL",
    name,
    grouped(checked),
    grouped(violationCount),
  ]);
  const broken = report.invariants.filter(({ violationCount }) => violationCount > 0);
  const details = broken.map(({ name, violationCount, violations }) => {
    const more = violationCount - violations.length;
    const rest = more > 0 ? [`  and ${more} more`] : [];
    return [`${name}:`, ...violations.map(violationText), ...rest].join("\n");
  });
  const verdict = report.ok
    ? "all invariants hold"
    : `${broken.length} of ${report.invariants.length} invariants broken`;
  const text = [columns(["", "invariant", "checked", "violations"], rows, [2, 3]), ...details, verdict].join("\n\n");
  const names = broken.map(({ name }) => name).join(", ");
  return ok({
    json: { program: operand(session, 0), ok: report.ok, invariants: report.invariants },
    text: `${text}\n`,
    problems: report.ok ? [] : [diagnostic("LPU6001", `the program breaks: ${names}`)],
  });
}
