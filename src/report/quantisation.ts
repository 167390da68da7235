// Which quantised products of a model run on bytes, and which on dequantised numbers. Reads the graph before and after legalisation.
import { dtypes } from "../../ir/dtype.ts";
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";

export interface QuantisedProducts {
  /** The operator; with "QDQ" where both operands are dequantised by nodes before it, "weights" where only the second one is. */
  readonly pattern: string;
  /** `int8`: exact sums of bytes. `int32`: exact sums without the matrix units. `dequantised`: the matrix units get floats. */
  readonly path: "int8" | "int32" | "dequantised";
  readonly nodes: readonly string[];
}

const integerProducts: ReadonlySet<string> = new Set([
  "MatMulInteger",
  "QLinearMatMul",
  "ConvInteger",
  "QLinearConv",
  "com.microsoft.MatMulIntegerToFloat",
  "com.microsoft.DynamicQuantizeMatMul",
  "com.microsoft.MatMulNBits",
]);
const floatProducts: ReadonlySet<string> = new Set([
  "MatMul",
  "Gemm",
  "Conv",
  "com.microsoft.FusedMatMul",
  "com.microsoft.Attention",
]);
const passedThrough: ReadonlySet<string> = new Set(["Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze"]);

/** How a node is a quantised product, if it is one. */
function patternOf(graph: Graph, producers: ReadonlyMap<TensorId, GraphNode>, node: GraphNode): string | undefined {
  if (integerProducts.has(node.op)) return node.op;
  if (!floatProducts.has(node.op)) return undefined;
  const isDequantised = (id: TensorId | null | undefined): boolean => {
    let at = id === null || id === undefined ? undefined : producers.get(id);
    while (at !== undefined && passedThrough.has(at.op)) at = producers.get(at.inputs[0] ?? (-1 as TensorId));
    const [x] = at?.inputs ?? [];
    if (at === undefined || !at.op.endsWith("DequantizeLinear") || x === null || x === undefined) return false;
    return dtypes[graph.tensors[x]?.dtype ?? "float32"].bits <= 8;
  };
  const [a, b] = [isDequantised(node.inputs[0]), isDequantised(node.inputs[1])];
  if (a && b) return `QDQ ${node.op}`;
  return b ? `weights of ${node.op}` : a ? `activations of ${node.op}` : undefined;
}

/** Zero points' shares are whole numbers beside products of bytes. */
function pathOf(used: ReadonlySet<string>): QuantisedProducts["path"] {
  if ([...used].some((precision) => precision !== "int8" && precision !== "int32")) return "dequantised";
  return used.has("int8") ? "int8" : "int32";
}

/** Every quantised product, by pattern and path, in the order of the graph. */
export function quantisedProducts(graph: Graph, core: Graph): readonly QuantisedProducts[] {
  const producers = new Map<TensorId, GraphNode>();
  for (const node of graph.nodes) for (const id of node.outputs) if (id !== null) producers.set(id, node);
  const precisions = new Map<string, Set<string>>();
  for (const { op, attrs, origins, outputs } of core.nodes) {
    const isWhole = op === "mul" && outputs.some((id) => id !== null && core.tensors[id]?.dtype === "int32");
    if (op !== "matmul" && !isWhole) continue;
    for (const { name, index } of origins) {
      const key = `${index} ${name}`;
      precisions.set(key, (precisions.get(key) ?? new Set()).add(op === "matmul" ? String(attrs.precision) : "int32"));
    }
  }
  const found = new Map<string, { pattern: string; path: QuantisedProducts["path"]; nodes: string[] }>();
  for (const node of graph.nodes) {
    const pattern = patternOf(graph, producers, node);
    const [origin] = node.origins;
    const used = origin === undefined ? undefined : precisions.get(`${origin.index} ${origin.name}`);
    if (pattern === undefined || origin === undefined || used === undefined) continue;
    const path = pathOf(used);
    const key = `${pattern} ${path}`;
    const row = found.get(key) ?? { pattern, path, nodes: [] };
    found.set(key, row);
    row.nodes.push(origin.name);
  }
  return [...found.values()];
}

/** A line of a summary for each; none for a model that is not quantised. */
export function quantisationText(rows: readonly QuantisedProducts[]): readonly string[] {
  if (rows.length === 0) return [];
  const lines = rows.map(({ pattern, path, nodes }) => {
    const shown = path !== "dequantised" ? "" : `: ${nodes.slice(0, 3).join(", ")}${nodes.length > 3 ? ", ..." : ""}`;
    return `quantised  ${nodes.length} x ${pattern} ${path === "dequantised" ? path : `on ${path}, exactly`}${shown}`;
  });
  return [lines.join("\n")];
}
