// One point of an exploration: a model compiled for one system, and its figures or why there are none.
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import { compileModel, type ModelOptions } from "./compile-model.ts";
import { type ProgramReport, programReport } from "./report/program-report.ts";

/** As it may go to another thread: no functions. */
export type PointOptions = Omit<ModelOptions, "onStage" | "onMade">;

export type PointResult =
  | { readonly ok: true; readonly report: ProgramReport }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function runPoint(path: string, options: PointOptions): PointResult {
  const compiled = compileModel(path, options);
  return compiled.ok ? { ok: true, report: programReport(compiled.value.program) } : compiled;
}

/** What is to be small (or, negated, large). */
type Cost<T> = (item: T) => number;

/** Is each item on the front: is none at least as good in everything and better in something? */
export function paretoFront<T>(items: readonly T[], costs: readonly Cost<T>[]): readonly boolean[] {
  const rows = items.map((item) => costs.map((cost) => cost(item)));
  const dominates = (a: readonly number[], b: readonly number[]): boolean =>
    a.every((cost, i) => cost <= (b[i] ?? 0)) && a.some((cost, i) => cost < (b[i] ?? 0));
  return rows.map((row) => !rows.some((other) => dominates(other, row)));
}
