// What a benchmark is and what it measures: a figure with its unit and the limit it is held against. Knows how to compile a file; not which
// figures there are, nor how they are printed.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostTensor } from "../backends/interp/host.ts";
import { type InterpretResult, interpret } from "../backends/interp/interpret.ts";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import { byteLengthOf } from "../ir/dtype.ts";
import type { Program } from "../ir/machine/program.ts";
import type { MxmMode, Target } from "../ir/target/target.ts";
import { type CompiledModel, compileModel } from "../src/compile-model.ts";
import { presetTarget } from "../src/targets/presets.ts";

export type Figure = {
  readonly value: number;
  readonly unit: string;
  readonly details: Readonly<Record<string, number | string>>;
};

/** A figure must be at most or at least this; `report` is measured without a limit. */
export type Limit = { readonly rule: "at most" | "at least"; readonly value: number } | { readonly rule: "report" };

/** A bench of no use here and now, e.g. because its data is absent. */
export type Skipped = { readonly skipped: string };

/** What a bench reads: each file is written before, in a process of its own, so that making it does not count. */
export type BenchFiles = { readonly path: (name: string) => string };

export type Bench = {
  readonly name: string;
  readonly title: string;
  readonly limit: Limit;
  readonly files: Readonly<Record<string, () => Uint8Array>>;
  readonly measure: (files: BenchFiles) => Figure | Skipped;
};

/** Why a bench has no figure: an error message for people. */
export class BenchFailure extends Error {
  override readonly name = "BenchFailure";
}

export function targetNamed(name: string): Target {
  const target = presetTarget(name);
  if (target === undefined) throw new BenchFailure(`there is no target ${name}`);
  return target;
}

function describe(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map(({ code, message }) => `${code}: ${message}`).join("; ");
}

export type Timed<T> = { readonly value: T; readonly seconds: number };

export function timed<T>(work: () => T): Timed<T> {
  const from = process.hrtime.bigint();
  const value = work();
  return { value, seconds: Number(process.hrtime.bigint() - from) / 1e9 };
}

export type CompileChoice = {
  readonly target: Target;
  readonly chips: number;
  readonly precision: "fp16" | "fp32";
  readonly dims?: Readonly<Record<string, number>>;
};

/** Compiles a model file; the seconds count reading it too. */
export function compileFile(path: string, choice: CompileChoice): Timed<CompiledModel> {
  const { target, chips, precision, dims = {} } = choice;
  const options = { target, chips, precision, dims: new Map(Object.entries(dims)), shapes: new Map() };
  const { value: compiled, seconds } = timed(() => compileModel(path, options));
  if (!compiled.ok) throw new BenchFailure(describe(compiled.diagnostics));
  return { value: compiled.value, seconds };
}

/** Multiply-accumulates a chip can do in one cycle. */
export function macsPerCycle(target: Target, mode: MxmMode): number {
  const spec = target.mxm.modes[mode];
  if (spec === undefined) throw new BenchFailure(`${target.name} has no mode ${mode}`);
  return ((target.mxm.planes / spec.planesPerTile) * spec.tileK * spec.tileN) / spec.vectorPeriod;
}

/** Inputs of small numbers, the same each time: element i is a fraction between -1/2 and 1/2, or a small index. */
export function plainInputs(program: Program): ReadonlyMap<string, HostTensor> {
  const inputs = new Map<string, HostTensor>();
  for (const { kind, name, dtype, shape } of program.bindings) {
    if (kind !== "input") continue;
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = new Uint8Array(byteLengthOf(dtype, count));
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) {
      const mixed = (Math.imul(i + 1, 2654435761) >>> 16) & 1023;
      if (dtype === "float32") view.setFloat32(i * 4, (mixed - 512) / 1024, true);
      // Bits of an fp16 number between 2^-2 and 2^-1.
      else if (dtype === "float16") view.setUint16(i * 2, (13 << 10) | mixed | ((mixed & 1) << 15), true);
    }
    inputs.set(name, { dtype, shape, bytes });
  }
  return inputs;
}

/** Executes a program; anything but the promised run is a failure. */
export function execute(
  program: Program,
  inputs: ReadonlyMap<string, HostTensor>,
  isFast = false,
): Timed<Extract<InterpretResult, { ok: true }>> {
  const { value: result, seconds } = timed(() => interpret(program, inputs, { isFast }));
  if (result.ok) return { value: result, seconds };
  const { kind, chip, unit, cycle, message } = result.fault;
  throw new BenchFailure(`fault ${kind} on chip ${chip}, ${unit}, cycle ${cycle}: ${message}`);
}

/** Absolute path of a file of the public data beside the checkout; undefined where it is absent. */
export function publicData(relative: string): string | undefined {
  // This module runs from dist/bench.
  const beside = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "shared", "data");
  const path = join(process.env.LPUC_SHARED_DATA ?? beside, relative);
  return existsSync(path) ? path : undefined;
}
