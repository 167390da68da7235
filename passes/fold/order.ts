// Dead code removal and the canonical order: nodes depth-first from the outputs in output order, tensors in the order nodes use them. What
// comes out depends on the structure of the graph only, not on names or on the order its nodes were listed in.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type Graph, type GraphNode, type GraphTensor, nodeId, type TensorId, tensorId } from "../../ir/graph/graph.ts";

function producersOf(graph: Graph): ReadonlyMap<TensorId, GraphNode> {
  const producers = new Map<TensorId, GraphNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== null) producers.set(output, node);
  return producers;
}

/** Live nodes, each after those it reads from. */
function liveNodes(graph: Graph): GraphNode[] {
  const producers = producersOf(graph);
  const done = new Set<GraphNode>();
  const order: GraphNode[] = [];
  for (const { tensor } of graph.outputs) {
    const root = producers.get(tensor);
    if (root === undefined || done.has(root)) continue;
    const stack = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1);
      invariant(top !== undefined, "the stack is not empty");
      if (top.next >= top.node.inputs.length) {
        stack.pop();
        if (!done.has(top.node)) order.push(top.node);
        done.add(top.node);
        continue;
      }
      const input = top.node.inputs[top.next] ?? null;
      top.next += 1;
      const producer = input === null ? undefined : producers.get(input);
      if (producer !== undefined && !done.has(producer)) stack.push({ node: producer, next: 0 });
    }
  }
  return order;
}

/** The graph without dead nodes and tensors, in canonical order. Graph inputs stay, read or not. */
export function canonicalOrder(graph: Graph): Graph {
  const renamed = new Map<TensorId, TensorId>();
  const tensors: GraphTensor[] = [];
  const take = (id: TensorId): TensorId => {
    const known = renamed.get(id);
    if (known !== undefined) return known;
    const tensor = graph.tensors[id];
    invariant(tensor !== undefined, `tensor ${id} does not exist`);
    const fresh = tensorId(tensors.length);
    tensors.push({ ...tensor, id: fresh });
    renamed.set(id, fresh);
    return fresh;
  };
  const inputs = graph.inputs.map((input) => ({ ...input, tensor: take(input.tensor) }));
  const takeAll = (ids: readonly (TensorId | null)[]): (TensorId | null)[] =>
    ids.map((id) => (id === null ? null : take(id)));
  const nodes = liveNodes(graph).map((node, index): GraphNode => {
    const sources = takeAll(node.inputs);
    return { ...node, id: nodeId(index), inputs: sources, outputs: takeAll(node.outputs) };
  });
  const outputs = graph.outputs.map((output) => ({ ...output, tensor: take(output.tensor) }));
  return { ...graph, tensors, nodes, inputs, outputs };
}
