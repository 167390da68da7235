// The text form of programs: assembling what was disassembled gives the file back to the byte; mistakes are reported with their lines.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { base64, base64Bytes } from "../backends/encode/base64.ts";
import { readerOver } from "../backends/encode/container.ts";
import { decodeProgram } from "../backends/encode/decode.ts";
import { encodedBytes } from "../backends/encode/encode.ts";
import { parseInstruction, parseUnit, printInstruction } from "../backends/encode/text-instruction.ts";
import { parseProgramLines, parseProgramText } from "../backends/encode/text-parse.ts";
import { type ListingFilter, listingLines, programLines } from "../backends/encode/text-print.ts";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import type { Instruction } from "../ir/machine/isa.ts";
import { type Program, type Unit, unitName } from "../ir/machine/program.ts";
import { programs, withImageBytes } from "./encode-programs.ts";

function problemsOf(text: string): readonly Diagnostic[] {
  const parsed = parseProgramText(text);
  return parsed.ok ? [] : parsed.diagnostics;
}

const shown = (problems: readonly Diagnostic[]): readonly string[] =>
  problems.map(
    ({ code, message, location }) => `${code} ${location?.kind === "file" ? location.line : "-"} ${message}`,
  );

const read: Instruction = {
  op: "read",
  cycle: 1204,
  count: 128,
  period: 1,
  note: 5,
  symbol: 3,
  address: 17,
  stride: 1,
  stream: 4,
  direction: "E",
};
const slice: Unit = { kind: "memRead", hemisphere: "W", slice: 12 };

describe("instruction lines", () => {
  test.each<[Unit, Instruction, string]>([
    [slice, read, "1204: MEM.W12.R read address=17 stride=1 stream=E4 x128/1 ; @3 #5"],
    [
      { kind: "vxmAlu", alu: 5 },
      {
        op: "alu",
        cycle: 0,
        count: 1,
        period: 1,
        note: -1,
        symbol: -1,
        operation: "add",
        reset: 0,
        a: { kind: "stream", stream: 8, direction: "W", type: "f16", delay: 2 },
        b: { kind: "immediate", bits: 0x3f800000 },
        c: { kind: "none" },
        output: { kind: "stream", stream: 0, direction: "E", type: "f32" },
      },
      "0: VXM.A5 alu operation=add a=W8:f16@2 b=#3f800000 c=- reset=0 output=E0:f32 ; @- #-",
    ],
    [
      { kind: "sxm", hemisphere: "E", index: 1 },
      {
        op: "permute",
        cycle: 9,
        count: 4,
        period: 2,
        note: 0,
        symbol: -1,
        stream: 4,
        direction: "W",
        bytes: 4,
        map: 2,
        mapStride: -1,
        outStream: 8,
        outDirection: "E",
      },
      "9: SXM.E1 permute stream=W4 bytes=4 map=2 mapStride=-1 outStream=E8 x4/2 ; @- #0",
    ],
  ])("print and parse", (unit, instruction, line) => {
    expect(printInstruction(unit, instruction, "")).toBe(line);
    expect(parseInstruction(`${line} some remark`)).toEqual({ unit, instruction });
  });

  test.each([
    ["1204: MEM.W12.R read address=17 stride=1 stream=E4 x1/1 ; @3 #5", "'x1/1' is not a repeat such as x128/1"],
    [
      "1204: MEM.W12.R read address=-7 stride=1 stream=E4 ; @3 #5",
      "address must be a whole number, not negative, is '-7'",
    ],
    ["1204: MEM.W12.R read address=7 stride=1 stream=4 ; @3 #5", "stream must be a stream such as E4, is '4'"],
    ["1204: MEM.W12.R read address=7 stream=E4 ; @3 #5", "read lacks the field 'stride'"],
    ["1204: MEM.W12.R read address=7 stride=1 stride=1 stream=E4 ; @3 #5", "field stride stands twice"],
    ["1204: MEM.W12.W read address=7 stride=1 stream=E4 ; @3 #5", "read is not an instruction of MEM.W12.W"],
    ["1204 MEM.W12.R read address=7 stride=1 stream=E4 ; @3 #5", "expected a cycle such as '1204:', found '1204'"],
    ["1204: MEM.W12.R read address=7 stride=1 stream=E4", "expected symbol and note such as '; @3 #5'"],
    ["1204: MEM.W012.R read address=7 stride=1 stream=E4 ; @3 #5", "there is no unit 'MEM.W012.R'"],
    ["1204: MEM.W1.R raed address=7 stride=1 stream=E4 ; @3 #5", "there is no instruction 'raed'"],
    ["1204: MEM.W1.R read adress=7 stride=1 stream=E4 ; @3 #5", "read has no field 'adress'"],
  ])("%s is refused", (line, message) => {
    expect(parseInstruction(line)).toMatchObject({ message });
  });

  test("unit names come back", () => {
    for (const name of [
      "MEM.W0.R",
      "MEM.E43.W",
      "VXM.A15",
      "SXM.W3",
      "MXM2.L",
      "MXM0.A",
      "MXM3.C",
      "LINK17.S",
      "LINK0.R",
      "CTL",
    ]) {
      const unit = parseUnit(name);
      expect(unit === undefined ? undefined : unitName(unit)).toBe(name);
    }
    for (const name of ["MEM.X0.R", "MEM.W.R", "MXM2", "VXM.5", "CTL0", "LINK01.S", ""])
      expect(parseUnit(name)).toBeUndefined();
  });
});

