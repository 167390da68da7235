// Which issue each issue of a program waits for: through streams, links, ALUs, matrix planes and memory. Running sums follow their last term.
// Found from the program alone, by the positions where values are put and taken.

import type { Site } from "../../backends/check/report.ts";
import { aluLatency, lastIssue, putOf, type StreamPort, sitesOf, takesOf } from "../../backends/check/sites.ts";
import { type Program, unitName } from "../../ir/machine/program.ts";
import { diagonal } from "../../ir/target/geometry.ts";

/** One repetition of an instruction. */
export interface Issue {
  readonly site: Site;
  readonly repetition: number;
}

export const cycleOf = ({ site, repetition }: Issue): number => site.ins.cycle + repetition * site.ins.period;

/** An issue takes something that was there `wait` cycles before it took it. */
export interface Dependence {
  readonly on: Issue;
  readonly wait: number;
}

interface Put {
  readonly site: Site;
  readonly start: number;
}

interface Group {
  readonly puts: Put[];
  /** Diagonals from the first issue of the longest burst to its last. */
  span: number;
}

export interface Dependences {
  readonly sites: readonly Site[];
  readonly of: (issue: Issue) => readonly Dependence[];
}

function push<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}

/** The last issue of a list of instructions in one queue that is at most `cycle`; undefined if none. */
function lastUpTo(sites: readonly Site[], cycle: number): Issue | undefined {
  let best: Issue | undefined;
  for (const site of sites) {
    const { ins } = site;
    if (ins.cycle > cycle) continue;
    const repetition = Math.min(ins.count - 1, Math.floor((cycle - ins.cycle) / ins.period));
    const issue = { site, repetition };
    if (best === undefined || cycleOf(issue) > cycleOf(best)) best = issue;
  }
  return best;
}

/** The issue of `site` in exactly this cycle. */
function issueAt(site: Site, cycle: number): Issue | undefined {
  const repetition = (cycle - site.ins.cycle) / site.ins.period;
  return Number.isInteger(repetition) && repetition >= 0 && repetition < site.ins.count
    ? { site, repetition }
    : undefined;
}

/** The last repetition of a write that may put something into word `low`..`high` and is complete by `cycle`. */
function lastWrite(site: Site, low: number, high: number, latest: number): Issue | undefined {
  const { ins } = site;
  const count = Math.min(ins.count, Math.floor((latest - ins.cycle) / ins.period) + 1);
  if (count <= 0) return undefined;
  if (ins.op === "scatter") {
    const [first, last] = [ins.address, ins.address + ins.scale * (ins.limit - 1)];
    const touches = Math.min(first, last) <= high && Math.max(first, last) >= low;
    return touches ? { site, repetition: count - 1 } : undefined;
  }
  if (ins.op !== "write") return undefined;
  for (let repetition = count - 1; repetition >= 0; repetition--) {
    const word = ins.address + repetition * ins.stride;
    if (word >= low && word <= high) return { site, repetition };
    if (ins.stride === 0) return undefined;
  }
  return undefined;
}

