// Figures of the whole line: cycles of compiled programs against their bounds, seconds of the compiler and of the interpreter. Knows the models
// and the bounds, not how a bench is run.
import { readFileSync } from "node:fs";
import type { HostTensor } from "../backends/interp/host.ts";
import type { Target } from "../ir/target/target.ts";
import { ffnModel, matmulModel, transformerModel } from "../src/modelgen/transformer-model.ts";
import { bertBaseOptions } from "../src/modelgen/transformer-options.ts";
import { readTensorProto } from "../src/onnx/tensor-file.ts";
import {
  type Bench,
  BenchFailure,
  compileFile,
  execute,
  type Figure,
  macsPerCycle,
  plainInputs,
  publicData,
  targetNamed,
} from "./measure.ts";

function product(columns: number): Bench {
  const m = 2304;
  const k = 4096;
  return {
    name: `matmul-${columns}`,
    title: `MXM utilisation, fp16 [${m}x${k}].[${k}x${columns}], groqchip1`,
    limit: { rule: "at least", value: 80 },
    files: { "model.onnx": () => matmulModel({ m, k, n: columns, precision: "float16" }) },
    measure: (files) => {
      const target = targetNamed("groqchip1");
      const { value, seconds } = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" });
      const { latencyCycles } = value.program;
      const boundCycles = (m * k * columns) / macsPerCycle(target, "fp16");
      const details = { latencyCycles, boundCycles: Math.ceil(boundCycles), compileSeconds: seconds };
      return { value: (boundCycles / latencyCycles) * 100, unit: "%", details };
    },
  };
}

/** Cycles one vector takes from a slice beside the matrix units through them and back, when nothing is in its way. */
function fixedCycles(target: Target): number {
  const { mem, mxm, verticalRipple } = target;
  const hops = 2;
  const { lw, iw, abc, acc } = mxm.latency;
  return mem.latency.read + lw + iw + abc + acc + hops + mem.latency.write + verticalRipple;
}

const vectorProduct: Bench = {
  name: "gemv",
  title: "cycles over the weight-load bound, fp16 [1x1024].[1024x2048], groqchip1",
  limit: { rule: "at most", value: 1.5 },
  files: { "model.onnx": () => matmulModel({ m: 1, k: 1024, n: 2048, precision: "float16" }) },
  measure: (files) => {
    const target = targetNamed("groqchip1");
    const { value, seconds } = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" });
    const { latencyCycles } = value.program;
    const { planes, loadStreamsPerPlane } = target.mxm;
    const loadCycles = Math.ceil((1024 * 2048 * 2) / (planes * loadStreamsPerPlane * target.lanes));
    const fixed = fixedCycles(target);
    const details = { latencyCycles, loadCycles, fixedCycles: fixed, compileSeconds: seconds };
    return { value: latencyCycles / (loadCycles + fixed), unit: "x", details };
  },
};

function bertLayerMacs(): number {
  const { seq, d, ffn } = bertBaseOptions;
  return seq * (4 * d * d + 2 * d * ffn) + 2 * seq * seq * d;
}

const bertLayer: Bench = {
  name: "bert-layer",
  title: "cycles over the MXM bound, one BERT-base layer, seq 128, fp16, groqchip1",
  limit: { rule: "at most", value: 2 },
  files: { "model.onnx": () => transformerModel({ ...bertBaseOptions, layers: 1 }) },
  measure: (files) => {
    const target = targetNamed("groqchip1");
    const { value, seconds } = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" });
    const { latencyCycles } = value.program;
    const boundCycles = bertLayerMacs() / macsPerCycle(target, "fp16");
    const details = { latencyCycles, boundCycles: Math.ceil(boundCycles), compileSeconds: seconds };
    return { value: latencyCycles / boundCycles, unit: "x", details };
  },
};

function bertCompile(name: string, limit: number, unit: "s" | "GB"): Bench {
  return {
    name,
    title: `${unit === "s" ? "compile time" : "peak memory of the compile"}, 12-layer BERT-base shape, fp16, 2 chips`,
    limit: { rule: "at most", value: limit },
    files: { "model.onnx": () => transformerModel(bertBaseOptions) },
    measure: (files): Figure => {
      const target = targetNamed("lpu-nvlink");
      const { value, seconds } = compileFile(files.path("model.onnx"), { target, chips: 2, precision: "fp16" });
      const gigabytes = process.resourceUsage().maxRSS / 1e6;
      const { latencyCycles, chips } = value.program;
      const weightBytes = value.program.stages.reduce((sum, stage) => sum + stage.weightBytes, 0);
      const details = { seconds, gigabytes, latencyCycles, chips: chips.length, weightBytes };
      return { value: unit === "s" ? seconds : gigabytes, unit, details };
    },
  };
}

