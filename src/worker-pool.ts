// Items worked off by several worker threads: each takes the next one when it is done with the one before. Knows threads, not the work.
import { Worker } from "node:worker_threads";

export interface WorkerRun<Item, Answer> {
  /** Takes an item as a message and answers with one. */
  readonly worker: URL;
  readonly workerData: unknown;
  readonly jobs: number;
  readonly items: readonly Item[];
  readonly onResult: (index: number, result: Answer) => void;
  /** The result of an item whose worker died. */
  readonly lost: (item: Item, reason: string) => Answer;
}

/** One worker until nothing is left; one that dies is replaced. */
function work<Item, Answer>(run: WorkerRun<Item, Answer>, queue: Iterator<[number, Item], undefined>): Promise<void> {
  return new Promise((resolve, reject) => {
    let worker: Worker | undefined;
    let current: [number, Item] | undefined;
    const next = (): void => {
      current = queue.next().value;
      if (current === undefined) {
        worker?.removeAllListeners();
        worker?.terminate().finally(resolve);
        if (worker === undefined) resolve();
        return;
      }
      worker ??= start();
      worker.postMessage(current[1]);
    };
    const lost = (reason: string): void => {
      worker?.removeAllListeners();
      worker = undefined;
      try {
        if (current !== undefined) run.onResult(current[0], run.lost(current[1], reason));
        next();
      } catch (error) {
        reject(error);
      }
    };
    const start = (): Worker => {
      const started = new Worker(run.worker, { workerData: run.workerData });
      started.on("message", (result: Answer) => {
        if (current !== undefined) run.onResult(current[0], result);
        next();
      });
      started.on("error", (error) => lost(error.message));
      started.on("exit", (code) => lost(`the worker ended with ${code}`));
      return started;
    };
    next();
  });
}

/** Each item's result goes to `onResult`, in the order in which they come. */
export async function eachOnWorkers<Item, Answer>(run: WorkerRun<Item, Answer>): Promise<void> {
  const queue = run.items.entries();
  await Promise.all(Array.from({ length: Math.min(run.jobs, run.items.length) }, () => work(run, queue)));
}
