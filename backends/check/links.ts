// Invariant `link`: the wiring is that of the target, a link carries one vector a slot at its exact rational rate, and every Receive meets
// its Send after exactly the link's latency.
import type { LinkConnection } from "../../ir/machine/program.ts";
import { visitAllIssues } from "./issue-order.ts";
import { countChecked, type Findings, type Site, siteName, violate, violateAt } from "./report.ts";

const whole = (value: number, from: number, until: number): boolean =>
  Number.isSafeInteger(value) && value >= from && value < until;

/** Are two sends `cycles` apart far enough from each other? Compared as integers: cycles * bytes per second >= framed bytes * clock. */
export function isFarEnough(target: Findings["program"]["target"], cycles: number): boolean {
  const { framedBytesPerVector, bytesPerSecond } = target.link;
  const exact = [framedBytesPerVector, bytesPerSecond, target.clockHz].every(Number.isSafeInteger);
  if (!exact) return cycles * bytesPerSecond >= framedBytesPerVector * target.clockHz;
  return BigInt(cycles) * BigInt(bytesPerSecond) >= BigInt(framedBytesPerVector) * BigInt(target.clockHz);
}

function linkName(link: LinkConnection): string {
  return `chip ${link.from} port ${link.fromPort} to chip ${link.to} port ${link.toPort}`;
}

function checkWiring(findings: Findings): void {
  const { program } = findings;
  const { link: spec } = program.target;
  const sources = new Set<string>();
  const sinks = new Set<string>();
  for (const link of program.links) {
    countChecked(findings, "link");
    const say = (message: string): void =>
      violate(findings, "link", `link ${linkName(link)}: ${message}`, { chip: link.from });
    const chips = program.chips.length;
    if (!whole(link.from, 0, chips) || !whole(link.to, 0, chips) || link.from === link.to) say("joins no two chips");
    if (!whole(link.fromPort, 0, spec.portsPerChip) || !whole(link.toPort, 0, spec.portsPerChip)) {
      say(`a port is outside 0..${spec.portsPerChip - 1}`);
    }
    const switches = spec.switchLatency > 0 ? (link.latency - spec.latency) / spec.switchLatency : 0;
    if (!whole(switches, 0, 1000) || link.latency !== spec.latency + switches * spec.switchLatency) {
      say(`latency ${link.latency} is not ${spec.latency} plus a whole number of switches of ${spec.switchLatency}`);
    }
    if (sources.has(`${link.from} ${link.fromPort}`)) say("its source port is wired twice");
    if (sinks.has(`${link.to} ${link.toPort}`)) say("its sink port is wired twice");
    sources.add(`${link.from} ${link.fromPort}`);
    sinks.add(`${link.to} ${link.toPort}`);
  }
}

interface Issue {
  readonly site: Site;
  readonly cycle: number;
}

function byPort(sites: readonly Site[], op: "send" | "receive"): ReadonlyMap<string, readonly Issue[]> {
  const groups = new Map<string, Site[]>();
  for (const site of sites) {
    if (site.ins.op !== op || !("port" in site.unit)) continue;
    const key = `${site.chip} ${site.unit.port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [site]);
    else group.push(site);
  }
  const issues = new Map<string, readonly Issue[]>();
  for (const [key, group] of groups) {
    const list: Issue[] = [];
    visitAllIssues(group, (site, _index, cycle) => list.push({ site, cycle }));
    issues.set(key, list);
  }
  return issues;
}

function checkRate(findings: Findings, issues: readonly Issue[]): void {
  const { target } = findings.program;
  let told = -1;
  issues.forEach((issue, i) => {
    const before = issues[i - 1];
    if (before === undefined || isFarEnough(target, issue.cycle - before.cycle) || told === issue.site.id) return;
    told = issue.site.id;
    const gap = issue.cycle - before.cycle;
    const message = `sends ${gap} cycles after ${siteName(before.site)}; the link is still busy with that vector`;
    violateAt(findings, "link", issue.site, message, { cycle: issue.cycle });
  });
}

function checkPairs(findings: Findings, sends: readonly Issue[], receives: readonly Issue[], latency: number): void {
  const told = new Set<number>();
  const say = (issue: Issue, message: string): void => {
    if (told.has(issue.site.id)) return;
    told.add(issue.site.id);
    violateAt(findings, "link", issue.site, message, { cycle: issue.cycle });
  };
  let i = 0;
  let j = 0;
  while (i < sends.length || j < receives.length) {
    const send = sends[i];
    const receive = receives[j];
    const due = send === undefined ? Number.POSITIVE_INFINITY : send.cycle + latency;
    if (receive === undefined || due < receive.cycle) {
      if (send !== undefined) say(send, `nobody receives its vector at cycle ${due}`);
      i++;
    } else if (due > receive.cycle) {
      say(receive, `no vector was sent ${latency} cycles earlier`);
      j++;
    } else {
      i++;
      j++;
    }
  }
}

export function checkLinks(findings: Findings, sites: readonly Site[]): void {
  const { program } = findings;
  checkWiring(findings);
  const sends = byPort(sites, "send");
  const receives = byPort(sites, "receive");
  const wiredSends = new Set<string>();
  const wiredReceives = new Set<string>();
  for (const link of program.links) {
    const from = `${link.from} ${link.fromPort}`;
    const to = `${link.to} ${link.toPort}`;
    wiredSends.add(from);
    wiredReceives.add(to);
    checkPairs(findings, sends.get(from) ?? [], receives.get(to) ?? [], link.latency);
  }
  for (const [key, issues] of sends) {
    countChecked(findings, "link", issues.length);
    checkRate(findings, issues);
    const first = issues[0];
    if (!wiredSends.has(key) && first !== undefined)
      violateAt(findings, "link", first.site, "its port is not connected");
  }
  for (const [key, issues] of receives) {
    countChecked(findings, "link", issues.length);
    const first = issues[0];
    if (!wiredReceives.has(key) && first !== undefined)
      violateAt(findings, "link", first.site, "its port is not connected");
  }
}
