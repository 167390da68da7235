// The command line: builds the parser from the tables, runs one command, prints its outcome, decides the exit code. Where text goes is given.
import { Command, CommanderError, Option } from "commander";
import { diagnostic, exitCodeOf } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { githubAnnotations, type Reported, sarifLog } from "../annotations.ts";
import { renderDiagnostics } from "../render.ts";
import { version } from "../version.ts";
import { bugDiagnostic } from "./bug.ts";
import { attributeOf, everywhere, type OptionName, type OptionRow, optionRows } from "./options.ts";
import { badOption, isSet, judgeOptions, type Outcome, operand, optionValue, type Session } from "./session.ts";
import { type CommandRow, commandRows } from "./table.ts";

export interface Streams {
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  /** Is the error stream a terminal, for progress? */
  readonly isTerminal: boolean;
  /** May messages be coloured where --color does not say? */
  readonly allowsColor: boolean;
}

type Given = ReadonlyMap<OptionName, readonly string[]>;

const optionText = (row: OptionRow): string => {
  const marks = [
    row.values === undefined ? [] : [`one of ${row.values.join(", ")}`],
    row.isRepeatable === true ? ["repeatable"] : [],
  ].flat();
  return marks.length === 0 ? row.summary : `${row.summary} (${marks.join("; ")})`;
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function wantsColor(given: Given, streams: Streams): boolean {
  const when = given.get("color")?.at(-1) ?? "auto";
  if (when !== "auto") return when === "always";
  return streams.allowsColor;
}

/** What was given, by option name. */
function givenOptions(names: readonly OptionName[], values: Readonly<Record<string, unknown>>): Given {
  const given = new Map<OptionName, readonly string[]>();
  for (const name of names) {
    const value = values[attributeOf(optionRows[name])];
    if (value === true) given.set(name, []);
    else if (Array.isArray(value)) given.set(name, value.map(String));
  }
  return given;
}

const isSarif = (session: Session): boolean => optionValue(session, "problemFormat") === "sarif";

/** Two documents cannot both be the output. */
function judgeFormat(session: Session): readonly Diagnostic[] {
  if (!isSarif(session) || !isSet(session, "json")) return [];
  return [badOption("problemFormat", "sarif is a document of its own; leave out --json")];
}

const reportedBy = (session: Session, problems: readonly Diagnostic[]): readonly Reported[] => [
  ...problems.map((item): Reported => ({ level: "error", item })),
  ...session.warnings.map((item): Reported => ({ level: "warning", item })),
];

/** Prints what a command found; gives the exit code. */
function finish(session: Session, streams: Streams, result: Result<Outcome>): number {
  const problems = result.ok ? (result.value.problems ?? []) : result.diagnostics;
  const exitCode = exitCodeOf(problems);
  const schema = `lpuc.${session.command}/1`;
  if (isSarif(session)) {
    printJson(streams, sarifLog(reportedBy(session, problems), operand(session, 0)));
  } else if (isSet(session, "json")) {
    if (!result.ok)
      printJson(streams, { schema: "lpuc.error/1", command: session.command, exitCode, diagnostics: problems });
    else if (result.value.document === undefined) {
      printJson(streams, { schema, ...result.value.json, ...(problems.length === 0 ? {} : { problems }) });
    } else for (const piece of result.value.document) streams.writeOut(piece);
  } else if (result.ok && (!isSet(session, "quiet") || typeof result.value.text !== "string")) {
    const { text } = result.value;
    for (const piece of typeof text === "string" ? [text] : text) streams.writeOut(piece);
  }
  if (optionValue(session, "problemFormat") === "github") {
    for (const line of githubAnnotations(reportedBy(session, problems), operand(session, 0)))
      streams.writeOut(`${line}\n`);
  }
  if (problems.length > 0) session.writeErr(renderDiagnostics(problems, { color: session.color }));
  return exitCode;
}

const printJson = (streams: Streams, document: unknown): void => streams.writeOut(`${JSON.stringify(document)}\n`);

async function runRow(row: CommandRow, operands: readonly string[], given: Given, streams: Streams): Promise<number> {
  const session: Session = {
    command: row.name,
    operands,
    given,
    color: wantsColor(given, streams),
    writeErr: streams.writeErr,
    isTerminal: streams.isTerminal,
    warnings: [],
    times: [],
  };
  const problems = [...judgeOptions(given), ...judgeFormat(session)];
  if (problems.length > 0) return finish(session, streams, { ok: false, diagnostics: problems });
  try {
    return finish(session, streams, await row.run(session));
  } catch (error) {
    return finish(session, streams, fail(bugDiagnostic(error, isSet(session, "debug"))));
  }
}

/** Commander's complaint as a diagnostic. */
function usageProblem(error: CommanderError): Diagnostic {
  const [head = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const meant = /Did you mean (?:one of )?(.*)\?\)/.exec(suggestion ?? "")?.[1];
  const help =
    meant === undefined
      ? "`lpuc --help` lists the commands, `lpuc COMMAND --help` the options of one"
      : `did you mean '${meant}'?`;
  return diagnostic(error.code === "commander.invalidArgument" ? "LPU0002" : "LPU0001", head, { help });
}

function unknownCommand(name: string): Diagnostic {
  const help = didYouMean(
    name,
    commandRows.map((row) => row.name),
  );
  return diagnostic("LPU0001", `there is no command '${name}'`, { help });
}

function addCommand(program: Command, row: CommandRow, streams: Streams, done: (exitCode: number) => void): void {
  const names = [...row.options, ...everywhere];
  const command = program
    .command(`${row.name} ${row.operands}`.trim())
    .description(row.summary)
    .allowExcessArguments(false);
  for (const name of names) {
    const optionRow: OptionRow = optionRows[name];
    const option = new Option(optionRow.flags, optionText(optionRow));
    command.addOption(optionRow.flags.includes("<") ? option.argParser(collect) : option);
  }
  command.action(async () => {
    done(await runRow(row, command.args, givenOptions(names, command.opts()), streams));
  });
}

export async function main(words: readonly string[], streams: Streams): Promise<number> {
  let exitCode = 0;
  const program = new Command("lpuc")
    .description(
      "Ahead-of-time dataflow compiler: an ONNX transformer in, a verified program for many SRAM-only chips out.",
    )
    .version(version, "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: streams.writeOut, writeErr: () => undefined });
  for (const row of commandRows)
    addCommand(program, row, streams, (code) => {
      exitCode = code;
    });
  const [first] = words;
  try {
    if (first === undefined) {
      streams.writeErr(program.helpInformation());
      return 2;
    }
    if (!first.startsWith("-") && first !== "help" && !commandRows.some((row) => row.name === first)) {
      return refuse(words, streams, unknownCommand(first));
    }
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : refuse(words, streams, usageProblem(error));
  }
}

/** Options were not understood, so these are looked for by name. */
function refuse(words: readonly string[], streams: Streams, problem: Diagnostic): number {
  const exitCode = exitCodeOf([problem]);
  if (words.includes("--json"))
    printJson(streams, { schema: "lpuc.error/1", command: words[0] ?? "", exitCode, diagnostics: [problem] });
  streams.writeErr(renderDiagnostics([problem], { color: wantsColor(new Map(), streams) }));
  return exitCode;
}
