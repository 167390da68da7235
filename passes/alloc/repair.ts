// Lowers the peak of an allocation of very many buffers. Where only a few stick out, those and the top of what lives with them
// are taken out and put back by exact search, everything else staying where it is. Leaves problems with gaps alone. Knows
// nothing of how the allocation was found.
import { continueExactly, startExactly } from "./exact.ts";
import { type Amounts, type Instance, instanceOf } from "./instance.ts";
import type { AllocBuffer } from "./problem.ts";
import { type Sections, sectionsOf } from "./sections.ts";

/** How many buffers are taken out together, at first and when that was not enough. */
const handfuls: readonly number[] = [40, 100, 200, 300];

/** More buffers taken out, or fixed around them, make the search slow. */
const takenLimit = 400;
const surroundingsLimit = 1_500;

/** Buffers that can be looked at in the time of one unit of search work. */
const looksPerWork = 1_024;

/** Work of one search for each buffer taken out. */
const searchBudget = 40;

type Layout = { readonly sections: Sections; readonly offsets: Float64Array };

const endOf = ({ sections, offsets }: Layout, b: number): number => (offsets[b] ?? 0) + (sections.size[b] ?? 0);

function overlaps({ first, last }: Sections, b: number, from: number, to: number): boolean {
  return (first[b] ?? 0) < to && (last[b] ?? 0) > from;
}

/** Who is taken out with what sticks out: those that end highest while it lives, or those that live nearest to it. */
type Choice = "highest" | "nearest";

/**
 * The buffer that sticks out and its chosen company, without those that live much longer; then whatever else sticks out while
 * any of them lives.
 */
function takeOut(layout: Layout, b: number, goal: number, count: number, choice: Choice): number[] {
  const { sections } = layout;
  const from = sections.first[b] ?? 0;
  const to = sections.last[b] ?? 0;
  const longest = 4 * (to - from) + 16;
  const together: number[] = [];
  const above: number[] = [];
  for (let other = 0; other < sections.source.length; other++) {
    const end = endOf(layout, other);
    if (end > goal) above.push(other);
    if (other === b || end > goal || !overlaps(sections, other, from, to)) continue;
    if ((sections.last[other] ?? 0) - (sections.first[other] ?? 0) <= longest) together.push(other);
  }
  const distance = (x: number): number => Math.max(from - (sections.first[x] ?? 0), (sections.last[x] ?? 0) - to);
  const rank = (x: number): number => (choice === "highest" ? -endOf(layout, x) : distance(x));
  together.sort((x, y) => rank(x) - rank(y) || x - y);
  const taken = [b, ...together.slice(0, count - 1)];
  const isTaken = new Set(taken);
  for (let i = 0; i < taken.length && taken.length <= takenLimit; i++) {
    const own = taken[i] ?? 0;
    for (const other of above) {
      if (isTaken.has(other) || !overlaps(sections, other, sections.first[own] ?? 0, sections.last[own] ?? 0)) continue;
      isTaken.add(other);
      taken.push(other);
    }
  }
  return taken;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** The lowest offset of the buffers, rounded down so that offsets above it keep everyone's alignment. */
function baseOf({ sections, offsets }: Layout, buffers: readonly number[]): number {
  let lowest = Number.POSITIVE_INFINITY;
  let step = 1;
  for (const b of buffers) {
    lowest = Math.min(lowest, offsets[b] ?? 0);
    const alignment = sections.alignment[b] ?? 1;
    step = Math.min((step / gcd(step, alignment)) * alignment, 2 ** 40);
  }
  return Math.floor(lowest / step) * step;
}

/** What stays in place above `base` while any of the taken live. */
function surroundings(layout: Layout, taken: readonly number[], base: number): number[] {
  const { sections } = layout;
  const isTaken = new Set(taken);
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const b of taken) {
    from = Math.min(from, sections.first[b] ?? 0);
    to = Math.max(to, sections.last[b] ?? 0);
  }
  const around: number[] = [];
  for (let b = 0; b < sections.source.length; b++) {
    if (endOf(layout, b) <= base || isTaken.has(b) || !overlaps(sections, b, from, to)) continue;
    if (taken.some((own) => overlaps(sections, own, sections.first[b] ?? 0, sections.last[b] ?? 0))) around.push(b);
  }
  return around;
}

/** The taken buffers free and the surroundings pinned, all lowered by `base`; ids are positions in both lists together. */
function subproblem(layout: Layout, taken: readonly number[], around: readonly number[], base: number): AllocBuffer[] {
  const { sections, offsets } = layout;
  return [...taken, ...around].map((b, index) => ({
    id: String(index),
    lower: sections.first[b] ?? 0,
    upper: sections.last[b] ?? 0,
    size: endOf(layout, b) - (index < taken.length ? (offsets[b] ?? 0) : Math.max(base, offsets[b] ?? 0)),
    alignment: index < taken.length ? (sections.alignment[b] ?? 1) : 1,
  }));
}

