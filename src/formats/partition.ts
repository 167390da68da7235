// `lpuc partition` without its command line: text of a partitioning problem in, an answer for people and one for machines
// out. Pure; must not know files, streams, how options are spelt, or exit codes.
import {
  type DagDevice,
  type DagInfeasible,
  type DagProblem,
  parseDagProblem,
} from "../../passes/partition/dag-problem.ts";
import { solveDag } from "../../passes/partition/dag-solve.ts";
import { layersProblem, type SplitVariant } from "../../passes/partition/layers.ts";
import {
  type ChainInfeasible,
  type ChainProblem,
  type ChainStage,
  plainChain,
  verifyChainProblem,
} from "../../passes/partition/problem.ts";
import { parseChainProblem } from "../../passes/partition/problem-text.ts";
import { solveChain } from "../../passes/partition/solve.ts";
import { type Fault, isRecord, parseJson } from "./json-value.ts";
import { readLayerChains } from "./layer-chains.ts";
import { LAYERS_SCHEMA, readOperatorLayers } from "./operator-layers.ts";
import { looksLikePlacementGraph, readPlacementGraph } from "./placement-graph.ts";

export type PartitionOptions = {
  /** Accelerators of a placement graph, chips of a chain; a placement graph names its own number. */
  readonly chips?: number;
  /** Bytes of each; a placement graph names its own, a chain is not limited without. */
  readonly capacityBytes?: number;
  /** Steps of search before the best placement so far is given, for placement graphs. */
  readonly budget?: number;
};

export type PartitionAnswer =
  | {
      readonly ok: true;
      /** False where something does not fit; `json` and `text` then say what. */
      readonly fits: boolean;
      readonly json: Readonly<Record<string, unknown>>;
      readonly text: string;
    }
  | { readonly ok: false; readonly faults: readonly Fault[] };

const SCHEMA = "lpuc.partition/1";

type Part = { readonly fits: boolean; readonly json: Readonly<Record<string, unknown>>; readonly text: string };

/** Reads any of the formats: a placement graph or layer chains in JSON, or the passes' own text of either problem. */
export function runPartition(text: string, options: PartitionOptions = {}): PartitionAnswer {
  const faults = checkOptions(options);
  if (faults.length > 0) return { ok: false, faults };
  if (text.startsWith("dag ")) {
    const parsed = parseDagProblem(text);
    if (!parsed.ok) return { ok: false, faults: parsed.errors.map(lineFault) };
    return answer("placement", solvePlacement(parsed.problem, [...parsed.problem.nodes.keys()], options));
  }
  if (text.startsWith("chain ")) {
    const parsed = parseChainProblem(text);
    if (!parsed.ok) return { ok: false, faults: parsed.errors.map(lineFault) };
    const resized = resize(parsed.problem, options);
    const wrong = verifyChainProblem(resized).map((message) => ({ path: "", message }));
    return wrong.length > 0 ? { ok: false, faults: wrong } : answer("chain", solveLayers("chain", resized));
  }
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  if (looksLikePlacementGraph(parsed.value)) {
    const graph = readPlacementGraph(parsed.value);
    if (!graph.ok) return graph;
    return answer("placement", solvePlacement(graph.value.problem, graph.value.ids, options));
  }
  if (isRecord(parsed.value) && parsed.value.schema === LAYERS_SCHEMA) return runLayers(parsed.value, options);
  return runChains(parsed.value, options);
}

/** Operators are split inside their layers first, then layers are cut into stages. */
function runLayers(file: Readonly<Record<string, unknown>>, options: PartitionOptions): PartitionAnswer {
  const read = readOperatorLayers(file, options);
  if (!read.ok) return read;
  const { problem, variants } = layersProblem(read.value.layers, read.value.system);
  const faults = verifyChainProblem(problem).map((message) => ({ path: "", message }));
  if (faults.length > 0) return { ok: false, faults };
  return answer("layers", solveLayers("layers", problem, variants));
}

function checkOptions(options: PartitionOptions): readonly Fault[] {
  const faults: Fault[] = [];
  const { chips = 1, capacityBytes = 0 } = options;
  if (!Number.isSafeInteger(chips) || chips < 1)
    faults.push({ path: "chips", message: `${chips} is no number of chips` });
  if (!(capacityBytes >= 0)) faults.push({ path: "capacity", message: `${capacityBytes} is no number of bytes` });
  return faults;
}

function lineFault(error: { readonly line: number; readonly message: string }): Fault {
  return { path: `line ${error.line}`, message: error.message };
}

function answer(format: "placement" | "chain" | "layers", part: Part): PartitionAnswer {
  return { ok: true, fits: part.fits, json: { schema: SCHEMA, format, ...part.json }, text: part.text };
}

