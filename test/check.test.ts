// `lpuc check`: all problems at once, grouped by cause, with what is known of each node; what would fit; annotations and SARIF.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { diagnosticCodes } from "../ir/diag/codes.ts";
import { githubAnnotations, sarifLog } from "../src/annotations.ts";
import { groupedDiagnostics } from "../src/render.ts";
import { version } from "../src/version.ts";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";
import { int, message, model, node, text, valueInfo } from "./onnx-bytes.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const attribute = (name: string, value: number) => message(5, text(1, name), int(3, value), int(20, 2));

/** Twelve nodes that no one knows, three that gather outside, one of float64, one that is only too much for the machine, and a weight. */
function troubled(): string {
  const named = (op: string, i: number, inputs: readonly string[], ...more: readonly Uint8Array[]) =>
    message(1, node(op, inputs, [`${op}${i}`], text(3, `/layer.${i}/${op}`), ...more));
  const list = (count: number) => Array.from({ length: count }, (_, i) => i);
  const parts = [
    message(11, valueInfo("x", 1, [2, 3])),
    message(11, valueInfo("d", 11, [2])),
    message(
      5,
      text(8, "w"),
      int(1, 300),
      int(1, 400),
      int(2, 1),
      message(13, text(1, "location"), text(2, "gone.bin")),
      int(14, 1),
    ),
    message(5, text(8, "i"), int(2, 7), int(7, 0)),
    ...list(12).map((i) => named("Frobnicate", i, ["x"])),
    ...list(3).map((i) => named("Gather", i, ["x", "i"], attribute("axis", 3 + i))),
    named("Neg", 0, ["d"]),
    named("Softmax", 0, ["x"]),
    ...[...list(12).map((i) => `Frobnicate${i}`), ...list(3).map((i) => `Gather${i}`), "Neg0", "Softmax0"].map((name) =>
      message(12, text(1, name)),
    ),
  ];
  const path = scratch.path("troubled.onnx");
  writeFileSync(path, model(parts));
  return path;
}

const path = troubled();

describe("problems", () => {
  test("all of them at once, each cause once, with counts, places, types and help", async () => {
    const ran = await lpuc("check", path);
    expect(ran.status).toBe(3);
    const heads = ran.stderr.split("\n").filter((line) => line.startsWith("error["));
    expect(heads).toEqual([
      "error[LPU2001]: Frobnicate: operator Frobnicate is not supported (12 nodes)",
      "error[LPU1204]: Gather: axis is 3, allowed: -2 to 1 (3 nodes)",
      expect.stringContaining("error[LPU2009]"),
    ]);
    expect(ran.stderr).toContain("--> node 0 '/layer.0/Frobnicate' (Frobnicate, opset 23): x float32[2x3]\n");
    expect(ran.stderr).toContain("  and 4 more\n");
    expect(ran.stderr).toContain(
      "--> node 13 '/layer.1/Gather' (Gather, opset 23): x float32[2x3], i int64[]; Gather: axis is 4, allowed: -2 to 1\n",
    );
    expect(ran.stderr.match(/\n {2}help: .+/g)).toHaveLength(3);
    expect(ran.stderr).toContain("16 errors; ");
  });

  test("what would fit is said all the same", async () => {
    const { stdout } = await lpuc("check", path);
    expect(stdout).toContain("parameters  120,000\n");
    expect(stdout).toMatch(
      /weights {5}at least 234 KiB in fp16; a chip of lpu-nvlink holds 220 MiB\nchips {7}at least 1/,
    );
    expect(stdout).toContain("16 problems, 3 causes\n");
    expect(stdout).toMatch(/Frobnicate +12\n/);
  });

  test("the document has the causes and every problem", async () => {
    const ran = await lpuc("check", path, "--json");
    const document = JSON.parse(ran.stdout) as Record<string, unknown>;
    const { readFileSync } = await import("node:fs");
    const schema = JSON.parse(readFileSync("src/schemas/check.json", "utf8")) as Record<string, unknown>;
    expect(schemaProblems(schema, document)).toEqual([]);
    expect(document).toMatchObject({ supported: false, coreNodes: null, parameters: 120000, nodes: 17 });
    expect(document.problems).toHaveLength(16);
    expect(
      (document.causes as { code: string; count: number; nodes: number[] }[]).map(({ code, count, nodes }) => [
        code,
        count,
        nodes.length,
      ]),
    ).toEqual([
      ["LPU2001", 12, 12],
      ["LPU1204", 3, 3],
      ["LPU2009", 1, 0],
    ]);
  });

  test("a file that cannot be read as a model has problems and nothing else", async () => {
    writeFileSync(scratch.path("cut.onnx"), Uint8Array.of(58, 200, 1, 0));
    const ran = await lpuc("check", scratch.path("cut.onnx"));
    expect([ran.status, ran.stdout]).toEqual([1, ""]);
    expect(ran.stderr).toMatch(/error\[LPU1010\].*\n {2}--> .*cut\.onnx, byte 0\n {2}help: .+\n$/);
  });

  test("open dimensions do not hide operators that are not supported", async () => {
    const open = message(11, text(1, "x"), message(2, message(1, int(1, 1), message(2, message(1, text(2, "n"))))));
    const file = scratch.path("open.onnx");
    writeFileSync(file, model([open, message(12, text(1, "y")), message(1, node("Frobnicate", ["x"], ["y"]))]));
    const ran = await lpuc("check", file);
    expect(ran.stderr).toContain("error[LPU2004]");
    expect(ran.stderr).toContain("error[LPU2001]");
  });
});

