// Invariants `queue`, `stream` and `bank`: no two bursts want the same issue slot, stream register or memory bank in one cycle.
// Arithmetic on whole bursts; every violation names both instructions.
import { type Program, type Unit, unitName } from "../../ir/machine/program.ts";
import { type Direction, diagonal } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { type Burst, reportCollisions, reportMeetings } from "./bursts.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { burstOf, lastIssue, planesOf, putOf } from "./sites.ts";

interface SiteBurst extends Burst {
  readonly site: Site;
}
const rankOf = (burst: SiteBurst): number => burst.site.id;

/** Groups in the order in which their keys first appear. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Units whose issue slot an instruction takes: its own, for a tile on two planes also the partner's. */
export function slotsOf(target: Target, site: Site): readonly Unit[] {
  const { unit, ins } = site;
  if (!("mode" in ins) || !("plane" in unit)) return [unit];
  return planesOf(target, unit.plane, ins.mode).map((plane) => ({ kind: unit.kind, plane }));
}

/** Cycles an instruction keeps its queue busy at each issue. */
export function slotWidth(target: Target, site: Site): number {
  const { ins } = site;
  return ins.op === "abc" || ins.op === "acc" ? (target.mxm.modes[ins.mode]?.vectorPeriod ?? 1) : 1;
}

function checkOrder(findings: Findings, program: Program): void {
  program.chips.forEach((chip, chipIndex) => {
    for (const queue of chip.queues) {
      let before = -1;
      queue.instructions.forEach((ins, index) => {
        const site: Site = { id: 0, chip: chipIndex, unit: queue.unit, index, ins };
        if (ins.cycle < before) {
          violateAt(
            findings,
            "queue",
            site,
            `issues at cycle ${ins.cycle}, before the instruction ahead of it in its queue (${before})`,
          );
        }
        const ahead = queue.instructions[index - 1];
        if (ahead !== undefined && ins.cycle > ahead.cycle && ins.cycle < lastIssue(ahead)) {
          const message = `issues at cycle ${ins.cycle}, between issues of the instruction ahead of it, which go on until ${lastIssue(ahead)}`;
          violateAt(findings, "queue", site, message);
        }
        before = ins.cycle;
      });
    }
  });
}

function checkDoubledQueues(findings: Findings, program: Program): void {
  program.chips.forEach((chip, chipIndex) => {
    const seen = new Set<string>();
    for (const queue of chip.queues) {
      const name = unitName(queue.unit);
      const ins = queue.instructions[0];
      if (seen.has(name) && ins !== undefined) {
        violateAt(
          findings,
          "queue",
          { id: 0, chip: chipIndex, unit: queue.unit, index: 0, ins },
          "its unit has a second queue",
        );
      }
      seen.add(name);
    }
  });
}

/** Issue slots: in order, one instruction a cycle, an activation every vector period. */
export function checkQueues(findings: Findings, sites: readonly Site[]): void {
  const { program } = findings;
  checkOrder(findings, program);
  checkDoubledQueues(findings, program);
  const slots = sites.flatMap((site) =>
    slotsOf(program.target, site).map((unit) => ({ site, key: `${site.chip} ${unitName(unit)}` })),
  );
  countChecked(findings, "queue", slots.length);
  for (const group of grouped(slots, (slot) => slot.key).values()) {
    const bursts: SiteBurst[] = [];
    for (const { site } of group) {
      const width = slotWidth(program.target, site);
      if (site.ins.count > 1 && site.ins.period < width) {
        violateAt(findings, "queue", site, `issues every ${site.ins.period} cycles where one vector takes ${width}`);
        continue;
      }
      for (let offset = 0; offset < width; offset++) {
        const burst = burstOf(site);
        bursts.push({ ...burst, start: burst.start + offset });
      }
    }
    reportCollisions(bursts, rankOf, (earlier, later, cycle) => {
      violateAt(
        findings,
        "queue",
        later.site,
        `issues at cycle ${cycle} while its queue issues ${siteName(earlier.site)}`,
        { cycle },
      );
    });
  }
}

