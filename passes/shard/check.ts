// Is a shared graph sound? Every rank's tensors exist before they are read, exchanges fill their targets exactly once from what is there, pieces are
// pieces of the model, shapes are what the nodes give. Looks at the result only and shares nothing with what made it.

import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import { inferNode } from "../../ir/graph/infer-graph.ts";
import type { Exchange, ExchangeMove, ShardedGraph } from "./sharded.ts";

export interface ShardViolation {
  readonly rule: "shape" | "order" | "box" | "cover" | "piece" | "output";
  readonly message: string;
}

interface Checking {
  readonly model: Graph;
  readonly sharded: ShardedGraph;
  readonly found: ShardViolation[];
  /** First phase in which a tensor may be read. */
  readonly ready: Map<TensorId, number>;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1);

function boxProblem(shape: readonly number[], origin: readonly number[], extent: readonly number[]): boolean {
  return (
    origin.length !== shape.length ||
    extent.length !== shape.length ||
    shape.some(
      (size, d) => !((origin[d] ?? -1) >= 0 && (extent[d] ?? 0) > 0 && (origin[d] ?? 0) + (extent[d] ?? 0) <= size),
    )
  );
}

function checkMove(checking: Checking, { phase }: Exchange, move: ExchangeMove): boolean {
  const { sharded, found, ready } = checking;
  const { tensors } = sharded.graph;
  const [source, target] = [tensors[move.source], tensors[move.target]];
  const text = `move of ${move.source} on rank ${move.from} to ${move.target} on rank ${move.to}`;
  const ranks = [move.from, move.to];
  if (source === undefined || target === undefined || ranks.some((rank) => !(rank >= 0 && rank < sharded.ways))) {
    found.push({ rule: "box", message: `the ${text} names what is not there` });
    return false;
  }
  if (source.dtype !== target.dtype) found.push({ rule: "box", message: `the ${text} changes the element type` });
  if ((ready.get(move.source) ?? Number.POSITIVE_INFINITY) > phase)
    found.push({ rule: "order", message: `the ${text} reads what is not there in phase ${phase}` });
  if (
    boxProblem(source.shape, move.sourceOrigin, move.extent) ||
    boxProblem(target.shape, move.targetOrigin, move.extent)
  ) {
    found.push({ rule: "box", message: `the ${text} leaves its tensors` });
    return false;
  }
  return true;
}

/** Counts the elements of a target that moves fill. */
function fill(times: Uint8Array, shape: readonly number[], move: ExchangeMove): void {
  const visit = (d: number, at: number): void => {
    if (d === shape.length) {
      times[at] = Math.min(2, (times[at] as number) + 1);
      return;
    }
    for (let i = 0; i < (move.extent[d] as number); i++)
      visit(d + 1, at * (shape[d] as number) + (move.targetOrigin[d] as number) + i);
  };
  visit(0, 0);
}

function checkExchange(checking: Checking, exchange: Exchange): void {
  const { sharded, found, ready } = checking;
  const filled = new Map<string, { readonly target: TensorId; readonly rank: number; readonly times: Uint8Array }>();
  for (const move of exchange.moves) {
    if (!checkMove(checking, exchange, move)) continue;
    const shape = sharded.graph.tensors[move.target]?.shape ?? [];
    for (let rank = 0; rank < sharded.ways; rank++) {
      const key = `${move.target}:${rank}`;
      if (!filled.has(key)) filled.set(key, { target: move.target, rank, times: new Uint8Array(sizeOf(shape)) });
    }
    fill((filled.get(`${move.target}:${move.to}`) as { times: Uint8Array }).times, shape, move);
  }
  for (const { target, rank, times } of filled.values()) {
    const wrong = times.findIndex((count) => count !== 1);
    if (wrong >= 0)
      found.push({
        rule: "cover",
        message: `element ${wrong} of tensor ${target} on rank ${rank} is filled ${times[wrong] === 0 ? "never" : "twice"}`,
      });
  }
  for (const target of new Set([...filled.values()].map((entry) => entry.target))) {
    if (ready.has(target)) found.push({ rule: "order", message: `tensor ${target} comes from two places` });
    ready.set(target, exchange.phase + 1);
  }
}

/** A leaf or an output is all of a tensor of the model, or shares of it that together are all of it. */
function checkPieces({ sharded, found }: Checking): void {
  for (const [id, piece] of sharded.pieces) {
    const [tensor, whole] = [sharded.graph.tensors[id], sharded.source.tensors[piece.tensor]];
    const say = (what: string): void => {
      found.push({ rule: "piece", message: `tensor ${id}, piece of ${piece.tensor}, ${what}` });
    };
    if (tensor === undefined || whole === undefined) say("does not exist");
    else if (tensor.dtype !== whole.dtype || (tensor.data === undefined) !== (whole.data === undefined))
      say("is of another kind");
    else if (tensor.shape.length !== whole.shape.length) say("has another rank");
    else {
      tensor.shape.forEach((size, d) => {
        const all = whole.shape[d] as number;
        const fits = d === piece.dim ? size <= all && size * sharded.ways >= all : size === all;
        if (!fits) say(`has ${size} of ${all} along dimension ${d}`);
      });
    }
  }
}

function checkNodes(checking: Checking, phase: number): void {
  const { sharded, found, ready } = checking;
  sharded.graph.nodes.forEach((node, i) => {
    if (sharded.phases[i] !== phase) return;
    const late = node.inputs.find((id) => id !== null && (ready.get(id) ?? Number.POSITIVE_INFINITY) > phase);
    if (late !== undefined)
      found.push({
        rule: "order",
        message: `node ${i} (${node.op}) reads tensor ${late}, which is not there in phase ${phase}`,
      });
    const types = inferNode(sharded.graph, node);
    const output = node.outputs[0] ?? null;
    const declared = output === null ? undefined : sharded.graph.tensors[output];
    const given = types.ok ? types.outputs[0] : undefined;
    if (given === undefined || given.dtype !== declared?.dtype || given.shape.join() !== declared.shape.join())
      found.push({ rule: "shape", message: `node ${i} (${node.op}) does not make the tensor it should` });
    if (output !== null) ready.set(output, phase);
  });
}

/** Everything that is wrong with a shared graph of a model. */
export function checkSharded(model: Graph, sharded: ShardedGraph): ShardViolation[] {
  const ready = new Map<TensorId, number>();
  const checking: Checking = { model, sharded, found: [], ready };
  const { graph, phases, exchanges } = sharded;
  for (const { tensor } of graph.inputs) ready.set(tensor, 0);
  for (const { id, data } of graph.tensors) if (data !== undefined) ready.set(id, 0);
  checkPieces(checking);
  if (phases.some((phase, i) => i > 0 && phase < (phases[i - 1] as number)))
    checking.found.push({ rule: "order", message: "phases are not in order" });
  const all = [...new Set([...phases, ...exchanges.map(({ phase }) => phase)])].sort((a, b) => a - b);
  for (const phase of all) {
    checkNodes(checking, phase);
    for (const exchange of exchanges) if (exchange.phase === phase) checkExchange(checking, exchange);
  }
  model.outputs.forEach((output, i) => {
    const id = graph.outputs[i]?.tensor;
    const piece = id === undefined ? undefined : sharded.pieces.get(id);
    if (id === undefined || piece?.tensor !== output.tensor || !ready.has(id))
      checking.found.push({ rule: "output", message: `output ${output.name} is not there` });
  });
  return checking.found;
}
