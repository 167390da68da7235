// Small models that between them use every part of the file format: what damaged models are made from. Public models beside the checkout join
// them where they are present.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import onnxProto from "onnx-proto";
import { transformerModel } from "../src/modelgen/transformer-model.ts";

const { onnx } = onnxProto;
const LARGEST_SAMPLE = 1 << 15;

const value = (name: string, elemType: number, dims: readonly (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: dims.map((dim) => (typeof dim === "number" ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
});
const int = (name: string, i: number) => ({ name, type: 2, i });
const ints = (name: string, list: readonly number[]) => ({ name, type: 7, ints: [...list] });

/** Every way to store a tensor, sparse and external ones among them. */
function storageModel(): Uint8Array {
  const floats = Array.from({ length: 6 }, (_, i) => i / 4);
  const raw = new Uint8Array(Float32Array.from(floats).buffer);
  const names = ["raw", "typed", "half", "outside", "sparse"];
  const nodes = names.map((name, i) => ({
    opType: "Add",
    name: `add${i}`,
    input: [i === 0 ? "x" : `s${i - 1}`, name === "half" ? "wide" : name],
    output: [i + 1 === names.length ? "y" : `s${i}`],
  }));
  return onnx.ModelProto.encode({
    irVersion: 8,
    producerName: "fuzz",
    opsetImport: [{ domain: "", version: 17 }],
    metadataProps: [{ key: "a", value: "b" }],
    graph: {
      name: "storage",
      input: [value("x", 1, [2, 3])],
      output: [value("y", 1, [2, 3])],
      node: [{ opType: "Cast", name: "cast", input: ["half"], output: ["wide"], attribute: [int("to", 1)] }, ...nodes],
      initializer: [
        { name: "raw", dims: [2, 3], dataType: 1, rawData: raw },
        { name: "typed", dims: [2, 3], dataType: 1, floatData: floats },
        { name: "half", dims: [2, 3], dataType: 10, int32Data: [0, 15360, 16384, 48128, 1, 2] },
        {
          name: "outside",
          dims: [2, 3],
          dataType: 1,
          dataLocation: 1,
          externalData: [
            { key: "location", value: "weights.bin" },
            { key: "offset", value: "8" },
            { key: "length", value: "24" },
          ],
        },
      ],
      sparseInitializer: [
        {
          values: { name: "sparse", dims: [2], dataType: 1, floatData: [3, 4] },
          indices: { dims: [2], dataType: 7, int64Data: [1, 5] },
          dims: [2, 3],
        },
      ],
    },
  }).finish();
}

/** A function with an attribute, an If, a Loop and shape arithmetic. */
function controlModel(): Uint8Array {
  const branch = (name: string, op: string) => ({
    name,
    node: [{ opType: op, input: ["h"], output: [`${name}_y`] }],
    output: [value(`${name}_y`, 1, [2, 3])],
  });
  const body = {
    name: "body",
    input: [value("trip", 7, []), value("go", 9, []), value("carried", 1, [2, 3])],
    output: [value("again", 9, []), value("next", 1, [2, 3])],
    node: [
      { opType: "Identity", input: ["go"], output: ["again"] },
      { opType: "Add", input: ["carried", "h"], output: ["next"] },
    ],
  };
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: "", version: 17 },
      { domain: "local", version: 1 },
    ],
    functions: [
      {
        name: "twice",
        domain: "local",
        input: ["a"],
        output: ["b"],
        attribute: ["alpha"],
        opsetImport: [{ domain: "", version: 17 }],
        node: [
          {
            opType: "LeakyRelu",
            input: ["a"],
            output: ["r"],
            attribute: [{ name: "alpha", type: 1, refAttrName: "alpha" }],
          },
          { opType: "Add", input: ["r", "r"], output: ["b"] },
        ],
      },
    ],
    graph: {
      name: "control",
      input: [value("x", 1, ["n", 3])],
      output: [value("y", 1, ["n", 3])],
      node: [
        {
          opType: "twice",
          domain: "local",
          input: ["x"],
          output: ["h"],
          attribute: [{ name: "alpha", type: 1, f: 0.5 }],
        },
        { opType: "Shape", input: ["h"], output: ["shape"] },
        { opType: "Gather", input: ["shape", "zero"], output: ["rows"], attribute: [int("axis", 0)] },
        { opType: "Constant", output: ["zero"], attribute: [int("value_int", 0)] },
        { opType: "Constant", output: ["two"], attribute: [int("value_int", 2)] },
        { opType: "Equal", input: ["rows", "two"], output: ["isTwo"] },
        {
          opType: "If",
          input: ["isTwo"],
          output: ["z"],
          attribute: [
            { name: "then_branch", type: 5, g: branch("then", "Relu") },
            { name: "else_branch", type: 5, g: branch("else", "Neg") },
          ],
        },
        { opType: "Loop", input: ["two", "", "z"], output: ["w"], attribute: [{ name: "body", type: 5, g: body }] },
        { opType: "Transpose", input: ["w"], output: ["t"], attribute: [ints("perm", [1, 0])] },
        { opType: "Reshape", input: ["t", "shape"], output: ["y"] },
      ],
    },
  }).finish();
}

function tinyTransformer(): Uint8Array {
  const shape = { layers: 1, d: 8, heads: 2, ffn: 16, seq: 4, vocab: 11 } as const;
  return transformerModel({ kind: "decoder", ...shape, shapeStyle: "computed", norm: "layernorm-decomposed" });
}

/** Bytes of the file that the models here call `weights.bin`. */
export const externalBytes: Uint8Array = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) % 120);

function publicModels(): Uint8Array[] {
  const beside = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "shared", "data");
  const root = process.env.LPUC_SHARED_DATA ?? beside;
  return ["onnx-node", "graphs"]
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name, "model.onnx")))
    .filter((path) => existsSync(path) && statSync(path).size <= LARGEST_SAMPLE)
    .sort()
    .map((path) => readFileSync(path));
}

export const ownModels = (): Uint8Array[] => [storageModel(), controlModel(), tinyTransformer()];
export const sampleModels = (): Uint8Array[] => [...ownModels(), ...publicModels()];
