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

type Say = (site: Site, cycle: number, message: string) => void;

/** Does `site` add to a sum of its own tile? */
function continues(entry: Entry | undefined, site: Site): entry is Entry {
  const { unit, ins } = site;
  if (entry === undefined || ins.op !== "acc" || !("plane" in unit)) return false;
  const before = entry.site;
  return (
    "plane" in before.unit && before.unit.plane === unit.plane && "mode" in before.ins && before.ins.mode === ins.mode
  );
}

/** The entries of one plane, in issue order. */
function checkEntries(findings: Findings, say: Say, plane: number, sums: readonly Site[], uses: RegisterUse[]): void {
  const entries = new Map<number, Entry>();
  const close = (index: number, entry: Entry): void => {
    const { site, from, until } = entry;
    uses.push({ chip: site.chip, plane, register: "entry", entry: index, from, until, site });
  };
  visitAllIssues(sums, (site, repetition, cycle) => {
    const { ins } = site;
    if (ins.op !== "acc") return;
    countChecked(findings, "accumulator");
    const index = ins.entry + repetition * ins.stride;
    const entry = entries.get(index);
    if (!ins.init && continues(entry, site)) {
      entry.until = cycle + 1;
      entry.site = site;
      entry.pending = !ins.emit;
      return;
    }
    if (!ins.init) say(site, cycle, `adds to entry ${index}, which holds no sum of its tile yet`);
    else if (entry?.pending === true) {
      say(site, cycle, `starts entry ${index} anew; the sum of ${siteName(entry.site)} was not emitted`);
    }
    if (entry !== undefined) close(index, entry);
    entries.set(index, { from: cycle, until: cycle + 1, site, pending: !ins.emit });
  });
  for (const [index, entry] of entries) {
    if (entry.pending) say(entry.site, entry.until - 1, `the sum in entry ${index} is never emitted`);
    close(index, entry);
  }
}

/** ACC sites by each plane whose entries they use: both planes of a double tile. */
function byEntryPlane(target: Target, sites: readonly Site[]): ReadonlyMap<string, readonly Site[]> {
  const groups = new Map<string, Site[]>();
  for (const site of sites) {
    if (site.ins.op !== "acc" || !("plane" in site.unit)) continue;
    for (const plane of planesOf(target, site.unit.plane, site.ins.mode)) {
      const key = `${site.chip} ${plane}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [site]);
      else group.push(site);
    }
  }
  return groups;
}

export function checkAccumulators(findings: Findings, sites: readonly Site[]): readonly RegisterUse[] {
  const uses: RegisterUse[] = [];
  const activations = byPlane(sites, "abc");
  const sums = byPlane(sites, "acc");
  for (const key of new Set([...activations.keys(), ...sums.keys()])) {
    checkPairs(findings, activations.get(key) ?? [], sums.get(key) ?? []);
  }
  const told = new Set<number>();
  const say: Say = (site, cycle, message) => {
    if (told.has(site.id)) return;
    told.add(site.id);
    violateAt(findings, "accumulator", site, message, { cycle });
  };
  for (const [key, group] of byEntryPlane(findings.program.target, sites)) {
    checkEntries(findings, say, Number(key.split(" ")[1]), group, uses);
  }
  return uses;
}
