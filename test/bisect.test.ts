// `lpuc bisect`: the first tensor that leaves the tolerance is really the first, and the part that is cut out shows it alone. Graphs written as
// models come back the same.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { printGraph } from "../ir/graph/print.ts";
import { numbersOf, valueFromNumbers } from "../ir/graph/values.ts";
import { bisect, computedTensors, referenceValues } from "../src/bisect.ts";
import { importFile } from "../src/compile-model.ts";
import { bytesSource } from "../src/io.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { exportModel } from "../src/onnx/export.ts";
import { importModel } from "../src/onnx/import.ts";
import { readTensorProto, writeTensorProto } from "../src/onnx/tensor-file.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";
import { message, model, node, text, valueInfo } from "./onnx-bytes.ts";
import { good } from "./onnx-import.ts";
import { sharedData } from "./shared-data.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const tiny = scratch.path("tiny.onnx");
writeFileSync(
  tiny,
  transformerModel({
    kind: "encoder",
    layers: 2,
    d: 32,
    heads: 2,
    ffn: 64,
    seq: 6,
    input: "hidden",
    activation: "relu",
  }),
);
const graph = (() => {
  const imported = importFile(tiny, { dims: new Map(), shapes: new Map() });
  if (!imported.ok) throw new Error("the sample is a model");
  return imported.value.graph;
})();
const hidden = valueFromNumbers(
  "float32",
  [1, 6, 32],
  Array.from({ length: 192 }, (_, i) => ((i * 37) % 64) / 32 - 1),
);
const set = scratch.path("set");
mkdirSync(set);
const bytes = new Uint8Array(Float32Array.from(numbersOf(hidden)).buffer);
writeFileSync(
  join(set, "input_0.pb"),
  writeTensorProto("hidden_states", { dtype: "float32", shape: [1, 6, 32], bytes }),
);

const target = presetTarget("lpu-nvlink");
if (target === undefined) throw new Error("no target");
const compile = { target, chips: 1, precision: "fp16" } as const;
const quiet = (): void => undefined;

describe("models written from graphs", () => {
  const cases = sharedData("onnx-node");
  const again = (file: Uint8Array): void => {
    const first = importModel(bytesSource(file), {
      path: "",
      dims: new Map(),
      shapes: new Map(),
      external: () => ({ refused: "none", outside: false }),
    });
    if (!first.ok) return;
    const text = (imported: typeof first.value): string =>
      printGraph(imported.graph)
        .replaceAll(/ from \[.*?\]$/gm, "")
        .replaceAll(/(%\d+) "[^"]*"/g, "$1")
        .replaceAll(/ as "[^"]*"|graph "[^"]*"/g, "")
        // Attributes of the file are single precision, defaults of the table are not.
        .replaceAll(/\d+\.\d+(e-?\d+)?/g, (number) => `${Math.fround(Number(number))}`);
    const second = good(exportModel(first.value.graph));
    expect(text(second)).toBe(text(first.value));
    expect(second.warnings).toEqual([]);
  };

  test("a transformer, and models whose outputs are inputs, constants or one tensor twice", () => {
    again(readFileSync(tiny));
    const x = message(11, valueInfo("x", 1, [2]));
    const relu = message(1, node("Relu", ["x"], ["y"]));
    const outputs = ["x", "y", "z"].map((name) => message(12, text(1, name)));
    again(model([x, relu, message(1, node("Identity", ["y"], ["z"])), ...outputs]));
  });

  test.skipIf(cases === undefined)("the cases of the backend suite", () => {
    const folder = cases ?? "";
    const names = readdirSync(folder).filter((_, i) => i % 4 === 0);
    for (const name of names) again(readFileSync(join(folder, name, "model.onnx")));
    expect(names.length).toBeGreaterThan(100);
  });
});

