// Invariant `weights`: a tile is complete before it is installed, latencies are kept, a tile in use is not replaced, no loaded rows are lost.
// Gives the intervals in which the tile registers are in use.
import type { Target } from "../../ir/target/target.ts";
import { countChecked, type Findings, type Site, siteName, violateAt } from "./report.ts";
import { lastIssue, planesOf } from "./sites.ts";

/** Half-open cycles in which a register of one plane holds something that is still needed. */
export interface RegisterUse {
  readonly chip: number;
  readonly plane: number;
  readonly register: "buffer" | "tile" | "entry";
  readonly entry: number;
  readonly from: number;
  readonly until: number;
  readonly site: Site;
}

interface Buffer {
  readonly mode: string;
  readonly rows: Uint8Array;
  cleared: boolean;
  firstIssue: number;
  lastIssue: number;
  last: Site;
}

interface PlaneState {
  readonly plane: number;
  buffer: Buffer | undefined;
  tile: { readonly mode: string; readonly site: Site; lastUse: number } | undefined;
}

type Say = (site: Site, message: string) => void;

const rankEvent = (site: Site): number => (site.ins.op === "iw" ? 1 : 0);

/** Sites of a plane (and of its partner) in issue order. */
function planeEvents(target: Target, sites: readonly Site[]): ReadonlyMap<string, readonly Site[]> {
  const groups = new Map<string, Site[]>();
  for (const site of sites) {
    if (!("plane" in site.unit) || !("mode" in site.ins)) continue;
    for (const plane of planesOf(target, site.unit.plane, site.ins.mode)) {
      const key = `${site.chip} ${plane}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [site]);
      else group.push(site);
    }
  }
  for (const group of groups.values()) {
    group.sort((a, b) => a.ins.cycle - b.ins.cycle || rankEvent(a) - rankEvent(b) || a.id - b.id);
  }
  return groups;
}

function loadTile(target: Target, say: Say, state: PlaneState, site: Site): void {
  const { ins } = site;
  if (ins.op !== "lw") return;
  const rowsOfTile = target.mxm.modes[ins.mode]?.tileN ?? 0;
  const old = state.buffer;
  if (old !== undefined && (ins.clear || old.mode !== ins.mode)) {
    say(site, `overwrites the rows loaded by ${siteName(old.last)} before they were installed`);
  }
  const fresh = old === undefined || ins.clear || old.mode !== ins.mode;
  const buffer: Buffer = fresh
    ? {
        mode: ins.mode,
        rows: new Uint8Array(rowsOfTile),
        cleared: false,
        firstIssue: ins.cycle,
        lastIssue: 0,
        last: site,
      }
    : old;
  if (ins.clear) buffer.cleared = true;
  let doubled = -1;
  for (let row = ins.row; row < ins.row + ins.rows; row++) {
    if (buffer.rows[row] === 1) doubled = row;
    buffer.rows[row] = 1;
  }
  if (doubled >= 0) {
    say(site, `loads row ${doubled} again before the tile with that row was installed`);
  }
  buffer.lastIssue = Math.max(buffer.lastIssue, lastIssue(ins));
  buffer.last = site;
  state.buffer = buffer;
}

function installTile(target: Target, say: Say, state: PlaneState, site: Site, uses: RegisterUse[]): void {
  const { ins, chip } = site;
  if (ins.op !== "iw") return;
  const { buffer, tile, plane } = state;
  if (buffer === undefined) {
    say(site, "installs a tile, but nothing was loaded since the last one");
  } else {
    const ready = buffer.lastIssue + target.mxm.latency.lw;
    const missing = buffer.cleared ? -1 : buffer.rows.indexOf(0);
    if (buffer.mode !== ins.mode) say(site, `installs a ${ins.mode} tile, loaded was ${buffer.mode}`);
    if (missing >= 0) say(site, `installs a tile whose row ${missing} was not loaded`);
    if (ins.cycle < ready) {
      say(site, `installs at cycle ${ins.cycle} rows that are complete at ${ready} (${siteName(buffer.last)})`);
    }
    const { firstIssue, last } = buffer;
    uses.push({ chip, plane, register: "buffer", entry: 0, from: firstIssue, until: ins.cycle + 1, site: last });
  }
  if (ins.count > 1) say(site, "installs the same tile several times");
  if (tile !== undefined && tile.lastUse > ins.cycle) {
    say(site, `replaces the tile that ${siteName(tile.site)} installed while it is used until cycle ${tile.lastUse}`);
  }
  closeTile(chip, state, uses);
  state.tile = { mode: ins.mode, site, lastUse: ins.cycle + 1 };
  state.buffer = undefined;
}

function closeTile(chip: number, state: PlaneState, uses: RegisterUse[]): void {
  const { tile, plane } = state;
  if (tile === undefined) return;
  uses.push({
    chip,
    plane,
    register: "tile",
    entry: 0,
    from: tile.site.ins.cycle,
    until: tile.lastUse,
    site: tile.site,
  });
}

function useTile(target: Target, say: Say, state: PlaneState, site: Site): void {
  const { ins } = site;
  if (ins.op !== "abc") return;
  const { tile } = state;
  if (tile === undefined) {
    say(site, "multiplies before any tile was installed");
    return;
  }
  const ready = tile.site.ins.cycle + target.mxm.latency.iw;
  if (tile.mode !== ins.mode) say(site, `multiplies as ${ins.mode} with a ${tile.mode} tile`);
  if (ins.cycle < ready) {
    say(site, `multiplies at cycle ${ins.cycle}; its tile (${siteName(tile.site)}) is in place at ${ready}`);
  }
  const period = target.mxm.modes[ins.mode]?.vectorPeriod ?? 1;
  tile.lastUse = Math.max(tile.lastUse, lastIssue(ins) + period);
}

/** The LW, IW, ABC protocol of every plane. */
export function checkWeights(findings: Findings, sites: readonly Site[]): readonly RegisterUse[] {
  const { target } = findings.program;
  const uses: RegisterUse[] = [];
  // Both planes of a double tile see the same events: say everything once.
  const told = new Set<string>();
  const say: Say = (site, message) => {
    const key = `${site.id} ${message}`;
    if (told.has(key)) return;
    told.add(key);
    violateAt(findings, "weights", site, message);
  };
  for (const [key, events] of planeEvents(target, sites)) {
    const plane = Number(key.split(" ")[1]);
    const state: PlaneState = { plane, buffer: undefined, tile: undefined };
    for (const site of events) {
      countChecked(findings, "weights");
      loadTile(target, say, state, site);
      installTile(target, say, state, site, uses);
      useTile(target, say, state, site);
    }
    const left = state.buffer;
    if (left !== undefined) say(left.last, "loads rows that are never installed");
    const chip = events[0]?.chip ?? 0;
    closeTile(chip, state, uses);
  }
  return uses;
}
