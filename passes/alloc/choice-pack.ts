// Offsets for buffers that have their banks: banks that share a buffer are one problem, with the banks one after another along the time axis.
import type { Assignment, ChoiceModel } from "./choice-model.ts";
import { minimisePeak } from "./minimise.ts";
import type { AllocBuffer, AllocGap } from "./problem.ts";
import { solveAlloc } from "./solve.ts";

/** What is packed at once: banks that share buffers, of those with the same buffers one, and the buffers. */
type Group = { readonly banks: readonly number[]; readonly members: readonly number[] };

export type Packed = {
  readonly offsets: readonly number[];
  readonly peak: number;
  /** No offsets for this assignment are within the capacity. */
  readonly isImpossible: boolean;
  readonly work: number;
};

function groupsOf(model: ChoiceModel, assignment: Assignment): Group[] {
  const members = model.banks.map((): number[] => []);
  const banksOf = (b: number): readonly number[] => model.choices[b]?.[assignment[b] ?? 0] ?? [];
  model.buffers.forEach((_, b) => {
    for (const bank of banksOf(b)) members[bank]?.push(b);
  });
  const seen = new Set<number>();
  return model.banks.flatMap((_, start) => {
    if (seen.has(start) || members[start]?.length === 0) return [];
    seen.add(start);
    const banks = [start];
    const found = new Set<number>();
    for (let i = 0; i < banks.length; i++) {
      for (const b of members[banks[i] ?? 0] ?? []) {
        if (found.has(b)) continue;
        found.add(b);
        for (const bank of banksOf(b)) {
          if (seen.has(bank)) continue;
          seen.add(bank);
          banks.push(bank);
        }
      }
    }
    const decisive = new Map(banks.sort((a, b) => b - a).map((bank) => [members[bank]?.join(), bank]));
    return [{ banks: [...decisive.values()], members: [...found].sort((a, b) => a - b) }];
  });
}

/** A buffer in the banks at `places` of an axis that has `period` for each bank: between them it has gaps. */
function unrolled(buffer: AllocBuffer, places: readonly number[], period: number): AllocBuffer {
  const gaps: AllocGap[] = [];
  places.forEach((place, i) => {
    const shift = place * period;
    for (const gap of buffer.gaps ?? []) gaps.push({ ...gap, lower: gap.lower + shift, upper: gap.upper + shift });
    const next = places[i + 1];
    if (next !== undefined) gaps.push({ lower: buffer.upper + shift, upper: buffer.lower + next * period });
  });
  const { id, size, alignment } = buffer;
  return {
    id,
    size,
    lower: buffer.lower + (places[0] ?? 0) * period,
    upper: buffer.upper + (places.at(-1) ?? 0) * period,
    ...(alignment === undefined ? {} : { alignment }),
    ...(gaps.length === 0 ? {} : { gaps }),
  };
}

/** Offsets within `capacity` where there is one, else the lowest that `budget` finds, for each group. */
export function packBanks(
  model: ChoiceModel,
  assignment: Assignment,
  capacity: number | undefined,
  budget: number,
): Packed {
  const offsets = new Array<number>(model.buffers.length).fill(0);
  let [peak, work, isImpossible] = [0, 0, false];
  const first = model.buffers.reduce((least, { lower }) => Math.min(least, lower), 0);
  const period = model.buffers.reduce((most, { upper }) => Math.max(most, upper - first), 1);
  for (const { banks, members } of groupsOf(model, assignment)) {
    const order = [...banks].sort((a, b) => a - b);
    const buffers = members.flatMap((b): AllocBuffer[] => {
      const buffer = model.buffers[b];
      if (buffer === undefined) return [];
      const { choices: _, apart: __, ...own } = buffer;
      if (banks.length === 1) return [own];
      const places = (model.choices[b]?.[assignment[b] ?? 0] ?? []).flatMap((bank) => {
        const place = order.indexOf(bank);
        return place < 0 ? [] : [place];
      });
      return [unrolled(own, places, period)];
    });
    const found =
      capacity === undefined
        ? minimisePeak({ buffers }, { budget })
        : solveAlloc({ buffers, capacity }, { budget: Math.max(0, budget - work) });
    members.forEach((b, i) => {
      offsets[b] = found.offsets[i] ?? 0;
    });
    peak = Math.max(peak, found.peak);
    work += 1 + found.work;
    if ("kind" in found && found.kind === "infeasible") isImpossible = true;
    if (capacity === undefined || peak <= capacity) continue;
    // What comes after is not placed any more.
    return { offsets, peak: Number.POSITIVE_INFINITY, isImpossible, work };
  }
  return { offsets, peak, isImpossible, work };
}
