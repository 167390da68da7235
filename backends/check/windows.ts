// The cycles of one token on each chip, from the schedule itself. They fix what the host owes: it binds a chip's inputs before the chip's first
// instruction of the token and collects its outputs after the chip's last write, not all at cycle 0 and at the very end. So with tokens in
// flight an input word is held from the start of its chip's window to its last read, an output word from its write to the end of the window.
import type { Program } from "../../ir/machine/program.ts";
import type { Site } from "./report.ts";
import { lastIssue } from "./sites.ts";

/** Half-open; a chip without instructions has the whole run. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

export function chipWindows(program: Program, sites: readonly Site[], latency: number): readonly Window[] {
  const { latency: landing } = program.target.mem;
  const windows = program.chips.map(() => ({ start: Number.POSITIVE_INFINITY, end: 0 }));
  for (const { chip, ins } of sites) {
    const window = windows[chip];
    if (window === undefined || ins.op === "deskew") continue;
    const lands = ins.op === "write" || ins.op === "scatter" ? landing[ins.op] : 1;
    window.start = Math.min(window.start, ins.cycle);
    window.end = Math.max(window.end, lastIssue(ins) + lands);
  }
  return windows.map((window) => (window.end === 0 ? { start: 0, end: latency } : window));
}
