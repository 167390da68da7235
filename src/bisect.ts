// Where a compiled model first leaves its reference: every tensor computed is compared, in order, and the first one that is too far is cut out
// with as few nodes before it as still show it. Knows the whole line; knows no files.
import { textBytesOf } from "../backends/encode/queues.ts";
import { describeFault } from "../backends/interp/fault.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import { diagnostic } from "../ir/diag/codes.ts";
import { type Diagnostic, fail, invariant, ok, type Result } from "../ir/diag/diagnostic.ts";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import type { Graph, GraphNode, GraphTensor, TensorId } from "../ir/graph/graph.ts";
import { bytesOf, type TensorValue } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { compileGraph } from "../passes/compile/compile.ts";
import { canonicalOrder } from "../passes/fold/order.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import type { ModelOptions } from "./compile-model.ts";
import { type Comparison, compareTensors, isNear } from "./report/compare.ts";

export type Values = ReadonlyMap<TensorId, TensorValue>;

export interface BisectOptions {
  readonly compile: Pick<ModelOptions, "target" | "topology" | "chips" | "precision" | "allowNarrowing">;
  readonly tolerance: number;
  /** Told what is going on, for people who wait. */
  readonly progress: (text: string) => void;
}

export interface Divergence {
  /** False where it shows only while the tensors before it are not looked at: kernels are then joined differently. */
  readonly exposed: boolean;
  readonly tensor: GraphTensor;
  readonly node: GraphNode;
  readonly comparison: Comparison;
}

/** A part of the model that shows the same alone. */
export interface Reproduction {
  readonly graph: Graph;
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly expected: ReadonlyMap<string, TensorValue>;
  readonly comparison: Comparison;
}

export interface Bisection {
  /** Tensors that were compared. */
  readonly compared: number;
  readonly first: Divergence | undefined;
  readonly reproduction: Reproduction | undefined;
}

/** Tries at leaving out nodes of a part that is small already. */
const SHRINK_TRIES = 24;

function tensorAt(graph: Graph, id: TensorId): GraphTensor {
  const tensor = graph.tensors[id];
  invariant(tensor !== undefined, `tensor ${id} does not exist`);
  return tensor;
}

const resultsOf = (node: GraphNode): readonly TensorId[] => node.outputs.filter((id) => id !== null);
const portName = (graph: Graph, id: TensorId): string => `${tensorAt(graph, id).name}#${id}`;

/** Tensors that nodes compute, in the order in which they are computed. */
export const computedTensors = (graph: Graph): readonly TensorId[] => graph.nodes.flatMap(resultsOf);

/** The reference by the meaning of the operators: every tensor computed. */
export function referenceValues(graph: Graph, inputs: ReadonlyMap<string, TensorValue>): Values {
  const values = new Map<TensorId, TensorValue>();
  evaluateGraph(graph, inputs, ({ id }, value) => values.set(id, value));
  for (const { name, tensor } of graph.inputs) {
    const given = inputs.get(name);
    if (given !== undefined) values.set(tensor, given);
  }
  return values;
}

/** The nodes of a graph that lead from `inputs` to `outputs`, as a graph. */
function partOf(graph: Graph, nodes: readonly GraphNode[], outputs: readonly TensorId[]): Graph {
  const made = new Set(nodes.flatMap(resultsOf));
  const read = [...new Set(nodes.flatMap((node) => node.inputs.filter((id) => id !== null)))];
  const open = read.filter((id) => !made.has(id) && tensorAt(graph, id).data === undefined);
  const port = (id: TensorId) => ({ name: portName(graph, id), tensor: id, dtype: tensorAt(graph, id).dtype });
  return { ...graph, nodes, inputs: open.map(port), outputs: outputs.map(port) };
}

const hostTensor = (value: TensorValue): HostTensor => ({
  dtype: value.dtype,
  shape: value.shape,
  bytes: bytesOf(value),
});

