// ONNX-form graph -> core-form graph: each operator's lowering in turn, everything that cannot be lowered reported at once.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, invariant, type Result } from "../../ir/diag/diagnostic.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import { type Graph, type GraphNode, type GraphTensor, nodeId, type TensorId } from "../../ir/graph/graph.ts";
import { completeAttrs } from "../../ir/graph/infer.ts";
import { isOnnxOp, type OnnxOp, onnxOps } from "../../ir/graph/onnx-ops.ts";
import type { ModelPrecision } from "../../ir/graph/precision.ts";
import { type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";
import { canonicalOrder } from "../fold/order.ts";
import { addInput, type CoreDraft, createCoreDraft } from "./core-draft.ts";
import { carryForm } from "./lower-qdq.ts";
import { lowerings } from "./lowerings.ts";
import { asBytes, byteConstant, wideElement, wordConstant, wordTypeOf } from "./operands.ts";
import { isQuantising, productPrecision, quantiseWeights } from "./quantise-weights.ts";
import { isRefusal, type Lowered, type Site } from "./site.ts";

export interface LegaliseOptions {
  /** Of matrix products; some precisions quantise weights first. */
  readonly precision: ModelPrecision;
  /** Lanes of the machine, where forms are chosen by them; by default those of the usual targets. */
  readonly lanes?: number;
  /** Compute float64 in float32 instead of refusing it. */
  readonly allowNarrowing?: boolean;
  /** Fusions that are not made. */
  readonly without?: FusionSet;
}

interface Legaliser {
  readonly graph: Graph;
  readonly draft: CoreDraft;
  /** Core tensors of ONNX tensors; `undefined` for results of nodes that were refused. */
  readonly values: Map<TensorId, TensorId | undefined>;
  readonly bytes: Map<TensorId, TensorId>;
  readonly readers: ReadonlyMap<TensorId, ReadonlySet<OnnxOp>>;
  readonly problems: Diagnostic[];
}

function readersOf(graph: Graph): Map<TensorId, Set<OnnxOp>> {
  const readers = new Map<TensorId, Set<OnnxOp>>();
  for (const node of graph.nodes) {
    for (const id of node.inputs) {
      if (id === null || !isOnnxOp(node.op)) continue;
      const known = readers.get(id) ?? new Set();
      readers.set(id, known.add(node.op));
    }
  }
  return readers;
}

function tensorAt(graph: Graph, id: TensorId): GraphTensor {
  const tensor = graph.tensors[id];
  invariant(tensor !== undefined, `tensor ${id} does not exist`);
  return tensor;
}

function reportNode(l: Legaliser, node: GraphNode, code: "LPU2001" | "LPU2008" | "LPU2010", message: string): void {
  const origin = node.origins[0] ?? { name: `node ${node.id}`, opType: node.op, index: node.id };
  const inputs = node.inputs.map((id) => {
    if (id === null) return "-";
    const { name, dtype, shape } = tensorAt(l.graph, id);
    return `${name} ${dtype}[${shape.join("x")}]`;
  });
  l.problems.push(diagnostic(code, `${node.op}: ${message}`, { location: { kind: "node", ...origin, inputs } }));
}

/** The core tensor of an ONNX tensor; constants are converted when first asked for. */
function wordOf(l: Legaliser, node: GraphNode | undefined, id: TensorId): TensorId {
  const known = l.values.get(id);
  if (known !== undefined) return known;
  const tensor = tensorAt(l.graph, id);
  invariant(tensor.data !== undefined, `tensor ${tensor.name} is used before it is lowered`);
  const wide = wideElement(tensor);
  if (wide !== undefined && node !== undefined) {
    reportNode(l, node, "LPU2010", `constant '${tensor.name}' holds ${wide}, outside 32 bits`);
  }
  const word = wordConstant(l.draft, tensor, tensor.data);
  l.values.set(id, word);
  return word;
}

function bytesOf(l: Legaliser, node: GraphNode, id: TensorId): TensorId {
  const known = l.bytes.get(id);
  if (known !== undefined) return known;
  const tensor = tensorAt(l.graph, id);
  const made =
    tensor.data === undefined
      ? asBytes(l.draft, wordOf(l, node, id), tensor.dtype)
      : byteConstant(l.draft, tensor, tensor.data);
  l.bytes.set(id, made);
  return made;
}

function siteOf(l: Legaliser, node: GraphNode, op: OnnxOp): Site {
  const at = (index: number): TensorId => {
    const id = node.inputs[index];
    invariant(id !== null && id !== undefined, `${op} reads input ${index}, which is omitted`);
    return id;
  };
  const [first] = node.outputs;
  const outputs = node.outputs.map((id) =>
    id === null ? { dtype: "float32" as const, shape: [] } : tensorAt(l.graph, id),
  );
  return {
    op,
    types: node.inputs.map((id) => (id === null ? null : tensorAt(l.graph, id))),
    outputs,
    wanted: node.outputs.map((id) => id !== null),
    attrs: completeAttrs(onnxOps[op], node.attrs).attrs,
    input: (index) => wordOf(l, node, at(index)),
    bytes: (index) => bytesOf(l, node, at(index)),
    constant: (index): TensorValue | undefined => {
      const id = node.inputs[index];
      const tensor = id === null || id === undefined ? undefined : tensorAt(l.graph, id);
      return tensor?.data === undefined ? undefined : valueFromBytes(tensor.dtype, tensor.shape, tensor.data.read());
    },
    readers: (first === null || first === undefined ? undefined : l.readers.get(first)) ?? new Set(),
  };
}

function record(l: Legaliser, node: GraphNode, lowered: Exclude<Lowered, { refusal: string }>): void {
  const results = typeof lowered === "number" ? [lowered] : lowered;
  for (const [index, id] of node.outputs.entries()) {
    const result = results[index] ?? null;
    if (id === null) continue;
    if (result === null) {
      reportNode(l, node, "LPU2008", `output ${index} is not computed`);
      l.values.set(id, undefined);
      continue;
    }
    const [core, declared] = [l.draft.tensors[result], tensorAt(l.graph, id)];
    invariant(
      core !== undefined && core.shape.join() === declared.shape.join() && core.dtype === wordTypeOf(declared.dtype),
      `${node.op} "${declared.name}" is ${declared.dtype}[${declared.shape}], lowered to ${core?.dtype}[${core?.shape}]`,
    );
    l.values.set(id, result);
  }
}

function lowerNode(l: Legaliser, node: GraphNode): void {
  const { op } = node;
  invariant(isOnnxOp(op), `${op} is not an ONNX operator`);
  const lowering = lowerings[op];
  if (lowering === undefined) {
    reportNode(l, node, "LPU2001", "no lowering to the machine's operations exists");
    return;
  }
  const ready = node.inputs.every(
    (id) => id === null || l.values.get(id) !== undefined || tensorAt(l.graph, id).data !== undefined,
  );
  if (!ready) return;
  l.draft.site.origins = node.origins;
  const [first] = node.outputs;
  l.draft.site.label = first === null || first === undefined ? op : tensorAt(l.graph, first).name;
  const site = siteOf(l, node, op);
  const lowered = lowering(l.draft, site);
  if (isRefusal(lowered)) reportNode(l, node, "LPU2008", lowered.refusal);
  else record(l, node, lowered);
  if (typeof lowered === "number") carryForm(l.draft, site, lowered);
}

/** float64 values that the machine would have to compute. */
function reportWideFloats(l: Legaliser): void {
  const made = [...l.graph.inputs.map((input) => input.tensor), ...l.graph.nodes.flatMap((node) => node.outputs)];
  const wide = made.flatMap((id) =>
    id !== null && tensorAt(l.graph, id).dtype === "float64" ? [tensorAt(l.graph, id).name] : [],
  );
  if (wide.length === 0) return;
  const shown = wide.slice(0, 8).join(", ");
  const notes = [`computed or given in float64: ${shown}${wide.length > 8 ? ` and ${wide.length - 8} more` : ""}`];
  l.problems.push(
    diagnostic("LPU2009", `${wide.length} tensors are float64`, {
      notes,
      help: "--allow-narrowing computes them in float32",
    }),
  );
}

function finish(l: Legaliser): Graph {
  const { draft, graph } = l;
  const nodes = draft.nodes.map(
    (node, index): GraphNode => ({
      id: nodeId(index),
      op: node.op,
      inputs: node.inputs,
      outputs: [node.output],
      attrs: node.attrs,
      origins: node.origins,
    }),
  );
  const inputs = graph.inputs.map((input) => ({ ...input, tensor: wordOf(l, undefined, input.tensor) }));
  const outputs = graph.outputs.map((output) => ({ ...output, tensor: wordOf(l, undefined, output.tensor) }));
  return canonicalOrder({ name: graph.name, form: "core", tensors: draft.tensors, nodes, inputs, outputs });
}

const usualLanes = 320;

/** Lowers every operator of an ONNX-form graph to core ops, or says everything that is in the way. */
export function legalise(source: Graph, options: LegaliseOptions): Result<Graph> {
  invariant(source.form === "onnx", "a graph is legalised once");
  const { precision, lanes = usualLanes, without = new Set() } = options;
  const graph = quantiseWeights(source, precision);
  const draft = createCoreDraft(productPrecision(precision), lanes, without, isQuantising(precision));
  const l: Legaliser = { graph, draft, values: new Map(), bytes: new Map(), readers: readersOf(graph), problems: [] };
  if (options.allowNarrowing !== true) reportWideFloats(l);
  for (const { name, tensor } of graph.inputs) {
    const { dtype, shape } = tensorAt(graph, tensor);
    l.values.set(tensor, addInput(draft, name, wordTypeOf(dtype), shape));
  }
  for (const node of graph.nodes) lowerNode(l, node);
  return l.problems.length > 0 ? { ok: false, diagnostics: l.problems } : { ok: true, value: finish(l) };
}
