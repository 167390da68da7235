// A graph in ONNX form as a model file: nodes in their newest form, constants inside. What the importer reads back is the same graph. Knows how
// the operator table's form differs from the file's; decides nothing.
import type { onnx as Onnx } from "onnx-proto";
import onnxProto from "onnx-proto";
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { DType } from "../../ir/dtype.ts";
import type { AttrSpec, AttrValue } from "../../ir/graph/attr.ts";
import type { Graph, GraphNode, GraphTensor, TensorId } from "../../ir/graph/graph.ts";
import { isOnnxOp, onnxOps } from "../../ir/graph/onnx-ops.ts";
import { elementTypeOfDtype } from "./schema.ts";

const { onnx } = onnxProto;
const IR_VERSION = 10;
/** Of the default domain: the form the operator table describes. */
const OPSET = 24;

function tensorAt(graph: Graph, id: TensorId): GraphTensor {
  const tensor = graph.tensors[id];
  invariant(tensor !== undefined, `tensor ${id} does not exist`);
  return tensor;
}

/** A name of its own for every tensor: those of inputs and outputs stay. */
function namesOf(graph: Graph): ReadonlyMap<TensorId, string> {
  const ports = [...graph.inputs, ...graph.outputs];
  const names = new Map<TensorId, string>();
  const taken = new Set(ports.map(({ name }) => name));
  for (const { name, tensor } of ports) if (!names.has(tensor)) names.set(tensor, name);
  for (const { id, name } of graph.tensors) {
    if (names.has(id)) continue;
    const own = name !== "" && !taken.has(name) ? name : `${name}#${id}`;
    taken.add(own);
    names.set(id, own);
  }
  return names;
}

function attribute(name: string, spec: AttrSpec, value: AttrValue): Onnx.IAttributeProto {
  const text = new TextEncoder();
  const numbers = Array.isArray(value) ? value.map(Number) : [];
  switch (spec.type) {
    case "int":
      return { name, type: 2, i: Number(value) };
    case "float":
      return { name, type: 1, f: Number(value) };
    case "ints":
      return { name, type: 7, ints: numbers };
    case "floats":
      return { name, type: 6, floats: numbers };
    case "string":
      return { name, type: 3, s: text.encode(String(value)) };
    case "strings":
      return { name, type: 8, strings: Array.isArray(value) ? value.map((item) => text.encode(String(item))) : [] };
    case "dtype":
      return { name, type: 2, i: elementTypeOfDtype(value as DType) };
  }
}

const contents = ({ dtype, shape, data }: GraphTensor): Onnx.ITensorProto => ({
  dims: [...shape],
  dataType: elementTypeOfDtype(dtype),
  rawData: data?.read() ?? new Uint8Array(0),
});

function nodeProto(graph: Graph, node: GraphNode, names: ReadonlyMap<TensorId, string>): Onnx.INodeProto {
  const { op } = node;
  invariant(isOnnxOp(op), `${op} is not an ONNX operator`);
  const at = op.lastIndexOf(".");
  const nameOf = (id: TensorId | null): string => (id === null ? "" : (names.get(id) ?? ""));
  const specs: Readonly<Record<string, AttrSpec>> = onnxOps[op].attrs;
  const attributes = Object.entries(node.attrs).flatMap(([name, value]) => {
    const spec = specs[name];
    return spec === undefined ? [] : [attribute(name, spec, value)];
  });
  // The fill value is an input in the table and a tensor attribute in the file.
  const fill = op === "ConstantOfShape" ? (node.inputs[1] ?? null) : null;
  const value = fill === null ? [] : [{ name: "value", type: 4, t: { ...contents(tensorAt(graph, fill)), dims: [1] } }];
  const inputs = op === "ConstantOfShape" ? node.inputs.slice(0, 1) : node.inputs;
  return {
    name: node.origins[0]?.name ?? `node ${node.id}`,
    domain: at < 0 ? "" : op.slice(0, at),
    opType: op.slice(at + 1),
    input: inputs.map(nameOf),
    output: node.outputs.map(nameOf),
    attribute: [...attributes, ...value],
  };
}

function port(graph: Graph, { name, tensor, dtype }: Graph["inputs"][number]): Onnx.IValueInfoProto {
  const dim = tensorAt(graph, tensor).shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: elementTypeOfDtype(dtype), shape: { dim } } } };
}

/** An output that is an input, a constant, or another output too has a node of its own to give it its name. */
function aliases(graph: Graph, names: ReadonlyMap<TensorId, string>): readonly Onnx.INodeProto[] {
  return graph.outputs
    .filter(({ name, tensor }) => names.get(tensor) !== name)
    .map(({ name, tensor }) => ({ name, opType: "Identity", input: [names.get(tensor) ?? ""], output: [name] }));
}

/** The bytes of a model file. */
export function exportModel(graph: Graph): Uint8Array {
  const names = namesOf(graph);
  const constants = graph.tensors.filter(({ data }) => data !== undefined);
  return onnx.ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: "lpuc",
    opsetImport: [
      { domain: "", version: OPSET },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: {
      name: graph.name,
      node: [...graph.nodes.map((node) => nodeProto(graph, node, names)), ...aliases(graph, names)],
      initializer: constants.map((tensor) => ({ ...contents(tensor), name: names.get(tensor.id) ?? "" })),
      input: graph.inputs.map((input) => port(graph, input)),
      output: graph.outputs.map((output) => port(graph, output)),
    },
  }).finish();
}
