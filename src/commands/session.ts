// What a command is given: its arguments and options, already judged against the table, and a place to report progress. What it gives back:
// an outcome that the command line prints. Knows no command.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { renderWarnings } from "../render.ts";
import { longFlag, type OptionName, type OptionRow, optionRows } from "./options.ts";

export interface StageTime {
  readonly name: string;
  readonly seconds: number;
}

export interface Session {
  readonly command: string;
  readonly operands: readonly string[];
  readonly given: ReadonlyMap<OptionName, readonly string[]>;
  readonly color: boolean;
  readonly writeErr: (text: string) => void;
  readonly isTerminal: boolean;
  /** Notes on the way, for forms of output that list them with the problems. */
  readonly warnings: Diagnostic[];
  readonly times: { name: string; start: number; seconds: number }[];
}

export interface Outcome {
  /** Fields of the JSON document; `schema` only where it is not the command's own. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The whole document instead, for one too long to be held. */
  readonly document?: Iterable<string>;
  /** For people; pieces are printed as they come. */
  readonly text: string | Iterable<string>;
  /** Why the command does not end well; it decides the exit code. */
  readonly problems?: readonly Diagnostic[];
}

export const isSet = (session: Session, name: OptionName): boolean => session.given.has(name);
export const optionValue = (session: Session, name: OptionName): string | undefined => session.given.get(name)?.at(-1);
export const optionValues = (session: Session, name: OptionName): readonly string[] => session.given.get(name) ?? [];

export function operand(session: Session, index: number): string {
  return session.operands[index] ?? "";
}

export function badOption(name: OptionName, message: string, help?: string): Diagnostic {
  const option = longFlag(optionRows[name]);
  return diagnostic("LPU0002", `${option}: ${message}`, { help });
}

/** Refuses values that the table does not list. */
export function judgeOptions(given: ReadonlyMap<OptionName, readonly string[]>): readonly Diagnostic[] {
  const problems: Diagnostic[] = [];
  for (const [name, values] of given) {
    const row: OptionRow = optionRows[name];
    for (const value of values) {
      if (row.values !== undefined && !row.values.includes(value)) {
        problems.push(badOption(name, `'${value}' is none of ${row.values.join(", ")}`, didYouMean(value, row.values)));
      }
    }
  }
  return problems;
}

/** A whole number of at least `least`; undefined where the option is not given. */
export function wholeOption(session: Session, name: OptionName, least: number): Result<number | undefined> {
  const text = optionValue(session, name);
  if (text === undefined) return ok(undefined);
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return ok(value);
  return fail(badOption(name, `'${text}' is not a whole number from ${least} on`));
}

const clearLine = "\r\u001b[K";

const showsProgress = (session: Session): boolean => session.isTerminal && !isSet(session, "quiet");

/** One line that the next one replaces; on a terminal only. */
export function progress(session: Session, text: string): void {
  if (showsProgress(session)) session.writeErr(text === "" ? clearLine : `${clearLine}${text}`);
}

/** A stage begins (and the one before ends). */
export function stage(session: Session, name: string): void {
  endStage(session);
  session.times.push({ name, start: performance.now(), seconds: 0 });
  if (isSet(session, "verbose")) session.writeErr(`${name} ...\n`);
  else progress(session, `${name} ...`);
}

export function endStage(session: Session): void {
  const last = session.times.at(-1);
  if (last !== undefined && last.seconds === 0) last.seconds = (performance.now() - last.start) / 1000;
  progress(session, "");
}

/** Seconds of each stage; stages that came several times are added up. */
export function stageTimes(session: Session): readonly StageTime[] {
  const sums = new Map<string, number>();
  for (const { name, seconds } of session.times) sums.set(name, (sums.get(name) ?? 0) + seconds);
  return [...sums].map(([name, seconds]) => ({ name, seconds }));
}

/** Notes on the way, on stderr. */
export function warn(session: Session, warnings: readonly Diagnostic[]): void {
  session.warnings.push(...warnings);
  if (!isSet(session, "quiet")) session.writeErr(renderWarnings(warnings, { color: session.color }));
}
