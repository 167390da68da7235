// Independent check of a device placement: every node on one device, colours together, devices in order, memory and
// loads as claimed. Knows the problem only, never how a placement was found.
import type { DagDevice, DagProblem, DagSolution } from "./dag-problem.ts";

type DagViolationCode =
  | "assignment"
  | "devices"
  | "colour"
  | "order"
  | "cpu-only"
  | "capacity"
  | "size"
  | "load"
  | "objective"
  | "bound";

export type DagViolation = { readonly code: DagViolationCode; readonly message: string };

/** Every way in which `solution` is wrong for `problem`; empty when it is right. */
export function checkDag(problem: DagProblem, solution: DagSolution): readonly DagViolation[] {
  const found: DagViolation[] = [];
  const report = (code: DagViolationCode, message: string) => {
    found.push({ code, message });
  };
  const deviceOf = assignment(problem, solution, report);
  checkColours(problem, deviceOf, report);
  checkOrder(problem, deviceOf, report);
  solution.devices.forEach((device, d) => {
    checkDevice(problem, device, d, deviceOf, report);
  });
  let largest = 0;
  for (const device of solution.devices) if (device.load > largest) largest = device.load;
  if (!near(largest, solution.maxLoad))
    report("objective", `the largest load is ${largest}, claimed is ${solution.maxLoad}`);
  if (solution.lowerBound > solution.maxLoad && !near(solution.lowerBound, solution.maxLoad))
    report("bound", `lower bound ${solution.lowerBound} is above the objective ${solution.maxLoad}`);
  if (solution.isOptimal && !near(solution.lowerBound, solution.maxLoad))
    report("bound", `called optimal at ${solution.maxLoad} with lower bound ${solution.lowerBound}`);
  return found;
}

type Report = (code: DagViolationCode, message: string) => void;

function assignment(problem: DagProblem, solution: DagSolution, report: Report): readonly number[] {
  const deviceOf = problem.nodes.map(() => -1);
  solution.devices.forEach((device, d) => {
    for (const node of device.nodes) {
      const previous = deviceOf[node];
      if (previous === undefined) report("assignment", `device ${d} holds node ${node}, which does not exist`);
      else if (previous >= 0) report("assignment", `node ${node} is on devices ${previous} and ${d}`);
      else deviceOf[node] = d;
    }
  });
  deviceOf.forEach((d, node) => {
    if (d < 0) report("assignment", `node ${node} (${problem.nodes[node]?.name}) is on no device`);
  });
  for (const [kind, limit] of [
    ["accelerator", problem.accelerators],
    ["cpu", problem.cpus],
  ] as const) {
    const used = solution.devices.filter((device) => device.kind === kind).length;
    if (used > limit) report("devices", `${used} devices of kind ${kind} are used, there are ${limit}`);
  }
  return deviceOf;
}

function checkColours(problem: DagProblem, deviceOf: readonly number[], report: Report): void {
  const first = new Map<number, number>();
  problem.nodes.forEach((node, i) => {
    if (node.colour === undefined) return;
    const other = first.get(node.colour);
    if (other === undefined) first.set(node.colour, i);
    else if (deviceOf[other] !== deviceOf[i])
      report("colour", `nodes ${other} and ${i} have colour ${node.colour} and are on two devices`);
  });
}

function checkOrder(problem: DagProblem, deviceOf: readonly number[], report: Report): void {
  const coloursWithForward = new Set<number>();
  for (const node of problem.nodes)
    if (node.colour !== undefined && !node.isBackward) coloursWithForward.add(node.colour);
  const goesAlone = (i: number) => {
    const node = problem.nodes[i];
    return node?.isBackward === true && !(node.colour !== undefined && coloursWithForward.has(node.colour));
  };
  for (const { source, target } of problem.edges) {
    const from = deviceOf[source] ?? -1;
    const to = deviceOf[target] ?? -1;
    if (from < 0 || to < 0 || from === to) continue;
    const isForward = problem.nodes[target]?.isBackward === false;
    const isBackward = problem.nodes[source]?.isBackward === true;
    if (isForward && from > to) report("order", `edge ${source} to ${target} leads from device ${from} back to ${to}`);
    if (isBackward && from < to && (goesAlone(source) || goesAlone(target)))
      report("order", `backward edge ${source} to ${target} leads from device ${from} on to ${to}`);
  }
}

function checkDevice(
  problem: DagProblem,
  device: DagDevice,
  d: number,
  deviceOf: readonly number[],
  report: Report,
): void {
  let time = 0;
  let size = 0;
  for (const i of device.nodes) {
    const node = problem.nodes[i];
    if (node === undefined) continue;
    time += device.kind === "cpu" ? node.cpuTime : node.acceleratorTime;
    size += node.sizeBytes;
    if (node.cpuOnly && device.kind !== "cpu") report("cpu-only", `node ${i} (${node.name}) is on accelerator ${d}`);
  }
  if (device.kind === "accelerator") {
    const crossing = new Set<number>();
    for (const { source, target } of problem.edges)
      if ((deviceOf[source] === d) !== (deviceOf[target] === d)) crossing.add(source);
    for (const node of crossing) time += problem.nodes[node]?.sendTime ?? 0;
    if (size > problem.capacityBytes * (1 + 1e-12))
      report("capacity", `device ${d} holds ${size} bytes, an accelerator has ${problem.capacityBytes}`);
  }
  if (!near(size, device.sizeBytes)) report("size", `device ${d} holds ${size} bytes, claimed are ${device.sizeBytes}`);
  if (!near(time, device.load)) report("load", `device ${d} has load ${time}, claimed is ${device.load}`);
}

/** Equal but for the order in which fractions were added. */
function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-7 * Math.max(1, Math.abs(a), Math.abs(b));
}
