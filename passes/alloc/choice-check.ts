// Is an answer to a problem with choices right? Looks at each bank by itself with the checker of plain allocations, and at each pair that must be
// apart; shares nothing with the solver. Reports every violation with a witness.
import { type AllocViolation, checkAllocation, printAllocViolation } from "./check.ts";
import type { ChoiceBuffer, ChoicePlace, ChoiceProblem } from "./choice-problem.ts";

export type ChoiceViolation =
  | { readonly rule: "places"; readonly buffers: number; readonly places: number }
  | { readonly rule: "choice"; readonly buffer: string; readonly banks: readonly string[] }
  | { readonly rule: "apart"; readonly buffers: readonly [string, string]; readonly bank: string }
  | { readonly rule: "bank"; readonly bank: string; readonly violation: AllocViolation };

const isChoice = ({ choices }: ChoiceBuffer, banks: readonly string[]): boolean =>
  choices.some((choice) => choice.length === banks.length && choice.every((bank) => banks.includes(bank)));

/** Every way in which `places`, in the order of the buffers, is not a solution of `problem`. */
export function checkChoices(problem: ChoiceProblem, places: readonly ChoicePlace[]): readonly ChoiceViolation[] {
  const { buffers, capacity } = problem;
  if (places.length !== buffers.length) return [{ rule: "places", buffers: buffers.length, places: places.length }];
  const violations: ChoiceViolation[] = [];
  const membersOf = new Map<string, number[]>();
  const indexOf = new Map(buffers.map(({ id }, index) => [id, index]));
  buffers.forEach((buffer, index) => {
    const banks = places[index]?.banks ?? [];
    if (!isChoice(buffer, banks)) violations.push({ rule: "choice", buffer: buffer.id, banks });
    for (const bank of new Set(banks)) membersOf.set(bank, [...(membersOf.get(bank) ?? []), index]);
  });
  const told = new Set<string>();
  buffers.forEach((buffer, index) => {
    for (const id of buffer.apart ?? []) {
      const other = indexOf.get(id) ?? index;
      const [one, two] = [Math.min(index, other), Math.max(index, other)];
      const bank = places[one]?.banks.find((own) => places[two]?.banks.includes(own));
      if (one === two || bank === undefined || told.has(`${one} ${two}`)) continue;
      told.add(`${one} ${two}`);
      violations.push({ rule: "apart", buffers: [buffers[one]?.id ?? "", buffers[two]?.id ?? ""], bank });
    }
  });
  for (const [bank, members] of membersOf) {
    const own = members.flatMap((index) => buffers[index] ?? []);
    const offsets = members.map((index) => places[index]?.offset ?? Number.NaN);
    for (const violation of checkAllocation({ buffers: own, capacity }, offsets))
      violations.push({ rule: "bank", bank, violation });
  }
  return violations;
}

/** One violation in words. */
export function printChoiceViolation(violation: ChoiceViolation): string {
  switch (violation.rule) {
    case "places":
      return `${violation.places} places for ${violation.buffers} buffers`;
    case "choice":
      return `buffer ${violation.buffer}: ${violation.banks.join("+") || "nothing"} is none of its choices`;
    case "apart":
      return `buffers ${violation.buffers.join(" and ")} must be apart and are both in bank ${violation.bank}`;
    case "bank":
      return `bank ${violation.bank}: ${printAllocViolation(violation.violation)}`;
  }
}
