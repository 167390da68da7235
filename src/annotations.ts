// Diagnostics for other programs: annotations of GitHub workflows, and SARIF 2.1.0 logs. Pure; knows no command.
import { type DiagnosticCode, diagnosticCodes, isDiagnosticCode } from "../ir/diag/codes.ts";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import { locationText } from "./render.ts";
import { version } from "./version.ts";

export interface Reported {
  readonly level: "error" | "warning";
  readonly item: Diagnostic;
}

const escaped = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const escapedProperty = (text: string): string => escaped(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

const titleOf = (code: string): string => (isDiagnosticCode(code) ? diagnosticCodes[code].title : "unknown");

/** The file a diagnostic is about: its own, or else the one the command was given. */
const fileOf = ({ location }: Diagnostic, file: string): string =>
  location?.kind === "file" && location.path !== "" ? location.path : file;

/** What there is to say beside the title: place, message, notes, help. */
function wholeText({ message, location, notes = [], help }: Diagnostic): string {
  const inputs = location?.kind === "node" ? (location.inputs ?? []).join(", ") : "";
  const place = location === undefined || location.kind === "file" ? [] : [locationText(location)];
  return [
    message,
    ...place,
    ...(inputs === "" ? [] : [`inputs: ${inputs}`]),
    ...notes,
    ...(help === undefined ? [] : [`help: ${help}`]),
  ].join("\n");
}

/** One workflow command a diagnostic. */
export function githubAnnotations(reported: readonly Reported[], file: string): readonly string[] {
  return reported.map(({ level, item }) => {
    const line =
      item.location?.kind === "file" && item.location.line !== undefined ? [`line=${item.location.line}`] : [];
    const title = `title=${escapedProperty(`${item.code} ${titleOf(item.code)}`)}`;
    const properties = [`file=${escapedProperty(fileOf(item, file))}`, ...line, title];
    return `::${level} ${properties.join(",")}::${escaped(wholeText(item))}`;
  });
}

function region({ location }: Diagnostic): Readonly<Record<string, unknown>> {
  if (location?.kind !== "file") return {};
  if (location.line !== undefined) return { region: { startLine: location.line } };
  return location.offset === undefined ? {} : { region: { byteOffset: location.offset, byteLength: 0 } };
}

function logicalLocations({ location }: Diagnostic): Readonly<Record<string, unknown>> {
  if (location?.kind === "node") {
    const { name, index } = location;
    return { logicalLocations: [{ name, fullyQualifiedName: `node ${index}/${name}`, kind: "element" }] };
  }
  return location?.kind === "tensor" ? { logicalLocations: [{ name: location.name, kind: "variable" }] } : {};
}

const rule = (id: DiagnosticCode): Readonly<Record<string, unknown>> => ({
  id,
  shortDescription: { text: diagnosticCodes[id].title },
  fullDescription: { text: diagnosticCodes[id].explain },
});

/** A SARIF log of one run; `file` is what the command was given. */
export function sarifLog(reported: readonly Reported[], file: string): Readonly<Record<string, unknown>> {
  const codes: readonly string[] = [...new Set(reported.map(({ item }) => item.code))].sort();
  const results = reported.map(({ level, item }) => ({
    ruleId: item.code,
    ruleIndex: codes.indexOf(item.code),
    level,
    message: { text: wholeText(item) },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: encodeURI(fileOf(item, file)) }, ...region(item) },
        ...logicalLocations(item),
      },
    ],
  }));
  const driver = {
    name: "lpuc",
    version,
    rules: codes.flatMap((code) => (isDiagnosticCode(code) ? [rule(code)] : [])),
  };
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver }, columnKind: "utf16CodeUnits", results }],
  };
}
