// The smaller formats: allocation tables, partition and routing problems, NumPy and tensor files, targets and printed graphs.
import { parseGraph } from "../ir/graph/parse.ts";
import { printGraph } from "../ir/graph/print.ts";
import { parseTarget } from "../ir/target/schema.ts";
import { runAlloc } from "../src/formats/alloc.ts";
import { readNpy, writeNpy } from "../src/formats/npy.ts";
import { runPartition } from "../src/formats/partition.ts";
import { runRoute } from "../src/formats/route.ts";
import { bytesSource } from "../src/io.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { importModel } from "../src/onnx/import.ts";
import { readTensorProto, writeTensorProto } from "../src/onnx/tensor-file.ts";
import { presetDocuments, presetNames, presetTarget } from "../src/targets/presets.ts";
import { damagedBytes, damagedText } from "./bytes.ts";
import { damagedMessage, parseWire } from "./protobuf.ts";
import type { Random } from "./random.ts";
import { acceptance, FuzzFailure, refusal, type Suite, type Verdict } from "./suite.ts";

/** Units of search: what a problem means is not what is tried here. */
const BUDGET = 500;

const tables = [
  "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\n",
  "start,end,size,alignment,buffer_id,hint,gaps\n0,10,16,8,a,-1,2-4\n5,20,24,4,b,0,\n12,30,8,1,c,8,14-16@0:4\n",
];

const chain = { weights_us: [5, 1, 7, 2, 9, 4], param_bytes: [10, 20, 5, 40, 3, 8] };
const placement = {
  maxFPGAs: 2,
  maxCPUs: 1,
  maxSizePerFPGA: 100,
  nodes: [0, 1, 2, 3].map((id) => ({ id, fpgaLatency: id + 1, cpuLatency: 9, size: 30, isBackwardNode: false })),
  edges: [
    { sourceId: 0, destId: 1, cost: 1 },
    { sourceId: 0, destId: 2, cost: 1 },
    { sourceId: 1, destId: 3, cost: 2 },
    { sourceId: 2, destId: 3, cost: 1 },
  ],
};
const partitions = [JSON.stringify(chain), JSON.stringify({ net: chain, other: chain }), JSON.stringify(placement)];

const links = [
  [0, 1, 0, 1],
  [1, 0, 1, 0],
  [0, 1, 0, 1],
  [1, 0, 1, 0],
];
const ranks = [[0], [1], [2], [3]];
const all = ranks.map(() => [0, 1, 2, 3]);
const routes = [
  JSON.stringify({ links_dst_src: links, pre: ranks, post: all }),
  JSON.stringify({ links_dst_src: links, pre: ranks, post: all, switches: [[[0], [1], 1]] }),
  JSON.stringify({
    target: "groqchip1",
    topology: { kind: "ring", chips: 4 },
    transfers: [
      { from: 0, to: [1, 2], vectors: 3 },
      { from: 3, to: 0, vectors: 2, earliest: 5, latest: 900 },
    ],
  }),
  JSON.stringify({
    target: "groqchip1",
    topology: { kind: "chain", chips: 3 },
    collective: { kind: "broadcast", vectors: 2 },
  }),
];

/** Suites over texts; faults of these formats are not diagnostics yet, the command line makes them so. */
function textSuite(
  name: string,
  title: string,
  texts: () => readonly string[],
  take: (text: string) => Verdict,
): Suite {
  const prepare = () => {
    const samples = texts();
    return { run: (random: Random): Verdict => take(damagedText(random, random.pick(samples))) };
  };
  return { name, title, prepare };
}

function faults(code: string, messages: readonly string[]): Verdict {
  if (messages.length === 0 || messages.includes("")) throw new FuzzFailure("refused without a reason");
  return { accepted: false, codes: messages.map(() => code) };
}

function takeAlloc(text: string): Verdict {
  const answer = runAlloc(text, { budget: BUDGET, capacity: 1 << 12 });
  return answer.ok
    ? acceptance()
    : faults(
        "LPU1041",
        answer.errors.map(({ message }) => message),
      );
}

function takePartition(text: string): Verdict {
  const answer = runPartition(text, { budget: BUDGET, chips: 3 });
  return answer.ok
    ? acceptance()
    : faults(
        "LPU1041",
        answer.faults.map(({ message }) => message),
      );
}

function takeRoute(text: string): Verdict {
  const answer = runRoute(text, { budget: BUDGET, findTarget: presetTarget });
  return answer.ok
    ? acceptance()
    : faults(
        "LPU1041",
        answer.faults.map(({ message }) => message),
      );
}

function takeTarget(text: string): Verdict {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { accepted: false, codes: ["LPU3002"] };
  }
  const target = parseTarget(json, presetDocuments);
  return target.ok ? acceptance() : refusal(target.diagnostics);
}

function takeGraph(text: string): Verdict {
  const graph = parseGraph(text);
  return graph.ok ? acceptance() : refusal(graph.diagnostics);
}

function printedGraphs(): readonly string[] {
  const model = transformerModel({ kind: "encoder", layers: 1, d: 4, heads: 2, ffn: 4, seq: 3, vocab: 5 });
  const none = { refused: "there is none", outside: false };
  const options = { path: "", dims: new Map(), shapes: new Map(), external: () => none };
  const imported = importModel(bytesSource(model), options);
  if (!imported.ok) throw new FuzzFailure("the sample is no model");
  return [printGraph(imported.value.graph)];
}

const array = { dtype: "float32", shape: [2, 3], bytes: Uint8Array.from({ length: 24 }, (_, i) => i) } as const;

function takeArray(random: Random, sample: Uint8Array): Verdict {
  const read = readNpy(damagedBytes(random, sample));
  return read.ok ? acceptance() : faults("LPU1040", [read.message]);
}

function takeTensor(random: Random, sample: Uint8Array): Verdict {
  const wire = parseWire(sample) ?? [];
  const changed = random.chance(0.3) ? damagedBytes(random, sample) : damagedMessage(random, wire, wire);
  const tensor = readTensorProto(changed, "fuzz.pb");
  return tensor.ok ? acceptance() : refusal(tensor.diagnostics);
}

export const formatSuites: readonly Suite[] = [
  textSuite("alloc", "damaged allocation tables: read and solved", () => tables, takeAlloc),
  textSuite("partition", "damaged partition problems: read and solved", () => partitions, takePartition),
  textSuite("route", "damaged routing problems: read and solved", () => routes, takeRoute),
  textSuite(
    "target",
    "damaged target files",
    () => presetNames.map((name) => JSON.stringify(presetDocuments[name], null, 1)),
    takeTarget,
  ),
  textSuite("graph-text", "damaged printed graphs: parsed and checked", printedGraphs, takeGraph),
  {
    name: "npy",
    title: "damaged NumPy files",
    prepare: () => {
      const sample = writeNpy(array) ?? new Uint8Array(0);
      return { run: (random) => takeArray(random, sample) };
    },
  },
  {
    name: "tensor",
    title: "damaged TensorProto files",
    prepare: () => {
      const sample = writeTensorProto("x", array);
      return { run: (random) => takeTensor(random, sample) };
    },
  },
];
