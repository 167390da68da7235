// External data: one file or many, offsets beyond 2 GiB, weights that are not there, and paths that lead out of the model's folder.
import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Result } from "../ir/diag/diagnostic.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { openByteSource } from "../src/io.ts";
import { externalTransformerModel } from "../src/modelgen/transformer-model.ts";
import { openExternalFolder } from "../src/onnx/external.ts";
import { type ImportedModel, type ImportOptions, importModel } from "../src/onnx/import.ts";
import { requirementsOf, weightsOf } from "../src/report/requirements.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { announced, int, joined, message, model, node, text, valueInfo } from "./onnx-bytes.ts";
import { onlyConstant } from "./onnx-import.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

type Entries = Readonly<Record<string, string | number>>;

/** A model `y = c` whose constant, int32[2] unless said otherwise, lies outside. */
function outside(entries: Entries, dims: readonly number[] = [2], type = 6): Uint8Array {
  const data = Object.entries(entries).map(([key, value]) => message(13, text(1, key), text(2, `${value}`)));
  const tensor = message(5, text(8, "c"), ...dims.map((size) => int(1, size)), int(2, type), ...data, int(14, 1));
  return model([tensor, message(12, text(1, "y")), message(1, node("Identity", ["c"], ["y"]))]);
}

function importFile(name: string, bytes: Uint8Array, more: Partial<ImportOptions> = {}): Result<ImportedModel> {
  const path = scratch.path(name);
  writeFileSync(path, bytes);
  const source = openByteSource(path);
  if (!source.ok) return source;
  const { open } = openExternalFolder(path);
  return importModel(source.value, { path, dims: new Map(), shapes: new Map(), external: open, ...more });
}

function numbersIn(result: Result<ImportedModel>): readonly number[] {
  if (!result.ok) throw new Error(result.diagnostics.map(({ message: words }) => words).join("\n"));
  return Array.from(onlyConstant(result.value).data, Number);
}

const codeIn = (result: Result<ImportedModel>): string => (result.ok ? "none" : (result.diagnostics[0]?.code ?? ""));

/** A file of `length` bytes that takes no room, with some numbers at an offset. */
function sparseFile(path: string, length: number, offset = 0, numbers: readonly number[] = []): void {
  const file = openSync(path, "w");
  ftruncateSync(file, length);
  writeSync(file, new Uint8Array(Int32Array.from(numbers).buffer), 0, numbers.length * 4, offset);
  closeSync(file);
}

beforeAll(() => {
  mkdirSync(scratch.path("deep"));
  sparseFile(scratch.path("w.bin"), 32, 8, [7, -9]);
  sparseFile(scratch.path(join("deep", "v.bin")), 8, 0, [1, 2]);
  symlinkSync("/etc", scratch.path("way-out"));
  symlinkSync(scratch.path("w.bin"), scratch.path("way-in"));
});

describe("places", () => {
  test("offset and length; a whole file; a file in a folder below; a link that stays inside", () => {
    expect(numbersIn(importFile("a.onnx", outside({ location: "w.bin", offset: 8, length: 8 })))).toEqual([7, -9]);
    expect(numbersIn(importFile("b.onnx", outside({ location: "deep/v.bin" })))).toEqual([1, 2]);
    expect(numbersIn(importFile("c.onnx", outside({ location: "./deep/../w.bin", offset: 12 }), {}))).toEqual([-9, 0]);
    expect(numbersIn(importFile("d.onnx", outside({ location: "way-in", offset: 8, checksum: "ab" })))).toEqual([
      7, -9,
    ]);
  });

  test("beyond 2 GiB, in a file that takes no room", () => {
    const offset = 5 * 2 ** 30;
    sparseFile(scratch.path("huge.bin"), offset + 8, offset, [11, 12]);
    expect(numbersIn(importFile("huge.onnx", outside({ location: "huge.bin", offset })))).toEqual([11, 12]);
  });

  test("a model file beyond 2 GiB is read by range: what is not asked for stays where it is", () => {
    const big = 5 * 2 ** 29;
    const tensor = joined(text(8, "big"), int(1, big), int(2, 2), announced(9, big));
    const rest = [
      message(5, text(8, "c"), int(1, 1), int(2, 6), int(5, 42)),
      message(12, text(1, "y")),
      message(1, node("Identity", ["c"], ["y"])),
    ];
    const head = announced(5, tensor.length + big, tensor);
    const tail = joined(...rest);
    const path = scratch.path("inside.onnx");
    const start = joined(int(1, 8), message(8, int(2, 17)), announced(7, head.length + big + tail.length, head));
    const file = openSync(path, "w");
    writeSync(file, start);
    writeSync(file, tail, 0, tail.length, start.length + big);
    closeSync(file);
    const source = openByteSource(path);
    if (!source.ok) throw new Error("it was just written");
    const before = process.memoryUsage().arrayBuffers;
    const options = { path, dims: new Map(), shapes: new Map(), external: openExternalFolder(path).open };
    expect(numbersIn(importModel(source.value, options))).toEqual([42]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16e6);
    source.value.close();
  });
});

