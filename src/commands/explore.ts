// `lpuc explore MODEL.onnx`: the model on every system that the options list, the figures of each, and which of them nothing else beats.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { importFile } from "../compile-model.ts";
import { type PointOptions, type PointResult, paretoFront } from "../explore.ts";
import { runPoints } from "../explore-run.ts";
import type { ProgramReport } from "../report/program-report.ts";
import { bytes, columns, fields, grouped, seconds, short } from "../report/table.ts";
import { assertionsOf, failedAssertions } from "./asserts.ts";
import { type PlannedPoint, type Point, plannedPoints } from "./explore-points.ts";
import { endStage, type Outcome, operand, optionValue, progress, type Session, warn, wholeOption } from "./session.ts";

interface Row {
  readonly point: Point;
  readonly chips: number;
  readonly topology: string;
  readonly latencyCycles: number;
  readonly latencySeconds: number;
  readonly initiationIntervalCycles: number;
  readonly throughputPerSecond: number;
  readonly fullestChipBytes: number;
  readonly capacityBytes: number;
  /** Does every --assert hold? */
  readonly meets: boolean;
  /** Of those that meet them: is there none with as few chips, as short and as many a second, and better in one of these? */
  readonly pareto: boolean;
}

type Failure = { readonly point: Point; readonly code: string; readonly message: string };

const heldBytes = (sram: ProgramReport["sram"][number]): number =>
  sram.weightBytes + sram.stateBytes + sram.activationPeakBytes + sram.programBytes;

function rowOf(point: Point, report: ProgramReport, meets: boolean): Row {
  return {
    point,
    chips: report.chips,
    topology: report.topology,
    latencyCycles: report.latencyCycles,
    latencySeconds: report.latencySeconds,
    initiationIntervalCycles: report.initiationIntervalCycles,
    throughputPerSecond: report.throughputPerSecond,
    fullestChipBytes: Math.max(0, ...report.sram.map(heldBytes)),
    capacityBytes: report.sram[0]?.capacityBytes ?? 0,
    meets,
    pareto: false,
  };
}

function failureOf(point: Point, diagnostics: readonly Diagnostic[]): Failure {
  const [first] = diagnostics;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  return { point, code: first?.code ?? "", message: `${first?.message ?? "no reason given"}${more}` };
}

function marked(rows: readonly Row[]): readonly Row[] {
  const meeting = rows.filter(({ meets }) => meets);
  const front = paretoFront(meeting, [
    ({ chips }) => chips,
    ({ latencySeconds }) => latencySeconds,
    ({ throughputPerSecond }) => -throughputPerSecond,
  ]);
  const onFront = new Set(meeting.filter((_, i) => front[i]));
  return rows.map((row) => (onFront.has(row) ? { ...row, pareto: true } : row));
}

/** The first of the rows with the least of these numbers, the earlier ones first. */
function least(rows: readonly Row[], ...costs: readonly ((row: Row) => number)[]): Row | undefined {
  return rows.toSorted((a, b) => costs.reduce((order, cost) => order || cost(a) - cost(b), 0))[0];
}

const setText = ({ set }: Point): string =>
  Object.entries(set)
    .map(([path, value]) => `${path}=${value}`)
    .join(" ");

const parallelText = ({ parallel, tensorParallel }: Point): string =>
  [parallel ?? (tensorParallel === null ? "pipeline" : "")]
    .concat(tensorParallel ?? [])
    .join(" ")
    .trim();

/** A point as one would say it. */
const pointText = (point: Point): string =>
  [
    point.target,
    point.topology ?? "",
    `${point.chips} ${point.chips === "1" ? "chip" : "chips"}`,
    point.precision,
    parallelText(point),
    setText(point),
  ]
    .filter((part) => part !== "")
    .join(", ");

function tableOf(rows: readonly Row[]): string {
  const isChanged = rows.some(({ point }) => Object.keys(point.set).length > 0);
  const cells = rows.map((row) => [
    row.pareto ? "*" : row.meets ? "" : "-",
    row.point.target,
    row.topology,
    row.point.precision,
    parallelText(row.point),
    ...(isChanged ? [setText(row.point)] : []),
    `${row.chips}`,
    grouped(row.latencyCycles),
    seconds(row.latencySeconds),
    grouped(row.initiationIntervalCycles),
    short(row.throughputPerSecond),
    bytes(row.fullestChipBytes),
  ]);
  const words = ["", "target", "topology", "precision", "parallel", ...(isChanged ? ["set"] : [])];
  const numbers = ["chips", "latency", "", "interval", "a second", "fullest chip"];
  return columns(
    [...words, ...numbers],
    cells,
    numbers.map((_, i) => words.length + i),
  );
}

