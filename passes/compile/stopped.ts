// How a compilation ends that its observer ended on the way: a failure without diagnostics, as nothing is wrong.
import type { Result } from "../../ir/diag/diagnostic.ts";

export const stopped: Result<never> = { ok: false, diagnostics: [] };
export const isStopped = (result: Result<unknown>): boolean => !result.ok && result.diagnostics.length === 0;
