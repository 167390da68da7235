// `lpuc run`: executes a program, or a model compiled on the spot, in the interpreter; writes and compares its outputs.

import { describeFault } from "../../backends/interp/fault.ts";
import { interpret } from "../../backends/interp/interpret.ts";
import { interpretOverlapped } from "../../backends/interp/overlap.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { compileModel, type ModelMade } from "../compile-model.ts";
import { openByteSource } from "../io.ts";
import { type Comparison, compareTensors, isNear, shapeAndType } from "../report/compare.ts";
import { type ProgramReport, programReport } from "../report/program-report.ts";
import { certificateLines } from "../report/program-text.ts";
import { columns, grouped, short } from "../report/table.ts";
import { assertionsOf, failedAssertions } from "./asserts.ts";
import { timesTable } from "./compile.ts";
import { givenInputs, modelInputs, type Tensors, toleranceOf, unknownInputs, valuesOf } from "./given-inputs.ts";
import { modelOptions } from "./model-options.ts";
import { runOnnxruntime } from "./onnxruntime.ts";
import { observerOf } from "./pipeline-options.ts";
import { openProgram } from "./program-file.ts";
import {
  badOption,
  endStage,
  isSet,
  type Outcome,
  operand,
  optionValue,
  optionValues,
  progress,
  type Session,
  stage,
  stageTimes,
  warn,
  wholeOption,
} from "./session.ts";
import { outputOptions, recordedOutputs, writeOutputs, writeTensorAt } from "./tensors.ts";

const compileOnly = [
  "target",
  "chips",
  "topology",
  "dim",
  "shape",
  "precision",
  "allowNarrowing",
  "parallel",
  "tensorParallel",
  "shapesOnly",
  "pipeline",
  "dumpIr",
  "stopAfter",
] as const;

/** Does the file start as a program does? Anything else is taken as a model. */
function isProgramFile(path: string): Result<boolean> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const head = source.value.read(0, 4);
  source.value.close();
  return ok(head[0] === 0x89 && head[1] === 0x4c && head[2] === 0x50 && head[3] === 0x55);
}

