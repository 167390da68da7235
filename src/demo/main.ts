// `npm run demo`: answers 123+456=, or the prompt given: `npm run demo -- 017+985=`.
import { exitCodeOf } from "../../ir/diag/codes.ts";
import { writeStderr, writeStdout } from "../io.ts";
import { renderDiagnostics } from "../render.ts";
import { demo } from "./answer.ts";

const problems = demo(process.argv[2] ?? "123+456=", writeStdout);
if (problems.length > 0) writeStderr(renderDiagnostics(problems, { color: false }));
process.exitCode = exitCodeOf(problems);
