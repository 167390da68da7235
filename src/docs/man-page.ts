// The manual page lpuc(1), made from the tables of commands and options. Macros: man(7).
import { everywhere, type OptionRow, optionRows } from "../commands/options.ts";
import { commandRows } from "../commands/table.ts";
import { version } from "../version.ts";

/** Text as roff reads it: no escapes, no control lines, hyphens that can be copied. */
function roff(text: string): string {
  const plain = text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}

const optionLines = (row: OptionRow): readonly string[] => [".TP", `.B ${roff(row.flags)}`, roff(row.summary)];

const exitCodes: readonly (readonly [number, string])[] = [
  [0, "done"],
  [1, "the model or program is invalid"],
  [2, "wrong usage"],
  [3, "an operator, type or shape is not supported"],
  [4, "it does not fit"],
  [5, "verification or comparison failed"],
  [6, "an --assert failed"],
  [7, "a file cannot be read or written"],
  [70, "a bug in lpuc"],
  [130, "interrupted"],
];

export function manPage(): string {
  const commands = commandRows.flatMap(({ name, operands, summary, options }) => [
    `.SS ${roff(`lpuc ${name} ${operands}`.trim())}`,
    roff(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`),
    ...options.flatMap((option) => optionLines(optionRows[option])),
  ]);
  const lines = [
    `.\\" Generated from the tables of commands and options; not edited by hand.`,
    `.TH LPUC 1 "" "lpuc ${version}" "User Commands"`,
    ".SH NAME",
    "lpuc \\- ahead\\-of\\-time compiler from ONNX transformers to programs for many SRAM\\-only chips",
    ".SH SYNOPSIS",
    ".B lpuc",
    ".I command",
    ".RI [ options ]",
    ".SH DESCRIPTION",
    roff(
      "Results go to the standard output, everything else to the standard error. With --json a command prints exactly one JSON document.",
    ),
    ".SH OPTIONS OF ALL COMMANDS",
    ...everywhere.flatMap((name) => optionLines(optionRows[name])),
    ".SH COMMANDS",
    ...commands,
    ".SH EXIT STATUS",
    ...exitCodes.flatMap(([code, meaning]) => [".TP", `.B ${code}`, roff(meaning)]),
    ".SH ENVIRONMENT",
    ".TP",
    ".B NO_COLOR",
    "no colours unless they are asked for by an option",
  ];
  return `${lines.join("\n")}\n`;
}
