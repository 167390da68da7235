// Invariant `overlap`: with tokens in flight one initiation interval apart, no resource is wanted by two tokens in one cycle. Everything is
// taken modulo the interval; what collides within one token is reported by the other checks.
import { unitName } from "../../ir/machine/program.ts";
import { reportCircularOverlaps } from "./bursts.ts";
import { isFarEnough } from "./links.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { bankBursts, slotsOf, slotWidth, tracksOf } from "./resources.ts";
import { lastIssue } from "./sites.ts";
import type { RegisterUse } from "./weights.ts";

/** Which burst holds each residue; `generation` saves clearing it for the next resource. */
interface Wheel {
  readonly interval: number;
  readonly generations: Int32Array;
  readonly owners: Int32Array;
  readonly cycles: Float64Array;
  generation: number;
}

export const overlapsTokens = (findings: Findings, latency: number): boolean => {
  const interval = findings.program.initiationIntervalCycles;
  return Number.isSafeInteger(interval) && interval >= 1 && interval < latency;
};

interface Claim {
  readonly site: Site;
  readonly start: number;
  readonly count: number;
  readonly period: number;
}

const residue = (cycle: number, interval: number): number => ((cycle % interval) + interval) % interval;

/** Marks the cycles of `claim`; gives the first one that another token holds already. */
function take(wheel: Wheel, claim: Claim): { readonly cycle: number; readonly owner: number } | undefined {
  let found: { cycle: number; owner: number } | undefined;
  for (let i = 0; i < claim.count; i++) {
    const cycle = claim.start + i * claim.period;
    const at = residue(cycle, wheel.interval);
    if (wheel.generations[at] !== wheel.generation) {
      wheel.generations[at] = wheel.generation;
      wheel.owners[at] = claim.site.id;
      wheel.cycles[at] = cycle;
    } else if (found === undefined && wheel.cycles[at] !== cycle) {
      found = { cycle, owner: wheel.owners[at] ?? -1 };
    }
  }
  return found;
}

type Told = Set<string>;

/** Claims on one resource must not meet in different tokens. */
function checkGroups(
  findings: Findings,
  wheel: Wheel,
  sites: readonly Site[],
  groups: ReadonlyMap<string, readonly Claim[]>,
  what: (key: string) => string,
): void {
  const told: Told = new Set();
  for (const [key, claims] of groups) {
    wheel.generation++;
    for (const claim of claims) {
      countChecked(findings, "overlap");
      const clash = take(wheel, claim);
      if (clash !== undefined) report(findings, sites, told, claim.site, clash.owner, clash.cycle, what(key));
    }
  }
}

function report(
  findings: Findings,
  sites: readonly Site[],
  told: Told,
  site: Site,
  owner: number,
  cycle: number,
  what: string,
): void {
  const other = sites[owner];
  const pair = `${site.id} ${owner}`;
  if (told.has(pair)) return;
  told.add(pair);
  const with_ = other === undefined ? "another token" : `${siteName(other)} of another token`;
  const interval = findings.program.initiationIntervalCycles;
  violateAt(findings, "overlap", site, `wants ${what} together with ${with_}, tokens being ${interval} cycles apart`, {
    cycle,
  });
}

function groupClaims<T extends Claim>(
  claims: readonly T[],
  keyOf: (claim: T) => string,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const claim of claims) {
    const key = keyOf(claim);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [claim]);
    else group.push(claim);
  }
  return groups;
}

function checkSlots(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const { target } = findings.program;
  const claims = good.flatMap((site) =>
    slotsOf(target, site).flatMap((unit) => {
      const width = slotWidth(target, site);
      return Array.from({ length: width }, (_, offset) => ({
        site,
        start: site.ins.cycle + offset,
        count: site.ins.count,
        period: site.ins.period,
        key: `${site.chip} ${unitName(unit)}`,
      }));
    }),
  );
  checkGroups(
    findings,
    wheel,
    sites,
    groupClaims(claims, (claim) => claim.key),
    () => "its issue slot",
  );
}

function checkTracks(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const tracks = tracksOf(findings.program.target, good);
  const groups = groupClaims(tracks, (track) => `${track.site.chip} ${track.direction} ${track.stream}`);
  checkGroups(findings, wheel, sites, groups, (key) => {
    const [, direction, stream] = key.split(" ");
    return `stream ${stream} going ${direction}`;
  });
}

function checkBanks(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const { target } = findings.program;
  const bursts = good.flatMap((site) => bankBursts(target, site));
  const groups = groupClaims(bursts, ({ site, bank }) =>
    "slice" in site.unit ? `${site.chip} ${site.unit.hemisphere}${site.unit.slice} ${bank}` : "",
  );
  // Two reads or two writes meet in the issue slot already, so one group may hold both kinds.
  checkGroups(findings, wheel, sites, groups, (key) => `bank ${key.split(" ")[2]} of its slice`);
}