function runChains(value: unknown, options: PartitionOptions): PartitionAnswer {
  const chains = readLayerChains(value);
  if (!chains.ok) return chains;
  const { chips, capacityBytes } = options;
  if (chips === undefined) {
    const message = "a layer chain says nothing of the number of chips; give it";
    return { ok: false, faults: [{ path: "chips", message }] };
  }
  const parts = chains.value.map((chain) => {
    const limit = capacityBytes === undefined ? {} : { capacityBytes };
    return solveLayers(
      chain.name,
      plainChain({ computeCycles: chain.times, weightBytes: chain.bytes, chips, ...limit }),
    );
  });
  const [first] = parts;
  const isOne = isRecord(value) && "weights_us" in value;
  if (isOne && first !== undefined) return answer("chain", first);
  return {
    ok: true,
    fits: parts.every((part) => part.fits),
    json: { schema: SCHEMA, format: "chains", chains: parts.map((part) => part.json) },
    text: parts.map((part) => part.text).join("\n"),
  };
}

function resize(problem: ChainProblem, options: PartitionOptions): ChainProblem {
  const { chips = problem.chips, capacityBytes = problem.capacityBytes } = options;
  const borders = problem.borders?.slice(0, chips - 1);
  return { ...problem, chips, capacityBytes, ...(borders === undefined ? {} : { borders }) };
}

function solveLayers(name: string, problem: ChainProblem, variants: readonly SplitVariant[] = []): Part {
  const { chips, layers } = problem;
  const capacityBytes = problem.capacityBytes === Number.MAX_SAFE_INTEGER ? null : problem.capacityBytes;
  const common = { name, layers: layers.length, chips, capacityBytes };
  const heading = `${name}: ${layers.length} layers, ${chips} chips of ${capacityBytes ?? "any number of"} bytes`;
  const solution = solveChain(problem);
  if (solution.kind === "infeasible") return doesNotFit(heading, common, solution, solution.reason !== "constraints");
  const stages = solution.stages.map((stage) => ({
    chip: stage.firstChip,
    tensorParallel: stage.degree,
    firstLayer: stage.firstLayer,
    lastLayer: stage.endLayer - 1,
    load: stage.loadCycles,
    bytes: stage.weightBytes + stage.stateBytes + stage.activationBytes,
  }));
  const assignment = stages.flatMap((s) => Array.from({ length: s.lastLayer - s.firstLayer + 1 }, () => s.chip));
  const rows = stages.map((s) => [
    s.tensorParallel === 1 ? `${s.chip}` : `${s.chip}-${s.chip + s.tensorParallel - 1}`,
    `${s.load}`,
    `${s.bytes}`,
    s.firstLayer === s.lastLayer ? `${s.firstLayer}` : `${s.firstLayer}-${s.lastLayer}`,
  ]);
  const objective = solution.intervalCycles;
  const lines = [
    heading,
    objectiveLine("bottleneck", objective, objective),
    ...table(["chip", "load", "bytes", "layers"], rows),
  ];
  const used = [...new Set(solution.stages.map((stage) => stage.variant))].sort((a, b) => a - b);
  const splits = used.flatMap((v) =>
    splitTables(
      variants[v],
      solution.stages.filter(({ variant }) => variant === v),
    ),
  );
  lines.push(...splitLines(splits));
  const json = {
    ...common,
    fits: true,
    ...(variants.length === 0 ? {} : { splits }),
    objective,
    lowerBound: objective,
    isOptimal: true,
    gap: 0,
    latency: solution.latencyCycles,
    stages,
    assignment,
    workUnits: solution.workUnits,
  };
  return { fits: true, json, text: `${lines.join("\n")}\n` };
}

type SplitTable = {
  readonly tensorParallel: number;
  readonly layers: readonly number[];
  readonly ways: readonly { readonly op: string; readonly way: string }[];
  readonly collectives: readonly { readonly op: string; readonly collective: string; readonly cycles: number }[];
};

/** How the operators of the layers of some stages are split; layers that are split alike stand together. */
function splitTables(variant: SplitVariant | undefined, stages: readonly ChainStage[]): readonly SplitTable[] {
  const tables = new Map<unknown, SplitTable & { readonly layers: number[] }>();
  for (const { firstLayer, endLayer } of stages) {
    for (let layer = firstLayer; layer < endLayer; layer++) {
      const split = variant?.splits[layer];
      if (variant === undefined || split === undefined) continue;
      const known = tables.get(split);
      if (known !== undefined) {
        known.layers.push(layer);
        continue;
      }
      const { ops, inputCycles } = split.problem;
      const made = (op: number) => (op < 0 ? { name: "input", cycles: inputCycles } : ops[op]);
      const ways = ops.map(({ name, ways }, i) => ({ op: name, way: ways[split.solution.ways[i] ?? 0]?.name ?? "" }));
      const collectives = split.solution.conversions
        .filter(({ conversion }) => conversion !== "slice")
        .map(({ op, conversion }) => {
          return { op: made(op)?.name ?? "", collective: conversion, cycles: made(op)?.cycles[conversion] ?? 0 };
        });
      tables.set(split, { tensorParallel: variant.degree, layers: [layer], ways, collectives });
    }
  }
  return [...tables.values()];
}

