// `npm run docs`: writes the generated pages into docs/ of the current directory, and the output of the README's commands anew.

import { exitCodeOf } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import { readFileBytes, writeFileAtomic, writeStderr } from "../io.ts";
import { renderDiagnostics } from "../render.ts";
import { generatedPages } from "./pages.ts";
import { refreshedReadme } from "./readme.ts";
import { runReadmeCommand } from "./run-command.ts";

const problems: Diagnostic[] = [];

function save(file: string, text: string): void {
  const written = writeFileAtomic(file, [new TextEncoder().encode(text)]);
  if (!written.ok) problems.push(...written.diagnostics);
}

for (const { file, text } of generatedPages) save(file, text());
const readme = readFileBytes("README.md");
if (readme.ok) save("README.md", await refreshedReadme(new TextDecoder().decode(readme.value), runReadmeCommand));
else problems.push(...readme.diagnostics);
writeStderr(renderDiagnostics(problems, { color: false }));
process.exitCode = exitCodeOf(problems);
