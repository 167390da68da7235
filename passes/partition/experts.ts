// Experts of a mixture over the chips of a group: each expert on one chip, the busiest chip as little busy as may be, no chip too full.
// Exact branch and bound within a budget of steps, from a longest-first start. Which experts a token takes is not known when compiling, so a chip
// is as busy as all of its experts together.

export type Expert = { readonly computeCycles: number; readonly weightBytes: number };

export type SpreadExperts = {
  /** Chip of each expert. */
  readonly chipOf: readonly number[];
  readonly computeCycles: number;
  readonly weightBytes: number;
  readonly isOptimal: boolean;
};

const DEFAULT_BUDGET = 200_000;

/** Undefined where they do not fit, or where the budget ended before a way to fit them was found. */
export function spreadExperts(
  experts: readonly Expert[],
  chips: number,
  capacityBytes: number,
  budget = DEFAULT_BUDGET,
): SpreadExperts | undefined {
  const order = experts.map((_, i) => i);
  const cost = (i: number): Expert => experts[i] ?? { computeCycles: 0, weightBytes: 0 };
  order.sort(
    (a, b) => cost(b).computeCycles - cost(a).computeCycles || cost(b).weightBytes - cost(a).weightBytes || a - b,
  );
  const total = experts.reduce((sum, { computeCycles }) => sum + computeCycles, 0);
  const least = Math.max(total / chips, ...experts.map(({ computeCycles }) => computeCycles), 0);
  const cycles = new Float64Array(chips);
  const bytes = new Float64Array(chips);
  const chipOf = new Int32Array(experts.length);
  let best: { readonly chipOf: readonly number[]; readonly computeCycles: number } | undefined;
  let steps = 0;
  let isCut = false;
  const place = (at: number): void => {
    if (best !== undefined && best.computeCycles <= least * (1 + 1e-12)) return;
    if (at === order.length) {
      best = { chipOf: [...chipOf], computeCycles: Math.max(0, ...cycles) };
      return;
    }
    const expert = cost(order[at] ?? 0);
    const tried = new Set<string>();
    const choices = [...cycles.keys()].sort((a, b) => (cycles[a] ?? 0) - (cycles[b] ?? 0) || a - b);
    for (const chip of choices) {
      const [before, held] = [cycles[chip] ?? 0, bytes[chip] ?? 0];
      const after = before + expert.computeCycles;
      if (best !== undefined && after >= best.computeCycles) break;
      if (held + expert.weightBytes > capacityBytes) continue;
      // Chips that are equally busy and full are the same to all that follows.
      const key = `${before}/${held}`;
      if (tried.has(key)) continue;
      tried.add(key);
      if (++steps > budget) {
        isCut = true;
        return;
      }
      cycles[chip] = after;
      bytes[chip] = held + expert.weightBytes;
      chipOf[order[at] ?? 0] = chip;
      place(at + 1);
      cycles[chip] = before;
      bytes[chip] = held;
    }
  };
  place(0);
  if (best === undefined) return undefined;
  const held = new Float64Array(chips);
  best.chipOf.forEach((chip, i) => {
    held[chip] = (held[chip] ?? 0) + cost(i).weightBytes;
  });
  const isOptimal = !isCut || best.computeCycles <= least * (1 + 1e-12);
  return { ...best, weightBytes: Math.max(0, ...held), isOptimal };
}
