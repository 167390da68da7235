// Trees for the chunks of a collective in the graph of (rank, step), found by negotiation: every tree is laid as cheaply as the others let it,
// contested slots grow dearer, trees that use them are laid again, until nothing is contested. Knows nothing of how many steps and rounds are best.
import type { CollectiveProblem } from "./collective-problem.ts";

export type TreeRequest = {
  readonly problem: CollectiveProblem;
  readonly chunks: number;
  /** Rounds of each step. */
  readonly rounds: readonly number[];
  /** Hops between ranks, as `rankHops` gives them. */
  readonly hops: Float64Array;
  /** Ways in which ties are broken and ends are taken: another number, another attempt. */
  readonly variant: number;
};

/** Inner steps left; the search gives up when there are none. */
export type WorkBudget = { left: number };

/** For each step the sends as [chunk, link], or undefined if no trees were found that fit. */
export type StepSends = readonly (readonly (readonly [chunk: number, link: number])[])[];

type Outlet = { readonly link: number; readonly to: number };

type Net = {
  readonly ranks: number;
  readonly links: number;
  readonly layers: number;
  readonly outlets: readonly (readonly Outlet[])[];
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Resources a link takes a unit of: itself, then its groups. */
  readonly resources: readonly (readonly number[])[];
  readonly resourceCount: number;
  readonly capacity: Float64Array;
  readonly usage: Float64Array;
  readonly history: Float64Array;
  /** Links of a tree can take the same resource from each other. */
  readonly hasGroups: boolean;
};

type Tree = {
  readonly chunk: number;
  readonly sources: readonly number[];
  readonly ends: readonly number[];
  /** Slots `layer * links + link`, by layer. */
  slots: readonly number[];
};

const mostIterations = 60;
const firstPressure = 0.6;
const pressureGrowth = 1.5;

export function findTrees(request: TreeRequest, budget: WorkBudget): StepSends | undefined {
  const net = makeNet(request);
  const trees = makeTrees(request);
  const scratch = makeScratch(net);
  let pressure = firstPressure;
  let best = Number.POSITIVE_INFINITY;
  let sinceBest = 0;
  for (let iteration = 0; iteration < mostIterations; iteration++) {
    for (const tree of trees) {
      if (iteration > 0 && !isContested(net, tree.slots)) continue;
      if (budget.left <= 0) return undefined;
      changeUsage(net, tree.slots, -1);
      tree.slots = [];
      const slots = layTree(net, scratch, tree, pressure, request.variant, iteration, budget);
      if (slots === undefined) return undefined;
      tree.slots = slots;
      changeUsage(net, tree.slots, 1);
    }
    const excess = ageContested(net);
    if (excess === 0) return sendsOf(net, trees);
    sinceBest = excess < best ? 0 : sinceBest + 1;
    best = Math.min(best, excess);
    if (sinceBest > 24) return undefined;
    pressure = Math.min(pressure * pressureGrowth, 1e6);
  }
  return undefined;
}

function makeNet({ problem, rounds }: TreeRequest): Net {
  const { ranks, links, groups } = problem;
  const outlets: Outlet[][] = Array.from({ length: ranks }, () => []);
  links.forEach(({ from, to }, link) => {
    outlets[from]?.push({ link, to });
  });
  const resources: number[][] = links.map((_, link) => [link]);
  groups.forEach((group, g) => {
    for (const link of new Set(group.links)) resources[link]?.push(links.length + g);
  });
  const resourceCount = links.length + groups.length;
  const capacity = new Float64Array(rounds.length * resourceCount);
  rounds.forEach((count, layer) => {
    links.forEach(({ perRound }, link) => {
      capacity[layer * resourceCount + link] = count * perRound;
    });
    groups.forEach(({ perRound }, g) => {
      capacity[layer * resourceCount + links.length + g] = count * perRound;
    });
  });
  return {
    ranks,
    links: links.length,
    layers: rounds.length,
    outlets,
    from: Int32Array.from(links, ({ from }) => from),
    to: Int32Array.from(links, ({ to }) => to),
    resources,
    resourceCount,
    capacity,
    usage: new Float64Array(capacity.length),
    history: new Float64Array(capacity.length),
    hasGroups: groups.length > 0,
  };
}

