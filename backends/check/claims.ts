// Two rules on what a program claims: memory accesses stay within the claimed live interval of their buffer (invariant `lifetime`), and chains
// of ALUs are no deeper than the target allows (invariant `range`).
import { type Burst, firstCommon, lastOf } from "./bursts.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { aluLatency, burstOf, lastIssue } from "./sites.ts";

export function checkClaimedLifetimes(findings: Findings, sites: readonly Site[]): void {
  for (const site of sites) {
    const { ins } = site;
    const symbol = findings.program.symbols[ins.symbol];
    if (symbol === undefined) continue;
    countChecked(findings, "lifetime");
    const last = lastIssue(ins);
    if (ins.cycle < symbol.from || last >= symbol.until) {
      const claimed = `[${symbol.from}, ${symbol.until})`;
      const cycle = ins.cycle < symbol.from ? ins.cycle : last;
      violateAt(
        findings,
        "lifetime",
        site,
        `touches ${symbol.name} at cycle ${cycle}, outside its claimed life ${claimed}`,
        { cycle },
      );
    }
    const writes = ins.op === "write" || ins.op === "scatter";
    if (writes && (symbol.role === "weight" || symbol.role === "constant" || symbol.role === "text")) {
      violateAt(findings, "lifetime", site, `overwrites ${symbol.name}, which is ${symbol.role} and lives for ever`);
    }
  }
}

interface Producer extends Burst {
  readonly site: Site;
  readonly depth: number;
}

/** Bursts of one ALU, ascending by first result; `reach[i]` is the latest result of the first i + 1. */
interface Line {
  readonly producers: Producer[];
  readonly reach: number[];
}

function producersAt(line: Line, wanted: Burst): readonly Producer[] {
  const { producers, reach } = line;
  let low = 0;
  let high = producers.length;
  const end = lastOf(wanted);
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((producers[middle]?.start ?? 0) <= end) low = middle + 1;
    else high = middle;
  }
  const found: Producer[] = [];
  for (let i = low - 1; i >= 0 && (reach[i] ?? 0) >= wanted.start; i--) {
    const producer = producers[i];
    if (producer !== undefined && firstCommon(producer, wanted) !== undefined) found.push(producer);
  }
  return found;
}

/** An ALU result counts one more than the deepest ALU result it takes. */
export function checkChains(findings: Findings, sites: readonly Site[]): void {
  const { target } = findings.program;
  const lines = new Map<string, Line>();
  const alus = sites.filter((site) => site.ins.op === "alu");
  // A producer issues before its consumer, so one pass in issue order sees producers first.
  for (const site of [...alus].sort((a, b) => a.ins.cycle - b.ins.cycle || a.id - b.id)) {
    const { ins, unit, chip } = site;
    if (ins.op !== "alu" || unit.kind !== "vxmAlu") continue;
    let depth = 1;
    let before: Site | undefined;
    for (const operand of [ins.a, ins.b, ins.c]) {
      if (operand.kind !== "alu") continue;
      const line = lines.get(`${chip} ${operand.alu}`);
      if (line === undefined) continue;
      const wanted = { start: ins.cycle - operand.delay, count: ins.count, period: ins.period };
      for (const producer of producersAt(line, wanted)) {
        if (producer.depth + 1 <= depth) continue;
        depth = producer.depth + 1;
        before = producer.site;
      }
    }
    if (depth > target.vxm.chainDepth && before !== undefined) {
      const message = `is number ${depth} in a chain of ALUs (after ${siteName(before)}); at most ${target.vxm.chainDepth} are allowed`;
      violateAt(findings, "range", site, message);
    }
    const key = `${chip} ${unit.alu}`;
    const line: Line = lines.get(key) ?? { producers: [], reach: [] };
    lines.set(key, line);
    const burst = burstOf(site);
    const result = { ...burst, start: burst.start + aluLatency(target, ins.operation), depth };
    insert(line, result);
  }
}

function insert(line: Line, producer: Producer): void {
  const { producers, reach } = line;
  let at = producers.length;
  while (at > 0 && (producers[at - 1]?.start ?? 0) > producer.start) at--;
  producers.splice(at, 0, producer);
  for (let i = at; i < producers.length; i++) {
    const one = producers[i];
    if (one !== undefined) reach[i] = Math.max(i > 0 ? (reach[i - 1] ?? 0) : 0, lastOf(one));
  }
}
