// From steps of the chain solver to the problem's words: stages with their loads and bytes, or what does not fit. Must not
// know how the steps were found.
import type { ChainContributor, ChainInfeasible, ChainProblem, ChainSolution, ChainStage } from "./problem.ts";

/** Layers `[first, end)` on `degree` chips from `firstChip`. */
export type Step = {
  readonly first: number;
  readonly end: number;
  readonly variant: number;
  readonly degree: number;
  readonly firstChip: number;
};

export function describeSteps(
  problem: ChainProblem,
  steps: readonly Step[],
  isLatencyLeast: boolean,
  workUnits: number,
): ChainSolution {
  const stages = steps.map((step) => describeStage(problem, step));
  let latencyCycles = 0;
  for (const stage of stages) {
    latencyCycles += stage.computeCycles + stage.collectiveCycles;
    if (stage.endLayer === problem.layers.length) continue;
    const { extraLatencyCycles = 0 } = problem.borders?.[stage.firstChip + stage.degree - 1] ?? {};
    const cost = problem.layers[stage.endLayer - 1]?.costs[stage.variant];
    latencyCycles += (cost?.sendLatencyCycles ?? 0) + extraLatencyCycles;
  }
  return {
    kind: "solution",
    stages,
    intervalCycles: Math.max(...stages.map((stage) => stage.loadCycles)),
    latencyCycles,
    chipsUsed: stages.reduce((sum, stage) => sum + stage.degree, 0),
    isLatencyLeast,
    workUnits,
  };
}

function describeStage(problem: ChainProblem, step: Step): ChainStage {
  const { transfer, borders } = problem;
  const costs = problem.layers.slice(step.first, step.end).map((layer) => layer.costs[step.variant]);
  const sum = (field: "computeCycles" | "collectiveCycles" | "weightBytes" | "stateBytes") =>
    costs.reduce((total, cost) => total + (cost?.[field] ?? 0), 0);
  const computeCycles = sum("computeCycles");
  const collectiveCycles = sum("collectiveCycles");
  const [before, after] = [borders?.[step.firstChip - 1], borders?.[step.firstChip + step.degree - 1]];
  const incoming = step.first === 0 ? 0 : (costs[0]?.receiveBusyCycles ?? 0) * (before?.busyFactor ?? 1);
  const isLast = step.end === problem.layers.length;
  const outgoing = isLast ? 0 : (costs.at(-1)?.sendBusyCycles ?? 0) * (after?.busyFactor ?? 1);
  return {
    firstLayer: step.first,
    endLayer: step.end,
    variant: step.variant,
    degree: step.degree,
    firstChip: step.firstChip,
    computeCycles,
    collectiveCycles,
    loadCycles: stageLoad(transfer, incoming, insideLoad(transfer, computeCycles, collectiveCycles), outgoing),
    weightBytes: sum("weightBytes"),
    stateBytes: sum("stateBytes"),
    activationBytes: Math.max(...costs.map((cost) => cost?.activationBytes ?? 0)),
  };
}

export function stageLoad(
  transfer: ChainProblem["transfer"],
  incoming: number,
  inside: number,
  outgoing: number,
): number {
  return transfer === "serial" ? incoming + inside + outgoing : Math.max(incoming, inside, outgoing);
}

/** What the chips of a stage and the links between them take for a token. */
export function insideLoad(transfer: ChainProblem["transfer"], compute: number, collective: number): number {
  return transfer === "serial" ? compute + collective : Math.max(compute, collective);
}

/** `needed` is the number of chips that would do, where any number does. */
export function explainInfeasible(problem: ChainProblem, needed: number | undefined): ChainInfeasible {
  const contributors: ChainContributor[] = problem.layers.map((layer, i) => {
    const bytes = layer.costs.map((cost) =>
      cost === undefined ? Number.POSITIVE_INFINITY : cost.weightBytes + cost.stateBytes + cost.activationBytes,
    );
    return { layer: i, name: layer.name, bytes: Math.min(...bytes) };
  });
  contributors.sort((a, b) => b.bytes - a.bytes || a.layer - b.layer);
  const largest = contributors[0]?.bytes ?? 0;
  const five = contributors.slice(0, 5);
  if (largest > problem.capacityBytes) {
    const { capacityBytes } = problem;
    const common = { kind: "infeasible", reason: "layer", chipsNeeded: undefined, contributors: five } as const;
    return { ...common, demandBytes: largest, capacityBytes };
  }
  let demandBytes = 0;
  for (const layer of problem.layers) {
    const cost = layer.costs.find((c) => c !== undefined);
    const degree = problem.degrees[layer.costs.findIndex((c) => c !== undefined)] ?? 1;
    demandBytes += ((cost?.weightBytes ?? 0) + (cost?.stateBytes ?? 0)) * degree;
  }
  return {
    kind: "infeasible",
    reason: needed !== undefined && needed > problem.chips && problem.pins.length === 0 ? "chips" : "constraints",
    demandBytes,
    capacityBytes: problem.capacityBytes * problem.chips,
    chipsNeeded: needed,
    contributors: five,
  };
}
