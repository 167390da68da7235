// Conformance: a folder of the ONNX backend tests the whole way - import, compile, verify, execute, compare - and what came of it.

import { verifyProgram } from "../backends/check/verify.ts";
import { textBytesOf } from "../backends/encode/queues.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import type { FusionSet } from "../ir/graph/fusions.ts";
import type { ModelPrecision } from "../ir/graph/precision.ts";
import { bytesOf, type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import type { Target, TopologySpec } from "../ir/target/target.ts";
import { compileGraph, type TensorParallel } from "../passes/compile/compile.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import {
  bindInputs,
  type CaseTensor,
  caseName,
  type DataSet,
  diagnosticText,
  importCase,
  readCaseModel,
  readDataSets,
  type UsedOperator,
  valuesFor,
} from "./onnx/case-files.ts";
import { type CaseNumerics, type CompareRule, difference, productsInChain, toleranceFor } from "./tolerance.ts";

export interface CaseOptions {
  readonly target: Target;
  readonly topology?: TopologySpec;
  readonly tensorParallel?: TensorParallel;
  readonly precision: ModelPrecision;
  readonly chips: number | "auto";
  readonly rule: CompareRule;
  readonly allowNarrowing?: boolean;
  readonly without?: FusionSet;
}

export interface CaseResult {
  readonly name: string;
  readonly status: "passed" | "failed" | "unsupported";
  /** Empty for a case that passed. */
  readonly reason: string;
  /** The operator that is to blame, where there is one; else the model's first. */
  readonly op: string;
  readonly operators: readonly UsedOperator[];
  /** Inputs that had to be known when compiling. */
  readonly fixed: readonly string[];
  readonly cycles: number;
}

type Outcome = Pick<CaseResult, "status" | "reason"> & { readonly op?: string };

/** Codes of what lpuc does not take (exit code 3) or what does not fit (4). */
const isUnsupported = ({ code }: Diagnostic): boolean => code.startsWith("LPU2") || code.startsWith("LPU4");

function refused(diagnostics: readonly Diagnostic[]): Outcome {
  const node = diagnostics.map(({ location }) => location).find((location) => location?.kind === "node");
  return {
    status: diagnostics.every(isUnsupported) ? "unsupported" : "failed",
    reason: diagnosticText(diagnostics),
    ...(node?.kind === "node" ? { op: node.opType } : {}),
  };
}

const failed = (reason: string): Outcome => ({ status: "failed", reason });

const hostTensor = (value: TensorValue): HostTensor => ({
  dtype: value.dtype,
  shape: value.shape,
  bytes: bytesOf(value),
});

/** Verifies and executes a program and compares its outputs. */
function runProgram(
  program: Program,
  values: ReadonlyMap<string, TensorValue>,
  expected: readonly CaseTensor[],
  rule: CompareRule,
  numerics: CaseNumerics,
): Outcome {
  for (const { name, violations } of verifyProgram(program).invariants) {
    const [first] = violations;
    if (first !== undefined) return failed(`violates ${name}: ${first.unit} at ${first.cycle}: ${first.message}`);
  }
  const ran = interpret(program, new Map([...values].map(([name, value]) => [name, hostTensor(value)])));
  if (!ran.ok) return failed(`fault ${ran.fault.kind}: ${ran.fault.unit} at ${ran.fault.cycle}: ${ran.fault.message}`);
  if (ran.executedCycles !== program.latencyCycles) {
    return failed(`executed ${ran.executedCycles} cycles, promised ${program.latencyCycles}`);
  }
  const names = program.bindings.filter(({ kind }) => kind === "output").map(({ name }) => name);
  for (const [i, { name, value }] of expected.entries()) {
    const key = names.includes(name) ? name : (names[i] ?? "");
    const found = ran.outputs.get(key);
    if (found === undefined) return failed(`there is no output '${key}'`);
    const tolerance = toleranceFor(rule, value.dtype, numerics);
    const text = difference(valueFromBytes(found.dtype, found.shape, found.bytes), value, tolerance);
    if (text !== undefined) return failed(`output '${key}': ${text}`);
  }
  return { status: "passed", reason: "" };
}

