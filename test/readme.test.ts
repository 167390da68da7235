// The README's commands do what the README shows: its transcripts are run again and compared, numbers and names of kernels aside (these move
// with every improvement of the compiler; `npm run docs` writes them anew).
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readmeCommands, refreshedReadme } from "../src/docs/readme.ts";
import { runReadmeCommand } from "../src/docs/run-command.ts";
import { root } from "./cli-runner.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

afterAll(() => rmSync(join(root, "adder.lpu"), { force: true }));

/** What must stay: words, order of lines, passes and failures; not numbers, units and widths. */
function masked(text: string): readonly string[] {
  return text.split("\n").map((line) => {
    if (/^ +\d+: [A-Z]/.test(line)) return "an instruction";
    if (/^ +[\d,]+ +[\d,]+ +\d+ /.test(line)) return "a row of numbers";
    if (line.startsWith("made of ")) return "terms";
    return line
      .replace(/\b[0-9a-f]{64}\b/g, "HASH")
      .replace(/-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?( ([KMG]i)?B\b| [mnu]?s\b)?/g, "N")
      .replace(/ by (mxm|mem|link|dependency)/, " by RESOURCE")
      .replace(/\s+/g, " ");
  });
}

describe("the README", () => {
  test("shows what its commands print", async () => {
    const done: string[] = [];
    const refreshed = await refreshedReadme(readme, async (command) => {
      const output = await runReadmeCommand(command);
      expect(output, `${command} is not run`).toBeDefined();
      done.push(command);
      if (command.endsWith("npm run demo")) expect(output?.trimEnd().endsWith("123+456=0579")).toBe(true);
      return output;
    });
    expect(done).toEqual(readmeCommands(readme));
    expect(done.length).toBeGreaterThan(8);
    expect(masked(refreshed)).toEqual(masked(readme));
  });

  test("names scripts and files that exist", () => {
    for (const [, script] of readme.matchAll(/npm run (\w+)/g)) expect(manifest.scripts).toHaveProperty(script ?? "");
    expect(readme).toContain("npm ci && npm test");
    for (const [, file] of readme.matchAll(/\]\(((?:docs|src)\/[\w./-]+)\)/g))
      expect([file, existsSync(join(root, file ?? ""))]).toEqual([file, true]);
  });
});

describe("transcripts", () => {
  const text = "a\n```console\n$ one\nold\n$ two\n1\n...\n3\n```\nb\n```sh\n$ three\n```\n";
  test("are written anew, shortened where they were, and other text is left alone", async () => {
    expect(readmeCommands(text)).toEqual(["one", "two"]);
    const run = async (command: string) => (command === "one" ? "new\nlines\n" : "p\nq\nr\ns\n");
    expect(await refreshedReadme(text, run)).toBe(
      "a\n```console\n$ one\nnew\nlines\n$ two\np\n...\ns\n```\nb\n```sh\n$ three\n```\n",
    );
    expect(await refreshedReadme(text, async () => undefined)).toBe(text);
  });
});
