// Runs the command line: in this process where only what it says matters, or built and as a process of its own, as a user would.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../src/commands/main.ts";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const cli = join(root, "dist", "src", "cli.js");

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `lpuc WORDS...` as a process of its own, in the project's folder. `npm test` builds first. */
export function lpucProcess(...words: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [cli, ...words], { cwd: root, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr });
      else if (typeof error.code === "number") resolve({ status: error.code, stdout, stderr });
      else reject(error);
    });
  });
}

/** `lpuc WORDS...` in this process: the same command line, its streams caught. */
export async function lpuc(...words: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const streams = {
    writeOut: (text: string) => out.push(text),
    writeErr: (text: string) => err.push(text),
    isTerminal: false,
    allowsColor: false,
  };
  const status = await main(words, streams);
  return { status, stdout: out.join(""), stderr: err.join("") };
}

/** A folder of its own, and what removes it. */
export function scratchFolder(): { readonly path: (name: string) => string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "lpuc-cli-"));
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