const keywordSpotter: Bench = {
  name: "kwt-run",
  title: "reference interpreter, KWT-1 encoder, one inference, fp32",
  limit: { rule: "at most", value: 60 },
  files: {},
  measure: () => {
    const model = publicData("models/kwt1.encoder/model.onnx");
    const word = publicData("models/kwt1.encoder/test_data_set_0/input_0.pb");
    if (model === undefined || word === undefined) return { skipped: "no ../shared/data/models/kwt1.encoder" };
    const target = targetNamed("lpu-nvlink");
    const compiled = compileFile(model, { target, chips: 1, precision: "fp32", dims: { batch: 1 } });
    const { program } = compiled.value;
    const read = readTensorProto(readFileSync(word), word);
    if (!read.ok) throw new BenchFailure(read.diagnostics.map((d) => d.message).join("; "));
    const inputs = new Map<string, HostTensor>();
    for (const { kind, name } of program.bindings) if (kind === "input") inputs.set(name, read.value.tensor);
    const { value, seconds } = execute(program, inputs);
    const { executedCycles, profile } = value;
    const details = { executedCycles, macs: profile.macs, compileSeconds: compiled.seconds };
    return { value: seconds, unit: "s", details };
  },
};

const interpreterRate: Bench = {
  name: "interp-rate",
  title: "reference interpreter, multiply-accumulates, fp16 [128x576].[576x1536], ftlpu32",
  limit: { rule: "at least", value: 12 },
  files: { "model.onnx": () => matmulModel({ m: 128, k: 576, n: 1536, precision: "float16" }) },
  measure: (files) => {
    const target = targetNamed("ftlpu32");
    const compiled = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" });
    const { program } = compiled.value;
    const { value, seconds } = execute(program, plainInputs(program));
    const macs = 128 * 576 * 1536;
    const details = { seconds, macs, executedCycles: value.executedCycles, compileSeconds: compiled.seconds };
    return { value: macs / seconds / 1e6, unit: "M/s", details };
  },
};

/** The least of several runs of each interpreter, taken in turns. */
function interpreterRatio(name: string, what: string, least: number, model: () => Uint8Array): Bench {
  return {
    name,
    title: `fast interpreter over the reference, ${what}, fp16, groqchip1`,
    limit: { rule: "at least", value: least },
    files: { "model.onnx": model },
    measure: (files) => {
      const target = targetNamed("groqchip1");
      const { program } = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" }).value;
      const inputs = plainInputs(program);
      let [reference, fast, macs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
      for (let turn = 0; turn < 3; turn++) {
        reference = Math.min(reference, execute(program, inputs).seconds);
        const run = execute(program, inputs, true);
        fast = Math.min(fast, run.seconds);
        macs = run.value.profile.macs;
      }
      const details = { referenceSeconds: reference, fastSeconds: fast, macs };
      return { value: reference / fast, unit: "x", details };
    },
  };
}

const interpreterRatios: readonly Bench[] = [
  interpreterRatio("interp-fast", "[1024x1024].[1024x1024]", 2, () =>
    matmulModel({ m: 1024, k: 1024, n: 1024, precision: "float16" }),
  ),
  interpreterRatio("interp-fast-bert", "one BERT-base layer, seq 128", 1.3, () =>
    transformerModel({ ...bertBaseOptions, layers: 1 }),
  ),
];

const decodeFeedForward: Bench = {
  name: "smollm2-ffn",
  title: "cycles of a decode FFN, [1x576], SwiGLU over 1536, fp16, ftlpu32",
  limit: { rule: "report" },
  files: { "model.onnx": () => ffnModel({ rows: 1, d: 576, ffn: 1536, activation: "swiglu", bias: false }) },
  measure: (files) => {
    const target = targetNamed("ftlpu32");
    const { value, seconds } = compileFile(files.path("model.onnx"), { target, chips: 1, precision: "fp16" });
    const { planes, loadStreamsPerPlane } = target.mxm;
    const loadCycles = Math.ceil((3 * 576 * 1536 * 2) / (planes * loadStreamsPerPlane * target.lanes));
    const { latencyCycles } = value.program;
    return { value: latencyCycles, unit: "cycles", details: { loadCycles, compileSeconds: seconds } };
  },
};

export const lineBenches: readonly Bench[] = [
  product(1376),
  product(3500),
  vectorProduct,
  bertLayer,
  bertCompile("bert-compile", 30, "s"),
  bertCompile("bert-compile-memory", 3, "GB"),
  keywordSpotter,
  interpreterRate,
  ...interpreterRatios,
  decodeFeedForward,
];
