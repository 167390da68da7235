// Decode steps of small models whose caches keep their size, in the styles in which exporters write the new row; for tests of state.
import onnxProto from "onnx-proto";
import { textBytesOf } from "../backends/encode/queues.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { bytesOf, type TensorValue } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { compileGraph } from "../passes/compile/compile.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { elementTypeOfDtype } from "../src/onnx/schema.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { good } from "./onnx-import.ts";
import { type Attribute, attributeProto, floats, i64, listed, scalar } from "./op-models.ts";

const { onnx } = onnxProto;

/** How the new row gets into the cache. `roll` drops the oldest row; `decay` keeps a running sum of the whole. */
export const cacheStyles = ["where", "elements", "nd", "tensor", "roll", "decay"] as const;
export type CacheStyle = (typeof cacheStyles)[number];

export interface DecodeOptions {
  readonly layers: number;
  readonly batch: number;
  readonly heads: number;
  /** Query heads that share a key head. */
  readonly group: number;
  readonly size: number;
  readonly rows: number;
  readonly style: CacheStyle;
  readonly dtype?: "float32" | "float16";
}

interface Draft {
  readonly nodes: object[];
  readonly constants: object[];
}

function add(
  draft: Draft,
  op: string,
  inputs: readonly (string | TensorValue)[],
  output: string,
  attrs: Readonly<Record<string, Attribute>> = {},
): string {
  const input = inputs.map((one) => {
    if (typeof one === "string") return one;
    const name = `c${draft.constants.length}`;
    draft.constants.push({
      name,
      dims: [...one.shape],
      dataType: elementTypeOfDtype(one.dtype),
      rawData: bytesOf(one),
    });
    return name;
  });
  const attribute = Object.entries(attrs).map(([key, value]) => attributeProto(key, value));
  draft.nodes.push({ name: `/${output}`, opType: op, input, output: [output], attribute });
  return output;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The cache [batch, heads, rows, size] with `row` [batch, heads, 1, size] in it. */
function renewed(draft: Draft, o: DecodeOptions, past: string, row: string, present: string): void {
  const { batch, heads, rows, size, dtype = "float32" } = o;
  const shape = [batch, heads, rows, size];
  switch (o.style) {
    case "where": {
      const here = add(draft, "Equal", ["position", listed("int64", [rows], upTo(rows))], `${present}.here`);
      const mask = add(draft, "Reshape", [here, i64(1, 1, rows, 1)], `${present}.mask`);
      add(draft, "Where", [mask, row, past], present);
      return;
    }
    case "elements": {
      const at = add(draft, "Expand", ["position", i64(batch, heads, 1, size)], `${present}.at`);
      add(draft, "ScatterElements", [past, at, row], present, { axis: 2n });
      return;
    }
    case "nd": {
      const flat = add(draft, "Reshape", [past, i64(batch * heads, rows, size)], `${present}.flat`);
      const byRow = add(draft, "Transpose", [flat], `${present}.byRow`, { perm: [1n, 0n, 2n] });
      const at = add(draft, "Reshape", ["position", i64(1, 1)], `${present}.at`);
      const update = add(draft, "Reshape", [row, i64(1, batch * heads, size)], `${present}.update`);
      const put = add(draft, "ScatterND", [byRow, at, update], `${present}.put`);
      const back = add(draft, "Transpose", [put], `${present}.back`, { perm: [1n, 0n, 2n] });
      add(draft, "Reshape", [back, listed("int64", [4], shape)], present);
      return;
    }
    case "tensor": {
      const at = add(draft, "Expand", ["position", i64(batch)], `${present}.at`);
      add(draft, "TensorScatter", [past, row, at], present, { axis: 2n });
      return;
    }
    case "roll": {
      const rest = add(draft, "Slice", [past, i64(1), i64(rows), i64(2)], `${present}.rest`);
      add(draft, "Concat", [rest, row], present, { axis: 2n });
      return;
    }
    case "decay": {
      const less = add(draft, "Mul", [past, scalar(dtype, 0.5)], `${present}.less`);
      add(draft, "Add", [less, row], present);
    }
  }
}

/** Inputs x [batch, 1, width], position [1] and two caches a layer; outputs y and the renewed caches. */
export function decodeModel(o: DecodeOptions): Uint8Array {
  const { layers, batch, heads, group, size, rows, dtype = "float32" } = o;
  const width = heads * group * size;
  const draft: Draft = { nodes: [], constants: [] };
  const cacheShape = [batch, heads, rows, size];
  const after = add(draft, "Greater", [listed("int64", [rows], upTo(rows)), "position"], "after");
  const masked = add(draft, "Where", [after, scalar(dtype, -1e4), scalar(dtype, 0)], "masked");
  const caches: string[] = [];
  let x = "x";
  upTo(layers).forEach((l) => {
    const weight = (seed: number, columns: number): TensorValue =>
      floats([width, columns], 10 * l + seed, -0.6, 0.6, dtype);
    const split = (name: string, count: number, seed: number): string => {
      const flat = add(draft, "MatMul", [x, weight(seed, count * size)], `${name}.flat`);
      const parted = add(draft, "Reshape", [flat, i64(batch, 1, count, size)], `${name}.parted`);
      return add(draft, "Transpose", [parted], name, { perm: [0n, 2n, 1n, 3n] });
    };
    const q = split(`q${l}`, heads * group, 1);
    const [key, value] = (["key", "value"] as const).map((kind, i) => {
      const present = `present.${l}.${kind}`;
      renewed(draft, o, `past_key_values.${l}.${kind}`, split(`${kind}${l}`, heads, 2 + i), present);
      caches.push(`${l}.${kind}`);
      const wide = add(draft, "Reshape", [present, i64(batch, heads, 1, rows, size)], `${present}.wide`);
      const each = add(draft, "Expand", [wide, i64(batch, heads, group, rows, size)], `${present}.each`);
      return add(draft, "Reshape", [each, i64(batch, heads * group, rows, size)], `${present}.all`);
    }) as [string, string];
    const turned = add(draft, "Transpose", [key], `turned${l}`, { perm: [0n, 1n, 3n, 2n] });
    const scores = add(draft, "MatMul", [q, turned], `scores${l}`);
    const scaled = add(draft, "Mul", [scores, scalar(dtype, 1 / Math.sqrt(size))], `scaled${l}`);
    const open = o.style === "where" || o.style === "elements" || o.style === "nd" || o.style === "tensor";
    const seen = open ? add(draft, "Add", [scaled, masked], `seen${l}`) : scaled;
    const weights = add(draft, "Softmax", [seen], `weights${l}`, { axis: -1n });
    const context = add(draft, "MatMul", [weights, value], `context${l}`);
    const back = add(draft, "Transpose", [context], `back${l}`, { perm: [0n, 2n, 1n, 3n] });
    const joined = add(draft, "Reshape", [back, i64(batch, 1, width)], `joined${l}`);
    x = add(draft, "Add", [x, joined], l === layers - 1 ? "y" : `x${l + 1}`);
  });
  const info = (name: string, type: "float32" | "float16" | "int64", dims: readonly number[]): object => ({
    name,
    type: {
      tensorType: { elemType: elementTypeOfDtype(type), shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
    },
  });
  const graph = {
    name: "decode",
    node: draft.nodes,
    initializer: draft.constants,
    input: [
      info("x", dtype, [batch, 1, width]),
      info("position", "int64", [1]),
      ...caches.map((name) => info(`past_key_values.${name}`, dtype, cacheShape)),
    ],
    output: [info("y", dtype, [batch, 1, width]), ...caches.map((name) => info(`present.${name}`, dtype, cacheShape))],
  };
  return onnx.ModelProto.encode({ irVersion: 10, opsetImport: [{ domain: "", version: 24 }], graph }).finish();
}

export interface System {
  readonly target: string;
  readonly chips: number;
  readonly tensorParallel?: number;
  readonly precision: "fp16" | "fp32";
}

function compileGraphOn(graph: Graph, system: System): Program {
  const target = presetTarget(system.target);
  if (target === undefined) throw new Error(`no target ${system.target}`);
  const { precision, chips, tensorParallel } = system;
  const core = legalise(graph, { precision, lanes: target.lanes });
  if (!core.ok) throw new Error(core.diagnostics.map((one) => one.message).join("\n"));
  const made = compileGraph(core.value, target, {
    chips,
    modelName: "decode",
    precision,
    effort: 0,
    ...(tensorParallel === undefined ? {} : { tensorParallel }),
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  if (!made.ok) throw new Error(made.diagnostics.map((one) => one.message).join("\n"));
  return made.value.program;
}

/** The model as the importer gives it, and its program. */
export function compileDecode(
  options: DecodeOptions,
  system: System,
): { readonly graph: Graph; readonly program: Program } {
  const { graph } = good(decodeModel(options));
  return { graph, program: compileGraphOn(graph, system) };
}
