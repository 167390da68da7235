// `lpuc diff`: two builds of a program, side by side.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import {
  diffPrograms,
  type FigureChange,
  type KernelChange,
  type ProgramDiff,
  type QueueChange,
} from "../report/program-diff.ts";
import { columns, grouped } from "../report/table.ts";
import { fileSha256, openProgram } from "./program-file.ts";
import { type Outcome, operand, type Session, wholeOption } from "./session.ts";

const cell = (value: number | string | null): string =>
  value === null ? "-" : typeof value === "number" ? grouped(value) : value;

/** 1,000 -> 1,250: +25.0 % */
function changeText(before: number | string | null, after: number | string | null): string {
  if (typeof before !== "number" || typeof after !== "number" || before === 0) return "";
  const share = (100 * (after - before)) / before;
  return `${share > 0 ? "+" : ""}${share.toFixed(1)} %`;
}

function figureTable(figures: readonly FigureChange[]): string {
  const rows = figures.map(({ name, before, after }) => [name, cell(before), cell(after), changeText(before, after)]);
  return columns(["figure", "before", "after", ""], rows, [1, 2, 3]);
}

/** The first `listed` rows, and how many more there are. */
function shortened<T>(
  all: readonly T[],
  listed: number,
  table: (rows: readonly T[]) => string,
  what: string,
): readonly string[] {
  if (all.length === 0) return [];
  const more = all.length - listed;
  return [`${table(all.slice(0, listed))}${more > 0 ? `\nand ${grouped(more)} more ${what}` : ""}`];
}

function kernelTable(kernels: readonly KernelChange[]): string {
  const rows = kernels.map(({ chip, kernel, nodes, before, after }) => [
    `${chip}`,
    cell(before),
    cell(after),
    kernel,
    nodes.join(" "),
  ]);
  return columns(["chip", "cycles before", "after", "kernel", "nodes"], rows, [0, 1, 2]);
}

function queueTable(queues: readonly QueueChange[]): string {
  return queues
    .map(({ chip, unit, before, after, at, instruction }) => {
      const count =
        before === after ? `${grouped(before)} instructions` : `${grouped(before)} -> ${grouped(after)} instructions`;
      return [
        `chip ${chip}, ${unit}: ${count}, the first that differs is number ${grouped(at)}`,
        `  - ${instruction.before ?? "(no more)"}`,
        `  + ${instruction.after ?? "(no more)"}`,
      ].join("\n");
    })
    .join("\n");
}

function diffText(diff: ProgramDiff, listed: number): string {
  const { figures, queues, images, symbols, kernels } = diff;
  const changed = Math.max(symbols.added, symbols.removed, symbols.moved, symbols.relived) > 0;
  // The largest change first; of equal ones the program's order.
  const size = ({ before, after }: KernelChange): number => Math.abs((after ?? 0) - (before ?? 0));
  const bySize = [...kernels].sort((a, b) => size(b) - size(a));
  const parts = [
    ...(figures.length === 0 ? [] : [figureTable(figures)]),
    ...shortened(bySize, listed, kernelTable, "kernels"),
    ...shortened(queues, listed, queueTable, "queues"),
    ...(images.length === 0
      ? []
      : [`initial memory differs on ${images.length === 1 ? "chip" : "chips"} ${images.join(", ")}`]),
    ...(changed
      ? [
          `regions: ${symbols.added} added, ${symbols.removed} removed, ${symbols.moved} elsewhere, ${symbols.relived} with another live range`,
        ]
      : []),
  ];
  return parts.length === 0 ? "only names differ\n" : `${parts.join("\n\n")}\n`;
}

export function diffCommand(session: Session): Result<Outcome> {
  const listed = wholeOption(session, "listedChanges", 0);
  if (!listed.ok) return listed;
  const paths = [operand(session, 0), operand(session, 1)] as const;
  const opened = paths.map(openProgram);
  const [before, after] = opened;
  if (!before?.ok || !after?.ok)
    return { ok: false, diagnostics: opened.flatMap((one) => (one.ok ? [] : one.diagnostics)) };
  const [hashBefore, hashAfter] = [fileSha256(paths[0]), fileSha256(paths[1])];
  if (!hashBefore.ok) return hashBefore;
  if (!hashAfter.ok) return hashAfter;
  const sha256 = { before: hashBefore.value, after: hashAfter.value };
  const identical = sha256.before === sha256.after;
  const diff = diffPrograms(before.value, after.value);
  return ok({
    json: { before: paths[0], after: paths[1], identical, sha256, ...diff },
    text: identical ? "the programs are identical\n" : diffText(diff, listed.value ?? 10),
  });
}