export function dependencesOf(program: Program): Dependences {
  const { target } = program;
  const sites = sitesOf(program);
  const groups = new Map<string, Group>();
  const byUnit = new Map<string, Site[]>();
  for (const site of sites) {
    push(byUnit, `${site.chip} ${unitName(site.unit)}`, site);
    const put = putOf(target, site.unit, site.ins);
    if (put === undefined) continue;
    const start = diagonal(put.direction, site.ins.cycle + put.delay, put.column);
    for (let i = 0; i < put.streams; i++) {
      const key = `${site.chip} ${put.direction}${put.stream + i}`;
      const group = groups.get(key) ?? { puts: [], span: 0 };
      groups.set(key, group);
      group.puts.push({ site, start });
      group.span = Math.max(group.span, lastIssue(site.ins) - site.ins.cycle);
    }
  }
  for (const { puts } of groups.values()) puts.sort((a, b) => a.start - b.start || a.site.id - b.site.id);
  const onUnit = (chip: number, unit: Site["unit"]): readonly Site[] => byUnit.get(`${chip} ${unitName(unit)}`) ?? [];

  /** Who put the value that is on a stream there and then. */
  const putter = (chip: number, port: StreamPort, cycle: number): Issue | undefined => {
    const group = groups.get(`${chip} ${port.direction}${port.stream}`);
    if (group === undefined) return undefined;
    const at = diagonal(port.direction, cycle + port.delay, port.column);
    for (let i = upTo(group.puts, at); i >= 0; i--) {
      const put = group.puts[i] as Put;
      if (put.start < at - group.span) return undefined;
      const found = issueAt(put.site, put.site.ins.cycle + at - put.start);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const writerOf = (issue: Issue): Dependence[] => {
    const { site, repetition } = issue;
    const { ins, unit, chip } = site;
    if (unit.kind !== "memRead" || (ins.op !== "read" && ins.op !== "gather")) return [];
    const from = ins.op === "read" ? ins.address + repetition * ins.stride : ins.address;
    const until = ins.op === "read" ? from : ins.address + ins.scale * (ins.limit - 1);
    const [low, high] = [Math.min(from, until), Math.max(from, until)];
    const cycle = cycleOf(issue);
    let best: Dependence | undefined;
    for (const writer of onUnit(chip, { ...unit, kind: "memWrite" })) {
      if (writer.ins.op !== "write" && writer.ins.op !== "scatter") continue;
      const on = lastWrite(writer, low, high, cycle - target.mem.latency[writer.ins.op]);
      if (on === undefined) continue;
      const wait = cycle - cycleOf(on) - target.mem.latency[writer.ins.op];
      if (best === undefined || wait < best.wait) best = { on, wait };
    }
    return best === undefined ? [] : [best];
  };
  return { sites, of: (issue) => [...streamed(issue), ...writerOf(issue), ...held(issue)] };

  function streamed(issue: Issue): Dependence[] {
    const { site } = issue;
    return takesOf(target, site.unit, site.ins).flatMap((port): Dependence[] => {
      const on = putter(site.chip, port, cycleOf(issue));
      return on === undefined ? [] : [{ on, wait: -port.delay }];
    });
  }

  /** What is taken from registers of units, and from the other end of a link. */
  function held(issue: Issue): Dependence[] {
    const { ins, unit, chip } = issue.site;
    const cycle = cycleOf(issue);
    const { latency } = target.mxm;
    const after = (found: Issue | undefined, ready: number): Dependence[] =>
      found === undefined ? [] : [{ on: found, wait: cycle - cycleOf(found) - ready }];
    const loads = (op: "lw" | "iw", plane: number): readonly Site[] =>
      onUnit(chip, { kind: "mxmLoad", plane }).filter((site) => site.ins.op === op);
    switch (ins.op) {
      case "iw":
        return unit.kind === "mxmLoad" ? after(lastUpTo(loads("lw", unit.plane), cycle - latency.lw), latency.lw) : [];
      case "abc":
        if (unit.kind !== "mxmActivate") return [];
        return after(lastUpTo(loads("iw", unit.plane), cycle - latency.iw), latency.iw);
      case "acc": {
        if (unit.kind !== "mxmAccumulate") return [];
        const { plane } = unit;
        const found = onUnit(chip, { kind: "mxmActivate", plane }).flatMap(
          (site) => issueAt(site, cycle - latency.abc) ?? [],
        );
        return after(found[0], latency.abc);
      }
      case "alu":
        return [ins.a, ins.b, ins.c].flatMap((operand): Dependence[] => {
          if (operand.kind !== "alu") return [];
          const found = onUnit(chip, { kind: "vxmAlu", alu: operand.alu }).flatMap((site) => {
            if (site.ins.op !== "alu") return [];
            return issueAt(site, cycle - operand.delay - aluLatency(target, site.ins.operation)) ?? [];
          });
          return found[0] === undefined ? [] : [{ on: found[0], wait: operand.delay }];
        });
      case "receive": {
        if (unit.kind !== "linkReceive") return [];
        const link = program.links.find(({ to, toPort }) => to === chip && toPort === unit.port);
        if (link === undefined) return [];
        const sends = onUnit(link.from, { kind: "linkSend", port: link.fromPort });
        return after(sends.flatMap((site) => issueAt(site, cycle - link.latency) ?? [])[0], link.latency);
      }
      case "read":
      case "write":
      case "gather":
      case "scatter":
      case "lw":
      case "permute":
      case "send":
      case "deskew":
        return [];
    }
  }
}

/** Index of the last put that starts at most at `at`. */
function upTo(puts: readonly Put[], at: number): number {
  let low = 0;
  let high = puts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((puts[middle] as Put).start <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
