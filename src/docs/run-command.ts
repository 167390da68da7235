// Runs a command of the README in this process and in the current directory (the project's own), both of its streams in one text.
import { main } from "../commands/main.ts";
import { demo } from "../demo/answer.ts";
import { renderDiagnostics } from "../render.ts";

/** The output of `npm ci && npm run demo` and of `npx lpuc ...`; undefined for others. */
export async function runReadmeCommand(command: string): Promise<string | undefined> {
  const parts: string[] = [];
  const write = (text: string): void => {
    parts.push(text);
  };
  const own = command.replace(/^npm ci && /, "");
  if (own === "npm run demo") {
    const problems = demo("models", "123+456=", write);
    if (problems.length > 0) write(renderDiagnostics(problems, { color: false }));
    return parts.join("");
  }
  const words = (own.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/, "$1"));
  if (words[0] !== "npx" || words[1] !== "lpuc") return undefined;
  await main(words.slice(2), { writeOut: write, writeErr: write, isTerminal: false, allowsColor: false });
  return parts.join("");
}
