// `lpuc partition MODEL.onnx`: what the model does on several numbers of chips. The figures are those of the programs that compile would make.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { compileModelEach } from "../compile-model.ts";
import { type ProgramReport, programReport } from "../report/program-report.ts";
import { bytes, columns, fields, grouped, percent, seconds, short } from "../report/table.ts";
import { modelOptions } from "./model-options.ts";
import { badOption, endStage, isSet, type Outcome, operand, type Session, warn, wholeOption } from "./session.ts";

type Row = {
  readonly chips: number;
  readonly chipsUsed: number;
  readonly latencyCycles: number;
  readonly latencySeconds: number;
  readonly initiationIntervalCycles: number;
  readonly throughputPerSecond: number;
  readonly fullestChipBytes: number;
  readonly capacityBytes: number;
  /** Share of the fullest bank that is in use: at 1 no more fits, however empty the others are. */
  readonly fullestBankShare: number;
  readonly stages: readonly { readonly chip: number; readonly firstLayer: number; readonly lastLayer: number }[];
};

type Refusal = { readonly chips: number; readonly reason: string };

const heldBytes = (sram: ProgramReport["sram"][number]): number =>
  sram.weightBytes + sram.stateBytes + sram.activationPeakBytes + sram.programBytes;

function rowOf(report: ProgramReport): Row {
  const { chips, latencyCycles, latencySeconds, initiationIntervalCycles, throughputPerSecond, sram } = report;
  return {
    chips,
    chipsUsed: report.stages.length,
    latencyCycles,
    latencySeconds,
    initiationIntervalCycles,
    throughputPerSecond,
    fullestChipBytes: Math.max(0, ...sram.map(heldBytes)),
    capacityBytes: sram[0]?.capacityBytes ?? 0,
    fullestBankShare: Math.max(0, ...sram.map(({ fullestBank: bank }) => bank.peakBytes / bank.capacityBytes)),
    stages: report.stages.map(({ chip, firstLayer, lastLayer }) => ({ chip, firstLayer, lastLayer })),
  };
}

/** The first of the rows where `read` is least. */
function least(rows: readonly Row[], read: (row: Row) => number): Row | undefined {
  let best: Row | undefined;
  for (const row of rows) if (best === undefined || read(row) < read(best)) best = row;
  return best;
}

export function partitionModel(session: Session): Result<Outcome> {
  const path = operand(session, 0);
  for (const name of ["capacity", "budget"] as const) {
    if (isSet(session, name)) return fail(badOption(name, "a problem file has it; of a model, the target says it"));
  }
  const options = modelOptions(session);
  const chips = wholeOption(session, "partitionChips", 1);
  if (!options.ok || !chips.ok)
    return { ok: false, diagnostics: [options, chips].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  const counts = chips.value === undefined ? undefined : [chips.value];
  const each = compileModelEach(path, options.value, counts, ({ program }) => rowOf(programReport(program)));
  endStage(session);
  if (!each.ok) return each;
  const { imported, rows: tried } = each.value;
  warn(session, imported.warnings);
  const rows = tried.flatMap(({ outcome }) => (outcome.fits ? [outcome.made] : []));
  const refused = tried.flatMap(({ chips: count, outcome }): Refusal[] =>
    outcome.fits ? [] : [{ chips: count, reason: outcome.reason }],
  );
  const { target, precision } = options.value;
  const choice = {
    fewest: rows[0]?.chips ?? null,
    fastest: least(rows, (row) => row.latencyCycles)?.chips ?? null,
    mostThroughput: least(rows, (row) => row.initiationIntervalCycles)?.chips ?? null,
  };
  const heading = fields([
    ["model", imported.graph.name],
    ["target", `${target.name}, ${precision}`],
    ["fewest chips", `${choice.fewest ?? "none of these"}`],
    ["least latency", `${choice.fastest ?? "-"}`],
    ["most throughput", `${choice.mostThroughput ?? "-"}`],
  ]);
  const problems = rows.length > 0 ? [] : [diagnostic("LPU4001", refused.at(-1)?.reason ?? "memory does not suffice")];
  return ok({
    json: { format: "model", model: path, target: target.name, precision, ...choice, rows, refused },
    text: `${heading}\n\n${tableOf(rows, refused)}\n`,
    problems,
  });
}

function tableOf(rows: readonly Row[], refused: readonly Refusal[]): string {
  const cells = rows.map((row) => [
    `${row.chips}`,
    grouped(row.latencyCycles),
    seconds(row.latencySeconds),
    grouped(row.initiationIntervalCycles),
    short(row.throughputPerSecond),
    bytes(row.fullestChipBytes),
    percent(row.capacityBytes === 0 ? 0 : row.fullestChipBytes / row.capacityBytes),
    percent(row.fullestBankShare),
    row.stages.map(({ firstLayer: a, lastLayer: b }) => (a < 0 ? "-" : a === b ? `${a}` : `${a}-${b}`)).join(" "),
  ]);
  const head = [
    "chips",
    "latency",
    "",
    "interval",
    "a second",
    "fullest chip",
    "of it",
    "fullest bank",
    "layers of each chip",
  ];
  const lines = refused.map(({ chips, reason }) => `${chips} ${chips === 1 ? "chip" : "chips"}: ${reason}`);
  const table = cells.length === 0 ? [] : [columns(head, cells, [0, 1, 2, 3, 4, 5, 6, 7])];
  return [...table, ...(lines.length === 0 ? [] : [lines.join("\n")])].join("\n\n");
}
