// Figures of partitioning alone: seconds at the sizes that are asked for, with curves over smaller ones. Every answer is checked.
import { checkChain } from "../passes/partition/check.ts";
import { checkDag } from "../passes/partition/dag-check.ts";
import type { DagEdge, DagNode, DagProblem } from "../passes/partition/dag-problem.ts";
import { solveDag } from "../passes/partition/dag-solve.ts";
import type { ChainBorder, ChainLayer, ChainProblem } from "../passes/partition/problem.ts";
import { solveChain } from "../passes/partition/solve.ts";
import { growthFigure, numbersFrom } from "./growth.ts";
import { type Bench, BenchFailure } from "./measure.ts";

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

/** Steps of search for each operator, so that larger graphs are searched no less than smaller ones; the default at 10,000. */
const STEPS_PER_OPERATOR = 8000;

function placeDag(problem: DagProblem, budget: number): Readonly<Record<string, number>> {
  const solution = solveDag(problem, { budget });
  if (solution.kind !== "solution") throw new BenchFailure("no placement was found");
  const [violation] = checkDag(problem, solution);
  if (violation !== undefined) throw new BenchFailure(violation.message);
  const { maxLoad, lowerBound, workUnits } = solution;
  return { maxLoad, lowerBound, gapPercent: 100 * (maxLoad / lowerBound - 1), workUnits };
}

const partitionDag: Bench = {
  name: "partition-dag",
  title: "partition a DAG of 10,000 operators over 64 chips",
  limit: { rule: "at most", value: 10 },
  files: {},
  measure: () =>
    growthFigure({
      sizes: [1250, 2500, 5000, 10_000],
      run: (count) => placeDag(layeredDag(count), STEPS_PER_OPERATOR * count),
    }),
};

const degrees = [1, 2, 4, 8];

/** Layers that differ a little, on chips in nodes of eight; links between nodes are half as fast. */
function tensorParallelChain(chips: number, isUneven: boolean): ChainProblem {
  const draw = numbersFrom(11);
  const layers = Array.from({ length: Math.round((chips * 120) / 576) }, (_, i): ChainLayer => {
    const cycles = 40_000 + draw(6000);
    const costs = degrees.map((degree) => ({
      computeCycles: Math.ceil(cycles / degree),
      collectiveCycles: degree === 1 ? 0 : 1400 + 600 * degree,
      weightBytes: Math.ceil((380e6 + draw(40) * 1e6) / degree),
      stateBytes: Math.ceil(8e6 / degree),
      activationBytes: 4e6,
      receiveBusyCycles: 3000,
      sendBusyCycles: 3000,
      sendLatencyCycles: 3650,
    }));
    return { name: `layer ${i}`, boundaryBytes: 1e6, costs };
  });
  const between = { busyFactor: 2, extraLatencyCycles: 135 };
  const inside = { busyFactor: 1, extraLatencyCycles: 0 };
  const borders = Array.from({ length: chips - 1 }, (_, c): ChainBorder => ((c + 1) % 8 === 0 ? between : inside));
  return {
    layers,
    degrees,
    chips,
    capacityBytes: 230e6,
    transfer: "overlapped",
    cutAfter: [],
    pins: [],
    ...(isUneven ? { borders, chipsPerNode: 8 } : {}),
  };
}

function cutChain(problem: ChainProblem): Readonly<Record<string, number>> {
  const solution = solveChain(problem);
  if (solution.kind !== "solution") throw new BenchFailure(`${solution.chipsNeeded} chips are needed`);
  const [violation] = checkChain(problem, solution);
  if (violation !== undefined) throw new BenchFailure(violation.message);
  const { intervalCycles, latencyCycles, chipsUsed, workUnits } = solution;
  return { layers: problem.layers.length, intervalCycles, latencyCycles, chipsUsed, workUnits };
}

/** Sizes are numbers of chips; the layers grow with them. */
const chainSizes = [72, 144, 288, 576] as const;

const partitionChain: Bench = {
  name: "partition-chain",
  title: "partition 120 layers over 576 chips with tensor parallelism",
  limit: { rule: "at most", value: 5 },
  files: {},
  measure: () =>
    growthFigure({ sizes: chainSizes, repeats: 5, run: (chips) => cutChain(tensorParallelChain(chips, false)) }),
};

const partitionNodes: Bench = {
  name: "partition-chain-nodes",
  title: "the same on nodes of 8 chips with slower links between them",
  limit: { rule: "at most", value: 5 },
  files: {},
  measure: () =>
    growthFigure({ sizes: chainSizes, repeats: 3, run: (chips) => cutChain(tensorParallelChain(chips, true)) }),
};

export const partitionBenches: readonly Bench[] = [partitionDag, partitionChain, partitionNodes];
