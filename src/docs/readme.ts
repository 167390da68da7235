// The README's transcripts: blocks marked `console` hold commands after `$ ` and what they print. They can be run again and written anew.
// Knows text and a way to run a command, nothing else.

export interface Transcript {
  readonly command: string;
  /** Lines as printed; one line `...` stands for those left out. */
  readonly shown: readonly string[];
}

const fence = /^```console\n([\s\S]*?)^```$/gm;

/** The commands of one block with what the README shows of their output. */
function transcripts(block: string): readonly Transcript[] {
  const found: { command: string; shown: string[] }[] = [];
  for (const line of block.replace(/\n$/, "").split("\n")) {
    if (line.startsWith("$ ")) found.push({ command: line.slice(2), shown: [] });
    else found.at(-1)?.shown.push(line);
  }
  return found;
}

/** As many lines of `output` as were shown, left out where they were left out. */
function cut(output: string, shown: readonly string[]): readonly string[] {
  const lines = output.replace(/\n$/, "").split("\n");
  const gap = shown.indexOf("...");
  if (gap < 0) return lines;
  const after = shown.length - gap - 1;
  return [...lines.slice(0, gap), "...", ...(after === 0 ? [] : lines.slice(-after))];
}

/** All commands of a README in order. */
export function readmeCommands(readme: string): readonly string[] {
  return [...readme.matchAll(fence)].flatMap(([, block]) => transcripts(block ?? "").map(({ command }) => command));
}

/** The README with the output of its commands as it is today. `run` gives undefined for commands it leaves alone. */
export async function refreshedReadme(
  readme: string,
  run: (command: string) => Promise<string | undefined>,
): Promise<string> {
  const parts: string[] = [];
  let at = 0;
  for (const match of readme.matchAll(fence)) {
    const lines: string[] = [];
    for (const { command, shown } of transcripts(match[1] ?? "")) {
      const output = await run(command);
      lines.push(`$ ${command}`, ...(output === undefined ? shown : cut(output, shown)));
    }
    parts.push(readme.slice(at, match.index), `\`\`\`console\n${lines.join("\n")}\n\`\`\``);
    at = match.index + match[0].length;
  }
  return [...parts, readme.slice(at)].join("");
}
