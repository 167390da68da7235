// What the verifier says: the thirteen invariants by name, how many facts were checked for each and what was found. Data and collection only.
import type { Instruction } from "../../ir/machine/isa.ts";
import { type Program, type Unit, unitName } from "../../ir/machine/program.ts";

export const invariantNames = [
  "queue",
  "stream",
  "operand",
  "bank",
  "range",
  "lifetime",
  "weights",
  "accumulator",
  "link",
  "capacity",
  "determinism",
  "overlap",
  "completeness",
] as const;
export type InvariantName = (typeof invariantNames)[number];

/** One broken rule. Fields that do not apply are null. */
export interface Violation {
  readonly message: string;
  readonly chip: number | null;
  readonly unit: string | null;
  readonly cycle: number | null;
  /** Mnemonic and position in its queue: `read#12`. */
  readonly instruction: string | null;
  /** Graph tensor or claimed buffer. */
  readonly tensor: string | null;
  /** Source node that the instruction belongs to. */
  readonly node: string | null;
}

export interface InvariantReport {
  readonly name: InvariantName;
  /** Facts that were looked at: bursts, words, elements, symbols... */
  readonly checked: number;
  /** All violations, also those beyond the bounded list. */
  readonly violationCount: number;
  readonly violations: readonly Violation[];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly invariants: readonly InvariantReport[];
}

/** An instruction with its place in the program. */
export interface Site {
  /** Position in the list of all sites; ascending chip, queue, index. */
  readonly id: number;
  readonly chip: number;
  readonly unit: Unit;
  readonly index: number;
  readonly ins: Instruction;
}

interface Section {
  checked: number;
  count: number;
  readonly list: Violation[];
}

/** Collects violations, at most `limit` an invariant; the others are counted. */
export interface Findings {
  readonly program: Program;
  readonly limit: number;
  readonly sections: Readonly<Record<InvariantName, Section>>;
}

const emptySection = (): Section => ({ checked: 0, count: 0, list: [] });

export function newFindings(program: Program, limit: number): Findings {
  return {
    program,
    limit,
    sections: {
      queue: emptySection(),
      stream: emptySection(),
      operand: emptySection(),
      bank: emptySection(),
      range: emptySection(),
      lifetime: emptySection(),
      weights: emptySection(),
      accumulator: emptySection(),
      link: emptySection(),
      capacity: emptySection(),
      determinism: emptySection(),
      overlap: emptySection(),
      completeness: emptySection(),
    },
  };
}

export function countChecked(findings: Findings, name: InvariantName, facts = 1): void {
  findings.sections[name].checked += facts;
}

/** Records a violation that belongs to no instruction. */
export function violate(
  findings: Findings,
  name: InvariantName,
  message: string,
  where: Partial<Violation> = {},
): void {
  const section = findings.sections[name];
  section.count++;
  if (section.list.length >= findings.limit) return;
  section.list.push({
    chip: null,
    unit: null,
    cycle: null,
    instruction: null,
    tensor: null,
    node: null,
    ...where,
    message,
  });
}

/** Source node names of an instruction's note, null if it has none. */
export function nodeOf(program: Program, ins: Instruction): string | null {
  const names: string[] = [];
  for (const origin of program.debug.notes[ins.note]?.origins ?? []) {
    const name = program.debug.origins[origin]?.name;
    if (name !== undefined) names.push(name);
  }
  return names.length === 0 ? null : names.join(", ");
}

/** Records a violation of an instruction; `cycle` where it is not the first issue, `tensor` where it is not the claimed buffer. */
export function violateAt(
  findings: Findings,
  name: InvariantName,
  site: Site,
  message: string,
  where: { readonly cycle?: number; readonly tensor?: string } = {},
): void {
  const section = findings.sections[name];
  if (section.list.length >= findings.limit) {
    section.count++;
    return;
  }
  violate(findings, name, message, {
    chip: site.chip,
    unit: unitName(site.unit),
    cycle: where.cycle ?? site.ins.cycle,
    instruction: `${site.ins.op}#${site.index}`,
    tensor: where.tensor ?? findings.program.symbols[site.ins.symbol]?.name ?? null,
    node: nodeOf(findings.program, site.ins),
  });
}

export function isBroken(findings: Findings): boolean {
  return invariantNames.some((name) => findings.sections[name].count > 0);
}

export function reportOf(findings: Findings): VerifyReport {
  const invariants = invariantNames.map((name) => {
    const section = findings.sections[name];
    return { name, checked: section.checked, violationCount: section.count, violations: section.list };
  });
  return { ok: invariants.every((invariant) => invariant.violationCount === 0), invariants };
}

/** `chip 0 MXM0.L lw#3`, for messages that name a second instruction. */
export function siteName(site: Site): string {
  return `chip ${site.chip} ${unitName(site.unit)} ${site.ins.op}#${site.index}`;
}
