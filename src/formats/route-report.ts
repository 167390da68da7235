// What `lpuc route` says about scheduled demands: one answer for machines, one for people. Must not know how demands are read or solved.
import type { CollectiveTask, TimedCollective, UntimedCollective } from "../../passes/route/collective-timing.ts";
import type { RouteProblem, RouteSolution, Unroutable } from "../../passes/route/problem.ts";

export type RouteReport = { readonly json: Readonly<Record<string, unknown>>; readonly text: string };

/** Lines of single bursts in the text; the JSON has all. */
const mostLines = 200;

export function reportUnroutable(topology: string, problem: RouteProblem, found: Unroutable): RouteReport {
  const { transfer, reason, destination } = found;
  const why = {
    reach: "there is no way",
    interval: "the interval has no slots left",
    buffer: "no way has room in its buffers",
  } as const;
  const name = problem.transfers[transfer]?.name ?? "";
  const text = `transfer ${transfer} (${name}) cannot reach chip ${destination}: ${why[reason]}\n`;
  return { json: { format: "transfers", topology, routed: false, transfer, name, reason, destination }, text };
}

export function reportTransfers(topology: string, problem: RouteProblem, solution: RouteSolution): RouteReport {
  const { transfers, links, chips } = problem;
  const { bursts, bounds, completionCycles, latenessCycles } = solution;
  const busy = new Array<number>(links.length).fill(0);
  for (const { link, vectors } of bursts)
    busy[link] = (busy[link] ?? 0) + vectors * (links[link]?.cyclesPerVector ?? 1);
  const span = problem.intervalCycles ?? completionCycles;
  const usedBy = links.map((link, i) => ({ ...link, link: i, busyCycles: busy[i] ?? 0 }));
  const used = usedBy.filter(({ busyCycles }) => busyCycles > 0);
  const utilisation =
    span === 0 ? 0 : busy.reduce((sum, cycles) => sum + cycles, 0) / (span * Math.max(1, links.length));
  const hops = bursts.map(({ transfer, firstVector, vectors, link, start }) => ({
    transfer,
    from: links[link]?.from,
    to: links[link]?.to,
    link,
    firstVector,
    vectors,
    start,
    arrival: start + (vectors - 1) * (links[link]?.cyclesPerVector ?? 1) + (links[link]?.latency ?? 0),
  }));
  const gap = bounds.completionCycles === 0 ? 0 : completionCycles / bounds.completionCycles - 1;
  const peak = solution.bufferPeaks.reduce((most, held) => Math.max(most, held), 0);
  const json = {
    format: "transfers",
    topology,
    routed: true,
    chips,
    completionCycles,
    latenessCycles,
    lowerBound: bounds,
    gap,
    utilisation,
    bufferPeaks: solution.bufferPeaks,
    links: used.map(({ link, from, to, busyCycles }) => ({ link, from, to, busyCycles })),
    transfers: transfers.map(({ name, latest }, t) => ({
      name,
      arrival: solution.arrivals[t],
      ...(latest === undefined ? {} : { lateness: Math.max(0, (solution.arrivals[t] ?? 0) - latest) }),
    })),
    bursts: hops,
    workUnits: solution.workUnits,
  };
  const lines = [
    `${transfers.length} transfers on ${topology}: ${chips} chips, ${links.length} links`,
    `last arrival at ${completionCycles}, lower bound ${bounds.completionCycles} (${bounds.reason}): ${gapText(gap)}`,
    `lateness ${latenessCycles}, lower bound ${bounds.latenessCycles}; repeatable at best every ${bounds.intervalCycles} cycles`,
    `${used.length} links used, busy ${(utilisation * 100).toFixed(1)} % of the time of all; at most ${peak} vectors held for others`,
    ...hops.slice(0, mostLines).map((hop) => {
      const name = transfers[hop.transfer]?.name ?? "";
      return `${name}: vectors ${hop.firstVector}-${hop.firstVector + hop.vectors - 1} ${hop.from}>${hop.to} link ${hop.link} at ${hop.start}, last there at ${hop.arrival}`;
    }),
    ...(hops.length > mostLines ? [`and ${hops.length - mostLines} more bursts (in the JSON)`] : []),
  ];
  return { json, text: `${lines.join("\n")}\n` };
}

export function reportUntimed(
  topology: string,
  { kind, bufferVectors }: CollectiveTask,
  { reason, leastVectors }: UntimedCollective,
): RouteReport {
  const why = {
    reach: "some chip cannot be reached",
    buffer: `chips have room for ${bufferVectors} vectors of others; the schedule that holds least needs ${leastVectors}`,
  } as const;
  const json = { format: "timed-collective", topology, routed: false, reason };
  const text = `${kind} on ${topology}: ${why[reason]}\n`;
  return { json: reason === "buffer" ? { ...json, bufferVectors, leastVectors } : json, text };
}

export function reportCollective(topology: string, task: CollectiveTask, timed: TimedCollective): RouteReport {
  const { kind, chips, links, vectors } = task;
  const { completionCycles, boundCycles, schedule, bounds, additions, busyCycles } = timed;
  const gap = boundCycles === 0 ? 0 : completionCycles / boundCycles - 1;
  const utilisation = completionCycles === 0 ? 0 : busyCycles / (completionCycles * Math.max(1, links.length));
  const sends = timed.sends.map(({ chunk, link, start, vectors: count, isAdded }) => ({
    chunk,
    from: links[link]?.from,
    to: links[link]?.to,
    link,
    start,
    vectors: count,
    isAdded,
  }));
  const { numerator, denominator } = bounds.roundsPerChunk;
  const peak = timed.bufferPeaks.reduce((most, held) => Math.max(most, held), 0);
  const json = {
    format: "timed-collective",
    topology,
    routed: true,
    collective: kind,
    chips,
    vectors,
    chunks: schedule.chunks,
    blocks: timed.problem.blocks.length,
    steps: schedule.steps.length,
    completionCycles,
    lowerBound: {
      cycles: boundCycles,
      steps: bounds.steps,
      roundsPerChunk: numerator / denominator,
      reason: bounds.reason,
    },
    gap,
    additions,
    utilisation,
    bufferPeaks: timed.bufferPeaks,
    sends,
    sums: timed.sums,
    workUnits: timed.workUnits,
  };
  const lines = [
    `${kind} of ${vectors} vectors on ${topology}: ${chips} chips, ${links.length} links`,
    `${timed.problem.blocks.length} blocks in ${schedule.chunks} chunks each, ${schedule.steps.length} steps, ${additions} vector additions`,
    `over at cycle ${completionCycles}, lower bound ${boundCycles}: ${gapText(gap)}; links are busy ${(utilisation * 100).toFixed(1)} %; at most ${peak} vectors held for others`,
    ...sends
      .slice(0, mostLines)
      .map(
        (send) =>
          `chunk ${send.chunk} ${send.from}>${send.to} link ${send.link} at ${send.start}, ${send.vectors} vectors${send.isAdded ? ", added" : ""}`,
      ),
    ...(sends.length > mostLines ? [`and ${sends.length - mostLines} more sends (in the JSON)`] : []),
  ];
  return { json, text: `${lines.join("\n")}\n` };
}

function gapText(gap: number): string {
  return gap === 0 ? "optimal" : `at most ${(gap * 100).toFixed(2)} % above the optimum`;
}
