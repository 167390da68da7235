// The structural verifier: good graphs pass, and each broken field is found under its rule.
import { expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { type Graph, type GraphNode, type GraphTensor, nodeId, tensorId } from "../ir/graph/graph.ts";
import { inferGraph } from "../ir/graph/infer-graph.ts";
import { type GraphViolation, verifyGraph } from "../ir/graph/verify.ts";
import { answer, f32 } from "./evaluate-values.ts";
import { coreSample, onnxSample } from "./graph-sample.ts";

const t = tensorId;

const withTensor = (graph: Graph, id: number, change: Partial<GraphTensor>): Graph => ({
  ...graph,
  tensors: graph.tensors.map((tensor, i) => (i === id ? { ...tensor, ...change } : tensor)),
});

const withNode = (graph: Graph, id: number, change: Partial<GraphNode>): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node, i) => (i === id ? { ...node, ...change } : node)),
});

function swapped(graph: Graph, a: number, b: number): Graph {
  const at = (i: number): number => (i === a ? b : i === b ? a : i);
  const nodes = graph.nodes.flatMap((_, i): GraphNode[] => {
    const node = graph.nodes[at(i)];
    return node === undefined ? [] : [{ ...node, id: nodeId(i) }];
  });
  return { ...graph, nodes };
}

test("well-formed graphs have no violation, and inference agrees with their types", () => {
  for (const graph of [onnxSample, coreSample]) {
    expect(verifyGraph(graph)).toEqual([]);
    const { types, problems } = inferGraph(graph);
    expect(problems).toEqual([]);
    expect(types).toEqual(graph.tensors.map(({ dtype, shape }) => ({ dtype, shape })));
  }
});

const mutants: readonly (readonly [what: string, rule: GraphViolation["rule"], graph: Graph])[] = [
  ["a tensor id", "id", withTensor(onnxSample, 4, { id: t(5) })],
  ["a node id", "id", withNode(onnxSample, 1, { id: nodeId(2) })],
  ["an input id", "id", withNode(onnxSample, 0, { inputs: [t(0), t(99)] })],
  ["an output id", "id", { ...onnxSample, outputs: [{ name: "y", tensor: t(99), dtype: "float32" }] }],
  ["a size", "shape", withTensor(onnxSample, 0, { shape: [2, -3] })],
  ["a fraction", "shape", withTensor(coreSample, 0, { shape: [2, 1.5] })],
  ["constant bytes", "data", withTensor(onnxSample, 2, { shape: [2] })],
  ["a second definition", "definition", withNode(onnxSample, 1, { outputs: [t(4)] })],
  ["a constant with a producer", "definition", withNode(onnxSample, 1, { outputs: [t(2)] })],
  ["a use of nothing", "definition", withNode(onnxSample, 1, { inputs: [t(9), t(2)] })],
  ["the order of nodes", "order", swapped(onnxSample, 0, 1)],
  ["an operand", "operator", withNode(onnxSample, 0, { inputs: [t(0), t(2)] })],
  ["an attribute", "operator", withNode(onnxSample, 3, { attrs: { axis: 2 } })],
  ["an attribute's name", "operator", withNode(onnxSample, 3, { attrs: { axes: 1 } })],
  ["a declared shape", "type", withTensor(onnxSample, 7, { shape: [3, 2] })],
  ["a declared type", "type", withTensor(onnxSample, 5, { dtype: "float64" })],
  ["the form", "form", { ...onnxSample, form: "core" }],
  ["the other form", "form", { ...coreSample, form: "onnx" }],
  ["a type of no core graph", "form", withTensor(coreSample, 1, { dtype: "int64" })],
  ["a byte operand", "form", withNode(coreSample, 0, { inputs: [t(3)] })],
  [
    "an output name",
    "name",
    { ...onnxSample, outputs: onnxSample.outputs.map((output) => ({ ...output, name: "y" })) },
  ],
];

test.each(mutants)("a changed %s is a violation of %s", (_, rule, graph) => {
  expect(verifyGraph(graph).map((violation) => violation.rule)).toContain(rule);
});

test("all violations come at once, with their witness", () => {
  const broken = withNode(withTensor(onnxSample, 7, { shape: [9] }), 0, { attrs: { axis: 1 } });
  const found = verifyGraph(broken);
  expect(found.map(({ rule, node }) => [rule, node])).toEqual([
    ["operator", 0],
    ["type", 3],
  ]);
  expect(found[0]?.message).toContain('node 0 (MatMul "/fc/MatMul"): attribute axis is unknown');
});

test("evaluation binds declared input types and gives declared output types", () => {
  const found = evaluateGraph(coreSample, new Map([["x", f32([2, 2], 1.5, -2.5, 300, 0)]]));
  const y = found.get("y");
  expect(y === undefined ? undefined : answer(y)).toEqual({
    dtype: "int64",
    shape: [2, 2],
    numbers: [-4, 4, 127, -254],
  });
});

test("a dead node is evaluated without harm, an input can be an output, and every value is observed", () => {
  const seen: string[] = [];
  const x = f32([2, 3], 1, 2, 3, 4, 5, 6);
  const found = evaluateGraph(
    { ...onnxSample, outputs: onnxSample.outputs.slice(1) },
    new Map([["x", x]]),
    ({ name }) => seen.push(name),
  );
  const again = found.get("x again");
  expect(again?.data).toEqual(x.data);
  expect(again?.data).not.toBe(x.data);
  expect(seen).toEqual(["product", "sum", "right", "soft"]);
});
