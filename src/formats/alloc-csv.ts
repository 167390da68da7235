// The CSV of allocation problems and answers: one buffer a line, columns by header name. Pure text in, data out; every mistake is
// reported with its line. Must not know solvers, files or options.
import { nearest } from "../../ir/diag/suggest.ts";
import { type ChoiceBuffer, verifyChoiceProblem } from "../../passes/alloc/choice-problem.ts";
import { type AllocBuffer, type AllocGap, verifyAllocProblem } from "../../passes/alloc/problem.ts";

export type LineError = { readonly line: number; readonly message: string };

/** The table as read, so that an answer can repeat it. */
export type AllocTable = {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly buffers: readonly AllocBuffer[];
  /** The same with the banks they may choose, where the table has a column for that. */
  readonly choosing?: readonly ChoiceBuffer[];
  /** Things the reader passed over, in words. */
  readonly notes: readonly string[];
};

export type AllocTableResult =
  | ({ readonly ok: true } & AllocTable)
  | { readonly ok: false; readonly errors: readonly LineError[] };

/** Where an answer puts a buffer; `banks` where it could choose. */
export type AllocPlace = { readonly offset: number; readonly banks?: readonly string[] };

type Column = "id" | "lower" | "upper" | "size" | "alignment" | "hint" | "gaps" | "banks" | "apart" | "bank" | "offset";

/** What an answer adds to a problem. */
const answered: readonly Column[] = ["bank", "offset"];

const required: readonly Column[] = ["id", "lower", "upper", "size"];

/** Names a column may have. `end` is the last time a buffer is live, `upper` the first at which it is not. */
const columnNames: ReadonlyMap<string, Column> = new Map([
  ["id", "id"],
  ["buffer", "id"],
  ["buffer_id", "id"],
  ["lower", "lower"],
  ["start", "lower"],
  ["begin", "lower"],
  ["upper", "upper"],
  ["end", "upper"],
  ["size", "size"],
  ["alignment", "alignment"],
  ["hint", "hint"],
  ["gaps", "gaps"],
  ["banks", "banks"],
  ["apart", "apart"],
  ["bank", "bank"],
  ["offset", "offset"],
]);

type Header = {
  readonly index: ReadonlyMap<Column, number>;
  /** 1 where the column of ends is inclusive. */
  readonly endStep: number;
  readonly errors: readonly string[];
  readonly notes: readonly string[];
};

function readHeader(names: readonly string[]): Header {
  const index = new Map<Column, number>();
  const errors: string[] = [];
  const notes: string[] = [];
  names.forEach((name, position) => {
    const column = columnNames.get(name);
    if (column === undefined) {
      const meant = nearest(name, columnNames.keys());
      if (meant === undefined) notes.push(`column ${name} is copied to the answer but not read`);
      else errors.push(`unknown column ${name}: did you mean ${meant}?`);
      return;
    }
    if (index.has(column)) errors.push(`column ${name} gives ${column} a second time`);
    index.set(column, position);
  });
  const missing = required.filter((column) => !index.has(column));
  if (missing.length > 0)
    errors.push(`the header lacks ${missing.join(", ")}; it has ${names.join(", ") || "nothing"}`);
  if (index.has("apart") && !index.has("banks")) errors.push("column apart needs a column banks");
  for (const column of answered) {
    if (index.has(column)) notes.push(`column ${column} is not read: the answer replaces it`);
  }
  return { index, endStep: names.includes("end") ? 1 : 0, errors, notes };
}

