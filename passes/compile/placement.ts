// What people may say about the placement of a model: nodes pinned to chips, cuts after nodes, or a whole placement as it was exported.
// From the names of ONNX nodes to places in the order in which the model is cut. Must not know costs or files.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import { type BlockChain, findRoots, isViewNode } from "../blocks/blocks.ts";

/** Nodes are named as in the ONNX file; `#12` is the node at place 12 of its list, for nodes without a name of their own. */
export type NodePin = { readonly node: string; readonly chip: number };

export type PlacedStage = { readonly chip: number; readonly lastNode: string };

export type PlacementRequest = {
  readonly pins: readonly NodePin[];
  readonly cutAfter: readonly string[];
  /** All the stages in order, each up to and with a node: nothing is left to decide. */
  readonly stages?: readonly PlacedStage[];
};

/** The same by places in the chain's order. */
export type ResolvedPlacement = {
  /** Where blocks must start. */
  readonly cuts: readonly number[];
  /** Where stages must start, and where they do if `stages` are given. */
  readonly stageStarts: readonly number[];
  readonly pins: readonly { readonly node: string; readonly place: number; readonly chip: number }[];
  readonly stages: readonly { readonly chip: number; readonly end: number }[] | undefined;
};

export const freePlacement: PlacementRequest = { pins: [], cutAfter: [] };

/** How a node is named so that it is found again. */
export function nodeReference(graph: Graph, node: GraphNode): string {
  const origin = node.origins.at(-1);
  if (origin === undefined) return "";
  return origin.name !== "" && !isAmbiguous(graph, origin.name) ? origin.name : `#${origin.index}`;
}

function isAmbiguous(graph: Graph, name: string): boolean {
  const indices = new Set<number>();
  for (const node of graph.nodes)
    for (const origin of node.origins) if (origin.name === name) indices.add(origin.index);
  return indices.size > 1;
}

type Places = { readonly names: readonly string[]; readonly of: (reference: string) => readonly number[] | undefined };

/** For each node of the file the places of the nodes that it became; those of views are where the data behind them was made. */
function nodePlaces(graph: Graph, chain: BlockChain): Places {
  const places = new Map<string, Set<number>>();
  const placeOf = new Map<GraphNode, number>(chain.order.map((node, place) => [node, place]));
  const { producer, rootOf } = findRoots(graph);
  const makerOf = (node: GraphNode): GraphNode | undefined =>
    isViewNode(node) ? producer.get(rootOf(node.inputs[0] as TensorId)) : node;
  for (const node of graph.nodes) {
    const maker = makerOf(node);
    const place = maker === undefined ? undefined : placeOf.get(maker);
    for (const { name, index } of node.origins) {
      for (const key of name === "" ? [`#${index}`] : [name, `#${index}`]) {
        const known = places.get(key) ?? new Set<number>();
        if (place !== undefined) known.add(place);
        places.set(key, known);
      }
    }
  }
  const names = [...places.keys()].filter((name) => !name.startsWith("#"));
  return {
    names,
    of: (reference) => {
      const found = places.get(reference);
      return found === undefined ? undefined : [...found].sort((a, b) => a - b);
    },
  };
}

export function resolvePlacement(
  graph: Graph,
  chain: BlockChain,
  request: PlacementRequest,
): Result<ResolvedPlacement> {
  const places = nodePlaces(graph, chain);
  const problems: Diagnostic[] = [];
  const borders = new Set(chain.blocks.map(({ to }) => to));
  const find = (reference: string): readonly number[] => {
    const found = places.of(reference);
    if (found === undefined) {
      const help = didYouMean(reference, places.names);
      problems.push(diagnostic("LPU3020", `there is no node '${reference}' in the folded model`, { help }));
    } else if (found.length === 0) {
      problems.push(diagnostic("LPU3020", `node '${reference}' only names inputs or constants, it is on no chip`));
    }
    return found ?? [];
  };
  const endOf = (reference: string): number => {
    const found = find(reference);
    const last = found.findLast((place) => borders.has(place + 1)) ?? found.at(-1);
    return last === undefined ? -1 : last + 1;
  };
  const ends = request.cutAfter.map(endOf);
  const pins = request.pins.map(({ node, chip }) => ({ node, chip, place: find(node).at(-1) ?? -1 }));
  const stages = request.stages?.map(({ chip, lastNode }) => ({ chip, end: endOf(lastNode), lastNode }));
  if (stages !== undefined && problems.length === 0) problems.push(...stageProblems(graph, chain, stages));
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  const stageStarts = [...ends, ...(stages ?? []).map(({ end }) => end)].filter((place) => place < chain.order.length);
  return ok({ cuts: stageStarts, stageStarts, pins, stages });
}

