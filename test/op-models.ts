// Models of one node (or a few) for comparing with onnxruntime: a case as data, its files in the layout of the backend tests, and the verdict.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto from "onnx-proto";
import type { HostTensor } from "../backends/interp/host.ts";
import type { DType } from "../ir/dtype.ts";
import type { FusionSet } from "../ir/graph/fusions.ts";
import { bytesOf, type TensorValue, valueFromBigints, valueFromNumbers } from "../ir/graph/values.ts";
import type { Target } from "../ir/target/target.ts";
import { runOnnxruntime } from "../src/commands/onnxruntime.ts";
import { type CaseResult, runCase } from "../src/conformance.ts";
import { elementTypeOfDtype } from "../src/onnx/schema.ts";
import { writeTensorProto } from "../src/onnx/tensor-file.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { type CompareRule, graphRule, suiteRule } from "../src/tolerance.ts";

const { onnx } = onnxProto;

export type Attribute = number | bigint | string | readonly number[] | readonly bigint[] | TensorValue;

/** An operand: a graph input, an initialiser, the result of an earlier node by name, or left out. */
export type Operand = TensorValue | { readonly constant: TensorValue } | string | null;

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly Operand[];
  /** Bigints are INT attributes, numbers FLOAT ones. */
  readonly attrs?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
  /** Names of results; a case's outputs are those of its last node. An empty name leaves one out. */
  readonly outputs?: readonly string[];
}

export interface OpCase {
  readonly name: string;
  readonly opset: number;
  readonly nodes: readonly NodeSpec[];
  /** Compared with the output's largest magnitude, not with each element. */
  readonly toScale?: boolean;
  /** Shapes declared for outputs; without them both sides infer all. */
  readonly declared?: Readonly<Record<string, readonly number[]>>;
}

/** Numbers in [0, 1), the same for the same seed. */
export function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const count = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1);

/** Numbers in [low, high). */
export function floats(shape: readonly number[], seed = 1, low = -2, high = 2, dtype: DType = "float32"): TensorValue {
  const next = random(seed);
  return valueFromNumbers(
    dtype,
    shape,
    Array.from({ length: count(shape) }, () => low + (high - low) * next()),
  );
}

/** Whole numbers from low to high. */
export function ints(dtype: DType, shape: readonly number[], low: number, high: number, seed = 1): TensorValue {
  const next = random(seed);
  return listed(
    dtype,
    shape,
    Array.from({ length: count(shape) }, () => low + Math.floor((high - low + 1) * next())),
  );
}

export function listed(dtype: DType, shape: readonly number[], numbers: readonly number[]): TensorValue {
  return dtype === "int64" || dtype === "uint64"
    ? valueFromBigints(dtype, shape, numbers.map(BigInt))
    : valueFromNumbers(dtype, shape, numbers);
}

export const i64 = (...numbers: number[]): TensorValue => listed("int64", [numbers.length], numbers);
export const scalar = (dtype: DType, number: number): TensorValue => listed(dtype, [], [number]);
export const constant = (value: TensorValue): Operand => ({ constant: value });

export function attributeProto(name: string, value: Attribute): object {
  if (typeof value === "bigint") return { name, type: 2, i: Number(value) };
  if (typeof value === "number") return { name, type: 1, f: value };
  if (typeof value === "string") return { name, type: 3, s: new TextEncoder().encode(value) };
  if (isTensor(value)) return { name, type: 4, t: tensorProto("", value) };
  return typeof value[0] === "number"
    ? { name, type: 6, floats: [...value] }
    : { name, type: 7, ints: [...value].map(Number) };
}

const isTensor = (value: object): value is TensorValue => "dtype" in value;

const tensorProto = (name: string, value: TensorValue): object => ({
  name,
  dims: [...value.shape],
  dataType: elementTypeOfDtype(value.dtype),
  rawData: bytesOf(value),
});

interface Written {
  readonly bytes: Uint8Array;
  readonly inputs: ReadonlyMap<string, HostTensor>;
}

