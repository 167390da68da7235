// Buffers that stand at one address in several banks at once: a vector of many bytes over neighbouring slices, say. Banks that share
// no buffer are problems of their own; within a problem the banks stand one after another along the time axis, and a buffer has a gap
// wherever it is not. Knows nothing of machines.
import { minimisePeak } from "./minimise.ts";
import type { AllocBuffer, AllocGap, Range } from "./problem.ts";

export type BankedBuffer = {
  readonly id: string;
  readonly size: number;
  /** The address spaces in which the buffer stands, at the same offset in all of them. */
  readonly banks: readonly string[];
  /** When it is live, ascending and apart; no time is negative. */
  readonly live: readonly Range[];
};

/** Banks that share buffers, directly or through other banks; with the buffers in them by their place in the input. */
export type BankGroup = {
  readonly banks: readonly string[];
  readonly buffers: readonly number[];
  readonly peak: number;
  /** No allocation of the group has a lower peak. */
  readonly lowerBound: number;
};

export type BankedAllocation = {
  /** In the order of the buffers. */
  readonly offsets: readonly number[];
  readonly groups: readonly BankGroup[];
};

/** Offsets in the order of the buffers; anyone's, so they are checked before they are believed. */
export type BankAllocator = (buffers: readonly BankedBuffer[]) => readonly number[];

/** Work for each problem: most are solved without any. */
const defaultBudget = 20_000;

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Buffers of each bank by their place in the input, banks by name. */
type Members = ReadonlyMap<string, readonly number[]>;

function membersOf(buffers: readonly BankedBuffer[], chosen: readonly number[]): Members {
  const found = new Map<string, number[]>();
  for (const index of chosen) {
    for (const bank of new Set(buffers[index]?.banks ?? [])) {
      const list = found.get(bank);
      if (list === undefined) found.set(bank, [index]);
      else list.push(index);
    }
  }
  return new Map([...found].sort(([a], [b]) => compareText(a, b)));
}

/** Lists of banks that share some of the chosen buffers, and those buffers. */
function groupsOf(
  buffers: readonly BankedBuffer[],
  chosen: readonly number[],
): { readonly banks: readonly string[]; readonly members: readonly number[] }[] {
  const members = membersOf(buffers, chosen);
  const seen = new Set<string>();
  return [...members.keys()].flatMap((start) => {
    if (seen.has(start)) return [];
    seen.add(start);
    const banks = [start];
    const found = new Set<number>();
    for (let i = 0; i < banks.length; i++) {
      for (const index of members.get(banks[i] ?? "") ?? []) {
        if (found.has(index)) continue;
        found.add(index);
        for (const bank of buffers[index]?.banks ?? []) {
          if (seen.has(bank)) continue;
          seen.add(bank);
          banks.push(bank);
        }
      }
    }
    return [{ banks: banks.sort(compareText), members: [...found].sort((a, b) => a - b) }];
  });
}

/** Banks whose buffers are not all in another kept one: whoever shares the others shares these. */
function decisiveBanks(members: Members): string[] {
  const order = [...members].sort(([a, x], [b, y]) => y.length - x.length || compareText(a, b));
  const kept: { readonly bank: string; readonly held: ReadonlySet<number> }[] = [];
  for (const [bank, own] of order) {
    if (kept.some(({ held }) => own.every((index) => held.has(index)))) continue;
    kept.push({ bank, held: new Set(own) });
  }
  return kept.map(({ bank }) => bank).sort(compareText);
}

/** One buffer in the banks at `places` of an axis with `period` for each bank. */
function unrolled({ id, size, live }: BankedBuffer, places: readonly number[], period: number): AllocBuffer {
  const gaps: AllocGap[] = [];
  let lower: number | undefined;
  let end = 0;
  for (const place of places) {
    for (const range of live) {
      const from = place * period + range.lower;
      if (lower === undefined) lower = from;
      else if (from > end) gaps.push({ lower: end, upper: from });
      end = Math.max(end, place * period + range.upper);
    }
  }
  return { id, lower: lower ?? 0, upper: Math.max(lower ?? 0, end), size, ...(gaps.length === 0 ? {} : { gaps }) };
}

