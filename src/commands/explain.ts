// `lpuc explain CODE`: what a diagnostic code means.
import { diagnostic, diagnosticCodes, isDiagnosticCode } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { explainCode } from "../render.ts";
import { type Outcome, operand, type Session } from "./session.ts";

export function explainCommand(session: Session): Result<Outcome> {
  const code = operand(session, 0).toUpperCase();
  const text = explainCode(code);
  if (text === undefined || !isDiagnosticCode(code)) {
    const help = didYouMean(code, Object.keys(diagnosticCodes));
    return fail(diagnostic("LPU0002", `there is no diagnostic code '${operand(session, 0)}'`, { help }));
  }
  const { title, explain, exit } = diagnosticCodes[code];
  return ok({ json: { code, title, explain, exit }, text });
}
