// `lpuc completion SHELL`: what a shell needs to complete commands, options and their values; made from the tables of commands and options.

import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { everywhere, type OptionName, type OptionRow, optionRows } from "./options.ts";
import { type Outcome, operand, type Session } from "./session.ts";

/** What completion has to know of a command. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionName[];
}

const rowsOf = ({ options }: CompletedCommand): readonly OptionRow[] =>
  [...options, ...everywhere].map((name) => optionRows[name]);

/** `-o, --output <file>` -> `-o`, `--output`. */
const flagsOf = ({ flags }: OptionRow): readonly string[] => flags.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [];
const takesValue = ({ flags }: OptionRow): boolean => flags.includes("<");

/** The words that an option takes. */
const valuesOf = ({ values = [] }: OptionRow): readonly string[] => values;

/** In single quotes, as all three shells read it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(commands: readonly CompletedCommand[]): string {
  const cases = commands.map((command) => {
    const rows = rowsOf(command);
    const values = rows.filter(takesValue).map((row) => {
      const words = valuesOf(row);
      const reply = words.length === 0 ? 'compgen -f -- "$word"' : `compgen -W ${quoted(words.join(" "))} -- "$word"`;
      return `        ${flagsOf(row).join("|")}) COMPREPLY=($(${reply})); return ;;`;
    });
    return [
      `    ${command.name})`,
      '      case "$before" in',
      ...values,
      "      esac",
      `      options=${quoted(rows.flatMap(flagsOf).join(" "))} ;;`,
    ].join("\n");
  });
  return `# bash completion for lpuc; put into your profile: eval "$(lpuc completion bash)"
_lpuc() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" options=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(" "))} -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _lpuc lpuc
`;
}

function zsh(commands: readonly CompletedCommand[]): string {
  // In a specification of _arguments these characters end a part.
  const plain = (text: string): string => text.replaceAll(/[[\]:\\]/g, "\\$&");
  const specs = (row: OptionRow): readonly string[] =>
    flagsOf(row).map((flag) => {
      const words = valuesOf(row);
      const action = words.length === 0 ? "_files" : `(${words.join(" ")})`;
      return quoted(
        `${row.isRepeatable === true ? "*" : ""}${flag}[${plain(row.summary)}]${takesValue(row) ? `:value:${action}` : ""}`,
      );
    });
  const cases = commands.map((command) => {
    const lines = rowsOf(command).flatMap(specs);
    return `    ${command.name}) _arguments ${[...lines, quoted("*:file:_files")].join(" \\\n      ")} ;;`;
  });
  return `#compdef lpuc
# zsh completion for lpuc; put into your profile, behind compinit: eval "$(lpuc completion zsh)"
_lpuc() {
  local -a commands=(${commands.map(({ name, summary }) => `\n    ${quoted(`${name}:${summary}`)}`).join("")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
compdef _lpuc lpuc
`;
}

function fish(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => [
    `complete -c lpuc -n __fish_use_subcommand -f -a ${command.name} -d ${quoted(command.summary)}`,
    ...rowsOf(command).map((row) => {
      const flags = flagsOf(row).map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
      const words = valuesOf(row);
      const value = !takesValue(row) ? "" : words.length === 0 ? " -r -F" : ` -x -a ${quoted(words.join(" "))}`;
      const when = quoted(`__fish_seen_subcommand_from ${command.name}`);
      return `complete -c lpuc -n ${when} ${flags.join(" ")}${value} -d ${quoted(row.summary)}`;
    }),
  ]);
  return `# fish completion for lpuc; put into config.fish: lpuc completion fish | source\n${lines.join("\n")}\n`;
}

export const shells: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = { bash, zsh, fish };

export function completionCommand(session: Session, commands: readonly CompletedCommand[]): Result<Outcome> {
  const shell = operand(session, 0);
  const names = Object.keys(shells);
  const script = Object.hasOwn(shells, shell) ? shells[shell]?.(commands) : undefined;
  if (script === undefined) {
    const help = didYouMean(shell, names);
    return fail(diagnostic("LPU0002", `'${shell}' is none of ${names.join(", ")}`, { help }));
  }
  return ok({ json: { shell, script }, text: script });
}
