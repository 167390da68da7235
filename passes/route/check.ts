// Independent check of a transfer schedule, vector by vector: is every slot used once, is everything there before it is sent on, does everything
// arrive, do buffers hold, are the claimed figures true? Knows the problem only, never how a schedule was found.
import type { RouteBurst, RouteProblem, RouteSolution } from "./problem.ts";

export type RouteViolationCode =
  | "burst"
  | "early"
  | "absent"
  | "slot"
  | "missing"
  | "buffer"
  | "arrival"
  | "lateness"
  | "completion"
  | "bound";

export type RouteViolation = {
  readonly code: RouteViolationCode;
  /** Index of the transfer or, for slots, of the second burst's transfer; -1 for the whole schedule. */
  readonly transfer: number;
  readonly message: string;
};

type Report = (code: RouteViolationCode, transfer: number, message: string) => void;

/** Every way in which `solution` is wrong for `problem`; empty when it is right. */
export function checkRoute(problem: RouteProblem, solution: RouteSolution): readonly RouteViolation[] {
  const found: RouteViolation[] = [];
  const report: Report = (code, transfer, message) => {
    found.push({ code, transfer, message });
  };
  const sound = solution.bursts.filter((burst) => checkBurst(problem, burst, report));
  checkSlots(problem, sound, report);
  const holds: Hold[][] = Array.from({ length: problem.chips }, () => []);
  const byTransfer = problem.transfers.map((): RouteBurst[] => []);
  for (const burst of sound) byTransfer[burst.transfer]?.push(burst);
  let [lateness, completion] = [0, 0];
  byTransfer.forEach((bursts, t) => {
    const arrival = playTransfer(problem, t, bursts, holds, report);
    const { latest } = problem.transfers[t] ?? {};
    if (latest !== undefined) lateness = Math.max(lateness, arrival - latest);
    completion = Math.max(completion, arrival);
    if (arrival !== solution.arrivals[t])
      report("arrival", t, `transfer ${t} arrives at ${arrival}, claimed is ${solution.arrivals[t]}`);
  });
  checkBuffers(problem, solution, holds, report);
  checkFigures(solution, lateness, completion, report);
  return found;
}

function checkFigures(solution: RouteSolution, lateness: number, completion: number, report: Report): void {
  const { latenessCycles, completionCycles, bounds } = solution;
  if (lateness !== latenessCycles)
    report("lateness", -1, `the worst lateness is ${lateness}, claimed is ${latenessCycles}`);
  if (completion !== completionCycles)
    report("completion", -1, `the last arrival is at ${completion}, claimed is ${completionCycles}`);
  if (completion < bounds.completionCycles || lateness < bounds.latenessCycles)
    report(
      "bound",
      -1,
      `${completion} and ${lateness} are below ${bounds.completionCycles} and ${bounds.latenessCycles}`,
    );
}

function checkBurst(problem: RouteProblem, burst: RouteBurst, report: Report): boolean {
  const { transfer, firstVector, vectors, link, start } = burst;
  const whole = [transfer, firstVector, vectors, link, start].every(Number.isSafeInteger);
  const moved = problem.transfers[transfer];
  const fits = moved !== undefined && firstVector >= 0 && vectors > 0 && firstVector + vectors <= moved.vectors;
  if (whole && fits && problem.links[link] !== undefined && start >= 0) return true;
  report("burst", transfer, `vectors ${firstVector}+${vectors} of transfer ${transfer} on link ${link} at ${start}`);
  return false;
}

/** Vectors on one link are a period apart; on a circle where the schedule is repeated. */
function checkSlots(problem: RouteProblem, bursts: readonly RouteBurst[], report: Report): void {
  const interval = problem.intervalCycles;
  const byLink = problem.links.map((): RouteBurst[] => []);
  for (const burst of bursts) byLink[burst.link]?.push(burst);
  byLink.forEach((list, link) => {
    const every = problem.links[link]?.cyclesPerVector ?? 1;
    const sends = list.flatMap(({ transfer, vectors, start }) =>
      Array.from({ length: vectors }, (_, i) => {
        const cycle = start + i * every;
        return { transfer, cycle: interval === undefined ? cycle : cycle % interval };
      }),
    );
    sends.sort((a, b) => a.cycle - b.cycle || a.transfer - b.transfer);
    sends.forEach(({ transfer, cycle }, i) => {
      const next = sends[i + 1];
      const first = sends[0];
      const wraps = next === undefined && interval !== undefined && first !== undefined;
      const until = wraps ? first.cycle + interval : next?.cycle;
      if (until !== undefined && until - cycle < every)
        report("slot", next?.transfer ?? transfer, `link ${link} is given a vector at ${cycle} and at ${until}`);
    });
  });
}

type Hold = { readonly from: number; readonly until: number };

