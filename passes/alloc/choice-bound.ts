// What the fullest bank of a problem with choices needs at least: buffers that have only some banks to choose from share these, at every time; of
// many large buffers in few banks some must share one. Shares nothing with the search.
import { lowerBoundOf } from "./bound.ts";
import type { ChoiceModel } from "./choice-model.ts";
import type { AllocBuffer } from "./problem.ts";
import { sectionsOf } from "./sections.ts";

/** `buffers` are live together at `time` and have only `banks` to choose from. */
export type ChoiceBound = {
  readonly peak: number;
  readonly time: number;
  readonly buffers: readonly string[];
  readonly banks: readonly string[];
};

/** Sets of banks looked at, and buffers in one of them at one time for which every number of them is tried. */
const mostSets = 1_024;

/** Sets of banks that may be decisive: all choices of a buffer, and whatever is joined to them by others. */
function bankSets(model: ChoiceModel): (readonly number[])[] {
  const sets = new Map<string, readonly number[]>();
  const add = (set: readonly number[]): void => {
    const sorted = [...new Set(set)].sort((a, b) => a - b);
    if (sets.size < mostSets) sets.set(sorted.join(), sorted);
  };
  for (const choices of model.choices) add(choices.flat());
  const group = model.banks.map((_, bank) => bank);
  const find = (bank: number): number => {
    let root = bank;
    while (group[root] !== root) root = group[root] ?? 0;
    return root;
  };
  for (const choices of model.choices) {
    const [first = 0, ...rest] = choices.flat();
    for (const bank of rest) group[find(bank)] = find(first);
  }
  const joined = new Map<number, number[]>();
  model.banks.forEach((_, bank) => {
    joined.set(find(bank), [...(joined.get(find(bank)) ?? []), bank]);
  });
  for (const set of joined.values()) add(set);
  return [...sets.values()];
}

type Live = { readonly b: number; readonly height: number; readonly width: number };

/** The least that the fullest of `count` banks holds of what is live: an even share, or what pigeonholes leave together. */
function shareOf(live: readonly Live[], count: number): number {
  const total = live.reduce((sum, { height, width }) => sum + height * width, 0);
  let most = Math.ceil(total / count);
  const heights = live.flatMap(({ height, width }) => new Array<number>(width).fill(height)).sort((a, b) => b - a);
  // Of k * count + 1 heights, k + 1 are in one bank; they are at least the smallest of these.
  for (let k = 1; k * count < heights.length; k++) {
    let sum = 0;
    for (let i = k * count - k; i <= k * count; i++) sum += heights[i] ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

/** Buffers with no other banks to choose from than these. */
function confinedTo(model: ChoiceModel, banks: readonly number[]): number[] {
  const inside = new Set(banks);
  return model.choices.flatMap((choices, b) => (choices.flat().every((bank) => inside.has(bank)) ? [b] : []));
}

/** The bound of one set of banks: the fullest section, by what is live times the banks it takes. */
function boundOf(model: ChoiceModel, banks: readonly number[]): ChoiceBound {
  const confined = confinedTo(model, banks);
  const widthOf = (b: number): number =>
    (model.choices[b] ?? []).reduce((least, { length }) => Math.min(least, length), banks.length);
  const area = confined.flatMap((b): AllocBuffer[] => {
    const {
      choices: _,
      apart: __,
      ...buffer
    } = model.buffers[b] ?? { choices: [], id: "", lower: 0, upper: 0, size: 0 };
    if (banks.length === 1) return [buffer];
    const width = widthOf(b);
    const gaps = (buffer.gaps ?? []).map(({ window, ...gap }) =>
      window === undefined ? gap : { ...gap, window: { lower: window.lower * width, upper: window.upper * width } },
    );
    return [{ id: buffer.id, lower: buffer.lower, upper: buffer.upper, size: buffer.size * width, gaps }];
  });
  const names = banks.map((bank) => model.banks[bank] ?? "");
  const found = lowerBoundOf(sectionsOf(area), area);
  if (banks.length === 1) return { ...found, banks: names };
  const live = new Set(found.buffers);
  const at = confined.flatMap((b): Live[] => {
    const buffer = model.buffers[b];
    if (buffer === undefined || !live.has(buffer.id)) return [];
    const gap = (buffer.gaps ?? []).find(({ lower, upper }) => lower <= found.time && found.time < upper);
    const height = gap === undefined ? buffer.size : (gap.window?.upper ?? 0) - (gap.window?.lower ?? 0);
    return [{ b, height, width: widthOf(b) }];
  });
  return { peak: shareOf(at, banks.length), time: found.time, buffers: found.buffers, banks: names };
}

export function choiceBoundOf(model: ChoiceModel): ChoiceBound {
  let best: ChoiceBound = { peak: 0, time: 0, buffers: [], banks: [] };
  model.buffers.forEach(({ id, size, lower, choices }) => {
    if (size > best.peak) best = { peak: size, time: lower, buffers: [id], banks: choices[0] ?? [] };
  });
  for (const banks of bankSets(model)) {
    const found = boundOf(model, banks);
    if (found.peak > best.peak) best = found;
  }
  return best;
}
