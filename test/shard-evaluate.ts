// What a shared graph means: every rank evaluated, phase by phase, exchanges in between. Plain, and apart from everything that compiles.
import { evaluateCore } from "../ir/graph/core-eval.ts";
import { isCoreOp } from "../ir/graph/core-infer.ts";
import type { Graph, TensorId } from "../ir/graph/graph.ts";
import { constantValue } from "../ir/graph/infer-graph.ts";
import { allocate, countOf, setElement, type TensorValue, tensorValue } from "../ir/graph/values.ts";
import { type ExchangeMove, graphOfRank, pieceOrigin, type ShardedGraph } from "../passes/shard/sharded.ts";

/** Flat positions of a box of a tensor, row by row. */
function boxPositions(shape: readonly number[], origin: readonly number[], extent: readonly number[]): number[] {
  let at = [0];
  shape.forEach((size, d) => {
    at = at.flatMap((base) =>
      Array.from({ length: extent[d] as number }, (_, i) => base * size + (origin[d] as number) + i),
    );
  });
  return at;
}

function box(value: TensorValue, origin: readonly number[], extent: readonly number[]): TensorValue {
  const data = allocate(value.dtype, countOf(extent));
  boxPositions(value.shape, origin, extent).forEach((from, i) => {
    setElement(data, i, value.data[from]);
  });
  return tensorValue(value.dtype, extent, data);
}

type Values = Map<TensorId, TensorValue>;

function move(sharded: ShardedGraph, ranks: readonly Values[], one: ExchangeMove): void {
  const source = ranks[one.from]?.get(one.source);
  const { dtype, shape } = sharded.graph.tensors[one.target] as Graph["tensors"][number];
  if (source === undefined) throw new Error(`tensor ${one.source} is not there on rank ${one.from}`);
  const values = ranks[one.to] as Values;
  const target = values.get(one.target) ?? tensorValue(dtype, shape, allocate(dtype, countOf(shape)));
  const from = boxPositions(source.shape, one.sourceOrigin, one.extent);
  boxPositions(shape, one.targetOrigin, one.extent).forEach((to, i) => {
    setElement(target.data, to, source.data[from[i] as number]);
  });
  values.set(one.target, target);
}

/** Outputs of the model, put together from the ranks. Inputs by name, in the types of the core graph. */
export function evaluateSharded(
  model: Graph,
  sharded: ShardedGraph,
  inputs: ReadonlyMap<string, TensorValue>,
): Map<string, TensorValue> {
  const ranks = Array.from({ length: sharded.ways }, (): Values => new Map());
  const graphs = ranks.map((_, rank) => graphOfRank(sharded, rank));
  ranks.forEach((values, rank) => {
    for (const { name, tensor } of sharded.graph.inputs) {
      const piece = sharded.pieces.get(tensor);
      const whole = inputs.get(name);
      if (piece === undefined || whole === undefined) throw new Error(`no value for ${name}`);
      values.set(tensor, box(whole, pieceOrigin(sharded, piece, rank), sharded.graph.tensors[tensor]?.shape ?? []));
    }
  });
  const last = Math.max(0, ...sharded.phases);
  for (let phase = 0; phase <= last; phase++) {
    ranks.forEach((values, rank) => {
      sharded.graph.nodes.forEach((node, i) => {
        if (sharded.phases[i] !== phase || !isCoreOp(node.op)) return;
        const operands = node.inputs.map((id) => {
          const value = id === null ? undefined : (values.get(id) ?? constantValue(graphs[rank] as Graph, id));
          if (value === undefined) throw new Error(`node ${i} reads what is not there`);
          return value;
        });
        const id = node.outputs[0] as TensorId;
        const { dtype, shape } = sharded.graph.tensors[id] as Graph["tensors"][number];
        values.set(id, evaluateCore(node.op, operands, { dtype, shape }, node.attrs));
      });
    });
    for (const exchange of sharded.exchanges)
      if (exchange.phase === phase) for (const one of exchange.moves) move(sharded, ranks, one);
  }
  return new Map(
    model.outputs.map(({ name }, i) => {
      const id = sharded.graph.outputs[i]?.tensor as TensorId;
      return [name, joined(model, sharded, ranks, graphs, id)];
    }),
  );
}

function joined(
  model: Graph,
  sharded: ShardedGraph,
  ranks: readonly Values[],
  graphs: readonly Graph[],
  id: TensorId,
): TensorValue {
  const piece = sharded.pieces.get(id);
  const whole = piece === undefined ? undefined : model.tensors[piece.tensor];
  if (piece === undefined || whole === undefined) throw new Error("an output is no piece of the model");
  const data = allocate(whole.dtype, countOf(whole.shape));
  ranks.forEach((values, rank) => {
    const value = values.get(id) ?? constantValue(graphs[rank] as Graph, id);
    if (value === undefined) throw new Error("an output was not computed");
    boxPositions(whole.shape, pieceOrigin(sharded, piece, rank), value.shape).forEach((to, i) => {
      setElement(data, to, value.data[i]);
    });
  });
  return tensorValue(whole.dtype, whole.shape, data);
}
