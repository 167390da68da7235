// The chain of dependences that ends in a program's last write: where its latency goes, and where it waits for something other than data.
import type { Program } from "../../ir/machine/program.ts";
import { cycleOf, type Dependence, type Dependences, dependencesOf, type Issue } from "./dependences.ts";

/** A stretch of the path in one kernel on one chip; stretches follow one another from cycle 0 to the last write. */
export interface PathStretch {
  readonly chip: number;
  readonly kernel: string;
  readonly nodes: readonly string[];
  readonly fromCycle: number;
  readonly untilCycle: number;
  /** Cycles in which the data was there and nothing took it: units, streams or banks were busy, or the schedule left them idle. */
  readonly waitCycles: number;
  /** Issues on the path. */
  readonly issues: number;
}

/** Chains through streams are short; longer ones are cut. */
const MOST_RIGID = 64;

/** The least wait that one meets going back from an issue to memory. */
function leastWait(dependences: Dependences, known: Map<string, number>, issue: Issue, depth: number): number {
  const key = `${issue.site.id} ${issue.repetition}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  let least = Number.POSITIVE_INFINITY;
  if (depth < MOST_RIGID) {
    for (const dependence of dependences.of(issue))
      least = Math.min(least, cost(dependences, known, dependence, depth + 1));
  }
  known.set(key, least);
  return least;
}

const isMemory = ({ on }: Dependence): boolean => on.site.ins.op === "write" || on.site.ins.op === "scatter";

/** A dependence through memory costs its wait, any other also what lies behind it. What no memory lies behind is a constant. */
function cost(dependences: Dependences, known: Map<string, number>, dependence: Dependence, depth: number): number {
  if (isMemory(dependence)) return dependence.wait;
  return dependence.wait + leastWait(dependences, known, dependence.on, depth);
}

function lastWriteOf(program: Program, dependences: Dependences): Issue | undefined {
  let best: { issue: Issue; end: number } | undefined;
  for (const site of dependences.sites) {
    if (site.ins.op !== "write" && site.ins.op !== "scatter") continue;
    const issue = { site, repetition: site.ins.count - 1 };
    const end = cycleOf(issue) + program.target.mem.latency[site.ins.op];
    if (best === undefined || end > best.end) best = { issue, end };
  }
  return best?.issue;
}

/** Issues of the path from the first to the last, each with the wait before it. */
function pathOf(program: Program): readonly { readonly issue: Issue; readonly wait: number }[] {
  const dependences = dependencesOf(program);
  const known = new Map<string, number>();
  const path: { issue: Issue; wait: number }[] = [];
  for (let issue = lastWriteOf(program, dependences); issue !== undefined; ) {
    let next: Dependence | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const dependence of dependences.of(issue)) {
      const costs = cost(dependences, known, dependence, 0);
      if (next !== undefined && costs >= least) continue;
      next = dependence;
      least = costs;
    }
    path.push({ issue, wait: next === undefined ? cycleOf(issue) : next.wait });
    issue = next?.on;
  }
  return path.reverse();
}

/** The path as stretches. Their lengths add up to the latency without the ripple through the superlanes. */
export function criticalPath(program: Program): readonly PathStretch[] {
  const { notes, origins } = program.debug;
  const path = pathOf(program);
  const stretches: { chip: number; note: number; from: number; until: number; wait: number; issues: number }[] = [];
  path.forEach(({ issue, wait }, i) => {
    const { chip, ins } = issue.site;
    const from = cycleOf(issue) - wait;
    const following = path[i + 1];
    const until =
      following === undefined
        ? cycleOf(issue) + (ins.op === "write" || ins.op === "scatter" ? program.target.mem.latency[ins.op] : 0)
        : cycleOf(following.issue) - following.wait;
    const open = stretches.at(-1);
    if (open === undefined || open.chip !== chip || open.note !== ins.note) {
      stretches.push({ chip, note: ins.note, from: open?.until ?? from, until, wait, issues: 1 });
      return;
    }
    open.until = until;
    open.wait += wait;
    open.issues += 1;
  });
  return stretches.map(({ chip, note, from, until, wait, issues }) => ({
    chip,
    kernel: notes[note]?.kernel ?? "",
    nodes: (notes[note]?.origins ?? []).flatMap((origin) => origins[origin]?.name ?? []),
    fromCycle: from,
    untilCycle: until,
    waitCycles: wait,
    issues,
  }));
}
