// `npm run demo`: answers 123+456=, or the prompt given: `npm run demo -- 017+985=`.
import { fileURLToPath } from "node:url";
import { exitCodeOf } from "../../ir/diag/codes.ts";
import { writeStderr, writeStdout } from "../io.ts";
import { renderDiagnostics } from "../render.ts";
import { demo } from "./answer.ts";

// This file is dist/src/demo/main.js, of a checkout or of the installed package.
const models = fileURLToPath(new URL("../../../models", import.meta.url));
const problems = demo(models, process.argv[2] ?? "123+456=", writeStdout);
if (problems.length > 0) writeStderr(renderDiagnostics(problems, { color: false }));
process.exitCode = exitCodeOf(problems);
