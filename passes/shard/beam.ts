// A plan by dynamic programming over the nodes in their order: a state says how each tensor that is still to be read is held, and in which other ways
// it has been made. Of two ways to one state the cheaper is kept, and of all states the cheapest few. Deterministic; bounded in states, not in time.
import type { GraphNode, TensorId } from "../../ir/graph/graph.ts";
import type { Axis } from "./axes.ts";
import { type CostModel, exchangeCycles, nodeCycles, outputNeeds } from "./cost.ts";
import { type Need, needsOf, resultShare } from "./plan.ts";
import type { Share } from "./sharded.ts";

interface Live {
  readonly root: TensorId;
  readonly held: Share;
  readonly made: readonly Share[];
}

interface State {
  readonly cycles: number;
  readonly live: readonly Live[];
  readonly before: State | undefined;
  readonly did: Axis | undefined;
}

/** A way to do a node. */
interface Way {
  readonly axis: Axis | undefined;
  readonly needs: readonly Need[];
  /** Of the node on each rank, and of what the outputs of the model ask of its result. */
  readonly cycles: number;
  readonly made: readonly Share[];
}

/** States times ways that are looked at in all, and how many states are kept of it at least and at most. */
const workBudget = 200_000;
const [leastStates, mostStates] = [4, 192];

type Exchange = (root: TensorId, held: Share, wanted: Share) => number | undefined;

function knownExchanges(model: CostModel): Exchange {
  const known = new Map<string, number | undefined>();
  return (root, held, wanted) => {
    const key = `${root}:${held}:${wanted}`;
    if (!known.has(key)) known.set(key, exchangeCycles(model, root, held, wanted));
    return known.get(key);
  };
}

function wayOf(
  model: CostModel,
  exchange: Exchange,
  node: GraphNode,
  axis: Axis | undefined,
  penalty: number,
): Way | undefined {
  const root = node.outputs[0] as TensorId;
  const held = resultShare(axis);
  const made = outputNeeds(model, root, held);
  if (made === undefined) return undefined;
  let cycles = penalty + nodeCycles(model, node, axis);
  const others = [...new Set(made)].filter((share) => share !== held);
  for (const share of others) cycles += exchange(root, held, share) ?? Number.POSITIVE_INFINITY;
  if (cycles === Number.POSITIVE_INFINITY) return undefined;
  // Leaves stand where and as they are wanted.
  const needs = needsOf(model.space, node, axis).filter((need) => model.space.producer.has(need.root));
  return { axis, needs, cycles, made: others };
}

/** The state after what a node reads is there as it wants it; undefined where it cannot be. */
function readied(state: State, needs: readonly Need[], exchange: Exchange): State | undefined {
  let { cycles, live } = state;
  for (const { root, share } of needs) {
    const tensor = live.find((one) => one.root === root);
    if (tensor === undefined || tensor.held === share || tensor.made.includes(share)) continue;
    const more = exchange(root, tensor.held, share);
    if (more === undefined) return undefined;
    cycles += more;
    live = live.map((one) => (one === tensor ? { ...one, made: [...one.made, share].sort(byText) } : one));
  }
  return { ...state, cycles, live };
}

const byText = (a: Share, b: Share): number => (String(a) < String(b) ? -1 : 1);
const keyOf = (live: readonly Live[]): string => live.map(({ held, made }) => `${held}:${made.join()}`).join(";");

/** `penalty`: cycles to add for a node that is cut along an axis, or not at all. Undefined where the search does not get to the end. */
export function beamPlan(
  model: CostModel,
  choices: ReadonlyMap<GraphNode, readonly (Axis | undefined)[]>,
  penalty: (node: GraphNode, axis: Axis | undefined) => number,
): Map<number, Axis> | undefined {
  const exchange = knownExchanges(model);
  const lastReader = new Map<TensorId, GraphNode | undefined>();
  for (const [root, readers] of model.readers) lastReader.set(root, readers.at(-1));
  let ways = 0;
  for (const axes of choices.values()) ways += axes.length;
  const width = Math.max(leastStates, Math.min(mostStates, Math.floor(workBudget / Math.max(1, ways))));
  let states: readonly State[] = [{ cycles: 0, live: [], before: undefined, did: undefined }];
  for (const [node, axes] of choices) {
    const root = node.outputs[0] as TensorId;
    const isRead = lastReader.get(root) !== undefined;
    const reached = new Map<string, State>();
    for (const axis of axes) {
      const way = wayOf(model, exchange, node, axis, penalty(node, axis));
      if (way === undefined) continue;
      for (const state of states) {
        const ready = readied(state, way.needs, exchange);
        if (ready === undefined) continue;
        const kept = ready.live.filter((one) => lastReader.get(one.root) !== node);
        const live = isRead ? [...kept, { root, held: resultShare(axis), made: way.made }] : kept;
        const cycles = ready.cycles + way.cycles;
        const key = keyOf(live);
        const known = reached.get(key);
        if (known === undefined || cycles < known.cycles) reached.set(key, { cycles, live, before: state, did: axis });
      }
    }
    states = [...reached.values()].sort((a, b) => a.cycles - b.cycles).slice(0, width);
  }
  return traced([...choices.keys()], states[0]);
}

function traced(nodes: readonly GraphNode[], last: State | undefined): Map<number, Axis> | undefined {
  if (last === undefined) return undefined;
  const plan = new Map<number, Axis>();
  let state: State = last;
  for (const node of nodes.toReversed()) {
    if (state.did !== undefined) plan.set(node.id, state.did);
    if (state.before !== undefined) state = state.before;
  }
  return new Map([...plan].reverse());
}
