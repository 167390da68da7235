// The emitted schedule, burst by burst: for people, for spreadsheets and for programs. Pure.
import { fieldOf } from "../../backends/encode/instruction.ts";
import { type Instruction, isa } from "../../ir/machine/isa.ts";
import { type Program, unitName } from "../../ir/machine/program.ts";

export interface ScheduleRow {
  readonly chip: number;
  readonly unit: string;
  readonly op: string;
  readonly cycle: number;
  readonly count: number;
  readonly period: number;
  /** Cycle of the last issue. */
  readonly lastCycle: number;
  readonly buffer: string;
  readonly kernel: string;
  /** Source nodes. */
  readonly nodes: readonly string[];
  readonly fields: Readonly<Record<string, unknown>>;
}

const fieldsOf = (ins: Instruction): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.keys(isa[ins.op].fields).map((name) => [name, fieldOf(ins, name)]));

/** Every burst, chip by chip, unit by unit, in issue order. */
export function* scheduleRows(program: Program): Generator<ScheduleRow> {
  const { origins, notes } = program.debug;
  for (const [chip, part] of program.chips.entries()) {
    for (const { unit, instructions } of part.queues) {
      const name = unitName(unit);
      for (const ins of instructions) {
        const { op, cycle, count, period } = ins;
        const note = notes[ins.note];
        yield {
          chip,
          unit: name,
          op,
          cycle,
          count,
          period,
          lastCycle: cycle + (count - 1) * period,
          buffer: program.symbols[ins.symbol]?.name ?? "",
          kernel: note?.kernel ?? "",
          nodes: (note?.origins ?? []).flatMap((origin) => origins[origin]?.name ?? []),
          fields: fieldsOf(ins),
        };
      }
    }
  }
}

const csvCell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvHead = ["chip", "unit", "op", "cycle", "count", "period", "last_cycle", "buffer", "kernel", "nodes"];

export function* scheduleCsv(program: Program): Generator<string> {
  yield csvHead.join(",");
  for (const row of scheduleRows(program)) {
    const { chip, unit, op, cycle, count, period, lastCycle, buffer, kernel, nodes } = row;
    yield [chip, unit, op, cycle, count, period, lastCycle, buffer, kernel, nodes.join(" ")]
      .map(String)
      .map(csvCell)
      .join(",");
  }
}

/** In the order of issue cycles over all chips; equal ones by chip, then in the order of the program. */
export function* scheduleText(program: Program): Generator<string> {
  const rows = [...scheduleRows(program)].map((row, index) => ({ row, index }));
  rows.sort((a, b) => a.row.cycle - b.row.cycle || a.row.chip - b.row.chip || a.index - b.index);
  yield `${"cycle".padStart(9)} ${"last".padStart(9)}  chip  ${"unit".padEnd(11)} ${"op".padEnd(8)} ${"issues".padStart(7)}  buffer, kernel, nodes`;
  for (const { row } of rows) {
    const remark = [row.buffer, row.kernel, row.nodes.join(" ")].filter((text) => text !== "").join(", ");
    const issues = row.period === 1 ? `${row.count}` : `${row.count}/${row.period}`;
    const places = `${String(row.cycle).padStart(9)} ${String(row.lastCycle).padStart(9)}  ${String(row.chip).padStart(4)}`;
    yield `${places}  ${row.unit.padEnd(11)} ${row.op.padEnd(8)} ${issues.padStart(7)}  ${remark}`.trimEnd();
  }
}

/** One JSON document, a burst a line. */
export function* scheduleJson(program: Program): Generator<string> {
  const { modelName: model, latencyCycles, target, chips } = program;
  const head = {
    schema: "lpuc.schedule/1",
    model,
    target: target.name,
    chips: chips.length,
    clockHz: target.clockHz,
    latencyCycles,
  };
  let before = `${JSON.stringify(head).slice(0, -1)},"bursts":[`;
  let first = true;
  for (const row of scheduleRows(program)) {
    yield first ? before : `${before},`;
    before = JSON.stringify(row);
    first = false;
  }
  yield before;
  yield "]}";
}
