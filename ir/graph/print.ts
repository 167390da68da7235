// Prints a graph as text that `parseGraph` reads back: one line an input, constant, node or output.
import type { AttrValue } from "./attr.ts";
import { type ConstData, elementCount, type Graph, type GraphNode, type GraphTensor, type TensorId } from "./graph.ts";
import { type TensorType, type TensorValue, valueOfConst } from "./values.ts";

export interface PrintOptions {
  /** Constants of at most this many elements are listed as numbers. Default 8. */
  readonly inlineElements?: number;
  /** Larger constants as `elided<bytes>` instead of hexadecimal; such text cannot be read back. */
  readonly elide?: boolean;
}

const printShape = (shape: readonly number[]): string => `[${shape.join("x")}]`;
const printType = (type: TensorType): string => `${type.dtype}${printShape(type.shape)}`;

function printNumber(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (x === Infinity) return "inf";
  if (x === -Infinity) return "-inf";
  return Object.is(x, -0) ? "-0" : String(x);
}

function printAttr(value: AttrValue): string {
  if (typeof value === "number") return printNumber(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "boolean") return String(value);
  return `[${value.map((item) => (typeof item === "number" ? printNumber(item) : JSON.stringify(item))).join(", ")}]`;
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hexDigits(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += hexPairs[bytes[i] ?? 0] ?? "";
  return text;
}

/** Numbers of a tensor whose storage holds numbers that print exactly: not bit patterns, no NaN. */
function printableElements(value: TensorValue): string | undefined {
  if (/^(float16|bfloat16|float8|float4)/.test(value.dtype)) return undefined;
  const list = Array.from<number | bigint>(value.data);
  if (list.some((x) => typeof x === "number" && Number.isNaN(x))) return undefined;
  return `[${list.map((x) => (typeof x === "bigint" ? String(x) : printNumber(x))).join(", ")}]`;
}

function printData(tensor: GraphTensor, data: ConstData, options: PrintOptions): string {
  const small = elementCount(tensor.shape) <= (options.inlineElements ?? 8);
  const listed = small ? printableElements(valueOfConst(tensor, data)) : undefined;
  if (listed !== undefined) return `dense<${listed}>`;
  return options.elide === true ? `elided<${data.byteLength}>` : `dense<"${hexDigits(data.read())}">`;
}

const reference = (id: TensorId | null): string => (id === null ? "_" : `%${id}`);

function printDefinition(graph: Graph, id: TensorId | null): string {
  const tensor = id === null ? undefined : graph.tensors[id];
  return tensor === undefined ? reference(id) : `%${tensor.id} ${JSON.stringify(tensor.name)} : ${printType(tensor)}`;
}

function printNode(graph: Graph, node: GraphNode): string {
  const outputs = node.outputs.map((id) => printDefinition(graph, id)).join(", ");
  const attrs = Object.entries(node.attrs).map(([name, value]) => `${name} = ${printAttr(value)}`);
  const origins = node.origins.map(
    ({ name, opType, index }) => `${JSON.stringify(name)} ${JSON.stringify(opType)} #${index}`,
  );
  const parts = [
    `${outputs} = ${node.op}(${node.inputs.map(reference).join(", ")})`,
    attrs.length === 0 ? "" : ` {${attrs.join(", ")}}`,
    origins.length === 0 ? "" : ` from [${origins.join(", ")}]`,
  ];
  return parts.join("");
}

/** Tensors that nothing defines: kept in the text so that ids survive. */
function unusedTensors(graph: Graph): GraphTensor[] {
  const defined = new Set<number>(graph.inputs.map(({ tensor }) => tensor));
  for (const node of graph.nodes) for (const id of node.outputs) if (id !== null) defined.add(id);
  return graph.tensors.filter((tensor) => tensor.data === undefined && !defined.has(tensor.id));
}

export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const inputs = graph.inputs.map(
    ({ name, tensor, dtype }) => `input ${printDefinition(graph, tensor)} as ${JSON.stringify(name)} ${dtype}`,
  );
  const constants = graph.tensors.flatMap((tensor) =>
    tensor.data === undefined
      ? []
      : [`const ${printDefinition(graph, tensor.id)} = ${printData(tensor, tensor.data, options)}`],
  );
  const unused = unusedTensors(graph).map(({ id }) => `unused ${printDefinition(graph, id)}`);
  const nodes = graph.nodes.map((node) => printNode(graph, node));
  const outputs = graph.outputs.map(
    ({ name, tensor, dtype }) => `output %${tensor} as ${JSON.stringify(name)} ${dtype}`,
  );
  const lines = [...inputs, ...constants, ...unused, ...nodes, ...outputs].map((line) => `  ${line}`);
  return [`graph ${JSON.stringify(graph.name)} form=${graph.form} {`, ...lines, "}", ""].join("\n");
}
