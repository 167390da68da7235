// What a fuzz suite is: it makes one input from random choices, gives it to a part of lpuc, and says how that went. Crashes throw.
import { isDiagnosticCode } from "../ir/diag/codes.ts";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import { renderDiagnostics } from "../src/render.ts";
import type { Random } from "./random.ts";

export interface Verdict {
  /** Was the input taken as valid? */
  readonly accepted: boolean;
  /** Codes of the diagnostics, those of warnings too. */
  readonly codes: readonly string[];
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Inputs that the tests try, where trying one takes long. */
  readonly testInputs?: number;
  /** Reads what the inputs are made from, once; `run` tries one input. */
  readonly prepare: () => { readonly run: (random: Random) => Verdict };
}

/** What must never come of an input. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
}

/** A refusal, checked: at least one diagnostic, each with a code of the table, none of them a bug; all can be shown. */
export function refusal(diagnostics: readonly Diagnostic[]): Verdict {
  if (diagnostics.length === 0) throw new FuzzFailure("refused without a diagnostic");
  return { accepted: false, codes: judged(diagnostics) };
}

export const acceptance = (warnings: readonly Diagnostic[] = []): Verdict => ({
  accepted: true,
  codes: judged(warnings),
});

function judged(diagnostics: readonly Diagnostic[]): readonly string[] {
  for (const { code, message } of diagnostics) {
    if (!isDiagnosticCode(code) || code.startsWith("LPU9") || message === "") {
      throw new FuzzFailure(`a diagnostic that should not be: ${code}: ${message}`);
    }
  }
  renderDiagnostics(diagnostics.slice(0, 20), { color: false });
  return diagnostics.map(({ code }) => code);
}
