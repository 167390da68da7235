// Runs a graph of either form by the meaning of its operators. The reference of what a program has to compute; it knows no machine.
import { invariant } from "../diag/diagnostic.ts";
import { evaluateCore } from "./core-eval.ts";
import { isCoreOp } from "./core-infer.ts";
import type { Graph, GraphNode, GraphTensor, TensorId } from "./graph.ts";
import { completeAttrs } from "./infer.ts";
import { constantValue, inferNode } from "./infer-graph.ts";
import { isOnnxOp, onnxOps } from "./onnx-ops.ts";
import type { OnnxOpRow } from "./op-row.ts";
import { castValue } from "./ops/cast.ts";
import { shapeText } from "./shapes.ts";
import { type TensorValue, tensorValue } from "./values.ts";

/** Told every value as it is computed, in order. */
export type TensorObserver = (tensor: GraphTensor, value: TensorValue) => void;

/** Uses of each tensor that are still to come: node inputs and graph outputs. */
function usesOf(graph: Graph): number[] {
  const uses = graph.tensors.map(() => 0);
  const count = (id: TensorId | null): void => {
    if (id !== null) uses[id] = (uses[id] ?? 0) + 1;
  };
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const output of graph.outputs) count(output.tensor);
  return uses;
}

function evaluateNode(graph: Graph, node: GraphNode, inputs: readonly (TensorValue | null)[]): readonly TensorValue[] {
  const inferred = inferNode(graph, node);
  const label = `${node.op} (${node.origins[0]?.name ?? `node ${node.id}`})`;
  invariant(inferred.ok, `${label}: ${inferred.ok ? "" : inferred.problems.map(({ problem }) => problem).join("; ")}`);
  if (isCoreOp(node.op)) {
    const [out] = inferred.outputs;
    invariant(out !== undefined, `${label} has no output`);
    return [
      evaluateCore(
        node.op,
        inputs.flatMap((value) => value ?? []),
        out,
        node.attrs,
      ),
    ];
  }
  invariant(isOnnxOp(node.op), `no operator is named ${node.op}`);
  const row: OnnxOpRow = onnxOps[node.op];
  const outputs = inferred.outputs.slice(0, node.outputs.length);
  return row.evaluate({ inputs, attrs: completeAttrs(row, node.attrs).attrs, outputs });
}

/** Given values bound to the graph's inputs, in the types the graph computes with. */
function bindInputs(graph: Graph, inputs: ReadonlyMap<string, TensorValue>): Map<TensorId, TensorValue> {
  const live = new Map<TensorId, TensorValue>();
  for (const { name, tensor } of graph.inputs) {
    const given = inputs.get(name);
    const wanted = graph.tensors[tensor];
    invariant(given !== undefined && wanted !== undefined, `no value for input ${name}`);
    invariant(
      shapeText(given.shape) === shapeText(wanted.shape),
      `input ${name} has shape ${shapeText(given.shape)}, needed: ${shapeText(wanted.shape)}`,
    );
    live.set(tensor, castValue(given, wanted.dtype, true));
  }
  return live;
}

/**
 * Values of the graph's outputs by name, in the types the model declares, for values of its inputs by name. A tensor is dropped after its
 * last use; constants are read when first used. The graph must have passed `verifyGraph`.
 */
export function evaluateGraph(
  graph: Graph,
  inputs: ReadonlyMap<string, TensorValue>,
  observe?: TensorObserver,
): Map<string, TensorValue> {
  const live = bindInputs(graph, inputs);
  const uses = usesOf(graph);
  const fetch = (id: TensorId): TensorValue => {
    const value = live.get(id) ?? constantValue(graph, id);
    invariant(value !== undefined, `tensor ${graph.tensors[id]?.name} is used before it is computed`);
    if ((uses[id] ?? 0) > 1) live.set(id, value);
    return value;
  };
  const release = (id: TensorId): void => {
    uses[id] = (uses[id] ?? 0) - 1;
    if (uses[id] === 0) live.delete(id);
  };
  for (const node of graph.nodes) {
    const values = node.inputs.map((id) => (id === null ? null : fetch(id)));
    const results = evaluateNode(graph, node, values);
    for (const id of node.inputs) if (id !== null) release(id);
    for (const [i, id] of node.outputs.entries()) {
      const [tensor, value] = [id === null ? undefined : graph.tensors[id], results[i]];
      if (id === null || tensor === undefined || value === undefined) continue;
      if ((uses[id] ?? 0) > 0) live.set(id, value);
      observe?.(tensor, value);
    }
  }
  return new Map(graph.outputs.map(({ name, tensor, dtype }) => [name, outputValue(fetch(tensor), dtype)]));
}

/** A copy, so that outputs share no storage with inputs, constants or each other. */
function outputValue(value: TensorValue, dtype: TensorValue["dtype"]): TensorValue {
  const cast = castValue(value, dtype, false);
  return tensorValue(cast.dtype, cast.shape, cast.data.slice());
}