/** The model compiled; symbolic dimensions take the sizes of the inputs given, shapes that depend on inputs their values. */
function compiledProgram(session: Session, path: string, inputs: Tensors): Result<Program> {
  const options = modelOptions(session);
  if (isSet(session, "shapesOnly")) return fail(badOption("shapesOnly", "a program without weights cannot be run"));
  const observer = observerOf(session, "encode");
  if (!options.ok || !observer.ok) {
    return { ok: false, diagnostics: [options, observer].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  if (observer.value.last !== "encode" && observer.value.last !== "assemble") {
    const option = isSet(session, "stopAfter") ? "stopAfter" : "pipeline";
    return fail(badOption(option, `the pipeline ends after ${observer.value.last}, before there is a program to run`));
  }
  const { onMade, ...settings } = observer.value.options;
  const follow = (made: ModelMade): boolean => onMade?.(made) !== false || made.pass === "assemble";
  const compiled = compileModel(path, { ...options.value, ...settings, onMade: follow, values: valuesOf(inputs) });
  endStage(session);
  if (observer.value.problems.length > 0) return { ok: false, diagnostics: observer.value.problems };
  if (!compiled.ok) return compiled;
  warn(session, compiled.value.imported.warnings);
  return ok(compiled.value.program);
}

function openedProgram(session: Session, path: string): Result<Program> {
  const useless = compileOnly.filter((name) => isSet(session, name));
  if (useless.length === 0) return openProgram(path);
  return fail(
    ...useless.map((name) => badOption(name, "a program is compiled already; give the model to compile it again")),
  );
}

/** What is wrong with the inputs, by the program's bindings. */
function inputProblems(program: Program, inputs: Tensors): readonly Diagnostic[] {
  const wanted = program.bindings.filter(({ kind }) => kind === "input");
  const unknown = unknownInputs(
    wanted.map(({ name }) => name),
    inputs,
  );
  const wrong = wanted.flatMap((binding) => {
    const tensor = inputs.get(binding.name);
    const expected = shapeAndType(binding);
    if (tensor === undefined) {
      const help = `give it with -i ${binding.name}=@FILE.npy, or all inputs with --data-set DIR`;
      return [diagnostic("LPU0004", `input '${binding.name}' (${expected}) is missing`, { help })];
    }
    if (shapeAndType(tensor) === expected) return [];
    return [diagnostic("LPU0004", `input '${binding.name}' is ${shapeAndType(tensor)}, the program takes ${expected}`)];
  });
  return [...unknown, ...wrong];
}

interface OutputRow {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly file: string | null;
  readonly maxAbs?: number;
  readonly maxUlp?: number;
  readonly cosine?: number;
  readonly argmaxAgreement?: number;
}

async function references(
  session: Session,
  path: string,
  isProgram: boolean,
  inputs: Tensors,
  names: readonly string[],
): Promise<Result<Tensors>> {
  const against = optionValue(session, "against");
  if (against === undefined) return ok(new Map());
  if (against !== "ort") return recordedOutputs(against, names);
  if (isProgram) return fail(badOption("against", "onnxruntime needs the model; a program does not hold it"));
  return runOnnxruntime(path, inputs);
}

const interpreterOf = (session: Session): string => optionValue(session, "interpreter") ?? "fast";

/** JSON has no infinity: the largest number stands for it. */
const finite = (value: number): number => (Number.isFinite(value) ? value : Number.MAX_VALUE);

function compared(outputs: Tensors, expected: Tensors, tolerance: number) {
  const problems: Diagnostic[] = [];
  const comparisons = new Map<string, Comparison>();
  for (const [name, reference] of expected) {
    const output = outputs.get(name);
    if (output === undefined) continue;
    const comparison = compareTensors(output, reference);
    if (comparison === undefined) {
      problems.push(
        diagnostic("LPU6003", `output '${name}' is ${shapeAndType(output)}, the reference ${shapeAndType(reference)}`),
      );
      continue;
    }
    comparisons.set(name, comparison);
    if (isNear(output.dtype, comparison, tolerance)) continue;
    const message = `output '${name}' differs by ${short(comparison.maxAbs)} at most, ${short(tolerance)} is allowed (largest magnitude ${short(comparison.scale)})`;
    problems.push(diagnostic("LPU6003", message));
  }
  return { problems, comparisons };
}

function saveOutputs(session: Session, outputs: Tensors): Result<ReadonlyMap<string, string>> {
  const wanted = outputOptions(optionValues(session, "outputFile"), [...outputs.keys()]);
  if (!wanted.ok) return wanted;
  const folder = optionValue(session, "outputDir");
  const files: Result<ReadonlyMap<string, string>> =
    folder === undefined ? ok(new Map()) : writeOutputs(folder, outputs);
  if (!files.ok) return files;
  for (const [name, file] of wanted.value) {
    const tensor = outputs.get(name);
    const written = tensor === undefined ? undefined : writeTensorAt(file, name, tensor);
    if (written !== undefined && !written.ok) return written;
  }
  return ok(new Map([...files.value, ...wanted.value]));
}

function outputTable(rows: readonly OutputRow[], isCompared: boolean): string {
  const cells = rows.map(({ name, dtype, shape, maxAbs, maxUlp, cosine, argmaxAgreement, file }) => [
    name,
    `${dtype}[${shape.join("x")}]`,
    ...(isCompared
      ? [maxAbs, maxUlp, cosine, argmaxAgreement].map((value) =>
          value === undefined ? "-" : String(Number(value.toPrecision(6))),
        )
      : []),
    file ?? "",
  ]);
  const numbers = isCompared ? ["max abs", "max ULP", "cosine", "argmax agreement"] : [];
  return columns(["output", "type", ...numbers, ""], cells, isCompared ? [2, 3, 4, 5] : []);
}

function resultText(
  session: Session,
  report: ProgramReport,
  executed: number,
  overlap: Overlap,
  rows: readonly OutputRow[],
  isCompared: boolean,
): string {
  const parts = [
    certificateLines(report),
    `executed in ${grouped(executed)} cycles, as predicted${overlapText(overlap)}`,
    outputTable(rows, isCompared),
    ...(isSet(session, "timePasses") ? [timesTable(session)] : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

interface Overlap {
  readonly inFlight: number;
  readonly intervalCycles: number;
  /** From the first inference's cycle 0 to the last one's last write. */
  readonly totalCycles: number;
}

const overlapText = ({ inFlight, intervalCycles, totalCycles }: Overlap): string =>
  inFlight === 1
    ? ""
    : `\n${inFlight} inferences, ${grouped(intervalCycles)} cycles apart, executed together in ${grouped(totalCycles)} cycles: outputs as alone`;

/** With --in-flight the inference is executed so many times, overlapped, and each must give what it gives alone. */
function overlapOf(session: Session, program: Program, inputs: Tensors, alone: Tensors): Result<Overlap> {
  const count = wholeOption(session, "inFlight", 1);
  if (!count.ok) return count;
  const inFlight = count.value ?? 1;
  const { initiationIntervalCycles: intervalCycles, latencyCycles } = program;
  const overlap = { inFlight, intervalCycles, totalCycles: latencyCycles + (inFlight - 1) * intervalCycles };
  if (inFlight === 1) return ok(overlap);
  stage(session, "interpret");
  const result = interpretOverlapped(program, new Array<Tensors>(inFlight).fill(inputs), {
    isFast: interpreterOf(session) === "fast",
  });
  endStage(session);
  if (!result.ok) return fail(diagnostic("LPU6002", describeFault(result.fault)));
  const wrong = result.outputs.findIndex((outputs) =>
    [...alone].some(([name, { bytes }]) => {
      const found = outputs.get(name)?.bytes;
      return found?.length !== bytes.length || found.some((byte, i) => byte !== bytes[i]);
    }),
  );
  if (wrong < 0) return ok(overlap);
  return fail(diagnostic("LPU6003", `inference ${wrong} of ${inFlight} in flight has other outputs than one alone`));
}

/** Names and forms of what goes in and out are judged before the long part begins. */
function preparation(session: Session, program: Program, inputs: Tensors): Result<{ readonly tolerance: number }> {
  const names = program.bindings.filter(({ kind }) => kind === "output").map(({ name }) => name);
  const problems = [...inputProblems(program, inputs)];
  const wanted = outputOptions(optionValues(session, "outputFile"), names);
  if (!wanted.ok) problems.push(...wanted.diagnostics);
  const tolerance = toleranceOf(session, program.precision);
  if (!tolerance.ok) problems.push(...tolerance.diagnostics);
  if (problems.length > 0 || !tolerance.ok) return { ok: false, diagnostics: problems };
  return ok({ tolerance: tolerance.value });
}

export async function runCommand(session: Session): Promise<Result<Outcome>> {
  const path = operand(session, 0);
  const assertions = assertionsOf(session);
  if (!assertions.ok) return assertions;
  const kind = isProgramFile(path);
  if (!kind.ok) return kind;
  const opened = kind.value ? openedProgram(session, path) : undefined;
  if (opened !== undefined && !opened.ok) return opened;
  const names =
    opened === undefined
      ? modelInputs(path)
      : ok(opened.value.bindings.filter((b) => b.kind === "input").map((b) => b.name));
  if (!names.ok) return names;
  const inputs = givenInputs(session, names.value);
  if (!inputs.ok) return inputs;
  const unknown = unknownInputs(names.value, inputs.value);
  if (unknown.length > 0) return fail(...unknown);
  const compiled = opened ?? compiledProgram(session, path, inputs.value);
  if (!compiled.ok) return compiled;
  return execute(session, path, kind.value, compiled.value, inputs.value, assertions.value);
}

async function execute(
  session: Session,
  path: string,
  isProgram: boolean,
  program: Program,
  inputs: Tensors,
  assertions: Parameters<typeof failedAssertions>[0],
): Promise<Result<Outcome>> {
  const prepared = preparation(session, program, inputs);
  if (!prepared.ok) return prepared;
  const outputNames = program.bindings.filter((binding) => binding.kind === "output").map((binding) => binding.name);
  const expected = await references(session, path, isProgram, inputs, outputNames);
  if (!expected.ok) return expected;
  stage(session, "interpret");
  const { latencyCycles } = program;
  const show = (cycle: number): void => progress(session, `cycle ${grouped(cycle)} of ${grouped(latencyCycles)}`);
  const result = interpret(program, inputs, { progress: show, isFast: interpreterOf(session) === "fast" });
  endStage(session);
  if (!result.ok) return fail(diagnostic("LPU6002", describeFault(result.fault)));
  const overlapped = overlapOf(session, program, inputs, result.outputs);
  if (!overlapped.ok) return overlapped;
  const files = saveOutputs(session, result.outputs);
  if (!files.ok) return files;
  const { problems, comparisons } = compared(result.outputs, expected.value, prepared.value.tolerance);
  const rows = [...result.outputs].map(([name, { dtype, shape }]): OutputRow => {
    const found = comparisons.get(name);
    const row = { name, shape, dtype, file: files.value.get(name) ?? null };
    if (found === undefined) return row;
    const { maxAbs, maxUlp, cosine, argmaxAgreement } = found;
    return { ...row, maxAbs: finite(maxAbs), maxUlp: finite(maxUlp), cosine: finite(cosine), argmaxAgreement };
  });
  const report = programReport(program);
  const json = {
    model: program.modelName,
    target: report.target,
    chips: report.chips,
    precision: program.precision,
    interpreter: interpreterOf(session),
    predictedCycles: latencyCycles,
    executedCycles: result.executedCycles,
    ...overlapped.value,
    seconds: result.executedCycles / program.target.clockHz,
    host: report.host,
    multiplyAccumulates: result.profile.macs,
    outputs: rows,
    passes: stageTimes(session),
  };
  const text = resultText(session, report, result.executedCycles, overlapped.value, rows, isSet(session, "against"));
  return ok({ json, text, problems: [...problems, ...failedAssertions(assertions, report)] });
}