/** A decimal integer that a number holds exactly. */
function readInteger(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

const gapForm = /^(-?\d+)-(-?\d+)(?:@(\d+):(\d+))?$/;

function readGaps(text: string, endStep: number, errors: string[]): AllocGap[] {
  const gaps: AllocGap[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const parts = gapForm.exec(word);
    if (parts === null) {
      errors.push(`gap ${word} is not of the form FROM-TO or FROM-TO@LOW:HIGH`);
      continue;
    }
    const [lower, upper, low, high] = parts.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
    gaps.push({
      lower: lower ?? 0,
      upper: (upper ?? 0) + endStep,
      ...(low === undefined || high === undefined ? {} : { window: { lower: low, upper: high } }),
    });
  }
  return gaps;
}

function readRow(fields: readonly string[], header: Header, errors: string[]): AllocBuffer {
  const text = (column: Column): string => fields[header.index.get(column) ?? -1] ?? "";
  const integer = (column: Column): number => {
    const value = readInteger(text(column));
    if (value === undefined) errors.push(`${column} is not an integer: ${text(column) || "(empty)"}`);
    return value ?? 0;
  };
  const isGiven = (column: Column): boolean => header.index.has(column) && text(column) !== "";
  const id = text("id");
  if (id === "") errors.push("the id is empty");
  const hint = isGiven("hint") ? integer("hint") : -1;
  const gaps = isGiven("gaps") ? readGaps(text("gaps"), header.endStep, errors) : [];
  return {
    id,
    lower: integer("lower"),
    upper: integer("upper") + header.endStep,
    size: integer("size"),
    ...(isGiven("alignment") ? { alignment: integer("alignment") } : {}),
    ...(hint >= 0 ? { hint } : {}),
    ...(gaps.length > 0 ? { gaps } : {}),
  };
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** The buffers with their choices: words of banks joined by `+`; a buffer without any may choose any bank of the table. */
function readChoices(
  buffers: readonly AllocBuffer[],
  rows: readonly (readonly string[])[],
  { index }: Header,
): ChoiceBuffer[] {
  const at = index.get("banks") ?? -1;
  const own = rows.map((fields) => wordsOf(fields[at] ?? "").map((word) => word.split("+")));
  const all = [...new Set(own.flat(2))].map((bank) => [bank]);
  return buffers.map((buffer, i) => {
    const apart = wordsOf(rows[i]?.[index.get("apart") ?? -1] ?? "");
    const given = own[i] ?? [];
    return { ...buffer, choices: given.length === 0 ? all : given, ...(apart.length === 0 ? {} : { apart }) };
  });
}

/** Reads a table; blank lines are passed over, and a byte order mark and carriage returns are not minded. */
export function readAllocTable(text: string): AllocTableResult {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .map((content, index) => ({
      line: index + 1,
      fields: content
        .trim()
        .split(",")
        .map((field) => field.trim()),
    }))
    .filter(({ fields }) => fields.length > 1 || fields[0] !== "");
  const [first, ...rest] = lines;
  if (first === undefined)
    return { ok: false, errors: [{ line: 1, message: "the table is empty: it needs a header" }] };
  const header = readHeader(first.fields);
  if (header.errors.length > 0) {
    return { ok: false, errors: header.errors.map((message) => ({ line: first.line, message })) };
  }
  const errors: LineError[] = [];
  const buffers: AllocBuffer[] = [];
  for (const { line, fields } of rest) {
    if (fields.length !== first.fields.length) {
      const message = `${fields.length} fields where the header has ${first.fields.length}`;
      errors.push({ line, message });
      continue;
    }
    const found: string[] = [];
    buffers.push(readRow(fields, header, found));
    errors.push(...found.map((message) => ({ line, message })));
  }
  if (errors.length > 0) return { ok: false, errors };
  const rows = rest.map(({ fields }) => fields);
  const choosing = header.index.has("banks") ? readChoices(buffers, rows, header) : undefined;
  const faults =
    choosing === undefined
      ? verifyAllocProblem({ buffers, capacity: 0 })
      : verifyChoiceProblem({ buffers: choosing, capacity: 0 });
  if (faults.length > 0) {
    const lineOf = (buffer: number): number => rest[buffer]?.line ?? first.line;
    return { ok: false, errors: faults.map(({ buffer, message }) => ({ line: lineOf(buffer), message })) };
  }
  const choices = choosing === undefined ? {} : { choosing };
  return { ok: true, header: first.fields, rows, buffers, ...choices, notes: header.notes };
}

/** The table again, with the offsets as its last column, and before it the banks where these could be chosen. */
export function writeAllocTable(table: AllocTable, places: readonly AllocPlace[]): string {
  const kept = table.header.flatMap((name, position) => {
    const column = columnNames.get(name);
    return column !== undefined && answered.includes(column) ? [] : [position];
  });
  const line = (fields: readonly string[], last: readonly string[]): string =>
    `${[...kept.map((position) => fields[position] ?? ""), ...last].join(",")}\n`;
  const bank = table.choosing === undefined ? [] : ["bank"];
  const rows = table.rows.map((fields, index) => {
    const { banks = [], offset = 0 } = places[index] ?? {};
    return line(fields, [...bank.map(() => banks.join("+")), String(offset)]);
  });
  return line(table.header, [...bank, "offset"]) + rows.join("");
}
