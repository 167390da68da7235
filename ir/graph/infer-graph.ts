// Inference over a whole graph of either form: the type of every tensor as its node's row gives it.

import { inferCore, isCoreOp } from "./core-infer.ts";
import { coreOps } from "./core-ops.ts";
import type { Graph, GraphNode, GraphTensor, NodeId, TensorId } from "./graph.ts";
import { inferOp } from "./infer.ts";
import { isOnnxOp } from "./onnx-ops.ts";
import { isProblem, type Problem, problem } from "./op-row.ts";
import { type TensorType, type TensorValue, valueOfConst } from "./values.ts";

interface NodeProblems {
  readonly node: NodeId;
  readonly problems: readonly Problem[];
}

export type NodeTypes =
  | { readonly ok: true; readonly outputs: readonly TensorType[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const tensorAt = (graph: Graph, id: TensorId | null | undefined): GraphTensor | undefined =>
  id === null || id === undefined ? undefined : graph.tensors[id];

/** The value of a tensor that is a constant. Read anew each time. */
export function constantValue(graph: Graph, id: TensorId | null | undefined): TensorValue | undefined {
  const tensor = tensorAt(graph, id);
  return tensor?.data === undefined ? undefined : valueOfConst(tensor, tensor.data);
}

/** Types of one node's outputs, its inputs having the types that the graph declares. */
export function inferNode(graph: Graph, node: GraphNode): NodeTypes {
  const fail = (...problems: readonly Problem[]): NodeTypes => ({ ok: false, problems });
  if (isCoreOp(node.op)) {
    const inputs = node.inputs.flatMap((id) => tensorAt(graph, id) ?? []);
    const declared = tensorAt(graph, node.outputs[0]);
    if (inputs.length !== node.inputs.length)
      return fail(problem("arity", `${coreOps[node.op].operands.join(", ")} are all needed`));
    if (declared === undefined || node.outputs.length !== 1) return fail(problem("arity", "a core op has one output"));
    const result = inferCore({ op: node.op, inputs, attrs: node.attrs, declared });
    return isProblem(result) ? fail(result) : { ok: true, outputs: [{ dtype: result.dtype, shape: result.shape }] };
  }
  if (!isOnnxOp(node.op)) return fail(problem("unsupported", `no operator is named ${node.op}`));
  return inferOp(node.op, {
    inputs: node.inputs.map((id) => tensorAt(graph, id) ?? null),
    constant: (index) => constantValue(graph, node.inputs[index]),
    attrs: node.attrs,
    outputCount: node.outputs.length,
  });
}

export interface InferredGraph {
  /** By tensor id; undefined where the producing node is wrong. */
  readonly types: readonly (TensorType | undefined)[];
  readonly problems: readonly NodeProblems[];
}

/** Types of all tensors and everything that is wrong with nodes. Inputs and constants keep their declared types. */
export function inferGraph(graph: Graph): InferredGraph {
  const types: (TensorType | undefined)[] = graph.tensors.map(({ dtype, shape }) => ({ dtype, shape }));
  const problems: NodeProblems[] = [];
  for (const node of graph.nodes) {
    const inferred = inferNode(graph, node);
    if (!inferred.ok) problems.push({ node: node.id, problems: inferred.problems });
    for (const [i, id] of node.outputs.entries()) {
      if (id !== null) types[id] = inferred.ok ? inferred.outputs[i] : undefined;
    }
  }
  return { types, problems };
}
