// Where links between neighbouring stages differ, how much slower each border is than the quickest: more hops, fewer or longer links. Measured
// by scheduling the same transfers over each kind of border there is. Decides nothing.
import { linksBetween, shortestRoute, type Topology } from "../../ir/target/topology.ts";
import type { Copy, Transfers } from "../assemble/transfer.ts";
import type { ChainBorder } from "../partition/problem.ts";

type Measured = { readonly busyCycles: number; readonly cycles: number };

export type StageBorders = {
  /** A stage whose border with the next is the quickest. */
  readonly quickest: number;
  /** Undefined where all are alike. */
  readonly borders: readonly ChainBorder[] | undefined;
};

/** `copies` are the transfers from a stage to the next; `schedule` times them. */
export function stageBorders(
  topology: Topology,
  ways: number,
  copies: (stage: number) => readonly Copy[],
  schedule: (copies: readonly Copy[]) => Transfers,
): StageBorders {
  const stages = Math.floor(topology.chips / ways);
  const kinds = Array.from({ length: Math.max(0, stages - 1) }, (_, stage) => borderKind(topology, ways, stage));
  if (new Set(kinds).size < 2) return { quickest: 0, borders: undefined };
  const measured = new Map<string, Measured>();
  kinds.forEach((kind, stage) => {
    if (measured.has(kind)) return;
    const transfers = schedule(copies(stage));
    const busyCycles = transfers.windows.get(stage * ways)?.end ?? 0;
    measured.set(kind, { busyCycles, cycles: transfers.cycles });
  });
  let quickest = 0;
  const at = (stage: number): Measured => measured.get(kinds[stage] ?? "") ?? { busyCycles: 0, cycles: 0 };
  kinds.forEach((_, stage) => {
    if (at(stage).cycles < at(quickest).cycles) quickest = stage;
  });
  const best = at(quickest);
  const borders = kinds.map((_, stage): ChainBorder => {
    const { busyCycles, cycles } = at(stage);
    const busyFactor = best.busyCycles === 0 ? 1 : Math.max(1, busyCycles / best.busyCycles);
    return { busyFactor, extraLatencyCycles: Math.max(0, cycles - best.cycles) };
  });
  return { quickest, borders };
}

/** Equal for borders over which transfers take the same time: the links and latencies of each hop of each rank. */
function borderKind(topology: Topology, ways: number, stage: number): string {
  const routes = Array.from({ length: ways }, (_, rank) => {
    const route = shortestRoute(topology, stage * ways + rank, (stage + 1) * ways + rank);
    return route.slice(1).map((chip, hop) => {
      const links = linksBetween(topology, route[hop] ?? 0, chip);
      return links.map((index) => topology.links[index]?.latency).join(",");
    });
  });
  return routes.map((route) => route.join(">")).join(" ");
}
