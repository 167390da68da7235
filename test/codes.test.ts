// Every diagnostic code is reached through the command line, or through the library where no command leads there. A code without a way to
// it does not compile.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { headerChunk, readerOver, readTable } from "../backends/encode/container.ts";
import { sealedProgram } from "../fuzz/sealed-program.ts";
import { type DiagnosticCode, diagnosticCodes } from "../ir/diag/codes.ts";
import { parseGraph } from "../ir/graph/parse.ts";
import { main } from "../src/commands/main.ts";
import { compileModel, type ModelOptions } from "../src/compile-model.ts";
import { matmulModel, transformerModel } from "../src/modelgen/transformer-model.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { announced, type Bytes, int, joined, message, model, node, text, valueInfo } from "./onnx-bytes.ts";

// Whoever has the package installed sees here what happens without it.
vi.mock("onnxruntime-node", () => {
  throw new Error("not installed");
});

const scratch = scratchFolder();
afterAll(scratch.remove);

const small = scratch.path("small.onnx");
const layers = scratch.path("layers.onnx");
const program = scratch.path("small.lpu");
const given = ["-i", "a=2x16xf32=1"];

beforeAll(async () => {
  writeFileSync(small, matmulModel({ m: 2, k: 16, n: 8 }));
  const shape = { layers: 2, d: 10, heads: 2, ffn: 10, seq: 5 } as const;
  writeFileSync(layers, transformerModel({ kind: "encoder", input: "hidden", output: "hidden", ...shape }));
  expect((await lpuc("compile", small, "--target", "ftlpu32", "-o", program, "-q")).status).toBe(0);
});

/** Codes that the library answers with, where no command leads there. */
function libraryCodes(path: string, options: Partial<ModelOptions>): Promise<readonly string[]> {
  const target = presetTarget("ftlpu32");
  if (target === undefined) throw new Error("no such target");
  const dims = new Map<string, number>();
  const compiled = compileModel(path, { target, chips: 1, dims, shapes: new Map(), precision: "fp16", ...options });
  return Promise.resolve(compiled.ok ? [] : compiled.diagnostics.map(({ code }) => code));
}

/** Codes that a command prints, as errors or as warnings. */
async function said(...words: readonly string[]): Promise<readonly string[]> {
  const { stderr } = await lpuc(...words);
  return [...stderr.matchAll(/^(?:error|warning)\[(LPU\d{4})\]/gm)].map(([, code]) => code ?? "");
}

let files = 0;
function written(contents: Uint8Array | string, ending = "onnx"): string {
  files += 1;
  const path = scratch.path(`file${files}.${ending}`);
  writeFileSync(path, contents);
  return path;
}

const x = message(11, valueInfo("x", 1, [2]));
const y = message(12, text(1, "y"));
const one = (op: string, inputs: readonly string[] = ["x"], ...more: readonly Bytes[]) =>
  message(1, node(op, inputs, ["y"], ...more));
const checked = (file: Bytes, ...words: readonly string[]) => said("check", written(file), ...words);
const graph = (...parts: readonly Bytes[]) => checked(model(parts));
const constant = (...fields: readonly Bytes[]) => message(5, text(8, "c"), ...fields);
const outside = (location: string) =>
  graph(
    y,
    one("Neg", ["c"]),
    constant(int(1, 2048), int(2, 1), message(13, text(1, "location"), text(2, location)), int(14, 1)),
  );

const target = (change: object) =>
  said("check", small, "--target", written(JSON.stringify({ extends: "groqchip1", name: "t", ...change }), "json"));
const edited = (change: (text: string) => string) =>
  lpuc("disasm", program).then(({ stdout }) => written(change(stdout), "lpasm"));
const assembled = async (change: (text: string) => string) =>
  said("asm", await edited(change), "-o", scratch.path("assembled.lpu"));
const damaged = (change: (file: Buffer) => void) => {
  const file = Buffer.from(readFileSync(program));
  change(file);
  return said("inspect", written(file, "lpu"));
};

/** Where a section of the program begins. */
function sectionStart(name: string): number {
  const table = readTable(readerOver(readFileSync(program)));
  return table.ok ? (table.value.find((entry) => entry.name === name)?.offset ?? 0) : 0;
}

/** A program that states one cycle too many. */
async function late(): Promise<string> {
  const longer = await edited((lines) =>
    lines.replace(/"latencyCycles":(\d+)/, (_, n: string) => `"latencyCycles":${Number(n) + 1}`),
  );
  const path = scratch.path("late.lpu");
  expect((await lpuc("asm", longer, "-o", path)).status).toBe(0);
  return path;
}