describe("the first tensor", () => {
  const reference = referenceValues(graph, new Map([["hidden_states", hidden]]));
  const wanted = computedTensors(graph);
  const run = (values: typeof reference, tolerance: number) => {
    const found = bisect(graph, values, { compile, tolerance, progress: quiet });
    if (!found.ok) throw new Error(found.diagnostics.map(({ message: words }) => words).join("\n"));
    return found.value;
  };

  test("every tensor is compared, and none is named where all agree", () => {
    expect(run(reference, 2e-2)).toEqual({ compared: wanted.length, first: undefined, reproduction: undefined });
  });

  test.each([0.1, 0.5, 0.99])(
    "a reference that is wrong from one tensor on names that tensor (%f of the way)",
    (share) => {
      const at = Math.floor(share * wanted.length);
      const wrong = new Map(reference);
      for (const id of wanted.slice(at)) {
        const value = reference.get(id);
        if (value !== undefined) wrong.set(id, { ...value, data: Float32Array.from(numbersOf(value), (v) => v + 1) });
      }
      const { first, reproduction } = run(wrong, 2e-2);
      expect([first?.tensor.id, first?.exposed]).toEqual([wanted[at], true]);
      expect(first?.comparison.maxAbs).toBeGreaterThan(0.9);
      // The part alone computes what its operators mean: nothing is wrong with it.
      expect(reproduction).toBeUndefined();
    },
  );

  test("a tolerance below half precision: what comes before agrees, and the part that is cut out does not", () => {
    const tolerance = 2e-4;
    const { first, reproduction } = run(reference, tolerance);
    if (first === undefined || reproduction === undefined) throw new Error("half precision rounds");
    const before = wanted.slice(0, wanted.indexOf(first.tensor.id));
    const outputs = before.map((tensor) => ({
      name: `t${tensor}`,
      tensor,
      dtype: graph.tensors[tensor]?.dtype ?? "float32",
    }));
    if (outputs.length > 0) {
      const prefix = { ...graph, outputs };
      const values = referenceValues(prefix, new Map([["hidden_states", hidden]]));
      const found = bisect(prefix, values, { compile, tolerance, progress: quiet });
      expect(found.ok && found.value.first?.tensor.id).not.toBe(undefined);
      expect(found.ok && before.includes(found.value.first?.tensor.id ?? first.tensor.id)).toBe(false);
    }
    expect(reproduction.graph.nodes.length).toBeLessThanOrEqual(graph.nodes.length);
    expect(reproduction.comparison.maxAbs).toBeGreaterThan(tolerance);
  });
});

describe("the command", () => {
  test("writes the part with its inputs, and the command that shows it again", async () => {
    const folder = scratch.path("part");
    const words = ["bisect", tiny, "--data-set", set, "--tolerance", "1e-5", "--output-dir", folder];
    const ran = await lpuc(...words, "--json");
    const document = JSON.parse(ran.stdout) as {
      first: { tensor: string };
      reproduction: { command: string; nodes: number };
    };
    const schema = JSON.parse(readFileSync(join(root, "src", "schemas", "bisect.json"), "utf8")) as Record<
      string,
      unknown
    >;
    expect([ran.status, schemaProblems(schema, document)]).toEqual([5, []]);
    expect(document.reproduction.nodes).toBeLessThan(4);
    const shown = await lpuc(...document.reproduction.command.split(" ").slice(1));
    expect([shown.status, shown.stderr.includes("error[LPU6003]")]).toEqual([5, true]);
    const plain = await lpuc(...words);
    expect(plain.stdout).toContain(`first tensor  '${document.first.tensor}'`);
    expect(plain.stdout).toContain(document.reproduction.command);
    const recorded = readTensorProto(readFileSync(join(folder, "test_data_set_0", "output_0.pb")), "");
    expect(recorded.ok && recorded.value.name).toContain(document.first.tensor);
  });

  test("says that all agrees; asks for inputs that are missing", async () => {
    const agreed = await lpuc("bisect", tiny, "--data-set", set, "--precision", "fp32");
    expect([agreed.status, agreed.stdout]).toEqual([
      0,
      expect.stringMatching(/^all \d+ tensors agree within 0.0001\n$/),
    ]);
    const missing = await lpuc("bisect", tiny);
    expect([missing.status, missing.stderr]).toEqual([
      2,
      expect.stringContaining("inputs are missing: 'hidden_states'"),
    ]);
    const other = await lpuc("bisect", tiny, "-i", "hidden_state=1x6x32xf32=0");
    expect([other.status, other.stderr]).toEqual([2, expect.stringContaining("did you mean 'hidden_states'?")]);
  });

  test("onnxruntime as the reference agrees in single precision", async () => {
    const words = ["bisect", tiny, "--data-set", set, "--precision", "fp32", "--against", "ort"];
    const ran = await lpuc(...words, "--output-dir", scratch.path("ort"));
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    expect(ran.stdout).toMatch(/^all \d+ tensors agree/);
  });
});

test("lpuc run takes shapes, and values that shapes depend on, from the inputs given", async () => {
  const parts = [
    message(
      11,
      text(1, "x"),
      message(2, message(1, new Uint8Array([8, 1]), message(2, message(1, text(2, "n")), message(1, text(2, "m"))))),
    ),
    message(11, valueInfo("shape", 7, [2])),
    message(12, text(1, "y")),
    message(1, node("Reshape", ["x", "shape"], ["y"])),
  ];
  const path = scratch.path("reshape.onnx");
  writeFileSync(path, model(parts));
  const ran = await lpuc(
    "run",
    path,
    "-i",
    "x=2x6xf32=1,2,3,4,5,6,7,8,9,10,11,12",
    "-i",
    "shape=2xi64=4,3",
    "--against",
    "ort",
    "--json",
  );
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
  expect(JSON.parse(ran.stdout).outputs).toMatchObject([
    { name: "y", shape: [4, 3], maxAbs: 0, cosine: 1, argmaxAgreement: 1 },
  ]);
  const other = await lpuc("run", path, "-i", "x=2x6xf32=0", "-i", "shap=2xi64=4,3");
  expect([other.status, other.stderr]).toEqual([2, expect.stringContaining("did you mean 'shape'?")]);
});