/** What is where when; gives the last arrival, and adds to `holds` what chips keep for others. */
function playTransfer(
  problem: RouteProblem,
  t: number,
  bursts: readonly RouteBurst[],
  holds: readonly Hold[][],
  report: Report,
): number {
  const transfer = problem.transfers[t];
  if (transfer === undefined) return 0;
  const { source, destinations, vectors, earliest, readyEvery } = transfer;
  // By chip and vector: every arrival, with when the vector may be sent on and when it last was.
  const visits = new Map<number, Visit[][]>();
  const at = (chip: number, v: number): Visit[] => {
    const known = visits.get(chip) ?? Array.from({ length: vectors }, (): Visit[] => []);
    visits.set(chip, known);
    return known[v] ?? [];
  };
  for (let v = 0; v < vectors; v++) {
    const ready = earliest + v * readyEvery;
    at(source, v).push({ arrival: ready, ready, lastSent: undefined });
  }
  for (const { link: index, v, sent, last } of sendsInOrder(problem, bursts)) {
    const link = problem.links[index];
    if (link === undefined) continue;
    const { from, to, latency } = link;
    // The latest arrival that serves: none need wait longer than that in a buffer.
    const visit = at(from, v).findLast(({ ready }) => ready <= sent);
    if (visit === undefined) {
      const code = from === source ? "early" : "absent";
      report(code, t, `vector ${v} of transfer ${t} leaves chip ${from} at ${sent}, before it can`);
    } else visit.lastSent = sent;
    const whole = (problem.forwarding === "store-and-forward" ? last : sent) + latency;
    const arrivals = at(to, v);
    arrivals.push({ arrival: sent + latency, ready: whole + problem.forwardCycles, lastSent: undefined });
    arrivals.sort((a, b) => a.ready - b.ready || a.arrival - b.arrival);
  }
  for (const [chip, list] of visits) {
    if (chip === source || destinations.includes(chip)) continue;
    for (const { arrival, lastSent } of list.flat())
      if (lastSent !== undefined) holds[chip]?.push({ from: arrival, until: lastSent + 1 });
  }
  let completion = 0;
  for (const chip of destinations) {
    for (let v = 0; v < vectors; v++) {
      const first = Math.min(...at(chip, v).map(({ arrival }) => arrival));
      if (first === Number.POSITIVE_INFINITY)
        report("missing", t, `vector ${v} of transfer ${t} never arrives at chip ${chip}`);
      completion = Math.max(completion, first);
    }
  }
  return completion;
}

type Visit = { readonly arrival: number; readonly ready: number; lastSent: number | undefined };
type Send = { readonly link: number; readonly v: number; readonly sent: number; readonly last: number };

/** Every vector of the bursts by itself, `last` the sending of the last one of its burst. */
function sendsInOrder(problem: RouteProblem, bursts: readonly RouteBurst[]): readonly Send[] {
  const sends = bursts.flatMap(({ link, firstVector, vectors, start }) => {
    const every = problem.links[link]?.cyclesPerVector ?? 1;
    const last = start + (vectors - 1) * every;
    return Array.from(
      { length: vectors },
      (_, i): Send => ({ link, v: firstVector + i, sent: start + i * every, last }),
    );
  });
  return sends.sort((a, b) => a.sent - b.sent || a.v - b.v || a.link - b.link);
}

function checkBuffers(problem: RouteProblem, solution: RouteSolution, holds: readonly Hold[][], report: Report): void {
  const { intervalCycles, bufferVectors } = problem;
  holds.forEach((list, chip) => {
    const most = mostHeld(list, intervalCycles);
    const claimed = solution.bufferPeaks[chip] ?? 0;
    if (most > claimed) report("buffer", -1, `chip ${chip} holds ${most} vectors for others, claimed are ${claimed}`);
    if (bufferVectors !== undefined && Math.max(most, claimed) > bufferVectors)
      report(
        "buffer",
        -1,
        `chip ${chip} holds ${Math.max(most, claimed)} vectors for others, it has room for ${bufferVectors}`,
      );
  });
}

function mostHeld(holds: readonly Hold[], interval: number | undefined): number {
  const events: { readonly at: number; readonly change: number }[] = [];
  let always = 0;
  for (const { from, until } of holds) {
    const turns = interval === undefined ? 0 : Math.floor((until - from) / interval);
    always += turns;
    const begin = interval === undefined ? from : from % interval;
    const end = begin + (until - from) - turns * (interval ?? 0);
    if (end === begin) continue;
    events.push({ at: begin, change: 1 });
    if (interval === undefined || end <= interval) events.push({ at: end, change: -1 });
    else events.push({ at: interval, change: -1 }, { at: 0, change: 1 }, { at: end - interval, change: -1 });
  }
  events.sort((a, b) => a.at - b.at || a.change - b.change);
  let held = always;
  let most = always;
  for (const { change } of events) {
    held += change;
    most = Math.max(most, held);
  }
  return most;
}
