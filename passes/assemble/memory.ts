// Regions of one chip's memory: words at the same address in some slices of one bank, for some cycles. All of a chip's regions, whatever
// they hold, go through the allocation pass together; what it answers is checked before it is believed.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { allocateBanked, type BankAllocator, type BankedBuffer, groupsUnder } from "../alloc/banks.ts";
import { checkBanked, printBankViolation } from "../alloc/banks-check.ts";
import type { Range } from "../alloc/problem.ts";

export interface Region {
  readonly key: string;
  readonly hemisphere: Hemisphere;
  readonly slices: readonly number[];
  readonly bank: number;
  readonly words: number;
  /** Cycles during which it is needed, ascending and apart. */
  readonly live: readonly Range[];
  readonly isPersistent: boolean;
}

/** Banks of slices that share regions, with the words the fullest of them needs. */
export interface BankUse {
  readonly names: readonly string[];
  /** The highest number among them: program text is in the last bank of every slice. */
  readonly bank: number;
  readonly words: number;
  readonly persistentWords: number;
}

export interface AddressMap {
  /** Word address of each region inside its slices, by key. */
  readonly addresses: ReadonlyMap<string, number>;
  readonly uses: readonly BankUse[];
  /** What is wrong with the offsets of an allocator that is not ours, in words. */
  readonly faults: readonly string[];
}

const bankName = (region: Region, slice: number): string => `${region.hemisphere}${slice}/${region.bank}`;

/** Most persistent words of one bank. */
function persistentWords(regions: readonly Region[]): number {
  const sums = new Map<string, number>();
  for (const region of regions) {
    if (!region.isPersistent) continue;
    for (const slice of region.slices) {
      const name = bankName(region, slice);
      sums.set(name, (sums.get(name) ?? 0) + region.words);
    }
  }
  return [...sums.values()].reduce((most, words) => Math.max(most, words), 0);
}

/** Addresses for all regions of a chip, by our allocator or another; whether they fit is for the caller to see. */
export function mapRegions(target: Target, regions: readonly Region[], allocator?: BankAllocator): AddressMap {
  const buffers = regions.map(
    (region): BankedBuffer => ({
      id: region.key,
      size: region.words,
      banks: region.slices.map((slice) => bankName(region, slice)),
      live: region.live,
    }),
  );
  const given = allocator?.(buffers);
  const { offsets, groups } =
    given === undefined ? allocateBanked(buffers) : { offsets: given, groups: groupsUnder(buffers, given) };
  const faults = checkBanked(buffers, offsets, () => Number.MAX_SAFE_INTEGER).map(printBankViolation);
  invariant(given !== undefined || faults.length === 0, `the address map is wrong: ${faults[0]}`);
  const addresses = new Map(
    regions.map((region, i) => [region.key, region.bank * target.mem.wordsPerBank + (offsets[i] ?? 0)]),
  );
  const uses = groups.map(({ banks, buffers: members, peak }): BankUse => {
    const own = members.flatMap((index) => regions[index] ?? []);
    return { names: banks, bank: own[0]?.bank ?? 0, words: peak, persistentWords: persistentWords(own) };
  });
  return { addresses, uses, faults };
}