/** Instances of the components of a subproblem: one, because everything lives with something taken. */
function pinnedInstance(local: Sections, pins: readonly number[], capacity: number): Instance | undefined {
  const all = Int32Array.from(local.source, (_, b) => b);
  const instance = instanceOf(local, all, capacity, 1_000_000);
  if (instance === undefined) return undefined;
  const { unit, size } = instance;
  // Everything is counted in units: a pin between two of them cannot be said.
  if (pins.some((pin) => pin >= 0 && pin % unit !== 0)) return undefined;
  const scaled = Array.from(local.source, (index) => {
    const pin = pins[index] ?? -1;
    return pin < 0 ? -1 : pin / unit;
  });
  const pin: Amounts = size instanceof Int32Array ? Int32Array.from(scaled) : Float64Array.from(scaled);
  return { ...instance, pin };
}

/** Tries to bring b and its neighbours below `goal`. Returns the work spent and whether it succeeded. */
function lower(
  layout: Layout,
  b: number,
  goal: number,
  count: number,
  choice: Choice,
): { readonly done: boolean; readonly work: number } {
  const { offsets } = layout;
  const taken = takeOut(layout, b, goal, count, choice);
  let work = Math.ceil((offsets.length * 8) / looksPerWork);
  if (taken.length > takenLimit) return { done: false, work };
  const base = baseOf(layout, taken);
  const around = surroundings(layout, taken, base);
  work += Math.ceil((around.length * taken.length) / looksPerWork);
  if (around.length > surroundingsLimit) return { done: false, work };
  const buffers = subproblem(layout, taken, around, base);
  const pins = buffers.map((_, index) => {
    const own = around[index - taken.length];
    return own === undefined ? -1 : Math.max(base, offsets[own] ?? 0) - base;
  });
  const local = sectionsOf(buffers);
  const instance = pinnedInstance(local, pins, goal - base);
  if (instance === undefined) return { done: false, work };
  const answer = continueExactly(startExactly(instance), searchBudget * taken.length);
  work += answer.work + Math.ceil(instance.overlap.length / looksPerWork);
  if (answer.kind !== "solved") return { done: false, work };
  local.source.forEach((index, at) => {
    const own = taken[index];
    if (own !== undefined) offsets[own] = base + (answer.offsets[at] ?? 0);
  });
  return { done: true, work };
}

/** The highest buffer above `goal`; -1 when there is none. */
function highestAbove(layout: Layout, goal: number): number {
  let highest = -1;
  let most = goal;
  for (let b = 0; b < layout.offsets.length; b++) {
    const end = endOf(layout, b);
    if (end > most) {
      most = end;
      highest = b;
    }
  }
  return highest;
}

/** Brings everything to end at or below `goal`; changes `offsets`. False when something cannot be brought down. */
function lowerAll(layout: Layout, goal: number, at: { work: number }, budget: number): boolean {
  while (at.work < budget) {
    const b = highestAbove(layout, goal);
    at.work += Math.ceil(layout.offsets.length / looksPerWork);
    if (b < 0) return true;
    let isDone = false;
    for (const count of handfuls) {
      for (const choice of ["highest", "nearest"] as const) {
        if (isDone) break;
        const outcome = lower(layout, b, goal, count, choice);
        at.work += outcome.work;
        isDone = outcome.done;
      }
    }
    if (!isDone) return false;
  }
  return false;
}

/** Offsets whose peak is lower than before, at best `target`; absent when nothing was gained. */
export type Repair = { readonly offsets?: Float64Array; readonly work: number };

/** `budget` counts search work and, at their rate, buffers looked at. */
export function repairPeak(sections: Sections, offsets: Float64Array, target: number, budget: number): Repair {
  if (sections.hasGaps || sections.hasWindows) return { work: 0 };
  const at = { work: 0 };
  let best: Float64Array | undefined;
  let layout: Layout = { sections, offsets: offsets.slice() };
  let peak = layout.offsets.reduce((most, _, b) => Math.max(most, endOf(layout, b)), 0);
  // A part of the way at a time, then smaller steps.
  for (const part of [1, 4, 16]) {
    while (peak > target && at.work < budget) {
      const goal = peak - Math.ceil((peak - target) / part);
      if (!lowerAll(layout, goal, at, budget)) break;
      best = layout.offsets.slice();
      peak = goal;
    }
    layout = { sections, offsets: (best ?? offsets).slice() };
  }
  return best === undefined ? { work: at.work } : { offsets: best, work: at.work };
}
