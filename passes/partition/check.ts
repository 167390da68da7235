// Independent check of a chain partition: is every layer placed once and in order, does every chip hold its share, are
// the claimed interval, latency and bytes true? Knows the problem only, never how a solution was found.
import type { ChainProblem, ChainSolution, ChainStage, LayerCost } from "./problem.ts";

type ChainViolationCode =
  | "coverage"
  | "degree"
  | "unsplittable"
  | "chips"
  | "node"
  | "capacity"
  | "bytes"
  | "cut"
  | "pin"
  | "load"
  | "interval"
  | "latency";

export type ChainViolation = {
  readonly code: ChainViolationCode;
  /** Index of the stage that shows it, where it is one stage. */
  readonly stage: number | undefined;
  readonly message: string;
};

/** Every way in which `solution` is wrong for `problem`; empty when it is right. */
export function checkChain(problem: ChainProblem, solution: ChainSolution): readonly ChainViolation[] {
  const found: ChainViolation[] = [];
  const report = (code: ChainViolationCode, stage: number | undefined, message: string) => {
    found.push({ code, stage, message });
  };
  checkCoverage(problem, solution, report);
  checkChips(problem, solution, report);
  checkConstraints(problem, solution, report);
  solution.stages.forEach((stage, s) => {
    checkStage(problem, stage, s, report);
  });
  checkTotals(problem, solution, report);
  return found;
}

type Report = (code: ChainViolationCode, stage: number | undefined, message: string) => void;

function checkCoverage(problem: ChainProblem, solution: ChainSolution, report: Report): void {
  const holders = problem.layers.map((): number[] => []);
  solution.stages.forEach((stage, s) => {
    if (!(stage.firstLayer < stage.endLayer)) report("coverage", s, `stage ${s} holds no layer`);
    for (let layer = stage.firstLayer; layer < stage.endLayer; layer++) {
      const list = holders[layer];
      if (list === undefined) report("coverage", s, `stage ${s} holds layer ${layer}, which does not exist`);
      else list.push(s);
    }
    const next = solution.stages[s + 1];
    if (next !== undefined && next.firstLayer < stage.firstLayer)
      report("coverage", s + 1, `stage ${s + 1} starts at layer ${next.firstLayer}, before stage ${s}`);
  });
  holders.forEach((list, layer) => {
    if (list.length !== 1) report("coverage", list[1], `layer ${layer} is in ${list.length} stages`);
  });
}

function checkChips(problem: ChainProblem, solution: ChainSolution, report: Report): void {
  let free = 0;
  let used = 0;
  solution.stages.forEach((stage, s) => {
    const end = stage.firstChip + stage.degree;
    if (stage.firstChip < free) report("chips", s, `stage ${s} starts on chip ${stage.firstChip}, which is in use`);
    const node = problem.chipsPerNode;
    if (node !== undefined && stage.degree > 1 && Math.trunc(stage.firstChip / node) < Math.trunc((end - 1) / node))
      report("node", s, `stage ${s} is on chips ${stage.firstChip} to ${end - 1}, in two nodes of ${node} chips`);
    if (end > problem.chips) report("chips", s, `stage ${s} ends on chip ${end - 1} of ${problem.chips}`);
    free = Math.max(free, end);
    used += stage.degree;
  });
  if (used !== solution.chipsUsed) report("chips", undefined, `${used} chips are used, ${solution.chipsUsed} claimed`);
}

function checkConstraints(problem: ChainProblem, solution: ChainSolution, report: Report): void {
  const holder = (layer: number) => solution.stages.findIndex((s) => s.firstLayer <= layer && layer < s.endLayer);
  for (const layer of problem.cutAfter) {
    const stage = holder(layer);
    if (layer + 1 < problem.layers.length && stage >= 0 && stage === holder(layer + 1))
      report("cut", stage, `stage ${stage} runs on after layer ${layer}, where it must be cut`);
  }
  for (const pin of problem.pins) {
    const s = holder(pin.layer);
    const stage = solution.stages[s];
    if (stage === undefined) continue;
    if (pin.chip < stage.firstChip || pin.chip >= stage.firstChip + stage.degree)
      report(
        "pin",
        s,
        `layer ${pin.layer} is pinned to chip ${pin.chip}, stage ${s} starts on chip ${stage.firstChip}`,
      );
  }
}

