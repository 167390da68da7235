// The CSV of allocation problems: what is read, what is refused and where, and what `lpuc alloc` answers.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAllocation } from "../passes/alloc/check.ts";
import { runAlloc } from "../src/formats/alloc.ts";
import { readAllocTable, writeAllocTable } from "../src/formats/alloc-csv.ts";
import { anyAllocProblem } from "../src/testing/alloc-problems.ts";
import { sharedData } from "./shared-data.ts";

const example = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n";

function read(text: string) {
  const table = readAllocTable(text);
  if (!table.ok) throw new Error(JSON.stringify(table.errors));
  return table;
}

/** Offsets of an answer by id, from its CSV. */
function offsetsIn(csv: string): ReadonlyMap<string, number> {
  const [header = "", ...lines] = csv.trimEnd().split("\n");
  const names = header.split(",");
  return new Map(
    lines.map((line) => {
      const fields = line.split(",");
      return [fields[names.indexOf("id")] ?? "", Number(fields[names.indexOf("offset")])];
    }),
  );
}

describe("readAllocTable", () => {
  test("reads columns by name, in any order", () => {
    const text = "size,gaps,id,hint,upper,alignment,lower\n8,2-3 5-7@0:4,x,-1,9,4,0\n6,,y,16,9,1,0\n";
    expect(read(text).buffers).toEqual([
      {
        id: "x",
        lower: 0,
        upper: 9,
        size: 8,
        alignment: 4,
        gaps: [
          { lower: 2, upper: 3 },
          { lower: 5, upper: 7, window: { lower: 0, upper: 4 } },
        ],
      },
      { id: "y", lower: 0, upper: 9, size: 6, alignment: 1, hint: 16 },
    ]);
  });

  test("reads inclusive ends from a column named end", () => {
    const [buffer] = read("buffer,start,end,size,gaps\nx,0,8,4,3-5\n").buffers;
    expect(buffer).toEqual({ id: "x", lower: 0, upper: 9, size: 4, gaps: [{ lower: 3, upper: 6 }] });
  });

  test("minds neither blank lines, nor carriage returns, nor a byte order mark", () => {
    expect(read(`\uFEFF${example.replaceAll("\n", "\r\n")}\r\n\r\n`).buffers).toEqual(read(example).buffers);
  });

  test.each([
    ["", [{ line: 1, message: "the table is empty: it needs a header" }]],
    ["id,lower,size\na,0,4\n", [{ line: 1, message: "the header lacks upper; it has id, lower, size" }]],
    ["id,lower,upper,size,id\n", [{ line: 1, message: "column id gives id a second time" }]],
    ["id,lower,upper,size,start\n", [{ line: 1, message: "column start gives lower a second time" }]],
    ["id,lower,upper,size,aligment\n", [{ line: 1, message: "unknown column aligment: did you mean alignment?" }]],
    [`${example}b6,0\n`, [{ line: 7, message: "2 fields where the header has 4" }]],
    [
      "id,lower,upper,size\n\na,0,x,4.5\n,0,1,\n",
      [
        { line: 3, message: "upper is not an integer: x" },
        { line: 3, message: "size is not an integer: 4.5" },
        { line: 4, message: "the id is empty" },
        { line: 4, message: "size is not an integer: (empty)" },
      ],
    ],
    [
      "id,lower,upper,size\na,0,9007199254740993,4\n",
      [{ line: 2, message: "upper is not an integer: 9007199254740993" }],
    ],
    ["id,lower,upper,size\na,5,3,4\n", [{ line: 2, message: "live range [5, 3) ends before it starts" }]],
    ["id,lower,upper,size\na,0,3,4\na,0,3,4\n", [{ line: 3, message: "id a is already used by buffer number 0" }]],
    ["id,lower,upper,size\na,0,3,-4\n", [{ line: 2, message: "size -4 is not a non-negative integer" }]],
    [
      "id,lower,upper,size,gaps\na,0,9,4,3:5 6-7@1\n",
      [
        { line: 2, message: "gap 3:5 is not of the form FROM-TO or FROM-TO@LOW:HIGH" },
        { line: 2, message: "gap 6-7@1 is not of the form FROM-TO or FROM-TO@LOW:HIGH" },
      ],
    ],
    ["id,lower,upper,size,gaps\na,0,9,4,6-12\n", [{ line: 2, message: "gap [6, 12) leaves the live range [0, 9)" }]],
    ["id,lower,upper,size,alignment\na,0,9,4,0\n", [{ line: 2, message: "alignment 0 is not a positive integer" }]],
  ])("refuses %j with line and reason", (text, errors) => {
    expect(readAllocTable(text)).toEqual({ ok: false, errors });
  });

  test("never throws, whatever the text", () => {
    const fragment = fc.constantFrom(
      "id",
      "lower",
      "upper",
      "size",
      "gaps",
      ",",
      "\n",
      "-",
      "@",
      ":",
      "1",
      "-1",
      "1e9",
      "é",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(fragment, fc.string({ maxLength: 3 }))), (parts) => {
        const text = parts.join("");
        expect(typeof runAlloc(text, { capacity: 10, budget: 10 }).ok).toBe("boolean");
        expect(typeof runAlloc(`id,lower,upper,size,gaps\n${text}`, { budget: 10 }).ok).toBe("boolean");
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

describe("writeAllocTable", () => {
  test("repeats the columns as they were and adds the offset", () => {
    const text = "size,id,note,gaps,lower,upper\n8,x,hello,2-3 5-7,0,9\n";
    const table = read(text);
    expect(table.notes).toEqual(["column note is copied to the answer but not read"]);
    expect(writeAllocTable(table, [{ offset: 16 }])).toBe(
      "size,id,note,gaps,lower,upper,offset\n8,x,hello,2-3 5-7,0,9,16\n",
    );
  });

  test("replaces the offsets of an earlier answer", () => {
    const table = read("id,offset,lower,upper,size\nx,99,0,9,4\n");
    expect(table.notes).toEqual(["column offset is not read: the answer replaces it"]);
    expect(writeAllocTable(table, [{ offset: 0 }])).toBe("id,lower,upper,size,offset\nx,0,9,4,0\n");
  });
});

describe("runAlloc", () => {
  test("answers with the table, a text and a document", () => {
    const answer = runAlloc(example, { capacity: 12 });
    if (!answer.ok) throw new Error("refused");
    expect(answer.fits).toBe(true);
    const offsets = offsetsIn(answer.csv ?? "");
    const { buffers } = read(example);
    expect(
      checkAllocation(
        { buffers, capacity: 12 },
        buffers.map(({ id }) => offsets.get(id) ?? -1),
      ),
    ).toEqual([]);
    expect(answer.json).toMatchObject({ schema: "lpuc.alloc/1", result: "fits", peak: 12, lowerBound: 12, gap: 0 });
    expect(answer.json.offsets).toEqual(Object.fromEntries(offsets));
    expect(answer.text).toBe(
      "5 buffers, capacity 12\nfits\npeak 12, lower bound 12, gap 0.00 %\nmost is live at time 0: b1, b3, b5\n",
    );
  });

  test("says why it does not fit, and how much would be enough", () => {
    const answer = runAlloc(example, { capacity: 11 });
    if (!answer.ok) throw new Error("refused");
    expect(answer).toMatchObject({
      fits: false,
      json: { result: "infeasible", peak: 12, lowerBound: 12, offsets: null },
    });
    expect(answer.csv).toBeUndefined();
    expect(answer.text).toContain(
      "does not fit: buffers that are live together at time 0 need 12\nbest peak found 12,",
    );
  });

  test("looks for the lowest peak when no capacity is given", () => {
    const answer = runAlloc(example);
    expect(answer).toMatchObject({ ok: true, fits: true, json: { capacity: null, peak: 12, gap: 0 } });
  });

  test("refuses a capacity or budget that is none", () => {
    expect(runAlloc(example, { capacity: 1.5 })).toEqual({
      ok: false,
      errors: [{ line: 0, message: "capacity 1.5 is not a non-negative integer" }],
    });
    expect(runAlloc(example, { budget: -1 }).ok).toBe(false);
  });

  test("reads back what it is given as text", () => {
    fc.assert(
      fc.property(anyAllocProblem, ({ buffers }) => {
        const gapText = (gap: { lower: number; upper: number; window?: { lower: number; upper: number } }): string =>
          `${gap.lower}-${gap.upper}${gap.window === undefined ? "" : `@${gap.window.lower}:${gap.window.upper}`}`;
        const rows = buffers.map((b) =>
          [b.id, b.lower, b.upper, b.size, b.alignment ?? "", b.hint ?? "", (b.gaps ?? []).map(gapText).join(" ")].join(
            ",",
          ),
        );
        const text = `id,lower,upper,size,alignment,hint,gaps\n${rows.map((row) => `${row}\n`).join("")}`;
        expect(read(text).buffers).toEqual(buffers);
        const answer = runAlloc(text, { budget: 200 });
        if (!answer.ok || answer.csv === undefined) throw new Error("refused");
        expect(answer.csv.replaceAll(/,[^,\n]*\n/g, "\n")).toBe(text);
      }),
      { seed: 4, numRuns: 100 },
    );
  });
});

describe("hard instances without slack", () => {
  for (const name of ["A", "C", "E", "G", "I", "K"]) {
    const path = sharedData(`alloc/${name}.1048576.csv`);
    test.skipIf(path === undefined)(`${name} fits a capacity of 1,048,576`, () => {
      const text = readFileSync(path ?? "", "utf8");
      const answer = runAlloc(text, { capacity: 1_048_576 });
      if (!answer.ok) throw new Error(JSON.stringify(answer.errors));
      expect(answer.json.result).toBe("fits");
      const { buffers } = read(text);
      const offsets = offsetsIn(answer.csv ?? "");
      const ordered = buffers.map(({ id }) => offsets.get(id) ?? -1);
      expect(checkAllocation({ buffers, capacity: 1_048_576 }, ordered)).toEqual([]);
      expect(Number(answer.json.work)).toBeLessThan(200_000);
    });
  }
});
