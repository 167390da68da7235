// Figures of the passes alone: seconds at a large size, with the exponent of growth fitted over smaller ones, and the quality of collectives.
// Knows the problems, not how a bench is run.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { linkVectorPeriod } from "../ir/target/geometry.ts";
import { buildTopology } from "../ir/target/topology.ts";
import type { RouteProblem } from "../passes/route/problem.ts";
import { solveRoute } from "../passes/route/solve.ts";
import { runRoute } from "../src/formats/route.ts";
import { growthFigure, numbersFrom } from "./growth.ts";
import { type Bench, BenchFailure, publicData, targetNamed } from "./measure.ts";

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

export const passBenches: readonly Bench[] = [dragonfly, dragonflyMemory, allReduce, recordedCollectives];
