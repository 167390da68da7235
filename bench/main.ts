// `npm run bench`: measures every figure in a process of its own, prints a table and writes JSON. `--only NAME` (repeatable) takes some,
// `--list` names them, `-o FILE` writes elsewhere. Knows how a bench is run, not what it measures.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/io.ts";
import { allocBenches } from "./alloc.ts";
import { checkBenches } from "./check.ts";
import { importBenches } from "./import.ts";
import { lineBenches } from "./line.ts";
import type { Bench, Figure, Skipped } from "./measure.ts";
import { partitionBenches } from "./partition.ts";
import { passBenches } from "./passes.ts";

const benches: readonly Bench[] = [
  ...checkBenches,
  ...lineBenches,
  ...importBenches,
  ...passBenches,
  ...partitionBenches,
  ...allocBenches,
];
/** A bench that takes longer has failed. */
const timeoutSeconds = 900;

type Outcome =
  | ({ readonly status: "measured"; readonly reached: boolean | null } & Figure)
  | { readonly status: "failed"; readonly error: string }
  | { readonly status: "skipped"; readonly reason: string };

type Row = {
  readonly bench: Bench;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly peakGigabytes: number;
};
type ChildAnswer = { readonly figure?: Figure | Skipped; readonly error?: string; readonly peakKilobytes: number };

const thisFile = fileURLToPath(import.meta.url);

function findBench(name: string): Bench | undefined {
  return benches.find((bench) => bench.name === name);
}

/** What the child process does: write the files of a bench, or measure it; the answer goes into a file. */
function runChild(step: string, bench: Bench, folder: string): void {
  if (step === "prepare") {
    for (const [name, bytes] of Object.entries(bench.files)) writeFileAtomic(join(folder, name), [bytes()]);
    return;
  }
  let answer: Omit<ChildAnswer, "peakKilobytes">;
  try {
    answer = { figure: bench.measure({ path: (name) => join(folder, name) }) };
  } catch (error) {
    answer = { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
  const whole: ChildAnswer = { ...answer, peakKilobytes: process.resourceUsage().maxRSS };
  writeFileSync(join(folder, "answer.json"), JSON.stringify(whole));
}

function spawnStep(step: string, bench: Bench, folder: string): string | undefined {
  const child = spawnSync(process.execPath, [thisFile, "--child", step, bench.name, folder], {
    stdio: ["ignore", "inherit", "pipe"],
    timeout: timeoutSeconds * 1000,
    encoding: "utf8",
  });
  if (child.status === 0) return undefined;
  const isLate = child.error !== undefined && "code" in child.error && child.error.code === "ETIMEDOUT";
  if (isLate) return `no figure within ${timeoutSeconds} s`;
  const lastLines = child.stderr.trim().split("\n").slice(-3).join(" | ");
  return `the process ended with ${child.signal ?? `status ${child.status}`}: ${lastLines}`;
}

function measureBench(bench: Bench): Row {
  const folder = mkdtempSync(join(tmpdir(), "lpuc-bench-"));
  const from = process.hrtime.bigint();
  const since = (): number => Number(process.hrtime.bigint() - from) / 1e9;
  try {
    const broken = spawnStep("prepare", bench, folder) ?? spawnStep("measure", bench, folder);
    if (broken !== undefined)
      return { bench, outcome: { status: "failed", error: broken }, seconds: since(), peakGigabytes: 0 };
    const answer: ChildAnswer = JSON.parse(readFileSync(join(folder, "answer.json"), "utf8"));
    return { bench, outcome: judge(bench, answer), seconds: since(), peakGigabytes: answer.peakKilobytes / 1e6 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function judge(bench: Bench, { figure, error }: ChildAnswer): Outcome {
  if (figure === undefined) return { status: "failed", error: error ?? "no answer" };
  if ("skipped" in figure) return { status: "skipped", reason: figure.skipped };
  const { limit } = bench;
  if (limit.rule === "report") return { status: "measured", reached: null, ...figure };
  const reached = limit.rule === "at most" ? figure.value <= limit.value : figure.value >= limit.value;
  return { status: "measured", reached, ...figure };
}

function shown(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toPrecision(4);
}

function printRow({ bench, outcome, seconds }: Row): string {
  const { limit } = bench;
  const wanted = limit.rule === "report" ? "" : `${limit.rule} ${limit.value}`;
  const columns = (value: string, verdict: string): string =>
    `${bench.name.padEnd(22)} ${value.padStart(16)}  ${wanted.padEnd(14)} ${verdict.padEnd(8)} ${bench.title} (${seconds.toFixed(0)} s)`;
  switch (outcome.status) {
    case "failed":
      return `${columns("-", "FAILED")}\n    ${outcome.error.slice(0, 600)}`;
    case "skipped":
      return `${columns("-", "skipped")}\n    ${outcome.reason}`;
    case "measured": {
      const verdict = outcome.reached === null ? "" : outcome.reached ? "reached" : "MISSED";
      const details = Object.entries(outcome.details).map(([k, v]) => `${k} ${typeof v === "number" ? shown(v) : v}`);
      return `${columns(`${shown(outcome.value)} ${outcome.unit}`, verdict)}\n    ${details.join(", ")}`;
    }
  }
}

function rowJson({ bench, outcome, seconds, peakGigabytes }: Row): unknown {
  return { name: bench.name, title: bench.title, limit: bench.limit, ...outcome, benchSeconds: seconds, peakGigabytes };
}

const usage = `npm run bench -- [options]: measures every figure, prints a table and writes JSON
  --only NAME   only this figure; may be given several times
  --list        name the figures
  -o FILE       write the JSON here
  --help        this text`;

/** What was given; undefined after saying what is wrong with it. */
function givenWords() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        only: { type: "string", multiple: true },
        list: { type: "boolean" },
        help: { type: "boolean" },
        child: { type: "boolean" },
        output: { type: "string", short: "o" },
      },
    });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return undefined;
  }
}

function main(): number {
  const given = givenWords();
  if (given === undefined) return 2;
  const { values, positionals } = given;
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  if (values.child === true) {
    const [step = "", name = "", folder = ""] = positionals;
    const bench = findBench(name);
    if (bench === undefined) return 2;
    runChild(step, bench, folder);
    return 0;
  }
  if (values.list === true) {
    for (const { name, title } of benches) console.log(`${name.padEnd(22)} ${title}`);
    return 0;
  }
  const names = values.only ?? benches.map(({ name }) => name);
  const unknown = names.filter((name) => findBench(name) === undefined);
  if (unknown.length > 0) {
    console.error(`there is no bench ${unknown.join(", ")}; there are ${benches.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const rows: Row[] = [];
  for (const bench of benches) {
    if (!names.includes(bench.name)) continue;
    const row = measureBench(bench);
    rows.push(row);
    console.log(printRow(row));
  }
  const machine = { node: process.version, cores: cpus().length, processor: cpus()[0]?.model ?? "unknown" };
  const results = { schema: "lpuc.bench/1", machine, results: rows.map(rowJson) };
  const file = values.output ?? join(dirname(thisFile), "..", "..", "bench", "results.json");
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  const isBad = ({ outcome }: Row): boolean =>
    outcome.status === "failed" || (outcome.status === "measured" && outcome.reached === false);
  return rows.some(isBad) ? 1 : 0;
}

process.exitCode = main();
