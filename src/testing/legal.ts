// Random legal schedules, made by chance and not by the solvers: what a checker must accept, and what mutants are made from.
import fc from "fast-check";
import type { Program } from "../../ir/machine/program.ts";
import type { AllocBuffer, AllocProblem } from "../../passes/alloc/problem.ts";
import type { RouteBurst, RouteProblem, RouteSolution, RouteTransfer } from "../../passes/route/problem.ts";
import type { GraphCase } from "./graphs.ts";
import { compileCore } from "./line.ts";
import type { System } from "./systems.ts";

export interface LegalAllocation {
  readonly problem: AllocProblem;
  readonly offsets: readonly number[];
}

/** Every buffer above all that it meets, in a random order and with random room between: legal whatever gaps there are. */
function stacked(buffers: readonly AllocBuffer[], order: readonly number[], room: readonly number[]): number[] {
  const offsets = buffers.map(() => 0);
  const placed: number[] = [];
  for (const index of order) {
    const buffer = buffers[index] as AllocBuffer;
    let base = 0;
    for (const other of placed) {
      const { lower, upper, size } = buffers[other] as AllocBuffer;
      if (lower < buffer.upper && buffer.lower < upper) base = Math.max(base, (offsets[other] as number) + size);
    }
    const alignment = buffer.alignment ?? 1;
    offsets[index] = Math.ceil((base + (room[index] ?? 0)) / alignment) * alignment;
    placed.push(index);
  }
  return offsets;
}

/** Problems with a solution; the capacity is what the solution needs, and now and then more. */
export function legalAllocations(problems: fc.Arbitrary<AllocProblem>): fc.Arbitrary<LegalAllocation> {
  return problems.chain(({ buffers }) =>
    fc
      .record({
        order: fc.shuffledSubarray([...buffers.keys()], { minLength: buffers.length }),
        room: fc.array(fc.nat(3), { minLength: buffers.length, maxLength: buffers.length }),
        spare: fc.nat(4),
      })
      .map(({ order, room, spare }) => {
        const offsets = stacked(buffers, order, room);
        const peak = buffers.reduce((most, { size }, i) => Math.max(most, (offsets[i] as number) + size), 0);
        return { problem: { buffers, capacity: peak + spare }, offsets };
      }),
  );
}

export interface LegalRoute {
  readonly problem: RouteProblem;
  readonly solution: RouteSolution;
}

/** Links from the source to each chip over the fewest hops; `turn` chooses among equal ones. */
function waysFrom({ chips, links }: RouteProblem, source: number, turn: number): readonly (readonly number[])[] {
  const ways: (readonly number[] | undefined)[] = Array.from({ length: chips }, () => undefined);
  ways[source] = [];
  const queue = [source];
  for (const chip of queue) {
    const out = links.flatMap(({ from }, link) => (from === chip ? [link] : []));
    for (let i = 0; i < out.length; i++) {
      const link = out[(i + turn) % out.length] as number;
      const to = links[link]?.to ?? 0;
      if (ways[to] !== undefined) continue;
      ways[to] = [...(ways[chip] ?? []), link];
      queue.push(to);
    }
  }
  return ways.map((way) => way ?? []);
}

interface Presence {
  readonly first: number;
  readonly last: number;
}

/** Sends all of a transfer along a tree, one whole burst a link, each link when it is free and a random while later. */
function sendTransfer(
  problem: RouteProblem,
  t: number,
  free: number[],
  waits: readonly number[],
  bursts: RouteBurst[],
): number {
  const { source, destinations, vectors, earliest, readyEvery } = problem.transfers[t] as RouteTransfer;
  const there = new Map<number, Presence>();
  there.set(source, { first: earliest, last: earliest + (vectors - 1) * readyEvery });
  const ways = waysFrom(problem, source, waits[0] ?? 0);
  for (const destination of destinations) {
    for (const link of ways[destination] ?? []) {
      const { from, to, cyclesPerVector, latency } = problem.links[link] ?? {
        from: 0,
        to: 0,
        cyclesPerVector: 1,
        latency: 1,
      };
      if (there.has(to)) continue;
      const ready = (there.get(from)?.last ?? 0) + (from === source ? 0 : problem.forwardCycles);
      const start = Math.max(ready, free[link] ?? 0) + (waits[bursts.length % waits.length] ?? 0);
      free[link] = start + vectors * cyclesPerVector;
      bursts.push({ transfer: t, firstVector: 0, vectors, link, start });
      const first = start + latency;
      there.set(to, { first, last: first + (vectors - 1) * cyclesPerVector });
    }
  }
  return destinations.reduce((last, chip) => Math.max(last, there.get(chip)?.last ?? 0), 0);
}

/** Problems without repetition and with room in all buffers, with a solution. */
export function legalRoutes(problems: fc.Arbitrary<RouteProblem>): fc.Arbitrary<LegalRoute> {
  return problems.chain((drawn) => {
    const problem = { ...drawn, bufferVectors: undefined, intervalCycles: undefined };
    const { transfers, chips } = problem;
    return fc
      .record({
        order: fc.shuffledSubarray([...transfers.keys()], { minLength: transfers.length }),
        waits: fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }),
      })
      .map(({ order, waits }) => {
        const bursts: RouteBurst[] = [];
        const free: number[] = [];
        const arrivals = transfers.map(() => 0);
        for (const t of order) arrivals[t] = sendTransfer(problem, t, free, waits, bursts);
        const all = transfers.reduce((sum, { vectors }) => sum + vectors, 0);
        const solution: RouteSolution = {
          kind: "solution",
          bursts,
          arrivals,
          latenessCycles: transfers.reduce(
            (most, { latest }, t) => Math.max(most, (arrivals[t] as number) - (latest ?? Number.MAX_SAFE_INTEGER)),
            0,
          ),
          completionCycles: arrivals.reduce((most, arrival) => Math.max(most, arrival), 0),
          bufferPeaks: Array.from({ length: chips }, () => all),
          bounds: { latenessCycles: 0, completionCycles: 0, reason: "none", intervalCycles: 0 },
          workUnits: 0,
        };
        return { problem, solution };
      });
  });
}

export interface LegalProgram {
  readonly drawn: GraphCase;
  readonly system: System;
  readonly program: Program;
}

/** Machine programs, compiled from drawn graphs for drawn systems. */
export function legalPrograms(
  graphs: fc.Arbitrary<GraphCase>,
  systems: fc.Arbitrary<System>,
): fc.Arbitrary<LegalProgram> {
  return fc
    .tuple(graphs, systems)
    .map(([drawn, system]): LegalProgram | undefined => {
      const result = compileCore(drawn.graph, system);
      return result.kind === "compiled" ? { drawn, system, program: result.program } : undefined;
    })
    .filter((made): made is LegalProgram => made !== undefined);
}