interface SetOutcome extends Outcome {
  readonly fixed: readonly string[];
  readonly cycles: number;
}

function runDataSet(folder: string, inputs: readonly string[], set: DataSet, options: CaseOptions): SetOutcome {
  const { target } = options;
  const values = bindInputs(inputs, set.inputs);
  const imported = importCase(folder, values);
  if (!imported.ok) return { ...refused(imported.diagnostics), fixed: [], cycles: 0 };
  const { graph, fixed } = imported.value;
  const narrowing = options.allowNarrowing === undefined ? {} : { allowNarrowing: options.allowNarrowing };
  const without = options.without === undefined ? {} : { without: options.without };
  const core = legalise(graph, { precision: options.precision, lanes: target.lanes, ...narrowing, ...without });
  if (!core.ok) return { ...refused(core.diagnostics), fixed, cycles: 0 };
  const compiled = compileGraph(core.value, target, {
    chips: options.chips,
    effort: 0,
    ...without,
    ...(options.topology === undefined ? {} : { topology: options.topology }),
    ...(options.tensorParallel === undefined ? {} : { tensorParallel: options.tensorParallel }),
    modelName: graph.name,
    precision: options.precision,
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  if (!compiled.ok) return { ...refused(compiled.diagnostics), fixed, cycles: 0 };
  const { program } = compiled.value;
  const numerics = { precision: options.precision, productsInChain: productsInChain(core.value) };
  const outcome = runProgram(program, valuesFor(graph, values), set.outputs, options.rule, numerics);
  return { ...outcome, fixed, cycles: program.latencyCycles };
}

/** The result of a case that could not be run to its end. */
export const failedCase = (folder: string, reason: string): CaseResult => ({
  name: caseName(folder),
  ...failed(reason),
  op: "",
  operators: [],
  fixed: [],
  cycles: 0,
});

/** Runs one case folder through all its data sets, until one does not pass. */
export function runCase(folder: string, options: CaseOptions): CaseResult {
  const name = caseName(folder);
  const model = readCaseModel(folder);
  const operators = model.ok ? model.value.operators : [];
  const result = (outcome: Outcome, fixed: readonly string[] = [], cycles = 0): CaseResult => ({
    name,
    status: outcome.status,
    reason: outcome.reason,
    op: outcome.op ?? operators[0]?.op ?? "",
    operators,
    fixed,
    cycles,
  });
  if (!model.ok) return result(refused(model.diagnostics));
  const sets = readDataSets(folder);
  if (!sets.ok) {
    const imported = importCase(folder, new Map());
    return result({ ...refused(imported.ok ? sets.diagnostics : imported.diagnostics), status: "unsupported" });
  }
  if (sets.value.length === 0) return result(failed("there is no test_data_set_0"));
  let last: SetOutcome = { status: "passed", reason: "", fixed: [], cycles: 0 };
  for (const set of sets.value) {
    try {
      last = runDataSet(folder, model.value.inputs, set, options);
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return result(failed(`a bug in lpuc: ${text}`));
    }
    if (last.status !== "passed") break;
  }
  return result(last, last.fixed, last.cycles);
}

export interface ConformanceReport {
  readonly passed: readonly string[];
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
  readonly unsupported: readonly { readonly name: string; readonly op: string; readonly reason: string }[];
}

/** Results sorted into what `lpuc conformance --json` says. */
export function conformanceReport(results: readonly CaseResult[]): ConformanceReport {
  const of = (status: CaseResult["status"]): CaseResult[] => results.filter((result) => result.status === status);
  return {
    passed: of("passed").map(({ name }) => name),
    failed: of("failed").map(({ name, reason }) => ({ name, reason })),
    unsupported: of("unsupported").map(({ name, op, reason }) => ({ name, op, reason })),
  };
}
