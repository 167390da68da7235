// `lpuc disasm` and `lpuc asm`: a program's text form, and back.
import { basename } from "node:path";
import { parseProgramText } from "../../backends/encode/text-parse.ts";
import { type ListingFilter, listingLines, programLines, unitMatches } from "../../backends/encode/text-print.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { type Program, unitName } from "../../ir/machine/program.ts";
import { readFileBytes, writeFileAtomic } from "../io.ts";
import { bytes } from "../report/table.ts";
import { openProgram, writeProgram } from "./program-file.ts";
import { badOption, type Outcome, operand, optionValue, type Session, wholeOption } from "./session.ts";

/** Lines joined into pieces of some size, so that a long text is neither held nor written line by line. */
export function* textPieces(lines: Iterable<string>): Generator<string> {
  let piece: string[] = [];
  for (const line of lines) {
    piece.push(line, "\n");
    if (piece.length < 2048) continue;
    yield piece.join("");
    piece = [];
  }
  if (piece.length > 0) yield piece.join("");
}

/** To the file of -o, or to the standard output. */
export function textOutcome(session: Session, format: string, lines: Iterable<string>): Result<Outcome> {
  const file = optionValue(session, "resultFile");
  if (file === undefined) {
    // The JSON document is made only if asked for.
    const json = {
      format,
      get lines(): readonly string[] {
        return [...lines];
      },
    };
    return ok({ json, text: textPieces(lines) });
  }
  const encoder = new TextEncoder();
  function* chunks(): Generator<Uint8Array> {
    for (const piece of textPieces(lines)) yield encoder.encode(piece);
  }
  const written = writeFileAtomic(file, chunks());
  if (!written.ok) return written;
  const { byteLength } = written.value;
  return ok({ json: { format, file, byteLength }, text: `${file}: ${bytes(byteLength)}\n` });
}

function cyclesOf(session: Session): Result<ListingFilter["cycles"]> {
  const text = optionValue(session, "cycles");
  if (text === undefined) return ok(undefined);
  const match = /^(\d{1,12}):(\d{1,12})$/.exec(text);
  if (match === null) return fail(badOption("cycles", `'${text}' does not have the form A:B`));
  return ok({ from: Number(match[1]), to: Number(match[2]) });
}

/** Undefined where nothing restricts the listing. */
export function listingFilter(session: Session, program: Program): Result<ListingFilter | undefined> {
  const chip = wholeOption(session, "chip", 0);
  const cycles = cyclesOf(session);
  const unit = optionValue(session, "unit");
  if (!chip.ok) return chip;
  if (!cycles.ok) return cycles;
  if (chip.value !== undefined && chip.value >= program.chips.length) {
    return fail(badOption("chip", `there is no chip ${chip.value}; the program has ${program.chips.length}`));
  }
  const units = program.chips.flatMap(({ queues }) => queues.map((queue) => queue.unit));
  if (unit !== undefined && !units.some((one) => unitMatches(one, unit))) {
    return fail(
      badOption("unit", `the program uses no unit '${unit}'`, didYouMean(unit, [...new Set(units.map(unitName))])),
    );
  }
  if (chip.value === undefined && cycles.value === undefined && unit === undefined) return ok(undefined);
  return ok({
    ...(chip.value === undefined ? {} : { chip: chip.value }),
    ...(cycles.value === undefined ? {} : { cycles: cycles.value }),
    ...(unit === undefined ? {} : { unit }),
  });
}

export function disasmCommand(session: Session): Result<Outcome> {
  const program = openProgram(operand(session, 0));
  if (!program.ok) return program;
  const filter = listingFilter(session, program.value);
  if (!filter.ok) return filter;
  if (filter.value === undefined)
    return textOutcome(session, "lpasm", { [Symbol.iterator]: () => programLines(program.value) });
  const chosen = filter.value;
  return textOutcome(session, "listing", { [Symbol.iterator]: () => listingLines(program.value, chosen) });
}

export function asmCommand(session: Session): Result<Outcome> {
  const path = operand(session, 0);
  const source = readFileBytes(path);
  if (!source.ok) return source;
  const program = parseProgramText(new TextDecoder().decode(source.value));
  if (!program.ok) {
    const located = program.diagnostics.map((item) => {
      const { location } = item;
      return {
        ...item,
        location: location?.kind === "file" ? { ...location, path } : ({ kind: "file", path } as const),
      };
    });
    return { ok: false, diagnostics: located };
  }
  const file = optionValue(session, "assembledFile") ?? `${basename(path).replace(/\.[^.]*$/, "")}.lpu`;
  const written = writeProgram(file, program.value);
  if (!written.ok) return written;
  const { programBytes, programSha256 } = written.value;
  return ok({
    json: { file, programBytes, programSha256 },
    text: `${file}: ${bytes(programBytes)}, sha256 ${programSha256}\n`,
  });
}