/** What is said of one chip with so many words in each bank. */
const cramped = (wordsPerBank: number): Promise<readonly string[]> => {
  const tiny = written(JSON.stringify({ extends: "lpu-nvlink", name: "tiny", mem: { wordsPerBank } }), "json");
  return said("compile", "models/adder.onnx", "--target", tiny, "--chips", "1", "-o", scratch.path("never.lpu"));
};

/** The first refusal of a chip with less and less memory: two chips would do. */
async function shrinking(): Promise<readonly string[]> {
  for (const words of [344, 336, 328, 320]) {
    const codes = await cramped(words);
    if (codes.length > 0) return codes;
  }
  return [];
}

/** A bug of lpuc: here the stream that progress goes to breaks once. */
async function broken(): Promise<readonly string[]> {
  const out: string[] = [];
  let isFirst = true;
  const writeErr = (words: string): void => {
    if (isFirst) {
      isFirst = false;
      throw new TypeError("the stream broke");
    }
    out.push(words);
  };
  const status = await main(["check", small, "-v"], {
    writeOut: () => undefined,
    writeErr,
    isTerminal: false,
    allowsColor: false,
  });
  expect(status).toBe(70);
  return out.join("").includes("error[LPU9001]") ? ["LPU9001"] : [];
}

const ways = {
  LPU0001: () => said("compil"),
  LPU0002: () => said("explain", "LPU0099"),
  LPU0004: () => said("run", program),
  LPU0005: () => said("run", small, ...given, "--against", "ort", "--target", "ftlpu32"),
  LPU1001: () => said("check", scratch.path("absent.onnx")),
  LPU1002: () => {
    mkdirSync(join(scratch.path("taken.lpu"), "full"), { recursive: true });
    return said("compile", small, "--target", "ftlpu32", "-o", scratch.path("taken.lpu"));
  },
  LPU1010: () => checked(announced(7, 99)),
  LPU1011: () => {
    let inner = text(2, "g");
    for (let depth = 0; depth < 60; depth++) inner = message(1, message(5, text(1, "b"), message(6, inner)));
    return checked(model([inner]));
  },
  LPU1012: () => graph(x, y, one("N".repeat(2 ** 20 + 1))),
  LPU1013: () => graph(x, y, one("Neg"), int(99, 1)),
  LPU1014: () => checked(new Uint8Array(0)),
  LPU1015: () => graph(x, y, one("Neg", ["x"], message(10, text(1, "two chips")))),
  LPU1016: () => graph(x, y, one("Neg"), message(13, valueInfo("y", 1, [3]))),
  LPU1020: () => graph(x, y, one("Neg"), one("Abs")),
  LPU1021: () => graph(x, y, one("Add", ["x", "z"])),
  LPU1022: () => graph(x, y, one("Add", ["x", "y"])),
  LPU1023: () => graph(y, one("Neg", ["c"]), constant(int(1, -1), int(2, 1))),
  LPU1024: () => outside("../weights.bin"),
  LPU1025: () => outside("absent.bin"),
  LPU1026: () => checked(joined(int(1, 8), message(7, x, y, one("Neg")))),
  LPU1030: async () => {
    const parsed = parseGraph("graph nonsense");
    return parsed.ok ? [] : parsed.diagnostics.map(({ code }) => code);
  },
  LPU1040: () => said("run", program, "-i", `a=@${written("not an array", "npy")}`),
  LPU1041: () => said("alloc", written("no table", "csv")),
  LPU1042: () => said("generate", small, "--prompt", "a", "--tokenizer", written("no table", "json")),
  LPU1201: () => graph(x, y, one("Neg", ["x", "x"])),
  LPU1202: () => graph(message(11, valueInfo("x", 9, [2])), y, one("Neg")),
  LPU1203: () => graph(x, message(11, valueInfo("w", 1, [3])), y, one("Add", ["x", "w"])),
  LPU1204: () => graph(x, y, one("Softmax", ["x"], message(5, text(1, "axis"), int(3, 5), int(20, 2)))),
  LPU2001: () => graph(x, y, one("Frobnicate")),
  LPU2002: () => checked(joined(int(1, 3), message(7, x, y, one("Add", ["x", "x"])), message(8, int(2, 5)))),
  LPU2003: () => graph(message(11, valueInfo("x", 8, [2])), y, one("Identity")),
  LPU2004: () =>
    graph(
      message(11, text(1, "x"), message(2, message(1, int(1, 1), message(2, message(1, text(2, "n")))))),
      y,
      one("Neg"),
    ),
  LPU2005: () =>
    graph(
      message(11, valueInfo("x", 9, [])),
      y,
      one("If", ["x"], message(5, text(1, "then_branch"), message(6), int(20, 5))),
    ),
  LPU2006: () => graph(x, message(11, valueInfo("s", 7, [1])), y, one("Reshape", ["x", "s"])),
  LPU2007: () => said("check", small, "--dim", "n=2"),
  LPU2008: () => graph(message(11, valueInfo("x", 1, [2 ** 27])), y, one("Neg")),
  LPU2009: () => graph(message(11, valueInfo("x", 11, [2])), y, one("Neg")),
  LPU2010: () =>
    graph(
      message(11, valueInfo("x", 7, [1])),
      y,
      one("Add", ["x", "c"]),
      constant(int(1, 1), int(2, 7), int(7, 2 ** 40)),
    ),
  LPU2011: () =>
    said(
      "generate",
      small,
      "--target",
      "ftlpu32",
      "--prompt",
      "a",
      "--tokenizer",
      written('{"vocabulary":["a"]}', "json"),
    ),
  LPU3001: () => said("check", small, "--target", "tpu"),
  LPU3002: () => said("check", small, "--target", written("{", "json")),
  LPU3003: () => target({ lane: 3 }),
  LPU3004: () => said("check", small, "--target", written('{"name":"t"}', "json")),
  LPU3005: () => target({ lanes: "many" }),
  LPU3006: () => target({ topology: { kind: "edges" } }),
  LPU3007: () => {
    const shallow = JSON.stringify({ extends: "groqchip1", name: "t", vxm: { chainDepth: 1 } });
    return said("compile", small, "--target", written(shallow, "json"), "-o", scratch.path("never.lpu"));
  },
  LPU3010: () => said("compile", small, "--chips", "500", "--topology", "all-to-all", "-o", scratch.path("never.lpu")),
  LPU3011: () => said("compile", small, "--topology", "chian"),
  LPU3012: () => said("compile", small, "--topology", "edges"),
  LPU3020: () => said("compile", small, "--cut-after", "#9999", "-o", scratch.path("never.lpu")),
  LPU3021: () => said("compile", small, "--chips", "2", "--pin", "#0=7", "-o", scratch.path("never.lpu")),
  LPU3022: () => said("compile", small, "--placement", written("{", "json"), "-o", scratch.path("never.lpu")),
  LPU4001: () => cramped(12),
  LPU4002: shrinking,
  LPU4003: () => {
    const none = [
      [0, 0],
      [1, 0],
    ];
    const problem = {
      links_dst_src: none,
      pre: [[0], [1]],
      post: [
        [0, 1],
        [0, 1],
      ],
    };
    return said("route", written(JSON.stringify(problem), "json"));
  },
  LPU4004: () =>
    said(
      "compile",
      layers,
      "--chips",
      "11",
      "--tensor-parallel",
      "11",
      "--topology",
      "all-to-all",
      "-o",
      scratch.path("never.lpu"),
    ),
  LPU4005: () => said("compile", layers, "--chips", "3", "--tensor-parallel", "2", "-o", scratch.path("never.lpu")),
  LPU4006: () => libraryCodes(layers, { allocator: (buffers) => buffers.map(() => 0) }),
  LPU5001: () => said("verify", small),
  LPU5002: () => damaged((file) => file.writeUInt32LE(99, headerChunk().length - 4)),
  LPU5003: () => said("inspect", written(readFileSync(program).subarray(0, 500), "lpu")),
  LPU5004: () => damaged((file) => file.writeUInt8(file.readUInt8(sectionStart("code")) ^ 1, sectionStart("code"))),
  LPU5005: () =>
    said(
      "inspect",
      written(sealedProgram(readFileSync(program), "code", Uint8Array.of(255, 255, 255, 255, 15)), "lpu"),
    ),
  LPU5010: () => assembled((lines) => lines.replace(/^lpasm \d+/, "lpasm 99")),
  LPU5011: () => assembled((lines) => lines.replace(/\nchip 0/, "\nfrobnicate\nchip 0")),
  LPU5012: () => assembled((lines) => lines.replace(/\nend\s*$/, "\n")),
  LPU6001: async () => said("verify", await late()),
  LPU6002: async () => said("run", await late(), ...given),
  LPU6003: async () => {
    const recorded = scratch.path("recorded");
    await lpuc("run", program, ...given, "--output-dir", recorded, "-q");
    return said("run", program, "-i", "a=2x16xf32=5", "--against", recorded);
  },
  LPU6004: () =>
    said("compile", small, "--target", "ftlpu32", "-o", scratch.path("asserted.lpu"), "--assert", "latency_us<=0"),
  LPU9001: broken,
} as const satisfies Readonly<Record<DiagnosticCode, () => Promise<readonly string[]>>>;

test.each(Object.entries(ways))("%s", async (code, way) => {
  expect(await way()).toContain(code);
});

test("a model without problems gives no code", async () => {
  expect(await said("check", small)).toEqual([]);
  expect(Object.keys(ways)).toEqual(Object.keys(diagnosticCodes));
});