describe("groups", () => {
  const at = (index: number, words: string, opType = "Gather") =>
    ({ code: "LPU1203", message: words, location: { kind: "node", name: `n${index}`, index, opType } }) as const;

  test("numbers and names make no other cause; operators, codes and words do", () => {
    const items = [
      at(0, "Gather: axis 3 is outside rank 2"),
      at(1, "Gather: axis -7 is outside rank 12"),
      at(2, "Gather: tensor 'a' is [2x3]"),
      at(3, "Gather: tensor 'b' is [14x1x9]"),
      at(4, "Gather: axis 3 is outside rank 2", "GatherND"),
      { ...at(5, "Gather: axis 3 is outside rank 2"), code: "LPU1204" },
      { code: "LPU1020", message: "tensor 'a' is produced twice" },
      { code: "LPU1020", message: "tensor 'b' is produced twice" },
    ];
    expect(groupedDiagnostics(items).map((group) => group.items.length)).toEqual([2, 2, 1, 1, 1, 1]);
  });
});

describe("other forms", () => {
  test("--format github: an annotation a problem and a warning, escaped", async () => {
    const ran = await lpuc("check", path, "--format", "github");
    const lines = ran.stdout.split("\n").filter((line) => line.startsWith("::"));
    expect([ran.status, lines.length]).toEqual([3, 16]);
    expect(lines[0]).toMatch(/^::error file=[^,]*troubled\.onnx,title=LPU2001 operator not supported::Frobnicate: /);
    expect(lines[0]).toContain(
      "%0Anode 0 '/layer.0/Frobnicate' (Frobnicate, opset 23)%0Ainputs: x float32[2x3]%0Ahelp: ",
    );
    const odd = {
      code: "LPU1010",
      message: "100 %\nnext",
      location: { kind: "file", path: "a,b:c", line: 4 },
    } as const;
    expect(githubAnnotations([{ level: "warning", item: odd }], "m.onnx")).toEqual([
      "::warning file=a%2Cb%3Ac,line=4,title=LPU1010 not a valid ONNX file::100 %25%0Anext",
    ]);
  });

  test("--format sarif: one document with its rules", async () => {
    for (const words of [
      ["check", path],
      ["compile", path, "-o", scratch.path("never.lpu")],
    ]) {
      const ran = await lpuc(...words, "--format", "sarif");
      const log = JSON.parse(ran.stdout) as {
        version: string;
        runs: { tool: { driver: { rules: { id: string }[] } }; results: Record<string, unknown>[] }[];
      };
      expect([ran.status, log.version, log.runs.length]).toEqual([3, "2.1.0", 1]);
      const { tool, results } = log.runs[0] ?? { tool: { driver: { rules: [] } }, results: [] };
      expect(tool.driver).toMatchObject({ name: "lpuc", version });
      expect(results.length).toBeGreaterThanOrEqual(15);
      for (const result of results) {
        const { id } = tool.driver.rules[result.ruleIndex as number] ?? { id: "" };
        expect([id, result.level]).toEqual([result.ruleId, "error"]);
        expect(result.locations).toMatchObject([
          { physicalLocation: { artifactLocation: { uri: expect.stringContaining("troubled.onnx") } } },
        ]);
      }
    }
  });

  test("places of every kind, and a model without problems", async () => {
    const items = [
      { code: "LPU1010", message: "m", location: { kind: "file", path: "my model.onnx", offset: 17 } },
      { code: "LPU1020", message: "m", location: { kind: "tensor", name: "t" } },
      { code: "LPU2008", message: "m", location: { kind: "node", name: "n", index: 3, opType: "TopK" }, help: "h" },
    ] as const;
    const log = sarifLog(
      items.map((item) => ({ level: "error", item })),
      "given.onnx",
    ) as { runs: { results: unknown[] }[] };
    expect(log.runs[0]?.results).toMatchObject([
      {
        message: { text: "m" },
        locations: [{ physicalLocation: { artifactLocation: { uri: "my%20model.onnx" }, region: { byteOffset: 17 } } }],
      },
      {
        locations: [
          {
            physicalLocation: { artifactLocation: { uri: "given.onnx" } },
            logicalLocations: [{ name: "t", kind: "variable" }],
          },
        ],
      },
      {
        message: { text: "m\nnode 3 'n' (TopK)\nhelp: h" },
        locations: [{ logicalLocations: [{ fullyQualifiedName: "node 3/n" }] }],
      },
    ]);
    const fine = await lpuc("check", "models/adder.onnx", "--format", "sarif");
    expect(JSON.parse(fine.stdout)).toMatchObject({ runs: [{ results: [] }] });
    const both = await lpuc("check", "models/adder.onnx", "--format", "sarif", "--json");
    expect([both.status, both.stderr.includes("leave out --json")]).toEqual([2, true]);
    expect(diagnosticCodes.LPU0002.exit).toBe(2);
  });
});
