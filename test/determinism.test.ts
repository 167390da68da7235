// The same model gives the same bytes: compiled again, with any number of jobs, and but for names also when its nodes and tensors are renamed
// and listed in another valid order.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readerOver, readTable } from "../backends/encode/container.ts";
import { encodedBytes } from "../backends/encode/encode.ts";
import { disguiseModel } from "../src/modelgen/disguise.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import type { TransformerOptions } from "../src/modelgen/transformer-options.ts";
import { lpuc, lpucProcess, root, scratchFolder } from "./cli-runner.ts";
import { sharedData } from "./shared-data.ts";
import { compileForTest, type LineOptions } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

/** What holds names: the rest of a file must not depend on them. */
const debugSections: ReadonlySet<string> = new Set(["names", "instruction notes"]);

function sectionsOf(bytes: Uint8Array): ReadonlyMap<string, Buffer> {
  const table = readTable(readerOver(bytes));
  if (!table.ok) throw new Error("no section table");
  return new Map(
    table.value.map(({ name, offset, length }) => [name, Buffer.from(bytes.subarray(offset, offset + length))]),
  );
}

function differingSections(a: Uint8Array, b: Uint8Array): string[] {
  const [left, right] = [sectionsOf(a), sectionsOf(b)];
  return [...left].flatMap(([name, bytes]) => (right.get(name)?.equals(bytes) === true ? [] : [name]));
}

let files = 0;
function compiledBytes(model: Uint8Array, options: LineOptions): Uint8Array {
  const path = scratch.path(`model${files++}.onnx`);
  writeFileSync(path, model);
  return encodedBytes(compileForTest(path, options).program);
}

interface Case {
  readonly name: string;
  readonly model: () => Uint8Array;
  readonly options: LineOptions;
}

const shipped = (name: string, options: LineOptions): Case => ({
  name: `${name} on ${options.chips ?? 1}`,
  model: () => readFileSync(join(root, "models", `${name}.onnx`)),
  options,
});

const generated = (name: string, shape: Partial<TransformerOptions>, options: LineOptions): Case => ({
  name,
  model: () => transformerModel({ kind: "decoder", layers: 3, d: 32, heads: 4, ffn: 64, seq: 8, vocab: 40, ...shape }),
  options,
});

const shared = (name: string, options: LineOptions): readonly Case[] => {
  const path = sharedData(join(name, "model.onnx"));
  return path === undefined ? [] : [{ name, model: () => readFileSync(path), options }];
};

const cases: readonly Case[] = [
  shipped("adder", { chips: 4, precision: "fp16" }),
  shipped("bert-mini", { chips: 2, precision: "fp16" }),
  shipped("vit-mini", { chips: 1, precision: "fp32" }),
  generated(
    "llama-like on 3 of groqchip1",
    { kvHeads: 2, norm: "rmsnorm", activation: "swiglu", positions: "rope", bias: false, maskStyle: "add" },
    { chips: 3, precision: "fp16", target: "groqchip1", topology: "all-to-all" },
  ),
  generated(
    "fused, decomposed norms, computed shapes on ftlpu32",
    { qkv: "fused", norm: "layernorm-decomposed", shapeStyle: "computed", constantStyle: "node", linear: "gemm" },
    { chips: 2, precision: "fp16", target: "ftlpu32" },
  ),
  ...shared("models/stories260K.prefill-static", { chips: 2, precision: "fp16" }),
  ...shared("models/stories260K.decode-static", { chips: 3, precision: "fp16" }),
  ...shared("graphs/ort-transformers.whisper__hf_fp32_encoder_self_attention", { chips: 1, precision: "fp32" }),
];

describe.each(cases)("$name", ({ model, options }) => {
  const bytes = model();
  const first = compiledBytes(bytes, options);

  test("gives the same bytes again", () => {
    expect(Buffer.from(compiledBytes(bytes, options)).equals(first)).toBe(true);
  });

  test.each([1, 2])("differs in names only when renamed and reordered (seed %i)", (seed) => {
    const disguised = disguiseModel(bytes, seed);
    expect(Buffer.from(disguised).equals(bytes)).toBe(false);
    const differing = differingSections(first, compiledBytes(disguised, options));
    expect(differing.filter((name) => !debugSections.has(name))).toEqual([]);
    expect(differing).toContain("names");
  });
});

test("another model differs in more than names", () => {
  const [one, two] = [1, 2].map((seed) =>
    compiledBytes(
      transformerModel({ kind: "encoder", layers: 2, d: 32, heads: 4, ffn: 64, seq: 8, vocab: 40, seed }),
      {},
    ),
  );
  if (one === undefined || two === undefined) throw new Error("two programs");
  expect(differingSections(one, two)).toEqual(["image data"]);
});

test("--jobs does not change the bytes, nor does another process", async () => {
  const model = join(root, "models", "adder.onnx");
  const files = [1, 2].map((jobs) => scratch.path(`jobs${jobs}.lpu`));
  for (const [i, file] of files.entries()) {
    const ran = await [lpuc, lpucProcess][i]?.(
      "compile",
      model,
      "--chips",
      "4",
      "--jobs",
      `${i + 1}`,
      "-o",
      file,
      "-q",
    );
    expect([ran?.status, ran?.stderr]).toEqual([0, ""]);
  }
  const [one, two] = files.map((file) => readFileSync(file));
  expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
});
