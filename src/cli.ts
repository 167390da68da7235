#!/usr/bin/env node
// The program `lpuc`: the command line on this process's own streams.
import { exitCodeOf } from "../ir/diag/codes.ts";
import { bugDiagnostic } from "./commands/bug.ts";
import { main } from "./commands/main.ts";
import { stderrIsTerminal, writeStderr, writeStdout } from "./io.ts";
import { renderDiagnostics } from "./render.ts";

const isTerminal = stderrIsTerminal();
const streams = {
  writeOut: writeStdout,
  writeErr: writeStderr,
  isTerminal,
  allowsColor: isTerminal && (process.env.NO_COLOR ?? "") === "",
};

process.exitCode = await main(process.argv.slice(2), streams).catch((error: unknown) => {
  const problem = bugDiagnostic(error, process.argv.includes("--debug"));
  writeStderr(renderDiagnostics([problem], { color: false }));
  return exitCodeOf([problem]);
});
