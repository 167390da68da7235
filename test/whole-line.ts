// Runs a model file the whole way for tests: compile, verify, execute, compare with recorded outputs.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { verifyProgram } from "../backends/check/verify.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { FusionSet } from "../ir/graph/fusions.ts";
import type { ModelPrecision } from "../ir/graph/precision.ts";
import { bytesOf, numbersOf, type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import type { TopologyKind } from "../ir/target/target.ts";
import type { TensorParallel } from "../passes/compile/compile.ts";
import { type CompiledModel, compileModel } from "../src/compile-model.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { loadTensors } from "./onnx-case.ts";

export interface LineOptions {
  readonly target?: string;
  readonly chips?: number | "auto";
  readonly topology?: TopologyKind;
  readonly inFlight?: number;
  readonly tensorParallel?: TensorParallel;
  readonly precision?: ModelPrecision;
  readonly without?: FusionSet;
  readonly dims?: Readonly<Record<string, number>>;
}

export function compileForTest(path: string, options: LineOptions = {}): CompiledModel {
  const target = presetTarget(options.target ?? "lpu-nvlink");
  if (target === undefined) throw new Error(`no target ${options.target}`);
  const compiled = compileModel(path, {
    target,
    chips: options.chips ?? 1,
    ...(options.topology === undefined ? {} : { topology: { ...target.topology, kind: options.topology } }),
    ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
    ...(options.tensorParallel === undefined ? {} : { tensorParallel: options.tensorParallel }),
    dims: new Map(Object.entries(options.dims ?? {})),
    shapes: new Map(),
    precision: options.precision ?? "fp32",
    effort: 0,
    ...(options.without === undefined ? {} : { without: options.without }),
  });
  if (!compiled.ok) throw new Error(compiled.diagnostics.map((d) => `${d.code}: ${d.message}`).join("\n"));
  return compiled.value;
}

export const hostTensor = (value: TensorValue): HostTensor => ({
  dtype: value.dtype,
  shape: value.shape,
  bytes: bytesOf(value),
});

/** Executes a program; a fault or a latency other than the certificate's throws. */
export function execute(program: Program, inputs: ReadonlyMap<string, TensorValue>): Map<string, TensorValue> {
  const result = interpret(program, new Map([...inputs].map(([name, value]) => [name, hostTensor(value)])));
  if (!result.ok)
    throw new Error(
      `fault ${result.fault.kind} on chip ${result.fault.chip}, ${result.fault.unit}, cycle ${result.fault.cycle}: ${result.fault.message}`,
    );
  if (result.executedCycles !== program.latencyCycles)
    throw new Error(`executed ${result.executedCycles} cycles, promised ${program.latencyCycles}`);
  return new Map(
    [...result.outputs].map(([name, tensor]) => [name, valueFromBytes(tensor.dtype, tensor.shape, tensor.bytes)]),
  );
}

/** All violations, a line each. */
export function violationsOf(program: Program): string[] {
  return verifyProgram(program).invariants.flatMap(({ name, violations }) =>
    violations.map((v) => `${name}: ${v.unit} at ${v.cycle}: ${v.message}`),
  );
}

export interface DataSet {
  readonly inputs: Map<string, TensorValue>;
  readonly outputs: Map<string, TensorValue>;
}

/** Recorded tensors by position: the files' order is the program's binding order. */
export function dataSet(program: Program, folder: string): DataSet {
  const match = (kind: "input" | "output"): Map<string, TensorValue> => {
    const names = program.bindings.filter((binding) => binding.kind === kind).map((binding) => binding.name);
    return new Map(
      loadTensors(folder, kind).flatMap((tensor, i) =>
        tensor === undefined || names[i] === undefined ? [] : [[names[i], tensor.value]],
      ),
    );
  };
  return { inputs: match("input"), outputs: match("output") };
}

export function maxAbsError(actual: TensorValue | undefined, expected: TensorValue): number {
  if (actual === undefined || actual.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const a = numbersOf(actual);
  const b = numbersOf(expected);
  let worst = 0;
  for (let i = 0; i < b.length; i++) {
    const error = Math.abs((a[i] as number) - (b[i] as number));
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}

/** Index of the largest element in each row of the last dimension. */
export function argmaxRows(value: TensorValue): number[] {
  const width = value.shape[value.shape.length - 1] ?? 1;
  const numbers = numbersOf(value);
  const rows: number[] = [];
  for (let from = 0; from < numbers.length; from += width) {
    let best = 0;
    for (let i = 1; i < width; i++) if ((numbers[from + i] as number) > (numbers[from + best] as number)) best = i;
    rows.push(best);
  }
  return rows;
}

export function setsOf(folder: string): string[] {
  const sets: string[] = [];
  while (existsSync(join(folder, `test_data_set_${sets.length}`)))
    sets.push(join(folder, `test_data_set_${sets.length}`));
  return sets;
}
