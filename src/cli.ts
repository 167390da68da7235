#!/usr/bin/env node
// The command line: builds the parser from the tables, runs one command, prints its outcome, decides the exit code.
import { Command, CommanderError, Option } from "commander";
import { diagnostic, exitCodeOf } from "../ir/diag/codes.ts";
import { type Diagnostic, fail, InvariantError, type Result } from "../ir/diag/diagnostic.ts";
import { didYouMean } from "../ir/diag/suggest.ts";
import { attributeOf, everywhere, type OptionName, type OptionRow, optionRows } from "./commands/options.ts";
import { isSet, judgeOptions, type Outcome, type Session } from "./commands/session.ts";
import { type CommandRow, commandRows, laterCommands } from "./commands/table.ts";
import { stderrIsTerminal, writeStderr, writeStdout } from "./io.ts";
import { renderDiagnostics } from "./render.ts";
import { version } from "./version.ts";

type Given = ReadonlyMap<OptionName, readonly string[]>;

const optionText = (row: OptionRow): string => {
  const marks = [
    row.values === undefined ? [] : [`one of ${row.values.join(", ")}`],
    row.isRepeatable === true ? ["repeatable"] : [],
    row.refused === true ? ["not implemented yet"] : [],
  ].flat();
  return marks.length === 0 ? row.summary : `${row.summary} (${marks.join("; ")})`;
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function wantsColor(given: Given): boolean {
  const when = given.get("color")?.at(-1) ?? "auto";
  if (when !== "auto") return when === "always";
  return stderrIsTerminal() && (process.env.NO_COLOR ?? "") === "";
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

/** Prints what a command found; gives the exit code. */
function finish(session: Session, result: Result<Outcome>): number {
  const problems = result.ok ? (result.value.problems ?? []) : result.diagnostics;
  const exitCode = exitCodeOf(problems);
  const schema = `lpuc.${session.command}/1`;
  if (isSet(session, "json")) {
    if (!result.ok) printJson({ schema: "lpuc.error/1", command: session.command, exitCode, diagnostics: problems });
    else if (result.value.document === undefined) {
      printJson({ schema, ...result.value.json, ...(problems.length === 0 ? {} : { problems }) });
    } else for (const piece of result.value.document) writeStdout(piece);
  } else if (result.ok && (!isSet(session, "quiet") || typeof result.value.text !== "string")) {
    const { text } = result.value;
    for (const piece of typeof text === "string" ? [text] : text) writeStdout(piece);
  }
  if (problems.length > 0) writeStderr(renderDiagnostics(problems, { color: session.color }));
  return exitCode;
}

const printJson = (document: unknown): void => writeStdout(`${JSON.stringify(document)}\n`);

async function runRow(row: CommandRow, operands: readonly string[], given: Given): Promise<number> {
  const session: Session = { command: row.name, operands, given, color: wantsColor(given), times: [] };
  const problems = judgeOptions(given);
  if (problems.length > 0) return finish(session, { ok: false, diagnostics: problems });
  try {
    return finish(session, await row.run(session));
  } catch (error) {
    return finish(session, fail(bug(error, isSet(session, "debug"))));
  }
}

/** Whatever is thrown is a mistake of lpuc. */
function bug(error: unknown, debug: boolean): Diagnostic {
  const message = error instanceof Error ? error.message : String(error);
  const kind =
    error instanceof InvariantError ? "broken invariant" : error instanceof Error ? error.name : "thrown value";
  const stack = debug && error instanceof Error && error.stack !== undefined ? [error.stack] : undefined;
  const help = debug
    ? "report this with the command and, if you can, the model: see the repository's issue tracker"
    : "run the command again with --debug and report the stack with the command and, if you can, the model";
  return diagnostic("LPU9001", `${kind}: ${message}`, { notes: stack, help });
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
  if (laterCommands.includes(name)) return diagnostic("LPU0003", `lpuc ${name} is not implemented in this version`);
  const help = didYouMean(
    name,
    commandRows.map((row) => row.name),
  );
  return diagnostic("LPU0001", `there is no command '${name}'`, { help });
}

function addCommand(program: Command, row: CommandRow, done: (exitCode: number) => void): void {
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
    done(await runRow(row, command.args, givenOptions(names, command.opts())));
  });
}

export async function main(words: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("lpuc")
    .description(
      "Ahead-of-time dataflow compiler: an ONNX transformer in, a verified program for many SRAM-only chips out.",
    )
    .version(version, "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: writeStdout, writeErr: () => undefined });
  for (const row of commandRows)
    addCommand(program, row, (code) => {
      exitCode = code;
    });
  const [first] = words;
  try {
    if (first === undefined) {
      writeStderr(program.helpInformation());
      return 2;
    }
    if (!first.startsWith("-") && first !== "help" && !commandRows.some((row) => row.name === first)) {
      return refuse(words, unknownCommand(first));
    }
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : refuse(words, usageProblem(error));
  }
}

/** Options were not understood, so these are looked for by name. */
function refuse(words: readonly string[], problem: Diagnostic): number {
  const exitCode = exitCodeOf([problem]);
  if (words.includes("--json"))
    printJson({ schema: "lpuc.error/1", command: words[0] ?? "", exitCode, diagnostics: [problem] });
  writeStderr(renderDiagnostics([problem], { color: wantsColor(new Map()) }));
  return exitCode;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  writeStderr(renderDiagnostics([bug(error, process.argv.includes("--debug"))], { color: false }));
  return 70;
});
