// Is an allocation over many banks right? Looks at each bank by itself, with the buffers' own live ranges; shares nothing with what
// found the offsets. Reports every violation with a witness.
import type { BankedBuffer } from "./banks.ts";

export type BankViolation =
  | { readonly rule: "count"; readonly buffers: number; readonly offsets: number }
  | { readonly rule: "offset"; readonly buffer: string; readonly offset: number }
  | {
      readonly rule: "capacity";
      readonly buffer: string;
      readonly bank: string;
      readonly end: number;
      readonly capacity: number;
    }
  | {
      readonly rule: "overlap";
      readonly buffers: readonly [string, string];
      readonly bank: string;
      /** The first time at which both are live, and the first address that both have. */
      readonly time: number;
      readonly address: number;
    };

type Stay = { readonly index: number; readonly lower: number; readonly upper: number };

/** Pairs of stays in one bank that share a time and an address: a sweep over time. */
function clashes(
  bank: string,
  stays: readonly Stay[],
  buffers: readonly BankedBuffer[],
  offsets: readonly number[],
): BankViolation[] {
  const found: BankViolation[] = [];
  const told = new Set<string>();
  let live: Stay[] = [];
  for (const stay of [...stays].sort((a, b) => a.lower - b.lower || a.index - b.index)) {
    live = live.filter((other) => other.upper > stay.lower);
    const from = offsets[stay.index] ?? 0;
    const to = from + (buffers[stay.index]?.size ?? 0);
    for (const other of live) {
      const start = offsets[other.index] ?? 0;
      const stop = start + (buffers[other.index]?.size ?? 0);
      if (other.index === stay.index || Math.max(from, start) >= Math.min(to, stop)) continue;
      const [one, two] = [Math.min(stay.index, other.index), Math.max(stay.index, other.index)];
      if (told.has(`${one} ${two}`)) continue;
      told.add(`${one} ${two}`);
      found.push({
        rule: "overlap",
        buffers: [buffers[one]?.id ?? "", buffers[two]?.id ?? ""],
        bank,
        time: stay.lower,
        address: Math.max(from, start),
      });
    }
    if (stay.upper > stay.lower) live.push(stay);
  }
  return found;
}

/** Every way in which `offsets` does not place the buffers within `capacityOf` each bank. */
export function checkBanked(
  buffers: readonly BankedBuffer[],
  offsets: readonly number[],
  capacityOf: (bank: string) => number,
): readonly BankViolation[] {
  if (offsets.length !== buffers.length) return [{ rule: "count", buffers: buffers.length, offsets: offsets.length }];
  const violations: BankViolation[] = [];
  const staysOf = new Map<string, Stay[]>();
  buffers.forEach((buffer, index) => {
    const offset = offsets[index] ?? Number.NaN;
    if (!Number.isSafeInteger(offset) || offset < 0) {
      violations.push({ rule: "offset", buffer: buffer.id, offset });
      return;
    }
    for (const bank of new Set(buffer.banks)) {
      const capacity = capacityOf(bank);
      const end = offset + buffer.size;
      if (end > capacity) violations.push({ rule: "capacity", buffer: buffer.id, bank, end, capacity });
      const stays = staysOf.get(bank) ?? [];
      for (const { lower, upper } of buffer.live) stays.push({ index, lower, upper });
      staysOf.set(bank, stays);
    }
  });
  for (const [bank, stays] of staysOf) violations.push(...clashes(bank, stays, buffers, offsets));
  return violations;
}

/** One violation in words. */
export function printBankViolation(violation: BankViolation): string {
  switch (violation.rule) {
    case "count":
      return `${violation.offsets} offsets for ${violation.buffers} buffers`;
    case "offset":
      return `${violation.buffer}: offset ${violation.offset} is not an address`;
    case "capacity":
      return `${violation.buffer}: ends at ${violation.end} in bank ${violation.bank}, which has ${violation.capacity}`;
    case "overlap":
      return `${violation.buffers.join(" and ")} are both at ${violation.address} of bank ${violation.bank} in cycle ${violation.time}`;
  }
}
