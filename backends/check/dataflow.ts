// The data-flow proof: the program and its embedded graph are both run on pseudo-random inputs in a finite field, where reassociated sums and
// moved factors are equal and different polynomials almost never are. Tells `operand` and `lifetime` violations; sees program and target only.
import type { Mnemonic } from "../../ir/machine/isa.ts";
import { reportCircularOverlaps } from "./bursts.ts";
import { combinedChoices } from "./choice.ts";
import { constantOf } from "./constants.ts";
import type { Execution, Step } from "./execution.ts";
import { evaluateGraph } from "./graph-values.ts";
import { bindInputs, randomInputs } from "./inputs.ts";
import { visitAllIssues } from "./issue-order.ts";
import type { Lanes } from "./lanes.ts";
import { newMemory, visitLives, type WordLife } from "./memory.ts";
import { checkOutputs } from "./outputs.ts";
import { overlapsTokens } from "./overlap.ts";
import { newRegisters } from "./registers.ts";
import { countChecked, type Findings, type Site, violate } from "./report.ts";
import { checkState } from "./state.ts";
import { prepareAccumulate, prepareActivate, prepareInstall, prepareLoad } from "./steps-matrix.ts";
import { prepareGather, prepareRead, prepareScatter, prepareWrite } from "./steps-memory.ts";
import { prepareAlu, preparePermute, prepareReceive, prepareSend } from "./steps-vector.ts";
import { chipWindows, type Window } from "./windows.ts";

type Prepare = (run: Execution, site: Site) => Step | undefined;

const prepare = {
  read: prepareRead,
  write: prepareWrite,
  gather: prepareGather,
  scatter: prepareScatter,
  lw: prepareLoad,
  iw: prepareInstall,
  abc: prepareActivate,
  acc: prepareAccumulate,
  alu: prepareAlu,
  permute: preparePermute,
  send: prepareSend,
  receive: prepareReceive,
  deskew: () => undefined,
} as const satisfies Record<Mnemonic, Prepare>;

function graphOutputs(
  findings: Findings,
  run: Execution,
  inputs: ReadonlyMap<number, Lanes>,
): ReadonlyMap<number, Lanes> {
  const { program } = findings;
  const outputs = program.bindings.filter((binding) => binding.kind === "output").map((binding) => binding.tensor);
  const missing = new Set<number>();
  const leaf = (tensor: number): Lanes | undefined => {
    const input = inputs.get(tensor);
    const source = program.graph.tensors[tensor];
    if (input !== undefined || source === undefined) return input;
    const constant = constantOf(run.memory.images, source);
    if (constant === undefined && !missing.has(tensor)) {
      missing.add(tensor);
      violate(findings, "completeness", `contents of constant ${source.name} are not all there`, {
        tensor: source.name,
      });
    }
    if (constant !== undefined && constant.disputed >= 0 && !missing.has(tensor)) {
      missing.add(tensor);
      const message = `element ${constant.disputed} of constant ${source.name} has different values in two of its places`;
      violate(findings, "operand", message, { tensor: source.name });
    }
    return constant?.lanes;
  };
  return evaluateGraph(program, leaf, outputs);
}

/** State words carry values from token to token: one life from the first to the last touch. */
function mergedLives(findings: Findings, run: Execution, lives: readonly WordLife[]): readonly WordLife[] {
  const { symbol } = run.memory.columns;
  const isState = lives.some((life) => findings.program.symbols[symbol[life.entry] ?? -1]?.role === "state");
  const [first] = lives;
  if (!isState || first === undefined) return lives;
  const from = lives.reduce((least, life) => Math.min(least, life.from), first.from);
  const until = lives.reduce((most, life) => Math.max(most, life.until), first.until);
  return [{ from, until, entry: first.entry }];
}

/** Lives in one word, latest first; a bound input is there from the start of its chip's window on. */
function livesOf(run: Execution, lives: readonly WordLife[], window: Window | undefined): readonly WordLife[] {
  const { writer } = run.memory.columns;
  return lives.map((life) =>
    writer[life.entry] === -1 && window !== undefined
      ? { ...life, from: window.start, until: Math.max(life.until, window.start + 1) }
      : life,
  );
}

/** `overlap` of words: what a token keeps in a word is gone before the next token's value lands there. */
function checkWordOverlap(findings: Findings, run: Execution, windows: readonly Window[]): void {
  const interval = findings.program.initiationIntervalCycles;
  const told = new Set<string>();
  const { symbol, writer } = run.memory.columns;
  visitLives(run.memory, (slice, word, found) => {
    countChecked(findings, "overlap");
    const lives = livesOf(run, found, windows[slice.chip]);
    const first = lives[lives.length - 1];
    const last = lives.reduce((most, life) => Math.max(most, life.until), 0);
    if (first === undefined || last - first.from <= interval) return;
    reportCircularOverlaps(mergedLives(findings, run, lives), interval, (a, b) => {
      const names = [a, b].map((life) => findings.program.symbols[symbol[life.entry] ?? -1]?.name ?? "?");
      const key = names.join("\n");
      if (told.has(key)) return;
      told.add(key);
      const [one, other] = names;
      const where = `word ${word} of MEM.${slice.hemisphere}${slice.slice}`;
      const site = run.sites[writer[b.entry] ?? -1];
      const message = `${other} of one token lands in ${where} while it holds ${one} of another, tokens being ${interval} cycles apart`;
      violate(findings, "overlap", message, {
        chip: slice.chip,
        cycle: site?.ins.cycle ?? null,
        tensor: other ?? null,
      });
    });
  });
}

/** Follows the program. `sites` are all by id, `good` those to execute. */
export function checkDataflow(
  findings: Findings,
  sites: readonly Site[],
  good: readonly Site[],
  latency: number,
  seed: number,
): void {
  const { program } = findings;
  const run: Execution = {
    findings,
    program,
    memory: newMemory(program),
    registers: newRegisters(program.target),
    planes: new Map(),
    wires: new Map(),
    sites,
    told: new Set(),
    combined: combinedChoices(program).notes,
    unknowns: 0,
  };
  const inputs = randomInputs(program, seed);
  bindInputs(findings, run.memory, inputs);
  const steps = new Map<number, Step>();
  for (const site of good) {
    const step = prepare[site.ins.op](run, site);
    if (step !== undefined) steps.set(site.id, step);
  }
  let issues = 0;
  visitAllIssues(good, (site, repetition, cycle) => {
    issues++;
    steps.get(site.id)?.(repetition, cycle);
  });
  countChecked(findings, "operand", issues);
  const windows = chipWindows(program, good, latency);
  const outputs = graphOutputs(findings, run, inputs);
  checkOutputs(findings, run.memory, sites, outputs, windows);
  checkState(findings, run.memory, sites, outputs, windows);
  if (overlapsTokens(findings, latency)) checkWordOverlap(findings, run, windows);
}
