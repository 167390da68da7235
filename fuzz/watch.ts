// What a run of many inputs uses: time of each input, heap and open files before and after. Knows the process, not the inputs.
import { existsSync, readdirSync } from "node:fs";

export interface Usage {
  readonly heapBytes: number;
  /** Undefined where the system does not say. */
  readonly openFiles: number | undefined;
}

declare const gc: (() => void) | undefined;

/** Heap in use after a collection (with --expose-gc), buffers outside the heap included. */
export function usageNow(): Usage {
  if (typeof gc === "function") {
    gc();
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  const folder = "/proc/self/fd";
  return { heapBytes: heapUsed + external, openFiles: existsSync(folder) ? readdirSync(folder).length : undefined };
}

/** Seconds of processor time since `from`. */
export function processorSeconds(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
}
