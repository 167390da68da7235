// The two published formats: recorded optima are reached, tightened memory is respected, and bad input is told in full.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDag } from "../passes/partition/dag-check.ts";
import { solveDag } from "../passes/partition/dag-solve.ts";
import { plainChain } from "../passes/partition/problem.ts";
import { printChainProblem } from "../passes/partition/problem-text.ts";
import { type PartitionOptions, runPartition } from "../src/formats/partition.ts";
import { readPlacementGraph } from "../src/formats/placement-graph.ts";
import { sharedData } from "./shared-data.ts";

const recorded = [
  ["layer.bert24_inference", 17.78990625],
  ["layer.bert24_training", 41.7458125],
  ["layer.resnet50_inference", 33.774666015625],
  ["op.bert_l-3_inference", 27.9185676799],
  ["op.bert_l-3_training", 65.3031491221],
  ["op.resnet50_inference", 124.348849774],
] as const;
const withoutCpu = [
  ["layer.resnet50_inference", 34.223],
  ["op.resnet50_inference", 128.074],
] as const;

function instance(name: string): string | undefined {
  const path = sharedData(`partition/instances/${name}.json`);
  return path === undefined ? undefined : readFileSync(path, "utf8");
}

function ask(text: string, options: PartitionOptions = {}) {
  const answer = runPartition(text, options);
  if (!answer.ok) throw new Error(answer.faults.map((fault) => `${fault.path}: ${fault.message}`).join("\n"));
  return answer;
}

