// Products of a few numbers with a long list of short columns: they are sums of products in the vector unit, and give what the matrix unit would.
import { expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { good } from "./onnx-import.ts";
import { floats, i64 } from "./op-models.ts";
import { compileDecode, type DecodeOptions, decodeModel } from "./state-models.ts";
import { maxAbsError } from "./whole-line.ts";

const usual: DecodeOptions = { layers: 1, batch: 1, heads: 2, group: 2, size: 4, rows: 64, style: "where" };

const productsOf = (options: DecodeOptions, lanes = 320): number => {
  const core = legalise(good(decodeModel(options)).graph, { precision: "fp32", lanes });
  if (!core.ok) throw new Error("the model is legal");
  return core.value.nodes.filter(({ op }) => op === "matmul").length;
};

test("scores over a cache are sums where the cache is long, and products of matrices where it is not", () => {
  // Queries, keys, values, scores and weighted sums.
  expect(productsOf({ ...usual, rows: 31 })).toBe(5);
  expect(productsOf({ ...usual, rows: 32 })).toBe(4);
  // Columns that fill the lanes are rows of tiles that are full.
  expect(productsOf({ ...usual, rows: 32 }, 16)).toBe(4);
  expect(productsOf({ ...usual, rows: 32 }, 15)).toBe(5);
});

test("queries that share keys are rows of one product, repeated keys are not made", () => {
  for (const rows of [9, 64]) {
    const core = legalise(good(decodeModel({ ...usual, rows })).graph, { precision: "fp32" });
    if (!core.ok) throw new Error("the model is legal");
    expect(core.value.nodes.filter(({ op }) => op === "expand")).toEqual([]);
  }
});

test("both mean the same", () => {
  const { graph } = good(decodeModel(usual));
  const core = legalise(graph, { precision: "fp32" });
  if (!core.ok) throw new Error("the model is legal");
  const inputs = new Map(
    graph.inputs.map(({ name, tensor }, i) => {
      const { shape = [] } = graph.tensors[tensor] ?? {};
      return [name, name === "position" ? i64(40) : floats(shape, i)] as const;
    }),
  );
  const wanted = evaluateGraph(graph, inputs);
  for (const [name, value] of evaluateGraph(core.value, inputs))
    expect(maxAbsError(value, wanted.get(name) ?? value)).toBeLessThan(1e-5);
});

test("a step over a long cache takes few cycles more than over half of it", () => {
  const where = { target: "lpu-nvlink", chips: 1, precision: "fp16" } as const;
  const cycles = (rows: number): number =>
    compileDecode({ ...usual, heads: 4, size: 8, rows }, where).program.latencyCycles;
  expect(cycles(600)).toBeLessThan(1.5 * cycles(300));
});
