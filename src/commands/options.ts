// Every option of every command as one row. Help, parsing, did-you-mean and the refusal of what is not implemented derive from the rows.

import { fusionNames, fusions } from "../../ir/graph/fusions.ts";
import { modelPrecisions } from "../../ir/graph/precision.ts";

export interface OptionRow {
  /** As commander reads it: short and long name, value. */
  readonly flags: string;
  readonly summary: string;
  /** May be given several times. */
  readonly isRepeatable?: boolean;
  /** The only values there are; help lists them. */
  readonly values?: readonly string[];
}

export const optionRows = {
  // Compiling.
  target: {
    flags: "--target <name|file>",
    summary: "machine to compile for: a preset or a JSON file (default lpu-nvlink)",
  },
  chips: {
    flags: "--chips <n|auto>",
    summary: "number of chips; auto takes the fewest that hold the model (default auto)",
  },
  topology: { flags: "--topology <name>", summary: "how the chips are joined, instead of the target's own way" },
  dim: { flags: "--dim <name=size>", summary: "size of a symbolic dimension", isRepeatable: true },
  shape: { flags: "--shape <input=1x128>", summary: "shape of an input", isRepeatable: true },
  precision: {
    flags: "--precision <type>",
    summary:
      "type of matrix operands (default fp16; conformance fp32); w8a16: weights of MatMul and Gemm become int8, a scale a column; int8: what they are multiplied with too",
    values: modelPrecisions,
  },
  without: {
    flags: "--without-fusion <name>",
    summary: `leave out a fusion (${Object.entries(fusions)
      .map(([name, what]) => `${name}: ${what}`)
      .join("; ")})`,
    values: fusionNames,
    isRepeatable: true,
  },
  allowNarrowing: { flags: "--allow-narrowing", summary: "compile float64 models in float32" },
  assert: {
    flags: "--assert <condition>",
    summary: "fail unless it holds, such as 'latency_us<=120'",
    isRepeatable: true,
  },
  jobs: { flags: "--jobs <n>", summary: "use at most n threads; the program does not depend on it" },
  timePasses: { flags: "--time-passes", summary: "say how long each stage took" },
  parallel: {
    flags: "--parallel <how>",
    summary:
      "how chips share the work: stages of layers, every layer cut over all chips, or what is fastest (default pipeline)",
    values: ["pipeline", "tensor", "auto"],
  },
  tensorParallel: {
    flags: "--tensor-parallel <n>",
    summary: "chips that share every layer; each pipeline stage takes so many (default 1)",
  },
  pin: {
    flags: "--pin <node=chip>",
    summary: "keep a node of the model on a chip; its layer goes with it unless it is cut off",
    isRepeatable: true,
  },
  cutAfter: {
    flags: "--cut-after <node>",
    summary: "begin a new pipeline stage after a node",
    isRepeatable: true,
  },
  placement: { flags: "--placement <file>", summary: "place the model as this file says" },
  emitPlacement: { flags: "--emit-placement <file>", summary: "write the placement, to be edited and read back" },
  inFlight: {
    flags: "--in-flight <n>",
    summary: "at most n inferences under way at once (default: as many as the chips can have)",
  },
  shapesOnly: {
    flags: "--shapes-only",
    summary: "schedule without the weights of external files; no program is written",
  },
  pipeline: {
    flags: "--pipeline <text>",
    summary:
      "passes to run, with settings, such as 'import,legalise,shard,blocks,lower,schedule{effort=4}'; docs/passes.md",
  },
  dumpIr: { flags: "--dump-ir <pass|all>", summary: "write what a pass made to PROGRAM.ir/N.PASS.lpir" },
  stopAfter: { flags: "--stop-after <pass>", summary: "end after a pass; no program is written" },
  // Running.
  interpreter: {
    flags: "--interpreter <which>",
    summary:
      "interpreter that executes the program: products of matrices in vectors of the processor, or in plain loops; outputs, cycles and faults are the same (default fast)",
    values: ["fast", "reference"],
  },
  input: {
    flags: "-i, --input <name=value>",
    summary:
      "an input: name=@file.npy, name=@file.npz (its array of that name, or its only one), name=@file.pb, or name=1x128xi64=0 (one number, or all of them with commas)",
    isRepeatable: true,
  },
  dataSet: { flags: "--data-set <dir>", summary: "inputs from a folder with input_0.pb, input_1.pb, ..." },
  outputFile: {
    flags: "-o, --output <name=@file>",
    summary: "write an output to a .npy or .pb file",
    isRepeatable: true,
  },
  outputDir: { flags: "--output-dir <dir>", summary: "write every output, as NAME.npy and output_I.pb" },
  against: { flags: "--against <dir|ort>", summary: "compare with recorded outputs, or with onnxruntime" },
  reference: {
    flags: "--against <what>",
    summary: "what tensors are compared with: the meaning of the operators, or onnxruntime (default graph)",
    values: ["graph", "ort"],
  },
  reproductionDir: {
    flags: "--output-dir <dir>",
    summary: "folder for the smallest model that shows it, with inputs (default: the model's name with .bisect)",
  },
  tolerance: {
    flags: "--tolerance <x>",
    summary:
      "largest difference that still agrees, relative to the largest magnitude where that is above 1 (default 1e-4 in fp32, 2e-2 in fp16)",
  },
  caseTolerance: {
    flags: "--tolerance <x>",
    summary:
      "largest relative difference that still agrees (default 1e-3; 1e-7 absolute in any case; fp16 adds its roundings)",
  },
  compareTo: {
    flags: "--relative-to <what>",
    summary:
      "compare with each element, as the backend suite does, or with the output's largest magnitude (default element)",
    values: ["element", "scale"],
  },
  resume: {
    flags: "--resume <file>",
    summary: "keep the results in this file as they come, and do not run what it has",
  },
  prompt: { flags: "--prompt <text>", summary: "the text to continue" },
  tokenizer: {
    flags: "--tokenizer <file>",
    summary:
      "the model's tokens: JSON with pieces and scores or with a vocabulary of characters, or llama2.c's binary form",
  },
  count: { flags: "-n, --tokens <n>", summary: "generate at most n tokens (default 32)" },
  // Files and viewing.
  programFile: { flags: "-o, --output <file>", summary: "file for the program (default: the model's name with .lpu)" },
  resultFile: { flags: "-o, --output <file>", summary: "write the result to a file instead of the standard output" },
  assembledFile: { flags: "-o, --output <file>", summary: "file for the program (default: the text's name with .lpu)" },
  section: {
    flags: "--section <name>",
    summary: "only this part",
    values: ["program", "stages", "sram", "links", "layers", "critical-path"],
  },
  chip: { flags: "--chip <c>", summary: "only this chip" },
  unit: { flags: "--unit <u>", summary: "only this unit, or units whose name starts so: MEM.W12.R, MEM.W, VXM" },
  cycles: { flags: "--cycles <a:b>", summary: "only bursts that issue in cycles a to b - 1" },
  format: {
    flags: "--format <format>",
    summary:
      "form of the schedule: for people, for programs, for trace viewers, or as a page for a browser (default text)",
    values: ["text", "json", "csv", "perfetto", "chrome", "html"],
  },
  seed: { flags: "--seed <n>", summary: "chooses the random numbers of the data-flow proof (default 0)" },
  listed: { flags: "--list <n>", summary: "violations listed for each invariant (default 20); all are counted" },
  listedChanges: { flags: "--list <n>", summary: "kernels and queues listed (default 10)" },
  // The passes alone.
  partitionChips: {
    flags: "--chips <n>",
    summary: "number of chips, where the problem does not say; of a model, this number only",
  },
  capacity: { flags: "--capacity <n>", summary: "bytes of each chip, or size of the address space" },
  budget: { flags: "--budget <n>", summary: "units of search work before the best found is given" },
  chunks: {
    flags: "--chunks <n>",
    summary: "equal parts a block is cut into (default: the number with the least rounds a part)",
  },
  objective: {
    flags: "--objective <what>",
    summary: "fewest steps, or fewest rounds a chunk (default latency)",
    values: ["latency", "bandwidth"],
  },
  steps: { flags: "--steps <n>", summary: "at most so many steps" },
  // Comparing and exploring.
  device: { flags: "--device <name>", summary: "only this machine (default: all there are)", isRepeatable: true },
  sweepTargets: {
    flags: "--target <list>",
    summary: "machines, with commas: presets or JSON files (default lpu-nvlink)",
    isRepeatable: true,
  },
  sweepChips: {
    flags: "--chips <list>",
    summary: "numbers of chips, such as 1,2,4-6,auto (default auto)",
    isRepeatable: true,
  },
  sweepTopologies: {
    flags: "--topology <list>",
    summary: "how the chips are joined, with commas (default: the target's own way)",
    isRepeatable: true,
  },
  sweepPrecisions: {
    flags: "--precision <list>",
    summary: `types of matrix operands, with commas: ${modelPrecisions.join(", ")} (default fp16)`,
    isRepeatable: true,
  },
  sweepParallel: {
    flags: "--parallel <list>",
    summary: "how chips share the work, with commas: pipeline, tensor, auto (default pipeline)",
    isRepeatable: true,
  },
  sweepTensorParallel: {
    flags: "--tensor-parallel <list>",
    summary: "numbers of chips that share every layer, with commas (default 1)",
    isRepeatable: true,
  },
  set: {
    flags: "--set <key=list>",
    summary: "numbers of the target instead of its own, such as link.latency=450,900",
    isRepeatable: true,
  },
  exploreFormat: {
    flags: "--format <format>",
    summary: "form of the result: a table for people, or comma-separated values (default text)",
    values: ["text", "csv"],
  },
  problemFormat: {
    flags: "--format <how>",
    summary:
      "form of the problems on the standard output: for people, as annotations, or as a SARIF document (default text)",
    values: ["text", "github", "sarif"],
  },
  // Everywhere.
  json: { flags: "--json", summary: "print one JSON document" },
  quiet: { flags: "-q, --quiet", summary: "print errors only" },
  verbose: { flags: "-v, --verbose", summary: "say more on the way" },
  color: {
    flags: "--color <when>",
    summary: "colours in messages (default auto)",
    values: ["auto", "always", "never"],
  },
  debug: { flags: "--debug", summary: "print the stack of a bug in lpuc" },
} as const satisfies Readonly<Record<string, OptionRow>>;

