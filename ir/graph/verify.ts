// Is a graph well formed? Ids, definitions before uses, types as the operator rows give them, and the limits of its form. Every violation is
// returned with its witness. Decides nothing and repairs nothing.
import { byteLengthOf, type DType } from "../dtype.ts";
import { isCoreOp } from "./core-infer.ts";
import { elementCount, type Graph, type GraphNode, type GraphTensor, type TensorId } from "./graph.ts";
import { inferNode } from "./infer-graph.ts";
import { isOnnxOp } from "./onnx-ops.ts";
import { shapeText } from "./shapes.ts";
import type { TensorType } from "./values.ts";

export interface GraphViolation {
  /**
   * "id": an id is not its index or points nowhere. "shape": a size is no whole number. "data": constant bytes do not fit. "definition": a
   * tensor is defined twice, or never but used. "order": a use before the definition. "operator": the node's row refuses it. "type": the
   * declared type differs from the inferred one. "form": an operator or element type that the form does not allow. "name": a duplicate.
   */
  readonly rule: "id" | "shape" | "data" | "definition" | "order" | "operator" | "type" | "form" | "name";
  readonly message: string;
  readonly node?: number;
  readonly tensor?: number;
}

const nodeLabel = (node: GraphNode): string =>
  `node ${node.id} (${node.op}${node.origins[0] ? ` "${node.origins[0].name}"` : ""})`;
const tensorLabel = (tensor: GraphTensor): string => `%${tensor.id} "${tensor.name}"`;
const typeText = (type: TensorType): string => `${type.dtype}${shapeText(type.shape)}`;

function verifyTensors(graph: Graph): GraphViolation[] {
  return graph.tensors.flatMap((tensor, index): GraphViolation[] => {
    const found: GraphViolation[] = [];
    const at = { tensor: index };
    if (tensor.id !== index) found.push({ rule: "id", message: `tensor ${index} carries id ${tensor.id}`, ...at });
    if (!tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      found.push({ rule: "shape", message: `${tensorLabel(tensor)} has shape ${shapeText(tensor.shape)}`, ...at });
    } else if (tensor.data !== undefined) {
      const needed = byteLengthOf(tensor.dtype, elementCount(tensor.shape));
      if (tensor.data.byteLength !== needed) {
        const message = `${tensorLabel(tensor)} is ${typeText(tensor)}: ${needed} bytes, its data has ${tensor.data.byteLength}`;
        found.push({ rule: "data", message, ...at });
      }
    }
    return found;
  });
}

const wordTypes: readonly DType[] = ["float32", "int32"];
const byteTypes: readonly DType[] = ["int8", "uint8"];

/** Ops that may read or write byte tensors of a core graph: conversions, integer products, and what moves bits untouched. */
const byteOps: readonly string[] = [
  "toInt8",
  "fromInt8",
  "matmul",
  "reshape",
  "transpose",
  "expand",
  "slice",
  "concat",
  "pad",
  "gather",
];

function verifyForm(graph: Graph): GraphViolation[] {
  const found: GraphViolation[] = [];
  for (const node of graph.nodes) {
    const belongs = graph.form === "core" ? isCoreOp(node.op) : isOnnxOp(node.op);
    if (!belongs)
      found.push({ rule: "form", message: `${nodeLabel(node)} has no place in form ${graph.form}`, node: node.id });
  }
  if (graph.form !== "core") return found;
  for (const tensor of graph.tensors) {
    if (wordTypes.includes(tensor.dtype) || byteTypes.includes(tensor.dtype)) continue;
    found.push({
      rule: "form",
      message: `${tensorLabel(tensor)} is ${tensor.dtype}, the core form has float32, int32, int8 and uint8`,
      tensor: tensor.id,
    });
  }
  for (const node of graph.nodes) {
    const bytes = [...node.inputs, ...node.outputs].find(
      (id) => id !== null && byteTypes.includes(graph.tensors[id]?.dtype ?? "float32"),
    );
    if (bytes === undefined || byteOps.includes(node.op)) continue;
    found.push({ rule: "form", message: `${nodeLabel(node)} touches a byte tensor`, node: node.id });
  }
  return found;
}

