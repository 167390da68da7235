// `npm run fuzz`: tries many inputs in a process of its own, which is watched: a crash, an input that takes too long, growing memory or files left open
// are failures, each with the command that makes the input again.
import { fork } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
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

const usage = `npm run fuzz -- [SUITE...] [--count N | --seconds T] [--seed S] [--from I]

Tries inputs of every suite, or of those named, and says what is wrong with the command that makes the input again.

  --count N     inputs of each suite (default 2000)
  --seconds T   instead: processor seconds for each suite
  --seed S      which inputs (default 1)
  --from I      the first input (default 0)
  --list        the suites
  --help        this text

What the suite "line" finds is made as small as it can be and written to fuzz/found/. Ctrl-C ends the run and reports what was found until then.
Exit status: 0 nothing found, 1 failures, 2 usage, 130 interrupted.`;

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

/** What the child does. `begin` is told each input, `found` what is known after each failure. */
function tryAll(
  { suite: name, count, seed, from, seconds: most = Number.POSITIVE_INFINITY }: Order,
  begin: (index: number) => void,
  found: (report: Report) => void,
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
  const report = (): Report => {
    const after = usageNow();
    return {
      inputs: index - from,
      accepted,
      codes,
      failures,
      seconds: processorSeconds(start),
      slowest,
      grownBytes: after.heapBytes - before.heapBytes,
      filesLeft: (after.openFiles ?? 0) - (before.openFiles ?? 0),
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
  for (; index < from + count && processorSeconds(start) < most; index += 1) {
    if (index - from === Math.floor(count * WARM_UP)) before = usageNow();
    begin(index);
    const began = process.cpuUsage();
    const known = failures.length;
    try {
      const verdict = run(randomOf(seed, index));
      if (verdict.accepted) accepted += 1;
      for (const code of new Set(verdict.codes)) codes[code] = (codes[code] ?? 0) + 1;
    } catch (error) {
      failures.push({ index, reason: reasonOf(error) });
    }
    const seconds = processorSeconds(began);
    if (seconds > slowest.seconds) slowest = { index, seconds };
    if (seconds > SLOW_SECONDS) failures.push({ index, reason: `it takes ${seconds.toFixed(1)} s` });
    if (failures.length > known) found(report());
    if (failures.length >= 200) break;
  }
  return report();
}

const indexFile = (folder: string): string => join(folder, "index");
const reportFile = (folder: string): string => join(folder, "report.json");

/** Says which input is being tried, in a file that outlives the process; leaves the report beside it. */
function child(order: Order, folder: string): void {
  const file = openSync(indexFile(folder), "w");
  const save = (report: Report): void => writeFileSync(reportFile(folder), JSON.stringify(report));
  // A terminal sends Ctrl-C to both processes: the parent decides.
  process.on("SIGINT", () => undefined);
  save(tryAll(order, (index) => void writeSync(file, `${index}`.padEnd(16), 0), save));
  closeSync(file);
}

/** What a process that was ended had found. */
function reportSoFar(folder: string, order: Order, index: number): Report {
  const none: Report = {
    inputs: 0,
    accepted: 0,
    codes: {},
    failures: [],
    seconds: 0,
    slowest: { index: order.from, seconds: 0 },
    grownBytes: 0,
    filesLeft: 0,
    peakBytes: 0,
  };
  const found = existsSync(reportFile(folder))
    ? (JSON.parse(readFileSync(reportFile(folder), "utf8")) as Report)
    : none;
  return { ...found, inputs: index - order.from, grownBytes: 0, filesLeft: 0 };
}

type Ending = { readonly result: Report | string; readonly isInterrupted: boolean };

/** Runs a suite in a process of its own; a text says how that process ended without a report. */
async function inChild(order: Order): Promise<Ending> {
  const folder = mkdtempSync(join(tmpdir(), "lpuc-fuzz-"));
  writeFileSync(indexFile(folder), `${order.from}`);
  const current = (): string => readFileSync(indexFile(folder), "utf8").trim();
  let isInterrupted = false;
  try {
    const end = await new Promise<string>((resolve) => {
      const words = ["--child", JSON.stringify(order), folder];
      const running = fork(fileURLToPath(import.meta.url), words, { execArgv: ["--expose-gc"] });
      let [index, since, end] = [current(), Date.now(), ""];
      const stop = (): void => {
        isInterrupted = true;
        running.kill("SIGKILL");
      };
      process.once("SIGINT", stop);
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
        process.removeListener("SIGINT", stop);
        const died = code === 0 ? "" : `input ${current()} ended the process (${signal ?? `status ${code}`})`;
        resolve(end === "" ? died : end);
      });
    });
    if (isInterrupted) return { result: reportSoFar(folder, order, Number(current())), isInterrupted };
    return {
      result: end === "" ? (JSON.parse(readFileSync(reportFile(folder), "utf8")) as Report) : end,
      isInterrupted,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prints what came of a suite; gives the number of failures. */
function print(order: Order, result: Report | string, isInterrupted: boolean): number {
  const again = (index: number): string =>
    `npm run fuzz -- ${order.suite} --seed ${order.seed} --from ${index} --count 1`;
  if (typeof result === "string") {
    console.log(`${order.suite}: FAILED: ${result}`);
    return 1;
  }
  if (isInterrupted) {
    const { inputs, failures } = result;
    console.log(`${order.suite}: interrupted at input ${order.from + inputs}, ${failures.length} failures until then`);
    for (const { index, reason } of failures) console.log(`  input ${index}: ${reason}\n  ${again(index)}`);
    return failures.length;
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

/** A whole number, or a complaint in `wrong`. */
function whole(option: string, text: string | undefined, usual: number, wrong: string[]): number {
  const value = text === undefined ? usual : Number(text);
  if (text === "" || !Number.isSafeInteger(value) || value < 0)
    wrong.push(`--${option} '${text}' is not a whole number`);
  return value;
}

const options = {
  count: { type: "string" },
  seconds: { type: "string" },
  seed: { type: "string" },
  from: { type: "string" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  child: { type: "boolean" },
} as const;

type Words = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;

/** The words of the command line, or what is wrong with them. */
function readWords(): Words | string {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function refuse(problems: readonly string[]): number {
  for (const problem of problems) console.error(problem);
  console.error("npm run fuzz -- --help says how it is used");
  return 2;
}

async function main(): Promise<number> {
  const words = readWords();
  if (typeof words === "string") return refuse([words]);
  const { values, positionals } = words;
  if (values.child === true) {
    const [order = "{}", folder = ""] = positionals;
    child(JSON.parse(order) as Order, folder);
    return 0;
  }
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  if (values.list === true) {
    for (const { name, title } of suites) console.log(`${name.padEnd(12)} ${title}`);
    return 0;
  }
  const wrong: string[] = [];
  const names = positionals.length > 0 ? positionals : suites.map(({ name }) => name);
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0)
    wrong.push(`there is no suite ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}`);
  // As many as asked for, or for as long, or 2000.
  const timed = values.seconds === undefined ? {} : { seconds: whole("seconds", values.seconds, 0, wrong) };
  const count = whole("count", values.count, values.seconds === undefined ? 2000 : Number.MAX_SAFE_INTEGER, wrong);
  const seed = whole("seed", values.seed, 1, wrong);
  const from = whole("from", values.from, 0, wrong);
  if (wrong.length > 0) return refuse(wrong);
  let failures = 0;
  for (const suite of names) {
    const order = { suite, count, seed, from, ...timed };
    const { result, isInterrupted } = await inChild(order);
    failures += print(order, result, isInterrupted);
    if (isInterrupted) return 130;
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
