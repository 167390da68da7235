// `npm run fuzz -- [SUITE...] [--count N | --seconds T] [--seed S] [--from I]`: tries many inputs in a process of its own, which is watched: a crash, an input
// that takes too long, growing memory or files left open are failures, each with the command that makes the input again.
import { fork } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { randomOf } from "./random.ts";
import { suites } from "./suites.ts";
import { processorSeconds, type Usage, usageNow } from "./watch.ts";

/** Wall seconds without a finished input before the process is taken for hung. */
const HANG_SECONDS = 120;
/** Processor seconds one input may take. */
const SLOW_SECONDS = 20;
const LEAK_BYTES = 48e6;
const WARM_UP = 0.25;

type Order = {
  readonly suite: string;
  readonly count: number;
  readonly seed: number;
  readonly from: number;
  /** Processor seconds after which no other input is tried. */
  readonly seconds?: number;
};

type Report = {
  readonly inputs: number;
  readonly accepted: number;
  readonly codes: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly index: number; readonly reason: string }[];
  readonly seconds: number;
  readonly slowest: { readonly index: number; readonly seconds: number };
  readonly grownBytes: number;
  readonly filesLeft: number;
  readonly peakBytes: number;
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${error.message}\n${(error.stack ?? "").split("\n").slice(1, 8).join("\n")}`;
}

/** What the child does. */
function tryAll(
  { suite: name, count, seed, from, seconds: most = Number.POSITIVE_INFINITY }: Order,
  begin: (index: number) => void,
): Report {
  const suite = suites.find((candidate) => candidate.name === name);
  if (suite === undefined) throw new RangeError(`there is no suite ${name}`);
  const { run } = suite.prepare();
  const codes: Record<string, number> = {};
  const failures: { index: number; reason: string }[] = [];
  let [accepted, slowest] = [0, { index: from, seconds: 0 }];
  let before: Usage = usageNow();
  const start = process.cpuUsage();
  let index = from;
  for (; index < from + count && processorSeconds(start) < most; index += 1) {
    if (index - from === Math.floor(count * WARM_UP)) before = usageNow();
    begin(index);
    const began = process.cpuUsage();
    try {
      const verdict = run(randomOf(seed, index));
      if (verdict.accepted) accepted += 1;
      for (const code of new Set(verdict.codes)) codes[code] = (codes[code] ?? 0) + 1;
    } catch (error) {
      failures.push({ index, reason: reasonOf(error) });
      if (failures.length >= 200) break;
    }
    const seconds = processorSeconds(began);
    if (seconds > slowest.seconds) slowest = { index, seconds };
    if (seconds > SLOW_SECONDS) failures.push({ index, reason: `it takes ${seconds.toFixed(1)} s` });
  }
  const seconds = processorSeconds(start);
  const after = usageNow();
  return {
    inputs: index - from,
    accepted,
    codes,
    failures,
    seconds,
    slowest,
    grownBytes: after.heapBytes - before.heapBytes,
    filesLeft: (after.openFiles ?? 0) - (before.openFiles ?? 0),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

const indexFile = (folder: string): string => join(folder, "index");
const reportFile = (folder: string): string => join(folder, "report.json");

/** Says which input is being tried, in a file that outlives the process; leaves the report beside it. */
function child(order: Order, folder: string): void {
  const file = openSync(indexFile(folder), "w");
  const report = tryAll(order, (index) => void writeSync(file, `${index}`.padEnd(16), 0));
  closeSync(file);
  writeFileSync(reportFile(folder), JSON.stringify(report));
}

/** Runs a suite in a process of its own; a text says how that process ended without a report. */
async function inChild(order: Order): Promise<Report | string> {
  const folder = mkdtempSync(join(tmpdir(), "lpuc-fuzz-"));
  writeFileSync(indexFile(folder), `${order.from}`);
  const current = (): string => readFileSync(indexFile(folder), "utf8").trim();
  try {
    const end = await new Promise<string>((resolve) => {
      const words = ["--child", JSON.stringify(order), folder];
      const running = fork(fileURLToPath(import.meta.url), words, { execArgv: ["--expose-gc"] });
      let [index, since, end] = [current(), Date.now(), ""];
      const timer = setInterval(() => {
        const now = current();
        if (now !== index) [index, since] = [now, Date.now()];
        else if (Date.now() - since > HANG_SECONDS * 1000) {
          end = `input ${index} hangs`;
          running.kill("SIGKILL");
        }
      }, 1000);
      running.on("exit", (code, signal) => {
        clearInterval(timer);
        const died = code === 0 ? "" : `input ${current()} ended the process (${signal ?? `status ${code}`})`;
        resolve(end === "" ? died : end);
      });
    });
    return end === "" ? (JSON.parse(readFileSync(reportFile(folder), "utf8")) as Report) : end;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prints what came of a suite; gives the number of failures. */
function print(order: Order, result: Report | string): number {
  const again = (index: number): string =>
    `npm run fuzz -- ${order.suite} --seed ${order.seed} --from ${index} --count 1`;
  if (typeof result === "string") {
    console.log(`${order.suite}: FAILED: ${result}`);
    return 1;
  }
  const { inputs, accepted, seconds, slowest, grownBytes, filesLeft, peakBytes, failures, codes } = result;
  const problems = failures.map(({ index, reason }) => `input ${index}: ${reason}\n  ${again(index)}`);
  if (inputs >= 1000 && grownBytes > LEAK_BYTES) problems.push(`memory grew by ${(grownBytes / 1e6).toFixed(1)} MB`);
  if (filesLeft > 0) problems.push(`${filesLeft} files were left open`);
  console.log(
    `${order.suite.padEnd(12)} ${problems.length === 0 ? "ok    " : "FAILED"} ${inputs} inputs, ${accepted} valid, ${Object.keys(codes).length} codes, ` +
      `${seconds.toFixed(1)} s, slowest ${slowest.seconds.toFixed(2)} s (input ${slowest.index}), ` +
      `memory ${(grownBytes / 1e6).toFixed(1)} MB more, peak ${(peakBytes / 1e6).toFixed(0)} MB`,
  );
  for (const problem of problems) console.log(`  ${problem}`);
  return problems.length;
}

function whole(text: string | undefined, usual: number): number {
  const value = text === undefined ? usual : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`'${text}' is not a whole number`);
  return value;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: "string" },
      seconds: { type: "string" },
      seed: { type: "string" },
      from: { type: "string" },
      list: { type: "boolean" },
      child: { type: "boolean" },
    },
  });
  if (values.child === true) {
    const [order = "{}", folder = ""] = positionals;
    child(JSON.parse(order) as Order, folder);
    return 0;
  }
  if (values.list === true) {
    for (const { name, title } of suites) console.log(`${name.padEnd(12)} ${title}`);
    return 0;
  }
  const names = positionals.length > 0 ? positionals : suites.map(({ name }) => name);
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`there is no suite ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  let failures = 0;
  for (const suite of names) {
    // As many as asked for, or for as long, or 2000.
    const timed = values.seconds === undefined ? {} : { seconds: whole(values.seconds, 0) };
    const count = whole(values.count, values.seconds === undefined ? 2000 : Number.MAX_SAFE_INTEGER);
    const order = { suite, count, seed: whole(values.seed, 1), from: whole(values.from, 0), ...timed };
    failures += print(order, await inChild(order));
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
