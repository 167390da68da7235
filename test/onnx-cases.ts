// Model folders as the public suites lay them out: NAME/model.onnx with NAME/test_data_set_N/{input,output}_I.pb. Loads, imports, legalises and
// compares; used by the import and legalise tests.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic, Result } from "../ir/diag/diagnostic.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { numbersOf, type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import { openByteSource } from "../src/io.ts";
import { openExternalFolder } from "../src/onnx/external.ts";
import { type ImportedModel, type ImportOptions, importModel } from "../src/onnx/import.ts";
import { importWithValues } from "../src/onnx/import-values.ts";
import { readModel, readTensorFile } from "../src/onnx/reader.ts";
import { isTensorProblem, loadTensor } from "../src/onnx/tensor-data.ts";

export interface DataSet {
  readonly inputs: readonly TensorValue[];
  readonly outputs: readonly TensorValue[];
}

function readValue(path: string): TensorValue | undefined {
  const source = openByteSource(path);
  if (!source.ok) return undefined;
  const tensor = readTensorFile(source.value, path);
  if (!tensor.ok) return undefined;
  const files = {
    model: source.value,
    external: () => ({ refused: "none", outside: false }),
    shapesOnly: false,
  } as const;
  const loaded = loadTensor(tensor.value, files);
  const value = isTensorProblem(loaded) ? undefined : valueFromBytes(loaded.dtype, loaded.shape, loaded.data.read());
  source.value.close();
  return value;
}

/** Tensors of one kind in a data set, in order; undefined where one is not a tensor of numbers. */
function readAll(folder: string, kind: string): (TensorValue | undefined)[] {
  const names = readdirSync(folder).filter((name) => name.startsWith(`${kind}_`));
  return names.map((_, index) => readValue(join(folder, `${kind}_${index}.pb`)));
}

export function readDataSets(folder: string): DataSet[] {
  const sets = readdirSync(folder).filter((name) => name.startsWith("test_data_set_"));
  return sets.sort().flatMap((name) => {
    const inputs = readAll(join(folder, name), "input");
    const outputs = readAll(join(folder, name), "output");
    if ([...inputs, ...outputs].includes(undefined)) return [];
    return [
      {
        inputs: inputs.filter((value) => value !== undefined),
        outputs: outputs.filter((value) => value !== undefined),
      },
    ];
  });
}

/** Names of the inputs a caller has to give, in order. */
export function inputNames(path: string): string[] {
  const source = openByteSource(path);
  if (!source.ok) return [];
  const model = readModel(source.value, path);
  source.value.close();
  if (!model.ok) return [];
  const { graph } = model.value.model;
  const initial = new Set(graph.initializers.map((tensor) => tensor.name));
  return graph.inputs.map((input) => input.name).filter((name) => !initial.has(name));
}

export function importFile(path: string, options: Partial<ImportOptions> = {}): Result<ImportedModel> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const folder = openExternalFolder(path);
  return importModel(source.value, { path, dims: new Map(), shapes: new Map(), external: folder.open, ...options });
}

/** Imports a case with the shapes of its data; values that determine shapes are fixed where the graph needs them. */
export function importCase(folder: string, data: DataSet): Result<ImportedModel> {
  const path = join(folder, "model.onnx");
  const values = new Map(
    inputNames(path).flatMap((name, index) =>
      data.inputs[index] === undefined ? [] : [[name, data.inputs[index]] as const],
    ),
  );
  const source = openByteSource(path);
  if (!source.ok) return source;
  const external = openExternalFolder(path).open;
  return importWithValues(source.value, values, { path, dims: new Map(), shapes: new Map(), external });
}

export function namedInputs(graph: Graph, data: DataSet): Map<string, TensorValue> {
  return new Map(
    graph.inputs.flatMap((input, index) =>
      data.inputs[index] === undefined ? [] : [[input.name, data.inputs[index]] as const],
    ),
  );
}

export interface Difference {
  readonly maxAbs: number;
  /** Largest |difference| / (atol + rtol |wanted|): within tolerance up to 1. */
  readonly ratio: number;
}

export function compare(got: TensorValue, wanted: TensorValue, rtol: number, atol: number): Difference {
  if (got.dtype !== wanted.dtype || got.shape.join() !== wanted.shape.join())
    return { maxAbs: Infinity, ratio: Infinity };
  const [a, b] = [numbersOf(got), numbersOf(wanted)];
  let maxAbs = 0;
  let ratio = 0;
  for (let at = 0; at < b.length; at += 1) {
    const [x = 0, y = 0] = [a[at], b[at]];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const distance = Math.abs(x - y);
    maxAbs = Math.max(maxAbs, Number.isNaN(distance) ? Infinity : distance);
    ratio = Math.max(ratio, Number.isNaN(distance) ? Infinity : distance / (atol + rtol * Math.abs(y)));
  }
  return { maxAbs, ratio };
}

export const messages = (diagnostics: readonly Diagnostic[]): string =>
  diagnostics.map(({ code, message }) => `${code} ${message}`).join("; ");