export type OptionName = keyof typeof optionRows;

export const everywhere = ["json", "quiet", "verbose", "color", "debug"] as const satisfies readonly OptionName[];

/** Shared by all commands that compile a model. */
export const compiling = [
  "target",
  "chips",
  "topology",
  "pin",
  "cutAfter",
  "placement",
  "parallel",
  "tensorParallel",
  "dim",
  "shape",
  "precision",
  "without",
  "allowNarrowing",
  "inFlight",
  "shapesOnly",
  "pipeline",
  "dumpIr",
  "stopAfter",
  "assert",
  "jobs",
  "timePasses",
] as const satisfies readonly OptionName[];

/** Compiling without what belongs to one model. */
export const compilingMany = compiling.filter(
  (name) =>
    ![
      "dim",
      "shape",
      "assert",
      "timePasses",
      "pin",
      "cutAfter",
      "placement",
      "pipeline",
      "dumpIr",
      "stopAfter",
    ].includes(name),
);

/** Compiling for executions of one program, one after the other. */
export const generating = compiling.filter(
  (name) => !["inFlight", "shapesOnly", "pipeline", "dumpIr", "stopAfter", "timePasses"].includes(name),
);

/** Compiling for one system, without files of its own. */
export const comparing = compiling.filter((name) => !["pipeline", "dumpIr", "stopAfter", "timePasses"].includes(name));

/** Compiling for many systems: what a sweep lists has options of its own. */
export const exploring = compiling.filter((name) =>
  ["dim", "shape", "without", "allowNarrowing", "shapesOnly", "inFlight", "assert", "jobs"].includes(name),
);

/** What decides the numbers a model computes, and nothing else. */
export const compilingPart = [
  "target",
  "chips",
  "topology",
  "dim",
  "shape",
  "precision",
  "allowNarrowing",
] as const satisfies readonly OptionName[];

/** The name commander stores an option under: its long flag in camel case. */
export function attributeOf(row: OptionRow): string {
  const long = /--([a-z-]+)/.exec(row.flags)?.[1] ?? "";
  return long.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export const longFlag = (row: OptionRow): string => `--${/--([a-z-]+)/.exec(row.flags)?.[1] ?? ""}`;
