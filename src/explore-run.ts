// All points of an exploration, on worker threads, with results in the order of the points.
import { extname } from "node:path";
import { InvariantError } from "../ir/diag/diagnostic.ts";
import { type PointOptions, type PointResult, runPoint } from "./explore.ts";
import { eachOnWorkers } from "./worker-pool.ts";

export async function runPoints(
  path: string,
  points: readonly PointOptions[],
  jobs: number,
  onResult: (done: number) => void,
): Promise<readonly PointResult[]> {
  let done = 0;
  const results: PointResult[] = [];
  const keep = (index: number, result: PointResult): void => {
    results[index] = result;
    done++;
    onResult(done);
  };
  if (jobs <= 1) for (const [index, point] of points.entries()) keep(index, runPoint(path, point));
  else {
    const worker = new URL(`./explore-worker${extname(import.meta.url)}`, import.meta.url);
    const lost = (_: PointOptions, reason: string): PointResult => {
      throw new InvariantError(reason);
    };
    await eachOnWorkers({ worker, workerData: path, jobs, items: points, onResult: keep, lost });
  }
  return results;
}