/** A tree a chunk; far ends first in odd variants, near ones first in even ones. Blocks that have farthest to go are laid first. */
function makeTrees({ problem, chunks, hops, variant }: TreeRequest): Tree[] {
  const trees: (Tree & { readonly reach: number })[] = [];
  problem.blocks.forEach(({ sources, destinations }, block) => {
    const far = (to: number): number => Math.min(...sources.map((from) => hops[from * problem.ranks + to] ?? 0));
    const held = new Set(sources);
    const ends = [...new Set(destinations)].filter((rank) => !held.has(rank));
    const sign = variant % 2 === 0 ? 1 : -1;
    ends.sort((a, b) => sign * (far(a) - far(b)) || a - b);
    if (ends.length === 0) return;
    const reach = Math.max(...ends.map(far));
    for (let i = 0; i < chunks; i++) trees.push({ chunk: block * chunks + i, sources, ends, slots: [], reach });
  });
  return trees.sort((a, b) => b.reach - a.reach || a.chunk - b.chunk);
}

function changeUsage(net: Net, slots: readonly number[], by: number): void {
  for (const slot of slots) {
    const layer = Math.floor(slot / net.links);
    for (const resource of net.resources[slot % net.links] ?? []) {
      const at = layer * net.resourceCount + resource;
      net.usage[at] = (net.usage[at] ?? 0) + by;
    }
  }
}

function isContested(net: Net, slots: readonly number[]): boolean {
  return slots.some((slot) => {
    const layer = Math.floor(slot / net.links);
    return (net.resources[slot % net.links] ?? []).some((resource) => {
      const at = layer * net.resourceCount + resource;
      return (net.usage[at] ?? 0) > (net.capacity[at] ?? 0);
    });
  });
}

/** Units used beyond capacity; what is contested grows dearer. */
function ageContested(net: Net): number {
  let excess = 0;
  for (let at = 0; at < net.usage.length; at++) {
    const over = (net.usage[at] ?? 0) - (net.capacity[at] ?? 0);
    if (over <= 0) continue;
    excess += over;
    net.history[at] = (net.history[at] ?? 0) + over / Math.max(1, net.capacity[at] ?? 1);
  }
  return excess;
}

function sendsOf(net: Net, trees: readonly Tree[]): StepSends {
  const steps: (readonly [number, number])[][] = Array.from({ length: net.layers }, () => []);
  for (const tree of [...trees].sort((a, b) => a.chunk - b.chunk)) {
    for (const slot of tree.slots) steps[Math.floor(slot / net.links)]?.push([tree.chunk, slot % net.links]);
  }
  return steps;
}

type Scratch = {
  /** Cost of having the chunk at (layer, rank) at the start of the step; `layers + 1` layers. */
  readonly cost: Float64Array;
  /** Link it came by, -1 where it stayed, -2 where the tree has it. */
  readonly via: Int32Array;
  readonly changed: Uint8Array;
  readonly lists: number[][];
};

function makeScratch(net: Net): Scratch {
  const size = (net.layers + 1) * net.ranks;
  return {
    cost: new Float64Array(size),
    via: new Int32Array(size),
    changed: new Uint8Array(size),
    lists: Array.from({ length: net.layers + 1 }, () => []),
  };
}

function slotCost(net: Net, layer: number, link: number, pressure: number): number {
  let cost = 1;
  for (const resource of net.resources[link] ?? []) {
    const at = layer * net.resourceCount + resource;
    const over = (net.usage[at] ?? 0) + 1 - (net.capacity[at] ?? 0);
    cost += net.history[at] ?? 0;
    if (over > 0) cost *= 1 + pressure * over;
  }
  return cost;
}