const csvCell = (value: string | number | boolean): string => {
  const text = `${value}`;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function csvOf(rows: readonly Row[], failures: readonly Failure[]): string {
  const asked = (point: Point): (string | number)[] => [
    point.target,
    point.precision,
    parallelText(point),
    setText(point),
    point.chips,
  ];
  const head = "target,precision,parallel,set,askedChips,topology,chips,latencyCycles,latencySeconds";
  const figures = "initiationIntervalCycles,throughputPerSecond,fullestChipBytes,meets,pareto,code,message";
  const lines = rows.map((row) =>
    [
      ...[...asked(row.point), row.topology, row.chips, row.latencyCycles, row.latencySeconds],
      ...[row.initiationIntervalCycles, row.throughputPerSecond, row.fullestChipBytes, row.meets, row.pareto, "", ""],
    ]
      .map(csvCell)
      .join(","),
  );
  const failed = failures.map(({ point, code, message }) =>
    [...asked(point), point.topology ?? "", "", "", "", "", "", "", false, false, code, message].map(csvCell).join(","),
  );
  return `${[`${head},${figures}`, ...lines, ...failed].join("\n")}\n`;
}

function textOf(model: string, rows: readonly Row[], failures: readonly Failure[]): string {
  const meeting = rows.filter(({ meets }) => meets);
  const name = (row: Row | undefined): string =>
    row === undefined ? "none" : pointText({ ...row.point, chips: `${row.chips}` });
  const latency = (row: Row): number => row.latencySeconds;
  const heading = fields([
    ["model", model],
    [
      "points",
      `${rows.length + failures.length}, ${failures.length} without a program, ${rows.length - meeting.length} outside the budgets`,
    ],
    ["fewest chips", name(least(meeting, ({ chips }) => chips, latency))],
    ["least latency", name(least(meeting, latency, ({ chips }) => chips))],
    [
      "most throughput",
      name(
        least(
          meeting,
          (row) => -row.throughputPerSecond,
          ({ chips }) => chips,
          latency,
        ),
      ),
    ],
  ]);
  const legend = "*  on the Pareto front of chips, latency and inferences a second; -  outside a budget";
  const failed = failures.map(({ point, code, message }) => `${code}  ${pointText(point)}: ${message}`);
  const parts = [heading, ...(rows.length === 0 ? [] : [tableOf(rows), legend])];
  return `${[...parts, ...(failed.length === 0 ? [] : [failed.join("\n")])].join("\n\n")}\n`;
}

/** Without what cannot go to another thread. */
function portable({
  onStage: _,
  onMade: __,
  ...options
}: PointOptions & { onStage?: unknown; onMade?: unknown }): PointOptions {
  return options;
}

/** Compiles the points whose options are in order; the results of all in order. */
async function resultsOf(
  session: Session,
  path: string,
  planned: readonly PlannedPoint[],
  jobs: number,
): Promise<PointResult[]> {
  const good = planned.flatMap(({ options }) => (options.ok ? [portable(options.value)] : []));
  progress(session, `0 of ${good.length} points ...`);
  const compiled = await runPoints(path, good, jobs, (done) =>
    progress(session, `${done} of ${good.length} points ...`),
  );
  endStage(session);
  const rest = compiled.values();
  return planned.map(({ options }): PointResult => {
    if (!options.ok) return options;
    return rest.next().value ?? { ok: false, diagnostics: [] };
  });
}

export async function exploreCommand(session: Session): Promise<Result<Outcome>> {
  const planned = plannedPoints(session);
  const assertions = assertionsOf(session);
  const jobs = wholeOption(session, "jobs", 1);
  if (!planned.ok || !assertions.ok || !jobs.ok) {
    const parts = [planned, assertions, jobs];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const path = operand(session, 0);
  // A model that cannot be read has no points, only its own mistakes.
  const first = planned.value.find(({ options }) => options.ok)?.options;
  if (first?.ok === true) {
    const imported = importFile(path, first.value);
    if (!imported.ok) return imported;
    warn(session, imported.value.warnings);
  }
  const results = await resultsOf(session, path, planned.value, jobs.value ?? 1);
  const unmarked: Row[] = [];
  const failures: Failure[] = [];
  for (const [i, result] of results.entries()) {
    const point = planned.value[i]?.point;
    if (point === undefined) continue;
    if (result.ok)
      unmarked.push(rowOf(point, result.report, failedAssertions(assertions.value, result.report).length === 0));
    else failures.push(failureOf(point, result.diagnostics));
  }
  const rows = marked(unmarked);
  const json = { model: path, rows, failures };
  const text = optionValue(session, "exploreFormat") === "csv" ? csvOf(rows, failures) : textOf(path, rows, failures);
  return ok({ json, text, problems: problemsOf(rows, results, optionValue(session, "assert")) });
}

/** An exploration fails where it found nothing: no program, or none within the budgets. */
function problemsOf(
  rows: readonly Row[],
  results: readonly PointResult[],
  assertion: string | undefined,
): readonly Diagnostic[] {
  if (rows.length === 0) {
    const [first] = results.flatMap((result) => (result.ok ? [] : result.diagnostics));
    return first === undefined ? [] : [first];
  }
  if (rows.some(({ meets }) => meets)) return [];
  return [diagnostic("LPU6004", `${assertion ?? "the budgets"}: no point meets every budget`)];
}
