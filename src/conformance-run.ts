// Many conformance cases: on worker threads, in a known order, told one by one, and continued where an earlier run stopped.
import { extname } from "node:path";
import { type CaseOptions, type CaseResult, failedCase, runCase } from "./conformance.ts";
import { eachOnWorkers } from "./worker-pool.ts";

export interface ConformanceRun {
  /** Worker threads; with 1 everything runs here. */
  readonly jobs: number;
  /** Results of an earlier run with the same options, by folder: these cases are not run again. */
  readonly known?: ReadonlyMap<string, CaseResult>;
  /** Told about each case that was run, as it ends. */
  readonly onResult?: (folder: string, result: CaseResult) => void;
}

const workerFile = new URL(`./conformance-worker${extname(import.meta.url)}`, import.meta.url);

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
  else {
    await eachOnWorkers({
      worker: workerFile,
      workerData: options,
      jobs: run.jobs,
      items: queue,
      onResult: (index, result: CaseResult) => keep(queue[index] ?? "", result),
      lost: (folder, reason) => failedCase(folder, `a bug in lpuc: ${reason}`),
    });
  }
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