describe("placement graphs", () => {
  for (const [name, optimum] of recorded) {
    const text = instance(name);
    it.skipIf(text === undefined)(`reaches and proves the optimum of ${name}`, () => {
      const { json, fits, text: report } = ask(text ?? "");
      expect(fits).toBe(true);
      expect(json.objective).toBeCloseTo(optimum, 8);
      expect(json).toMatchObject({ schema: "lpuc.partition/1", format: "placement", isOptimal: true, gap: 0 });
      expect(json.lowerBound).toBe(json.objective);
      const graph = readPlacementGraph(JSON.parse(text ?? ""));
      if (!graph.ok) throw new Error("it was read before");
      expect(Object.keys(json.assignment ?? {}).sort()).toEqual(graph.value.ids.map(String).sort());
      expect(report).toContain(`largest load ${json.objective}, lower bound ${json.objective}: optimal`);
    });
    it.skipIf(text === undefined)(`respects tightened memory in ${name}`, () => {
      const graph = readPlacementGraph(JSON.parse(text ?? ""));
      if (!graph.ok) throw new Error("it was read before");
      const { problem } = graph.value;
      const bytes = problem.nodes.reduce((sum, node) => sum + node.sizeBytes, 0);
      let previous: number = optimum;
      for (const share of [1.5, 1.2, 1.05]) {
        const tight = { ...problem, capacityBytes: (share * bytes) / problem.accelerators };
        const solution = solveDag(tight);
        if (solution.kind !== "solution") throw new Error("a CPU holds anything");
        expect(checkDag(tight, solution)).toEqual([]);
        expect(solution.maxLoad).toBeGreaterThanOrEqual(previous - 1e-6);
        expect(solution.isOptimal).toBe(true);
        previous = solution.maxLoad;
      }
    });
  }

  for (const [name, optimum] of withoutCpu) {
    const text = instance(name);
    it.skipIf(text === undefined)(`reaches the optimum of ${name} without the CPU`, () => {
      const { json } = ask(JSON.stringify({ ...JSON.parse(text ?? ""), maxCPUs: 0 }));
      expect(json.objective).toBeCloseTo(optimum, 2);
      expect(json.isOptimal).toBe(true);
    });
  }

  const node = (id: number, fields: object = {}) => ({
    id,
    supportedOnFpga: 1,
    fpgaLatency: 2,
    cpuLatency: 9,
    isBackwardNode: 0,
    size: 10,
    ...fields,
  });
  const graph = (fields: object = {}) => ({
    maxFPGAs: 2,
    maxCPUs: 0,
    maxSizePerFPGA: 20,
    nodes: [node(5), node(7, { colorClass: 1 }), node(9)],
    edges: [
      { sourceId: 5, destId: 7, cost: 0.5 },
      { sourceId: 7, destId: 9, cost: 1 },
    ],
    ...fields,
  });

  it("answers by the file's ids", () => {
    const { json, text } = ask(JSON.stringify(graph()));
    expect(json).toMatchObject({
      objective: 4.5,
      isOptimal: true,
      assignment: { 5: "accelerator0", 7: "accelerator1", 9: "accelerator1" },
      devices: [
        { device: "accelerator0", load: 2.5, bytes: 10, nodes: [5] },
        { device: "accelerator1", load: 4.5, bytes: 20, nodes: [7, 9] },
      ],
    });
    expect(text).toContain("accelerator1  4.5   20     7,9");
  });

  it("takes another number of chips and another capacity, and says what does not fit", () => {
    expect(ask(JSON.stringify(graph()), { chips: 3 }).json.objective).toBe(3.5);
    const answer = ask(JSON.stringify(graph()), { chips: 2, capacityBytes: 12 });
    expect(answer.fits).toBe(false);
    expect(answer.json).toMatchObject({ fits: false, isProved: true, demandBytes: 30, totalBytes: 24 });
    expect(answer.text).toContain("does not fit: 30 bytes needed, 24 bytes there");
  });

  it("tells everything that is wrong, each with its path", () => {
    const bad = graph({
      maxFPGAs: "two",
      nodes: [node(5), node(5), node(6, { fpgaLatency: -1 }), 3],
      edges: [
        { sourceId: 5, destId: 8, cost: 1 },
        { sourceId: 5, destId: 6, cost: 2 },
        { sourceId: 5, destId: 6, cost: 3 },
      ],
    });
    const answer = runPartition(JSON.stringify(bad));
    expect(answer).toMatchObject({ ok: false });
    if (answer.ok) return;
    expect(answer.faults.map((fault) => fault.path)).toEqual([
      "maxFPGAs",
      "nodes[1].id",
      "nodes[2].fpgaLatency",
      "nodes[3]",
      "edges[0].destId",
      "edges[2].cost",
    ]);
  });

  it("refuses cycles, and backward nodes that feed forward ones", () => {
    const cycle = [
      { sourceId: 5, destId: 7, cost: 1 },
      { sourceId: 7, destId: 5, cost: 1 },
    ];
    expect(runPartition(JSON.stringify(graph({ edges: cycle })))).toMatchObject({
      ok: false,
      faults: [{ message: "the graph has a cycle" }],
    });
    const nodes = [node(5), node(7, { isBackwardNode: true }), node(9)];
    expect(runPartition(JSON.stringify(graph({ nodes })))).toMatchObject({ ok: false });
  });
});

