// Program files made to do harm: checksums right, contents wrong. Each is refused with a diagnostic, in little time and memory.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readerOver, type SectionName, sectionNames } from "../backends/encode/container.ts";
import { decodeProgram } from "../backends/encode/decode.ts";
import { encodedBytes } from "../backends/encode/encode.ts";
import { openedSections, sealed } from "../fuzz/sealed-program.ts";
import type { Program } from "../ir/machine/program.ts";
import { programs, withImageBytes } from "./encode-programs.ts";

const samples = fc.sample(programs, { seed: 11, numRuns: 6 });
const program = samples[5] as Program;

function codesWith(name: SectionName, bytes: Uint8Array | readonly number[]): readonly string[] {
  const contents = openedSections(encodedBytes(program));
  contents.set(name, Uint8Array.from(bytes));
  const result = decodeProgram(readerOver(sealed(contents)));
  return result.ok ? [] : result.diagnostics.map((d) => d.code);
}

const hugeCount = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];

describe("hostile programs", () => {
  test("resealing alone changes nothing", () => {
    const bytes = encodedBytes(program);
    expect(sealed(openedSections(bytes))).toEqual(Buffer.from(bytes));
  });

  test.each(sectionNames.filter((name) => name !== "image data" && name !== "target"))(
    "section '%s' cannot announce more than it holds",
    (name) => {
      const before = process.memoryUsage().heapUsed;
      expect(codesWith(name, hugeCount)).toContain("LPU5005");
      expect(codesWith(name, [])).toContain("LPU5005");
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(64e6);
    },
  );

  test("a target section that is no target is refused", () => {
    const text = (json: string): Uint8Array => Buffer.from(json);
    expect(codesWith("target", text("not json"))).toEqual(["LPU5005"]);
    expect(codesWith("target", text('{"numbers":{},"sources":{}}')).every((code) => code === "LPU5005")).toBe(true);
    expect(codesWith("target", text("[".repeat(200_000)))).toEqual(["LPU5005"]);
    expect(codesWith("target", text(`{"numbers":${"[".repeat(100_000)}${"]".repeat(100_000)},"sources":{}}`))).toEqual([
      "LPU5005",
    ]);
    const target = Buffer.from(openedSections(encodedBytes(program)).get("target") ?? []).toString();
    expect(codesWith("target", text(` ${target}`))).toEqual(["LPU5005"]);
    expect(codesWith("target", text(target.replace('"lanes":32', '"lanes":33')))).toContain("LPU5005");
  });

  test("images beyond the data, or beyond memory, are refused", () => {
    const contents = openedSections(encodedBytes(program));
    contents.set(
      "image table",
      Uint8Array.from([program.chips.length, 1, 0, 0, 32, ...program.chips.slice(1).map(() => 0)]),
    );
    const dataOf = (length: number): readonly string[] => {
      contents.set("image data", new Uint8Array(length));
      const result = decodeProgram(readerOver(sealed(contents)));
      return result.ok ? [] : result.diagnostics.map((d) => d.message);
    };
    expect(dataOf(32)).toEqual([]);
    expect(dataOf(31).join()).toMatch(/image/);
    expect(dataOf(33).join()).toMatch(/belong to no image/);
    contents.set(
      "image table",
      Uint8Array.from([program.chips.length, 1, 200, 1, 0, 32, ...program.chips.slice(1).map(() => 0)]),
    );
    expect(dataOf(32).join()).toMatch(/outside memory/);
  });

  test("random changes under right checksums end in a program or a diagnostic, and a program encodes to the same bytes", () => {
    const names = sectionNames.filter((name) => name !== "target" && name !== "image data");
    const change = fc.record({
      which: fc.nat({ max: samples.length - 1 }),
      name: fc.constantFrom(...names),
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      kind: fc.constantFrom("set" as const, "insert" as const, "remove" as const),
      byte: fc.nat({ max: 255 }),
    });
    let refused = 0;
    fc.assert(
      fc.property(change, ({ which, name, at, kind, byte }) => {
        const contents = openedSections(encodedBytes(samples[which] as Program));
        const bytes = [...(contents.get(name) ?? [])];
        bytes.splice(Math.floor(at * bytes.length), kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
        contents.set(name, Uint8Array.from(bytes));
        const file = sealed(contents);
        const result = decodeProgram(readerOver(file));
        if (result.ok) {
          expect(Buffer.from(encodedBytes(result.value))).toEqual(file);
          expect(withImageBytes(result.value)).toBeDefined();
        } else {
          refused++;
          expect(result.diagnostics.every((d) => d.code === "LPU5005")).toBe(true);
        }
      }),
      { numRuns: 800 },
    );
    expect(refused).toBeGreaterThan(250);
  });
});
