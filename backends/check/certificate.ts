// Invariant `determinism`: the latency certificate follows from the schedule, exactly, and nothing in the program can make a run differ.
import type { Target } from "../../ir/target/target.ts";
import { countChecked, type Findings, type Site, violate } from "./report.ts";
import { lastIssue } from "./sites.ts";

/** Cycle at which the last word is written everywhere: last issue, write latency, ripple through the superlanes. 0 if nothing is written. */
export function latencyOf(target: Target, sites: readonly Site[]): number {
  let end = 0;
  for (const { ins } of sites) {
    if (ins.op !== "write" && ins.op !== "scatter") continue;
    end = Math.max(end, lastIssue(ins) + target.mem.latency[ins.op] + target.verticalRipple);
  }
  return end;
}

export function checkCertificate(findings: Findings, sites: readonly Site[]): void {
  const { program } = findings;
  countChecked(findings, "determinism", sites.length);
  const executed = latencyOf(program.target, sites);
  if (program.latencyCycles !== executed) {
    violate(
      findings,
      "determinism",
      `the certificate says ${program.latencyCycles} cycles, the schedule takes ${executed}`,
    );
  }
  const stated = program.latencyTerms.reduce((sum, { count, cycles }) => sum + count * cycles, 0);
  if (stated !== executed) {
    violate(findings, "determinism", `the terms of the certificate add up to ${stated} cycles, not to ${executed}`);
  }
  const interval = program.initiationIntervalCycles;
  if (!Number.isSafeInteger(interval) || interval < 1) {
    violate(findings, "determinism", `an initiation interval of ${interval} cycles is no interval`);
  }
  if (program.lowerBound.cycles > executed) {
    violate(
      findings,
      "determinism",
      `the lower bound of ${program.lowerBound.cycles} cycles is above the ${executed} that the schedule takes`,
    );
  }
}