describe("paths that lead out, and files that do not hold what they should", () => {
  test.each<[string, Entries, string, RegExp]>([
    ["absolute", { location: "/etc/hostname" }, "LPU1024", /absolute/],
    ["above", { location: "../w.bin" }, "LPU1024", /leaves the model's folder/],
    ["above by a detour", { location: "deep/../../w.bin" }, "LPU1024", /leaves/],
    ["through a link", { location: "way-out/hostname" }, "LPU1024", /a link leads out/],
    ["with a zero byte", { location: "w.bin\0x" }, "LPU1024", /absolute/],
    ["absent", { location: "none.bin" }, "LPU1025", /does not exist/],
    ["a folder", { location: "deep" }, "LPU1025", /not a regular file/],
    ["short", { location: "w.bin", offset: 28 }, "LPU1025", /has 32 bytes/],
    ["of another length", { location: "w.bin", length: 12 }, "LPU1023", /12 external bytes/],
    ["at no offset", { location: "w.bin", offset: -8 }, "LPU1023", /offset -8/],
    ["at a hexadecimal offset", { location: "w.bin", offset: "0x8" }, "LPU1023", /offset 0x8/],
    ["at an absurd offset", { location: "w.bin", offset: "9".repeat(30) }, "LPU1023", /offset 9/],
    ["nowhere", { offset: 0 }, "LPU1023", /names no file/],
  ])("%s", (_, entries, code, words) => {
    const result = importFile("bad.onnx", outside(entries));
    expect(codeIn(result)).toBe(code);
    expect(result.ok ? "" : result.diagnostics[0]?.message).toMatch(words);
  });

  test("a tensor larger than any memory is refused before it is read", () => {
    sparseFile(scratch.path("vast.bin"), 2 ** 36);
    expect(codeIn(importFile("vast.onnx", outside({ location: "vast.bin" }, [2 ** 34])))).toBe("LPU1012");
  });
});

describe("without weights", () => {
  const options = { kind: "decoder", layers: 2, d: 64, heads: 4, ffn: 128, seq: 8, vocab: 100 } as const;

  test("shapes alone give the same graph and the same needs", () => {
    const target = presetTarget("lpu-nvlink");
    if (target === undefined) throw new Error("no target");
    const written = externalTransformerModel({ ...options, shapeStyle: "computed" }, "absent.bin");
    expect(codeIn(importFile("decoder.onnx", written.model))).toBe("LPU1025");
    const bare = importFile("decoder.onnx", written.model, { shapesOnly: true });
    writeFileSync(scratch.path("absent.bin"), Buffer.concat([...written.chunks()]));
    const full = importFile("decoder.onnx", written.model);
    if (!bare.ok || !full.ok) throw new Error("both are valid");
    const shapes = (imported: ImportedModel) => imported.graph.nodes.map(({ op, outputs }) => [op, outputs]);
    expect(shapes(bare.value)).toEqual(shapes(full.value));
    const needs = [bare.value, full.value].map(({ graph }) => {
      const core = legalise(graph, { precision: "fp16" });
      return core.ok ? requirementsOf(weightsOf(core.value), target, "fp16") : core.diagnostics;
    });
    expect(needs[0]).toEqual(needs[1]);
  });

  test("numbers that make shapes are wanted all the same", () => {
    const shape = message(
      5,
      text(8, "s"),
      int(1, 2),
      int(2, 7),
      message(13, text(1, "location"), text(2, "gone.bin")),
      int(14, 1),
    );
    const parts = [
      message(11, valueInfo("x", 1, [6])),
      message(12, text(1, "y")),
      message(1, node("Reshape", ["x", "s"], ["y"])),
      shape,
    ];
    expect(codeIn(importFile("reshape.onnx", model(parts), { shapesOnly: true }))).toBe("LPU1025");
  });
});

test("no command hangs at a file that is none", async () => {
  const { execFileSync } = await import("node:child_process");
  const pipe = scratch.path("pipe.onnx");
  execFileSync("mkfifo", [pipe]);
  const ran = await lpuc("check", pipe);
  expect([ran.status, ran.stderr.includes("not a regular file")]).toEqual([7, true]);
  expect((await lpuc("check", "/dev/zero")).status).toBe(7);
});
