// The cycles of one token on each chip. They fix what the host owes: it binds a chip's inputs when the chip's stage begins and collects its
// outputs when it ends, not all at cycle 0 and at the very end. So with tokens in flight an input word is held from the start of its chip's stage
// to its last read, an output word from its write to the end of the stage. What a program states of its stages must hold all that is scheduled.
import type { Program, StageInfo } from "../../ir/machine/program.ts";
import { columnCount } from "../../ir/target/geometry.ts";
import { countChecked, type Findings, type Site, violate } from "./report.ts";
import { lastIssue } from "./sites.ts";

/** Half-open; a chip without instructions has the whole run. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/** First issue and last word written of each chip; undefined where nothing is issued. */
function scheduledWindows(program: Program, sites: readonly Site[]): readonly (Window | undefined)[] {
  const { latency: landing } = program.target.mem;
  const windows = program.chips.map(() => ({ start: Number.POSITIVE_INFINITY, end: 0 }));
  for (const { chip, ins } of sites) {
    const window = windows[chip];
    if (window === undefined || ins.op === "deskew") continue;
    const lands = ins.op === "write" || ins.op === "scatter" ? landing[ins.op] : 1;
    window.start = Math.min(window.start, ins.cycle);
    window.end = Math.max(window.end, lastIssue(ins) + lands);
  }
  return windows.map((window) => (window.end === 0 ? undefined : window));
}

/** Scheduled windows, widened to what the program states where that makes sense. */
export function chipWindows(program: Program, sites: readonly Site[], latency: number): readonly Window[] {
  return scheduledWindows(program, sites).map((window, chip) => {
    const stage = program.stages.find((one) => one.chip === chip);
    const { start, end } = window ?? { start: 0, end: latency };
    if (stage === undefined || !(stage.startCycle >= 0 && stage.endCycle < Number.POSITIVE_INFINITY))
      return { start, end };
    return { start: Math.min(start, stage.startCycle), end: Math.max(end, stage.endCycle) };
  });
}

function stageProblem(
  program: Program,
  { startCycle, endCycle }: StageInfo,
  window: Window | undefined,
): string | undefined {
  const { target } = program;
  if (!Number.isSafeInteger(startCycle) || !Number.isSafeInteger(endCycle) || startCycle < 0 || endCycle < startCycle)
    return `is said to take cycles ${startCycle}..${endCycle}`;
  if (window === undefined) return undefined;
  if (startCycle > window.start)
    return `is said to begin at cycle ${startCycle}, its first instruction issues at ${window.start}`;
  if (endCycle < window.end) return `is said to end at cycle ${endCycle}, its last word is written at ${window.end}`;
  // When all is written, all streams are empty and the engines could take another vector, no stage is under way.
  const engineWait = Math.max(...Object.values(target.mxm.modes).map(({ vectorPeriod }) => vectorPeriod - 1));
  const over = program.latencyCycles + columnCount(target) + target.mem.latency.write + engineWait;
  return endCycle > over ? `is said to end at cycle ${endCycle}, nothing is under way from ${over} on` : undefined;
}

/** Invariant `determinism`: stages are where the schedule has them, and wherever the host binds or collects something there is one. */
export function checkStages(findings: Findings, sites: readonly Site[]): void {
  const { program } = findings;
  const windows = scheduledWindows(program, sites);
  const seen = new Set<number>();
  countChecked(findings, "determinism", program.stages.length);
  for (const stage of program.stages) {
    const { chip } = stage;
    const say = (message: string): void =>
      violate(findings, "determinism", `the stage of chip ${chip} ${message}`, { chip });
    if (program.chips[chip] === undefined)
      violate(findings, "determinism", `there is a stage of chip ${chip}, but no such chip`);
    if (seen.has(chip)) say("is there twice");
    seen.add(chip);
    const problem = stageProblem(program, stage, windows[chip]);
    if (problem !== undefined) say(problem);
  }
  const used = new Set(program.bindings.flatMap(({ placements }) => placements.map(({ chip }) => chip)));
  for (const chip of [...used].sort((a, b) => a - b)) {
    if (seen.has(chip) || program.chips[chip] === undefined) continue;
    violate(findings, "determinism", `chip ${chip} has inputs or outputs, but no stage says when`, { chip });
  }
}