function programOf(
  graph: Graph,
  { target, topology, chips, precision, allowNarrowing }: BisectOptions["compile"],
): Result<Program> {
  const core = legalise(canonicalOrder(graph), {
    precision,
    lanes: target.lanes,
    ...(allowNarrowing === undefined ? {} : { allowNarrowing }),
  });
  if (!core.ok) return core;
  const compiled = compileGraph(core.value, target, {
    chips,
    ...(topology === undefined ? {} : { topology }),
    effort: 0,
    modelName: graph.name,
    precision,
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  return compiled.ok ? ok(compiled.value.program) : compiled;
}

/** Outputs of a graph compiled and executed. */
function executed(
  graph: Graph,
  inputs: ReadonlyMap<string, TensorValue>,
  options: BisectOptions,
): Result<ReadonlyMap<string, HostTensor>> {
  const program = programOf(graph, options.compile);
  if (!program.ok) return program;
  const given = new Map([...inputs].map(([name, value]) => [name, hostTensor(value)]));
  const result = interpret(program.value, given);
  return result.ok ? ok(result.outputs) : fail(diagnostic("LPU6002", describeFault(result.fault)));
}

/** Values of the inputs of a part, by their names there. */
function inputsOf(part: Graph, values: Values): ReadonlyMap<string, TensorValue> {
  return new Map(
    part.inputs.flatMap(({ name, tensor }) => {
      const value = values.get(tensor);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

const doesNotFit = ({ code }: Diagnostic): boolean => code === "LPU4001" || code === "LPU4002";

/** Executed values of some tensors, all at once where that fits, else in halves. */
function executedValues(
  graph: Graph,
  values: Values,
  wanted: readonly TensorId[],
  options: BisectOptions,
): Result<ReadonlyMap<TensorId, HostTensor>> {
  options.progress(`${wanted.length} tensors`);
  const part = partOf(graph, graph.nodes, wanted);
  const found = executed(part, inputsOf(part, values), options);
  if (found.ok) {
    const byId = wanted.flatMap((id) => {
      const tensor = found.value.get(portName(graph, id));
      return tensor === undefined ? [] : [[id, tensor] as const];
    });
    return ok(new Map(byId));
  }
  if (wanted.length === 1 || !found.diagnostics.some(doesNotFit)) return found;
  const middle = Math.ceil(wanted.length / 2);
  const first = executedValues(graph, values, wanted.slice(0, middle), options);
  if (!first.ok) return first;
  const second = executedValues(graph, values, wanted.slice(middle), options);
  return second.ok ? ok(new Map([...first.value, ...second.value])) : second;
}

/** How far a tensor is from its reference where that is too far. */
function tooFar(
  found: HostTensor | undefined,
  expected: TensorValue | undefined,
  tolerance: number,
): Comparison | undefined {
  if (found === undefined || expected === undefined) return undefined;
  const comparison = compareTensors(found, hostTensor(expected));
  return comparison === undefined || isNear(found.dtype, comparison, tolerance) ? undefined : comparison;
}

function producerOf(graph: Graph, id: TensorId): GraphNode {
  const node = graph.nodes.find((candidate) => candidate.outputs.includes(id));
  invariant(node !== undefined, `tensor ${id} is computed`);
  return node;
}

/** Does a part, given the reference's values, leave the tolerance by itself? */
function reproduced(
  graph: Graph,
  nodes: readonly GraphNode[],
  id: TensorId,
  values: Values,
  options: BisectOptions,
): Reproduction | undefined {
  const part = partOf(graph, nodes, [id]);
  const inputs = inputsOf(part, values);
  const found = executed(part, inputs, options);
  if (!found.ok) return undefined;
  const name = portName(graph, id);
  const expected = evaluateGraph(part, inputs);
  const comparison = tooFar(found.value.get(name), expected.get(name), options.tolerance);
  return comparison === undefined ? undefined : { graph: canonicalOrder(part), inputs, expected, comparison };
}

/** `node` and nodes before it, `depth` steps back at most, in the graph's order. */
function before(graph: Graph, node: GraphNode, depth: number, without?: GraphNode): readonly GraphNode[] {
  const producers = new Map(graph.nodes.flatMap((made) => resultsOf(made).map((id) => [id, made] as const)));
  let edge = [node];
  const taken = new Set(edge);
  for (let step = 0; step < depth && edge.length > 0; step += 1) {
    const sources = edge.flatMap(({ inputs }) =>
      inputs.flatMap((id) => (id === null ? [] : (producers.get(id) ?? []))),
    );
    edge = [...new Set(sources)].filter((source) => !taken.has(source) && source !== without);
    for (const source of edge) taken.add(source);
  }
  return graph.nodes.filter((candidate) => taken.has(candidate));
}

/** Leaves out one node after the other, with what leads only to it, as long as the rest shows the same. */
function shrunk(
  start: Reproduction,
  nodes: readonly GraphNode[],
  graph: Graph,
  id: TensorId,
  values: Values,
  options: BisectOptions,
): Reproduction {
  let [best, kept] = [start, nodes];
  const producer = producerOf(graph, id);
  for (const node of nodes.slice(0, SHRINK_TRIES)) {
    if (node === producer || !kept.includes(node)) continue;
    const fewer = before({ ...graph, nodes: kept }, producer, kept.length, node);
    const found = reproduced(graph, fewer, id, values, options);
    if (found !== undefined) [best, kept] = [found, fewer];
  }
  return best;
}

function reproductionOf(graph: Graph, id: TensorId, values: Values, options: BisectOptions): Reproduction | undefined {
  const producer = producerOf(graph, id);
  let size = 0;
  for (let depth = 0; ; depth = depth === 0 ? 1 : depth * 2) {
    const nodes = before(graph, producer, depth);
    if (nodes.length === size) return undefined;
    size = nodes.length;
    options.progress(`${size} nodes`);
    const found = reproduced(graph, nodes, id, values, options);
    if (found !== undefined) return shrunk(found, nodes, graph, id, values, options);
  }
}

/** The first of `wanted` whose executed value is too far from the reference. */
function firstTooFar(
  graph: Graph,
  reference: Values,
  wanted: readonly TensorId[],
  exposed: boolean,
  options: BisectOptions,
): Result<Divergence | undefined> {
  const found = executedValues(graph, reference, wanted, options);
  if (!found.ok) return found;
  for (const id of wanted) {
    const comparison = tooFar(found.value.get(id), reference.get(id), options.tolerance);
    if (comparison !== undefined) {
      return ok({ exposed, tensor: tensorAt(graph, id), node: producerOf(graph, id), comparison });
    }
  }
  return ok(undefined);
}

/** Compares every tensor of `graph` with `reference`, which holds the inputs too. */
export function bisect(graph: Graph, reference: Values, options: BisectOptions): Result<Bisection> {
  const wanted = computedTensors(graph).filter((id) => reference.has(id));
  const ends = wanted.filter((id) => graph.outputs.some(({ tensor }) => tensor === id));
  if (wanted.length === 0) return ok({ compared: 0, first: undefined, reproduction: undefined });
  const inside = firstTooFar(graph, reference, wanted, true, options);
  if (!inside.ok) return inside;
  const last =
    inside.value === undefined && ends.length > 0 ? firstTooFar(graph, reference, ends, false, options) : inside;
  if (!last.ok) return last;
  const first = last.value;
  const reproduction = first === undefined ? undefined : reproductionOf(graph, first.tensor.id, reference, options);
  return ok({ compared: wanted.length, first, reproduction });
}
