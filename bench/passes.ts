// Figures of the passes alone: seconds at a large size, with the exponent of growth fitted over smaller ones, and the quality of collectives.
// Knows the problems, not how a bench is run.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { linkVectorPeriod } from "../ir/target/geometry.ts";
import { buildTopology } from "../ir/target/topology.ts";
import type { DagEdge, DagNode, DagProblem } from "../passes/partition/dag-problem.ts";
import { solveDag } from "../passes/partition/dag-solve.ts";
import type { ChainLayer, ChainProblem } from "../passes/partition/problem.ts";
import { solveChain } from "../passes/partition/solve.ts";
import type { RouteProblem } from "../passes/route/problem.ts";
import { solveRoute } from "../passes/route/solve.ts";
import { runRoute } from "../src/formats/route.ts";
import { type Bench, BenchFailure, type Figure, publicData, targetNamed, timed } from "./measure.ts";

/** The same numbers each time. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

type Growth = { readonly sizes: readonly number[]; readonly run: (size: number) => Readonly<Record<string, number>> };

/** Seconds of the largest size; in the details those of the others and the exponent of the growth between the smallest and the largest. */
function growthFigure({ sizes, run }: Growth): Figure {
  const points = sizes.map((size) => {
    const before = process.cpuUsage();
    const { value, seconds } = timed(() => run(size));
    const { user, system } = process.cpuUsage(before);
    return { size, value, seconds, processorSeconds: (user + system) / 1e6 };
  });
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) throw new BenchFailure("there are no sizes");
  const exponent =
    Math.log(last.processorSeconds / first.processorSeconds) / Math.log(Math.max(2, last.size / first.size));
  const details: Record<string, number> = {
    size: last.size,
    processorSeconds: last.processorSeconds,
    exponent,
    ...last.value,
  };
  for (const { size, seconds } of points) details[`secondsAt${size}`] = seconds;
  return { value: last.seconds, unit: "s", details };
}

/** Random pairs of a system of 72 nodes of 8 chips, one link between any two nodes. */
function dragonflyTransfers(count: number): RouteProblem {
  const target = targetNamed("groqchip1");
  const spec = {
    kind: "dragonfly",
    chipsPerNode: 8,
    nodesPerRack: 72,
    linksPerPair: 1,
    globalPortsPerChip: 9,
  } as const;
  const chips = 576;
  const built = buildTopology(spec, target.link, chips);
  if (!built.ok) throw new BenchFailure(built.diagnostics.map(({ message }) => message).join("; "));
  const cyclesPerVector = linkVectorPeriod(target);
  const links = built.value.links.map(({ from, to, latency }) => ({ from, to, cyclesPerVector, latency }));
  const draw = numbersFrom(1);
  const transfers = Array.from({ length: count }, (_, i) => {
    const source = draw(chips);
    const destination = (source + 1 + draw(chips - 1)) % chips;
    const vectors = 1 + draw(31);
    const earliest = draw(Math.ceil(count / 4));
    return { name: `t${i}`, source, destinations: [destination], vectors, earliest, readyEvery: 0, latest: undefined };
  });
  return {
    chips,
    links,
    transfers,
    forwarding: "cut-through",
    forwardCycles: 24,
    bufferVectors: undefined,
    intervalCycles: undefined,
  };
}

/** `budget`: 1 gives the first schedule, so that all sizes do the same work for a transfer. */
function routeTransfers(count: number, budget?: number): Readonly<Record<string, number>> {
  const solution = solveRoute(dragonflyTransfers(count), budget === undefined ? {} : { budget });
  if (solution.kind !== "solution") throw new BenchFailure(`transfer ${solution.transfer}: ${solution.reason}`);
  const { completionCycles, bounds, bursts, workUnits } = solution;
  return { completionCycles, boundCycles: bounds.completionCycles, bursts: bursts.length, workUnits };
}

const dragonfly: Bench = {
  name: "route-dragonfly",
  title: "100,000 transfers on a dragonfly of 576 chips",
  limit: { rule: "at most", value: 30 },
  files: {},
  measure: () => growthFigure({ sizes: [12_500, 25_000, 50_000, 100_000], run: (count) => routeTransfers(count, 1) }),
};

const dragonflyMemory: Bench = {
  name: "route-dragonfly-memory",
  title: "peak memory of 100,000 transfers on a dragonfly of 576 chips",
  limit: { rule: "at most", value: 2 },
  files: {},
  measure: () => {
    const details = routeTransfers(100_000);
    return { value: process.resourceUsage().maxRSS / 1e6, unit: "GB", details };
  },
};