/** A fixed fraction below 1/64 that differs from slot to slot, so that equal ways are not all the same way. */
function tieBreak(chunk: number, slot: number, variant: number, iteration: number): number {
  let mixed = Math.imul(chunk + 1, 0x9e3779b1) ^ Math.imul(slot + 1, 0x85ebca6b);
  mixed ^= Math.imul(variant * 64 + iteration + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return (((mixed ^ (mixed >>> 13)) >>> 8) & 0xffff) / 0x400000;
}

function layTree(
  net: Net,
  scratch: Scratch,
  tree: Tree,
  pressure: number,
  variant: number,
  iteration: number,
  budget: WorkBudget,
): readonly number[] | undefined {
  const { ranks, layers } = net;
  const { cost, via } = scratch;
  cost.fill(Number.POSITIVE_INFINITY);
  via.fill(-1);
  for (const rank of tree.sources) mark(scratch, ranks, 0, rank);
  // Where branches of one tree contend, more is reached by those that begin early.
  const lateness = net.hasGroups && variant < 2 ? 1 / 32 : 0;
  const price = (layer: number, link: number): number =>
    slotCost(net, layer, link, pressure) +
    layer * lateness +
    tieBreak(tree.chunk, layer * net.links + link, variant, iteration);
  spread(net, scratch, price, budget);
  const left = [...tree.ends];
  const slots: number[] = [];
  while (left.length > 0) {
    const at = variant % 2 === 1 ? 0 : cheapest(left, (rank) => cost[layers * ranks + rank] ?? 0);
    const end = left[at] as number;
    left.splice(at, 1);
    if (cost[layers * ranks + end] === Number.POSITIVE_INFINITY) {
      if (net.hasGroups) changeUsage(net, slots, -1);
      return undefined;
    }
    const before = slots.length;
    climb(net, scratch, end, slots);
    if (net.hasGroups) {
      changeUsage(net, slots.slice(before), 1);
      forgetCosts(net, scratch);
    }
    spread(net, scratch, price, budget);
  }
  if (net.hasGroups) changeUsage(net, slots, -1);
  return pruned(net, tree, slots);
}

function cheapest(ranks: readonly number[], costOf: (rank: number) => number): number {
  let best = 0;
  for (let i = 1; i < ranks.length; i++) if (costOf(ranks[i] as number) < costOf(ranks[best] as number)) best = i;
  return best;
}

/** The tree has the chunk at (layer, rank): no cost from here on. */
function mark(scratch: Scratch, ranks: number, layer: number, rank: number): void {
  const at = layer * ranks + rank;
  scratch.cost[at] = 0;
  scratch.via[at] = -2;
  if (scratch.changed[at] === 1) return;
  scratch.changed[at] = 1;
  scratch.lists[layer]?.push(rank);
}

/** Costs are worked out again from what the tree has: its own branches made some of them wrong. */
function forgetCosts({ ranks, layers }: Net, { cost, via, changed, lists }: Scratch): void {
  for (let layer = 0; layer <= layers; layer++) {
    for (let rank = 0; rank < ranks; rank++) {
      const at = layer * ranks + rank;
      if (via[at] !== -2) {
        cost[at] = Number.POSITIVE_INFINITY;
        via[at] = -1;
      } else if (changed[at] !== 1) {
        changed[at] = 1;
        lists[layer]?.push(rank);
      }
    }
  }
}

/** Carries lowered costs forward, layer by layer. */
function spread(net: Net, scratch: Scratch, price: (layer: number, link: number) => number, budget: WorkBudget): void {
  const { ranks, layers } = net;
  const { cost, via, changed, lists } = scratch;
  const lower = (layer: number, rank: number, value: number, link: number): void => {
    const at = layer * ranks + rank;
    if (value >= (cost[at] ?? 0)) return;
    cost[at] = value;
    via[at] = link;
    if (changed[at] === 1) return;
    changed[at] = 1;
    lists[layer]?.push(rank);
  };
  for (let layer = 0; layer <= layers; layer++) {
    const list = lists[layer] ?? [];
    for (const rank of list) {
      const here = cost[layer * ranks + rank] ?? 0;
      changed[layer * ranks + rank] = 0;
      if (layer === layers) continue;
      lower(layer + 1, rank, here, -1);
      const outlets = net.outlets[rank] ?? [];
      budget.left -= outlets.length + 1;
      for (const { link, to } of outlets) lower(layer + 1, to, here + price(layer, link), link);
    }
    list.length = 0;
  }
}

/** From an end back to the tree; the way becomes part of it. */
function climb(net: Net, scratch: Scratch, end: number, slots: number[]): void {
  const { ranks } = net;
  let layer = net.layers;
  let rank = end;
  while (scratch.via[layer * ranks + rank] !== -2) {
    const link = scratch.via[layer * ranks + rank] as number;
    mark(scratch, ranks, layer, rank);
    layer--;
    if (link < 0) continue;
    slots.push(layer * net.links + link);
    rank = net.from[link] as number;
  }
}

/** Each rank gets the chunk once, as early as the slots bring it, and only ranks that need it or pass it on get it. */
function pruned(net: Net, tree: Tree, slots: readonly number[]): readonly number[] {
  const byLayer = [...slots].sort((a, b) => a - b);
  const has = new Set(tree.sources);
  const kept = byLayer.filter((slot) => {
    const to = net.to[slot % net.links] as number;
    if (has.has(to)) return false;
    has.add(to);
    return true;
  });
  const wanted = new Set(tree.ends);
  const used: number[] = [];
  for (const slot of kept.reverse()) {
    if (!wanted.has(net.to[slot % net.links] as number)) continue;
    wanted.add(net.from[slot % net.links] as number);
    used.push(slot);
  }
  return used.reverse();
}
