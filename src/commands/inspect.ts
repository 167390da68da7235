// `lpuc inspect`: what is in a program, as tables for people.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { criticalPath } from "../report/critical-path.ts";
import { kernelSpans } from "../report/layers.ts";
import { type ProgramReport, programReport } from "../report/program-report.ts";
import { linkTable, programLines, sramTable, stageTable } from "../report/program-text.ts";
import { columns, fields, grouped } from "../report/table.ts";
import { openProgram } from "./program-file.ts";
import { type Outcome, operand, optionValue, type Session } from "./session.ts";

interface Section {
  readonly json: (program: Program, report: ProgramReport) => unknown;
  readonly text: (program: Program, report: ProgramReport) => string;
}

function bindingText(program: Program): string {
  return fields(
    program.bindings.map(({ kind, name, dtype, shape, renews }) => {
      const next = renews === undefined ? "" : `, the next ${program.bindings[renews]?.name}`;
      return [kind, `${name} ${dtype}[${shape.join("x")}]${next}`] as const;
    }),
  );
}

function layerTable(program: Program): string {
  const rows = kernelSpans(program).map((span) => [
    grouped(span.firstCycle),
    grouped(span.lastCycle),
    `${span.chip}`,
    grouped(span.instructions),
    grouped(span.issues),
    span.kernel,
    span.nodes.join(" "),
  ]);
  return columns(["first cycle", "last cycle", "chip", "bursts", "issues", "kernel", "nodes"], rows, [0, 1, 2, 3, 4]);
}

function pathTable(program: Program): string {
  const path = criticalPath(program);
  const rows = path.map((stretch) => [
    grouped(stretch.fromCycle),
    grouped(stretch.untilCycle),
    grouped(stretch.waitCycles),
    `${stretch.chip}`,
    stretch.kernel,
    stretch.nodes.join(" "),
  ]);
  const waits = path.reduce((sum, { waitCycles }) => sum + waitCycles, 0);
  const total = (path.at(-1)?.untilCycle ?? 0) - (path[0]?.fromCycle ?? 0);
  const table = columns(["from", "until", "waits", "chip", "kernel", "nodes"], rows, [0, 1, 2, 3]);
  return `${table}\n\n${grouped(total)} cycles, in ${grouped(waits)} of them the data was there and waited`;
}

const sections: Readonly<Record<string, Section>> = {
  program: {
    json: (program, report) => ({
      ...report,
      bindings: program.bindings.map(({ kind, name, dtype, shape, renews }) => {
        const binding = { kind, name, dtype, shape };
        return renews === undefined ? binding : { ...binding, renews: program.bindings[renews]?.name };
      }),
    }),
    text: (program, report) => `${programLines(report)}\n${bindingText(program)}`,
  },
  stages: { json: (_, report) => report.stages, text: (_, report) => stageTable(report) },
  sram: { json: (_, report) => report.sram, text: (_, report) => sramTable(report) },
  links: { json: (_, report) => report.links, text: (_, report) => linkTable(report) },
  layers: { json: kernelSpans, text: layerTable },
  "critical-path": { json: criticalPath, text: pathTable },
};

/** Shown without --section: all that fits one screen. */
const overview = ["program", "stages", "sram", "links"];

export function inspectCommand(session: Session): Result<Outcome> {
  const opened = openProgram(operand(session, 0));
  if (!opened.ok) return opened;
  const program = opened.value;
  const report = programReport(program);
  const only = optionValue(session, "section");
  const chosen = (only === undefined ? overview : [only]).flatMap((name) => {
    const section = sections[name];
    return section === undefined ? [] : [{ name, section }];
  });
  const json = Object.fromEntries(chosen.map(({ name, section }) => [name, section.json(program, report)]));
  const text = chosen.map(({ section }) => section.text(program, report)).join("\n\n");
  return ok({ json, text: `${text}\n` });
}
