// The independent checker: judges a decoded program against the thirteen invariants of a legal schedule. It knows the program, its claims and
// its target; it shares nothing with the scheduler or the interpreter. A bad program gives violations, never an exception.
import { type Program, unitName } from "../../ir/machine/program.ts";
import { checkAccumulators } from "./accumulators.ts";
import { checkCapacity } from "./capacity.ts";
import { checkCertificate, latencyOf } from "./certificate.ts";
import { checkChains, checkClaimedLifetimes } from "./claims.ts";
import { checkCompleteness } from "./completeness.ts";
import { checkDataflow } from "./dataflow.ts";
import { turnOrder } from "./field.ts";
import { checkLinks } from "./links.ts";
import { checkOverlap } from "./overlap.ts";
import { checkRanges } from "./ranges.ts";
import { type Findings, isBroken, newFindings, reportOf, type Site, type VerifyReport, violate } from "./report.ts";
import { checkBanks, checkQueues, checkStreams } from "./resources.ts";
import { sitesOf } from "./sites.ts";
import { checkWeights } from "./weights.ts";
import { checkStages } from "./windows.ts";

export interface VerifyOptions {
  /** Violations listed an invariant (all are counted). */
  readonly listed?: number;
  /** Chooses the random numbers of the data-flow proof. */
  readonly seed?: number;
}

/** Bounds on the work of checking a hostile program: issues of all bursts together, and of one queue. */
const maxIssues = 2 ** 27;
const maxQueueIssues = 2 ** 22;

/** Short programs are followed with several draws of inputs: a lone index takes one of a program's ways only. */
const maxRuns = 4;
const runIssues = 2 ** 19;

function checkRuns(
  findings: Findings,
  sites: readonly Site[],
  good: readonly Site[],
  latency: number,
  seed: number,
): void {
  const issues = good.reduce((sum, { ins }) => sum + ins.count, 0);
  const runs = Math.min(maxRuns, Math.max(1, Math.floor(runIssues / Math.max(1, issues))));
  for (let run = 0; run < runs; run++) {
    // What one run has found would only be found again.
    if (run > 0 && isBroken(findings)) return;
    turnOrder(run / maxRuns);
    checkDataflow(findings, sites, good, latency, seed + run);
  }
}

/** Is there too much to follow issue by issue? Says so. */
function isTooLong(findings: Findings, sites: readonly Site[]): boolean {
  const queues = new Map<string, number>();
  let total = 0;
  for (const { chip, unit, ins } of sites) {
    const key = `${chip} ${unitName(unit)}`;
    queues.set(key, (queues.get(key) ?? 0) + ins.count);
    total += ins.count;
  }
  const longest = [...queues].find(([, issues]) => issues > maxQueueIssues);
  if (total <= maxIssues && longest === undefined) return false;
  const what = longest === undefined ? `${total} issues` : `${longest[1]} issues of unit ${longest[0]}`;
  violate(findings, "determinism", `${what} are more than can be checked`);
  return true;
}

export function verifyProgram(program: Program, options: VerifyOptions = {}): VerifyReport {
  const findings = newFindings(program, options.listed ?? 20);
  const sites = sitesOf(program);
  const good = checkRanges(findings, sites);
  checkQueues(findings, good);
  checkStreams(findings, good);
  checkBanks(findings, good);
  checkChains(findings, good);
  checkClaimedLifetimes(findings, good);
  checkCapacity(findings);
  checkCertificate(findings, good);
  checkStages(findings, good);
  const executable = checkCompleteness(findings, good);
  if (isTooLong(findings, good)) return reportOf(findings);
  const tiles = checkWeights(findings, good);
  const entries = checkAccumulators(findings, good);
  checkLinks(findings, good);
  const latency = latencyOf(program.target, good);
  checkOverlap(findings, sites, good, [...tiles, ...entries], latency);
  if (executable) checkRuns(findings, sites, good, latency, options.seed ?? 0);
  return reportOf(findings);
}