/** Where each tensor gets its value: -1 for inputs and constants, else the position of its node. */
function definitionsOf(graph: Graph): {
  readonly at: ReadonlyMap<TensorId, number>;
  readonly violations: readonly GraphViolation[];
} {
  const at = new Map<TensorId, number>();
  const violations: GraphViolation[] = [];
  const define = (id: TensorId, place: number, what: string): void => {
    const tensor = graph.tensors[id];
    if (tensor === undefined)
      violations.push({ rule: "id", message: `${what} names tensor ${id}, which does not exist` });
    else if (at.has(id))
      violations.push({
        rule: "definition",
        message: `${tensorLabel(tensor)} is defined again by ${what}`,
        tensor: id,
      });
    else at.set(id, place);
  };
  for (const tensor of graph.tensors) if (tensor.data !== undefined) define(tensor.id, -1, "its constant data");
  for (const input of graph.inputs) define(input.tensor, -1, `input "${input.name}"`);
  for (const [place, node] of graph.nodes.entries()) {
    for (const id of node.outputs) if (id !== null) define(id, place, nodeLabel(node));
  }
  return { at, violations };
}

function verifyUses(graph: Graph): GraphViolation[] {
  const { at, violations } = definitionsOf(graph);
  const found = [...violations];
  const use = (id: TensorId, place: number, what: string): void => {
    const tensor = graph.tensors[id];
    const defined = at.get(id);
    if (tensor === undefined) found.push({ rule: "id", message: `${what} uses tensor ${id}, which does not exist` });
    else if (defined === undefined)
      found.push({
        rule: "definition",
        message: `${what} uses ${tensorLabel(tensor)}, which nothing defines`,
        tensor: id,
      });
    else if (defined >= place)
      found.push({ rule: "order", message: `${what} uses ${tensorLabel(tensor)} before its definition`, tensor: id });
  };
  for (const [place, node] of graph.nodes.entries()) {
    if (node.id !== place) found.push({ rule: "id", message: `node ${place} carries id ${node.id}`, node: place });
    for (const id of node.inputs) if (id !== null) use(id, place, nodeLabel(node));
  }
  for (const output of graph.outputs) use(output.tensor, graph.nodes.length, `output "${output.name}"`);
  return found;
}

function verifyTypes(graph: Graph): GraphViolation[] {
  return graph.nodes.flatMap((node): GraphViolation[] => {
    const inferred = inferNode(graph, node);
    if (!inferred.ok) {
      return inferred.problems.map(({ problem }) => ({
        rule: "operator",
        message: `${nodeLabel(node)}: ${problem}`,
        node: node.id,
      }));
    }
    return node.outputs.flatMap((id, i): GraphViolation[] => {
      const [tensor, type] = [id === null ? undefined : graph.tensors[id], inferred.outputs[i]];
      if (tensor === undefined || type === undefined || typeText(tensor) === typeText(type)) return [];
      const message = `${nodeLabel(node)}: ${tensorLabel(tensor)} is declared ${typeText(tensor)}, its operator gives ${typeText(type)}`;
      return [{ rule: "type", message, node: node.id, tensor: tensor.id }];
    });
  });
}

function verifyNames(names: readonly string[], what: string): GraphViolation[] {
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  return [...new Set(twice)].map((name) => ({ rule: "name", message: `two ${what} are named "${name}"` }));
}

/** Everything that is wrong with the structure of a graph; empty if it is well formed. */
export function verifyGraph(graph: Graph): GraphViolation[] {
  const structure = [...verifyTensors(graph), ...verifyUses(graph), ...verifyForm(graph)];
  const names = [
    ...verifyNames(
      graph.inputs.map(({ name }) => name),
      "inputs",
    ),
    ...verifyNames(
      graph.outputs.map(({ name }) => name),
      "outputs",
    ),
  ];
  const broken = structure.some(({ rule }) => rule === "id" || rule === "shape" || rule === "data" || rule === "form");
  return [...structure, ...names, ...(broken ? [] : verifyTypes(graph))];
}
