// The independent checker: judges a decoded program against the thirteen invariants of a legal schedule. It knows the program, its claims and
// its target; it shares nothing with the scheduler or the interpreter. A bad program gives violations, never an exception.
import type { Program } from "../../ir/machine/program.ts";
import { checkAccumulators } from "./accumulators.ts";
import { checkCapacity } from "./capacity.ts";
import { checkCertificate, latencyOf } from "./certificate.ts";
import { checkChains, checkClaimedLifetimes } from "./claims.ts";
import { checkCompleteness } from "./completeness.ts";
import { checkDataflow } from "./dataflow.ts";
import { checkLinks } from "./links.ts";
import { checkOverlap } from "./overlap.ts";
import { checkRanges } from "./ranges.ts";
import { newFindings, reportOf, type VerifyReport, violate } from "./report.ts";
import { checkBanks, checkQueues, checkStreams } from "./resources.ts";
import { sitesOf } from "./sites.ts";
import { checkWeights } from "./weights.ts";

export interface VerifyOptions {
  /** Violations listed an invariant (all are counted). */
  readonly listed?: number;
  /** Chooses the random numbers of the data-flow proof. */
  readonly seed?: number;
}

/** Issues of all bursts together that a program may have: a bound on the work of checking a hostile one. */
const maxIssues = 2 ** 28;

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
  const executable = checkCompleteness(findings, good);
  const issues = good.reduce((sum, site) => sum + site.ins.count, 0);
  if (issues > maxIssues) {
    violate(findings, "determinism", `${issues} issues are more than can be checked (${maxIssues})`);
    return reportOf(findings);
  }
  const tiles = checkWeights(findings, good);
  const entries = checkAccumulators(findings, good);
  checkLinks(findings, good);
  const latency = latencyOf(program.target, good);
  checkOverlap(findings, sites, good, [...tiles, ...entries], latency);
  if (executable) checkDataflow(findings, sites, good, latency, options.seed ?? 0);
  return reportOf(findings);
}