type Stage = { readonly chip: number; readonly end: number; readonly lastNode: string };

function stageProblems(graph: Graph, chain: BlockChain, stages: readonly Stage[]): readonly Diagnostic[] {
  const problems: Diagnostic[] = [];
  stages.forEach((stage, i) => {
    const before = stages[i - 1];
    if (before === undefined) return;
    if (stage.chip < before.chip)
      problems.push(
        diagnostic("LPU3021", `stage ${i} is on chip ${stage.chip}, after chip ${before.chip}: chips must ascend`),
      );
    if (stage.end <= before.end)
      problems.push(
        diagnostic("LPU3021", `stage ${i} ends with '${stage.lastNode}', which is not after '${before.lastNode}'`),
      );
  });
  const final = stages.at(-1);
  const last = chain.order.at(-1);
  if (final !== undefined && last !== undefined && final.end < chain.order.length)
    problems.push(
      diagnostic(
        "LPU3021",
        `the last stage ends with '${final.lastNode}', the model with '${nodeReference(graph, last)}'`,
      ),
    );
  if (final === undefined) problems.push(diagnostic("LPU3021", "the placement has no stages"));
  return problems;
}

/** Pins by block, or what contradicts: two chips for one block, chips against the order of the model, a chip that is not there. */
export function pinnedBlocks(
  chain: BlockChain,
  resolved: ResolvedPlacement,
  chips: number,
): Result<readonly { readonly layer: number; readonly chip: number }[]> {
  const problems = (resolved.stages ?? []).flatMap(({ chip }): Diagnostic[] =>
    chip < chips ? [] : [diagnostic("LPU3021", `a stage is on chip ${chip}, there are ${chips} chips`)],
  );
  const pins = resolved.pins.map(({ node, place, chip }) => {
    return { node, chip, layer: chain.blocks.findIndex(({ from, to }) => place >= from && place < to) };
  });
  pins.sort((a, b) => a.layer - b.layer || a.chip - b.chip);
  pins.forEach(({ node, layer, chip }, i) => {
    if (chip >= chips)
      problems.push(diagnostic("LPU3021", `'${node}' is pinned to chip ${chip}, there are ${chips} chips`));
    const before = pins[i - 1];
    if (before === undefined || before.chip === chip) return;
    const both = `'${before.node}' is pinned to chip ${before.chip} and '${node}' to chip ${chip}`;
    if (before.layer === layer)
      problems.push(
        diagnostic("LPU3021", `${both}, but nothing parts them`, {
          help: `a cut between them does: --cut-after '${before.node}', or after a later node`,
        }),
      );
    else if (before.chip > chip)
      problems.push(diagnostic("LPU3021", `${both}, which comes later: data flows from lower to higher chips`));
  });
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  return ok(pins.map(({ layer, chip }) => ({ layer, chip })));
}

/** A stage as it was placed, for export: `chip` and `lastNode` say all that is needed to have it again. */
export type ExportedStage = PlacedStage & { readonly firstLayer: number; readonly lastLayer: number };

export function exportedStages(graph: Graph, chain: BlockChain, chipOf: readonly number[]): readonly ExportedStage[] {
  return chain.blocks.flatMap(({ index, to }): ExportedStage[] => {
    const chip = chipOf[index] ?? 0;
    if (index + 1 < chain.blocks.length && chipOf[index + 1] === chip) return [];
    const last = chain.order[to - 1];
    const layers = chain.blocks.flatMap((block) =>
      chipOf[block.index] === chip && block.layer !== undefined ? [block.layer] : [],
    );
    const lastNode = last === undefined ? "" : nodeReference(graph, last);
    return [{ chip, lastNode, firstLayer: layers[0] ?? -1, lastLayer: layers.at(-1) ?? -1 }];
  });
}
