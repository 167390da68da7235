// Constant and shape folding, common subexpressions and dead code of an ONNX-form graph: the graph rebuilt through the folding draft.
import { type Diagnostic, invariant, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { type OnnxOp, onnxOps } from "../../ir/graph/onnx-ops.ts";
import type { OpName } from "../../ir/graph/op-names.ts";
import { addCall, addDraftTensor, addStoredConstant, createOnnxDraft, type OnnxDraft } from "./draft.ts";
import { canonicalOrder } from "./order.ts";

const isOnnxOp = (op: OpName): op is OnnxOp => Object.hasOwn(onnxOps, op);

function copyTensors(graph: Graph, draft: OnnxDraft, map: Map<TensorId, TensorId>): void {
  for (const { tensor } of graph.inputs) {
    const source = graph.tensors[tensor];
    invariant(source !== undefined, `graph input ${tensor} does not exist`);
    map.set(tensor, addDraftTensor(draft, source.name, source));
  }
  for (const tensor of graph.tensors) {
    if (tensor.data !== undefined) map.set(tensor.id, addStoredConstant(draft, tensor.name, tensor, tensor.data));
  }
}

function copyNode(graph: Graph, draft: OnnxDraft, node: GraphNode, map: Map<TensorId, TensorId>): Diagnostic[] {
  const { op } = node;
  invariant(isOnnxOp(op), `${op} is not an ONNX operator`);
  const inputs = node.inputs.map((id) => (id === null ? null : (map.get(id) ?? null)));
  const outputs = node.outputs.map((id) => (id === null ? null : (graph.tensors[id]?.name ?? "")));
  const result = addCall(draft, { op, inputs, attrs: node.attrs, outputs, origins: node.origins });
  invariant(result.ok, `${op} of a checked graph does not check`);
  for (const [index, id] of node.outputs.entries()) {
    const made = result.outputs[index] ?? null;
    if (id !== null && made !== null) map.set(id, made);
  }
  return [];
}

export function foldGraph(graph: Graph): Result<Graph> {
  const draft = createOnnxDraft();
  const map = new Map<TensorId, TensorId>();
  copyTensors(graph, draft, map);
  for (const node of graph.nodes) copyNode(graph, draft, node, map);
  const at = (id: TensorId): TensorId => {
    const mapped = map.get(id);
    invariant(mapped !== undefined, `tensor ${id} was not folded`);
    return mapped;
  };
  const inputs = graph.inputs.map((input) => ({ ...input, tensor: at(input.tensor) }));
  const outputs = graph.outputs.map((output) => ({ ...output, tensor: at(output.tensor) }));
  return ok(canonicalOrder({ ...graph, tensors: draft.tensors, nodes: draft.nodes, inputs, outputs }));
}
