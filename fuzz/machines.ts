// The suite of machines: presets with some of their numbers replaced, as a user's own target file may have them. A graph compiled for one gives
// a program that keeps every promise, or a diagnostic that says what the machine lacks.
import fc from "fast-check";
import { parseTarget } from "../ir/target/schema.ts";
import type { Target } from "../ir/target/target.ts";
import { presetNames, presetTarget } from "../src/targets/presets.ts";
import { graphCases } from "../src/testing.ts";
import { tryCase } from "./line.ts";
import type { Random } from "./random.ts";
import { refusal, type Suite, type Verdict } from "./suite.ts";

type Numbers = { [key: string]: Numbers | unknown };

/** Numbers that fields are given, by their path: small ones, usual ones and the largest that a target file may hold. */
const choices: Readonly<Record<string, readonly unknown[]>> = {
  lanes: [4, 8, 12, 16, 20, 64, 352, 1024],
  superlaneLanes: [1, 2, 4, 8],
  verticalRipple: [0, 1, 50, 1000],
  streamsPerDirection: [4, 8, 12, 16, 20, 24, 64],
  "mem.slicesPerHemisphere": [4, 8, 12, 16, 20, 24, 36, 88, 1024],
  "mem.slicesPerColumn": [1, 2, 4, 5, 6, 8, 16],
  "mem.wordsPerBank": [1, 3, 33, 100, 1000, 16_777_216],
  "mem.latency.read": [0, 1, 100, 1000],
  "mem.latency.write": [0, 1, 100, 1000],
  "mem.latency.gather": [0, 1, 40, 1000],
  "mem.latency.scatter": [0, 1, 30],
  "mxm.planes": [2, 6, 8, 16, 64],
  "mxm.loadStreamsPerPlane": [1, 2, 3, 4, 5, 8, 12],
  "mxm.accumulators": [1, 2, 3, 16, 100],
  "mxm.latency.lw": [0, 50, 1000],
  "mxm.latency.iw": [0, 50],
  "mxm.latency.abc": [0, 1, 50, 1000],
  "mxm.latency.acc": [0, 1, 50, 1000],
  "mxm.modes.int8": [undefined],
  "mxm.modes.fp16": [undefined],
  "mxm.modes.fp16.tileK": [1, 3, 8, 17],
  "mxm.modes.fp32.tileK": [1, 3, 8, 17],
  "mxm.modes.fp16.vectorPeriod": [1, 5, 1024],
  "mxm.modes.fp32.vectorPeriod": [1, 5, 1024],
  "mxm.modes.fp16.planesPerTile": [1, 2],
  "mxm.modes.fp32.planesPerTile": [1, 2],
  "vxm.alus": [1, 3, 4, 5, 6, 8, 64, 256],
  "vxm.largeAlus": [[0], [0, 1], [1, 2, 3], [0, 1, 2, 3]],
  "vxm.chainDepth": [1, 2, 3, 5],
  "vxm.operandHistory": [0, 1, 4, 8, 16, 4096],
  "vxm.latency.simple": [1, 2, 10, 100],
  "vxm.latency.multiply": [1, 2, 10, 100],
  "vxm.latency.large": [1, 2, 10, 100],
  "sxm.unitsPerHemisphere": [1, 2, 3, 8],
  "sxm.latency.permute": [0, 30, 1000],
  "link.portsPerChip": [0, 1, 2, 3, 64],
  "link.bytesPerSecond": [1, 1e9, 1e15],
  "link.framedBytesPerVector": [1, 33, 1_048_576],
  "link.latency": [1, 1_000_000],
  "topology.kind": ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d"],
  "topology.chipsPerNode": [1, 2, 3, 4096],
  "topology.nodesPerRack": [1, 2, 4096],
  "topology.linksPerPair": [1, 2, 1024],
  instructionFetchBytes: [1, 3, 1_048_576],
  "extensions.laneReduce": [true],
};
const paths = Object.keys(choices);
const mostChips = 4;

const isNumbers = (value: unknown): value is Numbers => typeof value === "object" && value !== null;

function set(document: Numbers, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at: unknown = document;
  for (const key of keys) at = isNumbers(at) ? at[key] : undefined;
  if (!isNumbers(at)) return;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

/** Tiles as wide as the vector, ALUs that are there: else most documents would contradict themselves. */
function fitting(target: Target): Target {
  const { lanes, mxm, vxm } = target;
  const modes = Object.fromEntries(
    Object.entries(mxm.modes).map(([name, spec]) => [
      name,
      { ...spec, tileN: lanes, tileK: Math.min(spec.tileK, lanes) },
    ]),
  );
  const largeAlus = vxm.largeAlus.filter((alu) => alu < vxm.alus);
  const loadStreamsPerPlane = Math.min(mxm.loadStreamsPerPlane, target.streamsPerDirection);
  const chainDepth = Math.min(vxm.chainDepth, vxm.alus);
  return { ...target, mxm: { ...mxm, modes, loadStreamsPerPlane }, vxm: { ...vxm, largeAlus, chainDepth } };
}

function runCase(random: Random): Verdict {
  // The small preset is the quickest to be compiled for.
  const base = presetTarget(random.chance(0.7) ? "ftlpu32" : random.pick(presetNames));
  if (base === undefined) throw new RangeError("a preset is not there");
  const { sources: _sources, ...numbers } = structuredClone(base);
  for (let edits = 1 + random.below(5); edits > 0; edits--) {
    const path = random.pick(paths);
    set(numbers, path, random.pick(choices[path] ?? []));
  }
  const { sources: _none, ...document } = fitting({ ...numbers, sources: {} });
  const target = parseTarget(document);
  if (!target.ok) return refusal(target.diagnostics);
  const system = { target: target.value, chips: 1 + random.below(mostChips), spec: target.value.topology };
  const cases = fc.tuple(graphCases({ steps: 6, layers: 2, elements: 400 }), fc.constant(system));
  return tryCase("machine", cases, random.below(2 ** 31));
}

export const machineSuites: readonly Suite[] = [
  {
    name: "machine",
    title: "random target files: graphs compiled for them, verified, executed, compared",
    testInputs: 20,
    prepare: () => ({ run: runCase }),
  },
];