function checkStage(problem: ChainProblem, stage: ChainStage, s: number, report: Report): void {
  const column = stage.variant;
  if (problem.degrees[column] !== stage.degree) {
    const allowed = problem.degrees.join(", ");
    report("degree", s, `stage ${s} has degree ${stage.degree} by variant ${column}, the variants have ${allowed}`);
    return;
  }
  const costs: LayerCost[] = [];
  for (let layer = stage.firstLayer; layer < stage.endLayer; layer++) {
    const cost = problem.layers[layer]?.costs[column];
    if (cost !== undefined) costs.push(cost);
    else if (layer < problem.layers.length)
      report("unsplittable", s, `layer ${layer} in stage ${s} cannot be split ${stage.degree} ways`);
  }
  const total = { compute: 0, collective: 0, weight: 0, state: 0, activation: 0 };
  for (const cost of costs) {
    total.compute += cost.computeCycles;
    total.collective += cost.collectiveCycles;
    total.weight += cost.weightBytes;
    total.state += cost.stateBytes;
    if (cost.activationBytes > total.activation) total.activation = cost.activationBytes;
  }
  const bytes = total.weight + total.state + total.activation;
  if (bytes > problem.capacityBytes)
    report("capacity", s, `stage ${s} needs ${bytes} bytes a chip, each has ${problem.capacityBytes}`);
  if (
    stage.weightBytes !== total.weight ||
    stage.stateBytes !== total.state ||
    stage.activationBytes !== total.activation
  )
    report("bytes", s, `stage ${s} holds ${bytes} bytes a chip, its figures say otherwise`);
  const slow = (chip: number): number => problem.borders?.[chip]?.busyFactor ?? 1;
  const links = [
    total.collective,
    stage.firstLayer > 0 ? (costs[0]?.receiveBusyCycles ?? 0) * slow(stage.firstChip - 1) : 0,
    stage.endLayer < problem.layers.length
      ? (costs[costs.length - 1]?.sendBusyCycles ?? 0) * slow(stage.firstChip + stage.degree - 1)
      : 0,
  ];
  let load = total.compute;
  for (const busy of links) load = problem.transfer === "serial" ? load + busy : Math.max(load, busy);
  if (
    !same(stage.computeCycles, total.compute) ||
    !same(stage.collectiveCycles, total.collective) ||
    !same(stage.loadCycles, load)
  )
    report("load", s, `stage ${s} has load ${load}, claimed is ${stage.loadCycles}`);
}

function checkTotals(problem: ChainProblem, solution: ChainSolution, report: Report): void {
  let interval = 0;
  let latency = 0;
  for (const stage of solution.stages) {
    if (stage.loadCycles > interval) interval = stage.loadCycles;
    latency += stage.computeCycles + stage.collectiveCycles;
    if (stage.endLayer < problem.layers.length) {
      latency += problem.layers[stage.endLayer - 1]?.costs[stage.variant]?.sendLatencyCycles ?? 0;
      latency += problem.borders?.[stage.firstChip + stage.degree - 1]?.extraLatencyCycles ?? 0;
    }
  }
  if (!same(interval, solution.intervalCycles))
    report("interval", undefined, `the largest load is ${interval}, claimed is ${solution.intervalCycles}`);
  if (!same(latency, solution.latencyCycles))
    report("latency", undefined, `the latency is ${latency}, claimed is ${solution.latencyCycles}`);
}

/** Equal but for the order in which fractions were added; whole numbers must be equal. */
function same(a: number, b: number): boolean {
  if (Number.isInteger(a) && Number.isInteger(b)) return a === b;
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
}
