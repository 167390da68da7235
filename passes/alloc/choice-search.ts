// Depth-first search for a choice of banks for every buffer: no two that must be apart share a bank, and nowhere is more live than a limit. The
// buffer with the fewest choices left goes first; of banks that nothing tells apart and that are still empty one is tried. Resumable: the caller may
// refuse an assignment and ask for the next. Knows no offsets.
import { type Assignment, addLoad, type ChoiceModel, emptyLoads, type Loads, loadWith } from "./choice-model.ts";
import { listPerWork, lookedPerWork } from "./lowest-first.ts";

/** Among the choices of a buffer, the emptiest banks first, or the fullest that still have room. */
export type ChoiceOrder = "emptiest" | "fullest";

type Node = { readonly b: number; readonly choices: readonly number[]; next: number; taken: number };

export type ChoiceSearch = {
  readonly model: ChoiceModel;
  readonly limit: number;
  readonly order: ChoiceOrder;
  readonly loads: Loads;
  /** Sizes times durations. */
  readonly weight: Float64Array;
  /** -1 while there is none. */
  readonly chosen: Int32Array;
  /** Of each buffer and choice: how many that it must be apart from stand there. */
  readonly forbidden: readonly Int32Array[];
  readonly free: Int32Array;
  readonly users: Int32Array;
  readonly nodes: Node[];
  readonly at: { work: number; fresh: boolean };
};

export function startChoices(model: ChoiceModel, limit: number, order: ChoiceOrder): ChoiceSearch {
  const weight = Float64Array.from(model.spans, (spans) => {
    let area = 0;
    for (let k = 0; k < spans.length; k += 3) area += ((spans[k + 1] ?? 0) - (spans[k] ?? 0)) * (spans[k + 2] ?? 0);
    return area;
  });
  return {
    model,
    limit,
    order,
    loads: emptyLoads(model),
    weight,
    chosen: new Int32Array(model.buffers.length).fill(-1),
    forbidden: model.choices.map((own) => new Int32Array(own.length)),
    free: Int32Array.from(model.choices, (own) => own.length),
    users: new Int32Array(model.banks.length),
    nodes: [],
    at: { work: 0, fresh: true },
  };
}

const shareBank = (a: readonly number[], b: readonly number[]): boolean => a.some((bank) => b.includes(bank));

/** Chooses for b (sign 1) or takes that back (sign -1); false when another buffer then has no choice left. */
function choose(search: ChoiceSearch, b: number, choice: number, sign: number): boolean {
  const { model, loads, chosen, forbidden, free, users } = search;
  addLoad(loads, b, choice, sign);
  chosen[b] = sign > 0 ? choice : -1;
  const banks = model.choices[b]?.[choice] ?? [];
  for (const bank of banks) users[bank] = (users[bank] ?? 0) + sign;
  let isOpen = true;
  for (const other of model.apart[b] ?? []) {
    const counts = forbidden[other] ?? new Int32Array(0);
    (model.choices[other] ?? []).forEach((own, i) => {
      if (!shareBank(own, banks)) return;
      const before = counts[i] ?? 0;
      counts[i] = before + sign;
      if (before === 0) free[other] = (free[other] ?? 0) - 1;
      else if (counts[i] === 0) free[other] = (free[other] ?? 0) + 1;
    });
    if (free[other] === 0 && (chosen[other] ?? 0) < 0) isOpen = false;
  }
  return isOpen;
}

/** The buffer with the fewest choices left, of these the heaviest; -1 when all have one. */
function mostUrgent({ chosen, free, weight, at }: ChoiceSearch): number {
  let best = -1;
  for (let b = 0; b < chosen.length; b++) {
    if ((chosen[b] ?? 0) >= 0) continue;
    const difference = best < 0 ? -1 : (free[b] ?? 0) - (free[best] ?? 0);
    if (difference < 0 || (difference === 0 && (weight[b] ?? 0) > (weight[best] ?? 0))) best = b;
  }
  at.work += 1 + Math.floor(chosen.length / listPerWork);
  return best;
}

/** Choices of b that the limit and the others leave, in the order in which they are tried. */
function openChoices(search: ChoiceSearch, b: number): number[] {
  const { model, loads, forbidden, users, limit, order } = search;
  const seen = new Set<number>();
  const open = (model.choices[b] ?? []).flatMap((banks, choice) => {
    if ((forbidden[b]?.[choice] ?? 0) > 0) return [];
    const [bank = 0] = banks;
    if (banks.length === 1 && users[bank] === 0) {
      const kind = model.kind[bank] ?? 0;
      if (seen.has(kind)) return [];
      seen.add(kind);
    }
    const load = loadWith(loads, b, choice);
    return load > limit ? [] : [{ choice, load }];
  });
  const sign = order === "emptiest" ? 1 : -1;
  return open.sort((x, y) => sign * (x.load - y.load) || x.choice - y.choice).map(({ choice }) => choice);
}

/** Tries the next choice of the node on top; pops it when there is none. */
function stepChoices(search: ChoiceSearch): void {
  const { nodes } = search;
  const node = nodes.at(-1);
  if (node === undefined) return;
  if (node.taken >= 0) choose(search, node.b, node.taken, -1);
  node.taken = node.choices[node.next++] ?? -1;
  search.at.work++;
  if (node.taken < 0) nodes.pop();
  else if (choose(search, node.b, node.taken, 1)) openNode(search);
}

/** Opens a node for the next buffer, if there is one. */
function openNode(search: ChoiceSearch): void {
  const b = mostUrgent(search);
  if (b >= 0) search.nodes.push({ b, choices: openChoices(search, b), next: 0, taken: -1 });
}

export type ChoiceStep =
  | { readonly kind: "assigned"; readonly assignment: Assignment }
  | { readonly kind: "exhausted" }
  | { readonly kind: "budget" };

/** The next assignment, within `budget` units of work, which are counted in `search.at.work`. */
export function nextChoices(search: ChoiceSearch, budget: number): ChoiceStep {
  const { nodes, chosen, loads, at } = search;
  const end = at.work + budget;
  if (at.fresh) {
    at.fresh = false;
    openNode(search);
    if (nodes.length === 0) return { kind: "assigned", assignment: [] };
  } else stepChoices(search);
  for (;;) {
    if (nodes.length === 0) return { kind: "exhausted" };
    if (chosen.every((choice) => choice >= 0)) return { kind: "assigned", assignment: [...chosen] };
    if (at.work >= end) return { kind: "budget" };
    stepChoices(search);
    at.work += Math.floor(loads.at.looked / lookedPerWork);
    loads.at.looked %= lookedPerWork;
  }
}