describe("layer chains", () => {
  const chain = { weights_us: [4, 6, 5, 3], param_bytes: [1, 2, 3, 4] };
  it("cuts one chain, or each of several", () => {
    const { json, text } = ask(JSON.stringify(chain), { chips: 2 });
    expect(json).toMatchObject({ format: "chain", objective: 10, lowerBound: 10, assignment: [0, 0, 1, 1] });
    expect(text).toContain("bottleneck 10, lower bound 10: optimal");
    const both = ask(JSON.stringify({ one: chain, two: chain }), { chips: 3, capacityBytes: 4 });
    expect(both.json).toMatchObject({ format: "chains", chains: [{ name: "one", objective: 10 }, { name: "two" }] });
    expect(both.fits).toBe(true);
  });
  it("says how many chips would do", () => {
    const answer = ask(JSON.stringify(chain), { chips: 2, capacityBytes: 4 });
    expect(answer).toMatchObject({ fits: false, json: { chipsNeeded: 3, demandBytes: 10, totalBytes: 8 } });
    expect(answer.text).toContain("does not fit: 10 bytes needed, 8 bytes there; 3 chips would do");
  });
  it("needs a number of chips and whole lists", () => {
    expect(runPartition(JSON.stringify(chain))).toMatchObject({ ok: false, faults: [{ path: "chips" }] });
    expect(runPartition(JSON.stringify({ a: { weights_us: [1, "x"], param_bytes: [1] } }), { chips: 2 })).toMatchObject(
      {
        ok: false,
        faults: [{ path: "a.weights_us[1]" }, { path: "a" }],
      },
    );
    expect(runPartition(JSON.stringify(chain), { chips: 0 })).toMatchObject({ ok: false, faults: [{ path: "chips" }] });
  });

  const path = sharedData("partition/chains.json");
  it.skipIf(path === undefined)("reaches the recorded bottlenecks of whole files", () => {
    const text = readFileSync(path ?? "", "utf8");
    const optima = Object.values(
      JSON.parse(text) as Record<string, { optima: Record<string, { bottleneck_us: number }> }>,
    );
    for (const chips of [2, 4, 6, 8, 16]) {
      const { json } = ask(text, { chips });
      const expected = optima.map((chain) => ({ objective: chain.optima[chips]?.bottleneck_us, isOptimal: true }));
      expect(json).toMatchObject({ chains: expected });
    }
  });
});

describe("layers of operators", () => {
  const matmul = (name: string, cycles: number, inputs?: readonly string[]) => ({
    name,
    kind: "matmul",
    outputBytes: 640,
    computeCycles: cycles,
    weightBytes: 1000,
    ...(inputs === undefined ? {} : { inputs }),
  });
  const ops = [
    matmul("up", 4000, ["input"]),
    { name: "act", kind: "elementwise", outputBytes: 640, computeCycles: 100 },
    matmul("down", 4000),
    { name: "add", kind: "elementwise", inputs: ["down", "input"], outputBytes: 640, computeCycles: 10 },
  ];
  const file = {
    schema: "lpuc.layers/1",
    chips: 8,
    capacityBytes: 5000,
    degrees: [1, 2, 4],
    links: { latencyCycles: 100, cyclesPerVector: 5, vectorBytes: 320 },
    layers: [{ name: "mlp", repeat: 2, inputBytes: 640, activationBytes: 500, ops }],
  };

  it("decides stages, groups and splits together", () => {
    const { json, text } = ask(JSON.stringify(file));
    // 4 chips a layer: 1000 + 25 + 1000 + 10 cycles, and one all-reduce beside them.
    expect(json).toMatchObject({
      format: "layers",
      objective: 2035,
      stages: [
        { chip: 0, tensorParallel: 4 },
        { chip: 4, tensorParallel: 4 },
      ],
      splits: [
        {
          tensorParallel: 4,
          layers: [0, 1],
          ways: [{ way: "columns" }, { way: "shares" }, { way: "rows" }, { way: "whole" }],
          collectives: [{ op: "down", collective: "allReduce", cycles: 110 }],
        },
      ],
    });
    expect(text).toContain("layers 0-1, each over 4 chips:");
    // Two layers, a transfer of 100 + 10 cycles between them, an all-reduce in each.
    expect(json.latency).toBe(2 * (2035 + 110) + 110);
    expect(ask(JSON.stringify(file), { chips: 2 }).json).toMatchObject({ objective: 8110 });
    expect(ask(JSON.stringify(file), { chips: 2, capacityBytes: 3000 }).json).toMatchObject({ objective: 8110 });
    expect(ask(JSON.stringify(file), { chips: 4, capacityBytes: 2499 }).json).toMatchObject({
      fits: true,
      splits: [{ tensorParallel: 2 }],
    });
    expect(ask(JSON.stringify(file), { chips: 1, capacityBytes: 2499 }).fits).toBe(false);
  });

  it("holds groups within nodes, and spreads experts", () => {
    const experts = Array.from({ length: 4 }, (_, i) => ({ computeCycles: 500 + i, weightBytes: 1200 }));
    const moe = { name: "experts", kind: "experts", outputBytes: 640, experts };
    const layers = [{ name: "moe", repeat: 2, inputBytes: 640, ops: [moe] }];
    const { json } = ask(JSON.stringify({ ...file, chips: 7, chipsPerNode: 4, capacityBytes: 1300, layers }));
    // The second group of four would reach over the border of the node.
    expect(json.fits).toBe(false);
    const roomy = ask(JSON.stringify({ ...file, chips: 8, chipsPerNode: 4, capacityBytes: 1300, layers }));
    expect(roomy.json).toMatchObject({ stages: [{ chip: 0 }, { chip: 4 }] });
    expect(Number(roomy.json.objective)).toBeLessThanOrEqual(503);
  });

  it("tells everything that is wrong, each with its path", () => {
    const bad = {
      ...file,
      chip: 3,
      degrees: [0],
      links: { ...file.links, cyclesPerVector: 0 },
      layers: [{ ops: [{ ...matmul("a", 1), kind: "matmull" }, matmul("b", -1, ["c"]), matmul("a", 1)] }],
    };
    const answer = runPartition(JSON.stringify(bad));
    expect(answer.ok ? [] : answer.faults.map(({ path }) => path)).toEqual([
      "chip",
      "degrees[0]",
      "links.cyclesPerVector",
      "layers[0].ops[0].kind",
      "layers[0].ops[1].inputs[0]",
      "layers[0].ops[1].computeCycles",
      "layers[0].ops[2].name",
    ]);
    expect(runPartition(JSON.stringify({ ...file, layers: [] }))).toMatchObject({ ok: false });
  });
});