/** The model of a case. Outputs carry no type that is not asked for: both sides infer it. */
export function modelOf({ name, nodes, opset, declared = {} }: OpCase): Written {
  const inputs = new Map<string, HostTensor>();
  const initializer: object[] = [];
  const use = (operand: Operand): string => {
    if (operand === null) return "";
    if (typeof operand === "string") return operand;
    const [value, isConstant] = "constant" in operand ? [operand.constant, true] : [operand, false];
    if (isConstant) {
      const own = `c${initializer.length}`;
      initializer.push(tensorProto(own, value));
      return own;
    }
    const own = `x${inputs.size}`;
    inputs.set(own, { dtype: value.dtype, shape: value.shape, bytes: bytesOf(value) });
    return own;
  };
  const node = nodes.map(({ op, domain = "", inputs: operands, attrs = {}, outputs }, i) => ({
    name: `${op}_${i}`,
    opType: op,
    domain,
    input: operands.map(use),
    output: [...(outputs ?? [`y${i}`])],
    attribute: Object.entries(attrs).map(([key, value]) => attributeProto(key, value)),
  }));
  const valueInfo = (key: string, { dtype, shape }: HostTensor): object => ({
    name: key,
    type: {
      tensorType: { elemType: elementTypeOfDtype(dtype), shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
    },
  });
  const graph = {
    name,
    node,
    initializer,
    input: [...inputs].map(([key, tensor]) => valueInfo(key, tensor)),
    output: (node.at(-1)?.output ?? [])
      .filter((key) => key !== "")
      .map((key) => {
        const shape = declared[key];
        return shape === undefined
          ? { name: key }
          : valueInfo(key, { dtype: "float32", shape, bytes: new Uint8Array(0) });
      }),
  };
  const domains = [...new Set(nodes.map(({ domain = "" }) => domain))].filter((domain) => domain !== "");
  const opsetImport = [{ domain: "", version: opset }, ...domains.map((domain) => ({ domain, version: 1 }))];
  const bytes = onnx.ModelProto.encode({ irVersion: 10, opsetImport, graph }).finish();
  return { bytes, inputs };
}

export interface Verdict {
  readonly result: CaseResult;
  /** Why there is nothing to compare with. */
  readonly noReference?: string;
}

/** Writes a case with onnxruntime's answers (as `alter` changes them) into a folder and runs it the whole way. */
export async function judge(
  folder: string,
  spec: OpCase,
  alter: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes,
  without: FusionSet = new Set(),
): Promise<Verdict> {
  return judgeModel(folder, modelOf(spec), spec.toScale === true ? graphRule : suiteRule, alter, without);
}

/** The same with answers that are given instead of onnxruntime's. */
export function judgeAgainst(folder: string, spec: OpCase, expected: readonly TensorValue[]): CaseResult {
  const { bytes, inputs } = modelOf(spec);
  writeInputs(folder, bytes, inputs);
  const names = spec.nodes.at(-1)?.outputs ?? [`y${spec.nodes.length - 1}`];
  expected.forEach((value, i) => {
    const tensor = { dtype: value.dtype, shape: value.shape, bytes: bytesOf(value) };
    writeFileSync(join(folder, "test_data_set_0", `output_${i}.pb`), writeTensorProto(names[i] ?? "", tensor));
  });
  return runCase(folder, { target: defaultTarget(), precision: "fp32", chips: "auto", rule: suiteRule });
}

function defaultTarget(): Target {
  const target = presetTarget("lpu-nvlink");
  if (target === undefined) throw new Error("the default target exists");
  return target;
}

function writeInputs(folder: string, bytes: Uint8Array, inputs: Written["inputs"]): void {
  const set = join(folder, "test_data_set_0");
  mkdirSync(set, { recursive: true });
  writeFileSync(join(folder, "model.onnx"), bytes);
  [...inputs].forEach(([name, tensor], i) => {
    writeFileSync(join(set, `input_${i}.pb`), writeTensorProto(name, tensor));
  });
}

/** The same for any model. */
export async function judgeModel(
  folder: string,
  { bytes, inputs }: Written,
  rule: CompareRule,
  alter: (bytes: Uint8Array) => Uint8Array = (answer) => answer,
  without: FusionSet = new Set(),
): Promise<Verdict> {
  writeInputs(folder, bytes, inputs);
  const reference = await runOnnxruntime(join(folder, "model.onnx"), inputs);
  if (reference.ok) {
    [...reference.value].forEach(([name, tensor], i) => {
      const file = join(folder, "test_data_set_0", `output_${i}.pb`);
      writeFileSync(file, writeTensorProto(name, { ...tensor, bytes: alter(tensor.bytes) }));
    });
  }
  const result = runCase(folder, { target: defaultTarget(), precision: "fp32", chips: "auto", rule, without });
  return reference.ok ? { result } : { result, noReference: reference.diagnostics[0]?.message ?? "" };
}
