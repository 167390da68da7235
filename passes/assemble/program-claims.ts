// What a program says of itself: the graph it computes, with the nodes of the model that each of its nodes comes from, and its stages.
import type { CoreOp } from "../../ir/graph/core-ops.ts";
import type { Graph, GraphNode, NodeOrigin, TensorId } from "../../ir/graph/graph.ts";
import type { Placement, Program, ProgramConstant, StageInfo } from "../../ir/machine/program.ts";
import type { AssemblyInput, ChipUse } from "./assemble.ts";
import type { SystemTimeline } from "./timeline.ts";

export interface OriginIndex {
  readonly list: NodeOrigin[];
  readonly ofNode: (node: GraphNode) => readonly number[];
}

/** Source nodes in the order of the model's nodes, and for each node the ones it comes from. */
export function originIndex(model: Graph): OriginIndex {
  const list: NodeOrigin[] = [];
  const known = new Map<string, number>();
  const key = (origin: NodeOrigin): string => `${origin.index}:${origin.name}`;
  for (const origin of model.nodes.flatMap((node) => node.origins)) {
    if (known.has(key(origin))) continue;
    known.set(key(origin), list.length);
    list.push(origin);
  }
  return { list, ofNode: (node) => node.origins.flatMap((origin) => known.get(key(origin)) ?? []) };
}

export function programGraph(
  graph: Graph,
  constants: ReadonlyMap<TensorId, readonly Placement[]>,
  origins: OriginIndex,
): Program["graph"] {
  const used = new Set<TensorId>([
    ...graph.nodes.flatMap((node) => node.inputs.filter((id): id is TensorId => id !== null)),
    ...graph.outputs.map((output) => output.tensor),
  ]);
  const constantOf = (id: TensorId): ProgramConstant | undefined => {
    const tensor = graph.tensors[id];
    if (tensor?.data === undefined) return undefined;
    const placed = constants.get(id);
    if (placed !== undefined) return { kind: "placed", placements: placed };
    if (!used.has(id)) return { kind: "inline", bytes: new Uint8Array(0) };
    return { kind: "inline", bytes: tensor.data.read().slice() };
  };
  return {
    tensors: graph.tensors.map((tensor) => {
      const constant = constantOf(tensor.id);
      return {
        name: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        ...(constant === undefined ? {} : { constant }),
      };
    }),
    nodes: graph.nodes.map((node) => ({
      op: node.op as CoreOp,
      inputs: node.inputs.map((id) => id as number),
      output: node.outputs[0] as number,
      attrs: node.attrs,
      origins: origins.ofNode(node),
    })),
  };
}

export function makeStages(input: AssemblyInput, timeline: SystemTimeline, uses: readonly ChipUse[]): StageInfo[] {
  return uses.flatMap(({ chip, memory }) => {
    const mine = input.chain.blocks.filter((block) => input.chipsOf[block.index]?.includes(chip));
    const layers = mine.flatMap((block) => block.layer ?? []);
    if (mine.length === 0) return [];
    const window = timeline.windows[chip] as { start: number; end: number };
    const weightBytes = [...memory.persistent.values()].reduce(
      (sum, entry) => sum + entry.buffer.words * entry.buffer.slices.length * input.target.lanes,
      0,
    );
    return [
      {
        chip,
        firstLayer: layers[0] ?? -1,
        lastLayer: layers[layers.length - 1] ?? -1,
        startCycle: window.start,
        endCycle: window.end,
        weightBytes,
      },
    ];
  });
}
