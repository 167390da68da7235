// State that stays on its chip: an input and the output that renews it share one place in memory, so that the value of one execution is there for
// the next. Decides which pairs can; knows no addresses.
import type { TensorId } from "../../ir/graph/graph.ts";
import { renewedInputs } from "../../ir/graph/renewed-inputs.ts";
import type { Block, BlockChain } from "../blocks/blocks.ts";
import type { ShardedGraph } from "../shard/sharded.ts";

/** The input whose place each renewing output takes, in tensors of the rank's graph. */
export type States = ReadonlyMap<TensorId, TensorId>;

/**
 * A pair shares its place where one block makes the new value and is the only one to read either: then one chip of each rank has both, and within
 * the block it is known when the old value has been read. All other pairs stay two places, and the host carries the value.
 */
export function statesOf(
  { graph, exchanges, pieces }: Pick<ShardedGraph, "graph" | "exchanges" | "pieces">,
  chain: BlockChain,
): States {
  const described = (ends: typeof graph.inputs) =>
    ends.map(({ name, dtype, tensor }) => ({ name, dtype, shape: graph.tensors[tensor]?.shape ?? [] }));
  const renewed = renewedInputs(described(graph.inputs), described(graph.outputs));
  const exchanged = new Set(exchanges.flatMap(({ moves }) => moves.flatMap(({ source, target }) => [source, target])));
  const inputs = graph.inputs.map(({ tensor }) => tensor);
  const outputs = graph.outputs.map(({ tensor }) => tensor);
  const once = (list: readonly TensorId[], id: TensorId): boolean => list.indexOf(id) === list.lastIndexOf(id);
  const pieceOf = (id: TensorId): string => `${pieces.get(id)?.dim}`;
  const modelInputs = inputs.map((id) => pieces.get(id)?.tensor ?? id);
  const states = new Map<TensorId, TensorId>();
  outputs.forEach((output, i) => {
    const at = renewed[i];
    const input = at === undefined ? undefined : inputs[at];
    if (at === undefined || input === undefined) return;
    const maker = chain.blocks.find((block) => block.outputs.includes(output));
    const isAlone = (block: Block): boolean =>
      block === maker || ![input, output].some((id) => block.inputs.includes(id));
    if (maker === undefined || !chain.blocks.every(isAlone) || exchanged.has(input) || exchanged.has(output)) return;
    if (!once(outputs, output) || !once(modelInputs, modelInputs[at] as TensorId) || outputs.includes(input)) return;
    if (inputs.includes(output) || graph.tensors[output]?.data !== undefined) return;
    if (pieceOf(input) !== pieceOf(output) || graph.tensors[input]?.dtype !== graph.tensors[output]?.dtype) return;
    states.set(output, input);
  });
  return states;
}

/** Which outputs of a block renew which of its inputs, by their places: equal for blocks of one class. */
export const statePattern = (states: States, block: Block): string =>
  block.outputs
    .flatMap((output, i) => (states.has(output) ? `${i}=${block.inputs.indexOf(states.get(output) as TensorId)}` : []))
    .join();
