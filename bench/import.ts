// Figures of importing: seconds from a model file to the folded graph and the core graph behind it.
import { legalise } from "../passes/legalise/legalise.ts";
import { importFile } from "../src/compile-model.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { type Bench, BenchFailure } from "./measure.ts";

/** 24 layers as the PyTorch exporter writes them: norms and shapes in primitive nodes, constants as nodes. */
const decoder: Bench = {
  name: "import-decoder",
  title: "CPU seconds to import, fold and legalise a decoder of 24 layers and more than 2,000 nodes",
  limit: { rule: "at most", value: 2 },
  files: {
    "model.onnx": () =>
      transformerModel({
        kind: "decoder",
        layers: 24,
        d: 64,
        heads: 4,
        ffn: 256,
        seq: 32,
        vocab: 100,
        norm: "layernorm-decomposed",
        shapeStyle: "computed",
        constantStyle: "node",
        activation: "gelu-tanh",
        positions: "rope",
      }),
  },
  measure: (files) => {
    const before = process.cpuUsage();
    const imported = importFile(files.path("model.onnx"), { dims: new Map(), shapes: new Map() });
    if (!imported.ok) throw new BenchFailure(imported.diagnostics[0]?.message ?? "the import failed");
    const core = legalise(imported.value.graph, { precision: "fp16" });
    if (!core.ok) throw new BenchFailure(core.diagnostics[0]?.message ?? "legalising failed");
    const { user, system } = process.cpuUsage(before);
    const foldedNodes = imported.value.graph.nodes.length;
    return { value: (user + system) / 1e6, unit: "s", details: { foldedNodes, coreNodes: core.value.nodes.length } };
  },
};

export const importBenches: readonly Bench[] = [decoder];
