// Whatever is thrown is a mistake of lpuc: one line that names it, and how to report it.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, InvariantError } from "../../ir/diag/diagnostic.ts";

function kindOf(error: unknown): string {
  if (error instanceof InvariantError) return "broken invariant";
  return error instanceof Error ? error.name : "thrown value";
}

/** `debug` adds the stack. */
export function bugDiagnostic(error: unknown, debug: boolean): Diagnostic {
  const message = error instanceof Error ? error.message : String(error);
  const stack = debug && error instanceof Error && error.stack !== undefined ? [error.stack] : undefined;
  const how = debug ? "report this stack" : "run the command again with --debug and report the stack it prints";
  const help = `${how}, with the command and, if you can, the model`;
  return diagnostic("LPU9001", `${kindOf(error)}: ${message}`, { notes: stack, help });
}