const allReduce: Bench = {
  name: "route-all-reduce",
  title: "all-reduce of one 320-byte vector over 8 chips, all-to-all, groqchip1",
  limit: { rule: "at most", value: 2.1 },
  files: {},
  measure: () => {
    const demands = {
      target: "groqchip1",
      topology: { kind: "all-to-all", chips: 8, linksPerPair: 1 },
      collective: { kind: "all-reduce", vectors: 1 },
    };
    const answer = runRoute(JSON.stringify(demands), { findTarget: targetNamed });
    if (!answer.ok) throw new BenchFailure(answer.faults.map(({ path, message }) => `${path}: ${message}`).join("; "));
    const cycles = Number(answer.json.completionCycles);
    return { value: (cycles / targetNamed("groqchip1").clockHz) * 1e6, unit: "us", details: { cycles } };
  },
};

type Recorded = {
  readonly pareto: readonly { readonly chunks: number; readonly steps: number; readonly rounds: number }[];
};

const recordedCollectives: Bench = {
  name: "route-collectives",
  title: "recorded points of collectives that are reached or beaten",
  limit: { rule: "at least", value: 100 },
  files: {},
  measure: () => {
    const folder = publicData("route");
    if (folder === undefined) return { skipped: "no ../shared/data/route" };
    let [points, reached, better] = [0, 0, 0];
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith(".json")) continue;
      const text = readFileSync(join(folder, file), "utf8");
      const { pareto }: Recorded = JSON.parse(text);
      for (const { chunks, steps, rounds } of pareto) {
        const answer = runRoute(text, { chunks, steps, objective: "bandwidth" });
        if (!answer.ok) throw new BenchFailure(`${file} cannot be read`);
        const [ownSteps, ownRounds] = [Number(answer.json.steps), Number(answer.json.rounds)];
        points++;
        if (ownSteps <= steps && ownRounds <= rounds) reached++;
        if (ownSteps <= steps && ownRounds < rounds) better++;
      }
    }
    return { value: (reached / points) * 100, unit: "%", details: { points, reached, better } };
  },
};

/** Layers of a few parallel branches, each reading from one or two before. */
function layeredDag(count: number): DagProblem {
  const draw = numbersFrom(7);
  const edges: DagEdge[] = [];
  const nodes = Array.from({ length: count }, (_, i): DagNode => {
    for (let input = 0; input < 1 + draw(2) && i > 0; input++)
      edges.push({ source: Math.max(0, i - 1 - draw(6)), target: i });
    return {
      name: `n${i}`,
      acceleratorTime: 1 + draw(100),
      cpuTime: 1e6,
      cpuOnly: false,
      sizeBytes: 1 + draw(1000),
      sendTime: draw(10),
      colour: undefined,
      isBackward: false,
    };
  });
  const unique = new Map(edges.map((edge) => [`${edge.source}>${edge.target}`, edge]));
  const bytes = nodes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    nodes,
    edges: [...unique.values()],
    accelerators: 64,
    cpus: 0,
    capacityBytes: Math.ceil((bytes / 64) * 1.5),
  };
}

const partitionDag: Bench = {
  name: "partition-dag",
  title: "partition a DAG of 10,000 operators over 64 chips",
  limit: { rule: "at most", value: 10 },
  files: {},
  measure: () =>
    growthFigure({
      sizes: [2500, 5000, 10_000],
      run: (count) => {
        const solution = solveDag(layeredDag(count));
        if (solution.kind !== "solution") throw new BenchFailure("no placement was found");
        return {
          maxLoad: solution.maxLoad,
          lowerBound: solution.lowerBound,
          gap: solution.maxLoad / solution.lowerBound - 1,
        };
      },
    }),
};

function tensorParallelChain(chips: number): ChainProblem {
  const degrees = [1, 2, 4, 8];
  const layers = Array.from({ length: 120 }, (_, i): ChainLayer => {
    const cycles = 40_000 + (i % 7) * 900;
    const costs = degrees.map((degree) => ({
      computeCycles: Math.ceil(cycles / degree),
      collectiveCycles: degree === 1 ? 0 : 700 + 300 * degree,
      weightBytes: Math.ceil(400e6 / degree),
      stateBytes: Math.ceil(8e6 / degree),
      activationBytes: 4e6,
      receiveBusyCycles: 3000,
      sendBusyCycles: 3000,
      sendLatencyCycles: 3650,
    }));
    return { name: `layer ${i}`, boundaryBytes: 1e6, costs };
  });
  return { layers, degrees, chips, capacityBytes: 230e6, transfer: "overlapped", cutAfter: [], pins: [] };
}

const partitionChain: Bench = {
  name: "partition-chain",
  title: "partition 120 layers over 576 chips with tensor parallelism",
  limit: { rule: "at most", value: 5 },
  files: {},
  measure: () =>
    growthFigure({
      sizes: [288, 576],
      run: (chips) => {
        const solution = solveChain(tensorParallelChain(chips));
        if (solution.kind !== "solution") throw new BenchFailure(`${solution.chipsNeeded} chips are needed`);
        return {
          intervalCycles: solution.intervalCycles,
          latencyCycles: solution.latencyCycles,
          chips: solution.chipsUsed,
        };
      },
    }),
};

export const passBenches: readonly Bench[] = [
  dragonfly,
  dragonflyMemory,
  allReduce,
  recordedCollectives,
  partitionDag,
  partitionChain,
];
