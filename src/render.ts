// Diagnostics as people read them. The one renderer; knows no streams and no exit codes.
import { diagnosticCodes, isDiagnosticCode } from "../ir/diag/codes.ts";
import { assertNever, type Diagnostic, type DiagnosticLocation } from "../ir/diag/diagnostic.ts";

export interface RenderOptions {
  readonly color: boolean;
}

const styles = {
  error: "\u001b[1;31m",
  warning: "\u001b[1;33m",
  code: "\u001b[1m",
  place: "\u001b[36m",
  help: "\u001b[32m",
} as const;

function styled(style: keyof typeof styles, text: string, options: RenderOptions): string {
  return options.color ? `${styles[style]}${text}\u001b[0m` : text;
}

/** Names come from files: nothing in them may move the cursor or change colours. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) =>
    character === "\n" ? character : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

export function locationText(location: DiagnosticLocation): string {
  switch (location.kind) {
    case "node":
      return `node ${location.index} '${location.name}' (${location.opType})`;
    case "tensor":
      return `tensor '${location.name}'`;
    case "file": {
      const path = location.path === "" ? "input" : location.path;
      if (location.line !== undefined) return `${path}:${location.line}`;
      return location.offset === undefined ? path : `${path}, byte ${location.offset}`;
    }
    case "option":
      return `option ${location.option}`;
    case "instruction":
      return `chip ${location.chip}, unit ${location.unit}, cycle ${location.cycle}`;
    default:
      return assertNever(location);
  }
}

/** Lines after the first of a text are set under the first. */
const indented = (text: string, by: number): string => printable(text).replaceAll("\n", `\n${" ".repeat(by)}`);

/** `error[LPU1203]: ...`, the place, notes and help, each on its own line; no line end after the last. */
export function renderDiagnostic(
  item: Diagnostic,
  options: RenderOptions,
  kind: "error" | "warning" = "error",
): string {
  const head = styled(kind, `${kind}[${item.code}]`, options);
  const lines = [`${head}: ${styled("code", indented(item.message, 2), options)}`];
  if (item.location !== undefined) {
    lines.push(`  ${styled("place", "-->", options)} ${printable(locationText(item.location))}`);
  }
  for (const note of item.notes ?? []) lines.push(`  note: ${indented(note, 8)}`);
  if (item.help !== undefined) lines.push(`  ${styled("help", "help", options)}: ${indented(item.help, 8)}`);
  return lines.join("\n");
}

/** All of them, and for more than one their number. Ends with a line end. */
export function renderDiagnostics(items: readonly Diagnostic[], options: RenderOptions): string {
  const parts = items.map((item) => renderDiagnostic(item, options));
  if (items.length > 1) parts.push(`${items.length} errors; \`lpuc explain CODE\` tells more about each`);
  return parts.map((part) => `${part}\n`).join("");
}

/** Each as a warning. Ends with a line end unless there are none. */
export function renderWarnings(items: readonly Diagnostic[], options: RenderOptions): string {
  return items.map((item) => `${renderDiagnostic(item, options, "warning")}\n`).join("");
}

/** What `lpuc explain` prints; undefined for a code that does not exist. */
export function explainCode(code: string): string | undefined {
  if (!isDiagnosticCode(code)) return undefined;
  const { title, explain, exit } = diagnosticCodes[code];
  return `${code}: ${title}\n\n${explain}\n\nA command that ends with it exits with ${exit}.\n`;
}
