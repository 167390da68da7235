// Shared layers: what the ranks compute together is what the model computes, and the checker of shared graphs sees what is broken.
import { describe, expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { numbersOf, type TensorValue, valueFromNumbers } from "../ir/graph/values.ts";
import { buildTopology } from "../ir/target/topology.ts";
import { shardFor } from "../passes/compile/shards.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { checkSharded, type ShardViolation } from "../passes/shard/check.ts";
import type { Exchange, ShardedGraph } from "../passes/shard/sharded.ts";
import { bytesSource } from "../src/io.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import type { TransformerOptions } from "../src/modelgen/transformer-options.ts";
import { importModel } from "../src/onnx/import.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { moeModel } from "./moe-models.ts";
import { evaluateSharded } from "./shard-evaluate.ts";

const found = presetTarget("lpu-nvlink");
if (found === undefined) throw new Error("no target");
const target = found;

const coreOf = (options: TransformerOptions): Graph => coreOfBytes(transformerModel(options));

function coreOfBytes(bytes: Uint8Array): Graph {
  const imported = importModel(bytesSource(bytes), {
    path: "model.onnx",
    dims: new Map(),
    shapes: new Map(),
    external: () => ({ refused: "the model has its weights inside", outside: true }),
  });
  if (!imported.ok) throw new Error(imported.diagnostics.map((one) => one.message).join("\n"));
  const core = legalise(imported.value.graph, { precision: "fp32" });
  if (!core.ok) throw new Error(core.diagnostics.map((one) => one.message).join("\n"));
  return core.value;
}

function shared(model: Graph, ways: number): ShardedGraph {
  const topology = buildTopology({ ...target.topology, kind: "all-to-all" }, target.link, ways);
  if (!topology.ok) throw new Error("no topology");
  const sharded = shardFor(model, target, topology.value, ways);
  if (!sharded.ok) throw new Error(sharded.diagnostics.map((one) => one.message).join("\n"));
  return sharded.value;
}

/** Values between -1 and 1 for floats, small indices for integers, the same every time. */
function inputsOf(model: Graph): Map<string, TensorValue> {
  return new Map(
    model.inputs.map(({ name, tensor }) => {
      const { dtype, shape } = model.tensors[tensor] as Graph["tensors"][number];
      const count = shape.reduce((n, size) => n * size, 1);
      const numbers = Array.from({ length: count }, (_, i) =>
        dtype === "int32" ? (name.includes("mask") ? (i % 5 === 4 ? 0 : 1) : i % 7) : ((i * 37 + 11) % 64) / 32 - 1,
      );
      return [name, valueFromNumbers(dtype, shape, numbers)];
    }),
  );
}

const small = { layers: 2, d: 32, heads: 4, ffn: 64, seq: 12 } as const;

const models: Readonly<Record<string, TransformerOptions>> = {
  encoder: { ...small, kind: "encoder", input: "hidden", output: "hidden", attentionMask: true },
  "wide encoder": {
    ...small,
    layers: 1,
    d: 640,
    heads: 8,
    ffn: 1280,
    seq: 64,
    kind: "encoder",
    input: "hidden",
    output: "hidden",
  },
  decoder: { ...small, kind: "decoder", vocab: 20 },
  "rows that do not divide": { ...small, seq: 11, kind: "encoder", input: "hidden", output: "pooler" },
  "heads that do not divide": { ...small, d: 30, heads: 3, kind: "encoder", input: "hidden", output: "hidden" },
  "grouped queries": {
    ...small,
    kind: "decoder",
    vocab: 16,
    norm: "rmsnorm",
    activation: "swiglu",
    positions: "rope",
    kvHeads: 2,
    bias: false,
  },
  "one projection": { ...small, kind: "encoder", input: "hidden", output: "hidden", qkv: "fused", linear: "gemm" },
};

const experts = { experts: 8, top: 2, tokens: 6, d: 16, ffn: 512 } as const;

const graphs: readonly (readonly [string, Graph])[] = [
  ...Object.entries(models).map(([name, options]) => [name, coreOf(options)] as const),
  ...(["stacked", "separate"] as const).map(
    (style) => [`${style} experts`, coreOfBytes(moeModel({ style, ...experts }).bytes as Uint8Array)] as const,
  ),
];

describe.each(graphs)("%s", (_, model) => {
  const inputs = inputsOf(model);
  const expected = evaluateGraph(model, inputs);
  test.each([2, 4])("on %i ranks computes the same", (ways) => {
    const sharded = shared(model, ways);
    expect(checkSharded(model, sharded)).toEqual([]);
    const actual = evaluateSharded(model, sharded, inputs);
    for (const [name, value] of expected) {
      const [a, b] = [numbersOf(actual.get(name) as TensorValue), numbersOf(value)];
      expect(a.length).toBe(b.length);
      for (let i = 0; i < b.length; i++) expect(Math.abs((a[i] as number) - (b[i] as number))).toBeLessThan(1e-4);
    }
  });
});

describe("a wide layer", () => {
  const model = coreOf({
    ...small,
    layers: 1,
    d: 640,
    heads: 8,
    ffn: 1280,
    seq: 64,
    kind: "encoder",
    input: "hidden",
    output: "hidden",
  });
  const sharded = shared(model, 4);
  const bytes = (graph: Graph): number =>
    graph.tensors.reduce((sum, { shape, data }) => sum + (shape.length === 2 ? (data?.byteLength ?? 0) : 0), 0);

  test("has a quarter of every matrix of weights on each rank", () => {
    expect(bytes(sharded.graph)).toBe(bytes(model) / 4);
  });

  test("sums twice and gathers once in between, rows in shares", () => {
    expect(sharded.exchanges.map(({ kind }) => kind)).toEqual(["scatter-sum", "gather", "scatter-sum"]);
    expect(sharded.graph.tensors[sharded.graph.outputs[0]?.tensor ?? 0]?.shape).toEqual([1, 16, 640]);
  });
});

test("experts one after the other give parts of one sum, which is added once", () => {
  const { bytes } = moeModel({ style: "separate", ...experts });
  const { exchanges } = shared(coreOfBytes(bytes as Uint8Array), 4);
  expect(exchanges.filter(({ kind }) => kind === "sum" || kind === "scatter-sum").length).toBe(1);
});

test("a model whose dimensions do not divide is refused", () => {
  const model = coreOf({
    ...small,
    layers: 1,
    d: 10,
    heads: 2,
    ffn: 10,
    seq: 5,
    kind: "encoder",
    input: "hidden",
    output: "hidden",
  });
  const topology = buildTopology({ ...target.topology, kind: "all-to-all" }, target.link, 11);
  if (!topology.ok) throw new Error("no topology");
  const sharded = shardFor(model, target, topology.value, 11);
  expect(sharded.ok ? [] : sharded.diagnostics.map(({ code }) => code)).toEqual(["LPU4004"]);
});

describe("mutants", () => {
  const model = coreOf(models["wide encoder"] as TransformerOptions);
  const good = shared(model, 2);
  const rules = (sharded: ShardedGraph): ShardViolation["rule"][] => [
    ...new Set(checkSharded(model, sharded).map(({ rule }) => rule)),
  ];
  const withExchange = (change: (exchange: Exchange) => Exchange): ShardedGraph => ({
    ...good,
    exchanges: good.exchanges.map((exchange, i) => (i === 1 ? change(exchange) : exchange)),
  });
  const withMove = (change: (move: Exchange["moves"][number]) => Exchange["moves"][number]): ShardedGraph =>
    withExchange((exchange) => ({
      ...exchange,
      moves: exchange.moves.map((move, i) => (i === 1 ? change(move) : move)),
    }));
  const mutants: Readonly<Record<string, readonly [ShardedGraph, readonly ShardViolation["rule"][]]>> = {
    none: [good, []],
    "a move that is missing": [
      withExchange((exchange) => ({ ...exchange, moves: exchange.moves.slice(1) })),
      ["cover"],
    ],
    "a move that is there twice": [
      withExchange((exchange) => ({ ...exchange, moves: [...exchange.moves, ...exchange.moves.slice(0, 1)] })),
      ["cover"],
    ],
    "a move to another rank": [withMove((move) => ({ ...move, to: 1 - move.to })), ["cover"]],
    "a move to a rank that is not there": [withMove((move) => ({ ...move, to: 2 })), ["box", "cover"]],
    "a box beside its tensor": [
      withMove((move) => ({ ...move, sourceOrigin: move.sourceOrigin.map((first) => first + 1) })),
      ["box", "cover"],
    ],
    "an exchange before its source": [withExchange((exchange) => ({ ...exchange, phase: 0 })), ["order"]],
    "an exchange after its readers": [
      withExchange((exchange) => ({ ...exchange, phase: exchange.phase + 1 })),
      ["order"],
    ],
    "phases that go back": [{ ...good, phases: good.phases.toReversed() }, ["order"]],
    "a tensor of another shape": [
      {
        ...good,
        graph: {
          ...good.graph,
          tensors: good.graph.tensors.map((tensor) =>
            tensor.id === good.graph.nodes[0]?.outputs[0] ? { ...tensor, shape: [...tensor.shape, 2] } : tensor,
          ),
        },
      },
      ["shape"],
    ],
    "a piece of another tensor": [
      {
        ...good,
        pieces: new Map([...good.pieces].map(([id, piece]) => [id, { ...piece, dim: null }])),
      },
      ["piece"],
    ],
    "an output that is none": [
      {
        ...good,
        graph: {
          ...good.graph,
          outputs: good.graph.outputs.map((output) => ({
            ...output,
            tensor: good.graph.inputs[0]?.tensor ?? output.tensor,
          })),
        },
      },
      ["output"],
    ],
  };
  test.each(Object.entries(mutants))("%s", (_, [mutant, expected]) => {
    expect(rules(mutant)).toEqual(expect.arrayContaining([...expected]));
    expect(rules(mutant).length === 0).toBe(expected.length === 0);
  });
});
