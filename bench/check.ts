// Figures of `lpuc check`: seconds and peak memory for a large model whose weights lie outside, and seconds for one that holds its own. Knows the
// models, not how a bench is run.
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { checkCommand } from "../src/commands/check.ts";
import type { Session } from "../src/commands/session.ts";
import { externalTransformerModel, transformerModel } from "../src/modelgen/transformer-model.ts";
import type { TransformerOptions } from "../src/modelgen/transformer-options.ts";
import { type Bench, BenchFailure, type Figure, timed } from "./measure.ts";

const WEIGHTS = "weights.bin";

/** BERT-large with its tables: 335 M parameters, 1.34 GB in fp32. */
const bertLarge: TransformerOptions = {
  kind: "encoder",
  layers: 24,
  d: 1024,
  heads: 16,
  ffn: 4096,
  seq: 384,
  vocab: 30522,
  output: "pooler",
  attentionMask: true,
  shapeStyle: "computed",
};

/** 25 M parameters, 100 MB in fp32. */
const hundredMegabytes: TransformerOptions = {
  ...bertLarge,
  layers: 7,
  d: 512,
  heads: 8,
  ffn: 2048,
  vocab: 5700,
  seq: 128,
};

function checked(path: string): { readonly seconds: number; readonly parameters: number; readonly nodes: number } {
  const session: Session = {
    command: "check",
    operands: [path],
    given: new Map(),
    color: false,
    writeErr: () => undefined,
    isTerminal: false,
    warnings: [],
    times: [],
  };
  const { value: outcome, seconds } = timed(() => checkCommand(session));
  if (!outcome.ok) throw new BenchFailure(outcome.diagnostics.map(({ message }) => message).join("; "));
  const { supported, parameters, nodes } = outcome.value.json;
  if (supported !== true) throw new BenchFailure("the model is not supported");
  return { seconds, parameters: Number(parameters), nodes: Number(nodes) };
}

/** The file of weights: of the right length, without contents. */
function emptyWeights(path: string): number {
  const { dataBytes } = externalTransformerModel(bertLarge, WEIGHTS);
  const file = openSync(path, "w");
  ftruncateSync(file, dataBytes);
  closeSync(file);
  return dataBytes;
}

function largeCheck(name: string, unit: "s" | "MB", limit: number): Bench {
  return {
    name,
    title: `${unit === "s" ? "check" : "peak memory of check"}, BERT-large shape, 1.3 GB of external weights`,
    limit: { rule: "at most", value: limit },
    files: { "model.onnx": () => externalTransformerModel(bertLarge, WEIGHTS).model },
    measure: (files): Figure => {
      const dataBytes = emptyWeights(files.path(WEIGHTS));
      const { seconds, parameters, nodes } = checked(files.path("model.onnx"));
      const megabytes = process.resourceUsage().maxRSS / 1e3;
      const details = { seconds, megabytes, dataBytes, parameters, nodes };
      return { value: unit === "s" ? seconds : megabytes, unit, details };
    },
  };
}

const insideCheck: Bench = {
  name: "check-100mb",
  title: "check, 100 MB model with its weights inside",
  limit: { rule: "at most", value: 2 },
  files: { "model.onnx": () => transformerModel(hundredMegabytes) },
  measure: (files): Figure => {
    const { seconds, parameters, nodes } = checked(files.path("model.onnx"));
    return {
      value: seconds,
      unit: "s",
      details: { megabytes: process.resourceUsage().maxRSS / 1e3, parameters, nodes },
    };
  },
};

export const checkBenches: readonly Bench[] = [
  largeCheck("check-large", "s", 3),
  largeCheck("check-large-memory", "MB", 300),
  insideCheck,
];
