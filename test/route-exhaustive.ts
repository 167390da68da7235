// The best transfer schedule of tiny problems by looking at all of them: every way of every vector, and every order in which hops are put on the links.
// Shares nothing with the solver. For cut-through, one destination a transfer, no limit on buffers and no repetition.
import type { RouteProblem } from "../passes/route/problem.ts";

type Best = { readonly lateness: number; readonly completion: number };

/** Simple paths as lists of links. */
function pathsOf({ links }: RouteProblem, source: number, end: number): readonly (readonly number[])[] {
  const found: (readonly number[])[] = [];
  const walk = (chip: number, path: readonly number[], passed: ReadonlySet<number>): void => {
    if (chip === end) {
      found.push(path);
      return;
    }
    links.forEach(({ from, to }, link) => {
      if (from === chip && !passed.has(to)) walk(to, [...path, link], new Set([...passed, to]));
    });
  };
  walk(source, [], new Set([source]));
  return found;
}

type Unit = { readonly transfer: number; readonly ready: number };

export function bestOfAll(problem: RouteProblem): Best {
  const { transfers, links, forwardCycles } = problem;
  const units = transfers.flatMap(({ vectors, earliest, readyEvery }, transfer): Unit[] =>
    Array.from({ length: vectors }, (_, i) => ({ transfer, ready: earliest + i * readyEvery })),
  );
  const choices = transfers.map(({ source, destinations }) => pathsOf(problem, source, destinations[0] ?? 0));
  let best: Best = { lateness: Number.POSITIVE_INFINITY, completion: Number.POSITIVE_INFINITY };
  const isWorse = (lateness: number, completion: number): boolean =>
    lateness > best.lateness || (lateness === best.lateness && completion >= best.completion);
  const order = (paths: readonly (readonly number[])[]): void => {
    const hops = units.map(() => 0);
    const at = units.map(({ ready }) => ready);
    const free = links.map(() => 0);
    const place = (left: number, lateness: number, completion: number): void => {
      if (isWorse(lateness, completion)) return;
      if (left === 0) {
        best = { lateness, completion };
        return;
      }
      units.forEach(({ transfer }, u) => {
        const path = paths[u] ?? [];
        const hop = hops[u] as number;
        const link = path[hop];
        if (link === undefined) return;
        const { cyclesPerVector, latency } = links[link] ?? { cyclesPerVector: 1, latency: 1 };
        const [wasAt, wasFree] = [at[u] as number, free[link] as number];
        const start = Math.max(wasAt + (hop === 0 ? 0 : forwardCycles), wasFree);
        const arrival = start + latency;
        const isLast = hop + 1 === path.length;
        const { latest } = transfers[transfer] ?? { latest: undefined };
        const late = isLast && latest !== undefined ? Math.max(0, arrival - latest) : 0;
        [hops[u], at[u], free[link]] = [hop + 1, arrival, start + cyclesPerVector];
        place(left - 1, Math.max(lateness, late), isLast ? Math.max(completion, arrival) : completion);
        [hops[u], at[u], free[link]] = [hop, wasAt, wasFree];
      });
    };
    place(
      paths.reduce((sum, path) => sum + path.length, 0),
      0,
      0,
    );
  };
  const choose = (paths: readonly (readonly number[])[]): void => {
    const unit = units[paths.length];
    if (unit === undefined) order(paths);
    else for (const path of choices[unit.transfer] ?? []) choose([...paths, path]);
  };
  choose([]);
  return best;
}
