// `npm run docs`: writes the generated pages into docs/ of the current directory.

import { writeFileAtomic, writeStderr } from "../io.ts";
import { renderDiagnostics } from "../render.ts";
import { generatedPages } from "./pages.ts";

for (const { file, text } of generatedPages) {
  const written = writeFileAtomic(file, [new TextEncoder().encode(text())]);
  if (!written.ok) {
    writeStderr(renderDiagnostics(written.diagnostics, { color: false }));
    process.exitCode = 7;
  }
}