type Placed = {
  readonly banks: readonly string[];
  /** By place in the input. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly peak: number;
  readonly lowerBound: number;
};

const latest = (buffers: readonly BankedBuffer[]): number =>
  buffers.reduce((most, { live }) => Math.max(most, live.at(-1)?.upper ?? 0), 1);

/** The lowest peak the budget finds for some buffers as one problem. */
function placeTogether(buffers: readonly BankedBuffer[], chosen: readonly number[], budget: number): Placed {
  const members = membersOf(buffers, chosen);
  const placesOf = new Map<number, number[]>(chosen.map((index) => [index, []]));
  decisiveBanks(members).forEach((bank, place) => {
    for (const index of members.get(bank) ?? []) placesOf.get(index)?.push(place);
  });
  const period = latest(buffers);
  const own = chosen.flatMap((index) => {
    const buffer = buffers[index];
    return buffer === undefined ? [] : [unrolled(buffer, placesOf.get(index) ?? [], period)];
  });
  const { offsets, peak, provedPeak } = minimisePeak({ buffers: own }, { budget });
  const placed = new Map(chosen.map((index, i) => [index, offsets[i] ?? 0]));
  return { banks: [...members.keys()], offsets: placed, peak, lowerBound: provedPeak };
}

/** The layers on top of what stands in their banks, as far as they then end at or below `limit`. */
function stack(
  buffers: readonly BankedBuffer[],
  standing: Placed["offsets"],
  layers: readonly Placed[],
  limit: number,
) {
  const tops = new Map<string, number>();
  for (const [index, offset] of standing) {
    const end = offset + (buffers[index]?.size ?? 0);
    for (const bank of buffers[index]?.banks ?? []) tops.set(bank, Math.max(tops.get(bank) ?? 0, end));
  }
  const offsets = new Map<number, number>();
  let peak = [...tops.values()].reduce((most, top) => Math.max(most, top), 0);
  for (const layer of layers) {
    const base = layer.banks.reduce((most, bank) => Math.max(most, tops.get(bank) ?? 0), 0);
    if (base + layer.peak > limit) continue;
    peak = Math.max(peak, base + layer.peak);
    for (const [index, offset] of layer.offsets) offsets.set(index, base + offset);
  }
  return { offsets, peak };
}

/**
 * What is live all the time goes below what passes: the groups of banks that share only the former are then problems of their own,
 * small ones. Where everything together gets lower, that counts, and whatever can still go by itself without raising the peak does.
 */
function placeGroup(buffers: readonly BankedBuffer[], members: readonly number[], budget: number): Placed {
  const end = latest(buffers);
  const isLasting = (index: number): boolean => {
    const [first, ...more] = buffers[index]?.live ?? [];
    return first !== undefined && more.length === 0 && first.lower <= 0 && first.upper >= end;
  };
  const lasting = members.filter(isLasting);
  const passing = members.filter((index) => !isLasting(index));
  if (lasting.length === 0 || passing.length === 0) return placeTogether(buffers, members, budget);
  const below = placeTogether(buffers, lasting, budget);
  const layers = groupsOf(buffers, passing).map((group) => placeTogether(buffers, group.members, budget));
  const layered = stack(buffers, below.offsets, layers, Number.POSITIVE_INFINITY);
  const together = placeTogether(buffers, members, budget);
  const { banks, lowerBound } = together;
  if (layered.peak <= together.peak) {
    return { banks, offsets: new Map([...below.offsets, ...layered.offsets]), peak: layered.peak, lowerBound };
  }
  const standing = new Map([...together.offsets].filter(([index]) => isLasting(index)));
  const { offsets } = stack(buffers, standing, layers, together.peak);
  return { ...together, offsets: new Map([...together.offsets, ...offsets]) };
}

/** The groups of banks under offsets from elsewhere: with the peaks these give, and no bound. */
export function groupsUnder(buffers: readonly BankedBuffer[], offsets: readonly number[]): readonly BankGroup[] {
  const all = buffers.map((_, index) => index);
  return groupsOf(buffers, all).map(({ banks, members }) => {
    const ends = members.map((index) => (offsets[index] ?? 0) + (buffers[index]?.size ?? 0));
    return { banks, buffers: members, peak: ends.reduce((most, end) => Math.max(most, end), 0), lowerBound: 0 };
  });
}

/** Offsets for buffers in many banks, each group of banks with the lowest peak the budget finds. */
export function allocateBanked(buffers: readonly BankedBuffer[], budget: number = defaultBudget): BankedAllocation {
  const offsets = buffers.map(() => 0);
  const all = buffers.map((_, index) => index);
  const groups = groupsOf(buffers, all).map(({ banks, members }): BankGroup => {
    const placed = placeGroup(buffers, members, budget);
    for (const [index, offset] of placed.offsets) offsets[index] = offset;
    return { banks, buffers: members, peak: placed.peak, lowerBound: placed.lowerBound };
  });
  return { offsets, groups };
}