function splitLines(splits: readonly SplitTable[]): readonly string[] {
  return splits
    .filter(({ tensorParallel }) => tensorParallel > 1)
    .flatMap(({ tensorParallel, layers, ways, collectives }) => {
      const after = new Map(collectives.map(({ op, collective, cycles }) => [op, `${collective}, ${cycles} cycles`]));
      const heading = `layers ${ranges(layers)}, each over ${tensorParallel} chips:`;
      const rows = ways.map(({ op, way }) => [op, way, after.get(op) ?? ""]);
      return ["", heading, ...table(["operator", "way", "then"], rows)];
    });
}

function solvePlacement(given: DagProblem, ids: readonly number[], options: PartitionOptions): Part {
  const { chips = given.accelerators, capacityBytes = given.capacityBytes, budget } = options;
  const problem: DagProblem = { ...given, accelerators: chips, capacityBytes };
  const common = { nodes: problem.nodes.length, accelerators: chips, cpus: problem.cpus, capacityBytes };
  const heading = `${problem.nodes.length} nodes, ${chips} accelerators of ${capacityBytes} bytes, ${problem.cpus} CPUs`;
  const solution = solveDag(problem, budget === undefined ? {} : { budget });
  if (solution.kind === "infeasible") return doesNotFit(heading, common, solution, solution.isProved);
  const { maxLoad: objective, lowerBound, isOptimal, workUnits } = solution;
  const idOf = (node: number) => ids[node] ?? node;
  const names = deviceNames(solution.devices);
  const devices = solution.devices.map(({ kind, load, sizeBytes, nodes }, d) => ({
    device: names[d],
    kind,
    load,
    bytes: sizeBytes,
    nodes: nodes.map(idOf).sort((a, b) => a - b),
  }));
  const assignment = Object.fromEntries(devices.flatMap(({ device, nodes }) => nodes.map((id) => [`${id}`, device])));
  const rows = devices.map((d) => [d.device ?? "", `${d.load}`, `${d.bytes}`, ranges(d.nodes)]);
  const lines = [
    heading,
    objectiveLine("largest load", objective, lowerBound),
    ...table(["device", "load", "bytes", "nodes"], rows),
  ];
  const gap = objective === lowerBound ? 0 : lowerBound === 0 ? null : objective / lowerBound - 1;
  const json = { ...common, fits: true, objective, lowerBound, isOptimal, gap, devices, assignment, workUnits };
  return { fits: true, json, text: `${lines.join("\n")}\n` };
}

/** Pipeline order is the order of the list; each kind is numbered on its own. */
function deviceNames(devices: readonly DagDevice[]): readonly string[] {
  const used = { accelerator: 0, cpu: 0 };
  return devices.map(({ kind }) => `${kind}${used[kind]++}`);
}

function doesNotFit(
  heading: string,
  common: Readonly<Record<string, unknown>>,
  found: ChainInfeasible | DagInfeasible,
  isProved: boolean,
): Part {
  const { demandBytes, capacityBytes, contributors } = found;
  const chipsNeeded = found.kind === "infeasible" && "chipsNeeded" in found ? (found.chipsNeeded ?? null) : null;
  const verdict = isProved ? "does not fit" : "no placement was found that fits";
  const lines = [
    heading,
    `${verdict}: ${demandBytes} bytes needed, ${capacityBytes} bytes there${chipsNeeded === null ? "" : `; ${chipsNeeded} chips would do`}`,
    ...table(
      ["largest", "bytes"],
      contributors.map(({ name, bytes }) => [name, `${bytes}`]),
    ),
  ];
  const largest = contributors.map(({ name, bytes }) => ({ name, bytes }));
  const json = { ...common, fits: false, isProved, demandBytes, totalBytes: capacityBytes, chipsNeeded, largest };
  return { fits: false, json, text: `${lines.join("\n")}\n` };
}

function objectiveLine(what: string, objective: number, lowerBound: number): string {
  if (objective === lowerBound) return `${what} ${objective}, lower bound ${lowerBound}: optimal`;
  if (lowerBound === 0) return `${what} ${objective}, lower bound 0`;
  const gap = ((objective / lowerBound - 1) * 100).toFixed(2);
  return `${what} ${objective}, lower bound ${lowerBound}: at most ${gap} % above the optimum`;
}

/** Columns side by side, the last one ragged. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, c) => Math.max(...all.map((cells) => cells[c]?.length ?? 0)));
  return all.map((cells) =>
    cells.map((cell, c) => (c + 1 < cells.length ? cell.padEnd(widths[c] ?? 0) : cell)).join("  "),
  );
}

/** Ascending numbers, neighbours joined: `3-7,9`. */
function ranges(ids: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < ids.length; ) {
    const first = ids[i] ?? 0;
    let last = first;
    while (ids[i + 1] === last + 1) {
      last++;
      i++;
    }
    i++;
    parts.push(first === last ? `${first}` : `${first}-${last}`);
  }
  return parts.join(",");
}
