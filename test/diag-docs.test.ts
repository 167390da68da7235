// Generated pages in docs/ are what the tables say today.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { diagnosticCodes } from "../ir/diag/codes.ts";
import { aluOps, isa } from "../ir/machine/isa.ts";
import { diagnosticsPage } from "../src/docs/diagnostics-page.ts";
import { isaPage } from "../src/docs/isa-page.ts";
import { generatedPages } from "../src/docs/pages.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

test.each(generatedPages)("$file is up to date (npm run docs)", ({ file, text }) => {
  expect(readFileSync(join(root, file), "utf8")).toBe(text());
});

test("every diagnostic code, instruction and vector operation is documented", () => {
  const codes = diagnosticsPage();
  expect(Object.keys(diagnosticCodes).filter((code) => !codes.includes(`### ${code}: `))).toEqual([]);
  const instructions = isaPage();
  expect(Object.keys(isa).filter((name) => !instructions.includes(`### ${name}\n`))).toEqual([]);
  expect(Object.keys(aluOps).filter((name) => !instructions.includes(`| \`${name}\` |`))).toEqual([]);
});
