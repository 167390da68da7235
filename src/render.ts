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
      return `node ${location.index} '${location.name}' (${location.opType}${location.opset === undefined ? "" : `, opset ${location.opset}`})`;
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

/** The place of a diagnostic, with what is read there. */
function placeLine(location: DiagnosticLocation, more: string, options: RenderOptions): string {
  const inputs = location.kind === "node" ? (location.inputs ?? []).join(", ") : "";
  const read = inputs === "" ? "" : `: ${inputs}`;
  return `  ${styled("place", "-->", options)} ${printable(`${locationText(location)}${read}${more}`)}`;
}

/** `error[LPU1203]: ...`, the place, notes and help, each on its own line; no line end after the last. */
export function renderDiagnostic(
  item: Diagnostic,
  options: RenderOptions,
  kind: "error" | "warning" = "error",
): string {
  const head = styled(kind, `${kind}[${item.code}]`, options);
  const lines = [`${head}: ${styled("code", indented(item.message, 2), options)}`];
  if (item.location !== undefined) lines.push(placeLine(item.location, "", options));
  for (const note of item.notes ?? []) lines.push(`  note: ${indented(note, 8)}`);
  if (item.help !== undefined) lines.push(`  ${styled("help", "help", options)}: ${indented(item.help, 8)}`);
  return lines.join("\n");
}

export interface DiagnosticGroup {
  /** The first of them. */
  readonly first: Diagnostic;
  readonly items: readonly Diagnostic[];
}

/** Diagnostics of nodes with one cause - the same code, operator and words but for names and numbers - belong together. */
export function groupedDiagnostics(items: readonly Diagnostic[]): readonly DiagnosticGroup[] {
  const groups = new Map<string, { first: Diagnostic; items: Diagnostic[] }>();
  for (const [i, item] of items.entries()) {
    const { code, message, location, notes } = item;
    const words = message.replace(/'[^']*'/g, "'").replace(/-?\d+(\.\d+)?([x,]\d+)*/g, "0");
    const isAlone = location?.kind !== "node" || notes !== undefined;
    const key = isAlone ? `alone ${i}` : `${code} ${location.opType} ${words}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { first: item, items: [item] });
    else known.items.push(item);
  }
  return [...groups.values()];
}

/** Places of one group that are listed. */
const LISTED = 8;

/** One message for all diagnostics of a group, with their places, and how their messages differ. */
function renderGroup({ first, items }: DiagnosticGroup, options: RenderOptions): string {
  if (items.length === 1) return renderDiagnostic(first, options);
  const head = styled("error", `error[${first.code}]`, options);
  const lines = [`${head}: ${styled("code", indented(first.message, 2), options)} (${items.length} nodes)`];
  for (const { location, message } of items.slice(0, LISTED)) {
    if (location !== undefined)
      lines.push(placeLine(location, message === first.message ? "" : `; ${message}`, options));
  }
  if (items.length > LISTED) lines.push(`  and ${items.length - LISTED} more`);
  if (first.help !== undefined) lines.push(`  ${styled("help", "help", options)}: ${indented(first.help, 8)}`);
  return lines.join("\n");
}

/** All of them, grouped by cause, and for more than one their number. Ends with a line end. */
export function renderDiagnostics(items: readonly Diagnostic[], options: RenderOptions): string {
  const parts = groupedDiagnostics(items).map((group) => renderGroup(group, options));
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
