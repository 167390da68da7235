// Folders in the layout of ONNX backend tests (model.onnx, test_data_set_N/{input,output}_N.pb), loaded through the importer. Knows no operator.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto from "onnx-proto";
import type { Diagnostic } from "../ir/diag/diagnostic.ts";
import { dtypes } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { numbersOf, type TensorValue, valueOfConst } from "../ir/graph/values.ts";
import { bytesSource } from "../src/io.ts";
import { openExternalFolder } from "../src/onnx/external.ts";
import { importModel } from "../src/onnx/import.ts";
import { readTensorFile } from "../src/onnx/reader.ts";
import { isTensorProblem, loadTensor, type TensorFiles } from "../src/onnx/tensor-data.ts";

export interface NamedTensor {
  readonly name: string;
  readonly file: string;
  readonly value: TensorValue;
}

/** The tensors `kind`_0.pb, `kind`_1.pb... of a data set; undefined in the place of one that is no tensor. */
export function loadTensors(folder: string, kind: "input" | "output"): (NamedTensor | undefined)[] {
  const files = readdirSync(folder).filter((file) => file.startsWith(`${kind}_`) && file.endsWith(".pb"));
  const order = (file: string): number => Number(file.slice(kind.length + 1, -3));
  return files.sort((a, b) => order(a) - order(b)).map((file) => loadTensorFile(join(folder, file)));
}

function loadTensorFile(path: string): NamedTensor | undefined {
  const source = bytesSource(readFileSync(path));
  const files: TensorFiles = { model: source, external: () => ({ refused: "none", outside: true }), shapesOnly: false };
  const proto = readTensorFile(source, path);
  if (!proto.ok) return undefined;
  const loaded = loadTensor(proto.value, files);
  if (isTensorProblem(loaded)) return undefined;
  return { name: proto.value.name, file: path, value: valueOfConst(loaded, loaded.data) };
}

export type CaseGraph =
  | { readonly ok: true; readonly graph: Graph; readonly bound: "none" | "all but the first" | "all" }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** The model with some graph inputs turned into initializers that hold the data set's values. */
function withConstants(bytes: Uint8Array, inputs: readonly (NamedTensor | undefined)[], from: number): Uint8Array {
  const { onnx } = onnxProto;
  const model = onnx.ModelProto.decode(bytes);
  const graph = model.graph;
  if (!graph) return bytes;
  const free = (graph.input ?? []).filter(
    (input) => !(graph.initializer ?? []).some(({ name }) => name === input.name),
  );
  for (const [i, input] of free.entries()) {
    const given = inputs[i];
    if (i < from || given === undefined) continue;
    const tensor = onnx.TensorProto.decode(readFileSync(given.file));
    tensor.name = input.name ?? "";
    graph.initializer = [...(graph.initializer ?? []), tensor];
    graph.input = (graph.input ?? []).filter((other) => other !== input);
  }
  return onnx.ModelProto.encode(model).finish();
}

/**
 * Imports a case with the shapes of its data. Where shapes depend on the values of inputs (a Reshape whose shape is a graph input), those
 * inputs are bound as constants.
 */
export function importCase(folder: string, inputs: readonly (NamedTensor | undefined)[]): CaseGraph {
  const path = join(folder, "model.onnx");
  const bytes = readFileSync(path);
  const external = openExternalFolder(path);
  const shapes = new Map(
    inputs.flatMap((input) => (input === undefined ? [] : [[input.name, input.value.shape] as const])),
  );
  const attempt = (model: Uint8Array, names: ReadonlyMap<string, readonly number[]>) =>
    importModel(bytesSource(model), { path, dims: new Map(), shapes: names, external: external.open });
  const first = attempt(bytes, shapes);
  if (first.ok) return { ok: true, graph: first.value.graph, bound: "none" };
  for (const [from, bound] of [
    [1, "all but the first"],
    [0, "all"],
  ] as const) {
    const kept = new Map(
      inputs.slice(0, from).flatMap((input) => (input === undefined ? [] : [[input.name, input.value.shape] as const])),
    );
    const retry = attempt(withConstants(bytes, inputs, from), kept);
    if (retry.ok) return { ok: true, graph: retry.value.graph, bound };
  }
  return { ok: false, diagnostics: first.diagnostics };
}

export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** Why a value is not the expected one, or undefined. Floats within the tolerance, all else exactly. */
export function difference(found: TensorValue, expected: TensorValue, tolerance: Tolerance): string | undefined {
  if (found.dtype !== expected.dtype || String(found.shape) !== String(expected.shape)) {
    return `${found.dtype}[${found.shape}] instead of ${expected.dtype}[${expected.shape}]`;
  }
  const exact = dtypes[found.dtype].kind !== "float";
  const [a, b] = [numbersOf(found), numbersOf(expected)];
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] ?? Number.NaN, b[i] ?? Number.NaN];
    if (Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const near = !exact && Math.abs(x - y) <= tolerance.absolute + tolerance.relative * Math.abs(y);
    if (!near) return `element ${i} is ${x} instead of ${y}`;
  }
  return undefined;
}

/** The data set's values by the names of the graph's inputs: by name where the file has one, else by place. */
export function bindByName(graph: Graph, inputs: readonly (NamedTensor | undefined)[]): Map<string, TensorValue> {
  const names = new Set(graph.inputs.map(({ name }) => name));
  return new Map(
    inputs.flatMap((input, i) => {
      if (input === undefined) return [];
      return [[names.has(input.name) ? input.name : (graph.inputs[i]?.name ?? ""), input.value] as const];
    }),
  );
}
