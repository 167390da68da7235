// Invariant `accumulator`: every activation vector meets its ACC exactly on time; every sum is started, continued and emitted in order and none
// is lost. Gives the intervals in which the entries are in use.
import type { Target } from "../../ir/target/target.ts";
import { visitAllIssues } from "./issue-order.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { planesOf } from "./sites.ts";
import type { RegisterUse } from "./weights.ts";

/** ABC and ACC sites by chip and plane, the partner of a two-plane tile not repeated. */
function byPlane(sites: readonly Site[], op: "abc" | "acc"): ReadonlyMap<string, readonly Site[]> {
  const groups = new Map<string, Site[]>();
  for (const site of sites) {
    if (site.ins.op !== op || !("plane" in site.unit)) continue;
    const key = `${site.chip} ${site.unit.plane}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [site]);
    else group.push(site);
  }
  return groups;
}

interface Issue {
  readonly site: Site;
  readonly cycle: number;
}

function issuesOf(sites: readonly Site[]): readonly Issue[] {
  const issues: Issue[] = [];
  visitAllIssues(sites, (site, _index, cycle) => issues.push({ site, cycle }));
  return issues;
}

/** Both bursts the same, one `latency` later: the usual case, settled without unrolling. */
function isShifted(activations: readonly Site[], sums: readonly Site[], latency: number): boolean {
  if (activations.length !== sums.length) return false;
  return activations.every((site, i) => {
    const { ins } = site;
    const other = sums[i]?.ins;
    return (
      other?.op === "acc" &&
      ins.op === "abc" &&
      other.cycle === ins.cycle + latency &&
      other.count === ins.count &&
      other.period === ins.period &&
      other.mode === ins.mode
    );
  });
}

function checkPairs(findings: Findings, activations: readonly Site[], sums: readonly Site[]): void {
  const latency = findings.program.target.mxm.latency.abc;
  if (isShifted(activations, sums, latency)) return;
  const left = issuesOf(activations);
  const right = issuesOf(sums);
  const told = new Set<number>();
  const say = (site: Site, cycle: number, message: string): void => {
    if (told.has(site.id)) return;
    told.add(site.id);
    violateAt(findings, "accumulator", site, message, { cycle });
  };
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const a = left[i];
    const c = right[j];
    const due = a === undefined ? Number.POSITIVE_INFINITY : a.cycle + latency;
    if (c === undefined || due < c.cycle) {
      if (a !== undefined) say(a.site, a.cycle, `no ACC takes its product at cycle ${due}`);
      i++;
    } else if (a === undefined || due > c.cycle) {
      say(c.site, c.cycle, `no activation was issued ${latency} cycles earlier`);
      j++;
    } else {
      if ("mode" in a.site.ins && "mode" in c.site.ins && a.site.ins.mode !== c.site.ins.mode) {
        say(c.site, c.cycle, `accumulates as ${c.site.ins.mode} a product made as ${a.site.ins.mode}`);
      }
      i++;
      j++;
    }
  }
}

interface Entry {
  from: number;
  until: number;
  site: Site;
  /** Holds a sum that no instruction has emitted since it last changed. */
  pending: boolean;
}

function checkEntries(findings: Findings, key: string, sums: readonly Site[], uses: RegisterUse[]): void {
  const [chip = 0, plane = 0] = key.split(" ").map(Number);
  const entries = new Map<number, Entry>();
  const close = (index: number, entry: Entry): void => {
    if (entry.pending) violateAt(findings, "accumulator", entry.site, `the sum in entry ${index} is never emitted`);
    uses.push({ chip, plane, register: "entry", entry: index, from: entry.from, until: entry.until, site: entry.site });
  };
  const told = new Set<number>();
  visitAllIssues(sums, (site, repetition, cycle) => {
    const { ins } = site;
    if (ins.op !== "acc") return;
    countChecked(findings, "accumulator");
    const index = ins.entry + repetition * ins.stride;
    const entry = entries.get(index);
    const until = cycle + 1;
    if (!ins.init && entry !== undefined) {
      entry.until = until;
      entry.site = site;
      entry.pending = !ins.emit;
      return;
    }
    if (!told.has(site.id)) {
      if (!ins.init) {
        told.add(site.id);
        violateAt(findings, "accumulator", site, `adds to entry ${index}, which holds no sum yet`, { cycle });
      } else if (entry?.pending === true) {
        told.add(site.id);
        const lost = siteName(entry.site);
        violateAt(findings, "accumulator", site, `starts entry ${index} anew; the sum of ${lost} was not emitted`, {
          cycle,
        });
        entry.pending = false;
      }
    }
    if (entry !== undefined) close(index, { ...entry, pending: false });
    entries.set(index, { from: cycle, until, site, pending: !ins.emit });
  });
  for (const [index, entry] of entries) close(index, entry);
}

/** A tile on two planes and one on its second plane alone would share entries: they must not be mixed. */
function checkPartners(findings: Findings, target: Target, groups: ReadonlyMap<string, readonly Site[]>): void {
  for (const [key, group] of groups) {
    const [chip, plane = 0] = key.split(" ").map(Number);
    const double = group.find((site) => "mode" in site.ins && planesOf(target, plane, site.ins.mode).length === 2);
    const partner = groups.get(`${chip} ${plane + 1}`)?.[0];
    if (double === undefined || partner === undefined) continue;
    violateAt(
      findings,
      "accumulator",
      partner,
      `uses entries of the plane that ${siteName(double)} takes as second of its tile`,
    );
  }
}

export function checkAccumulators(findings: Findings, sites: readonly Site[]): readonly RegisterUse[] {
  const { target } = findings.program;
  const uses: RegisterUse[] = [];
  const activations = byPlane(sites, "abc");
  const sums = byPlane(sites, "acc");
  for (const key of new Set([...activations.keys(), ...sums.keys()])) {
    checkPairs(findings, activations.get(key) ?? [], sums.get(key) ?? []);
  }
  checkPartners(findings, target, sums);
  for (const [key, group] of sums) checkEntries(findings, key, group, uses);
  return uses;
}
