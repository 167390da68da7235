// `--assert 'latency_us<=120'`: conditions on the figures of a compiled program.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import type { SramReport } from "../report/memory.ts";
import type { ProgramReport } from "../report/program-report.ts";
import { badOption, optionValues, type Session } from "./session.ts";

interface Figures extends ProgramReport {
  readonly programBytes?: number;
}

const sramUsed = ({ weightBytes, stateBytes, activationPeakBytes, programBytes }: SramReport): number =>
  weightBytes + stateBytes + activationPeakBytes + programBytes;
const most = (list: readonly number[]): number => Math.max(0, ...list);

/** What can be asserted. */
const metrics = {
  latency_cycles: (p) => p.latencyCycles,
  latency_us: (p) => p.latencySeconds * 1e6,
  latency_ms: (p) => p.latencySeconds * 1e3,
  interval_cycles: (p) => p.initiationIntervalCycles,
  interval_us: (p) => (p.initiationIntervalCycles / p.clockHz) * 1e6,
  throughput_per_second: (p) => p.throughputPerSecond,
  lower_bound_cycles: (p) => p.lowerBound.cycles,
  chips: (p) => p.chips,
  instructions: (p) => p.instructions,
  program_bytes: (p) => p.programBytes,
  sram_bytes: (p) => most(p.sram.map(sramUsed)),
  weight_bytes: (p) => p.sram.reduce((sum, chip) => sum + chip.weightBytes, 0),
  mxm_utilisation: (p) => p.utilisation.mxm,
  vxm_utilisation: (p) => p.utilisation.vxm,
  mem_utilisation: (p) => p.utilisation.mem,
  link_utilisation: (p) => p.utilisation.links,
} as const satisfies Readonly<Record<string, (figures: Figures) => number | undefined>>;

type Metric = keyof typeof metrics;
const isMetric = (name: string): name is Metric => Object.hasOwn(metrics, name);

const relations = {
  "<=": (a: number, b: number) => a <= b,
  "<": (a: number, b: number) => a < b,
  ">=": (a: number, b: number) => a >= b,
  ">": (a: number, b: number) => a > b,
  "==": (a: number, b: number) => a === b,
} as const;

type Relation = keyof typeof relations;

export interface Assertion {
  readonly text: string;
  readonly metric: Metric;
  readonly relation: Relation;
  readonly bound: number;
}

/** The assertions of a command; mistakes in them are found before anything is compiled. */
export function assertionsOf(session: Session): Result<readonly Assertion[]> {
  const problems: Diagnostic[] = [];
  const list: Assertion[] = [];
  for (const text of optionValues(session, "assert")) {
    const match = /^\s*([A-Za-z_]+)\s*(<=|>=|==|<|>)\s*(\d[\d.eE+-]*)\s*$/.exec(text);
    const [metric, bound] = [match?.[1] ?? "", Number(match?.[3])];
    if (match === null || !Number.isFinite(bound)) {
      problems.push(badOption("assert", `'${text}' does not have the form 'latency_us<=120'`));
    } else if (isMetric(metric)) list.push({ text, metric, relation: match[2] as Relation, bound });
    else problems.push(badOption("assert", `there is no figure '${metric}'`, didYouMean(metric, Object.keys(metrics))));
  }
  return problems.length === 0 ? ok(list) : { ok: false, diagnostics: problems };
}

/** What does not hold. */
export function failedAssertions(assertions: readonly Assertion[], figures: Figures): readonly Diagnostic[] {
  return assertions.flatMap(({ text, metric, relation, bound }) => {
    const value = metrics[metric](figures);
    if (value !== undefined && relations[relation](value, bound)) return [];
    return [diagnostic("LPU6004", `${text.trim()}: ${metric} is ${value === undefined ? "not known" : value}`)];
  });
}
