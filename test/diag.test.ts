// Diagnostics: the table is complete, suggestions are sensible, the rendering is what people see.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diagnostic, diagnosticCodes, exitCodeOf, isDiagnosticCode } from "../ir/diag/codes.ts";
import { didYouMean, editDistance, nearest } from "../ir/diag/suggest.ts";
import { explainCode, renderDiagnostic, renderDiagnostics } from "../src/render.ts";

const plain = { color: false };

describe("codes", () => {
  test.each(Object.entries(diagnosticCodes))("%s is well formed", (code, row) => {
    expect(code).toMatch(/^LPU[0-69]\d{3}$/);
    expect(row.title).toMatch(/^\S.*[^.]$/);
    expect(row.explain).toMatch(/[.?]$/);
    expect(explainCode(code)).toContain(row.explain);
  });

  test("no two codes have the same title", () => {
    const titles = Object.values(diagnosticCodes).map((row) => row.title);
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
  });

  test("exit codes follow the first diagnostic", () => {
    expect(exitCodeOf([])).toBe(0);
    expect(exitCodeOf([diagnostic("LPU5004", "x"), diagnostic("LPU3001", "y")])).toBe(1);
    expect(exitCodeOf([{ code: "LPU7777", message: "no such code" }])).toBe(70);
    expect(isDiagnosticCode("toString")).toBe(false);
    expect(explainCode("LPU7777")).toBeUndefined();
  });
});

describe("suggestions", () => {
  test("edit distance counts edits, swaps as one, case as none", () => {
    expect(editDistance("chain", "chain")).toBe(0);
    expect(editDistance("chian", "chain")).toBe(1);
    expect(editDistance("Chain", "chains")).toBe(1);
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("kitten", "sitting")).toBe(3);
  });

  test("edit distance is symmetric and never more than the longer word", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(editDistance(b, a)).toBe(distance);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance === 0).toBe(a.toLowerCase() === b.toLowerCase());
      }),
    );
  });

  test("only near words are suggested, else all of a few", () => {
    const names = ["lpu-nvlink", "groqchip1", "lp30"];
    expect(nearest("groqchip", names)).toBe("groqchip1");
    expect(nearest("tpu-v5", names)).toBeUndefined();
    expect(didYouMean("lpu-nvlnk", names)).toBe("did you mean 'lpu-nvlink'?");
    expect(didYouMean("tpu-v5", names)).toBe("known: lpu-nvlink, groqchip1, lp30");
    expect(didYouMean("x", [])).toBeUndefined();
  });
});

describe("rendering", () => {
  const full = diagnostic("LPU3010", "all-to-all joins at most 19 chips, not 20", {
    location: { kind: "option", option: "--topology" },
    notes: ["18 ports a chip", "two\nlines"],
    help: "take --topology chain",
  });

  test("a diagnostic has its code, place, notes and help", () => {
    expect(renderDiagnostic(full, plain)).toBe(
      [
        "error[LPU3010]: all-to-all joins at most 19 chips, not 20",
        "  --> option --topology",
        "  note: 18 ports a chip",
        "  note: two",
        "        lines",
        "  help: take --topology chain",
      ].join("\n"),
    );
  });

  test("colour adds escapes and nothing else", () => {
    const coloured = renderDiagnostic(full, { color: true });
    expect(coloured).not.toBe(renderDiagnostic(full, plain));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes are what is taken out
    expect(coloured.replace(/\u001b\[[0-9;]*m/g, "")).toBe(renderDiagnostic(full, plain));
  });

  test("control characters of hostile names are shown, not sent to the terminal", () => {
    const hostile = diagnostic("LPU3001", "no target '\u001b[2J\u0007'", {
      location: { kind: "tensor", name: "a\rb" },
    });
    const text = renderDiagnostic(hostile, plain);
    expect(text).toContain("\\x1b[2J\\x07");
    expect(text).toContain("a\\x0db");
  });

  test.each([
    [{ kind: "node", name: "n", index: 4, opType: "Gather" } as const, "node 4 'n' (Gather)"],
    [{ kind: "tensor", name: "t" } as const, "tensor 't'"],
    [{ kind: "file", path: "a.lpu" } as const, "a.lpu"],
    [{ kind: "file", path: "", line: 3 } as const, "input:3"],
    [{ kind: "file", path: "a.lpu", offset: 17 } as const, "a.lpu, byte 17"],
    [{ kind: "instruction", chip: 1, unit: "MEM.W3.R", cycle: 9 } as const, "chip 1, unit MEM.W3.R, cycle 9"],
  ])("places: %o", (location, text) => {
    expect(renderDiagnostic(diagnostic("LPU5005", "m", { location }), plain)).toBe(`error[LPU5005]: m\n  --> ${text}`);
  });

  test("several are counted", () => {
    expect(renderDiagnostics([full, full], plain)).toMatch(/\n2 errors; `lpuc explain CODE` tells more about each\n$/);
    expect(renderDiagnostics([full], plain)).toBe(`${renderDiagnostic(full, plain)}\n`);
  });
});
