// Invariant `overlap`: with tokens in flight one initiation interval apart, no resource is wanted by two tokens in one cycle. Everything is
// taken modulo the interval; what collides within one token is reported by the other checks.
import { unitName } from "../../ir/machine/program.ts";
import { reportCircularOverlaps } from "./bursts.ts";
import { isFarEnough } from "./links.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { bankBursts, slotsOf, slotWidth, tracksOf } from "./resources.ts";
import { aluLatency } from "./sites.ts";
import type { RegisterUse } from "./weights.ts";

interface Claim {
  readonly site: Site;
  readonly start: number;
  readonly count: number;
  readonly period: number;
}

/** Which burst holds each residue of the interval, on one resource: tables for intervals of usual size, stamped anew for every resource. */
interface Wheel {
  readonly interval: number;
  readonly sparse: Map<number, Held>;
  readonly stamps: Int32Array;
  readonly owners: Int32Array;
  readonly cycles: Float64Array;
  stamp: number;
}

interface Held {
  readonly owner: number;
  readonly cycle: number;
}

const densestInterval = 2 ** 21;

function newWheel(interval: number): Wheel {
  const size = interval <= densestInterval ? interval : 0;
  const [stamps, owners, cycles] = [new Int32Array(size), new Int32Array(size), new Float64Array(size)];
  return { interval, sparse: new Map(), stamps, owners, cycles, stamp: 0 };
}

function clearWheel(wheel: Wheel): void {
  wheel.stamp++;
  wheel.sparse.clear();
}

export const overlapsTokens = (findings: Findings, latency: number): boolean => {
  const interval = findings.program.initiationIntervalCycles;
  return Number.isSafeInteger(interval) && interval >= 1 && interval < latency;
};

const residue = (cycle: number, interval: number): number => ((cycle % interval) + interval) % interval;

/** Marks `cycle`; -1, or the site of another token that holds its residue already. */
function hold(wheel: Wheel, owner: number, cycle: number): number {
  const { interval, stamps, owners, cycles, sparse, stamp } = wheel;
  const at = residue(cycle, interval);
  if (stamps.length === 0) {
    const held = sparse.get(at);
    if (held === undefined) sparse.set(at, { owner, cycle });
    return held === undefined || held.cycle === cycle ? -1 : held.owner;
  }
  if (stamps[at] === stamp) return cycles[at] === cycle ? -1 : (owners[at] as number);
  stamps[at] = stamp;
  owners[at] = owner;
  cycles[at] = cycle;
  return -1;
}

/** Marks the cycles of `claim`; gives the first one that another token holds already. */
function take(wheel: Wheel, claim: Claim): Held | undefined {
  let found: Held | undefined;
  for (let i = 0; i < claim.count; i++) {
    const cycle = claim.start + i * claim.period;
    const owner = hold(wheel, claim.site.id, cycle);
    if (owner < 0) continue;
    found ??= { cycle, owner };
    // One token more would only meet the same again.
    if (i >= wheel.interval) return found;
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
    clearWheel(wheel);
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

/**
 * A queue is at one instruction from its first issue to its last, so a running sum keeps its ALU as well; a partner plane is only kept from
 * issuing in the same cycles.
 */
function checkSlots(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const { target } = findings.program;
  const claims = good.flatMap((site) =>
    slotsOf(target, site).flatMap((unit, partner) => {
      const { cycle: start, count, period } = site.ins;
      const width = slotWidth(target, site);
      const key = `${site.chip} ${unitName(unit)}`;
      if (partner === 0) return [{ site, start, count: (count - 1) * period + width, period: 1, key }];
      return Array.from({ length: width }, (_, offset) => ({ site, start: start + offset, count, period, key }));
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

/** Operations of one ALU take different times: results of two tokens may come out together though they were issued apart. */
function checkResults(findings: Findings, wheel: Wheel, sites: readonly Site[], good: readonly Site[]): void {
  const { target } = findings.program;
  const claims = good.flatMap((site) => {
    const { ins, unit, chip } = site;
    if (ins.op !== "alu") return [];
    const start = ins.cycle + aluLatency(target, ins.operation);
    return [{ site, start, count: ins.count, period: ins.period, key: `${chip} ${unitName(unit)}` }];
  });
  const groups = groupClaims(claims, (claim) => claim.key);
  checkGroups(findings, wheel, sites, groups, () => "the cycle of its result");
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
  const wheel = newWheel(findings.program.initiationIntervalCycles);
  checkSlots(findings, wheel, sites, good);
  checkResults(findings, wheel, sites, good);
  checkTracks(findings, wheel, sites, good);
  checkBanks(findings, wheel, sites, good);
  checkLinkSlots(findings, sites, good);
  checkRegisters(findings, sites, uses);
}
