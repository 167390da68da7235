// The inputs given to a command that executes something, by the names of a model or program, and the tolerance its outputs are held to.
import type { HostTensor } from "../../backends/interp/host.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { type ModelPrecision, modelPrecisions } from "../../ir/graph/precision.ts";
import { type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";
import { openByteSource } from "../io.ts";
import { readModel } from "../onnx/reader.ts";
import { badOption, optionValue, optionValues, type Session } from "./session.ts";
import { inputOptions, recordedTensors } from "./tensors.ts";

export type Tensors = ReadonlyMap<string, HostTensor>;

/** Names of the inputs a model wants, in its order. */
export function modelInputs(path: string): Result<readonly string[]> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const read = readModel(source.value, path);
  source.value.close();
  if (!read.ok) return read;
  const { inputs, initializers } = read.value.model.graph;
  const stored = new Set(initializers.map(({ name }) => name));
  return ok(inputs.map(({ name }) => name).filter((name) => !stored.has(name)));
}

/** Inputs from a folder and from -i options; the latter win. */
export function givenInputs(session: Session, names: readonly string[]): Result<Tensors> {
  const folder = optionValue(session, "dataSet");
  const recorded: Result<Tensors> = folder === undefined ? ok(new Map()) : recordedTensors(folder, "input", names);
  const listed = inputOptions(optionValues(session, "input"));
  if (!recorded.ok || !listed.ok) {
    return { ok: false, diagnostics: [recorded, listed].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  return ok(new Map([...recorded.value, ...listed.value]));
}

/** Given tensors as values. */
export const valuesOf = (inputs: Tensors): ReadonlyMap<string, TensorValue> =>
  new Map([...inputs].map(([name, { dtype, shape, bytes }]) => [name, valueFromBytes(dtype, shape, bytes)] as const));

export function unknownInputs(names: readonly string[], inputs: Tensors): readonly Diagnostic[] {
  return [...inputs.keys()]
    .filter((name) => !names.includes(name))
    .map((name) => diagnostic("LPU0004", `there is no input '${name}'`, { help: didYouMean(name, names) }));
}

const usualTolerance = { fp32: 1e-4, fp16: 2e-2, w8a16: 5e-2, int8: 1e-1 } as const satisfies Record<
  ModelPrecision,
  number
>;

/** The tolerance given, or what is usual for the precision. */
export function toleranceOf(session: Session, precision: string): Result<number> {
  const text = optionValue(session, "tolerance");
  const known = modelPrecisions.find((name) => name === precision) ?? "fp16";
  if (text === undefined) return ok(usualTolerance[known]);
  const value = Number(text);
  return text.trim() !== "" && value >= 0 && Number.isFinite(value)
    ? ok(value)
    : fail(badOption("tolerance", `'${text}' is not a number from 0 on`));
}