describe("base64", () => {
  test("agrees with the platform's, and takes nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = base64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("base64"));
        expect(base64Bytes(text)).toEqual(bytes);
      }),
    );
    for (const text of ["A", "AB==", "A===", "AA=A", "é===", "AAA ", "AAB="]) expect(base64Bytes(text)).toBeUndefined();
  });
});

describe("program text", () => {
  test("asm(disasm(p)) is p, to the byte, also through a file", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const parsed = parseProgramText([...programLines(program)].join("\n"));
        if (!parsed.ok) throw new Error(shown(parsed.diagnostics).join("; "));
        const bytes = encodedBytes(program);
        expect(withImageBytes(parsed.value)).toEqual(withImageBytes(program));
        expect(encodedBytes(parsed.value)).toEqual(bytes);
        const decoded = decodeProgram(readerOver(bytes));
        expect(decoded.ok && [...programLines(decoded.value)]).toEqual([...programLines(program)]);
      }),
      { numRuns: 60 },
    );
  });

  test("damaged text ends in diagnostics or in a program, never in an exception", () => {
    const sample = fc.sample(programs, { seed: 3, numRuns: 3 });
    const change = fc.record({
      which: fc.nat({ max: 2 }),
      at: fc.double({ min: 0, max: 0.9999, noNaN: true }),
      remove: fc.nat({ max: 4 }),
      insert: fc.oneof(
        fc.string({ maxLength: 4 }),
        fc.constantFrom("\n", "[", "{", "}", '"', "-", "9", "null", "e999"),
      ),
    });
    let refused = 0;
    const texts = sample.map((program) => {
      const lines = [...programLines(program)];
      // The long target line would take most of the changes.
      return { head: lines.slice(0, 2).join("\n"), tail: lines.slice(2).join("\n") };
    });
    fc.assert(
      fc.property(change, ({ which, at, remove, insert }) => {
        const { head, tail } = texts[which] ?? { head: "", tail: "" };
        const place = Math.floor(at * tail.length);
        const text = `${head}\n${tail.slice(0, place)}${insert}${tail.slice(place + remove)}`;
        const parsed = parseProgramText(text);
        if (parsed.ok) {
          const bytes = encodedBytes(parsed.value);
          expect(decodeProgram(readerOver(bytes)).ok).toBe(true);
        } else {
          refused++;
          expect(parsed.diagnostics.every(({ code }) => /^LPU50(05|10|11|12)$/.test(code))).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  test("mistakes name their lines, all at once", () => {
    const lines = [...programLines(fc.sample(programs, { seed: 5, numRuns: 1 })[0] as Program)];
    const text = [
      ...lines.slice(0, 3),
      "lnk {}",
      'link {"from":0}',
      "; a remark",
      "chip 7",
      "  4: MEM.W0.R raed ; @- #-",
      "  map [1,2,]",
    ].join("\n");
    const problems = problemsOf(text);
    expect(shown(problems)).toEqual(
      expect.arrayContaining([
        "LPU5011 4 there is no line 'lnk'",
        "LPU5010 5 link lacks the field 'fromPort'",
        "LPU5010 7 expected 'chip 0', found 'chip 7'",
        "LPU5011 8 there is no instruction 'raed'",
        "LPU5010 9 a lane map must be a list of lanes, -1 for zero",
      ]),
    );
    expect(problems.find(({ message }) => message.includes("lnk"))?.help).toBe("did you mean 'link'?");
  });

  test("what is missing or stands twice is said", () => {
    expect(shown(problemsOf("hello"))).toEqual(["LPU5010 1 expected 'lpasm 2', found 'hello'"]);
    expect(shown(problemsOf("lpasm 2")).map((line) => line.slice(0, 7))).toEqual(["LPU5012", "LPU5012", "LPU5012"]);
    const lines = [...programLines(fc.sample(programs, { seed: 5, numRuns: 1 })[0] as Program)];
    expect(shown(problemsOf(lines.slice(0, -1).join("\n")))[0]).toMatch(/^LPU5012 .*'end' is missing/);
    expect(shown(problemsOf([...lines, "chip 9"].join("\n")))[0]).toMatch(/^LPU5010 .*after 'end'/);
    const [first = "", target = ""] = lines;
    expect(shown(problemsOf([first, target, ...lines.slice(1)].join("\n")))[0]).toBe(
      "LPU5012 3 the target line stands twice",
    );
  });

  test("reading stops early in endless nonsense", () => {
    let asked = 0;
    function* nonsense(): Generator<string> {
      yield "lpasm 2";
      for (; asked < 1e6; asked++) yield "nonsense";
    }
    expect(parseProgramLines(nonsense()).ok).toBe(false);
    expect(asked).toBeLessThan(100);
  });
});

describe("listing", () => {
  const instructions: readonly Instruction[] = [read, { ...read, cycle: 2000, count: 3, period: 10 }];
  const base = fc.sample(programs, { seed: 5, numRuns: 1 })[0] as Program;
  const program: Program = {
    ...base,
    chips: [
      {
        queues: [
          { unit: slice, instructions },
          { unit: { ...slice, slice: 1 }, instructions },
        ],
        images: [],
        laneMaps: [],
        textBytes: 0,
      },
      { queues: [{ unit: { kind: "control" }, instructions: [] }], images: [], laneMaps: [], textBytes: 0 },
    ],
  };
  const listed = (filter: ListingFilter): readonly string[] =>
    [...listingLines(program, filter)].map((line) => line.replace(/ read.*/, ""));

  test.each<[ListingFilter, readonly string[]]>([
    [{ chip: 1 }, ["chip 1"]],
    [{ chip: 0, unit: "MEM.W1" }, ["chip 0", "  1204: MEM.W1.R", "  2000: MEM.W1.R"]],
    [{ chip: 0, unit: "VXM" }, ["chip 0"]],
    [{ chip: 0, unit: "MEM.W12.R", cycles: { from: 1331, to: 1332 } }, ["chip 0", "  1204: MEM.W12.R"]],
    [{ chip: 0, unit: "MEM.W12.R", cycles: { from: 1332, to: 2000 } }, ["chip 0"]],
    [{ chip: 0, unit: "MEM.W12.R", cycles: { from: 2001, to: 2010 } }, ["chip 0"]],
    [{ chip: 0, unit: "MEM.W12.R", cycles: { from: 2001, to: 2011 } }, ["chip 0", "  2000: MEM.W12.R"]],
    [{ chip: 0, unit: "MEM.W12.R", cycles: { from: 2021, to: 9999 } }, ["chip 0"]],
  ])("%o", (filter, lines) => {
    expect(listed(filter)).toEqual(lines);
  });
});
