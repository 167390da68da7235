// Parts that no chip can hold are cut: blocks are repeated layers, or the whole model where nothing repeats. Cuts are where the fewest
// numbers cross and every piece leaves room for results and program text. Must not know schedules.
import { elementCount, type Graph, type TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { type Block, type BlockChain, findRoots } from "../blocks/blocks.ts";
import type { ChainProblem } from "../partition/problem.ts";
import { solveChain } from "../partition/solve.ts";
import { chipCapacityBytes } from "./chain-costs.ts";
import type { GraphDemand } from "./demand.ts";

/** Share of a chip's bytes that the constants of a piece may take; pieces are made where a block has more than the larger one. */
const PIECE_SHARE = 0.7;
const WHOLE_SHARE = 0.9;

/**
 * Places in the chain's order where blocks that are too large should be cut; none where nothing is, or where no cut helps. `share` is the
 * part of a chip to count on, where less than all of it turned out to be of use.
 */
export function finerCuts(
  graph: Graph,
  chain: BlockChain,
  demand: GraphDemand,
  target: Target,
  share = 1,
): readonly number[] {
  const capacity = share * chipCapacityBytes(target);
  const bytesOf = (ids: readonly TensorId[]): number =>
    ids.reduce((sum, id) => sum + (demand.weightBytesOf.get(id) ?? 0), 0);
  const large = chain.blocks.filter(({ constants }) => bytesOf(constants) > WHOLE_SHARE * capacity);
  if (large.length === 0) return [];
  const crossing = crossingElements(graph, chain);
  return large.flatMap((block) => cutBlock(graph, chain, block, demand, PIECE_SHARE * capacity, crossing));
}

/** For each place in the order, the elements made before it that are read from it on. */
function crossingElements(graph: Graph, chain: BlockChain): Float64Array {
  const { rootOf } = findRoots(graph);
  const madeAt = new Map<TensorId, number>();
  const lastRead = new Map<TensorId, number>();
  chain.order.forEach((node, place) => {
    for (const id of node.inputs) if (id !== null) lastRead.set(rootOf(id), place);
    for (const id of node.outputs) if (id !== null) madeAt.set(id, place);
  });
  const change = new Float64Array(chain.order.length + 2);
  for (const [id, made] of madeAt) {
    const last = lastRead.get(id) ?? made;
    const elements = elementCount(graph.tensors[id]?.shape ?? []);
    change[made + 1] = (change[made + 1] ?? 0) + elements;
    change[last + 1] = (change[last + 1] ?? 0) - elements;
  }
  let now = 0;
  return change.map((by) => {
    now += by;
    return now;
  });
}

function cutBlock(
  graph: Graph,
  { order }: BlockChain,
  { from, to }: Block,
  demand: GraphDemand,
  capacityBytes: number,
  crossing: Float64Array,
): readonly number[] {
  const { rootOf } = findRoots(graph);
  const known = new Set<TensorId>();
  const layers = order.slice(from, to).map((node, i): ChainProblem["layers"][number] => {
    const fresh = node.inputs.flatMap((id) => (id === null || known.has(rootOf(id)) ? [] : [rootOf(id)]));
    for (const id of fresh) known.add(id);
    const weightBytes = [...new Set(fresh)].reduce((sum, id) => sum + (demand.weightBytesOf.get(id) ?? 0), 0);
    const cost = {
      computeCycles: 0,
      collectiveCycles: 0,
      weightBytes,
      stateBytes: 0,
      activationBytes: 0,
      receiveBusyCycles: 0,
      sendBusyCycles: 0,
      // What crosses a cut is what counts, and a cut is never free; of equal ones a later one leaves cheap work beside what it follows.
      sendLatencyCycles: 1 - (i + 1) / (2 * (to - from)) + (crossing[from + i + 1] ?? 0),
    };
    return { name: "", boundaryBytes: 0, costs: [cost] };
  });
  const chips = layers.length;
  const problem: ChainProblem = {
    layers,
    degrees: [1],
    chips,
    capacityBytes,
    transfer: "serial",
    cutAfter: [],
    pins: [],
  };
  const solution = solveChain(problem, "latency");
  return solution.kind === "solution" ? solution.stages.slice(1).map(({ firstLayer }) => from + firstLayer) : [];
}
