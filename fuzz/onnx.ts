// Model files: damaged ones and random graphs, read, imported, folded and legalised; nothing is scheduled.
import { verifyGraph } from "../ir/graph/verify.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { bytesSource } from "../src/io.ts";
import { importModel } from "../src/onnx/import.ts";
import { damagedBytes } from "./bytes.ts";
import { damagedMessage, parseWire, type WireField } from "./protobuf.ts";
import type { Random } from "./random.ts";
import { randomModel } from "./random-graph.ts";
import { externalBytes, ownModels, sampleModels } from "./sample-models.ts";
import { acceptance, FuzzFailure, refusal, type Suite, type Verdict } from "./suite.ts";

const external = (location: string) =>
  location === "weights.bin"
    ? { source: bytesSource(externalBytes) }
    : { refused: "the file does not exist", outside: false };

function takeModel(random: Random, bytes: Uint8Array): Verdict {
  const options = { path: "fuzz.onnx", shapes: new Map(), external, shapesOnly: random.chance(0.1) };
  const open = importModel(bytesSource(bytes), { ...options, dims: new Map() });
  const hasSymbols = !open.ok && open.diagnostics.some(({ code }) => code === "LPU2004");
  const size = random.chance(0.9) ? 2 : random.below(5);
  const imported = hasSymbols ? importModel(bytesSource(bytes), { ...options, dims: new Map([["n", size]]) }) : open;
  if (!imported.ok) return refusal(imported.diagnostics);
  const { graph, warnings } = imported.value;
  const violations = verifyGraph(graph);
  if (violations.length > 0) throw new FuzzFailure(`an imported graph is broken: ${JSON.stringify(violations[0])}`);
  const core = legalise(graph, { precision: random.chance(0.5) ? "fp16" : "fp32", allowNarrowing: random.chance(0.5) });
  if (!core.ok) return refusal(core.diagnostics);
  const broken = verifyGraph(core.value);
  if (broken.length > 0) throw new FuzzFailure(`a core graph is broken: ${JSON.stringify(broken[0])}`);
  return acceptance(warnings);
}

const damaged = (samples: readonly Uint8Array[]) => {
  const wires = samples.map((bytes): readonly WireField[] => parseWire(bytes) ?? []);
  return (random: Random): Verdict => {
    const at = random.below(samples.length);
    const [bytes, wire] = [samples[at] ?? new Uint8Array(0), wires[at] ?? []];
    const changed = random.chance(0.25)
      ? damagedBytes(random, bytes)
      : damagedMessage(random, wire, random.pick(wires));
    return takeModel(random, changed);
  };
};

export const onnxSuites: readonly Suite[] = [
  {
    name: "onnx",
    title: "damaged model files: imported and legalised",
    prepare: () => ({ run: damaged(sampleModels()) }),
  },
  {
    name: "onnx-own",
    title: "damaged model files of the suite's own, which use every part of the format",
    prepare: () => ({ run: damaged(ownModels()) }),
  },
  {
    name: "operators",
    title: "random graphs over the operator table: imported and legalised",
    prepare: () => ({ run: (random) => takeModel(random, randomModel(random)) }),
  },
];