describe("any input", () => {
  it("also reads the passes' own text", () => {
    const chain = plainChain({ computeCycles: [4, 6, 5, 3], chips: 2 });
    expect(ask(printChainProblem(chain)).json).toMatchObject({ format: "chain", objective: 10 });
    const read = readPlacementGraph({ maxFPGAs: 1, maxCPUs: 0, maxSizePerFPGA: 1, nodes: [], edges: [] });
    expect(read).toMatchObject({ ok: false, faults: [{ message: "the graph has no nodes" }] });
    const dag = 'dag accelerators=2 cpus=0 capacity=9\nnode "a" 3,1,1,1\nnode "b" 3,1,1,1\nedge 0 1\n';
    expect(ask(dag).json).toMatchObject({ format: "placement", objective: 4, assignment: { 0: "accelerator0" } });
    expect(runPartition("dag x")).toMatchObject({ ok: false, faults: [{ path: "line 1" }] });
  });
  it("answers with faults and never throws", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const near = fc.record(
      { maxFPGAs: value, maxCPUs: value, maxSizePerFPGA: value, nodes: fc.array(value), edges: fc.array(value) },
      { requiredKeys: [] },
    );
    const chains = fc.dictionary(fc.string(), fc.record({ weights_us: value, param_bytes: value }));
    const op = fc.record({ kind: fc.constantFrom("matmul", "heads", "experts"), inputs: value, computeCycles: value });
    const layers = fc.record({
      schema: fc.constant("lpuc.layers/1"),
      capacityBytes: fc.constant(9),
      degrees: fc.oneof(value, fc.constant([1, 2])),
      links: fc.constant({ latencyCycles: 1, cyclesPerVector: 1, vectorBytes: 1 }),
      layers: fc.oneof(value, fc.array(fc.record({ ops: fc.oneof(value, fc.array(op)) }))),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          value.map((v) => JSON.stringify(v)),
          near.map((v) => JSON.stringify(v)),
          chains.map((v) => JSON.stringify(v)),
          layers.map((v) => JSON.stringify(v)),
        ),
        (text) => {
          const answer = runPartition(text, { chips: 3 });
          if (!answer.ok) expect(answer.faults.length).toBeGreaterThan(0);
          else expect(answer.json.schema).toBe("lpuc.partition/1");
        },
      ),
      { seed: 40, numRuns: 500 },
    );
    expect(runPartition(`${"[".repeat(100_000)}`)).toMatchObject({ ok: false });
  });
});