export interface Track extends SiteBurst {
  readonly stream: number;
  readonly direction: Direction;
  readonly column: number;
}

/** Every value put on a stream, as a burst of diagonals. */
export function tracksOf(target: Target, sites: readonly Site[]): readonly Track[] {
  const tracks: Track[] = [];
  for (const site of sites) {
    const put = putOf(target, site.unit, site.ins);
    if (put === undefined) continue;
    const { direction, column } = put;
    const start = diagonal(direction, site.ins.cycle + put.delay, column);
    for (let i = 0; i < put.streams; i++) {
      const stream = put.stream + i;
      tracks.push({ start, count: site.ins.count, period: site.ins.period, site, stream, direction, column });
    }
  }
  return tracks;
}

/** A value lives from the column where it is born to the edge, so two on one diagonal of a stream always meet. */
export function checkStreams(findings: Findings, sites: readonly Site[]): void {
  const { target } = findings.program;
  const tracks = tracksOf(target, sites);
  countChecked(findings, "stream", tracks.length);
  for (const group of grouped(tracks, (track) => `${track.site.chip} ${track.direction} ${track.stream}`).values()) {
    reportCollisions(group, rankOf, (earlier, later, at) => {
      const issue = later.site.ins.cycle + (at - later.start);
      const where = `stream ${later.stream} going ${later.direction}`;
      const message = `its value on ${where} runs into the value of ${siteName(earlier.site)}`;
      violateAt(findings, "stream", later.site, message, { cycle: issue });
    });
  }
}

interface BankBurst extends SiteBurst {
  readonly bank: number;
}

/** The banks an instruction touches, each with the issues that do. Run-time addresses count for all words they may reach. */
export function bankBursts(target: Target, site: Site): readonly BankBurst[] {
  const { ins } = site;
  const burst = burstOf(site);
  const bankOf = (word: number): number => (word < target.mem.wordsPerBank ? 0 : 1);
  if (ins.op === "gather" || ins.op === "scatter") {
    const first = bankOf(ins.address);
    const last = bankOf(ins.address + (ins.limit - 1) * ins.scale);
    return first === last ? [{ ...burst, bank: first }] : [0, 1].map((bank) => ({ ...burst, bank }));
  }
  if (ins.op !== "read" && ins.op !== "write") return [];
  const first = bankOf(ins.address);
  if (first === bankOf(ins.address + (ins.count - 1) * ins.stride)) return [{ ...burst, bank: first }];
  const step = Math.abs(ins.stride);
  const border = target.mem.wordsPerBank;
  const inFirst = Math.ceil((first === 0 ? border - ins.address : ins.address - border + 1) / step);
  const { start, period } = burst;
  return [
    { start, count: inFirst, period, site, bank: first },
    { start: start + inFirst * period, count: ins.count - inFirst, period, site, bank: 1 - first },
  ];
}

/** A slice reads and writes in one cycle only on opposite banks. */
export function checkBanks(findings: Findings, sites: readonly Site[]): void {
  const { target } = findings.program;
  const bursts = sites.flatMap((site) => bankBursts(target, site));
  countChecked(findings, "bank", bursts.length);
  const keyOf = (burst: BankBurst): string => {
    const { unit, chip } = burst.site;
    return "slice" in unit ? `${chip} ${unit.hemisphere}${unit.slice} ${burst.bank}` : "";
  };
  for (const group of grouped(bursts, keyOf).values()) {
    const reads = group.filter((burst) => burst.site.unit.kind === "memRead");
    const writes = group.filter((burst) => burst.site.unit.kind === "memWrite");
    reportMeetings(reads, writes, rankOf, (read, write, cycle) => {
      const message = `writes bank ${write.bank} at cycle ${cycle} while ${siteName(read.site)} reads it`;
      violateAt(findings, "bank", write.site, message, { cycle });
    });
  }
}
