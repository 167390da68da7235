// Folders in the layout of the ONNX backend tests: NAME/model.onnx with NAME/test_data_set_N/{input,output}_I.pb. Finds them, reads their tensors
// and imports their models with the shapes of the data. Knows no operator and compares nothing.
import { basename, join } from "node:path";
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";
import { bytesSource, isDirectory, isFile, listDirectory, openByteSource, readFileBytes } from "../io.ts";
import { openExternalFolder } from "./external.ts";
import { type ImportedWithValues, importWithValues } from "./import-values.ts";
import { readModel, readTensorFile } from "./reader.ts";
import { isTensorProblem, loadTensor } from "./tensor-data.ts";

export interface CaseTensor {
  /** Empty where the file names none. */
  readonly name: string;
  readonly value: TensorValue;
}

export interface DataSet {
  readonly name: string;
  readonly inputs: readonly CaseTensor[];
  readonly outputs: readonly CaseTensor[];
}

/** An operator of a model with the version of its domain's operator set. */
export interface UsedOperator {
  readonly op: string;
  readonly opset: number;
}

const modelOf = (folder: string): string => join(folder, "model.onnx");

/** Case folders: those given that hold a model, and else those inside that do; in order of their names. */
export function findCases(folders: readonly string[]): Result<readonly string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    if (isFile(modelOf(folder))) {
      found.push(folder);
      continue;
    }
    const inside = listDirectory(folder);
    if (!inside.ok) return inside;
    found.push(
      ...inside.value.map((name) => join(folder, name)).filter((path) => isDirectory(path) && isFile(modelOf(path))),
    );
  }
  return ok(found);
}

export const caseName = (folder: string): string => basename(folder);

function readTensor(path: string): Result<CaseTensor> {
  const bytes = readFileBytes(path);
  if (!bytes.ok) return bytes;
  const model = bytesSource(bytes.value);
  const read = readTensorFile(model, path);
  if (!read.ok) return read;
  const external = () => ({ refused: "a tensor file keeps its contents itself", outside: true });
  const loaded = loadTensor(read.value, { model, external, shapesOnly: false });
  if (isTensorProblem(loaded)) return fail(diagnostic("LPU1040", loaded.message, { location: { kind: "file", path } }));
  return ok({ name: read.value.name, value: valueFromBytes(loaded.dtype, loaded.shape, loaded.data.read()) });
}

/** The files `kind`_0.pb, `kind`_1.pb... in order. */
function readTensors(folder: string, kind: "input" | "output"): Result<CaseTensor[]> {
  const tensors: CaseTensor[] = [];
  for (let i = 0; isFile(join(folder, `${kind}_${i}.pb`)); i++) {
    const tensor = readTensor(join(folder, `${kind}_${i}.pb`));
    if (!tensor.ok) return tensor;
    tensors.push(tensor.value);
  }
  return ok(tensors);
}

export function readDataSets(folder: string): Result<DataSet[]> {
  const sets: DataSet[] = [];
  for (let i = 0; isDirectory(join(folder, `test_data_set_${i}`)); i++) {
    const name = `test_data_set_${i}`;
    const inputs = readTensors(join(folder, name), "input");
    if (!inputs.ok) return inputs;
    const outputs = readTensors(join(folder, name), "output");
    if (!outputs.ok) return outputs;
    sets.push({ name, inputs: inputs.value, outputs: outputs.value });
  }
  return ok(sets);
}

export interface CaseModel {
  /** Inputs that the data has to give, in order. */
  readonly inputs: readonly string[];
  readonly operators: readonly UsedOperator[];
}

/** What a case's model asks for, before it is imported. */
export function readCaseModel(folder: string): Result<CaseModel> {
  const source = openByteSource(modelOf(folder));
  if (!source.ok) return source;
  const read = readModel(source.value, modelOf(folder));
  source.value.close();
  if (!read.ok) return read;
  const { graph, opsets } = read.value.model;
  const initial = new Set(graph.initializers.map(({ name }) => name));
  const operators = new Map(
    graph.nodes.map(({ domain, opType }): [string, UsedOperator] => {
      const standard = domain === "" || domain === "ai.onnx";
      const op = standard ? opType : `${domain}.${opType}`;
      return [op, { op, opset: opsets.get(domain) ?? (standard ? opsets.get("ai.onnx") : undefined) ?? 0 }];
    }),
  );
  const inputs = graph.inputs.map(({ name }) => name).filter((name) => !initial.has(name));
  return ok({ inputs, operators: [...operators.values()] });
}

/** The data's tensors by input name: by the name in the file where it is one of the model's, else by place. */
export function bindInputs(names: readonly string[], tensors: readonly CaseTensor[]): Map<string, TensorValue> {
  return new Map(
    tensors.flatMap(({ name, value }, i) => {
      const bound = names.includes(name) ? name : names[i];
      return bound === undefined ? [] : [[bound, value] as const];
    }),
  );
}

/** Imports a case with the shapes of its data; values that determine shapes are fixed where the graph needs them. */
export function importCase(folder: string, values: ReadonlyMap<string, TensorValue>): Result<ImportedWithValues> {
  const path = modelOf(folder);
  const source = openByteSource(path);
  if (!source.ok) return source;
  const external = openExternalFolder(path).open;
  return importWithValues(source.value, values, { path, dims: new Map(), shapes: new Map(), external });
}

/** The values of the inputs that a graph has. */
export const valuesFor = (graph: Graph, values: ReadonlyMap<string, TensorValue>): Map<string, TensorValue> =>
  new Map(
    graph.inputs.flatMap(({ name }) => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );

export const diagnosticText = (diagnostics: readonly Diagnostic[]): string =>
  diagnostics.map(({ code, message }) => `${code} ${message}`).join("; ");
