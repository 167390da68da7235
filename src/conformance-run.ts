// Many conformance cases: on worker threads, in a known order, told one by one, and continued where an earlier run stopped.
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { type CaseOptions, type CaseResult, failedCase, runCase } from "./conformance.ts";

export interface ConformanceRun {
  /** Worker threads; with 1 everything runs here. */
  readonly jobs: number;
  /** Results of an earlier run with the same options, by folder: these cases are not run again. */
  readonly known?: ReadonlyMap<string, CaseResult>;
  /** Told about each case that was run, as it ends. */
  readonly onResult?: (folder: string, result: CaseResult) => void;
}

const workerFile = new URL(`./conformance-worker${extname(import.meta.url)}`, import.meta.url);

/** One worker that takes folders from the queue until it is empty; a worker that dies fails its case and is replaced. */
function work(
  queue: string[],
  options: CaseOptions,
  onResult: (folder: string, result: CaseResult) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let worker: Worker | undefined;
    let current: string | undefined;
    const next = (): void => {
      current = queue.shift();
      if (current === undefined) {
        worker?.removeAllListeners();
        worker?.terminate().finally(resolve);
        if (worker === undefined) resolve();
        return;
      }
      worker ??= start();
      worker.postMessage(current);
    };
    const lost = (reason: string): void => {
      worker?.removeAllListeners();
      worker = undefined;
      if (current !== undefined) onResult(current, failedCase(current, `a bug in lpuc: ${reason}`));
      next();
    };
    const start = (): Worker => {
      const started = new Worker(workerFile, { workerData: options });
      started.on("message", (result: CaseResult) => {
        if (current !== undefined) onResult(current, result);
        next();
      });
      started.on("error", (error) => lost(error.message));
      started.on("exit", (code) => lost(`the worker ended with ${code}`));
      return started;
    };
    next();
  });
}

/** Runs all folders; results in the order of the folders. */
export async function runCases(
  folders: readonly string[],
  options: CaseOptions,
  run: ConformanceRun,
): Promise<CaseResult[]> {
  const results = new Map<string, CaseResult>();
  const queue: string[] = [];
  for (const folder of folders) {
    const known = run.known?.get(folder);
    if (known === undefined) queue.push(folder);
    else results.set(folder, known);
  }
  const keep = (folder: string, result: CaseResult): void => {
    results.set(folder, result);
    run.onResult?.(folder, result);
  };
  if (run.jobs <= 1) for (const folder of queue) keep(folder, runCase(folder, options));
  else await Promise.all(Array.from({ length: Math.min(run.jobs, queue.length) }, () => work(queue, options, keep)));
  return folders.flatMap((folder) => results.get(folder) ?? []);
}

/** A line of the file from which a run is continued. */
export const resultLine = (folder: string, result: CaseResult): string => `${JSON.stringify({ folder, result })}\n`;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

/** The results in such a file; lines that are cut off or were never whole are left out. */
export function knownResults(text: string): Map<string, CaseResult> {
  const known = new Map<string, CaseResult>();
  for (const line of text.split("\n")) {
    try {
      const entry: unknown = JSON.parse(line);
      if (isRecord(entry) && typeof entry.folder === "string" && isRecord(entry.result)) {
        known.set(entry.folder, entry.result as unknown as CaseResult);
      }
    } catch {
      // Not a whole line: the case is run again.
    }
  }
  return known;
}