/** A running sum or maximum lives in its ALU from its first to its last repetition. */
function checkFeedback(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const alus = good.filter((site) => site.ins.op === "alu");
  const usesSelf = ({ ins }: Site): boolean =>
    ins.op === "alu" && [ins.a, ins.b, ins.c].some((operand) => operand.kind === "self");
  const told: Told = new Set();
  const claims = alus.map((site) => ({ site, start: site.ins.cycle, count: site.ins.count, period: site.ins.period }));
  const groups = groupClaims(claims, ({ site }) =>
    site.unit.kind === "vxmAlu" ? `${site.chip} ${site.unit.alu}` : "",
  );
  for (const group of groups.values()) {
    wheel.generation++;
    for (const { site } of group) {
      if (!usesSelf(site)) continue;
      countChecked(findings, "overlap");
      const count = lastIssue(site.ins) - site.ins.cycle + 1;
      const clash = take(wheel, { site, start: site.ins.cycle, count, period: 1 });
      if (clash !== undefined) report(findings, sites, told, site, clash.owner, clash.cycle, "its feedback register");
    }
    for (const claim of group) {
      if (usesSelf(claim.site)) continue;
      for (let i = 0; i < claim.count; i++) {
        const cycle = claim.start + i * claim.period;
        const at = residue(cycle, wheel.interval);
        if (wheel.generations[at] !== wheel.generation || wheel.cycles[at] === cycle) continue;
        report(findings, sites, told, claim.site, wheel.owners[at] ?? -1, cycle, "a feedback register");
        break;
      }
    }
  }
}

function checkLinkSlots(findings: Findings, sites: readonly Site[], good: readonly Site[]): void {
  const { target, initiationIntervalCycles: interval } = findings.program;
  const sends = good.filter((site) => site.ins.op === "send");
  const claims = sends.map((site) => ({ site, start: site.ins.cycle, count: site.ins.count, period: site.ins.period }));
  const groups = groupClaims(claims, ({ site }) => ("port" in site.unit ? `${site.chip} ${site.unit.port}` : ""));
  const told: Told = new Set();
  for (const group of groups.values()) {
    const issues = group.flatMap(({ site, count, period, start }) =>
      Array.from({ length: count }, (_, i) => ({
        site,
        cycle: start + i * period,
        at: residue(start + i * period, interval),
      })),
    );
    issues.sort((a, b) => a.at - b.at || a.cycle - b.cycle || a.site.id - b.site.id);
    countChecked(findings, "overlap", issues.length);
    issues.forEach((issue, i) => {
      const before = issues[i - 1] ?? issues[issues.length - 1];
      if (before === undefined) return;
      const gap = i > 0 ? issue.at - before.at : issue.at + interval - before.at;
      if (isFarEnough(target, gap) || issue.cycle - before.cycle === gap) return;
      report(findings, sites, told, issue.site, before.site.id, issue.cycle, "its link");
    });
  }
}

function checkRegisters(findings: Findings, sites: readonly Site[], uses: readonly RegisterUse[]): void {
  const interval = findings.program.initiationIntervalCycles;
  const groups = new Map<string, RegisterUse[]>();
  for (const use of uses) {
    const key = `${use.chip} ${use.plane} ${use.register} ${use.entry}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [use]);
    else group.push(use);
  }
  const told: Told = new Set();
  for (const group of groups.values()) {
    countChecked(findings, "overlap", group.length);
    reportCircularOverlaps(group, interval, (a, b) => {
      if (a !== b && a.from < b.until && b.from < a.until) return;
      const what =
        a.register === "entry"
          ? `accumulator entry ${a.entry}`
          : a.register === "tile"
            ? "the tile in use"
            : "the load buffer";
      report(findings, sites, told, b.site, a.site.id, b.from, what);
    });
  }
}

/** `sites` are all sites by id, `good` those that passed the range check. */
export function checkOverlap(
  findings: Findings,
  sites: readonly Site[],
  good: readonly Site[],
  uses: readonly RegisterUse[],
  latency: number,
): void {
  countChecked(findings, "overlap");
  if (!overlapsTokens(findings, latency)) return;
  const interval = findings.program.initiationIntervalCycles;
  const wheel: Wheel = {
    interval,
    generations: new Int32Array(interval),
    owners: new Int32Array(interval),
    cycles: new Float64Array(interval),
    generation: 0,
  };
  checkSlots(findings, wheel, sites, good);
  checkTracks(findings, wheel, sites, good);
  checkBanks(findings, wheel, sites, good);
  checkFeedback(findings, wheel, sites, good);
  checkLinkSlots(findings, sites, good);
  checkRegisters(findings, sites, uses);
}
