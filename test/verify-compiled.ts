// Small models compiled for the verifier's tests: between them they use every target preset the compiler serves, both float precisions, int8
// products, table look-ups by run-time tokens, transpositions and several chips.
import { join } from "node:path";
import type { onnx as Onnx } from "onnx-proto";
import onnxProto from "onnx-proto";
import { textBytesOf } from "../backends/encode/queues.ts";
import type { Program } from "../ir/machine/program.ts";
import { compileGraph } from "../passes/compile/compile.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { bytesSource, readFileBytes } from "../src/io.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { importModel } from "../src/onnx/import.ts";
import { presetTarget } from "../src/targets/presets.ts";

const { onnx } = onnxProto;

export interface CompiledCase {
  readonly name: string;
  readonly target: string;
  readonly chips: number;
  readonly precision: "fp16" | "fp32";
  readonly model: () => Uint8Array;
}

const matrix = (name: string, dims: readonly number[], dataType: number, rawData: Uint8Array): Onnx.ITensorProto => ({
  name,
  dims: [...dims],
  dataType,
  rawData,
});

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

const valueInfo = (name: string, elemType: number, dims: readonly number[]): Onnx.IValueInfoProto => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
});

/** Quantise, int8 product, scale back, transpose: y[n, m] of x[m, k]. */
function quantisedModel(): Uint8Array {
  const [m, k, n] = [5, 12, 9];
  const weights = Uint8Array.from({ length: k * n }, (_, i) => (i * 37 + 11) % 251);
  const node = (opType: string, input: readonly string[], output: string): Onnx.INodeProto => ({
    name: `/${output}`,
    opType,
    input: [...input],
    output: [output],
  });
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: "", version: 17 }],
    graph: {
      name: "quantised",
      node: [
        node("QuantizeLinear", ["x", "scale", "zero"], "xq"),
        node("MatMulInteger", ["xq", "w"], "sums"),
        node("Cast", ["sums"], "wide"),
        node("Mul", ["wide", "back"], "scaled"),
        node("Transpose", ["scaled"], "y"),
      ],
      initializer: [
        matrix("scale", [], 1, floats(0.02)),
        matrix("zero", [], 3, Uint8Array.of(3)),
        matrix("w", [k, n], 3, weights),
        matrix("back", [], 1, floats(0.0004)),
      ],
      input: [valueInfo("x", 1, [m, k])],
      output: [valueInfo("y", 1, [n, m])],
    },
  };
  for (const one of model.graph.node) {
    if (one.opType === "Cast") Object.assign(one, { attribute: [{ name: "to", type: 2, i: 1 }] });
    if (one.opType === "Transpose") Object.assign(one, { attribute: [{ name: "perm", type: 7, ints: [1, 0] }] });
  }
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish();
}

/** A table chosen from by run-time indices, and a row of it by another index. */
function gatherModel(): Uint8Array {
  const [rows, width] = [11, 20];
  const table = Float32Array.from({ length: rows * width }, (_, i) => ((i * 29) % 64) / 16 - 2);
  const gather = (input: readonly string[], output: string): Onnx.INodeProto => ({
    name: `/${output}`,
    opType: "Gather",
    input: [...input],
    output: [output],
  });
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: "", version: 17 }],
    graph: {
      name: "gather",
      node: [
        gather(["table", "ids"], "rows"),
        { name: "/sum", opType: "Add", input: ["rows", "bias"], output: ["sum"] },
        gather(["sum", "which"], "y"),
      ],
      initializer: [
        matrix("table", [rows, width], 1, new Uint8Array(table.buffer)),
        matrix("bias", [6, width], 1, new Uint8Array(Float32Array.from({ length: 6 * width }, (_, i) => i / 8).buffer)),
      ],
      input: [valueInfo("ids", 7, [6]), valueInfo("which", 7, [2])],
      output: [valueInfo("y", 1, [2, width])],
    },
  };
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish();
}

function adderModel(): Uint8Array {
  const bytes = readFileBytes(join(import.meta.dirname, "..", "models", "adder.onnx"));
  if (!bytes.ok) throw new Error("models/adder.onnx is missing");
  return bytes.value;
}

const tiny = { layers: 2, d: 16, heads: 2, ffn: 24, seq: 6 } as const;

export const compiledCases: readonly CompiledCase[] = [
  { name: "adder", target: "lpu-nvlink", chips: 4, precision: "fp32", model: adderModel },
  {
    name: "decoder",
    target: "groqchip1",
    chips: 2,
    precision: "fp16",
    model: () => transformerModel({ ...tiny, kind: "decoder", vocab: 13 }),
  },
  {
    name: "encoder",
    target: "lp30",
    chips: 2,
    precision: "fp16",
    model: () => transformerModel({ ...tiny, kind: "encoder", input: "hidden", output: "pooler", attentionMask: true }),
  },
  {
    name: "rope",
    target: "lpu-nvlink",
    chips: 1,
    precision: "fp32",
    model: () =>
      transformerModel({
        ...tiny,
        layers: 1,
        kind: "decoder",
        input: "hidden",
        output: "hidden",
        norm: "rmsnorm",
        activation: "swiglu",
        positions: "rope",
        kvHeads: 1,
        bias: false,
      }),
  },
  { name: "gather", target: "ftlpu32", chips: 1, precision: "fp32", model: gatherModel },
  { name: "quantised", target: "groqchip1", chips: 1, precision: "fp16", model: quantisedModel },
];

export function compileCase({ name, target: targetName, chips, precision, model }: CompiledCase): Program {
  const target = presetTarget(targetName);
  if (target === undefined) throw new Error(`no target ${targetName}`);
  const imported = importModel(bytesSource(model()), {
    path: `${name}.onnx`,
    dims: new Map(),
    shapes: new Map(),
    external: () => ({ refused: "the model has its weights inside", outside: true }),
  });
  if (!imported.ok) throw new Error(imported.diagnostics.map((one) => one.message).join("\n"));
  const core = legalise(imported.value.graph, { precision });
  if (!core.ok) throw new Error(core.diagnostics.map((one) => one.message).join("\n"));
  const compiled = compileGraph(core.value, target, {
    chips,
    modelName: name,
    precision,
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  if (!compiled.ok) throw new Error(compiled.diagnostics.map((one) => one.message).join("\n"));
  return compiled.value.program;
}
