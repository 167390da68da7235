// docs/diagnostics.md from the table of codes.
import { diagnosticCodes } from "../../ir/diag/codes.ts";
import { page } from "./markdown.ts";

const groups: readonly (readonly [digit: string, title: string])[] = [
  ["0", "Usage"],
  ["1", "Models and input files"],
  ["2", "Support"],
  ["3", "Targets"],
  ["4", "Capacity"],
  ["5", "Program files"],
  ["6", "Verification, execution and comparison"],
  ["9", "Internal"],
];

export function diagnosticsPage(): string {
  const rows = Object.entries(diagnosticCodes).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = groups.flatMap(([digit, title]) => {
    const inGroup = rows.filter(([name]) => name[3] === digit);
    if (inGroup.length === 0) return [];
    const entries = inGroup.map(
      ([name, row]) => `### ${name}: ${row.title}\n\n${row.explain}\n\nExit code ${row.exit}.`,
    );
    return [`## ${title}`, ...entries];
  });
  return page(
    "Diagnostics",
    "Every error of lpuc has a code that keeps its meaning. `lpuc explain CODE` prints the same texts.",
    ...parts,
  );
}
